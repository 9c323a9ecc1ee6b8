// Package repo holds the laws of the repository itself: which package may
// import which, who may read the environment, how packages are documented.
package repo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/scc-enricher/scc-enricher/"

// pure packages take no context, clock, logger, client or environment.
var pure = []string{"finding", "command", "attack", "incident", "assess", "record", "marks", "redact"}

// may says which packages of ours a package may import. A package that is not
// listed here fails the test: say where a new one stands.
var may = map[string][]string{
	"finding":      {},
	"command":      {"finding"},
	"attack":       {"finding"},
	"incident":     {"finding"},
	"redact":       {"finding"},
	"evidence":     {"finding", "command", "attack", "incident", "redact"},
	"assess":       {"finding", "command", "attack", "incident", "redact", "evidence"},
	"record":       {"finding", "command", "attack", "incident", "redact", "evidence", "assess"},
	"marks":        {"finding", "command", "attack", "incident", "redact", "evidence", "assess", "record"},
	"enrich":       {"finding", "command", "attack", "incident", "redact", "evidence", "assess", "record", "marks", "followup"},
	"backfill":     {"finding", "evidence", "record", "marks", "enrich"},
	"push":         {},
	"telemetry":    {},
	"quota":        {"evidence"},
	"upstream":     {"evidence"},
	"scc":          {"finding", "evidence", "marks", "quota", "upstream"},
	"cloudlogging": {"finding", "evidence", "quota", "upstream"},
	"cloudrun":     {"finding", "evidence", "upstream"},
	"virustotal":   {"evidence", "quota", "upstream"},
	"publish":      {"evidence", "upstream"},
	"followup":     {"evidence", "upstream"},
	"emulator":     {"upstream"},
}

// testsMay says what the tests of a package may import beyond it: scenarios of
// the pipeline run a backfill beside it.
var testsMay = map[string][]string{"enrich": {"backfill"}}

type source struct {
	path string
	// pkg is the folder below pkg/, "cmd", or "".
	pkg  string
	test bool
	file *ast.File
	fset *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: path, test: strings.HasSuffix(path, "_test.go"), file: file, fset: fset}
		parts := strings.Split(filepath.ToSlash(path), "/")
		switch parts[0] {
		case "pkg":
			s.pkg = parts[1]
		case "cmd":
			s.pkg = "cmd"
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("read %d files: the walk is broken", len(out))
	}
	return out
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err == nil {
			out = append(out, path)
		}
	}
	return out
}

func TestImportOrder(t *testing.T) {
	for _, s := range sources(t) {
		if s.pkg == "cmd" || s.pkg == "" {
			continue
		}
		allowed, known := may[s.pkg]
		if !known {
			t.Errorf("%s: package %s has no place in the import order", s.path, s.pkg)
			continue
		}
		if s.test {
			allowed = slices.Concat(allowed, testsMay[s.pkg])
		}
		for _, imported := range s.imports() {
			rest, ours := strings.CutPrefix(imported, module+"pkg/")
			name, _, _ := strings.Cut(rest, "/")
			if ours && name != s.pkg && !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s, which %s may not", s.path, name, s.pkg)
			}
		}
	}
}

func TestPurePackages(t *testing.T) {
	forbidden := []string{"context", "os", "net/http", "log", "log/slog", "go.uber.org/zap", "google.golang.org/grpc", "cloud.google.com/go"}
	for _, s := range sources(t) {
		if s.test || !slices.Contains(pure, s.pkg) {
			continue
		}
		for _, imported := range s.imports() {
			for _, f := range forbidden {
				protos := s.pkg == "finding" && strings.HasSuffix(imported, "/securitycenterpb")
				if (imported == f || strings.HasPrefix(imported, f+"/")) && !protos {
					t.Errorf("%s: the pure package %s imports %s", s.path, s.pkg, imported)
				}
			}
		}
		for _, call := range s.selectors() {
			if call == "time.Now" || call == "time.Since" || call == "time.Until" {
				t.Errorf("%s: the pure package %s reads the clock: %s", s.path, s.pkg, call)
			}
		}
	}
}

