package push_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scc-enricher/scc-enricher/pkg/push"
)

// fakeProcessor answers with a fixed result and remembers what it was given.
type fakeProcessor struct {
	result push.Result
	panics bool
	// entered and block, where set, tell that a message is inside and hold it there.
	entered, block chan struct{}
	got            []*push.Message
}

func (f *fakeProcessor) Process(_ context.Context, m *push.Message) push.Result {
	f.got = append(f.got, m)
	if f.block != nil {
		f.entered <- struct{}{}
		<-f.block
	}
	if f.panics {
		panic("boom")
	}
	return f.result
}

// fakeDeadLetters keeps what it is given, or fails.
type fakeDeadLetters struct {
	err     error
	kept    []*push.Message
	reasons []string
}

func (f *fakeDeadLetters) DeadLetter(_ context.Context, m *push.Message, reason, _ string) error {
	if f.err != nil {
		return f.err
	}
	f.kept, f.reasons = append(f.kept, m), append(f.reasons, reason)
	return nil
}

type refuse struct{ err error }

func (r refuse) Authenticate(*http.Request) error { return r.err }

func envelope(data string) string {
	return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `","messageId":"7","attributes":{"k":"v"}},"subscription":"projects/p/subscriptions/s","deliveryAttempt":3}`
}

// infinite is a body that never ends.
type infinite struct{}

func (infinite) Read(p []byte) (int, error) { return copy(p, strings.Repeat("x", len(p))), nil }

func TestAckTable(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	tests := []struct {
		name       string
		method     string
		body       io.Reader
		auth       push.Authenticator
		result     push.Result
		panics     bool
		dead       *fakeDeadLetters
		draining   bool
		wantStatus int
		wantReason string
		wantKept   []string
		processed  int
	}{
		{name: "written", result: push.Result{Outcome: push.Done, Reason: "written"}, wantStatus: 204, wantReason: "written", processed: 1},
		{name: "nothing to do", result: push.Result{Outcome: push.Done, Reason: "echo"}, wantStatus: 204, wantReason: "echo", processed: 1},
		{name: "permanent with topic", result: push.Result{Outcome: push.Permanent, Reason: "gone", Err: boom}, dead: &fakeDeadLetters{}, wantStatus: 204, wantReason: "gone", wantKept: []string{"gone"}, processed: 1},
		{name: "permanent without topic", result: push.Result{Outcome: push.Permanent, Reason: "gone", Err: boom}, wantStatus: 422, wantReason: "gone", processed: 1},
		{name: "permanent and the topic fails", result: push.Result{Outcome: push.Permanent, Reason: "gone", Err: boom}, dead: &fakeDeadLetters{err: boom}, wantStatus: 422, wantReason: "gone", processed: 1},
		{name: "may succeed later", result: push.Result{Outcome: push.Retry, Reason: "unavailable", Err: boom}, dead: &fakeDeadLetters{}, wantStatus: 503, wantReason: "unavailable", processed: 1},
		{name: "no outcome is a retry", result: push.Result{}, wantStatus: 503, processed: 1},
		{name: "shutting down", draining: true, wantStatus: 503, wantReason: "shutting_down"},
		{name: "no token", auth: refuse{push.ErrNoToken}, wantStatus: 401, wantReason: "unauthenticated"},
		{name: "bad token", auth: refuse{push.ErrBadToken}, wantStatus: 401, wantReason: "unauthenticated"},
		{name: "wrong caller", auth: refuse{push.ErrWrongCaller}, wantStatus: 403, wantReason: "unauthenticated"},
		{name: "keys unavailable", auth: refuse{push.ErrKeys}, wantStatus: 503, wantReason: "unauthenticated"},
		{name: "token is checked before the body", auth: refuse{push.ErrNoToken}, body: infinite{}, wantStatus: 401, wantReason: "unauthenticated"},
		{name: "too large", body: infinite{}, wantStatus: 413, wantReason: "too_large"},
		{name: "just fits", body: io.LimitReader(infinite{}, push.MaxBody), result: push.Result{Outcome: push.Done}, wantStatus: 204, processed: 1},
		{name: "wrong method", method: http.MethodGet, wantStatus: 405, wantReason: "method"},
		{name: "panic", panics: true, wantStatus: 500, wantReason: "panic", processed: 1},
		{name: "bad envelope", body: strings.NewReader(`{"message":{"data":"%%%"}}`), dead: &fakeDeadLetters{}, wantStatus: 204, wantReason: "bad_envelope", wantKept: []string{"bad_envelope"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			proc := &fakeProcessor{result: tt.result, panics: tt.panics}
			var observed []int
			h := &push.Handler{Processor: proc, Auth: tt.auth, Log: zap.New(core), Observe: func(s int, _ string, _ time.Duration) { observed = append(observed, s) }}
			if tt.dead != nil {
				h.DeadLetters = tt.dead
			}
			if tt.draining {
				h.Drain()
			}
			method, body := tt.method, tt.body
			if method == "" {
				method = http.MethodPost
			}
			if body == nil {
				body = strings.NewReader(envelope("hello"))
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, "/push", body))
			if rec.Code != tt.wantStatus {
				t.Errorf("status = %d, want %d", rec.Code, tt.wantStatus)
			}
			if len(proc.got) != tt.processed {
				t.Errorf("processed %d times, want %d", len(proc.got), tt.processed)
			}
			if tt.dead != nil {
				if diff := cmp.Diff(tt.wantKept, tt.dead.reasons); diff != "" {
					t.Errorf("dead letters (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff([]int{tt.wantStatus}, observed); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
			lines := logs.All()
			if len(lines) != 1 {
				t.Fatalf("want exactly one log line, got %d", len(lines))
			}
			if got := lines[0].ContextMap()["reason"]; got != tt.wantReason {
				t.Errorf("logged reason = %v, want %q", got, tt.wantReason)
			}
			if tt.panics && lines[0].ContextMap()["stack"] == nil {
				t.Error("the panic's stack is not in the log line")
			}
		})
	}
}

// TestShutdownIsTheReason: whatever a delivery that may come again was doing
// when the server ended it, its line says shutting_down.
func TestShutdownIsTheReason(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, tt := range []struct {
		name       string
		cause      error
		result     push.Result
		wantStatus int
		wantReason string
	}{
		{"a write that was cut off", push.ErrShuttingDown, push.Result{Outcome: push.Retry, Reason: "write_failed", Err: boom}, 503, "shutting_down"},
		{"the caller went away", nil, push.Result{Outcome: push.Retry, Reason: "write_failed", Err: boom}, 503, "caller_gone"},
		{"finished all the same", push.ErrShuttingDown, push.Result{Outcome: push.Done, Reason: "written"}, 204, "written"},
		{"can never succeed", push.ErrShuttingDown, push.Result{Outcome: push.Permanent, Reason: "gone", Err: boom}, 422, "gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(tt.cause)
			h := &push.Handler{Processor: &fakeProcessor{result: tt.result}, Log: zap.New(core)}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/push", strings.NewReader(envelope("x"))))
			if got := logs.All()[0].ContextMap()["reason"]; rec.Code != tt.wantStatus || got != tt.wantReason {
				t.Errorf("status %d, reason %v, want %d, %s", rec.Code, got, tt.wantStatus, tt.wantReason)
			}
		})
	}
}

// TestShutdownEndsSlowBody: a body that does not come is not waited for beyond
// the request's context.
func TestShutdownEndsSlowBody(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	ctx, cancel := context.WithCancelCause(t.Context())
	srv := httptest.NewUnstartedServer(&push.Handler{Processor: &fakeProcessor{}, Log: zap.New(core)})
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	t.Cleanup(srv.Close)
	body, send := io.Pipe()
	t.Cleanup(func() { _ = send.Close() })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = send.Write([]byte(`{"message":`))
		cancel(push.ErrShuttingDown)
	}()
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
	if lines := logs.All(); len(lines) != 1 || lines[0].ContextMap()["reason"] != "shutting_down" {
		t.Errorf("log: %v", lines)
	}
}

