package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// TestServeDrains: SIGTERM lets the delivery under way finish, and takes no
// other.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
		if c.Name() == "UpdateSecurityMarks" {
			close(reached)
			<-release
		}
		return nil
	}}})
	name, notification := r.add(newFinding("drain"))
	body := envelope(t, notification)
	type answer struct {
		status int
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		status, err := post(t.Context(), r.url, body, "")
		answered <- answer{status, err}
	}()
	<-reached
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	// A new connection is answered, not refused.
	eventually(t, 5*time.Second, "503 for further deliveries", func() bool {
		return r.post(envelope(t, []byte("{}")), "") == http.StatusServiceUnavailable
	})
	if got := r.log.last(t)["reason"]; got != "shutting_down" {
		t.Errorf("refused with the reason %v", got)
	}
	base := strings.TrimSuffix(r.url, "/push")
	if status, err := post(t.Context(), base+followUpPath, []byte("{}"), ""); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a follow-up while draining: status %d, %v", status, err)
	}
	if status := get(t, base+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz while draining: status %d", status)
	}
	select {
	case err := <-stopped:
		t.Fatalf("serve ended with a delivery under way: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if a := <-answered; a.err != nil || a.status != http.StatusNoContent {
		t.Errorf("the delivery under way: status %d, %v", a.status, a.err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutting down took %s", took)
	}
	if r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Error("no marks")
	}
	for _, want := range []string{`"message":"draining"`, `"message":"stopped"`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("not in the log: %s", want)
		}
	}
}

// TestServeAborts: a delivery that hangs is told to come again, before the
// platform kills the process.
func TestServeAborts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the end of the drain: skipped with -short")
	}
	reached := make(chan struct{})
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(ctx context.Context, c emulator.Call) error {
		if c.Name() == "UpdateSecurityMarks" {
			close(reached)
			<-ctx.Done()
		}
		return nil
	}}})
	_, notification := r.add(newFinding("hangs"))
	body := envelope(t, notification)
	status := make(chan int, 2)
	send := func(body io.Reader) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, body)
		if err != nil {
			t.Error(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			status <- -1
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}
	go send(bytes.NewReader(body))
	// Another's body does not come to its end.
	slow, begun := io.Pipe()
	t.Cleanup(func() { _ = begun.Close() })
	go send(slow)
	if _, err := begun.Write([]byte(`{"message":`)); err != nil {
		t.Fatal(err)
	}
	<-reached
	time.Sleep(100 * time.Millisecond) // the beginning of the body is on its way
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutting down took %s", took)
	}
	for range 2 {
		if got := <-status; got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
	}
	lines := r.log.deliveries()
	if len(lines) != 2 {
		t.Fatalf("%d log lines: %s", len(lines), r.log)
	}
	for _, line := range lines {
		if !strings.Contains(line, `"reason":"shutting_down"`) {
			t.Errorf("not shutting_down: %s", line)
		}
	}
}

// TestServeHangsUp: connections that carry no request do not keep the process.
func TestServeHangsUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	address := strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/push")
	for _, sent := range []string{"", "POST /push HTTP/1.1\r\nHost: x\r\n"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
	}
	// Those connections were accepted before this one.
	if status := get(t, strings.TrimSuffix(r.url, "/push")+"/healthz"); status != http.StatusOK {
		t.Fatalf("/healthz: status %d", status)
	}
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("shutting down took %s", took)
	}
}

// get asks a URL and returns the status.
func get(t testing.TB, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestServeRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	base := strings.TrimSuffix(r.url, "/push")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodGet, "/readyz", http.StatusOK},
		{http.MethodGet, "/metrics", http.StatusOK},
		{http.MethodGet, "/push", http.StatusMethodNotAllowed},
		{http.MethodPut, "/push", http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusMethodNotAllowed},
		{http.MethodGet, "/elsewhere", http.StatusNotFound},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, resp.StatusCode, c.status)
		}
	}
	// The path without a name is a push endpoint too.
	name, notification := r.add(newFinding("root"))
	status, err := post(t.Context(), base+"/", envelope(t, notification), "")
	if err != nil || status != http.StatusNoContent || r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Errorf("POST /: status %d, %v", status, err)
	}
	// So is an unwrapped subscription's body.
	name, notification = r.add(newFinding("unwrapped"))
	if got := r.post(notification, ""); got != http.StatusNoContent || r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Errorf("unwrapped: status %d", got)
	}
}

// TestServeMetrics: what was done can be counted from outside.
func TestServeMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{flags: []string{"--vt-requests-per-day=7"}})
	_, notification := r.add(newFinding("metrics"))
	r.want(notification, http.StatusNoContent, "written")
	r.want(r.last(), http.StatusNoContent, "echo")
	r.want([]byte("{}"), http.StatusUnprocessableEntity, "no_finding")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(r.url, "/push")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`scc_enricher_deliveries_total{reason="written",status="204"} 1`,
		`scc_enricher_deliveries_total{reason="echo",status="204"} 1`,
		`scc_enricher_deliveries_total{reason="no_finding",status="422"} 1`,
		`scc_enricher_mark_writes_total{result="ok"} 1`,
		`scc_enricher_records_total{result="ok"} 1`,
		`scc_enricher_source_seconds_count{source="logs",state="ok"} 1`,
		`scc_enricher_budget_left{upstream="virustotal",window="day"} 6`,
		`scc_enricher_event_to_marks_seconds_count 1`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("not in /metrics: %s", want)
		}
	}
}
