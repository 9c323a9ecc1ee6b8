// Package enrich is the path from a finding to its marks, in order: the gate,
// all sources at once, the incident, the assessment, the record, one write of
// marks, the published record, the follow-ups. The mark write is the only step
// that must succeed; every other failure is said in the marks.
package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"golang.org/x/sync/singleflight"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// MarkWriter writes marks. It returns an error that wraps marks.ErrGone or
// marks.ErrRejected when the write can never succeed; every other error may
// heal.
type MarkWriter interface {
	WriteMarks(ctx context.Context, w marks.Write) error
}

// A ReadyWriter is a MarkWriter that knows when a write would fail at once.
type ReadyWriter interface {
	// Ready returns the error of a write that would be refused now without
	// being tried, or nil. It spends nothing.
	Ready() error
}

// RecordPublisher hands on the full record.
type RecordPublisher interface {
	Record(ctx context.Context, data []byte, attributes map[string]string) error
}

// Settings are the pipeline's times and names.
type Settings struct {
	// Parent is whose findings are read, "organizations/N"; empty takes the
	// parent of each finding's canonical name.
	Parent string
	// MarkPrefix is the prefix of every mark we own.
	MarkPrefix string
	// Window is the largest gap between neighbours of an incident; MaxSpan bounds its length.
	Window, MaxSpan time.Duration
	// SettleDelay is how long after a finding its incident is settled.
	SettleDelay time.Duration
	// LogBefore and LogAfter bound the container logs around the event.
	LogBefore, LogAfter time.Duration
	// Timeout is the deadline of one finding.
	Timeout time.Duration
	// Indicators: VirusTotal is asked about public addresses, domains and URLs
	// of the finding as well as about its files.
	Indicators bool
	// Version of the program, for the record.
	Version string
}

// auditBefore is how far back deploys and IAM changes are read.
const auditBefore = 24 * time.Hour

// Pipeline enriches findings. Its fields are set before the first use.
type Pipeline struct {
	Settings  Settings
	Collector *evidence.Collector
	Policy    *assess.Policy
	Redactor  *redact.Redactor
	// Writer is nil for a dry run: the result is computed and not written.
	Writer MarkWriter
	// Records is nil where there is no record topic.
	Records RecordPublisher
	// FollowUps is nil where nothing is to be done later.
	FollowUps followup.Queue
	// Now is the clock.
	Now func() time.Time

	flight singleflight.Group
	recent *otter.Cache[finding.Identity, struct{}]
	times  *otter.Cache[string, []time.Time]
	known  standings
	lists  lists
	// settling are the places that a settlement is under way at.
	settling sync.Map
}

// recentEntries and recentFor bound the memory of finished findings, which
// lets a repeated delivery of the same message cost nothing.
const (
	recentEntries = 50_000
	recentFor     = 10 * time.Minute
	// timesEntries findings have their last maxTimes event times remembered.
	timesEntries = 10_000
	maxTimes     = 20
)

// clock makes the pipeline's clock that of its cache. It never ticks: expired
// findings are not used, and the bound on size removes them.
type clock struct{ now func() time.Time }

