package enrich_test

import (
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

func TestGate(t *testing.T) {
	t.Parallel()
	intact := written(t)
	at := func(event time.Time) map[string]string {
		return with(intact, "enrich_event_time", event.Format(marks.EventTimeLayout))
	}
	tests := []struct {
		name   string
		change func(*finding.Finding)
		want   enrich.Decision
	}{
		{"new", func(*finding.Finding) {}, enrich.Go},
		{"other people's marks", func(f *finding.Finding) { f.Marks = map[string]string{"team": "red"} }, enrich.Go},
		{"echo", func(f *finding.Finding) { f.Marks = intact }, enrich.Echo},
		{"echo with keys in another case", func(f *finding.Finding) { f.Marks = upper(intact) }, enrich.Echo},
		{"foreign edit beside our marks", func(f *finding.Finding) { f.Marks = with(intact, "team", "red") }, enrich.Echo},
		{"foreign edit of our mark", func(f *finding.Finding) { f.Marks = with(intact, "enrich_verdict", "likely_benign") }, enrich.Unchanged},
		{"unmuted", func(f *finding.Finding) { f.Marks, f.Mute = intact, "UNMUTED" }, enrich.Echo},
		{"muted", func(f *finding.Finding) { f.Mute = "MUTED" }, enrich.Muted},
		{"inactive", func(f *finding.Finding) { f.State = finding.Inactive }, enrich.Inactive},
		{"deleted", func(f *finding.Finding) { f.Deleted = true }, enrich.Deleted},
		{"no workload", func(f *finding.Finding) { f.Workload = finding.Workload{} }, enrich.NotAContainer},
		{"fired again", func(f *finding.Finding) { f.Marks = at(event.Add(-time.Nanosecond)) }, enrich.Go},
		{"older than the marks", func(f *finding.Finding) { f.Marks = at(event.Add(time.Nanosecond)) }, enrich.Older},
		{"marks of another schema", func(f *finding.Finding) { f.Marks = with(intact, "enrich_schema", "0") }, enrich.Go},
		{"marks without digest", func(f *finding.Finding) { f.Marks = with(intact, "enrich_digest", "") }, enrich.Go},
		{"unreadable event time", func(f *finding.Finding) { f.Marks = with(intact, "enrich_event_time", "soon") }, enrich.Go},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := seed()
			tt.change(f)
			if got := enrich.Gate(f, prefix); got != tt.want {
				t.Errorf("Gate = %q, want %q", got, tt.want)
			}
		})
	}
}
