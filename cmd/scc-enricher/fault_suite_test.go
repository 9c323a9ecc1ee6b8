package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReliability: whatever fails, nothing is lost, no source is said to have
// answered that did not, and once it is healed the marks become those of a run
// without faults.
func TestReliability(t *testing.T) {
	t.Parallel()
	base := time.Now().Truncate(time.Second).Add(-10 * time.Minute)
	control := runScenario(t, base, &faultScenario{name: "control"}, nil)
	for _, sc := range faultScenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			runScenario(t, base, &sc, control)
		})
	}
}

// runScenario returns the marks at rest, which are to be those of the control.
func runScenario(t *testing.T, base time.Time, sc *faultScenario, control map[string]map[string]string) map[string]map[string]string {
	t.Helper()
	began := time.Now()
	r := newFaultRig(t, base, sc)
	r.arrive()
	r.pump(8)
	r.live(sc.outage)
	if sc.denied != "" {
		r.deniedAlone(sc.denied, control)
	}
	r.rests()
	if sc.denied != "" {
		r.backfill()
	}
	r.nothingLost()
	r.told()
	got := r.atRest()
	if diff := cmp.Diff(control, got); control != nil && diff != "" {
		t.Errorf("marks at rest (-without faults +with):\n%.3000s", diff)
	}
	if first := r.firstStates(); sc.first != "" && first != sc.first {
		t.Errorf("first states %q, want %q", first, sc.first)
	}
	if rest := r.restStates(); rest != "all answered" {
		t.Errorf("states at rest %q", rest)
	}
	if r.queue.dropped > 0 {
		t.Errorf("%d follow-ups were dropped", r.queue.dropped)
	}
	r.bounded(sc)
	l := r.balance()
	t.Logf("%s | %s | %s | %s | %s | writes %d (%d repeated) | followups %d failed %d | %s", sc.name, l, calls(r.perFinding()), r.firstStates(), r.restStates(), r.truth.writes, r.truth.repeated, r.queue.ran, r.queue.failed, time.Since(began).Round(time.Millisecond))
	return got
}

// bounded checks that no source was stormed, and no marks were written twice.
func (r *faultRig) bounded(sc *faultScenario) {
	r.t.Helper()
	// What was not acknowledged comes again as often as Pub/Sub likes: each
	// time may cost one attempt.
	again := float64(r.ledger().Nacked) / faultFindings
	for source, n := range r.perFinding() {
		if n > mostAttempts+again {
			r.t.Errorf("%.1f attempts at %s a finding, want at most %.1f", n, source, mostAttempts+again)
		}
	}
	if r.truth.repeated > 0 && !sc.repeats {
		r.t.Errorf("%d writes of marks that were there already", r.truth.repeated)
	}
}

// deniedAlone checks that a project without permission says so and leaves the
// others alone.
func (r *faultRig) deniedAlone(project string, control map[string]map[string]string) {
	r.t.Helper()
	got := r.atRest()
	want := maps.Clone(control)
	for name, marks := range got {
		if !strings.Contains(marks["enrich_workload"], "/"+project+"/") {
			continue
		}
		if !strings.HasPrefix(marks["enrich_sources"], "findings=denied,logs=denied,config=denied,") || marks["enrich_status"] != "partial" {
			r.t.Errorf("%s: %s with %s", name, marks["enrich_status"], marks["enrich_sources"])
		}
		delete(got, name)
		delete(want, name)
	}
	if len(got) != faultFindings*(faultProjects-1)/faultProjects {
		r.t.Errorf("%d findings of the other projects", len(got))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("marks of the other projects (-without faults +with):\n%.3000s", diff)
	}
}

// backfill runs the command backfill, which asks again what was denied.
func (r *faultRig) backfill() {
	r.t.Helper()
	args := []string{
		"backfill", "--since=24h", "--parent=organizations/" + faultOrganization, "--rate=60000/min",
		"--scc-endpoint=" + r.api, "--logging-endpoint=" + r.api, "--run-endpoint=" + r.api, "--vt-endpoint=" + r.vt, "--vt-api-key=made-up",
	}
	code, out, errs := command(r.t.Context(), "", append(args, unbounded()...)...)
	if code != 0 {
		r.t.Fatalf("backfill: exit %d: %s", code, errs)
	}
	if want := fmt.Sprint(faultFindings / faultProjects); !strings.Contains(out+errs, want) {
		r.t.Errorf("backfill: %s%s", out, errs)
	}
	if !r.pump(100) {
		r.t.Error("messages are still not acknowledged")
	}
}
