package assess

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocs holds that docs/policy.md names every variable, risk and value that
// a policy can use, as the code has them.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	_, variables, ok := strings.Cut(doc, "\n| variable | type | meaning |\n")
	if !ok {
		t.Fatal("docs/policy.md has no table of variables")
	}
	variables, _, _ = strings.Cut(variables, "\n\n")
	for _, v := range Variables() {
		if row := fmt.Sprintf("| `%s` | %s | %s |", v.Name, v.Type, strings.ReplaceAll(v.Doc, "|", "\\|")); !strings.Contains(variables, row) {
			t.Errorf("docs/policy.md lacks the row\n%s", row)
		}
	}
	var values []string
	for _, list := range [][]string{verdictOrder(), priorityOrder(), actionOrder(), sources(), ConfigRisks(), phases()} {
		values = append(values, list...)
	}
	for _, v := range values {
		if !strings.Contains(doc, "`"+v+"`") {
			t.Errorf("docs/policy.md does not mention `%s`", v)
		}
	}
	// The examples of the page must load and pass their own tests.
	blocks := strings.Split(doc, "```yaml\n")
	if len(blocks) < 2 {
		t.Error("docs/policy.md has no example")
	}
	for i, b := range blocks[1:] {
		text, _, _ := strings.Cut(b, "```")
		p, err := Load([]byte(text))
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		for _, f := range p.Test() {
			t.Errorf("example %d: %v", i+1, f)
		}
	}
}
