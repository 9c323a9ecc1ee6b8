package assess

import (
	_ "embed"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
)

//go:embed policy/default.yaml
var defaultPolicy []byte

// The bounds of a policy file.
const (
	maxPolicyBytes = 1 << 20
	maxRules       = 500
	maxTests       = 1000
)

// sources are the evidence sources a rule can rest on, each with its own cap.
func sources() []string {
	return []string{"finding", "command", "virustotal", "config", "logs", "findings"}
}

// Policy is a compiled policy. It is immutable and safe for concurrent use.
type Policy struct {
	id         string
	lang       *language
	rules      []rule
	caps       map[string]span
	explained  int // the most points that explanations can take off, positive
	weights    map[string]int
	weightElse int
	verdicts   []decision
	priorities []decision
	actions    []decision
	tests      []policyTest
}

// rule is one compiled rule.
type rule struct {
	id, title  string
	source     string
	incident   bool
	decisive   bool
	when       *expression
	points     *expression
	evidence   *template
	techniques []string
}

// span bounds the sum of points of one source.
type span struct{ min, max int }

// decision gives value when its condition holds; the first that holds wins.
type decision struct {
	value string
	when  *expression
}

// LoadDefault returns the embedded policy.
func LoadDefault() (*Policy, error) {
	return Load(defaultPolicy)
}

// Load reads and compiles a policy: a YAML document of at most 1 MiB. A policy
// that says "extends: default" changes the embedded one, rule by rule; any
// other replaces it. Every fault is reported, with its line and reason: a
// policy with a fault is refused as a whole.
func Load(data []byte) (*Policy, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	hash := contentHash(data)
	if doc.Extends.Value != "" {
		if doc.Extends.Value != "default" {
			return nil, &Fault{Line: doc.Extends.Line, Where: "extends", Reason: fmt.Sprintf("%q is not a policy, only \"default\" can be extended", doc.Extends.Value)}
		}
		base, err := parseDocument(defaultPolicy)
		if err != nil {
			return nil, fmt.Errorf("parse the embedded policy: %w", err)
		}
		hash = contentHash(defaultPolicy, data)
		if doc, err = base.extend(doc); err != nil {
			return nil, err
		}
	}
	lang, err := newLanguage()
	if err != nil {
		return nil, err
	}
	c := compiler{lang: lang, doc: doc}
	p := c.compile()
	if err := c.faults.err(); err != nil {
		return nil, err
	}
	p.id = doc.ID.Value + "@" + hash
	return p, nil
}

// ID names the policy and its content: "default@1f3870be".
func (p *Policy) ID() string { return p.id }

// compiler turns a document into a policy and collects every fault.
type compiler struct {
	lang   *language
	doc    *document
	faults faults
}

func (c *compiler) compile() *Policy {
	p := &Policy{lang: c.lang}
	if c.doc.ID.Value == "" {
		c.faults.add(1, "id", "is missing: a policy has a name")
	}
	c.compileCaps(p)
	c.compileWeights(p)
	c.compileRules(p)
	p.verdicts = c.compileDecisions("verdicts", c.doc.Verdicts, verdictOrder())
	p.priorities = c.compileDecisions("priorities", c.doc.Priorities, priorityOrder())
	p.actions = c.compileDecisions("actions", c.doc.Actions, actionOrder())
	c.compileTests(p)
	return p
}

func (c *compiler) compileCaps(p *Policy) {
	p.caps = map[string]span{}
	for _, s := range sources() {
		p.caps[s] = span{min: -100, max: 100}
	}
	for name, v := range c.doc.Caps {
		if _, ok := p.caps[name]; !ok {
			c.faults.add(v.Line, "caps", fmt.Sprintf("%q is not a source: use %s", name, strings.Join(sources(), ", ")))
			continue
		}
		if v.Min > 0 || v.Max < 0 || v.Min < -100 || v.Max > 100 {
			c.faults.add(v.Line, "caps "+name, "min must be -100 to 0 and max 0 to 100")
		}
		p.caps[name] = span{min: v.Min, max: v.Max}
	}
	p.explained = 100
	if e := c.doc.ExplainedAtMost; e.Value != "" {
		n, err := strconv.Atoi(e.Value)
		if err != nil || n < 0 || n > 100 {
			c.faults.add(e.Line, "explained_at_most", "must be 0 to 100")
		}
		p.explained = n
	}
}

func (c *compiler) compileWeights(p *Policy) {
	p.weights = make(map[string]int, len(c.doc.CategoryWeights))
	names := make([]string, 0, len(c.doc.CategoryWeights))
	for name := range c.doc.CategoryWeights {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		v := c.doc.CategoryWeights[name]
		n, err := strconv.Atoi(v.Value)
		if err != nil || n < 0 || n > 100 {
			c.faults.add(v.Line, "category_weights", fmt.Sprintf("the weight of %q must be 0 to 100", name))
			continue
		}
		if name == "default" {
			p.weightElse = n
			continue
		}
		key := categoryKey(name)
		if _, ok := p.weights[key]; ok {
			c.faults.add(v.Line, "category_weights", fmt.Sprintf("%q is there twice under two spellings", name))
		}
		p.weights[key] = n
	}
}

