package enrich

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The bounds of the lists that are kept.
const (
	// keepFor is how long a list serves the deliveries that follow: a burst on
	// one container costs a list a second, not one a finding.
	keepFor = time.Second
	// maxKept and maxKeptFindings bound the lists and the findings in them; at
	// the bound the memory starts afresh, which costs a list a container.
	maxKept         = 256
	maxKeptFindings = 4000
)

// lists are the lists of related findings that were read a moment ago, with
// what this instance has seen and written since. They make the first marks of a
// finding cheap and never justify lowering any: who would replace marks, or
// settles, asks anew, and what was written from a kept list is always settled.
// The zero value is ready.
type lists struct {
	mu    sync.Mutex
	kept  map[place]*kept
	total int // findings in all of them
}

// place is whose findings are listed.
type place struct{ parent, location, workload string }

func placeOf(q evidence.RelatedQuery) place {
	return place{q.Parent, q.Location, q.Workload.Key()}
}

// kept is one list.
type kept struct {
	// began is when it was asked for: it knows nothing younger, but for what
	// was added.
	began, from, to time.Time
	findings        []finding.Finding
	// changed is when this instance added or wrote the finding; zero for never.
	changed []time.Time
	index   map[string]int // by stable name
	cut     error
}

// get answers q from a list that is young enough and covers it.
func (l *lists) get(q evidence.RelatedQuery, now time.Time) (found []finding.Finding, cut error, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kept[placeOf(q)]
	if k == nil || now.Sub(k.began) >= keepFor || q.From.Before(k.from) || q.To.After(k.to) {
		return nil, nil, false
	}
	return within(k.findings, q), k.cut, true
}

// keep remembers the answer to q. What this instance has written since stays,
// and a finding that came shortly before and is not listed yet.
func (l *lists) keep(q evidence.RelatedQuery, found []finding.Finding, cut error, began time.Time) {
	k := &kept{began: began, from: q.From, to: q.To, cut: cut, index: make(map[string]int, len(found))}
	for i := range found {
		k.put(&found[i], time.Time{})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := placeOf(q)
	if old := l.kept[at]; old != nil {
		if old.began.After(began) {
			return
		}
		for i := range old.findings {
			changed, f := old.changed[i], &old.findings[i]
			_, there := k.index[f.StableName()]
			if !changed.Before(began) || !there && began.Sub(changed) < keepFor {
				k.put(f, changed)
			}
		}
		l.total -= len(old.findings)
		delete(l.kept, at)
	}
	if len(k.findings) > maxKeptFindings {
		return
	}
	if l.kept == nil || len(l.kept) == maxKept || l.total+len(k.findings) > maxKeptFindings {
		l.kept, l.total = map[place]*kept{}, 0
	}
	l.kept[at] = k
	l.total += len(k.findings)
}

// note adds what this instance knows of a finding to the list that q is
// answered from: that it was delivered, or which marks it has been given.
func (l *lists) note(q evidence.RelatedQuery, f *finding.Finding, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kept[placeOf(q)]
	if k == nil || now.Sub(k.began) >= 2*keepFor || l.total >= maxKeptFindings {
		return // nobody is answered from it any more, or it is full
	}
	before := len(k.findings)
	k.put(f, now)
	l.total += len(k.findings) - before
}

// put adds a finding, or replaces an older state of it: of one event the state
// with our marks, which a delivery of the same event does not take away.
func (k *kept) put(f *finding.Finding, changed time.Time) {
	name := f.StableName()
	i, there := k.index[name]
	if !there {
		k.index[name] = len(k.findings)
		k.findings, k.changed = append(k.findings, *f), append(k.changed, changed)
		return
	}
	old := &k.findings[i]
	switch {
	case f.EventTime.Before(old.EventTime), f.EventTime.Equal(old.EventTime) && len(f.Marks) == 0:
		return
	case f.EventTime.Equal(old.EventTime) && !changed.IsZero():
		// The list may know better than the caller that it was closed since.
		old.Marks = f.Marks
	default:
		*old = *f
	}
	k.changed[i] = changed
}

// within are the findings of a list in the window of q.
func within(list []finding.Finding, q evidence.RelatedQuery) []finding.Finding {
	out := make([]finding.Finding, 0, len(list))
	for i := range list {
		if t := list[i].EventTime; !t.Before(q.From) && !t.After(q.To) {
			out = append(out, list[i])
		}
	}
	return out
}

// read lists the findings of q as they are now, and keeps the list. It asks for
// a little more, so that the list covers what is asked next.
func (p *Pipeline) read(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	wide := q
	wide.From, wide.To = q.From.Add(-p.Settings.Window), q.To.Add(p.Settings.Window)
	began := p.Now()
	found, err := p.Collector.Findings.ListRelated(ctx, wide)
	if err != nil && !errors.Is(err, evidence.ErrPartial) {
		return nil, err
	}
	p.lists.keep(wide, found, err, began)
	return within(found, q), err
}

// recent is a FindingLister that answers from a list read a moment ago.
type recent struct {
	p *Pipeline
	// kept is set when it did.
	kept atomic.Bool
}

// ListRelated implements evidence.FindingLister.
func (r *recent) ListRelated(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	if found, cut, ok := r.p.lists.get(q, r.p.Now()); ok {
		r.kept.Store(true)
		return found, cut
	}
	return r.p.read(ctx, q)
}

// fresh is a FindingLister that always asks.
type fresh struct{ p *Pipeline }

// ListRelated implements evidence.FindingLister.
func (f fresh) ListRelated(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	return f.p.read(ctx, q)
}
