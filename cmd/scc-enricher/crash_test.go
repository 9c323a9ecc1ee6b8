package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// What the crash test plays: findings alone on their container, and incidents.
const (
	crashSeed    = 4711
	crashes      = 8
	crashAlone   = 250
	crashGroups  = 50
	crashMembers = 5
	crashTotal   = crashAlone + crashGroups*crashMembers
)

// accident kills the program at a call of an emulated API, counted down.
type accident struct {
	left atomic.Int64
	do   func()
	done chan struct{}
}

// arm lets the nth call from now on be the last.
func (a *accident) arm(n int64) { a.left.Store(n) }

func (a *accident) call() {
	if a.left.Add(-1) == 0 {
		a.do()
		a.done <- struct{}{}
	}
}

// tally counts, by finding, the mark writes that reached the API and the
// crashes that met a delivery under way.
type tally struct {
	mu              sync.Mutex
	writes, touched map[string]int
}

func (l *tally) count(m map[string]int, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m[name]++
}

// TestCrashes kills the real program with SIGKILL at random calls while Pub/Sub
// delivers 500 findings. In the end every finding is marked, and a crash costs
// at most one more write of the marks of each finding whose delivery was under
// way then. The settles that died with the process are made up for by backfill.
func TestCrashes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(crashSeed, 0))
	l := &tally{writes: map[string]int{}, touched: map[string]int{}}
	boom := &accident{done: make(chan struct{}, crashes)}
	world := newShops(crashAlone + crashGroups)
	_, api, vt := startAPIs(t, emulator.Options{World: world, Quotas: endless(), Intercept: func(_ context.Context, c emulator.Call) error {
		if req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest); ok {
			l.count(l.writes, strings.TrimSuffix(req.GetSecurityMarks().GetName(), "/securityMarks"))
		}
		boom.call()
		time.Sleep(rand.N(10 * time.Millisecond))
		return nil
	}})
	// Settling waits until the process is told to end: until then every further
	// write is a crash's.
	p := newProgram(t, api, vt, append(unlimited(), "--settle-delay=1h")...)
	boom.do = p.crash
	pusher := emulator.NewPusher(emulator.PushOptions{
		URL: p.url, Concurrency: 32, MaxBackoff: 500 * time.Millisecond, AckDeadline: 30 * time.Second,
		Client: watch(32, func(r *http.Request, _ *http.Response, err error) {
			if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				l.count(l.touched, findingOf(t, r))
			}
		}),
	})
	t.Cleanup(pusher.Close)
	world.OnPublish(pusher.PublishNotification)
	p.start()
	names := make(chan []string, 1)
	go func() { names <- addCrashFindings(t, world) }()
	for range crashes {
		boom.arm(150 + rng.Int64N(180)) // of about 2,700 calls without crashes
		select {
		case <-boom.done:
		case <-time.After(30 * time.Second):
			t.Fatalf("the findings were enriched before %d crashes", crashes)
		}
		p.wait()
		p.start()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	added := <-names
	if err := pusher.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	l.check(t, world, added)
	t.Logf("%d crashes, %+v", crashes, pusher.Stats())

	p.stop() // settles what waits in this process
	before := disagreeing(world)
	backfillAll(t, api, vt)
	after := disagreeing(world)
	t.Logf("%d of %d incidents lost their settle with a process; after backfill %d disagree", len(before), crashGroups, len(after))
	for _, why := range after {
		t.Error(why)
	}
	if len(before) == 0 {
		t.Error("no settle was lost: the crashes came too late to show anything")
	}
}

// addCrashFindings adds all findings one after the other, so that the first
// members of an incident are enriched before the last are there, and returns
// their names.
func addCrashFindings(t *testing.T, world *emulator.World) []string {
	t.Helper()
	names := make([]string, 0, crashTotal)
	for i := range crashTotal {
		at := i / 2
		if i%2 == 1 {
			at = crashAlone + i/2/crashMembers // the members of an incident come one after the other
		}
		f := shopFinding(fmt.Sprintf("crash%03d", i), at)
		if err := world.AddFinding(f, nil, nil); err != nil {
			t.Errorf("add: %v", err)
		}
		names = append(names, f.GetCanonicalName())
		time.Sleep(5 * time.Millisecond)
	}
	return names
}

