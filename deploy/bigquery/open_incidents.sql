-- open_incidents: what an analyst has before him. One row per incident with at
-- least one open finding (a finding without company is an incident of its own),
-- the most urgent first. Verdict, action and summary are those of the member
-- with the highest score.
SELECT
  COALESCE(incident, CONCAT('finding ', finding_id)) AS incident,
  MIN(priority) AS priority,
  MAX_BY(verdict, score) AS verdict,
  MAX(score) AS score,
  MAX_BY(next_action, score) AS next_action,
  MAX(workload) AS workload,
  MAX(exposure) AS exposure,
  COUNT(*) AS open_findings,
  STRING_AGG(DISTINCT category, ', ' ORDER BY category) AS categories,
  MIN(event_time) AS first_event,
  MAX(event_time) AS last_event,
  TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), MIN(event_time), MINUTE) AS open_minutes,
  MAX_BY(summary, score) AS summary
FROM `${enriched}`
WHERE is_open AND mark_schema IS NOT NULL
GROUP BY COALESCE(incident, CONCAT('finding ', finding_id))
ORDER BY priority, score DESC, last_event DESC
