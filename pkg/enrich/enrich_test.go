package enrich_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

func TestEnrichWritesOnceToTheCanonicalName(t *testing.T) {
	t.Parallel()
	w := &world{}
	f := seed()
	f.Marks = map[string]string{"team": "red", "Enrich_Vt": "stale", "enrich_notes": "somebody else's"}
	res, err := pipeline(t, w).Enrich(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if res.Decision != enrich.Written || len(w.writes) != 1 {
		t.Fatalf("decision %q, %d writes; want one write", res.Decision, len(w.writes))
	}
	got := w.writes[0]
	if got.Name != f.CanonicalName || got.Fallback != f.Name {
		t.Errorf("written to %q, fallback %q", got.Name, got.Fallback)
	}
	if diff := cmp.Diff([]string{"Enrich_Vt"}, got.Delete); diff != "" {
		t.Errorf("deleted keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"findings": 1, "config": 1, "logs": 1, "write": 1, "record": 1}, w.count()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if len(w.records) != 1 || !json.Valid(w.records[0]) {
		t.Errorf("%d records", len(w.records))
	}
}

func TestGateCostsNoCall(t *testing.T) {
	t.Parallel()
	w := &world{}
	f := seed()
	f.Marks = written(t)
	res, err := pipeline(t, w).Enrich(t.Context(), f)
	if err != nil || res.Decision != enrich.Echo {
		t.Fatalf("decision %v, error %v; want echo", res, err)
	}
	if len(w.count()) != 0 {
		t.Errorf("calls = %v, want none", w.count())
	}
}

// TestFailedSources: a source that fails never fails the delivery, and its
// state is said.
func TestFailedSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		errs    map[string]error
		sources string
		status  string
	}{
		{"all answer", nil, "findings=empty,logs=ok,config=ok,virustotal=not_applicable", "complete"},
		{"logs out of quota", map[string]error{"logs": &evidence.QuotaError{Upstream: "logging", Scope: "minute"}}, "findings=empty,logs=quota,config=ok,virustotal=not_applicable", "partial"},
		{"config denied", map[string]error{"config": fmt.Errorf("x: %w", evidence.ErrDenied)}, "findings=empty,logs=ok,config=denied,virustotal=not_applicable", "partial"},
		{"findings late", map[string]error{"findings": context.DeadlineExceeded}, "findings=timeout,logs=ok,config=ok,virustotal=not_applicable", "partial"},
		{"all fail", map[string]error{"findings": errors.New("x"), "config": errors.New("x"), "logs": errors.New("x")}, "findings=error,logs=error,config=error,virustotal=not_applicable", "partial"},
		{"deleted workload", map[string]error{"config": fmt.Errorf("x: %w", evidence.ErrNotFound)}, "findings=empty,logs=ok,config=empty,virustotal=not_applicable", "complete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{errs: tt.errs}
			res, err := pipeline(t, w).Enrich(t.Context(), seed())
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Marks["enrich_sources"]; got != tt.sources {
				t.Errorf("sources = %q, want %q", got, tt.sources)
			}
			if got := res.Marks["enrich_status"]; got != tt.status {
				t.Errorf("status = %q, want %q", got, tt.status)
			}
		})
	}
}

func TestFailedWrites(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		err       error
		reason    string
		permanent bool
	}{
		{"gone", fmt.Errorf("x: %w", marks.ErrGone), "gone", true},
		{"rejected", fmt.Errorf("x: %w", marks.ErrRejected), "marks_rejected", true},
		{"quota", &evidence.QuotaError{}, "write_quota", false},
		{"denied", fmt.Errorf("x: %w", evidence.ErrDenied), "write_denied", false},
		{"deadline", context.DeadlineExceeded, "deadline", false},
		{"unavailable", errors.New("unavailable"), "write_failed", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{errs: map[string]error{"write": tt.err}}
			_, err := pipeline(t, w).Enrich(t.Context(), seed())
			f, ok := errors.AsType[*enrich.Failure](err)
			if !ok || f.Reason != tt.reason || f.Permanent != tt.permanent || !errors.Is(err, tt.err) {
				t.Errorf("error = %#v, want reason %q, permanent %v", err, tt.reason, tt.permanent)
			}
			if w.count()["record"] != 0 {
				t.Error("a record was published although the marks were not written")
			}
		})
	}
}

func TestNoEventTimeIsPermanent(t *testing.T) {
	t.Parallel()
	f := seed()
	f.EventTime = time.Time{}
	_, err := pipeline(t, &world{}).Enrich(t.Context(), f)
	if fail, ok := errors.AsType[*enrich.Failure](err); !ok || !fail.Permanent || fail.Reason != "no_event_time" {
		t.Errorf("error = %v, want a permanent no_event_time", err)
	}
}

// TestListedStateWins: what ListFindings says of the seed is younger than the
// notification.
func TestListedStateWins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*finding.Finding)
		want   enrich.Decision
	}{
		{"the same", func(*finding.Finding) {}, enrich.Written},
		{"fired again meanwhile", func(f *finding.Finding) { f.EventTime = event.Add(1) }, enrich.Older},
		{"closed meanwhile", func(f *finding.Finding) { f.State = finding.Inactive }, enrich.Inactive},
		{"muted meanwhile", func(f *finding.Finding) { f.Mute = "MUTED" }, enrich.Muted},
		{"not yet at this event", func(f *finding.Finding) { f.EventTime = event.Add(-1) }, enrich.Written},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			listed := seed()
			tt.change(listed)
			w := &world{related: []finding.Finding{*listed}}
			res, err := pipeline(t, w).Enrich(t.Context(), seed())
			if err != nil || res.Decision != tt.want {
				t.Fatalf("decision %v, error %v; want %q", res, err, tt.want)
			}
			if wrote := len(w.writes) == 1; wrote != (tt.want == enrich.Written) {
				t.Errorf("%d writes for %q", len(w.writes), tt.want)
			}
		})
	}
}

