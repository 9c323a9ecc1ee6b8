package enrich

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
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
	// settleRounds bounds how often one run looks for marks that are out of
	// date because of what it wrote itself.
	settleRounds = 4
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
	return err
}

// follow schedules what is to be done later about a finding that was written:
// settle when it has company, or when the list lags so much that it does not
// hold the finding itself; complete when a source may still answer.
func (p *Pipeline) follow(ctx context.Context, v *view, completes int) error {
	if p.FollowUps == nil {
		return nil
	}
	var errs []error
	if !v.inc.Alone() || v.listed == nil {
		errs = append(errs, p.later(ctx, v.f, followup.Settle, 0, p.Now().Add(p.Settings.SettleDelay)))
	}
	if at, ok := p.completeAt(v, completes); ok {
		errs = append(errs, p.later(ctx, v.f, followup.Complete, completes, at))
	}
	return errors.Join(errs...)
}

// later puts a follow-up about a finding into the queue.
func (p *Pipeline) later(ctx context.Context, f *finding.Finding, kind followup.Kind, attempt int, at time.Time) error {
	t := followup.Task{
		Kind: kind, Finding: f.CanonicalName, Name: f.Name, Resource: resourceOf(f), EventTime: f.EventTime, Attempt: attempt, At: at,
	}
	if kind == followup.Settle {
		// One task settles what is within reach of one piece of time.
		t.Group = f.Workload.Key() + " " + f.EventTime.UTC().Truncate(p.Settings.MaxSpan).Format(time.RFC3339)
		t = t.Slotted(p.Settings.SettleDelay)
	}
	if err := p.FollowUps.Enqueue(ctx, t); err != nil {
		return fmt.Errorf("schedule %s: %w", kind, err)
	}
	return nil
}

// postpone puts a task that could not be done into the queue again, each time
// for longer. Without an attempt left, or a queue that takes it, the task fails.
func (p *Pipeline) postpone(ctx context.Context, seed *finding.Finding, t followup.Task, why error) error {
	wait, most := firstComplete, maxCompletes
	if t.Kind == followup.Settle {
		wait, most = p.Settings.SettleDelay, maxSettles
	}
	if p.FollowUps == nil || t.Attempt >= most {
		return why
	}
	next := t.Attempt + 1
	if err := p.later(ctx, seed, t.Kind, next, p.Now().Add(wait<<next)); err != nil {
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

// completeAt says when silent sources are worth asking again: when their quota
// comes back, or after a wait that doubles.
func (p *Pipeline) completeAt(v *view, attempt int) (time.Time, bool) {
	if attempt >= maxCompletes {
		return time.Time{}, false
	}
	now := p.Now()
	var at time.Time
	for _, st := range []evidence.Status{v.ev.FindingsState, v.ev.LogsState, v.ev.ConfigState, v.ev.VTState} {
		switch st.State {
		case evidence.Quota, evidence.Timeout, evidence.Error, evidence.Partial:
			due := now.Add(firstComplete << attempt)
			if st.RetryAt.After(due) {
				due = st.RetryAt
			}
			if at.IsZero() || due.Before(at) {
				at = due
			}
		}
	}
	if at.IsZero() || at.Sub(now) > maxWait {
		return time.Time{}, false
	}
	return at, true
}

// seedOf is the finding a task names, as far as the task tells it.
func seedOf(t followup.Task) (*finding.Finding, bool) {
	w, ok := finding.ParseWorkload(t.Resource)
	return &finding.Finding{
		Name: t.Name, CanonicalName: t.Finding, ResourceName: t.Resource, Workload: w, EventTime: t.EventTime, State: finding.Active,
	}, ok
}

// list reads the findings around a task's, as they are now.
func (p *Pipeline) list(ctx context.Context, seed *finding.Finding) (given, error) {
	if p.Collector.Findings == nil {
		return given{}, nil
	}
	listed, err := p.Collector.Findings.ListRelated(ctx, p.query(seed).Related)
	if err != nil && !errors.Is(err, evidence.ErrPartial) {
		return given{}, fmt.Errorf("list the incident of %s: %w", seed.CanonicalName, err)
	}
	return given{findings: slices.Clone(listed), cut: err}, nil
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
	listed, err := p.list(ctx, seed)
	if err != nil {
		return p.postpone(ctx, seed, t, err)
	}
	if (p.busy(listed.findings) || newest(seed, listed.findings) == nil) && t.Attempt < maxSettles && p.FollowUps != nil {
		err := p.later(ctx, seed, followup.Settle, t.Attempt+1, p.Now().Add(p.Settings.SettleDelay<<(t.Attempt+1)))
		// A queue that is closing takes nothing: then now is the time.
		if (t.Attempt < patience || err != nil) && !errors.Is(err, followup.ErrClosed) {
			return err
		}
	}
	var errs []error
	for round := range settleRounds {
		wrote, err := p.settleRound(ctx, listed, round == 0)
		if errs = append(errs, err); !wrote && round > 0 {
			break
		}
	}
	return errors.Join(errs...)
}

// SettleAround is Settle for the container of a finding at hand.
func (p *Pipeline) SettleAround(ctx context.Context, f *finding.Finding) error {
	return p.Settle(ctx, followup.Task{Kind: followup.Settle, Finding: f.CanonicalName, Name: f.Name, Resource: resourceOf(f), EventTime: f.EventTime, Attempt: maxSettles})
}

// settleRound refreshes the members that have no marks of their present event,
// on which the others' depend; or those whose marks are out of date.
func (p *Pipeline) settleRound(ctx context.Context, list given, missing bool) (wrote bool, _ error) {
	var errs []error
	listed := list.findings
	for i := range listed {
		f := &listed[i]
		if f.State == finding.Inactive || f.Deleted || f.Muted() || f.EventTime.IsZero() || missing != p.missing(f) {
			continue
		}
		if !missing && !p.stale(f, incident.Group(f, listed, p.Settings.Window, p.Settings.MaxSpan)) {
			continue
		}
		changed, err := p.refresh(ctx, f, list, 0)
		if changed != nil {
			f.Marks, wrote = changed, true
		}
		errs = append(errs, err)
	}
	return wrote, errors.Join(errs...)
}

// busy reports whether some finding came into being, or was written, less than
// a settle delay ago.
func (p *Pipeline) busy(listed []finding.Finding) bool {
	since := p.Now().Add(-p.Settings.SettleDelay)
	for i := range listed {
		known := marks.Read(p.Settings.MarkPrefix, listed[i].Marks)
		if known.Time.After(since) || !known.Present && listed[i].CreateTime.After(since) {
			return true
		}
	}
	return false
}

// missing reports whether a finding has no marks of its present event.
func (p *Pipeline) missing(f *finding.Finding) bool {
	_, ok := marks.Standing(p.Settings.MarkPrefix, f, p.Policy.IncidentRules())
	return !ok
}

// stale reports whether a finding's marks do not say what its incident says.
func (p *Pipeline) stale(f *finding.Finding, inc incident.Incident) bool {
	for name, value := range p.company(inc) {
		if !marks.Equal(f.Marks[p.Settings.MarkPrefix+name], value) {
			return true
		}
	}
	known := marks.Read(p.Settings.MarkPrefix, f.Marks)
	if inc.Alone() {
		return known.Score != p.standings(inc)[f.StableName()].OwnScore
	}
	joint := p.joint(inc)
	return known.Score != joint.Score || known.Verdict != string(joint.Verdict) || known.Priority != joint.Priority || known.NextAction != string(joint.Action)
}

// company are the marks that say what a finding belongs to.
func (p *Pipeline) company(inc incident.Incident) map[string]string {
	return marks.Company(record.IncidentOf(inc, p.Redactor))
}

// joint is what the members of an incident say together.
func (p *Pipeline) joint(inc incident.Incident) assess.Joint {
	known := p.standings(inc)
	var standings []assess.Standing
	var findings []*finding.Finding
	for _, m := range inc.Members {
		s, ok := known[m.Finding.StableName()]
		if !ok {
			s = p.Policy.Own(assess.Input{Finding: m.Finding})
		}
		standings, findings = append(standings, s), append(findings, m.Finding)
	}
	return p.Policy.Joint(standings, findings)
}

// refresh enriches a member with the list at hand and writes what differs. It
// returns the finding's marks as they are then, nil when nothing was written.
// Evidence that was there when the marks were written and cannot be had now
// must not lower them: then only what the incident says is brought up to date.
func (p *Pipeline) refresh(ctx context.Context, f *finding.Finding, list given, completes int) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Settings.Timeout)
	defer cancel()
	c := *p.Collector
	c.Findings = list
	v := p.look(ctx, f, &c)
	if p.assess(v); p.lowers(v) && p.reread(ctx, v) {
		if d := v.again(); d != Go {
			return nil, nil
		}
		p.assess(v)
	}
	if p.poorer(v) {
		v.want = p.patched(v)
		wrote, err := p.writeMarks(ctx, f, v.existing(), v.want)
		if err != nil || !wrote {
			return nil, err
		}
		return v.want.Values, nil
	}
	result, err := p.write(ctx, v)
	if err != nil {
		return nil, err
	}
	err = result.RecordErr
	if at, ok := p.completeAt(v, completes); ok && p.FollowUps != nil {
		err = errors.Join(err, p.later(ctx, f, followup.Complete, completes, at))
	}
	if result.Decision != Written {
		return nil, err
	}
	return v.want.Values, err
}

