package incident

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Group returns the incident of seed among others, by the rule in the package
// comment. Neighbours are at most window apart (negative counts as 0), and the
// incident spans at most maxSpan (0 or negative: no limit).
//
// The others may be of any workload and may hold the seed itself, repetitions
// and older or newer states of a finding: each finding, told apart by
// StableName, counts once, with its newest event time; of states with the same
// event time an inactive one counts. Inactive and deleted findings are left
// out, muted ones stay. The seed always stays, in its newest state. A finding
// without event time or Cloud Run workload stands alone.
//
// Every active member gets the same ID, Start, End and member set from the same
// findings, and also from those inside its own View only. The members point
// into seed and others. A nil seed gives the zero Incident.
func Group(seed *finding.Finding, others []finding.Finding, window, maxSpan time.Duration) Incident {
	if seed == nil {
		return Incident{}
	}
	seed, rest := newest(seed, others)
	if seed.Workload.IsZero() || seed.EventTime.IsZero() {
		return newIncident(seed, []*finding.Finding{seed})
	}
	all := append(eligible(sameWorkload(seed, rest)), seed)
	slices.SortFunc(all, compare)
	members := connected(all, seed, window)
	if maxSpan > 0 && span(members) > maxSpan {
		cell := seed.EventTime.Truncate(maxSpan)
		piece := slices.DeleteFunc(all, func(f *finding.Finding) bool {
			return !f.EventTime.Truncate(maxSpan).Equal(cell)
		})
		members = connected(piece, seed, window)
	}
	return newIncident(seed, members)
}

// View returns the interval of event times, both ends included, outside which
// no finding can change the incident of a finding at event: list at least that.
func View(event time.Time, window, maxSpan time.Duration) (from, to time.Time) {
	reach := max(window, 0) + max(maxSpan, 0)
	return event.Add(-reach), event.Add(reach)
}

// newest returns the newest state of the seed and of every other finding.
func newest(seed *finding.Finding, others []finding.Finding) (*finding.Finding, []*finding.Finding) {
	self := seed.StableName()
	best := make(map[string]*finding.Finding, len(others))
	for i := range others {
		f := &others[i]
		key := f.StableName()
		switch old := best[key]; {
		case key == "":
		case key == self:
			if newer(f, seed) {
				seed = f
			}
		case old == nil || newer(f, old):
			best[key] = f
		}
	}
	rest := make([]*finding.Finding, 0, len(best))
	for _, f := range best {
		rest = append(rest, f)
	}
	return seed, rest
}

