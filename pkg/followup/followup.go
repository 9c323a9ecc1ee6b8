// Package followup is "do this again later": a Task is put into a Queue and
// runs at its time. Local is a queue inside the process, CloudTasks one
// outside of it, for which Handler is the receiving end. All of them promise
// the same and pass one conformance test.
//
// A task runs at or after its time, in no promised order. It runs again, after
// a growing pause, as long as it fails, up to a bounded number of times. Equal
// tasks, those with the same ID, are one. A task may nevertheless run twice,
// and may be lost: its work must be safe to repeat, and must be found by other
// means if it never happens.
//
// # Identity
//
// A task's ID is a hash of what it is for (kind and group), its attempt and its
// time. Time belongs to it because Cloud Tasks refuses the name of a task for
// up to 24 hours after that task ran (google.cloud.tasks.v2.CreateTaskRequest,
// "Task De-duplication"): a name without time would swallow every follow-up of
// a container for a day after the first. Time alone would make a thousand tasks
// of a thousand findings, so Slotted rounds it up to the next boundary of the
// group's own grid. Findings of one container that arrive within one width ask
// for at most two different slots, on however many instances, and a stream of
// them for one run per width.
//
// A collision loses no work as long as the caller first writes what the run must
// see, and then reads the clock and sets At to a delay after that which exceeds
// what the clocks may disagree by: a task of the same ID, whether it waits, runs
// or has finished, did not begin before At, so its run sees that too.
package followup

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Kind says what a follow-up is to do.
type Kind string

// The closed set of kinds.
const (
	// Settle brings the marks of an incident's members into agreement.
	Settle Kind = "settle"
	// Complete asks the sources again that gave no answer.
	Complete Kind = "complete"
)

// Errors a caller of Enqueue tells apart.
var (
	// ErrInvalid: the task can never be enqueued. It is a fault of the caller.
	ErrInvalid = errors.New("invalid follow-up task")
	// ErrFull: the queue holds as many tasks as it may. The same task may find
	// room later; leaving it out costs freshness.
	ErrFull = errors.New("follow-up queue is full")
	// ErrClosed: the queue is shutting down and takes nothing any more.
	ErrClosed = errors.New("follow-up queue is closed")
)

// Bounds of a task's fields: bytes of each string, and attempts.
const (
	maxString  = 1024
	maxAttempt = 1000
)

// DefaultRunTimeout bounds one run of a task where the options name no other.
const DefaultRunTimeout = time.Minute

// Task is one follow-up. Its strings are valid UTF-8 of at most 1,024 bytes.
type Task struct {
	Kind Kind
	// Finding is the canonical name of the finding, Name the name it was read
	// at, Resource its full resource name and EventTime its event time. Only
	// Finding and EventTime must be set.
	Finding   string
	Name      string
	Resource  string
	EventTime time.Time
	// Group joins tasks that do the same work: of all tasks with equal kind,
	// group, attempt and time one is kept, any one, with its finding. The run of
	// each must therefore do the work of all. Empty means that the task is for
	// its finding at its event time alone.
	Group string
	// Anew has a Complete run although every source is said to have answered:
	// what was concluded from them is of another time.
	Anew bool
	// Attempt counts the follow-ups that came before this one, from 0 to 1,000.
	// The queue's own repetitions of a failed task do not change it.
	Attempt int
	// At is when to run; a time that has passed means now. See Slotted.
	At time.Time
}

// Slotted returns t to run at the first boundary of its group's grid that is
// not before t.At: at most width later, and the same for all tasks of the group
// in between. The grid of each group begins at an offset of its own, so that
// not all groups run at one instant. Boundaries are whole microseconds, the
// resolution of Cloud Tasks; a width below that only rounds up to one.
func (t Task) Slotted(width time.Duration) Task {
	at := t.At.UnixMicro()
	if t.At.Nanosecond()%int(time.Microsecond) != 0 {
		at++
	}
	if w := width.Microseconds(); w > 1 {
		if past := mod(at-t.offset(w), w); past > 0 {
			at += w - past
		}
	}
	t.At = time.UnixMicro(at).UTC()
	return t
}

// offset is where the group's grid of the width w begins, in [0, w).
func (t Task) offset(w int64) int64 {
	sum := sha256.Sum256([]byte(t.work()))
	return mod(int64(binary.BigEndian.Uint32(sum[:4])), w)
}

// mod is the remainder that is never negative, for b > 0.
func mod(a, b int64) int64 {
	return (a%b + b) % b
}

// work says unambiguously what t is for.
func (t Task) work() string {
	if t.Group != "" {
		return fmt.Sprintf("%q group %q", t.Kind, t.Group)
	}
	work := fmt.Sprintf("%q finding %q %d.%d", t.Kind, t.Finding, t.EventTime.Unix(), t.EventTime.Nanosecond())
	if t.Anew {
		work += " anew"
	}
	return work
}

// ID is the identity of t: 40 lower-case hexadecimal digits that depend on
// kind, group, attempt and At (to the microsecond), and where there is no group
// on finding, event time and Anew. It is all hash because Cloud Tasks wants names
// that are spread evenly.
func (t Task) ID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s attempt %d at %d", t.work(), t.Attempt, t.At.UnixMicro()))
	return hex.EncodeToString(sum[:20])
}

// valid returns why no queue takes t, as an ErrInvalid, or nil.
func (t Task) valid() error {
	if t.Kind != Settle && t.Kind != Complete {
		return fmt.Errorf("%w: kind %.20q", ErrInvalid, t.Kind)
	}
	if t.Finding == "" {
		return fmt.Errorf("%w: no finding", ErrInvalid)
	}
	for field, s := range map[string]string{"finding": t.Finding, "name": t.Name, "resource": t.Resource, "group": t.Group} {
		if len(s) > maxString || !utf8.ValidString(s) {
			return fmt.Errorf("%w: %s is not UTF-8 of at most %d bytes", ErrInvalid, field, maxString)
		}
	}
	if t.Attempt < 0 || t.Attempt > maxAttempt {
		return fmt.Errorf("%w: attempt %d is not in 0..%d", ErrInvalid, t.Attempt, maxAttempt)
	}
	for field, at := range map[string]time.Time{"event time": t.EventTime, "time to run": t.At} {
		if y := at.UTC().Year(); at.IsZero() || y < 1 || y > 9999 {
			return fmt.Errorf("%w: no usable %s", ErrInvalid, field)
		}
	}
	return nil
}

// Queue takes tasks to run later. It is safe for concurrent use.
type Queue interface {
	// Enqueue returns once the task is kept. A task with the ID of one that is
	// waiting or running is taken to be that one, which is success; whether it
	// runs again after that one has run is not promised. Errors that wrap
	// ErrInvalid are final; every other may heal.
	Enqueue(ctx context.Context, t Task) error
}
