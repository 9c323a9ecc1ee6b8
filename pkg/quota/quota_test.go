package quota_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
)

// clock is a clock that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) add(d time.Duration) { c.set(c.now().Add(d)) }

var noon = time.Date(2026, 4, 7, 12, 0, 0, 0, time.UTC)

func TestTake(t *testing.T) {
	t.Parallel()
	const perMinute, perDay = 2, 3
	tests := map[string]struct {
		at   []time.Duration // since start
		from time.Time
		want []any // nil for a granted request, else the refusal
	}{
		"minute is spent and opens when the first request leaves the window": {
			from: noon,
			at:   []time.Duration{0, 10 * time.Second, 11 * time.Second, 60 * time.Second, 61 * time.Second},
			want: []any{
				nil, nil,
				&evidence.QuotaError{Upstream: "vt", Scope: "minute", Until: noon.Add(61 * time.Second)},
				&evidence.QuotaError{Upstream: "vt", Scope: "minute", Until: noon.Add(61 * time.Second)},
				nil,
			},
		},
		"day is spent until midnight UTC": {
			from: time.Date(2026, 4, 7, 23, 50, 0, 0, time.UTC),
			at:   []time.Duration{0, 2 * time.Minute, 4 * time.Minute, 6 * time.Minute, 10 * time.Minute},
			want: []any{
				nil, nil, nil,
				&evidence.QuotaError{Upstream: "vt", Scope: "day", Until: time.Date(2026, 4, 8, 0, 0, 0, 0, time.UTC)},
				nil,
			},
		},
		"the day is UTC's wherever the clock is": {
			from: time.Date(2026, 4, 7, 20, 0, 0, 0, time.FixedZone("west", -5*60*60)), // 01:00 UTC of the 8th
			at:   []time.Duration{0, 2 * time.Minute, 4 * time.Minute, 6 * time.Hour, 23 * time.Hour},
			want: []any{
				nil, nil, nil,
				&evidence.QuotaError{Upstream: "vt", Scope: "day", Until: time.Date(2026, 4, 9, 0, 0, 0, 0, time.UTC)},
				nil,
			},
		},
		"midnight does not open the minute": {
			from: time.Date(2026, 4, 7, 23, 59, 50, 0, time.UTC),
			at:   []time.Duration{0, 1 * time.Second, 20 * time.Second},
			want: []any{
				nil, nil,
				&evidence.QuotaError{Upstream: "vt", Scope: "minute", Until: time.Date(2026, 4, 8, 0, 0, 51, 0, time.UTC)},
			},
		},
		"a clock that steps back over midnight grants no second day": {
			from: time.Date(2026, 4, 7, 0, 0, 0, 0, time.UTC),
			at:   []time.Duration{0, 2 * time.Minute, 4 * time.Minute, -time.Minute, 6 * time.Minute},
			want: []any{
				nil, nil, nil,
				&evidence.QuotaError{Upstream: "vt", Scope: "day", Until: time.Date(2026, 4, 8, 0, 0, 0, 0, time.UTC)},
				&evidence.QuotaError{Upstream: "vt", Scope: "day", Until: time.Date(2026, 4, 8, 0, 0, 0, 0, time.UTC)},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{}
			b := quota.New("vt", perMinute, perDay, c.now)
			var got []any
			for _, d := range tc.at {
				c.set(tc.from.Add(d))
				if err := b.Take(); err != nil {
					if !errors.Is(err, evidence.ErrQuota) {
						t.Errorf("Take() = %v, which is no evidence.ErrQuota", err)
					}
					got = append(got, err)
				} else {
					got = append(got, nil)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Take() at each time, -want +got:\n%s", diff)
			}
		})
	}
}

func TestRefusedTakeSpendsNothing(t *testing.T) {
	t.Parallel()
	c := &clock{t: noon}
	b := quota.New("vt", 1, 2, c.now)
	for range 10 {
		_ = b.Take() // one is granted, nine are refused
	}
	c.add(quota.Window)
	if err := b.Take(); err != nil {
		t.Errorf("Take() after the window = %v; the refused ones were counted", err)
	}
}

func TestLeft(t *testing.T) {
	t.Parallel()
	type left struct{ Minute, Day int }
	tests := map[string]struct {
		perMinute, perDay int
		do                func(*quota.Budget, *clock)
		want              left
	}{
		"nothing spent":    {perMinute: 4, perDay: 500, want: left{4, 500}},
		"no limits":        {want: left{-1, -1}, do: func(b *quota.Budget, _ *clock) { _ = b.Take() }},
		"negative is none": {perMinute: -1, perDay: -5, want: left{-1, -1}},
		"spent": {perMinute: 4, perDay: 3, want: left{2, 1}, do: func(b *quota.Budget, _ *clock) {
			_, _ = b.Take(), b.Take()
		}},
		"minute came back, the day did not": {perMinute: 4, perDay: 3, want: left{4, 1}, do: func(b *quota.Budget, c *clock) {
			_, _ = b.Take(), b.Take()
			c.add(quota.Window)
		}},
		"both came back": {perMinute: 4, perDay: 3, want: left{4, 3}, do: func(b *quota.Budget, c *clock) {
			_, _ = b.Take(), b.Take()
			c.add(24 * time.Hour)
		}},
		"shut by the upstream": {want: left{0, -1}, do: func(b *quota.Budget, c *clock) {
			b.Exhaust(quota.Minute, c.now().Add(time.Second))
		}},
		"shut for the day by the upstream": {perMinute: 4, perDay: 3, want: left{4, 0}, do: func(b *quota.Budget, c *clock) {
			b.Exhaust(quota.Day, c.now().Add(time.Hour))
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: noon}
			b := quota.New("vt", tc.perMinute, tc.perDay, c.now)
			if tc.do != nil {
				tc.do(b, c)
			}
			var got left
			got.Minute, got.Day = b.Left()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Left() -want +got:\n%s", diff)
			}
		})
	}
}

