package redact

import "strings"

// assignments masks the values of secret-looking names: DB_PASSWORD=x,
// "api_key": "x", X-Api-Key: x, ?token=x, <password>x</password>, and their
// percent-encoded forms.
func (f *finder) assignments() {
	s := f.text
	if strings.IndexByte(s, '=') < 0 && strings.IndexByte(s, ':') < 0 && strings.IndexByte(s, '>') < 0 && strings.IndexByte(s, '%') < 0 {
		return
	}
	var open byte // the quote we are in, as a shell would see it
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\'' || s[i+1] == '\\') {
				i++
			}
		case '\n':
			open = 0
		case '"', '\'':
			switch open {
			case 0:
				open = c
			case c:
				open = 0
			}
		case '=', ':', '>':
			if i >= f.covered {
				f.assignment(i, i+1, c, open)
			}
		case '%':
			if i >= f.covered && i+2 < len(s) && s[i+1] == '3' {
				switch s[i+2] {
				case 'D', 'd':
					f.assignment(i, i+3, '=', '%')
				case 'A', 'a':
					f.assignment(i, i+3, ':', '%')
				}
			}
		}
	}
}

// assignment looks at one operator s[at:after] and masks the value behind it
// if the name before it asks for that.
func (f *finder) assignment(at, after int, op, open byte) {
	s := f.text
	if op == ':' && (strings.HasPrefix(s[at:], "://") || strings.HasPrefix(s[at:], "::")) {
		return
	}
	a, b, quoted := nameBefore(s, at)
	if a == b {
		return
	}
	before := byte(' ')
	if a > 0 {
		before = s[a-1]
	}
	if op == '>' && before != '<' {
		return
	}
	kind := classify(s[a:b])
	if kind == queryName {
		if op != '=' || before != '?' && before != '&' && before != ';' {
			return
		}
		kind = secretName
	}
	if kind == plainName || secretReference(s, a, b) {
		return
	}
	p := after
	for p < len(s) && p < after+2 && (s[p] == '=' || s[p] == '>' || s[p] == '~') && op != '>' {
		p++
	}
	for n := 0; p < len(s) && n < 4 && (s[p] == ' ' || s[p] == '\t'); n++ {
		p++
	}
	if kind == authName || kind == cookieName {
		f.header(kind, p, open)
		return
	}
	from, to := value(s, p, open)
	v := s[from:to]
	if harmless(v) || strings.EqualFold(v, s[a:b]) {
		return
	}
	if op == ':' && !quoted && p > after && prose(v) {
		return
	}
	if kind == tokenName && len(v) <= 6 && digitsOnly(v) {
		return
	}
	if strings.HasSuffix(lower(s[a:b]), "credentials") && filePath(v) {
		return
	}
	f.covered = to
	f.mask(from, to)
}

// secretReference reports whether the name s[a:b] belongs to gcloud's flags
// that name a secret in Secret Manager: --secret=NAME, --set-secrets=ENV=NAME:VERSION.
func secretReference(s string, a, b int) bool {
	start := a
	for start > 0 && start > a-512 && strings.IndexByte(" \t\n\"'", s[start-1]) < 0 {
		start--
	}
	switch flag, _, _ := strings.Cut(s[start:b], "="); flag {
	case "--set-secrets", "--update-secrets", "--remove-secrets":
		return true
	case "--secret":
		return strings.Contains(s, "gcloud ")
	}
	return false
}

// header masks the value of an Authorization or Cookie header that begins at
// p: of the first what follows the scheme, of the second everything up to the
// end of the quote or line.
func (f *finder) header(kind nameKind, p int, open byte) {
	s := f.text
	end := lineEnd(s, p)
	if p < end && (s[p] == '"' || s[p] == '\'') && s[p] != open {
		open = s[p]
		p++
	} else if strings.HasPrefix(s[p:end], `\"`) {
		p += 2
		open = '"'
	}
	switch open {
	case '"', '\'':
		if i := strings.IndexByte(s[p:end], open); i >= 0 {
			end = p + i
		}
	case '%':
		if i := strings.IndexAny(s[p:end], "& "); i >= 0 {
			end = p + i
		}
	}
	if end > p && s[end-1] == '\\' {
		end--
	}
	if kind == authName {
		word, rest, found := strings.Cut(s[p:end], " ")
		if found && scheme(word) {
			p = end - len(rest)
		}
		// Of an unquoted header in a log line only the credentials go.
		if i := strings.IndexAny(s[p:end], " ,"); open == 0 && i > 0 && !strings.EqualFold(word, "digest") && found && scheme(word) {
			end = p + i
		}
	}
	if !harmless(s[p:end]) {
		f.covered = end
		f.mask(p, end)
	}
}

func scheme(word string) bool {
	switch lower(word) {
	case "bearer", "basic", "token", "digest", "negotiate", "apikey", "hmac", "aws4-hmac-sha256", "goog4-rsa-sha256", "ntlm", "key", "sharedkey", "oauth":
		return true
	}
	return false
}

