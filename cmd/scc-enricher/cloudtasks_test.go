package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// liveTasks is a Cloud Tasks queue that delivers: each task at its schedule
// time, by HTTP with the OIDC token it asks for, again after a pause until the
// answer is 2xx. The name of a task is refused for as long as the test lasts.
type liveTasks struct {
	cloudtaskspb.UnimplementedCloudTasksServer
	ctx    context.Context
	signer *emulator.Signer
	group  sync.WaitGroup

	mu       sync.Mutex
	tasks    map[string]*cloudtaskspb.Task
	refused  int   // names that existed
	statuses []int // of all deliveries; 0 for no answer
	early    int   // deliveries before the schedule time
}

// startLiveTasks serves the queue on loopback and returns its endpoint.
func startLiveTasks(t *testing.T, signer *emulator.Signer) (*liveTasks, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	q, l, srv := &liveTasks{ctx: ctx, signer: signer, tasks: map[string]*cloudtaskspb.Task{}}, listen(t), grpc.NewServer()
	cloudtaskspb.RegisterCloudTasksServer(srv, q)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		cancel()
		q.group.Wait()
	})
	return q, "http://" + l.Addr().String()
}

// CreateTask implements cloudtaskspb.CloudTasksServer.
func (q *liveTasks) CreateTask(_ context.Context, r *cloudtaskspb.CreateTaskRequest) (*cloudtaskspb.Task, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	task := proto.CloneOf(r.GetTask())
	switch name := task.GetName(); {
	case r.GetParent() != testQueue || !strings.HasPrefix(name, testQueue+"/tasks/"):
		return nil, status.Error(codes.InvalidArgument, "Task name must be formatted: \"projects/.../tasks/<TASK_ID>\"")
	case q.tasks[name] != nil:
		q.refused++
		return nil, status.Error(codes.AlreadyExists, "The task cannot be created because a task with this name existed too recently.")
	default:
		q.tasks[name] = task
	}
	q.group.Go(func() { q.run(task) })
	return task, nil
}

// run delivers one task until it is done.
func (q *liveTasks) run(task *cloudtaskspb.Task) {
	wait := time.Until(task.GetScheduleTime().AsTime())
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		select {
		case <-q.ctx.Done():
			return
		case <-time.After(wait):
		}
		got := q.deliver(task)
		q.mu.Lock()
		q.statuses = append(q.statuses, got)
		if time.Now().Before(task.GetScheduleTime().AsTime()) {
			q.early++
		}
		q.mu.Unlock()
		if got/100 == 2 {
			return
		}
		wait = pause
	}
}

func (q *liveTasks) deliver(task *cloudtaskspb.Task) int {
	r := task.GetHttpRequest()
	ctx, cancel := context.WithTimeout(q.ctx, task.GetDispatchDeadline().AsDuration())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.GetHttpMethod().String(), r.GetUrl(), bytes.NewReader(r.GetBody()))
	if err != nil {
		return 0
	}
	for k, v := range r.GetHeaders() {
		req.Header.Set(k, v)
	}
	token, err := q.signer.Token(r.GetOidcToken().GetAudience(), r.GetOidcToken().GetServiceAccountEmail(), time.Now())
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// named are the tasks of a kind, by the names of what they carry.
func (q *liveTasks) named(kind string) []*cloudtaskspb.Task {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*cloudtaskspb.Task
	for _, task := range q.tasks {
		if bytes.Contains(task.GetHttpRequest().GetBody(), []byte(`"kind":"`+kind+`"`)) {
			out = append(out, task)
		}
	}
	return out
}

