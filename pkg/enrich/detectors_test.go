package enrich_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	mitre "github.com/scc-enricher/scc-enricher/pkg/attack"
)

// detectorsDoc is the page that shows the cases of testdata/detectors; what
// lies between the marks in it is generated.
const (
	detectorsDoc = "../../docs/detectors.md"
	docBegin     = "<!-- begin: go test ./pkg/enrich -run TestScenarios -update -->\n"
	docEnd       = "<!-- end -->\n"
)

// detectorCase is one case as the page shows it.
type detectorCase struct {
	number, category       string
	module, shows, remark  string
	marks                  map[string]string
	runtime, control, twin bool
}

// checkDetectors holds that there is a case for each detector, and that the
// page says what the cases say.
func checkDetectors(t *testing.T, update bool) {
	t.Helper()
	cases, err := loadDetectors()
	if err != nil {
		t.Fatal(err)
	}
	checkCoverage(t, cases)
	page, err := os.ReadFile(detectorsDoc)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(page), docBegin)
	_, tail, ok2 := strings.Cut(rest, docEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks its marks", detectorsDoc)
	}
	want := head + docBegin + tables(cases) + docEnd + tail
	if update {
		if err := os.WriteFile(detectorsDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(page), "\n")); diff != "" {
		t.Errorf("%s is not what the cases say; run with -update (-want +got):\n%s", detectorsDoc, diff)
	}
}

func loadDetectors() ([]detectorCase, error) {
	files, err := filepath.Glob("testdata/detectors/*.txtar")
	if err != nil {
		return nil, err
	}
	var out []detectorCase
	for _, path := range files {
		s, err := loadScenario(path)
		if err != nil {
			return nil, err
		}
		c := detectorCase{number: filepath.Base(path)[:2], category: s.findings["finding"].Category, marks: map[string]string{}}
		for _, f := range s.archive.Files {
			if f.Name == golden+"finding" {
				c.marks = fields(string(f.Data))
			}
		}
		said := fields(string(s.archive.Comment))
		c.module, c.shows, c.remark = said["Module"], said["Shows"], said["Remark"]
		if c.module == "" || c.shows == "" || c.remark == "" || c.marks["verdict"] == "" {
			return nil, s.errorf("", 1, "a case says Module, Shows and Remark, and has the marks of its finding")
		}
		c.runtime, c.control = mitre.Runtime(c.category), mitre.ControlPlane(c.category)
		c.twin = strings.Contains(path, "-twin-")
		out = append(out, c)
	}
	return out, nil
}

// fields reads lines "key: value"; lines that begin with spaces go on.
func fields(text string) map[string]string {
	out := map[string]string{}
	key := ""
	for line := range strings.SplitSeq(text, "\n") {
		if more, ok := strings.CutPrefix(line, "    "); ok && key != "" {
			out[key] += " " + more
			continue
		}
		if k, v, ok := strings.Cut(line, ": "); ok {
			key = k
			out[key] = v
		}
	}
	return out
}

// checkCoverage counts the detectors of Google's list of April 2026.
func checkCoverage(t *testing.T, cases []detectorCase) {
	t.Helper()
	seen := map[string]string{}
	runtime, control := 0, 0
	for _, c := range cases {
		if c.number > "50" {
			continue
		}
		key := mitre.Normalize(c.category)
		if other := seen[key]; other != "" {
			t.Errorf("cases %s and %s are of one detector", other, c.number)
		}
		seen[key] = c.number
		if mitre.Normalize(c.module) != key {
			t.Errorf("case %s: %s is not the module of %q", c.number, c.module, c.category)
		}
		switch {
		case c.runtime:
			runtime++
		case c.control:
			control++
		default:
			t.Errorf("case %s: %q is not a detector we know", c.number, c.category)
		}
	}
	if runtime != 35 || control != 3 {
		t.Errorf("cases for %d runtime and %d control-plane detectors, want 35 and 3", runtime, control)
	}
}

// tables are the generated part of the page.
func tables(cases []detectorCase) string {
	var b strings.Builder
	for _, group := range []struct {
		title, text string
		from, to    string
	}{
		{"Every detector", "One finding as an attack would raise it.", "00", "50"},
		{"False-positive twins", "The same detectors, raised by what applications do.", "50", "70"},
		{"Unknown and drifted categories", "What happens when Google adds a detector or respells one.", "70", "99"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", group.title, group.text)
		b.WriteString("| | detector | the case | verdict | strongest reasons | next action | would an analyst agree? |\n| --- | --- | --- | --- | --- | --- | --- |\n")
		for _, c := range cases {
			if c.number > group.from && c.number < group.to {
				b.WriteString(c.row())
			}
		}
	}
	b.WriteString("\n")
	return b.String()
}

func (c detectorCase) row() string {
	name := c.category
	if strings.HasPrefix(c.module, "CLOUD_RUN_") {
		name += "<br>`" + c.module + "`"
	}
	cells := []string{
		c.number, name, c.shows,
		fmt.Sprintf("**%s** %s %s", c.marks["verdict"], c.marks["score"], c.marks["priority"]),
		strongest(c.marks["reasons"]), "`" + c.marks["next_action"] + "`", c.remark,
	}
	for i := range cells {
		cells[i] = strings.NewReplacer("|", "\\|", "*.", "\\*.", "/*", "/\\*").Replace(cells[i])
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// strongest are the first four reasons.
func strongest(reasons string) string {
	list := slices.DeleteFunc(strings.Split(reasons, ","), func(r string) bool { return strings.HasPrefix(r, "severity_") })
	return strings.Join(list[:min(len(list), 4)], ", ")
}
