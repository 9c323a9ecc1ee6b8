package assess

import (
	"net"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// facts fills the vocabulary in for one subject.
func (p *Policy) facts(s *subject) *facts {
	f := newFacts(p.lang.index, p.lang.zeros)
	p.findingFacts(f, s)
	processFacts(f, s)
	commandFacts(f, s)
	reputationFacts(f, s)
	configFacts(f, s)
	historyFacts(f, s)
	logFacts(f, s)
	f.text("incident.state", string(s.ev.FindingsState.State))
	f.text("severity", string(s.f.Severity))
	f.list("unanswered", s.unanswered())
	f.bool("retry", s.retry())
	f.bool("privileged", Privileged(s.risks))
	setExplained(f)
	return f
}

func (p *Policy) findingFacts(f *facts, s *subject) {
	f.text("finding.category", s.f.Category)
	f.text("finding.category_key", categoryKey(s.f.Category))
	if s.f.Category != "" {
		f.int("finding.category_weight", p.weight(s.f.Category))
	}
	f.text("finding.severity", string(s.f.Severity))
	f.bool("finding.malicious_file", maliciousFile(s.f.Category))
	f.bool("finding.control_plane", s.controlPlane())
	f.int("finding.processes", len(s.f.Processes))
	if r := s.f.ReverseShell; r != nil && r.DestinationIP != "" {
		f.text("finding.reverse_shell_to", hostPort(r.DestinationIP, r.DestinationPort))
		f.bool("finding.reverse_shell_public", publicIP(r.DestinationIP))
	}
	for _, list := range [][]string{s.f.Indicator.URIs, s.f.Indicator.Domains, s.f.Indicator.IPs} {
		if len(list) > 0 {
			f.text("finding.bad_url", list[0])
			break
		}
	}
	f.text("finding.principal", s.f.Access.Principal)
	if len(s.f.Containers) > 0 {
		created := s.f.Containers[0].CreateTime
		if !created.IsZero() && !s.f.EventTime.IsZero() && !created.After(s.f.EventTime) {
			f.int("finding.container_age_seconds", int(s.f.EventTime.Sub(created)/time.Second))
		}
	}
}

// hostPort joins an address and a port, which may be unknown.
func hostPort(ip string, port int) string {
	if port == 0 {
		return ip
	}
	return net.JoinHostPort(ip, strconv.Itoa(port))
}

func processFacts(f *facts, s *subject) {
	child, parent := s.tree.Child, s.tree.Parent
	f.text("process.child", processName(child))
	f.text("process.child_path", processPath(child))
	f.text("process.parent", processName(parent))
	f.bool("process.child_is_shell", child.IsShell())
	f.bool("process.parent_is_shell", parent.IsShell())
	f.bool("process.parent_is_server", isServer(processName(parent)))
	f.bool("process.parent_is_init", isInit(processName(parent)))
	f.bool("process.at_start", atStart(s.tree))
	if chain := s.tree.Chain; len(chain) > 1 && chain[0].PID == 1 {
		f.bool("process.first_is_configured", matchesCommand(firstArgs(chain[0]), s.main))
	}
	f.text("process.server_shell", serverShell(s.tree))
	f.text("process.fed_shell", fedShell(s.tree))
	if child == nil {
		return
	}
	f.bool("process.root", child.UserID != nil && *child.UserID == 0)
	temporary, fileless := false, false
	for _, file := range []*finding.File{child.Binary, child.Script} {
		if file != nil {
			temporary = temporary || isTemporary(file.Path)
		}
	}
	if child.Binary != nil {
		fileless = isFileless(child.Binary.Path)
	}
	f.bool("process.temporary_path", temporary && !fileless)
	f.bool("process.fileless", fileless)
}

func commandFacts(f *facts, s *subject) {
	var argv []string
	if child := s.tree.Child; child != nil {
		argv = child.Args
		f.bool("command.missing", len(argv) == 0)
	} else if s.fromConfig {
		argv = configuredCommand(s.main)
	}
	f.text("command.line", strings.Join(argv, " "))
	f.bool("command.bare_shell", !s.fromConfig && isBareShell(argv))
	f.bool("command.truncated", s.reading.Truncated)
	f.bool("command.from_config", s.fromConfig)
	f.bool("command.matches_config", !s.fromConfig && matchesCommand(argv, s.main))
	f.bool("command.matches_probe", !s.fromConfig && matchesProbe(argv, s.main))
	shown := make(map[string]string, len(s.reading.Hits))
	var all, suspicious, malicious []string
	for _, h := range s.reading.Hits {
		name := string(h.Behavior)
		all = append(all, name)
		shown[name] = h.Text
		if h.Class >= command.Suspicious {
			suspicious = append(suspicious, name)
		}
		if h.Class >= command.Malicious {
			malicious = append(malicious, name)
		}
	}
	f.texts("command.shown", shown)
	setBehaviors(f, all, suspicious, malicious)
}

// setBehaviors sets the behaviours and what follows from them.
func setBehaviors(f *facts, all, suspicious, malicious []string) {
	f.list("command.behaviors", all)
	f.list("command.suspicious", suspicious)
	f.list("command.malicious", malicious)
	f.bool("command.dangerous", len(suspicious) > 0)
}

func configFacts(f *facts, s *subject) {
	f.text("config.state", string(s.ev.ConfigState.State))
	f.bool("config.known", s.configKnown)
	f.bool("config.gone", s.cfg.Gone)
	f.text("config.kind", string(s.f.Workload.Kind))
	f.text("config.exposure", string(s.exposure))
	f.list("config.risks", s.risks)
	f.text("config.service_account", s.cfg.ServiceAccount)
	f.bool("config.default_service_account", s.cfg.DefaultServiceAccount)
	f.int("config.secrets", len(s.secrets()))
	if s.main != nil {
		f.list("config.env", s.main.EnvNames)
	}
	f.bool("config.overridden_args", s.cfg.OverriddenArgs)
	if s.f.Workload.Kind == finding.Job {
		by := s.cfg.RevisionCreator
		f.text("config.run_by", by)
		f.bool("config.run_by_person", isPerson(by))
		f.bool("config.run_by_owner", isPerson(by) && strings.EqualFold(by, s.cfg.Creator))
	}
	if s.cfg.Previous != nil {
		f.list("config.changed", s.cfg.Previous.Changed)
	}
	if s.deploy.known {
		f.int("deploy.minutes", s.deploy.minutes)
		f.text("deploy.by", s.deploy.by)
		f.bool("deploy.newcomer", s.deploy.newcomer)
		f.bool("deploy.off_hours", s.deploy.offHours)
	}
}

// Requests that are named in evidence are cut to this many bytes.
const maxRequestText = 160

func logFacts(f *facts, s *subject) {
	f.text("logs.state", string(s.ev.LogsState.State))
	f.bool("logs.visible", s.ev.Logs.Visible)
	counts := make(map[string]int, len(s.signals))
	var requests []string
	for _, sig := range s.signals {
		counts[sig.Kind] = sig.Count
		switch sig.Kind {
		case evidence.SignalCommandInjection, evidence.SignalPathTraversal, evidence.SignalProbeThenHit,
			evidence.SignalUpload, evidence.SignalUploadedScript, evidence.SignalScannerAgent:
			requests = append(requests, strings.ReplaceAll(sig.Kind, "_", " ")+" ("+strconv.Itoa(sig.Count)+")")
		}
	}
	f.counts("logs.signals", counts)
	f.text("logs.request_signals", strings.Join(requests, ", "))
	if s.entry != nil {
		f.text("logs.entry_request", describeRequest(s.entry.Request))
	} else {
		f.text("logs.entry_request", "no single request stands out")
	}
	f.bool("logs.request_denied", s.requestDenied())
}

// describeRequest says a request in words: "POST /upload from 203.0.113.7, answered 200".
func describeRequest(r *evidence.Request) string {
	if r == nil {
		return ""
	}
	text := strings.TrimSpace(r.Method + " " + cut(r.URL, maxRequestText))
	if r.RemoteIP != "" {
		text += " from " + r.RemoteIP
	}
	if r.Status > 0 {
		text += ", answered " + strconv.Itoa(r.Status)
	}
	return text
}

// requestDenied reports whether the audit log shows that the API call of a
// control-plane finding was refused. A call that also succeeded was not.
func (s *subject) requestDenied() bool {
	method := lastSegment(s.f.Access.MethodName)
	if method == "" || s.f.EventTime.IsZero() {
		return false
	}
	denied := false
	for i := range s.ev.Logs.Entries {
		e := &s.ev.Logs.Entries[i]
		if e.Audit == nil || lastSegment(e.Audit.Method) != method || e.Time.Sub(s.f.EventTime).Abs() > 2*time.Minute {
			continue
		}
		if e.Audit.Code == 0 {
			return false
		}
		if s.f.Access.Principal == "" || s.f.Access.Principal == e.Audit.Principal {
			denied = true
		}
	}
	return denied
}

func lastSegment(method string) string {
	return method[strings.LastIndexAny(method, "./")+1:]
}

// complete derives, for facts written by hand in a test, what Assess would
// have derived: only variables that the test does not give.
func (p *Policy) complete(f *facts, given map[string]bool) {
	category := f.getText("finding.category")
	if !given["finding.category_key"] {
		f.text("finding.category_key", categoryKey(category))
	}
	if !given["finding.malicious_file"] {
		f.bool("finding.malicious_file", maliciousFile(category))
	}
	if !given["finding.category_weight"] && category != "" {
		f.set("finding.category_weight", types.Int(p.weight(category)))
	}
	if !given["severity"] {
		f.text("severity", f.getText("finding.severity"))
	}
	if !given["command.bare_shell"] {
		f.bool("command.bare_shell", isBareShell(strings.Fields(f.getText("command.line"))))
	}
	if given["command.behaviors"] {
		all := f.getList("command.behaviors")
		var suspicious, malicious []string
		for _, b := range all {
			switch c := command.Behavior(b).Class(); {
			case c >= command.Malicious:
				malicious = append(malicious, b)
				suspicious = append(suspicious, b)
			case c >= command.Suspicious:
				suspicious = append(suspicious, b)
			}
		}
		setBehaviors(f, all, suspicious, malicious)
		if !given["command.shown"] {
			shown := make(map[string]string, len(all))
			for _, b := range all {
				shown[b] = f.getText("command.line")
			}
			f.texts("command.shown", shown)
		}
		if !given["command.explained"] {
			setExplained(f)
		}
	}
}
