package scc

import (
	"context"
	"fmt"
	"sync"
)

// flights shares listings that are under way: callers with the same key get
// the same answer. Unlike golang.org/x/sync/singleflight it runs a listing for
// as long as anybody waits for it and no longer: the end of the caller who
// began it does not fail the others, and the end of the last one cancels it.
// The zero value is ready to use.
type flights struct {
	mu  sync.Mutex
	now map[string]*flight
}

type flight struct {
	done    chan struct{}
	cancel  context.CancelCauseFunc
	waiting int
	answer  listing // set before done is closed
}

// join waits for the listing called key, beginning it where none is under way.
// The error is only ever ctx's own; the listing carries its own.
func (g *flights) join(ctx context.Context, key string, list func(context.Context) listing) (listing, error) {
	f := g.enter(ctx, key, list)
	select {
	case <-f.done:
		return f.answer, nil
	case <-ctx.Done():
		g.leave(key, f, context.Cause(ctx))
		return listing{}, ctx.Err()
	}
}

func (g *flights) enter(ctx context.Context, key string, list func(context.Context) listing) *flight {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.now[key]; f != nil {
		f.waiting++
		return f
	}
	if g.now == nil {
		g.now = map[string]*flight{}
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel, waiting: 1}
	g.now[key] = f
	go func() {
		defer cancel(nil)
		defer close(f.done)
		defer g.forget(key, f)
		defer func() {
			if p := recover(); p != nil {
				f.answer = listing{err: fmt.Errorf("listing panicked: %v", p)}
			}
		}()
		f.answer = list(ctx)
	}()
	return f
}

// leave counts a caller out, and ends the listing that nobody waits for, with
// the cause that made the last one leave.
func (g *flights) leave(key string, f *flight, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		f.cancel(cause)
		g.drop(key, f)
	}
}

func (g *flights) forget(key string, f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(key, f)
}

// drop removes f unless another listing has taken its place.
func (g *flights) drop(key string, f *flight) {
	if g.now[key] == f {
		delete(g.now, key)
	}
}
