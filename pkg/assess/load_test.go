package assess

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// small is the least policy that loads.
const small = `id: small
rules:
  - id: category
    title: t
    source: finding
    when: finding.category != ""
    points: 40
    evidence: saw {finding.category}
verdicts: {suspicious: score >= 30}
priorities: {p1: 'verdict == "malicious"'}
actions: {contain_now: 'verdict == "malicious"'}
`

func TestLoadFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		want []string // substrings of the error, each with its line
	}{
		{"empty", "", []string{"line 1: the file is empty"}},
		{"not_yaml", "id: [", []string{"line 1: ", "did not find"}},
		{"unknown_field", strings.Replace(small, "points: 40", "point: 40", 1), []string{"line 7: field point not found"}},
		{"not_a_rule_list", "id: x\nrules: 5\n", []string{"line 2: "}},
		{"second_document", small + "---\nid: y\n", []string{"one YAML document"}},
		{"undeclared_variable", strings.Replace(small, "finding.category !=", "finding.categry !=", 1), []string{`line 6: rule "category": when: column `, "undeclared reference to 'finding.categry' (did you mean 'finding.category'?)"}},
		{"wrong_type", strings.Replace(small, `finding.category != ""`, "finding.category", 1), []string{`line 6: rule "category": when: is a string, want bool`}},
		{"syntax", strings.Replace(small, `finding.category != ""`, "finding.category ==", 1), []string{`line 6: rule "category": when: column`, "Syntax error"}},
		{"points_out_of_range", strings.Replace(small, "40", "400", 1), []string{`line 7: rule "category": points: 400 is not between`}},
		{"points_expression_type", strings.Replace(small, "40", `finding.severity`, 1), []string{`line 7: rule "category": points: is a string, want int`}},
		{"evidence_brace", strings.Replace(small, "{finding.category}", "{finding.category", 1), []string{`line 8: rule "category": evidence: column 5: { without }`}},
		{"evidence_variable", strings.Replace(small, "{finding.category}", "{nothing.here}", 1), []string{`line 8: rule "category": evidence: in {nothing.here}`, "undeclared"}},
		{"missing_when", strings.Replace(small, `    when: finding.category != ""`+"\n", "", 1), []string{`line 3: rule "category": when: is missing`}},
		{"bad_source", strings.Replace(small, "source: finding", "source: gossip", 1), []string{`line 5: rule "category": source "gossip"`}},
		{"bad_scope", strings.Replace(small, "points: 40", "points: 40\n    scope: world", 1), []string{`line 8: rule "category": scope "world"`}},
		{"bad_id", strings.Replace(small, "id: category", "id: Category!", 1), []string{"line 3: ", "id must be lower-case"}},
		{"decision_variable_in_rule", strings.Replace(small, `finding.category != ""`, "score > 3", 1), []string{`line 6: rule "category": when: score is not known here`}},
		{"incident_rule_of_one_member", strings.Replace(small, "points: 40", "points: 40\n    scope: incident", 1), []string{`line 6: rule "category": when: finding.category is not known here: a rule of scope incident sees only`}},
		{"own_rule_of_the_incident", strings.Replace(small, `finding.category != ""`, "incident.others > 0", 1), []string{`line 6: rule "category": when: incident.others is not known here: a rule of scope own`}},
		{"decision_of_one_member", strings.Replace(small, "score >= 30", `finding.severity == "HIGH"`, 1), []string{`line 9: verdicts suspicious: finding.severity is not known here: decisions hold`}},
		{"too_many_incident_rules", small + "extra", []string{"at most 16 rules have scope incident"}},
		{"unknown_verdict", strings.Replace(small, "suspicious:", "fishy:", 1), []string{`line 9: verdicts: "fishy" is not one of`}},
		{"duplicate_rule", strings.Replace(small, "verdicts:", "  - {id: category, title: t, source: finding, when: 'true', points: 1, evidence: e}\nverdicts:", 1), []string{`line 9: rule "category": is there already in line 3`}},
		{"unknown_cap", small + "caps:\n  gossip: {max: 3}\n", []string{`line 13: caps: "gossip" is not a source`}},
		{"cap_out_of_range", small + "caps:\n  logs: {max: 300}\n", []string{"line 13: caps logs: min must be"}},
		{"weight_out_of_range", small + "category_weights:\n  Reverse Shell: 101\n", []string{`line 13: category_weights: the weight of "Reverse Shell"`}},
		{"weight_twice", small + "category_weights:\n  Reverse Shell: 10\n  reverse  shell: 11\n", []string{"two spellings"}},
		{"extends_unknown", "extends: other\n", []string{`line 1: extends: "other" is not a policy`}},
		{"disable_unknown", "extends: default\nrules:\n  - {id: nothing, disabled: true}\n", []string{`line 3: rule "nothing": is disabled here but`}},
		{"test_unknown_variable", small + "tests:\n  - name: x\n    given:\n      no.such: 1\n", []string{`test "x": given no.such: there is no such variable`}},
		{"test_wrong_type", small + "tests:\n  - name: x\n    given:\n      finding.processes: many\n", []string{"line 15: ", "is not a int"}},
		{"test_unknown_rule", small + "tests:\n  - name: x\n    expect: {reasons: [nothing]}\n", []string{`line 14: test "x": there is no rule "nothing"`}},
		{"test_unknown_verdict", small + "tests:\n  - name: x\n    expect: {verdict: bad}\n", []string{`line 14: test "x": "bad" is not one of`}},
		{"test_given_computed", small + "tests:\n  - name: x\n    given: {score: 3}\n", []string{"is computed and cannot be given"}},
		{"too_costly", strings.Replace(small, `finding.category != ""`, `command.behaviors.all(a, command.behaviors.all(b, command.behaviors.all(c, a + b + c != command.line)))`, 1), []string{"line 6: ", "may cost"}},
		{"all_faults_together", strings.NewReplacer("40", "400", "source: finding", "source: gossip").Replace(small), []string{"line 5: ", "line 7: "}},
		{"too_large", "id: x\n#" + strings.Repeat("x", maxPolicyBytes), []string{"larger than"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "too_many_incident_rules" {
				var rules strings.Builder
				for i := range maxIncidentRules + 1 {
					fmt.Fprintf(&rules, "  - {id: r%d, title: t, source: findings, scope: incident, when: 'true', points: 1, evidence: e}\n", i)
				}
				tt.text = strings.Replace(small, "rules:\n", "rules:\n"+rules.String(), 1)
			}
			p, err := Load([]byte(tt.text))
			if err == nil {
				t.Fatalf("Load() = %v, want an error with %q", p.ID(), tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Load() error:\n%v\nlacks %q", err, want)
				}
			}
			var f *Fault
			if !errors.As(err, &f) || f.Line < 1 {
				t.Errorf("Load() error %v holds no Fault with a line", err)
			}
		})
	}
}

