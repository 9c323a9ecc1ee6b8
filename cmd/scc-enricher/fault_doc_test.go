package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the table of docs/reliability.md")
	seeds  = flag.Int("reliability.seeds", 1, "how many seeds TestReliability tries for faults that are drawn by lot")
)

const (
	reliabilityDoc = "../../docs/reliability.md"
	tableBegin     = "<!-- TestReliability -update writes from here -->\n"
	tableEnd       = "<!-- to here -->\n"
)

// reliabilityTable gathers a row for each scenario. Only what every run must
// come to is compared with the document: the fault, what was injected, and the
// states where they are determined; counts vary with the order of things.
type reliabilityTable struct {
	mu   sync.Mutex
	rows map[string]reliabilityRow
}

type reliabilityRow struct {
	injected, first, fixedFirst, rest string
	ledger                            ledger
	calls                             map[string]float64
}

func (r reliabilityRow) text(name string) string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", name, r.injected, r.ledger, calls(r.calls), r.first, r.rest)
}

func (t *reliabilityTable) add(name string, r reliabilityRow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[name] = r
}

// finish writes the table, or compares the one that is there. A run of some
// scenarios only does neither.
func (t *reliabilityTable) finish(tb testing.TB, order []faultScenario) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tb.Failed() || len(t.rows) < len(order) {
		return
	}
	data, err := os.ReadFile(reliabilityDoc)
	if err != nil {
		tb.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), tableBegin)
	was, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		tb.Fatalf("%s lacks the marks of the table", reliabilityDoc)
	}
	if *update {
		var b strings.Builder
		b.WriteString("| fault | injected | received | not acknowledged | written | unchanged | ignored | dead-lettered | attempts a finding: findings / logs / config / virustotal / marks | first marks | marks at rest |\n" +
			"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
		for i := range order {
			b.WriteString(t.rows[order[i].name].text(order[i].name))
		}
		if err := os.WriteFile(reliabilityDoc, []byte(before+tableBegin+b.String()+tableEnd+after), 0o600); err != nil {
			tb.Fatal(err)
		}
		return
	}
	lines := strings.Split(strings.TrimSpace(was), "\n")
	if len(lines) != len(order)+2 {
		tb.Errorf("%s has %d rows, want %d: run with -update", reliabilityDoc, len(lines)-2, len(order))
		return
	}
	for i := range order {
		row := t.rows[order[i].name]
		cells := strings.Split(strings.Trim(lines[i+2], "| "), " | ")
		want := []string{order[i].name, row.injected, row.rest}
		got := slices.Concat(cells[:2], cells[len(cells)-1:])
		if !slices.Equal(want, got) || row.fixedFirst != "" && cells[len(cells)-2] != row.fixedFirst {
			tb.Errorf("%s: row %q, want %q and first marks %q: run with -update", reliabilityDoc, got, want, row.fixedFirst)
		}
	}
}
