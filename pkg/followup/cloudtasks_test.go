package followup_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// ok is a handler's Run that succeeds.
func ok(context.Context, followup.Task) error { return nil }

func TestCreateTaskRequest(t *testing.T) {
	t.Parallel()
	now := event.Add(time.Minute) // the fake's clock
	future, past := task("shop", now.Add(time.Hour)), task("shop", now.Add(-time.Hour))
	tests := map[string]struct {
		in     followup.Task
		change func(*followup.CloudTasksOptions)
		edit   func(*cloudtaskspb.Task)
	}{
		"in an hour": {in: future, edit: func(*cloudtaskspb.Task) {}},
		"a time that has passed is no schedule": {in: past, edit: func(t *cloudtaskspb.Task) {
			t.ScheduleTime = nil
		}},
		"an audience of its own": {
			in: future, change: func(o *followup.CloudTasksOptions) { o.Audience = "enricher" },
			edit: func(t *cloudtaskspb.Task) { t.GetHttpRequest().GetOidcToken().Audience = "enricher" },
		},
		"no account, no token": {
			in: future, change: func(o *followup.CloudTasksOptions) { o.ServiceAccount = "" },
			edit: func(t *cloudtaskspb.Task) { t.GetHttpRequest().AuthorizationHeader = nil },
		},
		"the deadline is above the run's": {
			in: future, change: func(o *followup.CloudTasksOptions) { o.RunTimeout = 20 * time.Second },
			edit: func(t *cloudtaskspb.Task) { t.DispatchDeadline = durationpb.New(30 * time.Second) },
		},
		"the deadline is not below 15 s": {
			in: future, change: func(o *followup.CloudTasksOptions) { o.RunTimeout = time.Second },
			edit: func(t *cloudtaskspb.Task) { t.DispatchDeadline = durationpb.New(15 * time.Second) },
		},
		"the longest deadline": {
			in: future, change: func(o *followup.CloudTasksOptions) { o.RunTimeout = 30*time.Minute - 10*time.Second },
			edit: func(t *cloudtaskspb.Task) { t.DispatchDeadline = durationpb.New(30 * time.Minute) },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newFakeQueue(&followup.Handler{Run: ok})
			enqueue(t, newCloudTasks(t, q, tc.change), tc.in)
			body, err := followup.Encode(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			want := &cloudtaskspb.Task{
				Name: queuePath + "/tasks/" + tc.in.ID(),
				MessageType: &cloudtaskspb.Task_HttpRequest{HttpRequest: &cloudtaskspb.HttpRequest{
					Url: target, HttpMethod: cloudtaskspb.HttpMethod_POST,
					Headers: map[string]string{"Content-Type": "application/json"}, Body: body,
					AuthorizationHeader: &cloudtaskspb.HttpRequest_OidcToken{OidcToken: &cloudtaskspb.OidcToken{
						ServiceAccountEmail: serviceAccount, Audience: target,
					}},
				}},
				ScheduleTime:     timestamppb.New(tc.in.At),
				DispatchDeadline: durationpb.New(70 * time.Second),
			}
			tc.edit(want)
			if diff := cmp.Diff([]*cloudtaskspb.CreateTaskRequest{{Parent: queuePath, Task: want}}, q.created, protocmp.Transform()); diff != "" {
				t.Errorf("requests -want +got:\n%s", diff)
			}
		})
	}
}

func TestDeliveryCarriesTheToken(t *testing.T) {
	t.Parallel()
	q := newFakeQueue(&followup.Handler{Run: ok})
	enqueue(t, newCloudTasks(t, q, nil), task("shop", q.now))
	q.advance(t, time.Second)
	if len(q.requests) != 1 {
		t.Fatalf("%d deliveries, want 1", len(q.requests))
	}
	r := q.requests[0]
	got := []string{r.Method, r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type")}
	want := []string{http.MethodPost, target, "Bearer token of " + serviceAccount + " for " + target, "application/json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delivery -want +got:\n%s", diff)
	}
}

