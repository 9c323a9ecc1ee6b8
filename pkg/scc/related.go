package scc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// Bounds of one listing. A page holds at most 1,000 findings (pageSize of
// google.cloud.securitycenter.v2.ListFindingsRequest).
const (
	pageSize    = 1000
	maxPages    = 5
	maxFindings = 1000
)

// errMore says that a listing was cut at its bounds.
var errMore = errors.New("more findings than are read")

// ListRelated returns the findings of q's workload whose event time lies from
// q.From to q.To, newest first, at most 1,000. Findings that name a revision or
// execution of the workload, or its project by id or by number, are among them.
//
// Callers that ask about the same workload and about the same time at once
// share one request; the inner slices and maps of their findings are shared
// too and must not be changed. One caller's end does not end the request for
// the others. The answer may be as old as a request under way when it was
// asked.
//
// Where the listing was cut, or a later page failed, the findings read so far
// come with an error that wraps evidence.ErrPartial.
func (c *Client) ListRelated(ctx context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	doing := "list findings of " + q.Workload.Key()
	req, win, err := relatedRequest(q, c.back)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	key := strings.Join([]string{req.GetParent(), req.GetFilter(), q.Workload.Project, q.Workload.ProjectNumber}, "\x00")
	got, err := c.flights.join(ctx, key, func(ctx context.Context) listing {
		l := c.list(ctx, req, q.Workload, win)
		if l.err == nil && c.back > 0 {
			c.past.keep(q, &l, win, time.Now())
		}
		return l
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return got.within(doing, q)
}

// window is the time that a request asks about.
type window struct {
	// from is its beginning, aligned.
	from time.Time
	// margin is how much of it counts as history, too, and how much further back
	// that reaches than it must, so that one listing serves neighbours whose
	// windows begin a little earlier or later: align widens by less.
	margin time.Duration
}

// listing is what one request, with all its pages, has found.
type listing struct {
	// findings are those of the workload, newest first.
	findings []finding.Finding
	// older are those before and shortly after the beginning of what was asked
	// for, newest first, at most maxHistory.
	older []finding.Finding
	pages int
	// oldest is the earliest event time read: the listing is complete after it
	// even where it was cut.
	oldest time.Time
	// err is why the listing ended early, or nil.
	err error
}

// within reduces a listing to the exact window of q.
func (l listing) within(doing string, q evidence.RelatedQuery) ([]finding.Finding, error) {
	var out []finding.Finding
	for i := range l.findings {
		if t := l.findings[i].EventTime; !t.Before(q.From) && !t.After(q.To) {
			out = append(out, l.findings[i])
		}
	}
	switch {
	case l.err == nil, !l.oldest.IsZero() && l.oldest.Before(q.From):
		return out, nil
	case l.pages > 0:
		return out, fmt.Errorf("%s: %w: %w", doing, evidence.ErrPartial, l.err)
	default:
		return nil, fmt.Errorf("%s: %w", doing, l.err)
	}
}

// list reads the pages of req and keeps the findings of w. What is older than
// the window is history, for which no further page is read.
func (c *Client) list(ctx context.Context, req *securitycenterpb.ListFindingsRequest, w finding.Workload, win window) listing {
	var l listing
	seen := map[string]bool{}
	token := ""
	for {
		// The iterator's own paging would follow any number of empty pages.
		results, next, err := c.api.ListFindings(ctx, req, upstream.Retry()).InternalFetch(int(req.GetPageSize()), token)
		if err != nil {
			l.err = c.classify(fmt.Sprintf("page %d", l.pages+1), c.reads, err)
			return l
		}
		l.pages++
		for _, r := range results {
			if len(l.findings) == maxFindings {
				l.err = errMore
				return l
			}
			l.add(r, w, seen, win)
		}
		switch {
		case next == "", !l.oldest.IsZero() && l.oldest.Before(win.from):
			return l
		case l.pages == maxPages, next == token:
			l.err = errMore
			return l
		}
		token = next
	}
}

// add keeps one result if it is a finding of w that was not listed before. The
// filter matches substrings: "/services/shop" finds "shop-2" as well.
func (l *listing) add(r *securitycenterpb.ListFindingsResponse_ListFindingsResult, w finding.Workload, seen map[string]bool, win window) {
	pb := r.GetFinding()
	if t := pb.GetEventTime(); t != nil {
		l.oldest = t.AsTime()
		if l.oldest.Before(win.from) && len(l.older) == maxHistory {
			return
		}
	}
	f := finding.FromProto(pb, r.GetResource())
	if f == nil || !f.Workload.Same(w) || seen[f.CanonicalName] {
		return
	}
	seen[f.CanonicalName] = true
	if f.EventTime.Before(win.from.Add(win.margin)) && !f.EventTime.IsZero() && len(l.older) < maxHistory {
		l.older = append(l.older, reduced(f))
	}
	if !f.EventTime.Before(win.from) || f.EventTime.IsZero() {
		l.findings = append(l.findings, *f)
	}
}

// scope and plain are the forms of the names that go into a request.
var (
	scope = regexp.MustCompile(`^(organizations|folders|projects)/[A-Za-z0-9][A-Za-z0-9.:_-]*$`)
	plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// relatedRequest writes the request for q, with a window that neighbours in
// time are likely to share, which it returns, and as much of the time
// before it as back says. Everything in it comes from an attacker's finding,
// so that names other than plain ones are refused, not quoted.
func relatedRequest(q evidence.RelatedQuery, back time.Duration) (req *securitycenterpb.ListFindingsRequest, win window, err error) {
	w := q.Workload
	switch {
	case !scope.MatchString(q.Parent):
		return nil, win, fmt.Errorf("parent %q is no organization, folder or project", q.Parent)
	case q.Location != "" && !plain.MatchString(q.Location):
		return nil, win, fmt.Errorf("location %q is no location", q.Location)
	case !plain.MatchString(w.Location) || !plain.MatchString(w.Name):
		return nil, win, fmt.Errorf("workload %q in %q is no Cloud Run workload", w.Name, w.Location)
	case q.From.IsZero() || q.To.Before(q.From):
		return nil, win, fmt.Errorf("no window from %v to %v", q.From, q.To)
	}
	names, err := nameFilter(w)
	if err != nil {
		return nil, win, err
	}
	parent := q.Parent + "/sources/-"
	if q.Location != "" {
		parent += "/locations/" + q.Location
	}
	from, to := align(q.From, q.To)
	win, oldest := window{from: from, margin: max(to.Sub(from)/4, 2*time.Minute)}, from
	if back > 0 {
		oldest = from.Add(-back - win.margin).Truncate(24 * time.Hour)
	}
	return &securitycenterpb.ListFindingsRequest{
		Parent: parent,
		Filter: fmt.Sprintf("%s AND event_time >= %q AND event_time <= %q",
			names, oldest.Format(time.RFC3339), to.Format(time.RFC3339)),
		OrderBy:  "event_time desc",
		PageSize: pageSize,
	}, win, nil
}

// nameFilter restricts to resource names that hold the workload's path. The
// project is left out of it: findings name it by id or by number. ":" is the
// filter's substring operator; OR binds tighter than AND in this grammar, the
// other way round than elsewhere, and is therefore put in parentheses.
func nameFilter(w finding.Workload) (string, error) {
	has := func(collection string) string {
		return fmt.Sprintf("resource_name : %q", "/locations/"+w.Location+"/"+collection+"/"+w.Name)
	}
	switch w.Kind {
	case finding.Service:
		return has("services"), nil
	case finding.Job:
		return has("jobs"), nil
	case finding.WorkerPool:
		return "(" + has("workerPools") + " OR " + has("workerpools") + ")", nil
	default:
		return "", fmt.Errorf("kind %q is no Cloud Run workload's", w.Kind)
	}
}

// align widens a window outwards to multiples of an eighth of its length, in
// whole minutes. Findings of one burst then ask for the same window, and share
// the answer. It reads at most a quarter more than was asked for, or two
// minutes.
func align(from, to time.Time) (alignedFrom, alignedTo time.Time) {
	step := max((to.Sub(from) / 8).Truncate(time.Minute), time.Minute)
	alignedFrom = from.UTC().Truncate(step)
	alignedTo = to.UTC().Truncate(step)
	if alignedTo.Before(to) {
		alignedTo = alignedTo.Add(step)
	}
	return alignedFrom, alignedTo
}
