package scc

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Bounds of what is read and kept of a workload's past.
const (
	// maxHistory is how many older findings are read of one workload: the newest.
	maxHistory = 200
	// keepPast is how long a past serves: only its marks, state and mute change.
	keepPast = 5 * time.Minute
	// maxPast bounds the findings of all pasts that are kept; at the bound the
	// memory starts afresh, which costs a read a workload.
	maxPast = 4000
)

// ReadHistory returns findings of q's workload from before q.From, as far back
// as Options.History, newest first, at most 200. A listing of the related
// findings brings them along, so that right after ListRelated this asks
// nothing; else it costs one page. What lies beyond these bounds is not looked
// at, which is no fault: history only ever says what was seen.
//
// The findings are reduced to what tells whether the same ran before: processes
// with their arguments, containers, marks, state and mute.
func (c *Client) ReadHistory(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	if c.back <= 0 {
		return nil, nil
	}
	if found, ok := c.past.get(q, c.back, time.Now()); ok {
		return found, nil
	}
	doing := "list older findings of " + q.Workload.Key()
	older := q
	older.To = q.From // nothing but what is older
	req, win, err := relatedRequest(older, c.back)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	req.PageSize = maxHistory
	key := "older\x00" + req.GetParent() + "\x00" + req.GetFilter() + "\x00" + q.Workload.Project + "\x00" + q.Workload.ProjectNumber
	got, err := c.flights.join(ctx, key, func(ctx context.Context) listing {
		l := c.list(ctx, req, q.Workload, win)
		if l.err == nil {
			c.past.keep(q, &l, win, time.Now())
		}
		return l
	})
	if err == nil {
		err = got.err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return before(got.older, q, c.back), nil
}

// before are the findings of a past that lie before the window of q.
func before(list []finding.Finding, q evidence.RelatedQuery, back time.Duration) []finding.Finding {
	return slices.DeleteFunc(slices.Clone(list), func(f finding.Finding) bool {
		return !f.EventTime.Before(q.From) || f.EventTime.Before(q.From.Add(-back))
	})
}

// reduced is as much of a finding as tells whether the same ran before.
func reduced(f *finding.Finding) finding.Finding {
	out := finding.Finding{
		Name: f.Name, CanonicalName: f.CanonicalName, Category: f.Category, State: f.State, Severity: f.Severity, Mute: f.Mute,
		EventTime: f.EventTime, Marks: f.Marks, Containers: f.Containers, Workload: f.Workload, Deleted: f.Deleted,
		Processes: slices.Clone(f.Processes),
	}
	for i := range out.Processes {
		out.Processes[i].Libraries, out.Processes[i].EnvNames = nil, nil
	}
	return out
}

// past keeps the older findings of workloads. The zero value is ready to use.
type past struct {
	mu    sync.Mutex
	of    map[pastOf]pastList
	total int
}

// pastOf is whose past.
type pastOf struct{ parent, location, workload string }

type pastList struct {
	findings []finding.Finding
	// win is what was asked for, read when.
	win  window
	read time.Time
}

func keyOf(q evidence.RelatedQuery) pastOf {
	return pastOf{q.Parent, q.Location, q.Workload.Key()}
}

// keep remembers what a listing brought along.
func (p *past) keep(q evidence.RelatedQuery, l *listing, win window, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := keyOf(q)
	p.total -= len(p.of[key].findings)
	delete(p.of, key)
	if p.of == nil || p.total+len(l.older) > maxPast || len(p.of) >= maxPast {
		p.of, p.total = map[pastOf]pastList{}, 0
	}
	p.of[key] = pastList{findings: l.older, win: win, read: now}
	p.total += len(l.older)
}

// get answers q from what is kept, if that is young enough and about the time
// before the window of q.
func (p *past) get(q evidence.RelatedQuery, back time.Duration, now time.Time) ([]finding.Finding, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.of[keyOf(q)]
	if !ok || now.Sub(l.read) > keepPast || q.From.Before(l.win.from.Add(-l.win.margin)) || q.From.After(l.win.from.Add(l.win.margin)) {
		return nil, false
	}
	return before(l.findings, q, back), true
}
