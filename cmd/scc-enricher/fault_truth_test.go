package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// truth watches every call of every upstream, and holds each mark write to
// what the sources had answered when it was sent.
type truth struct {
	mu sync.Mutex
	// answered are methods that answered about a service or a hash.
	answered map[string]bool
	calls    map[string]int // by source, attempts
	lies     []string
	// first are the states of the first write of each finding, digests those of
	// the latest.
	first    map[string]string
	digests  map[string]string
	writes   int
	repeated int
}

func newTruth() *truth {
	return &truth{answered: map[string]bool{}, calls: map[string]int{}, first: map[string]string{}, digests: map[string]string{}}
}

// sourceOf names the source that a method belongs to.
func sourceOf(c *emulator.Call) string {
	switch {
	case strings.HasPrefix(c.Method, "virustotal/"):
		return "virustotal"
	case c.Name() == "ListFindings":
		return "findings"
	case c.Name() == "ListLogEntries":
		return "logs"
	case c.Name() == "UpdateSecurityMarks":
		return "marks"
	default:
		return "config"
	}
}

// subjects are the services and hashes that a call is about.
func subjects(c *emulator.Call) []string {
	text := c.Path
	if c.Request != nil {
		text = prototext.Format(c.Request)
	}
	var out []string
	for p := range faultProjects {
		for s := range faultServices {
			if strings.Contains(text, faultService(p, s)) {
				out = append(out, faultService(p, s))
			}
			for n := range faultPerService {
				if h := faultHash(p, s, n); strings.Contains(text, h) {
					out = append(out, h)
				}
			}
		}
	}
	return out
}

// observe learns what has answered. It is called before the caller knows.
func (v *truth) observe(c emulator.Call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	source := sourceOf(&c)
	v.calls[source]++
	if c.Code != codes.OK && (c.Code != codes.NotFound || source != "virustotal") {
		return
	}
	if source == "marks" {
		v.wrote(c.Request.(*securitycenterpb.UpdateSecurityMarksRequest))
		return
	}
	for _, subject := range subjects(&c) {
		v.answered[c.Name()+" "+subject] = true
	}
}

// wrote notes a write that was taken.
func (v *truth) wrote(req *securitycenterpb.UpdateSecurityMarksRequest) {
	name, set := req.GetSecurityMarks().GetName(), req.GetSecurityMarks().GetMarks()
	v.writes++
	if v.first[name] == "" {
		v.first[name] = set["enrich_sources"]
	}
	if d := set["enrich_digest"]; d == v.digests[name] {
		v.repeated++
	} else {
		v.digests[name] = d
	}
}

// check holds a write that is being sent to what has been answered so far.
func (v *truth) check(_ context.Context, c emulator.Call) error {
	req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest)
	if !ok {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	name, set := req.GetSecurityMarks().GetName(), req.GetSecurityMarks().GetMarks()
	complete := true
	for part := range strings.SplitSeq(set["enrich_sources"], ",") {
		source, state, _ := strings.Cut(part, "=")
		switch state {
		case "ok", "empty":
			if missing := v.missing(source, name); len(missing) > 0 {
				v.lies = append(v.lies, fmt.Sprintf("%s says %s, and nothing answered %s", name, part, strings.Join(missing, ", ")))
			}
		case "disabled", "not_applicable":
		default:
			complete = false
		}
	}
	if got := set["enrich_status"]; (got == "complete") != complete {
		v.lies = append(v.lies, fmt.Sprintf("%s says %s with %s", name, got, set["enrich_sources"]))
	}
	return nil
}

// missing are the calls that must have been answered for a source to be ok or
// empty, and were not.
func (v *truth) missing(source, name string) []string {
	var p, s, n int
	for i := range faultProjects * faultServices * faultPerService {
		p, s, n = i%faultProjects, i/faultProjects%faultServices, i/faultProjects/faultServices
		if strings.Contains(name, fmt.Sprintf("/%s-%d/", faultService(p, s), n)) {
			break
		}
	}
	service := faultService(p, s)
	needed := map[string][]string{
		"findings": {"ListFindings " + service}, "logs": {"ListLogEntries " + service},
		"config":     {"GetService " + service, "GetIamPolicy " + service, "ListRevisions " + service},
		"virustotal": {"files " + faultHash(p, s, n)},
	}
	return slices.DeleteFunc(needed[source], func(call string) bool { return v.answered[call] })
}

// states counts the states that the marks of a finding's first write named, and
// those of marks at rest: "logs=error 12".
func states(all []string) string {
	count := map[string]int{}
	for _, sources := range all {
		for part := range strings.SplitSeq(sources, ",") {
			if _, state, _ := strings.Cut(part, "="); state != "ok" && state != "empty" {
				count[part]++
			}
		}
	}
	if len(count) == 0 {
		return "all answered"
	}
	var out []string
	for _, part := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%s %d", part, count[part]))
	}
	return strings.Join(out, ", ")
}
