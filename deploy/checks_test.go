package deploy_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// world is the module and what it must agree with.
type world struct {
	m *module
	// env are the environment variables of each command of the binary.
	env map[string]map[string]bool
	// operations and readme are the texts of docs/operations.md and of the
	// module's README.
	operations, readme string
	// playbooks are the names of the files in docs/playbooks.
	playbooks map[string]bool
}

// check gives the faults of a world.
type check func(*world) []string

// checks are all checks, by name.
func checks() map[string]check {
	return map[string]check{
		"environment": checkEnvironment, "deadlines": checkDeadlines, "roles": checkRoles, "public": checkPublic,
		"subscriptions": checkSubscriptions, "push": checkPush, "table": checkTable, "alerts": checkAlerts, "filter": checkFilter, "log metrics": checkLogMetrics, "variables": checkVariables,
	}
}

// faults collects what is wrong.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// must adds an error, and reports whether there was none.
func (f *faults) must(err error, what string) bool {
	if err != nil {
		f.add("%s: %v", what, err)
	}
	return err == nil
}

// scopes evaluates the module for both inputs.
func (w *world) scopes(f *faults) map[string]*scope {
	out := map[string]*scope{}
	for name, in := range map[string]inputs{"organization": organization(), "everything": everything()} {
		s, err := w.m.scope(in)
		if f.must(err, name) {
			out[name] = s
		}
	}
	return out
}

// unset are variables of serve that the module neither sets nor takes in
// settings, and why.
func unset() map[string]string {
	return map[string]string{
		"PORT":           "Cloud Run sets it and refuses it from anybody else",
		"PUSH_JWKS_URL":  "Google's keys are the default",
		"VT_ENDPOINT":    "VirusTotal's own is the default",
		"TASKS_ENDPOINT": "Google's own is the default",
	}
}

// required are variables without which a deployment is not what the
// documentation says.
var required = []string{
	"SCC_PARENT", "PUSH_AUTH", "PUSH_AUDIENCE", "PUSH_SERVICE_ACCOUNT", "RECORD_TOPIC", "DEAD_LETTER_TOPIC", "ENRICH_TIMEOUT", "SOURCE_TIMEOUT",
	"MARK_PREFIX", "VT_LOOKUPS", "VT_REQUESTS_PER_MINUTE", "VT_REQUESTS_PER_DAY", "LOGGING_READS_PER_MINUTE", "SCC_READS_PER_MINUTE", "SCC_WRITES_PER_MINUTE",
	"TASKS_QUEUE", "TASKS_URL", "TASKS_SERVICE_ACCOUNT",
}

// environment gives the variables that a local names, nulls left out.
func (s *scope) environment(local string) (map[string]string, error) {
	v, err := s.local(local)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		switch {
		case e.IsNull():
		case e.IsKnown() && e.Type() == cty.String:
			out[k.AsString()] = e.AsString()
		default:
			out[k.AsString()] = ""
		}
	}
	return out, nil
}

func checkEnvironment(w *world) []string {
	var f faults
	set := map[string]bool{}
	for input, s := range w.scopes(&f) {
		service, err := s.environment("service_environment")
		if !f.must(err, input) {
			continue
		}
		job, err := s.environment("job_environment")
		if !f.must(err, input) {
			continue
		}
		secrets, err := s.environment("secret_environment")
		if !f.must(err, input) {
			continue
		}
		w.known(&f, "serve", service)
		w.known(&f, "serve", secrets)
		w.known(&f, "backfill", job)
		w.known(&f, "backfill", secrets)
		for _, name := range required {
			if service[name] == "" {
				f.add("%s: the service needs %s", input, name)
			}
		}
		for name := range service {
			set[name] = true
		}
		for name := range secrets {
			set[name] = true
		}
	}
	allowed := w.settings(&f)
	for name := range allowed {
		if !w.env["serve"][name] {
			f.add("var.settings allows %s, which serve does not read", name)
		}
	}
	for name := range w.env["serve"] {
		_, left := unset()[name]
		if n := count(set[name], allowed[name], left); n != 1 {
			f.add("%s is set, allowed in settings or left out on purpose %d times, want once", name, n)
		}
	}
	w.commands(&f)
	return f
}

