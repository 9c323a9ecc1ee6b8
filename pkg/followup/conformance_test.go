package followup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// harness is a queue under a clock that the test moves.
type harness struct {
	testing.TB
	queue followup.Queue
	// now is the clock; advance moves it on and returns when all that fell due
	// has run.
	now     func() time.Time
	advance func(d time.Duration)
	// work is what a run does; nil succeeds. Set before the first Enqueue.
	work func(ctx context.Context, t followup.Task) error

	mu   sync.Mutex
	runs []ran
}

// ran is one run of a task.
type ran struct {
	Task followup.Task
	When time.Time
}

// run is the Run of the queue.
func (h *harness) run(ctx context.Context, t followup.Task) error {
	h.mu.Lock()
	h.runs = append(h.runs, ran{t, h.now()})
	h.mu.Unlock()
	if h.work == nil {
		return nil
	}
	return h.work(ctx, t)
}

// count is how often tasks ran.
func (h *harness) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.runs)
}

func (h *harness) want(runs int, when string) {
	h.Helper()
	if got := h.count(); got != runs {
		h.Errorf("%s: %d runs, want %d", when, got, runs)
	}
}

func (h *harness) enqueue(tasks ...followup.Task) {
	h.Helper()
	for _, t := range tasks {
		if err := h.queue.Enqueue(h.Context(), t); err != nil {
			h.Fatalf("Enqueue: %v", err)
		}
	}
}

// implementations give a test a harness of each Queue.
func implementations() map[string]func(t *testing.T, test func(h *harness)) {
	return map[string]func(t *testing.T, test func(h *harness)){
		"Local": func(t *testing.T, test func(h *harness)) {
			synctest.Test(t, func(t *testing.T) {
				h := &harness{TB: t, now: time.Now, advance: func(d time.Duration) { time.Sleep(d); synctest.Wait() }}
				l, err := followup.NewLocal(followup.LocalOptions{Run: h.run})
				if err != nil {
					t.Fatal(err)
				}
				h.queue = l
				test(h)
				if left := l.Drain(t.Context()); len(left) != 0 {
					t.Errorf("%d tasks are left at the end", len(left))
				}
			})
		},
		"CloudTasks": func(t *testing.T, test func(h *harness)) {
			h := &harness{TB: t}
			q := newFakeQueue(&followup.Handler{Run: h.run})
			h.now, h.advance = q.clock, func(d time.Duration) { q.advance(t, d) }
			h.queue = newCloudTasks(t, q, nil)
			test(h)
			if n := len(q.live); n != 0 {
				t.Errorf("%d tasks are left at the end", n)
			}
		},
	}
}

// newCloudTasks returns the real client of q; change may be nil.
func newCloudTasks(t testing.TB, q *fakeQueue, change func(*followup.CloudTasksOptions)) *followup.CloudTasks {
	t.Helper()
	o := followup.CloudTasksOptions{
		Queue: queuePath, URL: target, ServiceAccount: serviceAccount, Now: q.clock,
		ClientOptions: upstream.ClientOptions("http://" + q.serve(t)),
	}
	if change != nil {
		change(&o)
	}
	c, err := followup.NewCloudTasks(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestQueues is what every Queue promises.
func TestQueues(t *testing.T) {
	t.Parallel()
	tests := map[string]func(h *harness){
		"runs once at its time":           runsOnce,
		"a time that has passed is now":   passedTime,
		"a later task does not hold back": laterFirst,
		"equal tasks are one":             duplicates,
		"a burst is two runs at most":     burst,
		"different tasks all run":         different,
		"a failing task is run again":     retried,
		"a hopeless task is given up":     givenUp,
		"a run has a deadline":            hasDeadline,
		"a panic is a failure":            panics,
		"a run may enqueue the next":      successor,
		"invalid tasks are refused":       refuses,
		"a caller who left":               cancelled,
	}
	for name, with := range implementations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					with(t, test)
				})
			}
		})
	}
}

func runsOnce(h *harness) {
	at := h.now().Add(15 * time.Second)
	in := task("shop", at)
	in.Attempt = 2
	h.enqueue(in)
	h.advance(15*time.Second - time.Microsecond)
	h.want(0, "before its time")
	h.advance(time.Second)
	h.want(1, "after its time")
	h.advance(48 * time.Hour)
	h.want(1, "two days later")
	// Cloud Tasks has a resolution of microseconds.
	if got := h.runs[0]; got.When.Before(at.Truncate(time.Microsecond)) {
		h.Errorf("ran at %s, before %s", got.When, at)
	} else if diff := cmp.Diff(in, got.Task); diff != "" {
		h.Errorf("task -enqueued +ran:\n%s", diff)
	}
}

func passedTime(h *harness) {
	h.enqueue(task("shop", h.now().Add(-time.Hour)), task("bank", h.now()))
	h.advance(time.Millisecond)
	h.want(2, "at once")
}

