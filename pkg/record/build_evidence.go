package record

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The bounds of what is kept of logs and configuration.
const (
	maxEntries      = 30
	maxExcerpt      = 12
	maxEntryText    = 500
	maxExcerptText  = 240
	maxContainers   = 10
	maxSourceReason = 300
)

func (b *builder) workload() Workload {
	w := b.f.Workload
	out := Workload{
		Key: clean(w.Key(), 2*maxName), Project: clean(w.Project, maxName), ProjectNumber: clean(w.ProjectNumber, 64),
		Location: clean(w.Location, 64), Kind: clean(string(w.Kind), 32), Name: clean(w.Name, maxName),
		Revision: clean(w.Revision, maxName), Execution: clean(w.Execution, maxName), ConsoleURL: consoleURL(w),
	}
	var c finding.Container
	if len(b.f.Containers) > 0 {
		c = b.f.Containers[0]
	}
	out.Container = b.text(c.Name, maxName)
	cfg := b.ev.Config
	if cfg == nil {
		out.Image = b.text(image(c, nil), 2*maxName)
		return out
	}
	if !cfg.Gone && cfg.RevisionSource != "template" {
		if w.Kind == finding.Job && out.Execution == "" {
			out.Execution = b.text(cfg.Revision, maxName)
		}
		if w.Kind != finding.Job && out.Revision == "" {
			out.Revision = b.text(cfg.Revision, maxName)
		}
	}
	main := cfg.Main(c.Name)
	if out.Container == "" && len(cfg.Containers) == 1 {
		out.Container = b.text(cfg.Containers[0].Name, maxName)
	}
	out.Image = b.text(image(c, main), 2*maxName)
	out.ServiceAccount = b.text(cfg.ServiceAccount, maxName)
	return out
}

// image names the image, by digest where it is known: what the runtime told,
// else what is configured.
func image(c finding.Container, conf *evidence.ContainerConfig) string {
	name, digest := c.URI, ""
	if i := strings.Index(c.ImageID, "sha256:"); i >= 0 {
		digest = c.ImageID[i:]
		if repo := strings.TrimSuffix(c.ImageID[:i], "@"); strings.Contains(repo, "/") && name == "" {
			name = repo
		}
	}
	if conf != nil {
		if name == "" {
			name = conf.Image
		}
		if digest == "" && conf.Digest != "" && (c.URI == "" || repository(c.URI) == repository(conf.Image)) {
			digest = conf.Digest
		}
	}
	switch {
	case digest == "" || strings.Contains(name, "@"):
		return name
	case name == "":
		return digest
	}
	return repository(name) + "@" + digest
}

// repository is an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i]
	}
	return image
}

// consoleURL is the workload's page in the console, or empty for a workload
// without one.
func consoleURL(w finding.Workload) string {
	if w.IsZero() {
		return ""
	}
	at := url.PathEscape(w.Location) + "/" + url.PathEscape(w.Name)
	query := "?project=" + url.QueryEscape(w.Project)
	switch w.Kind {
	case finding.Service:
		return "https://console.cloud.google.com/run/detail/" + at + "/security" + query
	case finding.Job:
		return "https://console.cloud.google.com/run/jobs/details/" + at + "/executions" + query
	case finding.WorkerPool:
		return "https://console.cloud.google.com/run/workerpools/details/" + at + "/revisions" + query
	}
	return ""
}

func (b *builder) logs() *Logs {
	l := &b.ev.Logs
	out := &Logs{
		URL: clean(evidence.LogsURL(b.in.LogQuery), 2000), From: l.From.UTC(), To: l.To.UTC(), Visible: l.Visible,
		Truncated: l.Truncated, Scopes: b.texts(l.Scopes, maxList, maxName), Total: len(l.Entries),
	}
	if !answered(b.ev.LogsState.State) && len(l.Entries) == 0 && out.URL == "" {
		return nil
	}
	signals := b.in.Assessment.Signals
	telling := evidence.Telling(*l, signals, maxEntries)
	for _, s := range first(signals, maxList) {
		v := Signal{Kind: clean(s.Kind, 64), Count: s.Count}
		for _, i := range s.Entries {
			if at := slices.Index(telling, i); at >= 0 {
				v.Entries = append(v.Entries, at)
			}
		}
		out.Signals = append(out.Signals, v)
	}
	if len(l.Entries) == 0 {
		return out
	}
	if e, ok := evidence.EntryRequest(*l, b.f.EventTime); ok {
		entry := b.entry(&e)
		out.EntryRequest = &entry
	}
	for _, i := range telling {
		out.Entries = append(out.Entries, b.entry(&l.Entries[i]))
	}
	for _, e := range evidence.Excerpt(*l, signals, maxExcerpt) {
		if line := b.line(&e); line != "" {
			out.Excerpt = append(out.Excerpt, line)
		}
	}
	return out
}

func answered(s evidence.State) bool {
	return s == evidence.OK || s == evidence.Empty || s == evidence.Partial
}

