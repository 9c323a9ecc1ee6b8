package logquery

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	logtypepb "google.golang.org/genproto/googleapis/logging/type"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/query"
)

func comparison(n *query.Node) (predicate, error) {
	f, err := resolve(n.Path)
	if err != nil {
		return nil, err
	}
	if n.Op == ":" && !n.Value.Quoted && n.Value.Text == "*" {
		return func(e *Entry) bool { return len(values(e.tree, f.path)) > 0 }, nil
	}
	var ok func(any) bool
	switch n.Op {
	case "=~", "!~":
		ok, err = matches(f, n.Op, n.Value.Text)
	case ":":
		want := strings.ToLower(n.Value.Text)
		ok = func(v any) bool { return contains(v, want) }
		if f.kind == number || f.kind == boolean || f.kind == severity {
			ok, err = ordered(f, "=", n.Value.Text)
		}
	default:
		ok, err = ordered(f, n.Op, n.Value.Text)
	}
	if err != nil {
		return nil, err
	}
	return func(e *Entry) bool {
		got := values(e.tree, f.path)
		if len(got) == 0 && f.kind != free && f.kind != message {
			// A field of the type LogEntry compares as its default.
			return ok(zero(f.kind))
		}
		for _, v := range got {
			if ok(v) {
				return true
			}
		}
		return false
	}, nil
}

func zero(k kind) any {
	switch k {
	case number:
		return 0.0
	case boolean:
		return false
	case severity:
		return "DEFAULT"
	case timestamp:
		return "1970-01-01T00:00:00Z"
	case duration:
		return "0s"
	}
	return ""
}

func matches(f field, op, pattern string) (func(any) bool, error) {
	if f.kind != free && f.kind != str && f.kind != message {
		return nil, fmt.Errorf("operator %q needs a text field, not %q", op, f.name)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression for %q: %w", f.name, err)
	}
	return func(v any) bool {
		if _, isMap := v.(map[string]any); isMap {
			return false
		}
		return re.MatchString(text(v)) == (op == "=~")
	}, nil
}

// ordered makes the comparison of = != > >= < <=. The wanted value must have
// the field's type; in payloads and labels it takes the type it looks like.
func ordered(f field, op, want string) (func(any) bool, error) {
	var order func(any) (int, bool)
	switch f.kind {
	case message:
		return nil, fmt.Errorf("field %q has no value to compare with %q", f.name, op)
	case timestamp:
		w, err := parseTime(want)
		if err != nil {
			return nil, fmt.Errorf("value of %q: %w", f.name, err)
		}
		order = func(v any) (int, bool) {
			got, err := time.Parse(time.RFC3339, text(v))
			return got.Compare(w), err == nil
		}
	case duration:
		w, err := time.ParseDuration(want)
		if err != nil {
			return nil, fmt.Errorf("value of %q: %.40q is not a duration", f.name, want)
		}
		order = func(v any) (int, bool) {
			got, err := time.ParseDuration(text(v))
			return cmp.Compare(got, w), err == nil
		}
	case severity:
		w, err := level(want)
		if err != nil {
			return nil, err
		}
		order = func(v any) (int, bool) {
			got, err := level(text(v))
			return cmp.Compare(got, w), err == nil
		}
	case number:
		w, err := strconv.ParseFloat(want, 64)
		if err != nil {
			return nil, fmt.Errorf("value of %q: %.40q is not a number", f.name, want)
		}
		order = func(v any) (int, bool) {
			got, err := strconv.ParseFloat(text(v), 64)
			return cmp.Compare(got, w), err == nil
		}
	case boolean:
		w, err := strconv.ParseBool(strings.ToLower(want))
		if err != nil {
			return nil, fmt.Errorf("value of %q: %.40q is not true or false", f.name, want)
		}
		order = func(v any) (int, bool) { return cmp.Compare(text(v), text(w)), true }
	default:
		order = looseOrder(want)
	}
	return accept(op, order), nil
}

// looseOrder compares as numbers where both sides are, else as text without
// regard to case.
func looseOrder(want string) func(any) (int, bool) {
	w, err := strconv.ParseFloat(want, 64)
	isNumber := err == nil
	low := strings.ToLower(want)
	return func(v any) (int, bool) {
		switch got := v.(type) {
		case map[string]any:
			return 0, false
		case float64:
			if isNumber {
				return cmp.Compare(got, w), true
			}
		}
		return strings.Compare(strings.ToLower(text(v)), low), true
	}
}

func accept(op string, order func(any) (int, bool)) func(any) bool {
	return func(v any) bool {
		c, ok := order(v)
		if !ok {
			return false
		}
		switch op {
		case "=":
			return c == 0
		case "!=":
			return c != 0
		case ">":
			return c > 0
		case ">=":
			return c >= 0
		case "<":
			return c < 0
		default:
			return c <= 0
		}
	}
}

// level is the number of a severity given by name or number.
func level(s string) (int, error) {
	if v, ok := logtypepb.LogSeverity_value[strings.ToUpper(s)]; ok {
		return int(v), nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a severity", s)
	}
	return n, nil
}

func function(n *query.Node) (predicate, error) {
	switch {
	case n.Name == "log_id" && len(n.Args) == 1:
		want := n.Args[0].Text
		return func(e *Entry) bool {
			_, id, ok := strings.Cut(e.Proto.GetLogName(), "/logs/")
			plain, err := url.PathUnescape(id)
			return ok && err == nil && strings.EqualFold(plain, want)
		}, nil
	case n.Name == "SEARCH" && len(n.Args) == 1:
		want := strings.ToLower(n.Args[0].Text)
		return func(e *Entry) bool { return contains(e.tree, want) }, nil
	case n.Name == "SEARCH" && len(n.Args) == 2:
		return comparison(&query.Node{Path: strings.Split(n.Args[0].Text, "."), Op: ":", Value: query.Value{Text: n.Args[1].Text, Quoted: true}})
	case n.Name == "ip_in_net" && len(n.Args) == 2:
		return inNet(n.Args[0].Text, n.Args[1].Text)
	}
	return nil, fmt.Errorf("function %.40q with %d arguments is not supported", n.Name, len(n.Args))
}

func inNet(path, cidr string) (predicate, error) {
	f, err := resolve(strings.Split(path, "."))
	if err != nil {
		return nil, err
	}
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("%.40q is not a network: %w", cidr, err)
	}
	return func(e *Entry) bool {
		for _, v := range values(e.tree, f.path) {
			if ip, err := netip.ParseAddr(text(v)); err == nil && network.Contains(ip.Unmap()) {
				return true
			}
		}
		return false
	}, nil
}
