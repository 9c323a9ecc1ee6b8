package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// node is one simple command as it would run, after expansion of constants.
type node struct {
	// name is the base name of the command, without version: "python3.11" is "python".
	name string
	// path is the first word as expanded, "/usr/bin/python3.11".
	path string
	args []string
	// text is the source of the command.
	text  string
	binds []binding
	// redirs includes those of enclosing blocks.
	redirs []redir
	// stdin is constant input: a here-document, a here-string.
	stdin    string
	hasStdin bool
	// from and to are the commands before and behind it in its pipeline.
	from, to []*node
	// subs are the commands in the substitutions of its words.
	subs []sub
	// via are the names of the wrappers it was taken out of: sudo, timeout.
	via []string
	// folders are directories made before it in the text.
	folders []string
	// swept is true when it uses the variable of a loop over many items.
	swept bool
	// inTest is true in the condition of an if, while or until.
	inTest bool
	// captured is the number of command substitutions around it.
	captured int
}

type binding struct{ name, value string }

type redir struct{ fd, op, target string }

// assignedWord is the word of a substitution that stands in an assignment.
const assignedWord = -1

// sub is the content of one substitution; word 0 is the command name.
type sub struct {
	word  int
	kind  substKind
	nodes []*node
}

// walker reads one shell text into nodes, in order.
type walker struct {
	s     *scan
	src   string
	nodes []*node
	ctx   walkContext
	exp   expander
	// subs collects the substitutions of the command at hand.
	subs []sub
	word int
}

type walkContext struct {
	redirs   []redir
	inTest   bool
	captured int
	depth    int
}

// maxWalk bounds the recursion into compound commands.
const maxWalk = 200

// parseShell parses text as bash, then as POSIX shell.
func parseShell(text string) (*syntax.File, bool) {
	if nestingTooDeep(text) {
		return nil, false
	}
	for _, lang := range [...]syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX} {
		f, err := syntax.NewParser(syntax.Variant(lang), syntax.RecoverErrors(8)).Parse(strings.NewReader(text), "")
		if err == nil {
			return f, true
		}
	}
	return nil, false
}

func (w *walker) stmts(list []*syntax.Stmt) []*node {
	from := len(w.nodes)
	for _, st := range list {
		w.stmt(st)
	}
	return w.nodes[from:len(w.nodes):len(w.nodes)]
}

// stmt reads one statement and returns the simple commands in it.
func (w *walker) stmt(st *syntax.Stmt) []*node {
	if st == nil || w.ctx.depth > maxWalk || w.s.nodes <= 0 {
		w.s.truncated = w.s.truncated || w.s.nodes <= 0
		return nil
	}
	saved := w.ctx
	defer func() { w.ctx = saved }()
	w.ctx.depth++
	from := len(w.nodes)
	w.exp.swept = false
	own, stdin, has := w.redirections(st.Redirs)
	if call, ok := st.Cmd.(*syntax.CallExpr); ok || st.Cmd == nil {
		w.call(st, call, own, stdin, has)
		return w.nodes[from:len(w.nodes):len(w.nodes)]
	}
	w.ctx.redirs = append(w.ctx.redirs[:len(w.ctx.redirs):len(w.ctx.redirs)], own...)
	w.compound(st.Cmd)
	out := w.nodes[from:len(w.nodes):len(w.nodes)]
	if has && len(out) > 0 && !out[0].hasStdin {
		out[0].stdin, out[0].hasStdin = stdin, true
	}
	return out
}

func (w *walker) compound(c syntax.Command) {
	switch c := c.(type) {
	case *syntax.BinaryCmd:
		w.binary(c)
	case *syntax.Block:
		w.stmts(c.Stmts)
	case *syntax.Subshell:
		w.stmts(c.Stmts)
	case *syntax.IfClause:
		for i := c; i != nil; i = i.Else {
			w.test(i.Cond)
			w.stmts(i.Then)
		}
	case *syntax.WhileClause:
		w.test(c.Cond)
		w.stmts(c.Do)
	case *syntax.ForClause:
		w.loop(c)
	case *syntax.CaseClause:
		w.exp.text(c.Word)
		for _, i := range c.Items {
			w.stmts(i.Stmts)
		}
	case *syntax.FuncDecl:
		w.function(c)
	case *syntax.TimeClause:
		w.stmt(c.Stmt)
	case *syntax.CoprocClause:
		w.stmt(c.Stmt)
	case *syntax.DeclClause:
		for _, a := range c.Args {
			w.assign(a)
		}
		w.attachSubs(nil)
	default: // tests and arithmetic: only the commands substituted in them
		w.inner(c)
	}
}

func (w *walker) test(list []*syntax.Stmt) {
	w.ctx.inTest = true
	w.stmts(list)
	w.ctx.inTest = false
}

