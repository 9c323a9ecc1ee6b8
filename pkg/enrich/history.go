package enrich

import (
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// leastAge is how much older than a finding what ran before must be, so that
// the steps of one attack never explain each other. An incident's longest span
// counts where it is longer.
const leastAge = 24 * time.Hour

// mayRepeat reports whether it can be told if the same as a finding ran before:
// history is read only then.
func mayRepeat(f *finding.Finding) bool {
	child := f.Tree().Child
	return child != nil && len(child.Args) > 0 && len(f.Containers) > 0
}

// earlierOnes are the older findings of the workload, with what their marks say
// of their present event. One that is closed after our verdict keeps it.
func (p *Pipeline) earlierOnes(v *view) []assess.Earlier {
	latest := v.f.EventTime.Add(-max(leastAge, p.Settings.MaxSpan))
	var out []assess.Earlier
	for i := range v.ev.History {
		f := &v.ev.History[i]
		if f.EventTime.After(latest) || f.Deleted || !f.Workload.Same(v.f.Workload) {
			continue
		}
		e := assess.Earlier{Finding: f}
		if known := marks.Read(p.Settings.MarkPrefix, f.Marks); known.EventTime.Equal(f.EventTime) {
			e.Verdict = assess.Verdict(known.Verdict)
			if !known.Intact && (e.Verdict == assess.LikelyBenign || e.Verdict == assess.Unknown) {
				e.Verdict = "" // somebody has changed the marks
			}
		}
		out = append(out, e)
	}
	return out
}
