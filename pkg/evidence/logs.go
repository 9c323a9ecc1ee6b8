package evidence

import (
	"net/url"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// LogKind is what a log entry is.
type LogKind string

// The kinds of log entries of a Cloud Run workload.
const (
	LogApp     LogKind = "app"     // stdout, stderr and other logs the program writes
	LogRequest LogKind = "request" // run.googleapis.com/requests
	LogSystem  LogKind = "system"  // run.googleapis.com/varlog/system
	LogAudit   LogKind = "audit"   // cloudaudit.googleapis.com/*
)

// LogEntry is one entry, reduced to what an investigation reads. Text is untrusted.
type LogEntry struct {
	Kind     LogKind
	Time     time.Time
	InsertID string
	LogName  string
	Severity string
	// Text is the text payload, or the message of a JSON payload; at most 8 KiB.
	Text      string
	Revision  string
	Execution string
	Container string
	Instance  string
	Trace     string
	Request   *Request
	Audit     *Audit
}

// Request is an HTTP request log entry.
type Request struct {
	Method    string
	URL       string
	Status    int
	RemoteIP  string
	UserAgent string
	// Bytes is the size of the response.
	Bytes int64
	// Latency is how long the answer took; the entry's time is when the
	// request came in.
	Latency time.Duration
}

// Audit is a Cloud Audit Logs entry.
type Audit struct {
	// Method is the full method name; match it by suffix.
	Method    string
	Principal string
	CallerIP  string
	UserAgent string
	Resource  string
	// Code is the google.rpc code; 0 means it succeeded.
	Code    int
	Message string
	// Revision is the revision a deploy made, where the entry tells it.
	Revision string
	// System is true for a system event: what the platform did by itself,
	// such as a revision becoming ready. It has no principal.
	System bool
	// Detail says what the call set, in at most 1 KiB: the images of a deploy,
	// the bindings of a SetIamPolicy, the overrides of a RunJob. Untrusted.
	Detail string
}

// Logs are the entries around an event.
type Logs struct {
	// Entries are in order of time, at most the adapter's bound.
	Entries []LogEntry
	// Truncated is true when there were more entries than the bound.
	Truncated bool
	// Visible is false when the answer held no entry of the workload at all,
	// application, request, system or audit: the logs may be routed elsewhere.
	Visible bool
	// Scopes are the resource names asked.
	Scopes []string
	// Event is the event time that was asked about.
	Event time.Time
	// From and To bound the application log window.
	From, To time.Time
	// Zone is where working hours are counted; nil is UTC.
	Zone *time.Location
}

// LogResource returns the monitored resource type that the logs of a kind of
// workload carry, and the resource label that names the workload. Both are
// empty for an unknown kind.
func LogResource(k finding.Kind) (resourceType, nameLabel string) {
	switch k {
	case finding.Service:
		return "cloud_run_revision", "service_name"
	case finding.Job:
		return "cloud_run_job", "job_name"
	case finding.WorkerPool:
		return "cloud_run_worker_pool", "worker_pool_name"
	}
	return "", ""
}

// LogsURL is the Logs Explorer link to the workload's entries from Event-Before
// to Event+After; it is empty when the workload has no name.
func LogsURL(q LogQuery) string {
	resourceType, nameLabel := LogResource(q.Workload.Kind)
	if resourceType == "" || q.Workload.Name == "" {
		return ""
	}
	lines := []string{
		"resource.type=" + quoteLog(resourceType),
		"resource.labels." + nameLabel + "=" + quoteLog(q.Workload.Name),
	}
	if q.Workload.Location != "" {
		lines = append(lines, "resource.labels.location="+quoteLog(q.Workload.Location))
	}
	u := "https://console.cloud.google.com/logs/query;query=" + escapeMatrix(strings.Join(lines, "\n"))
	if !q.Event.IsZero() {
		u += ";startTime=" + escapeMatrix(q.Event.Add(-q.Before).UTC().Format(time.RFC3339)) +
			";endTime=" + escapeMatrix(q.Event.Add(q.After).UTC().Format(time.RFC3339))
	}
	return u + "?project=" + url.QueryEscape(q.Workload.Project)
}

// quoteLog quotes a string of the Logging query language.
func quoteLog(s string) string {
	if strings.ContainsAny(s, "\\\"\n\r") {
		s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(s)
	}
	return `"` + s + `"`
}

// escapeMatrix escapes the value of a path parameter, where "+" is not a space.
func escapeMatrix(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
