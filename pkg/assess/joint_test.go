package assess

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// rank orders verdicts; unknown is graver than likely benign.
func rank(v Verdict) int {
	return slices.Index([]Verdict{LikelyBenign, Unknown, Suspicious, LikelyMalicious, Malicious}, v)
}

// crowd is an incident of n members, each with evidence of its own.
func crowd(r *rand.Rand, n int) []Input {
	out := make([]Input, n)
	for i := range out {
		out[i] = randomInput(r)
		f := out[i].Finding
		if r.IntN(3) == 0 { // more that is explained
			f.Processes = childShell("java", "sh", "-c", "./docker-entrypoint.sh").Processes
			f.Category, out[i].Evidence = "Unexpected Child Shell", deployed(complete(), "alice@example.com", 3)
		}
		if r.IntN(8) == 0 && len(f.Processes) > 1 {
			f.Processes[1].ArgsTruncated = true
		}
		f.CanonicalName = fmt.Sprintf("projects/1/sources/2/findings/f%d", i)
		f.EventTime = event().Add(time.Duration(i) * time.Minute)
	}
	return out
}

// together gives each its incident and what the others say by themselves.
func together(p *Policy, members []Input) (inputs []Input, standings []Standing, findings []*finding.Finding) {
	for i := range members {
		standings = append(standings, p.Own(members[i]))
		findings = append(findings, members[i].Finding)
	}
	for i := range members {
		in := Input{Finding: findings[i], Evidence: members[i].Evidence, Standings: map[string]Standing{}}
		for j, f := range findings {
			in.Incident.Members = append(in.Incident.Members, incident.Member{Finding: f, Seed: i == j})
			if i != j {
				in.Standings[f.StableName()] = standings[j]
			}
		}
		inputs = append(inputs, in)
	}
	return inputs, standings, findings
}

func jointOf(a Assessment) Joint {
	return Joint{Score: a.Score, Verdict: a.Verdict, Priority: a.Priority, Action: a.NextAction}
}

// TestMembersAgree holds that every member of an incident concludes the same,
// in any order, and that company never takes anything back.
func TestMembersAgree(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	seen := map[Verdict]int{}
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		members := crowd(r, 1+r.IntN(6))
		inputs, standings, findings := together(p, members)
		want := p.Joint(standings, findings)
		seen[want.Verdict]++
		story := ""
		for i, in := range inputs {
			r.Shuffle(len(in.Incident.Members), func(a, b int) {
				m := in.Incident.Members
				m[a], m[b] = m[b], m[a]
			})
			a := p.Assess(in)
			if got := jointOf(a); got != want {
				t.Errorf("seed %d: member %d says %+v, all say %+v: %s", seed, i, got, want, explain(a))
			}
			if a.OwnScore != standings[i].OwnScore {
				t.Errorf("seed %d: member %d has own score %d in company, %d alone", seed, i, a.OwnScore, standings[i].OwnScore)
			}
			checkBounds(t, p, a)
			if i > 0 && a.Story != story {
				t.Errorf("seed %d: stories differ: %q and %q", seed, a.Story, story)
			}
			story = a.Story
		}
		perm := r.Perm(len(standings))
		var ps []Standing
		var pf []*finding.Finding
		for _, i := range perm {
			ps, pf = append(ps, standings[i]), append(pf, findings[i])
		}
		if got := p.Joint(ps, pf); got != want {
			t.Errorf("seed %d: in the order %v all say %+v, else %+v", seed, perm, got, want)
		}
		for n := 1; n < len(ps); n++ {
			less, more := p.Joint(ps[:n], pf[:n]), p.Joint(ps[:n+1], pf[:n+1])
			if more.Score < less.Score || rank(more.Verdict) < rank(less.Verdict) {
				t.Errorf("seed %d: %d members say %+v, with one more %+v", seed, n, less, more)
			}
		}
	}
	for _, v := range []Verdict{LikelyBenign, Unknown, Suspicious, LikelyMalicious, Malicious} {
		if seen[v] == 0 {
			t.Errorf("no incident is %s: the test shows little", v)
		}
	}
	t.Log(seen)
}