// inner reads the substitutions anywhere below a node.
func (w *walker) inner(n syntax.Node) {
	syntax.Walk(n, func(x syntax.Node) bool {
		switch x := x.(type) {
		case *syntax.CmdSubst:
			w.substitution(x.Stmts, cmdSubst)
			return false
		case *syntax.ProcSubst:
			w.substitution(x.Stmts, procSubst)
			return false
		}
		return true
	})
	w.subs = nil
}

func (w *walker) binary(c *syntax.BinaryCmd) {
	if c.Op != syntax.Pipe && c.Op != syntax.PipeAll {
		w.stmt(c.X)
		w.stmt(c.Y)
		return
	}
	left := w.stmt(c.X)
	right := w.stmt(c.Y)
	link(left, right, w.ctx.captured)
}

// maxPipe bounds how many commands of a pipeline know each other.
const maxPipe = 24

// link makes the commands of two neighbours in a pipeline, at the same level
// of substitution, know each other.
func link(left, right []*node, level int) {
	var l, r []*node
	for _, n := range left[max(0, len(left)-maxPipe):] {
		if n.captured == level {
			l = append(l, n)
		}
	}
	for _, n := range right[:min(len(right), maxPipe)] {
		if n.captured == level {
			r = append(r, n)
			n.from = append(n.from, l...)
		}
	}
	for _, n := range l {
		n.to = append(n.to, r...)
	}
}

func (w *walker) redirections(list []*syntax.Redirect) (out []redir, stdin string, has bool) {
	for _, r := range list {
		fd := ""
		if r.N != nil {
			fd = r.N.Value
		}
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			stdin, has = w.exp.text(r.Hdoc), true
		case syntax.WordHdoc:
			stdin, has = w.exp.text(r.Word), true
		default:
			if len(out) >= maxRedirs {
				w.s.truncated = true
				continue
			}
			out = append(out, redir{fd: fd, op: r.Op.String(), target: w.exp.text(r.Word)})
		}
	}
	return out, stdin, has
}

// call reads a simple command: assignments, words and redirections.
func (w *walker) call(st *syntax.Stmt, call *syntax.CallExpr, own []redir, stdin string, has bool) {
	n := &node{
		text: sourceOf(w.src, st), stdin: stdin, hasStdin: has,
		inTest: w.ctx.inTest, captured: w.ctx.captured,
		redirs: append(w.ctx.redirs[:len(w.ctx.redirs):len(w.ctx.redirs)], own...),
	}
	if call != nil {
		w.word = assignedWord
		for _, a := range call.Assigns {
			if v, ok := w.assign(a); ok && len(call.Args) > 0 {
				n.binds = append(n.binds, binding{a.Name.Value, v})
			}
		}
		var words []string
		for i, a := range call.Args {
			if len(words) > maxWords {
				w.s.truncated = true
				break
			}
			w.word = i
			words = append(words, w.exp.fields(a)...)
		}
		n.setWords(words)
	}
	n.swept = w.exp.swept
	w.disguised(call, n)
	w.attachSubs(n)
	w.s.nodes--
	if n.name == "mkdir" && len(w.s.folders) < maxVars {
		for _, d := range n.operands("m") {
			w.s.folders = append(w.s.folders, strings.TrimRight(d, "/"))
		}
	}
	n.folders = w.s.folders
	w.nodes = append(w.nodes, n)
	w.s.forget(n)
}

func (n *node) setWords(words []string) {
	if len(words) == 0 {
		n.name, n.path, n.args = "", "", nil
		return
	}
	n.path, n.args = words[0], words[1:min(len(words), maxWords)]
	n.name = baseName(n.path)
}

// assign records a constant assignment and returns its value.
func (w *walker) assign(a *syntax.Assign) (string, bool) {
	if a == nil || a.Name == nil || a.Naked {
		if a != nil && a.Value != nil {
			w.exp.text(a.Value)
		}
		return "", false
	}
	if a.Array != nil {
		for _, el := range a.Array.Elems {
			w.exp.text(el.Value)
		}
		return "", false
	}
	v := w.exp.text(a.Value)
	if old := w.s.vars[a.Name.Value]; a.Append && len(old) < maxValue && w.s.varBytes > 0 {
		v = old + v
	}
	w.s.setVar(a.Name.Value, v)
	w.s.assigned(a.Name.Value, v, sourceOf(w.src, a))
	return v, true
}

// attachSubs hands the substitutions seen since the last call to a node.
func (w *walker) attachSubs(n *node) {
	if n != nil {
		n.subs = w.subs
	}
	w.subs = nil
}

// substitution reads the commands inside $(...) or <(...).
func (w *walker) substitution(list []*syntax.Stmt, kind substKind) (string, bool) {
	saved, subs, word, swept := w.ctx, w.subs, w.word, w.exp.swept
	w.subs = nil
	w.ctx.captured++
	w.ctx.redirs = nil
	nodes := w.stmts(list)
	w.ctx, w.word = saved, word
	w.exp.swept = w.exp.swept || swept
	w.subs = append(subs, sub{word: word, kind: kind, nodes: nodes})
	if kind == procSubst {
		return "", false
	}
	return w.s.constOutput(nodes)
}
