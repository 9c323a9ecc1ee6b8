package finding

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func proc(name string, pid, parent int64) Process {
	return Process{Name: name, PID: pid, ParentPID: parent}
}

func TestTree(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		category string
		procs    []Process
		want     string
		parent   string
	}{
		{name: "none"},
		{name: "one", procs: []Process{proc("sh", 17, 1)}, want: "sh(17)"},
		{name: "parent and child", procs: []Process{proc("java", 1, 0), proc("sh", 17, 1)}, want: "java(1) > sh(17)", parent: "java"},
		{name: "chain", procs: []Process{proc("c", 30, 20), proc("a", 10, 0), proc("b", 20, 10)}, want: "a(10) > b(20) > c(30)", parent: "b"},
		{name: "latest of two leaves", procs: []Process{proc("a", 1, 0), proc("sh", 5, 1), proc("curl", 9, 1)}, want: "a(1) > curl(9)", parent: "a"},
		{name: "shell of two leaves", category: "Unexpected Child Shell", procs: []Process{proc("a", 1, 0), proc("sh", 5, 1), proc("curl", 9, 1)}, want: "a(1) > sh(5)", parent: "a"},
		{name: "shell that started something since", category: "Reverse Shell", procs: []Process{proc("java", 1, 0), proc("sh", 5, 1), proc("id", 9, 5)}, want: "java(1) > sh(5)", parent: "java"},
		{name: "entry point shell is not the child shell", category: "Unexpected Child Shell", procs: []Process{proc("sh", 1, 0), proc("java", 5, 1), proc("bash", 9, 5)}, want: "sh(1) > java(5) > bash(9)", parent: "java"},
		{name: "no shell among processes", category: "Reverse Shell", procs: []Process{proc("java", 1, 0), proc("nc", 5, 1)}, want: "java(1) > nc(5)", parent: "java"},
		{name: "linked leaf before a later stranger", procs: []Process{proc("a", 1, 0), proc("b", 5, 1), proc("x", 90, 80)}, want: "a(1) > b(5)", parent: "a"},
		{name: "strangers", procs: []Process{proc("a", 5, 4), proc("b", 9, 8)}, want: "b(9)"},
		{name: "strangers, shell wanted", category: "Reverse Shell", procs: []Process{proc("sh", 5, 4), proc("b", 9, 8)}, want: "sh(5)"},
		{name: "no pids", category: "Unexpected Child Shell", procs: []Process{proc("bash", 0, 0), proc("java", 0, 0)}, want: "bash"},
		{name: "child without a pid", procs: []Process{proc("java", 1, 0), proc("x", 0, 1)}, want: "java(1) > x", parent: "java"},
		{name: "its own parent", procs: []Process{proc("a", 3, 3)}, want: "a(3)"},
		{name: "its own parent does not hide it", procs: []Process{proc("a", 3, 3), proc("b", 2, 0)}, want: "a(3)"},
		{name: "cycle", procs: []Process{proc("a", 1, 2), proc("b", 2, 1)}, want: "a(1) > b(2)", parent: "a"},
		{name: "cycle above", procs: []Process{proc("a", 1, 2), proc("b", 2, 1), proc("c", 3, 2)}, want: "a(1) > b(2) > c(3)", parent: "b"},
		{name: "duplicate pids", procs: []Process{proc("sh", 7, 1), proc("curl", 7, 1), proc("a", 1, 0)}, want: "a(1) > sh(7)", parent: "a"},
		{name: "duplicate parents", procs: []Process{proc("a", 1, 0), proc("b", 1, 0), proc("c", 2, 1)}, want: "a(1) > c(2)", parent: "a"},
		{name: "all of one pid are parents", category: "Reverse Shell", procs: []Process{proc("java", 1, 0), proc("sh", 1, 0), proc("nc", 2, 1)}, want: "java(1) > nc(2)", parent: "java"},
		{name: "hostile names", procs: []Process{proc("a(1) > sh\n\x1b[31m", 4, 0), proc(strings.Repeat("é", 100), 5, 4)}, want: "a_1_ _ sh__[31m(4) > " + strings.Repeat("é", 32) + "(5)", parent: "a(1) > sh\n\x1b[31m"},
		{name: "names by path", procs: []Process{{PID: 1, Binary: &File{Path: "/usr/bin/node"}}, {PID: 2, ParentPID: 1, Args: []string{"/bin/ls", "-l"}}}, want: "node(1) > ls(2)"},
		{name: "no name at all", procs: []Process{{PID: 2}}, want: "?(2)"},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tt := range tests {
		f := &Finding{Category: tt.category, Processes: tt.procs}
		for range 20 { // whatever the order
			tree := f.Tree()
			if got := tree.String(); got != tt.want {
				t.Fatalf("%s: %q, want %q", tt.name, got, tt.want)
			}
			if tree.Parent != nil && tree.Parent.Name != tt.parent || tree.Parent == nil && tt.parent != "" {
				t.Fatalf("%s: parent %+v, want %q", tt.name, tree.Parent, tt.parent)
			}
			if len(tt.procs) > 0 && (tree.Child == nil || tree.Chain[len(tree.Chain)-1] != tree.Child) {
				t.Fatalf("%s: child %+v", tt.name, tree.Child)
			}
			f.Processes = slices.Clone(tt.procs)
			rng.Shuffle(len(f.Processes), func(i, j int) { f.Processes[i], f.Processes[j] = f.Processes[j], f.Processes[i] })
		}
	}
}

