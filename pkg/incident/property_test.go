package incident

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Small numbers, so that every kind of neighbourhood occurs.
const (
	testWindow = 10 * time.Minute
	testSpan   = 25 * time.Minute
)

// universe makes findings of two workloads with repetitions, older states,
// inactive and nameless ones. With aliases, some name their project by id only
// and some by number only.
func universe(rng *rand.Rand, aliases bool) []finding.Finding {
	out := make([]finding.Finding, rng.IntN(50))
	spread := []int{20, 75, 150, 300}[rng.IntN(4)]
	names := []string{"app", "proxy", "init"}[:1+rng.IntN(3)]
	for i := range out {
		f := on(fmt.Sprint(rng.IntN(40)), rng.IntN(spread), "")
		for range []int{0, 1, 1, 1, 2}[rng.IntN(5)] {
			f.Containers = append(f.Containers, finding.Container{Name: names[rng.IntN(len(names))]})
		}
		f.Workload = service([]string{"s", "s", "s", "t"}[rng.IntN(4)])
		if rng.IntN(6) == 0 {
			f.State = finding.Inactive
		}
		f.Workload.Revision = []string{"", "r1", "r2"}[rng.IntN(3)]
		if aliases {
			switch rng.IntN(4) {
			case 0:
				f.Workload.ProjectNumber = ""
			case 1:
				f.Workload.Project = f.Workload.ProjectNumber
			case 2:
				f.Workload.Project, f.Workload.ProjectNumber = "other", ""
			}
		}
		if i > 0 && rng.IntN(8) == 0 { // one event, told in another way
			f = out[rng.IntN(i)]
			f.Containers = []finding.Container{{Name: "init"}}
		}
		out[i] = f
	}
	return out
}

// view is what every member of an incident must agree on.
type view struct {
	ID         string
	Start, End time.Time
	Members    []string
}

func viewOf(inc Incident) view {
	v := view{ID: inc.ID, Start: inc.Start, End: inc.End}
	for _, m := range inc.Members {
		v.Members = append(v.Members, m.Finding.StableName()+m.Finding.EventTime.String())
	}
	return v
}

// seeds calls check with many universes and every active seed in them, in its
// newest state.
func seeds(t *testing.T, aliases bool, check func(rng *rand.Rand, seed *finding.Finding, all []finding.Finding)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	company, cuts := 0, 0
	for range 100 {
		all := universe(rng, aliases)
		for i := range all {
			seed, _ := newest(&all[i], all)
			if over(seed) {
				continue
			}
			if !Group(seed, all, testWindow, testSpan).Alone() {
				company++
			}
			if uncut := Group(seed, all, testWindow, 0); uncut.End.Sub(uncut.Start) > testSpan {
				cuts++
			}
			check(rng, seed, all)
			if t.Failed() {
				return
			}
		}
	}
	if company < 500 || cuts < 30 {
		t.Fatalf("only %d seeds with company, %d of cut chains: the property is hardly tested", company, cuts)
	}
}

// same compares quickly and explains slowly.
func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	seeds(t, true, func(rng *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		want := Group(seed, all, testWindow, testSpan)
		shuffled := slices.Clone(all)
		rng.Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		same(t, "after a shuffle", want, Group(seed, shuffled, testWindow, testSpan))
	})
}

func TestEveryMemberSeesTheSame(t *testing.T) {
	t.Parallel()
	seeds(t, true, func(_ *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		inc := Group(seed, all, testWindow, testSpan)
		for _, m := range inc.Members {
			from := Group(m.Finding, all, testWindow, testSpan)
			same(t, "from "+m.Finding.StableName(), viewOf(inc), viewOf(from))
			again, ok := inc.WithSeed(m.Finding.StableName())
			same(t, "WithSeed", from, again)
			if !ok {
				t.Error("WithSeed does not know a member")
			}
		}
	})
}

