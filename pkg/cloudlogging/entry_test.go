package cloudlogging

import (
	"bufio"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

func TestEntryOf(t *testing.T) {
	t.Parallel()
	const auditType = `"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"run.googleapis.com"`
	for _, tc := range []struct {
		name  string
		entry string
		want  evidence.LogEntry
	}{
		{
			"text", `{"logName":"projects/p/logs/run.googleapis.com%2Fstdout","insertId":"a","severity":"WARNING","textPayload":"hi\u001b[31m","trace":"projects/p/traces/t",
			"resource":{"type":"cloud_run_revision","labels":{"revision_name":"shop-2"}},"labels":{"instanceId":"i","container_name":"web"}}`,
			evidence.LogEntry{Kind: evidence.LogApp, LogName: "projects/p/logs/run.googleapis.com%2Fstdout", InsertID: "a", Severity: "WARNING", Text: "hi\x1b[31m",
				Revision: "shop-2", Container: "web", Instance: "i", Trace: "projects/p/traces/t"},
		},
		{
			"json message with a severity of its own", `{"logName":"projects/p/logs/app","jsonPayload":{"message":"m","level":"error"}}`,
			evidence.LogEntry{Kind: evidence.LogApp, LogName: "projects/p/logs/app", Severity: "ERROR", Text: "m"},
		},
		{
			"nested message and stack", `{"logName":"l","severity":"INFO","jsonPayload":{"level":"error","message":{"message":"m"},"stack":"at a"}}`,
			evidence.LogEntry{Kind: evidence.LogApp, LogName: "l", Severity: "INFO", Text: "m\nat a"},
		},
		{
			"json without message", `{"logName":"l","jsonPayload":{"b":1,"a":"x"}}`,
			evidence.LogEntry{Kind: evidence.LogApp, LogName: "l", Severity: "DEFAULT", Text: `{"a":"x","b":1}`},
		},
		{
			"application's own request", `{"logName":"projects/p/logs/run.googleapis.com%2Fstdout","httpRequest":{"requestMethod":"GET","status":200},"jsonPayload":{"msg":"m"}}`,
			evidence.LogEntry{Kind: evidence.LogApp, LogName: "projects/p/logs/run.googleapis.com%2Fstdout", Severity: "DEFAULT", Text: "m", Request: &evidence.Request{Method: "GET", Status: 200}},
		},
		{
			"request", `{"logName":"projects/p/logs/run.googleapis.com%2Frequests","httpRequest":{"requestMethod":"POST","requestUrl":"https://x/y","status":503,"remoteIp":"192.0.2.1","userAgent":"u","responseSize":"7","latency":"1.5s"}}`,
			evidence.LogEntry{Kind: evidence.LogRequest, LogName: "projects/p/logs/run.googleapis.com%2Frequests", Severity: "DEFAULT",
				Request: &evidence.Request{Method: "POST", URL: "https://x/y", Status: 503, RemoteIP: "192.0.2.1", UserAgent: "u", Bytes: 7, Latency: 1500 * time.Millisecond}},
		},
		{"system", `{"logName":"projects/p/logs/run.googleapis.com%2Fvarlog%2Fsystem"}`, evidence.LogEntry{Kind: evidence.LogSystem, LogName: "projects/p/logs/run.googleapis.com%2Fvarlog%2Fsystem", Severity: "DEFAULT"}},
		{"older system", `{"logName":"projects/p/logs/run.googleapis.com%2F%2Fvar%2Flog%2Fsystem"}`, evidence.LogEntry{Kind: evidence.LogSystem, LogName: "projects/p/logs/run.googleapis.com%2F%2Fvar%2Flog%2Fsystem", Severity: "DEFAULT"}},
		{"received only", `{"receiveTimestamp":"2026-03-01T12:00:00Z"}`, evidence.LogEntry{Kind: evidence.LogApp, Severity: "DEFAULT", Time: event}},
		{
			"deploy v1", `{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{` + auditType + `,"methodName":"google.cloud.run.v1.Services.ReplaceService",
			"resourceName":"namespaces/p/services/shop","authenticationInfo":{"principalEmail":"dev@example.com"},"requestMetadata":{"callerIp":"192.0.2.1","callerSuppliedUserAgent":"gcloud"},
			"request":{"service":{"spec":{"template":{"metadata":{"name":"shop-2"},"spec":{"containers":[{"image":"r/shop@sha256:1"},{"image":"r/proxy"}]}}}}}}}`,
			evidence.LogEntry{Kind: evidence.LogAudit, LogName: "projects/p/logs/cloudaudit.googleapis.com%2Factivity", Severity: "DEFAULT", Audit: &evidence.Audit{
				Method: "google.cloud.run.v1.Services.ReplaceService", Principal: "dev@example.com", CallerIP: "192.0.2.1", UserAgent: "gcloud",
				Resource: "namespaces/p/services/shop", Revision: "shop-2", Detail: "image r/proxy, r/shop@sha256:1"}},
		},
		{
			"revision failed", `{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Fsystem_event","severity":"ERROR","protoPayload":{` + auditType + `,"methodName":"/Services.ReplaceService",
			"status":{"code":9,"message":"Ready condition status changed to False"},"response":{"kind":"Revision","metadata":{"name":"shop-3"}}}}`,
			evidence.LogEntry{Kind: evidence.LogAudit, LogName: "projects/p/logs/cloudaudit.googleapis.com%2Fsystem_event", Severity: "ERROR", Audit: &evidence.Audit{
				Method: "/Services.ReplaceService", Code: 9, Message: "Ready condition status changed to False", Revision: "shop-3", System: true}},
		},
		{
			"policy", `{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{` + auditType + `,"methodName":"google.cloud.run.v1.Services.SetIamPolicy",
			"request":{"policy":{"bindings":[{"role":"roles/run.invoker","members":["allUsers","user:a@example.com"]},{"role":"roles/run.admin","members":["group:b@example.com"]}]}}}}`,
			evidence.LogEntry{Kind: evidence.LogAudit, LogName: "projects/p/logs/cloudaudit.googleapis.com%2Factivity", Severity: "DEFAULT", Audit: &evidence.Audit{
				Method: "google.cloud.run.v1.Services.SetIamPolicy", Detail: "roles/run.invoker: allUsers,user:a@example.com; roles/run.admin: group:b@example.com"}},
		},
		{
			"job run", `{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access","protoPayload":{` + auditType + `,"methodName":"google.cloud.run.v2.Jobs.RunJob",
			"request":{"overrides":{"containerOverrides":[{"args":["sh"]}]}},"response":{"@type":"type.googleapis.com/google.cloud.run.v2.Execution","name":"projects/p/locations/l/jobs/j/executions/j-x"}}}`,
			evidence.LogEntry{Kind: evidence.LogAudit, LogName: "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access", Severity: "DEFAULT", Execution: "j-x", Audit: &evidence.Audit{
				Method: "google.cloud.run.v2.Jobs.RunJob", Detail: `overrides: {"containerOverrides":[{"args":["sh"]}]}`}},
		},
		{
			"another payload", `{"logName":"l","protoPayload":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`,
			evidence.LogEntry{Kind: evidence.LogApp, LogName: "l", Severity: "DEFAULT", Text: "type.googleapis.com/google.protobuf.Duration"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var e loggingpb.LogEntry
			if err := protojson.Unmarshal([]byte(tc.entry), &e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, entryOf(&e)); diff != "" {
				t.Errorf("entryOf (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEntryOfBounds(t *testing.T) {
	t.Parallel()
	e := &loggingpb.LogEntry{Payload: &loggingpb.LogEntry_TextPayload{TextPayload: strings.Repeat("ä", maxText)}, Timestamp: timestamppb.New(event)}
	if got := entryOf(e).Text; len(got) != maxText || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
	for _, tc := range []struct{ in, want string }{{"a\xffb", "a?b"}, {"aäää", "aää"}, {"aa\xff\xff\xff\xff", "aa?"}, {"", ""}} {
		if got := clean(tc.in, 6); got != tc.want {
			t.Errorf("clean(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

// TestRealEntries maps every entry of the real data.
func TestRealEntries(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "logging", "*.ndjson"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	mapped, kinds := 0, map[evidence.LogKind]int{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e loggingpb.LogEntry
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(lines.Bytes(), &e); err != nil {
				t.Logf("%s: not a LogEntry: %v", filepath.Base(name), err)
				continue
			}
			got := entryOf(&e)
			mapped++
			kinds[got.Kind]++
			checkReal(t, lines.Bytes(), &e, got)
		}
		if err := lines.Err(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d entries: %v", mapped, kinds)
	if mapped < 100 || len(kinds) != 4 {
		t.Errorf("%d entries of kinds %v", mapped, kinds)
	}
}

func checkReal(t *testing.T, line []byte, e *loggingpb.LogEntry, got evidence.LogEntry) {
	t.Helper()
	want := evidence.LogApp
	for part, kind := range map[string]evidence.LogKind{"%2Frequests": evidence.LogRequest, "varlog%2Fsystem": evidence.LogSystem, "cloudaudit": evidence.LogAudit} {
		if strings.Contains(e.GetLogName(), part) {
			want = kind
		}
	}
	if got.Kind != want || got.Time.IsZero() {
		t.Errorf("kind %q, want %q, at %v: %s", got.Kind, want, got.Time, line)
	}
	if want == evidence.LogApp && got.Text == "" && !strings.Contains(string(line), `"message": ""`) {
		t.Errorf("no text: %s", line)
	}
	if want == evidence.LogAudit && (got.Audit == nil || (strings.Contains(e.GetLogName(), "activity") && got.Audit.Principal == "")) {
		t.Errorf("audit %+v: %s", got.Audit, line)
	}
	if want == evidence.LogAudit && strings.Contains(got.Audit.Resource, "/revisions/") && got.Audit.Revision == "" {
		t.Errorf("no revision: %s", line)
	}
}

// TestRealEntriesAreFound asks for each workload of the real data and expects
// every one of its entries to match the filter.
func TestRealEntriesAreFound(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "logging", "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var e loggingpb.LogEntry
			if json.Unmarshal([]byte(line), &map[string]any{}) != nil || (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(line), &e) != nil {
				continue
			}
			labels := e.GetResource().GetLabels()
			w := finding.Workload{Project: labels["project_id"], Location: labels["location"], Kind: finding.Service, Name: labels["service_name"]}
			switch {
			case e.GetResource().GetType() == "cloud_run_job":
				w.Kind, w.Name = finding.Job, labels["job_name"]
			case e.GetResource().GetType() != "cloud_run_revision":
				continue
			case w.Name == "" && labels["configuration_name"] != "":
				w.Name = labels["configuration_name"]
			case w.Name == "": // all labels are empty in some audit entries
				w.Name = path.Base(entryOf(&e).Audit.Resource)
			}
			q := evidence.LogQuery{Workload: w, Event: timeOf(&e), Before: time.Minute, After: time.Minute}
			expr, err := parseFilter(Filter([]evidence.LogQuery{align(q)}))
			if err != nil {
				t.Fatal(err)
			}
			if !expr.matches(t, &e) || !about(&e, w) {
				t.Errorf("filter %v, about %v: %s", expr.matches(t, &e), about(&e, w), line)
			}
			found++
		}
	}
	if found < 100 {
		t.Errorf("%d entries", found)
	}
}

func FuzzEntryOf(f *testing.F) {
	f.Add([]byte(`{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","methodName":"x.SetIamPolicy","request":{"policy":{"bindings":[{"members":[1]}]}}}}`))
	f.Add([]byte(`{"jsonPayload":{"message":{"message":{"error":[1]}},"stack":5}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e loggingpb.LogEntry
		if protojson.Unmarshal(data, &e) != nil {
			return
		}
		got := entryOf(&e)
		if len(got.Text) > maxText || !utf8.ValidString(got.Text) {
			t.Errorf("text of %d bytes, valid %v", len(got.Text), utf8.ValidString(got.Text))
		}
		about(&e, finding.Workload{Kind: finding.Service, Name: "x"})
	})
}

// TestRealEntriesAreQuiet reads ordinary services' logs: none of them was
// attacked, so no signal of an attack may show. People deploy at night, too.
func TestRealEntriesAreQuiet(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "logging", "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var l evidence.Logs
		for line := range strings.Lines(string(data)) {
			var e loggingpb.LogEntry
			if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(line), &e) == nil {
				l.Entries = append(l.Entries, entryOf(&e))
			}
		}
		l.Entries = tidy(l.Entries, time.Time{})
		for _, s := range evidence.Signals(l, nil) {
			all[s.Kind] += s.Count
			switch s.Kind {
			case evidence.SignalError, evidence.SignalStackTrace, evidence.SignalDeploy, evidence.SignalOffHoursDeploy, evidence.SignalIAMChange, evidence.SignalHTTP4xx,
				evidence.SignalHTTP5xx, evidence.SignalCrash, evidence.SignalRestart, evidence.SignalUpload:
			default:
				t.Errorf("%s: %s(%d), first %+v", filepath.Base(name), s.Kind, s.Count, l.Entries[s.Entries[0]])
			}
		}
	}
	t.Log(all)
	if all[evidence.SignalError] == 0 || all[evidence.SignalDeploy] == 0 || all[evidence.SignalStackTrace] == 0 {
		t.Errorf("signals %v", all)
	}
}
