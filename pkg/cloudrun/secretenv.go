package cloudrun

import (
	"regexp"
	"slices"
	"strings"
)

// plaintextSecret reports whether a variable with a literal value holds a
// secret: its value has the form of one, or its name says so. It keeps nothing.
func plaintextSecret(name, value string) bool {
	value = strings.TrimSpace(value)
	if value == "" {
		return false
	}
	return secretForm.MatchString(value) || (secretName(name) && secretLike(value)) || (connectionName(name) && strings.Contains(value, "@"))
}

// secretForm matches values that are secrets whatever they are called: private
// keys, the tokens of well-known issuers, JSON Web Tokens, and passwords inside
// URLs and connection strings.
var secretForm = regexp.MustCompile(strings.Join([]string{
	`-----BEGIN [A-Z ]*PRIVATE KEY`,
	`"private_key"\s*:`,
	`\bAIza[0-9A-Za-z_-]{35}`,
	`\bya29\.[0-9A-Za-z_-]{20,}`,
	`\b[sr]k_(?:live|test)_[0-9A-Za-z]{8,}`,
	`\bgh[pousr]_[0-9A-Za-z]{20,}`,
	`\bgithub_pat_[0-9A-Za-z_]{20,}`,
	`\bglpat-[0-9A-Za-z_-]{16,}`,
	`\bxox[abeoprs]-[0-9A-Za-z-]{10,}`,
	`\bhooks\.slack\.com/services/[0-9A-Za-z/]{20,}`,
	`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`,
	`\bsk-[0-9A-Za-z_-]{20,}`,
	`\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}`,
	`\bnpm_[0-9A-Za-z]{30,}`,
	`\bhf_[0-9A-Za-z]{30,}`,
	`\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.`,
	`\b[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@$<{][^/\s@]*@`,
	`(?i)(?:^|[;\s&?])(?:password|passwd|pwd|accountkey|sharedaccesskey)=[^;\s&$<{][^;\s&]*`,
}, "|"))

// secretName reports whether a name says that the value is a secret. The words
// around the telling one matter: TOKEN_URL and SECRET_NAME name no secret.
func secretName(name string) bool {
	words := nameWords(name)
	if len(words) == 0 || slices.Contains(words, "PUBLIC") {
		return false
	}
	switch words[len(words)-1] {
	case "FILE", "FILENAME", "PATH", "DIR", "DIRECTORY", "MOUNT", "NAME", "NAMES", "ID", "IDS", "URL", "URI", "ENDPOINT", "HOST", "PORT",
		"TTL", "EXPIRY", "EXPIRES", "EXPIRATION", "LIFETIME", "TIMEOUT", "SECONDS", "MINUTES", "HOURS", "DAYS", "AGE", "INTERVAL",
		"LENGTH", "SIZE", "COUNT", "LIMIT", "TYPE", "MODE", "ENABLED", "DISABLED", "REQUIRED", "VERSION", "REGION", "PROJECT",
		"PREFIX", "SUFFIX", "HEADER", "COOKIE", "ALGORITHM", "ALG", "ISSUER", "AUDIENCE", "SCOPE", "SCOPES", "PROVIDER", "BACKEND",
		"POLICY", "REGEX", "PATTERN", "FORMAT", "RESOURCE", "REF", "LOCATION":
		return false
	}
	for i, w := range words {
		switch w {
		case "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASSCODE", "SECRET", "SECRETS", "TOKEN", "CREDENTIAL", "CREDENTIALS", "CREDS", "APIKEY", "APITOKEN",
			"ACCESSKEY", "SECRETKEY", "PRIVATEKEY", "AUTHTOKEN", "PGPASSWORD":
			return true
		case "PASS", "PWD":
			if len(words) > 1 {
				return true
			}
		case "KEY", "KEYS":
			if i > 0 && keyKind(words[i-1]) {
				return true
			}
		}
	}
	return false
}

// keyKind reports whether a KEY after this word is a secret one.
func keyKind(word string) bool {
	switch word {
	case "API", "PRIVATE", "SECRET", "ACCESS", "ENCRYPTION", "SIGNING", "MASTER", "AUTH", "ACCOUNT", "SSH", "LICENSE", "SHARED", "SESSION", "JWT", "HMAC":
		return true
	}
	return false
}

// connectionName reports whether a name says that the value is a connection
// string, which is a secret only if it carries credentials.
func connectionName(name string) bool {
	words := nameWords(name)
	return slices.Contains(words, "DSN") || (slices.Contains(words, "CONNECTION") && slices.Contains(words, "STRING"))
}

// nameWords splits DB_PASSWORD, db-password and dbPassword into DB, PASSWORD.
func nameWords(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		up := r >= 'A' && r <= 'Z'
		if up && lower {
			b.WriteByte('_')
		}
		lower = r >= 'a' && r <= 'z'
		b.WriteRune(r)
	}
	return strings.FieldsFunc(strings.ToUpper(b.String()), func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

var (
	reference = regexp.MustCompile(`^(?:projects/[^/]+/secrets/|sm://|gcp-?sm:|secretmanager:|vault:|berglas://|kms://|arn:|\$\(|\$\{|\{\{|<)`)
	filePath  = regexp.MustCompile(`^/(?:app|etc|home|mnt|opt|root|run|secrets?|srv|tmp|usr|var|workspace|cloudsql)(?:/|$)`)
	plainURL  = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^\s@]*$`)
)

// secretLike reports whether the value of a variable whose name says "secret"
// can be one: not a switch, a number of a few digits, a reference, a path, or
// a URL without credentials.
func secretLike(value string) bool {
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "on", "off", "none", "null", "nil", "enabled", "disabled", "default", "undefined":
		return false
	}
	if strings.Trim(value, "*") == "" || (len(value) <= 2 && strings.Trim(value, "0123456789") == "") {
		return false
	}
	return !reference.MatchString(value) && !filePath.MatchString(value) && !plainURL.MatchString(value)
}