// poorer reports whether some source gave less than it gave when the marks of
// this very event were written.
func (p *Pipeline) poorer(v *view) bool {
	known := marks.Read(p.Settings.MarkPrefix, v.f.Marks)
	if !known.Present || !known.EventTime.Equal(v.f.EventTime) {
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

// patched are the marks as they are, with what the incident says now.
func (p *Pipeline) patched(v *view) marks.Set {
	change := p.company(v.inc)
	if !v.inc.Alone() {
		joint := p.joint(v.inc)
		change["score"], change["verdict"] = fmt.Sprintf("%03d", joint.Score), string(joint.Verdict)
		change["priority"], change["next_action"] = joint.Priority, string(joint.Action)
	}
	return marks.Patch(v.f.Marks, change, p.Settings.MarkPrefix, p.Now())
}

// Complete asks a finding's sources again, if its marks still say that one of
// them gave no answer.
func (p *Pipeline) Complete(ctx context.Context, t followup.Task) error {
	seed, ok := seedOf(t)
	if !ok {
		return nil
	}
	listed, err := p.list(ctx, seed)
	if err != nil {
		return p.postpone(ctx, seed, t, err)
	}
	f := newest(seed, listed.findings)
	if f == nil {
		return p.postpone(ctx, seed, t, errUnlisted)
	}
	if !f.EventTime.Equal(t.EventTime) || f.State == finding.Inactive || f.Muted() {
		return nil
	}
	if marks.Read(p.Settings.MarkPrefix, f.Marks).Status == record.Complete {
		return nil
	}
	changed, err := p.refresh(ctx, f, listed, t.Attempt+1)
	if changed != nil && !alone(f, listed.findings) && p.FollowUps != nil {
		// What the sources said at last counts for the others of the incident, too.
		err = errors.Join(err, p.later(ctx, seed, followup.Settle, 0, p.Now().Add(p.Settings.SettleDelay)))
	}
	return err
}