func TestCreateTaskErrors(t *testing.T) {
	t.Parallel()
	down := status.Error(codes.Unavailable, "scripted")
	tests := map[string]struct {
		script    []error
		lose      int
		wantIs    error // nil: none in particular
		wantCode  codes.Code
		wantCalls int
		wantTasks int
	}{
		"already there is success":             {script: []error{status.Error(codes.AlreadyExists, "x")}, wantCalls: 1},
		"unavailable heals":                    {script: []error{down, down}, wantCalls: 3, wantTasks: 1},
		"an answer that was lost":              {lose: 1, wantCalls: 2, wantTasks: 1},
		"down for long":                        {script: []error{down, down, down, down, down}, wantCode: codes.Unavailable, wantCalls: 4},
		"quota":                                {script: []error{status.Error(codes.ResourceExhausted, "x")}, wantIs: evidence.ErrQuota, wantCode: codes.ResourceExhausted, wantCalls: 1},
		"denied":                               {script: []error{status.Error(codes.PermissionDenied, "x")}, wantIs: evidence.ErrDenied, wantCode: codes.PermissionDenied, wantCalls: 1},
		"no such queue":                        {script: []error{status.Error(codes.NotFound, "x")}, wantIs: evidence.ErrNotFound, wantCode: codes.NotFound, wantCalls: 1},
		"the queue's own word on the argument": {script: []error{status.Error(codes.InvalidArgument, "x")}, wantCode: codes.InvalidArgument, wantCalls: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newFakeQueue(&followup.Handler{Run: ok})
			c := newCloudTasks(t, q, nil)
			q.script, q.lose = tc.script, tc.lose
			err := c.Enqueue(t.Context(), task("shop", q.now))
			if upstream.Code(err) != tc.wantCode || tc.wantIs != nil && !errors.Is(err, tc.wantIs) {
				t.Errorf("error = %v, want code %v and %v", err, tc.wantCode, tc.wantIs)
			}
			if q.calls != tc.wantCalls || len(q.created) != tc.wantTasks {
				t.Errorf("%d calls made %d tasks, want %d and %d", q.calls, len(q.created), tc.wantCalls, tc.wantTasks)
			}
		})
	}
}

func TestEnqueueTooFarAhead(t *testing.T) {
	t.Parallel()
	q := newFakeQueue(&followup.Handler{Run: ok})
	c := newCloudTasks(t, q, nil)
	enqueue(t, c, task("shop", q.now.Add(30*24*time.Hour)))
	if err := c.Enqueue(t.Context(), task("shop", q.now.Add(30*24*time.Hour+time.Second))); !errors.Is(err, followup.ErrInvalid) {
		t.Errorf("error = %v, want ErrInvalid", err)
	}
	if q.calls != 1 {
		t.Errorf("%d calls, want 1", q.calls)
	}
}

// TestTombstones: the name of a task that ran is refused for a day, and still a
// finding that comes within that day gets its follow-up.
func TestTombstones(t *testing.T) {
	t.Parallel()
	const delay = 15 * time.Second
	var seen []time.Time
	q := newFakeQueue(nil)
	q.remember = 24 * time.Hour
	q.handler = &followup.Handler{Run: func(context.Context, followup.Task) error {
		seen = append(seen, q.clock())
		return nil
	}}
	c := newCloudTasks(t, q, nil)
	// Findings at all distances: seconds, around the delay, minutes, hours.
	var written []time.Time
	for _, gap := range []time.Duration{0, 1, 5, 9, 14, 15, 16, 1, 30, 120, 3600, 2, 40000, 7} {
		q.advance(t, gap*time.Second)
		written = append(written, q.clock())
		enqueue(t, c, task("shop", q.clock().Add(delay)).Slotted(delay))
	}
	q.advance(t, time.Hour)
	for i, w := range written {
		if !slices.ContainsFunc(seen, func(s time.Time) bool { return !s.Before(w.Add(delay)) && !s.After(w.Add(2*delay)) }) {
			t.Errorf("finding %d of %s has no follow-up between one and two delays later", i, w)
		}
	}
	if len(seen) >= len(written) {
		t.Errorf("%d runs for %d findings: none collapsed", len(seen), len(written))
	}
	// An equal task, by contrast, is swallowed as long as the name is known.
	equal := task("shop", q.clock())
	enqueue(t, c, equal)
	q.advance(t, time.Second)
	n := len(seen)
	enqueue(t, c, equal)
	q.advance(t, 25*time.Hour)
	if len(seen) != n {
		t.Error("an equal task ran within the day")
	}
	enqueue(t, c, equal)
	q.advance(t, time.Second)
	if len(seen) != n+1 {
		t.Error("the name was not released after the day")
	}
}

func TestCloudTasksOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*followup.CloudTasksOptions)
		want   []string // in the error; none: no error
	}{
		"good":                          {change: func(*followup.CloudTasksOptions) {}},
		"project of a domain":           {change: func(o *followup.CloudTasksOptions) { o.Queue = "projects/example.com:p/locations/l/queues/q" }},
		"plain HTTP without a token":    {change: func(o *followup.CloudTasksOptions) { o.URL, o.ServiceAccount = "http://enricher:8080/t", "" }},
		"plain HTTP on loopback":        {change: func(o *followup.CloudTasksOptions) { o.URL = "http://127.0.0.1:8080/tasks/followup" }},
		"plain HTTP on IPv6 loopback":   {change: func(o *followup.CloudTasksOptions) { o.URL = "http://[::1]:8080/tasks/followup" }},
		"plain HTTP on localhost":       {change: func(o *followup.CloudTasksOptions) { o.URL = "http://localhost:8080/tasks/followup" }},
		"token in plain text":           {change: func(o *followup.CloudTasksOptions) { o.URL = "http://enricher.example.com/t" }, want: []string{"token"}},
		"plain HTTP to a lookalike":     {change: func(o *followup.CloudTasksOptions) { o.URL = "http://localhost.example.com/t" }, want: []string{"token"}},
		"no queue":                      {change: func(o *followup.CloudTasksOptions) { o.Queue = "" }, want: []string{"queue"}},
		"a task instead of a queue":     {change: func(o *followup.CloudTasksOptions) { o.Queue += "/tasks/t" }, want: []string{"queue"}},
		"no URL":                        {change: func(o *followup.CloudTasksOptions) { o.URL = "" }, want: []string{"URL"}},
		"a path for a URL":              {change: func(o *followup.CloudTasksOptions) { o.URL = "/tasks/followup" }, want: []string{"URL"}},
		"another scheme":                {change: func(o *followup.CloudTasksOptions) { o.URL = "ftp://enricher.example.com/t" }, want: []string{"URL"}},
		"a long URL":                    {change: func(o *followup.CloudTasksOptions) { o.URL += strings.Repeat("x", 2083) }, want: []string{"2083"}},
		"a URL that is long when coded": {change: func(o *followup.CloudTasksOptions) { o.URL += strings.Repeat("ü", 700) }, want: []string{"2083"}},
		"a URL with a password":         {change: func(o *followup.CloudTasksOptions) { o.URL = "https://u:hunter2@enricher.example.com/t" }, want: []string{"user"}},
		"no email":                      {change: func(o *followup.CloudTasksOptions) { o.ServiceAccount = "tasks" }, want: []string{"service account"}},
		"a run of half an hour":         {change: func(o *followup.CloudTasksOptions) { o.RunTimeout = 30 * time.Minute }, want: []string{"run timeout"}},
		"all faults together": {
			change: func(o *followup.CloudTasksOptions) {
				*o = followup.CloudTasksOptions{ServiceAccount: "x", RunTimeout: time.Hour}
			},
			want: []string{"queue", "URL", "service account", "run timeout"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := followup.CloudTasksOptions{Queue: queuePath, URL: target, ServiceAccount: serviceAccount, ClientOptions: offline()}
			tc.change(&o)
			c, err := followup.NewCloudTasks(t.Context(), o)
			if err == nil {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
			if (err != nil) != (len(tc.want) > 0) {
				t.Fatalf("error = %v, want one about %q", err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v, want one about %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v has the password", err)
			}
		})
	}
}
