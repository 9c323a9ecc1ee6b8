package scc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
)

var event = time.Date(2026, 4, 7, 12, 0, 0, 123456789, time.UTC)

func shop() finding.Workload {
	return finding.Workload{Project: "shop-prod", ProjectNumber: "123456789012", Location: "europe-west1", Kind: finding.Service, Name: "shop"}
}

// query asks for the findings of shop half an hour around event.
func query() evidence.RelatedQuery {
	return evidence.RelatedQuery{
		Parent: "organizations/42", Location: "global", Workload: shop(),
		From: event.Add(-30 * time.Minute), To: event.Add(30 * time.Minute),
	}
}

// result is a finding of a resource at an offset from event.
func result(id, resource string, after time.Duration) *securitycenterpb.ListFindingsResponse_ListFindingsResult {
	return &securitycenterpb.ListFindingsResponse_ListFindingsResult{
		Finding: &securitycenterpb.Finding{
			Name:          "organizations/42/sources/5555/locations/global/findings/" + id,
			CanonicalName: "projects/123456789012/sources/5555/locations/global/findings/" + id,
			ResourceName:  "//run.googleapis.com/" + resource,
			EventTime:     timestamppb.New(event.Add(after)),
			Category:      "Execution: Reverse Shell",
			State:         securitycenterpb.Finding_ACTIVE,
		},
		Resource: &securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource{Name: "//run.googleapis.com/" + resource},
	}
}

const shopResource = "projects/shop-prod/locations/europe-west1/services/shop"

func ids(fs []finding.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Name[strings.LastIndex(f.Name, "/")+1:])
	}
	return out
}

func TestListRelatedRequest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*evidence.RelatedQuery)
		want   *securitycenterpb.ListFindingsRequest
	}{
		"service": {
			want: &securitycenterpb.ListFindingsRequest{
				Parent: "organizations/42/sources/-/locations/global",
				Filter: `resource_name : "/locations/europe-west1/services/shop" AND event_time >= "2026-04-07T11:28:00Z" AND event_time <= "2026-04-07T12:31:00Z"`,
			},
		},
		"without a location, in a project": {
			change: func(q *evidence.RelatedQuery) { q.Parent, q.Location = "projects/123456789012", "" },
			want: &securitycenterpb.ListFindingsRequest{
				Parent: "projects/123456789012/sources/-",
				Filter: `resource_name : "/locations/europe-west1/services/shop" AND event_time >= "2026-04-07T11:28:00Z" AND event_time <= "2026-04-07T12:31:00Z"`,
			},
		},
		"job, in a folder": {
			change: func(q *evidence.RelatedQuery) {
				q.Parent, q.Workload.Kind, q.Workload.Name = "folders/7", finding.Job, "nightly"
			},
			want: &securitycenterpb.ListFindingsRequest{
				Parent: "folders/7/sources/-/locations/global",
				Filter: `resource_name : "/locations/europe-west1/jobs/nightly" AND event_time >= "2026-04-07T11:28:00Z" AND event_time <= "2026-04-07T12:31:00Z"`,
			},
		},
		"worker pool in either spelling": {
			change: func(q *evidence.RelatedQuery) { q.Workload.Kind, q.Workload.Name = finding.WorkerPool, "pool" },
			want: &securitycenterpb.ListFindingsRequest{
				Parent: "organizations/42/sources/-/locations/global",
				Filter: `(resource_name : "/locations/europe-west1/workerPools/pool" OR resource_name : "/locations/europe-west1/workerpools/pool") AND event_time >= "2026-04-07T11:28:00Z" AND event_time <= "2026-04-07T12:31:00Z"`,
			},
		},
		"one instant, in another time zone": {
			change: func(q *evidence.RelatedQuery) {
				q.From = event.In(time.FixedZone("east", 2*60*60))
				q.To = q.From
			},
			want: &securitycenterpb.ListFindingsRequest{
				Parent: "organizations/42/sources/-/locations/global",
				Filter: `resource_name : "/locations/europe-west1/services/shop" AND event_time >= "2026-04-07T12:00:00Z" AND event_time <= "2026-04-07T12:01:00Z"`,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{}
			q := query()
			if tc.change != nil {
				tc.change(&q)
			}
			got, err := start(t, s, nil, nil).ListRelated(t.Context(), q)
			if err != nil || len(got) != 0 {
				t.Errorf("ListRelated() = %v, %v, want nothing", got, err)
			}
			tc.want.OrderBy, tc.want.PageSize = "event_time desc", 1000
			if diff := cmp.Diff([]*securitycenterpb.ListFindingsRequest{tc.want}, s.listed(), protocmp.Transform()); diff != "" {
				t.Errorf("requests -want +got:\n%s", diff)
			}
		})
	}
}

