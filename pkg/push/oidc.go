package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// Issuer is the issuer of the tokens Pub/Sub attaches. go-oidc also takes the
// form without scheme for this issuer, as Google's documentation asks.
const Issuer = "https://accounts.google.com"

// GoogleJWKS is where Google publishes the keys that sign them.
const GoogleJWKS = "https://www.googleapis.com/oauth2/v3/certs"

// The errors of authentication.
var (
	// ErrNoToken: there is no bearer token. 401.
	ErrNoToken = errors.New("no bearer token")
	// ErrBadToken: the token is not one Pub/Sub could have sent us. 401.
	ErrBadToken = errors.New("bad token")
	// ErrWrongCaller: the token is genuine, and somebody else's. 403.
	ErrWrongCaller = errors.New("wrong caller")
	// ErrKeys: no key that is at hand verifies the token, and the keys could not
	// be fetched now, so nothing can be said of it. 503.
	ErrKeys = errors.New("signing keys unavailable")
)

// Refusal is the status to answer for an authentication error.
func Refusal(err error) int {
	switch {
	case errors.Is(err, ErrWrongCaller):
		return http.StatusForbidden
	case errors.Is(err, ErrKeys):
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnauthorized
	}
}

// OIDC verifies the bearer token of a push request: signature, issuer,
// audience, expiry, then the e-mail and that it is verified.
type OIDC struct {
	verifier *oidc.IDTokenVerifier
	emails   []string
}

// OIDCOptions says which tokens to admit.
type OIDCOptions struct {
	// Audience is the exact "aud" claim expected.
	Audience string
	// ServiceAccounts are the "email" claims admitted, exactly.
	ServiceAccounts []string
	// JWKSURL is where the keys are; empty means GoogleJWKS.
	JWKSURL string
	// Transport fetches the keys; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// NewOIDC returns an Authenticator. Keys are fetched at the first token, cached,
// and fetched again when a token names a key that is not cached (rotation), at
// a bounded rate: forged key ids cannot make us call out more than a few times
// a minute, and cached keys go on serving while the key server is down. A token
// that no cached key verifies is ErrKeys while the keys cannot be fetched: it
// may be signed with a new one.
func NewOIDC(o OIDCOptions) *OIDC {
	url := o.JWKSURL
	if url == "" {
		url = GoogleJWKS
	}
	rt := o.Transport
	if rt == nil {
		rt = http.DefaultTransport
	}
	transport := &limited{next: rt, limit: rate.NewLimiter(rate.Every(10*time.Second), 4)}
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), url)
	return &OIDC{
		verifier: oidc.NewVerifier(Issuer, keys, &oidc.Config{
			ClientID:             o.Audience,
			SupportedSigningAlgs: []string{oidc.RS256},
			Now:                  o.Now,
		}),
		emails: o.ServiceAccounts,
	}
}

// Authenticate implements Authenticator.
func (o *OIDC) Authenticate(r *http.Request) error {
	scheme, raw, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	raw = strings.TrimSpace(raw)
	if !ok || !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return ErrNoToken
	}
	token, err := o.verifier.Verify(r.Context(), raw)
	if err != nil {
		if strings.Contains(err.Error(), "fetching keys") { // go-oidc keeps no error to compare with
			return fmt.Errorf("%w: %w", ErrKeys, err)
		}
		return fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	var claims struct {
		Email         string `json:"email"`
		EmailVerified bool   `json:"email_verified"`
	}
	if err := token.Claims(&claims); err != nil {
		return fmt.Errorf("%w: claims: %w", ErrBadToken, err)
	}
	if !slices.Contains(o.emails, claims.Email) || !claims.EmailVerified {
		return fmt.Errorf("%w: verified e-mail does not match", ErrWrongCaller)
	}
	return nil
}

// limited bounds how often keys are fetched.
type limited struct {
	next  http.RoundTripper
	limit *rate.Limiter
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if !l.limit.Allow() {
		return nil, errors.New("key fetches are rate-limited")
	}
	return l.next.RoundTrip(r)
}
