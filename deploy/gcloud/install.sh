#!/usr/bin/env bash
# Installs scc-enricher with nothing but gcloud (and bq): the same resources and
# names as deploy/terraform. Run it again at any time: what is there is updated,
# nothing is made twice, nothing is deleted.
#
# By default it only prints the commands. --apply runs them.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: deploy/gcloud/install.sh --project P --region R --image IMAGE@sha256:DIGEST --scope SCOPE [options]

  --project P              project that runs the enricher
  --region R               region of the service, such as europe-west1
  --image I                container image by digest
  --scope S                whose findings: organizations/N, folders/N or projects/P
  --apply                  run the commands instead of printing them

  --name N                 name of the service, first part of all names (scc-enricher)
  --location L             Security Command Center location (global); it cannot be changed later
  --project-number N       number of P; asked of Google with --apply, a blank otherwise
  --max-instances N        most instances (3); budgets are divided by it
  --min-instances N        instances kept when nothing happens (1)
  --ingress I              internal (default), internal-and-cloud-load-balancing or all
  --virustotal-version V   version of the secret with the VirusTotal key; without it VirusTotal is disabled
  --virustotal-lookups L   what VirusTotal is asked about: files (default) or files,indicators
  --without-followups      no Cloud Tasks queue: follow-ups run in the instance
  --without-records        no BigQuery table of the records
  --without-backfill       no scheduled backfill job
  --without-alerts         no log-based metrics and alert policies
  --notification-channels C
                           whom alerts tell: projects/P/notificationChannels/N, comma-separated
TEXT
}

project="" region="" image="" scope="" name="scc-enricher" location="global" number=""
max_instances=3 min_instances=1 ingress="internal" vt_version="" vt_lookups="files"
apply=false followups=true records=true backfill=true alerts=true channels=""
while [ $# -gt 0 ]; do
  flag="$1"
  value=""
  case "$flag" in
    --apply | --without-* | -h | --help) ;;
    --*=*) value="${flag#*=}" flag="${flag%%=*}" ;;
    *) value="${2:-}" && shift ;;
  esac
  case "$flag" in
    --project) project="$value" ;;
    --region) region="$value" ;;
    --image) image="$value" ;;
    --scope) scope="$value" ;;
    --name) name="$value" ;;
    --location) location="$value" ;;
    --project-number) number="$value" ;;
    --max-instances) max_instances="$value" ;;
    --min-instances) min_instances="$value" ;;
    --ingress) ingress="$value" ;;
    --virustotal-version) vt_version="$value" ;;
    --notification-channels) channels="$value" ;;
    --virustotal-lookups) vt_lookups="$value" ;;
    --apply) apply=true ;;
    --without-followups) followups=false ;;
    --without-records) records=false ;;
    --without-backfill) backfill=false ;;
    --without-alerts) alerts=false ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && echo "unknown option $flag" >&2 && exit 2 ;;
  esac
  shift || true
done

# All faults at once, before anything is done.
faults=()
need() { [[ "$2" =~ $3 ]] || faults+=("$1: \"$2\" is not $4"); }
need --project "$project" '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' "a project ID"
need --region "$region" '^[a-z]+-[a-z]+[0-9]+$' "a region such as europe-west1"
need --image "$image" '^[a-z0-9.-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$' "an image by digest: REGISTRY/IMAGE@sha256: and 64 hexadecimal digits"
need --scope "$scope" '^(organizations/[0-9]+|folders/[0-9]+|projects/[a-z][a-z0-9-]{4,28}[a-z0-9])$' "organizations/N, folders/N or projects/P"
need --name "$name" '^[a-z][a-z0-9-]{4,16}[a-z0-9]$' "6 to 18 lower-case letters, digits and hyphens"
need --location "$location" '^[a-z][a-z0-9-]*$' "a Security Command Center location"
need --project-number "$number" '^[0-9]*$' "a number"
need --max-instances "$max_instances" '^([1-9]|[1-4][0-9]|50)$' "1 to 50"
need --min-instances "$min_instances" '^[0-9]+$' "a number"
need --ingress "$ingress" '^(internal|internal-and-cloud-load-balancing|all)$' "internal, internal-and-cloud-load-balancing or all"
if [[ "$min_instances" =~ ^[0-9]{1,3}$ && "$max_instances" =~ ^[0-9]{1,3}$ ]] && [ "$min_instances" -gt "$max_instances" ]; then
  faults+=("--min-instances: $min_instances is more than --max-instances $max_instances")
