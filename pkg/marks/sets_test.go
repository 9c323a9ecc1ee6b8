package marks

import (
	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// closedSets are all values of closed sets that docs/marks.md must name.
func closedSets() []string {
	words := []string{record.Complete, record.Partial, "p1", "p2", "p3", "p4", "not_found", "clean"}
	for _, s := range []evidence.State{evidence.OK, evidence.Empty, evidence.Partial, evidence.Quota, evidence.Denied, evidence.Timeout, evidence.Error, evidence.Disabled, evidence.NotApplicable} {
		words = append(words, string(s))
	}
	for _, v := range []assess.Verdict{assess.Malicious, assess.LikelyMalicious, assess.Suspicious, assess.LikelyBenign, assess.Unknown} {
		words = append(words, string(v))
	}
	for _, a := range []assess.Action{assess.ContainNow, assess.Investigate, assess.VerifyWithOwner, assess.CloseAsExpected, assess.WaitForEvidence} {
		words = append(words, string(a))
	}
	for _, e := range []assess.Exposure{assess.Public, assess.Authenticated, assess.Internal, assess.ExposureNotApplicable, assess.ExposureUnknown} {
		words = append(words, string(e))
	}
	for _, b := range command.All() {
		words = append(words, string(b))
	}
	words = append(words, assess.ConfigRisks()...)
	return append(words, evidence.SignalKinds()...)
}
