# Who may do what. Members are added one by one, never with a binding or a
# policy: those would take away the grant that Security Command Center gives
# itself on the findings topic.

# The service and the backfill job.
resource "google_service_account" "enricher" {
  project      = var.project_id
  account_id   = var.name
  display_name = "SCC enricher: reads evidence, writes security marks"

  depends_on = [google_project_service.this]
}

# Calls the service on behalf of Pub/Sub and Cloud Tasks, and can do nothing else.
resource "google_service_account" "caller" {
  project      = var.project_id
  account_id   = "${var.name}-push"
  display_name = "SCC enricher: delivers findings and follow-ups"

  depends_on = [google_project_service.this]
}

# Starts the backfill job, and can do nothing else.
resource "google_service_account" "scheduler" {
  count = var.backfill.enabled ? 1 : 0

  project      = var.project_id
  account_id   = "${var.name}-schedule"
  display_name = "SCC enricher: starts the backfill job"

  depends_on = [google_project_service.this]
}

locals {
  enricher_member = "serviceAccount:${google_service_account.enricher.email}"
  caller_member   = "serviceAccount:${google_service_account.caller.email}"

  # On the organisation, folder or project whose findings are enriched. Not
  # needed, and so not given: findings.update, setState, setMute.
  finding_roles = [
    "roles/securitycenter.findingSecurityMarksWriter",
    "roles/securitycenter.findingsViewer",
  ]
  # On the same parent, or on each of workload_projects.
  workload_roles = [
    "roles/logging.viewer",
    "roles/run.viewer",
  ]

  parent_roles = toset(concat(local.finding_roles, length(var.workload_projects) == 0 ? local.workload_roles : []))

  workload_grants = {
    for pair in setproduct(var.workload_projects, local.workload_roles) : "${pair[0]} ${pair[1]}" => { project = pair[0], role = pair[1] }
  }
}

resource "google_organization_iam_member" "enricher" {
  for_each = local.parent_kind == "organizations" ? local.parent_roles : toset([])

  org_id = local.parent_id
  role   = each.value
  member = local.enricher_member
}

resource "google_folder_iam_member" "enricher" {
  for_each = local.parent_kind == "folders" ? local.parent_roles : toset([])

  folder = var.scc_parent
  role   = each.value
  member = local.enricher_member
}

resource "google_project_iam_member" "enricher" {
  for_each = local.parent_kind == "projects" ? local.parent_roles : toset([])

  project = local.parent_id
  role    = each.value
  member  = local.enricher_member
}

resource "google_project_iam_member" "workload" {
  for_each = local.workload_grants

  project = each.value.project
  role    = each.value.role
  member  = local.enricher_member
}

# On one view each, by a condition on its name.
resource "google_project_iam_member" "log_view" {
  for_each = toset(var.log_views)

  project = split("/", each.value)[1]
  role    = "roles/logging.viewAccessor"
  member  = local.enricher_member

  condition {
    title       = "one log view"
    description = "Reads of this view only."
    expression  = "resource.name == \"${each.value}\""
  }
}

resource "google_pubsub_topic_iam_member" "records_publisher" {
  project = var.project_id
  topic   = google_pubsub_topic.records.name
  role    = "roles/pubsub.publisher"
  member  = local.enricher_member
}

resource "google_pubsub_topic_iam_member" "dead_letters_publisher" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.enricher_member
}

resource "google_secret_manager_secret_iam_member" "virustotal" {
  project   = var.project_id
  secret_id = google_secret_manager_secret.virustotal.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.enricher_member
}

resource "google_cloud_tasks_queue_iam_member" "followups" {
  count = var.followups.enabled ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = google_cloud_tasks_queue.followups[0].name
  role     = "roles/cloudtasks.enqueuer"
  member   = local.enricher_member
}

# A task that names an account needs this of whoever creates it.
resource "google_service_account_iam_member" "followups_act_as_caller" {
  count = var.followups.enabled ? 1 : 0

  service_account_id = google_service_account.caller.name
  role               = "roles/iam.serviceAccountUser"
  member             = local.enricher_member
}

resource "google_cloud_run_v2_service_iam_member" "caller" {
  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.enricher.name
  role     = "roles/run.invoker"
  member   = local.caller_member
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  count = var.backfill.enabled ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_job.backfill[0].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${google_service_account.scheduler[0].email}"
}

# Pub/Sub mints the push token. Projects made after 8 April 2021 have this
# anyway; older ones do not.
resource "google_service_account_iam_member" "pubsub_mints_tokens" {
  service_account_id = google_service_account.caller.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent

  # Google makes its agent at the latest when Pub/Sub is first used; before that
  # nothing can be given to it. hashicorp/google alone cannot ask for it.
  depends_on = [google_pubsub_topic.findings]
}

# Without these two grants Pub/Sub cannot move a message to the dead-letter
# topic, and delivers it again and again instead.
resource "google_pubsub_topic_iam_member" "dead_letters_agent" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "push_agent" {
  project      = var.project_id
  subscription = google_pubsub_subscription.push.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# The same for records that BigQuery refuses.
resource "google_pubsub_topic_iam_member" "record_dead_letters_agent" {
  count = var.records.enabled ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.record_dead_letters[0].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "records_agent" {
  count = var.records.enabled ? 1 : 0

  project      = var.project_id
  subscription = google_pubsub_subscription.records[0].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_bigquery_table_iam_member" "records_agent" {
  count = var.records.enabled ? 1 : 0

  project    = var.project_id
  dataset_id = google_bigquery_table.records[0].dataset_id
  table_id   = google_bigquery_table.records[0].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent

  depends_on = [google_pubsub_topic.records]
}
