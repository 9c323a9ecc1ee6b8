package cloudrun

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// fakeRun is the Cloud Run Admin API over what a test puts into its maps.
type fakeRun struct {
	services    map[string]*runpb.Service
	jobs        map[string]*runpb.Job
	workerPools map[string]*runpb.WorkerPool
	revisions   map[string]*runpb.Revision
	executions  map[string]*runpb.Execution
	policies    map[string]*iampb.Policy
	// fail maps a method's name to the error it answers.
	fail map[string]error
	// block, if set, is waited for by every call of GetService.
	block chan struct{}

	mu    sync.Mutex
	calls []string
	// routing are the x-goog-request-params headers received.
	routing []string
	// arrived gets one value a call, if set.
	arrived chan string
}

func (f *fakeRun) called(ctx context.Context, method, name string) error {
	f.mu.Lock()
	f.calls = append(f.calls, method+" "+name)
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		f.routing = append(f.routing, md.Get("x-goog-request-params")...)
	}
	err := f.fail[method]
	f.mu.Unlock()
	if f.arrived != nil {
		f.arrived <- method
	}
	return err
}

func (f *fakeRun) setFail(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[method] = err
}

// sortedCalls returns and forgets the calls so far.
func (f *fakeRun) sortedCalls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.calls
	f.calls = nil
	slices.Sort(out)
	return out
}

func found[T any](m map[string]*T, name string) (*T, error) {
	if v := m[name]; v != nil {
		return v, nil
	}
	return nil, status.Errorf(codes.NotFound, "Resource %q not found", name)
}

func (f *fakeRun) policy(ctx context.Context, method string, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	if err := f.called(ctx, method, req.GetResource()); err != nil {
		return nil, err
	}
	if req.GetOptions().GetRequestedPolicyVersion() != 3 {
		return nil, status.Error(codes.InvalidArgument, "want policy version 3")
	}
	if p := f.policies[req.GetResource()]; p != nil {
		return p, nil
	}
	return &iampb.Policy{}, nil
}

type fakeServices struct {
	runpb.UnimplementedServicesServer
	*fakeRun
}

func (f fakeServices) GetService(ctx context.Context, req *runpb.GetServiceRequest) (*runpb.Service, error) {
	if err := f.called(ctx, "GetService", req.GetName()); err != nil {
		return nil, err
	}
	if f.block != nil {
		select {
		case <-f.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return found(f.services, req.GetName())
}

func (f fakeServices) GetIamPolicy(ctx context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	return f.policy(ctx, "Services.GetIamPolicy", req)
}

type fakeJobs struct {
	runpb.UnimplementedJobsServer
	*fakeRun
}

func (f fakeJobs) GetJob(ctx context.Context, req *runpb.GetJobRequest) (*runpb.Job, error) {
	if err := f.called(ctx, "GetJob", req.GetName()); err != nil {
		return nil, err
	}
	return found(f.jobs, req.GetName())
}

func (f fakeJobs) GetIamPolicy(ctx context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	return f.policy(ctx, "Jobs.GetIamPolicy", req)
}

type fakeWorkerPools struct {
	runpb.UnimplementedWorkerPoolsServer
	*fakeRun
}

func (f fakeWorkerPools) GetWorkerPool(ctx context.Context, req *runpb.GetWorkerPoolRequest) (*runpb.WorkerPool, error) {
	if err := f.called(ctx, "GetWorkerPool", req.GetName()); err != nil {
		return nil, err
	}
	return found(f.workerPools, req.GetName())
}

func (f fakeWorkerPools) GetIamPolicy(ctx context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	return f.policy(ctx, "WorkerPools.GetIamPolicy", req)
}

type fakeRevisions struct {
	runpb.UnimplementedRevisionsServer
	*fakeRun
}

func (f fakeRevisions) GetRevision(ctx context.Context, req *runpb.GetRevisionRequest) (*runpb.Revision, error) {
	if err := f.called(ctx, "GetRevision", req.GetName()); err != nil {
		return nil, err
	}
	return found(f.revisions, req.GetName())
}

func (f fakeRevisions) ListRevisions(ctx context.Context, req *runpb.ListRevisionsRequest) (*runpb.ListRevisionsResponse, error) {
	if err := f.called(ctx, "ListRevisions", req.GetParent()); err != nil {
		return nil, err
	}
	out := under(f.revisions, req.GetParent()+"/revisions/", (*runpb.Revision).GetCreateTime)
	if n := int(req.GetPageSize()); len(out) > n {
		return &runpb.ListRevisionsResponse{Revisions: out[:n], NextPageToken: "more"}, nil
	}
	return &runpb.ListRevisionsResponse{Revisions: out}, nil
}

type fakeExecutions struct {
	runpb.UnimplementedExecutionsServer
	*fakeRun
}

func (f fakeExecutions) GetExecution(ctx context.Context, req *runpb.GetExecutionRequest) (*runpb.Execution, error) {
	if err := f.called(ctx, "GetExecution", req.GetName()); err != nil {
		return nil, err
	}
	return found(f.executions, req.GetName())
}

func (f fakeExecutions) ListExecutions(ctx context.Context, req *runpb.ListExecutionsRequest) (*runpb.ListExecutionsResponse, error) {
	if err := f.called(ctx, "ListExecutions", req.GetParent()); err != nil {
		return nil, err
	}
	return &runpb.ListExecutionsResponse{Executions: under(f.executions, req.GetParent()+"/executions/", (*runpb.Execution).GetCreateTime)}, nil
}

// under lists what is under a prefix, newest first, as the API does.
func under[T any](m map[string]*T, prefix string, created func(*T) *timestamppb.Timestamp) []*T {
	var out []*T
	for name, v := range m {
		if strings.HasPrefix(name, prefix) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b *T) int { return created(b).AsTime().Compare(created(a).AsTime()) })
	return out
}

// start serves f and returns a real client on it.
func (f *fakeRun) start(t *testing.T, now func() time.Time) *Client {
	t.Helper()
	if f.fail == nil {
		f.fail = map[string]error{}
	}
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	runpb.RegisterServicesServer(srv, fakeServices{fakeRun: f})
	runpb.RegisterJobsServer(srv, fakeJobs{fakeRun: f})
	runpb.RegisterWorkerPoolsServer(srv, fakeWorkerPools{fakeRun: f})
	runpb.RegisterRevisionsServer(srv, fakeRevisions{fakeRun: f})
	runpb.RegisterExecutionsServer(srv, fakeExecutions{fakeRun: f})
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	c, err := New(t.Context(), Options{ClientOptions: upstream.ClientOptions("http://" + lis.Addr().String()), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
