package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := buildOnce(); err == nil && dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// buildWanted is closed by the first test that wants the binary: a run without
// such a test builds none.
var buildWanted = make(chan struct{})

var wantBuild = sync.OnceFunc(func() { close(buildWanted) })

// buildOnce builds the program and returns the folder it is in; empty if nobody
// wanted it. Benchmarks measure it as its image has it; for tests the packages
// that "go test" has compiled are linked, which saves compiling all of them anew.
var buildOnce = sync.OnceValues(func() (dir string, err error) {
	select {
	case <-buildWanted:
	default:
		return "", nil
	}
	if dir, err = os.MkdirTemp("", "scc-enricher-test-"); err != nil {
		return "", err
	}
	build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "scc-enricher"), ".")
	if bench := flag.Lookup("test.bench"); bench != nil && bench.Value.String() != "" {
		build.Args = slices.Insert(build.Args, 2, "-trimpath")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("go build: %w: %s", err, out)
	}
	return dir, nil
})

// binary is the path of the program, built once a test run.
func binary(t testing.TB) string {
	t.Helper()
	wantBuild()
	dir, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "scc-enricher")
}

// program is the service in a process of its own.
type program struct {
	t    testing.TB
	args []string
	// base is the URL of the service, url that of its push endpoint.
	base, url string
	log       *buffer
	// discard sends the log nowhere.
	discard bool

	mu  sync.Mutex
	cmd *exec.Cmd
}

// newProgram gives the service an address and the flags of its emulated
// upstreams; start starts it.
func newProgram(t testing.TB, api, vt string, flags ...string) *program {
	t.Helper()
	port := freePort(t)
	p := &program{t: t, base: "http://127.0.0.1:" + port, log: &buffer{}}
	p.url = p.base + "/push"
	p.args = append([]string{
		"serve", "--port=" + port, "--push-auth=none",
		"--scc-endpoint=" + api, "--logging-endpoint=" + api, "--run-endpoint=" + api, "--vt-endpoint=" + vt, "--vt-api-key=made-up",
	}, flags...)
	t.Cleanup(p.kill)
	return p
}

// unlimited are the flags of budgets that never end.
func unlimited() []string {
	var flags []string
	for _, name := range []string{"scc-reads", "scc-writes", "logging-reads", "vt-requests"} {
		flags = append(flags, "--"+name+"-per-minute=1000000")
	}
	return append(flags, "--vt-requests-per-day=1000000")
}

// start starts the process, waits until it is ready, and returns how long that
// took from exec.
func (p *program) start() time.Duration {
	p.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(p.t.Context()), binary(p.t), p.args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	if !p.discard {
		cmd.Stdout, cmd.Stderr = p.log, p.log
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.cmd = cmd
	p.mu.Unlock()
	address := strings.TrimPrefix(p.base, "http://")
	for end := began.Add(20 * time.Second); ; time.Sleep(500 * time.Microsecond) {
		conn, err := (&net.Dialer{}).DialContext(p.t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(end) {
			p.t.Fatalf("not ready within 20 s: %s", p.log)
		}
	}
	if status := get(p.t, p.base+"/readyz"); status != http.StatusOK {
		p.t.Fatalf("/readyz: status %d", status)
	}
	return time.Since(began)
}

// crash sends SIGKILL; the process is gone when wait returns.
func (p *program) crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
	}
}

// wait waits for the end of the process, and returns its state.
func (p *program) wait() *os.ProcessState {
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Wait()
	return cmd.ProcessState
}

func (p *program) kill() {
	p.crash()
	p.wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = nil
}

// stop ends the process as the platform does.
func (p *program) stop() {
	p.t.Helper()
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	state := p.wait()
	p.mu.Lock()
	p.cmd = nil
	p.mu.Unlock()
	if state.ExitCode() != exitDone {
		p.t.Errorf("the service ended with %v: %s", state, p.log.tail(2000))
	}
}

// tail are the last n bytes.
func (b *buffer) tail(n int) string {
	text := b.String()
	return text[max(0, len(text)-n):]
}

// memory reads a field of /proc/PID/status, in bytes: VmRSS is resident now,
// VmHWM the most that ever was.
func (p *program) memory(field string) int64 {
	p.t.Helper()
	p.mu.Lock()
	pid := p.cmd.Process.Pid
	p.mu.Unlock()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatalf("no %s in /proc/%d/status", field, pid)
	return 0
}

// newShops is a project with n public services, shop-0000 and on, that run
// since an hour.
func newShops(n int) *emulator.World {
	w := emulator.NewWorld(nil)
	w.AddProject(emulator.Project{ID: testProject, Number: testNumber, Organization: "882103374521"})
	for i := range n {
		w.AddService(emulator.WorkloadSpec{Project: testProject, Location: "europe-west1", Name: shop(i), Created: time.Now().Add(-time.Hour), Public: true})
	}
	return w
}

func shop(i int) string { return fmt.Sprintf("shop-%04d", i) }

// shopFinding is a finding on the service shop-<at>.
func shopFinding(id string, at int) *securitycenterpb.Finding {
	f := newFinding(id)
	f.ResourceName = "//run.googleapis.com/projects/" + testProject + "/locations/europe-west1/services/" + shop(at)
	f.EventTime = timestamppb.New(time.Now().Add(-time.Minute))
	return f
}

// endless are emulated quotas without limit.
func endless() emulator.Quotas {
	return emulator.Quotas{SCCReads: -1, SCCWrites: -1, LoggingReads: -1, RunReads: -1, VTPerMinute: -1, VTPerDay: -1}
}

// startAPIs serves an emulator until the test ends, and returns the base URLs of
// Google's APIs, over gRPC alone, and of VirusTotal.
func startAPIs(t testing.TB, o emulator.Options) (emu *emulator.Emulator, api, vt string) {
	t.Helper()
	emu, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	l := listen(t)
	go func() { _ = emu.ServeGRPC(ctx, l) }()
	if vt, err = emu.StartVirusTotal(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return emu, "http://" + l.Addr().String(), vt
}

// watched is a transport that tells of every push request and its answer.
type watched struct {
	*http.Transport
	// ended is called with each request and what came of it.
	ended func(r *http.Request, resp *http.Response, err error)
}

// watch makes a client for a Pusher with so many connections.
func watch(conns int, ended func(r *http.Request, resp *http.Response, err error)) *http.Client {
	return &http.Client{Transport: &watched{&http.Transport{MaxIdleConns: conns, MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns}, ended}}
}

// RoundTrip implements http.RoundTripper.
func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.Transport.RoundTrip(r)
	w.ended(r, resp, err)
	return resp, err
}

// findingOf is the canonical name that a push request is about.
func findingOf(t testing.TB, r *http.Request) string {
	t.Helper()
	body, err := r.GetBody()
	if err != nil {
		t.Errorf("push body: %v", err)
		return ""
	}
	var e struct {
		Message struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	var n struct {
		Finding struct {
			CanonicalName string `json:"canonicalName"`
		} `json:"finding"`
	}
	if err := json.NewDecoder(body).Decode(&e); err != nil {
		t.Errorf("push body: %v", err)
	}
	if err := json.Unmarshal(e.Message.Data, &n); err != nil {
		t.Errorf("notification: %v", err)
	}
	return n.Finding.CanonicalName
}
