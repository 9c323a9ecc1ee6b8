// Package cloudrun reads what a Cloud Run workload is configured to be: the
// service, job or worker pool, who may invoke it, the revision or execution
// that was running when something happened, and what changed before it. It
// speaks the Cloud Run Admin API v2 and only reads; roles/run.viewer on the
// workload's project is enough.
//
// What cannot be read is said, never guessed: a part that fails is named in
// Config.Partial and loses no other part. A workload, revision or execution
// that is gone (Cloud Run deletes old ones by itself) is a normal answer.
//
// Values of environment variables never leave this package. They are looked at
// once, when an answer arrives, and kept only as fingerprints under a key that
// lives as long as the process, so that two revisions can be compared.
//
// Answers are cached: revisions and finished executions, which cannot change,
// for 24 hours; everything else, "not found" included, for a minute; other
// errors never. The cache holds at most about 32 MiB. Equal questions that are
// asked at the same time share one request, which outlives a caller that gives
// up, so that the answer is there when it is asked again.
package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// maxAnswerBytes bounds one answer of the API on the wire.
const maxAnswerBytes = 16 << 20

// Options says how to reach the Cloud Run Admin API.
type Options struct {
	// ClientOptions reach the clients, see upstream.ClientOptions.
	ClientOptions []option.ClientOption
	// Circuit spares the API while it is down; nil never does.
	Circuit *upstream.Circuit
	// Now is the clock of the cache; time.Now if nil.
	Now func() time.Time
}

// Client reads workload configurations. It is safe for concurrent use.
type Client struct {
	services    *run.ServicesClient
	revisions   *run.RevisionsClient
	jobs        *run.JobsClient
	executions  *run.ExecutionsClient
	workerPools *run.WorkerPoolsClient
	store       *store
	mapper      mapper
}

var _ evidence.ConfigReader = (*Client)(nil)

// New returns a Client; all its requests share one connection. Close it.
func New(ctx context.Context, o Options) (*Client, error) {
	opts := append([]option.ClientOption{
		option.WithGRPCDialOption(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes))),
		upstream.Guard(func(string) *upstream.Circuit { return o.Circuit }),
	}, o.ClientOptions...)
	c := &Client{mapper: newMapper()}
	var err error
	if c.store, err = newStore(o.Now); err != nil {
		return nil, fmt.Errorf("make the Cloud Run cache: %w", err)
	}
	if c.services, err = run.NewServicesClient(ctx, opts...); err != nil {
		return nil, fmt.Errorf("make the Cloud Run client: %w", err)
	}
	//lint:ignore SA1019 Deprecated for pools of several connections; ours has one, and five idle ones cost memory.
	shared := option.WithGRPCConn(c.services.Connection()) //nolint:staticcheck // golangci-lint does not read the line above
	errs := make([]error, 4)
	c.revisions, errs[0] = run.NewRevisionsClient(ctx, shared)
	c.jobs, errs[1] = run.NewJobsClient(ctx, shared)
	c.executions, errs[2] = run.NewExecutionsClient(ctx, shared)
	c.workerPools, errs[3] = run.NewWorkerPoolsClient(ctx, shared)
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(fmt.Errorf("make the Cloud Run clients: %w", err), c.services.Close())
	}
	return c, nil
}

// Close closes the connection; requests under way fail.
func (c *Client) Close() error {
	if err := c.services.Close(); err != nil {
		return fmt.Errorf("close the Cloud Run client: %w", err)
	}
	return nil
}

// ReadConfig reads the configuration of w as it was at the given time; a zero
// time means now. If w names a revision or execution, that one is reviewed;
// otherwise, or if it is gone, the one that was serving or running at the time.
//
// A deleted workload is a Config with Gone set and an error that wraps
// evidence.ErrNotFound. If some part could not be read, the Config names it in
// Partial and the error wraps evidence.ErrPartial together with the causes. If
// nothing could be read there is no Config, and the error wraps
// evidence.ErrDenied, evidence.ErrQuota or context.DeadlineExceeded where that
// is why.
func (c *Client) ReadConfig(ctx context.Context, w finding.Workload, at time.Time) (*evidence.Config, error) {
	n, err := nameOf(w)
	if err != nil {
		return nil, err
	}
	a := c.ask(ctx, n)
	if errors.Is(a.parentErr, evidence.ErrNotFound) {
		return &evidence.Config{Resource: n.resource, Gone: true}, a.parentErr
	}
	if a.parent == nil && a.policy == nil && a.named == nil && a.recent == nil {
		return nil, fmt.Errorf("read %s: %w", n.resource, causes{a.parentErr, a.policyErr, a.recentErr})
	}
	r := &review{client: c, name: n, at: at, answers: a}
	return r.config(ctx)
}

// answers are the parts of a configuration, each with its own error.
type answers struct {
	parent    *parent
	parentErr error
	policy    *policy
	policyErr error
	// named is the revision or execution the finding names; nil, without an
	// error, if it names none.
	named     *version
	namedErr  error
	recent    *recent
	recentErr error
}

// ask reads all parts at once.
func (c *Client) ask(ctx context.Context, n name) *answers {
	var (
		a  answers
		wg sync.WaitGroup
	)
	wg.Go(func() { a.parent, a.parentErr = c.readParent(ctx, n) })
	wg.Go(func() { a.policy, a.policyErr = c.readPolicy(ctx, n) })
	wg.Go(func() { a.recent, a.recentErr = c.readRecent(ctx, n) })
	if n.version != "" {
		wg.Go(func() { a.named, a.namedErr = c.readVersion(ctx, n, n.version) })
	}
	wg.Wait()
	return &a
}

// causes is why parts are missing, in one line.
type causes []error

// Error tells the first cause and counts the others.
func (c causes) Error() string {
	if len(c) == 1 {
		return c[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", c[0], len(c)-1)
}

// Unwrap returns the causes, but for "not found": only the workload itself
// being gone makes the whole answer empty.
func (c causes) Unwrap() []error {
	var out []error
	for _, err := range c {
		if !errors.Is(err, evidence.ErrNotFound) {
			out = append(out, err)
		}
	}
	return out
}