// TestRedelivery: the same message again costs nothing in this process, and one
// read in another: its marks are on the finding already.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	w := &world{}
	p := pipeline(t, w)
	for i, want := range []enrich.Decision{enrich.Written, enrich.Unchanged} {
		res, err := p.Enrich(t.Context(), seed())
		if err != nil || res.Decision != want {
			t.Fatalf("delivery %d: %v, %v; want %q", i+1, res, err, want)
		}
	}
	if n := w.count()["findings"]; n != 1 {
		t.Errorf("listed %d times, want once", n)
	}
	listed := seed()
	listed.Marks = w.writes[0].Set
	other := &world{related: []finding.Finding{*listed}}
	res, err := pipeline(t, other).Enrich(t.Context(), seed())
	if err != nil || res.Decision != enrich.Unchanged {
		t.Fatalf("in another process: %v, %v; want unchanged", res, err)
	}
	if len(other.writes) != 0 || other.count()["record"] != 0 {
		t.Error("another process wrote what is there already")
	}
}

func TestConcurrentDeliveriesWriteOnce(t *testing.T) {
	t.Parallel()
	w := &world{}
	p := pipeline(t, w)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := p.Enrich(t.Context(), seed()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(w.writes) != 1 {
		t.Errorf("20 deliveries of one finding made %d writes, want 1", len(w.writes))
	}
}

func TestRecordFailureKeepsTheMarks(t *testing.T) {
	t.Parallel()
	w := &world{errs: map[string]error{"record": errors.New("topic gone")}}
	res, err := pipeline(t, w).Enrich(t.Context(), seed())
	if err != nil || res.Decision != enrich.Written || res.RecordErr == nil {
		t.Errorf("result %+v, error %v; want written with a record error", res, err)
	}
}

func TestInvestigatePassesTheGate(t *testing.T) {
	t.Parallel()
	w := &world{}
	p := pipeline(t, w)
	p.Writer = nil
	f := seed()
	f.State = finding.Inactive
	res, err := p.Investigate(t.Context(), f)
	if err != nil || res.Record == nil {
		t.Fatalf("result %+v, error %v; want a record", res, err)
	}
	if w.count()["write"] != 0 {
		t.Error("a dry run wrote marks")
	}
}

// TestRefreshPassesMarks: marks of any event do not stop a refresh, that the
// finding is closed does, and what is on it already is not written again.
func TestRefreshPassesMarks(t *testing.T) {
	t.Parallel()
	intact := written(t)
	tests := []struct {
		name   string
		change func(*finding.Finding)
		want   enrich.Decision
		asked  bool
	}{
		{"no marks", func(*finding.Finding) {}, enrich.Written, true},
		{"marks of this event", func(f *finding.Finding) { f.Marks = intact }, enrich.Unchanged, true},
		{"partial marks of this event", func(f *finding.Finding) { f.Marks = with(intact, "enrich_status", "partial") }, enrich.Written, true},
		{"marks of a newer event", func(f *finding.Finding) {
			f.Marks = with(intact, "enrich_event_time", event.Add(time.Second).Format(marks.EventTimeLayout))
		}, enrich.Written, true},
		{"inactive", func(f *finding.Finding) { f.State = finding.Inactive }, enrich.Inactive, false},
		{"muted", func(f *finding.Finding) { f.Mute = "MUTED" }, enrich.Muted, false},
		{"deleted", func(f *finding.Finding) { f.Deleted = true }, enrich.Deleted, false},
		{"no workload", func(f *finding.Finding) { f.Workload = finding.Workload{} }, enrich.NotAContainer, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			f := seed()
			tt.change(f)
			res, err := pipeline(t, w).Refresh(t.Context(), f)
			if err != nil || res.Decision != tt.want {
				t.Fatalf("decision %v, error %v; want %q", res, err, tt.want)
			}
			if wrote := len(w.writes) == 1; wrote != (tt.want == enrich.Written) {
				t.Errorf("%d writes for %q", len(w.writes), tt.want)
			}
			if asked := w.count()["logs"] > 0; asked != tt.asked {
				t.Errorf("sources were asked: %v, want %v", asked, tt.asked)
			}
		})
	}
}

// TestRefreshAfterEnrich: what was finished a moment ago is looked at again.
func TestRefreshAfterEnrich(t *testing.T) {
	t.Parallel()
	w := &world{}
	p := pipeline(t, w)
	if _, err := p.Enrich(t.Context(), seed()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Refresh(t.Context(), seed()); err != nil || w.count()["config"] != 2 {
		t.Errorf("error %v, calls %v; want a second look", err, w.count())
	}
	f := seed()
	f.EventTime = time.Time{}
	if _, err := p.Refresh(t.Context(), f); err == nil {
		t.Error("a finding without event time was refreshed")
	}
}