fi
need --notification-channels "$channels" '^(projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/notificationChannels/[0-9]+(,|$))*$' "projects/P/notificationChannels/N, comma-separated"
need --virustotal-lookups "$vt_lookups" '^files(,indicators)?$' "files or files,indicators"
need --virustotal-version "$vt_version" '^([1-9][0-9]*)?$' "a version number; latest is refused, because a new key must be a new revision"
if [ -n "$vt_version" ] && [[ "$max_instances" =~ ^[0-9]+$ ]] && [ "$max_instances" -gt 3 ]; then
  faults+=("--max-instances: a public VirusTotal key's 4 requests a minute are enough for 3 instances and the backfill job")
fi
if [ ${#faults[@]} -gt 0 ]; then
  printf 'install.sh: %s\n' "${faults[@]}" >&2
  exit 2
fi

export CLOUDSDK_CORE_DISABLE_PROMPTS=1

quoted() {
  local word out=""
  for word in "$@"; do
    case "$word" in
      *[!A-Za-z0-9_./:=@,+-]* | "") out+=" '${word//\'/\'\\\'\'}'" ;;
      *) out+=" $word" ;;
    esac
  done
  printf '%s' "${out# }"
}

step() { printf '\n## %s\n' "$*"; }

# run COMMAND...: a command that may be repeated as it is.
run() {
  quoted "$@"
  echo
  if $apply; then "$@" >/dev/null; fi
}

# ensure CHECK... -- CREATE... [-- UPDATE...]: creates what the check does not
# find, and updates what it finds.
ensure() {
  local -a check=() create=() update=()
  local part=check word
  for word in "$@"; do
    if [ "$word" = -- ]; then
      if [ $part = check ]; then part=create; else part=update; fi
      continue
    fi
    case $part in
      check) check+=("$word") ;;
      create) create+=("$word") ;;
      update) update+=("$word") ;;
    esac
  done
  if ! $apply; then
    echo "# unless: $(quoted "${check[@]}")"
    quoted "${create[@]}"
    echo
    if [ ${#update[@]} -gt 0 ]; then echo "# or else: $(quoted "${update[@]}")"; fi
    return
  fi
  local answer
  if answer="$("${check[@]}" 2>&1)"; then
    if [ ${#update[@]} -gt 0 ]; then run "${update[@]}"; fi
  elif [[ "$answer" =~ NOT_FOUND|[Nn]ot\ found|[Cc]annot\ find|does\ not\ exist|404 ]]; then
    run "${create[@]}"
  else
    # Denied, or no answer: that is no reason to create anything.
    printf '%s\n' "$answer" >&2
    echo "install.sh: cannot tell whether it is there: $(quoted "${check[@]}")" >&2
    exit 1
  fi
}

# retry COMMAND...: a new account is not known everywhere at once.
retry() {
  local i
  if ! $apply; then run "$@" && return; fi
  for i in 1 2 3 4 5; do
    if run "$@"; then return; fi
    echo "# not yet, attempt $i" && sleep 10
  done
  run "$@"
}

if $apply && [ -z "$number" ]; then
  number="$(gcloud projects describe "$project" --format='value(projectNumber)')"
elif [ -z "$number" ]; then
  echo "# PROJECT_NUMBER is the answer of: gcloud projects describe $project --format='value(projectNumber)'"
  number=PROJECT_NUMBER
fi

kind="${scope%%/*}" id="${scope#*/}"
p="--project=$project"
url="https://$name-$number.$region.run.app"
enricher="$name@$project.iam.gserviceaccount.com"
caller="$name-push@$project.iam.gserviceaccount.com"
scheduler="$name-schedule@$project.iam.gserviceaccount.com"
pubsub_agent="serviceAccount:service-$number@gcp-sa-pubsub.iam.gserviceaccount.com"
# shellcheck disable=SC2016 # quotes are part of the filter's language
filter='resource_name : "//run.googleapis.com/" AND state = "ACTIVE" AND NOT mute = "MUTED"'

step "APIs"
run gcloud services enable bigquery.googleapis.com cloudscheduler.googleapis.com cloudtasks.googleapis.com iam.googleapis.com \
  logging.googleapis.com monitoring.googleapis.com pubsub.googleapis.com run.googleapis.com secretmanager.googleapis.com \
  securitycenter.googleapis.com "$p"
run gcloud beta services identity create --service=pubsub.googleapis.com "$p"

step "service accounts: the enricher; the caller of its endpoint; the starter of the backfill job"
account() {
  ensure gcloud iam service-accounts describe "$1@$project.iam.gserviceaccount.com" "$p" -- \
    gcloud iam service-accounts create "$1" "--display-name=$2" "$p"
}
account "$name" "SCC enricher: reads evidence, writes security marks"
account "$name-push" "SCC enricher: delivers findings and follow-ups"
if $backfill; then account "$name-schedule" "SCC enricher: starts the backfill job"; fi

step "what the enricher may do in $scope: nothing but read, and write security marks"
for role in roles/securitycenter.findingSecurityMarksWriter roles/securitycenter.findingsViewer roles/run.viewer roles/logging.viewer; do
  case "$kind" in
    organizations) retry gcloud organizations add-iam-policy-binding "$id" "--member=serviceAccount:$enricher" "--role=$role" --condition=None ;;
    folders) retry gcloud resource-manager folders add-iam-policy-binding "$id" "--member=serviceAccount:$enricher" "--role=$role" --condition=None ;;
    projects) retry gcloud projects add-iam-policy-binding "$id" "--member=serviceAccount:$enricher" "--role=$role" --condition=None ;;
  esac
