package record

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// TestSignalsNameTheirEntries: each signal points to entries of the record that
// show it, however many others are there.
func TestSignalsNameTheirEntries(t *testing.T) {
	t.Parallel()
	in := fullInput()
	l := &in.Evidence.Logs
	for range 100 { // ordinary lines do not shift them
		l.Entries = append([]evidence.LogEntry{{Kind: evidence.LogApp, Time: event.Add(-5 * time.Minute), Text: "fine"}}, l.Entries...)
	}
	in.Assessment.Signals = evidence.Signals(*l, in.Finding)
	rec := New(in, newRedactor(t))
	if len(rec.Logs.Signals) < 5 {
		t.Fatalf("signals %+v", rec.Logs.Signals)
	}
	for _, s := range rec.Logs.Signals {
		if len(s.Entries) == 0 {
			t.Errorf("%s(%d) names no entry", s.Kind, s.Count)
		}
		for _, at := range s.Entries {
			if e := rec.Logs.Entries[at]; e.InsertID == "" {
				t.Errorf("%s names an ordinary line: %+v", s.Kind, e)
			} else if s.Kind == evidence.SignalShellOutput && e.InsertID != "b" {
				t.Errorf("%s names %+v", s.Kind, e)
			}
		}
	}
}

func TestSeenBefore(t *testing.T) {
	t.Parallel()
	in := fullInput()
	want := &SeenBefore{
		Count: 2, Days: 2, ClosedDays: 1, First: event.Add(-72 * time.Hour), Last: event.Add(-48 * time.Hour),
		Attacks: 1, LastAttack: event.Add(-99 * time.Hour), NewHost: "x[.]example[.]org", Findings: []string{"f0"},
	}
	if diff := cmp.Diff(want, New(in, newRedactor(t)).SeenBefore); diff != "" {
		t.Errorf("seen before (-want +got):\n%s", diff)
	}
	in.Assessment.Precedent.Count, in.Assessment.Precedent.Attacks = 0, 0
	if got := New(in, newRedactor(t)).SeenBefore; got != nil {
		t.Errorf("seen before = %+v, want nothing", got)
	}
}
