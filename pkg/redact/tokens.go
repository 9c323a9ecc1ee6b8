package redact

import (
	"regexp"
	"strings"
)

// blocks masks private keys in PEM: to their end, or to the end of the text
// when they were cut.
func (f *finder) blocks() {
	const begin, end = "-----BEGIN ", "-----END "
	for at := 0; ; {
		i := strings.Index(f.text[at:], begin)
		if i < 0 {
			return
		}
		from := at + i
		at = from + len(begin)
		label := f.text[at:min(len(f.text), at+40)]
		if j := strings.Index(label, "-----"); j >= 0 {
			label = label[:j]
		}
		if !strings.Contains(label, "PRIVATE") {
			continue
		}
		to := len(f.text)
		if j := strings.Index(f.text[at:], end); j >= 0 {
			to = at + j + len(end)
			if k := strings.Index(f.text[to:], "-----"); k >= 0 && k < 40 {
				to += k + len("-----")
			}
		}
		f.mask(from, to)
		at = to
	}
}

// urls masks the password in scheme://user:password@host, and a long user that
// stands alone, which is a token; and Go's data source names,
// user:password@tcp(host).
func (f *finder) urls() {
	s := f.text
	for at := 0; ; {
		i := strings.Index(s[at:], "://")
		if i < 0 {
			break
		}
		from := at + i + 3
		at = from
		end := from
		for end < len(s) && end < from+2048 && strings.IndexByte(" \t\r\n\"'<>`\\|", s[end]) < 0 {
			end++
		}
		f.userinfo(s, from, end)
	}
	if strings.Contains(s, "@tcp(") || strings.Contains(s, "@unix(") {
		for _, m := range sourceName.FindAllStringSubmatchIndex(s, -1) {
			f.mask(m[2], m[3])
		}
	}
}

var sourceName = regexp.MustCompile(`[\w.-]+:([^\s"']+)@(?:tcp|unix)\(`)

// userinfo masks the secret of the authority that begins at from.
func (f *finder) userinfo(s string, from, end int) {
	word := s[from:end]
	authority := word
	if i := strings.IndexAny(word, "/?#"); i >= 0 {
		authority = word[:i]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		// A password may hold a raw "/", "?" or "#"; a port may not.
		colon := strings.IndexByte(authority, ':')
		last := strings.LastIndexByte(word, '@')
		if colon < 0 || last < 0 || digitsOnly(authority[colon+1:]) {
			return
		}
		at = last
	}
	user, _, found := strings.Cut(word[:at], ":")
	if found {
		if pw := word[len(user)+1 : at]; !harmless(pw) {
			f.mask(from+len(user)+1, from+at)
		}
		return
	}
	if len(user) >= 20 && !harmless(user) && strings.IndexByte(user, '@') < 0 {
		f.mask(from, from+at)
	}
}

// webTokens masks JSON web tokens.
func (f *finder) webTokens() {
	s := f.text
	for at := 0; ; {
		i := strings.Index(s[at:], "eyJ")
		if i < 0 {
			break
		}
		from := at + i
		head := run(s, from)
		at = max(head, from+3)
		if head-from < 10 || head >= len(s) || s[head] != '.' {
			continue
		}
		to := run(s, head+1)
		if to-head < 11 {
			continue
		}
		for n := 0; n < 3 && to < len(s) && s[to] == '.'; n++ {
			to = run(s, to+1)
		}
		f.mask(from, to)
		at = to
	}
}

// prefixed masks the token that begins at i if it has the prefix and the length.
func (f *finder) prefixed(p tokenPrefix, i int) {
	s := f.text
	if !strings.HasPrefix(s[i:], p.prefix) || i > 0 && nameByte(s[i-1]) && s[i-1] != '-' && s[i-1] != '.' {
		return
	}
	from := i + len(p.prefix)
	to := from
	for to < len(s) && (nameByte(s[to]) || s[to] == '/') {
		to++
	}
	if to-from >= p.least {
		f.mask(i, to)
	}
}

type tokenPrefix struct {
	prefix string
	// least is how many characters follow at the least.
	least int
}

