-- top_workloads: the workloads of the last 30 days by what was found on them,
-- the worst first, from the youngest record of each finding.
WITH latest AS (
  SELECT
    workload, project, category, event_time, incident, verdict, score, exposure,
    ROW_NUMBER() OVER (PARTITION BY canonical_name ORDER BY event_time DESC, enriched_at DESC) AS nth
  FROM `${enrichments}`
  WHERE enriched_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 DAY)
)
SELECT
  workload,
  MAX(project) AS project,
  COUNT(*) AS findings,
  COUNT(DISTINCT incident) AS incidents,
  COUNTIF(verdict IN ('malicious', 'likely_malicious')) AS bad_findings,
  MAX(score) AS worst_score,
  MAX_BY(verdict, score) AS worst_verdict,
  MAX_BY(exposure, event_time) AS exposure,
  STRING_AGG(DISTINCT category, ', ' ORDER BY category) AS categories,
  MAX(event_time) AS last_event
FROM latest
WHERE nth = 1 AND workload IS NOT NULL
GROUP BY workload
ORDER BY bad_findings DESC, worst_score DESC, findings DESC, workload
