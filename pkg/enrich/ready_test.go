package enrich_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// refusing is a writer that knows that it would fail.
type refusing struct {
	*world
	err error
}

// Ready implements enrich.ReadyWriter.
func (r refusing) Ready() error { return r.err }

// TestNothingIsAskedWhileNothingCanBeWritten: a delivery that can only come
// again costs no source anything.
func TestNothingIsAskedWhileNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		reason string
	}{
		"down":  {errors.New("marks: not asked, the source is down"), "write_failed"},
		"quota": {&evidence.QuotaError{Upstream: "scc_writes", Scope: "minute"}, "write_quota"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			p := pipeline(t, w)
			p.Writer = refusing{w, tc.err}
			_, err := p.Enrich(t.Context(), seed())
			f, ok := errors.AsType[*enrich.Failure](err)
			if !ok || f.Permanent || f.Reason != tc.reason {
				t.Errorf("error %v, want %s that may heal", err, tc.reason)
			}
			if diff := cmp.Diff(map[string]int(nil), w.count()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			p.Writer = refusing{w, nil}
			if res, err := p.Enrich(t.Context(), seed()); err != nil || res.Decision != enrich.Written {
				t.Errorf("ready again: %v, %v", res, err)
			}
		})
	}
}