// tokenPrefixes are tokens known by their prefix, which are masked whatever
// their entropy.
func tokenPrefixes() []tokenPrefix {
	return []tokenPrefix{
		{"ya29.", 10}, {"GOCSPX-", 10}, {"AIza", 30}, {"1//0", 20},
		{"ghp_", 16}, {"gho_", 16}, {"ghs_", 16}, {"ghu_", 16}, {"github_pat_", 16}, {"glpat-", 16},
		{"xoxb-", 10}, {"xoxp-", 10}, {"xoxa-", 10}, {"sk_live_", 16}, {"rk_live_", 16},
		{"sk-ant-", 16}, {"sk-proj-", 16}, {"hvs.", 16}, {"AKIA", 16}, {"ASIA", 16},
	}
}

// bearer masks what follows the word "Bearer" wherever it stands.
func (f *finder) bearer() {
	low := f.low
	for at := 0; ; {
		i := strings.Index(low[at:], "bearer")
		if i < 0 {
			return
		}
		p := at + i + len("bearer")
		at = p
		for n := 0; p < len(low) && n < 3 && (low[p] == ' ' || low[p] == ':' || low[p] == '+'); n++ {
			p++
		}
		if strings.HasPrefix(low[p:], "%20") {
			p += 3
		}
		to := p
		for to < len(low) && (nameByte(low[to]) || strings.IndexByte("~+/=", low[to]) >= 0) {
			to++
		}
		if p > at && to-p >= 16 {
			f.mask(p, to)
			at = to
		}
	}
}

// piped finds secrets that are echoed into a program that asks for them, and
// two forms in which only the words around it tell a secret.
var piped = []struct {
	needle string
	// one of these bytes is in every text that the expression matches.
	one  string
	expr *regexp.Regexp
}{
	{"sudo", "|", regexp.MustCompile(`\b(?:echo|printf)\s+(?:-[neE]+\s+)?("[^"|]*"|'[^'|]*'|[^\s|]+)\s*\|\s*sudo\s[^|;&]*-\w*S`)},
	{"passwd", "|", regexp.MustCompile(`\b(?:echo|printf)\s+(?:-[neE]+\s+)?("[^"|]*"|'[^'|]*'|[^\s|]+)\s*\|\s*(?:sudo\s+)?(?:ch)?passwd\b`)},
	{"-stdin", "|", regexp.MustCompile(`\b(?:echo|printf)\s+(?:-[neE]+\s+)?("[^"|]*"|'[^'|]*'|[^\s|]+)\s*\|[^|;&]*--(?:password|token)-stdin`)},
	{"--with-token", "|", regexp.MustCompile(`\b(?:echo|printf)\s+(?:-[neE]+\s+)?("[^"|]*"|'[^'|]*'|[^\s|]+)\s*\|[^|;&]*--with-token`)},
	{"dentified", `"'`, regexp.MustCompile(`(?i)\bidentified\s+(?:with\s+\S+\s+)?by\s+["']([^"']+)["']`)},
	{"DENTIFIED", `"'`, regexp.MustCompile(`(?i)\bidentified\s+(?:with\s+\S+\s+)?by\s+["']([^"']+)["']`)},
	{"machine", " ", regexp.MustCompile(`\blogin\s+\S+\s+password\s+(\S+)`)},
	{"pass:", ":", regexp.MustCompile(`-(?:pass(?:in|out)?|srcpass|destpass)\s+["']?pass:([^\s"']+)`)},
}

func (f *finder) pipes() {
	if !strings.ContainsAny(f.text, "|'\" ") {
		return
	}
	for _, p := range piped {
		if !strings.ContainsAny(f.text, p.one) || !strings.Contains(f.text, p.needle) {
			continue
		}
		for _, m := range p.expr.FindAllStringSubmatchIndex(f.text, -1) {
			if !harmless(f.text[m[2]:m[3]]) {
				f.mask(m[2], m[3])
			}
		}
	}
}

// run returns the end of the base64url characters that begin at i.
func run(s string, i int) int {
	for i < len(s) && s[i] != '.' && nameByte(s[i]) {
		i++
	}
	return i
}
