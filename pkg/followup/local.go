package followup

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// LocalOptions configure NewLocal.
type LocalOptions struct {
	// Run does the work; required.
	Run Run
	// MaxPending bounds the tasks held, waiting and running; 10,000 if zero.
	MaxPending int
	// Concurrency bounds the tasks that run at once; 4 if zero.
	Concurrency int
	// RunTimeout bounds one run; DefaultRunTimeout if zero.
	RunTimeout time.Duration
	// MaxRuns bounds how often a task that fails is run in all; 8 if zero.
	MaxRuns int
	// MinBackoff is the pause after a first failure, 1 s if zero. It doubles
	// with each further one up to MaxBackoff, 5 min if zero. Each pause is
	// shortened at random by up to a half.
	MinBackoff time.Duration
	MaxBackoff time.Duration
	// Dropped is told of a task that failed MaxRuns times, with its last error;
	// may be nil. It is called while the task still counts as running.
	Dropped func(t Task, err error)
}

// Local is a Queue in the memory of the process. What it holds is lost with
// the process, but for what Drain runs or gives back, and it needs the CPU
// between requests: on Cloud Run that is cpuIdle=false and an instance that
// stays (google.cloud.run.v2.ResourceRequirements).
//
// It has one timer and one heap for all that waits, and a goroutine only for
// each task that runs; an idle queue has none. Equal tasks are one until they
// have run, and are forgotten then.
type Local struct {
	o LocalOptions
	// ctx is that of every run; cancel ends what still runs after Drain.
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	timer   *time.Timer
	held    map[string]*entry // waiting or running, by ID
	waiting entries
	running int
	seq     uint64
	// draining: nothing is taken any more, everything is due.
	draining bool
	// closed: Drain has given back what was held.
	closed bool
	// idle is closed, by rest, when nothing is held any more while draining.
	idle chan struct{}
	rest func()
	// failed are the tasks that failed while draining.
	failed []Task
}

// NewLocal returns an empty queue. It starts nothing; Drain ends it.
func NewLocal(o LocalOptions) (*Local, error) {
	if o.Run == nil {
		return nil, errors.New("in-process follow-ups: nothing to run")
	}
	o.MaxPending = orDefault(o.MaxPending, 10_000)
	o.Concurrency = orDefault(o.Concurrency, 4)
	o.RunTimeout = orDefault(o.RunTimeout, DefaultRunTimeout)
	o.MaxRuns = orDefault(o.MaxRuns, 8)
	o.MinBackoff = orDefault(o.MinBackoff, time.Second)
	o.MaxBackoff = max(orDefault(o.MaxBackoff, 5*time.Minute), o.MinBackoff)
	l := &Local{o: o, held: map[string]*entry{}, idle: make(chan struct{})}
	l.rest = sync.OnceFunc(func() { close(l.idle) })
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.timer = time.AfterFunc(math.MaxInt64, l.wake)
	l.timer.Stop()
	return l, nil
}

// Enqueue implements Queue. Its errors wrap ErrInvalid, ErrFull, ErrClosed or
// the context's.
func (l *Local) Enqueue(ctx context.Context, t Task) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("enqueue follow-up: %w", err)
	}
	if err := t.valid(); err != nil {
		return fmt.Errorf("enqueue follow-up: %w", err)
	}
	id := t.ID()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.draining:
		return fmt.Errorf("enqueue follow-up: %w", ErrClosed)
	case l.held[id] != nil:
		return nil
	case len(l.held) >= l.o.MaxPending:
		return fmt.Errorf("enqueue follow-up: %w", ErrFull)
	}
	e := &entry{task: t, id: id}
	l.held[id] = e
	l.wait(e, t.At)
	l.dispatch()
	return nil
}

// Pending is how many tasks are held, waiting and running.
func (l *Local) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// Drain ends the queue: it takes no further task, runs everything that waits at
// once and each only once more, Concurrency at a time in the order of their
// times, and returns when all have run or ctx is done. It returns what is left,
// in the order of their times: what failed, what did not come to run, and what
// still ran when ctx was done. The contexts of those last are cancelled; Drain
// does not wait for them, and one of them may yet have succeeded. Further calls
// return nothing.
func (l *Local) Drain(ctx context.Context) []Task {
	l.mu.Lock()
	l.draining = true
	l.timer.Stop()
	if len(l.held) == 0 {
		l.rest()
	}
	if ctx.Err() == nil {
		l.dispatch()
	}
	l.mu.Unlock()

	select {
	case <-l.idle:
	case <-ctx.Done():
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.cancel()
	left := l.failed
	for _, e := range l.held {
		left = append(left, e.task)
	}
	l.failed, l.waiting = nil, nil
	clear(l.held)
	l.rest()
	slices.SortFunc(left, func(a, b Task) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID(), b.ID())
	})
	return left
}

// wake is the timer's function.
func (l *Local) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatch()
}

// wait puts e on the heap. The lock is held.
func (l *Local) wait(e *entry, due time.Time) {
	l.seq++
	e.due, e.seq = due, l.seq
	heap.Push(&l.waiting, e)
}

// dispatch starts what is due and may run, and sets the timer for the next.
// It may be called at any time. The lock is held.
func (l *Local) dispatch() {
	now := time.Now()
	for len(l.waiting) > 0 && l.running < l.o.Concurrency {
		if !l.draining && l.waiting[0].due.After(now) {
			l.timer.Reset(l.waiting[0].due.Sub(now))
			return
		}
		e := heap.Pop(&l.waiting).(*entry)
		l.running++
		go l.run(e)
	}
	// Nothing waits, or the end of a run dispatches next.
	l.timer.Stop()
}

// run runs e once.
func (l *Local) run(e *entry) {
	err := l.o.Run.do(l.ctx, l.o.RunTimeout, e.task)
	e.runs++
	dropped := err != nil && e.runs >= l.o.MaxRuns && l.ctx.Err() == nil
	if dropped && l.o.Dropped != nil {
		l.o.Dropped(e.task, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	switch {
	case l.closed:
		return
	case err == nil || dropped:
		delete(l.held, e.id)
	case l.draining:
		delete(l.held, e.id)
		l.failed = append(l.failed, e.task)
	default:
		l.wait(e, time.Now().Add(l.backoff(e.runs)))
	}
	if l.draining && len(l.held) == 0 {
		l.rest()
	}
	l.dispatch()
}

// backoff is the pause after that many failed runs.
func (l *Local) backoff(runs int) time.Duration {
	d := l.o.MinBackoff
	for i := 1; i < runs && d < l.o.MaxBackoff; i++ {
		d = min(2*d, l.o.MaxBackoff)
	}
	return d - rand.N(d/2+1) //nolint:gosec // jitter need not be unpredictable
}

// entry is a task that is held.
type entry struct {
	task Task
	id   string
	due  time.Time
	seq  uint64
	runs int
}

// entries is a heap.Interface, the entry that is due first on top.
type entries []*entry

func (h entries) Len() int { return len(h) }
func (h entries) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}
func (h entries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *entries) Push(e any)   { *h = append(*h, e.(*entry)) }
func (h *entries) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	return e
}
