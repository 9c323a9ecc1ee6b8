# Work that has to be done later: incidents that settle, sources to ask again.

resource "google_cloud_tasks_queue" "followups" {
  count = var.followups.enabled ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = "${var.name}-followups"

  # Below what the service can do beside its deliveries.
  rate_limits {
    max_dispatches_per_second = var.followups.per_second
    max_concurrent_dispatches = var.followups.concurrent
  }

  retry_config {
    max_attempts  = 20
    min_backoff   = "5s"
    max_backoff   = "300s"
    max_doublings = 6
  }

  depends_on = [google_project_service.this]
}
