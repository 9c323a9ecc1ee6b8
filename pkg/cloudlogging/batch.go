package cloudlogging

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/genproto/googleapis/cloud/audit"
	"google.golang.org/grpc/codes"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// The bounds of travelling together.
const (
	// alone is how many questions may be under way each by itself.
	alone = 4
	// scarce is the number of reads left in the minute from which on questions
	// are worth waiting for each other.
	scarce = 100
	// gatherFor is how long the first question of a batch waits for others.
	gatherFor = 200 * time.Millisecond
	// maxTogether questions share a page of maxPage entries.
	maxTogether = 25
)

// gatherer holds the batch that is being gathered.
type gatherer struct {
	mu      sync.Mutex
	flying  int
	waiting *batch
}

// batch is a set of questions that travel in one filter.
type batch struct {
	queries []evidence.LogQuery
	full    chan struct{} // closed when no further question fits
	done    chan struct{} // closed when answers and errs are set
	answers []answer
	errs    []error
}

// join asks a question by itself while few are under way or reads are
// plentiful, else together with others. A question that travels with others
// gets no narrower questions when the page is full.
func (c *Client) join(ctx context.Context, q evidence.LogQuery) (answer, error) {
	g := &c.gather
	left, _ := c.budget.Left()
	g.mu.Lock()
	if g.flying < alone || left < 0 || left > scarce {
		g.flying++
		g.mu.Unlock()
		defer g.landed()
		return c.one(ctx, q)
	}
	b, first := g.waiting, false
	if b != nil && !c.fits(b, q) {
		close(b.full)
		b = nil
	}
	if b == nil {
		b, first = &batch{full: make(chan struct{}), done: make(chan struct{})}, true
		g.waiting = b
	}
	i := len(b.queries)
	b.queries = append(b.queries, q)
	g.mu.Unlock()

	if first {
		c.lead(ctx, b)
	}
	select {
	case <-b.done:
		if errors.Is(b.errs[i], context.DeadlineExceeded) && ctx.Err() == nil {
			return c.one(ctx, q) // the batch had the deadline of its first question
		}
		return b.answers[i], b.errs[i]
	case <-ctx.Done():
		return answer{}, classify(context.Cause(ctx))
	}
}

func (g *gatherer) landed() {
	g.mu.Lock()
	g.flying--
	g.mu.Unlock()
}

// fits reports whether one more question keeps within the limits of a filter.
func (c *Client) fits(b *batch, q evidence.LogQuery) bool {
	queries := append(slices.Clip(b.queries), q)
	return len(queries) <= maxTogether && len(queries)*len(c.scopes) <= maxScopes && len(Filter(queries)) <= maxFilter
}

// lead waits until the batch is full or time is up, and asks for all.
func (c *Client) lead(ctx context.Context, b *batch) {
	t := time.NewTimer(gatherFor)
	defer t.Stop()
	select {
	case <-b.full:
	case <-t.C:
	case <-ctx.Done():
	}
	g := &c.gather
	g.mu.Lock()
	if g.waiting == b {
		g.waiting = nil
	}
	g.flying++
	g.mu.Unlock()
	defer g.landed()
	b.answers, b.errs = c.many(ctx, b.queries)
	close(b.done)
}

// many asks questions together. One project that refuses makes entries.list
// refuse the whole; then every project is asked by itself.
func (c *Client) many(ctx context.Context, queries []evidence.LogQuery) ([]answer, []error) {
	answers, err := c.together(ctx, queries)
	errs := make([]error, len(queries))
	if err == nil {
		return answers, errs
	}
	answers = make([]answer, len(queries))
	projects := map[string][]int{}
	for i, q := range queries {
		projects[q.Workload.Project] = append(projects[q.Workload.Project], i)
	}
	code := upstream.Code(err)
	refused := code == codes.PermissionDenied || code == codes.NotFound || code == codes.InvalidArgument
	if len(projects) == 1 || !refused {
		for i := range errs {
			errs[i] = err
		}
		return answers, errs
	}
	for _, members := range projects {
		var part []evidence.LogQuery
		for _, i := range members {
			part = append(part, queries[i])
		}
		got, err := c.together(ctx, part)
		for k, i := range members {
			if errs[i] = err; err == nil {
				answers[i] = got[k]
			}
		}
	}
	return answers, errs
}

// together asks questions in one filter and gives each the entries that are its own.
func (c *Client) together(ctx context.Context, queries []evidence.LogQuery) ([]answer, error) {
	var scopes []string
	for _, q := range queries {
		s, err := c.scopesOf(q.Workload.Project)
		if err != nil {
			return nil, err
		}
		scopes = append(scopes, s...)
	}
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	ctx = context.WithValue(ctx, readsKey{}, &reads{left: maxReads})
	found, more, err := c.list(ctx, scopes, Filter(queries), maxPage)
	if err != nil && len(found) == 0 && !errors.Is(err, errReads) {
		return nil, classify(err)
	}
	cut := cutBy(more, err)
	answers := make([]answer, len(queries))
	for _, e := range found {
		var mapped *evidence.LogEntry
		for i, q := range queries {
			if !about(e, q.Workload) {
				continue
			}
			if mapped == nil {
				m := entryOf(e)
				mapped = &m
			}
			answers[i].entries = append(answers[i].entries, *mapped)
		}
	}
	for i, q := range queries {
		answers[i].cut = cut
		answers[i].entries = tidy(answers[i].entries, q.Event.Add(share/2))
	}
	return answers, nil
}

// about reports whether an entry is about a workload: what Filter cannot say
// exactly is said here. A named revision or execution narrows it, but entries
// that name none stay: requests refused before an instance, and what a job
// writes outside an execution.
func about(e *loggingpb.LogEntry, w finding.Workload) bool {
	labels := e.GetResource().GetLabels()
	resourceType, nameLabel := evidence.LogResource(w.Kind)
	number := strings.Trim(w.Project, "0123456789") == ""
	if (w.Location != "" && labels["location"] != w.Location) || (!number && labels["project_id"] != w.Project) {
		return false
	}
	if kindOf(e) == evidence.LogAudit {
		if labels[nameLabel] == w.Name || (w.Kind == finding.Service && labels["configuration_name"] == w.Name) {
			return true
		}
		var a audit.AuditLog
		if e.GetProtoPayload().UnmarshalTo(&a) != nil {
			return false
		}
		return names(a.GetResourceName(), w)
	}
	if e.GetResource().GetType() != resourceType || labels[nameLabel] != w.Name {
		return false
	}
	part, has := w.Revision, labels["revision_name"]
	if w.Kind == finding.Job {
		part, has = w.Execution, e.GetLabels()["run.googleapis.com/execution_name"]
	}
	return part == "" || has == "" || has == part
}
