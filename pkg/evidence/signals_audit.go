package evidence

import (
	"cmp"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
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

// LastDeploy returns the newest deploy before the event that took effect, with its principal, and with the revision it made where a following
// system event tells it. A deploy whose revision never became ready is passed
// over. Where only system events are visible the answer has no principal. The
// run of a job is no deploy.
func LastDeploy(l Logs) (LogEntry, bool) {
	for i := len(l.Entries) - 1; i >= 0; i-- {
		e := l.Entries[i]
		if !l.Event.IsZero() && e.Time.After(l.Event) {
			continue
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

// sameDeploy is how far apart an audit entry and the revision it made may be.
const sameDeploy = 10 * time.Minute

// Deploy is a change of what runs.
type Deploy struct {
	Time time.Time
	// Principal is who deployed, or empty.
	Principal string
	// Revision is the short name of the revision it made, or empty.
	Revision string
	// FromLogs is true when the audit log shows it, false when only the
	// revision's own times do.
	FromLogs bool
}

// DeployOf returns the last deploy before the event, of the audit log or of the
// reviewed revision's creation, whichever is later. Both are one deploy when
// they are within ten minutes and do not name different people or revisions;
// each then adds what the other lacks. The execution of a job is no deploy, so
// a job has only those of the log. cfg may be nil. Without the event's time
// there is no answer.
func DeployOf(l Logs, cfg *Config, kind finding.Kind, event time.Time) (Deploy, bool) {
	if event.IsZero() {
		return Deploy{}, false
	}
	var d Deploy
	if e, ok := LastDeploy(l); ok && !e.Time.After(event) {
		d = Deploy{Time: e.Time, Revision: e.Revision, FromLogs: true}
		if e.Audit != nil {
			d.Principal = e.Audit.Principal
			if e.Audit.Revision != "" {
				d.Revision = e.Audit.Revision
			}
		}
	}
	if cfg == nil || kind == finding.Job || cfg.RevisionSource == "template" || cfg.RevisionCreateTime.IsZero() || cfg.RevisionCreateTime.After(event) {
		return d, d.FromLogs
	}
	made := Deploy{Time: cfg.RevisionCreateTime, Principal: cfg.RevisionCreator, Revision: cfg.Revision}
	switch {
	case d.FromLogs && distance(d.Time, made.Time) <= sameDeploy && agree(d.Principal, made.Principal) && agree(d.Revision, made.Revision):
		d.Principal, d.Revision = cmp.Or(d.Principal, made.Principal), cmp.Or(d.Revision, made.Revision)
	case made.Time.After(d.Time):
		d = made
	}
	return d, true
}

// agree reports whether two names are the same as far as both are known.
func agree(a, b string) bool { return a == "" || b == "" || strings.EqualFold(a, b) }

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
