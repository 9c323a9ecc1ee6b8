package emulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// base is the clock of test worlds where time does not matter.
func base() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC) }

func testWorld(t testing.TB) *World {
	t.Helper()
	w := NewWorld(nil)
	w.AddProject(Project{ID: "shop-prod-4711", Number: "415926535897", Organization: "882103374521", Folders: []string{"660214478903"}})
	w.AddProject(Project{ID: "other", Number: "2", Organization: "882103374521"})
	return w
}

func testFinding(id, service string) *securitycenterpb.Finding {
	return &securitycenterpb.Finding{
		CanonicalName: "projects/415926535897/sources/7001/locations/global/findings/" + id, Category: "Reverse Shell", ParentDisplayName: "Cloud Run Threat Detection",
		ResourceName: "//run.googleapis.com/projects/shop-prod-4711/locations/europe-west1/services/" + service,
		Severity:     securitycenterpb.Finding_CRITICAL, EventTime: timestamppb.New(base()), FindingClass: securitycenterpb.Finding_THREAT,
	}
}

func addFinding(t testing.TB, w *World, f *securitycenterpb.Finding) string {
	t.Helper()
	if err := w.AddFinding(f, nil, nil); err != nil {
		t.Fatal(err)
	}
	return f.GetCanonicalName()
}

// unlimited are quotas that never refuse.
func unlimited() Quotas {
	return Quotas{SCCReads: -1, SCCWrites: -1, LoggingReads: -1, RunReads: -1, VTPerMinute: -1, VTPerDay: -1}
}

func start(t testing.TB, o Options) (*Emulator, string) {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	url, err := e.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return e, url
}

// rest does one request and decodes the JSON answer.
func rest(t testing.TB, method, url, body string, header ...string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s %s answers %d %q: %v", method, url, resp.StatusCode, data, err)
	}
	return resp.StatusCode, v
}