// nameBefore finds the name s[a:b] that ends before the operator at i, over up
// to three spaces, a closing quote and a closing bracket. quoted says whether
// the name was in quotes, as in JSON.
func nameBefore(s string, i int) (a, b int, quoted bool) {
	b = i
	if b > 0 && (s[b-1] == '?' || s[b-1] == '+' || s[b-1] == '!' || s[b-1] == ':' || s[b-1] == '=') {
		b--
	}
	for n := 0; b > 0 && n < 3 && (s[b-1] == ' ' || s[b-1] == '\t'); n++ {
		b--
	}
	if b > 0 && s[b-1] == ']' {
		b--
	}
	if b > 0 && (s[b-1] == '"' || s[b-1] == '\'') {
		quoted = true
		b--
		if b > 0 && s[b-1] == '\\' {
			b--
		}
	}
	a = b
	for a > 0 && b-a < 96 && nameByte(s[a-1]) {
		a--
	}
	return a, b, quoted
}

// value finds the value s[from:to] that begins at p: the inside of a quoted
// string, or a word. open is the quote that p already is in, or 0; '%' says
// that the text is percent-encoded.
func value(s string, p int, open byte) (from, to int) {
	if p >= len(s) {
		return len(s), len(s)
	}
	if open == '%' {
		end := p
		for end < len(s) && !strings.HasPrefix(s[end:], "%26") && strings.IndexByte("& \t\r\n\"'", s[end]) < 0 {
			end++
		}
		return p, end
	}
	if strings.HasPrefix(s[p:], Mask) {
		return p, word(s, p, open)
	}
	c := s[p]
	if c == '\\' && p+1 < len(s) && (s[p+1] == '"' || s[p+1] == '\'') {
		from = p + 2
		if i := strings.Index(s[from:], s[p:p+2]); i >= 0 {
			return from, from + i
		}
		return from, lineEnd(s, from)
	}
	if c == '[' {
		if i := strings.IndexByte(s[p:], ']'); i > 0 && i < 4096 {
			return p + 1, p + i
		}
	}
	if c == '"' || c == '\'' {
		if c == open && (p+1 == len(s) || strings.IndexByte(" \t\r\n;,)]}|&", s[p+1]) >= 0) {
			return p, p // the end of the quote around it
		}
		to = closing(s, p)
		if to < len(s) && to+1 < len(s) && s[to] == c && wordByte(s, to+1, open) {
			return p, word(s, to+1, open)
		}
		return p + 1, to
	}
	return p, word(s, p, open)
}

// maxQuoted is the longest quoted value, in bytes, whose end is looked for.
const maxQuoted = 16 << 10

// closing finds the quote that closes the one at p; a quote that is never
// closed ends with its line.
func closing(s string, p int) int {
	c := s[p]
	for i := p + 1; i < len(s) && i < p+maxQuoted; i++ {
		switch {
		case s[i] == '\\' && c == '"':
			i++
		case s[i] == c:
			return i
		}
	}
	return lineEnd(s, p+1)
}

// word finds the end of the unquoted word at p.
func word(s string, p int, open byte) int {
	for p < len(s) && wordByte(s, p, open) {
		switch c := s[p]; c {
		case '[':
			if strings.HasPrefix(s[p:], Mask) {
				p += len(Mask) - 1
			}
		case '\\':
			p++
		case '"', '\'':
			end := closing(s, p)
			if end >= len(s) || s[end] != c {
				p++
				continue
			}
			p = end
		case '$':
			if strings.HasPrefix(s[p:], "$(") {
				if i := strings.IndexByte(s[p:], ')'); i > 0 {
					p += i
				}
			}
		}
		p++
	}
	return min(p, len(s))
}

// wordByte reports whether s[i] still belongs to an unquoted word.
func wordByte(s string, i int, open byte) bool {
	next := byte(' ')
	if i+1 < len(s) {
		next = s[i+1]
	}
	switch c := s[i]; c {
	case ' ', '\t', '\r', '\n', ';', '|', '>', '`':
		return false
	case '\\':
		return next != '"' && next != '\''
	case '"', '\'':
		return c != open
	case '<':
		return next != '/' && next != '<' && next != '('
	case ')', '}', ']':
		return strings.IndexByte(" \t\r\n;,)]}|&\"'", next) < 0
	case '&', ',':
		return strings.IndexByte(" \t\r\n\"'&,{[", next) < 0 && !named(s[i+1:])
	}
	return true
}

// named reports whether s begins with a name and an operator: another
// assignment, of which the value before it is no part.
func named(s string) bool {
	i := 0
	for i < len(s) && i < 64 && nameByte(s[i]) {
		i++
	}
	return i > 0 && i < len(s) && (s[i] == '=' || s[i] == ':')
}

func lineEnd(s string, from int) int {
	if from >= len(s) {
		return len(s)
	}
	if i := strings.IndexByte(s[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(s)
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// filePath reports whether v is the path of a file.
func filePath(v string) bool {
	return strings.HasPrefix(v, "/") || strings.HasPrefix(v, "./") || strings.HasPrefix(v, "~/")
}
