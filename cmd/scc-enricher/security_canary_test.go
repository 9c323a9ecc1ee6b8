package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/push"
)

// planter puts a canary of its own, in the shape of a secret, into every text
// of a message.
type planter struct {
	// where tells which field has a canary.
	where map[string]string
	// variant chooses among the fields of a oneof.
	variant int
}

// canary is a text with a secret in it. Shapes take turns.
func (p *planter) canary(where string) string {
	n := len(p.where)
	secret := fmt.Sprintf("Canary%04dq7Zx", n)
	p.where[strings.ToLower(secret)] = where
	shapes := []string{
		"deploy --password=%s now", "Authorization: Bearer %s", "https://root:%s@db.example.com/x",
		"AWS_SECRET_ACCESS_KEY=%s", "https://api.example.com/v1?access_token=%s&a=1", `{"client_secret": "%s"}`,
	}
	return fmt.Sprintf(shapes[n%len(shapes)], secret)
}

// plant fills m. Times, structs and what is deeper than seven messages stay
// empty.
func (p *planter) plant(m protoreflect.Message, where string, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		at := where + "." + string(f.Name())
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() && o.Fields().Get(p.variant%o.Fields().Len()) != f {
			continue
		}
		switch {
		case f.IsMap():
			key := protoreflect.ValueOfString("key").MapKey()
			if f.MapKey().Kind() != protoreflect.StringKind {
				continue
			}
			entries := m.Mutable(f).Map()
			if f.MapValue().Kind() == protoreflect.StringKind {
				entries.Set(key, protoreflect.ValueOfString(p.canary(at)))
				entries.Set(protoreflect.ValueOfString(p.canary(at+" (key)")).MapKey(), protoreflect.ValueOfString("x"))
			} else if f.MapValue().Kind() == protoreflect.MessageKind && depth < 7 && !wellKnown(f.MapValue().Message()) {
				v := entries.NewValue()
				p.plant(v.Message(), at, depth+1)
				entries.Set(key, v)
			}
		case f.Kind() == protoreflect.StringKind && f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfString(p.canary(at)))
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(p.canary(at)))
		case f.Kind() == protoreflect.MessageKind:
			if wellKnown(f.Message()) || depth >= 7 {
				continue
			}
			if f.IsList() {
				v := m.Mutable(f).List().NewElement()
				p.plant(v.Message(), at, depth+1)
				m.Mutable(f).List().Append(v)
			} else {
				p.plant(m.Mutable(f).Message(), at, depth+1)
			}
		}
	}
}

