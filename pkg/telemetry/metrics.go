package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the service's Prometheus metrics; docs/operations.md lists them.
type Metrics struct {
	registry   *prometheus.Registry
	received   prometheus.Counter
	inFlight   prometheus.Gauge
	outcomes   *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	sources    *prometheus.HistogramVec
	verdicts   *prometheus.CounterVec
	eventAge   prometheus.Histogram
	marks      *prometheus.CounterVec
	records    *prometheus.CounterVec
	followUps  *prometheus.CounterVec
}

// NewMetrics returns metrics in a registry of their own, with the Go runtime's
// and the process's beside them.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "scc_enricher_received_total",
			Help: "Push requests received, whatever became of them.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "scc_enricher_in_flight",
			Help: "Push requests received and not yet answered.",
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scc_enricher_outcomes_total",
			Help: "Push requests answered, by what became of the message: each is counted once.",
		}, []string{"outcome"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scc_enricher_deliveries_total",
			Help: "Push deliveries answered, by HTTP status and reason.",
		}, []string{"status", "reason"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "scc_enricher_delivery_seconds",
			Help:    "Time from request to answer, by HTTP status.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"status"}),
		sources: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "scc_enricher_source_seconds",
			Help:    "Time a source took to answer, by source and the state it ended in.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"source", "state"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scc_enricher_verdicts_total",
			Help: "Findings whose marks were written, by verdict and completeness.",
		}, []string{"verdict", "status"}),
		eventAge: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "scc_enricher_event_to_marks_seconds",
			Help:    "Time from a finding's event to its marks.",
			Buckets: prometheus.ExponentialBuckets(0.5, 2, 16),
		}),
		marks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scc_enricher_mark_writes_total",
			Help: "Writes of security marks that were asked for, those of follow-ups included, by result.",
		}, []string{"result"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scc_enricher_records_total",
			Help: "Records published, by result.",
		}, []string{"result"}),
		followUps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scc_enricher_followups_total",
			Help: "Follow-ups scheduled, run and lost, by kind and result.",
		}, []string{"kind", "result"}),
	}
	m.registry.MustRegister(m.received, m.inFlight, m.outcomes, m.deliveries, m.latency, m.sources, m.verdicts, m.eventAge, m.marks, m.records, m.followUps,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Received counts one push request that came in. Each must end in one Delivery.
func (m *Metrics) Received() {
	m.received.Inc()
	m.inFlight.Inc()
}

// Delivery counts one answered delivery. outcome says what became of the
// message, reason why; both are words of closed sets.
func (m *Metrics) Delivery(outcome string, status int, reason string, took time.Duration) {
	m.inFlight.Dec()
	m.outcomes.WithLabelValues(outcome).Inc()
	s := strconv.Itoa(status)
	m.deliveries.WithLabelValues(s, reason).Inc()
	m.latency.WithLabelValues(s).Observe(took.Seconds())
}

// Source records how one source ended.
func (m *Metrics) Source(name, state string, took time.Duration) {
	m.sources.WithLabelValues(name, state).Observe(took.Seconds())
}

// Written counts one finding whose marks were written, age after its event.
func (m *Metrics) Written(verdict, status string, age time.Duration) {
	m.verdicts.WithLabelValues(verdict, status).Inc()
	m.eventAge.Observe(age.Seconds())
}

// MarkWrite counts a write of marks: ok, or why it failed.
func (m *Metrics) MarkWrite(result string) { m.marks.WithLabelValues(result).Inc() }

// Record counts a published record: ok or failed.
func (m *Metrics) Record(result string) { m.records.WithLabelValues(result).Inc() }

// FollowUp counts what became of a follow-up: scheduled or refused by the
// queue; done, postponed, failed or panicked in a run; dropped, undone, turned away.
func (m *Metrics) FollowUp(kind, result string) { m.followUps.WithLabelValues(kind, result).Inc() }

// Circuit exposes whether a source is taken to be down, read at each scrape.
func (m *Metrics) Circuit(source string, open func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "scc_enricher_source_down",
		Help:        "1 while a source is taken to be down and only probed, by source.",
		ConstLabels: prometheus.Labels{"source": source},
	}, func() float64 {
		if open() {
			return 1
		}
		return 0
	}))
}

// Budget exposes what is left of an upstream's budget, read at each scrape;
// -1 stands for no limit.
func (m *Metrics) Budget(upstream string, left func() (minute, day int)) {
	gauge := func(window string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "scc_enricher_budget_left",
			Help:        "Requests left in an upstream's budget, by window; -1 is no limit.",
			ConstLabels: prometheus.Labels{"upstream": upstream, "window": window},
		}, read))
	}
	gauge("minute", func() float64 { n, _ := left(); return float64(n) })
	gauge("day", func() float64 { _, n := left(); return float64(n) })
}

// Pending exposes how many follow-ups the process holds, waiting and running,
// read at each scrape.
func (m *Metrics) Pending(read func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "scc_enricher_followups_pending",
		Help: "Follow-ups that this process holds, waiting and running.",
	}, func() float64 { return float64(read()) }))
}
