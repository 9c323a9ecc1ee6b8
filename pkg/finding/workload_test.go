package finding

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseWorkload(t *testing.T) {
	t.Parallel()
	const base = "//run.googleapis.com/projects/shop-prod/locations/us-east1/"
	service := Workload{Project: "shop-prod", Location: "us-east1", Kind: Service, Name: "s"}
	job := Workload{Project: "shop-prod", Location: "us-east1", Kind: Job, Name: "j"}
	pool := Workload{Project: "shop-prod", Location: "us-east1", Kind: WorkerPool, Name: "w"}
	with := func(w Workload, revision, execution string) Workload {
		w.Revision, w.Execution = revision, execution
		return w
	}
	tests := []struct {
		in   string
		want Workload // zero: not a workload
	}{
		{base + "services/s", service},
		{base + "services/s/revisions/s-00001-abc", with(service, "s-00001-abc", "")},
		{base + "jobs/j", job},
		{base + "jobs/j/executions/j-x", with(job, "", "j-x")},
		{base + "jobs/j/executions/j-x/tasks/0", with(job, "", "j-x")},
		{base + "workerPools/w", pool},
		{base + "workerPools/w/revisions/w-1", with(pool, "w-1", "")},
		{"//run.googleapis.com/projects/123/locations/l/services/s", Workload{Project: "123", ProjectNumber: "123", Location: "l", Kind: Service, Name: "s"}},
		{"//run.googleapis.com/projects/example.com:p/locations/l/services/s", Workload{Project: "example.com:p", Location: "l", Kind: Service, Name: "s"}},
		{in: ""},
		{in: "//run.googleapis.com/"},
		{in: "projects/p/locations/l/services/s"},
		{in: "//compute.googleapis.com/projects/p/locations/l/services/s"},
		{in: "//run.googleapis.com.evil.example/projects/p/locations/l/services/s"},
		{in: "//run.googleapis.com/namespaces/p/services/s"},
		{in: "//run.googleapis.com/projects/p/services/s"},
		{in: base + "services"},
		{in: base + "services/"},
		{in: base + "services/s/"},
		{in: base + "instances/i"},
		{in: base + "services/s/executions/e"},
		{in: base + "services/s/revisions/r/tasks/0"},
		{in: base + "jobs/j/revisions/r"},
		{in: base + "jobs/j/tasks/0"},
		{in: base + "services/s/revisions"},
		{in: base + "services/.."},
		{in: base + "services/a..b"},
		{in: base + "services/--impersonate-service-account=x"},
		{in: base + `services/s" OR resource.type="x`},
		{in: base + "services/$(id)"},
		{in: base + "services/s\n"},
		{in: base + "services/s:x"},
		{in: base + "services/sérvice"},
		{in: base + "services/s%2f"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, ok := ParseWorkload(tt.in)
			if diff := cmp.Diff(tt.want, got); diff != "" || ok == tt.want.IsZero() {
				t.Errorf("ok %v (-want +got):\n%s", ok, diff)
			}
			if ok && tt.want.Revision+tt.want.Execution == "" {
				if back := got.FullNames()[0]; back != tt.in {
					t.Errorf("FullNames()[0] = %q", back)
				}
			}
		})
	}
}

