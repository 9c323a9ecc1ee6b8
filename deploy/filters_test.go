package deploy_test

import (
	"regexp"
	"slices"
	"testing"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/zclconf/go-cty/cty"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/logquery"
	"github.com/scc-enricher/scc-enricher/pkg/emulator/sccfilter"
)

// sample is a finding, and whether its notification is wanted.
type sample struct {
	name    string
	finding *securitycenterpb.Finding
	want    bool
}

func samples() []sample {
	const service = "//run.googleapis.com/projects/p/locations/l/services/s"
	active := func(edit func(*securitycenterpb.Finding)) *securitycenterpb.Finding {
		f := &securitycenterpb.Finding{
			ResourceName: service, Category: "Execution: Reverse Shell", State: securitycenterpb.Finding_ACTIVE,
			Mute: securitycenterpb.Finding_UNDEFINED, FindingClass: securitycenterpb.Finding_THREAT, Severity: securitycenterpb.Finding_CRITICAL,
		}
		edit(f)
		return f
	}
	at := func(name string) *securitycenterpb.Finding {
		return active(func(f *securitycenterpb.Finding) { f.ResourceName = name })
	}
	return []sample{
		{"service", at(service), true},
		{"revision", at(service + "/revisions/s-00001"), true},
		{"job", at("//run.googleapis.com/projects/p/locations/l/jobs/j"), true},
		{"worker pool", at("//run.googleapis.com/projects/p/locations/l/workerPools/w"), true},
		{"unmuted", active(func(f *securitycenterpb.Finding) { f.Mute = securitycenterpb.Finding_UNMUTED }), true},
		{"low", active(func(f *securitycenterpb.Finding) { f.Severity = securitycenterpb.Finding_LOW }), true},
		{"a category of tomorrow", active(func(f *securitycenterpb.Finding) { f.Category = "Impact: Something New" }), true},
		// An echo of our own write passes: the next event of a marked finding must.
		{"marked", active(func(f *securitycenterpb.Finding) {
			f.SecurityMarks = &securitycenterpb.SecurityMarks{Marks: map[string]string{"enrich_schema": "1", "enrich_status": "complete"}}
		}), true},
		{"closed", active(func(f *securitycenterpb.Finding) { f.State = securitycenterpb.Finding_INACTIVE }), false},
		{"muted", active(func(f *securitycenterpb.Finding) { f.Mute = securitycenterpb.Finding_MUTED }), false},
		{"a machine", at("//compute.googleapis.com/projects/p/zones/z/instances/run"), false},
		{"a cluster", at("//container.googleapis.com/projects/p/locations/l/clusters/c"), false},
	}
}

// checkFilter evaluates the notification's filter on findings, alone and with
// a further restriction, and checks that every config takes it.
func checkFilter(w *world) []string {
	var f faults
	narrow := everything()
	narrow["finding_filter_extra"] = cty.StringVal(`category : "Reverse" OR category : "Impact"`)
	for _, in := range []inputs{organization(), narrow} {
		s, err := w.m.scope(in)
		if !f.must(err, "scope") {
			continue
		}
		text, err := s.local("finding_filter")
		if !f.must(err, "filter") {
			continue
		}
		filter, err := sccfilter.Parse(text.AsString())
		if !f.must(err, text.AsString()) {
			continue
		}
		for _, sample := range samples() {
			if got := filter.Match(sample.finding, nil); got != sample.want {
				f.add("%s: %s takes it: %t, want %t", sample.name, text.AsString(), got, sample.want)
			}
		}
	}
	for _, kind := range []string{"organization", "folder", "project"} {
		configs := w.m.of("google_scc_v2_" + kind + "_notification_config")
		if len(configs) != 1 {
			f.add("%d notification configs for %s, want 1", len(configs), kind)
			continue
		}
		streaming := blocks(configs[0].body, "streaming_config")
		if len(streaming) != 1 || w.m.source(streaming[0].Attributes["filter"]) != "local.finding_filter" {
			f.add("%s does not use local.finding_filter", configs[0])
		}
	}
	return f
}

// TestNarrowedFilter evaluates the example of a further restriction that the
// README gives.
func TestNarrowedFilter(t *testing.T) {
	t.Parallel()
	w := readWorld(t, nil)
	m := regexp.MustCompile("`(parent : [^`]+)`").FindStringSubmatch(w.readme)
	if m == nil {
		t.Fatal("the README has no example")
	}
	in := organization()
	in["finding_filter_extra"] = cty.StringVal(m[1])
	s, err := w.m.scope(in)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.local("finding_filter")
	if err != nil {
		t.Fatal(err)
	}
	filter, err := sccfilter.Parse(text.AsString())
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]bool{"111": true, "222": true, "333": false} {
		f := samples()[0].finding
		f.Parent = "organizations/1/sources/" + source + "/locations/global"
		if got := filter.Match(f, nil); got != want {
			t.Errorf("source %s: %s takes it: %t, want %t", source, text.AsString(), got, want)
		}
	}
}

// line is a log line of the service, and the metrics that count it.
type line struct {
	name   string
	fields map[string]any
	want   []string
}

func lines() []line {
	return []line{
		{"written", nil, []string{"written"}},
		{"written, nothing found", map[string]any{"source_virustotal": "empty", "source_logs": "empty"}, []string{"written"}},
		{"written without VirusTotal", map[string]any{"source_virustotal": "disabled", "source_config": "not_applicable"}, []string{"written"}},
		{"logs denied", map[string]any{"source_logs": "denied"}, []string{"partial", "written"}},
		{"configuration late", map[string]any{"source_config": "timeout"}, []string{"partial", "written"}},
		{"VirusTotal used up", map[string]any{"source_virustotal": "quota"}, []string{"budget_exhausted", "partial", "written"}},
		{"writes used up", map[string]any{"reason": "write_quota", "status": 503}, []string{"budget_exhausted"}},
		{"echo", map[string]any{"reason": "echo"}, nil},
		{"another line", map[string]any{"message": "stopped"}, nil},
	}
}

// delivery is a log line as Cloud Logging has it.
func delivery(fields map[string]any) (*logquery.Entry, error) {
	payload := map[string]any{"message": "delivery", "status": 204, "outcome": "done", "reason": "written"}
	for _, s := range []string{"findings", "logs", "config", "virustotal"} {
		payload["source_"+s] = "ok"
	}
	for k, v := range fields {
		payload[k] = v
	}
	p, err := structpb.NewStruct(payload)
	if err != nil {
		return nil, err
	}
	return logquery.Prepare(&loggingpb.LogEntry{
		Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{"service_name": "scc-enricher"}},
		Payload:  &loggingpb.LogEntry_JsonPayload{JsonPayload: p},
	})
}

// checkLogMetrics evaluates the filters of the log-based metrics on deliveries.
func checkLogMetrics(w *world) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	metrics, err := s.local("log_metrics")
	if !f.must(err, "metrics") {
		return f
	}
	for _, l := range lines() {
		entry, err := delivery(l.fields)
		if !f.must(err, l.name) {
			continue
		}
		var got []string
		for it := metrics.ElementIterator(); it.Next(); {
			name, metric := it.Element()
			q, err := logquery.Parse(metric.GetAttr("filter").AsString())
			if f.must(err, name.AsString()) && q.Match(entry) {
				got = append(got, name.AsString())
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, l.want) {
			f.add("%s: counted by %v, want %v", l.name, got, l.want)
		}
	}
	return f
}
