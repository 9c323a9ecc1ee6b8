package enrich_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// The times of the world around the service.
const (
	echoAfter   = 2 * time.Second  // Security Command Center notifies of our own write
	pushAgain   = 10 * time.Second // Pub/Sub delivers again what was refused
	taskAgain   = 30 * time.Second // the queue runs a failed follow-up again
	taskTries   = 10
	eventsBound = 20_000 // a scenario that has not come to rest by then never does
)

// stage plays a scenario: the cluster's Security Command Center, sources that
// can fail, and everything that is still to happen, on the bubble's clock.
type stage struct {
	*cluster
	s          *scenario
	alive      []bool
	current    int // who gets the next delivery
	due        []due
	queued     map[string]bool // follow-ups waiting, by ID and, in local queues, owner
	turn, seq  int
	faults     map[string]fault
	lag        time.Duration
	cut        bool
	birth      map[string]time.Time // when SCC had the finding, by canonical name
	first      map[string]*finding.Finding
	last       map[string]*finding.Finding
	decisions  map[string]enrich.Decision
	remembered map[string]map[string]string
	guard      sync.Mutex     // of counts: sources are asked at once
	counts     map[string]int // since "count from here"; "writes f1" is of one finding
	fails      []string
}

// due is something that will happen.
type due struct {
	at   time.Time
	seq  int
	what string
	run  func() error
}

// fault is what a source does instead of answering, until a time.
type fault struct {
	kind  string // down, denied, quota, slow
	slow  time.Duration
	until time.Time // zero: until recovery
}

// newStage makes the first instance; more come with "instance N".
func newStage(t *testing.T, s *scenario, parts parts) *stage {
	t.Helper()
	c := &cluster{world: &world{}, t: t, tasks: map[string]followup.Task{}, stored: map[string]*finding.Finding{}, hidden: map[string]bool{}}
	st := &stage{
		cluster: c, s: s, queued: map[string]bool{}, faults: map[string]fault{}, birth: map[string]time.Time{},
		first: map[string]*finding.Finding{}, last: map[string]*finding.Finding{}, decisions: map[string]enrich.Decision{},
		remembered: map[string]map[string]string{}, counts: map[string]int{},
	}
	time.Sleep(time.Until(s.world.Start))
	if err := st.start(1, parts); err != nil {
		t.Fatal(err)
	}
	return st
}

// start makes instances up to number n; each has its own memory and queue.
func (st *stage) start(n int, parts parts) error {
	window, err1 := offset(st.s.world.Settings.Window, 30*time.Minute)
	span, err2 := offset(st.s.world.Settings.MaxSpan, 24*time.Hour)
	settle, err3 := offset(st.s.world.Settings.SettleDelay, 15*time.Second)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("world.yaml: settings: %w", err)
	}
	for len(st.instances) < n {
		collector := &evidence.Collector{Findings: st, Config: st, Logs: st, SourceTimeout: 8 * time.Second}
		if st.s.world.VirusTotal != nil {
			collector.Reputation = st
		}
		p, err := enrich.New(&enrich.Pipeline{
			Settings: enrich.Settings{
				MarkPrefix: prefix, Window: window, MaxSpan: span, SettleDelay: settle,
				LogBefore: 10 * time.Minute, LogAfter: 2 * time.Minute, Timeout: 20 * time.Second, Version: "test",
			},
			Collector: collector, Policy: parts.policy, Redactor: parts.redactor, Writer: st, Records: st,
			FollowUps: queueOf{st, len(st.instances)}, Now: func() time.Time { return time.Now().UTC() },
		})
		if err != nil {
			return err
		}
		st.instances, st.alive = append(st.instances, p), append(st.alive, true)
	}
	return nil
}

// count counts things that happened.
func (st *stage) count(things ...string) {
	st.guard.Lock()
	defer st.guard.Unlock()
	for _, thing := range things {
		st.counts[thing]++
	}
}

