variable "project_id" {
  description = "Project that runs the enricher. Keep it apart from the workloads it watches."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project ID: 6 to 30 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  description = "Region of the service, its job, its queue and its schedule."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a Google Cloud region such as europe-west1."
  }
}

variable "image" {
  description = "Container image by digest (REGISTRY/IMAGE@sha256:...), so that what was scanned is what runs."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+/.+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must name a digest: REGISTRY/IMAGE@sha256: and 64 hexadecimal digits."
  }
}

variable "scc_parent" {
  description = "Whose findings are enriched: organizations/N, folders/N or projects/P. Use projects/P where Security Command Center is activated for a project only."
  type        = string

  validation {
    condition     = can(regex("^(organizations/[0-9]+|folders/[0-9]+|projects/[a-z0-9][a-z0-9-]{4,29})$", var.scc_parent))
    error_message = "scc_parent must be organizations/N, folders/N or projects/P."
  }
}

variable "scc_location" {
  description = "Security Command Center location of the findings; anything but global is a data residency location and is reached at its regional endpoint. It cannot be changed later."
  type        = string
  default     = "global"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.scc_location))
    error_message = "scc_location must be global or a Security Command Center location such as eu."
  }
}

variable "name" {
  description = "Name of the service and first part of the name of everything else."
  type        = string
  default     = "scc-enricher"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,16}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 18 lower-case letters, digits and hyphens: service account IDs are made of it."
  }
}

variable "labels" {
  description = "Labels of everything that takes labels."
  type        = map(string)
  default     = {}
}

variable "workload_projects" {
  description = "Projects whose Cloud Run configuration and logs may be read; empty: everything under scc_parent."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for p in var.workload_projects : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", p))])
    error_message = "workload_projects must be project IDs."
  }
}

variable "log_views" {
  description = "Log views to read in addition, where a sink moved the logs to another bucket: projects/P/locations/L/buckets/B/views/V."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for v in var.log_views : can(regex("^projects/[^/]+/locations/[^/]+/buckets/[^/]+/views/[^/]+$", v))])
    error_message = "log_views must look like projects/P/locations/L/buckets/B/views/V."
  }
}

variable "finding_filter_extra" {
  description = "Further restriction of the notification filter, joined with AND in parentheses, such as resource.project_display_name = \"prod\". OR binds tighter than AND in this language."
  type        = string
  default     = ""
}

variable "mark_prefix" {
  description = "Prefix of every security mark the service owns. It cannot be changed later without orphaning marks."
  type        = string
  default     = "enrich_"

  validation {
    condition     = can(regex("^[a-z0-9_]{1,100}$", var.mark_prefix))
    error_message = "mark_prefix must be 1 to 100 lower-case letters, digits or _."
  }
}

variable "settings" {
  description = "Further environment variables of the service and the backfill job; only those listed in the validation."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([for k in keys(var.settings) : contains([
      "CORRELATION_WINDOW", "INCIDENT_MAX_SPAN", "SETTLE_DELAY", "LOG_WINDOW_BEFORE", "LOG_WINDOW_AFTER", "POLICY_FILE", "LOG_LEVEL", "LOGGING_ENDPOINT", "RUN_ENDPOINT", "WORKING_TIME_ZONE",
    ], k) || startswith(k, "OTEL_")])
    error_message = "settings may hold CORRELATION_WINDOW, INCIDENT_MAX_SPAN, SETTLE_DELAY, LOG_WINDOW_BEFORE, LOG_WINDOW_AFTER, POLICY_FILE, LOG_LEVEL, LOGGING_ENDPOINT, RUN_ENDPOINT, WORKING_TIME_ZONE and OTEL_*; everything else has a variable of its own."
  }
}

variable "source_timeout_seconds" {
  description = "Deadline of one source (logs, configuration, VirusTotal, related findings)."
  type        = number
  default     = 8

  validation {
    condition     = var.source_timeout_seconds >= 1
    error_message = "source_timeout_seconds must be at least 1."
  }
}

variable "enrich_timeout_seconds" {
  description = "Deadline of one finding, above source_timeout_seconds and below ack_deadline_seconds."
  type        = number
  default     = 20

  validation {
    condition     = var.enrich_timeout_seconds > var.source_timeout_seconds
    error_message = "enrich_timeout_seconds must be above source_timeout_seconds, or no time is left to write."
  }

  validation {
    condition     = var.enrich_timeout_seconds <= 540
    error_message = "enrich_timeout_seconds must be at most 540: the service takes no more and would not start."
  }
}