func wellKnown(d protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

// planted is the JSON of a message full of canaries.
func (p *planter) planted(t *testing.T, m proto.Message, where string) map[string]any {
	t.Helper()
	p.plant(m.ProtoReflect(), where, 0)
	data, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// found fails the test for every canary that is in a text.
func (p *planter) found(t *testing.T, where, text string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`canary[0-9]{4}q7zx`).FindAllString(strings.ToLower(text), -1) {
		i := strings.Index(strings.ToLower(text), m)
		t.Errorf("the secret of %s is in the %s: …%s", p.where[m], where, text[max(0, i-120):min(len(text), i+len(m)+20)])
	}
}

// graves keeps what is said of dead letters.
type graves struct {
	mu   sync.Mutex
	said []string
}

func (g *graves) DeadLetter(_ context.Context, _ *push.Message, reason, cause string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.said = append(g.said, reason+" "+cause)
	return nil
}

// canaryWorld is a project whose workload, logs and reputations are full of
// canaries.
func canaryWorld(t *testing.T, p *planter) *emulator.World {
	t.Helper()
	w := newWorld(t)
	base := "projects/" + testProject + "/locations/europe-west1/services/storefront"
	service, revision := &runpb.Service{}, &runpb.Revision{}
	p.plant(service.ProtoReflect(), "service", 0)
	p.plant(revision.ProtoReflect(), "revision", 0)
	at := timestamppb.New(time.Now().Add(-time.Hour))
	service.Name, service.CreateTime, service.UpdateTime = base, at, at
	service.LatestReadyRevision, service.LatestCreatedRevision = base+"/revisions/storefront-00001-abc", base+"/revisions/storefront-00001-abc"
	service.TrafficStatuses[0].Revision = "storefront-00001-abc"
	service.TrafficStatuses[0].Type = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	revision.Name, revision.Service, revision.CreateTime = base+"/revisions/storefront-00001-abc", "storefront", at
	w.PutRun(revision, service)

	text := func(where string) *structpb.Value { return structpb.NewStringValue(p.canary(where)) }
	entry := func(log string) *loggingpb.LogEntry {
		return &loggingpb.LogEntry{
			LogName: "projects/" + testProject + "/logs/run.googleapis.com%2F" + log, Timestamp: timestamppb.New(time.Now().Add(-2 * time.Minute)),
			Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{
				"project_id": testProject, "location": "europe-west1", "service_name": "storefront", "revision_name": "storefront-00001-abc",
			}},
			Labels: map[string]string{"label": p.canary(log + ".labels")},
		}
	}
	plain, object, request := entry("stderr"), entry("stdout"), entry("requests")
	plain.Payload = &loggingpb.LogEntry_TextPayload{TextPayload: "sh: error: " + p.canary("stderr.text")}
	object.Payload = &loggingpb.LogEntry_JsonPayload{JsonPayload: &structpb.Struct{Fields: map[string]*structpb.Value{
		"message": text("stdout.message"), "password": structpb.NewStringValue(p.canary("stdout.password")), "error": text("stdout.error"),
	}}}
	request.HttpRequest = &ltype.HttpRequest{
		RequestMethod: "POST", RequestUrl: "https://shop.example.com/?cmd=" + p.canary("request.url"), UserAgent: p.canary("request.userAgent"),
		Referer: p.canary("request.referer"), RemoteIp: "203.0.113.9", Status: 500,
	}
	if err := w.AddLogEntries(plain, object, request); err != nil {
		t.Fatal(err)
	}
	reputation, err := json.Marshal(map[string]any{
		"meaningful_name": p.canary("vt.meaningful_name"), "names": []string{p.canary("vt.names")}, "tags": []string{p.canary("vt.tags")},
		"type_description": p.canary("vt.type_description"), "last_analysis_stats": map[string]int{"malicious": 58, "undetected": 14},
		"popular_threat_classification": map[string]any{"suggested_threat_label": p.canary("vt.label")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetReputation("files", testHash, reputation); err != nil {
		t.Fatal(err)
	}
	return w
}

// outputs are everything that has left the process, but for the bytes of dead
// letters, which are kept as they came.
func (r *rig) outputs(t *testing.T, name string, spans *tracetest.InMemoryExporter) map[string]string {
	t.Helper()
	out := map[string]string{"log": r.log.String()}
	marks, err := json.Marshal(own(r.emu.Marks(name)))
	if err != nil {
		t.Fatal(err)
	}
	out["marks"] = string(marks)
	for _, rec := range r.records.get() {
		out["record"] += string(rec)
	}
	for _, c := range r.emu.Calls() {
		out["lookup"] += c.Path + "\n"
		if c.Request != nil {
			out["requests upstream"] += sentText(t, c.Request) + "\n"
		}
	}
	out["metrics"] = strings.Join(slices.Collect(maps.Keys(scrape(t, r))), "\n")
	for _, s := range spans.GetSpans() {
		out["traces"] += fmt.Sprint(s.Name, s.Attributes, s.Events, s.Status, s.Resource) + "\n"
	}
	return out
}

func sentText(t *testing.T, m proto.Message) string {
	t.Helper()
	data, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestCanariesInEveryField: a secret in any text that comes in, from whatever
// side, is in nothing that goes out.
func TestCanariesInEveryField(t *testing.T) {
	// The tracer provider is the process's: no other test may set it.
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })

	for variant := range 3 {
		p := &planter{where: map[string]string{}, variant: variant}
		const key = "CanaryVirusTotalKey0000q7Zx"
		r := newRig(t, rigOptions{emulator: emulator.Options{World: canaryWorld(t, p)}, flags: []string{"--vt-api-key=" + key}})
		name, notification := r.add(newFinding(fmt.Sprintf("canaries%d", variant)))
		full := map[string]any{
			"notificationConfigName": p.canary("notificationConfigName"),
			"resource":               p.planted(t, &securitycenterpb.Resource{}, "resource"),
			"finding":                p.planted(t, &securitycenterpb.Finding{}, "finding"),
		}
		finding := full["finding"].(map[string]any)
		var base map[string]any
		if err := json.Unmarshal(notification, &base); err != nil {
			t.Fatal(err)
		}
		for k, v := range base["finding"].(map[string]any) {
			switch k {
			case "containers": // those of the canaries
			case "processes":
				// The process that is looked at first has canaries, too.
				theirs := finding[k].([]any)
				finding[k] = append(theirs, v.([]any)...)
			default:
				finding[k] = v
			}
		}
		full["resource"].(map[string]any)["name"] = base["finding"].(map[string]any)["resourceName"]
		data, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.where) < 300 {
			t.Fatalf("%d fields have a canary: the walk is broken", len(p.where))
		}
		r.want(data, 204, "written")
		if len(r.records.get()) != 1 {
			t.Fatalf("%d records", len(r.records.get()))
		}
		out := r.outputs(t, name, spans)
		for where, text := range out {
			p.found(t, where, text)
			if strings.Contains(text, key) {
				t.Errorf("the VirusTotal key is in the %s", where)
			}
			if text == "" {
				t.Errorf("no %s: the test proves nothing", where)
			}
		}
		if !strings.Contains(out["record"], "[REDACTED]") || !strings.Contains(out["record"], "db.example.com") {
			t.Errorf("the record tells nothing of it: %s", out["record"])
		}
	}
}

// TestCanariesInFormedFields: texts that have a form, a name, a time, a state,
// are refused or dropped where they do not have it, and not quoted.
func TestCanariesInFormedFields(t *testing.T) {
	t.Parallel()
	p := &planter{where: map[string]string{}}
	dead := &graves{}
	r := newRig(t, rigOptions{})
	r.svc.push.DeadLetters = dead
	names := []string{
		"name", "canonicalName", "parent", "resourceName", "state", "category", "externalUri", "eventTime", "createTime", "severity", "mute",
		"findingClass", "muteUpdateTime", "parentDisplayName", "description", "moduleName",
	}
	var ids []string
	for i, field := range names {
		for j, form := range []string{"%s", "%[2]s/%[1]s", "%[2]s%[1]s"} {
			name, notification := r.add(newFinding(fmt.Sprintf("form%d-%d", i, j)))
			ids = append(ids, name)
			r.deliver(edited(t, notification, func(f map[string]any) {
				f[field] = fmt.Sprintf(form+"%.0[2]s", p.canary(field), fmt.Sprint(f[field]))
			}))
			r.deliver(edited(t, notification, func(f map[string]any) { f[field] = []any{p.canary(field)} }))
			r.deliver(edited(t, notification, func(f map[string]any) { f[field] = map[string]any{p.canary(field): p.canary(field)} }))
		}
	}
	for _, raw := range []string{`"%s"`, `{"finding":"%s"}`, `{"finding":{"%s":1}}`, `%s`, `{"finding": %s}`, `{"finding":{"name":"%s"}`} {
		r.deliver([]byte(fmt.Sprintf(raw, strings.ReplaceAll(p.canary("raw"), `"`, ""))))
	}
	out := r.outputs(t, ids[0], tracetest.NewInMemoryExporter())
	for _, id := range ids {
		out["marks"] += fmt.Sprint(own(r.emu.Marks(id)))
	}
	for where, text := range out {
		p.found(t, where, text)
	}
	if len(dead.said) < 10 {
		t.Errorf("only %d dead letters", len(dead.said))
	}
	p.found(t, "error of a dead letter", strings.Join(dead.said, "\n"))
}
