package assess

import (
	"cmp"
	"slices"
)

// fired is a rule whose condition holds for the facts.
type fired struct {
	rule     *rule
	points   int
	evidence string
}

// part is what the rules of one scope come to.
type part struct {
	hits    []fired
	reasons []Reason
	// sum is that of the points after caps; explained what explanations took off, positive.
	sum, explained int
	// decisive is true when a decisive rule fired.
	decisive bool
	// failed are the ids of the rules that could not be evaluated.
	failed []string
}

// score is the sum held between 0 and 100.
func (p *part) score() int { return clamp(p.sum) }

// conclusion is what the rules and decisions of a policy make of one finding.
type conclusion struct {
	reasons         []Reason
	score, ownScore int
	verdict         Verdict
	priority        string
	action          Action
	// failed are the ids of the rules that could not be evaluated.
	failed []string
	// techniques are those of the rules that fired and count against the finding.
	techniques []string
}

// conclude evaluates the whole policy: first what the finding says by itself,
// then, when it has company, what all members say together.
func (p *Policy) conclude(s *subject) conclusion {
	f := p.facts(s)
	own := p.own(f)
	members, findings := p.members(s, &own)
	if len(members) == 1 {
		return p.alone(f, &own)
	}
	in := p.incidentFacts(members, findings)
	extra := p.extra(in, own.score())
	return concluded(&own, &extra, p.joint(in, members, findings))
}

// alone decides for a finding that stands alone.
func (p *Policy) alone(f *facts, own *part) conclusion {
	fired := make(map[string]bool, len(own.reasons))
	for _, r := range own.reasons {
		fired[r.ID] = true
	}
	p.reasons(f, fired)
	if len(own.failed) > 0 {
		// A rule that could not be evaluated might have spoken against the finding.
		f.list("unanswered", append(f.getList("unanswered"), "policy"))
	}
	f.int("explained_points", own.explained)
	f.bool("decisive", own.decisive)
	return concluded(own, &part{}, p.judge(f, own.score()))
}

// concluded puts the finding's own part, its part in the incident and the
// joint decision together.
func concluded(own, extra *part, j Joint) conclusion {
	c := conclusion{
		ownScore: own.score(), score: j.Score, verdict: j.Verdict, priority: j.Priority, action: j.Action,
		reasons: append(slices.Clone(own.reasons), extra.reasons...),
		failed:  append(slices.Clone(own.failed), extra.failed...),
	}
	sortReasons(c.reasons)
	slices.Sort(c.failed)
	for _, h := range append(slices.Clone(own.hits), extra.hits...) {
		if h.points > 0 {
			c.techniques = append(c.techniques, h.rule.techniques...)
		}
	}
	return c
}

// own adds up what the finding says by itself and makes it known as own_score.
func (p *Policy) own(f *facts) part {
	out := p.tally(p.fire(f, false))
	f.int("own_score", out.score())
	return out
}

// extra adds up the rules of incident scope for a member with the own score.
func (p *Policy) extra(f *facts, ownScore int) part {
	f.int("own_score", ownScore)
	return p.tally(p.fire(f, true))
}

// fire evaluates every rule of one scope. The answer does not depend on the
// order of rules.
func (p *Policy) fire(f *facts, incident bool) (hits []fired, failed []string) {
	for i := range p.rules {
		r := &p.rules[i]
		if r.incident != incident {
			continue
		}
		ok, err := r.when.evalBool(f)
		if err != nil {
			failed = append(failed, r.id)
			continue
		}
		if !ok {
			continue
		}
		points, err := r.points.evalPoints(f)
		if err != nil {
			failed = append(failed, r.id)
			continue
		}
		text, err := r.evidence.render(f)
		if err != nil {
			text = r.title
		}
		hits = append(hits, fired{rule: r, points: points, evidence: text})
	}
	slices.SortFunc(hits, func(a, b fired) int {
		return cmp.Or(cmp.Compare(magnitude(b.points), magnitude(a.points)), cmp.Compare(a.rule.id, b.rule.id))
	})
	slices.Sort(failed)
	return hits, failed
}

func magnitude(n int) int { return max(n, -n) }

// tally adds the points of one scope up under the caps. Strong reasons are
// counted first, so that a cap takes from the weak ones. When a decisive rule
// fired, explanations count for nothing; nor do they when a rule could not be
// evaluated, for it might have been decisive.
func (p *Policy) tally(hits []fired, failed []string) part {
	out := part{hits: hits, failed: failed, reasons: make([]Reason, 0, len(hits))}
	for _, h := range hits {
		out.decisive = out.decisive || h.rule.decisive
	}
	up, down := map[string]int{}, map[string]int{}
	for _, h := range hits {
		src, points := h.rule.source, 0
		switch {
		case h.points > 0:
			points = min(h.points, p.caps[src].max-up[src])
			up[src] += points
		case h.points < 0 && !out.decisive && len(failed) == 0:
			points = -min(-h.points, -p.caps[src].min-down[src], p.explained-out.explained)
			down[src] -= points
			out.explained -= points
		}
		out.sum += points
		out.reasons = append(out.reasons, Reason{
			ID: h.rule.id, Title: h.rule.title, Points: points, Source: src,
			Evidence: h.evidence, Incident: h.rule.incident,
		})
	}
	sortReasons(out.reasons)
	return out
}

// sortReasons puts the strongest first.
func sortReasons(list []Reason) {
	slices.SortStableFunc(list, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(magnitude(b.Points), magnitude(a.Points)), cmp.Compare(b.Points, a.Points), cmp.Compare(a.ID, b.ID))
	})
}

// decide returns the value of the first condition that holds. A condition that
// cannot be evaluated does not hold.
func decide(list []decision, f *facts, otherwise string) string {
	for _, d := range list {
		if ok, err := d.when.evalBool(f); err == nil && ok {
			return d.value
		}
	}
	return otherwise
}

// Assess draws the conclusion from the input. It is a pure function: the same
// input gives the same assessment. Nothing in the input needs to be there; what
// is missing is named in Unchecked and never taken for clean.
func (p *Policy) Assess(in Input) Assessment {
	s := newSubject(in)
	c := p.conclude(s)
	tactics, techniques := s.attack(c.techniques)
	a := Assessment{
		Verdict: c.verdict, Score: c.score, OwnScore: c.ownScore, Priority: c.priority,
		Reasons: c.reasons, NextAction: c.action, Reading: s.reading,
		Parent: s.tree.Parent, Child: s.tree.Child,
		Tactics: tactics, Techniques: techniques, AttackVersion: s.attackVersion(),
		Exposure: s.exposure, ConfigRisks: s.risks, Signals: s.signals,
		Indicators: s.indicators(), Precedent: s.precedent, Unchecked: s.unchecked(c.failed), PolicyID: p.id,
	}
	a.Story = s.story()
	a.Summary = s.summary(&a)
	a.Plan = s.plan(&a)
	return a
}
