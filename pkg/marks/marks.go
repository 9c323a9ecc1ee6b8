// Package marks turns a record into security marks, and reads back what an
// earlier write left: the contract that docs/marks.md describes.
//
// Keys are a prefix and one of a closed list of names; only these are ever
// ours, so that a mark of anybody else, with our prefix or without, is never
// touched. Keys and values are compared without regard to case, as Security
// Command Center does (google.cloud.securitycenter.v2.SecurityMarks). A value
// has 1 to 4,096 characters, no control characters and no surrounding space; a
// mark with nothing to say is absent.
package marks

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Schema is the version of the marks, the value of the mark "schema".
const Schema = "1"

// DefaultPrefix is the prefix of our marks when none is configured.
const DefaultPrefix = "enrich_"

// MaxValue is the longest value of a mark, in characters (security_marks.proto).
const MaxValue = 4096

// EventTimeLayout is the form of the mark "event_time": RFC 3339 in UTC with
// nine digits of nanoseconds, so that texts sort as times do.
const EventTimeLayout = "2006-01-02T15:04:05.000000000Z"

// Set is the marks of one record.
type Set struct {
	// Values are the marks by full key.
	Values map[string]string
	// Digest is the value of the mark "digest": equal digests say the same.
	Digest string
}

// Status is the value of the mark "status", or empty.
func (s Set) Status(prefix string) string { return lower(s.Values[lower(prefix)+"status"]) }

// Known is what an earlier write left on a finding.
type Known struct {
	// Present is true when there is any mark of ours.
	Present bool
	// Keys are all keys of ours, sorted, spelled as they were read.
	Keys []string
	// Schema and Status are the values of these marks, or empty.
	Schema, Status string
	// EventTime is the event that was enriched; zero when absent or unreadable.
	EventTime time.Time
	// Time is when the marks were written; zero when absent or unreadable.
	Time time.Time
	// Digest is the digest as written, in lower case, or empty.
	Digest string
	// Intact is true when the digest is that of the marks as they are now:
	// nobody has changed, added or removed one of ours since.
	Intact bool
	// Verdict, Priority, Incident and NextAction are the values of these marks, or empty.
	Verdict, Priority, Incident, NextAction string
	// Summary is the value of this mark, in its own case.
	Summary string
	// Score is 0 to 100, or -1 when absent or unreadable.
	Score int
	// Sources are the states by source, "logs" → "quota".
	Sources map[string]string
}

// Names returns the closed list of the marks' names, without prefix, in the
// order of docs/marks.md.
func Names() []string {
	return []string{
		"schema", "status", "sources", "event_time", "time", "digest",
		"verdict", "score", "own_score", "priority", "reasons", "summary", "next_action", "plan",
		"process", "command", "behaviors", "tactics", "techniques", "indicators",
		"workload", "revision", "container", "image", "service_account", "exposure", "config_risks",
		"last_deploy", "log_signals", "log_excerpt", "logs_url", "vt", "vt_url",
		"incident", "related_count", "related", "related_muted", "incident_start", "incident_end",
	}
}

// Read picks our marks out of all marks of a finding. Keys are compared
// without regard to case.
func Read(prefix string, all map[string]string) Known {
	ours := pick(prefix, all)
	k := Known{Present: len(ours) > 0, Score: -1}
	if !k.Present {
		return k
	}
	k.Keys = make([]string, 0, len(ours))
	for _, m := range ours {
		k.Keys = append(k.Keys, m.key)
	}
	slices.Sort(k.Keys)
	word := func(name string) string { return lower(ours[name].value) }
	k.Schema, k.Status = word("schema"), word("status")
	k.Verdict, k.Priority = word("verdict"), word("priority")
	k.Incident, k.NextAction = word("incident"), word("next_action")
	k.Summary = ours["summary"].value
	k.EventTime, k.Time = readTime(word("event_time")), readTime(word("time"))
	k.Digest = word("digest")
	k.Intact = k.Digest != "" && k.Digest == digest(func(name string) (string, bool) {
		m, ok := ours[name]
		return m.value, ok
	})
	if n, err := strconv.Atoi(word("score")); err == nil && n >= 0 && n <= 100 {
		k.Score = n
	}
	for part := range strings.SplitSeq(word("sources"), ",") {
		if name, state, ok := strings.Cut(part, "="); ok {
			if k.Sources == nil {
				k.Sources = map[string]string{}
			}
			k.Sources[name] = state
		}
	}
	return k
}

// Diff says what to write so that a finding with the existing marks has
// exactly the wanted ones of ours: nothing when it has them already, whatever
// the time they were written; else all wanted marks, which heals any half-done
// or outdated state, and the keys of ours, as spelled there, that are no longer
// wanted. Marks of others are never named.
func Diff(existing map[string]string, want Set, prefix string) (set map[string]string, remove []string) {
	ours := pick(prefix, existing)
	wanted := make(map[string]bool, len(want.Values))
	same := true
	for key, value := range want.Values {
		name := strings.TrimPrefix(key, lower(prefix))
		wanted[name] = true
		m, ok := ours[name]
		if name != "time" && (!ok || lower(m.value) != lower(value)) {
			same = false
		}
	}
	for name, m := range ours {
		if !wanted[name] {
			remove = append(remove, m.key)
		}
	}
	if same && len(remove) == 0 {
		return nil, nil
	}
	slices.Sort(remove)
	return want.Values, remove
}

// ordered and names are Names for going over and for looking up. They are built
// once and only read.
var ordered, names = Names(), func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range Names() {
		m[name] = true
	}
	return m
}()

// mark is a mark of ours as it was read.
type mark struct{ key, value string }

// pick finds our marks by name.
func pick(prefix string, all map[string]string) map[string]mark {
	prefix = lower(prefix)
	ours := make(map[string]mark, min(len(all), len(ordered)))
	for key, value := range all {
		name, ok := strings.CutPrefix(lower(key), prefix)
		if !ok || !names[name] {
			continue
		}
		// Two spellings of one key cannot be; if they were, the answer must
		// not depend on the order of a map.
		if m, twice := ours[name]; !twice || key < m.key {
			ours[name] = mark{key: key, value: strings.TrimSpace(value)}
		}
	}
	return ours
}

// digest is the hash of all values but those of "digest" and "time", by name.
// Case and surrounding space do not count, because Security Command Center may
// change them.
func digest(value func(name string) (string, bool)) string {
	buf, low := make([]byte, 0, 6<<10), make([]byte, 0, 2<<10)
	for _, name := range ordered {
		v, ok := value(name)
		if !ok || name == "digest" || name == "time" {
			continue
		}
		low = appendLower(low[:0], strings.TrimSpace(v))
		buf = append(append(buf, name...), ' ')
		buf = strconv.AppendInt(buf, int64(len(low)), 10) // tells where the value ends
		buf = append(append(append(buf, ' '), low...), '\n')
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}

func readTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func lower(s string) string { return strings.ToLower(s) }

// appendLower appends strings.ToLower(s), most of which is ASCII.
func appendLower(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b, i = append(b, c), i+1
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		b, i = utf8.AppendRune(b, unicode.ToLower(r)), i+n
	}
	return b
}