done

step "topics"
topic() {
  ensure gcloud pubsub topics describe "$1" "$p" -- gcloud pubsub topics create "$1" "$p" "${@:2}"
}
topic "$name-findings" --message-retention-duration=7d
topic "$name-dead-letters"
topic "$name-records"
for t in dead-letters records; do
  run gcloud pubsub topics add-iam-policy-binding "$name-$t" "--member=serviceAccount:$enricher" --role=roles/pubsub.publisher "$p"
done
run gcloud pubsub topics add-iam-policy-binding "$name-dead-letters" "--member=$pubsub_agent" --role=roles/pubsub.publisher "$p"

# keep NAME TOPIC: a subscription that holds messages until somebody looks.
keep() {
  ensure gcloud pubsub subscriptions describe "$1" "$p" -- \
    gcloud pubsub subscriptions create "$1" "--topic=$2" --ack-deadline=600 --message-retention-duration=31d --expiration-period=never "$p" -- \
    gcloud pubsub subscriptions update "$1" --ack-deadline=600 --message-retention-duration=31d --expiration-period=never "$p"
}
keep "$name-dead-letters" "$name-dead-letters"

step "the VirusTotal key's secret; add the key by hand: read -rs KEY && printf %s \"\$KEY\" | gcloud secrets versions add $name-virustotal-key --data-file=- $p"
ensure gcloud secrets describe "$name-virustotal-key" "$p" -- \
  gcloud secrets create "$name-virustotal-key" --replication-policy=automatic "$p"
run gcloud secrets add-iam-policy-binding "$name-virustotal-key" "--member=serviceAccount:$enricher" --role=roles/secretmanager.secretAccessor "$p"

# Every instance and the backfill job count for themselves, so each gets a share.
shares=$((max_instances + 1))
common=(
  "SCC_PARENT=$scope"
  "ENRICH_TIMEOUT=20s"
  "SOURCE_TIMEOUT=8s"
  "RECORD_TOPIC=projects/$project/topics/$name-records"
  "LOGGING_READS_PER_MINUTE=$((60 / shares))"
  "SCC_READS_PER_MINUTE=$((1000 / shares))"
  "SCC_WRITES_PER_MINUTE=$((1000 / shares))"
)
job=()
if [ "$location" != global ]; then
  common+=("SCC_ENDPOINT=securitycenter.$location.rep.googleapis.com:443")
  job+=("BACKFILL_LOCATION=$location")
fi
# Said in so many words: left out, a run without the version would keep the key
# of an earlier run, and lose its budget.
secrets=(--clear-secrets)
if [ -n "$vt_version" ]; then
  secrets=("--set-secrets=VT_API_KEY=$name-virustotal-key:$vt_version")
  common+=("VT_LOOKUPS=$vt_lookups" "VT_REQUESTS_PER_MINUTE=$((4 / shares))" "VT_REQUESTS_PER_DAY=$((500 / shares))")
