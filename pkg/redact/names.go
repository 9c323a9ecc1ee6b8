package redact

import (
	"strings"
	"unicode"
)

// nameKind is what the name of a value says about the value.
type nameKind int

const (
	plainName  nameKind = iota
	secretName          // the value is a secret
	tokenName           // the value is a secret unless it is a short number
	authName            // an Authorization header: a scheme, then the secret
	cookieName          // a Cookie header: all of the line
	queryName           // a secret only as the parameter of a URL
)

// classify reads a name: a variable, flag, key, header or parameter. Its words
// are told apart by "_", "-", "." and by case.
func classify(name string) nameKind {
	name = strings.Trim(name, "-._")
	if name == "" || len(name) > 96 || name == "PWD" || name == "OLDPWD" {
		return plainName
	}
	words := nameWords(name)
	last := words[len(words)-1]
	joined := strings.Join(words, "")
	switch joined {
	case "authorization", "proxyauthorization", "xserverlessauthorization", "xforwardedauthorization":
		return authName
	case "cookie", "setcookie":
		return cookieName
	case "key", "sig", "code", "auth", "sid", "hmac":
		return queryName
	case "secretid":
		return secretName
	}
	if aboutSecret(last) {
		return plainName
	}
	for _, part := range secretParts() {
		if strings.Contains(joined, part) {
			return secretName
		}
	}
	if last == "key" && len(words) > 1 && qualifiesKey(words[:len(words)-1]) {
		return secretName
	}
	for _, w := range words {
		switch w {
		case "pwd", "pass", "pw", "secret", "secrets", "credential", "credentials", "creds", "pat", "psk",
			"signature", "passwords", "dbpass", "mypass", "userpass", "rootpass", "adminpass", "mysqlpass", "smtppass", "ftppass",
			"pgpass", "redispass":
			return secretName
		case "token", "tokens", "jwt", "bearer", "otp", "sessionid":
			return tokenName
		}
		if strings.HasSuffix(w, "token") || strings.HasSuffix(w, "secret") {
			return tokenName
		}
	}
	return plainName
}

// secretParts are found anywhere in a name, its separators taken out.
func secretParts() []string {
	return []string{
		"password", "passwd", "passphrase", "passcode", "secretkey", "apikey", "accesstoken", "authtoken",
		"refreshtoken", "privatekey", "clientsecret", "accesskey", "connectionstring", "accountkey",
		"sharedaccess", "encryptionkey", "signingkey", "masterkey",
	}
}

// aboutSecret reports whether a last word says that the value tells about a
// secret and is none: PASSWORD_FILE, token_url, secret_name.
func aboutSecret(word string) bool {
	switch word {
	case "file", "files", "path", "dir", "name", "names", "id", "ids", "url", "uri", "endpoint", "arn", "version", "versions",
		"count", "ttl", "type", "length", "len", "size", "limit", "expiry", "expires", "expiration", "policy", "field",
		"manager", "ref", "provider", "header", "format", "enabled", "required", "min", "max", "reset", "rotation", "ring",
		"stdin", "env", "prompt", "accessor", "audience", "issuer", "scope", "scopes", "algorithm", "alg", "mode":
		return true
	}
	return false
}

func qualifiesKey(words []string) bool {
	for _, w := range words {
		switch w {
		case "api", "access", "secret", "private", "signing", "sign", "encryption", "encrypt", "master", "auth",
			"account", "storage", "service", "client", "shared", "license", "ssh", "gpg", "hmac", "session",
			"webhook", "deploy", "stripe", "openai", "anthropic", "sendgrid", "mailgun", "twilio", "django",
			"app", "admin", "aes", "rsa", "root", "server", "subscription", "write", "integration":
			return true
		}
	}
	return false
}

// nameWords splits a name into lower-case words.
func nameWords(name string) []string {
	words := make([]string, 0, 4)
	start := 0
	flush := func(end int) {
		if end > start {
			words = append(words, lower(name[start:end]))
		}
	}
	for i := range len(name) {
		c := rune(name[i])
		switch {
		case c == '_' || c == '-' || c == '.':
			flush(i)
			start = i + 1
		case unicode.IsUpper(c) && i > start && unicode.IsLower(rune(name[i-1])):
			flush(i)
			start = i
		}
	}
	flush(len(name))
	if len(words) == 0 {
		return []string{lower(name)}
	}
	return words
}

// harmless reports whether a value is known to be no secret whatever its
// name: empty words, numbers of state, references to a variable, a file or a
// secret manager, digests.
func harmless(v string) bool {
	v = strings.Trim(v, `"'`)
	if v == "" || v == Mask || reference(v) || digest(v) {
		return true
	}
	if strings.Trim(v, "*.") == "" || strings.Trim(v, "xX") == "" {
		return true
	}
	switch lower(v) {
	case "true", "false", "null", "nil", "none", "undefined", "yes", "no", "on", "off", "%s", "%v", "%d", "%q":
		return true
	}
	for _, p := range []string{"os.environ", "process.env.", "os.getenv(", "getenv(", "System.getenv(", "projects/", "sm://", "secretKeyRef"} {
		if strings.HasPrefix(v, p) {
			return true
		}
	}
	return false
}

// reference reports whether v is a shell variable (by the usual upper-case
// name, or by one that says what it holds: $token), a positional parameter, or
// a command substitution, whose inside is read by itself.
func reference(v string) bool {
	if strings.HasPrefix(v, "$(") || strings.HasPrefix(v, "`") {
		return true
	}
	name, ok := strings.CutPrefix(v, "$")
	if !ok || name == "" {
		return false
	}
	if inner, braced := strings.CutPrefix(name, "{"); braced {
		if name, ok = strings.CutSuffix(inner, "}"); !ok {
			return false
		}
	}
	if name == "" {
		return false
	}
	plain := true
	for i := range len(name) {
		plain = plain && nameByte(name[i])
	}
	if plain && classify(name) != plainName {
		return true
	}
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// digest reports whether v is an image or file digest with its algorithm.
func digest(v string) bool {
	for _, p := range []string{"sha256:", "sha512:", "sha1:"} {
		if rest, ok := strings.CutPrefix(v, p); ok && len(rest) >= 7 && hex(rest) {
			return true
		}
	}
	return (len(v) == 64 || len(v) == 40) && hex(v)
}

func hex(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return s != ""
}

// prose reports whether the word after "token: " or "password: " is the
// beginning of a message rather than the secret.
func prose(word string) bool {
	switch strings.Trim(lower(word), ".,;!?\"'()") {
	case "a", "an", "the", "is", "was", "are", "not", "no", "expired", "invalid", "missing", "required", "expected",
		"unexpected", "must", "failed", "denied", "empty", "for", "valid", "wrong", "incorrect", "unknown", "unauthorized",
		"rejected", "too", "could", "cannot", "can't", "unable", "permission", "access", "error", "verification",
		"authentication", "refresh", "refreshed", "refreshing", "ok", "found", "created", "deleted", "rotated", "revoked",
		"accepted", "matched", "mismatch", "changed", "set", "unset", "provided", "malformed", "signature", "string", "got",
		"has", "have", "does", "did", "please", "enter", "using", "use", "from", "in", "at", "to", "of", "and", "or":
		return true
	}
	return false
}

// nameByte reports whether c can be part of a name.
func nameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
