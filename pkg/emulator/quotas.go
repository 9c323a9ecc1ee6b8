package emulator

import (
	"sync"
	"time"
)

// Quotas are requests per minute and consumer project; 0 is the default named,
// a negative number is no limit.
type Quotas struct {
	// SCCReads and SCCWrites are 1,000 each
	// (https://cloud.google.com/security-command-center/quotas).
	SCCReads, SCCWrites int
	// LoggingReads are 60 (https://cloud.google.com/logging/quotas).
	LoggingReads int
	// RunReads are 3,000.
	RunReads int
	// VTPerMinute and VTPerDay are 4 and 500, those of a public key
	// (https://docs.virustotal.com/reference/public-vs-premium-api). The day is UTC's.
	VTPerMinute, VTPerDay int
}

// jitter is taken off the sliding minute, so that a client that spends exactly
// its budget is not refused because one request travelled faster than another.
const jitter = 250 * time.Millisecond

type limits struct {
	now     func() time.Time
	quotas  Quotas
	mu      sync.Mutex
	windows map[string]*window
	vtDay   string
	vtCount int
}

// window is a ring of the times of the last n requests.
type window struct {
	times []time.Time
	next  int
}

func newLimits(q Quotas, now func() time.Time) *limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&q.SCCReads, 1000}, {&q.SCCWrites, 1000}, {&q.LoggingReads, 60}, {&q.RunReads, 3000}, {&q.VTPerMinute, 4}, {&q.VTPerDay, 500}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return &limits{now: now, quotas: q, windows: map[string]*window{}}
}

// take spends one request of a budget over any sliding minute. Refused
// requests cost nothing.
func (l *limits) take(key string, n int) bool {
	if n < 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[key]
	if w == nil {
		w = &window{times: make([]time.Time, n)}
		l.windows[key] = w
	}
	now := l.now()
	if oldest := w.times[w.next]; !oldest.IsZero() && now.Sub(oldest) < time.Minute-jitter {
		return false
	}
	w.times[w.next] = now
	w.next = (w.next + 1) % n
	return true
}

// budget names the budget a method spends: service, metric and size.
func (l *limits) budget(c *Call) (service, metric string, n int) {
	switch c.Name() {
	case "ListFindings", "GroupFindings", "ListSources", "GetSource":
		return "securitycenter.googleapis.com", "Read requests", l.quotas.SCCReads
	case "UpdateSecurityMarks", "SetMute", "SetFindingState":
		return "securitycenter.googleapis.com", "Write requests", l.quotas.SCCWrites
	case "ListLogEntries":
		return "logging.googleapis.com", "Read requests", l.quotas.LoggingReads
	case "GetService", "ListServices", "GetRevision", "ListRevisions", "GetJob", "ListJobs", "GetExecution", "ListExecutions",
		"GetWorkerPool", "ListWorkerPools", "GetIamPolicy":
		return "run.googleapis.com", "Read requests", l.quotas.RunReads
	}
	return "", "", -1
}

// spend takes a call's share of its budget, or gives the error of the real
// service: RESOURCE_EXHAUSTED with ErrorInfo and QuotaFailure.
func (l *limits) spend(c *Call) error {
	service, metric, n := l.budget(c)
	consumer := "default"
	if v := c.Metadata["x-goog-user-project"]; len(v) > 0 {
		consumer = v[0]
	}
	if l.take(service+"/"+metric+"/"+consumer, n) {
		return nil
	}
	return quotaError(service, metric, consumer, n, 0)
}

// spendVirusTotal takes one lookup, and says which quota is exceeded.
func (l *limits) spendVirusTotal() (exceeded string) {
	if !l.take("virustotal", l.quotas.VTPerMinute) {
		return "minute"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if day := l.now().UTC().Format(time.DateOnly); day != l.vtDay {
		l.vtDay, l.vtCount = day, 0
	}
	if l.vtCount++; l.quotas.VTPerDay >= 0 && l.vtCount > l.quotas.VTPerDay {
		return "day"
	}
	return ""
}
