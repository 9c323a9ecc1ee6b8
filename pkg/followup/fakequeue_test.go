package followup_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	queuePath      = "projects/p-1/locations/europe-west1/queues/follow-ups"
	serviceAccount = "tasks@p-1.iam.gserviceaccount.com"
	target         = "https://enricher.example.com/tasks/followup"
)

// fakeQueue behaves as one Cloud Tasks queue of HTTP targets under a clock of
// its own: it refuses what google.cloud.tasks.v2 says it refuses, remembers the
// names of tasks that ran, and delivers when advance moves the clock.
type fakeQueue struct {
	cloudtaskspb.UnimplementedCloudTasksServer
	// remember is how long the name of a task that ran is refused.
	remember time.Duration
	retry    *cloudtaskspb.RetryConfig
	handler  http.Handler

	mu       sync.Mutex
	now      time.Time
	live     map[string]*liveTask
	gone     map[string]time.Time // until when a name is refused
	created  []*cloudtaskspb.CreateTaskRequest
	script   []error // errors of the next calls
	lose     int     // calls that succeed, but whose answer is lost
	calls    int
	statuses []int // of all deliveries
	requests []*http.Request
}

type liveTask struct {
	task     *cloudtaskspb.Task
	due      time.Time
	attempts int
}

func newFakeQueue(handler http.Handler) *fakeQueue {
	return &fakeQueue{
		remember: time.Hour, handler: handler, now: event.Add(time.Minute),
		live: map[string]*liveTask{}, gone: map[string]time.Time{},
		// No max_retry_duration: max_attempts alone decides.
		retry: &cloudtaskspb.RetryConfig{MaxAttempts: 8, MaxDoublings: 5},
	}
}

// minBackoff and maxBackoff of the queue.
const (
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
)

// serve puts q on loopback and returns its address.
func (q *fakeQueue) serve(t testing.TB) string {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	cloudtaskspb.RegisterCloudTasksServer(g, q)
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	return lis.Addr().String()
}

func (q *fakeQueue) clock() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.now
}

// CreateTask implements cloudtaskspb.CloudTasksServer.
func (q *fakeQueue) CreateTask(_ context.Context, r *cloudtaskspb.CreateTaskRequest) (*cloudtaskspb.Task, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls++
	if len(q.script) > 0 {
		err := q.script[0]
		q.script = q.script[1:]
		return nil, err
	}
	if r.GetParent() != queuePath {
		return nil, status.Error(codes.NotFound, "queue does not exist")
	}
	if why := q.illegal(r.GetTask()); why != "" {
		return nil, status.Error(codes.InvalidArgument, why)
	}
	name := r.GetTask().GetName()
	if q.live[name] != nil || q.gone[name].After(q.now) {
		return nil, status.Error(codes.AlreadyExists, "The task cannot be created because a task with this name existed too recently.")
	}
	q.created = append(q.created, proto.CloneOf(r))
	task := proto.CloneOf(r.GetTask())
	due := q.now
	if s := task.GetScheduleTime(); s != nil && s.AsTime().After(q.now) {
		due = s.AsTime().Truncate(time.Microsecond)
	}
	task.ScheduleTime = timestamppb.New(due)
	q.live[name] = &liveTask{task: task, due: due}
	if q.lose > 0 {
		q.lose--
		return nil, status.Error(codes.Unavailable, "connection lost")
	}
	return task, nil
}

