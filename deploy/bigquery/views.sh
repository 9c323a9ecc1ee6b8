#!/usr/bin/env bash
# Makes or replaces the views: deploy/bigquery/views.sh PROJECT DATASET [--apply]
#
# Without --apply it prints each view's query with the tables filled in. With it
# BigQuery is first asked whether it takes the query, then the view is made.
# FINDINGS names the table of Security Command Center's export where it is in
# another dataset (project.dataset.findings).
set -euo pipefail
project="${1:?project}" dataset="${2:?dataset}" apply="${3:-}"
[[ "$project" =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] || { echo "views.sh: \"$project\" is no project ID" >&2 && exit 2; }
[[ "$dataset" =~ ^[A-Za-z0-9_]+$ ]] || { echo "views.sh: \"$dataset\" is no dataset" >&2 && exit 2; }
findings="${FINDINGS:-$project.$dataset.findings}"
cd "$(dirname "$0")"

# In the order in which they build on each other.
for view in enriched enrichments open_incidents analyst_workload coverage_gaps time_to_enrich top_workloads; do
  query="$(<"$view.sql")"
  # shellcheck disable=SC2016 # these are the placeholders of the files
  query="${query//'${findings}'/$findings}"
  # shellcheck disable=SC2016
  query="${query//'${records}'/$project.$dataset.records}"
  # shellcheck disable=SC2016
  query="${query//'${enriched}'/$project.$dataset.enriched}"
  # shellcheck disable=SC2016
  query="${query//'${enrichments}'/$project.$dataset.enrichments}"
  if [ "$apply" != --apply ]; then
    printf '%s\n\n' "-- $project.$dataset.$view" "$query"
    continue
  fi
  # On standard input: a query that begins with a comment looks like a flag.
  bq --project_id="$project" query --use_legacy_sql=false --dry_run <<<"$query"
  bq --project_id="$project" mk --force --use_legacy_sql=false --view="$query" "$project:$dataset.$view"
done
