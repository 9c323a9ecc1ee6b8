package repo_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSecurityPageNamesTests: every test, fuzz target and benchmark that
// docs/security.md and the decisions name exists, and every threat names one.
func TestSecurityPageNamesTests(t *testing.T) {
	known := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		for _, d := range s.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				known[fn.Name.Name] = true
			}
		}
	}
	pages, err := filepath.Glob("docs/adr/*.md")
	if err != nil || len(pages) < 2 {
		t.Fatalf("decisions: %v, %v", pages, err)
	}
	name := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	for _, page := range append(pages, "docs/security.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllSubmatch(text, -1) {
			if !known[string(m[1])] {
				t.Errorf("%s names %s, which is no test", page, m[1])
			}
		}
	}
	page, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	threats := regexp.MustCompile(`(?m)^\| [a-zA-Z'., ]+ \| [^|]+ \| [^|]+ \| ([^|]*) \|$`).FindAllSubmatch(page, -1)
	held := 0
	for _, row := range threats {
		switch string(row[1]) {
		case "held by", "---":
		default:
			held++
			if !name.Match(row[1]) {
				t.Errorf("a threat that no test holds: %s", row[0])
			}
		}
	}
	if held < 20 {
		t.Errorf("found %d threats", held)
	}
}
