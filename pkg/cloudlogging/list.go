package cloudlogging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/api/iterator"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// The bounds of one question.
const (
	// maxEntries are kept of one question.
	maxEntries = 500
	// maxAudit of them may be audit entries.
	maxAudit = 100
	// maxReads is how many attempts one question may cost: further pages where
	// the first was empty because there was no time to search all, narrower
	// questions where a page was full, and retries.
	maxReads = 3
)

// Why an answer may be cut short although nothing failed.
var (
	// errReads ends a question that has cost its share.
	errReads = errors.New("no time to search all entries")
	errMore  = errors.New("there are more entries than are read")
)

// reads counts down the attempts of one question; it is used by one goroutine.
type reads struct {
	left int
	last error
}

type readsKey struct{}

// spend is the interceptor that makes every attempt on the wire count.
func (c *Client) spend(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if r, ok := ctx.Value(readsKey{}).(*reads); ok {
		if r.left == 0 {
			if r.last != nil {
				return r.last
			}
			return errReads
		}
		r.left--
		r.last = c.attempt(ctx, method, req, reply, conn, invoke, opts...)
		return r.last
	}
	return c.attempt(ctx, method, req, reply, conn, invoke, opts...)
}

// attempt makes one attempt, unless Cloud Logging is down.
func (c *Client) attempt(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return c.circuit.Do(ctx, func() error { return c.budgeted(ctx, method, req, reply, conn, invoke, opts...) })
}

// budgeted spends one from the budget, and closes the budget when Google says
// that its own is spent.
func (c *Client) budgeted(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := c.budget.Take(); err != nil {
		return err
	}
	err := invoke(ctx, method, req, reply, conn, opts...)
	if status.Code(err) != codes.ResourceExhausted {
		return err
	}
	wait := time.Minute
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			wait = min(info.GetRetryDelay().AsDuration(), time.Hour)
		}
	}
	q := &evidence.QuotaError{Upstream: "logging", Scope: quota.Minute, Until: c.now().Add(wait)}
	c.budget.Exhaust(q.Scope, q.Until)
	return fmt.Errorf("%w: %w", q, err)
}

// one asks one question by itself. A full page is followed by narrower
// questions, as far as the question's reads go: the newest entries up to the
// event, where the page did not reach it, and the audit entries.
func (c *Client) one(ctx context.Context, q evidence.LogQuery) (answer, error) {
	scopes, err := c.scopesOf(q.Workload.Project)
	if err != nil {
		return answer{}, err
	}
	ctx = context.WithValue(ctx, readsKey{}, &reads{left: maxReads})
	queries := []evidence.LogQuery{q}
	found, more, err := c.list(ctx, scopes, Filter(queries), maxEntries)
	if err != nil && len(found) == 0 && !errors.Is(err, errReads) {
		return answer{}, classify(err)
	}
	cut := cutBy(more, err)
	entries := mapAll(found, q.Workload)
	if more && err == nil {
		end := q.Event.Add(share)
		if timeOf(found[len(found)-1]).After(end) {
			entries = append(entries, c.also(ctx, scopes, filter(queries, true, end), q.Workload)...)
		}
		entries = append(entries, c.also(ctx, scopes, filter(queries, false, time.Time{}), q.Workload)...)
	}
	return answer{entries: tidy(entries, q.Event.Add(share/2)), cut: cut}, nil
}

// also asks a narrower question; its failure leaves the answer as partial as it was.
func (c *Client) also(ctx context.Context, scopes []string, query string, w finding.Workload) []evidence.LogEntry {
	found, _, _ := c.list(ctx, scopes, query, maxEntries)
	return mapAll(found, w)
}

// list returns at most limit entries, the newest first: of too many, the ones
// at the far end of the audit window are the least telling. more says that
// there are, or may be, others. Entries may come with an error.
func (c *Client) list(ctx context.Context, scopes []string, query string, limit int32) (found []*loggingpb.LogEntry, more bool, err error) {
	it := c.api.ListLogEntries(ctx, &loggingpb.ListLogEntriesRequest{
		ResourceNames: scopes,
		Filter:        query,
		OrderBy:       "timestamp desc",
		PageSize:      min(limit, maxPage),
	})
	for len(found) < int(limit) {
		e, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return found, false, nil
		}
		if err != nil {
			return found, true, err
		}
		found = append(found, e)
	}
	return found, it.PageInfo().Token != "" || it.PageInfo().Remaining() > 0, nil
}

// cutBy says why an answer is not complete; nil when it is.
func cutBy(more bool, err error) error {
	switch {
	case errors.Is(err, errReads):
		return fmt.Errorf("list log entries: %w: %w", evidence.ErrPartial, errReads)
	case err != nil:
		return fmt.Errorf("%w: %w", evidence.ErrPartial, classify(err))
	case more:
		return fmt.Errorf("list log entries: %w: %w", evidence.ErrPartial, errMore)
	}
	return nil
}

// classify gives an error of entries.list its meaning. A scope that does not
// exist is a fault of the configuration, not an empty log.
func classify(err error) error {
	if errors.Is(err, evidence.ErrQuota) {
		return fmt.Errorf("list log entries: %w", err)
	}
	if upstream.Code(err) == codes.NotFound {
		return fmt.Errorf("list log entries: no such log scope: %w", err)
	}
	return upstream.Classify("list log entries", err)
}

// mapAll maps the entries that are about a workload.
func mapAll(found []*loggingpb.LogEntry, w finding.Workload) []evidence.LogEntry {
	out := make([]evidence.LogEntry, 0, len(found))
	for _, e := range found {
		if about(e, w) {
			out = append(out, entryOf(e))
		}
	}
	return out
}

// tidy sorts by time, takes doubles out and keeps the entries nearest to the event.
func tidy(entries []evidence.LogEntry, event time.Time) []evidence.LogEntry {
	type id struct {
		log, insert string
		time        time.Time
	}
	seen := map[id]bool{}
	entries = slices.DeleteFunc(entries, func(e evidence.LogEntry) bool {
		k := id{e.LogName, e.InsertID, e.Time}
		double := e.InsertID != "" && seen[k]
		seen[k] = true
		return double
	})
	if len(entries) > maxEntries {
		audits := 0
		slices.SortStableFunc(entries, func(a, b evidence.LogEntry) int {
			return cmp.Compare(a.Time.Sub(event).Abs(), b.Time.Sub(event).Abs())
		})
		var kept, rest []evidence.LogEntry
		for _, e := range entries {
			if e.Kind == evidence.LogAudit && audits < maxAudit {
				audits++
				kept = append(kept, e)
			} else {
				rest = append(rest, e)
			}
		}
		entries = append(kept, rest[:min(len(rest), maxEntries-len(kept))]...)
	}
	slices.SortStableFunc(entries, func(a, b evidence.LogEntry) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.InsertID, b.InsertID))
	})
	return entries
}
