package assess

import (
	"slices"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Earlier is a finding of the same workload from before: at least a day older,
// so that it belongs to no incident of the finding in question.
type Earlier struct {
	Finding *finding.Finding
	// Verdict is what its marks say of its present event, or empty.
	Verdict Verdict
}

// Precedent says what became of the same before: findings of the same detector
// on the same workload, image, parent, program and command line, apart from
// numbers and names of data files. It holds what was seen, never what was not.
type Precedent struct {
	// Count is how many went without an incident: our verdict was neither
	// suspicious nor worse, or a person closed or muted them.
	Count int
	// Days is on how many days (UTC) these were, Closed on how many of them a
	// person closed or muted one.
	Days, Closed int
	// First and Last are their first and last event times.
	First, Last time.Time
	// Attacks is how many were judged malicious or likely malicious; then
	// whatever else went well explains nothing.
	Attacks int
	// LastAttack is the last of those.
	LastAttack time.Time
	// NewHost is a host that the command line names and none of those that went
	// well did, or empty.
	NewHost string
	// Names are the canonical names of at most 10 of the counted, newest first.
	Names []string
}

// maxPrecedents bounds Precedent.Names.
const maxPrecedents = 10

// precedent looks for the same among earlier findings. The order of these does
// not matter.
func precedent(f *finding.Finding, earlier []Earlier) Precedent {
	var out Precedent
	if len(earlier) == 0 {
		return out
	}
	now, ok := shapeOf(f)
	if !ok {
		return out
	}
	var hosts []string
	var alike []Earlier
	days, closed := map[string]bool{}, map[string]bool{}
	for _, e := range earlier {
		if e.Finding == nil || e.Finding.StableName() == f.StableName() || !e.Finding.EventTime.Before(f.EventTime) {
			continue
		}
		then, ok := shapeOf(e.Finding)
		if !ok || !now.same(&then) {
			continue
		}
		at := e.Finding.EventTime.UTC()
		byPerson := e.Finding.State == finding.Inactive || e.Finding.Muted()
		switch {
		case e.Verdict == Malicious, e.Verdict == LikelyMalicious:
			out.Attacks++
			if at.After(out.LastAttack) {
				out.LastAttack = at
			}
			continue
		case byPerson:
			closed[at.Format(time.DateOnly)] = true
		case e.Verdict != LikelyBenign && e.Verdict != Unknown:
			continue
		}
		days[at.Format(time.DateOnly)] = true
		hosts = append(hosts, then.hosts...)
		alike = append(alike, e)
	}
	out.Count, out.Days, out.Closed = len(alike), len(days), len(closed)
	slices.SortFunc(alike, func(a, b Earlier) int {
		if c := b.Finding.EventTime.Compare(a.Finding.EventTime); c != 0 {
			return c
		}
		return strings.Compare(a.Finding.CanonicalName, b.Finding.CanonicalName)
	})
	for i, e := range alike {
		if i < maxPrecedents {
			out.Names = append(out.Names, e.Finding.CanonicalName)
		}
	}
	if len(alike) > 0 {
		out.Last, out.First = alike[0].Finding.EventTime.UTC(), alike[len(alike)-1].Finding.EventTime.UTC()
		for _, h := range now.hosts {
			if !slices.Contains(hosts, h) {
				out.NewHost = h
				break
			}
		}
	}
	return out
}

// historyFacts says what became of the same before.
func historyFacts(f *facts, s *subject) {
	p := &s.precedent
	f.int("history.seen", p.Count)
	f.int("history.days", p.Days)
	f.int("history.closed_days", p.Closed)
	f.int("history.attacks", p.Attacks)
	for name, t := range map[string]time.Time{"history.first": p.First, "history.last": p.Last, "history.last_attack": p.LastAttack} {
		if !t.IsZero() {
			f.text(name, t.Format(time.DateOnly))
		}
	}
	f.text("history.new_host", cut(command.Defang(printable(p.NewHost)), maxIndicatorText))
}
