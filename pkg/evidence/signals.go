package evidence

import (
	"maps"
	"slices"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Signal is something telling that was seen in the logs. The set is closed.
type Signal struct {
	// Kind is the signal's name, "http_5xx".
	Kind string
	// Count is how many entries show it.
	Count int
	// Entries index Logs.Entries, at most 5: those nearest to the event, in
	// order of time.
	Entries []int
}

// The closed set of signals. Each is a hint that a person would stop at, not a
// verdict: an attacker can write log lines, and a start-up script can call curl.
const (
	// SignalShellOutput: the container printed what a shell or its common tools print.
	SignalShellOutput = "shell_output"
	// SignalToolOutput: the container printed what a miner, scanner or post-exploitation tool prints.
	SignalToolOutput = "tool_output"
	// SignalCommandInjection: a request carried shell, template or expression code.
	SignalCommandInjection = "command_injection"
	// SignalPathTraversal: a request tried to leave the document root or named a system file.
	SignalPathTraversal = "path_traversal"
	// SignalIndicatorSeen: an address, domain or URL of the finding occurs in a log line or as a client.
	SignalIndicatorSeen = "indicator_seen"
	// SignalProcessNameSeen: a binary or script of the finding is named in a log line.
	SignalProcessNameSeen = "process_name_seen"
	// SignalProbeThenHit: a client got many distinct client errors, or two for
	// files that hold secrets, and then a success.
	SignalProbeThenHit = "probe_then_hit"
	// SignalUploadedScript: a request for code that was uploaded before, or a
	// POST to a script among what others have stored.
	SignalUploadedScript = "uploaded_script"
	// SignalUpload: a file was uploaded in the minutes before the event.
	SignalUpload = "upload"
	// SignalScannerAgent: a request's user agent is a vulnerability scanner.
	SignalScannerAgent = "scanner_agent"
	// SignalIAMChange: the workload's IAM policy was set.
	SignalIAMChange = "iam_change"
	// SignalJobRun: a job was run through the API.
	SignalJobRun = "job_run"
	// SignalDeploy: the workload was created, replaced or updated, or where no
	// such call is visible, a new revision became ready.
	SignalDeploy = "deploy"
	// SignalOffHoursDeploy: one of these was at night or at a weekend; see OffHours.
	SignalOffHoursDeploy = "off_hours_deploy"
	// SignalOOM: memory ran out.
	SignalOOM = "oom"
	// SignalCrash: a container ended on a signal or with a code other than 0, or did not start.
	SignalCrash = "crash"
	// SignalStackTrace: a log line holds a stack trace.
	SignalStackTrace = "stack_trace"
	// SignalHTTP5xx: a request was answered with a server error.
	SignalHTTP5xx = "http_5xx"
	// SignalError: an application or system entry has severity ERROR or above.
	SignalError = "error"
	// SignalErrorBurst: at least ten of these within a minute; their number in the worst minute.
	SignalErrorBurst = "error_burst"
	// SignalHTTP4xx: a request was answered with a client error.
	SignalHTTP4xx = "http_4xx"
	// SignalRestart: the platform started a new instance.
	SignalRestart = "restart"
)

// SignalKinds lists every kind of signal, the most important first.
func SignalKinds() []string {
	return []string{
		SignalShellOutput, SignalToolOutput, SignalCommandInjection, SignalPathTraversal,
		SignalIndicatorSeen, SignalProcessNameSeen, SignalProbeThenHit, SignalUploadedScript, SignalUpload,
		SignalScannerAgent, SignalIAMChange, SignalJobRun, SignalDeploy, SignalOffHoursDeploy, SignalOOM,
		SignalCrash, SignalStackTrace, SignalHTTP5xx, SignalErrorBurst, SignalError, SignalHTTP4xx, SignalRestart,
	}
}

// Bounds of what one signal or excerpt refers to.
const (
	maxSignalEntries = 5
	uploadWindow     = 10 * time.Minute
	// skew is how far clocks of request log and detector may disagree.
	skew = time.Second
)

// Signals says what is telling in the logs around a finding, the most
// important first. f may be nil; without it nothing of the finding is looked
// for. The same logs and finding always give the same answer.
func Signals(l Logs, f *finding.Finding) []Signal {
	s := subjectOf(f)
	if s.event.IsZero() {
		s.event = l.Event
	}
	hits := map[string][]int{}
	fromApp := !hasRequests(l)
	for i := range l.Entries {
		e := &l.Entries[i]
		for _, k := range kindsOf(e, s, fromApp) {
			hits[k] = append(hits[k], i)
		}
	}
	hits[SignalProbeThenHit] = probeHits(l)
	hits[SignalUploadedScript] = uploadedScripts(l)
	hits[SignalDeploy] = deployEntries(l)
	hits[SignalOffHoursDeploy] = offHoursDeploys(l, hits[SignalDeploy])
	hits[SignalErrorBurst] = errorBurst(l, hits[SignalError])

	var out []Signal
	for _, k := range SignalKinds() {
		if len(hits[k]) > 0 {
			out = append(out, Signal{Kind: k, Count: len(hits[k]), Entries: nearest(l, hits[k], s.event)})
		}
	}
	return out
}

// kindsOf returns the signals that one entry shows by itself. fromApp says
// that requests are read from application entries.
func kindsOf(e *LogEntry, s subject, fromApp bool) []string {
	var kinds []string
	add := func(kind string, seen bool) {
		if seen {
			kinds = append(kinds, kind)
		}
	}
	switch e.Kind {
	case LogAudit:
		add(SignalIAMChange, changesIAM(e))
		add(SignalJobRun, runsJob(e))
		add(SignalIndicatorSeen, s.client(e))
		return kinds
	case LogSystem:
		add(SignalError, severe(e.Severity))
		add(SignalOOM, outOfMemory(e.Text))
		add(SignalCrash, crashed(e.Text))
		add(SignalRestart, started(e.Text))
		return kinds
	}
	if e.Kind == LogApp {
		add(SignalError, severe(e.Severity))
		add(SignalShellOutput, shellOutput(e.Text))
		add(SignalToolOutput, toolOutput(e.Text))
		add(SignalProcessNameSeen, s.names(e.Text))
		add(SignalStackTrace, stackTrace(e.Text))
		add(SignalOOM, outOfMemoryApp(e.Text))
		add(SignalCrash, crashedApp(e.Text))
	}
	add(SignalIndicatorSeen, s.indicates(e.Text) || s.client(e))
	if e.Request != nil && (e.Kind == LogRequest || fromApp) {
		kinds = append(kinds, requestKinds(e, s)...)
	}
	return kinds
}

// nearest returns the at most maxSignalEntries of idx that are nearest to
// event, in ascending order; without an event the first ones.
func nearest(l Logs, idx []int, event time.Time) []int {
	if len(idx) <= maxSignalEntries {
		return idx
	}
	idx = slices.Clone(idx)
	if !event.IsZero() {
		slices.SortStableFunc(idx, func(a, b int) int {
			return compareDuration(distance(l.Entries[a].Time, event), distance(l.Entries[b].Time, event))
		})
	}
	idx = idx[:maxSignalEntries]
	slices.Sort(idx)
	return idx
}

// Excerpt returns the most telling entries, at most limit, in order of time.
func Excerpt(l Logs, sigs []Signal, limit int) []LogEntry {
	var out []LogEntry
	for _, i := range Telling(l, sigs, limit) {
		out = append(out, l.Entries[i])
	}
	return out
}

// Telling returns the indexes of the most telling entries, at most limit, in
// ascending order: first one entry of each signal, the most important signal
// first, then a second of each, and so on.
func Telling(l Logs, sigs []Signal, limit int) []int {
	if limit <= 0 {
		return nil
	}
	chosen := map[int]bool{}
	for round := range maxSignalEntries {
		for _, s := range sigs {
			if round >= len(s.Entries) || len(chosen) >= limit {
				continue
			}
			if i := s.Entries[round]; i >= 0 && i < len(l.Entries) {
				chosen[i] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(chosen))
}

// severe reports whether a Cloud Logging severity is ERROR or above.
func severe(severity string) bool {
	switch severity {
	case "ERROR", "CRITICAL", "ALERT", "EMERGENCY":
		return true
	}
	return false
}

// distance is how far apart two times are, never negative.
func distance(a, b time.Time) time.Duration {
	if d := a.Sub(b); d >= 0 {
		return d
	}
	return b.Sub(a)
}

func compareDuration(a, b time.Duration) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
