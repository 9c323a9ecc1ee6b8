package backfill

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// Need is what the marks of a finding lack.
type Need string

// The closed set of needs.
const (
	// None: nothing, or nothing that may be given.
	None Need = ""
	// Missing: there is no mark of ours.
	Missing Need = "missing"
	// Stale: the marks are of another event or an older schema, or are not as
	// they were written.
	Stale Need = "stale"
	// Partial: a source had not answered when the marks were written.
	Partial Need = "partial"
)

// The reasons to skip a finding beside the decisions of package enrich.
const (
	reasonComplete    = "complete"
	reasonNewerSchema = "newer_schema"
	reasonUnreadable  = "unreadable"
)

// Classify decides what a finding's marks lack. why says so in words; for None
// it is the reason to skip the finding, a word of a closed set. Marks that a
// newer version of the program wrote are left alone.
func Classify(f *finding.Finding, prefix string) (need Need, why string) {
	switch d := enrich.Gate(f, prefix); d {
	case enrich.NotAContainer, enrich.Deleted, enrich.Inactive, enrich.Muted:
		return None, string(d)
	}
	known := marks.Read(prefix, f.Marks)
	switch {
	case !known.Present:
		return Missing, "no marks of ours"
	case known.Schema != marks.Schema && newer(known.Schema):
		return None, reasonNewerSchema
	case known.Schema != marks.Schema:
		return Stale, fmt.Sprintf("schema %.20q, not %q", known.Schema, marks.Schema)
	case known.EventTime.IsZero():
		return Stale, "no readable event time"
	case !known.EventTime.Equal(f.EventTime):
		return Stale, "marks are of the event at " + known.EventTime.Format(time.RFC3339)
	case !known.Intact:
		return Stale, "marks were changed since they were written"
	case known.Status != "complete":
		return Partial, "not answered: " + unanswered(known.Sources)
	default:
		return None, reasonComplete
	}
}

// newer reports whether a schema is a later one than ours.
func newer(schema string) bool {
	theirs, err := strconv.Atoi(schema)
	ours, ownErr := strconv.Atoi(marks.Schema)
	return err == nil && ownErr == nil && theirs > ours
}

// unanswered names the sources that may still answer, "logs=quota". Marks can
// be written by others: only words of the closed sets are repeated.
func unanswered(sources map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		switch name {
		case "findings", "logs", "config", "virustotal":
		default:
			continue
		}
		switch state := sources[name]; state {
		case "partial", "quota", "denied", "timeout", "error":
			out = append(out, name+"="+state)
		}
	}
	if len(out) == 0 {
		return "unknown"
	}
	return strings.Join(out, ", ")
}
