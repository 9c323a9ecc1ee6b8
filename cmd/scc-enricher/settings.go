package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // WORKING_TIME_ZONE, on an image without time zones

	"github.com/alecthomas/kong"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/cloudlogging"
	"github.com/scc-enricher/scc-enricher/pkg/publish"
	"github.com/scc-enricher/scc-enricher/pkg/virustotal"
)

// duration is a flag that keeps its fault instead of stopping at it, so that
// all faults of a configuration are reported together.
type duration struct {
	time.Duration
	fault error
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error { //nolint:unparam // encoding.TextUnmarshaler; the fault is reported by check
	v, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		d.fault = fmt.Errorf("%q is no duration: write it like 30m or 15s", text)
	case v <= 0:
		d.fault = fmt.Errorf("%q must be more than zero", text)
	}
	d.Duration = v
	return nil
}

// count is a number with the same behaviour.
type count struct {
	n     int
	fault error
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *count) UnmarshalText(text []byte) error { //nolint:unparam // encoding.TextUnmarshaler; the fault is reported by check
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 {
		c.fault = fmt.Errorf("%q is no whole number of zero or more", text)
	}
	c.n = n
	return nil
}

// secret is a value that never prints.
type secret string

// String implements fmt.Stringer.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return "REDACTED"
}

// GoString implements fmt.GoStringer.
func (s secret) GoString() string { return s.String() }

// faults gathers what is wrong with a configuration, each with its variable.
type faults []error

func (f *faults) add(variable string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("%s: %w", variable, err))
	}
}

func (f *faults) must(ok bool, variable, format string, args ...any) {
	if !ok {
		f.add(variable, fmt.Errorf(format, args...))
	}
}

func (f *faults) err() error {
	if len(*f) == 0 {
		return nil
	}
	lines := make([]string, 0, len(*f)+1)
	lines = append(lines, fmt.Sprintf("the configuration has %d fault(s):", len(*f)))
	for _, e := range *f {
		lines = append(lines, "  "+strings.ReplaceAll(e.Error(), "\n", "\n    "))
	}
	return usageError{errors.New(strings.Join(lines, "\n"))}
}

// upstreams are the settings of everything that is asked; serve and enrich share them.
type upstreams struct {
	SCCParent string `name:"scc-parent" env:"SCC_PARENT" placeholder:"organizations/N" help:"Whose findings are read: organizations/N, folders/N or projects/P. Default: the parent in each finding's canonical name."`

	CorrelationWindow duration `env:"CORRELATION_WINDOW" default:"30m" help:"Largest gap between neighbours of one incident."`
	IncidentMaxSpan   duration `env:"INCIDENT_MAX_SPAN" default:"24h" help:"An incident never spans more."`
	SettleDelay       duration `env:"SETTLE_DELAY" default:"15s" help:"How long after a finding its incident is settled."`
	LogWindowBefore   duration `env:"LOG_WINDOW_BEFORE" default:"10m" help:"Container logs read before the event."`
	LogWindowAfter    duration `env:"LOG_WINDOW_AFTER" default:"2m" help:"Container logs read after the event."`
	EnrichTimeout     duration `env:"ENRICH_TIMEOUT" default:"20s" help:"Deadline of one finding; keep it below the subscription's acknowledgement deadline."`
	SourceTimeout     duration `env:"SOURCE_TIMEOUT" default:"8s" help:"Deadline of one source inside it."`
	MarkPrefix        string   `env:"MARK_PREFIX" default:"enrich_" help:"Prefix of every mark key we own."`
	LogScopes         []string `env:"LOG_SCOPES" default:"projects/{project}" help:"Where logs are read, comma-separated; {project} is the workload's project. Name bucket views where a sink moved the logs: projects/{project}/locations/L/buckets/B/views/V."`

	VTAPIKey            secret `name:"vt-api-key" env:"VT_API_KEY" placeholder:"KEY" help:"VirusTotal API key. Without one VirusTotal is disabled, which is not a fault."`
	VTLookups           string `name:"vt-lookups" env:"VT_LOOKUPS" default:"files" help:"What VirusTotal is asked about: files, or files,indicators (also public addresses, domains and URLs of the finding, which it then learns)."`
	VTRequestsPerMinute count  `name:"vt-requests-per-minute" env:"VT_REQUESTS_PER_MINUTE" default:"4" help:"VirusTotal budget in any sliding minute."`
	VTRequestsPerDay    count  `name:"vt-requests-per-day" env:"VT_REQUESTS_PER_DAY" default:"500" help:"VirusTotal budget in a UTC day."`
	LoggingReadsPerMin  count  `name:"logging-reads-per-minute" env:"LOGGING_READS_PER_MINUTE" default:"60" help:"Budget of entries.list in any sliding minute."`
	SCCReadsPerMinute   count  `name:"scc-reads-per-minute" env:"SCC_READS_PER_MINUTE" default:"1000" help:"Budget of Security Command Center reads."`
	SCCWritesPerMinute  count  `name:"scc-writes-per-minute" env:"SCC_WRITES_PER_MINUTE" default:"1000" help:"Budget of Security Command Center writes."`
	RecordTopic         string `env:"RECORD_TOPIC" placeholder:"projects/P/topics/T" help:"Where each full record is published."`
	PolicyFile          string `env:"POLICY_FILE" placeholder:"FILE" help:"Scoring policy; default: the embedded one."`
	SCCEndpoint         string `name:"scc-endpoint" env:"SCC_ENDPOINT" placeholder:"HOST:PORT" help:"Security Command Center: http://host:port is plaintext without credentials, host:port is TLS."`
	LoggingEndpoint     string `env:"LOGGING_ENDPOINT" placeholder:"HOST:PORT" help:"Cloud Logging, same form."`
	RunEndpoint         string `env:"RUN_ENDPOINT" placeholder:"HOST:PORT" help:"Cloud Run Admin API, same form."`
	VTEndpoint          string `name:"vt-endpoint" env:"VT_ENDPOINT" placeholder:"SCHEME://HOST:PORT" help:"VirusTotal; the client adds /api/v3."`
	WorkingTimeZone     string `env:"WORKING_TIME_ZONE" default:"UTC" placeholder:"ZONE" help:"Time zone, such as Europe/Berlin, in which a deploy at night (20:00 to 06:00) or at a weekend is out of hours."`
	LogLevel            string `env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`

	// now is the clock of budgets, circuits, caches and follow-ups; time.Now if nil.
	now func() time.Time

	// policy is the one POLICY_FILE names, or the embedded one; check loads it.
	policy *assess.Policy
	// zone is that of WORKING_TIME_ZONE, nil for UTC; check loads it.
	zone *time.Location
}

