package deploy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestChecksCanFail breaks one thing at a time and wants the check to see it.
func TestChecksCanFail(t *testing.T) {
	t.Parallel()
	tests := []struct{ check, name, file, from, to, want string }{
		{"environment", "unknown variable", "service.tf", "MARK_PREFIX  ", "MARKS_PREFIX  ", "MARKS_PREFIX is no variable of serve"},
		{"environment", "missing variable", "service.tf", "    MARK_PREFIX              = var.mark_prefix\n", "", "the service needs MARK_PREFIX"},
		{"environment", "service's variable in the job", "service.tf", "job_environment = merge(local.shared_environment,", "job_environment = merge(local.service_environment,", "is no variable of backfill"},
		{"environment", "unknown setting", "variables.tf", `"LOG_LEVEL", "LOGGING`, `"LOGS_LEVEL", "LOGGING`, "allows LOGS_LEVEL"},
		{"environment", "nobody decides", "variables.tf", `"POLICY_FILE", `, "", "POLICY_FILE is set, allowed in settings or left out on purpose 0 times"},
		{"environment", "unknown secret", "service.tf", "VT_API_KEY = {", "VT_KEY = {", "VT_KEY is no variable of serve"},
		{"environment", "unknown command", "backfill.tf", `["backfill", `, `["refill", `, "refill"},
		{"deadlines", "ack deadline", "findings.tf", "ack_deadline_seconds       = var.ack_deadline_seconds", "ack_deadline_seconds = 20", "not above ENRICH_TIMEOUT"},
		{"deadlines", "default ack deadline", "variables.tf", "default     = 60\n\n  validation {\n    condition     = var.ack", "default     = 15\n\n  validation {\n    condition     = var.ack", "not above ENRICH_TIMEOUT"},
		{"deadlines", "source timeout", "service.tf", `"${var.source_timeout_seconds}s"`, `"30s"`, "not above SOURCE_TIMEOUT"},
		{"deadlines", "request timeout", "service.tf", "4 * var.enrich_timeout_seconds", "0", "request timeout"},
		{"roles", "more", "iam.tf", "roles/logging.viewer\"", "roles/logging.admin\"", "given but not in the README: roles/logging.admin service"},
		{"roles", "less", "iam.tf", "    \"roles/run.viewer\",\n", "", "in the README but not given: roles/run.viewer service"},
		{"roles", "to somebody else", "iam.tf", "member   = local.caller_member", "member   = local.enricher_member", "roles/run.invoker caller"},
		{"public", "everybody", "iam.tf", "member   = local.caller_member", "member   = \"allUsers\"", "names allUsers"},
		{"public", "a stranger", "iam.tf", "member   = local.caller_member", "member   = \"user:eve@example.com\"", "none of ours"},
		{"public", "binding", "iam.tf", `"google_cloud_run_v2_service_iam_member"`, `"google_cloud_run_v2_service_iam_binding"`, "takes away"},
		{"public", "check off", "service.tf", "invoker_iam_disabled = false", "invoker_iam_disabled = true", "switches off"},
		{"public", "check not asked for", "service.tf", "  invoker_iam_disabled = false\n", "", "does not ask for"},
		{"public", "ingress", "variables.tf", `default     = "INGRESS_TRAFFIC_INTERNAL_ONLY"`, `default     = "INGRESS_TRAFFIC_ALL"`, "ingress"},
		{"public", "no token check", "service.tf", `= "oidc"`, `= "none"`, "PUSH_AUTH"},
		{"subscriptions", "expires", "findings.tf", "  expiration_policy {\n    ttl = \"\"\n  }\n", "", "expires after 31 quiet days"},
		{"subscriptions", "expires later", "records.tf", "ttl = \"\"", "ttl = \"864000s\"", "want never"},
		{"subscriptions", "no dead letters", "findings.tf", "dead_letter_policy {\n    dead_letter_topic     = google_pubsub_topic.dead_letters.id\n    max_delivery_attempts = var.max_delivery_attempts\n  }\n", "timeouts {}\n", "dead-letter policy"},
		{"subscriptions", "agent may not publish", "iam.tf", "topic   = google_pubsub_topic.dead_letters.name\n  role    = \"roles/pubsub.publisher\"\n  member  = local.pubsub_agent", "topic   = google_pubsub_topic.records.name\n  role    = \"roles/pubsub.publisher\"\n  member  = local.pubsub_agent", "may not publish"},
		{"subscriptions", "agent may not acknowledge", "iam.tf", "subscription = google_pubsub_subscription.push.name", "subscription = google_pubsub_subscription.dead_letters.name", "may not acknowledge"},
		{"subscriptions", "nobody keeps dead letters", "findings.tf", "topic   = google_pubsub_topic.dead_letters.id", "topic   = google_pubsub_topic.findings.id", "nothing keeps"},
		{"subscriptions", "backoff", "findings.tf", `maximum_backoff = "600s"`, `maximum_backoff = "900s"`, "maximum_backoff"},
		{"push", "audience", "findings.tf", "audience              = local.service_url", "audience              = \"https://x\"", "for \"https://x\""},
		{"push", "no token", "findings.tf", "    oidc_token {\n      service_account_email = google_service_account.caller.email\n      audience              = local.service_url\n    }\n", "", "without a token"},
		{"push", "path", "findings.tf", "${local.service_url}/push", "${local.service_url}/pull", "pushes to"},
		{"push", "tasks", "service.tf", "/tasks/followup", "/tasks", "tasks go to"},
		{"push", "Cloud Run's audience", "service.tf", "custom_audiences = [local.service_url]", "custom_audiences = []", "does not accept"},
		{"alerts", "no playbook", "alerts.tf", "    no_success = {", "    no_luck = {", "no-luck.md"},
		{"alerts", "no link", "alerts.tf", "content   = \"What", "mime      = \"What", "its text is"},
		{"alerts", "subscription", "alerts.tf", "subscription_id=\\\"${var.name}-push\\\"\"\n  requests", "subscription_id=\\\"${var.name}-pull\\\"\"\n  requests", "no subscription is called scc-enricher-pull"},
		{"alerts", "metric", "alerts.tf", "_budget_exhausted{", "_budget{", "no metric is called"},
		{"alerts", "unbalanced", "alerts.tf", "[30m])) >", "[30m]) >", "unbalanced"},
		{"filter", "another resource", "findings.tf", "//run.googleapis.com/", "//compute.googleapis.com/", "service: "},
		{"filter", "only services", "findings.tf", "//run.googleapis.com/", "/services/", "job: "},
		{"filter", "closed", "findings.tf", "      \"state = \\\"ACTIVE\\\"\",\n", "", "closed: "},
		{"filter", "muted", "findings.tf", "NOT mute", "mute", "muted: "},
		{"filter", "marked findings left out", "findings.tf", "NOT mute = \\\"MUTED\\\"", "NOT security_marks.marks.enrich_schema : \\\"1\\\"", "marked: "},
		{"filter", "undocumented field", "findings.tf", "NOT mute = \\\"MUTED\\\"", "finding_class = \\\"THREAT\\\"", "finding_class"},
		{"filter", "precedence", "findings.tf", "[\"(${var.finding_filter_extra})\"]", "[\"${var.finding_filter_extra} AND category : \\\"Reverse\\\"\"]", "a category of tomorrow: "},
		{"filter", "not used", "findings.tf", "filter = local.finding_filter", "filter = \"\"", "does not use"},
		{"log metrics", "state", "alerts.tf", "quota|denied|timeout", "quota|timeout", "logs denied: "},
		{"log metrics", "field", "alerts.tf", "jsonPayload.reason=\\\"written\\\"\"", "jsonPayload.reasons=\\\"written\\\"\"", "written: "},
		{"log metrics", "syntax", "alerts.tf", "jsonPayload.message=\\\"delivery\\\"", "jsonPayload.message=\\\"delivery", "parse"},
		{"table", "column", "records.tf", "name = \"data\"", "name = \"record\"", "columns are"},
		{"table", "type", "records.tf", "type = \"TIMESTAMP\"", "type = \"STRING\"", "columns are"},
		{"table", "mode", "records.tf", "type = \"JSON\", mode = \"NULLABLE\"", "type = \"JSON\", mode = \"REQUIRED\"", "column data is REQUIRED"},
		{"table", "partition", "records.tf", "\"publish_time\"\n", "\"time\"\n", "which is no time"},
		{"table", "metadata", "records.tf", "write_metadata = true", "write_metadata = false", "does not write"},
		{"table", "topic", "service.tf", "= google_pubsub_topic.records.id", "= google_pubsub_topic.findings.id", "records go to"},
		{"variables", "undescribed", "variables.tf", "  description = \"Region of the service, its job, its queue and its schedule.\"\n", "", "variable region needs"},
		{"variables", "message", "variables.tf", "error_message = \"project_id must", "error_message = \"this must", "does not name it"},
		{"variables", "default", "variables.tf", "default     = 20", "default     = 21", "table of inputs is old"},
		{"variables", "output", "outputs.tf", "output \"service_url\"", "output \"service_uri\"", "table of outputs is old"},
	}
	tested := map[string]bool{}
	for _, tt := range tests {
		tested[tt.check] = true
		t.Run(tt.check+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			w := readWorld(t, func(sources map[string]string) {
				sources[tt.file] = replaceOnce(t, sources[tt.file], tt.from, tt.to)
			})
			if got := checks()[tt.check](w); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("faults are %q, want one with %q", got, tt.want)
			}
		})
	}
	for name := range maps.Keys(checks()) {
		if !tested[name] {
			t.Errorf("nothing shows that the check %s can fail", name)
		}
	}
}

