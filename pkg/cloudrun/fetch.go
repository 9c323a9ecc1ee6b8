package cloudrun

import (
	"context"
	"errors"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// pageSize is how many of the newest revisions or executions are looked at.
// The API lists them newest first.
const pageSize = 20

// conditionalPolicies is the policy version that shows bindings with
// conditions (google.iam.v1.GetPolicyOptions).
const conditionalPolicies = 3

// readParent reads the service, job or worker pool.
func (c *Client) readParent(ctx context.Context, n name) (*parent, error) {
	key := string(n.kind) + " " + n.resource
	return get(ctx, c.store, key, func(ctx context.Context) (*parent, time.Duration, error) {
		var (
			p   *parent
			err error
		)
		switch n.kind {
		case finding.Job:
			var j *runpb.Job
			if j, err = c.jobs.GetJob(ctx, &runpb.GetJobRequest{Name: n.resource}, upstream.Retry()); err == nil {
				p = c.mapper.job(j)
			}
		case finding.WorkerPool:
			var w *runpb.WorkerPool
			if w, err = c.workerPools.GetWorkerPool(ctx, &runpb.GetWorkerPoolRequest{Name: n.resource}, upstream.Retry()); err == nil {
				p = c.mapper.workerPool(w)
			}
		default:
			var s *runpb.Service
			if s, err = c.services.GetService(ctx, &runpb.GetServiceRequest{Name: n.resource}, upstream.Retry()); err == nil {
				p = c.mapper.service(s)
			}
		}
		return p, fresh, upstream.Classify("get "+key, err)
	})
}

// readPolicy reads who may invoke the workload.
func (c *Client) readPolicy(ctx context.Context, n name) (*policy, error) {
	key := "iam policy of " + n.resource
	return get(ctx, c.store, key, func(ctx context.Context) (*policy, time.Duration, error) {
		req := &iampb.GetIamPolicyRequest{Resource: n.resource, Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: conditionalPolicies}}
		var (
			p   *iampb.Policy
			err error
		)
		switch n.kind {
		case finding.Job:
			p, err = c.jobs.GetIamPolicy(ctx, req, upstream.Retry())
		case finding.WorkerPool:
			p, err = c.workerPools.GetIamPolicy(ctx, req, upstream.Retry())
		default:
			p, err = c.services.GetIamPolicy(ctx, req, upstream.Retry())
		}
		if err != nil {
			return nil, 0, upstream.Classify("get "+key, err)
		}
		return invokersOf(n.kind, p), fresh, nil
	})
}

// readVersion reads one revision or execution.
func (c *Client) readVersion(ctx context.Context, n name, short string) (*version, error) {
	full := n.versionName(short)
	return get(ctx, c.store, "version "+full, func(ctx context.Context) (*version, time.Duration, error) {
		if n.kind != finding.Job {
			r, err := c.revisions.GetRevision(ctx, &runpb.GetRevisionRequest{Name: full}, upstream.Retry())
			if err != nil {
				return nil, 0, upstream.Classify("get revision "+full, err)
			}
			return c.mapper.revision(r), immutable, nil
		}
		e, err := c.executions.GetExecution(ctx, &runpb.GetExecutionRequest{Name: full}, upstream.Retry())
		if err != nil {
			return nil, 0, upstream.Classify("get execution "+full, err)
		}
		v := c.mapper.execution(e)
		if v.completed.IsZero() {
			return v, fresh, nil
		}
		return v, immutable, nil
	})
}

// recent is the newest page of revisions or executions, newest first.
type recent struct {
	versions []*version
	// more is true when there are older ones than these.
	more bool
}

func (r *recent) size() int {
	n := 64
	for _, v := range r.versions {
		n += v.size()
	}
	return n
}

// readRecent reads the newest page of revisions or executions, in one request.
func (c *Client) readRecent(ctx context.Context, n name) (*recent, error) {
	key := "versions of " + n.resource
	return get(ctx, c.store, key, func(ctx context.Context) (*recent, time.Duration, error) {
		var (
			r   *recent
			err error
		)
		if n.kind == finding.Job {
			it := c.executions.ListExecutions(ctx, &runpb.ListExecutionsRequest{Parent: n.resource, PageSize: pageSize}, upstream.Retry())
			r, err = page(it.Next, it.PageInfo(), c.mapper.execution)
		} else {
			it := c.revisions.ListRevisions(ctx, &runpb.ListRevisionsRequest{Parent: n.resource, PageSize: pageSize}, upstream.Retry())
			r, err = page(it.Next, it.PageInfo(), c.mapper.revision)
		}
		return r, fresh, upstream.Classify("list "+key, err)
	})
}

// page reads the first page of an iterator and leaves the others.
func page[T any](next func() (T, error), info *iterator.PageInfo, reduce func(T) *version) (*recent, error) {
	r := &recent{}
	for {
		v, err := next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, err
		}
		r.versions = append(r.versions, reduce(v))
		if info.Remaining() == 0 {
			break
		}
	}
	r.more = info.Token != ""
	return r, nil
}
