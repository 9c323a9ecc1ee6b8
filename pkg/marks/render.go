package marks

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// MaxSummary is the longest value of the mark "summary", in characters.
const MaxSummary = 600

// The longest values, in characters. Lists are cut between their elements.
const (
	maxCommand    = 1000
	maxLong       = 2000
	maxList       = 1000
	maxShort      = 512
	maxIndicators = 20
	maxLabel      = 64
	// between stands between lines in a mark of several lines.
	between = " ⏎ "
)

// Render makes the marks of a record: all that have something to say, with
// the prefix in lower case. The same record gives the same marks.
func Render(r *record.Record, prefix string) Set {
	v := map[string]string{}
	put := func(name, value string, limit int) {
		if value = harmless(redact.Clean(value, min(limit, MaxValue)), min(limit, MaxValue)); value != "" {
			v[name] = value
		}
	}
	state(r, put)
	conclusion(r, put)
	process(r, put)
	workload(r, put)
	surroundings(r, put)
	related(r, put)

	out := Set{Values: make(map[string]string, len(v)+1), Digest: digest(func(name string) (string, bool) {
		value, ok := v[name]
		return value, ok
	})}
	v["digest"] = out.Digest
	for name, value := range v {
		out.Values[lower(prefix)+name] = value
	}
	return out
}

type putter func(name, value string, limit int)

// harmless puts an apostrophe before a value that a spreadsheet would take for
// a formula (https://owasp.org/www-community/attacks/CSV_Injection): findings
// are exported, and an attacker chooses how a command line begins.
func harmless(value string, limit int) string {
	if first, _ := utf8.DecodeRuneInString(value); value == "" || !strings.ContainsRune("=+-@＝＋－＠", first) {
		return value
	}
	return redact.Clean("'"+value, limit)
}

// state says what was done, when, and how far it got.
func state(r *record.Record, put putter) {
	put("schema", Schema, maxShort)
	put("status", r.Status, maxShort)
	var sources []string
	for _, s := range r.Sources {
		sources = append(sources, s.Name+"="+s.State)
	}
	put("sources", list(sources, ",", maxList), maxList)
	if !r.Finding.EventTime.IsZero() {
		put("event_time", r.Finding.EventTime.UTC().Format(EventTimeLayout), maxShort)
	}
	put("time", r.Time.UTC().Format(time.RFC3339), maxShort)
}

func conclusion(r *record.Record, put putter) {
	a := &r.Assessment
	put("verdict", a.Verdict, maxShort)
	put("score", fmt.Sprintf("%03d", within(a.Score)), maxShort)
	put("own_score", fmt.Sprintf("%03d", within(a.OwnScore)), maxShort)
	put("priority", a.Priority, maxShort)
	put("summary", a.Summary, MaxSummary)
	put("next_action", a.NextAction, maxShort)

	reasons := slices.Clone(a.Reasons)
	slices.SortStableFunc(reasons, func(x, y record.Reason) int { return cmp.Compare(size(y.Points), size(x.Points)) })
	var words []string
	for _, x := range reasons {
		if x.Points != 0 {
			words = append(words, fmt.Sprintf("%s(%+d)", element(x.ID), x.Points))
		}
	}
	put("reasons", list(words, ",", maxReasons), maxReasons)
	put("plan", plan(r), maxLong)
}

func process(r *record.Record, put putter) {
	if p := r.Process; p != nil {
		put("process", ending(p.Tree, " > ", maxShort), maxShort)
		put("command", p.Command, maxCommand)
	}
	var names []string
	for _, b := range r.Behaviors {
		names = append(names, b.Name)
	}
	put("behaviors", list(names, ",", maxList), maxList)
	put("tactics", list(ids(r.Attack.Tactics), ",", maxList), maxList)
	put("techniques", list(ids(r.Attack.Techniques), ",", maxList), maxList)
	var values []string
	for _, i := range r.Indicators {
		if i.Kind != "path" && i.Kind != "wallet" && len(values) < maxIndicators {
			values = append(values, i.Value)
		}
	}
	put("indicators", list(values, ",", maxLong), maxLong)
}

