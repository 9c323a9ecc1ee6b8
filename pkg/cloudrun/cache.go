package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

const (
	// fresh is how long an answer that may change is used, "not found" included.
	fresh = time.Minute
	// immutable is how long an answer that cannot change is used.
	immutable = 24 * time.Hour
	// maxCacheBytes bounds the cache by the estimated size of its answers.
	maxCacheBytes = 32 << 20
	// requestTimeout bounds one shared request, retries included.
	requestTimeout = 15 * time.Second
)

// sized is an answer that knows its rough size in bytes.
type sized interface{ size() int }

// entry is a cached answer, or a cached "not found".
type entry struct {
	value sized
	err   error
	ttl   time.Duration
}

// store caches answers and shares requests in flight.
type store struct {
	cache  *otter.Cache[string, entry]
	flight singleflight.Group
}

func newStore(now func() time.Time) (*store, error) {
	if now == nil {
		now = time.Now
	}
	cache, err := otter.New(&otter.Options[string, entry]{
		MaximumWeight: maxCacheBytes,
		Executor:      func(work func()) { work() }, // cheaper than a goroutine for each write
		Weigher: func(key string, e entry) uint32 {
			n := 128 + len(key)
			if e.value != nil {
				n += e.value.size()
			}
			return uint32(min(n, maxCacheBytes))
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, entry]) time.Duration { return e.Value.ttl }),
		Clock:            clock{now},
	})
	if err != nil {
		return nil, err
	}
	return &store{cache: cache}, nil
}

// clock makes a function the clock of the cache. It never ticks: expired
// answers are not used, and the bound on size removes them.
type clock struct{ now func() time.Time }

func (c clock) NowNano() int64                    { return c.now().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// load reads one answer and says for how long it may be used.
type load[T sized] func(context.Context) (T, time.Duration, error)

// get returns the cached answer to key, or loads it. Callers that ask for the
// same key at once share one load. It runs on its own time, not on that of the
// caller who happened to come first: each caller waits as long as its own ctx
// allows.
func get[T sized](ctx context.Context, s *store, key string, ask load[T]) (T, error) {
	var none T
	if e, ok := s.cache.GetIfPresent(key); ok {
		return answer[T](e)
	}
	if err := ctx.Err(); err != nil {
		return none, fmt.Errorf("read %s: %w", key, err)
	}
	done := s.flight.DoChan(key, func() (any, error) {
		if e, ok := s.cache.GetIfPresent(key); ok {
			return e, nil
		}
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		v, ttl, err := ask(own)
		e := entry{value: v, ttl: ttl, err: err}
		switch {
		case err == nil:
			s.cache.Set(key, e)
		case errors.Is(err, evidence.ErrNotFound):
			e.value, e.ttl = nil, fresh
			s.cache.Set(key, e)
		}
		return e, nil
	})
	select {
	case r := <-done:
		e, ok := r.Val.(entry)
		if r.Err != nil || !ok {
			return none, fmt.Errorf("read %s: %w", key, r.Err)
		}
		return answer[T](e)
	case <-ctx.Done():
		return none, fmt.Errorf("read %s: %w", key, ctx.Err())
	}
}

func answer[T sized](e entry) (T, error) {
	var none T
	if e.err != nil {
		return none, e.err
	}
	v, ok := e.value.(T)
	if !ok {
		return none, fmt.Errorf("cached %T is no %T", e.value, none)
	}
	return v, nil
}
