// Package assess turns evidence into an assessment: a score with the reason
// for every point, a verdict, what was not checked, and a response plan filled
// in for the workload. The rules are data: a policy of CEL expressions. Assess
// is a pure function: the same input gives the same assessment.
package assess

import (
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// Verdict is what the assessment concludes.
type Verdict string

// The closed set of verdicts.
const (
	Malicious       Verdict = "malicious"
	LikelyMalicious Verdict = "likely_malicious"
	Suspicious      Verdict = "suspicious"
	LikelyBenign    Verdict = "likely_benign"
	Unknown         Verdict = "unknown"
)

// Action is the next action for the analyst.
type Action string

// The closed set of next actions.
const (
	ContainNow      Action = "contain_now"
	Investigate     Action = "investigate"
	VerifyWithOwner Action = "verify_with_owner"
	CloseAsExpected Action = "close_as_expected"
	WaitForEvidence Action = "wait_for_evidence"
)

// Exposure is who can reach the workload.
type Exposure string

// The closed set of exposures.
const (
	Public                Exposure = "public"
	Authenticated         Exposure = "authenticated"
	Internal              Exposure = "internal"
	ExposureNotApplicable Exposure = "not_applicable"
	ExposureUnknown       Exposure = "unknown"
)

// Input is all that an assessment rests on.
type Input struct {
	Finding  *finding.Finding
	Incident incident.Incident
	Evidence *evidence.Evidence
	// Standings is what the other members of the incident say by themselves, by
	// StableName. A member that is not in it is estimated from its finding.
	Standings map[string]Standing
	// Earlier are older findings of the workload, in any order.
	Earlier []Earlier
}

// Reason is one rule that fired.
type Reason struct {
	// ID is the rule's id, "reverse_shell".
	ID    string
	Title string
	// Points are what the rule added after caps; negative lowers.
	Points int
	// Source is the evidence it rests on: finding, command, virustotal, config, logs, findings.
	Source string
	// Evidence says in words what was seen; not redacted.
	Evidence string
	// Incident is true when the reason counts for the incident score only.
	Incident bool
}

// Step is one step of the response plan.
type Step struct {
	ID string
	// Phase is evidence, scope, contain, eradicate, recover or harden.
	Phase string
	Title string
	Why   string
	// Command is shell-quoted and complete, or empty for a step a person does.
	Command    string
	Effect     string
	Undo       string
	Permission string
}

// Assessment is the conclusion.
type Assessment struct {
	Verdict Verdict
	// Score and OwnScore are 0 to 100: of the incident, and of the finding alone.
	Score, OwnScore int
	// Priority is p1 to p4. Score, Verdict, Priority and NextAction are the same
	// for every member of an incident; see Policy.Joint.
	Priority   string
	Reasons    []Reason
	NextAction Action
	// Reading is what the child's command line (and its script) says.
	Reading command.Reading
	// Parent and Child are the processes that tell the story; either may be nil.
	Parent, Child *finding.Process
	// Tactics and Techniques are ATT&CK ids in order of the kill chain; AttackVersion is the version of the mapping.
	Tactics       []string
	Techniques    []string
	AttackVersion string
	Exposure      Exposure
	ConfigRisks   []string
	Signals       []evidence.Signal
	Indicators    []command.Indicator
	// Unchecked says in words what was not checked, and why.
	Unchecked []string
	Summary   string
	// Story says in one sentence what happened when in the incident, the same
	// for every member; empty when the finding stands alone.
	Story string
	Plan  []Step
	// Precedent is what became of the same before.
	Precedent Precedent
	PolicyID  string
}
