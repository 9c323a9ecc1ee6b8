package assess

import (
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// eradicate removes the way in and what was left behind.
func (p *planner) eradicate() {
	if !p.exists {
		p.add(Step{
			ID: "close_way_in", Phase: PhaseEradicate, Title: "Close the way in before the " + p.noun() + " is deployed again",
			Why: "It no longer exists, but its source and its image do.", Effect: "none",
		})
		p.findPersistence()
		return
	}
	p.add(Step{
		ID: "rebuild", Phase: PhaseEradicate, Title: "Close the way in, rebuild from a clean base and deploy",
		Why:    "All intended changes belong into the image. Do not rely on a script that changes the container after it is deployed.",
		Effect: "a new revision", Undo: "deploy the version before",
	})
	p.rotateSecrets()
	p.findPersistence()
	if !p.grave() {
		return
	}
	switch {
	case p.kind == finding.Service && p.revision != "":
		p.add(Step{
			ID: "delete_revision", Phase: PhaseEradicate, Title: "Delete the compromised revision",
			Why:    "So that nobody sends traffic to it again. Evidence must be saved, and traffic moved to a good revision.",
			Effect: "permanent", Undo: "none", Permission: "run.revisions.delete",
		}, p.run("run revisions delete", p.revision))
	case p.kind == finding.Job:
		p.add(Step{
			ID: "delete_job", Phase: PhaseEradicate, Title: "Delete the compromised job",
			Why:    "So that nobody runs it again. Evidence must be saved.",
			Effect: "permanent, its executions go with it", Undo: "deploy it again from the source", Permission: "run.jobs.delete",
		}, p.workload("delete"))
	}
}

// rotateSecrets names what must get a new value.
func (p *planner) rotateSecrets() {
	var names []string
	for _, r := range p.s.secrets() {
		_, n := secretName(r, p.project)
		if n = plain(n); !contains(names, n) && len(names) < maxSecretSteps {
			names = append(names, n)
		}
	}
	for i := range p.s.cfg.Containers {
		for _, n := range p.s.cfg.Containers[i].PlaintextSecretEnv {
			if n = "variable " + plain(n); !contains(names, n) && len(names) < 2*maxSecretSteps {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	p.add(Step{
		ID: "rotate_secrets", Phase: PhaseEradicate, Title: "Give new values to " + strings.Join(names, ", "),
		Why:    p.condition() + "The process could read them. Change them where they are valid, not only in Secret Manager.",
		Effect: "the application needs the new values", Permission: "secretmanager.versions.add",
	})
}

// findPersistence looks for what the identity left behind.
func (p *planner) findPersistence() {
	if p.account == "" {
		return
	}
	filter := allOf(
		logTerm("protoPayload.authenticationInfo.principalEmail=", p.account),
		`protoPayload.methodName=~"(?i)(create|insert|set|add|update|replace|upload)"`,
		p.since())
	p.add(Step{
		ID: "find_persistence", Phase: PhaseEradicate, Title: "Look for what the service account made or changed",
		Why:    "Jobs, schedules, keys, bindings and functions survive the container. Remove what nobody meant.",
		Effect: "none, it only reads", Permission: "logging.logEntries.list",
	}, p.readLogs(filter).to("identity-changes.json"))
}

// recover brings the workload back and watches it.
func (p *planner) recover() {
	if !p.exists {
		p.closeFinding("when the questions above are answered")
		return
	}
	p.deletedObjects()
	if p.kind == finding.Service {
		p.add(Step{
			ID: "restore_traffic", Phase: PhaseRecover, Title: "Send traffic to the clean revision",
			Why:    "After it is deployed and tested; undo the other containment steps too.",
			Effect: "users get the new version", Undo: p.undoTraffic(), Permission: "run.services.update",
		}, p.run("run services update-traffic", p.name).on("to-latest"))
	}
	p.add(Step{
		ID: "watch", Phase: PhaseRecover, Title: "Watch for the same finding for a day",
		Why: "If it comes back, the way in is still open or the identity is still in other hands.", Effect: "none",
	})
	p.closeFinding("when nothing came back")
}

// deletedObjects looks for what can be brought back of a bucket that the
// container could write to.
func (p *planner) deletedObjects() {
	if !p.a.Reading.Has(command.Destruction) {
		return
	}
	for _, v := range p.s.cfg.Volumes[:min(len(p.s.cfg.Volumes), maxSecretSteps)] {
		if v.Kind != "gcs" || !v.Writable || v.Source == "" {
			continue
		}
		p.add(Step{
			ID: "deleted_objects", Phase: PhaseRecover, Title: "List what was deleted in the bucket " + plain(v.Source) + " and can be restored",
			Why:    "A bucket keeps deleted objects for a week where soft delete is on; gcloud storage restore brings them back.",
			Effect: "none, it only reads", Permission: "storage.objects.list",
		}, gcloud("storage ls").arg("gs://"+v.Source+"/**").on("soft-deleted"))
	}
}

// closeFinding sets the finding inactive. The event time is given because
// gcloud would set it to now, which makes an old event look new.
func (p *planner) closeFinding(when string) {
	cmd := gcloud("scc findings update").arg(p.s.f.CanonicalName).flag("state", "inactive")
	if p.event.IsZero() {
		return
	}
	cmd.flag("event-time", p.event.Format(time.RFC3339Nano))
	p.add(Step{
		ID: "close_finding", Phase: PhaseRecover, Title: "Set the finding inactive, " + when,
		Why:    "With a word why, so that the next analyst need not ask again.",
		Effect: "it leaves the list of active findings",
		Undo:   gcloud("scc findings update").arg(p.s.f.CanonicalName).flag("state", "active").flag("event-time", p.event.Format(time.RFC3339Nano)).String(),
		// securitycenter.findings.update is in roles/securitycenter.findingsEditor.
		Permission: "securitycenter.findings.update",
	}, cmd)
}

// preventRepeat says how the same benign finding is kept from coming again.
func (p *planner) preventRepeat() {
	p.add(Step{
		ID: "prevent_repeat", Phase: PhaseHarden, Title: "Start the program without a shell",
		Why:    "An entrypoint in exec form, or an image without a shell, raises no such finding, and leaves an attacker no shell.",
		Effect: "a new revision", Undo: "deploy the version before",
	})
}

// harden closes the weak points that were found.
func (p *planner) harden() {
	has := func(r string) bool { return contains(p.s.risks, r) }
	if has(RiskDefaultServiceAccount) {
		p.add(Step{
			ID: "own_identity", Phase: PhaseHarden, Title: "Give the workload a service account of its own with the few roles it needs",
			Why: "The default one is shared and often an editor of the whole project.", Effect: "a new revision; missing roles show as errors", Undo: "set the service account back",
		})
	}
	if has(RiskPlaintextSecretEnv) {
		p.add(Step{
			ID: "secret_manager", Phase: PhaseHarden, Title: "Move secrets from environment variables to Secret Manager",
			Why: "Whoever can read the service's configuration can read their values.", Effect: "a new revision",
		})
	}
	if p.kind == finding.Service && has(RiskGen1) {
		p.add(Step{
			ID: "second_generation", Phase: PhaseHarden, Title: "Use the second-generation execution environment",
			Why: "Runtime threat detection works only there.", Effect: "a new revision, slower cold starts",
			Undo: p.workload("update").flag("execution-environment", "gen1").String(), Permission: "run.services.update",
		}, p.workload("update").flag("execution-environment", "gen2"))
	}
	if p.kind == finding.Service && has(RiskNoBinaryAuthorization) {
		p.add(Step{
			ID: "binary_authorization", Phase: PhaseHarden, Title: "Let Binary Authorization check the image",
			Why: "Only images that your build made can be deployed.", Effect: "deploys of other images are refused by the project's policy",
			Undo: p.workload("update").on("clear-binary-authorization").String(), Permission: "run.services.update",
		}, p.workload("update").flag("binary-authorization", "default"))
	}
	if has(RiskMutableImageTag) {
		p.add(Step{
			ID: "pin_image", Phase: PhaseHarden, Title: "Deploy the image by digest",
			Why: "A tag can be moved to another image.", Effect: "a new revision",
		})
	}
	p.add(Step{
		ID: "no_shell", Phase: PhaseHarden, Title: "Use an image without a shell, and limit where the workload may connect to",
		Why: "Most attacks need a shell and a way out.", Effect: "a new revision",
	})
}
