package cloudlogging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
)

var _ evidence.LogReader = (*Client)(nil)

func texts(l evidence.Logs) []string {
	var out []string
	for _, e := range l.Entries {
		s := e.Text
		if e.Audit != nil {
			s = e.Audit.Method
		}
		out = append(out, s)
	}
	return out
}

func TestReadLogs(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	q.Event = event.Add(20 * time.Second)
	s := &server{entries: []*loggingpb.LogEntry{
		entry(q, 30*time.Second, "run.googleapis.com/stderr"),
		entry(q, -time.Minute, "run.googleapis.com/requests"),
		entry(q, 2*time.Minute+30*time.Second, "beyond"), // inside the shared slot, outside the question
		entry(q, -10*time.Minute, "before"),              // the same
		entry(q, -9*time.Minute, "run.googleapis.com/varlog/system"),
		audited(q, -time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/shop-prod/services/shop"),
		entry(question(finding.Service, "other"), 0, "other"),
	}}
	c := start(t, s, Options{})
	got, err := c.ReadLogs(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want := evidence.Logs{
		Visible: true, Scopes: []string{"projects/shop-prod"}, Event: q.Event,
		From: q.Event.Add(-10 * time.Minute), To: q.Event.Add(2 * time.Minute),
	}
	texted := []string{"google.cloud.run.v1.Services.ReplaceService", "run.googleapis.com/varlog/system", "run.googleapis.com/requests", "run.googleapis.com/stderr"}
	if diff := cmp.Diff(texted, texts(got)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	got.Entries = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	asked := &loggingpb.ListLogEntriesRequest{
		ResourceNames: []string{"projects/shop-prod"}, OrderBy: "timestamp desc", PageSize: 500,
		Filter: Filter([]evidence.LogQuery{align(q)}),
	}
	if diff := cmp.Diff([]*loggingpb.ListLogEntriesRequest{asked}, s.asked(), protocmp.Transform()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestReadLogsVisible(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	for _, tc := range []struct {
		name    string
		entries []*loggingpb.LogEntry
		want    bool
	}{
		{"nothing", nil, false},
		{"only a deploy long before", []*loggingpb.LogEntry{audited(q, -20*time.Hour, logActivity, "x.CreateService", "")}, true},
		{"another workload's", []*loggingpb.LogEntry{entry(question(finding.Service, "other"), 0, "x")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, &server{entries: tc.entries}, Options{})
			got, err := c.ReadLogs(t.Context(), q)
			if err != nil || got.Visible != tc.want || got.Truncated {
				t.Errorf("ReadLogs = %+v, %v; want visible %v", got, err, tc.want)
			}
		})
	}
}

func TestReadLogsScopes(t *testing.T) {
	t.Parallel()
	s := &server{}
	c := start(t, s, Options{Scopes: []string{"projects/{project}", "projects/central/locations/global/buckets/b/views/v"}})
	got, err := c.ReadLogs(t.Context(), question(finding.Service, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"projects/shop-prod", "projects/central/locations/global/buckets/b/views/v"}
	if diff := cmp.Diff(want, got.Scopes); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.asked()[0].GetResourceNames()); diff != "" {
		t.Errorf("resource names (-want +got):\n%s", diff)
	}
	for _, bad := range [][]string{{"shop-prod"}, {"projects/p/locations/global/buckets/b"}, {"projects/{projekt}"}, slices.Repeat([]string{"projects/p"}, 101)} {
		if _, err := New(t.Context(), Options{Scopes: bad}); err == nil {
			t.Errorf("New accepts %q", bad[0])
		}
	}
	for _, project := range []string{"", "a/b", "a b", "A\"", "p/locations/l/buckets/b/views/v"} {
		q := question(finding.Service, "shop")
		q.Workload.Project = project
		if _, err := c.ReadLogs(t.Context(), q); err == nil {
			t.Errorf("ReadLogs accepts project %q", project)
		}
	}
	if _, err := c.ReadLogs(t.Context(), evidence.LogQuery{Event: event}); err == nil {
		t.Error("ReadLogs accepts a question without workload")
	}
}

func TestReadLogsEmptyPages(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	for _, tc := range []struct {
		name      string
		empty     int // pages without entries but with a token
		reads     int
		truncated bool
		entries   int
	}{
		{name: "found on the second page", empty: 1, reads: 2, entries: 1},
		{name: "found on the last page", empty: 2, reads: 3, entries: 1},
		{name: "no time to search all", empty: 9, reads: 3, truncated: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &server{entries: []*loggingpb.LogEntry{entry(q, 0, "x")}}
			s.answer = func(n int, _ *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
				if n <= tc.empty {
					return &loggingpb.ListLogEntriesResponse{NextPageToken: "0"}, nil
				}
				return nil, nil
			}
			budget := quota.New("logging", 60, 0, nil)
			c := start(t, s, Options{Budget: budget})
			got, err := c.ReadLogs(t.Context(), q)
			if errors.Is(err, evidence.ErrPartial) != tc.truncated || got.Truncated != tc.truncated || len(got.Entries) != tc.entries {
				t.Errorf("ReadLogs = %d entries, truncated %v, %v", len(got.Entries), got.Truncated, err)
			}
			if left, _ := budget.Left(); len(s.asked()) != tc.reads || left != 60-tc.reads {
				t.Errorf("%d reads, %d left; want %d reads", len(s.asked()), left, tc.reads)
			}
			if !tc.truncated {
				return
			}
			if _, err := c.ReadLogs(t.Context(), q); !errors.Is(err, evidence.ErrPartial) || len(s.asked()) != 2*tc.reads {
				t.Errorf("an unfinished search was kept: %v", err)
			}
		})
	}
}

func TestReadLogsTruncated(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	var entries []*loggingpb.LogEntry
	for i := range 1200 { // more after the event than a page holds
		entries = append(entries, entry(q, 61*time.Second+time.Duration(i)*10*time.Millisecond, fmt.Sprint("after", i)))
	}
	before := entry(q, -5*time.Second, "the way in")
	deploy := audited(q, -20*time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/shop-prod/services/shop")
	s := &server{entries: append(entries, before, deploy)}
	c := start(t, s, Options{})
	got, err := c.ReadLogs(t.Context(), q)
	if !errors.Is(err, evidence.ErrPartial) || !got.Truncated || !got.Visible {
		t.Errorf("ReadLogs: truncated %v, visible %v, %v", got.Truncated, got.Visible, err)
	}
	if n := len(got.Entries); n != maxEntries {
		t.Errorf("%d entries, want %d", n, maxEntries)
	}
	if !slices.IsSortedFunc(got.Entries, func(a, b evidence.LogEntry) int { return a.Time.Compare(b.Time) }) {
		t.Error("entries are not in order of time")
	}
	if diff := cmp.Diff([]string{"google.cloud.run.v1.Services.ReplaceService", "the way in"}, texts(got)[:2]); diff != "" {
		t.Errorf("first entries (-want +got):\n%s", diff)
	}
	if n := len(s.asked()); n != maxReads {
		t.Errorf("%d reads, want %d", n, maxReads)
	}
	if _, err := c.ReadLogs(t.Context(), q); !errors.Is(err, evidence.ErrPartial) || len(s.asked()) != maxReads {
		t.Errorf("a long answer was not kept: %d reads, %v", len(s.asked()), err)
	}
}

func TestReadLogsErrors(t *testing.T) {
	t.Parallel()
	exhausted, err := status.New(codes.ResourceExhausted, "quota").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		err   error
		is    error
		not   error
		reads int
	}{
		{"quota", exhausted.Err(), evidence.ErrQuota, nil, 1},
		{"denied", status.Error(codes.PermissionDenied, "no"), evidence.ErrDenied, nil, 1},
		{"no such view", status.Error(codes.NotFound, "no"), nil, evidence.ErrNotFound, 1},
		{"bad request", status.Error(codes.InvalidArgument, "no"), nil, nil, 1},
		{"down", status.Error(codes.Unavailable, "no"), nil, nil, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &server{answer: func(int, *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
				return nil, tc.err
			}}
			now := time.Now()
			budget := quota.New("logging", 60, 0, func() time.Time { return now })
			c := start(t, s, Options{Budget: budget, Now: func() time.Time { return now }})
			got, err := c.ReadLogs(t.Context(), question(finding.Service, "shop"))
			if err == nil || len(got.Entries) > 0 || errors.Is(err, evidence.ErrPartial) {
				t.Fatalf("ReadLogs = %+v, %v", got, err)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("error %v is not %v", err, tc.is)
			}
			if tc.not != nil && errors.Is(err, tc.not) {
				t.Errorf("error %v is %v", err, tc.not)
			}
			if n := len(s.asked()); n != tc.reads {
				t.Errorf("%d reads, want %d", n, tc.reads)
			}
			left, _ := budget.Left()
			if !errors.Is(tc.is, evidence.ErrQuota) {
				if left != 60-tc.reads {
					t.Errorf("%d left after %d reads", left, tc.reads)
				}
				return
			}
			q, ok := errors.AsType[*evidence.QuotaError](err)
			if !ok || !q.Until.Equal(now.Add(7*time.Second)) || left != 0 {
				t.Errorf("quota error %+v, %d left", q, left)
			}
			if _, err := c.ReadLogs(t.Context(), question(finding.Service, "other")); !errors.Is(err, evidence.ErrQuota) || len(s.asked()) != 1 {
				t.Errorf("asked again while the quota is spent: %v", err)
			}
		})
	}
}

func TestReadLogsRetries(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	s := &server{entries: []*loggingpb.LogEntry{entry(q, 0, "x")}}
	s.answer = func(n int, _ *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
		if n == 1 {
			return nil, status.Error(codes.Unavailable, "again")
		}
		return nil, nil
	}
	got, err := start(t, s, Options{}).ReadLogs(t.Context(), q)
	if err != nil || len(got.Entries) != 1 {
		t.Errorf("ReadLogs = %+v, %v", got, err)
	}
}

func TestReadLogsPageFails(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	s := &server{}
	s.answer = func(n int, _ *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
		if n > 1 {
			return nil, status.Error(codes.PermissionDenied, "no")
		}
		return &loggingpb.ListLogEntriesResponse{Entries: []*loggingpb.LogEntry{entry(q, 0, "x")}, NextPageToken: "1"}, nil
	}
	got, err := start(t, s, Options{}).ReadLogs(t.Context(), q)
	if !errors.Is(err, evidence.ErrPartial) || len(got.Entries) != 1 || !got.Truncated {
		t.Errorf("ReadLogs = %+v, %v", got, err)
	}
}

func TestReadLogsOwnBudget(t *testing.T) {
	t.Parallel()
	s := &server{}
	c := start(t, s, Options{Budget: quota.New("logging", 1, 0, nil)})
	if _, err := c.ReadLogs(t.Context(), question(finding.Service, "a")); err != nil {
		t.Fatal(err)
	}
	_, err := c.ReadLogs(t.Context(), question(finding.Service, "b"))
	if q, ok := errors.AsType[*evidence.QuotaError](err); !ok || q.Until.IsZero() {
		t.Errorf("error %v tells no quota", err)
	}
	if n := len(s.asked()); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
}

func TestReadLogsShares(t *testing.T) {
	t.Parallel()
	q := question(finding.Service, "shop")
	s := &server{entries: []*loggingpb.LogEntry{entry(q, -10*time.Minute+time.Second, "early"), entry(q, time.Second, "late")}}
	release := make(chan struct{})
	s.answer = func(int, *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
		<-release
		return nil, nil
	}
	c := start(t, s, Options{})

	gone, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := c.ReadLogs(gone, q)
		left <- err
	}()
	for len(s.asked()) == 0 {
		time.Sleep(time.Millisecond)
	}
	leave() // whoever asked first goes: the others still get the answer
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller got %v", err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			q := q
			q.Event = q.Event.Add(time.Duration(i) * time.Second)
			got, err := c.ReadLogs(t.Context(), q)
			want := []string{"early", "late"}
			if i > 1 {
				want = want[1:]
			}
			if diff := cmp.Diff(want, texts(got)); err != nil || diff != "" {
				t.Errorf("%d seconds on: %v\n%s", i, err, diff)
			}
		})
	}
	close(release)
	wg.Wait()
	q.Event = q.Event.Add(59 * time.Second)
	if _, err := c.ReadLogs(t.Context(), q); err != nil {
		t.Error(err)
	}
	if n := len(s.asked()); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
	q.Event = q.Event.Add(time.Second)
	if _, err := c.ReadLogs(t.Context(), q); err != nil || len(s.asked()) != 2 {
		t.Errorf("the next minute: %d reads, %v", len(s.asked()), err)
	}
}

