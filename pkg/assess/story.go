package assess

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The bounds of a story.
const (
	maxStoryEvents = 6
	maxStoryName   = 32 // bytes of one category
	storyStart     = "Incident of "
)

// story says what happened when in the incident, in order of event time, UTC:
// "Incident of 3: shell at 10:02, malicious URL 10:03, reverse shell 10:05."
// It does not depend on which member asks, and says how many of them are muted:
// "Incident of 3, 1 of them muted: …". Alone there is none.
func (s *subject) story() string {
	members := []*finding.Finding{s.f}
	for _, m := range s.inc.Members {
		if !m.Seed && m.Finding != nil {
			members = append(members, m.Finding)
		}
	}
	if len(members) == 1 {
		return ""
	}
	slices.SortFunc(members, func(a, b *finding.Finding) int {
		return cmp.Or(a.EventTime.Compare(b.EventTime), cmp.Compare(a.StableName(), b.StableName()), cmp.Compare(a.Category, b.Category))
	})
	muted := 0
	for _, m := range members {
		if m.Muted() {
			muted++
		}
	}
	var events []string
	for i, m := range members[:min(len(members), maxStoryEvents)] {
		at := " "
		if i == 0 {
			at = " at "
		}
		events = append(events, shortName(m.Category)+at+clock(m.EventTime))
	}
	more := ""
	if n := len(members) - len(events); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	asleep := ""
	if muted > 0 {
		asleep = fmt.Sprintf(", %d of them muted", muted)
	}
	return fmt.Sprintf("%s%d%s: %s%s.", storyStart, len(members), asleep, strings.Join(events, ", "), more)
}

// clock is the time of day; an unknown one has none.
func clock(t time.Time) string {
	if t.IsZero() {
		return "unknown time"
	}
	return t.UTC().Format("15:04")
}

// shortName is a category in few words, lower-case but for names in capitals:
// "Malicious URL Observed" is "malicious URL".
func shortName(category string) string {
	name, _, _ := strings.Cut(shortCategory(printable(category)), "(")
	var words []string
	for _, w := range strings.Fields(name) {
		if !isShout(w) {
			w = strings.ToLower(w)
		}
		words = append(words, w)
	}
	if len(words) > 2 && words[0] == "unexpected" && words[1] == "child" {
		words = words[2:]
	}
	for n := len(words); n > 1; n-- {
		switch words[n-1] {
		case "observed", "detected", "executed", "loaded":
			words = words[:n-1]
			continue
		}
		break
	}
	if name = cut(strings.Join(words, " "), maxStoryName); name == "" {
		return "finding"
	}
	return strings.TrimSpace(name)
}

// isShout reports whether a word holds two capitals: URL, OpenSSL, CVE-2024-1.
func isShout(w string) bool {
	n := 0
	for _, r := range w {
		if unicode.IsUpper(r) {
			n++
		}
	}
	return n > 1 && !strings.Contains(w, "_")
}
