package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	securitycenter "cloud.google.com/go/securitycenter/apiv2"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

const findingPrefix = "projects/415926535897/sources/7001/locations/global/findings/"

func sccClient(t testing.TB, url string) *securitycenter.Client {
	t.Helper()
	c, err := securitycenter.NewClient(t.Context(), upstream.ClientOptions(url)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func listNames(t *testing.T, c *securitycenter.Client, req *securitycenterpb.ListFindingsRequest) ([]string, error) {
	t.Helper()
	var names []string
	for it := c.ListFindings(t.Context(), req); ; {
		r, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
		names = append(names, strings.TrimPrefix(r.GetFinding().GetCanonicalName(), findingPrefix))
	}
}

func TestListFindings(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	for i := range 25 {
		f := testFinding(fmt.Sprintf("f%02d", i), fmt.Sprintf("s%d", i%2))
		f.EventTime = timestamppb.New(base().Add(-time.Duration(i) * time.Minute))
		addFinding(t, w, f)
	}
	eu := testFinding("eu", "s0")
	eu.CanonicalName = strings.Replace(eu.CanonicalName, "/global/", "/eu/", 1)
	addFinding(t, w, eu)
	_, url := start(t, Options{World: w})
	c := sccClient(t, url)
	s0 := `resource_name="//run.googleapis.com/projects/shop-prod-4711/locations/europe-west1/services/s0"`
	tests := []struct {
		name string
		req  *securitycenterpb.ListFindingsRequest
		n    int
		frst string
		code codes.Code
	}{
		{name: "all pages of ten", req: &securitycenterpb.ListFindingsRequest{Parent: "organizations/882103374521/sources/-"}, n: 25, frst: "f00"},
		{name: "folder", req: &securitycenterpb.ListFindingsRequest{Parent: "folders/660214478903/sources/-/locations/global"}, n: 25, frst: "f00"},
		{name: "project id, one source", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/7001"}, n: 25, frst: "f00"},
		{name: "other location", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/415926535897/sources/-/locations/eu"}, n: 1, frst: strings.TrimPrefix(eu.CanonicalName, findingPrefix)},
		{name: "other project", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/other/sources/-"}},
		{name: "filter by resource", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", Filter: s0}, n: 13, frst: "f00"},
		{name: "filter by resource and time", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", Filter: fmt.Sprintf(`(%s) AND event_time>=%q`, s0, base().Add(-4*time.Minute).Format(time.RFC3339Nano))}, n: 3, frst: "f00"},
		{name: "order", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", OrderBy: "category,  event_time", PageSize: 7}, n: 25, frst: "f24"},
		{name: "order descending", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", OrderBy: "name desc"}, n: 25, frst: "f24"},
		{name: "unknown project", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/nope/sources/-"}, code: codes.PermissionDenied},
		{name: "unknown source", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/1"}, code: codes.NotFound},
		{name: "no parent", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711"}, code: codes.InvalidArgument},
		{name: "page too large", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", PageSize: 1001}, code: codes.InvalidArgument},
		{name: "negative page", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", PageSize: -1}, code: codes.InvalidArgument},
		{name: "bad filter", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", Filter: `source_properties.x="1"`}, code: codes.InvalidArgument},
		{name: "bad order", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", OrderBy: "create_time"}, code: codes.InvalidArgument},
		{name: "bad mask", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"thud"}}}, code: codes.InvalidArgument},
		{name: "foreign page token", req: &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", PageToken: "abc"}, code: codes.InvalidArgument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			names, err := listNames(t, c, tt.req)
			if upstream.Code(err) != tt.code {
				t.Fatalf("error %v, want code %v", err, tt.code)
			}
			if len(names) != tt.n || tt.n > 0 && names[0] != tt.frst {
				t.Errorf("%d findings %v, want %d from %s", len(names), names, tt.n, tt.frst)
			}
		})
	}
}

func TestUpdateSecurityMarks(t *testing.T) {
	t.Parallel()
	old := map[string]string{"owner": "web", "enrich_old": "1", "Enrich_Case": "a"}
	marks := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	many := strings.Repeat("é", 4096)
	tests := []struct {
		name    string
		finding string // default the canonical name
		marks   map[string]string
		mask    []string
		want    map[string]string
		code    codes.Code
	}{
		{name: "only the masked keys", marks: marks("enrich_a", " x ", "other", "no"), mask: []string{"marks.enrich_a"}, want: marks("owner", "web", "enrich_old", "1", "Enrich_Case", "a", "enrich_a", "x")},
		{name: "delete by mask", marks: marks(), mask: []string{"marks.enrich_old"}, want: marks("owner", "web", "Enrich_Case", "a")},
		{name: "keys ignore case", marks: marks("enrich_case", "b"), mask: []string{"marks.enrich_case"}, want: marks("owner", "web", "enrich_old", "1", "enrich_case", "b")},
		{name: "no mask replaces all", marks: marks("k", "v"), want: marks("k", "v")},
		{name: "mask marks replaces all", marks: marks("k", "v"), mask: []string{"marks"}, want: marks("k", "v")},
		{name: "longest value", marks: marks("k", many), mask: []string{"marks"}, want: marks("k", many)},
		{name: "by project id without location", finding: "projects/shop-prod-4711/sources/7001/findings/f1", marks: marks("k", "v"), mask: []string{"marks"}, want: marks("k", "v")},
		{name: "too long", marks: marks("k", many+"x"), mask: []string{"marks.k"}, code: codes.InvalidArgument},
		{name: "blank", marks: marks("k", "  "), mask: []string{"marks.k"}, code: codes.InvalidArgument},
		{name: "bad key", marks: marks("k.x", "v"), mask: []string{"marks.k.x"}, code: codes.InvalidArgument},
		{name: "long key", marks: marks(strings.Repeat("k", 257), "v"), code: codes.InvalidArgument},
		{name: "keys that differ in case", marks: marks("k", "v", "K", "w"), code: codes.InvalidArgument},
		{name: "duplicate in mask", marks: marks("k", "v"), mask: []string{"marks.k", "marks.k"}, code: codes.InvalidArgument},
		{name: "foreign path", marks: marks("k", "v"), mask: []string{"name"}, code: codes.InvalidArgument},
		{name: "unknown finding", finding: findingPrefix + "none", marks: marks("k", "v"), code: codes.NotFound},
		{name: "another project", finding: "projects/other/sources/7001/locations/global/findings/f1", marks: marks("k", "v"), code: codes.NotFound},
		{name: "unknown project", finding: "projects/nope/sources/7001/locations/global/findings/f1", marks: marks("k", "v"), code: codes.PermissionDenied},
		{name: "organization scope", finding: "organizations/882103374521/sources/7001/locations/global/findings/f1", marks: marks("k", "v"), code: codes.InvalidArgument},
		{name: "no finding name", finding: "projects/415926535897", marks: marks("k", "v"), code: codes.InvalidArgument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := testWorld(t)
			f := testFinding("f1", "shop")
			f.SecurityMarks = &securitycenterpb.SecurityMarks{Marks: old}
			name := addFinding(t, w, f)
			var published []Notification
			w.OnPublish(func(n Notification) { published = append(published, n) })
			e, url := start(t, Options{World: w})
			if tt.finding == "" {
				tt.finding = name
			}
			got, err := sccClient(t, url).UpdateSecurityMarks(t.Context(), &securitycenterpb.UpdateSecurityMarksRequest{
				SecurityMarks: &securitycenterpb.SecurityMarks{Name: tt.finding + "/securityMarks", Marks: tt.marks}, UpdateMask: &fieldmaskpb.FieldMask{Paths: tt.mask},
			})
			if upstream.Code(err) != tt.code {
				t.Fatalf("error %v, want code %v", err, tt.code)
			}
			if tt.name == "organization scope" && !strings.Contains(err.Error(), legacyMessage) {
				t.Errorf("error %v does not say %q", err, legacyMessage)
			}
			want := tt.want
			if tt.code == codes.OK {
				if diff := cmp.Diff(tt.want, got.GetMarks()); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			} else {
				want = old
			}
			if diff := cmp.Diff(want, w.Marks(name)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if echo := len(published) == 1; echo != (tt.code == codes.OK) {
				t.Errorf("%d notifications", len(published))
			}
			if calls := e.Calls(); len(calls) != 1 || calls[0].Name() != "UpdateSecurityMarks" || calls[0].Code != tt.code {
				t.Errorf("recorded %+v", calls)
			}
		})
	}
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	var published []map[string]any
	w.OnPublish(func(n Notification) {
		var v map[string]any
		if err := json.Unmarshal(n.Data, &v); err != nil {
			t.Error(err)
		}
		published = append(published, v)
	})
	name := findingPrefix + "f1"
	if err := w.AddFinding(testFinding("f1", "shop"), nil, map[string]json.RawMessage{"complianceDetails": json.RawMessage(`{"x":1}`)}); err != nil {
		t.Fatal(err)
	}
	_, url := start(t, Options{World: w, LegacyEnabled: true})
	c := sccClient(t, url)
	if _, err := c.UpdateSecurityMarks(t.Context(), &securitycenterpb.UpdateSecurityMarksRequest{SecurityMarks: &securitycenterpb.SecurityMarks{
		Name: "organizations/882103374521/sources/7001/findings/f1/securityMarks", Marks: map[string]string{"a": "b"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetMute(t.Context(), &securitycenterpb.SetMuteRequest{Name: name, Mute: securitycenterpb.Finding_MUTED}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetFindingState(t.Context(), &securitycenterpb.SetFindingStateRequest{Name: name, State: securitycenterpb.Finding_INACTIVE}); err != nil {
		t.Fatal(err)
	}
	if err := w.AddFinding(testFinding("f1", "shop"), nil, nil); err != nil {
		t.Fatal(err)
	}
	type seen struct{ Config, Name, EventTime, Mute, State, Mark, Extra any }
	var got []seen
	for _, p := range published {
		f, _ := p["finding"].(map[string]any)
		s, _ := f["securityMarks"].(map[string]any)
		m, _ := s["marks"].(map[string]any)
		x, _ := f["complianceDetails"].(map[string]any)
		got = append(got, seen{p["notificationConfigName"], f["name"], f["eventTime"] == "2026-11-22T10:00:00.123456789Z", f["mute"], f["state"], m["a"], x["x"]})
	}
	config, org := "organizations/882103374521/locations/global/notificationConfigs/enricher", "organizations/882103374521/sources/7001/locations/global/findings/f1"
	want := []seen{
		{config, org, true, "UNDEFINED", "ACTIVE", nil, 1.0},
		{config, org, true, "UNDEFINED", "ACTIVE", "b", 1.0},
		{config, org, true, "MUTED", "ACTIVE", "b", 1.0},
		{config, org, false, "MUTED", "INACTIVE", "b", 1.0},
		{config, org, true, "UNDEFINED", "ACTIVE", "b", nil}, // seen again by the detector: the marks stay
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
}

func TestGroupFindingsAndSources(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	for i := range 3 {
		addFinding(t, w, testFinding(fmt.Sprint("f", i), fmt.Sprint("s", i/2)))
	}
	_, url := start(t, Options{World: w})
	c := sccClient(t, url)
	g, err := c.GroupFindings(t.Context(), &securitycenterpb.GroupFindingsRequest{Parent: "projects/other/sources/-", GroupBy: "category"}).Next()
	if !errors.Is(err, iterator.Done) {
		t.Errorf("empty group gives %v, %v", g, err)
	}
	g, err = c.GroupFindings(t.Context(), &securitycenterpb.GroupFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", GroupBy: "category, resource_name"}).Next()
	if err != nil || g.GetCount() != 2 || g.GetProperties()["category"].GetStringValue() != "Reverse Shell" {
		t.Errorf("first group %v, %v", g, err)
	}
	if _, err = c.GroupFindings(t.Context(), &securitycenterpb.GroupFindingsRequest{Parent: "projects/shop-prod-4711/sources/-", GroupBy: "thud"}).Next(); status.Code(err) != codes.InvalidArgument && upstream.Code(err) != codes.InvalidArgument {
		t.Errorf("grouping by an unknown field gives %v", err)
	}
	s, err := c.ListSources(t.Context(), &securitycenterpb.ListSourcesRequest{Parent: "organizations/882103374521"}).Next()
	if err != nil || s.GetName() != "organizations/882103374521/sources/7001" || s.GetDisplayName() != "Cloud Run Threat Detection" {
		t.Errorf("source %v, %v", s, err)
	}
}