// TestInstanceDiesBeforeItsTask: one instance writes the findings, asks for the
// settling and dies. Cloud Tasks delivers when nobody listens yet, again when
// another instance does, and that one brings the findings into agreement.
func TestInstanceDiesBeforeItsTask(t *testing.T) {
	t.Parallel()
	const audience = "https://enricher.example.com"
	signer, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	queue, endpoint := startLiveTasks(t, signer)
	port := freePort(t)
	flags := []string{
		"--tasks-queue=" + testQueue, "--tasks-url=http://127.0.0.1:" + port + followUpPath, "--tasks-service-account=" + testTasker, "--tasks-endpoint=" + endpoint,
		"--push-audience=" + audience, "--settle-delay=1s",
	}
	first := newRig(t, rigOptions{signer: signer, flags: flags})
	token, err := signer.Token(audience, testPusher, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"one", "two", "three"}
	for i, id := range names {
		name, notification := first.add(newFinding(id))
		if got := first.post(envelope(t, notification), token); got != http.StatusNoContent {
			t.Fatalf("status %d: %s", got, first.log.lastLine())
		}
		names[i] = name
	}
	marks := func() (all []map[string]string) {
		for _, name := range names {
			all = append(all, first.emu.Marks(name))
		}
		return all
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if agree(marks()...) {
		t.Fatal("the findings agree before a task ran: this test shows nothing")
	}
	eventually(t, 20*time.Second, "a delivery fails", func() bool {
		queue.mu.Lock()
		defer queue.mu.Unlock()
		return len(queue.statuses) > 0
	})

	listener := listenOn(t, "127.0.0.1:"+port)
	var log buffer
	serveOn(t, listener, &log, nil, append([]string{
		"--scc-endpoint=" + first.api, "--logging-endpoint=" + first.api, "--run-endpoint=" + first.api,
		"--push-auth=oidc", "--push-service-account=" + testPusher, "--push-jwks-url=" + first.api + "/oauth2/v3/certs",
	}, flags...)...)
	eventually(t, 30*time.Second, "the task is done", func() bool {
		queue.mu.Lock()
		defer queue.mu.Unlock()
		return queue.statuses[len(queue.statuses)-1] == http.StatusNoContent
	})
	eventually(t, 30*time.Second, "the findings agree", func() bool { return agree(marks()...) })
	queue.mu.Lock()
	defer queue.mu.Unlock()
	if queue.statuses[0] != 0 || queue.early != 0 {
		t.Errorf("answers %v, %d deliveries before their time; want none at first, and each in its time", queue.statuses, queue.early)
	}
	if n := len(queue.tasks); n > 3 {
		t.Errorf("%d tasks for three findings and one settling", n)
	}
	if !strings.Contains(log.String(), `"kind":"settle"`) {
		t.Errorf("the second instance does not say that it settled: %s", &log)
	}
}

// TestTaskWaitsForTheQuota: a finding without an answer of VirusTotal is due
// again, at Cloud Tasks, when the quota is back: after the minute, or at 00:00 UTC.
func TestTaskWaitsForTheQuota(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		quotas emulator.Quotas
		due    func(asked time.Time) time.Time
	}{
		"minute": {emulator.Quotas{VTPerMinute: 1}, func(asked time.Time) time.Time { return asked.Add(time.Minute) }},
		"day": {emulator.Quotas{VTPerDay: 1, VTPerMinute: 4}, func(asked time.Time) time.Time {
			return asked.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signer, err := emulator.NewSigner()
			if err != nil {
				t.Fatal(err)
			}
			queue, endpoint := startLiveTasks(t, signer)
			r := newRig(t, rigOptions{emulator: emulator.Options{Quotas: tt.quotas}, flags: []string{
				"--tasks-queue=" + testQueue, "--tasks-url=" + testTasksURL, "--tasks-endpoint=" + endpoint,
			}})
			asked := time.Now()
			for i, id := range []string{"answered", "refused"} {
				f := newFinding(id)
				f.Processes[0].Binary.Path = `"/tmp/x"`
				f.Processes[0].Binary.Sha256 = strings.Repeat(string(rune('a'+i)), 64)
				f.Processes[0].Binary.Size = f.Processes[0].Binary.HashedSize
				finding, notification := r.add(f)
				r.want(notification, http.StatusNoContent, "written")
				if got, want := r.emu.Marks(finding)["enrich_sources"], []string{"virustotal=empty", "virustotal=quota"}[i]; !strings.Contains(got, want) {
					t.Fatalf("sources %q, want %s", got, want)
				}
			}
			tasks := queue.named("complete")
			if len(tasks) != 1 {
				t.Fatalf("%d tasks to complete, want 1; log: %s", len(tasks), r.log)
			}
			at := tasks[0].GetScheduleTime().AsTime()
			if early, late := tt.due(asked), tt.due(time.Now()).Add(5*time.Second); at.Before(early) || at.After(late) {
				t.Errorf("due at %s, want between %s and %s", at, early, late)
			}
		})
	}
}