func TestExhaust(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		scope     string
		until     []time.Duration
		wantScope string
		want      time.Duration
	}{
		"minute":                  {scope: "minute", until: []time.Duration{time.Minute}, wantScope: "minute", want: time.Minute},
		"day":                     {scope: "day", until: []time.Duration{12 * time.Hour}, wantScope: "day", want: 12 * time.Hour},
		"unknown scope is minute": {scope: "", until: []time.Duration{time.Minute}, wantScope: "minute", want: time.Minute},
		"the later end holds":     {scope: "minute", until: []time.Duration{time.Minute, time.Second}, wantScope: "minute", want: time.Minute},
		"a later call prolongs":   {scope: "day", until: []time.Duration{time.Second, time.Hour}, wantScope: "day", want: time.Hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: noon}
			b := quota.New("vt", 0, 0, c.now)
			for _, d := range tc.until {
				b.Exhaust(tc.scope, noon.Add(d))
			}
			want := &evidence.QuotaError{Upstream: "vt", Scope: tc.wantScope, Until: noon.Add(tc.want)}
			c.set(noon.Add(tc.want - time.Nanosecond))
			got := b.Take()
			if diff := cmp.Diff(error(want), got); diff != "" {
				t.Errorf("Take() just before the end, -want +got:\n%s", diff)
			}
			c.set(noon.Add(tc.want))
			if err := b.Take(); err != nil {
				t.Errorf("Take() at the end = %v, want it open", err)
			}
		})
	}
}

func TestExhaustInThePastIsNothing(t *testing.T) {
	t.Parallel()
	c := &clock{t: noon}
	b := quota.New("vt", 1, 1, c.now)
	b.Exhaust(quota.Day, noon.Add(-time.Second))
	if err := b.Take(); err != nil {
		t.Errorf("Take() = %v, want granted", err)
	}
}