// The values of VT_LOOKUPS.
const (
	lookupsFiles = "files"
	lookupsAll   = "files,indicators"
)

// The largest durations that are taken. Pub/Sub waits for an acknowledgement
// for at most 10 minutes (google.pubsub.v1.Subscription, ack_deadline_seconds);
// Cloud Logging keeps container logs for 30 days by default.
const (
	maxSpan       = 30 * 24 * time.Hour
	maxSettle     = time.Hour
	maxLogWindow  = 24 * time.Hour
	maxEnrichTime = 9 * time.Minute
	// maxBudget bounds a budget's count, and so the memory of its window.
	maxBudget = 1_000_000
	maxPort   = 65535
)

var (
	parentForm   = regexp.MustCompile(`^(organizations/[0-9]+|folders/[0-9]+|projects/[a-z0-9][a-z0-9.:-]*)$`)
	prefixForm   = regexp.MustCompile(`^[a-z0-9_]{1,100}$`)
	endpointForm = regexp.MustCompile(`^(http://)?[A-Za-z0-9.-]+:[0-9]{1,5}/?$|^(http://)?\[[0-9A-Fa-f:]+\]:[0-9]{1,5}/?$`)
)

// check adds every fault of the shared settings, and loads the policy.
func (u *upstreams) check(f *faults) {
	f.must(u.SCCParent == "" || parentForm.MatchString(u.SCCParent), "SCC_PARENT", "%q is not organizations/N, folders/N or projects/P", u.SCCParent)
	u.checkTimes(f)
	u.checkBudgets(f)
	f.must(prefixForm.MatchString(u.MarkPrefix), "MARK_PREFIX", "%q must be 1 to 100 lower-case letters, digits or _", u.MarkPrefix)
	if u.RecordTopic != "" {
		f.add("RECORD_TOPIC", publish.CheckTopic(u.RecordTopic))
	}
	f.add("LOG_SCOPES", cloudlogging.CheckScopes(u.LogScopes))
	for _, e := range []struct{ name, value string }{
		{"SCC_ENDPOINT", u.SCCEndpoint}, {"LOGGING_ENDPOINT", u.LoggingEndpoint}, {"RUN_ENDPOINT", u.RunEndpoint},
	} {
		f.add(e.name, checkEndpoint(e.value))
	}
	f.add("VT_API_KEY", virustotal.CheckKey(string(u.VTAPIKey)))
	f.must(u.VTLookups == lookupsFiles || u.VTLookups == lookupsAll, "VT_LOOKUPS", "%q is neither %s nor %s", u.VTLookups, lookupsFiles, lookupsAll)
	f.add("VT_ENDPOINT", virustotal.CheckEndpoint(u.VTEndpoint))
	switch u.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		f.must(false, "LOG_LEVEL", "%q is none of debug, info, warn, error", u.LogLevel)
	}
	u.checkZone(f)
	var err error
	u.policy, err = loadPolicy(u.PolicyFile)
	f.add("POLICY_FILE", err)
}

