package assess

import (
	"slices"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// The bounds within which the reasons of a finding survive in its marks.
const (
	// MaxPoints is the number of reasons in a Standing: the strongest.
	MaxPoints = 40
	// maxIncidentRules bounds the rules of incident scope in a policy.
	maxIncidentRules = 16
)

// The sources of evidence, as in Standing.Sources and the mark "sources".
const (
	sourceFindings   = "findings"
	sourceLogs       = "logs"
	sourceConfig     = "config"
	sourceVirusTotal = "virustotal"
)

// Standing is what one finding says by itself, whatever its company, reduced
// to what its marks keep: members of an incident know of each other's evidence
// only this.
type Standing struct {
	// OwnScore is 0 to 100, the finding alone.
	OwnScore int
	// Points are the points of its rules of own scope by rule id: the strongest
	// MaxPoints that are not zero.
	Points map[string]int
	// Sources are the states of findings, logs, config and virustotal. A source
	// that is not there has not answered.
	Sources map[string]evidence.State
	// Exposure is who can reach the workload, as far as it was known.
	Exposure Exposure
	// Privileged is true when the workload was seen to run as the default
	// service account or to have secrets within reach.
	Privileged bool
}

// Own returns what the finding of the input says by itself; incident and
// standings of the input do not count. Without evidence it is an estimate: what
// the finding says before any source has been asked.
func (p *Policy) Own(in Input) Standing {
	in.Incident, in.Standings = incident.Incident{}, nil
	s := newSubject(in)
	own := p.own(p.facts(s))
	return s.standing(&own)
}

// IncidentRules returns the ids of the rules of incident scope: reasons that
// are not a finding's own.
func (p *Policy) IncidentRules() map[string]bool {
	out := make(map[string]bool)
	for i := range p.rules {
		if p.rules[i].incident {
			out[p.rules[i].id] = true
		}
	}
	return out
}

// Privileged reports whether configuration risks say that the process is worth
// more to an attacker than the workload itself: it runs as the default service
// account or can read secrets.
func Privileged(risks []string) bool {
	return slices.Contains(risks, RiskDefaultServiceAccount) || slices.Contains(risks, RiskSecretsMounted)
}

// standing reduces the subject and its own part to what marks give back.
func (s *subject) standing(own *part) Standing {
	st := Standing{
		OwnScore: own.score(), Points: make(map[string]int, len(own.reasons)),
		Sources: make(map[string]evidence.State, 4), Exposure: s.exposure, Privileged: Privileged(s.risks),
	}
	for _, r := range own.reasons {
		if r.Points != 0 && len(st.Points) < MaxPoints {
			st.Points[r.ID] = r.Points
		}
	}
	for name, status := range map[string]evidence.Status{
		sourceFindings: s.ev.FindingsState, sourceLogs: s.ev.LogsState,
		sourceConfig: s.ev.ConfigState, sourceVirusTotal: s.ev.VTState,
	} {
		if status.State == "" { // not asked; a mark says error
			status.State = evidence.Error
		}
		st.Sources[name] = status.State
	}
	return st
}

// explained are the points that explanations took off, positive.
func (st *Standing) explained() int {
	n := 0
	for _, points := range st.Points {
		if points < 0 {
			n -= points
		}
	}
	return n
}

// describe makes s as much of a member as its standing and its finding give
// back: enough to say which sources are open. The command line is not read. The
// configuration of s is empty and stays so.
func (st *Standing) describe(s *subject, f *finding.Finding) {
	status := func(name string) evidence.Status { return evidence.Status{State: st.Sources[name]} }
	ev := s.ev
	*ev = evidence.Evidence{
		FindingsState: status(sourceFindings), LogsState: status(sourceLogs),
		ConfigState: status(sourceConfig), VTState: status(sourceVirusTotal),
	}
	*s = subject{f: f, cfg: s.cfg, tree: f.Tree(), exposure: st.Exposure, ev: ev}
	// Logs that were asked for and are empty are logs that cannot be seen.
	s.ev.Logs.Visible = s.ev.LogsState.State == evidence.OK
	if child := s.tree.Child; child != nil {
		s.reading.Truncated = child.ArgsTruncated
		if child.Binary != nil && !isOrdinary(child.Binary) && answered(s.ev.VTState.State) {
			for _, a := range evidence.Artifacts(f) { // a whole answer covers all of them
				s.ev.Reputations = append(s.ev.Reputations, evidence.Reputation{Artifact: a, State: evidence.OK, Verdict: evidence.VerdictNotFound})
			}
		}
	}
}

// members are all findings of the incident, the seed first, with what each says
// by itself. A member whose standing is not known is estimated.
func (p *Policy) members(s *subject, own *part) ([]Standing, []*finding.Finding) {
	standings, findings := []Standing{s.standing(own)}, []*finding.Finding{s.f}
	for _, m := range s.inc.Members {
		if m.Seed || m.Finding == nil {
			continue
		}
		st, ok := s.standings[m.Finding.StableName()]
		if !ok {
			st = p.Own(Input{Finding: m.Finding})
		}
		standings, findings = append(standings, st), append(findings, m.Finding)
	}
	return standings, findings
}
