package followup

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// Run does the work of one task. It must honour ctx, which has a deadline, and
// be safe to repeat. An error has the task run again later: for work that can
// never succeed, or is no longer needed, Run returns nil.
type Run func(ctx context.Context, t Task) error

// do is one run of t within timeout. A panic is an error too, a *panicError:
// a task must not end the process.
func (run Run) do(ctx context.Context, timeout time.Duration, t Task) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return run(ctx, t)
}

// panicError is a run that panicked.
type panicError struct {
	value any
	stack []byte
}

// Error gives the panic's value and the stack.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// orDefault is v, or the default where v says nothing.
func orDefault[T ~int | ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
