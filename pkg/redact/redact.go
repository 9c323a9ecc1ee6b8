// Package redact takes secrets and hostile text out of everything that leaves
// the process: marks, records, logs, published messages and lookups.
//
// Secrets are found by the rule set of gitleaks and by rules for what
// gitleaks does not know: command flags, URL userinfo, query parameters,
// headers and environment assignments. A secret becomes Mask; what is no
// secret (hosts, paths, hashes, image digests, shell variables, command
// substitutions) survives, because it is the evidence. Hostile text is
// neutralised: control characters, terminal escapes, bidirectional overrides
// and invisible characters are removed.
//
// When in doubt a value is masked. Nothing in this package logs.
package redact

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Mask stands where a secret was.
const Mask = "[REDACTED]"

// MaxText is the longest text, in bytes, that Text looks at; what is longer is
// cut at a space before that.
const MaxText = 64 << 10

// maxPasses bounds the passes over a text whose masking uncovers more. A text
// that still changes then is masked as a whole.
const maxPasses = 6

// Redactor finds and masks secrets. It is safe for concurrent use.
type Redactor struct {
	leaks *ruleSet
	// clean are texts, and lines, that were found to hold nothing to take out.
	clean, lines known
}

// New returns a Redactor. It reads gitleaks' rule set, which takes about two
// milliseconds: do it once per process. Rules are compiled when first needed.
func New() (*Redactor, error) {
	rules, err := loadRules()
	if err != nil {
		return nil, err
	}
	return &Redactor{leaks: rules}, nil
}

// Text returns s without secrets and without hostile characters; newlines and
// tabs stay. It is idempotent.
func (r *Redactor) Text(s string) string {
	if r.clean.has(s) {
		return s
	}
	given := s
	s = strip(bound(s), true)
	for range maxPasses {
		next := r.pass(s)
		if next == s {
			if s == given {
				r.clean.add(s)
			}
			return s
		}
		s = next
	}
	return Mask
}

// Line is Text on one line of at most limit characters: line breaks become
// spaces, and what is cut ends with "…".
func (r *Redactor) Line(s string, limit int) string {
	if r.lines.has(s) {
		return cut(s, limit)
	}
	line := Clean(r.Text(Clean(within(s, limit), 0)), 0)
	if line == s {
		r.lines.add(s)
	}
	return cut(line, limit)
}

// Block is Text of at most limit characters that keeps its line breaks.
func (r *Redactor) Block(s string, limit int) string {
	return cut(strings.TrimSpace(r.Text(within(s, limit))), limit)
}

// Args joins an argument vector for display, quoted as a shell would need it
// and without secrets, those that span two arguments ("--password", "x") included.
func (r *Redactor) Args(argv []string) string {
	masked := maskArgs(argv)
	var b strings.Builder
	for i, arg := range masked {
		if i > 0 {
			b.WriteByte(' ')
		}
		if arg != Mask {
			arg = quote(r.Text(arg))
		}
		b.WriteString(arg)
		if b.Len() > MaxText {
			break
		}
	}
	return r.Text(b.String())
}

// span is a half-open range of bytes to mask.
type span struct{ from, to int }

// pass masks what one look at s finds; masking may uncover more.
func (r *Redactor) pass(s string) string { return r.look(s, 0) }

// look is pass on a text that was decoded so often.
func (r *Redactor) look(s string, depth int) string {
	if word(s, 0, 0) == len(s) && len(s) < 16 && !strings.ContainsAny(s, "=:>%@-") {
		return s // a bare word too short for a token
	}
	f := finder{text: s, low: lower(s)}
	f.blocks()
	f.urls()
	f.webTokens()
	f.bearer()
	f.pipes()
	f.assignments()
	f.flags()
	r.leaks.find(&f)
	r.encoded(&f, depth)
	return f.masked()
}

// finder collects the spans of one text.
type finder struct {
	text string
	// low is text with ASCII in lower case.
	low   string
	spans []span
	// covered is where the last masked value of an assignment ends: the
	// operators inside it are part of the secret.
	covered int
}

// mask notes text[from:to] as secret, unless it is empty or Mask already.
func (f *finder) mask(from, to int) {
	if from >= to || f.text[from:to] == Mask {
		return
	}
	f.spans = append(f.spans, span{from, to})
}

// has reports whether the byte at i is in a span already.
func (f *finder) has(i int) bool {
	for _, s := range f.spans {
		if s.from <= i && i < s.to {
			return true
		}
	}
	return false
}

// masked returns the text with every span, overlapping ones merged, replaced.
func (f *finder) masked() string {
	if len(f.spans) == 0 {
		return f.text
	}
	slices.SortFunc(f.spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	b.Grow(len(f.text))
	last, end := 0, -1
	for _, s := range f.spans {
		if s.from < end { // overlaps the one before
			end = max(end, s.to)
			last = max(last, end)
			continue
		}
		b.WriteString(f.text[last:s.from])
		b.WriteString(Mask)
		end = s.to
		last = s.to
	}
	b.WriteString(f.text[last:])
	return b.String()
}

// bound cuts s to MaxText at a space, so that no secret is cut in two.
func bound(s string) string {
	if len(s) <= MaxText {
		return s
	}
	return cutAtSpace(s, MaxText)
}

// within cuts a text of which only limit characters will be shown, generously
// and at a space, so that redacting it costs no more than needed.
func within(s string, limit int) string {
	enough := 4*limit + 512
	if limit <= 0 || len(s) <= enough {
		return s
	}
	return cutAtSpace(s, enough)
}

func cutAtSpace(s string, limit int) string {
	head := s[:limit]
	if i := strings.LastIndexAny(head, " \t\r\n"); i >= 0 {
		return head[:i] + " …"
	}
	return "…"
}

// cut shortens s to limit characters, the last of them "…" when something was cut.
func cut(s string, limit int) string {
	if limit <= 0 || len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit-1 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
		n++
	}
	return s
}