// ask counts a call, and fails or delays it as the scenario says.
func (st *stage) ask(ctx context.Context, source string) error {
	st.count(source)
	f, ok := st.faults[source]
	if !ok || !f.until.IsZero() && !time.Now().Before(f.until) {
		return nil
	}
	switch f.kind {
	case "denied":
		return fmt.Errorf("%s: %w", source, evidence.ErrDenied)
	case "quota":
		return &evidence.QuotaError{Upstream: source, Scope: "minute", Until: f.until}
	case "slow":
		select {
		case <-time.After(f.slow):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	default:
		return errors.New(source + " is down")
	}
}

// ListRelated implements evidence.FindingLister.
func (st *stage) ListRelated(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	if err := st.ask(ctx, "findings"); err != nil {
		return nil, err
	}
	st.count("lists")
	clear(st.hidden)
	for name, at := range st.birth {
		st.hidden[name] = time.Now().Before(at.Add(st.lag))
	}
	found, err := st.cluster.ListRelated(ctx, q)
	if st.cut && err == nil {
		err = evidence.ErrPartial
	}
	return found, err
}

// ReadConfig implements evidence.ConfigReader.
func (st *stage) ReadConfig(ctx context.Context, w finding.Workload, _ time.Time) (*evidence.Config, error) {
	if err := st.ask(ctx, "config"); err != nil {
		return nil, err
	}
	c := evidence.Config{Ingress: "internal", IAMKnown: true}
	if st.s.world.Config != nil {
		c = *st.s.world.Config
	}
	c.Resource = or(c.Resource, w.ResourcePath())
	if c.Gone {
		return &c, evidence.ErrNotFound
	}
	return &c, nil
}

// ReadLogs implements evidence.LogReader.
func (st *stage) ReadLogs(ctx context.Context, q evidence.LogQuery) (evidence.Logs, error) {
	if err := st.ask(ctx, "logs"); err != nil {
		return evidence.Logs{}, err
	}
	logs := evidence.Logs{Event: q.Event, From: q.Event.Add(-q.Before), To: q.Event.Add(q.After)}
	for _, e := range st.s.world.Logs {
		before := q.Before
		if e.Kind == evidence.LogAudit {
			before = q.AuditBefore
		}
		if !e.Time.Before(q.Event.Add(-before)) && !e.Time.After(q.Event.Add(q.After)) {
			logs.Entries = append(logs.Entries, e)
		}
	}
	slices.SortStableFunc(logs.Entries, func(a, b evidence.LogEntry) int { return a.Time.Compare(b.Time) })
	logs.Visible = len(logs.Entries) > 0
	return logs, nil
}

// Lookup implements evidence.ReputationReader.
func (st *stage) Lookup(ctx context.Context, artifacts []evidence.Artifact) ([]evidence.Reputation, error) {
	if len(artifacts) == 0 {
		return nil, nil
	}
	err := st.ask(ctx, "virustotal")
	out := make([]evidence.Reputation, len(artifacts))
	for i, a := range artifacts {
		r, known := st.s.world.VirusTotal[a.Value]
		switch {
		case err != nil:
			r = evidence.Reputation{State: evidence.StateOf(err, true), Reason: err.Error()}
		case !known:
			r = evidence.Reputation{State: evidence.Empty, Verdict: evidence.VerdictNotFound, AskedAt: time.Now().UTC()}
		default:
			r.State, r.AskedAt = evidence.OK, time.Now().UTC()
		}
		r.Artifact = a
		out[i] = r
	}
	return out, err
}

// WriteMarks implements enrich.MarkWriter; each write comes back as a notification.
func (st *stage) WriteMarks(ctx context.Context, w marks.Write) error {
	if err := st.ask(ctx, "write"); err != nil {
		return err
	}
	if err := st.cluster.WriteMarks(ctx, w); err != nil {
		return err
	}
	name := st.short(w.Name)
	st.count("writes", "writes "+name)
	st.plan(time.Now().Add(echoAfter), "echo of "+name, func() error {
		f := st.stored[w.Name]
		if f == nil {
			return nil
		}
		st.count("echoes")
		copied := *f
		copied.Marks = maps.Clone(f.Marks)
		return st.push(&copied)
	})
	return nil
}

// short is the finding's name in the scenario.
func (st *stage) short(canonical string) string {
	for name, f := range st.s.findings {
		if f.CanonicalName == canonical {
			return name
		}
	}
	return canonical
}

// queueOf is the follow-up queue as an instance sees it.
type queueOf struct {
	st       *stage
	instance int
}

// Enqueue implements followup.Queue.
func (q queueOf) Enqueue(_ context.Context, t followup.Task) error {
	id, local := t.ID(), q.st.s.world.Queue == "local"
	if local {
		id = fmt.Sprintf("%d %s", q.instance, id)
	}
	if q.st.queued[id] {
		return nil
	}
	q.st.queued[id] = true
	q.st.plan(t.At, fmt.Sprintf("%s of %s", t.Kind, q.st.short(t.Finding)), func() error {
		delete(q.st.queued, id)
		return q.st.followUp(q.instance, local, t, 1)
	})
	return nil
}

// followUp runs a task: on its own instance, or on each in turn.
func (st *stage) followUp(owner int, local bool, t followup.Task, try int) error {
	i := owner
	if !local {
		i = st.next()
	}
	if i < 0 || !st.alive[i] {
		return nil
	}
	st.count("followups")
	if err := st.instances[i].FollowUp(st.t.Context(), t); err != nil {
		if try == taskTries {
			return fmt.Errorf("follow-up failed %d times: %w", try, err)
		}
		st.plan(time.Now().Add(taskAgain), fmt.Sprintf("%s of %s again", t.Kind, st.short(t.Finding)), func() error {
			return st.followUp(owner, local, t, try+1)
		})
	}
	return nil
}

// next is the next living instance, or -1.
func (st *stage) next() int {
	for range st.instances {
		st.turn++
		if i := st.turn % len(st.instances); st.alive[i] {
			return i
		}
	}
	return -1
}

// plan lets something happen later.
func (st *stage) plan(at time.Time, what string, run func() error) {
	st.seq++
	st.due = append(st.due, due{at: at, seq: st.seq, what: what, run: run})
}

// pass lets time pass until a time, or until nothing is left to happen.
func (st *stage) pass(until time.Time) error {
	for range eventsBound {
		if len(st.due) == 0 {
			break
		}
		next := slices.MinFunc(st.due, func(a, b due) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq)) })
		if !until.IsZero() && next.at.After(until) {
			break
		}
		st.due = slices.DeleteFunc(st.due, func(d due) bool { return d.seq == next.seq })
		time.Sleep(time.Until(next.at))
		if err := next.run(); err != nil {
			return fmt.Errorf("%s: %w", next.what, err)
		}
	}
	if until.IsZero() && len(st.due) > 0 {
		return fmt.Errorf("no rest after %d events; still to come: %s", eventsBound, st.waiting())
	}
	if !until.IsZero() {
		time.Sleep(time.Until(until))
	}
	return nil
}

func (st *stage) waiting() string {
	var out []string
	for _, d := range st.due {
		out = append(out, fmt.Sprintf("%s at %s", d.what, d.at.Sub(st.s.world.Start)))
	}
	return strings.Join(out[:min(len(out), 10)], ", ")
}
