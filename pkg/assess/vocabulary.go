package assess

import (
	"sort"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// The bounds on facts: longer texts and lists are cut before a rule sees them,
// so that the cost of a rule can be estimated when the policy is loaded.
const (
	maxFactText = 4096
	maxFactList = 64
)

// Variable is one fact that the expressions of a policy may use.
type Variable struct {
	// Name is the dotted name, "finding.severity".
	Name string
	// Type is bool, int, string, list(string) or map(string, string) or map(string, int).
	Type string
	// Doc says what it holds, and its value when nothing is known.
	Doc string
}

// kind is the type of a variable.
type kind int

const (
	kindBool kind = iota
	kindInt
	kindString
	kindList
	kindTexts  // map(string, string)
	kindCounts // map(string, int)
)

// name is the type as documented.
func (k kind) name() string {
	return [...]string{"bool", "int", "string", "list(string)", "map(string, string)", "map(string, int)"}[k]
}

// celType is the type as CEL declares it.
func (k kind) celType() *cel.Type {
	switch k {
	case kindBool:
		return cel.BoolType
	case kindInt:
		return cel.IntType
	case kindList:
		return cel.ListType(cel.StringType)
	case kindTexts:
		return cel.MapType(cel.StringType, cel.StringType)
	case kindCounts:
		return cel.MapType(cel.StringType, cel.IntType)
	default:
		return cel.StringType
	}
}

// zero is the value of a variable nobody set.
func (d declaration) zero() ref.Val {
	switch d.kind {
	case kindBool:
		return types.False
	case kindInt:
		return types.Int(d.unset)
	case kindList:
		return stringList(nil)
	case kindTexts, kindCounts:
		return orderedMap(map[string]ref.Val{})
	default:
		return types.String("")
	}
}

// scope says which expressions may use a variable. What all members of an
// incident must agree on cannot rest on what only one of them knows.
type scope int

const (
	// inRules: rules of own scope; the zero value.
	inRules scope = iota
	// inRulesAndDecisions: rules of own scope, and decisions, where the value
	// is that of the whole incident.
	inRulesAndDecisions
	// inIncident: rules of incident scope, and decisions.
	inIncident
	// inDecisions: verdicts, priorities and actions.
	inDecisions
)

func (s scope) rules() bool     { return s == inRules || s == inRulesAndDecisions }
func (s scope) incident() bool  { return s == inIncident }
func (s scope) decisions() bool { return s != inRules }

// declaration is one row of the vocabulary.
type declaration struct {
	name  string
	kind  kind
	scope scope
	// unset is the value of an int that nobody set.
	unset int
	doc   string
}

// Variables returns every variable of the policy language, in order of name.
// Those whose documentation begins with "Decisions only" may be used in
// verdicts, priorities and actions, those with "Incident" in rules of incident
// scope and in decisions, the others in rules of own scope.
func Variables() []Variable {
	decls := declarations()
	out := make([]Variable, 0, len(decls))
	for _, d := range decls {
		doc := d.doc
		switch d.scope {
		case inDecisions:
			doc = "Decisions only: " + doc
		case inIncident:
			doc = "Incident: " + doc
		case inRulesAndDecisions:
			doc = "Also in decisions: " + doc
		}
		out = append(out, Variable{Name: d.name, Type: d.kind.name(), Doc: doc})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// facts are the values of all variables for one finding. They are the
// activation that the compiled expressions read.
type facts struct {
	index map[string]int
	vals  []ref.Val
}

// newFacts returns facts with every variable at its zero value.
func newFacts(index map[string]int, zeros []ref.Val) *facts {
	f := &facts{index: index, vals: make([]ref.Val, len(zeros))}
	copy(f.vals, zeros)
	return f
}

// ResolveName implements cel.Activation.
func (f *facts) ResolveName(name string) (any, bool) {
	i, ok := f.index[name]
	if !ok {
		return nil, false
	}
	return f.vals[i], true
}

// Parent implements cel.Activation; facts have none.
func (f *facts) Parent() cel.Activation { return nil }

func (f *facts) set(name string, v ref.Val) {
	if i, ok := f.index[name]; ok {
		f.vals[i] = v
	}
}

func (f *facts) bool(name string, v bool)   { f.set(name, types.Bool(v)) }
func (f *facts) int(name string, v int)     { f.set(name, types.Int(v)) }
func (f *facts) text(name string, v string) { f.set(name, types.String(cut(v, maxFactText))) }
func (f *facts) list(name string, v []string) {
	f.set(name, stringList(v))
}

func (f *facts) texts(name string, m map[string]string) {
	vals := make(map[string]ref.Val, len(m))
	for k, v := range m {
		vals[k] = types.String(cut(v, maxFactText))
	}
	f.set(name, orderedMap(vals))
}

func (f *facts) counts(name string, m map[string]int) {
	vals := make(map[string]ref.Val, len(m))
	for k, v := range m {
		vals[k] = types.Int(v)
	}
	f.set(name, orderedMap(vals))
}

// get returns a variable's value, nil for an unknown name.
func (f *facts) get(name string) ref.Val {
	i, ok := f.index[name]
	if !ok {
		return nil
	}
	return f.vals[i]
}

func (f *facts) getText(name string) string {
	s, _ := f.get(name).(types.String)
	return string(s)
}

func (f *facts) getInt(name string) int {
	n, _ := f.get(name).(types.Int)
	return int(n)
}

func (f *facts) getBool(name string) bool {
	b, _ := f.get(name).(types.Bool)
	return bool(b)
}

func (f *facts) getList(name string) []string {
	l, ok := f.get(name).(traits.Lister)
	if !ok {
		return nil
	}
	n, _ := l.Size().(types.Int)
	out := make([]string, 0, int(n))
	for i := types.Int(0); i < n; i++ {
		s, _ := l.Get(i).(types.String)
		out = append(out, string(s))
	}
	return out
}

// stringList wraps strings as a CEL list of at most maxFactList elements.
func stringList(v []string) ref.Val {
	if len(v) > maxFactList {
		v = v[:maxFactList]
	}
	return wrapList(v)
}

// wrapList wraps strings as a CEL list.
func wrapList(v []string) ref.Val {
	vals := make([]ref.Val, len(v))
	for i, s := range v {
		vals[i] = types.String(cut(s, maxFactText))
	}
	return types.NewRefValList(types.DefaultTypeAdapter, vals)
}

// sortedMap is a CEL map whose iteration order is that of its sorted keys, so
// that an expression over it gives the same answer every time.
type sortedMap struct {
	traits.Mapper
	keys []string
}

// Iterator goes over the keys in order.
func (m sortedMap) Iterator() traits.Iterator {
	l, _ := stringList(m.keys).(traits.Lister)
	return l.Iterator()
}

// orderedMap wraps a map so that iteration over it is deterministic.
func orderedMap(m map[string]ref.Val) ref.Val {
	keys := make([]string, 0, len(m))
	vals := make(map[ref.Val]ref.Val, len(m))
	for k, v := range m {
		keys = append(keys, k)
		vals[types.String(k)] = v
	}
	sort.Strings(keys)
	return sortedMap{Mapper: types.NewRefValMap(types.DefaultTypeAdapter, vals), keys: keys}
}

// cut shortens s to at most n bytes without splitting a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