// TestDocumentsCanFail breaks what the module is compared with.
func TestDocumentsCanFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		check, name, want string
		edit              func(*world)
	}{
		{"environment", "the binary loses a variable", "SOURCE_TIMEOUT is no variable of serve", func(w *world) { delete(w.env["serve"], "SOURCE_TIMEOUT") }},
		{"environment", "the binary gains a variable", "NEW_SETTING is set, allowed", func(w *world) { w.env["serve"]["NEW_SETTING"] = true }},
		{"roles", "the manual forgets one", "roles/cloudtasks.enqueuer: not in docs/operations.md", func(w *world) {
			w.operations = replaceOnce(t, w.operations, "`roles/cloudtasks.enqueuer`", "nothing")
		}},
		{"roles", "the manual asks for more", "roles/owner", func(w *world) {
			w.operations = replaceOnce(t, w.operations, "## Permissions\n", "## Permissions\n\n`roles/owner`\n")
		}},
		{"roles", "the manual asks for less", "roles/run.viewer", func(w *world) { w.operations = strings.ReplaceAll(w.operations, "roles/run.viewer", "") }},
		{"roles", "the README says more", "roles/owner service", func(w *world) {
			w.readme = strings.Replace(w.readme, "| `roles/run.viewer` | service |", "| `roles/owner` | service | x |\n| `roles/run.viewer` | service |", 1)
		}},
		{"alerts", "a playbook is lost", "there is no docs/playbooks/no-success.md", func(w *world) { delete(w.playbooks, "no-success.md") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := readWorld(t, nil)
			tt.edit(w)
			if got := checks()[tt.check](w); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("faults are %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestParseCanFail(t *testing.T) {
	t.Parallel()
	if _, err := parseModule(map[string]string{"x.tf": "resource \"a\" {"}); err == nil {
		t.Error("half a block was read")
	}
	m, err := parseModule(map[string]string{"x.tf": "locals {\n  a = local.b\n  b = local.a\n  c = local.none\n}"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.scope(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name := range m.locals {
		if v, err := s.local(name); err == nil {
			t.Errorf("local.%s is %v", name, v)
		}
	}
}
