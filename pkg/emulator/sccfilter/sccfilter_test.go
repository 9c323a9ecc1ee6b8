package sccfilter

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func sample() (*securitycenterpb.Finding, *securitycenterpb.Resource) {
	f := &securitycenterpb.Finding{
		Name: "organizations/1/sources/2/locations/global/findings/f1", Parent: "organizations/1/sources/2/locations/global",
		ResourceName: "//run.googleapis.com/projects/p/locations/l/services/s", Category: "Reverse Shell", ExternalUri: "https://example.com/f1",
		State: securitycenterpb.Finding_ACTIVE, Severity: securitycenterpb.Finding_CRITICAL, Mute: securitycenterpb.Finding_UNDEFINED,
		EventTime:     timestamppb.New(time.Date(2026, 11, 1, 10, 0, 0, 123456789, time.UTC)),
		SecurityMarks: &securitycenterpb.SecurityMarks{Marks: map[string]string{"Enrich_Verdict": "Malicious", "owner-team": "web"}},
	}
	r := &securitycenterpb.Resource{Name: f.ResourceName, DisplayName: "s", Type: "google.cloud.run.Service", CloudProviderMetadata: &securitycenterpb.Resource_GcpMetadata{GcpMetadata: &securitycenterpb.GcpMetadata{
		Project: "//cloudresourcemanager.googleapis.com/projects/7", ProjectDisplayName: "p", Parent: "//cloudresourcemanager.googleapis.com/folders/8", ParentDisplayName: "prod",
		Folders: []*securitycenterpb.Folder{{ResourceFolder: "//cloudresourcemanager.googleapis.com/folders/8"}, {ResourceFolder: "//cloudresourcemanager.googleapis.com/folders/9"}},
	}}}
	return f, r
}

func TestMatch(t *testing.T) {
	t.Parallel()
	f, r := sample()
	ms := f.EventTime.AsTime().UnixMilli()
	tests := []struct {
		filter string
		want   bool
	}{
		{``, true},
		{`category="Reverse Shell"`, true},
		{`category="reverse shell"`, false},
		{`category:"Shell"`, true},
		{`-category:"Shell"`, false},
		{`NOT category="x" AND state="ACTIVE"`, true},
		{`severity="HIGH" OR severity="CRITICAL" AND state="ACTIVE"`, true},
		// OR binds tighter: x AND (y OR z). With the precedence of most languages this would be true.
		{`state="INACTIVE" AND category="x" OR severity="CRITICAL"`, false},
		{`(state="INACTIVE" AND category="x") OR severity="CRITICAL"`, true},
		{`resource_name="//run.googleapis.com/projects/p/locations/l/services/s"`, true},
		{`resource_name="//run.googleapis.com/projects/p/locations/l/services"`, false},
		{`event_time>="2026-11-01T10:00:00.123456789Z"`, true},
		{`event_time>"2026-11-01T10:00:00.123456789Z"`, false},
		{`event_time<"2026-11-01T11:00:00.2+01:00"`, true},
		{`event_time<="2026-11-01T11:00:00.1+01:00"`, false},
		{fmt.Sprintf(`event_time>%d`, ms), true},
		{fmt.Sprintf(`event_time=%d`, ms), false},
		{`security_marks.marks.enrich_verdict="malicious"`, true},
		{`security_marks.marks.enrich_verdict:"icio"`, true},
		{`security_marks.marks.owner-team="web"`, true},
		{`security_marks.marks.missing="web"`, false},
		{`-security_marks.marks.missing="web"`, true},
		{`security_marks.marks:"web"`, true},
		{`resource.project_display_name="p"`, true},
		{`resource.parent_name:"folders/8"`, true},
		{`resource.folders.resource_folder:"folders/9"`, true},
		{`resource.folders.resource_folder:"folders/7"`, false},
		{`resource.display_name="s" AND resource.type:"run" AND resource.name:"services/s"`, true},
		{`mute="MUTED"`, false},
		{`name:"f1"`, true},
	}
	for _, tt := range tests {
		filter, err := Parse(tt.filter)
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.filter, err)
			continue
		}
		if got := filter.Match(f, r); got != tt.want {
			t.Errorf("%s = %v, want %v", tt.filter, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{
		`category=Reverse`, `category="a" category="b"`, `"Reverse Shell"`, `category>"a"`, `category!="a"`, `category=~"a"`,
		`source_properties.x="y"`, `finding_class="THREAT"`, `containers.name="x"`, `contains(containers, name = "x")`, `resource.location="x"`, `resource="x"`,
		`event_time:"2026"`, `event_time="yesterday"`, `event_time=12.5`, `event_time="1560208038000"`, `event_time>2026-11-01T10:00:00Z`,
		`security_marks.marks.k>"v"`, `security_marks.marks.k=v`, `security_marks.k="v"`, `category = "a" and state="ACTIVE"`, `category = 'a'`,
	} {
		if _, err := Parse(filter); err == nil {
			t.Errorf("Parse(%s) succeeded, want an error", filter)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`category="x" AND (state:"ACT" OR -event_time>1)`, `security_marks.marks.a="b"`, `resource.type="t"`, `NOT event_time<="2026-11-01T10:00:00Z"`} {
		f.Add(s)
	}
	finding, resource := sample()
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := Parse(s)
		if err != nil {
			return
		}
		yes := filter.Match(finding, resource)
		if negated, err := Parse("NOT (" + s + ")"); err == nil && filter.eval != nil && negated.Match(finding, resource) == yes {
			t.Fatalf("%q and its negation agree", s)
		}
		filter.Match(nil, nil)
	})
}
