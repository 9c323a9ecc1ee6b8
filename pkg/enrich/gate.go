package enrich

import (
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// Decision is what became of a finding: a reason to stop at the gate, or the
// result of the enrichment. It is log field and metric label.
type Decision string

// The closed set of decisions.
const (
	// Go: the gate lets the finding through.
	Go Decision = "go"
	// Echo: our own write came back as a notification.
	Echo Decision = "echo"
	// Unchanged: what we know of this event is on the finding already.
	Unchanged Decision = "unchanged"
	// Inactive, Muted, Deleted: the finding is closed.
	Inactive Decision = "inactive"
	Muted    Decision = "muted"
	Deleted  Decision = "deleted"
	// Older: the marks are of a newer event of the same finding.
	Older Decision = "older"
	// NotAContainer: the finding is not about a Cloud Run workload.
	NotAContainer Decision = "not_a_container"
	// Written: marks were written.
	Written Decision = "written"
)

// Gate decides from the notification alone, without any upstream call, whether
// a finding needs work. Mark writes, mute changes and other people's mark edits
// come back as notifications of an unchanged event, and must cost nothing.
func Gate(f *finding.Finding, prefix string) Decision {
	if d := closed(f); d != Go {
		return d
	}
	known := marks.Read(prefix, f.Marks)
	switch {
	case !known.Present || known.Digest == "" || known.Schema != marks.Schema || known.EventTime.IsZero():
		return Go
	case known.EventTime.After(f.EventTime):
		return Older
	case known.EventTime.Before(f.EventTime):
		return Go
	case known.Intact:
		return Echo
	default:
		return Unchanged
	}
}

// closed decides from the finding alone, whatever its marks are.
func closed(f *finding.Finding) Decision {
	switch {
	case f.Workload.IsZero():
		return NotAContainer
	case f.Deleted:
		return Deleted
	case f.State == finding.Inactive:
		return Inactive
	case f.Muted():
		return Muted
	default:
		return Go
	}
}
