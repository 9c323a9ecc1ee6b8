package emulator

import (
	"context"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// runService is what the five Cloud Run services share.
type runService struct{ world *World }

type (
	services struct {
		runpb.UnimplementedServicesServer
		runService
	}
	revisions struct {
		runpb.UnimplementedRevisionsServer
		runService
	}
	jobs struct {
		runpb.UnimplementedJobsServer
		runService
	}
	executions struct {
		runpb.UnimplementedExecutionsServer
		runService
	}
	workerPools struct {
		runpb.UnimplementedWorkerPoolsServer
		runService
	}
)

// GetService implements run/v2/service.proto.
func (s *services) GetService(_ context.Context, req *runpb.GetServiceRequest) (*runpb.Service, error) {
	return getRun[*runpb.Service](s.world, req.GetName(), "run.services.get", "services")
}

// ListServices implements run/v2/service.proto; the location may not be "-".
func (s *services) ListServices(_ context.Context, req *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	list, next, err := listRun[*runpb.Service](s.world, req, "run.services.list", "services")
	return &runpb.ListServicesResponse{Services: list, NextPageToken: next}, err
}

// GetIamPolicy answers an empty policy for a service that has none.
func (s *services) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	return s.policy(req, "run.services.getIamPolicy", "services")
}

// GetRevision implements run/v2/revision.proto.
func (s *revisions) GetRevision(_ context.Context, req *runpb.GetRevisionRequest) (*runpb.Revision, error) {
	return getRun[*runpb.Revision](s.world, req.GetName(), "run.revisions.get", "revisions")
}

// ListRevisions sorts by creation time, newest first; the service may be "-".
func (s *revisions) ListRevisions(_ context.Context, req *runpb.ListRevisionsRequest) (*runpb.ListRevisionsResponse, error) {
	list, next, err := listRun[*runpb.Revision](s.world, req, "run.revisions.list", "revisions")
	return &runpb.ListRevisionsResponse{Revisions: list, NextPageToken: next}, err
}

// GetJob implements run/v2/job.proto.
func (s *jobs) GetJob(_ context.Context, req *runpb.GetJobRequest) (*runpb.Job, error) {
	return getRun[*runpb.Job](s.world, req.GetName(), "run.jobs.get", "jobs")
}

// ListJobs implements run/v2/job.proto.
func (s *jobs) ListJobs(_ context.Context, req *runpb.ListJobsRequest) (*runpb.ListJobsResponse, error) {
	list, next, err := listRun[*runpb.Job](s.world, req, "run.jobs.list", "jobs")
	return &runpb.ListJobsResponse{Jobs: list, NextPageToken: next}, err
}

// GetIamPolicy answers an empty policy for a job that has none.
func (s *jobs) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	return s.policy(req, "run.jobs.getIamPolicy", "jobs")
}

// GetExecution implements run/v2/execution.proto.
func (s *executions) GetExecution(_ context.Context, req *runpb.GetExecutionRequest) (*runpb.Execution, error) {
	return getRun[*runpb.Execution](s.world, req.GetName(), "run.executions.get", "executions")
}

// ListExecutions sorts by creation time, newest first; the job may be "-".
func (s *executions) ListExecutions(_ context.Context, req *runpb.ListExecutionsRequest) (*runpb.ListExecutionsResponse, error) {
	list, next, err := listRun[*runpb.Execution](s.world, req, "run.executions.list", "executions")
	return &runpb.ListExecutionsResponse{Executions: list, NextPageToken: next}, err
}

// GetWorkerPool implements run/v2/worker_pool.proto.
func (s *workerPools) GetWorkerPool(_ context.Context, req *runpb.GetWorkerPoolRequest) (*runpb.WorkerPool, error) {
	return getRun[*runpb.WorkerPool](s.world, req.GetName(), "run.workerpools.get", "workerPools")
}

