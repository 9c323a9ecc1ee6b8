package cloudrun

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

func TestPartsFail(t *testing.T) {
	t.Parallel()
	denied := status.Error(codes.PermissionDenied, "no")
	tests := []struct {
		name    string
		fail    map[string]error
		partial []string
		state   evidence.State
		is      []error
		check   func(*evidence.Config) bool
	}{
		{
			name: "policy denied", fail: map[string]error{"Services.GetIamPolicy": denied}, partial: []string{"iam_policy"},
			state: evidence.Partial, is: []error{evidence.ErrPartial, evidence.ErrDenied},
			check: func(c *evidence.Config) bool { return !c.IAMKnown && c.Ingress == "all" && c.Revision == revName(3) },
		},
		{
			name: "list fails", fail: map[string]error{"ListRevisions": status.Error(codes.ResourceExhausted, "slow down")}, partial: []string{"previous_revision"},
			state: evidence.Partial, is: []error{evidence.ErrPartial, evidence.ErrQuota},
			check: func(c *evidence.Config) bool { return c.Revision == revName(3) && c.Previous == nil },
		},
		{
			name: "get revision fails but it is in the list", fail: map[string]error{"GetRevision": denied},
			state: evidence.OK, check: func(c *evidence.Config) bool { return c.Revision == revName(3) && c.RevisionSource == "finding" },
		},
		{
			name: "both fail", fail: map[string]error{"GetRevision": denied, "ListRevisions": denied}, partial: []string{"revision"},
			state: evidence.Partial, is: []error{evidence.ErrDenied},
			check: func(c *evidence.Config) bool { return c.RevisionSource == "template" && len(c.Containers) == 1 },
		},
		{
			name: "service fails", fail: map[string]error{"GetService": denied}, partial: []string{"workload"},
			state: evidence.Partial, is: []error{evidence.ErrDenied},
			check: func(c *evidence.Config) bool { return c.Revision == revName(3) && c.IAMKnown && c.Ingress == "" },
		},
		{
			name:  "policy not found is not emptiness",
			fail:  map[string]error{"GetService": denied, "Services.GetIamPolicy": status.Error(codes.NotFound, ""), "GetRevision": denied, "ListRevisions": status.Error(codes.NotFound, "")},
			state: evidence.Denied, is: []error{evidence.ErrDenied}, check: func(c *evidence.Config) bool { return c == nil },
		},
		{
			name: "service gone", fail: map[string]error{"GetService": status.Error(codes.NotFound, ""), "Services.GetIamPolicy": denied},
			state: evidence.Empty, is: []error{evidence.ErrNotFound}, check: func(c *evidence.Config) bool { return c.Gone && c.Resource == shop },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newShop()
			f.fail = tt.fail
			w := shopW
			w.Revision = revName(3)
			cfg, err := f.start(t, nil).ReadConfig(t.Context(), w, noon)
			if got := evidence.StateOf(err, cfg == nil || cfg.Gone); got != tt.state {
				t.Errorf("state %s, want %s (%v)", got, tt.state, err)
			}
			for _, is := range tt.is {
				if !errors.Is(err, is) {
					t.Errorf("error %v is not %v", err, is)
				}
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			if !tt.check(cfg) {
				t.Errorf("config %+v", cfg)
			}
			if cfg != nil {
				if diff := cmp.Diff(tt.partial, cfg.Partial); diff != "" {
					t.Errorf("partial: -want +got\n%s", diff)
				}
			}
		})
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	f := newShop()
	var clock atomic.Int64
	clock.Store(noon.UnixNano())
	c := f.start(t, func() time.Time { return time.Unix(0, clock.Load()) })
	w := shopW
	w.Revision = revName(3)
	read := func(wantCalls int) *evidence.Config {
		t.Helper()
		cfg, err := c.ReadConfig(t.Context(), w, noon)
		if err != nil {
			t.Fatal(err)
		}
		if calls := f.sortedCalls(); len(calls) != wantCalls {
			t.Errorf("%d calls, want %d: %q", len(calls), wantCalls, calls)
		}
		return cfg
	}
	first := read(4)
	first.Containers[0].EnvNames[0], first.Traffic[0].Revision, first.Invokers[0] = "scribble", "scribble", "scribble"
	if second := read(0); second.Containers[0].EnvNames[0] != "MODE" || second.Traffic[0].Revision != revName(3) || second.Invokers[0] != "allUsers" {
		t.Error("a caller can write into the cache")
	}
	clock.Add(int64(61 * time.Second))
	read(3) // the revision cannot change
	clock.Add(int64(25 * time.Hour))
	read(4)

	w.Revision = "shop-00000-old" // "not found" is remembered for a minute
	read(1)
	read(0)

	clock.Add(int64(time.Hour)) // errors are not
	f.setFail("Services.GetIamPolicy", status.Error(codes.PermissionDenied, "no"))
	for range 2 {
		if _, err := c.ReadConfig(t.Context(), shopW, noon); !errors.Is(err, evidence.ErrDenied) {
			t.Errorf("error %v, want denied", err)
		}
	}
	if calls := f.sortedCalls(); len(calls) != 4 {
		t.Errorf("calls %q, want the policy asked twice and the rest once", calls)
	}
	f.setFail("Services.GetIamPolicy", nil)
	read(2) // the policy, and the old revision again
}

func TestSharedRequests(t *testing.T) {
	t.Parallel()
	f := newShop()
	f.block, f.arrived = make(chan struct{}), make(chan string, 100)
	c := f.start(t, nil)
	impatient, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		cfg, err := c.ReadConfig(impatient, shopW, noon)
		if cfg == nil || !slices.Equal(cfg.Partial, []string{"workload"}) || !errors.Is(err, context.Canceled) || !errors.Is(err, evidence.ErrPartial) {
			t.Errorf("cancelled caller got %+v, %v", cfg, err)
		}
	})
	for range 3 {
		<-f.arrived
	}
	for range 5 {
		wg.Go(func() {
			if cfg, err := c.ReadConfig(t.Context(), shopW, noon); err != nil || cfg.Ingress != "all" {
				t.Errorf("waiting caller got %+v, %v", cfg, err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond) // let them wait for the request in flight
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(f.block)
	wg.Wait()
	if calls := f.sortedCalls(); len(calls) != 3 {
		t.Errorf("calls %q, want one of each", calls)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	f := newShop()
	f.block = make(chan struct{})
	defer close(f.block)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	cfg, err := f.start(t, nil).ReadConfig(ctx, shopW, noon)
	if cfg == nil || cfg.Revision != revName(3) || !errors.Is(err, context.DeadlineExceeded) || evidence.StateOf(err, false) != evidence.Partial {
		t.Errorf("got %+v, %v; want what was there in time", cfg, err)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	f := newShop()
	f.fail = map[string]error{"ListRevisions": status.Error(codes.Unavailable, "again")}
	f.arrived = make(chan string, 100)
	go func() {
		for m := range f.arrived {
			if m == "ListRevisions" {
				f.setFail("ListRevisions", nil)
				return
			}
		}
	}()
	cfg, err := f.start(t, nil).ReadConfig(t.Context(), shopW, noon)
	if err != nil || cfg.Previous == nil {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

func TestInvalidNames(t *testing.T) {
	t.Parallel()
	f := newShop()
	c := f.start(t, nil)
	for _, w := range []finding.Workload{
		{},
		{Project: "acme", Location: "l", Kind: "function", Name: "n"},
		{Project: "a/b", Location: "l", Kind: finding.Service, Name: "n"},
		{Project: "acme", Location: "-", Kind: finding.Service, Name: "n"},
		{Project: "acme", Location: "l", Kind: finding.Job, Name: "n/../m"},
		{Project: "acme", Location: "l", Kind: finding.Job, Name: "n", Execution: "-"},
		{Project: "acme", Location: "l", Kind: finding.Service, Name: "n", Revision: "r?x"},
		{Project: "acme", Location: "l", Kind: finding.Service, Name: strings.Repeat("n", 129)},
	} {
		if cfg, err := c.ReadConfig(t.Context(), w, noon); err == nil || cfg != nil {
			t.Errorf("ReadConfig(%+v) = %+v, %v", w, cfg, err)
		}
	}
	if calls := f.sortedCalls(); len(calls) != 0 {
		t.Errorf("calls %q for invalid names", calls)
	}
}
