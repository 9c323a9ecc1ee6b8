package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// TestExcerptOfAnAPICall: who called from where, what the call set, and whether
// it was refused.
func TestExcerptOfAnAPICall(t *testing.T) {
	t.Parallel()
	in := fullInput()
	in.Evidence.Logs.Entries = []evidence.LogEntry{
		{Kind: evidence.LogAudit, Time: event, Audit: &evidence.Audit{
			Method: "google.cloud.run.v1.Services.SetIamPolicy", Principal: "eve@example.com", CallerIP: "203.0.113.9", Detail: "roles/run.invoker: allUsers", Code: 7,
		}},
	}
	in.Assessment.Signals = evidence.Signals(in.Evidence.Logs, in.Finding)
	want := []string{event.UTC().Format("15:04:05.000Z") +
		" google.cloud.run.v1.Services.SetIamPolicy by eve@example.com from 203[.]0[.]113[.]9, refused with code 7: roles/run.invoker: allUsers"}
	if diff := cmp.Diff(want, New(in, newRedactor(t)).Logs.Excerpt); diff != "" {
		t.Errorf("excerpt (-want +got):\n%s", diff)
	}
}