func TestWorkloadNames(t *testing.T) {
	t.Parallel()
	w := Workload{Project: "p", ProjectNumber: "12", Location: "l", Kind: WorkerPool, Name: "w", Revision: "r"}
	if got, want := w.Key(), "run/p/l/worker_pool/w"; got != want {
		t.Errorf("Key %q, want %q", got, want)
	}
	if got, want := w.ResourcePath(), "projects/p/locations/l/workerPools/w"; got != want {
		t.Errorf("ResourcePath %q, want %q", got, want)
	}
	want := []string{"//run.googleapis.com/projects/p/locations/l/workerPools/w", "//run.googleapis.com/projects/12/locations/l/workerPools/w"}
	if diff := cmp.Diff(want, w.FullNames()); diff != "" {
		t.Errorf("FullNames (-want +got):\n%s", diff)
	}
	if zero := (Workload{}); zero.Key() != "" || zero.ResourcePath() != "" || zero.FullNames() != nil || zero.Same(zero) {
		t.Error("the zero workload has a name")
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	id := Workload{Project: "p", Location: "l", Kind: Service, Name: "s"}
	number := Workload{Project: "12", ProjectNumber: "12", Location: "l", Kind: Service, Name: "s"}
	both := Workload{Project: "p", ProjectNumber: "12", Location: "l", Kind: Service, Name: "s", Revision: "r"}
	tests := []struct {
		name string
		a, b Workload
		want bool
	}{
		{"equal", id, id, true},
		{"other revision", id, Workload{Project: "p", Location: "l", Kind: Service, Name: "s", Revision: "x"}, true},
		{"id and both", id, both, true},
		{"number and both", number, both, true},
		{"number without its own field", Workload{Project: "12", Location: "l", Kind: Service, Name: "s"}, both, true},
		{"id and number, nobody knows", id, number, false},
		{"other name", id, Workload{Project: "p", Location: "l", Kind: Service, Name: "t"}, false},
		{"other location", id, Workload{Project: "p", Location: "m", Kind: Service, Name: "s"}, false},
		{"other kind", id, Workload{Project: "p", Location: "l", Kind: Job, Name: "s"}, false},
		{"other project", id, Workload{Project: "q", Location: "l", Kind: Service, Name: "s"}, false},
		{"zero", Workload{}, Workload{}, false},
	}
	for _, tt := range tests {
		if got := tt.a.Same(tt.b); got != tt.want || tt.b.Same(tt.a) != got {
			t.Errorf("%s: Same is %v one way and %v the other, want %v", tt.name, got, tt.b.Same(tt.a), tt.want)
		}
	}
}

func TestProjectIsResolved(t *testing.T) {
	t.Parallel()
	const (
		byNumber = `"resourceName":"//run.googleapis.com/projects/12/locations/l/services/s"`
		byID     = `"resourceName":"//run.googleapis.com/projects/shop/locations/l/services/s"`
		scoped   = `"name":"projects/12/sources/2/findings/f"`
		org      = `"name":"organizations/1/sources/2/findings/f"`
	)
	resource := func(number, id string) string {
		return `"resource":{"gcpMetadata":{"project":"//cloudresourcemanager.googleapis.com/projects/` + number + `","projectDisplayName":"` + id + `"}}`
	}
	tests := []struct {
		name, finding, resource string
		id, number              string
	}{
		{"number told by the resource", org + "," + byNumber, resource("12", "shop"), "shop", "12"},
		{"number told by the canonical name", scoped + "," + byNumber, `"resource":{"projectDisplayName":"shop"}`, "shop", "12"},
		{"another project's id is not taken", org + "," + byNumber, resource("99", "shop"), "12", "12"},
		{"a display name that is no id is not taken", org + "," + byNumber, resource("12", "Shop Production"), "12", "12"},
		{"no resource", org + "," + byNumber, `"resource":{}`, "12", "12"},
		{"id gets its number", org + "," + byID, resource("12", "shop"), "shop", "12"},
		{"id gets its number from the canonical name", scoped + "," + byID, `"resource":null`, "shop", "12"},
		{"id of another project gets none", org + "," + byID, resource("12", "other"), "shop", ""},
		{"id without anything", org + "," + byID, `"resource":{}`, "shop", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := mustParse(t, []byte(`{"finding":{`+tt.finding+`},`+tt.resource+`}`)).Workload
			if w.Project != tt.id || w.ProjectNumber != tt.number {
				t.Errorf("project %q number %q, want %q %q", w.Project, w.ProjectNumber, tt.id, tt.number)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	f := mustParse(t, fixture(t, "v2_unexpected_child_shell.json"))
	again := mustParse(t, fixture(t, "v2_unexpected_child_shell.json"))
	again.Mute, again.State, again.Marks = "MUTED", Inactive, map[string]string{"a": "b"}
	if f.Identity() != again.Identity() {
		t.Error("a mute, state or mark change is another identity")
	}
	again.EventTime = again.EventTime.Add(1)
	if f.Identity() == again.Identity() {
		t.Error("another event time is the same identity")
	}
	const id = "/sources/5550001/locations/global/findings/0a1b2c3d4e5f60718293a4b5c6d7e8f9/securityMarks"
	if got, want := f.MarksName(), "projects/700800900100"+id; got != want {
		t.Errorf("MarksName %q, want %q", got, want)
	}
	if got, want := f.FallbackMarksName(), "organizations/400123400123"+id; got != want {
		t.Errorf("FallbackMarksName %q, want %q", got, want)
	}
	if f.ParentScope() != "projects/700800900100" || f.Location() != "global" {
		t.Errorf("scope %q location %q", f.ParentScope(), f.Location())
	}
	if got, want := f.StableName(), "projects/700800900100/sources/5550001/findings/0a1b2c3d4e5f60718293a4b5c6d7e8f9"; got != want {
		t.Errorf("StableName %q, want %q", got, want)
	}
	eu := mustParse(t, []byte(`{"name":"folders/7/sources/2/locations/eu/findings/f"}`))
	if eu.Location() != "eu" || eu.StableName() != eu.CanonicalName {
		t.Errorf("location %q, StableName %q", eu.Location(), eu.StableName())
	}
	v1 := mustParse(t, []byte(`{"name":"folders/7/sources/2/findings/f"}`))
	if v1.ParentScope() != "folders/7" || v1.Location() != "" || v1.FallbackMarksName() != "" {
		t.Errorf("scope %q location %q fallback %q", v1.ParentScope(), v1.Location(), v1.FallbackMarksName())
	}
}
