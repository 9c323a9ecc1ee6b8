package enrich

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// about asks for the findings of a service around noon.
func about(name string, window time.Duration) evidence.RelatedQuery {
	return evidence.RelatedQuery{
		Parent: "organizations/1", Location: "global", From: noon.Add(-window), To: noon.Add(window),
		Workload: finding.Workload{Project: "p", Location: "l", Kind: finding.Service, Name: name},
	}
}

func at(name string, after time.Duration, verdict string) finding.Finding {
	f := finding.Finding{CanonicalName: name, EventTime: noon.Add(after)}
	if verdict != "" {
		f.Marks = map[string]string{"enrich_verdict": verdict}
	}
	return f
}

// TestKeptLists: what a list that was kept answers, and to whom.
func TestKeptLists(t *testing.T) {
	t.Parallel()
	errCut := errors.New("cut")
	kept := func() *lists {
		l := &lists{}
		l.keep(about("web", time.Hour), []finding.Finding{at("a", 0, "unknown"), at("b", 30*time.Minute, "")}, errCut, noon)
		return l
	}
	tests := map[string]struct {
		change func(l *lists)
		query  evidence.RelatedQuery
		after  time.Duration
		want   []finding.Finding // nil: not answered
	}{
		"as it was":                    {query: about("web", time.Hour), want: []finding.Finding{at("a", 0, "unknown"), at("b", 30*time.Minute, "")}},
		"a narrower window":            {query: about("web", time.Minute), want: []finding.Finding{at("a", 0, "unknown")}},
		"a wider window":               {query: about("web", time.Hour+1)},
		"another container":            {query: about("shop", time.Hour)},
		"a delivery long after is not": {query: about("web", time.Minute), change: note(at("c", 0, ""), 2*keepFor), want: []finding.Finding{at("a", 0, "unknown")}},
		"just young enough":            {query: about("web", time.Minute), after: keepFor - 1, want: []finding.Finding{at("a", 0, "unknown")}},
		"too old":                      {query: about("web", time.Minute), after: keepFor},
		"a delivery is added":          {query: about("web", 2*time.Minute), change: note(at("c", time.Minute, ""), 1), want: []finding.Finding{at("a", 0, "unknown"), at("c", time.Minute, "")}},
		"a delivery takes no marks":    {query: about("web", time.Minute), change: note(at("a", 0, ""), 1), want: []finding.Finding{at("a", 0, "unknown")}},
		"an older event is no news":    {query: about("web", time.Minute), change: note(at("a", -time.Second, "malicious"), 1), want: []finding.Finding{at("a", 0, "unknown")}},
		"a newer event is":             {query: about("web", time.Minute), change: note(at("a", time.Second, ""), 1), want: []finding.Finding{at("a", time.Second, "")}},
		"our own write is":             {query: about("web", time.Minute), change: note(at("a", 0, "malicious"), 1), want: []finding.Finding{at("a", 0, "malicious")}},
		"a younger list replaces it":   {query: about("web", time.Minute), change: list(1, at("a", 0, "suspicious")), want: []finding.Finding{at("a", 0, "suspicious")}},
		"an older list does not":       {query: about("web", time.Minute), change: list(-1, at("a", 0, "suspicious")), want: []finding.Finding{at("a", 0, "unknown")}},
		"a write after the list began stays": {query: about("web", time.Minute), change: func(l *lists) {
			note(at("a", 0, "malicious"), 5)(l)
			list(3, at("a", 0, "unknown"))(l)
		}, want: []finding.Finding{at("a", 0, "malicious")}},
		"a write before it is what the list says": {query: about("web", time.Minute), change: func(l *lists) {
			note(at("a", 0, "malicious"), 2)(l)
			list(3, at("a", 0, "suspicious"))(l)
		}, want: []finding.Finding{at("a", 0, "suspicious")}},
		"a delivery that is not listed yet stays": {query: about("web", time.Minute), change: func(l *lists) {
			note(at("c", 0, ""), 2)(l)
			list(3, at("a", 0, "unknown"))(l)
		}, want: []finding.Finding{at("a", 0, "unknown"), at("c", 0, "")}},
		"what the list has no longer goes": {query: about("web", time.Hour), change: list(3, at("b", 30*time.Minute, "")), want: []finding.Finding{at("b", 30*time.Minute, "")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := kept()
			if tt.change != nil {
				tt.change(l)
			}
			got, _, ok := l.get(tt.query, noon.Add(tt.after))
			slices.SortFunc(got, func(a, b finding.Finding) int { return a.EventTime.Compare(b.EventTime) })
			if ok != (tt.want != nil) {
				t.Fatalf("answered: %v", ok)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	if _, cut, _ := kept().get(about("web", time.Minute), noon); !errors.Is(cut, errCut) {
		t.Errorf("a list that was cut answers with %v", cut)
	}
}

// note tells the list of a finding so many nanoseconds after noon.
func note(f finding.Finding, after time.Duration) func(*lists) {
	return func(l *lists) { l.note(about("web", time.Minute), &f, noon.Add(after)) }
}

// list reads again so many nanoseconds after noon.
func list(after time.Duration, found ...finding.Finding) func(*lists) {
	return func(l *lists) { l.keep(about("web", time.Hour), found, nil, noon.Add(after)) }
}

// TestKeptListsAreCopies: who changes an answer changes nobody else's.
func TestKeptListsAreCopies(t *testing.T) {
	t.Parallel()
	l := &lists{}
	l.keep(about("web", time.Hour), []finding.Finding{at("a", 0, "unknown")}, nil, noon)
	first, _, _ := l.get(about("web", time.Hour), noon)
	first[0].Marks = nil
	f := at("a", 0, "malicious")
	l.note(about("web", time.Hour), &f, noon.Add(1))
	second, _, _ := l.get(about("web", time.Hour), noon)
	if first[0].Marks != nil || second[0].Marks["enrich_verdict"] != "malicious" {
		t.Errorf("marks %v and %v", first[0].Marks, second[0].Marks)
	}
}

// TestKeptListsAreBounded in number and in size.
func TestKeptListsAreBounded(t *testing.T) {
	t.Parallel()
	l := &lists{}
	for i := range 3 * maxKept {
		found := make([]finding.Finding, i%50)
		for k := range found {
			found[k] = at(fmt.Sprint(i, "-", k), 0, "")
		}
		l.keep(about(fmt.Sprint(i%(2*maxKept)), time.Hour), found, nil, noon.Add(time.Duration(i)))
		f := at(fmt.Sprint(i, "-more"), 0, "")
		l.note(about(fmt.Sprint(i%(2*maxKept)), time.Hour), &f, noon.Add(time.Duration(i)))
		total := 0
		for _, k := range l.kept {
			total += len(k.findings)
		}
		if total != l.total || len(l.kept) > maxKept || total > maxKeptFindings {
			t.Fatalf("%d lists of %d findings, counted as %d", len(l.kept), total, l.total)
		}
	}
	l.keep(about("web", time.Hour), make([]finding.Finding, 0), nil, noon.Add(time.Hour))
	huge := make([]finding.Finding, maxKeptFindings+1)
	for i := range huge {
		huge[i] = at(fmt.Sprint(i), 0, "")
	}
	l.keep(about("web", time.Hour), huge, nil, noon.Add(2*time.Hour))
	if _, _, ok := l.get(about("web", time.Hour), noon.Add(2*time.Hour)); ok {
		t.Error("a list that is too long was kept")
	}
}
