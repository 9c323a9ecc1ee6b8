package enrich_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

// kept is a queue that only keeps what it is given.
type kept struct {
	tasks []followup.Task
	err   error
}

// Enqueue implements followup.Queue.
func (k *kept) Enqueue(_ context.Context, t followup.Task) error {
	if k.err == nil {
		k.tasks = append(k.tasks, t)
	}
	return k.err
}

// take are the tasks since the last call: kind, attempt, and seconds from now.
func (k *kept) take(now time.Time) (out []string) {
	for _, t := range k.tasks {
		out = append(out, fmt.Sprintf("%s %d in %d min", t.Kind, t.Attempt, int(t.At.Sub(now)/time.Minute)))
	}
	k.tasks = nil
	return out
}

func taskOf(f *finding.Finding, kind followup.Kind, attempt int) followup.Task {
	return followup.Task{Kind: kind, Finding: f.CanonicalName, Name: f.Name, Resource: f.ResourceName, EventTime: f.EventTime, Attempt: attempt}
}

// TestFollowUpIsPostponed: what cannot be done now is scheduled again, each
// time for longer, and fails after the last time.
func TestFollowUpIsPostponed(t *testing.T) {
	t.Parallel()
	down := errors.New("findings: not asked, the source is down")
	marked := seed()
	marked.Marks = written(t)
	marked.Marks["enrich_status"] = "partial"
	tests := map[string]struct {
		kind    followup.Kind
		attempt int
		listErr error
		writing error
		related []finding.Finding
		queue   error
		want    []string
		failed  bool
	}{
		"complete, the list fails":        {kind: followup.Complete, listErr: down, want: []string{"complete 1 in 2 min"}},
		"complete, again":                 {kind: followup.Complete, attempt: 4, listErr: down, want: []string{"complete 5 in 35 min"}},
		"complete, the last time":         {kind: followup.Complete, attempt: 8, listErr: down, failed: true},
		"complete, not listed yet":        {kind: followup.Complete, want: []string{"complete 1 in 2 min"}},
		"complete, cannot be written":     {kind: followup.Complete, related: []finding.Finding{*marked}, writing: down, want: []string{"complete 1 in 2 min"}},
		"settle, the list fails":          {kind: followup.Settle, listErr: down, want: []string{"settle 1 in 2 min"}},
		"settle, not listed yet":          {kind: followup.Settle, want: []string{"settle 1 in 2 min"}},
		"settle, the last time":           {kind: followup.Settle, attempt: 8, listErr: down, failed: true},
		"settle, not listed for good":     {kind: followup.Settle, attempt: 8},
		"the queue takes nothing":         {kind: followup.Complete, listErr: down, queue: followup.ErrFull, failed: true},
		"settle, the queue takes nothing": {kind: followup.Settle, listErr: down, queue: followup.ErrClosed, failed: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{related: slices.Clone(tc.related), errs: map[string]error{"findings": tc.listErr, "write": tc.writing}}
			p, q := pipeline(t, w), &kept{err: tc.queue}
			p.FollowUps, p.Settings.SettleDelay = q, time.Minute
			err := p.FollowUp(t.Context(), taskOf(seed(), tc.kind, tc.attempt))
			postponed := errors.Is(err, enrich.ErrPostponed) || err == nil
			if postponed == tc.failed {
				t.Errorf("error %v, want failed %v", err, tc.failed)
			}
			if diff := cmp.Diff(tc.want, q.take(p.Now())); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompleteSettlesTheOthers: what a source says at last about one member
// changes what the incident says of all.
func TestCompleteSettlesTheOthers(t *testing.T) {
	t.Parallel()
	partial, other := seed(), seed()
	other.CanonicalName, other.Name = partial.CanonicalName+"-2", partial.Name+"-2"
	w := &world{errs: map[string]error{"logs": errors.New("down")}}
	if _, err := pipeline(t, w).Enrich(t.Context(), partial); err != nil {
		t.Fatal(err)
	}
	partial.Marks = w.writes[0].Set
	for name, tc := range map[string]struct {
		related []finding.Finding
		want    []string
	}{
		"with company": {[]finding.Finding{*partial, *other}, []string{"settle 0 in 1 min"}},
		"alone":        {[]finding.Finding{*partial}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{related: tc.related}
			p, q := pipeline(t, w), &kept{}
			p.FollowUps, p.Settings.SettleDelay = q, time.Minute
			if err := p.FollowUp(t.Context(), taskOf(partial, followup.Complete, 0)); err != nil || len(w.writes) != 1 {
				t.Fatalf("%d writes, %v", len(w.writes), err)
			}
			if diff := cmp.Diff(tc.want, q.take(p.Now())); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPatchedMarksAreFinished: while a source is silent only the score of a
// complete finding follows its incident; its words follow when it answers.
func TestPatchedMarksAreFinished(t *testing.T) {
	t.Parallel()
	one, two := seed(), seed()
	two.CanonicalName, two.Name = one.CanonicalName+"-2", one.Name+"-2"
	one.Marks = written(t) // alone, and complete
	two.Marks = written(t)
	w := &world{related: []finding.Finding{*one, *two}, errs: map[string]error{"logs": evidence.ErrQuota}}
	p, q := pipeline(t, w), &kept{}
	p.FollowUps, p.Settings.SettleDelay = q, time.Second
	if err := p.FollowUp(t.Context(), taskOf(one, followup.Settle, 8)); err != nil {
		t.Fatal(err)
	}
	var anew []followup.Task
	for _, task := range q.tasks {
		if task.Kind == followup.Complete {
			anew = append(anew, task)
		}
	}
	if len(w.writes) != 2 || len(anew) != 2 || anew[0].ID() == anew[1].ID() {
		t.Fatalf("%d writes, tasks %+v", len(w.writes), q.tasks)
	}
	patched := map[string]map[string]string{}
	for i := range w.related {
		for _, write := range w.writes {
			if write.Name == w.related[i].CanonicalName {
				w.related[i].Marks = write.Set
				patched[write.Name] = write.Set
			}
		}
	}
	w.writes, q.tasks = nil, nil
	if err := p.FollowUp(t.Context(), anew[0]); err != nil || len(w.writes) != 0 || len(q.tasks) != 1 || q.tasks[0].Attempt != 1 {
		t.Fatalf("still silent: %d writes, tasks %+v, %v; want to come again", len(w.writes), q.tasks, err)
	}
	w.errs = nil
	if err := p.FollowUp(t.Context(), q.tasks[0]); err != nil || len(w.writes) != 1 {
		t.Fatalf("the source answers: %d writes, %v; want the words to follow", len(w.writes), err)
	}
	if got, was := w.writes[0].Set["enrich_summary"], patched[w.writes[0].Name]["enrich_summary"]; got == was || got == "" {
		t.Errorf("summary still %q", got)
	}
}

// hanging never answers.
type hanging struct{}

// ListRelated implements evidence.FindingLister.
func (hanging) ListRelated(ctx context.Context, _ evidence.RelatedQuery) ([]finding.Finding, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestFollowUpWaitsForNoList: a list that hangs costs a follow-up one source's
// time and no more: there are few places to run them.
func TestFollowUpWaitsForNoList(t *testing.T) {
	t.Parallel()
	p := pipeline(t, &world{})
	synctest.Test(t, func(t *testing.T) {
		q := &kept{}
		p.FollowUps, p.Collector.Findings = q, hanging{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		if err := p.FollowUp(ctx, taskOf(seed(), followup.Complete, 0)); !errors.Is(err, enrich.ErrPostponed) || len(q.tasks) != 1 {
			t.Errorf("error %v, tasks %+v", err, q.tasks)
		}
		if took := time.Since(began); took != p.Collector.SourceTimeout {
			t.Errorf("it took %s, want %s", took, p.Collector.SourceTimeout)
		}
	})
}
