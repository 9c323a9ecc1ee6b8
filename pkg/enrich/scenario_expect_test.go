package enrich_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// golden begins the sections with all marks of a finding.
const golden = "marks of "

// backfill runs the real job over everything SCC has.
func (st *stage) backfill([]string) error {
	i := st.next()
	if i < 0 {
		return errors.New("no instance is alive")
	}
	job := &backfill.Job{
		List: func(context.Context, time.Time, string) (backfill.Page, error) {
			var page backfill.Page
			for _, f := range st.stored {
				if f.State == finding.Active {
					copied := *f
					copied.Marks = maps.Clone(f.Marks)
					page.Findings = append(page.Findings, copied)
				}
			}
			slices.SortFunc(page.Findings, func(a, b finding.Finding) int { return a.EventTime.Compare(b.EventTime) })
			page.Total = len(page.Findings)
			return page, nil
		},
		Refresh: st.instances[i].Refresh, Settle: st.instances[i].SettleAround, MarkPrefix: prefix, Since: st.s.world.Start.Add(-72 * time.Hour),
	}
	summary, err := job.Run(st.t.Context())
	if err == nil && summary.Failed > 0 {
		err = fmt.Errorf("backfill failed for %d findings: %v", summary.Failed, summary.FailedBy)
	}
	return err
}

// expect is what follows the verb "expect".
func (st *stage) expect(words []string) error {
	if len(words) == 0 {
		return errors.New("expect what?")
	}
	switch words[len(words)-1] {
	case "agree":
		return st.agree(words[:len(words)-1])
	case "apart":
		return st.apart(words[:len(words)-1])
	case "unmarked":
		return st.each(words[:len(words)-1], func(name string, m map[string]string) error {
			if known := marks.Read(prefix, m); known.Present {
				return fmt.Errorf("%s has marks: %v", name, known.Keys)
			}
			return nil
		})
	case "remembered":
		return st.asRemembered(words[:len(words)-1])
	}
	if slices.Contains(counted(), words[0]) {
		return st.numbers(words)
	}
	if n := len(words); n > 2 && words[n-2] == "was" {
		return st.each(words[:n-2], func(name string, _ map[string]string) error {
			if got := string(st.decisions[name]); got != words[n-1] {
				return fmt.Errorf("the last delivery of %s was %s, want %s", name, or(got, "never"), words[n-1])
			}
			return nil
		})
	}
	return st.values(words)
}

// values: NAMES KEY=VALUE...
func (st *stage) values(words []string) error {
	i := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "=~<>!") })
	if i < 1 {
		return fmt.Errorf("want: expect NAMES KEY=VALUE..., agree, apart, unmarked, was DECISION, as remembered; or %s", strings.Join(counted(), ", "))
	}
	return st.each(words[:i], func(name string, m map[string]string) error {
		var errs []error
		for _, w := range words[i:] {
			key, op, want, err := splitCondition(w)
			if err != nil {
				return err
			}
			if !slices.Contains(marks.Names(), key) {
				return fmt.Errorf("there is no mark %q", key)
			}
			if got := m[prefix+key]; !holds(got, op, want) {
				errs = append(errs, fmt.Errorf("%s: %s is %q, want %s%s", name, key, got, op, want))
			}
		}
		return errors.Join(errs...)
	})
}

func splitCondition(w string) (key, op, want string, err error) {
	for _, op := range []string{"!=", ">=", "<=", "!~", "=", "~"} {
		if key, want, ok := strings.Cut(w, op); ok && !strings.ContainsAny(key, "!<>=~") {
			return key, op, want, nil
		}
	}
	return "", "", "", fmt.Errorf("%q is no condition: KEY=VALUE, !=, ~ (contains), !~, >=, <=; - is absent", w)
}

// holds compares a mark; "-" is an absent one.
func holds(got, op, want string) bool {
	if want == "-" {
		want = ""
	}
	a, err1 := strconv.ParseFloat(got, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	numbers := err1 == nil && err2 == nil
	switch op {
	case "=":
		return got == want || numbers && a == b
	case "!=":
		return got != want && (!numbers || a != b)
	case "~":
		return strings.Contains(got, want)
	case "!~":
		return !strings.Contains(got, want)
	case ">=":
		return numbers && a >= b
	default:
		return numbers && a <= b
	}
}

// each calls check with the marks of every finding named.
func (st *stage) each(words []string, check func(name string, m map[string]string) error) error {
	names, err := st.pick(words)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		var m map[string]string
		if f := st.stored[st.s.findings[name].CanonicalName]; f != nil {
			m = f.Marks
		}
		errs = append(errs, check(name, m))
	}
	return errors.Join(errs...)
}

