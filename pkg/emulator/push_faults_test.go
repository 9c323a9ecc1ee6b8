package emulator

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPushFaults: acknowledgements that get lost bring a message again, and
// duplicates may come long after the first was handled.
func TestPushFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		o     PushOptions
		at    []time.Duration
		stats PushStats
	}{
		"a duplicate later": {
			PushOptions{Duplicates: 1, DuplicateAfter: time.Minute}, []time.Duration{0, time.Minute},
			PushStats{Published: 1, Delivered: 2, Acked: 2},
		},
		"every acknowledgement lost, until the message is dead": {
			PushOptions{LostAcks: 1, MaxAttempts: 3, MinBackoff: time.Second}, []time.Duration{0, time.Second, 3 * time.Second},
			PushStats{Published: 1, Delivered: 3, Acked: 3, Lost: 3, Dead: 1},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var at []time.Duration
				tc.o.URL, tc.o.Concurrency = "http://push.invalid/", 1
				tc.o.Client = &http.Client{Transport: roundTripper(func(*http.Request) (int, error) {
					at = append(at, time.Since(began))
					return http.StatusNoContent, nil
				})}
				p := NewPusher(tc.o)
				p.Publish([]byte("x"), nil)
				if err := p.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.Close()
				if diff := cmp.Diff(tc.at, at); diff != "" {
					t.Errorf("deliveries (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.stats, p.Stats()); diff != "" {
					t.Errorf("stats (-want +got):\n%s", diff)
				}
			})
		})
	}
}
