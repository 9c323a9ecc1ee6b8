package assess

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// The bounds of a summary, in bytes.
const (
	maxSummary     = 600
	maxSummaryName = 40
	// maxPrincipal is that of an e-mail address, of which a part names nobody.
	maxPrincipal = 128
	// maxSummaryPath is that of a file or an image, whose end tells most.
	maxSummaryPath = 100
)

// summary says in a few sentences who did what where, why it matters, what else
// happened in the incident, and what to do next. Names in it may come from an attacker: they are cut and
// made of printable characters; arguments are not in it at all.
func (s *subject) summary(a *Assessment) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d/100): %s%s.", title(string(a.Verdict)), a.Score, s.what(a.Verdict), s.where())
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
	return fit(b.String(), next)
}

// Retell brings a summary up to date whose evidence cannot be had again: what
// the finding says by itself stays as it is, verdict, story and next action are
// those of the incident. before is the action that the summary ends with.
func Retell(old string, before Action, f *finding.Finding, inc incident.Incident, j Joint) string {
	s := newSubject(Input{Finding: f, Incident: inc})
	next := " Next: " + nextWords(j.Action, s) + "."
	if i := strings.LastIndex(old, " Next: "); i >= 0 {
		if j.Action == before {
			next = old[i:]
		}
		old = old[:i]
	}
	if i := strings.LastIndex(old, " "+storyStart); i >= 0 {
		old = old[:i]
	}
	if _, rest, ok := strings.Cut(old, "/100): "); ok {
		old = rest
	}
	if story := s.story(); story != "" {
		next = " " + story + next
	}
	return fit(fmt.Sprintf("%s (%d/100): %s", title(string(j.Verdict)), j.Score, old), next)
}

