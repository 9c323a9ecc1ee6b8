package marks

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// maxEssential is how many steps of evidence come before containment in a mark.
const maxEssential = 3

// plan is the mark "plan": the first steps that fit, never with a part of a
// command. Who is to contain at once reads, after the essential evidence, how to
// contain: evidence that would crowd that out is there without its command.
func plan(r *record.Record) string {
	steps, first := make([]*record.Step, len(r.Plan)), -1
	for i := range r.Plan {
		steps[i] = &r.Plan[i]
	}
	if r.Assessment.NextAction == string(assess.ContainNow) {
		steps = containFirst(steps)
		first = slices.IndexFunc(steps, contains)
	}
	var lines []string
	left := maxLong
	for i := range steps {
		room := left
		if i < first {
			room -= reserve(i, first, steps)
		}
		text := line(i, steps[i])
		if n := utf8.RuneCountInString(text); n > room {
			if i > first && n < maxLong {
				break
			}
			if text = head(i, steps[i]); utf8.RuneCountInString(text) > room {
				break
			}
		}
		lines = append(lines, text)
		left -= utf8.RuneCountInString(text) + utf8.RuneCountInString(between)
	}
	return list(lines, between, maxLong)
}

// reserve is the room that the steps after i up to the first containment step
// need at least: the titles of evidence, and that step with its command if that
// is of ordinary length.
func reserve(i, first int, steps []*record.Step) int {
	n := 0
	for j := i + 1; j <= first; j++ {
		text := head(j, steps[j])
		if j == first {
			if whole := line(j, steps[j]); utf8.RuneCountInString(whole) <= maxLong/2 {
				text = whole
			}
		}
		n += utf8.RuneCountInString(between) + utf8.RuneCountInString(text)
	}
	return n
}

// containFirst puts the steps of containment behind the essential ones of
// evidence. Evidence that would come too late is left to the record.
func containFirst(plan []*record.Step) []*record.Step {
	if !slices.ContainsFunc(plan, contains) {
		return plan
	}
	var evidence, contain, rest []*record.Step
	for _, s := range plan {
		switch s.Phase {
		case assess.PhaseEvidence:
			evidence = append(evidence, s)
		case assess.PhaseContain:
			contain = append(contain, s)
		default:
			rest = append(rest, s)
		}
	}
	return slices.Concat(essential(evidence), contain, rest)
}

func contains(s *record.Step) bool { return s.Phase == assess.PhaseContain }

// essential are the steps without which containment would lose most, in their order.
func essential(steps []*record.Step) []*record.Step {
	keep := make([]bool, len(steps))
	n := 0
	for _, id := range []string{"save_config", "save_logs", "save_execution", "save_revision", "keep_image", ""} {
		for i := range steps {
			if n < maxEssential && !keep[i] && (id == "" || steps[i].ID == id) {
				keep[i] = true
				n++
			}
		}
	}
	var out []*record.Step
	for i := range steps {
		if keep[i] {
			out = append(out, steps[i])
		}
	}
	return out
}

// line is a step on one line with its whole command.
func line(i int, s *record.Step) string {
	if s.Command == "" {
		return head(i, s)
	}
	return head(i, s) + ": " + redact.Clean(strings.ReplaceAll(s.Command, "\\\n", " "), 4*maxLong)
}

// head is the number and the title of a step.
func head(i int, s *record.Step) string {
	return strconv.Itoa(i+1) + ". " + redact.Clean(s.Title, maxShort/2)
}
