// Package incident says which findings belong together: findings on the same
// container, chained in event time. It is pure, and its answer does not depend
// on the order of its inputs.
package incident

import (
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Strength says how surely a member is on the same container as the seed.
type Strength string

// The strengths of a match, strongest first.
const (
	// SameContainer: both name a container and the names agree.
	SameContainer Strength = "container"
	// SameRevision: a container name is absent, the revision or execution agrees.
	SameRevision Strength = "revision"
	// SameWorkload: only the service, job or worker pool agrees.
	SameWorkload Strength = "workload"
)

// Member is one finding of an incident.
type Member struct {
	Finding  *finding.Finding
	Strength Strength
	// Seed is true for the finding the incident was asked for.
	Seed bool
}

// Incident is the set of findings that belong with the seed, the seed included.
type Incident struct {
	// ID is "inc-" and 12 hex digits, the same for every member; empty when
	// the finding stands alone.
	ID string
	// Members are in order of event time, then canonical name.
	Members []Member
	// Start and End are the first and last event time.
	Start, End time.Time
}

// Alone reports whether the seed has no company.
func (i Incident) Alone() bool { return len(i.Members) <= 1 }

// Others returns the members that are not the seed.
func (i Incident) Others() []Member {
	var out []Member
	for _, m := range i.Members {
		if !m.Seed {
			out = append(out, m)
		}
	}
	return out
}
