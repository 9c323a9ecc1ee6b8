package deploy_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is generated from other files")

func TestModule(t *testing.T) {
	t.Parallel()
	w := readWorld(t, nil)
	for name, check := range checks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, fault := range check(w) {
				t.Error(fault)
			}
		})
	}
}

// readWorld reads everything, the module with some files changed.
func readWorld(t *testing.T, edit func(map[string]string)) *world {
	t.Helper()
	sources := readSources(t, moduleDir)
	if edit != nil {
		edit(sources)
	}
	m, err := parseModule(sources)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		m: m, env: readEnvironment(t),
		operations: read(t, "../docs/operations.md"), readme: read(t, "terraform/README.md"), playbooks: map[string]bool{},
	}
	pages, err := filepath.Glob("../docs/playbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		w.playbooks[filepath.Base(p)] = true
	}
	return w
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readEnvironment gives the environment variables of each command, from the
// tags of the command line's own types.
func readEnvironment(t *testing.T) map[string]map[string]bool {
	t.Helper()
	types := structs(t, "../cmd/scc-enricher")
	root, ok := types["cli"]
	if !ok {
		t.Fatal("the command line has no type cli")
	}
	out := map[string]map[string]bool{}
	for _, field := range root.Fields.List {
		command, ok := field.Type.(*ast.Ident)
		if !ok || len(field.Names) != 1 {
			t.Fatal("a command of the command line has no named type")
		}
		env := map[string]bool{}
		collect(types, command.Name, env)
		out[strings.ToLower(field.Names[0].Name)] = env
	}
	if len(out["serve"]) < 20 {
		t.Fatalf("serve has %d variables: the search is broken", len(out["serve"]))
	}
	return out
}

// structs gives the struct types of a folder's Go files.
func structs(t *testing.T, dir string) map[string]*ast.StructType {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.StructType{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					out[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	return out
}

// collect adds the variables of a struct and of the structs in it.
func collect(types map[string]*ast.StructType, name string, env map[string]bool) {
	s, ok := types[name]
	if !ok {
		return
	}
	for _, field := range s.Fields.List {
		if field.Tag != nil {
			if tag, err := strconv.Unquote(field.Tag.Value); err == nil {
				if v := reflect.StructTag(tag).Get("env"); v != "" {
					env[v] = true
					continue
				}
			}
		}
		if inner, ok := field.Type.(*ast.Ident); ok && inner.Name != name {
			collect(types, inner.Name, env)
		}
	}
}

// TestFormat runs terraform fmt, where there is a terraform.
func TestFormat(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), terraform(t), "fmt", "-check", "-recursive", "-diff", moduleDir).CombinedOutput()
	if err != nil {
		t.Errorf("terraform fmt: %v\n%s", err, out)
	}
}

// terraform finds the program; without it the test is skipped, but not where
// REQUIRE_GCLOUD is set.
func terraform(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("terraform")
	switch {
	case err == nil:
		return path
	case os.Getenv("REQUIRE_GCLOUD") != "":
		t.Fatal("terraform is missing, and REQUIRE_GCLOUD is set")
	default:
		t.Skip("terraform is not on PATH")
	}
	return ""
}

// TestExamples parses the examples and checks that they name only variables
// that there are, and all that have no default.
func TestExamples(t *testing.T) {
	t.Parallel()
	m := loadModule(t)
	for _, name := range []string{"organization", "project"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := readSources(t, filepath.Join(moduleDir, "examples", name))
			for _, fault := range example(t, m, sources) {
				t.Error(fault)
			}
		})
	}
}
