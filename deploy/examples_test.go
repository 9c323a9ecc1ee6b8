package deploy_test

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// example gives the faults of a configuration that uses the module.
func example(t *testing.T, m *module, sources map[string]string) []string {
	t.Helper()
	var f faults
	n := 0
	for file, text := range sources {
		parsed, diags := hclsyntax.ParseConfig([]byte(text), file, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		body, ok := parsed.Body.(*hclsyntax.Body)
		if !ok {
			t.Fatalf("%s is not native syntax", file)
		}
		for _, b := range blocks(body, "module") {
			n++
			call(&f, m, b)
		}
	}
	if n != 1 {
		f.add("the module is used %d times, want once", n)
	}
	return f
}

// call checks the arguments of a module block.
func call(f *faults, m *module, b *hclsyntax.Body) {
	for name := range b.Attributes {
		if _, ok := m.variables[name]; !ok && name != "source" {
			f.add("the module has no variable %s", name)
		}
	}
	for name, v := range m.variables {
		if _, optional := v.Body.Attributes["default"]; !optional && b.Attributes[name] == nil {
			f.add("%s is required", name)
		}
	}
}

func TestExampleCanFail(t *testing.T) {
	t.Parallel()
	m := loadModule(t)
	for _, text := range []string{
		"module \"x\" {\n  project_id = 1\n  region = 1\n  image = 1\n}",
		"module \"x\" {\n  project_id = 1\n  region = 1\n  image = 1\n  scc_parent = 1\n  org = 1\n}",
		"locals {}",
	} {
		if len(example(t, m, map[string]string{"main.tf": text})) == 0 {
			t.Errorf("no fault in %s", text)
		}
	}
}
