package redact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes s safe to show on one line: terminal escapes, control, invisible
// and direction-changing characters are removed, line breaks and runs of white
// space become one space, invalid UTF-8 becomes U+FFFD, and the result is
// trimmed and cut to limit characters, the last of them "…" then. A limit of 0 or
// less cuts nothing. Clean does not look for secrets: see Redactor.Line.
func Clean(s string, limit int) string {
	s = strip(s, false)
	return cut(s, limit)
}

// escapes are terminal escape sequences: operating system commands, control
// sequences and two-character ones, in their 7-bit and 8-bit forms.
var escapes = regexp.MustCompile("(?:\x1b\\]|\u009d)[^\x07\x1b\u009c\n]{0,256}(?:\x07|\x1b\\\\|\u009c)|(?:\x1b\\[|\u009b)[0-?]{0,32}[ -/]{0,8}[@-~]|\x1b[ -/]{0,4}[0-~]")

// strip removes what Clean removes. With lines, newlines and tabs stay and
// white space is left as it is.
func strip(s string, lines bool) string {
	if plain(s, lines) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.ContainsAny(s, "\x1b\u009b\u009d") {
		s = escapes.ReplaceAllString(s, "")
	}
	var b strings.Builder
	b.Grow(len(s))
	gap := false
	for _, r := range s {
		switch {
		case r > ' ' && r < 0x7f: // most are
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteByte(byte(r))
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case lines && (r == '\u2028' || r == '\u2029' || r == '\u0085'):
			b.WriteByte('\n')
		case !lines && unicode.IsSpace(r):
			gap = true
		case hidden(r):
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain reports whether s is printable (with single inner spaces, if it is to be
// one line) and so needs no stripping.
func plain(s string, lines bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || hidden(r) || unicode.IsSpace(r) {
				return false
			}
			i += n - 1
			continue
		}
		if c-0x20 >= 0x7f-0x20 && (!lines || c != '\n' && c != '\t') {
			return false
		}
	}
	if lines || s == "" {
		return true
	}
	return s[0] != ' ' && s[len(s)-1] != ' ' && !strings.Contains(s, "  ")
}

// hidden reports whether r shows nothing, or changes how others are shown.
func hidden(r rune) bool {
	switch {
	case r == utf8.RuneError:
		return false
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		return true
	case r == '\u034f', r == '\u115f', r == '\u1160', r == '\u17b4', r == '\u17b5', r == '\u3164', r == '\uffa0':
		return true // fillers and joiners that have no glyph
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff:
		return true // variation selectors and tags
	}
	return false
}