func laterFirst(h *harness) {
	h.enqueue(task("c", h.now().Add(3*time.Hour)), task("a", h.now().Add(time.Minute)), task("b", h.now().Add(2*time.Hour)))
	for i, d := range []time.Duration{2 * time.Minute, 2 * time.Hour, 2 * time.Hour} {
		h.advance(d)
		h.want(i+1, fmt.Sprintf("advance %d", i))
	}
}

func duplicates(h *harness) {
	at := h.now().Add(time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := h.queue.Enqueue(h.Context(), task("shop", at)); err != nil {
				h.Errorf("Enqueue: %v", err)
			}
		})
	}
	wg.Wait()
	h.advance(30 * time.Second)
	other := task("shop", at)
	other.Finding, other.EventTime = "another finding of the group", event.Add(time.Minute)
	h.enqueue(other)
	h.advance(time.Hour)
	h.want(1, "nine equal tasks")
}

func burst(h *harness) {
	const n, delay = 300, 15 * time.Second
	for i := range n {
		in := task("shop", h.now().Add(delay))
		in.Finding += fmt.Sprint(i)
		h.enqueue(in.Slotted(delay))
		h.advance(delay / n)
	}
	last := h.now()
	h.advance(time.Hour)
	if got := h.count(); got < 1 || got > 2 {
		h.Errorf("%d runs, want 1 or 2", got)
	}
	if end := h.runs[len(h.runs)-1].When; end.Before(last) {
		h.Errorf("the last run, at %s, did not see the last finding of %s", end, last)
	}
}

func different(h *harness) {
	in := []followup.Task{task("shop", h.now()), task("bank", h.now()), task("shop", h.now().Add(time.Second)), task("shop", h.now()), task("shop", h.now())}
	in[3].Kind = followup.Complete
	in[4].Attempt = 1
	h.enqueue(in...)
	h.advance(time.Minute)
	var want, got []string
	for i := range in {
		want = append(want, in[i].ID())
	}
	for _, r := range h.runs {
		got = append(got, r.Task.ID())
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		h.Errorf("IDs -enqueued +ran:\n%s", diff)
	}
}

func retried(h *harness) {
	h.work = func(context.Context, followup.Task) error {
		if h.count() < 4 {
			return errors.New("not yet")
		}
		return nil
	}
	in := task("shop", h.now().Add(time.Second))
	h.enqueue(in)
	h.advance(time.Second + 100*time.Millisecond)
	h.want(1, "at its time")
	h.advance(2 * time.Hour)
	h.want(4, "after three failures")
	for i, r := range h.runs {
		if diff := cmp.Diff(in, r.Task); diff != "" {
			h.Errorf("run %d: task -enqueued +ran:\n%s", i, diff)
		}
		if i > 0 && r.When.Sub(h.runs[i-1].When) < 100*time.Millisecond {
			h.Errorf("run %d came %s after a failure", i, r.When.Sub(h.runs[i-1].When))
		}
	}
}

func givenUp(h *harness) {
	h.work = func(_ context.Context, t followup.Task) error {
		if t.Group == "poison" {
			return errors.New("never")
		}
		return nil
	}
	h.enqueue(task("poison", h.now()), task("shop", h.now().Add(time.Minute)))
	h.advance(100 * time.Hour)
	h.want(8+1, "after 100 hours")
}

func hasDeadline(h *harness) {
	var deadline bool
	h.work = func(ctx context.Context, _ followup.Task) error {
		_, deadline = ctx.Deadline()
		return ctx.Err()
	}
	h.enqueue(task("shop", h.now()))
	h.advance(time.Second)
	h.want(1, "at once")
	if !deadline {
		h.Error("the run's context has no deadline")
	}
}

func panics(h *harness) {
	h.work = func(context.Context, followup.Task) error {
		if h.count() == 1 {
			panic("on input")
		}
		return nil
	}
	h.enqueue(task("shop", h.now()))
	h.advance(time.Hour)
	h.want(2, "after a panic")
}

func successor(h *harness) {
	h.work = func(ctx context.Context, t followup.Task) error {
		if t.Attempt == 3 {
			return nil
		}
		t.At = h.now().Add(time.Minute << t.Attempt)
		t.Attempt++
		return h.queue.Enqueue(ctx, t)
	}
	h.enqueue(task("shop", h.now()))
	h.advance(time.Hour)
	h.want(4, "a chain of four")
}

func refuses(h *harness) {
	for name, in := range invalid() {
		if err := h.queue.Enqueue(h.Context(), in); !errors.Is(err, followup.ErrInvalid) {
			h.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
	h.advance(time.Hour)
	h.want(0, "after refusals")
}

func cancelled(h *harness) {
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	if err := h.queue.Enqueue(ctx, task("shop", h.now())); !errors.Is(err, context.Canceled) {
		h.Errorf("error = %v, want context.Canceled", err)
	}
	h.advance(time.Hour)
	h.want(0, "of a caller who left")
}
