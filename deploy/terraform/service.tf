# The Cloud Run service, its environment and the VirusTotal key.

locals {
  # Budgets are counted in the memory of each instance, so each gets a share:
  # one an instance, one for the backfill job.
  shares = var.max_instances + 1

  # What is there under a condition is a map of its own, and not a null to leave
  # out: whether a value that is known only after apply is null is not known
  # before either, and the plan would not even name the variables.
  residency_environment = var.scc_location == "global" ? {} : {
    SCC_ENDPOINT = "securitycenter.${var.scc_location}.rep.googleapis.com:443"
  }
  views_environment = length(var.log_views) == 0 ? {} : {
    LOG_SCOPES = join(",", concat(["projects/{project}"], var.log_views))
  }
  followups_environment = var.followups.enabled ? {
    TASKS_QUEUE           = google_cloud_tasks_queue.followups[0].id
    TASKS_URL             = "${local.service_url}/tasks/followup"
    TASKS_SERVICE_ACCOUNT = google_service_account.caller.email
  } : {}

  # What the service and the backfill job share.
  shared_environment = merge(var.settings, local.residency_environment, local.views_environment, {
    SCC_PARENT               = var.scc_parent
    MARK_PREFIX              = var.mark_prefix
    ENRICH_TIMEOUT           = "${var.enrich_timeout_seconds}s"
    SOURCE_TIMEOUT           = "${var.source_timeout_seconds}s"
    RECORD_TOPIC             = google_pubsub_topic.records.id
    VT_LOOKUPS               = var.virustotal_lookups
    VT_REQUESTS_PER_MINUTE   = tostring(max(1, floor(var.virustotal_requests_per_minute / local.shares)))
    VT_REQUESTS_PER_DAY      = tostring(max(1, floor(var.virustotal_requests_per_day / local.shares)))
    LOGGING_READS_PER_MINUTE = tostring(floor(var.logging_reads_per_minute / local.shares))
    SCC_READS_PER_MINUTE     = tostring(floor(var.scc_reads_per_minute / local.shares))
    SCC_WRITES_PER_MINUTE    = tostring(floor(var.scc_writes_per_minute / local.shares))
  })

  # PORT is not here: Cloud Run sets it and refuses it from anybody else.
  service_environment = merge(local.shared_environment, local.followups_environment, {
    GOOGLE_CLOUD_PROJECT = var.project_id

    # Cloud Run checks the token first; the service checks it again, and also
    # whose it is.
    PUSH_AUTH            = "oidc"
    PUSH_AUDIENCE        = local.service_url
    PUSH_SERVICE_ACCOUNT = google_service_account.caller.email
    DEAD_LETTER_TOPIC    = google_pubsub_topic.dead_letters.id
  })

  job_environment = merge(local.shared_environment, {
    BACKFILL_LOCATION = var.scc_location
  })
}

resource "google_cloud_run_v2_service" "enricher" {
  project             = var.project_id
  location            = var.region
  name                = var.name
  description         = "Enriches Security Command Center's Cloud Run threat findings."
  ingress             = var.ingress
  deletion_protection = var.deletion_protection
  labels              = var.labels

  # Pub/Sub's and Cloud Tasks' tokens name this audience. Saying it here makes
  # Cloud Run accept it whichever of its URLs it calls its own.
  custom_audiences = [local.service_url]

  # Cloud Run's own check of the caller stays on; said here, so that switching it
  # off by hand is a difference that the next plan shows.
  invoker_iam_disabled = false

  template {
    service_account = google_service_account.enricher.email
    labels          = var.labels

    # Where Cloud Run Threat Detection is on, no other generation can be made.
    # It watches a service of its own account only if that account has
    # roles/iam.serviceAccountTokenCreator, which is not given here.
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"

    # A delivery is a handful of API calls and little else. More at a time would
    # not be faster: the budget of log reads is 60 a minute for everybody.
    max_instance_request_concurrency = var.concurrency

    # As long as Pub/Sub waits for a delivery; and longer than a follow-up may
    # take, which is three times ENRICH_TIMEOUT.
    timeout = "${max(var.ack_deadline_seconds, 4 * var.enrich_timeout_seconds)}s"

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image
      args  = ["serve"]

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = var.cpu
          memory = var.memory
        }
        # CPU between requests, too: records and traces are sent in the
        # background, follow-ups run in the process where there is no queue, and
        # the service has 10 s of work to finish after SIGTERM.
        cpu_idle          = false
        startup_cpu_boost = true
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30
        http_get {
          path = "/readyz"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/healthz"
        }
      }

      dynamic "env" {
        for_each = local.service_environment
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

  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  lifecycle {
    # gcloud and the console write their own name and version here.
    ignore_changes = [client, client_version]
  }

  # A revision that cannot read its secret does not start.
  depends_on = [google_secret_manager_secret_iam_member.virustotal]
}

# The secret is made here, its value is not: a value would be in the state.
resource "google_secret_manager_secret" "virustotal" {
  project   = var.project_id
  secret_id = "${var.name}-virustotal-key"
  labels    = var.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

locals {
  secret_environment = var.virustotal_secret_version == "" ? {} : {
    VT_API_KEY = {
      secret  = google_secret_manager_secret.virustotal.secret_id
      version = var.virustotal_secret_version
    }
  }
}
