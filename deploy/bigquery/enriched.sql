-- enriched: one row per Cloud Run threat finding as it is now, with
-- our marks as columns. The other views of the export read this one.
--
-- Reads Security Command Center's own streaming export (table "findings"),
-- which adds a row for every change of a finding. A change of marks keeps the
-- finding's event_time, so that among rows of the same event the one with our
-- youngest mark "time" is the newest, then the one muted last.
-- Keys of marks are compared without regard to case, as the product does.
WITH rows_of_export AS (
  SELECT
    source_id,
    finding_id,
    event_time,
    finding.canonical_name AS canonical_name,
    finding.category AS category,
    finding.severity AS severity,
    finding.state AS state,
    finding.mute AS mute,
    finding.parent_display_name AS detector,
    finding.resource_name AS resource_name,
    resource.project_display_name AS project,
    finding.mute_update_time AS mute_update_time,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_time') AS marked_at,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_schema') AS mark_schema,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_status') AS status,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_sources') AS sources,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_verdict') AS verdict,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_score') AS score,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_priority') AS priority,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_next_action') AS next_action,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_summary') AS summary,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_workload') AS workload,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_exposure') AS exposure,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_behaviors') AS behaviors,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_techniques') AS techniques,
    (SELECT MAX(m.value) FROM UNNEST(finding.security_marks) AS m WHERE LOWER(m.key) = 'enrich_incident') AS incident
  FROM `${findings}`
  WHERE finding.finding_class = 'THREAT'
    AND STRPOS(finding.resource_name, '//run.googleapis.com/') = 1
),
numbered AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY source_id, finding_id
      ORDER BY event_time DESC, marked_at DESC, mute_update_time DESC
    ) AS nth
  FROM rows_of_export
)
SELECT
  source_id, finding_id, event_time, canonical_name, category, severity, state, mute, detector, resource_name, project,
  SAFE_CAST(marked_at AS TIMESTAMP) AS marked_at,
  mark_schema, status, sources, verdict, SAFE_CAST(score AS INT64) AS score, priority, next_action, summary,
  workload, exposure, behaviors, techniques, incident,
  state = 'ACTIVE' AND COALESCE(mute, 'UNMUTED') <> 'MUTED' AS is_open
FROM numbered
WHERE nth = 1
