package assess

import (
	"path"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/attack"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// maxReadProcesses bounds how many processes' command lines are read besides the child's.
const maxReadProcesses = 8

// subject is the input of one assessment with everything derived from it that
// more than one part needs. None of its pointers but main and entry is nil.
type subject struct {
	f    *finding.Finding
	ev   *evidence.Evidence
	cfg  *evidence.Config
	inc  incident.Incident
	main *evidence.ContainerConfig // the affected container's configuration, or nil

	// standings is what other members say by themselves.
	standings map[string]Standing
	// configKnown is true when cfg describes a workload that still exists.
	configKnown bool
	tree        finding.Tree
	reading     command.Reading
	fromConfig  bool // the reading is of the configured command
	exposure    Exposure
	risks       []string
	signals     []evidence.Signal
	entry       *evidence.LogEntry // the request that may have caused the event
	deploy      deploy
}

// newSubject derives what follows from the input. The input is not changed.
func newSubject(in Input) *subject {
	s := &subject{f: in.Finding, ev: in.Evidence, inc: in.Incident, standings: in.Standings}
	if s.f == nil {
		s.f = &finding.Finding{}
	}
	if s.ev == nil {
		s.ev = &evidence.Evidence{}
	}
	s.cfg = s.ev.Config
	if s.cfg == nil {
		s.cfg = &evidence.Config{}
	} else {
		s.configKnown = !s.cfg.Gone
		s.main = s.cfg.Main(s.containerName())
	}
	s.tree = s.f.Tree()
	s.reading, s.fromConfig = s.read()
	s.exposure = exposureOf(s.f.Workload.Kind, s.cfg, s.configKnown, s.ev.Logs)
	s.risks = s.configRisks()
	s.signals = evidence.Signals(s.ev.Logs, s.f)
	if e, ok := evidence.EntryRequest(s.ev.Logs, s.f.EventTime); ok {
		s.entry = &e
	}
	s.deploy = s.lastDeploy()
	return s
}

// containerName is the name of the affected container, or empty.
func (s *subject) containerName() string {
	if len(s.f.Containers) == 0 {
		return ""
	}
	return s.f.Containers[0].Name
}

// read reads the child's command line and script; of the other processes only
// what speaks against them, so that a harmless ancestor explains nothing. A
// control-plane finding has no process: the configured command is read instead.
func (s *subject) read() (r command.Reading, fromConfig bool) {
	child := s.tree.Child
	if child == nil {
		if s.main == nil || len(s.main.Command)+len(s.main.Args) == 0 || !s.controlPlane() {
			return command.Reading{}, false
		}
		// What is configured explains nothing here: the call that set it is the finding.
		return without(command.Benign, command.Read(configuredCommand(s.main), false)), true
	}
	r = readProcess(child)
	others := 0
	for i := range s.f.Processes {
		p := &s.f.Processes[i]
		if p == child || others == maxReadProcesses {
			continue
		}
		others++
		if o := without(command.Neutral, readProcess(p)); len(o.Hits) > 0 {
			o.Truncated, o.Unparsed = false, false
			r = r.Merge(o)
		}
	}
	return r, false
}

// readProcess reads a process's arguments and the script it runs.
func readProcess(p *finding.Process) command.Reading {
	r := command.Read(p.Args, p.ArgsTruncated)
	if p.Script != nil && p.Script.Contents != "" {
		r = r.Merge(command.ReadScript(p.Script.Contents))
	}
	return r
}

// without keeps what weighs more than the class.
func without(class command.Class, r command.Reading) command.Reading {
	hits := make([]command.Hit, 0, len(r.Hits))
	for _, h := range r.Hits {
		if h.Class > class {
			hits = append(hits, h)
		}
	}
	r.Hits = hits
	return r
}

// controlPlane reports whether the finding comes from audit logs.
func (s *subject) controlPlane() bool {
	return attack.ControlPlane(s.f.Category) || (!attack.Runtime(s.f.Category) && s.f.Access.MethodName != "")
}

// configuredCommand is the container's command and arguments.
func configuredCommand(c *evidence.ContainerConfig) []string {
	argv := make([]string, 0, len(c.Command)+len(c.Args))
	return append(append(argv, c.Command...), c.Args...)
}

// processName is a process's file name, which its comm may hide; empty for nil.
func processName(p *finding.Process) string {
	switch {
	case p == nil:
		return ""
	case p.Binary != nil && p.Binary.Path != "":
		return path.Base(p.Binary.Path)
	case p.Name != "":
		return p.Name
	case len(p.Args) > 0:
		return path.Base(p.Args[0])
	}
	return ""
}

// processPath is the path of a process's script or binary, or empty.
func processPath(p *finding.Process) string {
	switch {
	case p == nil:
		return ""
	case p.Script != nil && p.Script.Path != "":
		return p.Script.Path
	case p.Binary != nil:
		return p.Binary.Path
	}
	return ""
}

// deploy is the last deploy or job run before the event.
type deploy struct {
	known   bool
	at      time.Time
	minutes int
	by      string
	// newcomer: by is neither the creator nor who made the previous revision,
	// or it is the workload's own identity.
	newcomer bool
	revision string
}

// lastDeploy finds the deploy in the audit log and in the revision's own
// times, whichever is later.
func (s *subject) lastDeploy() deploy {
	event := s.f.EventTime
	if event.IsZero() {
		return deploy{}
	}
	var d deploy
	if e, ok := evidence.LastDeploy(s.ev.Logs); ok && !e.Time.After(event) {
		d = deploy{known: true, at: e.Time}
		if e.Audit != nil {
			d.by, d.revision = e.Audit.Principal, e.Audit.Revision
		}
	}
	rev := s.cfg.RevisionCreateTime
	if s.cfg.RevisionSource != "template" && !rev.IsZero() && !rev.After(event) && rev.After(d.at) {
		by := s.cfg.RevisionCreator
		if by == "" && rev.Sub(d.at) < 10*time.Minute {
			by = d.by
		}
		d = deploy{known: true, at: rev, by: by, revision: s.cfg.Revision}
	}
	if !d.known {
		return deploy{}
	}
	d.minutes = int(event.Sub(d.at) / time.Minute)
	d.newcomer = s.isNewcomer(d.by)
	return d
}

// isNewcomer compares a deployer with those who deployed before. Who runs a
// job is no deployer.
func (s *subject) isNewcomer(by string) bool {
	if by == "" || s.f.Workload.Kind == finding.Job {
		return false
	}
	if s.cfg.ServiceAccount != "" && strings.EqualFold(by, s.cfg.ServiceAccount) {
		return true
	}
	if s.cfg.Previous == nil || s.cfg.Previous.Creator == "" {
		return false
	}
	return !strings.EqualFold(by, s.cfg.Previous.Creator) && !strings.EqualFold(by, s.cfg.Creator)
}