func TestReadLogsTogether(t *testing.T) {
	t.Parallel()
	const n = 200
	s := &server{}
	ask := func(i int) evidence.LogQuery {
		q := question(finding.Service, fmt.Sprintf("svc-%03d", i))
		if i%50 == 7 {
			q.Workload.Project = "closed"
		}
		return q
	}
	for i := range n {
		s.entries = append(s.entries, entry(ask(i), time.Second, ask(i).Workload.Name),
			audited(ask(i), -time.Hour, logActivity, "google.cloud.run.v1.Services.ReplaceService", "namespaces/p/services/"+ask(i).Workload.Name))
	}
	s.answer = func(_ int, req *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
		time.Sleep(5 * time.Millisecond)
		if slices.Contains(req.GetResourceNames(), "projects/closed") {
			return nil, status.Error(codes.PermissionDenied, "closed")
		}
		return nil, nil
	}
	c := start(t, s, Options{Budget: quota.New("logging", 60, 0, nil)})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			q := ask(i)
			got, err := c.ReadLogs(t.Context(), q)
			if q.Workload.Project == "closed" {
				if !errors.Is(err, evidence.ErrDenied) {
					t.Errorf("closed project: %+v, %v", got, err)
				}
				return
			}
			want := []string{"google.cloud.run.v1.Services.ReplaceService", q.Workload.Name}
			if diff := cmp.Diff(want, texts(got)); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", q.Workload.Name, err, diff)
			}
		})
	}
	wg.Wait()
	if reads := len(s.asked()); reads > 40 {
		t.Errorf("%d reads for %d workloads", reads, n)
	}
}

func TestReadLogsDeadline(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	s := &server{answer: func(int, *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
		<-hang
		return nil, nil
	}}
	c := start(t, s, Options{})
	t.Cleanup(func() { close(hang) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.ReadLogs(ctx, question(finding.Service, "shop")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want deadline exceeded", err)
	}
}
