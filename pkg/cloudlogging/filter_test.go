package cloudlogging

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

var event = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func question(kind finding.Kind, name string) evidence.LogQuery {
	return evidence.LogQuery{
		Workload: finding.Workload{Project: "shop-prod", Location: "europe-west1", Kind: kind, Name: name},
		Event:    event, Before: 10 * time.Minute, After: 2 * time.Minute, AuditBefore: 24 * time.Hour,
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	q.Workload.Revision = "shop-00002-abc"
	want := `timestamp>="2026-02-28T12:00:00Z" AND timestamp<="2026-03-01T12:02:00Z" AND (` +
		`((log_id("cloudaudit.googleapis.com/activity") OR log_id("cloudaudit.googleapis.com/system_event")) AND protoPayload.serviceName="run.googleapis.com" AND (` +
		`(resource.labels.project_id="shop-prod" AND resource.labels.location="europe-west1" AND ` +
		`(resource.labels.service_name="shop" OR resource.labels.configuration_name="shop" OR protoPayload.resourceName:"/services/shop")))) OR ` +
		`(NOT log_id("cloudaudit.googleapis.com/data_access") AND (` +
		`(timestamp>="2026-03-01T11:50:00Z" AND resource.type="cloud_run_revision" AND resource.labels.project_id="shop-prod" AND resource.labels.location="europe-west1" AND ` +
		`resource.labels.service_name="shop"))))`
	if diff := cmp.Diff(want, Filter([]evidence.LogQuery{q})); diff != "" {
		t.Errorf("Filter (-want +got):\n%s", diff)
	}
	if got := Filter(nil); got != "" {
		t.Errorf("Filter(nil) = %q", got)
	}
}

func TestFilterMatches(t *testing.T) {
	t.Parallel()
	service, job, pool := question(finding.Service, "shop"), question(finding.Job, "report"), question(finding.WorkerPool, "queue")
	revision, execution, number := service, job, service
	revision.Workload.Revision = "shop-2"
	execution.Workload.Execution = "report-x1"
	number.Workload.Project = "123456"
	for _, tc := range []struct {
		name  string
		query evidence.LogQuery
		entry *loggingpb.LogEntry
		want  bool
	}{
		{"application", service, entry(service, -time.Minute, "run.googleapis.com/stdout"), true},
		{"project number", number, entry(service, -time.Minute, "run.googleapis.com/stdout"), true},
		{"another service", service, entry(question(finding.Service, "shop-admin"), 0, "run.googleapis.com/stdout"), false},
		{"another kind of that name", service, entry(question(finding.Job, "shop"), 0, "run.googleapis.com/stdout"), false},
		{"too early", service, entry(service, -11*time.Minute, "run.googleapis.com/stdout"), false},
		{"too late", service, entry(service, 3*time.Minute, "run.googleapis.com/stdout"), false},
		{"another project", service, with(entry(service, 0, "run.googleapis.com/stdout"), "project_id", "other"), false},
		{"another location", service, with(entry(service, 0, "run.googleapis.com/stdout"), "location", "asia-east1"), false},
		{"old system log", service, entry(service, 0, "run.googleapis.com//var/log/system"), true},
		{"the revision", revision, with(entry(service, 0, "run.googleapis.com/requests"), "revision_name", "shop-2"), true},
		{"another revision", revision, with(entry(service, 0, "run.googleapis.com/requests"), "revision_name", "shop-1"), false},
		{"empty revision", revision, with(entry(service, 0, "run.googleapis.com/requests"), "revision_name", ""), true},
		{"no revision", revision, entry(service, 0, "run.googleapis.com/requests"), true},
		{"the execution", execution, executing(entry(job, 0, "run.googleapis.com/stdout"), "report-x1"), true},
		{"another execution", execution, executing(entry(job, 0, "run.googleapis.com/stdout"), "report-x2"), false},
		{"no execution", execution, entry(job, 0, "run.googleapis.com/varlog/system"), true},
		{"worker pool", pool, entry(pool, 0, "run.googleapis.com/stdout"), true},

		{"deploy an hour ago", service, audited(service, -time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/shop-prod/services/shop"), true},
		{"deploy of another revision", revision, with(audited(service, -time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/shop-prod/services/shop"), "revision_name", "shop-1"), true},
		{"deploy two days ago", service, audited(service, -48*time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/shop-prod/services/shop"), false},
		{"deploy of another", service, audited(question(finding.Service, "shop-admin"), -time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/shop-prod/services/shop-admin"), false},
		{"policy with empty label", service, with(audited(service, -time.Hour, logActivity, "google.cloud.run.v1.Services.SetIamPolicy", "projects/shop-prod/locations/europe-west1/services/shop"), "service_name", ""), true},
		{"policy of another", service, with(audited(service, -time.Hour, logActivity, "google.cloud.run.v1.Services.SetIamPolicy", "projects/shop-prod/locations/europe-west1/services/shop-admin"), "service_name", ""), false},
		{"revision ready, by configuration", service, with(with(audited(service, -time.Hour, logSystemEvent, "/Services.ReplaceService", "namespaces/shop-prod/revisions/shop-2"), "service_name", ""), "configuration_name", "shop"), true},
		{"read of the service", service, audited(service, 0, logDataAccess, "google.cloud.run.v1.Services.GetService", "namespaces/shop-prod/services/shop"), false},
		{"job run", job, audited(job, -time.Hour, logDataAccess, "google.cloud.run.v1.Jobs.RunJob", "namespaces/shop-prod/jobs/report"), true},
		{"job read", job, audited(job, -time.Hour, logDataAccess, "google.cloud.run.v1.Jobs.GetJob", "namespaces/shop-prod/jobs/report"), false},
		{"worker pool v2", pool, with(audited(pool, -time.Hour, logActivity, "google.cloud.run.v2.WorkerPools.SetIamPolicy", "projects/shop-prod/locations/europe-west1/workerPools/queue"), "worker_pool_name", ""), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			expr, err := parseFilter(Filter([]evidence.LogQuery{tc.query}))
			if err != nil {
				t.Fatal(err)
			}
			exact := about(tc.entry, tc.query.Workload)
			if got := expr.matches(t, tc.entry) && exact; got != tc.want {
				t.Errorf("filter and about match: %v, want %v", got, tc.want)
			}
			// Together with another question the answer is the same.
			other := question(finding.Service, "unrelated")
			other.Event = event.Add(-5 * time.Hour)
			if expr, err = parseFilter(Filter([]evidence.LogQuery{other, tc.query})); err != nil {
				t.Fatal(err)
			}
			if got := expr.matches(t, tc.entry) && exact; got != tc.want {
				t.Errorf("filter of two questions matches: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestFilterCannotBeEscaped(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`a" OR timestamp>="1970-01-01T00:00:00Z`, `a\" OR "b`, "a\nOR b", `.*`, `a\`, "(", "\x00\"", "ä"} {
		q := question(finding.Service, name)
		q.Workload.Revision, q.Workload.Location = name, name
		expr, err := parseFilter(Filter([]evidence.LogQuery{q}))
		if err != nil {
			t.Errorf("name %q: %v", name, err)
			continue
		}
		if expr.matches(t, entry(question(finding.Service, "shop"), 0, "run.googleapis.com/stdout")) {
			t.Errorf("name %q matches another service", name)
		}
	}
}

func TestFilterLength(t *testing.T) {
	t.Parallel()
	var queries []evidence.LogQuery
	for i := range maxTogether {
		q := question(finding.Service, fmt.Sprintf("a-service-with-a-rather-long-name-%d", i))
		q.Workload.Revision = q.Workload.Name + "-00042-abc"
		queries = append(queries, q)
	}
	if n := len(Filter(queries)); n > maxFilter {
		t.Errorf("%d questions make %d characters, at most %d are allowed", maxTogether, n, maxFilter)
	}
}

// expression is a parsed filter. The grammar is stricter than Google's: AND
// and OR need parentheses between them, every value is quoted.
type expression struct {
	op    string // "and", "or", "not", "log_id" or a comparison
	parts []*expression
	field []string
	value string
}

func parseFilter(s string) (*expression, error) {
	if len(s) > maxFilter {
		return nil, fmt.Errorf("filter of %d characters", len(s))
	}
	token := regexp.MustCompile(`^(?:"(?:[^"\\\x00-\x1f]|\\["\\])*"|[A-Za-z_][A-Za-z0-9_]*|>=|<=|=~|[=:().*])`)
	var tokens []string
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		m := token.FindString(s)
		if m == "" {
			return nil, fmt.Errorf("bad token at %.40q", s)
		}
		tokens, s = append(tokens, m), s[len(m):]
	}
	p := &parser{tokens: tokens}
	e, err := p.list()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("unexpected %q", p.tokens[0])
	}
	return e, err
}

type parser struct{ tokens []string }

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) list() (*expression, error) {
	first, err := p.term()
	if err != nil {
		return nil, err
	}
	op := p.peek()
	if op != "AND" && op != "OR" {
		return first, nil
	}
	e := &expression{op: strings.ToLower(op), parts: []*expression{first}}
	for p.peek() == op {
		p.next()
		part, err := p.term()
		if err != nil {
			return nil, err
		}
		e.parts = append(e.parts, part)
	}
	if p.peek() == "AND" || p.peek() == "OR" {
		return nil, fmt.Errorf("AND and OR without parentheses")
	}
	return e, nil
}

func (p *parser) term() (*expression, error) {
	switch t := p.next(); {
	case t == "NOT":
		e, err := p.term()
		return &expression{op: "not", parts: []*expression{e}}, err
	case t == "(":
		e, err := p.list()
		if err == nil && p.next() != ")" {
			err = fmt.Errorf("missing )")
		}
		return e, err
	case t == "log_id":
		open, value, end := p.next(), p.next(), p.next()
		if open != "(" || end != ")" {
			return nil, fmt.Errorf("log_id %s%s%s", open, value, end)
		}
		return &expression{op: "log_id", value: unquote(value)}, nil
	case t != "" && (t[0] == '_' || t[0] >= 'A'):
		e := &expression{field: []string{t}}
		for p.peek() == "." {
			p.next()
			e.field = append(e.field, unquote(p.next()))
		}
		e.op, e.value = p.next(), p.next()
		switch {
		case e.op == ":" && e.value == "*":
			e.op = "has"
		case !strings.HasPrefix(e.value, `"`):
			return nil, fmt.Errorf("value %q is not quoted", e.value)
		case !strings.Contains(" = : =~ >= <= ", " "+e.op+" "):
			return nil, fmt.Errorf("operator %q", e.op)
		case e.op == "=~":
			if _, err := regexp.Compile(unquote(e.value)); err != nil {
				return nil, err
			}
			e.value = unquote(e.value)
		default:
			e.value = unquote(e.value)
		}
		return e, nil
	default:
		return nil, fmt.Errorf("unexpected %q", t)
	}
}

func unquote(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s[1 : len(s)-1])
}

func (e *expression) matches(t testing.TB, entry *loggingpb.LogEntry) bool {
	t.Helper()
	b, err := protojson.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return e.eval(m)
}

func (e *expression) eval(m map[string]any) bool {
	switch e.op {
	case "and":
		for _, p := range e.parts {
			if !p.eval(m) {
				return false
			}
		}
		return true
	case "or":
		for _, p := range e.parts {
			if p.eval(m) {
				return true
			}
		}
		return false
	case "not":
		return !e.parts[0].eval(m)
	case "log_id":
		name, _ := m["logName"].(string)
		_, id, _ := strings.Cut(name, "/logs/")
		id, err := url.PathUnescape(id)
		return err == nil && id == e.value
	}
	var v any = m
	for _, f := range e.field {
		o, _ := v.(map[string]any)
		var ok bool
		if v, ok = o[f]; !ok {
			return false
		}
	}
	s, _ := v.(string)
	switch e.op {
	case "has":
		return true
	case "=":
		return s == e.value
	case ":":
		return strings.Contains(s, e.value)
	case "=~":
		return regexp.MustCompile(e.value).MatchString(s)
	}
	at, err1 := time.Parse(time.RFC3339Nano, s)
	bound, err2 := time.Parse(time.RFC3339Nano, e.value)
	if err1 != nil || err2 != nil {
		return false
	}
	if e.op == ">=" {
		return !at.Before(bound)
	}
	return !at.After(bound)
}
