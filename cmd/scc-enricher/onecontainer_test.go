package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// TestBurstOnOneContainer: hundreds of findings on one container arrive at once,
// as pushes that carry our own mark writes back too, with the real clients.
// BenchmarkOneContainer has a thousand.
func TestBurstOnOneContainer(t *testing.T) {
	t.Parallel()
	n := 300
	if testing.Short() {
		n = 100
	}
	r := newRig(t, rigOptions{
		emulator: emulator.Options{Quotas: emulator.Quotas{SCCWrites: -1}, RecordLimit: 1},
		flags:    []string{"--settle-delay=1s", "--scc-writes-per-minute=100000"},
	})
	pusher := emulator.NewPusher(emulator.PushOptions{URL: r.url, Concurrency: 80, AckDeadline: time.Minute})
	t.Cleanup(pusher.Close)
	r.emu.OnPublish(pusher.PublishNotification)
	names := make([]string, n)
	began := time.Now()
	for i := range n {
		names[i], _ = r.add(newFinding(fmt.Sprintf("burst%04d", i)))
	}
	if err := pusher.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	arrived, took := r.emu.Counts(), time.Since(began)
	eventually(t, 2*time.Minute, "all members agree", func() bool {
		first := r.emu.Marks(names[0])
		return !slices.ContainsFunc(names, func(name string) bool {
			m := r.emu.Marks(name)
			return m["enrich_related_count"] != fmt.Sprint(n-1) || !agree(first, m)
		})
	})
	rest := r.emu.Counts()
	t.Logf("%d findings: after %s %d lists and %d writes; at rest after %s %d lists and %d writes",
		n, took.Round(time.Millisecond), arrived["ListFindings"], arrived["UpdateSecurityMarks"], time.Since(began).Round(time.Millisecond), rest["ListFindings"], rest["UpdateSecurityMarks"])
	if lists := rest["ListFindings"]; lists*10 > n {
		t.Errorf("%d lists for %d findings, want at most 0.1 each", lists, n)
	}
	if writes := rest["UpdateSecurityMarks"]; writes*10 > n*21 {
		t.Errorf("%d writes for %d findings, want at most 2.1 each", writes, n)
	}
}