func count(all ...bool) int {
	n := 0
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// known adds the variables that a command does not read.
func (w *world) known(f *faults, command string, env map[string]string) {
	for name := range env {
		if !w.env[command][name] {
			f.add("%s is no variable of %s", name, command)
		}
	}
}

// settings are the names that var.settings takes.
func (w *world) settings(f *faults) map[string]bool {
	out := map[string]bool{}
	b, ok := w.m.variables["settings"]
	if !ok {
		f.add("there is no variable settings")
		return out
	}
	name := regexp.MustCompile(`"([A-Z][A-Z_]+[A-Z])"`)
	for _, v := range blocks(b.Body, "validation") {
		for _, m := range name.FindAllStringSubmatch(w.m.source(v.Attributes["condition"]), -1) {
			out[m[1]] = true
		}
	}
	if len(out) == 0 {
		f.add("var.settings is not validated")
	}
	return out
}

// source is the text of an attribute.
func (m *module) source(a *hclsyntax.Attribute) string {
	r := a.Expr.Range()
	return m.sources[r.Filename][r.Start.Byte:r.End.Byte]
}

// commands checks that containers run commands that the binary has.
func (w *world) commands(f *faults) {
	args := regexp.MustCompile(`(?m)^\s*args\s*=\s*\["([a-z]+)"`)
	n := 0
	for file, text := range w.m.sources {
		for _, m := range args.FindAllStringSubmatch(text, -1) {
			n++
			if _, ok := w.env[m[1]]; !ok {
				f.add("%s runs the command %q, which is none", file, m[1])
			}
		}
	}
	if n != 2 {
		f.add("%d containers name their command, want 2", n)
	}
}

func checkDeadlines(w *world) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	env, err := s.environment("service_environment")
	if !f.must(err, "environment") {
		return f
	}
	enrich, err := time.ParseDuration(env["ENRICH_TIMEOUT"])
	f.must(err, "ENRICH_TIMEOUT")
	source, err := time.ParseDuration(env["SOURCE_TIMEOUT"])
	f.must(err, "SOURCE_TIMEOUT")
	for _, r := range w.m.of("google_pubsub_subscription") {
		if len(blocks(r.body, "push_config")) == 0 {
			continue
		}
		text, err := s.text(r.body, "ack_deadline_seconds", nil)
		f.must(err, r.String())
		ack, err := time.ParseDuration(text + "s")
		f.must(err, r.String()+": ack_deadline_seconds")
		if ack <= enrich {
			f.add("%s: the ack deadline %s is not above ENRICH_TIMEOUT %s", r, ack, enrich)
		}
	}
	if enrich <= source {
		f.add("ENRICH_TIMEOUT %s is not above SOURCE_TIMEOUT %s", enrich, source)
	}
	for _, r := range w.m.of("google_cloud_run_v2_service") {
		for _, t := range blocks(r.body, "template") {
			text, err := s.text(t, "timeout", nil)
			f.must(err, r.String())
			// A follow-up may take three times as long as a finding.
			if limit, err := time.ParseDuration(text); f.must(err, r.String()+": timeout") && limit <= 3*enrich {
				f.add("%s: the request timeout %s is not above three times ENRICH_TIMEOUT %s", r, limit, enrich)
			}
		}
	}
	return f
}

// grant is one role given to one member.
type grant struct{ role, member, resource string }

// grants evaluates every grant of the module.
func (w *world) grants(f *faults, s *scope) []grant {
	var out []grant
	for _, r := range w.m.resources {
		if !strings.HasSuffix(r.kind, "_iam_member") {
			continue
		}
		all, err := s.instances(r)
		if !f.must(err, r.String()) {
			continue
		}
		for _, each := range all {
			role, err := s.text(r.body, "role", each)
			f.must(err, r.String())
			member, err := s.text(r.body, "member", each)
			f.must(err, r.String())
			out = append(out, grant{role, who(member), r.String()})
		}
	}
	return out
}

