package evidence

import (
	"context"
	"errors"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// ErrPartial goes with a value that holds only a part of the answer.
var ErrPartial = errors.New("partial answer")

// RelatedQuery asks for the findings of one workload inside a time window.
type RelatedQuery struct {
	// Parent is "organizations/N", "folders/N" or "projects/P" whose findings
	// are read; Location is the SCC location, or empty for names without one.
	Parent   string
	Location string
	Workload finding.Workload
	// From and To bound the event time, both inclusive.
	From, To time.Time
}

// LogQuery asks for the log entries around an event.
type LogQuery struct {
	Workload finding.Workload
	// Event is the finding's event time. Application, request and system
	// entries are read from Event-Before to Event+After; audit entries from
	// Event-AuditBefore (deploys and IAM changes reach further back).
	Event       time.Time
	Before      time.Duration
	After       time.Duration
	AuditBefore time.Duration
}

// The sources the Collector asks. Each may return a value together with an
// error that wraps ErrPartial; every other error means no answer. The context
// carries the source's own deadline.
type (
	// FindingLister lists the related findings.
	FindingLister interface {
		ListRelated(ctx context.Context, q RelatedQuery) ([]finding.Finding, error)
	}
	// HistoryReader lists older findings of the workload that q is about: those
	// before q.From, newest first, as far back as the reader reads and at most
	// as many as it is bounded to. It is asked after the FindingLister, with the
	// same query.
	HistoryReader interface {
		ReadHistory(ctx context.Context, q RelatedQuery) ([]finding.Finding, error)
	}
	// ConfigReader reads the configuration of a workload as of a time. A
	// deleted workload is a Config with Gone set and ErrNotFound.
	ConfigReader interface {
		ReadConfig(ctx context.Context, w finding.Workload, at time.Time) (*Config, error)
	}
	// LogReader reads the log entries around an event.
	LogReader interface {
		ReadLogs(ctx context.Context, q LogQuery) (Logs, error)
	}
	// ReputationReader asks for the reputation of artifacts; the answer has
	// one Reputation an artifact, in the same order, each with its own State.
	ReputationReader interface {
		Lookup(ctx context.Context, artifacts []Artifact) ([]Reputation, error)
	}
)
