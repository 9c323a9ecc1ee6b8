package assess

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

const (
	// maxCost bounds the statically estimated cost of one expression, in CEL's
	// cost units, at the largest facts a rule can meet.
	maxCost = 1_000_000
	// maxEvidence bounds the bytes of one reason's evidence.
	maxEvidence = 400
)

// language compiles the expressions of policies: rules of own scope, rules of
// incident scope, and decisions each have their variables. It has CEL's
// standard library and string functions only: no clock, no random numbers,
// nothing that reaches outside the facts.
type language struct {
	rules     *cel.Env
	incident  *cel.Env
	decisions *cel.Env
	kinds     map[string]kind
	index     map[string]int
	zeros     []ref.Val
}

func newLanguage() (*language, error) {
	l := &language{kinds: map[string]kind{}, index: map[string]int{}}
	var own, incident, decisions []cel.EnvOption
	for i, d := range declarations() {
		v := cel.Variable(d.name, d.kind.celType())
		if d.scope.rules() {
			own = append(own, v)
		}
		if d.scope.incident() {
			incident = append(incident, v)
		}
		if d.scope.decisions() {
			decisions = append(decisions, v)
		}
		l.kinds[d.name] = d.kind
		l.index[d.name] = i
		l.zeros = append(l.zeros, d.zero())
	}
	base, err := cel.NewEnv(ext.Strings())
	if err != nil {
		return nil, fmt.Errorf("declare the policy language: %w", err)
	}
	for _, e := range []struct {
		into **cel.Env
		vars []cel.EnvOption
	}{{&l.rules, own}, {&l.incident, incident}, {&l.decisions, decisions}} {
		if *e.into, err = base.Extend(e.vars...); err != nil {
			return nil, fmt.Errorf("declare the policy language: %w", err)
		}
	}
	return l, nil
}

// expression is a compiled CEL expression, or a constant, or the name of one variable.
type expression struct {
	program  cel.Program
	constant ref.Val
	variable string
}

// eval returns the value for the facts. An evaluation error, a missing map key
// or an overflow, comes back as an error, never as a panic.
func (e *expression) eval(f *facts) (ref.Val, error) {
	switch {
	case e.constant != nil:
		return e.constant, nil
	case e.program == nil:
		return f.get(e.variable), nil
	}
	v, _, err := e.program.Eval(f)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	return v, nil
}

// evalBool evaluates a condition.
func (e *expression) evalBool(f *facts) (bool, error) {
	v, err := e.eval(f)
	if err != nil {
		return false, err
	}
	b, _ := v.(types.Bool)
	return bool(b), nil
}

// compile checks the expression against env and want, and refuses one whose
// estimated cost is too high.
func compile(env *cel.Env, src string, want ...*cel.Type) (*expression, error) {
	ast, issues := env.Compile(src)
	if err := issuesError(issues); err != nil {
		return nil, err
	}
	if !oneOf(ast.OutputType(), want) {
		return nil, fmt.Errorf("is a %s, want %s", ast.OutputType(), typeNames(want))
	}
	est, err := env.EstimateCost(ast, sizer{})
	if err != nil {
		return nil, fmt.Errorf("estimate its cost: %w", err)
	}
	if est.Max > maxCost {
		return nil, fmt.Errorf("may cost %d, the limit is %d: simplify it", est.Max, maxCost)
	}
	prg, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("build its program: %w", err)
	}
	return &expression{program: prg}, nil
}

func issuesError(issues *cel.Issues) error {
	if issues == nil || issues.Err() == nil {
		return nil
	}
	errs := make([]error, 0, len(issues.Errors()))
	for _, e := range issues.Errors() {
		msg, _, _ := strings.Cut(e.Message, "\n")
		errs = append(errs, fmt.Errorf("column %d: %s", e.Location.Column()+1, msg))
	}
	if len(errs) == 0 {
		return issues.Err()
	}
	return errors.Join(errs...)
}

func oneOf(t *cel.Type, want []*cel.Type) bool {
	for _, w := range want {
		if t.IsExactType(w) {
			return true
		}
	}
	return false
}

func typeNames(want []*cel.Type) string {
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = w.String()
	}
	return strings.Join(names, " or ")
}

// sizer tells the cost estimator how large a fact can be.
type sizer struct{}

// EstimateSize implements cost.Estimator. What an expression makes of facts,
// joined or converted, is taken to be no larger than the largest fact.
func (sizer) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.ComputedSize() != nil {
		return nil
	}
	switch n.Type().Kind() {
	case types.StringKind, types.BytesKind:
		return &cost.SizeEstimate{Max: maxFactText}
	case types.ListKind, types.MapKind:
		return &cost.SizeEstimate{Max: maxFactList}
	}
	return nil
}

// EstimateCallCost implements cost.Estimator: CEL's own estimates serve.
func (sizer) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// template is text with {expressions} in it.
type template struct {
	literals []string // one more than exprs
	exprs    []*expression
}