// checkZone loads the time zone, which is in the binary: an image need not have it.
func (u *upstreams) checkZone(f *faults) {
	zone, err := time.LoadLocation(u.WorkingTimeZone)
	f.must(err == nil && u.WorkingTimeZone != "Local", "WORKING_TIME_ZONE", "%q is no time zone: write it like Europe/Berlin", u.WorkingTimeZone)
	if err == nil && zone != time.UTC {
		u.zone = zone
	}
}

// checkTimes adds the faults of the durations, and of those that do not go
// together.
func (u *upstreams) checkTimes(f *faults) {
	for _, d := range []struct {
		name string
		d    duration
		most time.Duration
	}{
		{"CORRELATION_WINDOW", u.CorrelationWindow, maxSpan}, {"INCIDENT_MAX_SPAN", u.IncidentMaxSpan, maxSpan},
		{"SETTLE_DELAY", u.SettleDelay, maxSettle},
		{"LOG_WINDOW_BEFORE", u.LogWindowBefore, maxLogWindow}, {"LOG_WINDOW_AFTER", u.LogWindowAfter, maxLogWindow},
		{"ENRICH_TIMEOUT", u.EnrichTimeout, maxEnrichTime}, {"SOURCE_TIMEOUT", u.SourceTimeout, maxEnrichTime},
	} {
		f.add(d.name, d.d.fault)
		if d.d.fault == nil {
			f.must(d.d.Duration <= d.most, d.name, "%s is more than %s", d.d.Duration, d.most)
		}
	}
	if u.EnrichTimeout.fault == nil && u.SourceTimeout.fault == nil && u.SourceTimeout.Duration <= maxEnrichTime {
		f.must(u.SourceTimeout.Duration < u.EnrichTimeout.Duration, "SOURCE_TIMEOUT", "%s must be below ENRICH_TIMEOUT (%s), or no time is left to write", u.SourceTimeout.Duration, u.EnrichTimeout.Duration)
	}
	if u.CorrelationWindow.fault == nil && u.IncidentMaxSpan.fault == nil && max(u.CorrelationWindow.Duration, u.IncidentMaxSpan.Duration) <= maxSpan {
		f.must(u.CorrelationWindow.Duration <= u.IncidentMaxSpan.Duration, "INCIDENT_MAX_SPAN", "%s must not be below CORRELATION_WINDOW (%s)", u.IncidentMaxSpan.Duration, u.CorrelationWindow.Duration)
	}
}

// checkBudgets adds the faults of the budgets.
func (u *upstreams) checkBudgets(f *faults) {
	for _, c := range []struct {
		name string
		c    count
	}{
		{"VT_REQUESTS_PER_MINUTE", u.VTRequestsPerMinute}, {"VT_REQUESTS_PER_DAY", u.VTRequestsPerDay},
		{"LOGGING_READS_PER_MINUTE", u.LoggingReadsPerMin}, {"SCC_READS_PER_MINUTE", u.SCCReadsPerMinute}, {"SCC_WRITES_PER_MINUTE", u.SCCWritesPerMinute},
	} {
		f.add(c.name, c.c.fault)
		if c.c.fault == nil {
			f.must(c.c.n >= 1 && c.c.n <= maxBudget, c.name, "%d is not between 1 and %d", c.c.n, maxBudget)
		}
	}
}

// checkEndpoint returns why a gRPC endpoint is none. Empty is Google's own.
func checkEndpoint(value string) error {
	if value == "" {
		return nil
	}
	if !endpointForm.MatchString(value) {
		return fmt.Errorf("%q is neither http://host:port nor host:port", value)
	}
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(value, "http://"), "/"))
	if err != nil {
		return fmt.Errorf("%q is neither http://host:port nor host:port", value)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > maxPort {
		return fmt.Errorf("%q has no port between 1 and %d", value, maxPort)
	}
	return nil
}

// ignoreEmpty makes an environment variable that is set and empty count as not
// set, so that the default holds: deployment tools pass on what they were not
// given as "".
func ignoreEmpty(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			f.Tag.Envs = slices.DeleteFunc(slices.Clone(f.Tag.Envs), func(name string) bool {
				value, set := os.LookupEnv(name)
				return set && value == ""
			})
		}
		return next(nil)
	})
}

// overridden reports whether any upstream is an emulator or a local server.
func (u *upstreams) overridden() bool {
	return strings.HasPrefix(u.SCCEndpoint, "http://") || strings.HasPrefix(u.LoggingEndpoint, "http://") || strings.HasPrefix(u.RunEndpoint, "http://")
}
