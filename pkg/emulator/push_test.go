package emulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
)

// roundTripper answers requests without a network, so that synctest's clock runs.
type roundTripper func(*http.Request) (int, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	code, err := f(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Body: http.NoBody, Request: r}, nil
}

func TestPushAcknowledges(t *testing.T) {
	t.Parallel()
	for code := 100; code < 600; code++ {
		want := slices.Contains([]int{102, 200, 201, 202, 204}, code)
		if acknowledges(code) != want {
			t.Errorf("status %d acknowledges: %v", code, !want)
		}
	}
}

func TestPushBackoffAndDeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var waits []time.Duration
		var attempts []any
		last := time.Now()
		var dead []PushMessage
		p := NewPusher(PushOptions{
			URL: "http://push.invalid/", MinBackoff: time.Second, MaxBackoff: 3 * time.Second, MaxAttempts: 5, AckDeadline: 10 * time.Second, Concurrency: 1,
			DeadLetter: func(m PushMessage) { dead = append(dead, m) },
			Client: &http.Client{Transport: roundTripper(func(r *http.Request) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				waits, last = append(waits, time.Since(last)), time.Now()
				var e map[string]any
				if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
					t.Error(err)
				}
				attempts = append(attempts, e["deliveryAttempt"])
				if len(waits) == 2 { // no answer: the ack deadline is the request's timeout
					<-r.Context().Done()
					return 0, r.Context().Err()
				}
				return http.StatusServiceUnavailable, nil
			})},
		})
		p.Publish([]byte("x"), nil)
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Close()
		want := []time.Duration{0, time.Second, 12 * time.Second, 3 * time.Second, 3 * time.Second}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]any{1.0, 2.0, 3.0, 4.0, 5.0}, attempts); diff != "" {
			t.Errorf("deliveryAttempt (-want +got):\n%s", diff)
		}
		if len(dead) != 1 || string(dead[0].Data) != "x" || dead[0].LastStatus != 503 {
			t.Errorf("dead letters %+v", dead)
		}
		if diff := cmp.Diff(PushStats{Published: 1, Delivered: 5, Nacked: 5, Dead: 1}, p.Stats()); diff != "" {
			t.Errorf("stats (-want +got):\n%s", diff)
		}
	})
}

func TestPushBody(t *testing.T) {
	t.Parallel()
	p := NewPusher(PushOptions{URL: "http://push.invalid/", Subscription: "projects/p/subscriptions/s"})
	defer p.Close()
	body, err := p.Body(&PushMessage{ID: "7", Data: []byte("hello"), Attributes: map[string]string{"k": "v"}, PublishTime: base(), Attempts: 3})
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"subscription": "projects/p/subscriptions/s", "message": map[string]any{
		"attributes": map[string]any{"k": "v"}, "data": "aGVsbG8=", "messageId": "7", "message_id": "7",
		"publishTime": "2026-11-22T10:00:00.123Z", "publish_time": "2026-11-22T10:00:00.123Z",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// TestPushDelivers pushes over a real connection with a real token, each
// message twice and in any order, and refuses some first.
func TestPushDelivers(t *testing.T) {
	t.Parallel()
	signer, err := NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	_, api := start(t, Options{Signer: signer})
	verifier := oidc.NewVerifier(Issuer, oidc.NewRemoteKeySet(t.Context(), api+"/oauth2/v3/certs"), &oidc.Config{ClientID: "https://enricher.example.com"})
	var mu sync.Mutex
	seen := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			Message struct {
				Data      []byte
				MessageID string `json:"messageId"`
			}
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil {
			t.Error(err)
		}
		token, err := verifier.Verify(r.Context(), r.Header.Get("Authorization")[len("Bearer "):])
		if err != nil {
			t.Errorf("token: %v", err)
			return
		}
		var claims struct {
			Email         string
			EmailVerified bool `json:"email_verified"`
		}
		if err := token.Claims(&claims); err != nil || claims.Email != "push@p.iam.gserviceaccount.com" || !claims.EmailVerified {
			t.Errorf("claims %+v, %v", claims, err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[string(e.Message.Data)]++
		if seen[string(e.Message.Data)] == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	p := NewPusher(PushOptions{
		URL: server.URL, Signer: signer, Audience: "https://enricher.example.com", ServiceAccount: "push@p.iam.gserviceaccount.com",
		MinBackoff: time.Millisecond, Duplicates: 1, Shuffle: true, Seed: 4, Concurrency: 4,
	})
	defer p.Close()
	w := testWorld(t)
	w.OnPublish(p.PublishNotification)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		addFinding(t, w, testFinding(id, "shop"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(PushStats{Published: 5, Delivered: 15, Acked: 10, Nacked: 5}, p.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	if len(seen) != 5 {
		t.Errorf("%d different messages, want 5", len(seen))
	}
}