variable "ack_deadline_seconds" {
  description = "Acknowledgement deadline of the push subscription, which is also how long Pub/Sub waits for the answer. At least 10 s above enrich_timeout_seconds."
  type        = number
  default     = 60

  validation {
    condition     = var.ack_deadline_seconds >= 10 && var.ack_deadline_seconds <= 600
    error_message = "ack_deadline_seconds must be 10 to 600, the bounds of Pub/Sub."
  }

  validation {
    condition     = var.ack_deadline_seconds >= var.enrich_timeout_seconds + 10
    error_message = "ack_deadline_seconds must be at least 10 above enrich_timeout_seconds, or Pub/Sub gives up on answers that are under way."
  }
}

variable "cpu" {
  description = "CPUs of one instance. The service waits for APIs nearly all the time, so one is enough; below one Cloud Run allows no concurrency."
  type        = string
  default     = "1"

  validation {
    condition     = contains(["1", "2", "4"], var.cpu)
    error_message = "cpu must be 1, 2 or 4."
  }
}

variable "memory" {
  description = "Memory of one instance. The second-generation execution environment needs at least 512Mi."
  type        = string
  default     = "512Mi"

  validation {
    condition     = can(regex("^(512Mi|[1-8]Gi)$", var.memory))
    error_message = "memory must be 512Mi or 1Gi to 8Gi."
  }
}

variable "concurrency" {
  description = "Deliveries one instance handles at a time."
  type        = number
  default     = 20

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 200
    error_message = "concurrency must be 1 to 200."
  }
}

variable "min_instances" {
  description = "Instances kept when nothing happens. One keeps the day's VirusTotal count, which lives in memory."
  type        = number
  default     = 1

  validation {
    condition     = var.min_instances >= 0 && var.min_instances <= var.max_instances
    error_message = "min_instances must be between 0 and max_instances."
  }
}

variable "max_instances" {
  description = "Most instances. The budgets below are divided by it, because every instance counts for itself."
  type        = number
  default     = 3

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 50
    error_message = "max_instances must be 1 to 50."
  }
}

variable "ingress" {
  description = "Who reaches the service on the network. Pub/Sub and Cloud Tasks of the same project count as internal."
  type        = string
  default     = "INGRESS_TRAFFIC_INTERNAL_ONLY"

  validation {
    condition     = contains(["INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "INGRESS_TRAFFIC_ALL"], var.ingress)
    error_message = "ingress must be INGRESS_TRAFFIC_INTERNAL_ONLY, INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or INGRESS_TRAFFIC_ALL."
  }
}

variable "virustotal_secret_version" {
  description = "Version of the VirusTotal key's secret, such as 1; empty: VirusTotal is disabled. Add the version by hand first, so that the key is never in the state."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([1-9][0-9]*)?$", var.virustotal_secret_version))
    error_message = "virustotal_secret_version must be a version number or empty; latest is refused, because a new key must be a new revision."
  }
}

variable "virustotal_lookups" {
  description = "What VirusTotal is asked about: files (by hash), or files,indicators: also public addresses, domains and URLs of the findings, which VirusTotal then learns."
  type        = string
  default     = "files"

  validation {
    condition     = contains(["files", "files,indicators"], var.virustotal_lookups)
    error_message = "virustotal_lookups must be files or files,indicators."
  }
}

variable "virustotal_requests_per_minute" {
  description = "VirusTotal budget of the whole deployment. The default is the public key's."
  type        = number
  default     = 4

  validation {
    condition     = var.virustotal_secret_version == "" || var.virustotal_requests_per_minute >= var.max_instances + 1
    error_message = "virustotal_requests_per_minute must be at least max_instances + 1 where VirusTotal is on: every instance and the backfill job get one share, and a share must be at least 1."
  }
}

variable "virustotal_requests_per_day" {
  description = "VirusTotal budget of the whole deployment in a UTC day."
  type        = number
  default     = 500

  validation {
    condition     = var.virustotal_secret_version == "" || var.virustotal_requests_per_day >= var.max_instances + 1
    error_message = "virustotal_requests_per_day must be at least max_instances + 1 where VirusTotal is on."
  }
}

variable "logging_reads_per_minute" {
  description = "Budget of entries.list of the whole deployment. Google's quota is 60 a project and is not raised."
  type        = number
  default     = 60

  validation {
    condition     = var.logging_reads_per_minute >= var.max_instances + 1 && var.logging_reads_per_minute <= 60
    error_message = "logging_reads_per_minute must be between max_instances + 1 and 60."
  }
}

variable "scc_reads_per_minute" {
  description = "Security Command Center reads of the whole deployment."
  type        = number
  default     = 1000

  validation {
    condition     = var.scc_reads_per_minute >= var.max_instances + 1
    error_message = "scc_reads_per_minute must be at least max_instances + 1."
  }
}

variable "scc_writes_per_minute" {
  description = "Security Command Center writes of the whole deployment."
  type        = number
  default     = 1000

  validation {
    condition     = var.scc_writes_per_minute >= var.max_instances + 1
    error_message = "scc_writes_per_minute must be at least max_instances + 1."
  }
}

variable "max_delivery_attempts" {
  description = "Deliveries of one finding before Pub/Sub puts it on the dead-letter topic, 5 to 100."
  type        = number
  default     = 100

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 100
    error_message = "max_delivery_attempts must be 5 to 100, the bounds of Pub/Sub."
  }
}