func TestREST(t *testing.T) {
	t.Parallel()
	const list, finding = "/v2/projects/shop-prod-4711/sources/-/locations/global/findings", "projects/shop-prod-4711/sources/7001/locations/global/findings/f1"
	tests := []struct {
		name, method, path, body string
		code                     int
		// want are fields of the answer, by path, "error.status".
		want map[string]any
	}{
		{name: "list with system parameters", path: list + "?alt=json&$alt=json&prettyPrint=true&key=k&quotaUser=u&pageSize=1", code: 200,
			want: map[string]any{"listFindingsResults.0.finding.name": "organizations/882103374521/sources/7001/locations/global/findings/f1", "totalSize": 1.0}},
		{name: "list with mask in snake case", path: list + "?fieldMask=finding.resource_name", code: 200,
			want: map[string]any{"listFindingsResults.0.finding.category": nil, "listFindingsResults.0.resource": nil,
				"listFindingsResults.0.finding.resourceName": "//run.googleapis.com/projects/shop-prod-4711/locations/europe-west1/services/shop"}},
		{name: "v1 list", path: "/v1/projects/shop-prod-4711/sources/-/findings?alt=json&pageSize=5", code: 200,
			want: map[string]any{"listFindingsResults.0.finding.name": "organizations/882103374521/sources/7001/findings/f1",
				"listFindingsResults.0.finding.canonicalName":   "projects/415926535897/sources/7001/findings/f1",
				"listFindingsResults.0.resource.projectName":    "//cloudresourcemanager.googleapis.com/projects/415926535897",
				"listFindingsResults.0.resource.gcpMetadata":    nil,
				"listFindingsResults.0.finding.eventTime":       "2026-11-22T10:00:00.123456789Z",
				"listFindingsResults.0.finding.muteUpdateTime":  "1970-01-01T00:00:00Z",
				"listFindingsResults.0.resource.parentName":     "//cloudresourcemanager.googleapis.com/projects/415926535897",
				"listFindingsResults.0.finding.securityMarks.x": nil}},
		{name: "marks with keys as they are", method: "PATCH", path: "/v2/" + finding + "/securityMarks?updateMask=marks.a_b,marks.camelCase,marks.d-e",
			body: `{"marks":{"a_b":"1","camelCase":"2","d-e":"3","f":"4"}}`, code: 200, want: map[string]any{"marks.a_b": "1", "marks.camelCase": "2", "marks.d-e": "3", "marks.f": nil}},
		{name: "v1 marks", method: "PATCH", path: "/v1/projects/shop-prod-4711/sources/7001/findings/f1/securityMarks?updateMask=marks.k", body: `{"marks":{"k":"v"}}`,
			code: 200, want: map[string]any{"marks.k": "v", "name": "organizations/882103374521/sources/7001/findings/f1/securityMarks"}},
		{name: "v1 page too large", path: "/v1/projects/shop-prod-4711/sources/-/findings?pageSize=5000", code: 400, want: map[string]any{"error.status": "INVALID_ARGUMENT"}},
		{name: "v1 page no number", path: "/v1/projects/shop-prod-4711/sources/-/findings?pageSize=x", code: 400, want: map[string]any{"error.status": "INVALID_ARGUMENT"}},
		{name: "v1 unknown", path: "/v1/projects/shop-prod-4711/assets", code: 404, want: map[string]any{"error.status": "NOT_FOUND"}},
		{name: "policy", path: "/v2/projects/shop-prod-4711/locations/europe-west1/services/shop:getIamPolicy", code: 200, want: map[string]any{"bindings.0.members.0": "allUsers"}},
		{name: "unknown project", path: "/v2/projects/nope/locations/l/services/x", code: 403, want: map[string]any{"error.code": 403.0, "error.status": "PERMISSION_DENIED"}},
		{name: "unknown service", path: "/v2/projects/shop-prod-4711/locations/l/services/x", code: 404, want: map[string]any{"error.status": "NOT_FOUND"}},
		{name: "unknown path", path: "/v2/whatever", code: 404, want: map[string]any{"error.status": "NOT_FOUND"}},
		{name: "unknown parameter", path: list + "?wrong=1", code: 400, want: map[string]any{"error.status": "INVALID_ARGUMENT"}},
		{name: "alt=media", path: list + "?alt=media", code: 400, want: map[string]any{"error.status": "INVALID_ARGUMENT"}},
		{name: "unknown JSON field", method: "POST", path: "/v2/entries:list", body: `{"resourceNames":["projects/other"],"thud":1}`, code: 400, want: map[string]any{"error.status": "INVALID_ARGUMENT"}},
		{name: "bad log filter", method: "POST", path: "/v2/entries:list", body: `{"resourceNames":["projects/other"],"filter":"severity>"}`, code: 400, want: map[string]any{"error.status": "INVALID_ARGUMENT"}},
		{name: "no quota", method: "POST", path: "/v2/entries:list", body: `{"resourceNames":["projects/other"]}`, code: 429,
			want: map[string]any{"error.status": "RESOURCE_EXHAUSTED", "error.details.0.reason": "RATE_LIMIT_EXCEEDED"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := testWorld(t)
			addFinding(t, w, testFinding("f1", "shop"))
			w.AddService(WorkloadSpec{Project: "shop-prod-4711", Location: "europe-west1", Name: "shop", Public: true})
			e, url := start(t, Options{World: w, Quotas: Quotas{LoggingReads: 1}})
			if tt.code == 429 {
				e.limits.take("logging.googleapis.com/Read requests/default", 1)
			}
			if tt.method == "" {
				tt.method = "GET"
			}
			code, v := rest(t, tt.method, url+tt.path, tt.body)
			if code != tt.code {
				t.Errorf("status %d, want %d: %v", code, tt.code, v)
			}
			for path, want := range tt.want {
				if got := dig(v, path); got != want {
					t.Errorf("%s = %v, want %v", path, got, want)
				}
			}
		})
	}
}

func TestIntercept(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	e, url := start(t, Options{World: w, RecordLimit: 1, Intercept: func(_ context.Context, c Call) error {
		if c.Name() == "GetService" || c.Method == "virustotal/domains" {
			return status.Error(codes.Unavailable, "down")
		}
		return nil
	}})
	vt, err := e.StartVirusTotal(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if code, v := rest(t, "GET", url+"/v2/projects/other/locations/l/services/s", ""); code != 503 || dig(v, "error.status") != "UNAVAILABLE" {
		t.Errorf("service: %d %v", code, v)
	}
	if code, v := rest(t, "GET", vt+"/api/v3/domains/example.com", "", "x-apikey", "k"); code != 503 || dig(v, "error.code") != "TransientError" {
		t.Errorf("domain: %d %v", code, v)
	}
	if calls := e.Calls(); len(calls) != 1 || calls[0].Code != codes.Unavailable {
		t.Errorf("%d calls kept, want the first only: %+v", len(calls), calls)
	}
	if n := e.Counts(); n["GetService"] != 1 || n["domains"] != 1 {
		t.Errorf("counts %v", n)
	}
}

// dig follows a dotted path of keys and indexes.
func dig(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch c := v.(type) {
		case map[string]any:
			v = c[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	return v
}