// newer reports whether a counts instead of b, which is the same finding. It is
// a total order on what grouping looks at.
func newer(a, b *finding.Finding) bool {
	return cmp.Or(
		a.EventTime.Compare(b.EventTime),
		compareBool(over(a), over(b)),
		slices.Compare(containers(a), containers(b)),
		cmp.Compare(a.Workload.Key(), b.Workload.Key()),
		cmp.Compare(a.Workload.ProjectNumber, b.Workload.ProjectNumber),
		cmp.Compare(a.Workload.Revision, b.Workload.Revision),
		cmp.Compare(a.Workload.Execution, b.Workload.Execution),
	) > 0
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// over reports whether the finding no longer holds.
func over(f *finding.Finding) bool { return f.State == finding.Inactive || f.Deleted }

// eligible keeps the findings that can be members, in place.
func eligible(list []*finding.Finding) []*finding.Finding {
	return slices.DeleteFunc(list, func(f *finding.Finding) bool { return over(f) || f.EventTime.IsZero() })
}

// sameWorkload keeps the findings on the seed's workload, in place. A project's
// id and its number become one project as soon as any finding knows both, also
// one that is over.
func sameWorkload(seed *finding.Finding, list []*finding.Finding) []*finding.Finding {
	w := seed.Workload
	list = slices.DeleteFunc(list, func(f *finding.Finding) bool {
		o := f.Workload
		return o.IsZero() || o.Kind != w.Kind || o.Location != w.Location || o.Name != w.Name
	})
	aliases := map[string]bool{}
	add := func(w finding.Workload) {
		aliases[w.Project] = true
		if w.ProjectNumber != "" {
			aliases[w.ProjectNumber] = true
		}
	}
	known := func(f *finding.Finding) bool {
		return aliases[f.Workload.Project] || aliases[f.Workload.ProjectNumber]
	}
	add(w)
	for before := 0; before != len(aliases); {
		before = len(aliases)
		for _, f := range list {
			if known(f) {
				add(f.Workload)
			}
		}
	}
	return slices.DeleteFunc(list, func(f *finding.Finding) bool { return !known(f) })
}

// compare orders by event time, then stable name.
func compare(a, b *finding.Finding) int {
	if c := a.EventTime.Compare(b.EventTime); c != 0 {
		return c
	}
	return cmp.Compare(a.StableName(), b.StableName())
}

// connected returns what links lead to from seed, in order. The list is sorted
// and holds the seed. The cost is linear: within one container, and among
// nameless findings, linking neighbours links everything that is in reach; and
// what came before a nameless finding is in reach of later nameless ones only
// through it.
func connected(list []*finding.Finding, seed *finding.Finding, window time.Duration) []*finding.Finding {
	sets := newSets(len(list))
	link := func(i, j int) {
		if j >= 0 && list[i].EventTime.Sub(list[j].EventTime) <= max(window, 0) {
			sets.join(i, j)
		}
	}
	last := map[string]int{} // container name to its last finding
	bare := -1               // the last nameless finding
	var since []int          // the named findings after it
	at := -1
	for i, f := range list {
		if f == seed {
			at = i
		}
		link(i, bare)
		names := containers(f)
		if len(names) == 0 {
			for _, j := range since {
				link(i, j)
			}
			bare, since = i, since[:0]
			continue
		}
		for _, name := range names {
			if j, ok := last[name]; ok {
				link(i, j)
			}
			last[name] = i
		}
		since = append(since, i)
	}
	var out []*finding.Finding
	for i, f := range list {
		if at >= 0 && sets.find(i) == sets.find(at) {
			out = append(out, f)
		}
	}
	return out
}

// containers are the names of the containers that f names, sorted, each once.
func containers(f *finding.Finding) []string {
	var names []string
	for i := range f.Containers {
		if name := strings.TrimSpace(f.Containers[i].Name); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// span is the time between the first and the last of a sorted list.
func span(list []*finding.Finding) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].EventTime.Sub(list[0].EventTime)
}

// newIncident describes the sorted members from the seed's side.
func newIncident(seed *finding.Finding, members []*finding.Finding) Incident {
	inc := Incident{Members: make([]Member, len(members))}
	names := containers(seed)
	for i, f := range members {
		inc.Members[i] = Member{Finding: f, Strength: strength(seed, names, f), Seed: f == seed}
	}
	if len(members) > 0 {
		inc.Start = members[0].EventTime.UTC()
		inc.End = members[len(members)-1].EventTime.UTC()
	}
	if len(members) > 1 {
		inc.ID = id(members[0])
	}
	return inc
}

// id names an incident after its first member. Workload and container follow
// from that; the project is left out, for it has two names.
func id(first *finding.Finding) string {
	w := first.Workload
	sum := sha256.Sum256([]byte(strings.Join([]string{
		w.Location, string(w.Kind), w.Name, first.StableName(), first.EventTime.UTC().Format(time.RFC3339Nano),
	}, "\n")))
	return "inc-" + hex.EncodeToString(sum[:6])
}

// strength compares f with the seed, whose containers are names.
func strength(seed *finding.Finding, names []string, f *finding.Finding) Strength {
	if f == seed {
		return SameContainer
	}
	others := containers(f)
	if len(names) > 0 && len(others) > 0 {
		if slices.ContainsFunc(others, func(n string) bool { return slices.Contains(names, n) }) {
			return SameContainer
		}
		return SameWorkload
	}
	a, b := seed.Workload, f.Workload
	if a.Revision != "" && a.Revision == b.Revision || a.Execution != "" && a.Execution == b.Execution {
		return SameRevision
	}
	return SameWorkload
}

// sets is a union-find over indices.
type sets []int

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func (s sets) find(i int) int {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

func (s sets) join(i, j int) { s[s.find(i)] = s.find(j) }
