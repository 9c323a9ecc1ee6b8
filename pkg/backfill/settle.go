package backfill

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Bounds of the settling after a listing.
const (
	// maxPlaces bounds the containers remembered, and with them the memory.
	maxPlaces = 10_000
	// maxBuckets bounds the pieces of time settled of one workload.
	maxBuckets = 400
	// bucket is the length of such a piece. Settling a finding settles all that
	// is in reach of its incident, which is more.
	bucket = 24 * time.Hour
)

// place is a workload with the findings seen on it, one for each piece of time.
type place struct {
	n    int
	seen map[time.Time]*finding.Finding
}

// remember notes where a finding is: where there are several, they may belong
// together, and may not say so when a follow-up was lost.
func (r *run) remember(f *finding.Finding) {
	if r.job.Settle == nil || f.Workload.IsZero() || f.EventTime.IsZero() || f.State == finding.Inactive {
		return
	}
	key := f.Workload.Key()
	p := r.places[key]
	if p == nil {
		if len(r.places) == maxPlaces {
			return
		}
		p = &place{seen: map[time.Time]*finding.Finding{}}
		r.places[key] = p
	}
	p.n++
	if at := f.EventTime.Truncate(bucket); len(p.seen) < maxBuckets {
		p.seen[at] = f
	}
}

// settle brings the incidents of every workload with several findings into
// agreement. It costs a list for each piece of time in which there are any.
func (r *run) settle(ctx, work context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(r.places)) {
		p := r.places[key]
		if p.n < 2 {
			continue
		}
		for _, at := range slices.SortedFunc(maps.Keys(p.seen), time.Time.Compare) {
			if err := r.admit(ctx); err != nil {
				return err
			}
			err := r.job.Settle(work, p.seen[at])
			<-r.slots
			r.mu.Lock()
			if r.summary.Settled++; err != nil {
				r.summary.SettleFailed++
			}
			r.mu.Unlock()
		}
	}
	return nil
}
