package evidence

import (
	"net/http"
	"slices"
	"time"
)

// entryWindow is how long before the event the way in is looked for.
const entryWindow = 5 * time.Minute

// Scores of EntryRequest: how much each feature makes a request the way in.
const (
	scoreInjection = 5
	scoreTraversal = 3
	scoreUpload    = 3
	scoreScript    = 4
	scoreInFlight  = 3
	scoreScanner   = 2
	scoreProber    = 2
	scoreClose     = 2
	scoreWrite     = 1
	scoreNear      = 1
	scoreClear     = 4
)

// EntryRequest returns the request that most likely led to the event: one that
// came in during the five minutes before it and carries code, climbs
// directories, uploads, comes from a scanner or was being served at that very
// time. It answers only when the choice is clear: no other client has a request
// that looks nearly as guilty.
func EntryRequest(l Logs, event time.Time) (LogEntry, bool) {
	if event.IsZero() {
		return LogEntry{}, false
	}
	probers := map[string]bool{}
	for _, i := range probeHits(l) {
		probers[l.Entries[i].Request.RemoteIP] = true
	}
	fromApp := !hasRequests(l)
	scripts := uploadedScripts(l)
	best, bestScore := -1, 0
	scores := make([]int, len(l.Entries))
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Request == nil || (e.Kind != LogRequest && !fromApp) {
			continue
		}
		if scores[i] = entryScore(e, event, probers); scores[i] > 0 && slices.Contains(scripts, i) {
			scores[i] += scoreScript
		}
		if scores[i] >= bestScore && scores[i] > 0 {
			best, bestScore = i, scores[i]
		}
	}
	if best < 0 || bestScore < scoreClear {
		return LogEntry{}, false
	}
	for i, s := range scores {
		if s >= bestScore-1 && l.Entries[i].Request.RemoteIP != l.Entries[best].Request.RemoteIP {
			return LogEntry{}, false
		}
	}
	return l.Entries[best], true
}

// entryScore scores one request; 0 is none. A request is logged when it is
// answered, but its time is when it came in.
func entryScore(e *LogEntry, event time.Time, probers map[string]bool) int {
	before := event.Sub(e.Time)
	if before > entryWindow || before < -skew {
		return 0
	}
	r := e.Request
	score := 0
	add := func(n int, when bool) {
		if when {
			score += n
		}
	}
	refused := r.Status >= 400 && r.Status < 500
	add(scoreInjection, injects(r))
	add(scoreTraversal, traverses(r))
	add(scoreUpload, uploads(r))
	add(scoreScanner, scannerAgent(r.UserAgent))
	add(scoreProber, probers[r.RemoteIP] && !refused)
	add(scoreInFlight, !refused && !e.Time.Add(r.Latency+skew).Before(event))
	add(scoreWrite, !refused && (r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch))
	switch {
	case before <= 10*time.Second:
		add(scoreClose, !refused)
	case before <= time.Minute:
		add(scoreNear, !refused)
	}
	return score
}