// TestJointDecision holds the joint facts one by one.
func TestJointDecision(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	ok := func() map[string]evidence.State {
		return map[string]evidence.State{"findings": evidence.OK, "logs": evidence.OK, "config": evidence.OK, "virustotal": evidence.OK}
	}
	benign := func() Standing {
		return Standing{Points: map[string]int{"category": 25, "configured_command": -20, "entrypoint_script": -20}, Sources: ok(), Exposure: Internal}
	}
	strong := Standing{OwnScore: 65, Points: map[string]int{"category": 35, "interactive_shell": 30}, Sources: ok(), Exposure: ExposureUnknown}
	shell := childShell("java", "sh", "-c", "./docker-entrypoint.sh")
	long := childShell("java", "sh", "-c", "./docker-entrypoint.sh")
	long.Processes[1].ArgsTruncated = true
	huge := childShell("java", slices.Repeat([]string{strings.Repeat("x", 1000)}, 2000)...)
	with := func(st Standing, change func(*Standing)) Standing {
		change(&st)
		return st
	}
	tests := []struct {
		name     string
		members  []Standing
		findings []*finding.Finding
		want     Joint
	}{
		{"explained", []Standing{benign(), benign()}, []*finding.Finding{shell, shell}, Joint{5, LikelyBenign, "p4", CloseAsExpected}},
		{"one not explained", []Standing{benign(), {Points: map[string]int{}, Sources: ok()}}, []*finding.Finding{shell, shell}, Joint{5, Suspicious, "p3", Investigate}},
		{"a source of one is silent", []Standing{benign(), with(benign(), func(s *Standing) { s.Sources["logs"] = evidence.Timeout })}, []*finding.Finding{shell, shell}, Joint{5, Unknown, "p3", WaitForEvidence}},
		{"a source of one is denied", []Standing{benign(), with(benign(), func(s *Standing) { s.Sources["config"] = evidence.Denied })}, []*finding.Finding{shell, shell}, Joint{5, Unknown, "p3", VerifyWithOwner}},
		{"no logs visible to one", []Standing{benign(), with(benign(), func(s *Standing) { s.Sources["logs"] = evidence.Empty })}, []*finding.Finding{shell, shell}, Joint{5, Unknown, "p3", VerifyWithOwner}},
		{"a source of one is not named", []Standing{benign(), with(benign(), func(s *Standing) { delete(s.Sources, "virustotal") })}, []*finding.Finding{shell, shell}, Joint{5, Unknown, "p3", VerifyWithOwner}},
		{"virustotal is off", []Standing{benign(), with(benign(), func(s *Standing) { s.Sources["virustotal"] = evidence.Disabled })}, []*finding.Finding{shell, shell}, Joint{5, LikelyBenign, "p4", CloseAsExpected}},
		{"arguments of one were cut", []Standing{benign(), benign()}, []*finding.Finding{shell, long}, Joint{5, Unknown, "p3", VerifyWithOwner}},
		{"arguments of one are too long to read", []Standing{benign(), benign()}, []*finding.Finding{shell, huge}, Joint{5, Unknown, "p3", VerifyWithOwner}},
		{"strong", []Standing{strong, benign()}, []*finding.Finding{shell, shell}, Joint{70, LikelyMalicious, "p2", Investigate}},
		{"one knows that all are public", []Standing{strong, with(benign(), func(s *Standing) { s.Exposure = Public })}, []*finding.Finding{shell, shell}, Joint{70, LikelyMalicious, "p1", ContainNow}},
		{"one knows that all are privileged", []Standing{strong, with(benign(), func(s *Standing) { s.Privileged = true })}, []*finding.Finding{shell, shell}, Joint{70, LikelyMalicious, "p1", ContainNow}},
		{"only hints", []Standing{{OwnScore: 65, Points: map[string]int{"category": 65}, Sources: ok(), Exposure: Public}, benign()}, []*finding.Finding{shell, shell}, Joint{70, LikelyMalicious, "p1", Investigate}},
		{"a sure detector on one of them", []Standing{{OwnScore: 65, Points: map[string]int{"category": 65}, Sources: ok(), Exposure: Public}, benign()}, []*finding.Finding{shell, other("Reverse Shell")}, Joint{75, LikelyMalicious, "p1", ContainNow}},
		{"a miner on one of them", []Standing{strong, with(benign(), func(s *Standing) { s.Points["miner"] = 10 })}, []*finding.Finding{shell, shell}, Joint{70, Malicious, "p1", ContainNow}},
		{"nobody", nil, nil, Joint{0, Unknown, "p4", VerifyWithOwner}},
		{"no finding", []Standing{{}, {}}, []*finding.Finding{nil, nil}, Joint{5, Unknown, "p4", VerifyWithOwner}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, p.Joint(tt.members, tt.findings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestCutShort holds that an explanation rests on a command line read to its
// end, also where only this program's own bounds cut it.
func TestCutShort(t *testing.T) {
	t.Parallel()
	f := childShell("java", "sh", "-c", "./docker-entrypoint.sh")
	if cutShort(f) || cutShort(nil) {
		t.Error("a short command line is cut short")
	}
	f.Processes[1].Args = slices.Repeat([]string{strings.Repeat("x", 1000)}, 5000)
	if !cutShort(f) {
		t.Error("five megabytes of arguments are read to the end")
	}
}

// TestOwn holds that company changes nothing in what a finding says by itself.
func TestOwn(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	in := input(childShell("java", "sh", "-i"), complete())
	alone := p.Own(in)
	in = input(in.Finding, in.Evidence, other("Reverse Shell"))
	if diff := cmp.Diff(alone, p.Own(in)); diff != "" {
		t.Errorf("alone and in company (-want +got):\n%s", diff)
	}
	if alone.OwnScore != 73 || alone.Points["interactive_shell"] != 30 || alone.Exposure != Public || !alone.Privileged || alone.Sources["logs"] != evidence.OK {
		t.Errorf("Own() = %+v", alone)
	}
	if got := p.Own(Input{Finding: in.Finding}); got.Sources["config"] != evidence.Error || got.Exposure != ExposureUnknown || got.OwnScore == 0 {
		t.Errorf("estimate = %+v", got)
	}
	if diff := cmp.Diff(map[string]bool{"related_findings": true, "incident_tactics": true, "related_stronger": true}, p.IncidentRules()); diff != "" {
		t.Errorf("IncidentRules() (-want +got):\n%s", diff)
	}
}

func TestStory(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	at := func(category string, minutes int) *finding.Finding {
		f := other(category)
		f.CanonicalName = fmt.Sprintf("f%d", minutes)
		f.EventTime = time.Date(2026, 9, 5, 12, 2+minutes, 0, 0, time.FixedZone("", 2*3600))
		return f
	}
	story := func(list ...*finding.Finding) string {
		return p.Assess(input(list[0], complete(), list[1:]...)).Story
	}
	got := story(at("Execution: Added Malicious Binary Executed", 5), at("Reverse Shell", 3), at("Unexpected Child Shell", 0), at("Malicious URL Observed", 1))
	if want := "Incident of 4: shell at 10:02, malicious URL 10:03, reverse shell 10:05, added malicious binary 10:07."; got != want {
		t.Errorf("story = %q, want %q", got, want)
	}
	asleep := at("Reverse Shell", 3)
	asleep.Mute = "MUTED"
	got = story(at("Unexpected Child Shell", 0), asleep)
	if want := "Incident of 2, 1 of them muted: shell at 10:02, reverse shell 10:05."; got != want {
		t.Errorf("story = %q, want %q", got, want)
	}
	var many []*finding.Finding
	for i := range 9 {
		many = append(many, at(strings.Repeat("A Very Long Category ", 9), i))
	}
	got = story(many...)
	if !strings.HasSuffix(got, " 10:07 and 3 more.") {
		t.Errorf("story = %q", got)
	}
	a := p.Assess(input(many[0], complete(), many[1:]...))
	if len(a.Summary) > maxSummary || !strings.Contains(a.Summary, got+" Next: ") {
		t.Errorf("summary of %d bytes lacks the story: %q", len(a.Summary), a.Summary)
	}
	if got := story(at("Reverse Shell", 0)); got != "" {
		t.Errorf("story of one = %q", got)
	}
	for category, want := range map[string]string{
		"": "finding", "(CVE)": "finding", "Detected": "detected", "CLOUD_RUN_REVERSE_SHELL": "cloud_run_reverse_shell",
		"Execution: Suspicious OpenSSL Shared Object Loaded":                            "suspicious OpenSSL shared object",
		"Privilege Escalation: Abuse of Sudo For Privilege Escalation (CVE-2019-14287)": "abuse of sudo for privilege esca",
	} {
		if got := shortName(category); got != want {
			t.Errorf("shortName(%q) = %q, want %q", category, got, want)
		}
	}
}