func TestNilBudgetAllowsEverything(t *testing.T) {
	t.Parallel()
	var b *quota.Budget
	b.Exhaust(quota.Day, time.Now().Add(time.Hour))
	if err := b.Take(); err != nil {
		t.Errorf("Take() = %v, want granted", err)
	}
	if minute, day := b.Left(); minute != -1 || day != -1 {
		t.Errorf("Left() = %d, %d, want -1, -1", minute, day)
	}
}

// Over random schedules no 60 seconds hold more than the budget, not even
// where each request arrives up to a second late; no day holds more than its
// own; and a request is refused only where it had to be.
func TestPropertyWindows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		perMinute, perDay := 1+rnd.IntN(20), 0
		if rnd.IntN(2) == 0 {
			perDay = 1 + rnd.IntN(200)
		}
		c := &clock{t: noon.Add(time.Duration(rnd.Int64N(int64(24 * time.Hour))))}
		b := quota.New("x", perMinute, perDay, c.now)
		var granted []time.Time
		pace := time.Duration(1 + rnd.Int64N(int64(20*time.Second)))
		for range 500 {
			c.add(time.Duration(rnd.Int64N(int64(pace))))
			if rnd.IntN(100) == 0 {
				c.add(time.Duration(rnd.Int64N(int64(8 * time.Hour))))
			}
			now := c.now()
			inMinute, inDay := 0, 0
			for _, g := range granted {
				if now.Sub(g) < quota.Window {
					inMinute++
				}
				if g.Truncate(24 * time.Hour).Equal(now.Truncate(24 * time.Hour)) {
					inDay++
				}
			}
			mayTake := inMinute < perMinute && (perDay == 0 || inDay < perDay)
			if err := b.Take(); (err == nil) != mayTake {
				t.Fatalf("seed %d: Take() with %d of %d in the minute and %d of %d in the day = %v", seed, inMinute, perMinute, inDay, perDay, err)
			} else if err == nil {
				granted = append(granted, now)
			}
		}
		// The upstream counts arrivals.
		for i := range granted {
			granted[i] = granted[i].Add(time.Duration(rnd.Int64N(int64(time.Second))))
		}
		for _, from := range granted {
			n := 0
			for _, g := range granted {
				if d := g.Sub(from); d >= 0 && d <= time.Minute {
					n++
				}
			}
			if n > perMinute {
				t.Fatalf("seed %d: %d requests arrive in the 60 s from %v, budget %d", seed, n, from, perMinute)
			}
		}
	}
}

func TestConcurrentTakesShareOneBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perMinute = 60
		b := quota.New("logging", perMinute, 0, nil)
		var granted atomic.Int64
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				for { // as a patient caller would
					err := b.Take()
					if err == nil {
						granted.Add(1)
						return
					}
					qe, ok := errors.AsType[*evidence.QuotaError](err)
					if !ok || !qe.Until.After(time.Now()) {
						t.Errorf("Take() = %v, want a QuotaError with a time to come", err)
						return
					}
					_, _ = b.Left()
					time.Sleep(time.Until(qe.Until))
				}
			})
		}
		start := time.Now()
		for minute := range int64(5) {
			synctest.Wait()
			if got, want := granted.Load(), (minute+1)*perMinute; got != want {
				t.Errorf("after %v: %d granted, want %d", time.Since(start), got, want)
			}
			time.Sleep(quota.Window)
		}
		wg.Wait()
	})
}

// TestReady: it says what Take would say, and spends nothing.
func TestReady(t *testing.T) {
	t.Parallel()
	c := &clock{t: noon}
	b := quota.New("scc_writes", 1, 0, c.now)
	for range 3 {
		if err := b.Ready(); err != nil {
			t.Fatalf("ready: %v", err)
		}
	}
	if err := b.Take(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.Take(), b.Ready()); diff != "" || b.Ready() == nil {
		t.Errorf("ready (-take +ready):\n%s", diff)
	}
	c.add(quota.Window)
	if err := b.Ready(); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	var none *quota.Budget
	if none.Ready() != nil {
		t.Error("no budget is not ready")
	}
}
