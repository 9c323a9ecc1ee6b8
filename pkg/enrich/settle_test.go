package enrich_test

import (
	"context"
	"errors"
	"fmt"
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

// TestLateNewsReachesEarlierFindings: the shell was unremarkable when it came.
func TestLateNewsReachesEarlierFindings(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()
	c.deliver(0, story[0])
	c.rest()
	before := c.marksAtRest()[story[0].CanonicalName]
	c.now = c.now.Add(5 * time.Minute)
	c.deliver(0, story[3])
	c.rest()
	after := c.marksAtRest()[story[0].CanonicalName]
	if before[prefix+"verdict"] == "malicious" || after[prefix+"verdict"] != "malicious" {
		t.Errorf("verdict of the first finding was %q and is %q, want malicious only at the end", before[prefix+"verdict"], after[prefix+"verdict"])
	}
	if before[prefix+"own_score"] != after[prefix+"own_score"] {
		t.Errorf("own score changed from %s to %s", before[prefix+"own_score"], after[prefix+"own_score"])
	}
	checkAgreement(t, c, names(story)[0], names(story)[3])
}

// TestBurst: N findings on one container cost at most 2.1 N writes, and few lists.
func TestBurst(t *testing.T) {
	t.Parallel()
	const n = 60
	c := newCluster(t, 2)
	for i := range n {
		c.deliver(i%2, member(i, "Unexpected Child Shell", time.Duration(i)*time.Second, "sh", "-c", "id"))
		c.now = c.now.Add(100 * time.Millisecond)
	}
	arrived := c.lists
	c.rest()
	if got := len(c.writes); got > n*21/10 {
		t.Errorf("%d findings made %d writes, want at most 2.1 each", n, got)
	}
	if settling := c.lists - arrived; settling > n/5 {
		t.Errorf("settling %d findings listed %d times", n, settling)
	}
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("projects/123456789012/sources/42/locations/global/findings/f%d", i))
	}
	checkAgreement(t, c, all...)
}

// TestMembersLeave: a closed finding leaves the incident at the next settle; a
// muted one stays counted.
func TestMembersLeave(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()[:3]
	for _, f := range story {
		c.deliver(0, f)
	}
	c.rest()
	closed := *story[2]
	closed.State = finding.Inactive
	c.add(&closed)
	muted := *story[1]
	muted.Mute = "MUTED"
	c.add(&muted)
	c.settle(story[0])
	if got := c.marksAtRest()[story[0].CanonicalName][prefix+"related_count"]; got != "1" {
		t.Errorf("related_count = %q, want 1: the muted one counts, the closed one does not", got)
	}
	again := *story[1]
	again.State = finding.Inactive
	c.add(&again)
	c.settle(story[0])
	left := c.marksAtRest()[story[0].CanonicalName]
	for _, key := range []string{"incident", "related_count", "incident_start"} {
		if left[prefix+key] != "" {
			t.Errorf("%s = %q on a finding that stands alone", key, left[prefix+key])
		}
	}
	if left[prefix+"score"] != left[prefix+"own_score"] {
		t.Errorf("alone again: score %s, own score %s", left[prefix+"score"], left[prefix+"own_score"])
	}
}

// settle runs a settle task of a finding, and what it leads to.
func (c *cluster) settle(f *finding.Finding) {
	c.t.Helper()
	c.now = c.now.Add(time.Hour)
	t := followup.Task{
		Kind: followup.Settle, Finding: f.CanonicalName, Name: f.Name, Resource: f.ResourceName, EventTime: f.EventTime, At: c.now,
	}
	if err := c.Enqueue(c.t.Context(), t); err != nil {
		c.t.Fatal(err)
	}
	c.rest()
}

// TestInstanceDies between write and settle: the next finding repairs it.
func TestInstanceDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()
	c.deliver(0, story[0])
	c.deliver(0, story[1])
	clear(c.tasks)
	c.now = c.now.Add(time.Minute)
	c.deliver(0, story[2])
	c.rest()
	checkAgreement(t, c, names(story)[:3]...)
}

// TestLostFinding: a finding whose delivery was lost is marked by the settling
// of its neighbour.
func TestLostFinding(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()
	c.add(story[0])
	c.deliver(0, story[1])
	c.rest()
	checkAgreement(t, c, names(story)[:2]...)
}

// TestStaleList: two findings that do not see each other yet agree in the end.
func TestStaleList(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	story := attack()[:2]
	for _, f := range story {
		c.hidden[f.CanonicalName] = true
	}
	c.deliver(0, story[0])
	c.deliver(1, story[1])
	clear(c.hidden)
	c.rest()
	checkAgreement(t, c, names(story)...)
}

