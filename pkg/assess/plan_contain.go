package assess

import (
	"strconv"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// maxSecretSteps bounds the secrets that a plan names.
const maxSecretSteps = 5

// contain lists the ways to stop it, the narrowest first.
func (p *planner) contain() {
	if p.exists {
		switch p.kind {
		case finding.Service:
			p.containService()
		case finding.Job:
			p.containJob()
		case finding.WorkerPool:
			p.containWorkerPool()
		}
	}
	p.stopCaller()
	if p.tookIdentity() {
		p.disableIdentity()
		p.disableSecrets()
	}
	if len(p.a.Indicators) > 0 && p.grave() {
		p.add(Step{
			ID: "block_indicators", Phase: PhaseContain, Title: "Block the indicators of this finding in firewall, proxy and Cloud Armor",
			Why: "They keep the attacker from coming back through another workload.", Effect: "a shared address may serve others too", Undo: "remove the rules",
		})
	}
}

func (p *planner) containService() {
	rolledBack := p.trafficBack()
	p.limitIngress()
	p.closeInvoker()
	if !rolledBack {
		p.add(Step{
			ID: "stop_instances", Phase: PhaseContain, Title: "Stop all instances",
			Why:    p.condition() + "Limiting access does not end a shell that runs; this does.",
			Effect: "the service answers nobody", Undo: p.run("beta run services update", p.name).flag("scaling", "auto").String(),
			Permission: "run.services.update",
		}, p.run("beta run services update", p.name).flag("scaling", "0"))
	}
}

// trafficBack moves traffic to the revision before, if that runs another image
// known by digest: with the same image the hole would be the same.
func (p *planner) trafficBack() bool {
	prev := p.s.cfg.Previous
	if prev == nil || prev.Name == "" || p.s.main == nil || prev.Digest == "" || p.s.main.Digest == "" || prev.Digest == p.s.main.Digest {
		return false
	}
	before := len(p.steps)
	p.add(Step{
		ID: "traffic_back", Phase: PhaseContain, Title: "Move traffic to revision " + plain(prev.Name),
		Why:    p.condition() + "It runs another image. Instances of the suspect revision end once they are idle. Make sure that the hole is not older than both.",
		Effect: "users get the previous version", Undo: p.undoTraffic(), Permission: "run.services.update",
	}, p.run("run services update-traffic", p.name).flag("to-revisions", prev.Name+"=100"))
	return len(p.steps) > before
}

// undoTraffic restores the traffic split that was read.
func (p *planner) undoTraffic() string {
	var split []string
	for _, t := range p.s.cfg.Traffic {
		if t.Percent <= 0 {
			continue
		}
		name := t.Revision
		if t.Latest {
			name = "LATEST"
		}
		if name == "" {
			return "restore the traffic of the saved configuration"
		}
		split = append(split, name+"="+strconv.Itoa(t.Percent))
	}
	cmd := p.run("run services update-traffic", p.name)
	switch {
	case len(split) == 0:
		return "restore the traffic of the saved configuration"
	case len(split) == 1 && split[0] == "LATEST=100":
		return cmd.on("to-latest").String()
	}
	return cmd.flag("to-revisions", strings.Join(split, ",")).String()
}

// limitIngress keeps the internet out.
func (p *planner) limitIngress() {
	undo := "set --ingress back to the value in the saved configuration"
	if p.s.configKnown {
		old := strings.ReplaceAll(p.s.cfg.Ingress, "_", "-")
		switch old {
		case "all", "internal-and-cloud-load-balancing":
			undo = p.workload("update").flag("ingress", old).String()
		case "internal", "none":
			return
		}
	}
	p.add(Step{
		ID: "limit_ingress", Phase: PhaseContain, Title: "Accept internal requests only",
		Why:    p.condition() + "The attacker can no longer reach the service. It does not end a shell that runs.",
		Effect: "callers from outside fail", Undo: undo, Permission: "run.services.update",
	}, p.workload("update").flag("ingress", "internal"))
}

// closeInvoker takes the right to call the service from everybody.
func (p *planner) closeInvoker() {
	if !p.s.configKnown {
		return
	}
	var members []string
	if p.s.cfg.AllUsers {
		members = append(members, "allUsers")
	}
	if p.s.cfg.AllAuthenticatedUsers {
		members = append(members, "allAuthenticatedUsers")
	}
	for _, m := range members {
		p.add(Step{
			ID: "remove_" + strings.ToLower(m), Phase: PhaseContain, Title: "Take the right to call it from " + m,
			Why:    p.condition() + "Callers must prove who they are.",
			Effect: "callers without a token fail", Permission: "run.services.setIamPolicy",
			Undo: p.workload("add-iam-policy-binding").flag("member", m).flag("role", "roles/run.invoker").String(),
		}, p.workload("remove-iam-policy-binding").flag("member", m).flag("role", "roles/run.invoker"))
	}
	if p.s.cfg.InvokerIAMDisabled {
		p.add(Step{
			ID: "enable_invoker_check", Phase: PhaseContain, Title: "Switch the invoker check on",
			Why:    p.condition() + "It is off, so anyone may call the service whatever its IAM policy says.",
			Effect: "callers without the invoker role fail", Permission: "run.services.update",
			Undo: p.workload("update").on("no-invoker-iam-check").String(),
		}, p.workload("update").on("invoker-iam-check"))
	}
}

func (p *planner) containJob() {
	if p.execution != "" {
		p.add(Step{
			ID: "cancel_execution", Phase: PhaseContain, Title: "Cancel the execution",
			Why:    p.condition() + "It ends the process.",
			Effect: "the job's work is not finished", Undo: p.workload("execute").String(), Permission: "run.executions.cancel",
		}, p.run("run jobs executions cancel", p.execution))
	} else {
		why := "The finding does not name it; cancel what runs and nobody expects."
		if p.partGone {
			why = "The one of the finding no longer exists; cancel what else runs and nobody expects."
		}
		p.add(Step{
			ID: "list_executions", Phase: PhaseContain, Title: "Find the execution that runs",
			Why:    why,
			Effect: "none, it only reads", Permission: "run.executions.list",
		}, gcloud("run jobs executions list").flag("job", p.name).flag("region", p.region).flag("project", p.project))
	}
	p.add(Step{
		ID: "stop_schedule", Phase: PhaseContain, Title: "Pause whatever starts the job: a schedule, a workflow, a person",
		Why: "A cancelled job that is started again is back.", Effect: "the job does not run", Undo: "resume it",
	})
}

func (p *planner) containWorkerPool() {
	p.add(Step{
		ID: "stop_instances", Phase: PhaseContain, Title: "Stop all instances",
		Why:    p.condition() + "It ends the process.",
		Effect: "no work is done", Undo: "set --scaling back to the count in the saved configuration", Permission: "run.workerpools.update",
	}, p.workload("update").flag("scaling", "0"))
}

// disableIdentity makes stolen tokens of the service account worthless.
func (p *planner) disableIdentity() {
	effect := "every workload that uses it fails: list them first"
	if p.s.cfg.DefaultServiceAccount {
		effect = "it is the project's default: every service, job and VM that uses it fails. List them first, or take its roles away instead"
	}
	p.add(Step{
		ID: "disable_identity", Phase: PhaseContain, Title: "Disable the service account",
		Why:    p.condition() + "Whoever had a shell could take its token, which works from anywhere for up to an hour, and keys for longer.",
		Effect: effect, Permission: "iam.serviceAccounts.disable",
		Undo: gcloud("iam service-accounts enable").arg(p.account).flag("project", p.project).String(),
	}, gcloud("iam service-accounts disable").arg(p.account).flag("project", p.project))
}

// disableSecrets makes the secrets the process could read worthless.
func (p *planner) disableSecrets() {
	for i, r := range p.s.secrets() {
		if i == maxSecretSteps {
			return
		}
		project, name := secretName(r, p.project)
		if !allDigits(r.Version) {
			p.add(Step{
				ID: "list_secret_versions", Phase: PhaseContain, Title: "List the enabled versions of secret " + plain(name),
				Why:    p.condition() + "The workload could read the newest one; add a new version at its source, then disable the old ones.",
				Effect: "none, it only reads", Permission: "secretmanager.versions.list",
			}, gcloud("secrets versions list").arg(name).flag("project", project).flag("filter", "state=enabled"))
			continue
		}
		p.add(Step{
			ID: "disable_secret", Phase: PhaseContain, Title: "Disable version " + r.Version + " of secret " + plain(name),
			Why:    p.condition() + "The process could read it. Add a new version first where the application must go on.",
			Effect: "new instances that need it do not start", Permission: "secretmanager.versions.disable",
			Undo: gcloud("secrets versions enable").arg(r.Version).flag("secret", name).flag("project", project).String(),
		}, gcloud("secrets versions disable").arg(r.Version).flag("secret", name).flag("project", project))
	}
}

// secretName splits "projects/P/secrets/S"; a bare name is of the workload's project.
func secretName(r evidence.SecretRef, project string) (ofProject, name string) {
	parts := strings.Split(r.Secret, "/")
	if len(parts) >= 4 && parts[0] == "projects" && parts[2] == "secrets" {
		return parts[1], parts[3]
	}
	return project, r.Secret
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
