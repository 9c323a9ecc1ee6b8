package enrich

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// The bounds of follow-ups.
const (
	// maxSettles is how often the settling of a container comes again in a row
	// while findings keep coming; the first patience times nothing is written.
	maxSettles = 8
	patience   = 2
	// maxCompletes is how often a finding's silent sources are asked again.
	maxCompletes = 8
	// firstComplete is when they are asked first; the wait doubles.
	firstComplete = time.Minute
	// maxWait bounds the wait for a follow-up: 00:00 UTC is at most a day off.
	maxWait = 25 * time.Hour
)

// ErrPostponed is in the error of a follow-up that could not be done yet and
// was put into the queue again, for later: an outage may last longer than a
// queue repeats a task.
var ErrPostponed = errors.New("postponed")

// FollowUp runs a task of the follow-up queue. It returns nil for what can
// never succeed. A task whose error wraps ErrPostponed need not be repeated.
func (p *Pipeline) FollowUp(ctx context.Context, t followup.Task) error {
	var err error
	switch t.Kind {
	case followup.Settle:
		err = p.Settle(ctx, t)
	case followup.Complete:
		err = p.Complete(ctx, t)
	}
	if f, ok := errors.AsType[*Failure](err); ok && f.Permanent {
		return nil
	}
	if err == nil || errors.Is(err, ErrPostponed) {
		return err
	}
	seed, _ := seedOf(t)
	return p.postpone(ctx, seed, t, err)
}

// follow schedules what is to be done later about a finding that was written:
// settle when it has company, or may have: when the list lags so much that it
// does not hold the finding itself, or was not read for it; complete when a
// source may still answer.
func (p *Pipeline) follow(ctx context.Context, v *view, completes int) error {
	if p.FollowUps == nil {
		return nil
	}
	var errs []error
	if !v.inc.Alone() || v.listed == nil || v.kept {
		errs = append(errs, p.settleLater(ctx, v.f, 0, p.Settings.SettleDelay))
	}
	return errors.Join(append(errs, p.askAgain(ctx, v, completes))...)
}

// askAgain schedules asking the silent sources again, if that is worth it.
func (p *Pipeline) askAgain(ctx context.Context, v *view, completes int) error {
	t, ok := p.completion(v, completes)
	if !ok || p.FollowUps == nil {
		return nil
	}
	return p.enqueue(ctx, t)
}

// settleLater has a finding's container settled after a wait.
func (p *Pipeline) settleLater(ctx context.Context, f *finding.Finding, attempt int, wait time.Duration) error {
	t := taskAbout(f, followup.Settle, attempt)
	// One task settles what is within reach of one piece of time.
	t.Group = f.Workload.Key() + " " + f.EventTime.UTC().Truncate(p.Settings.MaxSpan).Format(time.RFC3339)
	t.At = p.Now().Add(wait)
	// Later attempts have wider slots: while findings keep coming, each arrival
	// begins a series, and these meet.
	return p.enqueue(ctx, t.Slotted(p.Settings.SettleDelay<<attempt))
}

// taskAbout is a task about a finding, without its time.
func taskAbout(f *finding.Finding, kind followup.Kind, attempt int) followup.Task {
	return followup.Task{Kind: kind, Finding: f.CanonicalName, Name: f.Name, Resource: resourceOf(f), EventTime: f.EventTime, Attempt: attempt}
}

// enqueue puts a task into the queue.
func (p *Pipeline) enqueue(ctx context.Context, t followup.Task) error {
	if err := p.FollowUps.Enqueue(ctx, t); err != nil {
		return fmt.Errorf("schedule %s: %w", t.Kind, err)
	}
	return nil
}

// postpone puts a task that could not be done into the queue again, each time
// for longer. Without an attempt left, or a queue that takes it, the task fails.
func (p *Pipeline) postpone(ctx context.Context, seed *finding.Finding, t followup.Task, why error) error {
	first, most := firstComplete, maxCompletes
	if t.Kind == followup.Settle {
		first, most = p.Settings.SettleDelay, maxSettles
	}
	if p.FollowUps == nil || t.Attempt >= most {
		return why
	}
	again := taskAbout(seed, t.Kind, t.Attempt+1)
	wait := first << again.Attempt
	again.Group, again.Anew, again.At = t.Group, t.Anew, p.Now().Add(wait)
	// The slots are those of tasks that were never postponed.
	width := wait
	if t.Kind == followup.Complete {
		width = wait / 2
	}
	if err := p.enqueue(ctx, again.Slotted(width)); err != nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("%w: %w", ErrPostponed, why)
}