fi
service=(
  "GOOGLE_CLOUD_PROJECT=$project"
  "PUSH_AUTH=oidc"
  "PUSH_AUDIENCE=$url"
  "PUSH_SERVICE_ACCOUNT=$caller"
  "DEAD_LETTER_TOPIC=projects/$project/topics/$name-dead-letters"
)

if $followups; then
  step "queue of the follow-ups"
  rates=(--max-dispatches-per-second=5 --max-concurrent-dispatches=10 --max-attempts=20 --min-backoff=5s --max-backoff=300s --max-doublings=6)
  ensure gcloud tasks queues describe "$name-followups" "--location=$region" "$p" -- \
    gcloud tasks queues create "$name-followups" "--location=$region" "${rates[@]}" "$p" -- \
    gcloud tasks queues update "$name-followups" "--location=$region" "${rates[@]}" "$p"
  run gcloud tasks queues add-iam-policy-binding "$name-followups" "--location=$region" "--member=serviceAccount:$enricher" --role=roles/cloudtasks.enqueuer "$p"
  # A task that names an account needs this of whoever creates it.
  run gcloud iam service-accounts add-iam-policy-binding "$caller" "--member=serviceAccount:$enricher" --role=roles/iam.serviceAccountUser "$p"
  service+=(
    "TASKS_QUEUE=projects/$project/locations/$region/queues/$name-followups"
    "TASKS_URL=$url/tasks/followup"
    "TASKS_SERVICE_ACCOUNT=$caller"
  )
fi

# joined NAME=VALUE...: with ^|^ because values hold commas.
joined() {
  local IFS='|'
  printf '^|^%s' "$*"
}

step "the service, for callers with an identity only"
run gcloud run deploy "$name" "--image=$image" --args=serve "--region=$region" "--service-account=$enricher" \
  --no-allow-unauthenticated --invoker-iam-check "--ingress=$ingress" "--set-custom-audiences=$url" \
  --execution-environment=gen2 --cpu=1 --memory=512Mi --no-cpu-throttling --cpu-boost --concurrency=20 \
  "--min-instances=$min_instances" "--max-instances=$max_instances" --timeout=80s --port=8080 \
  --startup-probe=httpGet.path=/readyz,httpGet.port=8080,periodSeconds=1,timeoutSeconds=1,failureThreshold=30 \
  --liveness-probe=httpGet.path=/healthz,httpGet.port=8080,periodSeconds=30,timeoutSeconds=5,failureThreshold=3 \
  "--set-env-vars=$(joined "${common[@]}" "${service[@]}")" "${secrets[@]}" "$p"
run gcloud run services add-iam-policy-binding "$name" "--region=$region" "--member=serviceAccount:$caller" --role=roles/run.invoker "$p"

step "push to the service, with a token; never expiring"
run gcloud iam service-accounts add-iam-policy-binding "$caller" "--member=$pubsub_agent" --role=roles/iam.serviceAccountTokenCreator "$p"
push=(
  "--push-endpoint=$url/push" "--push-auth-service-account=$caller" "--push-auth-token-audience=$url"
  --ack-deadline=60 --min-retry-delay=10s --max-retry-delay=600s --message-retention-duration=7d --expiration-period=never
  "--dead-letter-topic=$name-dead-letters" --max-delivery-attempts=100
)
ensure gcloud pubsub subscriptions describe "$name-push" "$p" -- \
  gcloud pubsub subscriptions create "$name-push" "--topic=$name-findings" "${push[@]}" "$p" -- \
  gcloud pubsub subscriptions update "$name-push" "${push[@]}" "$p"
run gcloud pubsub subscriptions add-iam-policy-binding "$name-push" "--member=$pubsub_agent" --role=roles/pubsub.subscriber "$p"

