package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/push"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// followUps gives the pipeline its queue: Cloud Tasks where one is configured,
// else one in the process. Either way /tasks/followup runs what it is sent.
func (v *service) followUps(ctx context.Context, s *serveCmd) error {
	timeout := 3 * s.EnrichTimeout.Duration
	v.tasks = &followup.Handler{Run: v.followUp, RunTimeout: timeout, Observe: v.dropped}
	if s.TasksQueue == "" {
		local, err := followup.NewLocal(followup.LocalOptions{
			Run: v.followUp, RunTimeout: timeout,
			Dropped: func(t followup.Task, err error) {
				v.log.Error("followup dropped", zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), zap.Error(err))
			},
		})
		if err != nil {
			return fmt.Errorf("follow-up queue: %w", err)
		}
		v.local, v.pipeline.FollowUps = local, local
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
	v.pipeline.FollowUps = tasks
	return nil
}

// taskAccounts are whose tokens /tasks/followup admits.
func (s *serveCmd) taskAccounts() []string {
	if s.TasksServiceAccount == "" || s.TasksServiceAccount == s.PushServiceAccount {
		return []string{s.PushServiceAccount}
	}
	return []string{s.PushServiceAccount, s.TasksServiceAccount}
}

// followUp runs a task and writes its one log line.
func (v *service) followUp(ctx context.Context, t followup.Task) error {
	began := time.Now()
	err := v.pipeline.FollowUp(ctx, t)
	fields := []zap.Field{
		zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), zap.Int("attempt", t.Attempt), zap.Duration("latency", time.Since(began)),
	}
	if err != nil {
		v.log.Warn("followup", append(fields, zap.Error(err))...)
		return err
	}
	v.log.Info("followup", fields...)
	return nil
}

// dropped logs a delivery of the queue that is no task.
func (v *service) dropped(_ context.Context, d followup.Delivery) {
	if d.Reason == followup.ReasonDropped {
		v.log.Error("followup dropped", zap.String("reason", string(d.Reason)), zap.Error(d.Err))
	}
}

// drainFollowUps runs what waits in the process as far as time allows, and
// names what is left: the next finding or a backfill repairs it.
func (v *service) drainFollowUps(ctx context.Context) {
	if v.local == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainFor/2)
	defer cancel()
	for _, t := range v.local.Drain(ctx) {
		v.log.Warn("followup left undone", zap.String("kind", string(t.Kind)), zap.String("finding", t.Finding), zap.Time("at", t.At))
	}
}

// admitted lets a request through that is authenticated, before anything of it
// is read.
func admitted(auth push.Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := auth.Authenticate(r); err != nil {
			w.WriteHeader(push.Refusal(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
