package incident

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

const (
	window  = 30 * time.Minute
	maxSpan = 24 * time.Hour
)

// noon is far from the instants at which long chains are cut.
func noon() time.Time { return time.Date(2026, 9, 5, 12, 0, 0, 0, time.UTC) }

func service(name string) finding.Workload {
	return finding.Workload{Project: "shop", ProjectNumber: "12", Location: "l", Kind: finding.Service, Name: name}
}

// on returns a finding of service s, minutes after noon, in container (none if empty).
func on(id string, minutes int, container string) finding.Finding {
	f := finding.Finding{
		Name:          "organizations/1/sources/2/locations/global/findings/" + id,
		CanonicalName: "projects/12/sources/2/locations/global/findings/" + id,
		State:         finding.Active,
		EventTime:     noon().Add(time.Duration(minutes) * time.Minute),
		Workload:      service("s"),
	}
	if container != "" {
		f.Containers = []finding.Container{{Name: container}}
	}
	return f
}

func edit(f finding.Finding, change func(*finding.Finding)) finding.Finding {
	change(&f)
	return f
}

// brief shows an incident as "id:strength" with a star on the seed.
func brief(inc Incident) []string {
	var out []string
	for _, m := range inc.Members {
		name := m.Finding.StableName()
		s := name[len(name)-1:] + ":" + string(m.Strength)
		if m.Seed {
			s += "*"
		}
		out = append(out, s)
	}
	return out
}

