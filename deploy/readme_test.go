package deploy_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// checkVariables checks that every variable and output is described, that
// every variable is typed, and that the README's tables say the same.
func checkVariables(w *world) []string {
	var f faults
	for name, b := range w.m.variables {
		if b.Body.Attributes["type"] == nil || describe(b) == "" {
			f.add("variable %s needs a type and a description", name)
		}
		for _, v := range blocks(b.Body, "validation") {
			if a := v.Attributes["error_message"]; a == nil || !strings.Contains(w.m.source(a), name) {
				f.add("variable %s: a message does not name it", name)
			}
		}
	}
	for name, b := range w.m.outputs {
		if describe(b) == "" {
			f.add("output %s needs a description", name)
		}
	}
	for name, want := range w.m.tables() {
		if got := between(w.readme, name); got != want {
			f.add("the README's table of %s is old: run go test ./deploy -run TestReadme -update", name)
		}
	}
	return f
}

func describe(b *hclsyntax.Block) string {
	a, ok := b.Body.Attributes["description"]
	if !ok {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		return ""
	}
	return v.AsString()
}

// tables renders the README's tables.
func (m *module) tables() map[string]string {
	var in, out strings.Builder
	in.WriteString("| name | type | default | meaning |\n| --- | --- | --- | --- |\n")
	required := func(name string) int {
		if m.variables[name].Body.Attributes["default"] == nil {
			return 0
		}
		return 1
	}
	names := slices.SortedFunc(maps.Keys(m.variables), func(a, b string) int {
		if d := required(a) - required(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		b := m.variables[name].Body
		value := "required"
		if a, ok := b.Attributes["default"]; ok {
			value = "`" + oneLine(m.source(a)) + "`"
		}
		kind := ""
		if a, ok := b.Attributes["type"]; ok {
			kind = oneLine(m.source(a))
		}
		in.WriteString("| `" + name + "` | `" + kind + "` | " + value + " | " + describe(m.variables[name]) + " |\n")
	}
	out.WriteString("| name | meaning |\n| --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(m.outputs)) {
		out.WriteString("| `" + name + "` | " + describe(m.outputs[name]) + " |\n")
	}
	return map[string]string{"inputs": in.String(), "outputs": out.String()}
}

// oneLine makes source code fit into a cell of a table.
func oneLine(s string) string {
	s = strings.ReplaceAll(s, "\n", ", ")
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("{, ", "{ ", ", }", " }", "|", `\|`).Replace(s)
}

// between gives the text between two markers of the README.
func between(text, name string) string {
	_, rest, _ := strings.Cut(text, "<!-- "+name+" -->\n")
	out, _, _ := strings.Cut(rest, "<!-- /"+name+" -->")
	return out
}

// TestReadme writes the README's tables with -update; TestModule checks them.
func TestReadme(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	const name = moduleDir + "/README.md"
	text := read(t, name)
	for table, want := range loadModule(t).tables() {
		text = strings.Replace(text, "<!-- "+table+" -->\n"+between(text, table), "<!-- "+table+" -->\n"+want, 1)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