variable "followups" {
  description = "Cloud Tasks queue of the follow-ups; without it they run inside the instance and are lost with it."
  type = object({
    enabled    = optional(bool, true)
    per_second = optional(number, 5)
    concurrent = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.followups.per_second > 0 && var.followups.per_second <= 500 && var.followups.concurrent >= 1 && var.followups.concurrent <= 5000
    error_message = "followups.per_second must be above 0 and at most 500, followups.concurrent 1 to 5000: the bounds of Cloud Tasks."
  }
}

variable "records" {
  description = "BigQuery table of the full records. location defaults to region."
  type = object({
    enabled             = optional(bool, true)
    location            = optional(string)
    retention_days      = optional(number, 400)
    deletion_protection = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.records.retention_days >= 1
    error_message = "records.retention_days must be at least 1."
  }
}

variable "backfill" {
  description = "Scheduled job that enriches what notifications missed. since must reach back further than the schedule's gaps."
  type = object({
    enabled   = optional(bool, true)
    schedule  = optional(string, "17 * * * *")
    time_zone = optional(string, "Etc/UTC")
    since     = optional(string, "2h")
  })
  default = {}

  validation {
    condition     = can(regex("^[0-9]+[mh]$", var.backfill.since))
    error_message = "backfill.since must be minutes or hours, such as 90m or 2h."
  }

  validation {
    condition     = length(split(" ", var.backfill.schedule)) == 5
    error_message = "backfill.schedule must be a cron expression of five fields."
  }
}

variable "notification_channels" {
  description = "Cloud Monitoring channels that alerts go to: projects/P/notificationChannels/N. Empty: alerts show in the console only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", c))])
    error_message = "notification_channels must look like projects/P/notificationChannels/N."
  }
}

variable "alert_thresholds" {
  description = "When alerts open; see alerts.tf for each."
  type = object({
    no_success_minutes  = optional(number, 30)
    backlog_age_seconds = optional(number, 600)
    budget_exhausted    = optional(number, 10)
    error_ratio         = optional(number, 0.1)
    partial_ratio       = optional(number, 0.3)
    ratio_minimum       = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.alert_thresholds.no_success_minutes >= 5 && var.alert_thresholds.backlog_age_seconds >= 60
    error_message = "alert_thresholds.no_success_minutes must be at least 5 and backlog_age_seconds at least 60: Pub/Sub's metrics lag by minutes."
  }

  validation {
    condition     = alltrue([for r in [var.alert_thresholds.error_ratio, var.alert_thresholds.partial_ratio] : r > 0 && r < 1])
    error_message = "alert_thresholds.error_ratio and partial_ratio must be between 0 and 1."
  }
}

variable "playbook_base_url" {
  description = "Where the playbooks are that alerts link to."
  type        = string
  default     = "https://github.com/scc-enricher/scc-enricher/blob/main/docs/playbooks"

  validation {
    condition     = can(regex("^https://.+[^/]$", var.playbook_base_url))
    error_message = "playbook_base_url must begin with https:// and not end with /."
  }
}

variable "deletion_protection" {
  description = "Whether the Cloud Run service and job are protected from destroy."
  type        = bool
  default     = true
}
