# The module with a mocked provider: what is made for which input, and which
# inputs are refused. Run with `terraform test`.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
  # The provider refuses a grant on anything without the form of a name.
  mock_resource "google_service_account" {
    defaults = {
      name  = "projects/sec-enricher/serviceAccounts/made-up@sec-enricher.iam.gserviceaccount.com"
      email = "made-up@sec-enricher.iam.gserviceaccount.com"
    }
  }
}

variables {
  project_id = "sec-enricher"
  region     = "europe-west1"
  image      = "europe-docker.pkg.dev/sec-enricher/images/scc-enricher@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  scc_parent = "organizations/123456789012"
}

# The first run, while nothing is there: afterwards every value is known.
run "the_plan_names_the_environment" {
  command = plan
  assert {
    condition     = alltrue([for name in ["RECORD_TOPIC", "DEAD_LETTER_TOPIC", "TASKS_QUEUE", "PUSH_SERVICE_ACCOUNT"] : contains([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.name], name)])
    error_message = "who reads the first plan sees every variable of the service, though some values are known only afterwards"
  }
  assert {
    condition     = contains([for e in google_cloud_run_v2_job.backfill[0].template[0].template[0].containers[0].env : e.name], "RECORD_TOPIC")
    error_message = "who reads the first plan sees every variable of the job"
  }
}

run "organization" {
  assert {
    condition     = length(google_scc_v2_organization_notification_config.this) == 1 && length(google_scc_v2_folder_notification_config.this) == 0 && length(google_scc_v2_project_notification_config.this) == 0
    error_message = "an organisation gets one notification config, on the organisation"
  }
  assert {
    condition     = google_scc_v2_organization_notification_config.this[0].organization == "123456789012"
    error_message = "the notification config names the organisation by its number"
  }
  assert {
    condition     = length(google_organization_iam_member.enricher) == 4 && length(google_project_iam_member.workload) == 0
    error_message = "all four roles are given on the organisation"
  }
  assert {
    condition     = google_pubsub_subscription.push.push_config[0].push_endpoint == "https://scc-enricher-123456789012.europe-west1.run.app/push"
    error_message = "the push goes to the service's deterministic URL"
  }
  assert {
    condition     = google_pubsub_subscription.push.push_config[0].oidc_token[0].audience == one([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.value if e.name == "PUSH_AUDIENCE"])
    error_message = "the subscription sends the audience that the service expects"
  }
  assert {
    condition     = contains(google_cloud_run_v2_service.enricher.custom_audiences, google_pubsub_subscription.push.push_config[0].oidc_token[0].audience)
    error_message = "Cloud Run accepts the audience that the subscription sends"
  }
  assert {
    condition     = one([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.value if e.name == "LOGGING_READS_PER_MINUTE"]) == "15"
    error_message = "60 reads a minute are shared by three instances and the backfill job"
  }
  assert {
    condition     = alltrue([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : !contains(["VT_API_KEY", "SCC_ENDPOINT", "LOG_SCOPES", "PORT"], e.name)])
    error_message = "what was not asked for is not set"
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this) == 6
    error_message = "there are six alert policies"
  }
}

run "folder" {
  variables {
    scc_parent        = "folders/42"
    workload_projects = ["shop-prod", "shop-test"]
  }
  assert {
    condition     = google_scc_v2_folder_notification_config.this[0].folder == "42" && length(google_scc_v2_organization_notification_config.this) == 0
    error_message = "a folder gets its notification config"
  }
  assert {
    condition     = length(google_folder_iam_member.enricher) == 2 && length(google_project_iam_member.workload) == 4
    error_message = "finding roles are on the folder, workload roles on each workload project"
  }
}

run "project_without_extras" {
  variables {
    scc_parent    = "projects/shop-prod"
    min_instances = 0
    max_instances = 1
    records       = { enabled = false }
    backfill      = { enabled = false }
    followups     = { enabled = false }
  }
  assert {
    condition     = google_scc_v2_project_notification_config.this[0].project == "shop-prod"
    error_message = "a project gets its notification config"
  }
  assert {
    condition     = length(google_bigquery_table.records) + length(google_cloud_run_v2_job.backfill) + length(google_cloud_tasks_queue.followups) + length(google_cloud_scheduler_job.backfill) == 0
    error_message = "what is switched off is not made"
  }
  assert {
    condition     = alltrue([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : !startswith(e.name, "TASKS_")])
    error_message = "without a queue no TASKS_ variable is set"
  }
  assert {
    condition     = output.records_table == null && output.backfill_job == null
    error_message = "outputs of what is switched off are null"
  }
}