func (b *builder) entry(e *evidence.LogEntry) LogEntry {
	out := LogEntry{
		Kind: clean(string(e.Kind), 16), Time: e.Time.UTC(), Severity: b.text(e.Severity, 16), LogName: b.text(e.LogName, maxName),
		InsertID: b.text(e.InsertID, 128), Text: b.text(e.Text, maxEntryText), Revision: b.text(e.Revision, maxName),
		Execution: b.text(e.Execution, maxName), Container: b.text(e.Container, maxName), Instance: b.text(e.Instance, maxName),
		Trace: b.text(e.Trace, maxName),
	}
	if r := e.Request; r != nil {
		out.Request = &Request{
			Method: b.text(r.Method, 16), URL: b.defanged(r.URL, maxEntryText), Status: r.Status, RemoteIP: b.defanged(r.RemoteIP, 64),
			UserAgent: b.text(r.UserAgent, maxName), Bytes: r.Bytes, LatencyMS: r.Latency.Milliseconds(),
		}
	}
	if a := e.Audit; a != nil {
		out.Audit = &Audit{
			Method: b.text(a.Method, maxName), Principal: b.text(a.Principal, maxName), CallerIP: b.defanged(a.CallerIP, 64),
			UserAgent: b.text(a.UserAgent, maxName), Resource: b.text(a.Resource, 2*maxName), Code: a.Code,
			Message: b.text(a.Message, maxText), Revision: b.text(a.Revision, maxName), Detail: b.text(a.Detail, maxText), System: a.System,
		}
	}
	return out
}

// line is an entry on one line: its time, and what it says.
func (b *builder) line(e *evidence.LogEntry) string {
	said := b.text(e.Text, maxExcerptText)
	switch {
	case e.Request != nil:
		said = strings.TrimSpace(b.text(e.Request.Method, 16) + " " + b.defanged(e.Request.URL, maxExcerptText))
		said = strings.TrimSpace(said + " " + strconv.Itoa(e.Request.Status) + " from " + b.defanged(e.Request.RemoteIP, 64))
	case e.Audit != nil:
		said = b.text(e.Audit.Method, maxName)
		if e.Audit.Principal != "" {
			said += " by " + b.text(e.Audit.Principal, maxName)
		}
		if e.Audit.CallerIP != "" {
			said += " from " + b.defanged(e.Audit.CallerIP, 64)
		}
		if e.Audit.Code != 0 {
			said += ", refused with code " + strconv.Itoa(e.Audit.Code)
		}
		if e.Audit.Detail != "" {
			said += ": " + b.text(e.Audit.Detail, maxExcerptText)
		}
	}
	if said == "" {
		return ""
	}
	return clean(e.Time.UTC().Format("15:04:05.000Z")+" "+said, maxExcerptText)
}

// lastDeploy is the last deploy before the event, the one that the assessment
// counts.
func (b *builder) lastDeploy() *Deploy {
	d, ok := evidence.DeployOf(b.ev.Logs, b.ev.Config, b.f.Workload.Kind, b.f.EventTime)
	if !ok {
		return nil
	}
	out := &Deploy{Time: d.Time.UTC(), Principal: b.text(d.Principal, maxName), Revision: b.text(d.Revision, maxName), Source: SourceConfig}
	if d.FromLogs {
		out.Source = SourceLogs
	}
	return out
}

func (b *builder) config() *Config {
	c := b.ev.Config
	if c == nil {
		return nil
	}
	out := &Config{
		Resource: b.text(c.Resource, 2*maxName), Revision: b.text(c.Revision, maxName), RevisionSource: clean(c.RevisionSource, 16),
		Gone: c.Gone, RevisionGone: c.RevisionGone, Partial: b.texts(c.Partial, maxList, 64),
		ServiceAccount: b.text(c.ServiceAccount, maxName), DefaultServiceAccount: c.DefaultServiceAccount,
		Ingress: clean(c.Ingress, 64), Invokers: b.texts(c.Invokers, maxList, maxName), AllUsers: c.AllUsers,
		AllAuthenticatedUsers: c.AllAuthenticatedUsers, InvokerIAMDisabled: c.InvokerIAMDisabled, IAPEnabled: c.IAPEnabled,
		IAMKnown: c.IAMKnown, ExecutionEnvironment: clean(c.ExecutionEnvironment, 16), VPCEgress: clean(c.VPCEgress, 64),
		VPCConnector: b.text(c.VPCConnector, maxName), VPCNetworks: b.texts(c.VPCNetworks, maxList, maxName),
		BinaryAuthorization: clean(c.BinaryAuthorization, 64), Breakglass: b.text(c.Breakglass, maxText),
		Creator: b.text(c.Creator, maxName), LastModifier: b.text(c.LastModifier, maxName),
		CreateTime: c.CreateTime.UTC(), UpdateTime: c.UpdateTime.UTC(),
		RevisionCreator: b.text(c.RevisionCreator, maxName), RevisionCreateTime: c.RevisionCreateTime.UTC(),
		Client: b.text(c.Client, maxName), URLs: b.texts(c.URLs, 10, maxName),
		MinInstances: c.MinInstances, MaxInstances: c.MaxInstances,
		ThreatDetection: c.ThreatDetection, OverriddenArgs: c.OverriddenArgs,
	}
	for i := range first(c.Containers, maxContainers) {
		out.Containers = append(out.Containers, b.container(&c.Containers[i]))
	}
	for _, v := range first(c.Volumes, maxList) {
		out.Volumes = append(out.Volumes, Volume{
			Name: b.text(v.Name, maxName), Kind: clean(v.Kind, 16), Source: b.text(v.Source, maxName), Writable: v.Writable,
		})
	}
	for _, t := range first(c.Traffic, maxList) {
		out.Traffic = append(out.Traffic, Traffic{Revision: b.text(t.Revision, maxName), Percent: t.Percent, Tag: b.text(t.Tag, 64), Latest: t.Latest})
	}
	if p := c.Previous; p != nil {
		out.Previous = &Previous{
			Name: b.text(p.Name, maxName), CreateTime: p.CreateTime.UTC(), Creator: b.text(p.Creator, maxName), Image: b.text(p.Image, 2*maxName),
			Digest: b.text(p.Digest, maxName), Changed: b.texts(p.Changed, 10, 32), Details: b.texts(p.Details, maxList, maxName),
		}
	}
	return out
}

