package command

import (
	"slices"
	"strings"
	"sync"
)

// has reports whether one of the arguments is one of the options; a long
// option is also found as "--name=value".
func (n *node) has(options ...string) bool {
	for _, a := range n.args {
		for _, o := range options {
			if a == o || strings.HasPrefix(o, "--") && strings.HasPrefix(a, o) && len(a) > len(o) && a[len(o)] == '=' {
				return true
			}
		}
	}
	return false
}

// short reports whether a cluster of short options contains letter: "-lvp" has 'l'.
func (n *node) short(letter byte) bool {
	for _, a := range n.args {
		if a == "--" {
			return false
		}
		if len(a) > 1 && a[0] == '-' && a[1] != '-' && strings.IndexByte(a, letter) > 0 {
			return true
		}
	}
	return false
}

// opt returns the values of the options: "-o x", "-ox", "--output x", "--output=x".
func (n *node) opt(options ...string) []string {
	var out []string
	for i, a := range n.args {
		for _, o := range options {
			switch {
			case a == o:
				if i+1 < len(n.args) {
					out = append(out, n.args[i+1])
				}
			case strings.HasPrefix(o, "--"):
				if v, ok := strings.CutPrefix(a, o+"="); ok {
					out = append(out, v)
				}
			case len(o) == 2 && strings.HasPrefix(a, o) && !strings.HasPrefix(a, "--"):
				out = append(out, a[2:])
			case len(o) == 2 && len(a) > 2 && len(a) <= 6 && a[0] == '-' && a[1] != '-' && a[len(a)-1] == o[1] && i+1 < len(n.args):
				out = append(out, n.args[i+1]) // "-sSLo x"
			case o == "-O" && len(a) > 2 && len(a) < 8 && a[0] == '-' && strings.HasSuffix(a, "O-"):
				out = append(out, "-") // "-qO-"
			}
		}
	}
	return out
}

// operands are the arguments that are no options. Options whose letters are in
// valued, and the long ones in long, take the next argument with them.
func (n *node) operands(valued string, long ...string) []string {
	var out []string
	for i := 0; i < len(n.args); i++ {
		a := n.args[i]
		switch {
		case a == "--":
			return append(out, n.args[i+1:]...)
		case strings.HasPrefix(a, "--"):
			if slices.Contains(long, a) {
				i++
			}
		case len(a) > 1 && a[0] == '-':
			if strings.IndexByte(valued, a[len(a)-1]) >= 0 {
				i++
			}
		default:
			out = append(out, a)
		}
	}
	return out
}

// any reports whether an argument satisfies f.
func (n *node) any(f func(string) bool) bool { return slices.ContainsFunc(n.args, f) }

// argContains reports whether an argument contains one of the texts.
func (n *node) argContains(texts ...string) bool {
	return n.any(func(a string) bool { return containsAny(a, texts...) })
}

func containsAny(s string, texts ...string) bool {
	for _, t := range texts {
		if strings.Contains(s, t) {
			return true
		}
	}
	return false
}

// made reports whether a directory of that name was made before in the text.
func (n *node) made(p string) bool { return slices.Contains(n.folders, strings.TrimRight(p, "/")) }

// hasVariable reports whether the command, or what is piped into it, holds a
// variable that is not known.
func (n *node) hasVariable() bool {
	unknown := func(a string) bool {
		i := strings.IndexByte(a, '$')
		return i >= 0 && i+1 < len(a) && (a[i+1] == '{' || a[i+1] == '(' || isWordByte(a[i+1]))
	}
	return n.any(unknown) || unknown(n.stdin) || slices.ContainsFunc(n.from, func(f *node) bool { return f.any(unknown) })
}

// writesNull reports whether the command's output is thrown away.
func writesNull(n *node) bool {
	return slices.ContainsFunc(n.redirs, func(r redir) bool { return strings.Contains(r.op, ">") && r.target == "/dev/null" && r.fd != "2" })
}

// isKeyFolder reports whether p is a folder in the home that has to be closed to others.
func isKeyFolder(p string) bool {
	return isOneOf(p[strings.LastIndexByte(strings.TrimRight(p, "/"), '/')+1:], ".ssh .gnupg .kube .docker .aws .ssh/ .gnupg/ .kube/")
}

// line is the command as words.
func (n *node) line() string {
	if len(n.args) == 0 {
		return n.path
	}
	return n.path + " " + strings.Join(n.args, " ")
}

// isOneOf reports whether name is one of the space-separated names.
func isOneOf(name, names string) bool {
	if name == "" || strings.IndexByte(name, ' ') >= 0 {
		return false
	}
	for from := 0; ; {
		i := strings.Index(names[from:], name)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(name)
		if (i == 0 || names[i-1] == ' ') && (end == len(names) || names[end] == ' ') {
			return true
		}
		from = end
	}
}

// indexNames finds the entries of a table by each of their names; where two
// entries share one, the first is found.
func indexNames[T any](table []T, names func(*T) string) map[string]*T {
	index := map[string]*T{}
	for i := range table {
		for name := range strings.FieldsSeq(names(&table[i])) {
			if index[name] == nil {
				index[name] = &table[i]
			}
		}
	}
	return index
}

// nameSet is a set of names written as one text, for those that are asked for
// at every command.
func nameSet(names string) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		set := map[string]bool{}
		for name := range strings.FieldsSeq(names) {
			set[name] = true
		}
		return set
	})
}

func isShell(name string) bool {
	switch name {
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "pdksh", "rbash", "fish", "csh", "tcsh", "yash", "elvish", "lksh", "oksh", "posh":
		return true
	}
	return false
}
