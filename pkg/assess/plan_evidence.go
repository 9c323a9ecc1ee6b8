package assess

import (
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// saveEvidence writes the steps that must come before anything is changed:
// Cloud Run keeps no disk, so the specification, the logs and the image are
// all there is.
func (p *planner) saveEvidence() {
	if p.exists {
		p.saveSpecification()
	}
	p.saveLogs()
	if p.exists {
		p.keepImage()
	}
}

func (p *planner) saveSpecification() {
	none := "none, it only reads"
	p.add(Step{
		ID: "save_config", Phase: PhaseEvidence, Title: "Save the configuration of the " + p.noun(),
		Why: "It changes with the first containment step; undoing one needs the old values.", Effect: none, Permission: p.permission("get"),
	}, p.workload("describe").flag("format", "export").to(p.name+"-config.yaml"))
	switch p.kind {
	case finding.Job:
		p.add(Step{
			ID: "save_execution", Phase: PhaseEvidence, Title: "Save the execution",
			Why: "Arguments can be overridden for one execution; the job does not show them.", Effect: none, Permission: "run.executions.get",
		}, p.run("run jobs executions describe", p.execution).flag("format", "yaml").to(p.execution+"-execution.yaml"))
	case finding.WorkerPool:
		p.add(Step{
			ID: "save_revision", Phase: PhaseEvidence, Title: "Save the revision",
			Why: "It says which image, identity and secrets ran.", Effect: none, Permission: "run.revisions.get",
		}, p.run("beta run worker-pools revisions describe", p.revision).flag("format", "yaml").to(p.revision+"-revision.yaml"))
		return // gcloud has no command for a worker pool's IAM policy
	default:
		p.add(Step{
			ID: "save_revision", Phase: PhaseEvidence, Title: "Save the revision",
			Why: "It says which image, identity and secrets ran, and is lost when the revision is deleted.", Effect: none, Permission: "run.revisions.get",
		}, p.run("run revisions describe", p.revision).flag("format", "yaml").to(p.revision+"-revision.yaml"))
	}
	p.add(Step{
		ID: "save_iam_policy", Phase: PhaseEvidence, Title: "Save the IAM policy",
		Why: "It says who could invoke it, and shows later whether somebody changed that.", Effect: none, Permission: p.permission("getIamPolicy"),
	}, p.workload("get-iam-policy").flag("format", "json").to(p.name+"-iam.json"))
}

func (p *planner) saveLogs() {
	filter := p.logFilter(p.window(time.Hour, time.Hour)...)
	p.add(Step{
		ID: "save_logs", Phase: PhaseEvidence, Title: "Save the logs around the event",
		Why:    "Logs expire, and they are the only record of what the process did. Copy the file to a bucket with a retention lock.",
		Effect: "none, it only reads; counts against 60 log reads a minute", Permission: "logging.logEntries.list",
	}, p.readLogs(filter).to(p.name+"-logs.json"))
}

// keepImage tags the image that ran, so that no clean-up policy removes it.
// Only Artifact Registry has such tags.
func (p *planner) keepImage() {
	tag := p.incidentTag()
	if p.s.main == nil || p.a.Verdict == LikelyBenign || tag == "" {
		return
	}
	digest := p.s.main.Digest
	repo := repository(p.s.main.Image)
	host, _, _ := strings.Cut(repo, "/")
	if digest == "" || !strings.HasSuffix(host, "docker.pkg.dev") {
		return
	}
	kept := repo + ":quarantine-" + tag
	p.add(Step{
		ID: "keep_image", Phase: PhaseEvidence, Title: "Keep the image",
		Why:    "The image is the evidence of what was built in; a tag protects it from clean-up of untagged images.",
		Effect: "none, it adds a tag", Permission: "artifactregistry.tags.create",
		Undo: gcloud("artifacts docker tags delete").arg(kept).String(),
	}, gcloud("artifacts docker tags add").arg(repo+"@"+digest).arg(kept))
}

// contactOwner names the person to ask.
func (p *planner) contactOwner() {
	var who []string
	for _, m := range []string{p.s.asker(), p.s.deploy.by, p.s.cfg.RevisionCreator, p.s.cfg.LastModifier, p.s.cfg.Creator, p.s.f.Access.Principal} {
		m = principal(m)
		if p.grave() && m == p.suspect() {
			continue // who did it is not asked, and not warned
		}
		if isPerson(m) && !contains(who, m) && len(who) < 3 {
			who = append(who, m)
		}
	}
	title := "Ask the owner of the resource"
	if len(who) > 0 {
		title = "Ask " + strings.Join(who, ", ")
	}
	why := "The owner knows whether this command is part of the application, a deploy or maintenance."
	if p.grave() {
		why = "The owner decides about outage. For an attack of this kind consider an incident response service."
	}
	p.add(Step{ID: "contact_owner", Phase: PhaseScope, Title: title, Why: why, Effect: "none"})
}

// otherFindings lists what else Security Command Center says of the resource.
func (p *planner) otherFindings() {
	scope := p.s.f.ParentScope()
	cmd := gcloud("scc findings list").arg(scope)
	if l := p.s.f.Location(); l != "" {
		cmd.flag("location", l)
	}
	if p.s.f.ResourceName == "" {
		return
	}
	filter := logTerm("resource_name=", p.s.f.ResourceName) + ` AND state="ACTIVE"`
	p.add(Step{
		ID: "other_findings", Phase: PhaseScope, Title: "List the other findings of the resource",
		Why:    "Others at a similar time suggest an attack rather than a failure to follow best practice.",
		Effect: "none, it only reads", Permission: "securitycenter.findings.list",
	}, cmd.flag("filter", filter).flag("format", "json"))
}

// askAgain says which sources to wait for.
func (p *planner) askAgain() {
	open := p.s.openPoints()
	if open == "" || !p.s.retry() {
		return
	}
	p.add(Step{
		ID: "ask_again", Phase: PhaseScope, Title: "Wait for what was not checked: " + open,
		Why:    "The verdict rests on silence until these sources answer; the finding is enriched again when they do.",
		Effect: "none",
	})
}

// scope asks how far it spread and which credentials are unsafe.
func (p *planner) scope() {
	p.contactOwner()
	p.otherFindings()
	p.callerActivity()
	p.whoDeleted()
	p.entryRequests()
	p.badIndicator()
	p.identityActivity()
	p.identityReach()
	p.sameImage()
}

// whoDeleted asks how a workload that no longer exists came to its end.
func (p *planner) whoDeleted() {
	if p.exists || p.event.IsZero() {
		return
	}
	filter := p.logFilter(`protoPayload.methodName=~"Delete(Service|Job|WorkerPool)"`, p.since())
	p.add(Step{
		ID: "who_deleted", Phase: PhaseScope, Title: "See who deleted the " + p.noun() + ", and when",
		Why:    "It may have been the owner's answer to the attack, or the attacker's way to hide it.",
		Effect: "none, it only reads", Permission: "logging.logEntries.list",
	}, p.readLogs(filter))
}

// entryRequests lists what else the client of the suspected request did.
func (p *planner) entryRequests() {
	if e := p.s.entry; e != nil && e.Request != nil && e.Request.RemoteIP != "" {
		filter := allOf(append([]string{logTerm("httpRequest.remoteIp=", e.Request.RemoteIP)}, p.window(24*time.Hour, 24*time.Hour)...)...)
		p.add(Step{
			ID: "entry_requests", Phase: PhaseScope, Title: "List all requests of the client that may have broken in",
			Why:    "They show the vulnerable route, and which other services of the project the client tried.",
			Effect: "none, it only reads", Permission: "logging.logEntries.list",
		}, p.readLogs(filter).to(p.name+"-client.json"))
		return
	}
	if p.kind == finding.Service {
		log := "projects/" + p.project + "/logs/run.googleapis.com%2Frequests"
		filter := p.logFilter(append([]string{logTerm("logName=", log)}, p.window(15*time.Minute, time.Minute)...)...)
		p.add(Step{
			ID: "entry_requests", Phase: PhaseScope, Title: "Read the requests just before the event",
			Why:    "One of them may be the way in.",
			Effect: "none, it only reads", Permission: "logging.logEntries.list",
		}, p.readLogs(filter).to(p.name+"-requests.json"))
	}
}

// badIndicator looks for the worst address that VirusTotal calls malicious in
// the logs of the whole project.
func (p *planner) badIndicator() {
	r := p.s.worstIndicator(evidence.VerdictMalicious)
	if r == nil || p.event.IsZero() {
		return
	}
	filter := allOf(append([]string{logTerm("", r.Artifact.Value)}, p.window(24*time.Hour, 24*time.Hour)...)...)
	p.add(Step{
		ID: "bad_indicator", Phase: PhaseScope, Title: "Look for " + command.Defang(printable(cut(r.Artifact.Value, maxIndicatorText))) + " in all logs of the project",
		Why:    "VirusTotal calls it malicious: another workload that names it has the same intruder.",
		Effect: "none, it only reads", Permission: "logging.logEntries.list",
	}, p.readLogs(filter).to(p.name+"-indicator.json"))
}

// identityActivity follows the service account after the event.
func (p *planner) identityActivity() {
	filter := allOf(logTerm("protoPayload.authenticationInfo.principalEmail=", p.account), p.since())
	if p.account == "" {
		return
	}
	p.add(Step{
		ID: "identity_activity", Phase: PhaseScope, Title: "See what the service account did since",
		Why:    "A shell in the container can use its token anywhere: look for new keys, SetIamPolicy, secret reads, callers outside Google. Reads are there only if Data Access logs are on.",
		Effect: "none, it only reads", Permission: "logging.logEntries.list, logging.privateLogEntries.list",
	}, p.readLogs(filter).to("identity-activity.json"))
}

// identityReach says what the service account may do and who else uses it.
func (p *planner) identityReach() {
	if p.account == "" {
		return
	}
	p.add(Step{
		ID: "identity_roles", Phase: PhaseScope, Title: "List the roles of the service account in the project",
		Why: "They bound the damage.", Effect: "none, it only reads", Permission: "resourcemanager.projects.getIamPolicy",
	}, gcloud("projects get-iam-policy").arg(p.project).flag("flatten", "bindings[]").
		flag("filter", logTerm("bindings.members=", "serviceAccount:"+p.account)).flag("format", "value(bindings.role)"))
	p.add(Step{
		ID: "identity_keys", Phase: PhaseScope, Title: "List the keys people made for the service account",
		Why: "A key made after the event is the attacker's.", Effect: "none, it only reads", Permission: "iam.serviceAccountKeys.list",
	}, gcloud("iam service-accounts keys list").flag("iam-account", p.account).flag("managed-by", "user").flag("project", p.project))
	p.add(Step{
		ID: "identity_users", Phase: PhaseScope, Title: "List the services that use the same service account",
		Why: "They fail when it is disabled, and their data is within reach.", Effect: "none, it only reads", Permission: "run.services.list",
	}, gcloud("run services list").flag("project", p.project).
		flag("filter", logTerm("spec.template.spec.serviceAccountName=", p.account)).flag("format", "value(metadata.name)"))
}

// sameImage lists the services that run the same image.
func (p *planner) sameImage() {
	if p.s.main == nil {
		return
	}
	image := p.s.main.Digest
	if image == "" {
		image = repository(p.s.main.Image)
	}
	if image == "" {
		return
	}
	p.add(Step{
		ID: "same_image", Phase: PhaseScope, Title: "List the services that run the same image",
		Why: "They have the same hole or the same malware.", Effect: "none, it only reads", Permission: "run.services.list",
	}, gcloud("run services list").flag("project", p.project).
		flag("filter", logTerm("spec.template.spec.containers.image:", image)).flag("format", "value(metadata.name)"))
}
