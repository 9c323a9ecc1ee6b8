package assess

import (
	"fmt"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The bounds of Assessment.Unchecked.
const (
	maxUnchecked     = 20
	maxUncheckedText = 240
)

// unanswered lists the sources whose silence could hide the truth: while one
// is silent nothing is called benign. Only a whole answer counts as one, with
// two exceptions: a workload that is gone has no configuration to read, and
// VirusTotal that is switched off or has nothing to look up hides nothing when
// only ordinary shells were involved.
func (s *subject) unanswered() []string {
	var out []string
	if !answered(s.ev.FindingsState.State) {
		out = append(out, "findings")
	}
	if !answered(s.ev.LogsState.State) || !s.ev.Logs.Visible {
		out = append(out, "logs")
	}
	if !answered(s.ev.ConfigState.State) {
		out = append(out, "config")
	}
	if s.reputationOpen() {
		out = append(out, "virustotal")
	}
	switch child := s.tree.Child; {
	case child == nil && !s.controlPlane():
		out = append(out, "processes")
	case child != nil && (len(child.Args) == 0 || s.reading.Truncated):
		out = append(out, "arguments")
	}
	return out
}

// reputationOpen reports whether VirusTotal could still say something that
// matters: it failed, or the child is no ordinary program and nothing is known
// of its file.
func (s *subject) reputationOpen() bool {
	switch vt := s.ev.VTState.State; {
	case answered(vt):
	case vt == evidence.Disabled || vt == evidence.NotApplicable:
		return !s.onlyOrdinary()
	default:
		return true
	}
	child := s.tree.Child
	return child != nil && child.Binary != nil && !isOrdinary(child.Binary) && s.binaryReputation() == nil
}

// retry reports whether some source may answer when asked again.
func (s *subject) retry() bool {
	for _, st := range []evidence.Status{s.ev.FindingsState, s.ev.LogsState, s.ev.ConfigState, s.ev.VTState} {
		switch st.State {
		case evidence.Quota, evidence.Timeout, evidence.Error, evidence.Partial:
			return true
		}
	}
	return false
}

// unchecked says in words what was not checked, and why.
func (s *subject) unchecked(failedRules []string) []string {
	var out []string
	add := func(format string, args ...any) {
		text := cut(fmt.Sprintf(format, args...), maxUncheckedText)
		if len(out) < maxUnchecked && !contains(out, text) {
			out = append(out, text)
		}
	}
	s.uncheckedSources(add)
	s.uncheckedConfig(add)
	s.uncheckedProcesses(add)
	for _, id := range failedRules {
		add("policy: rule %s could not be evaluated", id)
	}
	return out
}

func (s *subject) uncheckedSources(add func(string, ...any)) {
	for _, src := range []struct {
		name string
		st   evidence.Status
	}{
		{"related findings", s.ev.FindingsState}, {"logs", s.ev.LogsState},
		{"config", s.ev.ConfigState}, {"VirusTotal", s.ev.VTState},
	} {
		if src.name == "config" && src.st.State == evidence.Partial && s.ev.Config != nil && len(s.ev.Config.Partial) > 0 {
			continue // said part by part
		}
		if words := describeState(src.st); words != "" {
			add("%s: %s", src.name, words)
		}
	}
	l := &s.ev.Logs
	if answered(s.ev.LogsState.State) && !l.Visible {
		where := strings.Join(l.Scopes, ", ")
		if where == "" {
			where = "the scopes read"
		}
		add("logs: no logs visible in %s: they may be routed to another bucket", where)
	}
	if l.Truncated {
		add("logs: only the first %d entries were read", len(l.Entries))
	}
}

// describeState says why a source gave no whole answer; empty when it did, or
// when there was nothing to ask.
func describeState(st evidence.Status) string {
	var words string
	switch st.State {
	case evidence.OK, evidence.Empty:
		return ""
	case evidence.NotApplicable:
		if st.Reason == "" {
			return ""
		}
		return "nothing to ask (" + st.Reason + ")"
	case evidence.Quota:
		words = "quota spent"
		if t := st.RetryAt.UTC(); !st.RetryAt.IsZero() && t.Hour() == 0 && t.Minute() == 0 {
			return "daily quota spent; ask again after 00:00 UTC"
		}
	case evidence.Denied:
		words = "permission denied"
	case evidence.Timeout:
		words = "no answer in time"
	case evidence.Partial:
		words = "only a part was read"
	case evidence.Disabled:
		return "not configured, not asked"
	case "":
		return "not asked"
	default:
		words = "failed"
	}
	if st.Reason != "" && !strings.Contains(words, st.Reason) {
		words += " (" + cut(st.Reason, 120) + ")"
	}
	if !st.RetryAt.IsZero() {
		words += "; ask again after " + st.RetryAt.UTC().Format(time.RFC3339)
	}
	return words
}

func (s *subject) uncheckedConfig(add func(string, ...any)) {
	cfg := s.ev.Config
	if cfg == nil {
		return
	}
	if cfg.Gone {
		add("config: the workload no longer exists, so its configuration could not be reviewed")
		return
	}
	for _, part := range cfg.Partial {
		switch part {
		case "iam_policy":
			add("config: IAM policy not readable, so who may invoke is unknown")
		default:
			add("config: %s not readable", strings.ReplaceAll(part, "_", " "))
		}
	}
	switch {
	case cfg.RevisionGone:
		add("config: the finding's revision or execution no longer exists; %s was reviewed in its place", orNothing(cfg.Revision))
	case cfg.RevisionSource == "traffic" || cfg.RevisionSource == "latest":
		what := "revision"
		if s.f.Workload.Kind == finding.Job {
			what = "execution"
		}
		add("config: the finding names no %s; %s was reviewed, which is a guess", what, orNothing(cfg.Revision))
	case cfg.RevisionSource == "template":
		add("config: no revision of that time was found; the current template was reviewed")
	}
	if cfg.Ingress == "internal_and_cloud_load_balancing" && s.exposure == ExposureUnknown {
		add("config: whether a public load balancer leads to the service")
	}
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}

func (s *subject) uncheckedProcesses(add func(string, ...any)) {
	child := s.tree.Child
	switch {
	case child == nil && s.controlPlane():
		add("process: a control-plane finding shows an API call, not what ran")
	case child == nil:
		add("process: the finding carries no process")
	case len(child.Args) == 0:
		add("process: the finding carries no arguments, so what the command does is unknown")
	case s.reading.Truncated:
		add("process: arguments truncated, the rest of the command is unknown")
	}
	if s.reading.Unparsed {
		add("process: part of the command could not be parsed and was read by words")
	}
	// Detectors drop a last line's end.
	if child != nil && child.Script != nil && child.Script.Size > int64(len(child.Script.Contents))+2 {
		add("process: of the script only the first %d of %d bytes are in the finding", len(child.Script.Contents), child.Script.Size)
	}
	for i := range s.f.Processes {
		p := &s.f.Processes[i]
		if p == child || !isOrdinary(p.Binary) {
			s.uncheckedHash(add, p.Binary)
		}
		for j := range p.Libraries {
			s.uncheckedHash(add, &p.Libraries[j])
		}
	}
	if child != nil && isOrdinary(child.Binary) && answered(s.ev.VTState.State) {
		add("VirusTotal: has no answer for what %s was told to do, its file is an ordinary one", plain(displayName(child)))
	}
	if s.f.Truncated > 0 {
		add("finding: %d values were cut or left out because of their size", s.f.Truncated)
	}
	if len(s.f.Malformed) > 0 {
		add("finding: unreadable fields: %s", strings.Join(s.f.Malformed, ", "))
	}
}

// uncheckedHash names a file whose hash covers only its beginning.
func (s *subject) uncheckedHash(add func(string, ...any), file *finding.File) {
	if file != nil && file.SHA256 != "" && file.FullHash() == "" {
		add("VirusTotal: the hash of %s covers only a prefix of the file and was not looked up", file.Path)
	}
}
