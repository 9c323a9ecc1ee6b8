package marks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// maxNamed bounds an indicator that the mark names, in bytes: a longer one is
// named by its kind alone.
const maxNamed = 160

// reputations is all that VirusTotal answered about one finding, summed up.
type reputations struct {
	// worst is the answer that says most, nil when there is none.
	worst *record.Reputation
	// malicious and suspicious count these answers, the worst not among them.
	malicious, suspicious int
	unanswered, total     int
}

// reputation picks the answer that says most. A bad answer about anything comes
// first, and of two equally bad ones that about a file; an unknown file says
// more than a clean one, and a file that is not bad more than an indicator that
// is not.
func reputation(all []record.Reputation) reputations {
	rank := func(r *record.Reputation) int {
		file := r.Kind == "file" || r.Kind == ""
		switch {
		case r.Verdict == "malicious" && file:
			return 8
		case r.Verdict == "malicious":
			return 7
		case r.Verdict == "suspicious" && file:
			return 6
		case r.Verdict == "suspicious":
			return 5
		case r.Verdict == "not_found" && file:
			return 4
		case r.Verdict == "clean" && file:
			return 3
		case r.Verdict == "not_found":
			return 2
		case r.Verdict == "clean":
			return 1
		}
		return 0
	}
	out := reputations{total: len(all)}
	for i := range all {
		r := &all[i]
		switch rank(r) {
		case 0:
			out.unanswered++
			continue
		case 8, 7:
			out.malicious++
		case 6, 5:
			out.suspicious++
		}
		if w := out.worst; w == nil || cmp.Or(cmp.Compare(rank(r), rank(w)), cmp.Compare(r.Malicious+r.Suspicious, w.Malicious+w.Suspicious)) > 0 {
			out.worst = r
		}
	}
	if out.worst != nil {
		switch out.worst.Verdict {
		case "malicious":
			out.malicious--
		case "suspicious":
			out.suspicious--
		}
	}
	return out
}

// String says it in words: the worst answer, what it is about unless a file,
// how many more are bad, and, wherever it could be taken for clean, how many
// were not answered.
func (v reputations) String() string {
	r := v.worst
	s := r.Verdict
	switch s {
	case "not_found":
	case "suspicious":
		s += fmt.Sprintf(" %d/%d", r.Malicious+r.Suspicious, r.Engines)
	default:
		s += fmt.Sprintf(" %d/%d", r.Malicious, r.Engines)
	}
	if l := label(r.Label); l != "" && r.Verdict != "not_found" {
		s += " " + l
	}
	if slices.Contains([]string{"ip", "domain", "url"}, r.Kind) {
		s += " " + r.Kind
		if len(r.Value) <= maxNamed {
			s += " " + strings.ReplaceAll(r.Value, ",", "%2C")
		}
	}
	if v.malicious > 0 {
		s += fmt.Sprintf(", %d more malicious", v.malicious)
	}
	if v.suspicious > 0 {
		s += fmt.Sprintf(", %d more suspicious", v.suspicious)
	}
	if v.unanswered > 0 && (r.Verdict == "clean" || r.Verdict == "not_found") {
		s += fmt.Sprintf(", %d of %d not checked", v.unanswered, v.total)
	}
	return s
}
