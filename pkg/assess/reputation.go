package assess

import (
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// reputationFacts says what VirusTotal knows: of the worst file, of the child's
// own binary, and of the worst address. Only answers count.
func reputationFacts(f *facts, s *subject) {
	f.text("virustotal.state", string(s.ev.VTState.State))
	worst := s.worstFile()
	if worst != nil {
		f.text("virustotal.verdict", string(worst.Verdict))
		f.int("virustotal.malicious", worst.Malicious)
		f.int("virustotal.suspicious", worst.Suspicious)
		f.int("virustotal.engines", worst.Engines)
		f.text("virustotal.label", threatLabel(worst.Label))
		f.text("virustotal.path", fileName(worst))
	}
	if r := s.binaryReputation(); r != nil {
		f.text("virustotal.binary", string(r.Verdict))
	}
	indicatorFacts(f, s)
}

// indicatorFacts says what VirusTotal knows of addresses, domains and URLs:
// the worst by name, the other bad ones by number.
func indicatorFacts(f *facts, s *subject) {
	bad, suspicious := s.worstIndicator(evidence.VerdictMalicious), s.worstIndicator(evidence.VerdictSuspicious)
	if bad != nil {
		f.text("virustotal.indicator", describeIndicator(bad))
		f.int("virustotal.indicator_engines", bad.Malicious)
	}
	if suspicious != nil {
		f.text("virustotal.suspicious_indicator", describeIndicator(suspicious))
	}
	others := -1
	for i := range s.ev.Reputations {
		if r := &s.ev.Reputations[i]; r.Artifact.Kind != "file" && answered(r.State) && r.Verdict == evidence.VerdictMalicious {
			others++
		}
	}
	f.int("virustotal.other_indicators", max(0, others))
}

// maxIndicatorText bounds an indicator that evidence names, in bytes.
const maxIndicatorText = 120

// describeIndicator names an indicator, harmless to click, with what else is
// known of it: "hxxp://evil[.]org/x (trojan.mirai, first seen 2026-03-01)".
func describeIndicator(r *evidence.Reputation) string {
	text := command.Defang(cut(printable(r.Artifact.Value), maxIndicatorText))
	var more []string
	if l := threatLabel(r.Label); l != "" {
		more = append(more, l)
	}
	if !r.FirstSeen.IsZero() {
		more = append(more, "first seen "+r.FirstSeen.UTC().Format(time.DateOnly))
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}

// threatLabel keeps of a label its beginning, as far as it is made of what
// labels are made of, so that none reads as words of the evidence or as a link.
// What follows is not joined on: a secret would no longer look like one.
func threatLabel(label string) string {
	label, _, _ = strings.Cut(label, "://")
	if i := strings.IndexFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._/:-", r)
	}); i >= 0 {
		label = label[:i]
	}
	return cut(label, 64)
}

// fileName is how evidence names a file: its path, else its hash.
func fileName(r *evidence.Reputation) string {
	if r.Artifact.Path != "" {
		return r.Artifact.Path
	}
	return r.Artifact.Value
}

// gravity orders verdicts: what is unknown is graver than what is clean.
func gravity(v evidence.Verdict) int {
	switch v {
	case evidence.VerdictMalicious:
		return 4
	case evidence.VerdictSuspicious:
		return 3
	case evidence.VerdictNotFound:
		return 2
	case evidence.VerdictClean:
		return 1
	}
	return 0
}

// graver orders answers, so that the worst does not depend on their order.
func graver(a, b *evidence.Reputation) bool {
	switch {
	case b == nil:
		return true
	case gravity(a.Verdict) != gravity(b.Verdict):
		return gravity(a.Verdict) > gravity(b.Verdict)
	case a.Malicious != b.Malicious:
		return a.Malicious > b.Malicious
	case a.Suspicious != b.Suspicious:
		return a.Suspicious > b.Suspicious
	}
	return a.Artifact.Value < b.Artifact.Value
}

// worst returns the gravest answer among those that ok admits, or nil.
func (s *subject) worst(ok func(*evidence.Reputation) bool) *evidence.Reputation {
	var out *evidence.Reputation
	for i := range s.ev.Reputations {
		r := &s.ev.Reputations[i]
		if answered(r.State) && r.Verdict != "" && ok(r) && graver(r, out) {
			out = r
		}
	}
	return out
}

func (s *subject) worstFile() *evidence.Reputation {
	return s.worst(func(r *evidence.Reputation) bool { return r.Artifact.Kind == "file" })
}

func (s *subject) worstIndicator(v evidence.Verdict) *evidence.Reputation {
	return s.worst(func(r *evidence.Reputation) bool { return r.Artifact.Kind != "file" && r.Verdict == v })
}

// binaryReputation is the answer for the child's own binary; nil when there is
// none, or when the binary is an ordinary shell or interpreter, about which a
// clean answer says nothing.
func (s *subject) binaryReputation() *evidence.Reputation {
	child := s.tree.Child
	if child == nil || child.Binary == nil || isOrdinary(child.Binary) {
		return nil
	}
	hash := child.Binary.FullHash()
	if hash == "" {
		return nil
	}
	return s.worst(func(r *evidence.Reputation) bool { return r.Artifact.Kind == "file" && r.Artifact.Value == hash })
}

// isOrdinary reports whether a binary is a shell or interpreter where the
// system keeps them.
func isOrdinary(f *finding.File) bool {
	if f == nil {
		return false
	}
	dir := f.Path[:strings.LastIndexByte(f.Path, '/')+1]
	switch dir {
	case "/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/":
	default:
		return false
	}
	name := strings.TrimRight(baseName(f.Path), "0123456789.")
	if shellName(f.Path) {
		return true
	}
	switch name {
	case "python", "perl", "ruby", "node", "nodejs", "php", "java", "env", "lua":
		return true
	}
	return false
}

// onlyOrdinary reports whether the child is an ordinary shell or interpreter
// without libraries or files of its own, so that VirusTotal's silence hides nothing.
func (s *subject) onlyOrdinary() bool {
	child := s.tree.Child
	if child == nil {
		return len(s.f.Files) == 0
	}
	return (child.Binary == nil || isOrdinary(child.Binary)) && len(child.Libraries) == 0 && len(s.f.Files) == 0
}
