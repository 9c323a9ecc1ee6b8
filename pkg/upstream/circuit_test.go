package upstream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// attempt makes one attempt that ends in the code, and reports whether it was made.
func attempt(t *testing.T, c *upstream.Circuit, code codes.Code) bool {
	t.Helper()
	made := false
	err := c.Do(t.Context(), func() error {
		made = true
		return status.Error(code, "scripted")
	})
	if !made && !errors.Is(err, upstream.ErrDown) {
		t.Errorf("no attempt was made, and the error is %v", err)
	}
	return made
}

func TestCircuitOpensOnSilenceAlone(t *testing.T) {
	t.Parallel()
	u, d, ok := codes.Unavailable, codes.DeadlineExceeded, codes.OK
	tests := map[string]struct {
		codes []codes.Code
		open  bool
	}{
		"three unavailable":                {[]codes.Code{u, u, u}, true},
		"two are not enough":               {[]codes.Code{u, u}, false},
		"an answer between":                {[]codes.Code{u, u, ok, u, u}, false},
		"a refusal between is an answer":   {[]codes.Code{u, u, codes.PermissionDenied, u, u}, false},
		"permission":                       {[]codes.Code{codes.PermissionDenied, codes.PermissionDenied, codes.PermissionDenied}, false},
		"arguments":                        {[]codes.Code{codes.InvalidArgument, codes.InvalidArgument, codes.InvalidArgument}, false},
		"quota":                            {[]codes.Code{codes.ResourceExhausted, codes.ResourceExhausted, codes.ResourceExhausted}, false},
		"not found":                        {[]codes.Code{codes.NotFound, codes.NotFound, codes.NotFound}, false},
		"callers who went away":            {[]codes.Code{codes.Canceled, codes.Canceled, codes.Canceled}, false},
		"who went away counts for nothing": {[]codes.Code{u, u, codes.Canceled, u}, true},
		"a deadline that passed at once says nothing": {[]codes.Code{d, d, d}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := upstream.NewCircuit(upstream.CircuitOptions{Source: "logs", Failures: 3})
			for _, code := range tc.codes {
				if !attempt(t, c, code) {
					t.Fatalf("no attempt was made for %v", code)
				}
			}
			if c.Open() != tc.open {
				t.Errorf("open is %v, want %v", c.Open(), tc.open)
			}
		})
	}
}

// TestCircuitProbes: one probe after each pause, which doubles up to its bound
// and is never shorter than two thirds of it; an answer closes the circuit.
func TestCircuitProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := upstream.NewCircuit(upstream.CircuitOptions{Source: "logs", Failures: 2, MinPause: 3 * time.Second, MaxPause: 12 * time.Second})
		attempt(t, c, codes.Unavailable)
		attempt(t, c, codes.Unavailable)
		for _, pause := range []time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second, 12 * time.Second} {
			time.Sleep(pause*2/3 - time.Millisecond)
			if attempt(t, c, codes.Unavailable) || c.Ready() == nil {
				t.Errorf("an attempt before two thirds of %s", pause)
			}
			time.Sleep(pause/3 + 2*time.Millisecond)
			if err := c.Ready(); err != nil {
				t.Errorf("not ready after %s: %v", pause, err)
			}
			if !attempt(t, c, codes.Unavailable) {
				t.Errorf("no probe after %s", pause)
			}
		}
		time.Sleep(12 * time.Second)
		end, err := c.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if attempt(t, c, codes.OK) {
			t.Error("a second probe beside the first")
		}
		end(upstream.Nothing)
		if !attempt(t, c, codes.OK) || c.Open() {
			t.Error("a probe that said nothing leaves no room for the next, or its answer does not close the circuit")
		}
		attempt(t, c, codes.Unavailable)
		if c.Open() {
			t.Error("closed again, the count does not begin anew")
		}
		attempt(t, c, codes.Unavailable)
		time.Sleep(3 * time.Second)
		if !attempt(t, c, codes.OK) {
			t.Error("closed again, the pause does not begin anew")
		}
	})
}