if $records; then
  dataset="${name//-/_}"
  step "records in BigQuery: $project.$dataset.records"
  ensure bq --project_id="$project" show --dataset "$project:$dataset" -- \
    bq --project_id="$project" mk --dataset --location="$region" --description="Records of the SCC enricher" "$project:$dataset"
  ensure bq --project_id="$project" show "$project:$dataset.records" -- \
    bq --project_id="$project" mk --table --time_partitioning_field=publish_time --time_partitioning_expiration=34560000 \
    "$project:$dataset.records" subscription_name:STRING,message_id:STRING,publish_time:TIMESTAMP,data:JSON,attributes:JSON
  run bq --project_id="$project" add-iam-policy-binding --member="$pubsub_agent" --role=roles/bigquery.dataEditor --table "$project:$dataset.records"
  topic "$name-record-dead-letters"
  keep "$name-record-dead-letters" "$name-record-dead-letters"
  run gcloud pubsub topics add-iam-policy-binding "$name-record-dead-letters" "--member=$pubsub_agent" --role=roles/pubsub.publisher "$p"
  to_table=(
    "--bigquery-table=$project:$dataset.records" --write-metadata
    --ack-deadline=60 --min-retry-delay=10s --max-retry-delay=600s --message-retention-duration=7d --expiration-period=never
    "--dead-letter-topic=$name-record-dead-letters" --max-delivery-attempts=100
  )
  ensure gcloud pubsub subscriptions describe "$name-records" "$p" -- \
    gcloud pubsub subscriptions create "$name-records" "--topic=$name-records" "${to_table[@]}" "$p" -- \
    gcloud pubsub subscriptions update "$name-records" "${to_table[@]}" "$p"
  run gcloud pubsub subscriptions add-iam-policy-binding "$name-records" "--member=$pubsub_agent" --role=roles/pubsub.subscriber "$p"
fi

if $backfill; then
  step "backfill: what notifications missed"
  run gcloud run jobs deploy "$name-backfill" "--image=$image" "--args=backfill,--since,2h" "--region=$region" "--service-account=$enricher" \
    --tasks=1 --parallelism=1 --max-retries=0 --task-timeout=3000s --cpu=1 --memory=512Mi \
    "--set-env-vars=$(joined "${common[@]}" ${job[@]+"${job[@]}"})" "${secrets[@]}" "$p"
  run gcloud run jobs add-iam-policy-binding "$name-backfill" "--region=$region" "--member=serviceAccount:$scheduler" --role=roles/run.invoker "$p"
  start=(
    "--location=$region" "--schedule=17 * * * *" --time-zone=Etc/UTC --http-method=post
    "--uri=https://run.googleapis.com/v2/projects/$project/locations/$region/jobs/$name-backfill:run"
    "--oauth-service-account-email=$scheduler"
  )
  ensure gcloud scheduler jobs describe "$name-backfill" "--location=$region" "$p" -- \
    gcloud scheduler jobs create http "$name-backfill" "${start[@]}" "$p" -- \
    gcloud scheduler jobs update http "$name-backfill" "${start[@]}" "$p"
fi