// errUnlisted: the list does not hold the finding. It lags, or the finding is gone.
var errUnlisted = errors.New("the finding is not in the list")

// resourceOf names the workload as a task carries it.
func resourceOf(f *finding.Finding) string {
	return "//run.googleapis.com/" + f.Workload.ResourcePath()
}

// completion is the task that asks silent sources again, when that is worth it:
// when their quota comes back, or after a wait that doubles; not where the marks
// have it all, and have had it of this very state of the incident. But for the
// first, the waits have slots, half as wide as themselves: a finding that is delivered again, or written
// again while something is owed, begins a series each time, and these meet.
func (p *Pipeline) completion(v *view, attempt int) (followup.Task, bool) {
	t := taskAbout(v.f, followup.Complete, attempt)
	t.Anew = v.owed
	if attempt >= maxCompletes || !v.owed && v.want.Status(p.Settings.MarkPrefix) == record.Complete {
		return t, false
	}
	now, wait := p.Now(), firstComplete<<attempt
	soon := now.Add(wait)
	if attempt > 0 {
		t.At = soon
		soon = t.Slotted(wait / 2).At
	}
	t.At = time.Time{}
	for _, st := range []evidence.Status{v.ev.FindingsState, v.ev.LogsState, v.ev.ConfigState, v.ev.VTState} {
		switch st.State {
		case evidence.Quota, evidence.Timeout, evidence.Error, evidence.Partial:
			due := soon
			if st.RetryAt.After(due) {
				due = st.RetryAt
			}
			if t.At.IsZero() || due.Before(t.At) {
				t.At = due
			}
		}
	}
	return t, !t.At.IsZero() && t.At.Sub(now) <= maxWait
}

// seedOf is the finding a task names, as far as the task tells it.
func seedOf(t followup.Task) (*finding.Finding, bool) {
	w, ok := finding.ParseWorkload(t.Resource)
	return &finding.Finding{
		Name: t.Name, CanonicalName: t.Finding, ResourceName: t.Resource, Workload: w, EventTime: t.EventTime, State: finding.Active,
	}, ok
}

// list reads the findings around a task's.
func (p *Pipeline) list(ctx context.Context, seed *finding.Finding, from evidence.FindingLister) (given, error) {
	if p.Collector.Findings == nil {
		return given{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.Collector.SourceTimeout)
	defer cancel()
	listed, err := from.ListRelated(ctx, p.query(seed).Related)
	if err != nil && !errors.Is(err, evidence.ErrPartial) {
		return given{}, fmt.Errorf("list the incident of %s: %w", seed.CanonicalName, err)
	}
	return given{findings: listed, cut: err}, nil
}

// given is a FindingLister that has its answer already: one list serves all
// members of an incident.
// A list that was cut says so to each of them.
type given struct {
	findings []finding.Finding
	cut      error
}

// ListRelated implements evidence.FindingLister.
func (g given) ListRelated(context.Context, evidence.RelatedQuery) ([]finding.Finding, error) {
	return g.findings, g.cut
}

// Settle makes the marks of all findings of one container say what is known of
// their incidents now. It lists once, and writes only marks that differ. While
// findings keep coming, or the list does not hold the task's own yet, it waits
// for them, longer each time, and after some waiting settles what is there and
// comes again.
func (p *Pipeline) Settle(ctx context.Context, t followup.Task) error {
	seed, ok := seedOf(t)
	if !ok {
		return nil
	}
	// One run at a time: what comes meanwhile is for the next.
	place := placeOf(p.query(seed).Related)
	if _, running := p.settling.LoadOrStore(place, true); !running {
		defer p.settling.Delete(place)
	} else if p.FollowUps != nil {
		if err := p.settleLater(ctx, seed, min(t.Attempt+1, maxSettles), p.Settings.SettleDelay); !errors.Is(err, followup.ErrClosed) {
			return err
		}
	}
	listed, err := p.list(ctx, seed, fresh{p})
	if err != nil {
		return err
	}
	s := &settlement{p: p, list: listed}
	if (p.busy(listed.findings) || newest(seed, listed.findings) == nil) && t.Attempt < maxSettles && p.FollowUps != nil {
		err := p.settleLater(ctx, seed, t.Attempt+1, p.Settings.SettleDelay<<(t.Attempt+1))
		// A queue that is closing takes nothing: then now is the time.
		if s.busy = !errors.Is(err, followup.ErrClosed); s.busy && (t.Attempt < patience || err != nil) {
			return err
		}
	}
	return s.run(ctx)
}

// SettleAround is Settle for the container of a finding at hand.
func (p *Pipeline) SettleAround(ctx context.Context, f *finding.Finding) error {
	return p.Settle(ctx, taskAbout(f, followup.Settle, maxSettles))
}

// refresh enriches a member with the list at hand, and its incident where that
// is known, and writes what differs. It returns the finding's marks as they are
// then, nil when nothing was written. Where evidence that was there cannot be
// had now, the summary, reasons and plan follow when it can be had; anew says
// that this is still to be done.
func (p *Pipeline) refresh(ctx context.Context, f *finding.Finding, list given, in *group, completes int, anew bool) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Settings.Timeout)
	defer cancel()
	c := *p.Collector
	c.Findings = list
	v := p.look(ctx, f, &c)
	v.owed = anew
	if in != nil {
		v.in, v.known = &in.inc, in.known
	}
	if p.conclude(ctx, v) != Go {
		return nil, nil
	}
	result, err := p.write(ctx, v)
	if err != nil {
		return nil, err
	}
	err = errors.Join(result.RecordErr, p.askAgain(ctx, v, completes))
	if result.Decision != Written {
		return nil, err
	}
	return v.want.Values, err
}

