# What the service needs of the project, and the names everything else uses.

data "google_project" "this" {
  project_id = var.project_id
}

locals {
  apis = toset([
    "bigquery.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtasks.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "securitycenter.googleapis.com",
  ])

  project_number = data.google_project.this.number

  # Cloud Run's deterministic URL. The service's own uri attribute cannot be
  # used: the environment of the service would depend on the service.
  service_url = "https://${var.name}-${local.project_number}.${var.region}.run.app"

  # Pub/Sub's service agent, which forwards dead letters and writes to BigQuery.
  pubsub_agent = "serviceAccount:service-${local.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  parent_kind = split("/", var.scc_parent)[0]
  parent_id   = split("/", var.scc_parent)[1]
}

resource "google_project_service" "this" {
  for_each = local.apis

  project = var.project_id
  service = each.value

  # Others may use the API, too.
  disable_on_destroy = false
}