func TestListRelatedExactly(t *testing.T) {
	t.Parallel()
	byNumber := result("number", "projects/123456789012/locations/europe-west1/services/shop", -time.Minute)
	byNumber.Resource.CloudProviderMetadata = &securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource_GcpMetadata{
		GcpMetadata: &securitycenterpb.GcpMetadata{Project: "//cloudresourcemanager.googleapis.com/projects/123456789012", ProjectDisplayName: "shop-prod"},
	}
	nameless := result("nameless", shopResource, 0)
	nameless.Finding.Name, nameless.Finding.CanonicalName = "", ""
	timeless := result("timeless", shopResource, 0)
	timeless.Finding.EventTime = nil
	twice := result("seed", shopResource, -2*time.Minute)
	twice.Finding.CanonicalName = "projects/123456789012/sources/5555/locations/global/findings/seed"
	s := &server{results: []*securitycenterpb.ListFindingsResponse_ListFindingsResult{
		result("seed", shopResource, 0),
		result("revision", shopResource+"/revisions/shop-00002-abc", -2*time.Second),
		byNumber,
		result("first", shopResource, -30*time.Minute),
		result("last", shopResource, 30*time.Minute),
		result("too-early", shopResource, -30*time.Minute-time.Nanosecond),
		result("too-late", shopResource, 30*time.Minute+time.Nanosecond),
		result("substring", "projects/shop-prod/locations/europe-west1/services/shop-2", 0),
		result("other-project", "projects/shop-test/locations/europe-west1/services/shop", 0),
		result("other-place", "projects/shop-prod/locations/us-east1/services/shop", 0),
		result("other-kind", "projects/shop-prod/locations/europe-west1/jobs/shop", 0),
		nameless, timeless, twice,
	}}
	// Another project's canonical name: only its resource name tells.
	s.results[8].Finding.CanonicalName = "projects/999999999999/sources/5555/locations/global/findings/other-project"
	got, err := start(t, s, nil, nil).ListRelated(t.Context(), query())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"last", "seed", "revision", "number", "first"}, ids(got)); diff != "" {
		t.Errorf("findings -want +got:\n%s", diff)
	}
	if got[0].Workload.Name != "shop" || got[1].EventTime != event {
		t.Errorf("finding = %+v, want workload and time of day as sent", got[0])
	}
}

