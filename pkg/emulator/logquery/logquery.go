// Package logquery evaluates the documented part of the Cloud Logging query
// language (https://cloud.google.com/logging/docs/view/logging-query-language)
// that people and programs use on entries.list: comparisons, value lists,
// existence tests, regular expressions, text that stands alone, and the
// functions log_id, SEARCH and ip_in_net. Fields that the type LogEntry does
// not have, values of the wrong type and other functions are errors, as they
// are for the service.
package logquery

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/query"
)

// MaxLength is the longest filter, in characters (logging.proto,
// ListLogEntriesRequest.filter).
const MaxLength = 20000

// Query is a parsed query. Its zero value matches every entry.
type Query struct {
	root *query.Node
	eval predicate
}

type predicate = func(*Entry) bool

// Entry is a log entry prepared for matching.
type Entry struct {
	Proto *loggingpb.LogEntry
	tree  map[string]any
}

// Prepare makes an entry ready for Match. The entry must not be changed
// afterwards. A payload of an unregistered type is an error.
func Prepare(e *loggingpb.LogEntry) (*Entry, error) {
	data, err := protojson.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("log entry %q: %w", e.GetInsertId(), err)
	}
	p := &Entry{Proto: e}
	if err := json.Unmarshal(data, &p.tree); err != nil {
		return nil, fmt.Errorf("log entry %q: %w", e.GetInsertId(), err)
	}
	return p, nil
}

// Parse parses a query and checks every field and value of it.
func Parse(text string) (*Query, error) {
	if n := utf8.RuneCountInString(text); n > MaxLength {
		return nil, fmt.Errorf("filter has %d characters, more than %d", n, MaxLength)
	}
	root, err := query.Parse(text, query.Options{Sequence: true, Comments: true})
	if err != nil {
		return nil, fmt.Errorf("unparseable filter: %w", err)
	}
	q := &Query{root: root}
	if root != nil {
		if q.eval, err = compile(root); err != nil {
			return nil, fmt.Errorf("unparseable filter: %w", err)
		}
	}
	return q, nil
}

// Match reports whether the query matches an entry.
func (q *Query) Match(e *Entry) bool { return q.eval == nil || q.eval(e) }

// Values gives the values one of which the field must equal for the query to
// match; false if the query does not say so.
func (q *Query) Values(field string) ([]string, bool) { return q.root.Values(field) }

// Between gives bounds, both inclusive, on the timestamp of entries that match;
// a zero time is no bound.
func (q *Query) Between() (from, to time.Time) {
	nodes := []*query.Node{q.root}
	if q.root != nil && q.root.Kind == query.And {
		nodes = q.root.Nodes
	}
	for _, n := range nodes {
		if n == nil || n.Kind != query.Compare || len(n.Path) != 1 || n.Path[0] != "timestamp" {
			continue
		}
		t, err := parseTime(n.Value.Text)
		if err != nil {
			continue
		}
		switch n.Op {
		case ">", ">=":
			if t.After(from) {
				from = t
			}
		case "<", "<=":
			if to.IsZero() || t.Before(to) {
				to = t
			}
		}
	}
	return from, to
}

func compile(n *query.Node) (predicate, error) {
	switch n.Kind {
	case query.Compare:
		return comparison(n)
	case query.Text:
		want := strings.ToLower(n.Value.Text)
		return func(e *Entry) bool { return contains(e.tree, want) }, nil
	case query.Call:
		return function(n)
	}
	children := make([]predicate, len(n.Nodes))
	for i, c := range n.Nodes {
		var err error
		if children[i], err = compile(c); err != nil {
			return nil, err
		}
	}
	switch n.Kind {
	case query.Not:
		return func(e *Entry) bool { return !children[0](e) }, nil
	case query.Or:
		return func(e *Entry) bool {
			for _, c := range children {
				if c(e) {
					return true
				}
			}
			return false
		}, nil
	default:
		return func(e *Entry) bool {
			for _, c := range children {
				if !c(e) {
					return false
				}
			}
			return true
		}, nil
	}
}

// contains looks for a lower-case text in every value below v.
func contains(v any, want string) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, c := range v {
			if contains(c, want) {
				return true
			}
		}
	case []any:
		for _, c := range v {
			if contains(c, want) {
				return true
			}
		}
	case nil:
	default:
		return strings.Contains(strings.ToLower(text(v)), want)
	}
	return false
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a time", s)
}