func (b *builder) container(c *evidence.ContainerConfig) ContainerConfig {
	out := ContainerConfig{
		Name: b.text(c.Name, maxName), Image: b.text(c.Image, 2*maxName), Digest: b.text(c.Digest, maxName),
		Command: b.args(slices.Concat(c.Command, c.Args), maxStep), EnvNames: b.texts(c.EnvNames, maxEnvNames, 128),
		PlaintextSecretEnv: b.texts(c.PlaintextSecretEnv, maxEnvNames, 128), Ports: first(c.Ports, 20), Probes: b.texts(c.Probes, 10, maxName),
	}
	for _, s := range first(slices.Concat(c.SecretEnv, c.SecretMounts), maxList) {
		out.Secrets = append(out.Secrets, Secret{Name: b.text(s.Name, maxName), Secret: b.text(s.Secret, maxName), Version: b.text(s.Version, 64)})
	}
	for _, m := range first(c.Mounts, maxList) {
		out.Mounts = append(out.Mounts, Mount{Volume: b.text(m.Volume, maxName), Path: b.text(m.Path, maxName)})
	}
	return out
}

func (b *builder) reputations() []Reputation {
	var out []Reputation
	for i := range first(b.ev.Reputations, maxReputations) {
		r := &b.ev.Reputations[i]
		v := Reputation{
			Kind: clean(r.Artifact.Kind, 16), Value: b.defanged(r.Artifact.Value, maxText), Role: clean(r.Artifact.Role, 16),
			Path: b.text(r.Artifact.Path, 2*maxName), State: state(r.State), Reason: b.text(r.Reason, maxSourceReason),
			Malicious: r.Malicious, Suspicious: r.Suspicious, Engines: r.Engines, Label: b.text(r.Label, 128),
			Names: b.texts(r.Names, 5, 128), Type: b.text(r.Type, 64), FirstSeen: r.FirstSeen.UTC(),
			LastAnalysis: r.LastAnalysis.UTC(), AskedAt: r.AskedAt.UTC(), URL: b.text(r.URL, maxText),
		}
		if r.State == evidence.OK || r.State == evidence.Empty {
			v.Verdict = clean(string(r.Verdict), 16)
		}
		if r.Artifact.Kind == "file" {
			v.Value = hash(r.Artifact.Value)
		}
		out = append(out, v)
	}
	return out
}

func (b *builder) sources() []Source {
	return []Source{
		b.source(SourceFindings, b.ev.FindingsState),
		b.source(SourceLogs, b.ev.LogsState),
		b.source(SourceConfig, b.ev.ConfigState),
		b.source(SourceVirusTotal, b.ev.VTState),
	}
}

func (b *builder) source(name string, st evidence.Status) Source {
	out := Source{Name: name, State: state(st.State), DurationMS: st.Took.Milliseconds(), RetryAt: st.RetryAt.UTC().Truncate(time.Second)}
	reason := b.text(st.Reason, maxSourceReason)
	if st.State == "" && reason == "" {
		reason = "not asked"
	}
	switch evidence.State(out.State) {
	case evidence.Error, evidence.Timeout, evidence.Denied, evidence.Quota:
		out.Error = reason
	default:
		out.Reason = reason
	}
	return out
}

// state is the state in its closed set; anything else was never asked, which
// must not look like an answer.
func state(s evidence.State) string {
	switch s {
	case evidence.OK, evidence.Empty, evidence.Partial, evidence.Quota, evidence.Denied, evidence.Timeout,
		evidence.Error, evidence.Disabled, evidence.NotApplicable:
		return string(s)
	}
	return string(evidence.Error)
}