func TestListRelatedPages(t *testing.T) {
	t.Parallel()
	many := func(n int, step time.Duration) []*securitycenterpb.ListFindingsResponse_ListFindingsResult {
		var out []*securitycenterpb.ListFindingsResponse_ListFindingsResult
		for i := range n {
			out = append(out, result(fmt.Sprintf("f%04d", i), shopResource, -time.Duration(i)*step))
		}
		return out
	}
	failOn := func(page int, c codes.Code) func(context.Context, int) error {
		return func(_ context.Context, call int) error {
			if call >= page {
				return status.Error(c, "scripted")
			}
			return nil
		}
	}
	tests := map[string]struct {
		server    *server
		reads     int // a minute
		want      int
		wantErrs  []error // every one, or none for success
		wantCalls int
	}{
		"none":                      {server: &server{}, wantCalls: 1},
		"several pages":             {server: &server{results: many(5, time.Second), pageLimit: 2}, want: 5, wantCalls: 3},
		"empty pages come first":    {server: &server{results: many(5, time.Second), emptyPages: 3}, want: 5, wantCalls: 4},
		"a thousand is all":         {server: &server{results: many(1000, time.Second)}, want: 1000, wantCalls: 1},
		"a thousand and one is cut": {server: &server{results: many(1001, time.Second)}, want: 1000, wantErrs: []error{evidence.ErrPartial}, wantCalls: 2},
		// The window asked for is widened to 32 minutes before the event: what is cut there is not missed.
		"cut outside the window is none":         {server: &server{results: many(1500, 1850*time.Millisecond)}, want: 973, wantCalls: 2},
		"cut at the page bound":                  {server: &server{results: many(11, time.Second), pageLimit: 2}, want: 10, wantErrs: []error{evidence.ErrPartial}, wantCalls: 5},
		"empty pages without end":                {server: &server{results: many(1, time.Second), emptyPages: 50}, wantErrs: []error{evidence.ErrPartial}, wantCalls: 5},
		"a later page is denied":                 {server: &server{results: many(5, time.Second), pageLimit: 2, onList: failOn(2, codes.PermissionDenied)}, want: 2, wantErrs: []error{evidence.ErrPartial, evidence.ErrDenied}, wantCalls: 2},
		"the first page is denied":               {server: &server{results: many(5, time.Second), onList: failOn(1, codes.PermissionDenied)}, wantErrs: []error{evidence.ErrDenied}, wantCalls: 1},
		"our budget ends between pages":          {server: &server{results: many(5, time.Second), pageLimit: 2}, reads: 2, want: 4, wantErrs: []error{evidence.ErrPartial, evidence.ErrQuota}, wantCalls: 2},
		"a page lost outside the window is none": {server: &server{results: many(1500, 2*time.Second), pageLimit: 950, onList: failOn(2, codes.PermissionDenied)}, want: 901, wantCalls: 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reads := quota.New("securitycenter", tc.reads, 0, nil)
			got, err := start(t, tc.server, reads, nil).ListRelated(t.Context(), query())
			if len(got) != tc.want {
				t.Errorf("%d findings, want %d", len(got), tc.want)
			}
			if (err != nil) != (len(tc.wantErrs) > 0) {
				t.Errorf("error = %v, want %v", err, tc.wantErrs)
			}
			for _, want := range tc.wantErrs {
				if !errors.Is(err, want) {
					t.Errorf("error = %v, want %v", err, want)
				}
			}
			if calls := len(tc.server.listed()); calls != tc.wantCalls {
				t.Errorf("%d requests, want %d", calls, tc.wantCalls)
			}
		})
	}
}

func TestListRelatedErrors(t *testing.T) {
	t.Parallel()
	sentinels := []error{evidence.ErrQuota, evidence.ErrDenied, evidence.ErrNotFound, evidence.ErrPartial, context.DeadlineExceeded}
	tests := map[string]struct {
		code      codes.Code
		want      error
		wantCalls int
	}{
		"over quota":        {codes.ResourceExhausted, evidence.ErrQuota, 1},
		"denied":            {codes.PermissionDenied, evidence.ErrDenied, 1},
		"not found":         {codes.NotFound, nil, 1}, // no answer, so not empty
		"server's deadline": {codes.DeadlineExceeded, context.DeadlineExceeded, 1},
		"invalid":           {codes.InvalidArgument, nil, 1},
		"stays unavailable": {codes.Unavailable, nil, 4},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{onList: func(context.Context, int) error { return status.Error(tc.code, "scripted") }}
			reads := quota.New("securitycenter", 100, 0, nil)
			got, err := start(t, s, reads, nil).ListRelated(t.Context(), query())
			if err == nil || got != nil {
				t.Fatalf("ListRelated() = %v, %v, want an error only", got, err)
			}
			for _, k := range sentinels {
				if want := errors.Is(tc.want, k); errors.Is(err, k) != want {
					t.Errorf("errors.Is(%v, %v) = %v, want %v", err, k, !want, want)
				}
			}
			if calls := len(s.listed()); calls != tc.wantCalls {
				t.Errorf("%d requests, want %d", calls, tc.wantCalls)
			}
			if qe, ok := errors.AsType[*evidence.QuotaError](err); ok != errors.Is(tc.want, evidence.ErrQuota) || ok && !qe.Until.After(time.Now()) {
				t.Errorf("error = %#v, want a time to ask again only over quota", err)
			}
		})
	}
}

