package cloudlogging

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/genproto/googleapis/cloud/audit"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// server is Cloud Logging, as strict as the documentation says.
type server struct {
	loggingpb.UnimplementedLoggingServiceV2Server
	t testing.TB

	mu       sync.Mutex
	entries  []*loggingpb.LogEntry
	requests []*loggingpb.ListLogEntriesRequest
	// answer, if set, may take over; nil, nil falls through.
	answer func(n int, req *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error)
}

func (s *server) ListLogEntries(_ context.Context, req *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
	s.mu.Lock()
	s.requests = append(s.requests, proto.CloneOf(req))
	n, answer := len(s.requests), s.answer
	s.mu.Unlock()
	expr, err := parseFilter(req.GetFilter())
	switch {
	case err != nil:
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case req.GetPageSize() < 0 || req.GetPageSize() > 1000:
		return nil, status.Errorf(codes.InvalidArgument, "page size %d", req.GetPageSize())
	case len(req.GetResourceNames()) == 0 || len(req.GetResourceNames()) > 100:
		return nil, status.Errorf(codes.InvalidArgument, "%d resource names", len(req.GetResourceNames()))
	case req.GetOrderBy() != "timestamp asc" && req.GetOrderBy() != "timestamp desc":
		return nil, status.Errorf(codes.InvalidArgument, "order %q", req.GetOrderBy())
	}
	if answer != nil {
		if resp, err := answer(n, req); resp != nil || err != nil {
			return resp, err
		}
	}
	var found []*loggingpb.LogEntry
	for _, e := range s.entries {
		if expr.matches(s.t, e) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b *loggingpb.LogEntry) int {
		c := a.GetTimestamp().AsTime().Compare(b.GetTimestamp().AsTime())
		if req.GetOrderBy() == "timestamp desc" {
			return -c
		}
		return c
	})
	from := 0
	if req.GetPageToken() != "" {
		if from, err = strconv.Atoi(req.GetPageToken()); err != nil || from > len(found) {
			return nil, status.Error(codes.InvalidArgument, "page token")
		}
	}
	to := min(from+int(req.GetPageSize()), len(found))
	resp := &loggingpb.ListLogEntriesResponse{Entries: found[from:to]}
	if to < len(found) {
		resp.NextPageToken = strconv.Itoa(to)
	}
	return resp, nil
}

func (s *server) asked() []*loggingpb.ListLogEntriesRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// start serves s on loopback and returns a client of it.
func start(t testing.TB, s *server, o Options) *Client {
	t.Helper()
	s.t = t
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	loggingpb.RegisterLoggingServiceV2Server(g, s)
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	o.ClientOptions = upstream.ClientOptions("http://" + lis.Addr().String())
	c, err := New(t.Context(), o)
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

// entry is an entry of the workload asked about, at after the event.
func entry(q evidence.LogQuery, after time.Duration, log string) *loggingpb.LogEntry {
	resourceType, nameLabel := evidence.LogResource(q.Workload.Kind)
	at := event.Add(after)
	return &loggingpb.LogEntry{
		LogName:   "projects/" + q.Workload.Project + "/logs/" + url.PathEscape(log),
		InsertId:  fmt.Sprint(log, at.UnixNano()),
		Timestamp: timestamppb.New(at),
		Resource: &monitoredres.MonitoredResource{Type: resourceType, Labels: map[string]string{
			"project_id": q.Workload.Project, "location": q.Workload.Location, nameLabel: q.Workload.Name,
		}},
		Payload: &loggingpb.LogEntry_TextPayload{TextPayload: log},
	}
}

func with(e *loggingpb.LogEntry, label, value string) *loggingpb.LogEntry {
	e.Resource.Labels[label] = value
	return e
}

func executing(e *loggingpb.LogEntry, execution string) *loggingpb.LogEntry {
	e.Labels = map[string]string{"run.googleapis.com/execution_name": execution}
	return e
}

func audited(q evidence.LogQuery, after time.Duration, log, method, resource string) *loggingpb.LogEntry {
	e := entry(q, after, log)
	payload, err := anypb.New(&audit.AuditLog{
		ServiceName: "run.googleapis.com", MethodName: method, ResourceName: resource,
		AuthenticationInfo: &audit.AuthenticationInfo{PrincipalEmail: "dev@example.com"},
	})
	if err != nil {
		panic(err)
	}
	e.Payload = &loggingpb.LogEntry_ProtoPayload{ProtoPayload: payload}
	return e
}
