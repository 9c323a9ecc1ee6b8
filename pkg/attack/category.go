package attack

import "strings"

// findingPages is where Google documents each threat finding.
const findingPages = "https://cloud.google.com/security-command-center/docs/findings/threats/"

// detectorByKey finds a detector by its folded category or module name. It is
// built once and only read.
var detectorByKey = indexDetectors()

func indexDetectors() map[string]*detector {
	m := make(map[string]*detector, 2*len(detectorTable))
	for i := range detectorTable {
		d := &detectorTable[i]
		m[fold(d.category)] = d
		m[fold(d.module)] = d
	}
	return m
}

// Normalize folds a category so that its spellings compare equal: case, runs
// of spaces and punctuation, the words that Google's own pages spell in two
// ways ("crypto mining", "cryptocurrency mining"), and a detector's module name
// in place of its display name. The result is lower-case words separated by
// single spaces, for comparing only.
func Normalize(category string) string {
	key := fold(category)
	if d, ok := detectorByKey[key]; ok {
		return fold(d.category)
	}
	return key
}

// ForCategory returns the tactic and technique ids a finding category stands
// for, in the order of the kill chain and by id. An unknown category with a
// tactic's name before its colon ("Command and Control: Something New") yields
// that tactic. It returns false when nothing can be said. The caller owns the slices.
func ForCategory(category string) (tactics, techniques []string, ok bool) {
	if d := lookup(category); d != nil {
		return strings.Fields(d.tactics), strings.Fields(d.techniques), true
	}
	if id := prefixTactic(category); id != "" {
		return []string{id}, nil, true
	}
	return nil, nil, false
}

// Runtime reports whether the category is a known runtime detector, which
// reports processes. It is false for an unknown category.
func Runtime(category string) bool {
	d := lookup(category)
	return d != nil && d.kind == runtimeDetector
}

// ControlPlane reports whether the category is a known control-plane detector,
// which reports an API call and no processes. It is false for an unknown category.
func ControlPlane(category string) bool {
	d := lookup(category)
	return d != nil && d.kind == controlPlaneDetector
}

// FindingPage returns Google's page about findings of the category, or "" when
// its address is not known.
func FindingPage(category string) string {
	d := lookup(category)
	if d == nil || d.slug == "" {
		return ""
	}
	return findingPages + d.slug
}

func lookup(category string) *detector { return detectorByKey[fold(category)] }

// prefixTactic reads the tactic from "Tactic: name".
func prefixTactic(category string) string {
	prefix, _, found := strings.Cut(category, ":")
	if !found {
		return ""
	}
	p := fold(prefix)
	for i := range tacticTable {
		if fold(tacticTable[i].name) == p {
			return tacticTable[i].id
		}
	}
	// Event Threat Detection's short forms.
	switch p {
	case "c2":
		return "TA0011"
	case "evasion", "defence evasion", "impair defenses":
		return "TA0005"
	case "brute force", "leaked credentials":
		return "TA0006"
	}
	return ""
}

// fold lower-cases s, turns every run of other characters than letters and
// digits into one space, and settles words with two spellings.
func fold(s string) string {
	const most = 512 // no category is longer; more is not one
	if len(s) > most {
		s = s[:most]
	}
	var b strings.Builder
	b.Grow(len(s))
	gap := false
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f {
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(r)
			continue
		}
		gap = true
	}
	return strings.Replace(b.String(), "crypto mining", "cryptocurrency mining", 1)
}
