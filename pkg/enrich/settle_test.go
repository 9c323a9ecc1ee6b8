package enrich_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
