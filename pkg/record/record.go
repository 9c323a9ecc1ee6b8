// Package record puts everything known about one enriched finding into one
// versioned JSON document: the finding, its processes and behaviours, the
// incident, logs, configuration, reputations, ATT&CK, the assessment with
// every reason, the response plan and the state of every source.
//
// Every free text in a Record has passed redact, and every list and text is
// bounded: a record is well below one megabyte. docs/record.schema.json
// describes the document; a change of the types without a change there fails
// the tests. The package is pure: the time of the record is an input.
package record

import (
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// SchemaVersion is the version of the document. It changes when a reader of
// the version before could misread a record; new optional fields leave it.
const SchemaVersion = 1

// The closed set of Record.Status.
const (
	Complete = "complete"
	Partial  = "partial"
)

// The names of the sources, in the order of Record.Sources.
const (
	SourceFindings   = "findings"
	SourceLogs       = "logs"
	SourceConfig     = "config"
	SourceVirusTotal = "virustotal"
)

// Record is everything known about one enriched finding.
type Record struct {
	// SchemaVersion is the version of this document.
	SchemaVersion int `json:"schema_version"`
	// ToolVersion is the version of the program that wrote the record.
	ToolVersion string `json:"tool_version,omitempty"`
	// Time is when the record was made, UTC.
	Time time.Time `json:"time"`
	// Status is complete when every source answered or never will, else partial.
	Status string `json:"status"`
	// Finding is what Security Command Center said.
	Finding Finding `json:"finding"`
	// Workload is the Cloud Run workload, and the container in it, that the finding is about.
	Workload Workload `json:"workload"`
	// Process is the process the finding is about and where it comes from.
	Process *Story `json:"process,omitempty"`
	// Processes are all processes of the finding, in the order received.
	Processes []Process `json:"processes,omitempty"`
	// Behaviors are what the command line does, the strongest first.
	Behaviors []Behavior `json:"behaviors,omitempty"`
	// Decoded are the payloads that were decoded out of the command line.
	Decoded []string `json:"decoded,omitempty"`
	// Indicators are network and file indicators, network ones defanged.
	Indicators []Indicator `json:"indicators,omitempty"`
	// Incident are the findings that belong together; absent when the finding stands alone.
	Incident *Incident `json:"incident,omitempty"`
	// Logs are the log entries around the event.
	Logs *Logs `json:"logs,omitempty"`
	// LastDeploy is the last deploy before the event.
	LastDeploy *Deploy `json:"last_deploy,omitempty"`
	// Config is the configuration of the workload.
	Config *Config `json:"config,omitempty"`
	// Reputations are VirusTotal's answers.
	Reputations []Reputation `json:"reputations,omitempty"`
	// SeenBefore says what became of the same on this workload before; absent where it was not seen.
	SeenBefore *SeenBefore `json:"seen_before,omitempty"`
	// Attack is the mapping to MITRE ATT&CK.
	Attack Attack `json:"attack"`
	// Assessment is the conclusion and its reasons.
	Assessment Assessment `json:"assessment"`
	// Plan is the response plan, in order. No step is ever done automatically.
	Plan []Step `json:"plan,omitempty"`
	// Sources are the states of the four sources, in the order findings, logs, config, virustotal.
	Sources []Source `json:"sources"`
}

// Input is what a record is made of.
type Input struct {
	// Finding must not be nil.
	Finding  *finding.Finding
	Incident incident.Incident
	// Evidence may be nil: nothing was asked then.
	Evidence   *evidence.Evidence
	Assessment assess.Assessment
	// LogQuery is what was asked of the logs, for the link to them.
	LogQuery evidence.LogQuery
	// EarlierTimes are known earlier events of the same finding, in order.
	EarlierTimes []time.Time
	// Now is the time of the record.
	Now time.Time
	// Version of the program.
	Version string
}

// New makes the record of an enrichment. Everything that is text passes r,
// which must not be nil.
func New(in Input, r *redact.Redactor) *Record {
	b := builder{r: r, in: in, f: in.Finding, ev: in.Evidence, seen: make(map[textKey]string, textsExpected), commands: map[*finding.Process]string{}}
	if b.f == nil {
		b.f = &finding.Finding{}
	}
	if b.ev == nil {
		b.ev = &evidence.Evidence{}
	}
	rec := &Record{
		SchemaVersion: SchemaVersion,
		ToolVersion:   clean(in.Version, maxName),
		Time:          in.Now.UTC().Truncate(time.Second),
		Finding:       b.finding(),
		Workload:      b.workload(),
		Process:       b.story(),
		Processes:     b.processes(),
		Behaviors:     b.behaviors(),
		Decoded:       b.texts(in.Assessment.Reading.Decoded, maxDecoded, maxText),
		Indicators:    b.indicators(),
		Incident:      b.incident(),
		Logs:          b.logs(),
		LastDeploy:    b.lastDeploy(),
		Config:        b.config(),
		Reputations:   b.reputations(),
		SeenBefore:    b.seenBefore(),
		Attack:        b.attack(),
		Assessment:    b.assessment(),
		Plan:          b.plan(),
		Sources:       b.sources(),
	}
	rec.Status = status(rec.Sources)
	return rec
}

// Complete reports whether asking again later cannot add anything: every
// source answered, or has nothing to answer.
func (r *Record) Complete() bool { return r.Status == Complete }

// Source returns the state of the source called name; its zero value when
// there is none.
func (r *Record) Source(name string) Source {
	for _, s := range r.Sources {
		if s.Name == name {
			return s
		}
	}
	return Source{}
}

func status(sources []Source) string {
	for _, s := range sources {
		if !evidence.State(s.State).Final() {
			return Partial
		}
	}
	return Complete
}