// who names a member as the README does.
func who(member string) string {
	switch {
	case strings.Contains(member, "google_service_account.enricher."):
		return "service"
	case strings.Contains(member, "google_service_account.caller."):
		return "caller"
	case strings.Contains(member, "google_service_account.scheduler."):
		return "scheduler"
	case strings.Contains(member, "@gcp-sa-pubsub.iam.gserviceaccount.com"):
		return "Pub/Sub"
	}
	return member
}

var roleName = regexp.MustCompile("`(roles/[A-Za-z.]+)`")

// section gives the text between a heading and the next of its level.
func section(text, heading string) string {
	_, rest, _ := strings.Cut(text, "\n## "+heading+"\n")
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

func checkRoles(w *world) []string {
	var f faults
	given := map[string]bool{}
	byUs := map[string]bool{}
	for _, s := range w.scopes(&f) {
		for _, g := range w.grants(&f, s) {
			given[g.role+" "+g.member] = true
			if g.member == "service" || g.member == "caller" {
				byUs[g.role] = true
			}
		}
	}
	documented := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `(roles/[A-Za-z.]+)` \\| ([A-Za-z/]+) \\|")
	for _, m := range row.FindAllStringSubmatch(section(w.readme, "Permissions"), -1) {
		documented[m[1]+" "+m[2]] = true
	}
	difference(&f, "given but not in the README", given, documented)
	difference(&f, "in the README but not given", documented, given)

	manual := map[string]bool{}
	for _, m := range roleName.FindAllStringSubmatch(section(w.operations, "Permissions"), -1) {
		manual[m[1]] = true
	}
	difference(&f, "in docs/operations.md but not given", manual, byUs)
	for role := range byUs {
		if !manual[role] {
			f.add("%s: not in docs/operations.md", role)
		}
	}
	return f
}

func difference(f *faults, what string, a, b map[string]bool) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !b[k] {
			f.add("%s: %s", what, k)
		}
	}
}

func checkPublic(w *world) []string {
	var f faults
	for _, r := range w.m.resources {
		if strings.HasSuffix(r.kind, "_iam_binding") || strings.HasSuffix(r.kind, "_iam_policy") {
			f.add("%s takes away what others were given: use a member", r)
		}
		switch a, ok := r.body.Attributes["invoker_iam_disabled"]; {
		case ok && w.m.source(a) != "false":
			f.add("%s switches off Cloud Run's check of the caller", r)
		case !ok && r.kind == "google_cloud_run_v2_service":
			f.add("%s does not ask for Cloud Run's check of the caller", r)
		}
	}
	for file, text := range w.m.sources {
		for _, word := range []string{"allUsers", "allAuthenticatedUsers"} {
			if strings.Contains(text, word) {
				f.add("%s names %s", file, word)
			}
		}
	}
	for input, s := range w.scopes(&f) {
		for _, r := range w.m.of("google_cloud_run_v2_service") {
			ingress, err := s.text(r.body, "ingress", nil)
			if f.must(err, r.String()) && ingress != "INGRESS_TRAFFIC_INTERNAL_ONLY" {
				f.add("%s: %s: ingress is %q by default", input, r, ingress)
			}
		}
		env, err := s.environment("service_environment")
		if f.must(err, input) && env["PUSH_AUTH"] != "oidc" {
			f.add("%s: PUSH_AUTH is %q", input, env["PUSH_AUTH"])
		}
		for _, g := range w.grants(&f, s) {
			if !slices.Contains([]string{"service", "caller", "scheduler", "Pub/Sub"}, g.member) {
				f.add("%s gives %s to %q, who is none of ours", g.resource, g.role, g.member)
			}
		}
	}
	return f
}
