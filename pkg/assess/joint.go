package assess

import (
	"slices"

	"github.com/scc-enricher/scc-enricher/pkg/attack"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Joint is what the members of an incident say together: the same for each.
type Joint struct {
	// Score is 0 to 100.
	Score   int
	Verdict Verdict
	// Priority is p1 to p4.
	Priority string
	Action   Action
}

// Joint draws the conclusion of a whole incident from what each of its members
// says by itself, members[i] of findings[i], in any order. Assess concludes the
// same for each member whose input holds these standings.
func (p *Policy) Joint(members []Standing, findings []*finding.Finding) Joint {
	n := min(len(members), len(findings))
	return p.joint(p.incidentFacts(members[:n], findings[:n]), members[:n], findings[:n])
}

// incidentFacts are the facts that rules of incident scope see. A finding that
// stands alone leaves them at zero.
func (p *Policy) incidentFacts(members []Standing, findings []*finding.Finding) *facts {
	f := newFacts(p.lang.index, p.lang.zeros)
	if len(members) < 2 {
		return f
	}
	var categories, tactics []string
	strongest, category := -1, ""
	seen := make(map[string]bool, len(members))
	for i := range members {
		m := orEmpty(findings[i])
		if score := members[i].OwnScore; score > strongest || score == strongest && m.Category < category {
			strongest, category = score, m.Category
		}
		if m.Category != "" && !seen[m.Category] {
			seen[m.Category] = true
			categories = append(categories, m.Category)
		}
		theirs, _ := sccAttack(m)
		for _, t := range theirs {
			if !slices.Contains(tactics, t) {
				tactics = append(tactics, t)
			}
		}
	}
	slices.Sort(categories)
	f.int("incident.others", len(members)-1)
	f.list("incident.categories", categories)
	f.list("incident.tactics", attack.SortTactics(tactics))
	f.int("incident.strongest_score", strongest)
	f.text("incident.strongest_category", category)
	return f
}

// joint decides for all members at once. The facts are those of incidentFacts.
func (p *Policy) joint(f *facts, members []Standing, findings []*finding.Finding) Joint {
	strongest, weight, explained, privileged, retry := 0, 0, -1, false, false
	severity, exposure := "", ExposureUnknown
	open, fired := map[string]bool{}, map[string]bool{}
	s := &subject{cfg: &evidence.Config{}, ev: &evidence.Evidence{}} // of one member after the other
	for i := range members {
		st, m := &members[i], orEmpty(findings[i])
		strongest = max(strongest, clamp(st.OwnScore))
		if e := st.explained(); explained < 0 || e < explained {
			explained = e
		}
		if m.Category != "" {
			weight = max(weight, p.weight(m.Category))
		}
		privileged = privileged || st.Privileged
		severity = graverSeverity(severity, string(m.Severity))
		if exposureRank(st.Exposure) > exposureRank(exposure) {
			exposure = st.Exposure
		}
		for id := range st.Points {
			fired[id] = true
		}
		st.describe(s, m)
		retry = retry || s.retry()
		for _, name := range s.unanswered() {
			open[name] = true
		}
	}
	var extra part
	if len(members) > 1 {
		extra = p.extra(f, strongest)
	}
	for _, r := range extra.reasons {
		fired[r.ID] = true
	}
	if extra.decisive {
		explained = 0
	}
	if len(extra.failed) > 0 {
		open["policy"] = true
	}
	f.int("own_score", strongest)
	f.int("explained_points", max(0, explained))
	f.text("severity", severity)
	f.text("config.exposure", string(exposure))
	f.bool("privileged", privileged)
	f.bool("retry", retry)
	p.reasons(f, fired)
	f.bool("decisive", extra.decisive || slices.ContainsFunc(p.rules, func(r rule) bool { return r.decisive && fired[r.id] }))
	f.int("finding.category_weight", weight)
	f.list("unanswered", inOrder(open))
	score := clamp(strongest + extra.sum)
	j := p.judge(f, score)
	if j.Verdict == LikelyBenign && !open["arguments"] && slices.ContainsFunc(findings, cutShort) {
		open["arguments"] = true
		f.list("unanswered", inOrder(open))
		j = p.judge(f, score)
	}
	return j
}

// judge tries verdicts, priorities and actions on facts that hold every other
// decision variable.
func (p *Policy) judge(f *facts, score int) Joint {
	f.int("score", score)
	f.text("verdict", "")
	j := Joint{Score: score, Verdict: Verdict(decide(p.verdicts, f, string(Unknown)))}
	f.text("verdict", string(j.Verdict))
	j.Priority = decide(p.priorities, f, "p4")
	j.Action = Action(decide(p.actions, f, string(Investigate)))
	return j
}

// reasons sets the ids of the rules that fired, those of this policy only.
// There are no more of them than rules, so that none is cut.
func (p *Policy) reasons(f *facts, fired map[string]bool) {
	ids := make([]string, 0, min(len(fired), len(p.rules)))
	for i := range p.rules {
		if fired[p.rules[i].id] {
			ids = append(ids, p.rules[i].id)
		}
	}
	slices.Sort(ids)
	f.set("reasons", wrapList(ids))
}

// inOrder lists the open sources in the order of subject.unanswered.
func inOrder(open map[string]bool) []string {
	var out []string
	for _, name := range []string{sourceFindings, sourceLogs, sourceConfig, sourceVirusTotal, "processes", "arguments", "policy"} {
		if open[name] {
			out = append(out, name)
		}
	}
	return out
}

// cutShort reports whether the child's command line could not be read to its end.
func cutShort(f *finding.Finding) bool {
	child := orEmpty(f).Tree().Child
	return child != nil && readProcess(child).Truncated
}

func orEmpty(f *finding.Finding) *finding.Finding {
	if f == nil {
		return &finding.Finding{}
	}
	return f
}

// graverSeverity is the graver of two severities; of two unknown ones the later by name.
func graverSeverity(a, b string) string {
	rank := func(s string) int {
		return slices.Index([]string{string(finding.Low), string(finding.Medium), string(finding.High), string(finding.Critical)}, s)
	}
	switch ra, rb := rank(a), rank(b); {
	case ra > rb, ra == rb && a >= b:
		return a
	}
	return b
}

// exposureRank orders exposures by who can come in; what is not known is last.
func exposureRank(e Exposure) int {
	return slices.Index([]Exposure{ExposureNotApplicable, Internal, Authenticated, Public}, e)
}

func clamp(score int) int { return max(0, min(100, score)) }

// answered reports whether a source gave a whole answer.
func answered(s evidence.State) bool { return s == evidence.OK || s == evidence.Empty }