func ids(entries []record.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

func workload(r *record.Record, put putter) {
	w := &r.Workload
	put("workload", w.Key, maxShort)
	put("revision", cmp.Or(w.Revision, w.Execution), maxShort)
	put("container", w.Container, maxShort)
	put("image", w.Image, maxShort)
	put("service_account", w.ServiceAccount, maxShort)
	put("exposure", r.Assessment.Exposure, maxShort)
	put("config_risks", list(r.Assessment.ConfigRisks, ",", maxList), maxList)
	if r.LastDeploy != nil {
		put("last_deploy", r.LastDeploy.String(), maxShort)
	}
}

// surroundings are the logs and the reputation.
func surroundings(r *record.Record, put putter) {
	if l := r.Logs; l != nil {
		var signals []string
		for _, s := range l.Signals {
			signals = append(signals, fmt.Sprintf("%s(%d)", element(s.Kind), s.Count))
		}
		put("log_signals", list(signals, ",", maxList), maxList)
		put("log_excerpt", list(l.Excerpt, between, maxLong), maxLong)
		if utf8.RuneCountInString(l.URL) <= maxLong { // half a link is none
			put("logs_url", l.URL, maxLong)
		}
	}
	if v := reputation(r.Reputations); v.worst != nil {
		put("vt", v.String(), maxShort)
		put("vt_url", v.worst.URL, maxList)
	}
}

// label is a threat label in letters, digits and ._/:- of at most 64
// characters; anything else, and what would make it a link, becomes "_".
func label(s string) string {
	fields := strings.FieldsFunc(strings.ReplaceAll(s, "://", " "), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._/:-", r)
	})
	s = strings.Join(fields, "_")
	for strings.Contains(s, "_/") {
		s = strings.ReplaceAll(s, "_/", "_")
	}
	return s[:min(len(s), maxLabel)]
}

// related are the marks of an incident; a finding that stands alone has none.
func related(r *record.Record, put putter) { company(r.Incident, put) }

// Company are the marks that say what a finding belongs to, by name without
// prefix. For a finding that stands alone all of them are empty.
func Company(i *record.Incident) map[string]string {
	out := map[string]string{"incident": "", "related_count": "", "related": "", "related_muted": "", "incident_start": "", "incident_end": ""}
	company(i, func(name, value string, limit int) { out[name] = harmless(redact.Clean(value, limit), limit) })
	return out
}

func company(i *record.Incident, put putter) {
	if i == nil {
		return
	}
	put("incident", i.ID, maxShort)
	put("related_count", strconv.Itoa(i.RelatedCount), maxShort)
	var categories []string
	for _, c := range i.Categories {
		categories = append(categories, fmt.Sprintf("%s(%d)", element(c.Name), c.Count))
	}
	put("related", list(categories, ",", maxList), maxList)
	if i.RelatedMuted > 0 {
		put("related_muted", strconv.Itoa(i.RelatedMuted), maxShort)
	}
	put("incident_start", i.Start.UTC().Format(time.RFC3339Nano), maxShort)
	put("incident_end", i.End.UTC().Format(time.RFC3339Nano), maxShort)
}

// list joins the elements that fit into limit characters, each whole and
// without the separator inside. If not even the first fits, it is cut.
func list(elements []string, sep string, limit int) string {
	var b strings.Builder
	n := 0
	for _, e := range elements {
		if e = strings.TrimSpace(strings.ReplaceAll(e, strings.TrimSpace(sep), " ")); e == "" {
			continue
		}
		k := utf8.RuneCountInString(e)
		if n > 0 {
			if k += utf8.RuneCountInString(sep); n+k > limit {
				break
			}
			b.WriteString(sep)
		}
		b.WriteString(e)
		n += k
	}
	return b.String()
}

// element takes out of a name what the notation name(count) needs.
func element(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '(' || r == ')' || r == ',' {
			return ' '
		}
		return r
	}, s))
}

// ending keeps the last parts of a chain that is too long.
func ending(chain, sep string, limit int) string {
	for utf8.RuneCountInString(chain) > limit {
		_, rest, found := strings.Cut(chain, sep)
		if !found {
			break
		}
		chain = rest
	}
	return chain
}

func within(score int) int { return max(0, min(100, score)) }

func size(n int) int { return max(n, -n) }