// agree: what an incident says is the same on all.
func (st *stage) agree(words []string) error {
	var first map[string]string
	var of string
	return st.each(words, func(name string, m map[string]string) error {
		if first == nil {
			first, of = m, name
		}
		var errs []error
		for _, key := range agree {
			if a, b := first[prefix+key], m[prefix+key]; a != b || a == "" {
				errs = append(errs, fmt.Errorf("%s of %s is %q, of %s %q", key, of, a, name, b))
			}
		}
		return errors.Join(errs...)
	})
}

// apart: no two are of one incident.
func (st *stage) apart(words []string) error {
	seen := map[string]string{}
	return st.each(words, func(name string, m map[string]string) error {
		id := m[prefix+"incident"]
		if other := seen[id]; id != "" && other != "" {
			return fmt.Errorf("%s and %s are both of incident %s", other, name, id)
		}
		seen[id] = name
		return nil
	})
}

// asRemembered: NAMES [KEYS] as: the marks are as they were at "remember".
func (st *stage) asRemembered(words []string) error {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "as" })
	keys := marks.Names()
	if i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(marks.Names(), w) }); i > 0 {
		words, keys = words[:i], words[i:]
	}
	return st.each(words, func(name string, m map[string]string) error {
		before := st.remembered[st.s.findings[name].CanonicalName]
		var errs []error
		for _, key := range keys {
			if a, b := before[prefix+key], m[prefix+key]; a != b && key != "time" {
				errs = append(errs, fmt.Errorf("%s: %s was %q and is %q", name, key, a, b))
			}
		}
		return errors.Join(errs...)
	})
}

// counted are the words that can be counted.
func counted() []string {
	return []string{"writes", "lists", "logs", "config", "virustotal", "deliveries", "echoes", "refused", "dead", "followups"}
}

// numbers: WORD [NAME] =|<=|>= NUMBER [each].
func (st *stage) numbers(words []string) error {
	what, each := words[0], 1.0
	if last := len(words) - 1; words[last] == "each" {
		words, each = words[:last], float64(len(st.s.order))
	}
	if len(words) == 4 {
		what += " " + words[1]
		words = slices.Delete(slices.Clone(words), 1, 2)
	}
	if len(words) != 3 {
		return fmt.Errorf("want: %s [NAME] =|<=|>= NUMBER [each]", words[0])
	}
	got := strconv.FormatFloat(float64(st.counts[what])/each, 'g', 4, 64)
	if !holds(got, words[1], words[2]) {
		return fmt.Errorf("%s: %s, want %s %s", what, got, words[1], words[2])
	}
	return nil
}

// golden: [NAMES] [as WHEN]: all marks are those of the section "marks of NAME [WHEN]".
func (st *stage) golden(words []string, update bool) error {
	words, when := option(words, "as")
	if len(words) == 0 {
		words = []string{"all"}
	}
	return st.each(words, func(name string, m map[string]string) error {
		section := strings.TrimSpace(golden + name + " " + when)
		got := renderMarks(m)
		if update {
			st.s.archive.Files = append(slices.DeleteFunc(st.s.archive.Files, func(f txtar.File) bool { return f.Name == section }),
				txtar.File{Name: section, Data: []byte(got)})
			return nil
		}
		for _, f := range st.s.archive.Files {
			if f.Name != section {
				continue
			}
			if diff := cmp.Diff(strings.Split(string(f.Data), "\n"), strings.Split(got, "\n")); diff != "" {
				return st.s.errorf(section, 0, "%s differ (-want +got):\n%s", section, diff)
			}
			return nil
		}
		return fmt.Errorf("no section %q: run with -update, then read it", section)
	})
}

// renderMarks writes marks in the order of docs/marks.md, long values over
// several lines. The time of writing and the digest are left out.
func renderMarks(m map[string]string) string {
	var b strings.Builder
	write := func(key, value string) {
		b.WriteString(key + ": " + wrap(value) + "\n")
	}
	seen := map[string]bool{}
	for _, name := range marks.Names() {
		key := prefix + name
		seen[key] = true
		if v, ok := m[key]; ok && name != "time" && name != "digest" {
			write(name, v)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !seen[key] {
			write("(not ours) "+key, m[key])
		}
	}
	return b.String()
}

// wrap breaks a long value at spaces, and a plan before each of its steps.
func wrap(value string) string {
	const width = 110
	var lines []string
	line := ""
	for i, word := range strings.Split(value, " ") {
		step := len(word) > 1 && word[len(word)-1] == '.' && strings.Trim(word[:len(word)-1], "0123456789") == ""
		if i > 0 && (len(line)+1+len(word) > width || step && len(value) > width) {
			lines = append(lines, line)
			line = word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n    ")
}
