package marks

import (
	"slices"
	"strconv"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// maxReasons is long enough for assess.MaxPoints own reasons and those of an
// incident, the longest ids included, so that no own reason is ever cut.
const maxReasons = MaxValue

// Standing reads out of the finding's marks what it said by itself when they
// were written. Reasons whose ids are incident rules (Policy.IncidentRules) are
// the incident's, not its own. It is false when the marks are not ours, of
// another schema, of another event than the finding's, or without own score.
func Standing(prefix string, f *finding.Finding, incidentRules map[string]bool) (assess.Standing, bool) {
	k := Read(prefix, f.Marks)
	if k.Schema != Schema || k.EventTime.IsZero() || !k.EventTime.Equal(f.EventTime) {
		return assess.Standing{}, false
	}
	ours := pick(prefix, f.Marks)
	word := func(name string) string { return lower(ours[name].value) }
	score, err := strconv.Atoi(word("own_score"))
	if err != nil || score < 0 || score > 100 {
		return assess.Standing{}, false
	}
	st := assess.Standing{
		OwnScore: score, Points: ownPoints(word("reasons"), incidentRules), Sources: map[string]evidence.State{},
		Exposure: exposure(word("exposure")), Privileged: assess.Privileged(strings.Split(word("config_risks"), ",")),
	}
	for name, state := range k.Sources {
		st.Sources[name] = evidence.State(state)
	}
	return st, true
}

// ownPoints reads "vt_malicious(+50),fresh_deploy(-10)". What cannot be read is
// left out.
func ownPoints(reasons string, incidentRules map[string]bool) map[string]int {
	out := map[string]int{}
	for part := range strings.SplitSeq(reasons, ",") {
		id, rest, _ := strings.Cut(strings.TrimSpace(part), "(")
		n, err := strconv.Atoi(strings.TrimSuffix(rest, ")"))
		if id == "" || err != nil || n == 0 || n < -100 || n > 100 || incidentRules[id] {
			continue
		}
		if len(out) < assess.MaxPoints {
			out[id] = n
		}
	}
	return out
}

// exposure is unknown unless the mark says one of the closed set.
func exposure(word string) assess.Exposure {
	e := assess.Exposure(word)
	if slices.Contains([]assess.Exposure{assess.Public, assess.Authenticated, assess.Internal, assess.ExposureNotApplicable}, e) {
		return e
	}
	return assess.ExposureUnknown
}
