package redact

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"
)

// genericRule is gitleaks' rule for any value assigned to a telling name. Its
// expression is slow and its keywords are everyday words, so it runs only where
// a value of the right form follows.
const genericRule = "generic-api-key"

// matchWindow is how much text on either side of a keyword a rule sees, in bytes.
const matchWindow = 1024

// ruleSet is gitleaks' default rules behind a filter by keyword. gitleaks'
// own detector compiles all rules when loaded (30 ms), visits each of them for
// each text (100 µs) and logs what it finds; the rules are used directly instead.
type ruleSet struct {
	rules []*leakRule
	// bucket is, for each pair of bytes that begins a keyword, the number of
	// its keywords in buckets; 0 for all others.
	bucket  [1 << 16]uint16
	buckets [][]keyword
	allowed []func() (*regexp.Regexp, error)
	// prefixes are the tokens known by their prefix.
	prefixes []tokenPrefix
}

// keyword leads to a rule, or, when rule is negative, to prefixes[-1-rule].
type keyword struct {
	word string
	rule int
	// alnum is how many letters or digits follow the word wherever the rule
	// matches; 0 where that is not known.
	alnum int
}

// vaultRule finds HashiCorp Vault's service tokens by the keyword "s.", which
// most texts hold; its expression wants 24 letters or digits to follow.
const (
	vaultRule  = "vault-service-token"
	vaultWord  = "s."
	vaultAlnum = 24
)

// alnums reports whether n letters or digits stand at low[i:].
func alnums(low string, i, n int) bool {
	if len(low) < i+n {
		return false
	}
	for _, c := range []byte(low[i : i+n]) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// leakRule is one rule of gitleaks. Allowlists are kept for the generic rule
// only: elsewhere they spare well-known sample secrets, which may as well be masked.
type leakRule struct {
	id         string
	regex      func() (*regexp.Regexp, error)
	entropy    float64
	group      int
	stopwords  []string
	allowMatch []func() (*regexp.Regexp, error)
	allowValue []func() (*regexp.Regexp, error)
}

// leakConfig is the part of gitleaks.toml that is used.
type leakConfig struct {
	Allowlist struct{ Regexes []string }
	Rules     []struct {
		ID, Path, Regex string
		SecretGroup     int
		Entropy         float64
		Keywords        []string
		Allowlists      []struct {
			RegexTarget string
			Regexes     []string
			StopWords   []string
		}
	}
}

func loadRules() (*ruleSet, error) {
	var conf leakConfig
	if err := toml.Unmarshal([]byte(config.DefaultConfig), &conf); err != nil {
		return nil, fmt.Errorf("read the gitleaks rules: %w", err)
	}
	set := &ruleSet{buckets: make([][]keyword, 1), allowed: lazyAll(conf.Allowlist.Regexes)}
	for _, c := range conf.Rules {
		// A rule with a path looks at files, which we have none of.
		if c.Path != "" || c.Regex == "" || ours(c.ID) {
			continue
		}
		rule := &leakRule{id: c.ID, regex: lazy(c.Regex), entropy: c.Entropy, group: c.SecretGroup}
		if c.ID == genericRule {
			for _, a := range c.Allowlists {
				rule.stopwords = append(rule.stopwords, a.StopWords...)
				if a.RegexTarget == "match" {
					rule.allowMatch = append(rule.allowMatch, lazyAll(a.Regexes)...)
				} else {
					rule.allowValue = append(rule.allowValue, lazyAll(a.Regexes)...)
				}
			}
		}
		set.rules = append(set.rules, rule)
		for _, word := range c.Keywords {
			set.add(strings.ToLower(word), len(set.rules)-1)
		}
	}
	if len(set.rules) == 0 {
		return nil, fmt.Errorf("read the gitleaks rules: there are none")
	}
	set.prefixes = tokenPrefixes()
	for i, p := range set.prefixes {
		set.add(lower(p.prefix), -1-i)
	}
	return set, nil
}

// ours reports whether this package's own rules do all that the rule does, and
// leave more of the text around the secret.
func ours(id string) bool {
	return id == "curl-auth-user" || id == "curl-auth-header" || id == "jwt"
}

func (set *ruleSet) add(word string, rule int) {
	if len(word) < 2 {
		return // no such keyword; it could not be filtered by
	}
	pair := uint16(word[0])<<8 | uint16(word[1])
	n := set.bucket[pair]
	if n == 0 {
		n = uint16(len(set.buckets)) //nolint:gosec // at most one a pair, and 0 is none
		set.bucket[pair] = n
		set.buckets = append(set.buckets, nil)
	}
	k := keyword{word: word, rule: rule}
	if rule >= 0 && word == vaultWord && set.rules[rule].id == vaultRule {
		k.alnum = vaultAlnum
	}
	set.buckets[n] = append(set.buckets[n], k)
}

// find adds what the rules find in the text.
func (set *ruleSet) find(f *finder) {
	low := f.low
	var seen map[int]int // rule → up to where its last window covers
	for i := 0; i+1 < len(low); i++ {
		pair := uint16(low[i])<<8 | uint16(low[i+1])
		n := set.bucket[pair]
		if n == 0 {
			continue
		}
		for _, k := range set.buckets[n] {
			if !strings.HasPrefix(low[i:], k.word) {
				continue
			}
			if k.rule < 0 {
				f.prefixed(set.prefixes[-1-k.rule], i)
				continue
			}
			rule := set.rules[k.rule]
			if rule.id == genericRule {
				if at, to := genericWindow(low, i, len(k.word)); to > 0 && !f.has(at) {
					set.match(f, rule, i, to)
				}
				continue
			}
			if k.alnum > 0 && !alnums(low, i+len(k.word), k.alnum) {
				continue
			}
			if end := seen[k.rule]; i < end {
				continue
			}
			from, to := max(0, i-matchWindow), i+2*matchWindow
			if seen == nil {
				seen = make(map[int]int)
			}
			seen[k.rule] = to - matchWindow
			if to >= len(low) {
				to = len(low)
				seen[k.rule] = to
			}
			set.match(f, rule, from, to)
		}
	}
}

// match masks what the rule finds in text[from:to].
func (set *ruleSet) match(f *finder, rule *leakRule, from, to int) {
	text := f.text[from:to]
	re, err := rule.regex()
	if err != nil {
		// Never seen (a test compiles them all): mask rather than let pass.
		f.mask(from, to)
		return
	}
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		lo, hi := secretGroup(m, rule.group)
		secret := text[lo:hi]
		if rule.entropy > 0 && entropy(secret) <= rule.entropy {
			continue
		}
		if rule.id == genericRule && (set.allows(rule, text[m[0]:m[1]], secret) || harmless(secret)) {
			continue
		}
		f.mask(from+lo, from+hi)
	}
}

