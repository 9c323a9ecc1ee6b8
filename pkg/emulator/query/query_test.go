package query

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show prints a tree with every pair of parentheses.
func show(n *Node) string {
	if n == nil {
		return "everything"
	}
	var parts []string
	for _, c := range n.Nodes {
		parts = append(parts, show(c))
	}
	switch n.Kind {
	case And:
		return "(" + strings.Join(parts, " & ") + ")"
	case Or:
		return "(" + strings.Join(parts, " | ") + ")"
	case Not:
		return "!" + parts[0]
	case Compare:
		return fmt.Sprintf("%s%s%s", strings.Join(n.Path, "/"), n.Op, n.Value.Text)
	case Call:
		return fmt.Sprintf("%s%v", n.Name, n.Args)
	}
	return "~" + n.Value.Text
}

func TestParse(t *testing.T) {
	t.Parallel()
	all := Options{Sequence: true, Comments: true}
	tests := []struct {
		name, in, want string
		o              Options
	}{
		{name: "blank", in: " \n", want: "everything"},
		{name: "or binds tighter than and", in: `a="1" AND b="2" OR c="3" AND d="4"`, want: "(a=1 & (b=2 | c=3) & d=4)"},
		{name: "not binds tightest", in: `NOT a="1" OR -b="2"`, want: "(!a=1 | !b=2)"},
		{name: "parentheses", in: `(a="1" AND b="2") OR c="3"`, want: "((a=1 & b=2) | c=3)"},
		{name: "no blanks", in: `a="1"AND(b>=2)`, want: "(a=1 & b>=2)"},
		{name: "sequence", in: `a=1 b:x hello`, o: all, want: "(a=1 & b:x & ~hello)"},
		{name: "quoted segments", in: `labels."run.googleapis.com/execution_name".x="e"`, o: all, want: "labels/run.googleapis.com/execution_name/x=e"},
		{name: "value list", in: `severity=(ERROR OR "WARNING")`, o: all, want: "(severity=ERROR | severity=WARNING)"},
		{name: "negated value list", in: `a:(x NOT y)`, o: all, want: "(a:x & !a:y)"},
		{name: "call", in: `log_id("run.googleapis.com/stdout")`, o: all, want: "log_id[{run.googleapis.com/stdout true}]"},
		{name: "comment", in: "a=1 -- why\n-- more\nb=2", o: all, want: "(a=1 & b=2)"},
		{name: "bare time", in: `timestamp>=2026-01-02T03:04:05.6Z`, o: all, want: "timestamp>=2026-01-02T03:04:05.6Z"},
		{name: "regular expression", in: `a=~"^\d+\.x\"$"`, o: all, want: `a=~^\d+\.x"$`},
		{name: "escapes", in: `a="\x41\u00e9\\\n"`, want: "a=Aé\\\n"},
		{name: "word that begins with OR", in: `ORDER ANDROID`, o: all, want: "(~ORDER & ~ANDROID)"},
		{name: "quoted text", in: `"out of memory"`, o: all, want: "~out of memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(tt.in, tt.o)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if diff := cmp.Diff(tt.want, show(n)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`a="1" b="2"`, `a=`, `a="1`, `(a="1"`, `a="1")`, `AND a="1"`, `a="1" OR`, `NOT`, `-`, `="x"`, `a..b="1"`, `.a="1"`,
		`a. ="1"`, `f(`, `f()`, `a=(b="1")`, `a="\u12"`, `a="\UFFFFFFFF"`, strings.Repeat("(", 100) + "a=1" + strings.Repeat(")", 100), strings.Repeat("-", 1000),
	} {
		if n, err := Parse(in, Options{}); err == nil {
			t.Errorf("Parse(%q) = %s, want an error", in, show(n))
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want []string
		ok   bool
	}{
		{in: `a="1" AND b="2"`, want: []string{"1"}, ok: true},
		{in: `b="2" AND (a="1" OR a="3")`, want: []string{"1", "3"}, ok: true},
		{in: `a="1" OR b="2"`},
		{in: `NOT a="1"`},
		{in: `a:"1"`},
		{in: ``},
	}
	for _, tt := range tests {
		n, err := Parse(tt.in, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, ok := n.Values("a")
		if ok != tt.ok || !cmp.Equal(tt.want, got) {
			t.Errorf("Values of %q = %v, %v; want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`a="1" AND (b:"2" OR -c>3)`, `labels."a.b/c"=x NOT y`, `f("x", y)`, "a=\"\\x41\" -- c", `a=(b OR (c AND d))`} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, lax bool) {
		n, err := Parse(s, Options{Sequence: lax, Comments: lax})
		if err == nil && n == nil && strings.Trim(s, " \t\r\n\f\v") != "" && !lax {
			t.Fatalf("%q matches everything", s)
		}
		_ = show(n)
		_, _ = n.Values("a")
	})
}
