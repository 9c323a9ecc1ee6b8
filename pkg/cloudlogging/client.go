// Package cloudlogging reads the log entries around an event of a Cloud Run
// workload: what the application, the request log and the platform wrote, and
// the audit entries about the workload.
//
// entries.list is the scarcest call there is: Google grants 60 a minute and
// project and does not raise it (https://cloud.google.com/logging/quotas). So
// one question costs one call; questions about one workload within one minute
// share an answer; and when many workloads are asked about at once, their
// questions travel together in one filter. Every attempt on the wire, a page or
// a retry, is spent from the budget.
package cloudlogging

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	logging "cloud.google.com/go/logging/apiv2"
	"github.com/googleapis/gax-go/v2"
	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// The bounds of a Client.
const (
	// share is the width of the time slot within which questions about one
	// workload share an answer.
	share = time.Minute
	// keep is how long an answer is used again: long enough for a burst, short
	// enough for entries that arrive late.
	keep = 30 * time.Second
	// cacheBytes bounds the text that is kept.
	cacheBytes = 16 << 20
	// flightTimeout is the deadline of a read whose caller has none.
	flightTimeout = 30 * time.Second
	// defaultAuditBefore is how far back audit entries are read where the
	// question does not say.
	defaultAuditBefore = 24 * time.Hour
)

// Options configures a Client.
type Options struct {
	// ClientOptions are given to the Google client. Do not give a connection:
	// the budget is kept by an interceptor.
	ClientOptions []option.ClientOption
	// Budget is spent one per entries.list attempt; nil is no limit.
	Budget *quota.Budget
	// Circuit spares Cloud Logging while it is down; nil never does.
	Circuit *upstream.Circuit
	// Scopes are the resource names to read, at most 100, with {project} in
	// place of the workload's project: "projects/{project}" or
	// "projects/central/locations/global/buckets/B/views/V". The default is
	// "projects/{project}".
	Scopes []string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client implements evidence.LogReader. It is safe for concurrent use.
type Client struct {
	api     *logging.Client
	budget  *quota.Budget
	circuit *upstream.Circuit
	scopes  []string
	now     func() time.Time
	cache   *otter.Cache[evidence.LogQuery, answer]
	flights singleflight.Group
	running sync.WaitGroup
	gather  gatherer
}

// answer is the shared answer to a question: entries in order of time.
type answer struct {
	entries []evidence.LogEntry
	// cut is nil when the answer is complete; else it says what was left out.
	cut error
}

// New connects to Cloud Logging. It needs roles/logging.viewer on the projects
// read, roles/logging.viewAccessor for views of user-defined buckets, and
// roles/logging.privateLogViewer to see job runs, which Cloud Run writes as
// Data Access entries.
func New(ctx context.Context, o Options) (*Client, error) {
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"projects/{project}"}
	}
	if err := CheckScopes(o.Scopes); err != nil {
		return nil, fmt.Errorf("log scopes: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	cache, err := otter.New(&otter.Options[evidence.LogQuery, answer]{
		MaximumWeight:    cacheBytes,
		Executor:         func(work func()) { work() }, // cheaper than a goroutine for each write
		Weigher:          func(_ evidence.LogQuery, a answer) uint32 { return a.weight() },
		ExpiryCalculator: otter.ExpiryWriting[evidence.LogQuery, answer](keep),
	})
	if err != nil {
		return nil, fmt.Errorf("make log cache: %w", err)
	}
	c := &Client{budget: o.Budget, circuit: o.Circuit, scopes: o.Scopes, now: o.Now, cache: cache}
	opts := append([]option.ClientOption{option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(c.spend))}, o.ClientOptions...)
	if c.api, err = logging.NewClient(ctx, opts...); err != nil {
		return nil, fmt.Errorf("connect to Cloud Logging: %w", err)
	}
	// The generated client would retry DeadlineExceeded and Internal for a
	// minute, each attempt out of the budget.
	c.api.CallOptions.ListLogEntries = []gax.CallOption{upstream.Retry()}
	return c, nil
}

// Close ends the connection and waits for the reads under way.
func (c *Client) Close() error {
	err := c.api.Close()
	c.running.Wait()
	return err
}

// ReadLogs returns the entries of the workload around the event, in order of
// time and at most 500. Where there were more, or there was no time to search
// all, the answer is what was found, Truncated is set and the error wraps
// evidence.ErrPartial; the entries nearest to the event are kept.
func (c *Client) ReadLogs(ctx context.Context, q evidence.LogQuery) (evidence.Logs, error) {
	if _, label := evidence.LogResource(q.Workload.Kind); label == "" || q.Workload.Name == "" || q.Event.IsZero() {
		return evidence.Logs{}, errors.New("read logs: the question names no workload or no time")
	}
	scopes, err := c.scopesOf(q.Workload.Project)
	if err != nil {
		return evidence.Logs{}, fmt.Errorf("read logs: %w", err)
	}
	a, err := c.ask(ctx, align(q))
	if err != nil {
		return evidence.Logs{}, err
	}
	return a.logs(q, scopes), a.cut
}

