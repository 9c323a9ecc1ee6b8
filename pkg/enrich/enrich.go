// Package enrich is the path from a finding to its marks, in order: the gate,
// all sources at once, the incident, the assessment, the record, one write of
// marks, the published record. The mark write is the only step that must
// succeed; every other failure is said in the marks.
package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"golang.org/x/sync/singleflight"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
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
	// LogBefore and LogAfter bound the container logs around the event.
	LogBefore, LogAfter time.Duration
	// Timeout is the deadline of one finding.
	Timeout time.Duration
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
	// Now is the clock.
	Now func() time.Time

	flight singleflight.Group
	recent *otter.Cache[finding.Identity, struct{}]
}

// recentEntries and recentFor bound the memory of finished findings, which
// lets a repeated delivery of the same message cost nothing.
const (
	recentEntries = 50_000
	recentFor     = 10 * time.Minute
)

// New returns a pipeline with its cache in place.
func New(p *Pipeline) (*Pipeline, error) {
	cache, err := otter.New(&otter.Options[finding.Identity, struct{}]{
		MaximumSize:      recentEntries,
		ExpiryCalculator: otter.ExpiryWriting[finding.Identity, struct{}](recentFor),
	})
	if err != nil {
		return nil, fmt.Errorf("cache of finished findings: %w", err)
	}
	p.recent = cache
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
	// RecordErr says why the record could not be published; the marks are written all the same.
	RecordErr error
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

	ev := p.Collector.Collect(ctx, p.query(f))
	listed := newest(f, ev.Related)
	if ev.FindingsState.State == evidence.OK && alone(f, ev.Related) {
		// Whether the list holds the seed depends on how fast it was indexed.
		ev.FindingsState.State = evidence.Empty
	}
	if d := again(f, listed); d != Go {
		return &Result{Decision: d, Evidence: ev}, nil
	}
	inc := incident.Group(f, ev.Related, p.Settings.Window, p.Settings.MaxSpan)
	verdict := p.Policy.Assess(assess.Input{Finding: f, Incident: inc, Evidence: ev})
	rec := record.New(record.Input{
		Finding: f, Incident: inc, Evidence: ev, Assessment: verdict,
		LogQuery: p.logQuery(f), Now: p.Now(), Version: p.Settings.Version,
	}, p.Redactor)
	want := marks.Render(rec, p.Settings.MarkPrefix)
	span.SetAttributes(attribute.String("verdict", string(verdict.Verdict)), attribute.Int("score", verdict.Score))

	result := &Result{Decision: Unchanged, Record: rec, Marks: want.Values, Evidence: ev}
	set, remove := marks.Diff(existing(f, listed), want, p.Settings.MarkPrefix)
	if p.Writer == nil {
		return result, nil
	}
	if len(set)+len(remove) > 0 {
		w := marks.Write{Name: f.CanonicalName, Fallback: fallback(f), Set: set, Delete: remove}
		if err := p.Writer.WriteMarks(ctx, w); err != nil {
			return nil, failure(err)
		}
		result.Decision = Written
		result.RecordErr = p.publish(ctx, rec)
	}
	if rec.Complete() {
		p.recent.Set(f.Identity(), struct{}{})
	}
	return result, nil
}

// query is what the sources are asked about a finding.
func (p *Pipeline) query(f *finding.Finding) evidence.Query {
	parent := p.Settings.Parent
	if parent == "" {
		parent = f.ParentScope()
	}
	from, to := incident.View(f.EventTime, p.Settings.Window, p.Settings.MaxSpan)
	return evidence.Query{
		Related:   evidence.RelatedQuery{Parent: parent, Location: f.Location(), Workload: f.Workload, From: from, To: to},
		Logs:      p.logQuery(f),
		Artifacts: evidence.Artifacts(f),
	}
}

func (p *Pipeline) logQuery(f *finding.Finding) evidence.LogQuery {
	return evidence.LogQuery{
		Workload: f.Workload, Event: f.EventTime,
		Before: p.Settings.LogBefore, After: p.Settings.LogAfter, AuditBefore: auditBefore,
	}
}

// newest finds the seed among the listed findings: its marks and state there
// are younger than the notification's.
func newest(f *finding.Finding, related []finding.Finding) *finding.Finding {
	for i := range related {
		if related[i].StableName() == f.StableName() {
			return &related[i]
		}
	}
	return nil
}

// alone reports whether the list holds no finding but the seed.
func alone(f *finding.Finding, related []finding.Finding) bool {
	for i := range related {
		if related[i].StableName() != f.StableName() {
			return false
		}
	}
	return true
}

// again asks the gate's questions of the finding as it is now: a delivery that
// was delayed must not overwrite the marks of a newer event.
func again(f, listed *finding.Finding) Decision {
	switch {
	case listed == nil:
		return Go
	case listed.EventTime.After(f.EventTime):
		return Older
	case listed.State == finding.Inactive:
		return Inactive
	case listed.Muted():
		return Muted
	}
	return Go
}

// existing are the marks on the finding, as young as they are known.
func existing(f, listed *finding.Finding) map[string]string {
	if listed != nil {
		return listed.Marks
	}
	return f.Marks
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
