package finding

import (
	"fmt"
	"strings"
	"time"
)

// Identity tells one event of one finding from every other. It is comparable.
type Identity struct {
	// Name is the canonical name.
	Name string
	// EventTime is in UTC; zero when SCC sent none.
	EventTime time.Time
}

// Identity returns the finding's canonical name and event time. A mark, mute or
// state change of the same event leaves both as they are.
func (f *Finding) Identity() Identity {
	return Identity{Name: f.CanonicalName, EventTime: f.EventTime.UTC()}
}

// StableName is the canonical name without "/locations/global": version 1 of
// the API leaves the location out where version 2 says global, and both name
// the same finding. Use it to tell findings apart, not to write to them.
func (f *Finding) StableName() string {
	return strings.Replace(f.CanonicalName, "/locations/global/findings/", "/findings/", 1)
}

// marksSuffix follows the name of a finding in the name of its security marks.
const marksSuffix = "/securityMarks"

// MarksName is the resource name of the finding's security marks, under the
// canonical name: the only scope where writes are accepted for every activation.
func (f *Finding) MarksName() string { return f.CanonicalName + marksSuffix }

// FallbackMarksName is the resource name of the security marks under Name, or
// empty when it is the same as MarksName.
func (f *Finding) FallbackMarksName() string {
	if f.Name == "" || f.Name == f.CanonicalName {
		return ""
	}
	return f.Name + marksSuffix
}

// ParentScope is the first part of the canonical name: "organizations/N",
// "folders/N" or "projects/P".
func (f *Finding) ParentScope() string {
	n, _ := splitName(f.CanonicalName)
	return n.scope
}

// Location is the SCC location in the canonical name, or empty for a name
// without one, which SCC takes as "global".
func (f *Finding) Location() string {
	n, _ := splitName(f.CanonicalName)
	return n.location
}

// maxName bounds a resource name, in bytes.
const maxName = 512

// nameParts is a finding's resource name in its parts.
type nameParts struct{ scope, location string }

// splitName reads {organizations|folders|projects}/X/sources/S[/locations/L]/findings/F
// (resource patterns of google.cloud.securitycenter.v1 and v2). Anything else,
// path tricks and wildcards included, is not a name.
func splitName(s string) (nameParts, bool) {
	if len(s) > maxName {
		return nameParts{}, false
	}
	p := strings.Split(s, "/")
	if len(p) != 6 && len(p) != 8 {
		return nameParts{}, false
	}
	switch p[0] {
	case "organizations", "folders":
		if !validPart(p[1]) {
			return nameParts{}, false
		}
	case "projects":
		if !validProject(p[1]) {
			return nameParts{}, false
		}
	default:
		return nameParts{}, false
	}
	n := nameParts{scope: p[0] + "/" + p[1]}
	if p[2] != "sources" || !validPart(p[3]) {
		return nameParts{}, false
	}
	if len(p) == 8 {
		if p[4] != "locations" || !validPart(p[5]) {
			return nameParts{}, false
		}
		n.location = p[5]
	}
	if p[len(p)-2] != "findings" || !validPart(p[len(p)-1]) {
		return nameParts{}, false
	}
	return n, true
}

// finish derives what follows from the fields as sent: the identity, the
// workload and what version 1 keeps in source properties. Both Parse and
// FromProto end here, so that they agree.
func (f *Finding) finish(props *properties) error {
	if f.CanonicalName == "" {
		f.CanonicalName = f.Name
	}
	if f.Name == "" {
		f.Name = f.CanonicalName
	}
	if f.CanonicalName == "" {
		return fmt.Errorf("finding has no name: %w", ErrNoFinding)
	}
	canonical, ok := splitName(f.CanonicalName)
	if !ok {
		return fmt.Errorf("canonical name is not a finding's: %w", ErrNoFinding)
	}
	if _, ok := splitName(f.Name); !ok {
		return fmt.Errorf("name is not a finding's: %w", ErrNoFinding)
	}
	if f.ResourceName == "" {
		f.ResourceName = f.Resource.Name
	}
	if w, ok := ParseWorkload(f.ResourceName); ok {
		w.resolveProject(f.Resource, canonical.scope)
		f.Workload = w
	}
	props.apply(f)
	return nil
}
