package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

const (
	testQueue    = "projects/shop-prod-4711/locations/europe-west1/queues/follow-ups"
	testTasksURL = "https://enricher.example.com/tasks/followup"
	testTasker   = "tasks@" + testProject + ".iam.gserviceaccount.com"
)

// taskQueue is Cloud Tasks as far as creating tasks goes.
type taskQueue struct {
	cloudtaskspb.UnimplementedCloudTasksServer
	mu      sync.Mutex
	answer  error
	created []*cloudtaskspb.CreateTaskRequest
}

// CreateTask implements cloudtaskspb.CloudTasksServer.
func (q *taskQueue) CreateTask(_ context.Context, r *cloudtaskspb.CreateTaskRequest) (*cloudtaskspb.Task, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.created = append(q.created, proto.CloneOf(r))
	return r.GetTask(), q.answer
}

// answers makes the queue answer so from now on.
func (q *taskQueue) answers(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answer = err
}

// take are the tasks that were to be created since the last call.
func (q *taskQueue) take() []*cloudtaskspb.CreateTaskRequest {
	q.mu.Lock()
	defer q.mu.Unlock()
	created := q.created
	q.created = nil
	return created
}

// startTasks serves Cloud Tasks on loopback and returns its endpoint.
func startTasks(t *testing.T) (*taskQueue, string) {
	t.Helper()
	q, l, srv := &taskQueue{}, listen(t), grpc.NewServer()
	cloudtaskspb.RegisterCloudTasksServer(srv, q)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(srv.Stop)
	return q, "http://" + l.Addr().String()
}