// fit joins the beginning and the end of a summary; the beginning is cut.
func fit(text, end string) string {
	if len(text)+len(end) > maxSummary {
		text = cut(text, maxSummary-len(end)-len("…")) + "…"
	}
	return text + end
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
func (s *subject) what(v Verdict) string {
	child, parent := plain(displayName(s.tree.Child)), plain(displayName(s.tree.Parent))
	words, by := s.strongest(v)
	switch {
	case child == "" && s.controlPlane() && s.f.Access.Principal != "":
		who := principal(s.f.Access.Principal) + " called " + plain(lastSegment(s.f.Access.MethodName)) + s.caller()
		if words != "" {
			who += "; " + s.commandRead() + " " + words
		} else if s.aboutImage() {
			who += ", with the image " + s.image() + ","
		}
		return who
	case child == "":
		if words != "" {
			return "Google reports " + plainCategory(s.f.Category) + "; " + s.commandRead() + " " + words
		}
		return "Google reports " + plainCategory(s.f.Category)
	}
	who := child + " ran"
	if parent != "" {
		who = parent + " started " + child
	}
	switch {
	case s.loaded() != "" && parent == "":
		return child + " loaded " + s.loaded()
	case s.loaded() != "":
		return who + ", which loaded " + s.loaded()
	case words == "" && s.aboutImage():
		return who + ", a part of the image " + s.image() + ","
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

// commandRead names the command that was read where no process was seen.
func (s *subject) commandRead() string {
	if s.cfg.OverriddenArgs {
		return "the execution's own command, not the job's,"
	}
	return "the configured command"
}

// namesCategory reports whether the category stands where the process would.
func (s *subject) namesCategory() bool {
	return s.tree.Child == nil && (!s.controlPlane() || s.f.Access.Principal == "")
}

// strongest is the strongest behaviour in words, and the process it was read
// from. What looks harmless is not said of what is not, and asking for a version
// only of what is nothing more.
func (s *subject) strongest(v Verdict) (words string, by *finding.Process) {
	for _, h := range s.reading.Hits {
		if h.Behavior == command.ShellWrapper || h.Class == command.Benign && (v == Malicious || v == LikelyMalicious) ||
			h.Behavior == command.VersionCheck && v != LikelyBenign {
			continue
		}
		if words = strings.TrimSuffix(h.Behavior.Sentence(), "."); words != "" {
			return lowerFirst(words), s.hitBy[h.Behavior]
		}
	}
	return "", nil
}

// loaded names the library that a detector of loaded libraries is about: the
// first that VirusTotal objects to, or the first of all.
func (s *subject) loaded() string {
	key := categoryKey(s.f.Category)
	if s.tree.Child == nil || !strings.Contains(key, "library") && !strings.Contains(key, "shared object") {
		return ""
	}
	name := ""
	for i := range s.tree.Child.Libraries {
		lib := &s.tree.Child.Libraries[i]
		if worst := s.worstFile(); name == "" || worst != nil && worst.Artifact.Value == lib.FullHash() {
			name = lib.Path
		}
	}
	return cut(printable(name), maxSummaryPath)
}

// aboutImage reports whether the detector speaks of the image itself.
func (s *subject) aboutImage() bool {
	key := categoryKey(s.f.Category)
	return s.image() != "" && (strings.Contains(key, "built in") || strings.Contains(key, "docker image"))
}

// image is the image of the affected container as it was configured, without its digest.
func (s *subject) image() string {
	image := ""
	if len(s.f.Containers) > 0 {
		image = s.f.Containers[0].URI
	}
	if s.main != nil && s.main.Image != "" {
		image = s.main.Image
	}
	image, _, _ = strings.Cut(image, "@")
	return cut(printable(image), maxSummaryPath)
}

// caller says from where an API was called: " from 203[.]0[.]113[.]7 (RO)".
func (s *subject) caller() string {
	ip, err := netip.ParseAddr(s.f.Access.CallerIP)
	if err != nil { // "private", "gce-internal-ip"
		return ""
	}
	from := " from " + command.Defang(ip.String())
	if region := plain(s.f.Access.Region); region != "" {
		from += " (" + region + ")"
	}
	return from
}

// graveCategory is the weight from which a category is a reason in itself.
const graveCategory = 35

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
	in := " in "
	if s.tree.Child == nil && s.controlPlane() && len(s.reading.Hits) == 0 {
		in = " on " // was the call
	}
	return in + kind + " " + plain(w.Name) + " (" + plain(w.Project) + ", " + plain(w.Location) + ")"
}

// maxWhy is how many reasons a summary names.
const maxWhy = 3

// why names the strongest reasons in words: those against the finding, or for
// a benign verdict those that explain it. A category that is no reason in itself
// is named where little else is.
func (s *subject) why(a *Assessment) string {
	var words []string
	telling, category := 0, ""
	for _, r := range a.Reasons {
		if against := r.Points > 0; against == (a.Verdict == LikelyBenign) || r.Points == 0 || len(words) == maxWhy {
			continue
		}
		switch {
		case r.ID == "category":
			if s.namesCategory() { // named already
				if s.f.Severity != "" {
					category = "Google rates it " + printable(string(s.f.Severity))
				}
				continue
			}
			category = "Google reports " + plainCategory(shortCategory(s.f.Category))
			if r.Points >= graveCategory {
				words = append(words, category)
				telling = maxWhy
			}
		case !s.said(r):
		case r.ID == "reverse_shell_remote":
			words = append(words, s.remoteEnd(r.Evidence))
			telling++
		case r.Source == "virustotal":
			words = append(words, "VirusTotal: "+defangedText(cut(r.Evidence, 90)))
			telling++
		default:
			words = append(words, lowerFirst(r.Title))
			if r.Source != sourceConfig {
				telling++
			}
		}
	}
	if category != "" && telling < 2 {
		words = append([]string{category}, words...)
	}
	if len(words) == 0 {
		return ""
	}
	return "Why: " + strings.Join(words[:min(len(words), maxWhy)], ", ")
}

// remoteEnd makes evidence that names the end of a redirected input safe to show.
func (s *subject) remoteEnd(text string) string {
	text = cut(text, maxSummaryPath)
	if r := s.f.ReverseShell; r != nil && r.DestinationIP != "" {
		text = strings.ReplaceAll(text, r.DestinationIP, command.Defang(r.DestinationIP))
	}
	return defangedText(text)
}

// said reports whether a reason tells a reader something that no other one does.
func (s *subject) said(r Reason) bool {
	switch r.ID {
	case "surely_hostile", "unusual_use": // of a behaviour that is named
		return false
	case "exposure_public": // it is named with the workload
		return false
	}
	return !strings.HasPrefix(r.ID, "severity_")
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
		if u == "VirusTotal" && s.ev.VTState.State == evidence.NotApplicable {
			u += " (no whole file hash)"
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
		colons := strings.Split(parts[i], "[:]")
		for j := range colons {
			colons[j] = printable(colons[j])
		}
		parts[i] = strings.Join(colons, "[:]")
	}
	return strings.Join(parts, "[.]")
}

func lowerFirst(s string) string {
	if len(s) < 2 || s[1] >= 'A' && s[1] <= 'Z' || strings.HasPrefix(s, "VirusTotal") || strings.HasPrefix(s, "Binary Auth") {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
