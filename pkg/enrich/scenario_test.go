package enrich_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

var update = flag.Bool("update", false, "rewrite the marks in testdata and the verdicts in docs/detectors.md")

// parts are what all scenarios share: they are made once and only read.
type parts struct {
	policy   *assess.Policy
	redactor *redact.Redactor
}

func makeParts(t *testing.T) parts {
	t.Helper()
	policy, err := assess.LoadDefault()
	if err != nil {
		t.Fatal(err)
	}
	redactor, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	return parts{policy, redactor}
}

// TestScenarios plays every file of testdata: see testdata/README.md.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	parts := makeParts(t)
	t.Cleanup(func() { checkDetectors(t, *update) }) // when all marks are what they are
	for _, path := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(path), "testdata/"), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := loadScenario(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, fail := range playInBubble(t, s, parts, *update) {
				t.Error(fail)
			}
			if *update && !t.Failed() {
				if err := os.WriteFile(path, txtar.Format(s.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// playInBubble plays a scenario on a clock of its own, and says what did not come true.
func playInBubble(t *testing.T, s *scenario, parts parts, update bool) (fails []string) {
	t.Helper()
	if update {
		s.archive.Files = slices.DeleteFunc(s.archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, golden) })
	}
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, s, parts)
		st.play(verbs(parts), update)
		fails = st.fails
	})
	return fails
}

// play does the lines of the script one after the other. A wrong expectation
// is noted, a line that cannot be done ends the play.
func (st *stage) play(verbs map[string]verb, update bool) {
	for _, line := range st.s.script {
		if line.timed {
			at := st.s.world.Start.Add(line.at)
			if at.Before(time.Now()) {
				st.fail(line, fmt.Errorf("it is %s already", time.Since(st.s.world.Start)))
				return
			}
			if err := st.pass(at); err != nil {
				st.fail(line, err)
				return
			}
		}
		switch name, words := line.words[0], line.words[1:]; name {
		case "expect":
			if err := st.expect(words); err != nil {
				st.fail(line, err)
			}
		case "golden":
			if err := st.golden(words, update); err != nil {
				st.fail(line, err)
			}
		default:
			do := verbs[name]
			if do == nil {
				st.fail(line, fmt.Errorf("unknown verb %q", name))
				return
			}
			if err := do(st, words); err != nil {
				st.fail(line, err)
				return
			}
		}
	}
}

// fail notes what went wrong at a line of the script.
func (st *stage) fail(line step, err error) {
	if line.line == 0 { // of the script that a file without one has
		st.fails = append(st.fails, err.Error())
		return
	}
	st.fails = append(st.fails, fmt.Sprintf("%s:%d: %s: %v", st.s.path, line.line, line.text, err))
}
