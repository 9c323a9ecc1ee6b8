-- enrichments: one row per published record with the columns that the views of
-- the record table need. The table is the one a BigQuery subscription with
-- metadata writes (docs/record.schema.json is the schema of "data"). Delivery is
-- at least once: copies share a message_id.
--
-- Times of a record may have nine digits after the point, BigQuery reads six.
WITH numbered AS (
  SELECT
    message_id,
    publish_time,
    data,
    ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY publish_time) AS copy
  FROM `${records}`
)
SELECT
  message_id,
  publish_time,
  SAFE_CAST(REGEXP_REPLACE(JSON_VALUE(data, '$.time'), '([.][0-9]{6})[0-9]+', '\\1') AS TIMESTAMP) AS enriched_at,
  JSON_VALUE(data, '$.status') AS status,
  JSON_VALUE(data, '$.finding.canonical_name') AS canonical_name,
  JSON_VALUE(data, '$.finding.category') AS category,
  JSON_VALUE(data, '$.finding.severity') AS severity,
  SAFE_CAST(REGEXP_REPLACE(JSON_VALUE(data, '$.finding.event_time'), '([.][0-9]{6})[0-9]+', '\\1') AS TIMESTAMP) AS event_time,
  SAFE_CAST(REGEXP_REPLACE(JSON_VALUE(data, '$.finding.create_time'), '([.][0-9]{6})[0-9]+', '\\1') AS TIMESTAMP) AS create_time,
  JSON_VALUE(data, '$.workload.key') AS workload,
  JSON_VALUE(data, '$.workload.project') AS project,
  JSON_VALUE(data, '$.incident.id') AS incident,
  JSON_VALUE(data, '$.assessment.verdict') AS verdict,
  SAFE_CAST(JSON_VALUE(data, '$.assessment.score') AS INT64) AS score,
  JSON_VALUE(data, '$.assessment.priority') AS priority,
  JSON_VALUE(data, '$.assessment.next_action') AS next_action,
  JSON_VALUE(data, '$.assessment.exposure') AS exposure,
  JSON_QUERY_ARRAY(data, '$.sources') AS sources
FROM numbered
WHERE copy = 1
