package command

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const (
	maxValue  = 8 << 10 // bytes of one variable or expanded word
	maxFields = 256     // fields of one expanded word
	manyItems = 5       // a loop over at least this many items is a sweep
)

// expander turns syntax words into the fields a shell would make of them,
// with the constants assigned in the same text. What cannot be known without
// running it stays as it was written: "$NAME", "$(...)".
type expander struct {
	s   *scan
	src string
	// subst reads the commands inside a substitution and returns their output
	// where it is constant.
	subst func(stmts []*syntax.Stmt, kind substKind) (string, bool)
	// swept is set when a word used the variable of a loop over many items.
	swept bool
}

type substKind int

const (
	cmdSubst substKind = iota
	procSubst
)

// fieldSet collects the fields of one word.
type fieldSet struct {
	out  []string
	cur  strings.Builder
	open bool
}

func (f *fieldSet) add(s string) {
	if f.cur.Len() < maxValue {
		f.cur.WriteString(s[:min(len(s), maxValue)])
	}
	f.open = true
}

// addSplit adds the value of an unquoted expansion, which the shell splits.
func (f *fieldSet) addSplit(s string) {
	if s == "" {
		return
	}
	parts := strings.Fields(s)
	if isBlank(s[0]) {
		f.flush()
	}
	for i, p := range parts {
		if i > 0 {
			f.flush()
		}
		f.add(p)
	}
	if isBlank(s[len(s)-1]) {
		f.flush()
	}
}

func (f *fieldSet) flush() {
	if f.open && len(f.out) < maxFields {
		f.out = append(f.out, f.cur.String())
	}
	f.cur.Reset()
	f.open = false
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' }

// fields expands one word into fields.
func (e *expander) fields(w *syntax.Word) []string {
	if w == nil {
		return nil
	}
	if len(w.Parts) == 1 {
		if l, ok := w.Parts[0].(*syntax.Lit); ok && !strings.ContainsAny(l.Value, `\{`) {
			return []string{l.Value}
		}
	}
	var f fieldSet
	e.parts(&f, w.Parts, false)
	f.flush()
	if len(f.out) == 1 && isBraceWord(w) {
		return expandBraces(f.out[0])
	}
	return f.out
}

// text expands one word without splitting, as in an assignment or redirection.
func (e *expander) text(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	var f fieldSet
	e.parts(&f, w.Parts, true)
	return f.cur.String()
}

func (e *expander) parts(f *fieldSet, parts []syntax.WordPart, quoted bool) {
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			f.add(unescape(p.Value, quoted))
		case *syntax.SglQuoted:
			if p.Dollar {
				f.add(ansiC(p.Value))
			} else {
				f.add(p.Value)
			}
		case *syntax.DblQuoted:
			f.open = true
			e.parts(f, p.Parts, true)
		case *syntax.ParamExp:
			e.param(f, p, quoted, len(parts) > 1)
		case *syntax.CmdSubst:
			if out, ok := e.subst(p.Stmts, cmdSubst); ok {
				e.addValue(f, strings.TrimRight(out, "\n"), quoted)
			} else {
				f.add(e.source(p))
			}
		case *syntax.ProcSubst:
			e.subst(p.Stmts, procSubst)
			f.add(e.source(p))
		default: // arithmetic, extended globs, braces
			f.add(e.source(p))
		}
	}
}

func (e *expander) addValue(f *fieldSet, v string, quoted bool) {
	if quoted || strings.Contains(v, "$(") {
		f.add(v)
	} else {
		f.addSplit(v)
	}
}

// source is the text of a node as written, bounded.
func (e *expander) source(n syntax.Node) string {
	return sourceOf(e.src, n)
}

func sourceOf(src string, n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	if from < 0 || to > len(src) || from >= to {
		return ""
	}
	return src[from:min(to, from+maxValue)]
}

