package enrich

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// settleRounds bounds how often one run looks for marks that are out of date
// because of what it wrote itself.
const settleRounds = 4

// settlement is one run over the findings of a container.
type settlement struct {
	p    *Pipeline
	list given
	// busy is true while findings keep coming.
	busy bool
	// groups are the incidents by the stable names of their members.
	groups map[string]*group
}

// group is one incident. Which findings belong to it does not change during a
// run; what they say may.
type group struct {
	inc incident.Incident // from the side of any member
	// known is what the members say by themselves; joint what they say
	// together, nil when it is to be computed.
	known map[string]assess.Standing
	joint *assess.Joint
}

// run refreshes first the members that have no marks of their present event,
// on which the others' depend; then those whose marks are out of date, until
// none is.
func (s *settlement) run(ctx context.Context) error {
	s.group()
	wrote, err := s.round(ctx, s.missing)
	errs := []error{err}
	for round := 1; round < settleRounds && (wrote || round == 1); round++ {
		wrote, err = s.round(ctx, s.stale)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// group finds the incident of every finding.
func (s *settlement) group() {
	s.groups = make(map[string]*group, len(s.list.findings))
	for i := range s.list.findings {
		f := &s.list.findings[i]
		if s.groups[f.StableName()] != nil || closed(f) != Go && closed(f) != Muted || f.EventTime.IsZero() {
			continue
		}
		inc := incident.Group(f, s.list.findings, s.p.Settings.Window, s.p.Settings.MaxSpan)
		g := &group{inc: inc, known: s.p.standings(inc.Members)}
		for _, m := range g.inc.Members {
			s.groups[m.Finding.StableName()] = g
		}
	}
}

// round brings the findings up to date of which due is true.
func (s *settlement) round(ctx context.Context, due func(*finding.Finding, *group) bool) (wrote bool, _ error) {
	var errs []error
	for i := range s.list.findings {
		f := &s.list.findings[i]
		g := s.groups[f.StableName()]
		if g == nil || !due(f, g) {
			continue
		}
		changed, err := s.update(ctx, f, g)
		if changed != nil {
			f.Marks, wrote = changed, true
			after, _ := s.p.standing(f)
			if !reflect.DeepEqual(g.known[f.StableName()], after) {
				g.known[f.StableName()], g.joint = after, nil
			}
		}
		// A member that is gone needs nothing, and must not hide what others need.
		if f, ok := errors.AsType[*Failure](err); !ok || !f.Permanent {
			errs = append(errs, err)
		}
	}
	return wrote, errors.Join(errs...)
}

// update writes what a finding's marks should say. Nobody looks at a muted one
// any more: its sources are not asked again, but it says what its incident says.
func (s *settlement) update(ctx context.Context, f *finding.Finding, g *group) (map[string]string, error) {
	if !f.Muted() {
		return s.p.refresh(ctx, f, s.list, g, 0, false)
	}
	v := &view{f: f, listed: f, ev: &evidence.Evidence{Related: s.list.findings, FindingsState: evidence.Status{State: evidence.OK}}}
	want := s.p.patched(v)
	wrote, err := s.p.writeMarks(ctx, f, f.Marks, want)
	if err != nil || !wrote {
		return nil, err
	}
	return want.Values, nil
}

// missing reports whether a finding has no marks of its present event, and
// should have.
func (s *settlement) missing(f *finding.Finding, _ *group) bool {
	_, ok := s.p.standing(f)
	return !ok && !f.Muted()
}

// stale reports whether a finding's marks do not say what its incident says.
func (s *settlement) stale(f *finding.Finding, g *group) bool {
	p := s.p
	known := marks.Read(p.Settings.MarkPrefix, f.Marks)
	st, ok := p.standing(f)
	if !ok || s.busy && s.early(f, known) {
		return false
	}
	inc, _ := g.inc.WithSeed(f.StableName())
	for name, value := range p.company(inc) {
		if !marks.Equal(f.Marks[p.Settings.MarkPrefix+name], value) {
			return true
		}
	}
	if inc.Alone() {
		return known.Score != st.OwnScore
	}
	if g.joint == nil {
		joint := p.joint(inc, g.known)
		g.joint = &joint
	}
	return known.Score != g.joint.Score || known.Verdict != string(g.joint.Verdict) || known.Priority != g.joint.Priority || known.NextAction != string(g.joint.Action)
}

// early reports whether a finding's marks were written in the later half of its
// life: while findings keep coming it is rewritten at growing intervals.
func (s *settlement) early(f *finding.Finding, known marks.Known) bool {
	now := s.p.Now()
	return !f.CreateTime.IsZero() && 2*now.Sub(known.Time) < now.Sub(f.CreateTime)
}

// busy reports whether some finding came into being, or was written, less than
// a settle delay ago.
func (p *Pipeline) busy(listed []finding.Finding) bool {
	since := p.Now().Add(-p.Settings.SettleDelay)
	for i := range listed {
		known := marks.Read(p.Settings.MarkPrefix, listed[i].Marks)
		if known.Time.After(since) || !known.Present && listed[i].CreateTime.After(since) {
			return true
		}
	}
	return false
}

// told are the marks of a finding of which its incident decides.
func (p *Pipeline) told(f *finding.Finding, inc incident.Incident) map[string]string {
	known := marks.Read(p.Settings.MarkPrefix, f.Marks)
	joint := assess.Joint{Score: known.Score, Verdict: assess.Verdict(known.Verdict), Priority: known.Priority, Action: assess.Action(known.NextAction)}
	if st, ok := p.standing(f); !inc.Alone() || ok && st.OwnScore != known.Score {
		joint = p.joint(inc, p.standings(inc.Members))
	}
	change := p.company(inc)
	change["score"], change["verdict"] = fmt.Sprintf("%03d", joint.Score), string(joint.Verdict)
	change["priority"], change["next_action"] = joint.Priority, string(joint.Action)
	change["summary"] = p.Redactor.Line(assess.Retell(known.Summary, assess.Action(known.NextAction), f, inc, joint), marks.MaxSummary)
	return change
}

// company are the marks that say what a finding belongs to.
func (p *Pipeline) company(inc incident.Incident) map[string]string {
	return marks.Company(record.IncidentOf(inc, p.Redactor))
}

// joint is what the members of an incident say together.
func (p *Pipeline) joint(inc incident.Incident, known map[string]assess.Standing) assess.Joint {
	standings := make([]assess.Standing, len(inc.Members))
	findings := make([]*finding.Finding, len(inc.Members))
	for i, m := range inc.Members {
		standings[i], findings[i] = known[m.Finding.StableName()], m.Finding
	}
	return p.Policy.Joint(standings, findings)
}