// compileTemplate reads "text {expression} text"; "{{" is a literal brace.
func (l *language) compileTemplate(env *cel.Env, src string) (*template, error) {
	t := &template{}
	var lit strings.Builder
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] != '{':
			lit.WriteByte(src[i])
		case strings.HasPrefix(src[i:], "{{"):
			lit.WriteByte('{')
			i++
		default:
			n := closingBrace(src[i+1:])
			if n < 0 {
				return nil, fmt.Errorf("column %d: { without }", i+1)
			}
			e, err := l.compilePlaceholder(env, src[i+1:i+1+n])
			if err != nil {
				return nil, fmt.Errorf("in {%s}: %w", src[i+1:i+1+n], err)
			}
			t.literals = append(t.literals, lit.String())
			t.exprs = append(t.exprs, e)
			lit.Reset()
			i += n + 1
		}
	}
	t.literals = append(t.literals, lit.String())
	return t, nil
}

// closingBrace finds the } that ends a placeholder, skipping those in quotes.
func closingBrace(s string) int {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch {
		case quote != 0:
			switch s[i] {
			case '\\':
				i++
			case quote:
				quote = 0
			}
		case s[i] == '"' || s[i] == '\'':
			quote = s[i]
		case s[i] == '}':
			return i
		}
	}
	return -1
}

// misplaced names the variables in src that exist but not in env, for the
// message of a fault: what only one member knows cannot decide for all.
func (l *language) misplaced(env *cel.Env, src string) error {
	for _, d := range declarations() {
		allowed := d.scope.rules() && env == l.rules || d.scope.incident() && env == l.incident || d.scope.decisions() && env == l.decisions
		if allowed || !mentions(src, d.name) {
			continue
		}
		switch env {
		case l.incident:
			return fmt.Errorf("%s is not known here: a rule of scope incident sees only incident.* and own_score", d.name)
		case l.decisions:
			return fmt.Errorf("%s is not known here: decisions hold for a whole incident; let a rule see it and use its id in reasons", d.name)
		default:
			return fmt.Errorf("%s is not known here: a rule of scope own sees the finding alone", d.name)
		}
	}
	return nil
}

// mentions reports whether the word stands in src on its own.
func mentions(src, word string) bool {
	part := func(c byte) bool {
		return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	for at := 0; ; {
		i := strings.Index(src[at:], word)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(word)
		if (i == 0 || !part(src[i-1])) && (end == len(src) || !part(src[end]) || src[end] == '.') {
			return true
		}
		at = end
	}
}

// compile is compile in an environment of the language, with a clear word
// where a variable stands in the wrong place.
func (l *language) compile(env *cel.Env, src string, want ...*cel.Type) (*expression, error) {
	e, err := compile(env, src, want...)
	if err != nil {
		if better := l.misplaced(env, src); better != nil {
			return nil, better
		}
	}
	return e, err
}

// compilePlaceholder compiles one placeholder; a plain variable needs no program.
func (l *language) compilePlaceholder(env *cel.Env, src string) (*expression, error) {
	src = strings.TrimSpace(src)
	if i, ok := l.index[src]; ok {
		if d := declarations()[i].scope; d.rules() && env == l.rules || d.incident() && env == l.incident {
			return &expression{variable: src}, nil
		}
	}
	return l.compile(env, src, cel.StringType, cel.IntType, cel.BoolType, cel.ListType(cel.StringType))
}

// render fills the template in, at most maxEvidence bytes.
func (t *template) render(f *facts) (string, error) {
	var b strings.Builder
	for i, lit := range t.literals {
		b.WriteString(lit)
		if i == len(t.exprs) {
			break
		}
		v, err := t.exprs[i].eval(f)
		if err != nil {
			return "", err
		}
		writeValue(&b, v)
		if b.Len() > maxEvidence {
			break
		}
	}
	return cut(b.String(), maxEvidence), nil
}

func writeValue(b *strings.Builder, v ref.Val) {
	switch v := v.(type) {
	case types.String:
		b.WriteString(string(v))
	case types.Int:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case types.Bool:
		b.WriteString(strconv.FormatBool(bool(v)))
	case sortedMap:
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(k + " ")
			writeValue(b, v.Get(types.String(k)))
		}
	case traits.Lister:
		n, _ := v.Size().(types.Int)
		for i := types.Int(0); i < n; i++ {
			if i > 0 {
				b.WriteString(", ")
			}
			writeValue(b, v.Get(i))
		}
	}
}

// compilePoints reads an integer or an integer expression.
func (l *language) compilePoints(env *cel.Env, src string) (*expression, error) {
	if n, err := strconv.Atoi(strings.TrimSpace(src)); err == nil {
		if n < -100 || n > 100 {
			return nil, fmt.Errorf("%d is not between -100 and 100", n)
		}
		return &expression{constant: types.Int(n)}, nil
	}
	return l.compile(env, src, cel.IntType)
}

// evalPoints evaluates points, held between -100 and 100.
func (e *expression) evalPoints(f *facts) (int, error) {
	v, err := e.eval(f)
	if err != nil {
		return 0, err
	}
	n, _ := v.(types.Int)
	if n > math.MaxInt8 {
		n = 100
	}
	return max(-100, min(100, int(n))), nil
}
