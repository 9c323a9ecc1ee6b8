// Package sccfilter evaluates the filter of Security Command Center's v2
// ListFindings and GroupFindings, as ListFindingsRequest.filter in
// google/cloud/securitycenter/v2/securitycenter_service.proto documents it. It
// is strict: a field, operator or literal that the page does not list is an
// error, although the service itself may be laxer. Two things are allowed
// beyond the page because Google's own tools send them: ":" on name (gcloud
// scc findings list-marks) and "mute" (the muting guide).
package sccfilter

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/query"
)

// MaxLength bounds a filter, in bytes.
const MaxLength = 64 << 10

// Filter is a parsed filter. Its zero value matches every finding.
type Filter struct {
	root *query.Node
	eval func(*securitycenterpb.Finding, *securitycenterpb.Resource) bool
}

type predicate = func(*securitycenterpb.Finding, *securitycenterpb.Resource) bool

// Parse parses a filter and checks every field, operator and value of it.
func Parse(text string) (*Filter, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("filter is longer than %d bytes", MaxLength)
	}
	root, err := query.Parse(text, query.Options{})
	if err != nil {
		return nil, fmt.Errorf("parse filter: %w", err)
	}
	f := &Filter{root: root}
	if root != nil {
		if f.eval, err = compile(root); err != nil {
			return nil, fmt.Errorf("check filter: %w", err)
		}
	}
	return f, nil
}

// Match reports whether the filter matches a finding and its resource, either
// of which may be nil.
func (f *Filter) Match(finding *securitycenterpb.Finding, resource *securitycenterpb.Resource) bool {
	return f.eval == nil || f.eval(finding, resource)
}

// Values gives the values one of which the field must equal for the filter to
// match; false if the filter does not say so.
func (f *Filter) Values(field string) ([]string, bool) { return f.root.Values(field) }

func compile(n *query.Node) (predicate, error) {
	switch n.Kind {
	case query.Compare:
		return comparison(n)
	case query.Text:
		return nil, fmt.Errorf("restriction %.40q has no operator", n.Value.Text)
	case query.Call:
		return nil, fmt.Errorf("function %.40q is not supported", n.Name)
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
		return func(f *securitycenterpb.Finding, r *securitycenterpb.Resource) bool { return !children[0](f, r) }, nil
	case query.Or:
		return func(f *securitycenterpb.Finding, r *securitycenterpb.Resource) bool {
			for _, c := range children {
				if c(f, r) {
					return true
				}
			}
			return false
		}, nil
	default:
		return func(f *securitycenterpb.Finding, r *securitycenterpb.Resource) bool {
			for _, c := range children {
				if !c(f, r) {
					return false
				}
			}
			return true
		}, nil
	}
}

func comparison(n *query.Node) (predicate, error) {
	field := strings.Join(n.Path, ".")
	if field == "event_time" {
		return eventTime(n.Op, n.Value)
	}
	if n.Op != "=" && n.Op != ":" {
		return nil, fmt.Errorf("operator %q is not supported for field %.60q", n.Op, field)
	}
	if len(n.Path) >= 2 && n.Path[0] == "security_marks" && n.Path[1] == "marks" {
		return mark(n)
	}
	get := text(field)
	if get == nil {
		return nil, fmt.Errorf("field %.60q is not supported", field)
	}
	if !n.Value.Quoted {
		return nil, fmt.Errorf("value of %q must be a string in double quotes", field)
	}
	want := n.Value.Text
	if field == "resource_name" { // in almost every filter, compared with every finding
		return func(f *securitycenterpb.Finding, _ *securitycenterpb.Resource) bool {
			got := f.GetResourceName()
			return got == want || n.Op == ":" && strings.Contains(got, want)
		}, nil
	}
	return func(f *securitycenterpb.Finding, r *securitycenterpb.Resource) bool {
		for _, got := range get(f, r) {
			if got == want || n.Op == ":" && strings.Contains(got, want) {
				return true
			}
		}
		return false
	}, nil
}

