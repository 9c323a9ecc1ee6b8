// Package query parses the filter language that Google's list methods share
// (google.aip.dev/160): restrictions joined by AND and OR, where OR binds
// tighter than AND, with NOT, a leading minus, parentheses and functions. It
// knows no fields: packages sccfilter and logquery give a tree its meaning and
// refuse what their service refuses. It never panics, and bounds nesting.
package query

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is the kind of a node.
type Kind int

// The kinds of nodes.
const (
	// And and Or have two or more Nodes, Not has one.
	And Kind = iota
	Or
	Not
	// Compare is Path Op Value.
	Compare
	// Text is a Value that stands alone.
	Text
	// Call is Name(Args...).
	Call
)

// Value is the right side of a comparison, or an argument.
type Value struct {
	Text string
	// Quoted tells a string literal from a bare word.
	Quoted bool
}

// Node is one node of a parsed expression.
type Node struct {
	Kind  Kind
	Nodes []*Node
	// Path is the left side of a comparison, one element a segment, with
	// quoted segments already unquoted.
	Path []string
	// Op is one of = != > >= < <= : =~ !~.
	Op    string
	Value Value
	Name  string
	Args  []Value
}

// MaxDepth is how deep parentheses and negations may nest.
const MaxDepth = 64

// Options are the differences between the services' dialects.
type Options struct {
	// Sequence allows "a b" for "a AND b".
	Sequence bool
	// Comments allows "-- words" up to the end of the line.
	Comments bool
}

// Parse parses an expression. A blank expression gives nil, which matches
// everything. Errors name the byte offset and quote nothing longer than 40
// bytes of the input.
func Parse(text string, o Options) (*Node, error) {
	p := &parser{s: text, o: o}
	p.space()
	if p.end() {
		return nil, nil
	}
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.space(); !p.end() {
		return nil, p.errorf("unexpected %s", p.near())
	}
	return n, nil
}

// Values gives the values that field must have one of for the expression to be
// true, and whether the expression says so at all. It looks at "=" only, and
// serves to narrow a search before the expression is evaluated.
func (n *Node) Values(field string) ([]string, bool) {
	if n == nil {
		return nil, false
	}
	switch n.Kind {
	case Compare:
		if n.Op == "=" && strings.Join(n.Path, ".") == field {
			return []string{n.Value.Text}, true
		}
	case And:
		for _, c := range n.Nodes {
			if v, ok := c.Values(field); ok {
				return v, true
			}
		}
	case Or:
		var all []string
		for _, c := range n.Nodes {
			v, ok := c.Values(field)
			if !ok {
				return nil, false
			}
			all = append(all, v...)
		}
		return all, true
	}
	return nil, false
}

type parser struct {
	s     string
	i     int
	depth int
	o     Options
}

func (p *parser) end() bool { return p.i >= len(p.s) }

func (p *parser) at(lit string) bool { return strings.HasPrefix(p.s[p.i:], lit) }

func (p *parser) near() string {
	rest := p.s[p.i:]
	if len(rest) > 40 {
		rest = rest[:40]
	}
	return fmt.Sprintf("%q", rest)
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("at offset %d: "+format, append([]any{p.i}, args...)...)
}

// space skips white space and comments.
func (p *parser) space() {
	for !p.end() {
		switch {
		case strings.IndexByte(" \t\r\n\f\v", p.s[p.i]) >= 0:
			p.i++
		case p.o.Comments && p.at("--"):
			if nl := strings.IndexByte(p.s[p.i:], '\n'); nl >= 0 {
				p.i += nl
			} else {
				p.i = len(p.s)
			}
		default:
			return
		}
	}
}

// keyword takes an upper-case operator word if it stands here as a whole word.
func (p *parser) keyword(word string) bool {
	if !p.at(word) {
		return false
	}
	after := p.i + len(word)
	if after < len(p.s) && strings.IndexByte(" \t\r\n\f\v(\"", p.s[after]) < 0 {
		return false
	}
	p.i = after
	return true
}

func (p *parser) expression() (*Node, error) { return p.joined(And, p.disjunction) }

func (p *parser) disjunction() (*Node, error) { return p.joined(Or, p.term) }

