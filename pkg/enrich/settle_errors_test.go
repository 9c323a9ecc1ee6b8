package enrich_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// failing is a MarkWriter with an error for each finding.
type failing map[string]error

// WriteMarks implements enrich.MarkWriter.
func (e failing) WriteMarks(_ context.Context, w marks.Write) error { return e[w.Name] }

// TestGoneMemberHidesNothing: a member that was deleted since it was listed
// does not hide that another could not be written and is to be settled later.
func TestGoneMemberHidesNothing(t *testing.T) {
	t.Parallel()
	one, two := seed(), seed()
	two.CanonicalName, two.Name = one.CanonicalName+"-2", one.Name+"-2"
	down := errors.New("down")
	for name, tc := range map[string]struct {
		first, second error
		again         bool
	}{
		"gone and down": {marks.ErrGone, down, true},
		"down and gone": {down, marks.ErrGone, true},
		"both gone":     {marks.ErrGone, marks.ErrGone, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, q := pipeline(t, &world{related: []finding.Finding{*one, *two}}), &kept{}
			p.Writer = failing{one.CanonicalName: tc.first, two.CanonicalName: tc.second}
			p.FollowUps, p.Settings.SettleDelay = q, time.Minute
			err := p.FollowUp(t.Context(), taskOf(one, followup.Settle, 0))
			if again := errors.Is(err, enrich.ErrPostponed); again != tc.again || again != (len(q.tasks) == 1) || !again && err != nil {
				t.Errorf("error %v, tasks %+v, want to come again: %v", err, q.tasks, tc.again)
			}
		})
	}
}