// mark compares one mark, or any of them when no key is named. Keys and values
// of marks ignore case (security_marks.proto).
func mark(n *query.Node) (predicate, error) {
	if !n.Value.Quoted {
		return nil, fmt.Errorf("value of a security mark must be a string in double quotes")
	}
	key, want := strings.Join(n.Path[2:], "."), strings.ToLower(n.Value.Text)
	return func(f *securitycenterpb.Finding, _ *securitycenterpb.Resource) bool {
		for k, v := range f.GetSecurityMarks().GetMarks() {
			if key != "" && !strings.EqualFold(k, key) {
				continue
			}
			if v = strings.ToLower(v); v == want || n.Op == ":" && strings.Contains(v, want) {
				return true
			}
		}
		return false
	}, nil
}

func eventTime(op string, v query.Value) (predicate, error) {
	var want time.Time
	if v.Quoted {
		t, err := time.Parse(time.RFC3339, v.Text)
		if err != nil {
			return nil, fmt.Errorf("event_time %.40q is not RFC 3339", v.Text)
		}
		want = t
	} else {
		ms, err := strconv.ParseInt(v.Text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("event_time %.40q is neither milliseconds nor a quoted time", v.Text)
		}
		want = time.UnixMilli(ms)
	}
	var ok func(int) bool
	switch op {
	case "=":
		ok = func(c int) bool { return c == 0 }
	case ">":
		ok = func(c int) bool { return c > 0 }
	case ">=":
		ok = func(c int) bool { return c >= 0 }
	case "<":
		ok = func(c int) bool { return c < 0 }
	case "<=":
		ok = func(c int) bool { return c <= 0 }
	default:
		return nil, fmt.Errorf("operator %q is not supported for field \"event_time\"", op)
	}
	return func(f *securitycenterpb.Finding, _ *securitycenterpb.Resource) bool {
		return f.GetEventTime() != nil && ok(f.GetEventTime().AsTime().Compare(want))
	}, nil
}

// text gives the getter of a text field, or nil for a field that is not listed.
func text(field string) func(*securitycenterpb.Finding, *securitycenterpb.Resource) []string {
	if rest, ok := strings.CutPrefix(field, "resource."); ok {
		return resourceText(rest)
	}
	var get func(*securitycenterpb.Finding) string
	switch field {
	case "name":
		get = (*securitycenterpb.Finding).GetName
	case "parent":
		get = (*securitycenterpb.Finding).GetParent
	case "resource_name":
		get = (*securitycenterpb.Finding).GetResourceName
	case "category":
		get = (*securitycenterpb.Finding).GetCategory
	case "external_uri":
		get = (*securitycenterpb.Finding).GetExternalUri
	case "state":
		get = func(f *securitycenterpb.Finding) string { return f.GetState().String() }
	case "severity":
		get = func(f *securitycenterpb.Finding) string { return f.GetSeverity().String() }
	case "mute":
		get = func(f *securitycenterpb.Finding) string { return f.GetMute().String() }
	default:
		return nil
	}
	return func(f *securitycenterpb.Finding, _ *securitycenterpb.Resource) []string { return []string{get(f)} }
}

func resourceText(field string) func(*securitycenterpb.Finding, *securitycenterpb.Resource) []string {
	var get func(*securitycenterpb.Resource) string
	switch field {
	case "name":
		get = (*securitycenterpb.Resource).GetName
	case "display_name":
		get = (*securitycenterpb.Resource).GetDisplayName
	case "type":
		get = (*securitycenterpb.Resource).GetType
	case "parent_name":
		get = func(r *securitycenterpb.Resource) string { return r.GetGcpMetadata().GetParent() }
	case "parent_display_name":
		get = func(r *securitycenterpb.Resource) string { return r.GetGcpMetadata().GetParentDisplayName() }
	case "project_name":
		get = func(r *securitycenterpb.Resource) string { return r.GetGcpMetadata().GetProject() }
	case "project_display_name":
		get = func(r *securitycenterpb.Resource) string { return r.GetGcpMetadata().GetProjectDisplayName() }
	case "folders.resource_folder":
		return func(_ *securitycenterpb.Finding, r *securitycenterpb.Resource) []string {
			var all []string
			for _, f := range r.GetGcpMetadata().GetFolders() {
				all = append(all, f.GetResourceFolder())
			}
			return all
		}
	default:
		return nil
	}
	return func(_ *securitycenterpb.Finding, r *securitycenterpb.Resource) []string { return []string{get(r)} }
}
