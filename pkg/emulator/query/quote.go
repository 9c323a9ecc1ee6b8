package query

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quoted reads a string literal in double quotes. Unknown escapes keep their
// backslash, so that a regular expression may be written with single ones.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for p.i++; !p.end(); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			if !utf8.ValidString(b.String()) {
				return "", p.errorf("string is not valid UTF-8")
			}
			return b.String(), nil
		case '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", p.errorf("missing closing quote")
}

func (p *parser) escape(b *strings.Builder) error {
	if p.i+1 >= len(p.s) {
		return p.errorf("missing closing quote")
	}
	p.i++
	switch c := p.s[p.i]; c {
	case '"', '\\', '\'':
		b.WriteByte(c)
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'x':
		return p.code(b, 2)
	case 'u':
		return p.code(b, 4)
	case 'U':
		return p.code(b, 8)
	default:
		b.WriteByte('\\')
		b.WriteByte(c)
	}
	return nil
}

func (p *parser) code(b *strings.Builder, digits int) error {
	if p.i+digits >= len(p.s) {
		return p.errorf("short escape")
	}
	n, err := strconv.ParseUint(p.s[p.i+1:p.i+1+digits], 16, 32)
	if err != nil || n > utf8.MaxRune {
		return p.errorf("bad escape")
	}
	b.WriteRune(rune(n))
	p.i += digits
	return nil
}
