package backfill_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// TestSettleAfterTheListing: workloads with several findings are settled once
// for each day, whether or not a finding lacked anything.
func TestSettleAfterTheListing(t *testing.T) {
	t.Parallel()
	w := newWorld(4)
	lone := seed()
	lone.CanonicalName = "projects/123456789012/sources/42/locations/global/findings/lone"
	lone.Workload.Name = "lone"
	far := seed()
	far.CanonicalName = "projects/123456789012/sources/42/locations/global/findings/far"
	far.EventTime = event.Add(72 * time.Hour)
	w.findings = append(w.findings, lone, far)
	var settled []string
	job := &backfill.Job{
		List: w.list, Refresh: w.refresh, MarkPrefix: "enrich_", Since: event.Add(-time.Hour),
		Settle: func(_ context.Context, f *finding.Finding) error {
			settled = append(settled, f.Workload.Name+" "+f.EventTime.Truncate(24*time.Hour).Format(time.DateOnly))
			if f.EventTime.Equal(far.EventTime) {
				return errors.New("down")
			}
			return nil
		},
	}
	s, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := seed().Workload.Name
	want := []string{name + " " + event.Format(time.DateOnly), name + " " + far.EventTime.Format(time.DateOnly)}
	if diff := cmp.Diff(want, settled); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
	if s.Settled != 2 || s.SettleFailed != 1 {
		t.Errorf("settled %d, failed %d; want 2 and 1", s.Settled, s.SettleFailed)
	}
	settled = nil
	job.DryRun = true
	if _, err := job.Run(t.Context()); err != nil || settled != nil {
		t.Errorf("a dry run settled %v, error %v", settled, err)
	}
}
