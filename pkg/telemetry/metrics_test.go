package telemetry_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

func TestMetricsExposition(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics()
	m.Received()
	m.Received()
	m.Delivery("written", 204, "written", time.Second)
	m.Pending(func() int { return 7 })
	m.Source("logs", "quota", time.Millisecond)
	m.Written("malicious", "complete", time.Minute)
	m.MarkWrite("ok")
	m.Record("failed")
	m.FollowUp("settle", "scheduled")
	m.Budget("virustotal", func() (int, int) { return 3, 497 })
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for _, want := range []string{
		"scc_enricher_received_total 2",
		"scc_enricher_in_flight 1",
		"scc_enricher_followups_pending 7",
		`scc_enricher_outcomes_total{outcome="written"} 1`,
		`scc_enricher_deliveries_total{reason="written",status="204"} 1`,
		`scc_enricher_source_seconds_count{source="logs",state="quota"} 1`,
		`scc_enricher_verdicts_total{status="complete",verdict="malicious"} 1`,
		`scc_enricher_mark_writes_total{result="ok"} 1`,
		`scc_enricher_records_total{result="failed"} 1`,
		`scc_enricher_followups_total{kind="settle",result="scheduled"} 1`,
		`scc_enricher_budget_left{upstream="virustotal",window="minute"} 3`,
		`scc_enricher_budget_left{upstream="virustotal",window="day"} 497`,
		"scc_enricher_event_to_marks_seconds_count 1",
	} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("missing %q", want)
		}
	}
}
