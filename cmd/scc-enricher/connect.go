package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/cloudlogging"
	"github.com/scc-enricher/scc-enricher/pkg/cloudrun"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/publish"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
	"github.com/scc-enricher/scc-enricher/pkg/scc"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
	"github.com/scc-enricher/scc-enricher/pkg/virustotal"
)

// history is how far back what ran on a workload before is looked at.
const history = 30 * 24 * time.Hour

// connections are the pipeline and what it is connected to.
type connections struct {
	pipeline  *enrich.Pipeline
	findings  *scc.Client
	publisher *publish.Publisher
	closers   []func() error
}

// connect makes the clients of every upstream, each with its budget, and the
// pipeline over them. metrics may be nil.
func connect(ctx context.Context, u *upstreams, deadLetterTopic string, metrics *telemetry.Metrics) (_ *connections, err error) {
	c := &connections{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	budget := func(name string, perMinute, perDay int) *quota.Budget {
		b := quota.New(name, perMinute, perDay, u.now)
		if metrics != nil {
			metrics.Budget(name, b.Left)
		}
		return b
	}
	circuit := func(source string) *upstream.Circuit {
		b := upstream.NewCircuit(upstream.CircuitOptions{Source: source, Now: u.now})
		if metrics != nil {
			metrics.Circuit(source, b.Open)
		}
		return b
	}
	findings, err := scc.New(ctx, scc.Options{
		ClientOptions: upstream.ClientOptions(u.SCCEndpoint),
		Reads:         budget("scc_reads", u.SCCReadsPerMinute.n, 0),
		Writes:        budget("scc_writes", u.SCCWritesPerMinute.n, 0),
		ReadCircuit:   circuit("findings"),
		WriteCircuit:  circuit("marks"),
		Now:           u.now,
		History:       history,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Security Command Center: %w", err)
	}
	c.findings = findings
	c.closers = append(c.closers, findings.Close)
	logs, err := cloudlogging.New(ctx, cloudlogging.Options{
		ClientOptions: upstream.ClientOptions(u.LoggingEndpoint),
		Budget:        budget("logging", u.LoggingReadsPerMin.n, 0),
		Circuit:       circuit("logs"),
		Now:           u.now,
		Scopes:        u.LogScopes,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Cloud Logging: %w", err)
	}
	c.closers = append(c.closers, logs.Close)
	workloads, err := cloudrun.New(ctx, cloudrun.Options{
		ClientOptions: upstream.ClientOptions(u.RunEndpoint), Circuit: circuit("config"), Now: u.now,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Cloud Run: %w", err)
	}
	c.closers = append(c.closers, workloads.Close)
	if u.RecordTopic != "" || deadLetterTopic != "" {
		c.publisher, err = publish.New(ctx, publish.Options{RecordTopic: u.RecordTopic, DeadLetterTopic: deadLetterTopic})
		if err != nil {
			return nil, fmt.Errorf("connect to Pub/Sub: %w", err)
		}
		c.closers = append(c.closers, c.publisher.Close)
	}
	collector := &evidence.Collector{Findings: findings, History: findings, Config: workloads, Logs: logs, Zone: u.zone, SourceTimeout: u.SourceTimeout.Duration}
	if u.VTAPIKey != "" {
		collector.Reputation, err = virustotal.New(virustotal.Options{
			APIKey: string(u.VTAPIKey), Endpoint: u.VTEndpoint,
			Budget:  budget("virustotal", u.VTRequestsPerMinute.n, u.VTRequestsPerDay.n),
			Circuit: circuit("virustotal"), Now: u.now,
		})
		if err != nil {
			return nil, fmt.Errorf("connect to VirusTotal: %w", err)
		}
	}
	c.pipeline, err = newPipeline(u, collector)
	if err != nil {
		return nil, err
	}
	c.pipeline.Writer = findings
	if u.RecordTopic != "" {
		c.pipeline.Records = c.publisher
	}
	return c, nil
}

// newPipeline makes the pipeline over a collector, without a writer, from
// settings that were checked.
func newPipeline(u *upstreams, collector *evidence.Collector) (*enrich.Pipeline, error) {
	redactor, err := redact.New()
	if err != nil {
		return nil, fmt.Errorf("redaction rules: %w", err)
	}
	now := u.now
	if now == nil {
		now = time.Now
	}
	return enrich.New(&enrich.Pipeline{
		Settings: enrich.Settings{
			Parent: u.SCCParent, MarkPrefix: u.MarkPrefix,
			Window: u.CorrelationWindow.Duration, MaxSpan: u.IncidentMaxSpan.Duration, SettleDelay: u.SettleDelay.Duration,
			LogBefore: u.LogWindowBefore.Duration, LogAfter: u.LogWindowAfter.Duration,
			Timeout: u.EnrichTimeout.Duration, Indicators: u.VTLookups == lookupsAll, Version: readVersion().Version,
		},
		Collector: collector, Policy: u.policy, Redactor: redactor, Now: now,
	})
}

// loadPolicy reads a policy, or the embedded one where no file is named.
func loadPolicy(file string) (*assess.Policy, error) {
	if file == "" {
		return assess.LoadDefault()
	}
	data, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	policy, err := assess.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return policy, nil
}

// close ends the clients in reverse order.
func (c *connections) close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i]())
	}
	c.closers = nil
	return errors.Join(errs...)
}
