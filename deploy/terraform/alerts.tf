# When to wake somebody, and the page to open then. Queries are PromQL over
# Google's own metrics and over the service's one log line a delivery, so that
# no sidecar is needed. Metric names are not validated when a policy is made:
# a metric that has never had a value does not exist yet.

locals {
  delivery_lines = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${var.name}\"",
    "jsonPayload.message=\"delivery\"",
  ])

  # A source in one of these states did not give its answer.
  unanswered = "\"^(partial|quota|denied|timeout|error)$\""

  # Metric names may not hold a hyphen in PromQL.
  metric_prefix = replace(var.name, "-", "_")

  log_metrics = {
    written = {
      description = "Deliveries whose marks were written."
      filter      = "${local.delivery_lines} AND jsonPayload.reason=\"written\""
    }
    partial = {
      description = "Deliveries whose marks were written although a source gave no answer."
      filter = join("", [
        "${local.delivery_lines} AND jsonPayload.reason=\"written\" AND (",
        join(" OR ", [for s in ["findings", "logs", "config", "virustotal"] : "jsonPayload.source_${s}=~${local.unanswered}"]),
        ")",
      ])
    }
    budget_exhausted = {
      description = "Deliveries for which a budget was used up."
      filter = join("", [
        "${local.delivery_lines} AND (jsonPayload.reason=\"write_quota\" OR ",
        join(" OR ", [for s in ["findings", "logs", "config", "virustotal"] : "jsonPayload.source_${s}=\"quota\""]),
        ")",
      ])
    }
  }

  pushes       = "pubsub_googleapis_com:subscription_push_request_count{monitored_resource=\"pubsub_subscription\",subscription_id=\"${var.name}-push\""
  requests     = "run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}\""
  subscription = "{monitored_resource=\"pubsub_subscription\",subscription_id=\"${var.name}"
  log_metric   = "logging_googleapis_com:user_${local.metric_prefix}"

  t = var.alert_thresholds

  # The key is the playbook's name, with dashes.
  alerts = {
    no_success = {
      title    = "findings arrive, none is enriched"
      severity = "CRITICAL"
      duration = "0s"
      # Pushes that are answered with success count, echoes included: they show
      # that the service works.
      query = "sum(increase(${local.pushes}}[${local.t.no_success_minutes}m])) > 0 unless sum(increase(${local.pushes},response_class=\"ack\"}[${local.t.no_success_minutes}m])) > 0"
    }
    dead_letters = {
      title    = "dead letters wait"
      severity = "ERROR"
      duration = "0s"
      # The number that waits, not the number that came: the alert stays open
      # until somebody has looked.
      query = "max(max_over_time(pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${var.name}-(record-)?dead-letters\"}[10m])) > 0"
    }
    backlog_age = {
      title    = "the oldest finding waits too long"
      severity = "ERROR"
      duration = "300s"
      query    = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age${local.subscription}-push\"}) > ${local.t.backlog_age_seconds}"
    }
    budget_exhausted = {
      title    = "a budget is used up"
      severity = "WARNING"
      duration = "0s"
      query    = "sum(increase(${local.log_metric}_budget_exhausted{monitored_resource=\"cloud_run_revision\"}[30m])) > ${local.t.budget_exhausted}"
    }
    error_ratio = {
      title    = "too many deliveries are refused"
      severity = "ERROR"
      duration = "300s"
      query    = "sum(increase(${local.requests},response_code_class=~\"4xx|5xx\"}[15m])) / sum(increase(${local.requests}}[15m])) > ${local.t.error_ratio} and sum(increase(${local.requests}}[15m])) >= ${local.t.ratio_minimum}"
    }
    partial_ratio = {
      title    = "too many enrichments are partial"
      severity = "WARNING"
      duration = "300s"
      query    = "sum(increase(${local.log_metric}_partial{monitored_resource=\"cloud_run_revision\"}[1h])) / sum(increase(${local.log_metric}_written{monitored_resource=\"cloud_run_revision\"}[1h])) > ${local.t.partial_ratio} and sum(increase(${local.log_metric}_written{monitored_resource=\"cloud_run_revision\"}[1h])) >= ${local.t.ratio_minimum}"
    }
  }
}

resource "google_logging_metric" "deliveries" {
  for_each = local.log_metrics

  project     = var.project_id
  name        = "${local.metric_prefix}_${each.key}"
  description = each.value.description
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title
    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: ${each.value.title}"
    content   = "What it means and what to do: ${var.playbook_base_url}/${replace(each.key, "_", "-")}.md"
    links {
      display_name = "Playbook"
      url          = "${var.playbook_base_url}/${replace(each.key, "_", "-")}.md"
    }
  }

  depends_on = [google_project_service.this, google_logging_metric.deliveries]
}