// weight is the points a category is worth alone.
func (p *Policy) weight(category string) int {
	if n, ok := p.weights[categoryKey(category)]; ok {
		return n
	}
	return p.weightElse
}

func (c *compiler) compileRules(p *Policy) {
	if len(c.doc.Rules) == 0 {
		c.faults.add(1, "rules", "there are none")
	}
	if len(c.doc.Rules) > maxRules {
		c.faults.add(c.doc.Rules[maxRules].ID.Line, "rules", fmt.Sprintf("more than %d", maxRules))
		return
	}
	seen, incident := map[string]int{}, 0
	for i := range c.doc.Rules {
		d := &c.doc.Rules[i]
		where := fmt.Sprintf("rule %q", d.ID.Value)
		if !validID(d.ID.Value) {
			c.faults.add(d.ID.Line, where, "id must be lower-case letters, digits and _, at most 40")
		}
		if line, ok := seen[d.ID.Value]; ok {
			c.faults.add(d.ID.Line, where, fmt.Sprintf("is there already in line %d", line))
		}
		seen[d.ID.Value] = d.ID.Line
		if d.Disabled {
			continue
		}
		p.rules = append(p.rules, c.compileRule(where, d))
		if r := &p.rules[len(p.rules)-1]; r.incident {
			if incident++; incident == maxIncidentRules+1 {
				c.faults.add(d.ID.Line, where, fmt.Sprintf("is one too many: at most %d rules have scope incident", maxIncidentRules))
			}
		}
	}
}

func (c *compiler) compileRule(where string, d *ruleDoc) rule {
	r := rule{id: d.ID.Value, title: d.Title.Value, source: d.Source.Value, decisive: d.Decisive.Value == "true", techniques: d.Techniques}
	switch d.Decisive.Value {
	case "", "true", "false":
	default:
		c.faults.add(d.Decisive.Line, where, "decisive must be true or false")
	}
	if r.title == "" {
		c.faults.add(d.ID.Line, where, "title is missing")
	}
	if !contains(sources(), r.source) {
		c.faults.add(max(d.Source.Line, d.ID.Line), where, fmt.Sprintf("source %q is not one of %s", r.source, strings.Join(sources(), ", ")))
	}
	switch d.Scope.Value {
	case "", "own":
	case "incident":
		r.incident = true
	default:
		c.faults.add(d.Scope.Line, where, fmt.Sprintf("scope %q is not own or incident", d.Scope.Value))
	}
	env := c.lang.rules
	if r.incident {
		env = c.lang.incident
	}
	var err error
	if r.when, err = c.required(d.When, d.ID.Line, where+": when", func(s string) (*expression, error) {
		return c.lang.compile(env, s, cel.BoolType)
	}); err != nil {
		return r
	}
	if r.points, err = c.required(d.Points, d.ID.Line, where+": points", func(s string) (*expression, error) {
		return c.lang.compilePoints(env, s)
	}); err != nil {
		return r
	}
	if r.evidence, err = c.lang.compileTemplate(env, d.Evidence.Value); err != nil {
		c.faults.add(d.Evidence.line(), where+": evidence", err.Error())
	}
	return r
}

// required compiles a field that must be there.
func (c *compiler) required(s scalar, line int, where string, f func(string) (*expression, error)) (*expression, error) {
	if strings.TrimSpace(s.Value) == "" {
		err := fmt.Errorf("is missing")
		c.faults.add(line, where, err.Error())
		return nil, err
	}
	e, err := f(s.Value)
	if err != nil {
		c.faults.add(s.line(), where, err.Error())
	}
	return e, err
}

// compileDecisions compiles conditions in the given order of values.
func (c *compiler) compileDecisions(section string, docs map[string]scalar, order []string) []decision {
	for value, d := range docs {
		if !contains(order, value) {
			c.faults.add(d.Line, section, fmt.Sprintf("%q is not one of %s", value, strings.Join(order, ", ")))
		}
	}
	var out []decision
	for _, value := range order {
		d, ok := docs[value]
		if !ok {
			continue
		}
		e, err := c.required(d, d.Line, section+" "+value, func(s string) (*expression, error) {
			return c.lang.compile(c.lang.decisions, s, cel.BoolType)
		})
		if err == nil {
			out = append(out, decision{value: value, when: e})
		}
	}
	if len(out) == 0 {
		c.faults.add(1, section, "there are none")
	}
	return out
}

// verdictOrder is the order in which verdicts are tried; unknown is what remains.
func verdictOrder() []string {
	return []string{string(Malicious), string(LikelyMalicious), string(Suspicious), string(LikelyBenign)}
}

// priorityOrder is the order in which priorities are tried; p4 is what remains.
func priorityOrder() []string { return []string{"p1", "p2", "p3"} }

// actionOrder is the order in which actions are tried; investigate is what remains.
func actionOrder() []string {
	return []string{string(ContainNow), string(WaitForEvidence), string(CloseAsExpected), string(VerifyWithOwner)}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func validID(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
