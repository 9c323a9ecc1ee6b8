package main

import (
	"testing"
	"time"
)

// TestBackfillSettles: the service wrote two findings of one container and died
// before it could settle them; backfill makes them agree.
func TestBackfillSettles(t *testing.T) {
	t.Parallel()
	m := newMissed(t, 0)
	m.names = append(m.names, m.add("first", 20*time.Minute))
	m.run()
	m.names = append(m.names, m.add("second", 10*time.Minute))
	m.run()
	for _, name := range m.names {
		marks := m.emu.Marks(name)
		if marks["enrich_incident"] == "" || marks["enrich_related_count"] != "1" {
			t.Errorf("%s: incident %q, related_count %q; want both findings to name each other", name, marks["enrich_incident"], marks["enrich_related_count"])
		}
	}
	m.emu.ResetCalls()
	if s := m.run(); s["enriched"] != float64(0) {
		t.Errorf("a third run enriched %v", s["enriched"])
	}
	for _, c := range m.emu.Calls() {
		if c.Name() == "UpdateSecurityMarks" {
			t.Error("a run with nothing to do wrote marks")
		}
	}
}