// param expands a parameter. Unknown ones stay as "$NAME", except those that
// are used to break up a word and are empty there, as in "wh$@oami".
func (e *expander) param(f *fieldSet, p *syntax.ParamExp, quoted, joined bool) {
	if p.Param == nil {
		f.add(e.source(p))
		return
	}
	name := p.Param.Value
	if e.s.loops[name] >= manyItems {
		e.swept = true
	}
	v, known := e.value(p, name)
	switch {
	case known:
		e.addValue(f, v, quoted)
	case joined && !quoted && isFiller(name):
		f.open = true
	case joined && !p.Short:
		f.add("${" + name + "}")
	default:
		f.add("$" + name)
	}
}

func isFiller(name string) bool {
	return name == "@" || name == "*" || name == "!" || len(name) == 1 && name[0] >= '1' && name[0] <= '9'
}

// value computes a parameter expansion from constants.
func (e *expander) value(p *syntax.ParamExp, name string) (string, bool) {
	v, known := e.s.vars[name]
	if !known && name == "IFS" {
		v, known = " ", true
	}
	if p.Excl && known {
		v, known = e.s.vars[v]
	}
	if p.Slice != nil {
		return e.slice(p, v, known)
	}
	if p.Repl != nil {
		return e.replace(p.Repl, v, known)
	}
	if p.Length {
		return strconv.Itoa(len(v)), known
	}
	if p.Exp != nil {
		return e.operator(p.Exp, v, known)
	}
	return v, known
}

// slice computes ${name:offset:length}. Variables that hold a path begin with
// a slash whatever their value, which is how a slash is smuggled in.
func (e *expander) slice(p *syntax.ParamExp, v string, known bool) (string, bool) {
	off, ok := constInt(p.Slice.Offset)
	n, okLen := constInt(p.Slice.Length)
	if !ok {
		return "", false
	}
	if !known {
		switch p.Param.Value {
		case "PATH", "HOME", "PWD", "OLDPWD", "SHELL":
			return "/", off == 0 && okLen && n == 1
		}
		return "", false
	}
	if off < 0 {
		off += len(v)
	}
	off = min(max(off, 0), len(v))
	end := len(v)
	switch {
	case p.Slice.Length != nil && !okLen:
		return "", false
	case okLen && n < 0:
		end = max(off, len(v)+n)
	case okLen:
		end = min(off+min(n, maxValue), len(v))
	}
	return v[off:end], true
}

func constInt(x syntax.ArithmExpr) (int, bool) {
	neg := false
	if u, ok := x.(*syntax.UnaryArithm); ok && u.Op == syntax.Minus {
		x, neg = u.X, true
	}
	w, ok := x.(*syntax.Word)
	if !ok || w == nil {
		return 0, false
	}
	n, err := strconv.Atoi(w.Lit())
	if err != nil {
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}

func (e *expander) replace(r *syntax.Replace, v string, known bool) (string, bool) {
	if !known {
		return "", false
	}
	from, to := e.text(r.Orig), e.text(r.With)
	if from == "" {
		return v, true
	}
	n := 1
	if r.All {
		n = -1
	}
	if strings.Count(v, from)*len(to) > maxValue {
		return "", false
	}
	return strings.Replace(v, from, to, n), true
}

func (e *expander) operator(x *syntax.Expansion, v string, known bool) (string, bool) {
	arg := e.text(x.Word)
	switch x.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if known && v != "" {
			return v, true
		}
		return arg, true
	case syntax.RemSmallPrefix, syntax.RemLargePrefix:
		return strings.TrimPrefix(v, arg), known && !strings.ContainsAny(arg, "*?[")
	case syntax.RemSmallSuffix, syntax.RemLargeSuffix:
		return strings.TrimSuffix(v, arg), known && !strings.ContainsAny(arg, "*?[")
	case syntax.UpperAll:
		return strings.ToUpper(v), known
	case syntax.LowerAll:
		return strings.ToLower(v), known
	}
	return v, known
}
