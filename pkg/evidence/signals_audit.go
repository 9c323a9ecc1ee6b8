package evidence

import (
	"strings"
	"time"
)

// rollout is how long after a deploy call its revision may become ready or fail.
const rollout = 15 * time.Minute

// method is the last part of an audit method name: "Services.ReplaceService"
// is spelled with and without "google.cloud.run.v1." or a leading slash.
func method(e *LogEntry) string {
	if e.Audit == nil {
		return ""
	}
	m := e.Audit.Method
	return m[strings.LastIndexAny(m, "./")+1:]
}

// succeeded reports whether the audited call was allowed and done.
func succeeded(e *LogEntry) bool { return e.Audit != nil && e.Audit.Code == 0 }

func changesIAM(e *LogEntry) bool { return succeeded(e) && method(e) == "SetIamPolicy" }

func runsJob(e *LogEntry) bool {
	return succeeded(e) && !e.Audit.System && method(e) == "RunJob"
}

// deploys reports whether somebody called a method that changes what runs.
func deploys(e *LogEntry) bool {
	if e.Kind != LogAudit || !succeeded(e) || e.Audit.System {
		return false
	}
	switch method(e) {
	case "CreateService", "ReplaceService", "UpdateService",
		"CreateJob", "ReplaceJob", "UpdateJob",
		"CreateWorkerPool", "ReplaceWorkerPool", "UpdateWorkerPool":
		return true
	}
	return false
}

// readiness reports whether a system event tells the outcome of a revision's
// rollout, and whether it became ready.
func readiness(e *LogEntry) (ready, ok bool) {
	if e.Kind != LogAudit || e.Audit == nil || !e.Audit.System || e.Audit.Revision == "" {
		return false, false
	}
	switch {
	case strings.Contains(e.Audit.Message, "Ready condition status changed to True"):
		return true, true
	case strings.Contains(e.Audit.Message, "Ready condition status changed to False"), e.Audit.Code != 0:
		return false, true
	}
	return false, false
}

// deployEntries returns the deploy calls; where none is visible, the revisions
// that became ready.
func deployEntries(l Logs) []int {
	var calls, ready []int
	seen := map[string]bool{}
	for i := range l.Entries {
		e := &l.Entries[i]
		if deploys(e) {
			calls = append(calls, i)
		}
		if isReady, ok := readiness(e); ok && isReady && !seen[e.Audit.Revision] {
			seen[e.Audit.Revision] = true
			ready = append(ready, i)
		}
	}
	if len(calls) > 0 {
		return calls
	}
	return ready
}

// LastDeploy returns the newest deploy or job run before the event that took
// effect, with its principal, and with the revision it made where a following
// system event tells it. A deploy whose revision never became ready is passed
// over. Where only system events are visible the answer has no principal.
func LastDeploy(l Logs) (LogEntry, bool) {
	for i := len(l.Entries) - 1; i >= 0; i-- {
		e := l.Entries[i]
		if !l.Event.IsZero() && e.Time.After(l.Event) {
			continue
		}
		if runsJob(&e) {
			return e, true
		}
		if !deploys(&e) {
			continue
		}
		if revision, failed := outcome(l, i); failed {
			continue
		} else if e.Audit.Revision == "" && revision != "" {
			audit := *e.Audit
			audit.Revision = revision
			e.Audit = &audit
		}
		return e, true
	}
	return lastReady(l)
}

// lastReady returns the newest system event before the event that says that a
// revision became ready, if no deploy call is visible.
func lastReady(l Logs) (LogEntry, bool) {
	for i := len(l.Entries) - 1; i >= 0; i-- {
		e := l.Entries[i]
		if !l.Event.IsZero() && e.Time.After(l.Event) {
			continue
		}
		if ready, ok := readiness(&e); ok && ready {
			return e, true
		}
	}
	return LogEntry{}, false
}

// outcome tells which revision the deploy at index i made, and whether its
// rollout failed, by the system events up to the next deploy.
func outcome(l Logs, i int) (revision string, failed bool) {
	from := l.Entries[i].Time
	for j := i + 1; j < len(l.Entries); j++ {
		e := &l.Entries[j]
		if e.Time.Sub(from) > rollout || deploys(e) {
			break
		}
		ready, ok := readiness(e)
		if !ok {
			continue
		}
		revision, failed = e.Audit.Revision, !ready
		if ready {
			return revision, false
		}
	}
	return revision, failed
}