// selectors are all "x.Y" of a file.
func (s source) selectors() []string {
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				out = append(out, x.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return out
}

func TestOnlyCommandReadsTheEnvironment(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.pkg == "cmd" {
			continue
		}
		for _, call := range s.selectors() {
			switch call {
			case "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv":
				t.Errorf("%s calls %s: only cmd reads the environment", s.path, call)
			}
		}
	}
}

func TestImportsWithOneOwner(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.imports() {
			if imported == "github.com/VirusTotal/vt-go" && s.pkg != "virustotal" {
				t.Errorf("%s imports vt-go: only virustotal may", s.path)
			}
			deployTest := s.test && strings.HasPrefix(filepath.ToSlash(s.path), "deploy/")
			if strings.HasPrefix(imported, module+"pkg/emulator") && s.pkg != "emulator" && s.pkg != "cmd" && !deployTest {
				t.Errorf("%s imports the emulator: only cmd and the tests of deploy may", s.path)
			}
			if strings.HasSuffix(imported, "/pstest") && !s.test && s.pkg != "emulator" {
				t.Errorf("%s imports a fake: only the emulator may", s.path)
			}
		}
	}
}

func TestPackageNamesAndDocs(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		if s.test {
			continue
		}
		switch s.file.Name.Name {
		case "util", "utils", "common", "types", "helper", "helpers", "model":
			t.Errorf("%s: package %s is named by no idea", s.path, s.file.Name.Name)
		}
		docs[dir] += 0
		if s.file.Doc != nil {
			docs[dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments, want exactly one", dir, n)
		}
	}
}

// TestNoPackageState finds init functions, and package-level variables that
// some function assigns to.
func TestNoPackageState(t *testing.T) {
	vars := map[string]map[string]bool{}
	all := sources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		dir := filepath.Dir(s.path)
		if vars[dir] == nil {
			vars[dir] = map[string]bool{}
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s has an init function", s.path)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
						for _, name := range v.Names {
							vars[dir][name.Name] = name.Name != "_"
						}
					}
				}
			}
		}
	}
	for _, s := range all {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			local := locals(fn)
			ast.Inspect(fn, func(n ast.Node) bool {
				a, ok := n.(*ast.AssignStmt)
				if !ok || a.Tok == token.DEFINE {
					return true
				}
				for _, lhs := range a.Lhs {
					if id := root(lhs); id != nil && vars[filepath.Dir(s.path)][id.Name] && !local[id.Name] {
						t.Errorf("%s: the package-level variable %s is assigned to", s.fset.Position(a.Pos()), id.Name)
					}
				}
				return true
			})
		}
	}
}

// locals are all names a function declares.
func locals(fn *ast.FuncDecl) map[string]bool {
	out := map[string]bool{}
	add := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok {
			out[id.Name] = true
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					add(e)
				}
			}
		case *ast.RangeStmt:
			add(n.Key)
			add(n.Value)
		case *ast.ValueSpec:
			for _, id := range n.Names {
				out[id.Name] = true
			}
		case *ast.Field:
			for _, id := range n.Names {
				out[id.Name] = true
			}
		}
		return true
	})
	return out
}

// root is the identifier an assignment ends up changing: x of x.y[i].
func root(e ast.Expr) *ast.Ident {
	for {
		switch v := e.(type) {
		case *ast.Ident:
			return v
		case *ast.IndexExpr:
			e = v.X
		case *ast.SelectorExpr:
			e = v.X
		case *ast.StarExpr:
			e = v.X
		default:
			return nil
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, s := range sources(t) {
		if lines := s.fset.Position(s.file.FileEnd).Line; !s.test && lines > 450 {
			t.Errorf("%s has %d lines; is it one idea?", s.path, lines)
		}
	}
}