// TestCircuitBrokenConnection: calls that fail together, with the connection
// they share, say no more than one call.
func TestCircuitBrokenConnection(t *testing.T) {
	t.Parallel()
	c := upstream.NewCircuit(upstream.CircuitOptions{Source: "logs", Failures: 3})
	var ends []func(upstream.Sign)
	for range 10 {
		end, err := c.Begin()
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	for _, end := range ends {
		end(upstream.Unavailable)
	}
	if c.Open() {
		t.Error("open after one connection broke")
	}
	if !attempt(t, c, codes.Unavailable) || !c.Open() {
		t.Error("not open after the next attempt failed, too")
	}
}

// TestCircuitSlowSource: a source that never answers in time is down, be the
// deadline the call's own or that of all who wait for it.
func TestCircuitSlowSource(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		begin func(context.Context) (context.Context, context.CancelFunc)
		code  codes.Code
	}{
		"the call's own deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, codes.DeadlineExceeded},
		"the last who waited ran out of time": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(context.DeadlineExceeded) })
			return ctx, func() { cancel(nil) }
		}, codes.Canceled},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := upstream.NewCircuit(upstream.CircuitOptions{Source: "logs", Failures: 2})
				for range 2 {
					ctx, cancel := tc.begin(t.Context())
					_ = c.Do(ctx, func() error {
						<-ctx.Done()
						return status.Error(tc.code, "scripted")
					})
					cancel()
				}
				err := c.Do(t.Context(), func() error { return nil })
				if !errors.Is(err, upstream.ErrDown) || !strings.Contains(err.Error(), "logs: not asked, the source is down: 2 attempts in a row ended in DeadlineExceeded") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestCircuitErrorIsNoAnswer(t *testing.T) {
	t.Parallel()
	err := upstream.Classify("list findings", &upstream.DownError{Source: "findings", Failures: 10, Last: "Unavailable", Until: time.Unix(0, 0)})
	if got := evidence.StateOf(err, true); got != evidence.Error {
		t.Errorf("state %s, want error", got)
	}
	want := "list findings: findings: not asked, the source is down: 10 attempts in a row ended in Unavailable; asked again from 00:00:00"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestNilCircuit(t *testing.T) {
	t.Parallel()
	var c *upstream.Circuit
	for range 100 {
		if !attempt(t, c, codes.Unavailable) {
			t.Fatal("a nil circuit is open")
		}
	}
	if c.Open() || c.Ready() != nil {
		t.Error("a nil circuit is open")
	}
}

// TestGuard: the real client's retries end where the circuit opens, and from
// then on nothing is sent and nothing spent.
func TestGuard(t *testing.T) {
	t.Parallel()
	s := &server{errs: fails(codes.Unavailable, codes.Unavailable, codes.Unavailable, codes.Unavailable)}
	c := upstream.NewCircuit(upstream.CircuitOptions{Source: "findings", Failures: 3, MinPause: time.Hour, MaxPause: time.Hour})
	spent := 0
	var quotaErr error
	client := dialWith(t, s, []option.ClientOption{
		upstream.Guard(func(string) *upstream.Circuit { return c }),
		upstream.Spend(func(string) error {
			spent++
			return quotaErr
		}),
	})
	get := func() error {
		_, err := client.GetSource(t.Context(), &securitycenterpb.GetSourceRequest{Name: "organizations/1/sources/2"}, upstream.Retry())
		return err
	}
	quotaErr = evidence.ErrQuota
	for range 5 {
		if err := get(); !errors.Is(err, evidence.ErrQuota) || c.Open() {
			t.Fatalf("a budget that is spent: error %v, open %v", err, c.Open())
		}
	}
	quotaErr, spent = nil, 0
	for range 3 {
		if err := get(); !errors.Is(err, upstream.ErrDown) {
			t.Errorf("error %v, want that the source is down", err)
		}
	}
	if s.calls != 3 || spent != 3 {
		t.Errorf("%d calls on the wire and %d spent, want 3 each", s.calls, spent)
	}
}

// TestCircuitProbeThatNeverEnds: a probe of which nothing is heard keeps others
// from asking for the longest pause, and not for good.
func TestCircuitProbeThatNeverEnds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := upstream.NewCircuit(upstream.CircuitOptions{Failures: 1, Now: func() time.Time { return now }})
	begin := func() (func(upstream.Sign), bool) {
		end, err := c.Begin()
		return end, err == nil
	}
	end, _ := begin()
	end(upstream.Unavailable)
	for end, ok := begin(); ok; end, ok = begin() { // the streak must go on once more
		end(upstream.Unavailable)
	}
	now = now.Add(time.Second)
	if _, ok := begin(); !ok {
		t.Fatal("no probe after the pause")
	}
	now = now.Add(time.Minute - 1)
	if _, ok := begin(); ok {
		t.Fatal("a second probe beside the first")
	}
	now = now.Add(1)
	end, ok := begin()
	if !ok {
		t.Fatal("the probe that never ended keeps the circuit open for good")
	}
	end(upstream.Alive)
	if c.Open() {
		t.Error("the answer of the next probe does not close the circuit")
	}
}
