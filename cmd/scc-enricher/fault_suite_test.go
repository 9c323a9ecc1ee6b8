package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// faultScenario is one thing that goes wrong.
type faultScenario struct {
	name string
	// injected says it in words.
	injected string
	rules    []emulator.Fault
	quotas   *emulator.Quotas
	flags    []string
	push     emulator.PushOptions
	// skew is how far Security Command Center's clock is ahead of ours.
	skew time.Duration
	// outage is for how long follow-ups run before everything heals.
	outage time.Duration
	// first are the states that the first marks must name, where they do not
	// depend on the order of things.
	first string
	// most bounds the attempts at a source a finding, 8 where it says nothing.
	most map[string]float64
}

func faultScenarios() []faultScenario {
	u, all := codes.Unavailable, faultFindings
	_ = all
	return []faultScenario{
		{name: "none", injected: "nothing", first: "all answered"},
		{name: "flaky", injected: "25 % of all calls `UNAVAILABLE`", rules: []emulator.Fault{{Method: "*", Code: u, Probability: 0.25}}, outage: 10 * time.Minute},
		{name: "findings_down", injected: "`ListFindings` `UNAVAILABLE` for 30 min", rules: []emulator.Fault{{Method: "ListFindings", Code: u}}, outage: 30 * time.Minute, first: "findings=error 18"},
		{name: "logs_down", injected: "`ListLogEntries` `UNAVAILABLE` for 30 min", rules: []emulator.Fault{{Method: "ListLogEntries", Code: u}}, outage: 30 * time.Minute, first: "logs=error 18"},
		{name: "config_down", injected: "Cloud Run Admin API `UNAVAILABLE` for 30 min", rules: []emulator.Fault{{Method: "google.cloud.run.v2.*/*", Code: u}}, outage: 30 * time.Minute, first: "config=error 18"},
		{name: "virustotal_down", injected: "VirusTotal HTTP 503 for 30 min", rules: []emulator.Fault{{Method: "virustotal/*", Code: u}}, outage: 30 * time.Minute, first: "virustotal=error 18"},
	}
}

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
	r.rests()
	r.nothingLost()
	r.told()
	got := r.atRest()
	if diff := cmp.Diff(control, got); control != nil && diff != "" {
		t.Errorf("marks at rest (-without faults +with):\n%.3000s", diff)
	}
	l, per := r.balance(), r.perFinding()
	for source, n := range per {
		most := 8.0
		if m, ok := sc.most[source]; ok {
			most = m
		}
		if n > most {
			t.Errorf("%.1f attempts at %s a finding, want at most %.0f", n, source, most)
		}
	}
	if first := r.firstStates(); sc.first != "" && first != sc.first {
		t.Errorf("first states %q, want %q", first, sc.first)
	}
	if r.queue.dropped > 0 {
		t.Errorf("%d follow-ups were dropped", r.queue.dropped)
	}
	t.Logf("%s | %s | %s | %s | %s | writes %d (%d repeated) | followups %d failed %d | %s", sc.name, l, calls(per), r.firstStates(), r.restStates(), r.truth.writes, r.truth.repeated, r.queue.ran, r.queue.failed, time.Since(began).Round(time.Millisecond))
	return got
}