// poorer reports whether some source gave less than it gave when the marks of
// this very event were written. Marks that somebody has changed since, or of
// another schema, say nothing of that.
func (p *Pipeline) poorer(v *view) bool {
	known := marks.Read(p.Settings.MarkPrefix, v.existing())
	if !known.Intact || known.Schema != marks.Schema || !known.EventTime.Equal(v.f.EventTime) {
		return false
	}
	for _, s := range v.rec.Sources {
		before := evidence.State(known.Sources[s.Name])
		if (before == evidence.OK || before == evidence.Empty) && !evidence.State(s.State).Final() {
			return true
		}
	}
	return false
}

// patched are the marks as they are, with what the incident says now. Where the
// related findings could not be listed it says nothing new.
func (p *Pipeline) patched(v *view) marks.Set {
	change := map[string]string{}
	if s := v.ev.FindingsState.State; s.Final() || s == evidence.Partial {
		f := *v.f
		f.Marks = v.existing()
		change = p.told(&f, incident.Group(&f, v.ev.Related, p.Settings.Window, p.Settings.MaxSpan))
	}
	return marks.Patch(v.existing(), change, p.Settings.MarkPrefix, p.Now())
}

// Complete asks a finding's sources again, if its marks still say that one of
// them gave no answer. What comes of it is news to the other members.
func (p *Pipeline) Complete(ctx context.Context, t followup.Task) error {
	seed, ok := seedOf(t)
	if !ok {
		return nil
	}
	list := &recent{p: p}
	listed, err := p.list(ctx, seed, list)
	f := newest(seed, listed.findings)
	if err == nil && f == nil && list.kept.Load() {
		listed, err = p.list(ctx, seed, fresh{p})
		f = newest(seed, listed.findings)
	}
	if err != nil {
		return err
	}
	if f == nil {
		return fmt.Errorf("ask again about %s: %w", seed.CanonicalName, errUnlisted)
	}
	if !f.EventTime.Equal(t.EventTime) || f.State == finding.Inactive || f.Muted() {
		return nil
	}
	if marks.Read(p.Settings.MarkPrefix, f.Marks).Status == record.Complete && !t.Anew {
		return nil
	}
	changed, err := p.refresh(ctx, f, listed, nil, t.Attempt+1, t.Anew)
	if changed == nil || p.FollowUps == nil || !list.kept.Load() && marks.Read(p.Settings.MarkPrefix, changed).Incident == "" {
		return err
	}
	return errors.Join(err, p.settleLater(ctx, f, 0, p.Settings.SettleDelay))
}
