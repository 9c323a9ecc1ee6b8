package main

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// faultScenario is one thing that goes wrong.
type faultScenario struct {
	name string
	// injected says it in words.
	injected string
	rules    []emulator.Fault
	// quotas are those of the emulated services, without limit if nil.
	quotas *emulator.Quotas
	flags  []string
	push   emulator.PushOptions
	// skew is how far Security Command Center's clock is ahead of ours.
	skew time.Duration
	// outage is for how long follow-ups run before everything heals.
	outage time.Duration
	// first are the states that the first marks must name, where they do not
	// depend on the order of things.
	first string
	// denied is the project whose findings stay denied until a backfill.
	denied string
	// repeats allows writes of marks that were there: an answer got lost.
	repeats bool
	// long runs only where all are asked for.
	long bool
}

// mostAttempts bounds the attempts at one source for one finding, from its
// arrival to its rest, redeliveries aside.
const mostAttempts = 12

const halfHour = 30 * time.Minute

// quick are flags under which a source that hangs costs little time.
func quick() []string { return []string{"--source-timeout=300ms", "--enrich-timeout=4s"} }

func faultScenarios() []faultScenario {
	all := [][]faultScenario{sourcesDown(), quotasSpent(), writesFail(), slowSources(), oddLists(), oddDeliveries()}
	list := []faultScenario{{name: "none", injected: "nothing", first: "all answered"}}
	for _, some := range all {
		list = append(list, some...)
	}
	return list
}

func sourcesDown() []faultScenario {
	u := codes.Unavailable
	return []faultScenario{
		{name: "flaky", injected: "25 % of all calls, writes included, `UNAVAILABLE`", rules: []emulator.Fault{{Method: "*", Code: u, Probability: 0.25}}, outage: 10 * time.Minute},
		{name: "findings_down", injected: "`ListFindings` `UNAVAILABLE`, 30 min", rules: []emulator.Fault{{Method: "ListFindings", Code: u}}, outage: halfHour, first: "findings=error 18"},
		{name: "logs_down", injected: "Cloud Logging `UNAVAILABLE`, 30 min", rules: []emulator.Fault{{Method: "ListLogEntries", Code: u}}, outage: halfHour, first: "logs=error 18"},
		{name: "config_down", injected: "Cloud Run Admin API `UNAVAILABLE`, 30 min", rules: []emulator.Fault{{Method: "google.cloud.run.v2.*/*", Code: u}}, outage: halfHour, first: "config=error 18"},
		{name: "virustotal_down", injected: "VirusTotal HTTP 503, 30 min", rules: []emulator.Fault{{Method: "virustotal/*", Code: u}}, outage: halfHour, first: "virustotal=error 18"},
		{
			name: "all_sources_down", injected: "every source `UNAVAILABLE`, marks can be written, 2 h", outage: 2 * time.Hour,
			rules: []emulator.Fault{{Method: "List*", Code: u}, {Method: "Get*", Code: u}, {Method: "virustotal/*", Code: u}},
			first: "config=error 18, findings=error 18, logs=error 18, virustotal=error 18",
		},
		{name: "resets", injected: "10 % of all calls break their connection", repeats: true, rules: []emulator.Fault{{Method: "*", Reset: true, Probability: 0.1}}, outage: 10 * time.Minute},
		{
			name: "denied", injected: "one project of three `PERMISSION_DENIED` to all reads; then granted, and a backfill", outage: 10 * time.Minute, denied: "fault-prod-2",
			rules: []emulator.Fault{{Method: "List*", Project: "fault-prod-2", Code: codes.PermissionDenied}, {Method: "Get*", Project: "fault-prod-2", Code: codes.PermissionDenied}},
			first: "config=denied 6, findings=denied 6, logs=denied 6",
		},
	}
}

func quotasSpent() []faultScenario {
	unlimited := emulator.Quotas{SCCReads: -1, SCCWrites: -1, LoggingReads: -1, RunReads: -1, VTPerMinute: -1, VTPerDay: -1}
	public, daily, logs := unlimited, unlimited, unlimited
	public.VTPerMinute, public.VTPerDay = 4, 500
	daily.VTPerMinute, daily.VTPerDay = -1, 10
	logs.LoggingReads = 2
	return []faultScenario{
		{
			name: "virustotal_quota", injected: "VirusTotal HTTP 429 to every lookup, 30 min", rules: []emulator.Fault{{Method: "virustotal/*", Code: codes.ResourceExhausted, RetryAfter: time.Minute}},
			outage: halfHour, first: "virustotal=quota 18",
		},
		{
			name: "virustotal_public_key", injected: "VirusTotal's public quota, 4 a minute, for 18 hashes", quotas: &public,
			flags: []string{"--vt-requests-per-minute=4", "--vt-requests-per-day=500"}, first: "virustotal=quota 14",
		},
		{
			name: "virustotal_day", injected: "VirusTotal's day of 10 lookups for 18 hashes", quotas: &daily,
			flags: []string{"--vt-requests-per-day=10"}, first: "virustotal=quota 8",
		},
		{name: "log_budget", injected: "log budget of 2 reads a minute for 6 services", flags: []string{"--logging-reads-per-minute=2"}},
		{name: "log_quota", injected: "Cloud Logging's quota of 2 reads a minute, our budget wrongly above it", quotas: &logs},
		{
			name: "mark_quota", injected: "mark writes over Google's quota: 5 a minute, the rest 429",
			rules: []emulator.Fault{{Method: "UpdateSecurityMarks", PerMinute: 5, RetryAfter: 10 * time.Second}}, outage: 5 * time.Minute,
		},
		{name: "mark_budget", injected: "write budget of 5 a minute", flags: []string{"--scc-writes-per-minute=5"}},
	}
}

