package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

// faultQueue is the in-process queue of follow-ups in a time that can be moved
// on: the same identity, the same pauses between failures, the same end.
type faultQueue struct {
	clock *faultClock

	mu   sync.Mutex
	held map[string]*heldTask
	// ran counts runs, failed those among them that failed, dropped tasks.
	ran, failed, dropped int
}

type heldTask struct {
	task followup.Task
	due  time.Time
	runs int
}

// Enqueue implements followup.Queue.
func (q *faultQueue) Enqueue(_ context.Context, t followup.Task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[t.ID()] == nil {
		q.held[t.ID()] = &heldTask{task: t, due: t.At}
	}
	return nil
}

// take moves the clock on to the next task that is due by the end, and returns
// all that are due then.
func (q *faultQueue) take(end time.Time) []*heldTask {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := end
	for _, h := range q.held {
		if h.due.Before(next) {
			next = h.due
		}
	}
	if !next.Before(end) {
		return nil
	}
	q.clock.jump(next.Sub(q.clock.now()))
	now := q.clock.now()
	var due []*heldTask
	for _, h := range q.held {
		if !h.due.After(now) {
			due = append(due, h)
		}
	}
	return due
}

// The bounds of followup.Local.
const (
	localRuns       = 8
	localMinBackoff = time.Second
	localMaxBackoff = 5 * time.Minute
)

// run runs what is due until the end, four at a time; it returns how many.
func (q *faultQueue) run(ctx context.Context, end time.Time, do followup.Run) (n int) {
	for due := q.take(end); len(due) > 0; due = q.take(end) {
		n += len(due)
		var g errgroup.Group
		g.SetLimit(4)
		for _, h := range due {
			g.Go(func() error {
				err := do(ctx, h.task)
				q.ended(h, err)
				return nil
			})
		}
		_ = g.Wait() // the errors are counted
	}
	return n
}

func (q *faultQueue) ended(h *heldTask, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h.runs++
	q.ran++
	if err == nil {
		delete(q.held, h.task.ID())
		return
	}
	q.failed++
	if h.runs >= localRuns {
		q.dropped++
		delete(q.held, h.task.ID())
		return
	}
	h.due = q.clock.now().Add(min(localMinBackoff<<(h.runs-1), localMaxBackoff))
}
