package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

var burstDeliveries = flag.Int("burst.deliveries", 10_000, "how many deliveries TestBurst sends at least; 50000 is the whole burst")

// In the burst each finding is delivered burstCopies times, and the echo of its
// mark write burstEchoes times. There are burstPerShop findings a service.
const (
	burstPerShop = 6
	burstCopies  = 4
	burstEchoes  = 12
	// maxBurstMemory is what the process may need at most, resident: well below
	// the 512 MiB that the service is deployed with.
	maxBurstMemory = 192 << 20
)

// burst is the load, and what came of it.
type burst struct {
	world  *emulator.World
	pusher *emulator.Pusher

	mu     sync.Mutex
	echoed map[string]bool
	// busy counts the answers 503, bare those without Retry-After.
	busy, bare, other atomic.Int64
}

func newBurst(t testing.TB, url string, world *emulator.World) *burst {
	t.Helper()
	b := &burst{world: world, echoed: map[string]bool{}}
	const conns = 400 // more than are handled at once
	b.pusher = emulator.NewPusher(emulator.PushOptions{
		URL: url, Concurrency: conns, MaxBackoff: time.Second, AckDeadline: time.Minute,
		Client: watch(conns, func(_ *http.Request, resp *http.Response, err error) {
			switch {
			case err != nil:
				b.other.Add(1)
			case resp.StatusCode == http.StatusServiceUnavailable:
				b.busy.Add(1)
				if resp.Header.Get("Retry-After") == "" {
					b.bare.Add(1)
				}
			case resp.StatusCode != http.StatusNoContent:
				b.other.Add(1)
			}
		}),
	})
	t.Cleanup(b.pusher.Close)
	world.OnPublish(b.published)
	return b
}

// published multiplies a finding's first notification, and the first of its echoes.
func (b *burst) published(n emulator.Notification) {
	copies := burstCopies
	if len(b.world.Marks(n.Finding)) > 0 {
		b.mu.Lock()
		copies = burstEchoes
		if b.echoed[n.Finding] {
			copies = 1 // written again, as members of an incident are
		}
		b.echoed[n.Finding] = true
		b.mu.Unlock()
	}
	for range copies {
		b.pusher.PublishNotification(n)
	}
}

// TestBurst sends the real program so many deliveries over more connections than
// it handles deliveries at once: what it refuses comes again, nothing is lost,
// and its memory stays bounded.
func TestBurst(t *testing.T) {
	findings := max(burstPerShop, *burstDeliveries/(burstCopies+burstEchoes))
	shops, total := findings/burstPerShop, findings*(burstCopies+burstEchoes)
	world := newShops(shops)
	_, api, vt := startAPIs(t, emulator.Options{World: world, Quotas: endless(), RecordLimit: 1, Intercept: func(_ context.Context, c emulator.Call) error {
		if c.Name() == "ListFindings" {
			time.Sleep(100 * time.Millisecond) // deliveries pile up behind it
		}
		return nil
	}})
	p := newProgram(t, api, vt, unlimited()...)
	p.start()
	idle := p.memory("VmRSS")
	b := newBurst(t, p.url, world)
	began := time.Now()
	for i := range findings {
		if err := world.AddFinding(shopFinding(fmt.Sprintf("burst%05d", i), i%shops), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	if err := b.pusher.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	took, most := time.Since(began), p.memory("VmHWM")
	stats := b.pusher.Stats()
	t.Logf("%d messages in %d deliveries within %.1f s, %d answered 503; resident: %.1f MiB idle, %.1f MiB at most",
		stats.Published, stats.Delivered, took.Seconds(), b.busy.Load(), mib(idle), mib(most))
	if stats.Published < total || stats.Acked != stats.Published || b.other.Load() > 0 {
		t.Errorf("%+v and %d other answers; want at least %d messages, all acknowledged", stats, b.other.Load(), total)
	}
	if b.busy.Load() == 0 || b.bare.Load() > 0 {
		t.Errorf("%d answers 503, %d of them without Retry-After; want some, all with it", b.busy.Load(), b.bare.Load())
	}
	if most > maxBurstMemory {
		t.Errorf("resident memory reached %.1f MiB, want at most %.0f", mib(most), mib(maxBurstMemory))
	}
	// On a busy machine a source may time out: such a finding is marked, and partial.
	marked, complete := enriched(world)
	t.Logf("%d of %d findings complete", complete, findings)
	if marked != findings {
		t.Errorf("%d of %d findings are marked", marked, findings)
	}
	p.stop()
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
