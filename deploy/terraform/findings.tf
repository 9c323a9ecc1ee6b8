# From Security Command Center to the service: notification, topic, push,
# dead letters.

locals {
  # Which findings are sent. Every field is one that Security Command Center
  # documents for filters, and the text is evaluated in deploy_test.go.
  #
  # - resource_name: Cloud Run services, jobs and worker pools. The finding's
  #   class is no documented filter field, so other findings about Cloud Run
  #   come, too.
  # - state, mute: closed and muted findings are nothing to do, and their
  #   changes are left out here.
  #
  # Our own writes come back all the same, and the service answers them without
  # any call: a filter that leaves out marked findings would also leave out the
  # next event of a marked finding, because a filter compares with constants
  # and cannot compare a mark with event_time.
  finding_filter = join(" AND ", concat(
    [
      "resource_name : \"//run.googleapis.com/\"",
      "state = \"ACTIVE\"",
      "NOT mute = \"MUTED\"",
    ],
    var.finding_filter_extra == "" ? [] : ["(${var.finding_filter_extra})"],
  ))

  notification_description = "Cloud Run findings for ${var.name} in ${var.project_id}."
}

resource "google_pubsub_topic" "findings" {
  project = var.project_id
  name    = "${var.name}-findings"
  labels  = var.labels

  # Findings can be replayed from the topic for a week.
  message_retention_duration = "604800s"

  depends_on = [google_project_service.this]
}

# One of the three, as scc_parent says. Security Command Center gives itself the
# right to publish when the config is made.
resource "google_scc_v2_organization_notification_config" "this" {
  count = local.parent_kind == "organizations" ? 1 : 0

  config_id    = var.name
  organization = local.parent_id
  location     = var.scc_location
  description  = local.notification_description
  pubsub_topic = google_pubsub_topic.findings.id

  streaming_config {
    filter = local.finding_filter
  }

  depends_on = [google_project_service.this, google_pubsub_subscription.push]
}

resource "google_scc_v2_folder_notification_config" "this" {
  count = local.parent_kind == "folders" ? 1 : 0

  config_id    = var.name
  folder       = local.parent_id
  location     = var.scc_location
  description  = local.notification_description
  pubsub_topic = google_pubsub_topic.findings.id

  streaming_config {
    filter = local.finding_filter
  }

  depends_on = [google_project_service.this, google_pubsub_subscription.push]
}

resource "google_scc_v2_project_notification_config" "this" {
  count = local.parent_kind == "projects" ? 1 : 0

  config_id    = var.name
  project      = local.parent_id
  location     = var.scc_location
  description  = local.notification_description
  pubsub_topic = google_pubsub_topic.findings.id

  streaming_config {
    filter = local.finding_filter
  }

  depends_on = [google_project_service.this, google_pubsub_subscription.push]
}

resource "google_pubsub_subscription" "push" {
  project = var.project_id
  name    = "${var.name}-push"
  topic   = google_pubsub_topic.findings.id
  labels  = var.labels

  # Also how long Pub/Sub waits for the answer; above ENRICH_TIMEOUT.
  ack_deadline_seconds       = var.ack_deadline_seconds
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = "${local.service_url}/push"
    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.service_url
    }
  }

  # What may succeed later waits this long between attempts. The pause doubles,
  # so 100 attempts span about 16 hours. Pub/Sub keeps to it as well as it can, and
  # has been seen to be twice as fast: count on 8 hours before dead letters.
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # Never: the default deletes a subscription after 31 quiet days, and a quiet
  # month is what everybody hopes for.
  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.max_delivery_attempts
  }

  # Pushes that come before the invoker's grant are refused and retried.
  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}

# Messages that can never succeed (put here by the service) and messages that
# did not succeed in time (put here by Pub/Sub).
resource "google_pubsub_topic" "dead_letters" {
  project = var.project_id
  name    = "${var.name}-dead-letters"
  labels  = var.labels

  depends_on = [google_project_service.this]
}

# Keeps them until somebody looks: a topic without a subscription forgets.
resource "google_pubsub_subscription" "dead_letters" {
  project = var.project_id
  name    = "${var.name}-dead-letters"
  topic   = google_pubsub_topic.dead_letters.id
  labels  = var.labels

  # Read by people, with gcloud.
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}
