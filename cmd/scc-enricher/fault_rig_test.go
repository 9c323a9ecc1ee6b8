package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/push"
)

// faultRig is the service in front of upstreams that can be broken, fed by a
// push subscription, with its follow-ups in a time that can be moved on.
type faultRig struct {
	*rig
	base       time.Time
	clock      *faultClock
	queue      *faultQueue
	truth      *truth
	pusher     *emulator.Pusher
	dead       *deadLetterBox
	duplicates int
	names      []string // of the findings to be enriched
}

// deadLetterBox is a dead-letter topic in memory.
type deadLetterBox struct {
	mu  sync.Mutex
	all []string
}

// DeadLetter implements push.DeadLetterer.
func (d *deadLetterBox) DeadLetter(_ context.Context, m *push.Message, reason, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, reason+": "+string(m.Data))
	return nil
}

// unbounded are flags and quotas under which no budget is ever spent.
func unbounded() []string {
	return []string{
		"--logging-reads-per-minute=100000", "--scc-reads-per-minute=100000", "--scc-writes-per-minute=100000",
		"--vt-requests-per-minute=100000", "--vt-requests-per-day=1000000",
	}
}

func newFaultRig(t *testing.T, base time.Time, sc *faultScenario) *faultRig {
	t.Helper()
	r := &faultRig{base: base, clock: &faultClock{}, truth: newTruth(), dead: &deadLetterBox{}, duplicates: sc.push.Duplicates}
	r.queue = &faultQueue{clock: r.clock, held: map[string]*heldTask{}}
	world := faultWorld(t, base, func() time.Time { return r.clock.now().Add(sc.skew) })
	flags := unbounded()
	quotas := emulator.Quotas{SCCReads: -1, SCCWrites: -1, LoggingReads: -1, RunReads: -1, VTPerMinute: -1, VTPerDay: -1}
	if sc.quotas != nil {
		quotas = *sc.quotas
	}
	r.rig = newRig(t, rigOptions{
		emulator: emulator.Options{World: world, Quotas: quotas, Intercept: r.truth.check, Observe: r.truth.observe, RecordLimit: 1, Faults: &emulator.Faults{Seed: sc.seed, Rules: sc.rules}},
		now:      r.clock.now,
		change: func(svc *service) {
			svc.pipeline.FollowUps = counted{r.queue, svc.metrics}
			svc.push.DeadLetters = r.dead
		},
		flags: append(flags, sc.flags...),
	})
	o := sc.push
	o.URL, o.AckDeadline, o.MinBackoff, o.MaxBackoff, o.Seed = r.url, time.Minute, 20*time.Millisecond, 200*time.Millisecond, sc.seed
	r.pusher = emulator.NewPusher(o)
	t.Cleanup(r.pusher.Close)
	world.OnPublish(r.pusher.PublishNotification)
	return r
}

// pump waits until every message is acknowledged. While some are refused it
// moves the clock on, at most so many times.
func (r *faultRig) pump(times int) (quiet bool) {
	r.t.Helper()
	refused := r.pusher.Stats().Nacked
	for end := time.Now().Add(time.Minute); times > 0 && time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(r.t.Context(), 250*time.Millisecond)
		err := r.pusher.Wait(ctx)
		cancel()
		if err == nil {
			return true
		}
		if now := r.pusher.Stats().Nacked; now > refused {
			r.clock.jump(10 * time.Second)
			refused = now
			times--
		}
	}
	return false
}

// live lets follow-ups run for some time of the clock, and what they cause.
func (r *faultRig) live(d time.Duration) {
	r.t.Helper()
	end := r.clock.now().Add(d)
	do := func(ctx context.Context, t followup.Task) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return r.svc.followUp(ctx, t)
	}
	for r.queue.run(r.t.Context(), end, do) > 0 {
		r.pump(10)
	}
	r.clock.jump(end.Sub(r.clock.now()))
}

// rests heals everything, and lets the service come to rest.
func (r *faultRig) rests() {
	r.t.Helper()
	if err := r.emu.SetFaults(nil); err != nil {
		r.t.Fatal(err)
	}
	if !r.pump(100) {
		r.t.Fatalf("messages are still not acknowledged: %+v; %s", r.pusher.Stats(), r.log.lastLine())
	}
	// Nothing is under way, and whatever is asked from here on is answered: a
	// machine that is busy must not make a source look silent.
	r.svc.pipeline.Collector.SourceTimeout, r.svc.pipeline.Settings.Timeout = 20*time.Second, 50*time.Second
	r.live(48 * time.Hour)
	if !r.pump(100) {
		r.t.Fatalf("messages are still not acknowledged: %+v; %s", r.pusher.Stats(), r.log.lastLine())
	}
	if n := len(r.queue.held); n > 0 {
		r.t.Errorf("%d follow-ups are left after two days", n)
	}
}

// atRest are the marks of all findings, but for the time they were written.
func (r *faultRig) atRest() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, name := range r.names {
		mine := own(r.emu.Marks(name))
		delete(mine, "enrich_time")
		all[name] = mine
	}
	return all
}

// nothingLost checks that every finding has marks of its event, and that what
// can never succeed is kept, once for each delivery.
func (r *faultRig) nothingLost() {
	r.t.Helper()
	for name, marks := range r.atRest() {
		if marks["enrich_status"] == "" {
			r.t.Errorf("lost: %s has no marks", name)
		}
	}
	r.dead.mu.Lock()
	defer r.dead.mu.Unlock()
	if got := slices.Compact(slices.Sorted(slices.Values(r.dead.all))); !cmp.Equal(got, []string{"not_json: no JSON"}) {
		r.t.Errorf("dead letters %q", got)
	}
}

// told reports what the checker of all writes saw.
func (r *faultRig) told() {
	r.t.Helper()
	r.truth.mu.Lock()
	defer r.truth.mu.Unlock()
	for _, lie := range r.truth.lies[:min(len(r.truth.lies), 10)] {
		r.t.Errorf("untrue: %s", lie)
	}
}

// perFinding are the attempts at each source a finding.
func (r *faultRig) perFinding() map[string]float64 {
	r.truth.mu.Lock()
	defer r.truth.mu.Unlock()
	out := map[string]float64{}
	for source, n := range r.truth.calls {
		out[source] = float64(n) / faultFindings
	}
	return out
}

func (r *faultRig) firstStates() string {
	r.truth.mu.Lock()
	defer r.truth.mu.Unlock()
	return states(slices.Collect(maps.Values(r.truth.first)))
}

func (r *faultRig) restStates() string {
	var all []string
	for _, marks := range r.atRest() {
		all = append(all, marks["enrich_sources"])
	}
	return states(all)
}

// calls is perFinding as text.
func calls(per map[string]float64) string {
	var out []string
	for _, source := range []string{"findings", "logs", "config", "virustotal", "marks"} {
		out = append(out, fmt.Sprintf("%.1f", per[source]))
	}
	return strings.Join(out, " / ")
}
