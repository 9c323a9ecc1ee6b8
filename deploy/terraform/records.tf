# The full records: a topic for whoever wants them, and a BigQuery table.

resource "google_pubsub_topic" "records" {
  project = var.project_id
  name    = "${var.name}-records"
  labels  = var.labels

  depends_on = [google_project_service.this]
}

resource "google_bigquery_dataset" "records" {
  count = var.records.enabled ? 1 : 0

  project     = var.project_id
  dataset_id  = replace(var.name, "-", "_")
  location    = coalesce(var.records.location, var.region)
  description = "Records of the SCC enricher; see docs/record.schema.json."
  labels      = var.labels

  depends_on = [google_project_service.this]
}

# The columns are those that Pub/Sub writes; the record is one JSON column. A
# record may gain fields without a migration, and no field that BigQuery would
# refuse can hold up the subscription. deploy/bigquery has the views over it.
resource "google_bigquery_table" "records" {
  count = var.records.enabled ? 1 : 0

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.records[0].dataset_id
  table_id            = "records"
  description         = "One row for each record that was published, at least once."
  deletion_protection = var.records.deletion_protection
  labels              = var.labels

  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "NULLABLE", description = "The subscription that wrote the row." },
    { name = "message_id", type = "STRING", mode = "NULLABLE", description = "Pub/Sub's id of the message: rows of one id are copies." },
    { name = "publish_time", type = "TIMESTAMP", mode = "NULLABLE", description = "When the record was published." },
    { name = "data", type = "JSON", mode = "NULLABLE", description = "The record: docs/record.schema.json." },
    { name = "attributes", type = "JSON", mode = "NULLABLE", description = "The message's attributes." },
  ])

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = var.records.retention_days * 24 * 60 * 60 * 1000
  }
}

resource "google_pubsub_subscription" "records" {
  count = var.records.enabled ? 1 : 0

  project = var.project_id
  name    = "${var.name}-records"
  topic   = google_pubsub_topic.records.id
  labels  = var.labels

  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  bigquery_config {
    table          = "${var.project_id}.${google_bigquery_table.records[0].dataset_id}.${google_bigquery_table.records[0].table_id}"
    write_metadata = true
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.record_dead_letters[0].id
    max_delivery_attempts = 100
  }

  # Pub/Sub refuses a subscription whose table it may not write.
  depends_on = [google_bigquery_table_iam_member.records_agent]
}

# Apart from the findings' dead letters: those are replayed to the findings
# topic, a record must not be.
resource "google_pubsub_topic" "record_dead_letters" {
  count = var.records.enabled ? 1 : 0

  project = var.project_id
  name    = "${var.name}-record-dead-letters"
  labels  = var.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "record_dead_letters" {
  count = var.records.enabled ? 1 : 0

  project = var.project_id
  name    = "${var.name}-record-dead-letters"
  topic   = google_pubsub_topic.record_dead_letters[0].id
  labels  = var.labels

  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}
