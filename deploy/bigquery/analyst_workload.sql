-- analyst_workload: per day of the event and priority, how many findings came,
-- how many incidents they were, how many want a person and how many of those
-- are still open. A finding without marks wants a person, too. "spared" are
-- findings that need no reading of their own: they were explained, or came as
-- further members of an incident.
SELECT
  DATE(event_time) AS day,
  COALESCE(priority, 'none') AS priority,
  COUNT(*) AS findings,
  COUNT(DISTINCT COALESCE(incident, finding_id)) AS incidents,
  COUNTIF(COALESCE(next_action, 'investigate') IN ('contain_now', 'investigate', 'verify_with_owner')) AS want_a_person,
  COUNTIF(is_open AND COALESCE(next_action, 'investigate') IN ('contain_now', 'investigate', 'verify_with_owner')) AS still_open,
  COUNTIF(next_action = 'close_as_expected') AS explained,
  COUNT(*) - COUNT(DISTINCT CASE WHEN COALESCE(next_action, '') <> 'close_as_expected' THEN COALESCE(incident, finding_id) END) AS spared
FROM `${enriched}`
WHERE event_time >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 90 DAY)
GROUP BY DATE(event_time), COALESCE(priority, 'none')
ORDER BY day DESC, priority
