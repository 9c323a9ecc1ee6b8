package assess

import (
	"path"
	"slices"
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
	// hitBy is the process that each behaviour was read from.
	hitBy    map[command.Behavior]*finding.Process
	exposure Exposure
	risks    []string
	signals  []evidence.Signal
	entry    *evidence.LogEntry // the request that may have caused the event
	deploy   deploy
	// precedent is what became of the same before.
	precedent Precedent
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
	s.precedent = precedent(s.f, in.Earlier)
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
	s.hitBy = make(map[command.Behavior]*finding.Process, len(r.Hits))
	for _, h := range r.Hits {
		s.hitBy[h.Behavior] = child
	}
	others := 0
	for i := range s.f.Processes {
		p := &s.f.Processes[i]
		if p == child || others == maxReadProcesses {
			continue
		}
		others++
		if o := without(command.Neutral, readProcess(p)); len(o.Hits) > 0 {
			o.Truncated, o.Unparsed = false, false
			for _, h := range o.Hits {
				if i := slices.IndexFunc(r.Hits, func(k command.Hit) bool { return k.Behavior == h.Behavior }); i < 0 || r.Hits[i].Class < h.Class {
					s.hitBy[h.Behavior] = p
				}
			}
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
	for i := range r.Hits { // commands that end in ";" are joined by another one
		r.Hits[i].Text = strings.ReplaceAll(r.Hits[i].Text, "; ; ", "; ")
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

// deploy is the last deploy before the event.
type deploy struct {
	known   bool
	minutes int
	by      string
	// newcomer: by is neither the creator nor who made the previous revision,
	// or it is the workload's own identity.
	newcomer bool
	// offHours: at night or at a weekend.
	offHours bool
}

// lastDeploy says when and by whom the workload was last deployed.
func (s *subject) lastDeploy() deploy {
	d, ok := evidence.DeployOf(s.ev.Logs, s.cfg, s.f.Workload.Kind, s.f.EventTime)
	if !ok {
		return deploy{}
	}
	return deploy{known: true, minutes: int(s.f.EventTime.Sub(d.Time) / time.Minute), by: d.Principal, newcomer: s.isNewcomer(d.Principal), offHours: evidence.OffHours(d.Time, s.ev.Logs.Zone)}
}

// isNewcomer compares a deployer with those who deployed before. A job has no
// revisions, so that only its creator is known.
func (s *subject) isNewcomer(by string) bool {
	if by == "" {
		return false
	}
	if s.cfg.ServiceAccount != "" && strings.EqualFold(by, s.cfg.ServiceAccount) {
		return true
	}
	if s.f.Workload.Kind == finding.Job {
		return s.cfg.Creator != "" && !strings.EqualFold(by, s.cfg.Creator)
	}
	if s.cfg.Previous == nil || s.cfg.Previous.Creator == "" {
		return false
	}
	return !strings.EqualFold(by, s.cfg.Previous.Creator) && !strings.EqualFold(by, s.cfg.Creator)
}

// isPerson reports whether a principal is somebody who can be asked.
func isPerson(principal string) bool {
	return strings.Contains(principal, "@") && !strings.HasSuffix(strings.ToLower(principal), "gserviceaccount.com")
}

// asker is who may know whether this was meant: who ran the job or deployed
// within the hour before. Empty when that is nobody, or no person.
func (s *subject) asker() string {
	by := ""
	if s.f.Workload.Kind == finding.Job {
		by = s.cfg.RevisionCreator
	}
	if by == "" && s.deploy.known && s.deploy.minutes <= 60 {
		by = s.deploy.by
	}
	if !isPerson(by) {
		return ""
	}
	return principal(by)
}