func TestLoadSmall(t *testing.T) {
	t.Parallel()
	p, err := Load([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.ID(), "small@") || len(p.ID()) != len("small@")+8 {
		t.Errorf("ID() = %q", p.ID())
	}
	a := p.Assess(input(childShell("java", "sh"), complete()))
	want := []Reason{{ID: "category", Title: "t", Points: 40, Source: "finding", Evidence: "saw Unexpected Child Shell"}}
	if diff := cmp.Diff(want, a.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if a.Verdict != Suspicious || a.Score != 40 || a.PolicyID != p.ID() {
		t.Errorf("Assess() = %s", explain(a))
	}
}

func TestLoadExtends(t *testing.T) {
	t.Parallel()
	base := mustDefault(t)
	p, err := Load([]byte(`id: ours
extends: default
explained_at_most: 45
caps:
  logs: {min: -30, max: 5}
category_weights:
  "unexpected child  shell": 60
rules:
  - id: severity_critical
    disabled: true
  - id: fresh_deploy
    points: -3
  - id: pay_is_precious
    title: The payment service
    source: config
    when: config.service_account.startsWith("pay@")
    points: 7
    evidence: runs as {config.service_account}
tests:
  - name: our weight counts
    given: {finding.category: Unexpected Child Shell, finding.severity: CRITICAL}
    expect: {score: "60", absent: [severity_critical]}
  - name: this one fails
    given: {finding.category: Unexpected Child Shell}
    expect: {verdict: malicious, reasons: [pay_is_precious]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID() == base.ID() || !strings.HasPrefix(p.ID(), "ours@") {
		t.Errorf("ID() = %q", p.ID())
	}
	if p.Tests() != 2 {
		t.Errorf("Tests() = %d, want only those of the file", p.Tests())
	}
	var got []string
	for _, f := range p.Test() {
		got = append(got, f.String())
	}
	want := []string{
		`line 23: "this one fails": verdict is likely_malicious, want malicious (score 60: category +60)`,
		`line 23: "this one fails": rule pay_is_precious did not fire (score 60: category +60)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Test() (-want +got):\n%s", diff)
	}
	a := p.Assess(input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), deployed(complete(), "alice@example.com", 3)))
	points := map[string]int{}
	for _, r := range a.Reasons {
		points[r.ID] = r.Points
	}
	if points["fresh_deploy"] != -3 || points["pay_is_precious"] != 7 || points["exposure_public"] != 3 || points["category"] != 60 {
		t.Errorf("points are %v: the rule is overridden, the config cap holds, the weight is ours", points)
	}
	if _, ok := points["severity_critical"]; ok {
		t.Error("a disabled rule fired")
	}
}

// TestMapOrder holds that an expression over a map gives the same text every time.
func TestMapOrder(t *testing.T) {
	t.Parallel()
	p, err := Load([]byte(strings.Replace(small, "{finding.category}", `{logs.signals.map(k, k + "=" + string(logs.signals[k])).join(" ")}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	f := newFacts(p.lang.index, p.lang.zeros)
	f.text("finding.category", "x")
	f.counts("logs.signals", map[string]int{"d": 4, "a": 1, "c": 3, "b": 2, "e": 5})
	for range 50 {
		hits, failed := p.fire(f, false)
		if len(failed) > 0 || len(hits) != 1 || hits[0].evidence != "saw a=1 b=2 c=3 d=4 e=5" {
			t.Fatalf("fire() = %+v, %v", hits, failed)
		}
	}
}

// TestRuleError holds that a rule that cannot be evaluated is not silence.
func TestRuleError(t *testing.T) {
	t.Parallel()
	p, err := Load([]byte("extends: default\nrules:\n  - {id: broken, title: t, source: logs, when: 'logs.signals[\"nothing\"] > 0', points: 5, evidence: e}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := p.Assess(input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), deployed(complete(), "alice@example.com", 3)))
	if a.Verdict == LikelyBenign {
		t.Errorf("likely benign although a rule could not be evaluated: %s", explain(a))
	}
	if !contains(a.Unchecked, "policy: rule broken could not be evaluated") {
		t.Errorf("Unchecked = %q", a.Unchecked)
	}
}

func TestDefaultPolicyCoversDetectors(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for name := range p.weights {
		if name == "" {
			t.Error("an empty category has a weight")
		}
	}
	if len(p.weights) < 38 {
		t.Errorf("%d categories have a weight, want all 38 detectors", len(p.weights))
	}
	for _, alias := range []string{"REVERSE SHELL", "Impact: Suspicious crypto mining activity using the Stratum Protocol", "CLOUD_RUN_UNEXPECTED_CHILD_SHELL"} {
		if p.weight(alias) == p.weightElse {
			t.Errorf("%q has no weight of its own", alias)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("extends: default\nrules: [{id: x, disabled: true}]"))
	f.Add([]byte("rules: [{evidence: '{{ {a'}]\ntests: [{given: {a: [1]}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Load(data)
		if err != nil {
			return
		}
		_ = p.Test()
		_ = p.Assess(input(childShell("java", "sh"), complete()))
	})
}
