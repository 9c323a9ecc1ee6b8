package finding

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FullHash returns the file's SHA-256 as 64 lower-case hex digits when it covers
// the whole file, else the empty string. SCC hashes the first HashedSize bytes:
// looking up the hash of a prefix would find nothing and seem clean (file.proto).
func (f *File) FullHash() string {
	if f == nil || f.PartiallyHashed || f.Size > 0 && f.HashedSize > 0 && f.Size != f.HashedSize || len(f.SHA256) != 64 {
		return ""
	}
	hash := strings.ToLower(f.SHA256)
	for i := range len(hash) {
		if c := hash[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return hash
}

// ScriptHash returns the SHA-256 of the process's script when it covers the
// whole script, else the empty string. A script's hash is that of its contents
// as reported, which may be cut (page of the Malicious Python finding), so it
// counts only when the contents, where they are there, reach the script's size.
// It is empty also for contents beyond this package's bound of 64 KiB.
func (p *Process) ScriptHash() string {
	if p == nil || p.Script == nil {
		return ""
	}
	s := p.Script
	if s.Contents != "" && s.Size > 0 && int64(len(s.Contents)) < s.Size {
		return ""
	}
	return s.FullHash()
}

// IsShell reports whether the process looks like a Unix shell, by its binary,
// name or first argument; a process can lie about the last two.
func (p *Process) IsShell() bool {
	if p == nil {
		return false
	}
	if p.Binary != nil && shellName(p.Binary.Path) || shellName(p.Name) {
		return true
	}
	return len(p.Args) > 0 && shellName(p.Args[0])
}

func shellName(s string) bool {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		s = s[i+1:]
	}
	switch strings.TrimPrefix(s, "-") { // a login shell's name begins with "-"
	case "sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish":
		return true
	}
	return false
}

// Tree says which process a finding is about and where it comes from. The
// pointers are into the finding's Processes.
type Tree struct {
	// Child is the process the finding is about; nil when there is no process.
	Child *Process
	// Parent is the child's parent; nil when it is not among the processes.
	Parent *Process
	// Chain runs from the oldest known ancestor to Child.
	Chain []*Process
}

// String shows the chain from the oldest ancestor to the child,
// "java(1) > sh(17)". Every name is cut to 64 bytes, and characters that could
// be taken for the notation or that do not print become "_".
func (t Tree) String() string {
	var b strings.Builder
	for i, p := range t.Chain {
		if i > 0 {
			b.WriteString(" > ")
		}
		b.WriteString(p.label())
		if p.PID > 0 {
			b.WriteString("(" + strconv.FormatInt(p.PID, 10) + ")")
		}
	}
	return b.String()
}

// Tree orders the processes by pid and parent pid: the array's own order says
// nothing, and the answer does not depend on it.
//
// The child is the latest (highest pid) of the processes that have their parent
// in the list and are nobody's parent themselves. A finding about a shell, by
// its category, prefers a shell, even one that has started something since.
// Where no process has its parent in the list, the latest leaf counts; where
// there is no leaf (a cycle), the latest process. An absent pid links nothing.
func (f *Finding) Tree() Tree {
	t := newLinks(f.Processes)
	child := t.child(strings.Contains(strings.ToLower(f.Category), "shell"))
	if child < 0 {
		return Tree{}
	}
	var chain []*Process
	seen := make([]bool, len(t.procs))
	for i := child; i >= 0 && !seen[i]; i = t.parent[i] {
		seen[i] = true
		chain = append(chain, t.procs[i])
	}
	slices.Reverse(chain)
	tree := Tree{Child: t.procs[child], Chain: chain}
	if len(chain) > 1 {
		tree.Parent = chain[len(chain)-2]
	}
	return tree
}

// links are the processes in order of pid with the index of each one's parent,
// or -1.
type links struct {
	procs    []*Process
	parent   []int
	isParent []bool
}

func newLinks(list []Process) links {
	l := links{
		procs:    make([]*Process, len(list)),
		parent:   make([]int, len(list)),
		isParent: make([]bool, len(list)),
	}
	for i := range list {
		l.procs[i] = &list[i]
	}
	slices.SortStableFunc(l.procs, compareProcesses)
	first := make(map[int64]int, len(list)) // of several with one pid, the first
	for i, p := range l.procs {
		if _, ok := first[p.PID]; !ok && p.PID > 0 {
			first[p.PID] = i
		}
	}
	for i, p := range l.procs {
		l.parent[i] = -1
		if j, ok := first[p.ParentPID]; ok && p.ParentPID != p.PID {
			l.parent[i] = j
			l.isParent[j] = true
		}
	}
	// Processes that share a pid share being a parent.
	for i, p := range l.procs {
		if j, ok := first[p.PID]; ok {
			l.isParent[i] = l.isParent[j]
		}
	}
	return l
}

// compareProcesses orders by pid, then by whatever else tells two apart.
func compareProcesses(a, b *Process) int {
	return cmp.Or(
		cmp.Compare(a.PID, b.PID),
		cmp.Compare(a.ParentPID, b.ParentPID),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.path(), b.path()),
		slices.Compare(a.Args, b.Args),
	)
}

// child returns the index of the process the finding is about, or -1.
func (l links) child(shell bool) int {
	last := func(ok func(i int) bool) int {
		for i := len(l.procs) - 1; i >= 0; i-- {
			if ok(i) {
				return i
			}
		}
		return -1
	}
	linked := func(i int) bool { return l.parent[i] >= 0 }
	leaf := func(i int) bool { return !l.isParent[i] }
	isShell := func(i int) bool { return l.procs[i].IsShell() }
	if shell {
		for _, i := range []int{
			last(func(i int) bool { return isShell(i) && linked(i) && leaf(i) }),
			last(func(i int) bool { return isShell(i) && linked(i) }),
			last(func(i int) bool { return isShell(i) && leaf(i) }),
		} {
			if i >= 0 {
				return i
			}
		}
	}
	for _, i := range []int{
		last(func(i int) bool { return linked(i) && leaf(i) }),
		last(leaf),
		len(l.procs) - 1,
	} {
		if i >= 0 {
			return i
		}
	}
	return -1
}

func (p *Process) path() string {
	if p.Binary == nil {
		return ""
	}
	return p.Binary.Path
}

// maxLabel bounds a process's name in Tree.String, in bytes.
const maxLabel = 64

func (p *Process) label() string {
	s := p.Name
	if s == "" && p.path() != "" {
		s = path.Base(p.path())
	}
	if s == "" && len(p.Args) > 0 {
		s = path.Base(p.Args[0])
	}
	if len(s) > maxLabel {
		cut := maxLabel
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	s = strings.Map(func(r rune) rune {
		if r == '>' || r == '(' || r == ')' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, strings.TrimSpace(s))
	if s == "" {
		return "?"
	}
	return s
}
