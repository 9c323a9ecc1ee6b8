package scc_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/scc"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// pager answers ListFindings as each test says, and records the requests.
type pager struct {
	securitycenterpb.UnimplementedSecurityCenterServer
	answer func(call int, req *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error)

	mu   sync.Mutex
	reqs []*securitycenterpb.ListFindingsRequest
}

func (p *pager) ListFindings(_ context.Context, req *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error) {
	p.mu.Lock()
	p.reqs = append(p.reqs, proto.CloneOf(req))
	call := len(p.reqs)
	p.mu.Unlock()
	return p.answer(call, req)
}

func (p *pager) requests() []*securitycenterpb.ListFindingsRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reqs
}

// startPager serves p on loopback and returns the client under test.
func startPager(t *testing.T, p *pager, reads *quota.Budget) *scc.Client {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	securitycenterpb.RegisterSecurityCenterServer(g, p)
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	c, err := scc.New(t.Context(), scc.Options{ClientOptions: upstream.ClientOptions("http://" + lis.Addr().String()), Reads: reads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var listSince = time.Date(2026, 3, 1, 10, 0, 0, 999, time.FixedZone("", 3600))

func listResult(id string) *securitycenterpb.ListFindingsResponse_ListFindingsResult {
	return &securitycenterpb.ListFindingsResponse_ListFindingsResult{Finding: &securitycenterpb.Finding{
		Name: "organizations/1/sources/2/locations/global/findings/" + id, CanonicalName: "projects/3/sources/2/locations/global/findings/" + id,
		ResourceName: "//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/web", State: securitycenterpb.Finding_ACTIVE,
		EventTime: timestamppb.New(listSince.Add(time.Minute)), SecurityMarks: &securitycenterpb.SecurityMarks{Marks: map[string]string{"enrich_schema": "1"}},
	}}
}

// TestListPage: the request has the documented form on every page, and the
// answer is what came.
func TestListPage(t *testing.T) {
	t.Parallel()
	p := &pager{answer: func(_ int, req *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error) {
		switch req.GetPageToken() {
		case "":
			return &securitycenterpb.ListFindingsResponse{NextPageToken: "empty", TotalSize: 3, ListFindingsResults: []*securitycenterpb.ListFindingsResponse_ListFindingsResult{listResult("a"), {}, listResult("b")}}, nil
		case "empty":
			return &securitycenterpb.ListFindingsResponse{NextPageToken: "last", TotalSize: 3}, nil
		default:
			return &securitycenterpb.ListFindingsResponse{TotalSize: 3, ListFindingsResults: []*securitycenterpb.ListFindingsResponse_ListFindingsResult{listResult("c")}}, nil
		}
	}}
	c := startPager(t, p, nil)
	type shown struct {
		Names      []string
		Unreadable int
		Next       string
		Total      int
	}
	var got []shown
	for token, first := "", true; first || token != ""; first = false {
		page, err := c.ListPage(t.Context(), scc.ListQuery{Parent: "organizations/1", Since: listSince}, token)
		if err != nil {
			t.Fatal(err)
		}
		s := shown{Unreadable: page.Unreadable, Next: page.Next, Total: page.Total}
		for _, f := range page.Findings {
			if f.Marks["enrich_schema"] != "1" || f.Workload.Name != "web" || !f.EventTime.Equal(listSince.Add(time.Minute)) {
				t.Errorf("finding %+v", f)
			}
			s.Names = append(s.Names, f.CanonicalName)
		}
		got = append(got, s)
		token = page.Next
	}
	const base = "projects/3/sources/2/locations/global/findings/"
	want := []shown{
		{Names: []string{base + "a", base + "b"}, Unreadable: 1, Next: "empty", Total: 3},
		{Next: "last", Total: 3},
		{Names: []string{base + "c"}, Total: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	var reqs []*securitycenterpb.ListFindingsRequest
	for _, token := range []string{"", "empty", "last"} {
		reqs = append(reqs, &securitycenterpb.ListFindingsRequest{
			Parent:  "organizations/1/sources/-/locations/global",
			Filter:  `resource_name : "//run.googleapis.com/" AND event_time >= "2026-03-01T09:00:00Z" AND state = "ACTIVE"`,
			OrderBy: "event_time", PageSize: 1000, PageToken: token,
		})
	}
	if diff := cmp.Diff(reqs, p.requests(), protocmp.Transform()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestListPageQueries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		q      scc.ListQuery
		parent string // empty: refused without a call
	}{
		{"folder", scc.ListQuery{Parent: "folders/7", Since: listSince}, "folders/7/sources/-/locations/global"},
		{"location", scc.ListQuery{Parent: "projects/shop-prod", Location: "eu", Since: listSince}, "projects/shop-prod/sources/-/locations/eu"},
		{"no parent", scc.ListQuery{Since: listSince}, ""},
		{"parent with a path", scc.ListQuery{Parent: "projects/a/sources/1", Since: listSince}, ""},
		{"location with a path", scc.ListQuery{Parent: "projects/a", Location: "../eu", Since: listSince}, ""},
		{"no time", scc.ListQuery{Parent: "projects/a"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &pager{answer: func(int, *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error) {
				return &securitycenterpb.ListFindingsResponse{}, nil
			}}
			_, err := startPager(t, p, nil).ListPage(t.Context(), tt.q, "")
			if refused := err != nil; refused != (tt.parent == "") {
				t.Fatalf("error %v", err)
			}
			if reqs := p.requests(); tt.parent == "" && len(reqs) != 0 {
				t.Errorf("%d calls", len(reqs))
			} else if tt.parent != "" && (len(reqs) != 1 || reqs[0].GetParent() != tt.parent) {
				t.Errorf("requests %v, want parent %q", reqs, tt.parent)
			}
		})
	}
}

// TestListPageErrors: every attempt spends from the reads, what may heal is
// repeated, and a refusal for quota says when to ask again.
func TestListPageErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		codes []codes.Code // of the calls in order; OK beyond them
		reads int
		want  error
		calls int
	}{
		{"heals", []codes.Code{codes.Unavailable, codes.Unavailable}, 10, nil, 3},
		{"denied", []codes.Code{codes.PermissionDenied}, 10, evidence.ErrDenied, 1},
		{"refused for quota", []codes.Code{codes.ResourceExhausted}, 10, evidence.ErrQuota, 1},
		{"own budget ends between attempts", []codes.Code{codes.Unavailable}, 1, evidence.ErrQuota, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &pager{answer: func(call int, _ *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error) {
				if call <= len(tt.codes) {
					return nil, status.Error(tt.codes[call-1], "made up")
				}
				return &securitycenterpb.ListFindingsResponse{}, nil
			}}
			_, err := startPager(t, p, quota.New("scc_reads", tt.reads, 0, nil)).ListPage(t.Context(), scc.ListQuery{Parent: "projects/a", Since: listSince}, "")
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if n := len(p.requests()); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			if own, ok := errors.AsType[*evidence.QuotaError](err); errors.Is(tt.want, evidence.ErrQuota) && (!ok || own.Until.IsZero()) {
				t.Error("it does not say when to ask again")
			}
		})
	}
}