// joined parses next { AND|OR next }, whatever next is; a node of one child is
// that child.
func (p *parser) joined(kind Kind, next func() (*Node, error)) (*Node, error) {
	var nodes []*Node
	for {
		n, err := next()
		if err != nil {
			return nil, err
		}
		if nodes = append(nodes, n); !p.more(kind) {
			break
		}
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return &Node{Kind: kind, Nodes: nodes}, nil
}

// more reports whether another operand follows, and takes what joins it.
func (p *parser) more(kind Kind) bool {
	p.space()
	if p.end() || p.s[p.i] == ')' {
		return false
	}
	if kind == Or {
		return p.keyword("OR")
	}
	if p.keyword("AND") {
		return true
	}
	return p.o.Sequence
}

func (p *parser) term() (*Node, error) {
	p.space()
	p.depth++
	defer func() { p.depth-- }()
	switch {
	case p.depth > MaxDepth:
		return nil, p.errorf("expression nests deeper than %d", MaxDepth)
	case p.end():
		return nil, p.errorf("unexpected end of expression")
	case p.keyword("NOT"), p.minus():
		n, err := p.term()
		if err != nil {
			return nil, err
		}
		return &Node{Kind: Not, Nodes: []*Node{n}}, nil
	case p.s[p.i] == '(':
		p.i++
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		return n, p.closing()
	}
	return p.restriction()
}

func (p *parser) minus() bool {
	if p.s[p.i] != '-' {
		return false
	}
	p.i++
	return true
}

func (p *parser) closing() error {
	if p.space(); p.end() || p.s[p.i] != ')' {
		return p.errorf("missing )")
	}
	p.i++
	return nil
}

func operators() []string { return []string{"=~", "!~", "!=", ">=", "<=", "=", ">", "<", ":"} }

func (p *parser) operator() string {
	for _, op := range operators() {
		if p.at(op) {
			p.i += len(op)
			return op
		}
	}
	return ""
}

func (p *parser) restriction() (*Node, error) {
	path, value, err := p.comparable()
	if err != nil {
		return nil, err
	}
	if !p.end() && p.s[p.i] == '(' && !value.Quoted {
		return p.call(value.Text)
	}
	p.space()
	op := p.operator()
	if op == "" {
		return &Node{Kind: Text, Value: value}, nil
	}
	if slices.Contains(path, "") {
		return nil, p.errorf("malformed field %q", strings.Join(path, "."))
	}
	return p.argument(path, op)
}

// comparable reads the left side: dotted segments, each bare or quoted. A
// single quoted string may also stand alone.
func (p *parser) comparable() (path []string, value Value, err error) {
	start := p.i
	quoted := false
	for {
		if !p.end() && p.s[p.i] == '"' {
			s, err := p.quoted()
			if err != nil {
				return nil, value, err
			}
			path, quoted = append(path, s), true
		} else {
			word := p.bare("\"()=<>!~:,")
			if word == "" {
				return nil, value, p.errorf("unexpected %s", p.near())
			}
			if word == "AND" || word == "OR" || word == "NOT" {
				return nil, value, p.errorf("misplaced %s", word)
			}
			dot := strings.HasSuffix(word, ".")
			path = append(path, strings.Split(strings.TrimSuffix(word, "."), ".")...)
			if dot && !p.end() && p.s[p.i] == '"' {
				continue
			}
			if dot {
				path = append(path, "")
			}
		}
		if p.end() || p.s[p.i] != '.' {
			break
		}
		p.i++
	}
	if quoted && len(path) == 1 {
		return path, Value{Text: path[0], Quoted: true}, nil
	}
	return path, Value{Text: p.s[start:p.i]}, nil
}

// bare reads up to white space or one of the stop bytes.
func (p *parser) bare(stop string) string {
	start := p.i
	for !p.end() && strings.IndexByte(" \t\r\n\f\v", p.s[p.i]) < 0 && strings.IndexByte(stop, p.s[p.i]) < 0 {
		p.i++
	}
	return p.s[start:p.i]
}

func (p *parser) value() (Value, error) {
	p.space()
	if !p.end() && p.s[p.i] == '"' {
		s, err := p.quoted()
		return Value{Text: s, Quoted: true}, err
	}
	word := p.bare("\"(),=<>!~")
	switch word {
	case "":
		return Value{}, p.errorf("missing value")
	case "AND", "OR", "NOT":
		return Value{}, p.errorf("misplaced %s", word)
	}
	return Value{Text: word}, nil
}

// argument reads the right side; a parenthesised list of values is spread to
// one comparison each.
func (p *parser) argument(path []string, op string) (*Node, error) {
	p.space()
	if p.end() || p.s[p.i] != '(' {
		v, err := p.value()
		return &Node{Kind: Compare, Path: path, Op: op, Value: v}, err
	}
	p.i++
	sub := &parser{s: p.s, i: p.i, depth: p.depth, o: p.o}
	n, err := sub.expression()
	p.i = sub.i
	if err != nil {
		return nil, err
	}
	if err := n.spread(path, op); err != nil {
		return nil, p.errorf("%w", err)
	}
	return n, p.closing()
}

func (n *Node) spread(path []string, op string) error {
	switch n.Kind {
	case Text:
		*n = Node{Kind: Compare, Path: path, Op: op, Value: n.Value}
	case And, Or, Not:
		for _, c := range n.Nodes {
			if err := c.spread(path, op); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("only values may stand in the list of %s", strings.Join(path, "."))
	}
	return nil
}

func (p *parser) call(name string) (*Node, error) {
	n := &Node{Kind: Call, Name: name}
	p.i++
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		n.Args = append(n.Args, v)
		if p.space(); p.end() || p.s[p.i] != ',' {
			return n, p.closing()
		}
		p.i++
	}
}
