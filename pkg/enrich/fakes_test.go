package enrich_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

const prefix = "enrich_"

var event = time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC)

// seed is an active finding on a service.
func seed() *finding.Finding {
	const resource = "//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/web"
	w, _ := finding.ParseWorkload(resource)
	return &finding.Finding{
		Name:          "organizations/1/sources/42/locations/global/findings/f1",
		CanonicalName: "projects/123456789012/sources/42/locations/global/findings/f1",
		Category:      "Unexpected Child Shell", Class: "THREAT", State: finding.Active, Severity: finding.Critical,
		EventTime: event, Workload: w, ResourceName: resource,
		Processes: []finding.Process{
			{Name: "sh", PID: 17, ParentPID: 1, Args: []string{"sh", "-c", "id"}},
			{Name: "java", PID: 1, Args: []string{"java", "-jar", "app.jar"}},
		},
	}
}

// world is every source and sink of the pipeline, counting what it is asked.
type world struct {
	mu      sync.Mutex
	calls   map[string]int
	related []finding.Finding
	errs    map[string]error // by source: findings, config, logs, virustotal, write, record
	writes  []marks.Write
	records [][]byte
}

func (w *world) called(source string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[source]++
	return w.errs[source]
}

func (w *world) count() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.calls)
}

func (w *world) ListRelated(context.Context, evidence.RelatedQuery) ([]finding.Finding, error) {
	if err := w.called("findings"); err != nil {
		return nil, err
	}
	return w.related, nil
}

func (w *world) ReadConfig(context.Context, finding.Workload, time.Time) (*evidence.Config, error) {
	if err := w.called("config"); err != nil {
		return nil, err
	}
	return &evidence.Config{Resource: "projects/shop-prod/locations/europe-west1/services/web", Ingress: "all", IAMKnown: true}, nil
}

func (w *world) ReadLogs(_ context.Context, q evidence.LogQuery) (evidence.Logs, error) {
	if err := w.called("logs"); err != nil {
		return evidence.Logs{}, err
	}
	return evidence.Logs{Event: q.Event, Visible: true, Entries: []evidence.LogEntry{{Kind: evidence.LogApp, Time: q.Event, Text: "started"}}}, nil
}

func (w *world) Lookup(_ context.Context, as []evidence.Artifact) ([]evidence.Reputation, error) {
	if len(as) == 0 {
		return nil, nil
	}
	err := w.called("virustotal")
	out := make([]evidence.Reputation, len(as))
	for i := range as {
		out[i] = evidence.Reputation{Artifact: as[i], State: evidence.StateOf(err, true)}
	}
	return out, err
}

func (w *world) WriteMarks(_ context.Context, m marks.Write) error {
	err := w.called("write")
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.writes = append(w.writes, m)
	}
	return err
}

func (w *world) Record(_ context.Context, data []byte, _ map[string]string) error {
	err := w.called("record")
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.records = append(w.records, data)
	}
	return err
}

// pipeline is the real pipeline over a world.
func pipeline(t *testing.T, w *world) *enrich.Pipeline {
	t.Helper()
	policy, err := assess.LoadDefault()
	if err != nil {
		t.Fatal(err)
	}
	redactor, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	p, err := enrich.New(&enrich.Pipeline{
		Settings: enrich.Settings{
			MarkPrefix: prefix, Window: 30 * time.Minute, MaxSpan: 24 * time.Hour,
			LogBefore: 10 * time.Minute, LogAfter: 2 * time.Minute, Timeout: 20 * time.Second, Version: "test",
		},
		Collector: &evidence.Collector{Findings: w, Config: w, Logs: w, Reputation: w, SourceTimeout: 8 * time.Second},
		Policy:    policy, Redactor: redactor, Writer: w, Records: w,
		Now: func() time.Time { return event.Add(5 * time.Second) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written are the marks that one enrichment of the seed writes.
func written(t *testing.T) map[string]string {
	t.Helper()
	w := &world{}
	if _, err := pipeline(t, w).Enrich(t.Context(), seed()); err != nil {
		t.Fatal(err)
	}
	if len(w.writes) != 1 {
		t.Fatalf("%d writes, want 1", len(w.writes))
	}
	return w.writes[0].Set
}

func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	out[key] = value
	if value == "" {
		delete(out, key)
	}
	return out
}

func upper(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[strings.ToUpper(k)] = v
	}
	return out
}
