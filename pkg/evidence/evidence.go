// Package evidence holds what else is known about a finding: the workload's
// configuration, its logs, the reputation of its files and the related
// findings, each with the State its source ended in, and the Collector that
// asks all sources at once.
//
// "Not checked" is never "clean": a source that was not asked, failed or was
// cut short says so in its State, and nothing downstream may read silence as
// absence.
package evidence

import (
	"errors"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// State is how the question to one source ended. OK and Empty are set only
// after a successful answer.
type State string

// The closed set of states.
const (
	OK            State = "ok"
	Empty         State = "empty"
	Partial       State = "partial"
	Quota         State = "quota"
	Denied        State = "denied"
	Timeout       State = "timeout"
	Error         State = "error"
	Disabled      State = "disabled"
	NotApplicable State = "not_applicable"
)

// Final reports whether asking again later cannot change the answer.
func (s State) Final() bool {
	switch s {
	case OK, Empty, Disabled, NotApplicable:
		return true
	}
	return false
}

// The errors an adapter returns so that its failure becomes the right State.
// Wrap them: fmt.Errorf("list log entries: %w: %w", evidence.ErrQuota, err).
var (
	// ErrQuota: our own budget or the upstream's quota is spent. See QuotaError for when it refills.
	ErrQuota = errors.New("quota spent")
	// ErrDenied: the identity lacks a permission, or the key is wrong.
	ErrDenied = errors.New("permission denied")
	// ErrNotFound: asked, and nothing there.
	ErrNotFound = errors.New("not found")
	// ErrDisabled: the source is not configured.
	ErrDisabled = errors.New("disabled")
)

// QuotaError is an ErrQuota that knows when asking again makes sense.
type QuotaError struct {
	// Until is when the budget refills; zero when unknown.
	Until time.Time
	// Scope is "minute" or "day", or empty.
	Scope string
	// Upstream names the budget: "virustotal", "logging", ...
	Upstream string
}

// Error says which budget is spent.
func (e *QuotaError) Error() string {
	return e.Upstream + " quota spent (" + e.Scope + ")"
}

// Is makes errors.Is(err, ErrQuota) true.
func (e *QuotaError) Is(target error) bool { return target == ErrQuota }

// Status is the outcome of one source.
type Status struct {
	State State
	// Reason says in a few words why the state is not OK; never a payload.
	Reason string
	// Took is the time the source needed.
	Took time.Duration
	// RetryAt is when asking again makes sense; zero when unknown or pointless.
	RetryAt time.Time
}

// Evidence is everything that was found out about one finding.
type Evidence struct {
	// Related are the other findings on the same workload inside the time
	// window; the seed itself may be among them.
	Related []finding.Finding
	// History are older findings of the workload, before any that could belong
	// to the same incident, newest first.
	History []finding.Finding
	// FindingsState is Partial where the history could not be read.
	FindingsState Status

	Config      *Config
	ConfigState Status

	Logs      Logs
	LogsState Status

	Reputations []Reputation
	VTState     Status
}
