-- coverage_gaps: what was not looked at. "not_enriched" are open findings of
-- the export that carry no mark of ours; "stale" are those whose marks are
-- older than their event; "source" are sources of the last 7 days' youngest
-- records that gave no answer, by state. Nothing may be concluded where a gap is.
WITH latest AS (
  SELECT
    event_time,
    sources,
    ROW_NUMBER() OVER (PARTITION BY canonical_name ORDER BY event_time DESC, enriched_at DESC) AS nth
  FROM `${enrichments}`
  WHERE enriched_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)
),
answers AS (
  SELECT latest.event_time, JSON_VALUE(s, '$.name') AS name, JSON_VALUE(s, '$.state') AS state
  FROM latest, UNNEST(latest.sources) AS s
  WHERE latest.nth = 1
),
gaps AS (
  SELECT 'not_enriched' AS gap, category AS what, COALESCE(detector, 'unknown') AS detail, event_time
  FROM `${enriched}`
  WHERE is_open AND mark_schema IS NULL
  UNION ALL
  SELECT 'stale' AS gap, category AS what, COALESCE(detector, 'unknown') AS detail, event_time
  FROM `${enriched}`
  WHERE is_open AND marked_at < event_time
  UNION ALL
  SELECT 'source' AS gap, name AS what, state AS detail, event_time
  FROM answers
  WHERE state NOT IN ('ok', 'empty', 'disabled', 'not_applicable')
)
SELECT
  gap,
  what,
  detail,
  COUNT(*) AS findings,
  MIN(event_time) AS oldest_event,
  MAX(event_time) AS newest_event
FROM gaps
GROUP BY gap, what, detail
ORDER BY findings DESC, gap, what, detail
