package virustotal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// The thresholds of a verdict; the package comment explains them.
const (
	maliciousEngines  = 3
	suspiciousEngines = 2
)

// Bounds on text, which the uploader of a file may have chosen.
const (
	maxNames     = 5
	maxNameBytes = 200
)

// object is a VirusTotal object. Any attribute may be absent, null or of
// another type than documented; those are read as if absent.
type object struct {
	ID         string                     `json:"id"`
	Type       string                     `json:"type"`
	Attributes map[string]json.RawMessage `json:"attributes"`
}

// attribute decodes one attribute, or returns the zero value.
func attribute[T any](attrs map[string]json.RawMessage, name string) T {
	var v, none T
	if raw, ok := attrs[name]; !ok || json.Unmarshal(raw, &v) != nil {
		return none
	}
	return v
}

// reportOf maps the data of an answer (https://docs.virustotal.com/reference/files).
func reportOf(t target, data json.RawMessage) (evidence.Reputation, error) {
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return evidence.Reputation{}, fmt.Errorf("read VirusTotal's report: %w", err)
	}
	switch {
	case o.Attributes == nil:
		return evidence.Reputation{}, errors.New("read VirusTotal's report: no attributes")
	case o.Type != "" && o.Type != t.objectType:
		return evidence.Reputation{}, errors.New("read VirusTotal's report: object of another type")
	case t.kind == kindFile && o.ID != "" && !strings.EqualFold(o.ID, t.value):
		return evidence.Reputation{}, errors.New("read VirusTotal's report: it is about another file")
	}
	r := evidence.Reputation{
		URL:          t.gui,
		Label:        label(o.Attributes),
		Names:        names(o.Attributes),
		Type:         clean(attribute[string](o.Attributes, "type_description")),
		FirstSeen:    unix(o.Attributes, "first_submission_date"),
		LastAnalysis: unix(o.Attributes, "last_analysis_date"),
	}
	if r.Type == "" {
		r.Type = clean(attribute[string](o.Attributes, "type_tag"))
	}
	if t.kind == kindURL && isSHA256(o.ID) {
		r.URL = guiURL + "url/" + o.ID
	}
	stats := attribute[map[string]json.RawMessage](o.Attributes, "last_analysis_stats")
	r.Malicious, r.Suspicious = count(stats, "malicious"), count(stats, "suspicious")
	// Timeouts, failures and engines that do not support the type have not answered.
	r.Engines = r.Malicious + r.Suspicious + count(stats, "undetected") + count(stats, "harmless")
	r.Verdict = verdict(r.Malicious, r.Suspicious, r.Engines, assessment(o.Attributes))
	r.State = evidence.OK
	if r.Verdict == "" {
		r.State, r.Reason = evidence.Empty, "never analysed"
	}
	return r, nil
}

// verdict applies the thresholds. It is empty if nobody has answered.
func verdict(malicious, suspicious, engines int, own evidence.Verdict) evidence.Verdict {
	switch {
	case malicious >= maliciousEngines || own == evidence.VerdictMalicious:
		return evidence.VerdictMalicious
	case malicious > 0 || suspicious >= suspiciousEngines || own == evidence.VerdictSuspicious:
		return evidence.VerdictSuspicious
	case engines > 0:
		return evidence.VerdictClean
	}
	return ""
}

// assessment is VirusTotal's own verdict: threat_verdict, or the one of Google
// Threat Intelligence, gti_assessment.verdict.value. Only bad ones count: its
// "undetected" is not more than silence.
func assessment(attrs map[string]json.RawMessage) evidence.Verdict {
	gti := attribute[struct {
		Verdict struct{ Value string }
	}](attrs, "gti_assessment")
	out := evidence.Verdict("")
	for _, v := range []string{attribute[string](attrs, "threat_verdict"), gti.Verdict.Value} {
		switch strings.TrimPrefix(strings.ToUpper(v), "VERDICT_") {
		case "MALICIOUS":
			return evidence.VerdictMalicious
		case "SUSPICIOUS":
			out = evidence.VerdictSuspicious
		}
	}
	return out
}

// count reads one of the statistics; negative and absurd ones are 0.
func count(stats map[string]json.RawMessage, name string) int {
	n := attribute[int](stats, name)
	if n < 0 || n > 10_000 {
		return 0
	}
	return n
}

// label is the suggested threat label, "trojan.mirai/gafgyt".
func label(attrs map[string]json.RawMessage) string {
	return clean(attribute[struct {
		Label string `json:"suggested_threat_label"`
	}](attrs, "popular_threat_classification").Label)
}

// names are the first names the object is known by.
func names(attrs map[string]json.RawMessage) []string {
	all := append([]string{attribute[string](attrs, "meaningful_name")}, attribute[[]string](attrs, "names")...)
	var out []string
	seen := map[string]bool{"": true}
	for _, n := range all {
		if n = clean(n); !seen[n] && len(out) < maxNames {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// clean bounds a text and drops what does not print.
func clean(s string) string {
	if len(s) > maxNameBytes {
		n := maxNameBytes
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
}

// unix reads a date in seconds since 1970; impossible ones are zero.
func unix(attrs map[string]json.RawMessage, name string) time.Time {
	s := attribute[int64](attrs, name)
	if s <= 0 || s > 1<<36 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
