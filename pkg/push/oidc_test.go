package push_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/scc-enricher/scc-enricher/pkg/push"
)

const (
	audience = "https://enricher.example.com/push"
	account  = "pusher@example-project.iam.gserviceaccount.com"
)

// keyServer serves a JWKS that can be rotated and switched off.
type keyServer struct {
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	down    bool
	fetches int
	*httptest.Server
}

func newKeyServer(t *testing.T, keys ...jose.JSONWebKey) *keyServer {
	t.Helper()
	k := &keyServer{keys: keys}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.fetches++
		if k.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if err := json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: k.keys}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) set(down bool, keys ...jose.JSONWebKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down, k.keys = down, keys
}

func (k *keyServer) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fetches
}

func newKey(t *testing.T, kid string) (*rsa.PrivateKey, jose.JSONWebKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: "RS256", Use: "sig"}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func claims(change map[string]any) map[string]any {
	now := time.Now()
	c := map[string]any{
		"iss": "https://accounts.google.com", "aud": audience, "email": account, "email_verified": true,
		"sub": "1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func request(t *testing.T, header string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/push", nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r
}

func TestOIDC(t *testing.T) {
	t.Parallel()
	key, public := newKey(t, "k1")
	other, _ := newKey(t, "k1")
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	good := func(change map[string]any) string {
		return "Bearer " + sign(t, jose.RS256, key, "k1", claims(change))
	}
	// {"alg":"none"} with the good claims and no signature.
	none := "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2FjY291bnRzLmdvb2dsZS5jb20ifQ."
	past, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	tests := []struct {
		name   string
		header string
		want   error
	}{
		{"genuine", good(nil), nil},
		{"issuer without scheme", good(map[string]any{"iss": "accounts.google.com"}), nil},
		{"no header", "", push.ErrNoToken},
		{"basic", "Basic dTpw", push.ErrNoToken},
		{"empty bearer", "Bearer ", push.ErrNoToken},
		{"garbage", "Bearer garbage", push.ErrBadToken},
		{"alg none", none, push.ErrBadToken},
		{"HS256 with the public key", "Bearer " + sign(t, jose.HS256, der, "k1", claims(nil)), push.ErrBadToken},
		{"signed by another key", "Bearer " + sign(t, jose.RS256, other, "k1", claims(nil)), push.ErrBadToken},
		{"unknown kid", "Bearer " + sign(t, jose.RS256, other, "k2", claims(nil)), push.ErrBadToken},
		{"expired", good(map[string]any{"exp": past}), push.ErrBadToken},
		{"not yet valid", good(map[string]any{"nbf": future}), push.ErrBadToken},
		{"no expiry", good(map[string]any{"exp": nil}), push.ErrBadToken},
		{"wrong audience", good(map[string]any{"aud": audience + "/"}), push.ErrBadToken},
		{"wrong issuer", good(map[string]any{"iss": "https://accounts.example.com"}), push.ErrBadToken},
		{"wrong email", good(map[string]any{"email": "someone@example.com"}), push.ErrWrongCaller},
		{"unverified email", good(map[string]any{"email_verified": false}), push.ErrWrongCaller},
		{"no email_verified", good(map[string]any{"email_verified": nil}), push.ErrWrongCaller},
		{"email_verified as text", good(map[string]any{"email_verified": "true"}), push.ErrBadToken},
	}
	keys := newKeyServer(t, public)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			auth := push.NewOIDC(push.OIDCOptions{Audience: audience, ServiceAccounts: []string{account}, JWKSURL: keys.URL})
			err := auth.Authenticate(request(t, tt.header))
			if !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestOIDCKeyRotationAndOutage(t *testing.T) {
	t.Parallel()
	key1, public1 := newKey(t, "k1")
	key2, public2 := newKey(t, "k2")
	keys := newKeyServer(t, public1)
	auth := push.NewOIDC(push.OIDCOptions{Audience: audience, ServiceAccounts: []string{account}, JWKSURL: keys.URL})
	token1 := "Bearer " + sign(t, jose.RS256, key1, "k1", claims(nil))
	token2 := "Bearer " + sign(t, jose.RS256, key2, "k2", claims(nil))

	keys.set(true)
	if err := auth.Authenticate(request(t, token1)); push.Refusal(err) != http.StatusServiceUnavailable {
		t.Errorf("no keys yet and the server down: %v, want 503", err)
	}
	keys.set(false, public1)
	if err := auth.Authenticate(request(t, token1)); err != nil {
		t.Fatalf("first key: %v", err)
	}
	keys.set(false, public1, public2)
	if err := auth.Authenticate(request(t, token2)); err != nil {
		t.Errorf("a rotated key is not taken: %v", err)
	}
	keys.set(true)
	for _, token := range []string{token1, token2} {
		if err := auth.Authenticate(request(t, token)); err != nil {
			t.Errorf("cached keys do not serve during an outage: %v", err)
		}
	}
	key3, public3 := newKey(t, "k3")
	token3 := "Bearer " + sign(t, jose.RS256, key3, "k3", claims(nil))
	if err := auth.Authenticate(request(t, token3)); push.Refusal(err) != http.StatusServiceUnavailable {
		t.Errorf("a new key during an outage: %v, want 503", err)
	}
	keys.set(false, public1, public2, public3)
	// The burst of fetches is spent: the key can be had, but not now.
	if err := auth.Authenticate(request(t, token3)); push.Refusal(err) != http.StatusServiceUnavailable {
		t.Errorf("a new key while fetches are rate-limited: %v, want 503", err)
	}
	if err := auth.Authenticate(request(t, token1)); err != nil {
		t.Errorf("a cached key while fetches are rate-limited: %v", err)
	}
}

func TestOIDCBoundsKeyFetches(t *testing.T) {
	t.Parallel()
	_, public := newKey(t, "k1")
	other, _ := newKey(t, "x")
	keys := newKeyServer(t, public)
	auth := push.NewOIDC(push.OIDCOptions{Audience: audience, ServiceAccounts: []string{account}, JWKSURL: keys.URL})
	forged := "Bearer " + sign(t, jose.RS256, other, "forged", claims(nil))
	answers := map[int]int{}
	for i := range 50 {
		before := keys.count()
		status := push.Refusal(auth.Authenticate(request(t, forged)))
		answers[status]++
		// 401 says that the keys were asked and do not hold this one.
		if fetched := keys.count() > before; fetched != (status == http.StatusUnauthorized) {
			t.Errorf("forged key id %d: status %d, keys fetched: %v", i, status, fetched)
		}
	}
	if answers[http.StatusUnauthorized]+answers[http.StatusServiceUnavailable] != 50 {
		t.Errorf("answers %v, want only 401 and 503", answers)
	}
	if n := keys.count(); n > 6 {
		t.Errorf("50 forged key ids made %d key fetches, want at most 6", n)
	}
}

// TestOIDCWithdrawnKey: a key that Google has withdrawn is refused from the next
// fetch of keys on, which the first token with a new key brings about.
func TestOIDCWithdrawnKey(t *testing.T) {
	t.Parallel()
	key1, public1 := newKey(t, "k1")
	key2, public2 := newKey(t, "k2")
	keys := newKeyServer(t, public1)
	auth := push.NewOIDC(push.OIDCOptions{Audience: audience, ServiceAccounts: []string{account}, JWKSURL: keys.URL})
	withdrawn := "Bearer " + sign(t, jose.RS256, key1, "k1", claims(nil))
	if err := auth.Authenticate(request(t, withdrawn)); err != nil {
		t.Fatal(err)
	}
	keys.set(false, public2)
	if err := auth.Authenticate(request(t, "Bearer "+sign(t, jose.RS256, key2, "k2", claims(nil)))); err != nil {
		t.Fatal(err)
	}
	if err := auth.Authenticate(request(t, withdrawn)); !errors.Is(err, push.ErrBadToken) {
		t.Errorf("the withdrawn key: %v, want %v", err, push.ErrBadToken)
	}
}
