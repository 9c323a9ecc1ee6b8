# Security Command Center never sends a notification again. The job looks for
# findings that were missed, and for those whose enrichment is stale.

resource "google_cloud_run_v2_job" "backfill" {
  count = var.backfill.enabled ? 1 : 0

  project             = var.project_id
  location            = var.region
  name                = "${var.name}-backfill"
  deletion_protection = var.deletion_protection
  labels              = var.labels

  template {
    labels      = var.labels
    task_count  = 1
    parallelism = 1

    template {
      service_account       = google_service_account.enricher.email
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      # A run that failed is made up for by the next one.
      max_retries = 0
      # A run that is slowed down by its budgets must end before the next one.
      timeout = "3000s"

      containers {
        image = var.image
        args  = ["backfill", "--since", var.backfill.since]

        resources {
          limits = {
            cpu    = "1"
            memory = var.memory
          }
        }

        dynamic "env" {
          for_each = local.job_environment
          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = local.secret_environment
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value.secret
                version = env.value.version
              }
            }
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [client, client_version]
  }

  depends_on = [google_secret_manager_secret_iam_member.virustotal]
}

resource "google_cloud_scheduler_job" "backfill" {
  count = var.backfill.enabled ? 1 : 0

  project     = var.project_id
  region      = var.region
  name        = "${var.name}-backfill"
  description = "Starts the backfill job."
  schedule    = var.backfill.schedule
  time_zone   = var.backfill.time_zone

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/projects/${var.project_id}/locations/${var.region}/jobs/${google_cloud_run_v2_job.backfill[0].name}:run"

    # A Google API takes an access token, not an identity token.
    oauth_token {
      service_account_email = google_service_account.scheduler[0].email
    }
  }

  retry_config {
    retry_count = 1
  }

  depends_on = [google_cloud_run_v2_job_iam_member.scheduler]
}