func writesFail() []faultScenario {
	return []faultScenario{
		{name: "marks_down", injected: "mark writes `UNAVAILABLE`, 30 min", rules: []emulator.Fault{{Method: "UpdateSecurityMarks", Code: codes.Unavailable}}, outage: halfHour},
		{
			name: "marks_denied", injected: "mark writes `PERMISSION_DENIED`, 30 min", rules: []emulator.Fault{{Method: "UpdateSecurityMarks", Code: codes.PermissionDenied}}, outage: halfHour,
		},
		{
			name: "marks_unanswered", injected: "30 % of mark writes take effect and answer `DEADLINE_EXCEEDED`", repeats: true,
			rules: []emulator.Fault{{Method: "UpdateSecurityMarks", Served: true, Code: codes.DeadlineExceeded, Probability: 0.3}}, outage: 10 * time.Minute,
		},
		{
			name: "scc_down", injected: "all of Security Command Center `UNAVAILABLE`, 30 min", outage: halfHour,
			rules: []emulator.Fault{{Method: "google.cloud.securitycenter.v2.*/*", Code: codes.Unavailable}},
		},
	}
}

func slowSources() []faultScenario {
	return []faultScenario{
		{name: "findings_hang", injected: "`ListFindings` never answers, 10 min", rules: []emulator.Fault{{Method: "ListFindings", Hang: true}}, flags: quick(), outage: 10 * time.Minute},
		{name: "logs_hang", injected: "Cloud Logging never answers, 10 min", rules: []emulator.Fault{{Method: "ListLogEntries", Hang: true}}, flags: quick(), outage: 10 * time.Minute},
		{name: "config_hang", injected: "Cloud Run Admin API answers after `SOURCE_TIMEOUT`, 10 min", rules: []emulator.Fault{{Method: "Get*", Latency: time.Second}}, flags: quick(), outage: 10 * time.Minute},
		{name: "virustotal_hang", injected: "VirusTotal's body takes longer than `SOURCE_TIMEOUT`, 10 min", rules: []emulator.Fault{{Method: "virustotal/*", SlowBody: time.Second}}, flags: quick(), outage: 10 * time.Minute},
		{name: "late", injected: "every call 100 ms late", rules: []emulator.Fault{{Method: "*", Latency: 100 * time.Millisecond}}, first: "all answered"},
		{name: "marks_hang", injected: "mark writes never answer, 5 min", rules: []emulator.Fault{{Method: "UpdateSecurityMarks", Hang: true}}, flags: []string{"--source-timeout=300ms", "--enrich-timeout=1s"}, outage: 5 * time.Minute, long: true},
	}
}

func oddLists() []faultScenario {
	return []faultScenario{
		{name: "list_lag", injected: "findings are listed a minute after their notification", rules: []emulator.Fault{{Method: "ListFindings", ListLag: time.Minute}}, outage: 10 * time.Minute, first: "all answered"},
		{name: "pages", injected: "first pages empty, pages of 2 results", rules: []emulator.Fault{{Method: "List*", EmptyPages: true, ShortPages: 2}}, outage: 10 * time.Minute},
		{name: "clock_ahead", injected: "Security Command Center's clock 10 min ahead of ours", skew: 10 * time.Minute, first: "all answered"},
		{name: "clock_behind", injected: "Security Command Center's clock 10 min behind ours", skew: -10 * time.Minute, first: "all answered"},
	}
}

func oddDeliveries() []faultScenario {
	return []faultScenario{
		{name: "deliveries", injected: "each message three times, in random order, 20 % of acknowledgements lost", push: emulator.PushOptions{Duplicates: 2, DuplicateAfter: 200 * time.Millisecond, Shuffle: true, LostAcks: 0.2}},
		{
			name: "everything", injected: "25 % `UNAVAILABLE`, 5 % resets, 5 % late, 20 % quota, duplicates, random order, lost acknowledgements, list lag", outage: 10 * time.Minute, repeats: true,
			rules: []emulator.Fault{
				{Method: "*", Code: codes.Unavailable, Probability: 0.25}, {Method: "*", Reset: true, Probability: 0.05}, {Method: "*", Latency: 200 * time.Millisecond, Probability: 0.05},
				{Method: "*", Code: codes.ResourceExhausted, RetryAfter: 5 * time.Second, Probability: 0.05}, {Method: "ListFindings", ListLag: 20 * time.Second},
			},
			push: emulator.PushOptions{Duplicates: 1, DuplicateAfter: 100 * time.Millisecond, Shuffle: true, LostAcks: 0.2},
		},
	}
}
