package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/push"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// followUpPath is where Cloud Tasks delivers.
const followUpPath = "/tasks/followup"

// The results of follow-ups that are counted.
const (
	resultScheduled = "scheduled" // the queue took it
	resultRefused   = "refused"   // the queue did not
	resultDone      = "done"
	resultPostponed = "postponed"   // not done, and scheduled again for later
	resultFailed    = "failed"      // to come again
	resultPanicked  = "panicked"    // to come again
	resultDropped   = "dropped"     // given up, or no task
	resultUndone    = "undone"      // left when the process ended
	resultTurned    = "turned_away" // not run: no token, or shutting down

	// kindNone stands where no task was read.
	kindNone = "none"
)

// followUps gives the pipeline its queue: Cloud Tasks where one is configured,
// else one in the process. Either way /tasks/followup runs what it is sent.
func (v *service) followUps(ctx context.Context, s *serveCmd) error {
	timeout := 3 * s.EnrichTimeout.Duration
	v.tasks = v.refusing(&followup.Handler{Run: v.followUp, RunTimeout: timeout, Observe: v.delivered})
	if s.TasksQueue == "" {
		local, err := followup.NewLocal(followup.LocalOptions{
			Run: v.followUp, RunTimeout: timeout,
			Dropped: func(t followup.Task, err error) {
				v.metrics.FollowUp(string(t.Kind), resultDropped)
				v.log.Error("followup dropped", zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), v.errorField(err))
			},
		})
		if err != nil {
			return fmt.Errorf("follow-up queue: %w", err)
		}
		v.local, v.pipeline.FollowUps = local, counted{local, v.metrics}
		v.metrics.Pending(local.Pending)
		return nil
	}
	tasks, err := followup.NewCloudTasks(ctx, followup.CloudTasksOptions{
		Queue: s.TasksQueue, URL: s.TasksURL, ServiceAccount: s.TasksServiceAccount, Audience: s.PushAudience,
		RunTimeout: timeout, ClientOptions: upstream.ClientOptions(s.TasksEndpoint),
	})
	if err != nil {
		return fmt.Errorf("connect to Cloud Tasks: %w", err)
	}
	v.closers = append(v.closers, tasks.Close)
	v.pipeline.FollowUps = counted{tasks, v.metrics}
	return nil
}

// counted is a queue that counts what it takes.
type counted struct {
	followup.Queue
	metrics *telemetry.Metrics
}

// Enqueue implements followup.Queue.
func (c counted) Enqueue(ctx context.Context, t followup.Task) error {
	err := c.Queue.Enqueue(ctx, t)
	result := resultScheduled
	if err != nil {
		result = resultRefused
	}
	c.metrics.FollowUp(string(t.Kind), result)
	return err
}

// taskAccounts are whose tokens /tasks/followup admits.
func (s *serveCmd) taskAccounts() []string {
	if s.TasksServiceAccount == "" || s.TasksServiceAccount == s.PushServiceAccount {
		return []string{s.PushServiceAccount}
	}
	return []string{s.PushServiceAccount, s.TasksServiceAccount}
}

// followUp runs a task and writes its one log line. A panic is told here, once
// a run, and goes on to the queue, which has the task come again.
func (v *service) followUp(ctx context.Context, t followup.Task) error {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			v.metrics.FollowUp(string(t.Kind), resultPanicked)
			v.log.Error("followup", zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), zap.Int("attempt", t.Attempt),
				zap.Duration("latency", time.Since(began)), v.errorField(fmt.Errorf("panic: %v", p)), zap.ByteString("stack", debug.Stack()))
			panic(p)
		}
	}()
	err := v.pipeline.FollowUp(ctx, t)
	fields := []zap.Field{
		zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), zap.Int("attempt", t.Attempt), zap.Duration("latency", time.Since(began)),
	}
	if errors.Is(err, enrich.ErrPostponed) {
		v.metrics.FollowUp(string(t.Kind), resultPostponed)
		v.log.Warn("followup", append(fields, v.errorField(err))...)
		return nil
	}
	if err != nil {
		v.metrics.FollowUp(string(t.Kind), resultFailed)
		v.log.Warn("followup", append(fields, v.errorField(err))...)
		return err
	}
	v.metrics.FollowUp(string(t.Kind), resultDone)
	v.log.Info("followup", fields...)
	return nil
}

// errorField is an error as a log field, redacted as those of deliveries are.
func (v *service) errorField(err error) zap.Field {
	return zap.String("error", v.pipeline.Redactor.Line(err.Error(), maxError))
}

// delivered logs a delivery of the queue of which followUp does not know.
func (v *service) delivered(_ context.Context, d followup.Delivery) {
	switch d.Reason {
	case followup.ReasonDropped:
		v.metrics.FollowUp(kindNone, resultDropped)
		v.log.Error("followup dropped", zap.String("reason", string(d.Reason)), v.errorField(d.Err))
	case followup.ReasonUnread, followup.ReasonMethod:
		v.log.Warn("followup refused", zap.Int("status", d.Status), zap.String("reason", string(d.Reason)), v.errorField(d.Err))
	}
}

// drainFollowUps runs what waits in the process as far as time allows, and
// names what is left: the next finding or a backfill repairs it.
func (v *service) drainFollowUps(ctx context.Context) {
	if v.local == nil {
		return
	}
	for _, t := range v.local.Drain(ctx) {
		v.metrics.FollowUp(string(t.Kind), resultUndone)
		v.log.Warn("followup left undone", zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), zap.Time("at", t.At))
	}
}

// refusing answers 503 while the process ends: Cloud Tasks sends the task again,
// to another instance.
func (v *service) refusing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v.push.Draining() {
			v.refuse(w, http.StatusServiceUnavailable, zap.String("reason", "shutting_down"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admitted lets a request through that is authenticated, before anything of it
// is read.
func (v *service) admitted(auth push.Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := auth.Authenticate(r); err != nil {
			v.refuse(w, push.Refusal(err), zap.String("reason", "unauthenticated"), v.errorField(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a follow-up that is not run, and logs it.
func (v *service) refuse(w http.ResponseWriter, status int, why ...zap.Field) {
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="followup"`)
	}
	w.WriteHeader(status)
	v.metrics.FollowUp(kindNone, resultTurned)
	v.log.Warn("followup refused", append(why, zap.Int("status", status))...)
}
