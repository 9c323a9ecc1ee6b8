package assess

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types/ref"
	"go.yaml.in/yaml/v3"
)

// policyTest is one compiled test case of a policy.
type policyTest struct {
	name   string
	line   int
	given  []assignment
	expect expectDoc
}

// assignment sets one variable.
type assignment struct {
	name string
	set  func(*facts)
}

// Failure is one expectation of a policy's own tests that does not hold.
type Failure struct {
	// Test is the test's name and Line where it stands in the policy file.
	Test string
	Line int
	// Message says what was expected, and what came in its place with all reasons.
	Message string
}

// String reads `line 412: "a miner is malicious": verdict is suspicious, want malicious (score 35: ...)`.
func (f Failure) String() string {
	return fmt.Sprintf("line %d: %q: %s", f.Line, f.Test, f.Message)
}

// Test runs the policy's own test cases and returns what fails, in order of
// the file; nil when all pass.
func (p *Policy) Test() []Failure {
	var out []Failure
	for _, t := range p.tests {
		out = append(out, p.runTest(t)...)
	}
	return out
}

// Tests is the number of test cases in the policy.
func (p *Policy) Tests() int { return len(p.tests) }

func (p *Policy) runTest(t policyTest) []Failure {
	f := newFacts(p.lang.index, p.lang.zeros)
	given := map[string]bool{}
	for _, a := range t.given {
		a.set(f)
		given[a.name] = true
	}
	p.complete(f, given)
	c := p.try(f)

	var out []Failure
	fail := func(format string, args ...any) {
		out = append(out, Failure{Test: t.name, Line: t.line, Message: fmt.Sprintf(format, args...) + " (" + c.describe() + ")"})
	}
	for _, e := range []struct {
		what string
		want scalar
		got  string
	}{
		{"verdict", t.expect.Verdict, string(c.verdict)},
		{"priority", t.expect.Priority, c.priority},
		{"action", t.expect.Action, string(c.action)},
		{"score", t.expect.Score, strconv.Itoa(c.score)},
		{"own_score", t.expect.OwnScore, strconv.Itoa(c.ownScore)},
	} {
		if e.want.Value != "" && e.want.Value != e.got {
			fail("%s is %s, want %s", e.what, e.got, e.want.Value)
		}
	}
	ids := f.getList("reasons")
	for _, want := range t.expect.Reasons {
		if !slices.Contains(ids, want.Value) {
			fail("rule %s did not fire", want.Value)
		}
	}
	for _, absent := range t.expect.Absent {
		if slices.Contains(ids, absent.Value) {
			fail("rule %s fired", absent.Value)
		}
	}
	if len(c.failed) > 0 {
		fail("could not be evaluated: %s", strings.Join(c.failed, ", "))
	}
	return out
}

// try concludes from facts alone. What a test says of the incident stands for
// its other members; of everything else they say what the finding says.
func (p *Policy) try(f *facts) conclusion {
	own := p.own(f)
	if f.getInt("incident.others") == 0 {
		return p.alone(f, &own)
	}
	strongest := max(own.score(), f.getInt("incident.strongest_score"))
	f.int("incident.strongest_score", strongest)
	extra, top := p.extra(f, own.score()), p.extra(f, strongest)
	fired := map[string]bool{}
	for _, r := range slices.Concat(own.reasons, extra.reasons, top.reasons) {
		fired[r.ID] = true
	}
	p.reasons(f, fired)
	f.int("explained_points", own.explained)
	f.bool("decisive", own.decisive || top.decisive)
	if category := f.getText("incident.strongest_category"); category != "" {
		f.int("finding.category_weight", max(f.getInt("finding.category_weight"), p.weight(category)))
	}
	if top.decisive {
		f.int("explained_points", 0)
	}
	return concluded(&own, &extra, p.judge(f, clamp(strongest+top.sum)))
}