func TestDegradedIsAWarning(t *testing.T) {
	t.Parallel()
	for degraded, want := range map[bool]zapcore.Level{true: zap.WarnLevel, false: zap.InfoLevel} {
		core, logs := observer.New(zap.DebugLevel)
		h := &push.Handler{Processor: &fakeProcessor{result: push.Result{Outcome: push.Done, Reason: "written", Degraded: degraded}}, Log: zap.New(core)}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/push", strings.NewReader(envelope("x"))))
		if got := logs.All()[0].Level; rec.Code != http.StatusNoContent || got != want {
			t.Errorf("degraded %v: status %d at level %s, want 204 at %s", degraded, rec.Code, got, want)
		}
	}
}

func TestBusyAnswersRetryAfter(t *testing.T) {
	t.Parallel()
	proc := &fakeProcessor{result: push.Result{Outcome: push.Done}, entered: make(chan struct{}), block: make(chan struct{})}
	h := &push.Handler{Processor: proc, Log: zap.NewNop(), MaxInFlight: 1}
	post := func() *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/push", strings.NewReader(envelope("x"))))
		return rec
	}
	first := make(chan *httptest.ResponseRecorder, 1)
	go func() { first <- post() }()
	<-proc.entered
	if busy := post(); busy.Code != http.StatusServiceUnavailable || busy.Header().Get("Retry-After") == "" {
		t.Errorf("a full handler answered %d with headers %v, want 503 with Retry-After", busy.Code, busy.Header())
	}
	close(proc.block)
	if done := <-first; done.Code != http.StatusNoContent {
		t.Errorf("the delivery inside answered %d, want 204", done.Code)
	}
}

func TestLogLineHoldsNoPayload(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	h := &push.Handler{Processor: &fakeProcessor{result: push.Result{Outcome: push.Permanent, Reason: "no_finding", Err: errors.New("line one\r\nforged: line")}}, Log: zap.New(core), Project: "proj"}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/push", strings.NewReader(envelope("s3cr3t-payload")))
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.ServeHTTP(httptest.NewRecorder(), req)
	got := logs.All()[0].ContextMap()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "s3cr3t-payload") {
		t.Error("the payload is in the log line")
	}
	if e, _ := got["error"].(string); strings.ContainsAny(e, "\r\n") || e == "" {
		t.Errorf("error = %q, want one line", e)
	}
	want := map[string]any{"message_id": "7", "subscription": "projects/p/subscriptions/s", "delivery_attempt": int64(3), "logging.googleapis.com/trace": "projects/proj/traces/0af7651916cd43dd8448eb211c80319c"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
}