if $alerts; then
  # The same as deploy/terraform/alerts.tf, with the thresholds' defaults; a test compares them.
  step "log-based metrics: what the service's own log lines count"
  prefix="${name//-/_}"
  lines="resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"$name\" AND jsonPayload.message=\"delivery\""
  # sources OPERATOR: the comparison for each source, joined by OR.
  sources() {
    printf 'jsonPayload.source_findings%s OR jsonPayload.source_logs%s OR jsonPayload.source_config%s OR jsonPayload.source_virustotal%s' "$1" "$1" "$1" "$1"
  }
  metric() {
    ensure gcloud logging metrics describe "${prefix}_$1" "$p" -- \
      gcloud logging metrics create "${prefix}_$1" "--description=$2" "--log-filter=$3" "$p" -- \
      gcloud logging metrics update "${prefix}_$1" "--description=$2" "--log-filter=$3" "$p"
  }
  metric written "Deliveries whose marks were written." "$lines AND jsonPayload.reason=\"written\""
  metric partial "Deliveries whose marks were written although a source gave no answer." \
    "$lines AND jsonPayload.reason=\"written\" AND ($(sources '=~"^(partial|quota|denied|timeout|error)$"'))"
  metric budget_exhausted "Deliveries for which a budget was used up." \
    "$lines AND (jsonPayload.reason=\"write_quota\" OR $(sources '="quota"'))"

  step "alerts; each links to its playbook"
  escaped() {
    local text="${1//\\/\\\\}"
    printf '%s' "${text//\"/\\\"}"
  }
  listed=""
  [ -z "$channels" ] || listed="\"${channels//,/\",\"}\""
  # policy KEY TITLE SEVERITY DURATION QUERY: policies have no name of ours, so
  # they are found by what they are called.
  policy() {
    local found page="https://github.com/scc-enricher/scc-enricher/blob/main/docs/playbooks/${1//_/-}.md" called="$name: $2" json
    local -a list=(gcloud alpha monitoring policies list "--filter=displayName=\"$called\"" "--format=value(name)" "$p")
    json="{\"displayName\":\"$called\",\"combiner\":\"OR\",\"severity\":\"$3\",\"notificationChannels\":[$listed],\"conditions\":[{\"displayName\":\"$2\",\"conditionPrometheusQueryLanguage\":{\"query\":\"$(escaped "$5")\",\"duration\":\"$4\",\"evaluationInterval\":\"60s\",\"disableMetricValidation\":true}}],\"alertStrategy\":{\"autoClose\":\"86400s\"},\"documentation\":{\"mimeType\":\"text/markdown\",\"subject\":\"$called\",\"content\":\"What it means and what to do: $page\",\"links\":[{\"displayName\":\"Playbook\",\"url\":\"$page\"}]}}"
    if ! $apply; then
      echo "# unless one is named by: $(quoted "${list[@]}")"
      run gcloud alpha monitoring policies create "--policy=$json" "$p"
      echo "# or else: $(quoted gcloud alpha monitoring policies update ALERT_POLICY "--policy=$json" "$p")"
      return
    fi
    found="$("${list[@]}")" # denied, or no answer: that ends it
    if [ -z "$found" ]; then
      run gcloud alpha monitoring policies create "--policy=$json" "$p"
    else
      run gcloud alpha monitoring policies update "${found%%$'\n'*}" "--policy=$json" "$p"
    fi
  }
  revision='{monitored_resource="cloud_run_revision"}'
  pushes="pubsub_googleapis_com:subscription_push_request_count{monitored_resource=\"pubsub_subscription\",subscription_id=\"$name-push\""
  requests="run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=\"$name\""
  logged="logging_googleapis_com:user_$prefix"
  policy no_success "findings arrive, none is enriched" CRITICAL 0s \
    "sum(increase($pushes}[30m])) > 0 unless sum(increase($pushes,response_class=\"ack\"}[30m])) > 0"
  policy dead_letters "dead letters wait" ERROR 0s \
    "max(max_over_time(pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"$name-(record-)?dead-letters\"}[10m])) > 0"
  policy backlog_age "the oldest finding waits too long" ERROR 300s \
    "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=\"$name-push\"}) > 600"
  policy budget_exhausted "a budget is used up" WARNING 0s "sum(increase(${logged}_budget_exhausted${revision}[30m])) > 10"
  policy error_ratio "too many deliveries are refused" ERROR 300s \
    "sum(increase($requests,response_code_class=~\"4xx|5xx\"}[15m])) / sum(increase($requests}[15m])) > 0.1 and sum(increase($requests}[15m])) >= 10"
  policy partial_ratio "too many enrichments are partial" WARNING 300s \
    "sum(increase(${logged}_partial${revision}[1h])) / sum(increase(${logged}_written${revision}[1h])) > 0.3 and sum(increase(${logged}_written${revision}[1h])) >= 10"
fi

step "Security Command Center tells the topic of every new and changed finding; last, so that nothing is lost meanwhile"
# A notification config that exists answers a second create with a bare 400.
case "$kind" in
  organizations) parent=("--organization=$id" "--billing-project=$project") ;;
  folders) parent=("--folder=$id" "--billing-project=$project") ;;
  projects) parent=("--project=$id" "--billing-project=$project") ;;
esac
config=("--description=Cloud Run findings for $name in $project." "--pubsub-topic=projects/$project/topics/$name-findings" "--filter=$filter")
ensure gcloud scc notifications describe "$name" "--location=$location" "${parent[@]}" -- \
  gcloud scc notifications create "$name" "--location=$location" "${config[@]}" "${parent[@]}" -- \
  gcloud scc notifications update "$name" "--location=$location" "${config[@]}" "${parent[@]}"

step "done: $url"
if ! $apply; then echo "# nothing was done: say --apply to run these commands"; fi