// describe says a conclusion on one line: "score 35: category +25, severity_critical +10".
func (c *conclusion) describe() string {
	parts := make([]string, len(c.reasons))
	for i, r := range c.reasons {
		parts[i] = fmt.Sprintf("%s %+d", r.ID, r.Points)
	}
	return fmt.Sprintf("score %d: %s", c.score, strings.Join(parts, ", "))
}

// compileTests checks the test cases of the document.
func (c *compiler) compileTests(p *Policy) {
	if len(c.doc.Tests) > maxTests {
		c.faults.add(c.doc.Tests[maxTests].Name.Line, "tests", fmt.Sprintf("more than %d", maxTests))
		return
	}
	known := map[string]bool{}
	for i := range c.doc.Rules {
		known[c.doc.Rules[i].ID.Value] = true
	}
	for i := range c.doc.Tests {
		d := &c.doc.Tests[i]
		where := fmt.Sprintf("test %q", d.Name.Value)
		if d.Name.Value == "" {
			c.faults.add(1, "tests", fmt.Sprintf("number %d has no name", i+1))
		}
		t := policyTest{name: d.Name.Value, line: d.Name.Line, expect: d.Expect}
		names := make([]string, 0, len(d.Given))
		for name := range d.Given {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			node := d.Given[name]
			set, err := c.lang.assign(name, &node)
			if err != nil {
				c.faults.add(node.Line, where+": given "+name, err.Error())
				continue
			}
			t.given = append(t.given, assignment{name: name, set: set})
		}
		for _, id := range append(slices.Clone(d.Expect.Reasons), d.Expect.Absent...) {
			if !known[id.Value] {
				c.faults.add(id.Line, where, fmt.Sprintf("there is no rule %q", id.Value))
			}
		}
		c.checkExpect(where, &d.Expect)
		p.tests = append(p.tests, t)
	}
}

// checkExpect refuses a test that could never hold.
func (c *compiler) checkExpect(where string, e *expectDoc) {
	for _, x := range []struct {
		s     scalar
		among []string
	}{
		{e.Verdict, append(verdictOrder(), string(Unknown))},
		{e.Priority, append(priorityOrder(), "p4")},
		{e.Action, append(actionOrder(), string(Investigate))},
	} {
		if x.s.Value != "" && !contains(x.among, x.s.Value) {
			c.faults.add(x.s.Line, where, fmt.Sprintf("%q is not one of %s", x.s.Value, strings.Join(x.among, ", ")))
		}
	}
}

// assign reads the value that a test gives to a variable.
func (l *language) assign(name string, n *yaml.Node) (func(*facts), error) {
	k, ok := l.kinds[name]
	if !ok {
		return nil, fmt.Errorf("there is no such variable")
	}
	switch name {
	case "score", "own_score", "reasons", "explained_points", "decisive", "verdict":
		return nil, fmt.Errorf("is computed and cannot be given")
	}
	bad := func(err error) error { return fmt.Errorf("is not a %s: %w", k.name(), err) }
	var v ref.Val
	switch k {
	case kindBool:
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, bad(err)
		}
		return func(f *facts) { f.bool(name, b) }, nil
	case kindInt:
		var i int
		if err := n.Decode(&i); err != nil {
			return nil, bad(err)
		}
		return func(f *facts) { f.int(name, i) }, nil
	case kindList:
		var s []string
		if err := n.Decode(&s); err != nil {
			return nil, bad(err)
		}
		v = stringList(s)
	case kindTexts:
		var m map[string]string
		if err := n.Decode(&m); err != nil {
			return nil, bad(err)
		}
		return func(f *facts) { f.texts(name, m) }, nil
	case kindCounts:
		var m map[string]int
		if err := n.Decode(&m); err != nil {
			return nil, bad(err)
		}
		return func(f *facts) { f.counts(name, m) }, nil
	default:
		var s string
		if err := n.Decode(&s); err != nil {
			return nil, bad(err)
		}
		return func(f *facts) { f.text(name, s) }, nil
	}
	return func(f *facts) { f.set(name, v) }, nil
}
