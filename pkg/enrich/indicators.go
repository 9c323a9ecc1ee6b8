package enrich

import (
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// indicators are the addresses, domains and URLs of a finding that may be asked
// about. One that holds what looks like a secret is not. It is never nil: that
// would say that indicators are not asked about at all.
func (p *Pipeline) indicators(f *finding.Finding) []evidence.Artifact {
	if found := evidence.Indicators(f, p.Redactor.Text); found != nil {
		return found
	}
	return []evidence.Artifact{}
}
