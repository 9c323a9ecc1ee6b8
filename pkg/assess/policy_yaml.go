package assess

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/attack"
	"go.yaml.in/yaml/v3"
)

// Fault is one thing wrong with a policy file.
type Fault struct {
	// Line is where, 1-based; in a policy that extends the default, a fault of
	// the file itself.
	Line int
	// Where is the part, `rule "reverse_shell": when`.
	Where string
	// Reason says what is wrong with it.
	Reason string
}

// Error reads "line 12: rule "x": when: column 3: undeclared reference".
func (f *Fault) Error() string {
	if f.Where == "" {
		return fmt.Sprintf("line %d: %s", f.Line, f.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", f.Line, f.Where, f.Reason)
}

// faults collects faults.
type faults []*Fault

func (fs *faults) add(line int, where, reason string) {
	*fs = append(*fs, &Fault{Line: line, Where: where, Reason: strings.ReplaceAll(reason, "\n", "; ")})
}

// err joins the faults in order of line; nil when there are none.
func (fs *faults) err() error {
	if len(*fs) == 0 {
		return nil
	}
	sort.SliceStable(*fs, func(i, j int) bool {
		a, b := (*fs)[i], (*fs)[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Where+a.Reason < b.Where+b.Reason
	})
	errs := make([]error, len(*fs))
	for i, f := range *fs {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// scalar is a YAML scalar that knows its line.
type scalar struct {
	Value string
	Line  int
	block bool
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: want a single value", n.Line)}}
	}
	s.Value, s.Line = n.Value, n.Line
	s.block = n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	return nil
}

// line is where the text itself begins: a block's text begins below its marker.
func (s scalar) line() int {
	if s.block {
		return s.Line + 1
	}
	return s.Line
}

// capDoc is "{min: -20, max: 40}"; a bound that is absent is 0.
type capDoc struct {
	Min, Max int
	Line     int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *capDoc) UnmarshalYAML(n *yaml.Node) error {
	c.Line = n.Line
	bad := func(line int) error {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: a cap is {min: N, max: N}", line)}}
	}
	if n.Kind != yaml.MappingNode {
		return bad(n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := strconv.Atoi(n.Content[i+1].Value)
		if err != nil {
			return bad(n.Content[i+1].Line)
		}
		switch n.Content[i].Value {
		case "min":
			c.Min = v
		case "max":
			c.Max = v
		default:
			return bad(n.Content[i].Line)
		}
	}
	return nil
}

// document is a policy file.
type document struct {
	ID              scalar            `yaml:"id"`
	Description     scalar            `yaml:"description"`
	Extends         scalar            `yaml:"extends"`
	Caps            map[string]capDoc `yaml:"caps"`
	ExplainedAtMost scalar            `yaml:"explained_at_most"`
	CategoryWeights map[string]scalar `yaml:"category_weights"`
	Rules           []ruleDoc         `yaml:"rules"`
	Verdicts        map[string]scalar `yaml:"verdicts"`
	Priorities      map[string]scalar `yaml:"priorities"`
	Actions         map[string]scalar `yaml:"actions"`
	Tests           []testDoc         `yaml:"tests"`
}

// ruleDoc is one rule of a file. In a file that extends another an empty field
// keeps what the rule of the same id has.
type ruleDoc struct {
	ID         scalar   `yaml:"id"`
	Title      scalar   `yaml:"title"`
	Source     scalar   `yaml:"source"`
	Scope      scalar   `yaml:"scope"`
	When       scalar   `yaml:"when"`
	Points     scalar   `yaml:"points"`
	Decisive   scalar   `yaml:"decisive"`
	Evidence   scalar   `yaml:"evidence"`
	Techniques []string `yaml:"techniques"`
	Disabled   bool     `yaml:"disabled"`
}

// testDoc is one test case of a file.
type testDoc struct {
	Name   scalar               `yaml:"name"`
	Given  map[string]yaml.Node `yaml:"given"`
	Expect expectDoc            `yaml:"expect"`
}

// expectDoc is what a test case expects; what is absent is not checked.
type expectDoc struct {
	Verdict  scalar   `yaml:"verdict"`
	Priority scalar   `yaml:"priority"`
	Action   scalar   `yaml:"action"`
	Score    scalar   `yaml:"score"`
	OwnScore scalar   `yaml:"own_score"`
	Reasons  []scalar `yaml:"reasons"`
	Absent   []scalar `yaml:"absent"`
}

// parseDocument decodes one YAML document strictly.
func parseDocument(data []byte) (*document, error) {
	if len(data) > maxPolicyBytes {
		return nil, &Fault{Line: 1, Reason: fmt.Sprintf("the file is larger than %d bytes", maxPolicyBytes)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var doc document
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, &Fault{Line: 1, Reason: "the file is empty"}
	}
	if err != nil {
		return nil, yamlError(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &Fault{Line: 1, Reason: "a policy is one YAML document, there is more"}
	}
	return &doc, nil
}

var (
	yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:)?\s*line (\d+): (.*)$`)
	goType   = regexp.MustCompile(` in type assess\.\w+`)
)

// yamlError turns the decoder's errors into faults.
func yamlError(err error) error {
	msgs := []string{err.Error()}
	var te *yaml.TypeError
	if errors.As(err, &te) {
		msgs = te.Errors
	}
	var fs faults
	for _, m := range msgs {
		m = goType.ReplaceAllString(m, "")
		line, reason := 1, strings.TrimPrefix(m, "yaml: ")
		if sub := yamlLine.FindStringSubmatch(m); len(sub) == 3 {
			line, _ = strconv.Atoi(sub[1])
			reason = sub[2]
		}
		fs.add(line, "", reason)
	}
	return fs.err()
}

// extend returns the base with the changes of over applied. Tests are those of
// over alone: a changed rule may rightly fail the base's.
func (d *document) extend(over *document) (*document, error) {
	var fs faults
	out := *d
	if over.ID.Value != "" {
		out.ID = over.ID
	}
	out.Caps = overlay(d.Caps, over.Caps)
	out.CategoryWeights = overlayWeights(d.CategoryWeights, over.CategoryWeights)
	out.Verdicts = overlay(d.Verdicts, over.Verdicts)
	out.Priorities = overlay(d.Priorities, over.Priorities)
	out.Actions = overlay(d.Actions, over.Actions)
	if over.ExplainedAtMost.Value != "" {
		out.ExplainedAtMost = over.ExplainedAtMost
	}
	out.Tests = over.Tests
	out.Rules = append([]ruleDoc(nil), d.Rules...)
	place := make(map[string]int, len(out.Rules))
	for i, r := range out.Rules {
		place[r.ID.Value] = i
	}
	seen := map[string]int{}
	for _, r := range over.Rules {
		if line, ok := seen[r.ID.Value]; ok {
			fs.add(r.ID.Line, fmt.Sprintf("rule %q", r.ID.Value), fmt.Sprintf("is there already in line %d", line))
		}
		seen[r.ID.Value] = r.ID.Line
		if i, ok := place[r.ID.Value]; ok {
			out.Rules[i] = out.Rules[i].override(r)
		} else if r.Disabled {
			fs.add(r.ID.Line, fmt.Sprintf("rule %q", r.ID.Value), "is disabled here but the default policy has no such rule")
		} else {
			out.Rules = append(out.Rules, r)
		}
	}
	return &out, fs.err()
}

// override returns the rule with the fields that over names.
func (r ruleDoc) override(over ruleDoc) ruleDoc {
	r.ID = over.ID
	for _, f := range []struct{ to, from *scalar }{
		{&r.Title, &over.Title}, {&r.Source, &over.Source}, {&r.Scope, &over.Scope}, {&r.When, &over.When},
		{&r.Points, &over.Points}, {&r.Decisive, &over.Decisive}, {&r.Evidence, &over.Evidence},
	} {
		if f.from.Value != "" {
			*f.to = *f.from
		}
	}
	if over.Techniques != nil {
		r.Techniques = over.Techniques
	}
	r.Disabled = over.Disabled
	return r
}

// overlay returns base with the entries of over.
func overlay[V any](base, over map[string]V) map[string]V {
	out := make(map[string]V, len(base)+len(over))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range over {
		out[k] = v
	}
	return out
}

// overlayWeights is overlay with categories compared as Google spells them.
func overlayWeights(base, over map[string]scalar) map[string]scalar {
	out := overlay(base, nil)
	for k := range base {
		for o := range over {
			if categoryKey(o) == categoryKey(k) {
				delete(out, k)
			}
		}
	}
	return overlay(out, over)
}

// categoryKey folds a category for comparison.
func categoryKey(category string) string { return attack.Normalize(category) }

// contentHash is 8 hex digits of a hash over the files a policy was made from.
func contentHash(files ...[]byte) string {
	h := sha256.New()
	for _, f := range files {
		_, _ = h.Write(f)
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}
