package command

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// unescape undoes backslashes as the shell does outside and inside double quotes.
func unescape(s string, quoted bool) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case s[i] == '\n':
		case quoted && strings.IndexByte("$`\"\\", s[i]) < 0:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// ansiC undoes the escapes of $'...', echo -e and printf: \n, \x41, \101, \u0041.
func ansiC(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'a', 'b', 'f', 'v', 'e', 'E', 'c':
			b.WriteByte(' ')
		case 'x':
			i += hexEscape(&b, s[i+1:], 2)
		case 'u':
			i += hexEscape(&b, s[i+1:], 4)
		case 'U':
			i += hexEscape(&b, s[i+1:], 8)
		case '0', '1', '2', '3', '4', '5', '6', '7':
			n := 1
			for n < 4 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' && (n < 3 || c == '0') {
				n++
			}
			v, _ := strconv.ParseUint(s[i:i+n], 8, 16)
			b.WriteByte(byte(v & 0xff))
			i += n - 1
		case '\\', '\'', '"', '?':
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hexEscape writes the character of up to limit hex digits at the start of s
// and returns how many digits it used.
func hexEscape(b *strings.Builder, s string, limit int) int {
	n := 0
	for n < limit && n < len(s) && isHex(s[n]) {
		n++
	}
	v, err := strconv.ParseUint(s[:n], 16, 32)
	switch {
	case err != nil:
	case limit == 2:
		b.WriteByte(byte(v & 0xff))
	default:
		b.WriteRune(rune(v & 0x1fffff))
	}
	return n
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// isBraceWord reports whether a word has an unquoted "{a,b}".
func isBraceWord(w *syntax.Word) bool {
	for _, p := range w.Parts {
		if l, ok := p.(*syntax.Lit); ok && strings.IndexByte(l.Value, '{') >= 0 {
			return true
		}
	}
	return false
}

// expandBraces expands one comma list "x{a,b}y"; sequences stay as written.
func expandBraces(s string) []string {
	open := strings.IndexByte(s, '{')
	shut := strings.LastIndexByte(s, '}')
	if open < 0 || shut < open || !strings.Contains(s[open:shut], ",") || open > 0 && s[open-1] == '$' {
		return []string{s}
	}
	var out []string
	depth, from := 0, open+1
	for i := open + 1; i <= shut && len(out) < maxFields; i++ {
		switch {
		case s[i] == '{':
			depth++
		case s[i] == '}' && i < shut:
			depth--
		case i == shut || s[i] == ',' && depth == 0:
			out = append(out, s[:open]+s[from:i]+s[shut+1:])
			from = i + 1
		}
	}
	return out
}
