package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/push"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

// The outcomes of a push request. Every request that was received ends in
// exactly one; docs/operations.md says what balances with what.
const (
	outcomeWritten      = "written"       // marks were written
	outcomeUnchanged    = "unchanged"     // the finding says it already
	outcomeIgnored      = "ignored"       // the finding is closed, or not about a workload
	outcomeDeadLettered = "dead_lettered" // can never succeed, and its bytes are safe
	outcomeNacked       = "nacked"        // Pub/Sub delivers it again
	outcomeRefused      = "refused"       // not taken for a delivery: no token, wrong method, too large
)

// outcome says what became of a message that was answered so.
func outcome(status int, reason string) string {
	switch status {
	case http.StatusNoContent:
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
		return outcomeRefused
	default:
		return outcomeNacked
	}
	switch enrich.Decision(reason) {
	case enrich.Written:
		return outcomeWritten
	case enrich.Echo, enrich.Unchanged, enrich.Older:
		return outcomeUnchanged
	case enrich.Inactive, enrich.Muted, enrich.Deleted, enrich.NotAContainer:
		return outcomeIgnored
	default: // acknowledged, and no decision of the pipeline: a reason to give up
		return outcomeDeadLettered
	}
}

// countedWrites counts every write of marks, whoever asks for it.
type countedWrites struct {
	enrich.MarkWriter
	metrics *telemetry.Metrics
}

// WriteMarks implements enrich.MarkWriter.
func (c countedWrites) WriteMarks(ctx context.Context, w marks.Write) error {
	err := c.MarkWriter.WriteMarks(ctx, w)
	c.metrics.MarkWrite(writeResult(ctx, err))
	return err
}

// writeResult names what a write came to, as the pipeline's reasons do.
func writeResult(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, marks.ErrGone):
		return "gone"
	case errors.Is(err, marks.ErrRejected):
		return "marks_rejected"
	case errors.Is(context.Cause(ctx), push.ErrShuttingDown):
		return "shutting_down"
	case errors.Is(err, evidence.ErrQuota):
		return "write_quota"
	case errors.Is(err, evidence.ErrDenied):
		return "write_denied"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	default:
		return "write_failed"
	}
}

// countedRecords counts every record that is published, whoever asks for it.
type countedRecords struct {
	enrich.RecordPublisher
	metrics *telemetry.Metrics
}

// Record implements enrich.RecordPublisher.
func (c countedRecords) Record(ctx context.Context, data []byte, attributes map[string]string) error {
	err := c.RecordPublisher.Record(ctx, data, attributes)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	c.metrics.Record(result)
	return err
}
