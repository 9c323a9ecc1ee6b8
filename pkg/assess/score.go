package assess

import (
	"cmp"
	"slices"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// fired is a rule whose condition holds for the facts.
type fired struct {
	rule     *rule
	points   int
	evidence string
}

// conclusion is what the rules and decisions of a policy make of facts.
type conclusion struct {
	reasons         []Reason
	score, ownScore int
	explained       int
	verdict         Verdict
	priority        string
	action          Action
	// failed are the ids of the rules that could not be evaluated.
	failed []string
	// techniques are those of the rules that fired and count against the finding.
	techniques []string
}

// conclude evaluates the whole policy. It writes the decision variables into f;
// unanswered, retry and privileged must be set already.
func (p *Policy) conclude(f *facts) conclusion {
	hits, failed := p.fire(f)
	var c conclusion
	c.failed = failed
	c.ownScore, _, _ = p.tally(hits, false)
	c.score, c.explained, c.reasons = p.tally(hits, true)
	ids := make([]string, 0, len(hits))
	for _, r := range c.reasons {
		ids = append(ids, r.ID)
	}
	for _, h := range hits {
		if h.points > 0 {
			c.techniques = append(c.techniques, h.rule.techniques...)
		}
	}
	if len(failed) > 0 {
		// A rule that could not be evaluated might have spoken against the finding.
		f.list("unanswered", append(f.getList("unanswered"), "policy"))
	}
	f.int("score", c.score)
	f.int("own_score", c.ownScore)
	f.int("explained_points", c.explained)
	f.list("reasons", ids)
	f.text("verdict", "")
	c.verdict = Verdict(decide(p.verdicts, f, string(Unknown)))
	f.text("verdict", string(c.verdict))
	c.priority = decide(p.priorities, f, "p4")
	c.action = Action(decide(p.actions, f, string(Investigate)))
	return c
}

// fire evaluates every rule. The answer does not depend on the order of rules.
func (p *Policy) fire(f *facts) (hits []fired, failed []string) {
	for i := range p.rules {
		r := &p.rules[i]
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

// tally adds the points up under the caps. Strong reasons are counted first,
// so that a cap takes from the weak ones. When a decisive rule fired,
// explanations count for nothing. Without withIncident only rules of own scope
// count.
func (p *Policy) tally(hits []fired, withIncident bool) (score, explained int, reasons []Reason) {
	decisive := false
	for _, h := range hits {
		if h.rule.decisive && (withIncident || !h.rule.incident) {
			decisive = true
		}
	}
	up, down := map[string]int{}, map[string]int{}
	reasons = make([]Reason, 0, len(hits))
	for _, h := range hits {
		if h.rule.incident && !withIncident {
			continue
		}
		src, points := h.rule.source, 0
		switch {
		case h.points > 0:
			points = min(h.points, p.caps[src].max-up[src])
			up[src] += points
		case h.points < 0 && !decisive:
			points = -min(-h.points, -p.caps[src].min-down[src], p.explained-explained)
			down[src] -= points
			explained -= points
		}
		score += points
		reasons = append(reasons, Reason{
			ID: h.rule.id, Title: h.rule.title, Points: points, Source: src,
			Evidence: h.evidence, Incident: h.rule.incident,
		})
	}
	slices.SortStableFunc(reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(magnitude(b.Points), magnitude(a.Points)), cmp.Compare(b.Points, a.Points), cmp.Compare(a.ID, b.ID))
	})
	return max(0, min(100, score)), explained, reasons
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
	f := p.facts(s)
	c := p.conclude(f)
	tactics, techniques := s.attack(c.techniques)
	a := Assessment{
		Verdict: c.verdict, Score: c.score, OwnScore: c.ownScore, Priority: c.priority,
		Reasons: c.reasons, NextAction: c.action, Reading: s.reading,
		Parent: s.tree.Parent, Child: s.tree.Child,
		Tactics: tactics, Techniques: techniques, AttackVersion: s.attackVersion(),
		Exposure: s.exposure, ConfigRisks: s.risks, Signals: s.signals,
		Indicators: s.indicators(), Unchecked: s.unchecked(c.failed), PolicyID: p.id,
	}
	a.Summary = s.summary(&a)
	a.Plan = s.plan(&a)
	return a
}

// answered reports whether a source gave a whole answer.
func answered(s evidence.State) bool { return s == evidence.OK || s == evidence.Empty }
