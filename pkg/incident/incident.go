// Package incident says which findings belong together: findings on the same
// container, chained in event time. It is pure, and its answer depends neither
// on the order of its inputs nor on which member it is asked for.
//
// # The rule
//
// Two findings are linked when their workload is the same (one may name the
// project by id and the other by number), their event times are at most a
// window apart, and their container names agree; a finding without a container
// name agrees with every finding of its workload, because SCC names containers
// on a best-effort basis. A finding that names several containers agrees with
// each of them. An incident is everything that links lead to, directly or
// through other findings.
//
// Agreement is not transitive ("app" agrees with a nameless finding, that one
// agrees with "proxy", "app" and "proxy" do not agree), but being connected by
// links is: so incidents partition the findings, and every member sees the same
// one. A nameless finding therefore joins the containers it is close to in
// time, and two containers without one between them stay apart.
//
// A connected set that spans more than the maximum is cut at fixed instants,
// the multiples of the maximum since the year 1 (for 24 hours, midnight UTC), and
// connected anew inside the piece. Fixed instants do not depend on where a long
// chain began, which a reader with a bounded view cannot know: see View.
//
// # What grows and what does not
//
// Adding a finding to the input never takes a member away from an incident,
// with two exceptions: the addition makes the connected set longer than the
// maximum, and it is cut; or the addition is a newer state of a member, which
// moves or removes it.
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
	Finding *finding.Finding
	// Strength is relative to the seed, which is SameContainer to itself.
	Strength Strength
	// Seed is true for the finding the incident was asked for.
	Seed bool
}

// Incident is the set of findings that belong with the seed, the seed included.
type Incident struct {
	// ID is "inc-" and 12 hex digits, the same for every member; empty when
	// the finding stands alone.
	ID string
	// Members are in order of event time, then of stable name.
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

// WithSeed returns the incident as Group would answer for its member with the
// stable name, without grouping again; false when there is no such member.
func (i Incident) WithSeed(stableName string) (Incident, bool) {
	for _, m := range i.Members {
		if stableName != "" && m.Finding.StableName() == stableName {
			findings := make([]*finding.Finding, len(i.Members))
			for j := range i.Members {
				findings[j] = i.Members[j].Finding
			}
			return newIncident(m.Finding, findings), true
		}
	}
	return Incident{}, false
}
