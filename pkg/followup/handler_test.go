package followup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/api/option"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// offline is an endpoint that nothing is sent to.
func offline() []option.ClientOption { return upstream.ClientOptions("http://127.0.0.1:1") }

func TestHandler(t *testing.T) {
	t.Parallel()
	in := task("shop", event.Add(time.Minute))
	body, err := followup.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("upstream is down")
	good := func() io.Reader { return bytes.NewReader(body) }
	tests := map[string]struct {
		method string
		body   io.Reader
		run    followup.Run
		want   followup.Delivery
		// wantErr is what Err wraps; nil for none.
		wantErr error
	}{
		"done":             {body: good(), run: ok, want: followup.Delivery{Task: in, Status: 204, Reason: followup.ReasonDone}},
		"failed":           {body: good(), run: func(context.Context, followup.Task) error { return failed }, want: followup.Delivery{Task: in, Status: 503, Reason: followup.ReasonRetry}, wantErr: failed},
		"panicked":         {body: good(), run: func(context.Context, followup.Task) error { panic("boom") }, want: followup.Delivery{Task: in, Status: 500, Reason: followup.ReasonPanic}, wantErr: cmpopts.AnyError},
		"out of time":      {body: good(), run: func(ctx context.Context, _ followup.Task) error { <-ctx.Done(); return ctx.Err() }, want: followup.Delivery{Task: in, Status: 503, Reason: followup.ReasonRetry}, wantErr: context.DeadlineExceeded},
		"no task":          {body: strings.NewReader("{}"), want: followup.Delivery{Status: 204, Reason: followup.ReasonDropped}, wantErr: followup.ErrInvalid},
		"nothing":          {body: http.NoBody, want: followup.Delivery{Status: 204, Reason: followup.ReasonDropped}, wantErr: followup.ErrInvalid},
		"the largest body": {body: strings.NewReader(string(body) + strings.Repeat(" ", followup.MaxBody-len(body))), run: ok, want: followup.Delivery{Task: in, Status: 204, Reason: followup.ReasonDone}},
		"a body too large": {body: strings.NewReader(string(body) + strings.Repeat(" ", followup.MaxBody-len(body)+1)), want: followup.Delivery{Status: 204, Reason: followup.ReasonDropped}, wantErr: followup.ErrInvalid},
		"a body cut short": {body: iotest.TimeoutReader(iotest.OneByteReader(good())), want: followup.Delivery{Status: 503, Reason: followup.ReasonUnread}, wantErr: iotest.ErrTimeout},
		"a GET":            {method: http.MethodGet, body: http.NoBody, want: followup.Delivery{Status: 405, Reason: followup.ReasonMethod}, wantErr: cmpopts.AnyError},
		"nothing is wired": {body: good(), want: followup.Delivery{Task: in, Status: 500, Reason: followup.ReasonPanic}, wantErr: cmpopts.AnyError},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []followup.Delivery
			h := &followup.Handler{Run: tc.run, RunTimeout: 20 * time.Millisecond, Observe: func(_ context.Context, d followup.Delivery) { got = append(got, d) }}
			method := tc.method
			if method == "" {
				method = http.MethodPost
			}
			r := httptest.NewRequestWithContext(t.Context(), method, "/tasks/followup", tc.body)
			r.Header.Set("X-CloudTasks-TaskRetryCount", "3")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)

			want := tc.want
			want.Retries, want.Err = 3, tc.wantErr
			if diff := cmp.Diff([]followup.Delivery{want}, got, cmpopts.IgnoreFields(followup.Delivery{}, "Took"), cmpopts.EquateErrors()); diff != "" {
				t.Errorf("observed -want +got:\n%s", diff)
			}
			if w.Code != tc.want.Status || w.Body.Len() != 0 {
				t.Errorf("answer %d %q, want %d and no body", w.Code, w.Body, tc.want.Status)
			}
			if allow := w.Header().Get("Allow"); (allow == http.MethodPost) != (w.Code == 405) {
				t.Errorf("Allow: %q with status %d", allow, w.Code)
			}
		})
	}
}

func TestHandlerRetryCount(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int{"": 0, "0": 0, "7": 7, "-1": 0, "x": 0, "99999999999999999999": 0} {
		got := -1
		h := &followup.Handler{Run: ok, Observe: func(_ context.Context, d followup.Delivery) { got = d.Retries }}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header.Set("X-CloudTasks-TaskRetryCount", header)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != want {
			t.Errorf("retry count %q: %d, want %d", header, got, want)
		}
	}
}

// TestHandlerWithoutObserver answers all the same.
func TestHandlerWithoutObserver(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	(&followup.Handler{Run: ok}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("x")))
	if w.Code != http.StatusNoContent {
		t.Errorf("status %d, want 204", w.Code)
	}
}

// TestHandlerRunEndsWithTheRequest: Cloud Tasks delivers again once it has
// hung up, so the first run must not go on beside the second.
func TestHandlerRunEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	body, err := followup.Encode(task("shop", event))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h := &followup.Handler{RunTimeout: 10 * time.Second, Run: func(ctx context.Context, _ followup.Task) error {
		cancel()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("the run ended with %v", ctx.Err())
		}
		return ctx.Err()
	}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body)))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
}