// Names come from an attacker's finding. None that could change the filter or
// the parent is sent.
func TestListRelatedRefusesQueries(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*evidence.RelatedQuery){
		"no parent":             func(q *evidence.RelatedQuery) { q.Parent = "" },
		"parent of all":         func(q *evidence.RelatedQuery) { q.Parent = "organizations/-" },
		"parent with a path":    func(q *evidence.RelatedQuery) { q.Parent = "organizations/1/sources/2" },
		"parent of other kind":  func(q *evidence.RelatedQuery) { q.Parent = "users/1" },
		"location with a path":  func(q *evidence.RelatedQuery) { q.Location = "global/findings" },
		"no workload":           func(q *evidence.RelatedQuery) { q.Workload = finding.Workload{} },
		"no kind":               func(q *evidence.RelatedQuery) { q.Workload.Kind = "" },
		"name closes the quote": func(q *evidence.RelatedQuery) { q.Workload.Name = `x" OR resource_name : "` },
		"name escapes":          func(q *evidence.RelatedQuery) { q.Workload.Name = `x\` },
		"name is empty":         func(q *evidence.RelatedQuery) { q.Workload.Name = "" },
		"name with line break":  func(q *evidence.RelatedQuery) { q.Workload.Name = "x\n" },
		"place with a quote":    func(q *evidence.RelatedQuery) { q.Workload.Location = `"` },
		"no window":             func(q *evidence.RelatedQuery) { q.From, q.To = time.Time{}, time.Time{} },
		"window backwards":      func(q *evidence.RelatedQuery) { q.From, q.To = q.To, q.From },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{}
			q := query()
			change(&q)
			if _, err := start(t, s, nil, nil).ListRelated(t.Context(), q); err == nil {
				t.Error("ListRelated() succeeded")
			}
			if calls := len(s.listed()); calls != 0 {
				t.Errorf("%d requests were sent", calls)
			}
		})
	}
}

// Callers of one burst share one request, each gets its own window, and the end
// of the one that began it does not fail the rest.
func TestListRelatedShared(t *testing.T) {
	t.Parallel()
	const callers = 50
	begun, proceed := make(chan struct{}), make(chan struct{})
	s := &server{onList: func(context.Context, int) error {
		close(begun)
		<-proceed
		return nil
	}}
	for i := range callers {
		s.results = append(s.results, result(fmt.Sprintf("f%02d", i), shopResource, time.Duration(i)*time.Second))
	}
	c := start(t, s, nil, nil)
	first, cancel := context.WithCancel(t.Context())
	firstDone := make(chan error, 1)
	go func() {
		_, err := c.ListRelated(first, query())
		firstDone <- err
	}()
	<-begun
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			q := query()
			q.From, q.To = q.From.Add(time.Duration(i)*time.Second), q.To.Add(time.Duration(i)*time.Second)
			got, err := c.ListRelated(t.Context(), q)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			for _, f := range got {
				if f.EventTime.Before(q.From) || f.EventTime.After(q.To) {
					t.Errorf("caller %d got a finding of %v outside %v to %v", i, f.EventTime, q.From, q.To)
				}
			}
			if len(got) != callers {
				t.Errorf("caller %d got %d findings, want %d", i, len(got), callers)
			}
		})
	}
	for c.Waiting() < callers+1 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-firstDone; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled caller got %v, want context.Canceled", err)
	}
	close(proceed)
	wg.Wait()
	if calls := len(s.listed()); calls != 1 {
		t.Errorf("%d requests for %d callers, want 1", calls, callers)
	}
}

// A request that nobody waits for any more is cancelled on the wire.
func TestListRelatedCancelled(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	s := &server{onList: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		ended <- struct{}{}
		return ctx.Err()
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := start(t, s, nil, nil).ListRelated(ctx, query())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ListRelated() = %v, want context.DeadlineExceeded", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the request went on without anybody waiting")
	}
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	c := start(t, &server{}, nil, nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListRelated(t.Context(), query()); err == nil {
		t.Error("ListRelated() on a closed client succeeded")
	}
	if err := c.WriteMarks(t.Context(), marks.Write{Name: canonical, Set: map[string]string{"a": "b"}}); err == nil {
		t.Error("WriteMarks() on a closed client succeeded")
	}
}
