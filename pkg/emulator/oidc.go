package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer is the issuer of Google's identity tokens.
const Issuer = "https://accounts.google.com"

// Signer makes identity tokens as Google makes them for Pub/Sub push, with a
// key of its own. Its handler serves the public key, in the place of
// https://www.googleapis.com/oauth2/v3/certs.
type Signer struct {
	key *rsa.PrivateKey
	id  string
}

// NewSigner makes a signer with a new RSA key.
func NewSigner() (*Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return &Signer{key: key, id: "emulator-" + rand.Text()[:8]}, nil
}

// Claims are the claims of a push token that matter.
type Claims struct {
	Issuer        string `json:"iss"`
	Audience      string `json:"aud"`
	Subject       string `json:"sub"`
	Azp           string `json:"azp,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified bool   `json:"email_verified"`
	IssuedAt      int64  `json:"iat"`
	Expiry        int64  `json:"exp"`
}

// Token signs a token as Pub/Sub has it: for an audience, in the name of a
// service account, good for an hour from now.
func (s *Signer) Token(audience, email string, now time.Time) (string, error) {
	return s.Sign(Claims{
		Issuer: Issuer, Audience: audience, Subject: "113774264463038321964", Azp: "113774264463038321964",
		Email: email, EmailVerified: true, IssuedAt: now.Unix(), Expiry: now.Add(time.Hour).Unix(),
	})
}

// Sign signs any claims, for tests of what must be refused.
func (s *Signer) Sign(c Claims) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// ServeHTTP answers the public keys as a JSON Web Key Set.
func (s *Signer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: s.id, Algorithm: string(jose.RS256), Use: "sig"}}})
}