// token is what Google would sign for the account, for the rig's audience.
func (r *rig) token(s *emulator.Signer, account string) string {
	r.t.Helper()
	now := time.Now()
	token, err := s.Sign(emulator.Claims{
		Issuer: emulator.Issuer, Audience: r.url, Subject: "1", Email: account, EmailVerified: true, IssuedAt: now.Unix(), Expiry: now.Add(time.Hour).Unix(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// followUp posts a task's body and returns the status.
func (r *rig) followUp(body []byte, token string) int {
	r.t.Helper()
	got, err := post(r.t.Context(), strings.TrimSuffix(r.url, "/push")+followUpPath, body, token)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// metrics are what /metrics shows.
func (r *rig) metrics() string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, strings.TrimSuffix(r.url, "/push")+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

func (r *rig) wantMetrics(lines ...string) {
	r.t.Helper()
	body := r.metrics()
	for _, want := range lines {
		if !strings.Contains(body, want+"\n") {
			r.t.Errorf("not in /metrics: %s", want)
		}
	}
}

// TestCloudTasks: with a queue, follow-ups go to Cloud Tasks and come back as
// requests with a token, which settle the incident.
func TestCloudTasks(t *testing.T) {
	t.Parallel()
	signer, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	queue, endpoint := startTasks(t)
	r := newRig(t, rigOptions{signer: signer, flags: []string{
		"--tasks-queue=" + testQueue, "--tasks-url=" + testTasksURL, "--tasks-service-account=" + testTasker, "--tasks-endpoint=" + endpoint,
		"--settle-delay=300ms",
	}})
	pusher, tasker := r.token(signer, testPusher), r.token(signer, testTasker)
	deliver := func(id string) string {
		t.Helper()
		name, notification := r.add(newFinding(id))
		if got := r.post(envelope(t, notification), pusher); got != http.StatusNoContent {
			t.Fatalf("status %d: %s", got, r.log.lastLine())
		}
		return name
	}
	began := time.Now()
	one := deliver("one")
	if n := len(queue.take()); n != 0 {
		t.Errorf("%d tasks for a finding without company", n)
	}
	two := deliver("two")
	created := queue.take()
	if len(created) != 1 {
		t.Fatalf("%d tasks, want 1; log: %s", len(created), r.log)
	}
	task := created[0].GetTask()
	body := task.GetHttpRequest().GetBody()
	decoded, err := followup.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if decoded.Kind != followup.Settle || decoded.Finding != two {
		t.Errorf("task %+v", decoded)
	}
	want := &cloudtaskspb.CreateTaskRequest{Parent: testQueue, Task: &cloudtaskspb.Task{
		Name: testQueue + "/tasks/" + decoded.ID(),
		MessageType: &cloudtaskspb.Task_HttpRequest{HttpRequest: &cloudtaskspb.HttpRequest{
			Url: testTasksURL, HttpMethod: cloudtaskspb.HttpMethod_POST, Headers: map[string]string{"Content-Type": "application/json"}, Body: body,
			AuthorizationHeader: &cloudtaskspb.HttpRequest_OidcToken{OidcToken: &cloudtaskspb.OidcToken{ServiceAccountEmail: testTasker, Audience: r.url}},
		}},
		ScheduleTime: task.GetScheduleTime(), DispatchDeadline: durationpb.New(70 * time.Second),
	}}
	if diff := cmp.Diff(want, created[0], protocmp.Transform()); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	if at := task.GetScheduleTime().AsTime(); at.Before(began.Add(300*time.Millisecond)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("scheduled at %s, now %s", at, time.Now())
	}

	t.Run("the same again", func(t *testing.T) {
		queue.answers(status.Error(codes.AlreadyExists, "The task cannot be created because a task with this name existed too recently."))
		deliver("three")
		if line := r.log.last(t); len(queue.take()) != 1 || line["followup_error"] != nil || line["severity"] != "INFO" {
			t.Errorf("log: %v", line)
		}
	})
	t.Run("the queue refuses", func(t *testing.T) {
		queue.answers(status.Error(codes.PermissionDenied, "no"))
		deliver("four")
		line := r.log.last(t)
		if text, _ := line["followup_error"].(string); line["severity"] != "WARNING" || !strings.Contains(text, "schedule settle") {
			t.Errorf("log: %v", line)
		}
		queue.answers(nil)
		queue.take()
	})
	for _, c := range []struct {
		name, token string
		status      int
	}{
		{"no token", "", http.StatusUnauthorized},
		{"somebody else", r.token(signer, "mallory@shop-prod-4711.iam.gserviceaccount.com"), http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.untouched(func() {
				if got := r.followUp(body, c.token); got != c.status {
					t.Errorf("status %d, want %d", got, c.status)
				}
			})
		})
	}
	t.Run("tasks do not push", func(t *testing.T) {
		if got := r.post(envelope(t, r.last()), tasker); got != http.StatusForbidden {
			t.Errorf("status %d", got)
		}
	})
	if agree(r.emu.Marks(one), r.emu.Marks(two)) {
		t.Error("the findings agree before a task ran: this test shows nothing")
	}
	for _, token := range []string{tasker, pusher} {
		eventually(t, 20*time.Second, "the members agree", func() bool {
			if got := r.followUp(body, token); got != http.StatusNoContent {
				t.Fatalf("status %d; log: %s", got, r.log)
			}
			return agree(r.emu.Marks(one), r.emu.Marks(two))
		})
	}
	if !strings.Contains(r.log.String(), `"message":"followup refused"`) {
		t.Error("refusals are not in the log")
	}
	counts := r.metrics()
	for _, result := range []string{"scheduled", "refused", "done"} {
		if !strings.Contains(counts, `scc_enricher_followups_total{kind="settle",result="`+result+`"} `) {
			t.Errorf("no settle %s in /metrics", result)
		}
	}
}

// TestFollowUpIsNoTask: what will never be a task is taken off the queue, and
// somebody is told.
func TestFollowUpIsNoTask(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	for _, body := range []string{"", "hello", `{"version":1,"kind":"explode"}`, strings.Repeat("x", followup.MaxBody+1)} {
		r.untouched(func() {
			if got := r.followUp([]byte(body), ""); got != http.StatusNoContent {
				t.Errorf("%.20q: status %d", body, got)
			}
		})
	}
	if n := strings.Count(r.log.String(), `"message":"followup dropped"`); n != 4 || !strings.Contains(r.log.String(), `"severity":"ERROR"`) {
		t.Errorf("%d lines: %s", n, r.log)
	}
	r.wantMetrics(`scc_enricher_followups_total{kind="none",result="dropped"} 4`)
}

// TestFollowUpMayComeLater: a task that cannot be done is scheduled again for
// later; one that was often enough fails, which is answered 503 and counted.
func TestFollowUpMayComeLater(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
		if broken.Load() && c.Name() == "ListFindings" {
			return status.Error(codes.PermissionDenied, "canary")
		}
		return nil
	}}})
	f := newFinding("later")
	name, notification := r.add(f)
	r.want(notification, http.StatusNoContent, "written")
	body := func(attempt int) []byte {
		b, err := followup.Encode(followup.Task{
			Kind: followup.Settle, Finding: name, Name: name, Resource: testResource, EventTime: f.GetEventTime().AsTime(), Attempt: attempt, At: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, step := range []struct {
		broken          bool
		attempt, status int
		result          string
	}{
		{true, 0, http.StatusNoContent, "postponed"},
		{true, 8, http.StatusServiceUnavailable, "failed"},
		{false, 0, http.StatusNoContent, "done"},
	} {
		broken.Store(step.broken)
		if got := r.followUp(body(step.attempt), ""); got != step.status {
			t.Errorf("%s: status %d, want %d", step.result, got, step.status)
		}
		r.wantMetrics(`scc_enricher_followups_total{kind="settle",result="` + step.result + `"} 1`)
	}
}

// TestShutdownRunsFollowUps: what waits in the process is run before it ends.
// Here it is the settling that enriches a finding whose delivery was lost.
func TestShutdownRunsFollowUps(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{flags: []string{"--settle-delay=50ms"}})
	f := newFinding("lost")
	name, _ := r.add(f)
	time.Sleep(100 * time.Millisecond) // a finding that just came is waited for
	err := r.svc.local.Enqueue(t.Context(), followup.Task{
		Kind: followup.Settle, Finding: name, Name: name, Resource: testResource, EventTime: f.GetEventTime().AsTime(), At: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutting down took %s", took)
	}
	if r.emu.Marks(name)["enrich_verdict"] == "" || strings.Contains(r.log.String(), "left undone") {
		t.Errorf("the follow-up was not run: %s", r.log)
	}
}

// TestShutdownLeavesFollowUps: the process ends in time with a delivery and a
// follow-up that both hang, and names what was left.
func TestShutdownLeavesFollowUps(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the end of the drain: skipped with -short")
	}
	var hang atomic.Bool
	reached := make(chan struct{}, 10)
	r := newRig(t, rigOptions{flags: []string{"--settle-delay=1h", "--source-timeout=19s"}, emulator: emulator.Options{Intercept: func(ctx context.Context, c emulator.Call) error {
		if hang.Load() && c.Name() == "ListFindings" {
			reached <- struct{}{}
			<-ctx.Done()
		}
		return nil
	}}})
	for _, id := range []string{"one", "two"} {
		_, notification := r.add(newFinding(id))
		r.want(notification, http.StatusNoContent, "written")
	}
	hang.Store(true)
	_, notification := r.add(newFinding("three"))
	body := envelope(t, notification)
	answered := make(chan int, 1)
	go func() {
		got, err := post(t.Context(), r.url, body, "")
		if err != nil {
			got = -1
		}
		answered <- got
	}()
	<-reached
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutting down took %s", took)
	}
	if got := <-answered; got != http.StatusServiceUnavailable {
		t.Errorf("the delivery: status %d", got)
	}
	select {
	case <-reached:
	default:
		t.Error("no follow-up was begun beside the delivery that hangs")
	}
	if !strings.Contains(r.log.String(), `"message":"followup left undone"`) {
		t.Errorf("not in the log: followup left undone: %s", r.log)
	}
}
