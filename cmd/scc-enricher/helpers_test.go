package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	securitycenter "cloud.google.com/go/securitycenter/apiv2"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// The emulated world of these tests: one project with one public service.
const (
	testProject  = "shop-prod-4711"
	testNumber   = "415926535897"
	testSource   = "projects/" + testNumber + "/sources/7001/locations/global"
	testResource = "//run.googleapis.com/projects/" + testProject + "/locations/europe-west1/services/storefront"
	testHash     = "1885f9b55cecbfa23e2f2276f94ce37e7b8e47f67d09b6aa91201108e32c884a"
	testPusher   = "pubsub-push@" + testProject + ".iam.gserviceaccount.com"
)

// newWorld is a project with the service storefront, which runs since an hour
// and has one line in its log.
func newWorld(t testing.TB) *emulator.World {
	t.Helper()
	w := emulator.NewWorld(nil)
	w.AddProject(emulator.Project{ID: testProject, Number: testNumber, Organization: "882103374521"})
	w.AddService(emulator.WorkloadSpec{
		Project: testProject, Location: "europe-west1", Name: "storefront", Created: time.Now().Add(-time.Hour),
		Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL, Public: true,
	})
	addLog(t, w, "sh: 1: wget: not found")
	return w
}

// addLog adds a line to the service's standard error, two minutes ago.
func addLog(t testing.TB, w *emulator.World, line string) {
	t.Helper()
	err := w.AddLogEntries(&loggingpb.LogEntry{
		LogName: "projects/" + testProject + "/logs/run.googleapis.com%2Fstderr", Timestamp: timestamppb.New(time.Now().Add(-2 * time.Minute)),
		Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{
			"project_id": testProject, "location": "europe-west1", "service_name": "storefront", "revision_name": "storefront-00001-abc",
		}},
		Payload: &loggingpb.LogEntry_TextPayload{TextPayload: line},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newFinding is a shell that java started on storefront two minutes ago.
// Arguments, paths and values are JSON strings inside, as process.proto says.
func newFinding(id string) *securitycenterpb.Finding {
	return &securitycenterpb.Finding{
		CanonicalName: testSource + "/findings/" + id, Category: "Unexpected Child Shell", ParentDisplayName: "Cloud Run Threat Detection",
		ResourceName: testResource, Severity: securitycenterpb.Finding_HIGH, FindingClass: securitycenterpb.Finding_THREAT,
		EventTime:  timestamppb.New(time.Now().Add(-2 * time.Minute)),
		Containers: []*securitycenterpb.Container{{Name: "app", Uri: "europe-west1-docker.pkg.dev/shop-prod-4711/apps/storefront:v1"}},
		Processes: []*securitycenterpb.Process{{
			Name: "sh", Pid: 17, ParentPid: 1, Args: []string{`"sh"`, `"-c"`, `"id; uname -a"`},
			Binary: &securitycenterpb.File{Path: `"/bin/dash"`, Size: 125688, HashedSize: 125688, Sha256: testHash},
		}, {Name: "java", Pid: 1, Args: []string{`"java"`, `"-jar"`, `"/app/shop.jar"`}}},
	}
}

// rig is the service on a loopback listener, in front of emulated APIs.
type rig struct {
	t   *testing.T
	emu *emulator.Emulator
	svc *service
	// api is the base URL of Google's emulated APIs, vt that of VirusTotal, url
	// that of the push endpoint.
	api, vt, url string
	log      *buffer
	records  *rawRecords
	// stop ends the service as SIGTERM does, and returns what serve returned.
	stop func() error

	mu        sync.Mutex
	published [][]byte
}

// rigOptions say how a rig differs from the service with default settings,
// emulated upstreams and without authentication.
type rigOptions struct {
	emulator emulator.Options
	// signer, if set, makes the service verify tokens.
	signer *emulator.Signer
	flags  []string
	// now, if set, is the service's clock.
	now func() time.Time
	// change changes the service before it serves; may be nil.
	change func(*service)
	// topics leaves the record topic in place; without it records are kept in
	// the rig.
	topics bool
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	if o.emulator.World == nil {
		o.emulator.World = newWorld(t)
	}
	o.emulator.Signer = o.signer
	r := &rig{t: t, log: &buffer{}, records: &rawRecords{}}
	emu, err := emulator.New(o.emulator)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	r.emu = emu
	if r.api, err = emu.Start(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if r.vt, err = emu.StartVirusTotal(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	emu.OnPublish(func(n emulator.Notification) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.published = append(r.published, n.Data)
	})
	listener := listen(t)
	r.url = "http://" + listener.Addr().String() + "/push"
	args := []string{
		"--scc-endpoint=" + r.api, "--logging-endpoint=" + r.api, "--run-endpoint=" + r.api, "--vt-endpoint=" + r.vt, "--vt-api-key=made-up",
		"--push-auth=none",
	}
	if o.signer != nil {
		args = append(args, "--push-auth=oidc", "--push-audience="+r.url, "--push-service-account="+testPusher, "--push-jwks-url="+r.api+"/oauth2/v3/certs")
	}
	r.stop = serveAt(t, listener, r.log, o.now, func(svc *service) {
		r.svc = svc
		if !o.topics {
			svc.pipeline.Records = countedRecords{r.records, svc.metrics}
		}
		if o.change != nil {
			o.change(svc)
		}
	}, append(args, o.flags...)...)
	return r
}

// serveOn builds the service as serve does, and serves on the listener until
// the function it returns is called, or the test ends.
func serveOn(t testing.TB, l net.Listener, log io.Writer, change func(*service), args ...string) (stop func() error) {
	t.Helper()
	return serveAt(t, l, log, nil, change, args...)
}

// serveAt is serveOn by another clock.
func serveAt(t testing.TB, l net.Listener, log io.Writer, now func() time.Time, change func(*service), args ...string) (stop func() error) {
	t.Helper()
	settings, err := defaultServe(args...)
	if err != nil {
		t.Fatal(err)
	}
	settings.now = now
	logger, err := telemetry.NewLogger(log, "info")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	svc, err := newService(ctx, settings, logger)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if change != nil {
		change(svc)
	}
	ended := make(chan error, 1)
	go func() { ended <- svc.serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return stop
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// freePort is a port that was free a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	l := listen(t)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

// add lets a finding arrive in the emulated Security Command Center, and
// returns its canonical name and notification.
func (r *rig) add(f *securitycenterpb.Finding) (name string, notification []byte) {
	r.t.Helper()
	if err := r.emu.AddFinding(f, nil, nil); err != nil {
		r.t.Fatal(err)
	}
	return f.GetCanonicalName(), r.last()
}

// last is the notification that was published last.
func (r *rig) last() []byte {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.published) == 0 {
		r.t.Fatal("nothing was published")
	}
	return r.published[len(r.published)-1]
}

// deliver posts data as Pub/Sub pushes it, and returns the status.
func (r *rig) deliver(data []byte) int {
	r.t.Helper()
	return r.post(envelope(r.t, data), "")
}

func (r *rig) post(body []byte, token string) int {
	r.t.Helper()
	status, err := post(r.t.Context(), r.url, body, token)
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

// want delivers data and checks the answer, and the reason in its log line.
func (r *rig) want(data []byte, status int, reason string) {
	r.t.Helper()
	if got := r.deliver(data); got != status {
		r.t.Errorf("status %d, want %d; log: %s", got, status, r.log.lastLine())
	}
	if got := r.log.last(r.t)["reason"]; got != reason {
		r.t.Errorf("reason %q, want %q; log: %s", got, reason, r.log.lastLine())
	}
}

// untouched runs do and checks that no emulated API was called meanwhile.
func (r *rig) untouched(do func()) {
	r.t.Helper()
	r.emu.ResetCalls()
	do()
	for _, c := range r.emu.Calls() {
		r.t.Errorf("upstream call %s", c.Method)
	}
}

// scc is Google's own client of the emulated Security Command Center.
func (r *rig) scc() *securitycenter.Client {
	r.t.Helper()
	c, err := securitycenter.NewClient(r.t.Context(), upstream.ClientOptions(r.api)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// post sends one request; an empty token is none.
func post(ctx context.Context, url string, body []byte, token string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// envelope wraps data as Pub/Sub's push body.
func envelope(t testing.TB, data []byte) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"subscription": "projects/shop-prod-4711/subscriptions/scc-enricher",
		"message":      map[string]any{"data": data, "messageId": "4711", "publishTime": "2026-01-02T03:04:05Z", "attributes": map[string]string{"origin": "test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// eventually polls until ok, and fails the test after the limit.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

// buffer is a writer that may be read meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// deliveries are the log's lines about deliveries.
func (b *buffer) deliveries() []string {
	return slices.DeleteFunc(strings.Split(b.String(), "\n"), func(l string) bool { return !strings.Contains(l, `"message":"delivery"`) })
}

func (b *buffer) lastLine() string {
	lines := b.deliveries()
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// last decodes the last delivery's line.
func (b *buffer) last(t testing.TB) map[string]any {
	t.Helper()
	var line map[string]any
	if err := json.Unmarshal([]byte(b.lastLine()), &line); err != nil {
		t.Fatalf("the last log line is not JSON: %v: %q", err, b.lastLine())
	}
	return line
}

// rawRecords keeps the records that were published, as bytes.
type rawRecords struct {
	mu  sync.Mutex
	all [][]byte
}

// Record implements enrich.RecordPublisher.
func (r *rawRecords) Record(_ context.Context, data []byte, _ map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, data)
	return nil
}

func (r *rawRecords) get() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// command runs the program with args and input, and returns its exit code,
// standard output and standard error.
func command(ctx context.Context, in string, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(ctx, args, streams{in: strings.NewReader(in), out: &o, err: &e})
	return code, o.String(), e.String()
}

// own are the marks that are ours.
func own(marks map[string]string) map[string]string {
	mine := maps.Clone(marks)
	maps.DeleteFunc(mine, func(k, _ string) bool { return !strings.HasPrefix(k, "enrich_") })
	return mine
}

// wantsGcloud skips a test where its programs are missing, or fails it where
// REQUIRE_GCLOUD=1 says that they must be there.
func wantsGcloud(t *testing.T, programs ...string) {
	t.Helper()
	required := os.Getenv("REQUIRE_GCLOUD") == "1"
	if testing.Short() && !required {
		t.Skip("starts gcloud, which takes seconds: skipped with -short")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if required {
			t.Fatalf("%s is not installed, and REQUIRE_GCLOUD=1 says that it must be", p)
		}
		t.Skipf("%s is not installed; set REQUIRE_GCLOUD=1 to fail instead", p)
	}
}

// gcloudEnv is an environment in which gcloud is on its own: no credentials,
// no configuration, no questions.
func gcloudEnv(t testing.TB, extra ...string) []string {
	t.Helper()
	env := append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true", "CLOUDSDK_CORE_DISABLE_FILE_LOGGING=true")
	return append(env, extra...)
}