// allows reports whether an allowlist spares the secret.
func (set *ruleSet) allows(rule *leakRule, match, secret string) bool {
	if anyMatch(set.allowed, secret) || anyMatch(rule.allowValue, secret) || anyMatch(rule.allowMatch, match) {
		return true
	}
	low := lower(secret)
	for _, word := range rule.stopwords {
		if strings.Contains(low, word) {
			return true
		}
	}
	return false
}

// genericWindow finds the text low[i:to] the generic rule needs to see for the
// keyword of n bytes at i: up to 23 characters of a name, an operator, and, at
// the position value, a value that is long enough, holds a digit and ends where
// a value ends. to is 0 when there is none.
func genericWindow(low string, i, n int) (value, to int) {
	end := i + n
	p := end
	for p < len(low) && p < end+23 && (nameByte(low[p]) || strings.IndexByte(" \t'\"\r\n", low[p]) >= 0) {
		p++
	}
	if p >= len(low) || strings.IndexByte("=>|:?,", low[p]) < 0 {
		return 0, 0
	}
	for op := p; p < len(low) && p < op+9 && strings.IndexByte("=>|:?,`'\" \t\r\n", low[p]) >= 0; {
		p++
	}
	return p, max(genericValue(low, p, ".=-_", 10), genericValue(low, p, "+/=", 12))
}

// genericValue reports where the window of a value at p ends: a run of letters,
// digits and the given others, at least that long, with a digit in it, and
// followed by what may follow a value. It returns 0 when there is none.
func genericValue(low string, p int, others string, least int) int {
	end, digit := p, false
	for ; end < len(low) && end < p+160; end++ {
		c := low[end]
		if c >= '0' && c <= '9' {
			digit = true
		} else if (c < 'a' || c > 'z') && strings.IndexByte(others, c) < 0 {
			break
		}
	}
	if end < p+least || !digit {
		return 0
	}
	if end < len(low) && end < p+150 && strings.IndexByte("`'\" \t\r\n;\\", low[end]) < 0 {
		return 0
	}
	return min(len(low), end+2)
}

// secretGroup picks the secret as gitleaks does: the rule's group, else the
// first group that is not empty, else the whole match.
func secretGroup(m []int, group int) (lo, hi int) {
	if group > 0 && 2*group+1 < len(m) && m[2*group] >= 0 {
		return m[2*group], m[2*group+1]
	}
	for g := 2; g+1 < len(m); g += 2 {
		if m[g] >= 0 && m[g] < m[g+1] {
			return m[g], m[g+1]
		}
	}
	return m[0], m[1]
}

// entropy is the Shannon entropy of s in bits per character, as gitleaks counts it.
func entropy(s string) float64 {
	if s == "" {
		return 0
	}
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	var e float64
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(s))
			e -= p * math.Log2(p)
		}
	}
	return e
}

func lazy(expr string) func() (*regexp.Regexp, error) {
	return sync.OnceValues(func() (*regexp.Regexp, error) { return regexp.Compile(expr) })
}

func lazyAll(exprs []string) []func() (*regexp.Regexp, error) {
	out := make([]func() (*regexp.Regexp, error), len(exprs))
	for i, expr := range exprs {
		out[i] = lazy(expr)
	}
	return out
}

func anyMatch(list []func() (*regexp.Regexp, error), s string) bool {
	for _, get := range list {
		if re, err := get(); err == nil && re.MatchString(s) {
			return true
		}
	}
	return false
}

// lower lower-cases ASCII only, so that offsets stay.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
