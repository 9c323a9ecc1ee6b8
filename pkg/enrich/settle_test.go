package enrich_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

// agree are the marks that are the same on every member at rest.
var agree = []string{"incident", "related_count", "incident_start", "incident_end", "score", "verdict", "priority", "next_action"}

func checkAgreement(t *testing.T, c *cluster, names ...string) {
	t.Helper()
	all := c.marksAtRest()
	for _, key := range agree {
		for _, name := range names[1:] {
			if a, b := all[names[0]][prefix+key], all[name][prefix+key]; a != b || a == "" {
				t.Errorf("%s of %s is %q, of %s %q", key, names[0], a, name, b)
			}
		}
	}
}

func names(fs []*finding.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.CanonicalName)
	}
	return out
}

// permutations calls f with every order of n.
func permutations(n int, f func(order []int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var rec func(k int)
	rec = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			rec(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	rec(0)
}

// TestEveryOrderEndsAlike: all 120 orders of five findings, with duplicates, on
// two instances, end in identical marks but for the time.
func TestEveryOrderEndsAlike(t *testing.T) {
	t.Parallel()
	var want map[string]map[string]string
	orders := 0
	permutations(5, func(order []int) {
		orders++
		rng := rand.New(rand.NewPCG(uint64(orders), 0))
		c := newCluster(t, 2)
		story := attack()
		for _, i := range order {
			c.deliver(rng.IntN(2), story[i])
			c.now = c.now.Add(time.Duration(rng.IntN(20)) * time.Second)
			if rng.IntN(2) == 0 {
				c.deliver(rng.IntN(2), story[order[0]])
			}
		}
		c.rest()
		got := c.marksAtRest()
		if want == nil {
			want = got
			checkAgreement(t, c, names(story)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order %v (-first +this):\n%s", order, diff)
		}
	})
	if orders != 120 {
		t.Errorf("%d orders, want 120", orders)
	}
}

// TestOccurrences: a finding that fires again is one member, and its earlier
// time is kept: from memory, and in another instance from the marks.
func TestOccurrences(t *testing.T) {
	t.Parallel()
	for instance, from := range []string{"memory", "marks"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 2)
			story := attack()[:2]
			c.deliver(0, story[0])
			c.deliver(0, story[1])
			c.rest()
			again := *story[0]
			again.EventTime = again.EventTime.Add(3 * time.Minute)
			c.add(&again)
			res, err := c.instances[instance].Enrich(t.Context(), &again)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]time.Time{story[0].EventTime}, res.Record.Finding.EarlierTimes); diff != "" {
				t.Errorf("earlier times (-want +got):\n%s", diff)
			}
			if n := len(res.Record.Incident.Members); n != 2 {
				t.Errorf("%d members, want 2", n)
			}
		})
	}
}

// TestKeptListReplacesNothing: an instance that read the list a moment ago does
// not know that another has written since. It asks anew before it replaces
// marks, and what it writes without asking is settled.
func TestKeptListReplacesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	story := attack()
	c.deliver(0, story[0])
	c.now = c.now.Add(time.Minute)
	c.deliver(1, story[1]) // instance 1 keeps a list: the first finding as instance 0 left it
	c.add(story[3])
	if err := c.instances[0].SettleAround(t.Context(), story[0]); err != nil {
		t.Fatal(err)
	}
	before, lists := c.marksAtRest()[story[0].CanonicalName], c.lists
	if before[prefix+"verdict"] != "malicious" || before[prefix+"related_count"] != "2" {
		t.Fatalf("verdict %q, related_count %q: this test shows nothing", before[prefix+"verdict"], before[prefix+"related_count"])
	}
	c.deliver(1, story[0])
	if diff := cmp.Diff(before, c.marksAtRest()[story[0].CanonicalName]); diff != "" {
		t.Errorf("marks (-before +after a second delivery):\n%s", diff)
	}
	if c.lists != lists+1 {
		t.Errorf("%d lists, want one: the kept one does not do", c.lists-lists)
	}
	clear(c.tasks)
	far := member(9, "Unexpected Child Shell", 5*time.Hour, "sh", "-c", "id")
	c.deliver(1, far)
	if c.lists != lists+2 || len(c.tasks) != 0 {
		t.Errorf("%d lists, follow-ups %v: a finding far away is not answered from that list", c.lists-lists, c.tasks)
	}
	c.errs = map[string]error{"logs": context.DeadlineExceeded} // so that a second delivery is looked at
	farther := member(10, "Unexpected Child Shell", 10*time.Hour, "sh", "-c", "id")
	c.deliver(1, farther)
	clear(c.tasks)
	c.deliver(1, farther)
	settles := 0
	for _, task := range c.tasks {
		if task.Kind == followup.Settle {
			settles++
		}
	}
	if c.lists != lists+3 || settles != 1 {
		t.Errorf("%d lists, follow-ups %v: what a kept list said of a finding is not settled", c.lists-lists, c.tasks)
	}
}

// TestSettlesOneAtATime: a settlement that begins while another runs at the
// same place comes again later, and lists nothing.
func TestSettlesOneAtATime(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()[:2]
	c.add(story[0])
	c.add(story[1])
	task := followup.Task{Kind: followup.Settle, Finding: story[0].CanonicalName, Resource: story[0].ResourceName, EventTime: story[0].EventTime}
	inner := 0
	c.instances[0].Collector.Logs = during{c, func() {
		if inner++; inner == 1 {
			lists := c.lists
			if err := c.instances[0].FollowUp(t.Context(), task); err != nil || c.lists != lists || len(c.tasks) == 0 {
				t.Errorf("error %v, %d lists, follow-ups %v; want one for later", err, c.lists-lists, c.tasks)
			}
		}
	}}
	if err := c.instances[0].FollowUp(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	c.rest()
	if inner == 0 {
		t.Error("nothing was refreshed: this test shows nothing")
	}
	checkAgreement(t, c, names(story)...)
}

// during is a log reader in whose time something else happens.
type during struct {
	evidence.LogReader
	do func()
}

// ReadLogs implements evidence.LogReader.
func (d during) ReadLogs(ctx context.Context, q evidence.LogQuery) (evidence.Logs, error) {
	d.do()
	return d.LogReader.ReadLogs(ctx, q)
}

// TestPoorerWithoutAList: neither the list nor the logs answer when marks that
// had both are looked at again: nothing is written.
func TestPoorerWithoutAList(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()
	c.deliver(0, story[0])
	c.deliver(0, story[3])
	c.rest()
	listed := *c.stored[story[0].CanonicalName]
	writes := len(c.writes)
	c.now = c.now.Add(time.Minute)
	c.errs = map[string]error{"findings": context.DeadlineExceeded, "logs": context.DeadlineExceeded}
	if _, err := c.instances[0].Refresh(t.Context(), &listed); err != nil || len(c.writes) != writes {
		t.Errorf("error %v, %d writes; want none", err, len(c.writes)-writes)
	}
}

// closing is a queue that takes nothing any more.
type closing struct{}

func (closing) Enqueue(context.Context, followup.Task) error { return followup.ErrClosed }

// TestSettleWhileShuttingDown: nobody can wait for more findings then, so what
// is there is settled.
func TestSettleWhileShuttingDown(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()[:2]
	c.deliver(0, story[0])
	c.deliver(0, story[1])
	c.instances[0].FollowUps = closing{}
	task := followup.Task{Kind: followup.Settle, Finding: story[0].CanonicalName, Resource: story[0].ResourceName, EventTime: story[0].EventTime}
	if err := c.instances[0].FollowUp(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	checkAgreement(t, c, names(story)...)
}