run "data_residency_and_views" {
  variables {
    scc_location              = "eu"
    virustotal_secret_version = "2"
    log_views                 = ["projects/sec-logs/locations/eu/buckets/all/views/run"]
    finding_filter_extra      = "resource.project_display_name = \"shop\""
  }
  assert {
    condition     = one([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.value if e.name == "SCC_ENDPOINT"]) == "securitycenter.eu.rep.googleapis.com:443"
    error_message = "a data residency location is reached at its regional endpoint"
  }
  assert {
    condition     = google_scc_v2_organization_notification_config.this[0].location == "eu"
    error_message = "the notification config is in the location of the findings"
  }
  assert {
    condition     = one([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.value if e.name == "LOG_SCOPES"]) == "projects/{project},projects/sec-logs/locations/eu/buckets/all/views/run"
    error_message = "log views are read beside the workload's project"
  }
  assert {
    condition     = google_project_iam_member.log_view["projects/sec-logs/locations/eu/buckets/all/views/run"].project == "sec-logs"
    error_message = "a log view is granted in its own project"
  }
  assert {
    condition     = one([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.value_source[0].secret_key_ref[0].version if e.name == "VT_API_KEY"]) == "2"
    error_message = "the key comes from the secret's named version"
  }
  assert {
    condition     = endswith(google_scc_v2_organization_notification_config.this[0].streaming_config[0].filter, " AND (resource.project_display_name = \"shop\")")
    error_message = "the extra restriction is joined in parentheses"
  }
}

run "many_instances_without_virustotal" {
  variables {
    max_instances = 9
  }
  assert {
    condition     = one([for e in google_cloud_run_v2_service.enricher.template[0].containers[0].env : e.value if e.name == "VT_REQUESTS_PER_MINUTE"]) == "1"
    error_message = "the service takes no budget of nothing"
  }
  assert {
    condition     = one([for e in google_cloud_run_v2_job.backfill[0].template[0].template[0].containers[0].env : e.value if e.name == "LOGGING_READS_PER_MINUTE"]) == "6"
    error_message = "the backfill job has a share like an instance"
  }
}

run "refuses_a_tag" {
  command = plan
  variables {
    image = "europe-docker.pkg.dev/sec-enricher/images/scc-enricher:latest"
  }
  expect_failures = [var.image]
}

run "refuses_sources_that_may_take_longer_than_the_finding" {
  command = plan
  variables {
    source_timeout_seconds = 20
  }
  expect_failures = [var.enrich_timeout_seconds]
}

run "refuses_a_timeout_that_the_service_refuses" {
  command = plan
  variables {
    enrich_timeout_seconds = 541
    ack_deadline_seconds   = 600
  }
  expect_failures = [var.enrich_timeout_seconds]
}

run "refuses_an_ack_deadline_too_near_the_timeout" {
  command = plan
  variables {
    ack_deadline_seconds = 29
  }
  expect_failures = [var.ack_deadline_seconds]
}

run "refuses_a_share_of_nothing" {
  command = plan
  variables {
    max_instances             = 4
    virustotal_secret_version = "1"
  }
  expect_failures = [var.virustotal_requests_per_minute]
}

run "refuses_a_setting_with_a_variable_of_its_own" {
  command = plan
  variables {
    settings = { PUSH_AUTH = "none" }
  }
  expect_failures = [var.settings]
}

run "refuses_lookups_of_something_else" {
  command = plan
  variables {
    virustotal_lookups = "indicators"
  }
  expect_failures = [var.virustotal_lookups]
}

run "refuses_latest_key" {
  command = plan
  variables {
    virustotal_secret_version = "latest"
  }
  expect_failures = [var.virustotal_secret_version]
}

run "refuses_another_parent" {
  command = plan
  variables {
    scc_parent = "sec-enricher"
  }
  expect_failures = [var.scc_parent]
}