// ListWorkerPools implements run/v2/worker_pool.proto.
func (s *workerPools) ListWorkerPools(_ context.Context, req *runpb.ListWorkerPoolsRequest) (*runpb.ListWorkerPoolsResponse, error) {
	list, next, err := listRun[*runpb.WorkerPool](s.world, req, "run.workerpools.list", "workerPools")
	return &runpb.ListWorkerPoolsResponse{WorkerPools: list, NextPageToken: next}, err
}

// GetIamPolicy answers an empty policy for a worker pool that has none.
func (s *workerPools) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	return s.policy(req, "run.workerpools.getIamPolicy", "workerPools")
}

func (s runService) policy(req *iampb.GetIamPolicyRequest, permission, collection string) (*iampb.Policy, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	name, err := s.world.runName(req.GetResource(), permission, collection)
	if err != nil {
		return nil, err
	}
	if s.world.run[name] == nil {
		return nil, notFound(req.GetResource())
	}
	if p := s.world.policies[name]; p != nil {
		return p, nil
	}
	return &iampb.Policy{Version: 1, Etag: []byte("ACAB")}, nil
}

func notFound(name string) error {
	return status.Errorf(codes.NotFound, "Resource '%s' was not found.", name)
}

// runName checks a name, projects/P/locations/L/COLLECTION/X with pairs
// between, and gives it with the project's id. The caller holds the lock.
func (w *World) runName(name, permission, collection string) (string, error) {
	parts := strings.Split(name, "/")
	n := len(parts)
	if n < 6 || n%2 != 0 || parts[0] != "projects" || parts[2] != "locations" || parts[n-2] != collection || slices.Contains(parts, "") {
		return "", invalid("Invalid resource name %.300q.", name)
	}
	p, ok := w.project(parts[1])
	if !ok {
		return "", status.Errorf(codes.PermissionDenied, "Permission '%s' denied on resource '%.300s' (or resource may not exist).", permission, name)
	}
	parts[1] = p.ID
	return strings.Join(parts, "/"), nil
}

func getRun[T proto.Message](w *World, name, permission, collection string) (T, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var none T
	full, err := w.runName(name, permission, collection)
	if err != nil {
		return none, err
	}
	r, ok := w.run[full].(T)
	if !ok {
		return none, notFound(name)
	}
	return r, nil
}

type listRequest interface {
	GetParent() string
	GetPageSize() int32
	GetPageToken() string
}

type runResource interface {
	proto.Message
	GetName() string
	GetCreateTime() *timestamppb.Timestamp
}

// listRun lists one collection under a parent, newest first.
func listRun[T runResource](w *World, req listRequest, permission, collection string) ([]T, string, error) {
	size, err := pageSize(req.GetPageSize(), 100, 1000)
	if err != nil {
		return nil, "", err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	full, err := w.runName(req.GetParent()+"/"+collection+"/x", permission, collection)
	if err != nil {
		return nil, "", err
	}
	want := strings.Split(strings.TrimSuffix(full, "/x"), "/")
	if want[3] == "-" {
		return nil, "", invalid("Location '-' is not supported.")
	}
	var all []T
	add := func(list map[string]runResource) {
		for _, r := range list {
			if t, ok := r.(T); ok {
				all = append(all, t)
			}
		}
	}
	if slices.Contains(want, "-") {
		for name, list := range w.runLists {
			if under(strings.Split(name, "/"), want) {
				add(list)
			}
		}
	} else {
		add(w.runLists[strings.Join(want, "/")])
	}
	slices.SortFunc(all, func(a, b T) int {
		if c := b.GetCreateTime().AsTime().Compare(a.GetCreateTime().AsTime()); c != 0 {
			return c
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
	return page(all, size, req.GetPageToken(), req.GetParent())
}

// under reports whether a collection is the one asked for; "-" in what is asked
// for stands for any.
func under(name, collection []string) bool {
	if len(name) != len(collection) {
		return false
	}
	for i, part := range collection {
		if part != name[i] && (part != "-" || i < 4) {
			return false
		}
	}
	return true
}
