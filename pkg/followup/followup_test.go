package followup_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

var (
	event = time.Date(2026, 4, 24, 10, 0, 0, 123456789, time.UTC)
	legal = regexp.MustCompile(`^[a-z0-9-]{1,500}$`)
)

// task is a settle task of the container g, to run at at.
func task(g string, at time.Time) followup.Task {
	return followup.Task{
		Kind:      followup.Settle,
		Finding:   "organizations/1/sources/2/locations/global/findings/" + g,
		Name:      "organizations/1/sources/2/findings/" + g,
		Resource:  "//run.googleapis.com/projects/p/locations/l/services/" + g,
		EventTime: event,
		Group:     g,
		At:        at.UTC(),
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	base := task("shop", event.Add(time.Hour))
	single := base
	single.Group = ""
	with := func(from followup.Task, change func(*followup.Task)) followup.Task {
		change(&from)
		return from
	}
	tests := map[string]struct {
		a, b followup.Task
		same bool
	}{
		"equal":                              {base, base, true},
		"another finding of the group":       {base, with(base, func(t *followup.Task) { t.Finding += "x"; t.Name = ""; t.Resource = "" }), true},
		"another event of the group":         {base, with(base, func(t *followup.Task) { t.EventTime = event.Add(time.Minute) }), true},
		"another zone":                       {base, with(base, func(t *followup.Task) { t.At = t.At.In(time.FixedZone("", 7200)) }), true},
		"within a microsecond":               {base, with(base, func(t *followup.Task) { t.At = t.At.Truncate(time.Microsecond) }), true},
		"another group":                      {base, with(base, func(t *followup.Task) { t.Group = "bank" }), false},
		"another kind":                       {base, with(base, func(t *followup.Task) { t.Kind = followup.Complete }), false},
		"another attempt":                    {base, with(base, func(t *followup.Task) { t.Attempt = 1 }), false},
		"another time":                       {base, with(base, func(t *followup.Task) { t.At = t.At.Add(time.Second) }), false},
		"no group: equal":                    {single, single, true},
		"no group: read at another name":     {single, with(single, func(t *followup.Task) { t.Name = "" }), true},
		"no group: another finding":          {single, with(single, func(t *followup.Task) { t.Finding += "x" }), false},
		"no group: another event":            {single, with(single, func(t *followup.Task) { t.EventTime = event.Add(1) }), false},
		"no group: anew":                     {single, with(single, func(t *followup.Task) { t.Anew = true }), false},
		"a group is no finding of that name": {single, with(single, func(t *followup.Task) { t.Group = t.Finding }), false},
		"fields do not run into each other": {
			with(base, func(t *followup.Task) { t.Group = `a" attempt 1`; t.Attempt = 1 }),
			with(base, func(t *followup.Task) { t.Group = `a`; t.Attempt = 1 }), false,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a, b := tc.a.ID(), tc.b.ID(); (a == b) != tc.same {
				t.Errorf("IDs %s and %s, want the same: %v", a, b, tc.same)
			}
			if id := tc.b.ID(); !legal.MatchString(id) {
				t.Errorf("ID %q is no name of a Cloud Tasks task", id)
			}
		})
	}
}

// TestIDIsKept holds the ID across versions of the program: tasks of both
// revisions of a rollout must collapse.
func TestIDIsKept(t *testing.T) {
	t.Parallel()
	if got, want := task("shop", time.Unix(1777024800, 0)).ID(), "de034ea7f0c34d81109dd8da088488ad032b42f6"; got != want {
		t.Errorf("ID = %s, want %s", got, want)
	}
}

func TestIDOfHostileText(t *testing.T) {
	t.Parallel()
	for _, g := range []string{"", "\x00", "\xff/../", strings.Repeat("ü", 100_000), "a b\nc"} {
		bad := followup.Task{Kind: followup.Kind(g), Finding: g, Group: g, At: event}
		if id := bad.ID(); !legal.MatchString(id) {
			t.Errorf("ID %q of group %.10q", id, g)
		}
	}
}

func TestSlottedProperties(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		width := time.Duration(rnd.Int64N(int64(24 * time.Hour)))
		at := time.Unix(rnd.Int64N(4e9)-1e9, rnd.Int64N(1e9))
		in := task(fmt.Sprint("g", rnd.IntN(50)), at)
		got := in.Slotted(width)
		bound := max(width, time.Microsecond)
		if got.At.Before(at) || got.At.Sub(at) >= bound {
			t.Fatalf("Slotted(%s) of %s = %s: not within [0, width) after it", width, at, got.At)
		}
		if again := got.Slotted(width); !again.At.Equal(got.At) {
			t.Fatalf("Slotted(%s) of the boundary %s = %s", width, got.At, again.At)
		}
		if got.ID() != in.Slotted(width).ID() {
			t.Fatal("the same task has two slots")
		}
		// A later member of the group: its slot is the same or a later one.
		later := in
		later.At = at.Add(time.Duration(rnd.Int64N(int64(bound))))
		later.EventTime, later.Finding = event.Add(time.Hour), "another"
		if slot := later.Slotted(width); !slot.At.Equal(got.At) && slot.At.Sub(got.At) != bound.Truncate(time.Microsecond) {
			t.Fatalf("%s later the slot of width %s moved by %s", later.At.Sub(at), width, slot.At.Sub(got.At))
		}
	}
}

func TestSlottedBurst(t *testing.T) {
	t.Parallel()
	const delay = 15 * time.Second
	ids := map[string]bool{}
	for i := range 1000 {
		now := event.Add(time.Duration(i) * delay / 1000)
		ids[task("shop", now.Add(delay)).Slotted(delay).ID()] = true
	}
	if len(ids) < 1 || len(ids) > 2 {
		t.Errorf("a burst of 1,000 within the delay asks for %d tasks, want 1 or 2", len(ids))
	}
}

func TestSlottedSpreadsGroups(t *testing.T) {
	t.Parallel()
	const delay = 15 * time.Second
	second := map[int]int{}
	for i := range 1500 {
		at := task(fmt.Sprint("service-", i), event.Add(delay)).Slotted(delay).At
		second[int(at.Sub(event)/time.Second)]++
	}
	for s, n := range second {
		if n > 200 {
			t.Errorf("%d of 1,500 groups run in second %d, want about 100", n, s)
		}
	}
}