func TestGroup(t *testing.T) {
	t.Parallel()
	revision := func(r string) func(*finding.Finding) {
		return func(f *finding.Finding) { f.Workload.Revision = r }
	}
	tests := []struct {
		name   string
		seed   finding.Finding
		others []finding.Finding
		want   []string
	}{
		{name: "alone", seed: on("a", 0, "app"), want: []string{"a:container*"}},
		{
			name: "same container, before and after",
			seed: on("b", 10, "app"), others: []finding.Finding{on("c", 20, "app"), on("a", 0, "app")},
			want: []string{"a:container", "b:container*", "c:container"},
		},
		{
			name: "chained over more than a window",
			seed: on("a", 0, "app"), others: []finding.Finding{on("b", 30, "app"), on("c", 60, "app"), on("d", 91, "app")},
			want: []string{"a:container*", "b:container", "c:container"},
		},
		{
			name: "other containers stand apart and do not bridge",
			seed: on("a", 0, "app"), others: []finding.Finding{on("b", 20, "proxy"), on("c", 40, "app")},
			want: []string{"a:container*"},
		},
		{
			name: "a nameless finding agrees with any",
			seed: on("a", 0, ""), others: []finding.Finding{on("b", 20, "proxy"), on("c", 25, "app")},
			want: []string{"a:container*", "b:workload", "c:workload"},
		},
		{
			name: "a nameless finding joins two containers for each of them",
			seed: on("b", 20, "proxy"), others: []finding.Finding{on("a", 0, ""), on("c", 25, "app")},
			want: []string{"a:workload", "b:container*", "c:workload"},
		},
		{
			name: "a nameless finding joins only what it is close to",
			seed: on("b", 40, "proxy"), others: []finding.Finding{on("a", 0, ""), on("c", 25, "app")},
			want: []string{"b:container*"},
		},
		{
			name: "a finding that names two containers agrees with both",
			seed: on("b", 20, "proxy"),
			others: []finding.Finding{
				edit(on("a", 0, "app"), func(f *finding.Finding) {
					f.Containers = append(f.Containers, finding.Container{Name: " proxy "}, finding.Container{})
				}),
				on("c", 25, "app"),
			},
			want: []string{"a:container", "b:container*", "c:workload"},
		},
		{
			name:   "strength by revision where a name is absent",
			seed:   edit(on("a", 0, ""), revision("s-1")),
			others: []finding.Finding{edit(on("b", 1, "app"), revision("s-1")), edit(on("c", 2, ""), revision("s-2"))},
			want:   []string{"a:container*", "b:revision", "c:workload"},
		},
		{
			name:   "the revision does not separate",
			seed:   edit(on("a", 0, "app"), revision("s-1")),
			others: []finding.Finding{edit(on("b", 1, "app"), revision("s-2"))},
			want:   []string{"a:container*", "b:container"},
		},
		{
			name: "other workloads",
			seed: on("a", 0, "app"),
			others: []finding.Finding{
				edit(on("b", 1, "app"), func(f *finding.Finding) { f.Workload.Name = "t" }),
				edit(on("c", 1, "app"), func(f *finding.Finding) { f.Workload.Kind = finding.Job }),
				edit(on("d", 1, "app"), func(f *finding.Finding) { f.Workload.Location = "m" }),
				edit(on("e", 1, "app"), func(f *finding.Finding) { f.Workload.Project, f.Workload.ProjectNumber = "q", "13" }),
				edit(on("f", 1, "app"), func(f *finding.Finding) { f.Workload = finding.Workload{} }),
			},
			want: []string{"a:container*"},
		},
		{
			name: "project by id and by number, told by a third that is over",
			seed: edit(on("a", 0, ""), func(f *finding.Finding) { f.Workload.ProjectNumber = "" }),
			others: []finding.Finding{
				edit(on("b", 1, ""), func(f *finding.Finding) { f.Workload.Project = "12" }),
				edit(on("c", 1, ""), func(f *finding.Finding) { f.State = finding.Inactive }),
			},
			want: []string{"a:container*", "b:workload"},
		},
		{
			name: "inactive and deleted left out, muted and unknown stay",
			seed: on("a", 0, ""),
			others: []finding.Finding{
				edit(on("b", 1, ""), func(f *finding.Finding) { f.State = finding.Inactive }),
				edit(on("c", 1, ""), func(f *finding.Finding) { f.Deleted = true }),
				edit(on("d", 1, ""), func(f *finding.Finding) { f.Mute = "MUTED" }),
				edit(on("e", 1, ""), func(f *finding.Finding) { f.State = "" }),
			},
			want: []string{"a:container*", "d:workload", "e:workload"},
		},
		{
			name: "an inactive seed stays",
			seed: edit(on("a", 0, ""), func(f *finding.Finding) { f.State = finding.Inactive }), others: []finding.Finding{on("b", 1, "")},
			want: []string{"a:container*", "b:workload"},
		},
		{
			name: "the newest state counts, once",
			seed: on("a", 0, ""), others: []finding.Finding{on("b", 300, ""), on("b", 1, ""), on("c", 2, ""), on("c", 300, ""), on("d", 5, ""), on("d", 4, "")},
			want: []string{"a:container*", "d:workload"},
		},
		{
			name: "the newest state is over",
			seed: on("a", 0, ""), others: []finding.Finding{on("b", 1, ""), edit(on("b", 2, ""), func(f *finding.Finding) { f.State = finding.Inactive })},
			want: []string{"a:container*"},
		},
		{
			name: "of two states of one instant the one that is over",
			seed: on("a", 0, ""), others: []finding.Finding{
				edit(on("b", 1, ""), func(f *finding.Finding) { f.State = finding.Inactive }), on("b", 1, ""),
				on("c", 1, ""), edit(on("c", 1, ""), func(f *finding.Finding) { f.Deleted = true }),
			},
			want: []string{"a:container*"},
		},
		{
			name: "the seed among the others",
			seed: on("a", 0, ""), others: []finding.Finding{on("a", 0, ""), on("a", -50, ""), on("b", 10, "")},
			want: []string{"a:container*", "b:workload"},
		},
		{
			name: "a newer seed among the others",
			seed: on("a", 0, ""), others: []finding.Finding{on("a", 100, ""), on("b", 10, ""), on("c", 90, "")},
			want: []string{"c:workload", "a:container*"},
		},
		{
			name: "version 1 and 2 names are one finding",
			seed: on("a", 0, ""),
			others: []finding.Finding{
				edit(on("a", 0, ""), func(f *finding.Finding) { f.CanonicalName = "projects/12/sources/2/findings/a" }),
			},
			want: []string{"a:container*"},
		},
		{
			name: "no event time",
			seed: on("a", 0, ""), others: []finding.Finding{edit(on("b", 1, ""), func(f *finding.Finding) { f.EventTime = time.Time{} })},
			want: []string{"a:container*"},
		},
		{
			name: "seed without event time",
			seed: edit(on("a", 0, ""), func(f *finding.Finding) { f.EventTime = time.Time{} }),
			others: []finding.Finding{
				on("b", 1, ""), edit(on("c", 1, ""), func(f *finding.Finding) { f.EventTime = time.Time{} }),
			},
			want: []string{"a:container*"},
		},
		{
			name: "seed without workload",
			seed: edit(on("a", 0, ""), func(f *finding.Finding) { f.Workload = finding.Workload{} }),
			others: []finding.Finding{
				edit(on("b", 0, ""), func(f *finding.Finding) { f.Workload = finding.Workload{} }),
			},
			want: []string{"a:container*"},
		},
		{
			name: "same instant",
			seed: on("b", 0, ""), others: []finding.Finding{on("c", 0, ""), on("a", 0, "")},
			want: []string{"a:workload", "b:container*", "c:workload"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Group(&tt.seed, tt.others, window, maxSpan)
			if diff := cmp.Diff(tt.want, brief(got)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if (got.ID != "") == got.Alone() || len(got.Others()) != len(got.Members)-1 {
				t.Errorf("ID %q, alone %v, others %d", got.ID, got.Alone(), len(got.Others()))
			}
			if first, last := got.Members[0].Finding.EventTime, got.Members[len(got.Members)-1].Finding.EventTime; !got.Start.Equal(first) || !got.End.Equal(last) {
				t.Errorf("span %v to %v, members %v to %v", got.Start, got.End, first, last)
			}
		})
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	seed := on("a", 0, "app")
	got := Group(&seed, []finding.Finding{on("b", 1, "app")}, window, maxSpan).ID
	// The format is promised, and so is that a release does not rename incidents.
	if want := "inc-a70ec502897d"; got != want {
		t.Errorf("ID %q, want %q", got, want)
	}
	seed.CanonicalName = "projects/12/sources/2/findings/a"
	if v1 := Group(&seed, []finding.Finding{on("b", 1, "app")}, window, maxSpan).ID; v1 != got {
		t.Errorf("a version 1 name gives the ID %q, version 2's %q", v1, got)
	}
	seed = on("a", 0, "app")
	seed.Workload.Project = "12"
	if number := Group(&seed, []finding.Finding{on("b", 1, "app")}, window, maxSpan).ID; number != got {
		t.Errorf("a project number gives the ID %q, its id %q", number, got)
	}
}

func TestLongChainIsCut(t *testing.T) {
	t.Parallel()
	var all []finding.Finding
	for i := range 200 { // 66 hours
		f := on(fmt.Sprintf("%03d", i), i*20, "app")
		all = append(all, f)
	}
	ids := map[string]int{}
	for i := range all {
		inc := Group(&all[i], all, window, maxSpan)
		if s := inc.End.Sub(inc.Start); s > maxSpan {
			t.Fatalf("member %d: incident spans %v", i, s)
		}
		if n := ids[inc.ID]; n != 0 && n != len(inc.Members) {
			t.Fatalf("member %d: %q has %d members here, %d there", i, inc.ID, len(inc.Members), n)
		}
		ids[inc.ID] = len(inc.Members)
	}
	// From noon to midnight, two whole days, and what is left of the fourth.
	sizes := slices.Sorted(maps.Values(ids))
	if diff := cmp.Diff([]int{20, 36, 72, 72}, sizes); diff != "" {
		t.Errorf("sizes of the incidents (-want +got):\n%s", diff)
	}
	// A chain over midnight that is not longer than the maximum is not cut.
	if inc := Group(&all[20], all[:60], window, maxSpan); len(inc.Members) != 60 {
		t.Errorf("%d members of a chain of 20 hours, want 60", len(inc.Members))
	}
	// Nor is one of exactly the maximum, and one step more is.
	if inc := Group(&all[20], all[:73], window, maxSpan); len(inc.Members) != 73 {
		t.Errorf("%d members of a chain of 24 hours, want 73", len(inc.Members))
	}
	if inc := Group(&all[20], all[:74], window, maxSpan); len(inc.Members) != 36 {
		t.Errorf("%d members until midnight of a longer chain, want 36", len(inc.Members))
	}
	// The piece of a cut chain holds only what is connected.
	mixed := append(slices.Clone(all), on("p", 10, "proxy"), on("q", 15, "proxy"))
	if inc := Group(&mixed[0], mixed, window, maxSpan); len(inc.Members) != 36 {
		t.Errorf("%d members beside another container, want 36", len(inc.Members))
	}
	// Without a maximum there is no cut.
	if inc := Group(&all[0], all, window, 0); len(inc.Members) != len(all) {
		t.Errorf("%d members without a maximum, want %d", len(inc.Members), len(all))
	}
}

// What a project's names are is found out however long the way.
func TestAliases(t *testing.T) {
	t.Parallel()
	var all []finding.Finding
	for i := range 12 { // p0 is 0, 0 is p1, p1 is 1, 1 is p2, ...
		f := on(string(rune('a'+i)), i, "")
		f.Workload.Project = fmt.Sprintf("p%d", (i+1)/2)
		f.Workload.ProjectNumber = fmt.Sprint(i / 2)
		all = append(all, f)
	}
	for i := range all {
		if inc := Group(&all[i], all, window, maxSpan); len(inc.Members) != len(all) {
			t.Errorf("%d members from %d, want %d", len(inc.Members), i, len(all))
		}
	}
}

func TestGroupNil(t *testing.T) {
	t.Parallel()
	if inc := Group(nil, []finding.Finding{on("a", 0, "")}, window, maxSpan); inc.ID != "" || len(inc.Members) != 0 {
		t.Errorf("%+v", inc)
	}
	empty := &finding.Finding{}
	if inc := Group(empty, []finding.Finding{{}}, window, maxSpan); len(inc.Members) != 1 || !inc.Members[0].Seed {
		t.Errorf("%+v", inc)
	}
	if _, ok := (Incident{}).WithSeed(""); ok {
		t.Error("the zero incident has a member")
	}
}

func BenchmarkGroup1000(b *testing.B) {
	var all []finding.Finding
	for i := range 1000 {
		all = append(all, on(fmt.Sprintf("%04d", i), i, []string{"app", "", "proxy"}[i%3]))
	}
	b.ReportAllocs()
	for b.Loop() {
		Group(&all[500], all, window, maxSpan)
	}
}