// TestLaterSilenceLowersNothing: a source that fails when the incident is
// settled takes nothing away, and the late news is told all the same.
func TestLaterSilenceLowersNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()
	c.deliver(0, story[0])
	c.rest()
	before := c.marksAtRest()[story[0].CanonicalName]
	c.errs = map[string]error{"logs": errors.New("down"), "config": errors.New("down")}
	c.deliver(0, story[3])
	for range 3 {
		c.settle(story[0])
		clear(c.tasks)
	}
	after := c.marksAtRest()[story[0].CanonicalName]
	if after[prefix+"own_score"] != before[prefix+"own_score"] || after[prefix+"sources"] != before[prefix+"sources"] {
		t.Errorf("own score %s → %s, sources %s → %s; want them kept", before[prefix+"own_score"], after[prefix+"own_score"], before[prefix+"sources"], after[prefix+"sources"])
	}
	if after[prefix+"verdict"] != "malicious" || after[prefix+"incident"] == "" {
		t.Errorf("verdict %q, incident %q: the late news is missing", after[prefix+"verdict"], after[prefix+"incident"])
	}
}

// TestComplete: a finding whose source had no quota is completed when the
// quota is back.
func TestComplete(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	f := attack()[0]
	back := c.now.Add(3 * time.Minute)
	c.errs = map[string]error{"logs": &evidence.QuotaError{Upstream: "logging", Scope: "minute", Until: back}}
	c.deliver(0, f)
	if got := c.marksAtRest()[f.CanonicalName]; got[prefix+"status"] != "partial" {
		t.Fatalf("status = %q, want partial", got[prefix+"status"])
	}
	var due time.Time
	for _, task := range c.tasks {
		if task.Kind == followup.Complete {
			due = task.At
		}
	}
	if due.Before(back) {
		t.Errorf("completion is due at %v, before the quota is back at %v", due, back)
	}
	c.errs = nil
	c.rest()
	got := c.marksAtRest()[f.CanonicalName]
	if got[prefix+"status"] != "complete" || got[prefix+"sources"] != "findings=empty,logs=ok,config=ok,virustotal=not_applicable" {
		t.Errorf("status %q, sources %q; want complete", got[prefix+"status"], got[prefix+"sources"])
	}
}

// TestCompleteGivesUp: a source that never answers is asked a bounded number of times.
func TestCompleteGivesUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.errs = map[string]error{"logs": errors.New("down")}
	c.deliver(0, attack()[0])
	c.rest()
	if n := c.count()["logs"]; n < 3 || n > 12 {
		t.Errorf("a source that is down was asked %d times, want a few", n)
	}
}

// TestOtherContainersStayApart: neither another container of the service nor a
// finding hours away belongs.
func TestOtherContainersStayApart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	a, b, far := member(1, "Unexpected Child Shell", 0, "sh", "-c", "id"), member(2, "Reverse Shell", time.Minute, "bash"), member(3, "Reverse Shell", 5*time.Hour, "bash")
	a.Containers, b.Containers = []finding.Container{{Name: "web"}}, []finding.Container{{Name: "proxy"}}
	for _, f := range []*finding.Finding{a, b, far} {
		c.deliver(0, f)
	}
	c.rest()
	for _, f := range []*finding.Finding{a, b, far} {
		if m := c.marksAtRest()[f.CanonicalName]; m[prefix+"incident"] != "" {
			t.Errorf("%s is in incident %s", f.CanonicalName, m[prefix+"incident"])
		}
	}
}

// TestOccurrences: a finding that fires again is one member, and its earlier
// time is kept: from memory here, from the marks in another instance.
func TestOccurrences(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	story := attack()[:2]
	c.deliver(0, story[0])
	c.deliver(0, story[1])
	c.rest()
	again := *story[0]
	again.EventTime = again.EventTime.Add(3 * time.Minute)
	for instance := range 2 {
		c.add(&again)
		res, err := c.instances[instance].Investigate(t.Context(), &again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]time.Time{story[0].EventTime}, res.Record.Finding.EarlierTimes); instance == 0 && diff != "" {
			t.Errorf("earlier times (-want +got):\n%s", diff)
		}
		if n := len(res.Record.Incident.Members); n != 2 {
			t.Errorf("%d members, want 2", n)
		}
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

// cutList is a lister that had more findings than it may read.
type cutList struct{ *cluster }

func (l cutList) ListRelated(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	found, _ := l.cluster.ListRelated(ctx, q)
	return found, evidence.ErrPartial
}

// TestSettleOnACutList: members settled on a list that was cut say so.
func TestSettleOnACutList(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	story := attack()[:2]
	c.add(story[0])
	c.add(story[1])
	c.instances[0].Collector.Findings = cutList{c}
	if err := c.instances[0].SettleAround(t.Context(), story[0]); err != nil {
		t.Fatal(err)
	}
	if got := c.marksAtRest()[story[0].CanonicalName]; got[prefix+"status"] != "partial" {
		t.Errorf("status %q, sources %q; want findings=partial", got[prefix+"status"], got[prefix+"sources"])
	}
}
