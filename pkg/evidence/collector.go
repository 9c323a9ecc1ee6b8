package evidence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// grace is how long the Collector waits, after a source's deadline, for a
// source that honours its context to hand over what it already has.
const grace = 100 * time.Millisecond

// Collector asks all sources at once, each under its own deadline. One source
// failing neither cancels the others nor hides: it ends in its State.
type Collector struct {
	// A nil source is disabled.
	Findings FindingLister
	// History is what ran here before; without one nothing did, as far as anybody knows.
	History    HistoryReader
	Config     ConfigReader
	Logs       LogReader
	Reputation ReputationReader
	// Zone is where working hours are counted; nil is UTC.
	Zone *time.Location
	// SourceTimeout is the deadline of each source; it must be positive.
	SourceTimeout time.Duration
}

// Query is everything the Collector asks about one finding.
type Query struct {
	Related RelatedQuery
	// History asks for older findings of the workload as well.
	History bool
	Logs    LogQuery
	// Artifacts are the files whose reputation is asked.
	Artifacts []Artifact
	// Indicators are addresses, domains and URLs of the finding, the strongest
	// first; those to ask about are chosen once the configuration says which
	// are the owner's. Nil where only files are asked about.
	Indicators []Artifact
}

// Collect returns when every source has answered or run out of time. It never
// fails: what went wrong is in the states.
func (c *Collector) Collect(ctx context.Context, q Query) *Evidence {
	e := &Evidence{}
	configured := make(chan ownHosts, 1)
	var listed findingLists
	legs := []func(){
		start(ctx, c.SourceTimeout, c.Findings != nil, &listed, &e.FindingsState, func(ctx context.Context) (answer[findingLists], error) {
			found, err := c.list(ctx, q)
			return answer[findingLists]{value: found, empty: len(found.related) == 0}, err
		}),
		start(ctx, c.SourceTimeout, c.Config != nil, &e.Config, &e.ConfigState, func(ctx context.Context) (answer[*Config], error) {
			defer close(configured)
			cfg, err := c.Config.ReadConfig(ctx, q.Logs.Workload, q.Logs.Event)
			configured <- ownHostsOf(q.Logs.Workload, cfg, err)
			return answer[*Config]{value: cfg, empty: cfg == nil || cfg.Gone}, err
		}),
		start(ctx, c.SourceTimeout, c.Logs != nil, &e.Logs, &e.LogsState, func(ctx context.Context) (answer[Logs], error) {
			logs, err := c.Logs.ReadLogs(ctx, q.Logs)
			return answer[Logs]{value: logs, empty: len(logs.Entries) == 0}, err
		}),
		start(ctx, c.SourceTimeout, c.Reputation != nil, &e.Reputations, &e.VTState, func(ctx context.Context) (answer[[]Reputation], error) {
			reps, err := c.lookup(ctx, q, configured)
			return answer[[]Reputation]{value: reps}, err
		}),
	}
	for _, wait := range legs {
		wait()
	}
	e.Related, e.History = listed.related, listed.history
	e.Logs.Zone = c.Zone
	e.finishLogs()
	e.finishReputations(len(q.Artifacts)+len(q.Indicators), q.Indicators != nil)
	return e
}

// findingLists are the related findings and the older ones.
type findingLists struct{ related, history []finding.Finding }

// list asks for the related findings, and where they came whole for the older
// ones. Without these the answer is a part.
func (c *Collector) list(ctx context.Context, q Query) (findingLists, error) {
	var out findingLists
	var err error
	if out.related, err = c.Findings.ListRelated(ctx, q.Related); err != nil || !q.History || c.History == nil {
		return out, err
	}
	if out.history, err = c.History.ReadHistory(ctx, q.Related); err != nil {
		return out, fmt.Errorf("what ran before is not known: %w: %w", ErrPartial, err)
	}
	return out, nil
}

type answer[T any] struct {
	value T
	empty bool
}

// start begins one source and returns the function that waits for it. The
// source's goroutine can always deliver into the buffered channel, so it ends
// even when nobody waits any more.
func start[T any](ctx context.Context, timeout time.Duration, enabled bool, into *T, st *Status, ask func(context.Context) (answer[T], error)) func() {
	if !enabled {
		*st = Status{State: Disabled, Reason: "not configured"}
		return func() {}
	}
	type result struct {
		answer[T]
		err error
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	done := make(chan result, 1)
	go func() {
		defer cancel()
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("source panicked: %v", p)
			}
			done <- r
		}()
		r.answer, r.err = ask(ctx)
	}()
	return func() {
		r, ok := receive(ctx, done)
		if !ok {
			*st = Status{State: Timeout, Reason: "no answer in time", Took: time.Since(began)}
			return
		}
		*into = r.value
		*st = statusOf(r.err, r.empty)
		st.Took = time.Since(began)
	}
}

// receive waits for the answer, and a little longer than the deadline for a
// source that hands over a part.
func receive[R any](ctx context.Context, done <-chan R) (R, bool) {
	select {
	case r := <-done:
		return r, true
	case <-ctx.Done():
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case r := <-done:
		return r, true
	case <-t.C:
		var zero R
		return zero, false
	}
}

// statusOf says which State an answer and its error stand for.
func statusOf(err error, empty bool) Status {
	s := Status{State: StateOf(err, empty)}
	if err != nil {
		s.Reason = err.Error()
	}
	if q, ok := errors.AsType[*QuotaError](err); ok {
		s.RetryAt = q.Until
	}
	return s
}

// StateOf says which State an error stands for; a nil error is OK, or Empty
// when the answer holds nothing.
func StateOf(err error, empty bool) State {
	switch {
	case err == nil && empty:
		return Empty
	case err == nil:
		return OK
	case errors.Is(err, ErrPartial):
		return Partial
	case errors.Is(err, ErrNotFound):
		return Empty
	case errors.Is(err, ErrQuota):
		return Quota
	case errors.Is(err, ErrDenied):
		return Denied
	case errors.Is(err, ErrDisabled):
		return Disabled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	default:
		return Error
	}
}

// finishLogs tells "no logs visible" from "no logs".
func (e *Evidence) finishLogs() {
	if e.LogsState.State == Empty && !e.Logs.Visible && e.LogsState.Reason == "" {
		e.LogsState.Reason = "no logs visible: nothing of this workload in the scopes read; its logs may be routed elsewhere"
	}
}

// finishReputations derives the source's state from its lookups: OK or Empty
// only when every lookup that applies was answered.
func (e *Evidence) finishReputations(asked int, indicators bool) {
	failed := e.VTState.State != OK && e.VTState.State != Empty
	if e.VTState.State == Disabled || (len(e.Reputations) == 0 && asked > 0 && failed) {
		return
	}
	if len(e.Reputations) == 0 {
		e.VTState.State, e.VTState.Reason = NotApplicable, "no full file hash in the finding"
		if indicators {
			e.VTState.Reason = "neither a full file hash nor a public address in the finding"
		}
		return
	}
	count := map[State]int{}
	worst := NotApplicable
	for _, r := range e.Reputations {
		count[r.State]++
		if !r.State.Final() {
			worst = r.State
			if e.VTState.Reason == "" {
				e.VTState.Reason = r.Reason
			}
		}
	}
	answered := count[OK] + count[Empty]
	switch {
	case worst != NotApplicable && answered > 0:
		e.VTState.State = Partial
	case worst != NotApplicable:
		e.VTState.State = worst
	case count[OK] > 0:
		e.VTState.State, e.VTState.Reason = OK, ""
	case count[Empty] > 0:
		e.VTState.State = Empty
	default:
		e.VTState.State = NotApplicable
	}
}
