package scc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFlights(t *testing.T) {
	t.Parallel()
	// want is the end of each caller: nil for an answer.
	type caller struct {
		enters, leaves time.Duration // leaves 0: never by itself
		want           error
	}
	const takes = 10 * time.Second
	tests := map[string]struct {
		callers  []caller
		wantRuns int
		// wantCancelled is how many runs were cancelled.
		wantCancelled int
	}{
		"one alone":                        {callers: []caller{{}}, wantRuns: 1},
		"the second joins":                 {callers: []caller{{}, {enters: 9 * time.Second}}, wantRuns: 1},
		"the second is too late to join":   {callers: []caller{{}, {enters: 11 * time.Second}}, wantRuns: 2},
		"the first leaves, the rest stay":  {callers: []caller{{leaves: 2 * time.Second, want: context.DeadlineExceeded}, {enters: time.Second}}, wantRuns: 1},
		"the second leaves":                {callers: []caller{{}, {enters: time.Second, leaves: time.Second, want: context.DeadlineExceeded}}, wantRuns: 1},
		"the last one's end ends it":       {callers: []caller{{leaves: 2 * time.Second, want: context.DeadlineExceeded}, {enters: time.Second, leaves: 2 * time.Second, want: context.DeadlineExceeded}}, wantRuns: 1, wantCancelled: 1},
		"who comes after a cancelled one":  {callers: []caller{{leaves: 2 * time.Second, want: context.DeadlineExceeded}, {enters: 3 * time.Second}}, wantRuns: 2, wantCancelled: 1},
		"an answer at the deadline counts": {callers: []caller{{leaves: 10*time.Second + 1}}, wantRuns: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g flights
				var mu sync.Mutex
				runs, cancelled := 0, 0
				list := func(ctx context.Context) listing {
					mu.Lock()
					runs++
					mu.Unlock()
					select {
					case <-time.After(takes):
						return listing{pages: 7}
					case <-ctx.Done():
						// Take a while to notice, as the network does.
						time.Sleep(5 * time.Second)
						mu.Lock()
						cancelled++
						mu.Unlock()
						return listing{err: ctx.Err()}
					}
				}
				for i, c := range tc.callers {
					go func() {
						time.Sleep(c.enters)
						ctx := t.Context()
						if c.leaves > 0 {
							var cancel context.CancelFunc
							ctx, cancel = context.WithTimeout(ctx, c.leaves)
							defer cancel()
						}
						got, err := g.join(ctx, "key", list)
						if !errors.Is(err, c.want) {
							t.Errorf("caller %d: error %v, want %v", i, err, c.want)
						}
						if err == nil && (got.pages != 7 || got.err != nil) {
							t.Errorf("caller %d: answer %+v", i, got)
						}
					}()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if runs != tc.wantRuns || cancelled != tc.wantCancelled {
					t.Errorf("%d runs, %d cancelled, want %d and %d", runs, cancelled, tc.wantRuns, tc.wantCancelled)
				}
				if len(g.now) != 0 {
					t.Errorf("%d flights were never forgotten", len(g.now))
				}
			})
		})
	}
}

func TestFlightsOfOtherKeysDoNotMix(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g flights
		var wg sync.WaitGroup
		for pages, key := range []string{"a", "b"} {
			wg.Go(func() {
				got, err := g.join(t.Context(), key, func(context.Context) listing {
					time.Sleep(time.Second)
					return listing{pages: pages}
				})
				if err != nil || got.pages != pages {
					t.Errorf("key %q: answer %+v, %v", key, got, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestFlightPanics(t *testing.T) {
	t.Parallel()
	var g flights
	got, err := g.join(t.Context(), "key", func(context.Context) listing { panic("boom") })
	if err != nil || got.err == nil {
		t.Errorf("join() = %+v, %v, want the panic as the listing's error", got, err)
	}
}

// Windows of findings close in time are asked for as one, never narrower than
// asked, and at most a quarter (or two minutes) wider.
func TestAlign(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 4, 7, 11, 59, 59, 999999999, time.FixedZone("east", 5*60*60+30*60))
	for _, span := range []time.Duration{0, time.Nanosecond, time.Minute, 7 * time.Minute, time.Hour, 48 * time.Hour, 400 * 24 * time.Hour} {
		for _, shift := range []time.Duration{0, 1, time.Second, time.Minute, 59 * time.Minute, 13 * time.Hour} {
			from := start.Add(shift)
			to := from.Add(span)
			gotFrom, gotTo := align(from, to)
			if gotFrom.After(from) || gotTo.Before(to) {
				t.Errorf("align(%v, %v) = %v, %v, which is narrower", from, to, gotFrom, gotTo)
			}
			if more := gotTo.Sub(gotFrom) - span; more > max(span/4, 2*time.Minute) {
				t.Errorf("align(%v, %v) = %v, %v, which is %v wider", from, to, gotFrom, gotTo, more)
			}
			if gotFrom.Nanosecond() != 0 || gotTo.Nanosecond() != 0 || gotFrom.Location() != time.UTC {
				t.Errorf("align(%v, %v) = %v, %v, want whole seconds in UTC", from, to, gotFrom, gotTo)
			}
		}
	}
}
