output "service_name" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.enricher.name
}

output "service_url" {
  description = "URL that Pub/Sub and Cloud Tasks call, and the audience of their tokens."
  value       = local.service_url
}

output "service_account" {
  description = "Account the service runs as; grant it log views of other projects here."
  value       = google_service_account.enricher.email
}

output "caller_service_account" {
  description = "Account whose token Pub/Sub and Cloud Tasks present."
  value       = google_service_account.caller.email
}

output "finding_filter" {
  description = "Filter of the notification config, for trying it in the console's findings query."
  value       = local.finding_filter
}

output "notification_config" {
  description = "Full name of the notification config."
  value = one(concat(
    google_scc_v2_organization_notification_config.this[*].name,
    google_scc_v2_folder_notification_config.this[*].name,
    google_scc_v2_project_notification_config.this[*].name,
  ))
}

output "notification_publisher" {
  description = "Account that Security Command Center publishes as; it grants itself the right to publish on findings_topic."
  value = one(concat(
    google_scc_v2_organization_notification_config.this[*].service_account,
    google_scc_v2_folder_notification_config.this[*].service_account,
    google_scc_v2_project_notification_config.this[*].service_account,
  ))
}

output "findings_topic" {
  description = "Topic that findings come in on; publish a dead letter's data here to replay it."
  value       = google_pubsub_topic.findings.id
}

output "push_subscription" {
  description = "Subscription that pushes findings to the service."
  value       = google_pubsub_subscription.push.id
}

output "dead_letter_subscription" {
  description = "Subscription that keeps findings that were given up."
  value       = google_pubsub_subscription.dead_letters.id
}

output "record_topic" {
  description = "Topic of the full records; subscribe your SIEM to it."
  value       = google_pubsub_topic.records.id
}

output "records_table" {
  description = "BigQuery table of the records, PROJECT.DATASET.TABLE; null without records.enabled."
  value       = var.records.enabled ? "${var.project_id}.${google_bigquery_table.records[0].dataset_id}.${google_bigquery_table.records[0].table_id}" : null
}

output "virustotal_secret" {
  description = "Secret to add the VirusTotal key to; then set virustotal_secret_version."
  value       = google_secret_manager_secret.virustotal.id
}

output "backfill_job" {
  description = "Name of the backfill job; null without backfill.enabled."
  value       = one(google_cloud_run_v2_job.backfill[*].name)
}

output "alert_policies" {
  description = "Alert policies by the name of their playbook."
  value       = { for k, p in google_monitoring_alert_policy.this : k => p.name }
}
