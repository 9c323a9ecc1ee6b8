package assess

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The bounds of a summary, in bytes.
const (
	maxSummary     = 600
	maxSummaryName = 40
	// maxPrincipal is that of an e-mail address, of which a part names nobody.
	maxPrincipal = 128
)

// summary says in a few sentences who did what where, why it matters, what else
// happened in the incident, and what to do next. Names in it may come from an attacker: they are cut and
// made of printable characters; arguments are not in it at all.
func (s *subject) summary(a *Assessment) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d/100): %s%s.", title(string(a.Verdict)), a.Score, s.what(), s.where())
	if s.cfg.Gone {
		b.WriteString(" The " + s.noun() + " no longer exists.")
	}
	if why := s.why(a); why != "" {
		b.WriteString(" " + why + ".")
	}
	if way := s.wayIn(); way != "" {
		b.WriteString(" " + way + ".")
	}
	if open := s.openPoints(); open != "" {
		b.WriteString(" Not checked: " + open + ".")
	}
	if s.logsInvisible() {
		b.WriteString(" No logs visible.")
	}
	next := " Next: " + nextWords(a.NextAction, s) + "."
	if a.Story != "" {
		next = " " + a.Story + next
	}
	text := b.String()
	if len(text)+len(next) > maxSummary {
		text = cut(text, maxSummary-len(next)-len("…")) + "…"
	}
	return text + next
}

// title is a verdict in words: "Likely malicious".
func title(v string) string {
	v = strings.ReplaceAll(v, "_", " ")
	if v == "" {
		return ""
	}
	return strings.ToUpper(v[:1]) + v[1:]
}

// what says who did what, in the words of the strongest behaviour, which is
// said of the process that showed it.
func (s *subject) what() string {
	child, parent := plain(displayName(s.tree.Child)), plain(displayName(s.tree.Parent))
	words, by := s.strongest()
	switch {
	case child == "" && s.controlPlane() && s.f.Access.Principal != "":
		who := principal(s.f.Access.Principal) + " called " + plain(lastSegment(s.f.Access.MethodName))
		if words != "" {
			who += "; the configured command " + words
		}
		return who
	case child == "":
		if words != "" {
			return plainCategory(s.f.Category) + "; the configured command " + words
		}
		return plainCategory(s.f.Category)
	}
	who := child + " ran"
	if parent != "" {
		who = parent + " started " + child
	}
	switch {
	case words == "":
		return who
	case by == s.tree.Child && parent == "":
		return child + " " + words
	case by == s.tree.Child:
		return who + ", which " + words
	case by == s.tree.Parent:
		return parent + ", which " + words + ", started " + child
	}
	return who + "; " + plain(displayName(by)) + " " + words
}

// strongest is the strongest behaviour in words, and the process it was read from.
func (s *subject) strongest() (words string, by *finding.Process) {
	for _, h := range s.reading.Hits {
		if h.Behavior == command.ShellWrapper {
			continue
		}
		if words = strings.TrimSuffix(h.Behavior.Sentence(), "."); words != "" {
			return lowerFirst(words), s.hitBy[h.Behavior]
		}
	}
	return "", nil
}

// graveCategory is the weight from which a category is a reason in itself.
const graveCategory = 40

// shortCategory is a category without its tactic.
func shortCategory(category string) string {
	if _, name, ok := strings.Cut(category, ": "); ok {
		return name
	}
	return category
}

// plainCategory names the finding where no process does.
func plainCategory(category string) string {
	if category == "" {
		return "a finding without category"
	}
	return `"` + cut(printable(category), 80) + `"`
}

// where says which workload is affected and who can reach it.
func (s *subject) where() string {
	w := s.f.Workload
	if w.IsZero() {
		return ""
	}
	kind := strings.ReplaceAll(string(w.Kind), "_", " ")
	switch s.exposure {
	case Public:
		kind = "the public " + kind
	case Internal:
		kind = "the internal " + kind
	}
	return " in " + kind + " " + plain(w.Name) + " (" + plain(w.Project) + ", " + plain(w.Location) + ")"
}

// why names the strongest reasons in words: those against the finding, or for
// a benign verdict those that explain it.
func (s *subject) why(a *Assessment) string {
	var words []string
	for _, r := range a.Reasons {
		against := r.Points > 0
		if against == (a.Verdict == LikelyBenign) || r.Points == 0 || len(words) == 3 {
			continue
		}
		switch {
		case r.ID == "category" && r.Points >= graveCategory:
			words = append(words, "Google reports "+plainCategory(shortCategory(s.f.Category)))
		case r.ID == "category" || strings.HasPrefix(r.ID, "severity_"):
			continue
		case r.Source == "virustotal":
			words = append(words, "VirusTotal: "+defangedText(cut(r.Evidence, 90)))
		default:
			words = append(words, lowerFirst(r.Title))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "Why: " + strings.Join(words, ", ")
}

// noun is the kind of workload in words.
func (s *subject) noun() string {
	if s.f.Workload.Kind == "" {
		return "workload"
	}
	return strings.ReplaceAll(string(s.f.Workload.Kind), "_", " ")
}

// logsInvisible reports whether the logs answered with nothing at all, which
// says nothing about what happened.
func (s *subject) logsInvisible() bool {
	return answered(s.ev.LogsState.State) && !s.ev.Logs.Visible
}

// openPoints names the sources that gave no whole answer.
func (s *subject) openPoints() string {
	names := map[string]string{"findings": "related findings", "config": "configuration", "virustotal": "VirusTotal"}
	var out []string
	for _, u := range s.unanswered() {
		if u == sourceLogs && s.logsInvisible() {
			continue // they did answer
		}
		if n, ok := names[u]; ok {
			u = n
		}
		out = append(out, u)
	}
	return strings.Join(out, ", ")
}

// nextWords says the next action in words.
func nextWords(a Action, s *subject) string {
	switch a {
	case ContainNow:
		if s.cfg.Gone {
			return "save the logs, then find out how far it spread; nothing is left to stop"
		}
		if s.f.Workload.Kind == finding.Job {
			return "save the evidence, then cancel the execution"
		}
		return "save the evidence, then contain the workload"
	case VerifyWithOwner:
		if by := s.asker(); by != "" {
			return "ask " + by + " whether this was meant"
		}
		return "ask the owner whether this was meant"
	case CloseAsExpected:
		return "close as expected behaviour"
	case WaitForEvidence:
		return "wait for the missing sources, they are asked again"
	default:
		return "investigate; the plan has the commands"
	}
}

// plain makes a name that is safe to show: printable and short.
func plain(name string) string { return cut(printable(name), maxSummaryName) }

// principal makes an e-mail address that is safe to show.
func principal(name string) string { return cut(printable(name), maxPrincipal) }

// printable replaces what does not print, and quotes and brackets that could
// be taken for the sentence's own or for markup.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '<' || r == '>' || r == '`' || r == '"' || r == '[' || r == ']' || r == unicode.ReplacementChar:
			return '_'
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, s))
}

// defangedText is printable, with the brackets that make an address harmless.
func defangedText(s string) string {
	parts := strings.Split(s, "[.]")
	for i := range parts {
		parts[i] = printable(parts[i])
	}
	return strings.Join(parts, "[.]")
}

func lowerFirst(s string) string {
	if len(s) < 2 || s[1] >= 'A' && s[1] <= 'Z' || strings.HasPrefix(s, "VirusTotal") || strings.HasPrefix(s, "Binary Auth") {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
