package main

import (
	"fmt"
	"maps"
	"slices"
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
	table := &reliabilityTable{rows: map[string]reliabilityRow{}}
	list := faultScenarios()
	t.Cleanup(func() { table.finish(t, list) })
	_, control := runScenario(t, base, &faultScenario{name: "control", seed: 1}, nil)
	for _, sc := range list {
		for seed := range uint64(*seeds) {
			if seed > 0 && !sc.drawn {
				break
			}
			name := sc.name
			if sc.seed = seed + 1; seed > 0 {
				name = fmt.Sprintf("%s_%d", name, sc.seed)
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row, _ := runScenario(t, base, &sc, control)
				table.add(name, row)
			})
		}
	}
}

// runScenario breaks things, heals them, and checks what must hold whatever
// happened. It returns what happened, and the marks at rest, which are to be
// those of the control.
func runScenario(t *testing.T, base time.Time, sc *faultScenario, control map[string]map[string]string) (reliabilityRow, map[string]map[string]string) {
	t.Helper()
	r := newFaultRig(t, base, sc)
	r.arrive()
	r.pump(8)
	if len(sc.down) > 0 {
		r.down(sc.down...)
	}
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
	r.down()
	r.bounded(sc)
	row := reliabilityRow{injected: sc.injected, first: r.firstStates(), fixedFirst: sc.first, rest: r.restStates(), ledger: r.balance(), calls: r.perFinding()}
	t.Logf("%s%d mark writes, %d follow-ups", row.text(sc.name), r.truth.writes, r.queue.ran)
	return row, got
}

// down checks the gauge of every source: 1 for those that are down.
func (r *faultRig) down(sources ...string) {
	r.t.Helper()
	for _, source := range []string{"findings", "marks", "logs", "config", "virustotal"} {
		want := "0"
		if slices.Contains(sources, source) {
			want = "1"
		}
		if got := r.gauge(`scc_enricher_source_down{source="` + source + `"}`); got != want && (want == "1" || len(sources) == 0) {
			r.t.Errorf("%s is down: %s, want %s", source, got, want)
		}
	}
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
	// A redelivery and a follow-up may meet on one finding, and write the same;
	// writes whose answers got lost are bounded with the attempts.
	allowed := 0
	if again > 0 {
		allowed = faultFindings
	}
	if r.truth.repeated > allowed && !sc.repeats {
		r.t.Errorf("%d writes of marks that were there already, want at most %d", r.truth.repeated, allowed)
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
