package followup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

func newLocal(t *testing.T, o followup.LocalOptions) *followup.Local {
	t.Helper()
	l, err := followup.NewLocal(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func enqueue(t *testing.T, q followup.Queue, tasks ...followup.Task) {
	t.Helper()
	for _, in := range tasks {
		if err := q.Enqueue(t.Context(), in); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

func groups(tasks []followup.Task) []string {
	var out []string
	for _, t := range tasks {
		out = append(out, t.Group)
	}
	return out
}

func TestLocalNeedsWork(t *testing.T) {
	t.Parallel()
	if _, err := followup.NewLocal(followup.LocalOptions{}); err == nil {
		t.Error("a queue that can run nothing was made")
	}
}

func TestLocalIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		l := newLocal(t, followup.LocalOptions{MaxPending: 2, Run: func(context.Context, followup.Task) error { runs.Add(1); return nil }})
		at := time.Now().Add(time.Minute)
		enqueue(t, l, task("a", at), task("b", at))
		if err := l.Enqueue(t.Context(), task("c", at)); !errors.Is(err, followup.ErrFull) {
			t.Errorf("third of two: error = %v, want ErrFull", err)
		}
		enqueue(t, l, task("a", at)) // equal to one that is held
		if got := l.Pending(); got != 2 {
			t.Errorf("Pending() = %d, want 2", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := l.Pending(); got != 0 {
			t.Errorf("Pending() = %d after the runs, want 0", got)
		}
		enqueue(t, l, task("c", time.Now()))
		synctest.Wait()
		if got := runs.Load(); got != 3 {
			t.Errorf("%d runs, want 3", got)
		}
	})
}

// TestLocalFailingTaskKeepsItsPlace: what waits to be repeated counts as held
// and as equal.
func TestLocalFailingTaskKeepsItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, followup.LocalOptions{MaxPending: 1, Run: func(context.Context, followup.Task) error { return errors.New("no") }})
		in := task("a", time.Now())
		enqueue(t, l, in)
		synctest.Wait()
		enqueue(t, l, in)
		if err := l.Enqueue(t.Context(), task("b", time.Now())); !errors.Is(err, followup.ErrFull) {
			t.Errorf("error = %v, want ErrFull", err)
		}
		if diff := cmp.Diff([]string{"a"}, groups(l.Drain(t.Context()))); diff != "" {
			t.Errorf("left -want +got:\n%s", diff)
		}
	})
}

func TestLocalConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most, runs int
		var mu sync.Mutex
		l := newLocal(t, followup.LocalOptions{Concurrency: 3, Run: func(ctx context.Context, _ followup.Task) error {
			mu.Lock()
			now++
			runs++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return ctx.Err()
		}})
		began := time.Now()
		for i := range 30 {
			enqueue(t, l, task(fmt.Sprint(i), began))
		}
		if left := l.Drain(t.Context()); len(left) != 0 {
			t.Errorf("left: %v", groups(left))
		}
		if most != 3 || runs != 30 || time.Since(began) != 10*time.Second {
			t.Errorf("%d runs, at most %d at once, in %s; want 30, 3, 10s", runs, most, time.Since(began))
		}
	})
}

func TestLocalRepeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		var dropped []string
		l := newLocal(t, followup.LocalOptions{
			MaxRuns: 7, MinBackoff: time.Second, MaxBackoff: 10 * time.Second,
			Run: func(context.Context, followup.Task) error {
				at = append(at, time.Now())
				return fmt.Errorf("failure %d", len(at))
			},
			Dropped: func(t followup.Task, err error) { dropped = append(dropped, t.Group+": "+err.Error()) },
		})
		enqueue(t, l, task("a", time.Now()))
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(at) != 7 {
			t.Fatalf("%d runs, want 7", len(at))
		}
		for i, most := range []int{1, 2, 4, 8, 10, 10} {
			limit := time.Duration(most) * time.Second
			if pause := at[i+1].Sub(at[i]); pause < limit/2 || pause > limit {
				t.Errorf("pause %d is %s, want %s to %s", i, pause, limit/2, limit)
			}
		}
		if diff := cmp.Diff([]string{"a: failure 7"}, dropped); diff != "" {
			t.Errorf("dropped -want +got:\n%s", diff)
		}
		if got := l.Pending(); got != 0 {
			t.Errorf("Pending() = %d, want 0", got)
		}
	})
}

func TestLocalRunTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		l := newLocal(t, followup.LocalOptions{
			RunTimeout: 3 * time.Second, MaxRuns: 1,
			Run:     func(ctx context.Context, _ followup.Task) error { <-ctx.Done(); return ctx.Err() },
			Dropped: func(_ followup.Task, err error) { errs = append(errs, err) },
		})
		enqueue(t, l, task("a", time.Now()))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(errs) != 1 || !errors.Is(errs[0], context.DeadlineExceeded) {
			t.Errorf("dropped with %v, want one context.DeadlineExceeded", errs)
		}
	})
}

// TestLocalOutlivesItsCaller: the request that asked for a follow-up is over
// when it runs.
func TestLocalOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := errors.New("never ran")
		l := newLocal(t, followup.LocalOptions{Run: func(ctx context.Context, _ followup.Task) error { got = ctx.Err(); return nil }})
		ctx, cancel := context.WithCancel(t.Context())
		if err := l.Enqueue(ctx, task("a", time.Now().Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got != nil {
			t.Errorf("the run's context: %v", got)
		}
	})
}

func TestLocalPanicHasAStack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got string
		l := newLocal(t, followup.LocalOptions{
			MaxRuns: 1,
			Run:     func(context.Context, followup.Task) error { panic("boom") },
			Dropped: func(_ followup.Task, err error) { got = err.Error() },
		})
		enqueue(t, l, task("a", time.Now()))
		synctest.Wait()
		if !strings.Contains(got, "boom") || !strings.Contains(got, "local_test.go") {
			t.Errorf("error %q does not say where it panicked", got)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// work of each group; one that is absent succeeds at once.
		work map[string]func(context.Context) error
		ctx  time.Duration
		want []string // left
		ran  string   // in this order
		took time.Duration
	}{
		"everything runs at once, in order": {ctx: time.Hour, ran: "a b c d"},
		"a failure is left, and not repeated": {
			work: map[string]func(context.Context) error{"b": func(context.Context) error { return errors.New("no") }},
			ctx:  time.Hour, ran: "a b c d", want: []string{"b"},
		},
		"as far as the context allows": {
			work: map[string]func(context.Context) error{
				"a": func(context.Context) error { time.Sleep(time.Second); return nil },
				"b": func(ctx context.Context) error {
					<-ctx.Done()
					if !errors.Is(ctx.Err(), context.Canceled) {
						panic("Drain did not cancel what still ran")
					}
					return ctx.Err()
				},
			},
			ctx: 9 * time.Second, ran: "a b", want: []string{"b", "c", "d"}, took: 9 * time.Second,
		},
		"what ignores its context is not waited for": {
			work: map[string]func(context.Context) error{"a": func(context.Context) error { time.Sleep(time.Hour); return errors.New("late") }},
			ctx:  time.Second, ran: "a", want: []string{"a", "b", "c", "d"}, took: time.Second,
		},
		"no time at all": {ctx: 0, want: []string{"a", "b", "c", "d"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ran []string
				l := newLocal(t, followup.LocalOptions{Concurrency: 1, Run: func(ctx context.Context, in followup.Task) error {
					ran = append(ran, in.Group)
					defer func() {
						if p := recover(); p != nil {
							t.Errorf("%s: %v", in.Group, p)
						}
					}()
					if work := tc.work[in.Group]; work != nil {
						return work(ctx)
					}
					return nil
				}})
				began := time.Now()
				for i, g := range []string{"d", "b", "a", "c"} {
					enqueue(t, l, task(g, began.Add(time.Duration(g[0])*time.Hour+time.Duration(i))))
				}
				ctx, cancel := context.WithTimeout(t.Context(), tc.ctx)
				defer cancel()
				left := groups(l.Drain(ctx))
				if diff := cmp.Diff(tc.want, left); diff != "" {
					t.Errorf("left -want +got:\n%s", diff)
				}
				if got := time.Since(began); got != tc.took {
					t.Errorf("took %s, want %s", got, tc.took)
				}
				if err := l.Enqueue(t.Context(), task("e", began)); !errors.Is(err, followup.ErrClosed) {
					t.Errorf("Enqueue afterwards: error = %v, want ErrClosed", err)
				}
				if again := l.Drain(t.Context()); len(again) != 0 || l.Pending() != 0 {
					t.Errorf("a second Drain returned %v, Pending() = %d", groups(again), l.Pending())
				}
				time.Sleep(200 * time.Hour)
				synctest.Wait()
				if late := l.Drain(t.Context()); len(late) != 0 {
					t.Errorf("a third Drain returned %v, which the first gave back already", groups(late))
				}
				if got := strings.Join(ran, " "); got != tc.ran {
					t.Errorf("ran %q, want %q", got, tc.ran)
				}
			})
		})
	}
}

