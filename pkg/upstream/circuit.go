package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrDown is the error of a call that was not made because its source is down.
// It stands for evidence.Error: nothing was asked.
var ErrDown = errors.New("source is down")

// DownError is an ErrDown that says since how many attempts, and when the next
// one is made.
type DownError struct {
	// Source is the circuit's name.
	Source string
	// Failures counts the attempts in a row that got no answer, and Last says
	// what became of the latest, in a word: "Unavailable".
	Failures int
	Last     string
	// Until is from when on one call may ask again.
	Until time.Time
}

// Error says that the source was not asked, and why.
func (e *DownError) Error() string {
	return fmt.Sprintf("%s: not asked, the source is down: %d attempts in a row ended in %s; asked again from %s",
		e.Source, e.Failures, e.Last, e.Until.UTC().Format("15:04:05"))
}

// Is makes errors.Is(err, ErrDown) true.
func (e *DownError) Is(target error) bool { return target == ErrDown }

// Sign is what an attempt says of its source.
type Sign string

// The closed set of signs.
const (
	// Alive: the source answered, whatever it said: a refusal is an answer.
	Alive Sign = "alive"
	// Unavailable and DeadlineExceeded: the source gave no answer that counts.
	Unavailable      Sign = "Unavailable"
	DeadlineExceeded Sign = "DeadlineExceeded"
	// Nothing: the attempt ended before it could tell, because its caller went
	// away or its budget was spent.
	Nothing Sign = "nothing"
)

// CircuitOptions configure NewCircuit.
type CircuitOptions struct {
	// Source names what is called, for errors.
	Source string
	// Failures is how many attempts in a row must get no answer for the circuit
	// to open, the last of them begun after the first had failed; 10 if zero.
	// Of a source that fails one call of four, ten in a row fail once in a
	// million.
	Failures int
	// MinPause is how long the circuit stays open at first, 1 s if zero. It
	// doubles with each probe that fails, up to MaxPause, 1 min if zero. Each
	// pause is shortened at random by up to a third.
	MinPause, MaxPause time.Duration
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Circuit spares a source that is down, and everybody who would wait for it.
// It is closed while the source answers. After a number of attempts in a row
// without an answer (Unavailable or DeadlineExceeded, nothing else) it opens:
// calls fail at once with a DownError and spend no budget. After a pause one
// attempt is let through; its answer closes the circuit, its failure opens it
// for a longer pause. While it lasts, but no longer than MaxPause, it is alone. It is safe for concurrent use; a nil Circuit is always
// closed.
type Circuit struct {
	o CircuitOptions

	mu       sync.Mutex
	failures int
	// streaks counts the rows of failures that began.
	streaks uint64
	last    Sign
	open    bool
	probing bool
	pause   time.Duration
	until   time.Time
	// lease is how long a probe holds others back, whether it ends or not.
	lease time.Time
}

// NewCircuit returns a closed circuit.
func NewCircuit(o CircuitOptions) *Circuit {
	if o.Failures <= 0 {
		o.Failures = 10
	}
	if o.MinPause <= 0 {
		o.MinPause = time.Second
	}
	if o.MaxPause <= 0 {
		o.MaxPause = time.Minute
	}
	o.MaxPause = max(o.MaxPause, o.MinPause)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Circuit{o: o}
}

// Begin asks to make one attempt. The error is a *DownError; without one, end
// must be called exactly once with what the attempt said.
func (c *Circuit) Begin() (end func(Sign), err error) {
	if c == nil {
		return func(Sign) {}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	probe, streak := false, c.streaks
	if c.open {
		if err := c.down(); err != nil {
			return nil, err
		}
		c.probing, probe = true, true
		c.lease = c.o.Now().Add(c.o.MaxPause)
	}
	return func(s Sign) { c.end(s, probe, streak) }, nil
}

// Ready returns the *DownError that Begin would return now, and changes nothing.
func (c *Circuit) Ready() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return nil
	}
	return c.down()
}

// Open reports whether the circuit is open, a probe under way included.
func (c *Circuit) Open() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// down is why an open circuit lets no attempt through now, or nil. The caller
// holds the lock.
func (c *Circuit) down() error {
	wait := c.until
	if c.probing {
		wait = c.lease
	}
	if !c.o.Now().Before(wait) {
		return nil
	}
	return &DownError{Source: c.o.Source, Failures: c.failures, Last: string(c.last), Until: c.until}
}

// end learns from an attempt that began during a streak.
func (c *Circuit) end(s Sign, probe bool, streak uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if probe {
		c.probing = false
	}
	switch s {
	case Alive:
		c.failures, c.open, c.pause = 0, false, 0
	case Unavailable, DeadlineExceeded:
		if c.failures == 0 {
			c.streaks++
		}
		c.failures++
		c.last = s
		// One connection that breaks fails all the calls on it: somebody must
		// have tried since the first failure. And attempts that began before
		// the circuit opened do not prolong it.
		if probe || !c.open && c.failures >= c.o.Failures && streak == c.streaks {
			c.shut()
		}
	}
}

// shut opens the circuit for the next pause. The caller holds the lock.
func (c *Circuit) shut() {
	c.open = true
	c.pause = min(max(2*c.pause, c.o.MinPause), c.o.MaxPause)
	c.until = c.o.Now().Add(c.pause - rand.N(c.pause/3+1)) //nolint:gosec // jitter need not be unpredictable
}

// Do makes one attempt of a gRPC call, unless the circuit is open, and learns
// from its error. An error without a gRPC status never came from the wire and
// says nothing of the source.
func (c *Circuit) Do(ctx context.Context, attempt func() error) (err error) {
	end, err := c.Begin()
	if err != nil {
		return err
	}
	sign, began := Nothing, time.Now()
	defer func() { end(sign) }()
	err = attempt()
	sign = signOf(ctx, err, time.Since(began))
	return err
}

// hasty is how long a source must have had to answer before a deadline that
// passed says anything of it: the last attempt of a call may begin just before
// the call's deadline.
const hasty = 100 * time.Millisecond

// signOf says what the error of an attempt that took so long says of its
// source. A call whose callers all ran out of time is cancelled with that as
// its cause.
func signOf(ctx context.Context, err error, took time.Duration) Sign {
	if err == nil {
		return Alive
	}
	if _, wire := status.FromError(err); !wire {
		return Nothing
	}
	code := Code(err)
	late := code == codes.DeadlineExceeded || code == codes.Canceled && errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	switch {
	case code == codes.Unavailable:
		return Unavailable
	case late && took >= hasty:
		return DeadlineExceeded
	case late, code == codes.Canceled:
		return Nothing
	default:
		return Alive
	}
}

// Guard puts every attempt on the wire, repeated ones included, under the
// circuit that pick names for its method. Give it before Spend: a call that is
// not made then spends nothing.
func Guard(pick func(method string) *Circuit) option.ClientOption {
	guard := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return pick(method).Do(ctx, func() error { return invoke(ctx, method, req, reply, cc, opts...) })
	}
	return option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(guard))
}
