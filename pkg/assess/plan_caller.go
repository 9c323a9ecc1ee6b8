package assess

import (
	"strings"
	"time"
)

// The steps of a control-plane finding about whoever made the API call: the
// call is what was detected, and its maker can make the next one.

// suspect is who made the call of a control-plane finding, or empty.
func (p *planner) suspect() string {
	if !p.s.controlPlane() || !strings.Contains(p.s.f.Access.Principal, "@") {
		return ""
	}
	return principal(p.s.f.Access.Principal)
}

// callerActivity follows the caller around the event.
func (p *planner) callerActivity() {
	who := p.suspect()
	if who == "" {
		return
	}
	filter := allOf(append([]string{logTerm("protoPayload.authenticationInfo.principalEmail=", who)}, p.window(time.Hour, time.Hour)...)...)
	p.add(Step{
		ID: "caller_activity", Phase: PhaseScope, Title: "See what " + who + " did around it",
		Why:    "The finding is one call. Others show whether it was a deploy or an intruder: other services, keys, bindings, addresses it never called from.",
		Effect: "none, it only reads", Permission: "logging.logEntries.list, logging.privateLogEntries.list",
	}, p.readLogs(filter).to("caller-activity.json"))
}

// stopCaller takes the caller's access away: his key, where that made the call.
func (p *planner) stopCaller() {
	who := p.suspect()
	if who == "" || !p.grave() {
		return
	}
	step := Step{
		ID: "stop_caller", Phase: PhaseContain, Title: "Suspend " + who + " and end its sessions",
		Why: "Whoever made this call can make the next one.", Effect: "this account can do nothing", Undo: "reinstate the account",
	}
	if isPerson(who) {
		p.add(step)
		return
	}
	if key := lastSegment(p.s.f.Access.KeyName); key != "" {
		cmd := func(verb string) *gcloudCommand {
			return gcloud("iam service-accounts keys "+verb).arg(key).flag("iam-account", who)
		}
		p.add(Step{
			ID: "disable_key", Phase: PhaseContain, Title: "Disable the service account key that made the call",
			Why:    "A key is a file: whoever has a copy of it is the service account, from anywhere.",
			Effect: "everything that uses this key fails", Undo: cmd("enable").String(), Permission: "iam.serviceAccountKeys.disable",
		}, cmd("disable"))
		return
	}
	step.Title = "Disable the service account that made the call"
	step.Effect = "everything that uses it fails: list that first"
	step.Permission = "iam.serviceAccounts.disable"
	step.Undo = gcloud("iam service-accounts enable").arg(who).flag("project", p.project).String()
	p.add(step, gcloud("iam service-accounts disable").arg(who).flag("project", p.project))
}
