package assess

import (
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The phases of a response plan, in the order in which they are done: evidence
// is saved before anything is stopped.
const (
	PhaseEvidence  = "evidence"
	PhaseScope     = "scope"
	PhaseContain   = "contain"
	PhaseEradicate = "eradicate"
	PhaseRecover   = "recover"
	PhaseHarden    = "harden"
)

// maxSteps is about how many steps the longest plan has.
const maxSteps = 40

// planner writes the response plan for one workload. The steps follow Google's
// page "Respond to Cloud Run threat findings", the commands are those of gcloud.
type planner struct {
	s *subject
	a *Assessment

	kind     finding.Kind
	name     string
	project  string
	region   string
	revision string
	// execution is the execution of a job.
	execution string
	account   string // the service account, or empty
	exists    bool   // false when the workload answered 404
	partGone  bool   // the finding's revision or execution answered 404
	event     time.Time

	steps []Step
}

// plan returns the response plan in order of phases. It has no step whose
// command would have a blank.
func (s *subject) plan(a *Assessment) []Step {
	w := s.f.Workload
	p := &planner{
		s: s, a: a, kind: w.Kind, name: w.Name, project: w.Project, region: w.Location,
		revision: w.Revision, execution: w.Execution, account: s.cfg.ServiceAccount,
		exists: !s.cfg.Gone, event: s.f.EventTime.UTC(),
		steps: make([]Step, 0, maxSteps),
	}
	if s.configKnown && !s.cfg.RevisionGone && s.cfg.RevisionSource != "template" {
		if p.kind == finding.Job && p.execution == "" {
			p.execution = s.cfg.Revision
		}
		if p.kind != finding.Job && p.revision == "" {
			p.revision = s.cfg.Revision
		}
	}
	if s.cfg.RevisionGone { // nothing can be asked about it
		p.revision, p.execution, p.partGone = "", "", true
	}
	if w.IsZero() {
		p.withoutWorkload()
		return p.steps
	}
	p.saveEvidence()
	switch a.Verdict {
	case LikelyBenign:
		p.contactOwner()
		p.closeFinding("once the owner confirms")
		if p.exists {
			p.preventRepeat()
		}
	case Unknown:
		p.contactOwner()
		p.otherFindings()
		p.callerActivity()
		p.askAgain()
	default:
		p.scope()
		p.contain()
		p.eradicate()
		p.recover()
		if p.exists {
			p.harden()
		}
	}
	return p.steps
}

// withoutWorkload is all that can be said when the finding names no workload.
func (p *planner) withoutWorkload() {
	p.contactOwner()
	p.otherFindings()
}

// add appends a step with its commands; a void one leaves the whole step out.
func (p *planner) add(st Step, commands ...*gcloudCommand) {
	texts := make([]string, 0, len(commands))
	for _, c := range commands {
		text := c.String()
		if text == "" {
			return
		}
		texts = append(texts, text)
	}
	st.Command = strings.Join(texts, " && ")
	p.steps = append(p.steps, st)
}

// run starts a gcloud run command about the workload or one of its parts.
func (p *planner) run(command, name string) *gcloudCommand {
	return gcloud(command).arg(name).flag("region", p.region).flag("project", p.project)
}

// service starts a command about the service, job or worker pool itself.
func (p *planner) workload(verb string) *gcloudCommand {
	return p.run(p.group()+" "+verb, p.name)
}

// group is gcloud's command group for the kind of workload.
func (p *planner) group() string {
	switch p.kind {
	case finding.Job:
		return "run jobs"
	case finding.WorkerPool:
		return "beta run worker-pools"
	}
	return "run services"
}

// noun is the kind in words.
func (p *planner) noun() string { return p.s.noun() }

// permission is a Cloud Run permission for the kind: "run.services.get".
func (p *planner) permission(verb string) string {
	switch p.kind {
	case finding.Job:
		return "run.jobs." + verb
	case finding.WorkerPool:
		return "run.workerpools." + verb
	}
	return "run.services." + verb
}

// logFilter selects the workload's log entries; extra terms are added.
func (p *planner) logFilter(extra ...string) string {
	resource, label := evidence.LogResource(p.kind)
	terms := []string{
		logTerm("resource.type=", resource),
		logTerm("resource.labels."+label+"=", p.name),
		logTerm("resource.labels.location=", p.region),
	}
	return allOf(append(terms, extra...)...)
}

// window bounds a log query around the event; without an event time it is the
// day before now, which is gcloud's own default.
func (p *planner) window(before, after time.Duration) []string {
	if p.event.IsZero() {
		return nil
	}
	return []string{
		logTerm("timestamp>=", p.event.Add(-before).Format(time.RFC3339)),
		logTerm("timestamp<=", p.event.Add(after).Format(time.RFC3339)),
	}
}

// since bounds a log query to what followed the event.
func (p *planner) since() string {
	if p.event.IsZero() {
		return ""
	}
	return logTerm("timestamp>=", p.event.Add(-time.Minute).Format(time.RFC3339))
}

// readLogs starts a log query.
func (p *planner) readLogs(filter string) *gcloudCommand {
	return gcloud("logging read").arg(filter).flag("project", p.project).flag("order", "asc").flag("format", "json")
}

// grave reports whether the verdict calls for containment without further proof.
func (p *planner) grave() bool {
	return p.a.Verdict == Malicious || p.a.Verdict == LikelyMalicious
}

// condition begins the reason of a step that only a confirmed finding justifies.
func (p *planner) condition() string {
	if p.grave() {
		return ""
	}
	return "Only once the finding is confirmed. "
}

// tookIdentity reports whether the attacker could have the workload's
// credentials in his hands: he asked for them, or had a shell.
func (p *planner) tookIdentity() bool {
	for _, b := range []command.Behavior{
		command.MetadataTokenAccess, command.CredentialSearch, command.ReverseShell, command.BindShell, command.Exfiltration,
	} {
		if p.a.Reading.Has(b) {
			return true
		}
	}
	return p.a.Verdict == Malicious
}

// incidentTag names what is kept for this incident: the incident's id, else the event time.
func (p *planner) incidentTag() string {
	if p.s.inc.ID != "" {
		return p.s.inc.ID
	}
	if p.event.IsZero() {
		return ""
	}
	return strings.ToLower(p.event.Format("20060102t150405z"))
}
