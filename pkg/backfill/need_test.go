package backfill_test

import (
	"maps"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

const prefix = "enrich_"

var event = time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC)

// seed is an active finding on a service, without marks.
func seed() *finding.Finding {
	const resource = "//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/web"
	w, _ := finding.ParseWorkload(resource)
	const name = "projects/123456789012/sources/42/locations/global/findings/f1"
	return &finding.Finding{
		Name: name, CanonicalName: name, Category: "Unexpected Child Shell", State: finding.Active,
		EventTime: event, Workload: w, ResourceName: resource,
	}
}

// written are marks as the pipeline writes them, with a status and sources.
func written(status string, sources map[string]string) map[string]string {
	rec := &record.Record{SchemaVersion: 1, Status: status, Finding: record.Finding{EventTime: event}, Time: event.Add(time.Minute)}
	for _, name := range []string{"findings", "logs", "config", "virustotal"} {
		state := sources[name]
		if state == "" {
			state = "ok"
		}
		rec.Sources = append(rec.Sources, record.Source{Name: name, State: state})
	}
	return marks.Render(rec, prefix).Values
}

func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	out[key] = value
	return out
}

func TestClassify(t *testing.T) {
	t.Parallel()
	complete := written("complete", nil)
	tests := []struct {
		name   string
		change func(*finding.Finding)
		need   backfill.Need
		why    string
	}{
		{"no marks", func(*finding.Finding) {}, backfill.Missing, "no marks of ours"},
		{"other people's marks", func(f *finding.Finding) { f.Marks = map[string]string{"team": "red", "enrich_notes": "x"} }, backfill.Missing, "no marks of ours"},
		{"complete", func(f *finding.Finding) { f.Marks = complete }, backfill.None, "complete"},
		{"complete, with other people's marks", func(f *finding.Finding) { f.Marks = with(complete, "team", "red") }, backfill.None, "complete"},
		{"fired again", func(f *finding.Finding) { f.Marks, f.EventTime = complete, event.Add(time.Nanosecond) }, backfill.Stale, "marks are of the event at 2026-03-01T10:00:00Z"},
		{"marks of a newer event", func(f *finding.Finding) { f.Marks, f.EventTime = complete, event.Add(-time.Second) }, backfill.Stale, "marks are of the event at 2026-03-01T10:00:00Z"},
		{"older schema", func(f *finding.Finding) { f.Marks = with(complete, "enrich_schema", "0") }, backfill.Stale, `schema "0", not "1"`},
		{"hostile schema", func(f *finding.Finding) {
			f.Marks = with(complete, "enrich_schema", "\x1b[31m0123456789012345678901234")
		}, backfill.Stale, `schema "\x1b[31m012345678901234", not "1"`},
		{"newer schema", func(f *finding.Finding) { f.Marks = with(complete, "enrich_schema", "2") }, backfill.None, "newer_schema"},
		{"no event time", func(f *finding.Finding) { f.Marks = with(complete, "enrich_event_time", "soon") }, backfill.Stale, "no readable event time"},
		{"a mark of ours was changed", func(f *finding.Finding) { f.Marks = with(complete, "enrich_status", "partial") }, backfill.Stale, "marks were changed since they were written"},
		{"partial", func(f *finding.Finding) {
			f.Marks = written("partial", map[string]string{"logs": "quota", "virustotal": "timeout", "config": "empty"})
		}, backfill.Partial, "not answered: logs=quota, virustotal=timeout"},
		{"partial without a word of ours", func(f *finding.Finding) { f.Marks = written("partial", nil) }, backfill.Partial, "not answered: unknown"},
		{"muted", func(f *finding.Finding) { f.Mute = "MUTED" }, backfill.None, "muted"},
		{"inactive", func(f *finding.Finding) { f.State = finding.Inactive }, backfill.None, "inactive"},
		{"deleted", func(f *finding.Finding) { f.Deleted = true }, backfill.None, "deleted"},
		{"not a workload", func(f *finding.Finding) { f.Workload = finding.Workload{} }, backfill.None, "not_a_container"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := seed()
			tt.change(f)
			if need, why := backfill.Classify(f, prefix); need != tt.need || why != tt.why {
				t.Errorf("Classify = %q, %q; want %q, %q", need, why, tt.need, tt.why)
			}
		})
	}
}
