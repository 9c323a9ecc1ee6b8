package redact

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Bounds of what is decoded: shorter words hold no name and value, and a secret
// that somebody wrapped more often is not in plain reach.
const (
	minEncoded  = 20
	maxWrapping = 2
)

// encoded masks words of base64 that hold a secret once decoded, as a whole:
// "echo REJfUEFTU1dPUkQ9... | base64 -d". Payloads without one survive.
func (r *Redactor) encoded(f *finder, depth int) {
	if depth == maxWrapping {
		return
	}
	for at := 0; at < len(f.text); {
		if !isBase64(f.text[at]) {
			at++
			continue
		}
		end := at
		for end < len(f.text) && isBase64(f.text[end]) {
			end++
		}
		if plain, ok := decoded(f.text[at:end]); ok && r.look(plain, depth+1) != plain {
			for end < len(f.text) && f.text[end] == '=' {
				end++
			}
			f.mask(at, end)
		}
		at = end
	}
}

// decoded is the text that a word of base64 without padding stands for; false
// when it is none, as of names, paths and programs.
func decoded(word string) (string, bool) {
	if len(word) < minEncoded || len(word)%4 == 1 {
		return "", false
	}
	enc := base64.RawStdEncoding
	if strings.ContainsAny(word, "-_") {
		enc = base64.RawURLEncoding
	}
	var head [9]byte // a look at the beginning tells nearly all
	if _, err := enc.Decode(head[:], []byte(word[:12])); err != nil || !readable(string(head[:8])) {
		return "", false
	}
	out, err := enc.DecodeString(word)
	if err != nil || !utf8.Valid(out) || !readable(string(out)) {
		return "", false
	}
	return string(out), true
}

// readable reports whether a text has no control characters but white space.
func readable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}