// Whatever the pids, the tree ends, has no process twice, and does not depend
// on the order of the processes.
func TestTreeOfAnything(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	names := []string{"sh", "java", "node", "bash"}
	for range 3000 {
		procs := make([]Process, rng.IntN(8))
		for i := range procs {
			procs[i] = proc(names[rng.IntN(len(names))], rng.Int64N(6)-1, rng.Int64N(6)-1)
		}
		f := &Finding{Processes: procs, Category: []string{"", "Reverse Shell"}[rng.IntN(2)]}
		tree := f.Tree()
		seen := map[*Process]bool{}
		for _, p := range tree.Chain {
			if seen[p] {
				t.Fatalf("%v: a process twice in %s", procs, tree)
			}
			seen[p] = true
		}
		if (tree.Child == nil) != (len(procs) == 0) {
			t.Fatalf("%v: child %v", procs, tree.Child)
		}
		shuffled := &Finding{Processes: slices.Clone(procs), Category: f.Category}
		rng.Shuffle(len(procs), func(i, j int) {
			shuffled.Processes[i], shuffled.Processes[j] = shuffled.Processes[j], shuffled.Processes[i]
		})
		if got := shuffled.Tree().String(); got != tree.String() {
			t.Fatalf("%v: %q in one order, %q in another", procs, tree, got)
		}
	}
}

func TestFullHash(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0aF", 21) + "9"
	want := strings.ToLower(hash)
	tests := []struct {
		name string
		file *File
		want string
	}{
		{"nil", nil, ""},
		{"whole", &File{SHA256: hash, Size: 9, HashedSize: 9}, want},
		{"size unknown", &File{SHA256: hash, HashedSize: 9}, want},
		{"hashed size unknown", &File{SHA256: hash, Size: 9}, want},
		{"nothing known", &File{SHA256: hash}, want},
		{"prefix by size", &File{SHA256: hash, Size: 9, HashedSize: 8}, ""},
		{"prefix by flag", &File{SHA256: hash, Size: 9, HashedSize: 9, PartiallyHashed: true}, ""},
		{"short", &File{SHA256: hash[1:]}, ""},
		{"not hex", &File{SHA256: "g" + hash[1:]}, ""},
		{"absent", &File{}, ""},
	}
	for _, tt := range tests {
		if got := tt.file.FullHash(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestScriptHash(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("a", 64)
	tests := []struct {
		name string
		proc *Process
		want string
	}{
		{"nil", nil, ""},
		{"no script", &Process{}, ""},
		{"whole", &Process{Script: &File{SHA256: hash, Size: 3, HashedSize: 3, Contents: "abc"}}, hash},
		{"contents cut", &Process{Script: &File{SHA256: hash, Size: 4, HashedSize: 4, Contents: "abc"}}, ""},
		{"no contents", &Process{Script: &File{SHA256: hash, Size: 4, HashedSize: 4}}, hash},
		{"size unknown", &Process{Script: &File{SHA256: hash, Contents: "abc"}}, hash},
		{"hashed less", &Process{Script: &File{SHA256: hash, Size: 4, HashedSize: 3}}, ""},
		{"partial", &Process{Script: &File{SHA256: hash, PartiallyHashed: true}}, ""},
	}
	for _, tt := range tests {
		if got := tt.proc.ScriptHash(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestIsShell(t *testing.T) {
	t.Parallel()
	tests := []struct {
		proc Process
		want bool
	}{
		{Process{Name: "bash"}, true},
		{Process{Name: "-sh"}, true},
		{Process{Name: "nginx", Binary: &File{Path: "/bin/dash"}}, true},
		{Process{Name: "busybox", Args: []string{"/bin/sh", "-c", "id"}}, true},
		{Process{Name: "bashful"}, false},
		{Process{Name: "java", Args: []string{"java", "sh"}}, false},
		{Process{}, false},
	}
	for _, tt := range tests {
		if got := tt.proc.IsShell(); got != tt.want {
			t.Errorf("%+v: %v", tt.proc, got)
		}
	}
}