func TestGroupingTheMembersAgain(t *testing.T) {
	t.Parallel()
	seeds(t, false, func(_ *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		inc := Group(seed, all, testWindow, testSpan)
		var members []finding.Finding
		for _, m := range inc.Members {
			members = append(members, *m.Finding)
		}
		same(t, "grouped twice", inc, Group(seed, members, testWindow, testSpan))
	})
}

// A reader that lists only the seed's View sees the same incident.
func TestViewIsEnough(t *testing.T) {
	t.Parallel()
	seeds(t, false, func(_ *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		from, to := View(seed.EventTime, testWindow, testSpan)
		var near []finding.Finding
		for _, f := range all {
			if !f.EventTime.Before(from) && !f.EventTime.After(to) {
				near = append(near, f)
			}
		}
		// An older state inside the view must not stand in for the newest outside.
		near = slices.DeleteFunc(near, func(f finding.Finding) bool {
			latest, _ := newest(&f, all)
			return latest.EventTime.After(f.EventTime)
		})
		same(t, "inside the view", Group(seed, all, testWindow, testSpan), Group(seed, near, testWindow, testSpan))
	})
}

func TestAddingAFindingKeepsTheMembers(t *testing.T) {
	t.Parallel()
	seeds(t, false, func(rng *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		extra := on("new", rng.IntN(300), []string{"", "app", "proxy"}[rng.IntN(3)])
		more := append(slices.Clone(all), extra)
		for _, limit := range []time.Duration{0, testSpan} {
			uncut := Group(seed, more, testWindow, 0)
			if limit > 0 && uncut.End.Sub(uncut.Start) > limit {
				continue // the stated exception
			}
			after := viewOf(Group(seed, more, testWindow, limit))
			for _, m := range viewOf(Group(seed, all, testWindow, limit)).Members {
				if !slices.Contains(after.Members, m) {
					t.Errorf("limit %v: adding %v took %s away", limit, extra.EventTime, m)
				}
			}
		}
	})
}

func TestSpanAndGaps(t *testing.T) {
	t.Parallel()
	seeds(t, true, func(_ *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		inc := Group(seed, all, testWindow, testSpan)
		if inc.End.Sub(inc.Start) > testSpan {
			t.Errorf("spans %v", inc.End.Sub(inc.Start))
		}
		seen := map[string]bool{}
		for i, m := range inc.Members {
			if i > 0 && m.Finding.EventTime.Sub(inc.Members[i-1].Finding.EventTime) > testWindow {
				t.Errorf("gap before member %d", i)
			}
			if seen[m.Finding.StableName()] {
				t.Errorf("%s twice", m.Finding.StableName())
			}
			seen[m.Finding.StableName()] = true
			if over(m.Finding) || m.Seed != (m.Finding == seed) {
				t.Errorf("member %+v", m)
			}
		}
		if len(inc.Others()) != len(inc.Members)-1 {
			t.Error("the seed is not exactly once among its members")
		}
	})
}

// The fast linking finds what a walk over every pair finds.
func TestConnectedAgainstEveryPair(t *testing.T) {
	t.Parallel()
	agree := func(a, b *finding.Finding) bool {
		x, y := containers(a), containers(b)
		return len(x) == 0 || len(y) == 0 || slices.ContainsFunc(x, func(n string) bool { return slices.Contains(y, n) })
	}
	seeds(t, false, func(_ *rand.Rand, seed *finding.Finding, all []finding.Finding) {
		seed, rest := newest(seed, all)
		list := append(eligible(sameWorkload(seed, rest)), seed)
		slices.SortFunc(list, compare)
		in := map[*finding.Finding]bool{seed: true}
		for grown := true; grown; {
			grown = false
			for _, a := range list {
				for _, b := range list {
					if in[a] && !in[b] && agree(a, b) && a.EventTime.Sub(b.EventTime).Abs() <= testWindow {
						in[b], grown = true, true
					}
				}
			}
		}
		got := connected(list, seed, testWindow)
		if len(got) != len(in) {
			t.Errorf("%d connected, %d by every pair", len(got), len(in))
		}
		for _, f := range got {
			if !in[f] {
				t.Errorf("%s is not connected", f.StableName())
			}
		}
	})
}
