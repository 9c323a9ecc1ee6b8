package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func (w *walker) loop(c *syntax.ForClause) {
	switch l := c.Loop.(type) {
	case *syntax.CStyleLoop:
		w.sweep(l)
	case *syntax.WordIter:
		var items []string
		for _, i := range l.Items {
			items = append(items, w.exp.fields(i)...)
		}
		w.attachSubs(nil)
		n := len(items)
		for _, i := range items {
			if strings.Contains(i, "..") || strings.HasPrefix(i, "$(seq") || strings.HasPrefix(i, "`seq") {
				n = 100
			}
		}
		if n == 1 && strings.Contains(items[0], "$(") {
			n = manyItems
		}
		if l.Name != nil {
			w.s.loops[l.Name.Value] = n
			if telling := tellingItem(items); telling != "" {
				w.s.setVar(l.Name.Value, telling)
			} else if n > 0 && n < manyItems && !strings.Contains(items[0], "$") {
				w.s.setVar(l.Name.Value, items[0])
			} else {
				delete(w.s.vars, l.Name.Value)
			}
		}
	}
	w.stmts(c.Do)
}

// tellingItem is the item of a loop that says most: a loop is read once, with
// the file that it had better not touch.
func tellingItem(items []string) string {
	for _, i := range items {
		if _, ok := placeOf(i); ok || isSystemLog(i) || isAllLogs(i) || strings.HasPrefix(i, "/") && (isSensitivePath(i) || isSystemPath(i)) || strings.HasPrefix(i, "~/.") && isSensitivePath(i) {
			return i
		}
	}
	return ""
}

// sweep marks the variables of a C-style loop.
func (w *walker) sweep(l *syntax.CStyleLoop) {
	if l.Init == nil {
		return
	}
	syntax.Walk(l.Init, func(x syntax.Node) bool {
		if lit, ok := x.(*syntax.Lit); ok && syntax.ValidName(lit.Value) {
			w.s.loops[lit.Value] = 100
			delete(w.s.vars, lit.Value)
		}
		return true
	})
}

// function reads the body of a function, and knows a fork bomb when it sees one.
func (w *walker) function(c *syntax.FuncDecl) {
	if c.Name != nil && w.forkBomb(c) {
		w.s.hit(Destruction, Malicious, sourceOf(w.src, c), "T1499")
		return
	}
	w.stmt(c.Body)
}

// forkBomb: a function that calls itself twice in a pipeline, in the background.
func (w *walker) forkBomb(c *syntax.FuncDecl) bool {
	calls, background := 0, false
	syntax.Walk(c.Body, func(x syntax.Node) bool {
		switch x := x.(type) {
		case *syntax.CallExpr:
			if len(x.Args) == 1 && x.Args[0].Lit() == c.Name.Value {
				calls++
			}
		case *syntax.Stmt:
			background = background || x.Background
		}
		return true
	})
	return calls >= 2 && background
}