// align widens a question to the time slot it shares.
func align(q evidence.LogQuery) evidence.LogQuery {
	q.Event = q.Event.UTC().Truncate(share)
	q.Before = max(q.Before, 0)
	q.After = max(q.After, 0) + share
	if q.AuditBefore <= 0 {
		q.AuditBefore = defaultAuditBefore
	}
	q.AuditBefore = max(q.AuditBefore, q.Before)
	return q
}

// ask answers from the cache, from the same question already under way, or by
// asking. A question under way does not die with the caller that began it.
func (c *Client) ask(ctx context.Context, q evidence.LogQuery) (answer, error) {
	for {
		if a, ok := c.cache.GetIfPresent(q); ok {
			return a, nil
		}
		done := c.flights.DoChan(fmt.Sprintf("%q %v", q.Workload, q), func() (any, error) {
			c.running.Add(1)
			defer c.running.Done()
			return c.fly(ctx, q)
		})
		select {
		case <-ctx.Done():
			return answer{}, fmt.Errorf("list log entries: %w", context.Cause(ctx))
		case r := <-done:
			if r.Err != nil {
				// The deadline was that of whoever asked first.
				if errors.Is(r.Err, context.DeadlineExceeded) && r.Shared && ctx.Err() == nil {
					continue
				}
				return answer{}, r.Err
			}
			return r.Val.(answer), nil
		}
	}
}

// fly asks once for all who wait.
func (c *Client) fly(ctx context.Context, q evidence.LogQuery) (answer, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(flightTimeout)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	a, err := c.join(ctx, q)
	if err != nil {
		return answer{}, err
	}
	if a.cut == nil || errors.Is(a.cut, errMore) {
		c.cache.Set(q, a)
	}
	return a, nil
}

// logs cuts the shared answer to the very window of one question.
func (a answer) logs(q evidence.LogQuery, scopes []string) evidence.Logs {
	l := evidence.Logs{
		Truncated: a.cut != nil, Scopes: scopes, Event: q.Event,
		From: q.Event.Add(-q.Before), To: q.Event.Add(q.After),
	}
	auditFrom := q.Event.Add(-align(q).AuditBefore)
	for _, e := range a.entries {
		from := l.From
		if e.Kind == evidence.LogAudit {
			from = auditFrom
		}
		if !e.Time.Before(from) && !e.Time.After(l.To) {
			l.Entries = append(l.Entries, e)
		}
	}
	// An answer cut short cannot say that nothing is visible.
	l.Visible = len(a.entries) > 0 || a.cut != nil
	return l
}

// weight is about how many bytes an answer holds.
func (a answer) weight() uint32 {
	n := 256
	for i := range a.entries {
		e := &a.entries[i]
		n += 512 + len(e.Text)
		if e.Request != nil {
			n += 128 + len(e.Request.URL)
		}
		if e.Audit != nil {
			n += 256 + len(e.Audit.Message) + len(e.Audit.Detail)
		}
	}
	return uint32(min(n, cacheBytes))
}

// CheckScopes returns why entries.list would refuse the resource names, all of
// them: each is as Options.Scopes describes.
func CheckScopes(scopes []string) error {
	if len(scopes) > maxScopes {
		return fmt.Errorf("%d given, at most %d are allowed", len(scopes), maxScopes)
	}
	valid := regexp.MustCompile(`^(?:projects|folders|organizations|billingAccounts)/[^/\s{}]+(?:/locations/[^/\s{}]+/buckets/[^/\s{}]+/views/[^/\s{}]+)?$`)
	var errs []error
	for _, s := range scopes {
		if !valid.MatchString(strings.ReplaceAll(s, "{project}", "p")) {
			errs = append(errs, fmt.Errorf("%q is neither a project, folder, organization or billing account nor a bucket view", s))
		}
	}
	return errors.Join(errs...)
}

// scopesOf puts the project into the scopes.
func (c *Client) scopesOf(project string) ([]string, error) {
	if project == "" || strings.ContainsFunc(project, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != ':'
	}) {
		return nil, fmt.Errorf("%q is no project", project)
	}
	out := make([]string, len(c.scopes))
	for i, s := range c.scopes {
		out[i] = strings.ReplaceAll(s, "{project}", project)
	}
	return out, nil
}