func (c clock) NowNano() int64                    { return c.now().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// New returns a pipeline with its cache in place.
func New(p *Pipeline) (*Pipeline, error) {
	cache, err := otter.New(&otter.Options[finding.Identity, struct{}]{
		MaximumSize:      recentEntries,
		ExpiryCalculator: otter.ExpiryWriting[finding.Identity, struct{}](recentFor),
		Clock:            clock{p.Now},
		Executor:         func(work func()) { work() },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of finished findings: %w", err)
	}
	p.recent = cache
	p.times, err = otter.New(&otter.Options[string, []time.Time]{MaximumSize: timesEntries, Executor: func(work func()) { work() }})
	if err != nil {
		return nil, fmt.Errorf("cache of event times: %w", err)
	}
	if p.known, err = newStandings(); err != nil {
		return nil, fmt.Errorf("cache of standings: %w", err)
	}
	return p, nil
}

// Result is what an enrichment came to.
type Result struct {
	Decision Decision
	// Record and Marks are nil when the gate stopped the finding.
	Record *record.Record
	Marks  map[string]string
	// Evidence holds the states of the sources; nil when the gate stopped the finding.
	Evidence *evidence.Evidence
	// RecordErr says why the record could not be published, FollowErr why no
	// follow-up could be scheduled; the marks are written all the same.
	RecordErr, FollowErr error
}

// Failure is an enrichment that wrote nothing.
type Failure struct {
	// Reason is a word of a closed set: no_event_time, gone, marks_rejected,
	// write_quota, write_denied, deadline, write_failed.
	Reason string
	// Permanent is true when the same finding can never succeed.
	Permanent bool
	Err       error
}

// Error gives the reason and the cause.
func (f *Failure) Error() string { return f.Reason + ": " + f.Err.Error() }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Enrich takes one finding all the way. The error is a *Failure.
func (p *Pipeline) Enrich(ctx context.Context, f *finding.Finding) (*Result, error) {
	if d := Gate(f, p.Settings.MarkPrefix); d != Go {
		return &Result{Decision: d}, nil
	}
	if _, done := p.recent.GetIfPresent(f.Identity()); done {
		return &Result{Decision: Unchanged}, nil
	}
	return p.once(ctx, f)
}

// Refresh is Enrich for a finding whose marks were read and found wanting:
// marks of this event, of a newer one or of none do not stop it, nor that it was
// finished a moment ago. Findings that are closed stay as they are.
func (p *Pipeline) Refresh(ctx context.Context, f *finding.Finding) (*Result, error) {
	if d := closed(f); d != Go {
		return &Result{Decision: d}, nil
	}
	return p.once(ctx, f)
}

// once enriches a finding; callers who ask for the same event at once share the answer.
func (p *Pipeline) once(ctx context.Context, f *finding.Finding) (*Result, error) {
	if f.EventTime.IsZero() {
		return nil, &Failure{Reason: "no_event_time", Permanent: true, Err: errors.New("the finding has no event time, which is part of its identity")}
	}
	// While nothing can be written nothing is asked: each redelivery would
	// spend the sources' budgets for an answer that is thrown away.
	if w, ok := p.Writer.(ReadyWriter); ok {
		if err := w.Ready(); err != nil {
			return nil, failure(fmt.Errorf("write marks: %w", err))
		}
	}
	id := f.Identity()
	v, err, _ := p.flight.Do(id.Name+"\x00"+id.EventTime.String(), func() (any, error) {
		return p.enrich(ctx, f)
	})
	if err != nil {
		return nil, err
	}
	return v.(*Result), nil
}

// Investigate is Enrich for a person who asks about one finding: echoes, muted
// and inactive findings are assessed all the same, and nothing is remembered.
func (p *Pipeline) Investigate(ctx context.Context, f *finding.Finding) (*Result, error) {
	if f.Workload.IsZero() {
		return &Result{Decision: NotAContainer}, nil
	}
	return p.enrich(ctx, f)
}

// enrich is the path itself.
func (p *Pipeline) enrich(ctx context.Context, f *finding.Finding) (_ *Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.Settings.Timeout)
	defer cancel()
	ctx, span := otel.Tracer("github.com/scc-enricher/scc-enricher/pkg/enrich").Start(ctx, "enrich")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, "enrichment failed")
		}
		span.End()
	}()

	v := p.arrived(ctx, f)
	if d := p.conclude(ctx, v); d != Go {
		return &Result{Decision: d, Evidence: v.ev}, nil
	}
	span.SetAttributes(attribute.String("verdict", v.rec.Assessment.Verdict), attribute.Int("score", v.rec.Assessment.Score))
	result, err := p.write(ctx, v)
	if err != nil {
		return nil, err
	}
	if p.Writer != nil {
		result.FollowErr = p.follow(ctx, v, 0)
	}
	return result, nil
}

// write makes the finding's marks what they should be, and hands the record on
// where anything changed. Evidence that was there when the marks were written
// and cannot be had now must not lower them: then only what the incident says
// is brought up to date, and no record tells less than the one before.
func (p *Pipeline) write(ctx context.Context, v *view) (*Result, error) {
	if v.poorer = p.poorer(v); v.poorer {
		v.want = p.patched(v)
	}
	result := &Result{Decision: Unchanged, Record: v.rec, Marks: v.want.Values, Evidence: v.ev}
	if p.Writer == nil {
		return result, nil
	}
	wrote, err := p.writeMarks(ctx, v.f, v.existing(), v.want)
	if err != nil {
		return nil, err
	}
	if wrote {
		result.Decision, v.owed = Written, v.owed || v.poorer
	}
	if wrote && !v.poorer {
		result.RecordErr = p.publish(ctx, v.rec)
	}
	if v.rec.Complete() {
		p.recent.Set(v.f.Identity(), struct{}{})
	}
	return result, nil
}

// writeMarks writes the difference, if there is any.
func (p *Pipeline) writeMarks(ctx context.Context, f *finding.Finding, existing map[string]string, want marks.Set) (bool, error) {
	set, remove := marks.Diff(existing, want, p.Settings.MarkPrefix)
	if len(set)+len(remove) == 0 {
		return false, nil
	}
	w := marks.Write{Name: f.CanonicalName, Fallback: fallback(f), Set: set, Delete: remove}
	if err := p.Writer.WriteMarks(ctx, w); err != nil {
		return false, failure(err)
	}
	after := *f
	after.Marks = want.Values
	p.lists.note(p.query(f).Related, &after, p.Now())
	return true, nil
}

// fallback is the name to write at where the canonical name's scope takes no writes.
func fallback(f *finding.Finding) string {
	if f.Name == f.CanonicalName {
		return ""
	}
	return f.Name
}

// failure says what a failed write means for the delivery.
func failure(err error) *Failure {
	switch {
	case errors.Is(err, marks.ErrGone):
		return &Failure{Reason: "gone", Permanent: true, Err: err}
	case errors.Is(err, marks.ErrRejected):
		return &Failure{Reason: "marks_rejected", Permanent: true, Err: err}
	case errors.Is(err, evidence.ErrQuota):
		return &Failure{Reason: "write_quota", Err: err}
	case errors.Is(err, evidence.ErrDenied):
		return &Failure{Reason: "write_denied", Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Failure{Reason: "deadline", Err: err}
	default:
		return &Failure{Reason: "write_failed", Err: err}
	}
}

// publish hands the record on. A failure does not undo the marks: the error is
// the caller's to report.
func (p *Pipeline) publish(ctx context.Context, rec *record.Record) error {
	if p.Records == nil {
		return nil
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return p.Records.Record(ctx, data, map[string]string{"schema_version": fmt.Sprint(rec.SchemaVersion), "verdict": rec.Assessment.Verdict})
}
