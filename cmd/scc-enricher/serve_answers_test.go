package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// TestServeNeverSucceeds: without a topic for dead letters the answer is 422,
// so that the subscription's own policy keeps the message.
func TestServeNeverSucceeds(t *testing.T) {
	t.Parallel()
	rejected := newFinding("rejected").GetCanonicalName()
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
		if req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest); ok && strings.HasPrefix(req.GetSecurityMarks().GetName(), rejected) {
			return status.Error(codes.InvalidArgument, "Request contains an invalid argument.")
		}
		return nil
	}}})
	_, notification := r.add(newFinding("known"))
	_, rejectedNotification := r.add(newFinding("rejected"))
	for _, c := range []struct {
		name   string
		data   []byte
		reason string
	}{
		{"not JSON", []byte("hello"), "not_json"},
		{"no data", []byte{}, "not_json"},
		{"an empty finding", []byte(`{"finding":{}}`), "no_finding"},
		{"a list", []byte(`[]`), "no_finding"},
		{"no event time", edited(t, notification, func(f map[string]any) { delete(f, "eventTime") }), "no_event_time"},
		{"deleted in Security Command Center", edited(t, notification, func(f map[string]any) {
			f["name"], f["canonicalName"] = testSource+"/findings/gone", testSource+"/findings/gone"
		}), "gone"},
		{"marks rejected", rejectedNotification, "marks_rejected"},
	} {
		t.Run(c.name, func(t *testing.T) { r.want(c.data, http.StatusUnprocessableEntity, c.reason) })
	}
	t.Run("an envelope that cannot be read", func(t *testing.T) {
		if got := r.post([]byte(`{"message":{"data":"%%%","messageId":"1"},"subscription":"s"}`), ""); got != http.StatusUnprocessableEntity {
			t.Errorf("status %d", got)
		}
		if got := r.log.last(t)["reason"]; got != "bad_envelope" {
			t.Errorf("reason %v", got)
		}
	})
	t.Run("too large", func(t *testing.T) {
		if got := r.post(bytes.Repeat([]byte(" "), 15<<20+1), ""); got != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", got)
		}
	})
}

// TestServeMaySucceedLater: what may heal is answered 503, and heals.
func TestServeMaySucceedLater(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		code   codes.Code
		reason string
	}{
		{"unavailable", codes.Unavailable, "write_failed"},
		{"internal", codes.Internal, "write_failed"},
		{"permission denied", codes.PermissionDenied, "write_denied"},
		{"over quota", codes.ResourceExhausted, "write_quota"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			broken.Store(true)
			r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, call emulator.Call) error {
				if broken.Load() && call.Name() == "UpdateSecurityMarks" {
					return status.Error(c.code, "no")
				}
				return nil
			}}})
			name, notification := r.add(newFinding("later"))
			r.want(notification, http.StatusServiceUnavailable, c.reason)
			if len(own(r.emu.Marks(name))) > 0 || len(r.records.get()) > 0 {
				t.Error("marks or record of a failed write")
			}
			if c.code == codes.ResourceExhausted {
				return // the budget stays closed for some seconds
			}
			broken.Store(false)
			r.want(notification, http.StatusNoContent, "written")
		})
	}
	t.Run("our own write budget", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, rigOptions{flags: []string{"--scc-writes-per-minute=1"}})
		_, one := r.add(newFinding("one"))
		r.want(one, http.StatusNoContent, "written")
		_, two := r.add(newFinding("two"))
		r.want(two, http.StatusServiceUnavailable, "write_quota")
		if n := r.emu.Counts()["UpdateSecurityMarks"]; n != 1 {
			t.Errorf("%d writes were asked for, the budget is 1", n)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, rigOptions{flags: []string{"--enrich-timeout=600ms", "--source-timeout=300ms"}, emulator: emulator.Options{
			Intercept: func(ctx context.Context, call emulator.Call) error {
				if call.Name() == "UpdateSecurityMarks" {
					<-ctx.Done()
					return status.FromContextError(ctx.Err()).Err()
				}
				return nil
			},
		}})
		_, notification := r.add(newFinding("slow"))
		r.want(notification, http.StatusServiceUnavailable, "deadline")
	})
}