// check holds that nothing is lost, and what the crashes have cost.
func (l *tally) check(t *testing.T, world *emulator.World, names []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	further := 0
	for _, name := range names {
		f, _, _ := world.Finding(name)
		known := marks.Read("enrich_", f.GetSecurityMarks().GetMarks())
		if !known.Intact || known.Status != "complete" || !known.EventTime.Equal(f.GetEventTime().AsTime()) {
			t.Errorf("%s: marks intact %v, status %q, of the event at %v", name, known.Intact, known.Status, known.EventTime)
		}
		if l.writes[name] > 1+l.touched[name] {
			t.Errorf("%s was written %d times, and %d crashes met its deliveries", name, l.writes[name], l.touched[name])
		}
		further += l.writes[name] - 1
	}
	if len(l.touched) == 0 {
		t.Error("no delivery was under way at any crash")
	}
	t.Logf("the crashes met deliveries of %d findings and cost %d further writes", len(l.touched), further)
}

// agreed are the marks that are the same on all members of an incident.
func agreed() []string {
	return []string{"incident", "related_count", "incident_start", "incident_end", "score", "verdict", "priority", "next_action"}
}

// disagreeing says for each incident whose members do not agree, why.
func disagreeing(world *emulator.World) []string {
	groups := map[string][]string{}
	for _, name := range world.Names() {
		f, _, _ := world.Finding(name)
		groups[f.GetResourceName()] = append(groups[f.GetResourceName()], name)
	}
	var out []string
	for resource, members := range groups {
		if why := disagreement(world, members); len(members) > 1 && why != "" {
			out = append(out, resource+": "+why)
		}
	}
	slices.Sort(out)
	return out
}

// disagreement says in what the members of one incident differ, or nothing.
func disagreement(world *emulator.World, members []string) string {
	first := world.Marks(members[0])
	if got, want := first["enrich_related_count"], fmt.Sprint(len(members)-1); got != want {
		return fmt.Sprintf("related_count %q, want %q", got, want)
	}
	for _, name := range members[1:] {
		other := world.Marks(name)
		for _, key := range agreed() {
			if a, b := first["enrich_"+key], other["enrich_"+key]; a == "" || a != b {
				return fmt.Sprintf("%s %q and %q", key, a, b)
			}
		}
	}
	return ""
}

// backfillAll runs the program's backfill over the test's project.
func backfillAll(t *testing.T, api, vt string) {
	t.Helper()
	args := append([]string{
		"backfill", "--parent=projects/" + testProject, "--since=2h", "--rate=60000/min", "--concurrency=16",
		"--scc-endpoint=" + api, "--logging-endpoint=" + api, "--run-endpoint=" + api, "--vt-endpoint=" + vt, "--vt-api-key=made-up",
	}, unlimited()...)
	out, err := exec.CommandContext(t.Context(), binary(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("backfill: %v: %s", err, out)
	}
}

// TestCrashLosesSettle: the process dies between the writes of two findings of
// one container and their settling, so that they disagree. The next finding
// repairs it, and so does backfill.
func TestCrashLosesSettle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		repair func(t *testing.T, world *emulator.World, api, vt string)
	}{
		{"the next finding repairs it", func(t *testing.T, world *emulator.World, _, _ string) {
			t.Helper()
			addShopFinding(t, world, "third")
		}},
		{"backfill repairs it", func(t *testing.T, _ *emulator.World, api, vt string) {
			t.Helper()
			backfillAll(t, api, vt)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			world := newShops(1)
			_, api, vt := startAPIs(t, emulator.Options{World: world, Quotas: endless()})
			p := newProgram(t, api, vt, append(unlimited(), "--settle-delay=2s")...)
			pusher := emulator.NewPusher(emulator.PushOptions{URL: p.url, MaxBackoff: 500 * time.Millisecond})
			t.Cleanup(pusher.Close)
			world.OnPublish(pusher.PublishNotification)
			p.start()
			for _, id := range []string{"first", "second"} {
				addShopFinding(t, world, id)
				if err := pusher.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			p.kill()
			p.start()
			if len(disagreeing(world)) == 0 {
				t.Fatal("the findings agree: the process was killed too late to show anything")
			}
			c.repair(t, world, api, vt)
			eventually(t, 30*time.Second, "agreement", func() bool { return len(disagreeing(world)) == 0 })
		})
	}
}

func addShopFinding(t testing.TB, world *emulator.World, id string) {
	t.Helper()
	if err := world.AddFinding(shopFinding(id, 0), nil, nil); err != nil {
		t.Fatal(err)
	}
}
