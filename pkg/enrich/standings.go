package enrich

import (
	"maps"
	"reflect"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// maxStandings findings have what they say by themselves remembered: in a burst
// on one container every delivery asks it of every member.
const maxStandings = 5000

// standings remembers what findings say by themselves. What it answers depends
// on its memory in nothing but the time it takes.
type standings struct {
	marked    *otter.Cache[string, marked]
	estimates *otter.Cache[finding.Identity, assess.Standing]
}

// marked is what a finding's marks were found to say.
type marked struct {
	event    time.Time
	marks    map[string]string
	standing assess.Standing
	ok       bool
}

func newStandings() (s standings, err error) {
	now := func(work func()) { work() }
	if s.marked, err = otter.New(&otter.Options[string, marked]{MaximumSize: maxStandings, Executor: now}); err != nil {
		return s, err
	}
	s.estimates, err = otter.New(&otter.Options[finding.Identity, assess.Standing]{MaximumSize: maxStandings, Executor: now})
	return s, err
}

// standing is what a finding's own marks say of it; false when they do not.
func (p *Pipeline) standing(f *finding.Finding) (assess.Standing, bool) {
	name := f.StableName()
	if m, hit := p.known.marked.GetIfPresent(name); hit && m.event.Equal(f.EventTime) && sameMarks(m.marks, f.Marks) {
		return m.standing, m.ok
	}
	st, ok := marks.Standing(p.Settings.MarkPrefix, f, p.Policy.IncidentRules())
	p.known.marked.Set(name, marked{event: f.EventTime, marks: f.Marks, standing: st, ok: ok})
	return st, ok
}

// sameMarks compares marks, those of one list without looking at them: a map
// of marks is never changed once a list holds it.
func sameMarks(a, b map[string]string) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() || maps.Equal(a, b)
}

// standings are what the members say by themselves: by their marks, and where
// these do not say it, by an estimate from the finding alone.
func (p *Pipeline) standings(members []incident.Member) map[string]assess.Standing {
	out := make(map[string]assess.Standing, len(members))
	for _, m := range members {
		st, ok := p.standing(m.Finding)
		if !ok {
			st = p.estimate(m.Finding)
		}
		out[m.Finding.StableName()] = st
	}
	return out
}

// estimate is what a finding says by itself before any source has been asked.
func (p *Pipeline) estimate(f *finding.Finding) assess.Standing {
	id := f.Identity()
	st, hit := p.known.estimates.GetIfPresent(id)
	if !hit {
		st = p.Policy.Own(assess.Input{Finding: f})
		p.known.estimates.Set(id, st)
	}
	return st
}
