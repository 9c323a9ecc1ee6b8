package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

// TestForgedTokens: none of these is admitted, at either endpoint, and nothing
// is read of what comes with it, let alone asked of an upstream.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	}))
	t.Cleanup(jwks.Close)
	signer, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigOptions{signer: signer, flags: []string{"--push-jwks-url=" + jwks.URL}})
	claims := func(change map[string]any) []byte {
		c := map[string]any{
			"iss": "https://accounts.google.com", "aud": r.url, "email": testPusher, "email_verified": true, "sub": "1",
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}
		for k, v := range change {
			c[k] = v
		}
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	sign := func(alg jose.SignatureAlgorithm, key any, kid string, change map[string]any) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(claims(change))
		if err != nil {
			t.Fatal(err)
		}
		out, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	b64 := base64.RawURLEncoding.EncodeToString
	name, notification := r.add(newFinding("forged"))
	body := envelope(t, notification)
	task, err := followup.Encode(followup.Task{Kind: followup.Settle, Finding: name, Resource: testResource, EventTime: time.Now(), Group: "g", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token string
		status      int
	}{
		{"none", "", http.StatusUnauthorized},
		{"garbage", "garbage", http.StatusUnauthorized},
		{"alg none", b64([]byte(`{"alg":"none","kid":"k1"}`)) + "." + b64(claims(nil)) + ".", http.StatusUnauthorized},
		{"HS256 with the public key", sign(jose.HS256, public, "k1", nil), http.StatusUnauthorized},
		{"expired", sign(jose.RS256, key, "k1", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), http.StatusUnauthorized},
		{"not yet valid", sign(jose.RS256, key, "k1", map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), http.StatusUnauthorized},
		{"wrong audience", sign(jose.RS256, key, "k1", map[string]any{"aud": "https://elsewhere.example"}), http.StatusUnauthorized},
		{"wrong e-mail", sign(jose.RS256, key, "k1", map[string]any{"email": "mallory@example.com"}), http.StatusForbidden},
		{"unverified e-mail", sign(jose.RS256, key, "k1", map[string]any{"email_verified": false}), http.StatusForbidden},
		{"wrong issuer", sign(jose.RS256, key, "k1", map[string]any{"iss": "https://issuer.example"}), http.StatusUnauthorized},
		{"unknown kid", sign(jose.RS256, other, "k2", nil), http.StatusUnauthorized},
		{"another's key with our kid", sign(jose.RS256, other, "k1", nil), http.StatusUnauthorized},
	}
	// The genuine one first: keys are cached from here on, as in life.
	if got := r.post(envelope(t, []byte(`{}`)), sign(jose.RS256, key, "k1", nil)); got != http.StatusUnprocessableEntity {
		t.Fatalf("the genuine token: status %d", got)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.untouched(func() {
				if got := r.post(body, tt.token); got != tt.status {
					t.Errorf("/push: status %d, want %d", got, tt.status)
				}
				if line := r.log.last(t); line["message_id"] != nil || line["finding"] != nil {
					t.Errorf("the message was read: %v", line)
				}
				// Fetches of keys are bounded: an unknown one may end in 503.
				if got := r.followUp(task, tt.token); got != tt.status && (got != http.StatusServiceUnavailable || !strings.Contains(tt.name, "kid")) {
					t.Errorf("%s: status %d, want %d", followUpPath, got, tt.status)
				}
			})
			if tt.token != "" && strings.Contains(r.log.String(), tt.token) {
				t.Error("the token is in the log")
			}
		})
	}
	if len(own(r.emu.Marks(name))) > 0 {
		t.Error("a forged token wrote marks")
	}
}
