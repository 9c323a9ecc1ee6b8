-- time_to_enrich: per day and category of the last 30 days, how long a finding
-- waited for its first answer and for a complete one, in seconds from the
-- event. Security Command Center's own delay is in it; "wait_for_finding" says
-- how much that was at the median (event to creation of the finding).
WITH per_event AS (
  SELECT
    canonical_name,
    event_time,
    category,
    MIN(create_time) AS created,
    MIN(enriched_at) AS first_answer,
    MIN(IF(status = 'complete', enriched_at, NULL)) AS complete_answer
  FROM `${enrichments}`
  WHERE event_time >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 DAY)
  GROUP BY canonical_name, event_time, category
),
waits AS (
  SELECT
    DATE(event_time) AS day,
    category,
    TIMESTAMP_DIFF(first_answer, event_time, MILLISECOND) / 1000 AS first_seconds,
    TIMESTAMP_DIFF(complete_answer, event_time, MILLISECOND) / 1000 AS complete_seconds,
    TIMESTAMP_DIFF(created, event_time, MILLISECOND) / 1000 AS created_seconds
  FROM per_event
)
SELECT
  day,
  category,
  COUNT(*) AS events,
  APPROX_QUANTILES(first_seconds, 100)[OFFSET(50)] AS first_p50,
  APPROX_QUANTILES(first_seconds, 100)[OFFSET(95)] AS first_p95,
  APPROX_QUANTILES(complete_seconds, 100)[OFFSET(50)] AS complete_p50,
  APPROX_QUANTILES(complete_seconds, 100)[OFFSET(95)] AS complete_p95,
  APPROX_QUANTILES(created_seconds, 100)[OFFSET(50)] AS wait_for_finding_p50,
  COUNTIF(complete_seconds IS NULL) AS still_partial
FROM waits
GROUP BY day, category
ORDER BY day DESC, events DESC, category
