package evidence

import "time"

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
	Bytes     int64
	Latency   time.Duration
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
	// From and To bound the application log window.
	From, To time.Time
}