// TestDrainWhileRetrying: a task that waits for its repetition runs at once.
func TestDrainWhileRetrying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs int
		l := newLocal(t, followup.LocalOptions{MinBackoff: time.Hour, Run: func(context.Context, followup.Task) error {
			if runs++; runs == 1 {
				return errors.New("not yet")
			}
			return nil
		}})
		enqueue(t, l, task("a", time.Now()))
		synctest.Wait()
		if left := l.Drain(t.Context()); len(left) != 0 || runs != 2 {
			t.Errorf("left %v after %d runs, want none after 2", groups(left), runs)
		}
	})
}

// TestDrainKeepsSuccessorsOut: a run that enqueues the next while draining is
// refused, fails, and is given back.
func TestDrainKeepsSuccessorsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *followup.Local
		l = newLocal(t, followup.LocalOptions{Run: func(ctx context.Context, in followup.Task) error {
			in.Attempt++
			return l.Enqueue(ctx, in)
		}})
		enqueue(t, l, task("a", time.Now().Add(time.Hour)))
		if diff := cmp.Diff([]string{"a"}, groups(l.Drain(t.Context()))); diff != "" {
			t.Errorf("left -want +got:\n%s", diff)
		}
	})
}

// TestLocalRace has everything happen at once, in real time; the race detector
// judges. Every task is accounted for: run, refused, or left.
func TestLocalRace(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	l := newLocal(t, followup.LocalOptions{MaxPending: 50, MinBackoff: time.Millisecond, Run: func(_ context.Context, in followup.Task) error {
		mu.Lock()
		defer mu.Unlock()
		seen[in.Group]++
		if len(in.Group)%2 == 0 && seen[in.Group] == 1 {
			return errors.New("once more")
		}
		return nil
	}})
	var wg sync.WaitGroup
	var taken sync.Map
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				g := fmt.Sprint(w*1000 + i)
				err := l.Enqueue(t.Context(), task(g, time.Now().Add(time.Duration(i%7)*time.Millisecond)))
				switch {
				case err == nil:
					taken.Store(g, true)
				case !errors.Is(err, followup.ErrFull) && !errors.Is(err, followup.ErrClosed):
					t.Errorf("Enqueue: %v", err)
				}
				l.Pending()
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	var left []followup.Task
	for range 2 {
		wg.Go(func() {
			out := l.Drain(t.Context())
			mu.Lock()
			defer mu.Unlock()
			left = append(left, out...)
		})
	}
	wg.Wait()
	back := map[string]bool{}
	for _, in := range left {
		back[in.Group] = true
	}
	taken.Range(func(g, _ any) bool {
		if seen[g.(string)] == 0 && !back[g.(string)] {
			t.Errorf("task %s was taken and is lost", g)
		}
		return true
	})
}

// TestDrainTwiceAtOnce: the call with less time ends both, and a task that is
// given back is not dropped as well.
func TestDrainTwiceAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dropped int
		l := newLocal(t, followup.LocalOptions{
			MaxRuns: 1, RunTimeout: time.Hour,
			Run:     func(ctx context.Context, _ followup.Task) error { <-ctx.Done(); return ctx.Err() },
			Dropped: func(followup.Task, error) { dropped++ },
		})
		enqueue(t, l, task("a", time.Now()))
		began := time.Now()
		var patient []followup.Task
		var wg sync.WaitGroup
		wg.Go(func() { patient = l.Drain(t.Context()) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		left := l.Drain(ctx)
		wg.Wait()
		synctest.Wait()
		if diff := cmp.Diff([]string{"a"}, groups(append(left, patient...))); diff != "" {
			t.Errorf("left by both -want +got:\n%s", diff)
		}
		if took := time.Since(began); took != time.Second || dropped != 0 {
			t.Errorf("took %s, %d dropped; want 1s and none", took, dropped)
		}
	})
}