// TestServeAuthenticates: tokens are verified before anything else is read.
func TestServeAuthenticates(t *testing.T) {
	t.Parallel()
	signer, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigOptions{signer: signer})
	name, notification := r.add(newFinding("signed"))
	token := func(s *emulator.Signer, change func(*emulator.Claims)) string {
		now := time.Now()
		c := emulator.Claims{Issuer: emulator.Issuer, Audience: r.url, Subject: "1", Email: testPusher, EmailVerified: true, IssuedAt: now.Unix(), Expiry: now.Add(time.Hour).Unix()}
		change(&c)
		signed, err := s.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for _, c := range []struct {
		name   string
		token  string
		status int
	}{
		{"no token", "", http.StatusUnauthorized},
		{"not a token", "abc.def.ghi", http.StatusUnauthorized},
		{"somebody else's key", token(stranger, func(*emulator.Claims) {}), http.StatusUnauthorized},
		{"another audience", token(signer, func(c *emulator.Claims) { c.Audience = "https://elsewhere.example/push" }), http.StatusUnauthorized},
		{"another issuer", token(signer, func(c *emulator.Claims) { c.Issuer = "https://issuer.example" }), http.StatusUnauthorized},
		{"expired", token(signer, func(c *emulator.Claims) { c.Expiry = time.Now().Add(-time.Hour).Unix() }), http.StatusUnauthorized},
		{"another account", token(signer, func(c *emulator.Claims) { c.Email = "mallory@shop-prod-4711.iam.gserviceaccount.com" }), http.StatusForbidden},
		{"an unverified e-mail", token(signer, func(c *emulator.Claims) { c.EmailVerified = false }), http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.untouched(func() {
				if got := r.post(envelope(t, notification), c.token); got != c.status {
					t.Errorf("status %d, want %d", got, c.status)
				}
			})
			if id := r.log.last(t)["message_id"]; id != nil {
				t.Errorf("the message was read: id %v", id)
			}
		})
	}
	if len(own(r.emu.Marks(name))) > 0 {
		t.Error("marks without authentication")
	}
	if got := r.post(envelope(t, notification), token(signer, func(*emulator.Claims) {})); got != http.StatusNoContent {
		t.Errorf("the right token: status %d", got)
	}
	if r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Error("no marks")
	}
	for _, body := range []string{"eyJ", "Bearer"} {
		if strings.Contains(r.log.String(), body) {
			t.Errorf("a token is in the log: %q", body)
		}
	}
}

// TestServeSourceFails: a source that fails never fails the delivery, and is
// never taken for clean.
func TestServeSourceFails(t *testing.T) {
	t.Parallel()
	const canary = "upstream-says-canary"
	fail := func(method string, code codes.Code) emulator.Options {
		return emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
			if c.Name() == method {
				return status.Error(code, canary)
			}
			return nil
		}}
	}
	for _, c := range []struct {
		name    string
		options emulator.Options
		flags   []string
		hashes  int
		sources string
		status  string
	}{
		{"logs unavailable", fail("ListLogEntries", codes.Unavailable), nil, 1, "findings=empty,logs=error,config=ok,virustotal=empty", "partial"},
		{"logs denied", fail("ListLogEntries", codes.PermissionDenied), nil, 1, "findings=empty,logs=denied,config=ok,virustotal=empty", "partial"},
		{"logs over quota", fail("ListLogEntries", codes.ResourceExhausted), nil, 1, "findings=empty,logs=quota,config=ok,virustotal=empty", "partial"},
		{"findings denied", fail("ListFindings", codes.PermissionDenied), nil, 1, "findings=denied,logs=ok,config=ok,virustotal=empty", "partial"},
		{"service denied, revision readable", fail("GetService", codes.PermissionDenied), nil, 1, "findings=empty,logs=ok,config=partial,virustotal=empty", "partial"},
		{"workload deleted", fail("GetService", codes.NotFound), nil, 1, "findings=empty,logs=ok,config=empty,virustotal=empty", "complete"},
		{"VirusTotal broken", fail("files", codes.Unavailable), nil, 1, "findings=empty,logs=ok,config=ok,virustotal=error", "partial"},
		{"VirusTotal answers 429", emulator.Options{Quotas: emulator.Quotas{VTPerMinute: 1}}, []string{"--vt-requests-per-minute=100"}, 3, "findings=empty,logs=ok,config=ok,virustotal=partial", "partial"},
		{"VirusTotal budget spent", emulator.Options{}, []string{"--vt-requests-per-minute=1"}, 3, "findings=empty,logs=ok,config=ok,virustotal=partial", "partial"},
		{"VirusTotal refuses the key", emulator.Options{VirusTotalKey: "another"}, nil, 1, "findings=empty,logs=ok,config=ok,virustotal=denied", "partial"},
		{"VirusTotal without key", emulator.Options{}, []string{"--vt-api-key="}, 1, "findings=empty,logs=ok,config=ok,virustotal=disabled", "complete"},
		{"no whole hash", emulator.Options{}, nil, 0, "findings=empty,logs=ok,config=ok,virustotal=not_applicable", "complete"},
		{"a slow source", emulator.Options{Intercept: func(ctx context.Context, c emulator.Call) error {
			if c.Name() == "ListLogEntries" {
				<-ctx.Done()
			}
			return nil
		}}, []string{"--source-timeout=300ms"}, 1, "findings=empty,logs=timeout,config=ok,virustotal=empty", "partial"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigOptions{emulator: c.options, flags: c.flags})
			f := newFinding("source")
			f.Processes[0].Binary = nil
			for i := range c.hashes {
				hash := fmt.Sprintf("%064x", i+1)
				f.Files = append(f.Files, &securitycenterpb.File{Path: `"/tmp/a"`, Size: 10, HashedSize: 10, Sha256: hash})
			}
			name, notification := r.add(f)
			r.want(notification, http.StatusNoContent, "written")
			marks := r.emu.Marks(name)
			if marks["enrich_sources"] != c.sources {
				t.Errorf("sources %q, want %q", marks["enrich_sources"], c.sources)
			}
			if marks["enrich_status"] != c.status {
				t.Errorf("status %q, want %q", marks["enrich_status"], c.status)
			}
			if strings.Contains(r.log.String(), canary) {
				t.Errorf("the upstream's words are in the log: %s", r.log)
			}
		})
	}
}
