package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/publish"
	"github.com/scc-enricher/scc-enricher/pkg/push"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

// processor joins the push endpoint, which knows nothing of findings, and the
// pipeline, which knows nothing of Pub/Sub.
type processor struct {
	pipeline *enrich.Pipeline
	metrics  *telemetry.Metrics
}

// Process implements push.Processor.
func (p *processor) Process(ctx context.Context, m *push.Message) push.Result {
	// A panic may quote what it met; the endpoint logs it, and knows nothing of secrets.
	defer func() {
		if met := recover(); met != nil {
			panic(p.redacted(fmt.Errorf("%v", met)))
		}
	}()
	f, err := finding.Parse(m.Data)
	if err != nil {
		reason := "no_finding"
		if errors.Is(err, finding.ErrNotJSON) {
			reason = "not_json"
		}
		return push.Result{Outcome: push.Permanent, Reason: reason, Err: p.redacted(err)}
	}
	fields := []zap.Field{
		zap.String("finding", f.CanonicalName), zap.String("category", p.pipeline.Redactor.Line(f.Category, maxLogged)),
		zap.Time("event_time", f.EventTime), zap.String("workload", f.Workload.Key()),
	}
	res, err := p.pipeline.Enrich(ctx, f)
	if err != nil {
		return p.failed(err, fields)
	}
	return push.Result{
		Outcome: push.Done, Reason: string(res.Decision), Fields: append(fields, p.observe(f, res)...),
		Degraded: res.RecordErr != nil || res.FollowErr != nil,
	}
}

// failed turns a failure of the pipeline into an outcome.
func (p *processor) failed(err error, fields []zap.Field) push.Result {
	f, ok := errors.AsType[*enrich.Failure](err)
	if !ok {
		return push.Result{Outcome: push.Retry, Reason: "failed", Err: p.redacted(err), Fields: fields}
	}
	outcome := push.Retry
	if f.Permanent {
		outcome = push.Permanent
	}
	return push.Result{Outcome: outcome, Reason: f.Reason, Err: p.redacted(f.Err), Fields: fields}
}

// maxLogged bounds a text of a finding in a log line, in characters.
const maxLogged = 256

// maxError bounds the text of an error that leaves the process, in characters.
const maxError = 500

// redacted is an error fit for a log line and a dead letter: an upstream may
// quote what it was sent.
func (p *processor) redacted(err error) error {
	return errors.New(p.pipeline.Redactor.Line(err.Error(), maxError))
}

// observe counts a result and gives its log fields.
func (p *processor) observe(f *finding.Finding, res *enrich.Result) []zap.Field {
	var fields []zap.Field
	if res.Evidence != nil {
		for _, s := range []struct {
			name string
			st   evidence.Status
		}{{"findings", res.Evidence.FindingsState}, {"logs", res.Evidence.LogsState}, {"config", res.Evidence.ConfigState}, {"virustotal", res.Evidence.VTState}} {
			p.metrics.Source(s.name, string(s.st.State), s.st.Took)
			fields = append(fields, zap.String("source_"+s.name, string(s.st.State)), zap.Duration("latency_"+s.name, s.st.Took))
		}
	}
	if res.Record == nil {
		return fields
	}
	a := res.Record.Assessment
	fields = append(fields, zap.String("verdict", a.Verdict), zap.Int("score", a.Score))
	if res.Record.Incident != nil {
		fields = append(fields, zap.String("incident", res.Record.Incident.ID))
	}
	if res.FollowErr != nil {
		fields = append(fields, zap.String("followup_error", p.redacted(res.FollowErr).Error()))
	}
	if res.Decision == enrich.Written {
		p.metrics.Written(a.Verdict, res.Record.Status, time.Since(f.EventTime))
		if res.RecordErr != nil {
			fields = append(fields, zap.String("record_error", p.redacted(res.RecordErr).Error()))
		}
	}
	return fields
}

// deadLetters keeps messages on the dead-letter topic.
type deadLetters struct{ publisher *publish.Publisher }

// DeadLetter implements push.DeadLetterer.
func (d deadLetters) DeadLetter(ctx context.Context, m *push.Message, reason, cause string) error {
	return d.publisher.DeadLetter(ctx, publish.DeadLetter{
		Data: m.Data, Attributes: m.Attributes, Reason: reason, Error: cause,
		MessageID: m.ID, Subscription: m.Subscription,
	})
}
