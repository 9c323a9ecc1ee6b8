package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/push"
)

// Cloud Run sends SIGTERM and kills 10 seconds later
// (https://cloud.google.com/run/docs/container-contract#instance-shutdown).
const (
	// drainFor is how long requests under way may still finish, and follow-ups
	// that wait in the process may run.
	drainFor = 8 * time.Second
	// requestsFirst is how long requests have before follow-ups are run beside
	// them: a request may still schedule one.
	requestsFirst = drainFor / 2
	// abortFor is how long requests that are ended then have to answer 503.
	abortFor = time.Second
	// hangUpFor is how long connections have to send their last answer.
	hangUpFor = 250 * time.Millisecond
	// exitFor is how long all of it takes at most, the closing of the clients
	// included. What hangs then is left to the end of the process: nothing is
	// lost by it, because every delivery waited for its own publications.
	exitFor = drainFor + abortFor + 2*hangUpFor
)

// drain refuses what comes, and lets what is under way finish as far as time
// allows. The listener stays open meanwhile, so that a request that comes late
// is answered 503 and not cut off.
func (v *service) drain(work context.Context, abort context.CancelCauseFunc) {
	v.log.Info("draining")
	v.push.Drain()
	empty := v.gate.shut()
	timer := time.AfterFunc(drainFor, func() { abort(push.ErrShuttingDown) })
	defer timer.Stop()
	wait(empty, requestsFirst)
	v.drainFollowUps(work)
	select {
	case <-empty:
	case <-work.Done():
		if !wait(empty, abortFor) {
			v.log.Warn("requests did not end")
		}
	}
}

// wait waits for the channel to be closed, and reports whether it was in time.
func wait(closed <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-closed:
		return true
	case <-timer.C:
		return false
	}
}

// gate counts the requests under way until it is shut. Its zero value is open.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// counted counts the requests of a handler. It lets those through, uncounted,
// that come when the gate is shut: the handler refuses them.
func (g *gate) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.enter() {
			defer g.inside.Done()
		}
		next.ServeHTTP(w, r)
	})
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside.Add(1)
	return true
}

// shut ends the counting. The channel is closed when the last request that was
// counted has been answered.
func (g *gate) shut() <-chan struct{} {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	empty := make(chan struct{})
	go func() {
		g.inside.Wait()
		close(empty)
	}()
	return empty
}

// close ends everything in reverse order. Each gets an even share of the time
// that is left until ctx ends; what takes longer is left behind.
func (v *service) close(ctx context.Context) {
	for i := len(v.closers) - 1; i >= 0; i-- {
		limit := exitFor
		if deadline, ok := ctx.Deadline(); ok {
			limit = max(time.Until(deadline)/time.Duration(i+1), 0)
		}
		end, closed := v.closers[i], make(chan error, 1)
		go func() { closed <- end() }()
		timer := time.NewTimer(limit)
		select {
		case err := <-closed:
			if err != nil {
				v.log.Warn("close", v.errorField(err))
			}
		case <-timer.C:
			v.log.Warn("close", zap.String("error", "not closed in time"))
		}
		timer.Stop()
	}
	v.closers = nil
}