var taskID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,500}$`)

// illegal says why Cloud Tasks refuses the task.
func (q *fakeQueue) illegal(t *cloudtaskspb.Task) string {
	r := t.GetHttpRequest()
	id, inQueue := strings.CutPrefix(t.GetName(), queuePath+"/tasks/")
	u, err := url.Parse(r.GetUrl())
	method := r.GetHttpMethod()
	switch {
	case !inQueue || !taskID.MatchString(id):
		return "Task name must be formatted: \"projects/.../tasks/<TASK_ID>\""
	case r == nil:
		return "Task.message_type is required"
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "HttpRequest.url must start with 'http://' or 'https://'"
	case len(r.GetUrl()) > 2083:
		return "HttpRequest.url is too long"
	case len(r.GetBody()) > 0 && method != cloudtaskspb.HttpMethod_POST && method != cloudtaskspb.HttpMethod_PUT && method != cloudtaskspb.HttpMethod_PATCH:
		return "HttpRequest.body is not allowed with this method"
	case proto.Size(t) > 1<<20:
		return "Task size too large"
	case t.GetScheduleTime().AsTime().After(q.now.Add(30 * 24 * time.Hour)):
		return "Task.scheduleTime too far into the future"
	case t.DispatchDeadline != nil && (t.DispatchDeadline.AsDuration() < 15*time.Second || t.DispatchDeadline.AsDuration() > 30*time.Minute):
		return "Task.dispatchDeadline must be between [15s, 30m]"
	case r.GetOidcToken() != nil && !strings.Contains(r.GetOidcToken().GetServiceAccountEmail(), "@"):
		return "invalid service account"
	}
	return ""
}

// advance moves the clock on by d, delivering every task at its time.
func (q *fakeQueue) advance(t testing.TB, d time.Duration) {
	t.Helper()
	end := q.clock().Add(d)
	for range 10_000 {
		l := q.next(end)
		if l == nil {
			return
		}
		q.deliver(t, l)
	}
	t.Fatal("10,000 deliveries and no end")
}

// next moves the clock to the task that is due first, or to end.
func (q *fakeQueue) next(end time.Time) *liveTask {
	q.mu.Lock()
	defer q.mu.Unlock()
	var first *liveTask
	for _, l := range q.live {
		if !l.due.After(end) && (first == nil || l.due.Before(first.due)) {
			first = l
		}
	}
	if first == nil {
		q.now = end
		return nil
	}
	if first.due.After(q.now) {
		q.now = first.due
	}
	return first
}

// deliver sends one task to the handler and drops it or has it come again.
func (q *fakeQueue) deliver(t testing.TB, l *liveTask) {
	t.Helper()
	req := l.task.GetHttpRequest()
	ctx, cancel := context.WithTimeout(t.Context(), l.task.GetDispatchDeadline().AsDuration())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, req.GetHttpMethod().String(), req.GetUrl(), bytes.NewReader(req.GetBody()))
	for k, v := range req.GetHeaders() {
		r.Header.Set(k, v)
	}
	id := l.task.GetName()[strings.LastIndex(l.task.GetName(), "/")+1:]
	r.Header.Set("User-Agent", "Google-Cloud-Tasks")
	r.Header.Set("X-CloudTasks-QueueName", "follow-ups")
	r.Header.Set("X-CloudTasks-TaskName", id)
	r.Header.Set("X-CloudTasks-TaskRetryCount", fmt.Sprint(l.attempts))
	if oidc := req.GetOidcToken(); oidc != nil {
		audience := oidc.GetAudience()
		if audience == "" {
			audience = req.GetUrl()
		}
		r.Header.Set("Authorization", "Bearer token of "+oidc.GetServiceAccountEmail()+" for "+audience)
	}
	w := httptest.NewRecorder()
	q.handler.ServeHTTP(w, r)

	q.mu.Lock()
	defer q.mu.Unlock()
	q.statuses = append(q.statuses, w.Code)
	q.requests = append(q.requests, r)
	l.attempts++
	if w.Code >= 200 && w.Code <= 299 || l.attempts >= int(q.retry.GetMaxAttempts()) {
		delete(q.live, l.task.GetName())
		q.gone[l.task.GetName()] = q.now.Add(q.remember)
		return
	}
	doublings := min(l.attempts-1, int(q.retry.GetMaxDoublings()))
	l.due = q.now.Add(min(minBackoff<<doublings, maxBackoff))
}
