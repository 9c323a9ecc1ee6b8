package gcloud

import (
	"slices"
	"strings"
	"testing"
)

// TestKeyAndItsBudgetGoTogether: whoever leaves out the key's version takes the
// key away from service and job, and does not keep it with no budget.
func TestKeyAndItsBudgetGoTogether(t *testing.T) {
	t.Parallel()
	for name, args := range variants {
		with, n := slices.Contains(args, "--virustotal-version"), 0
		for _, c := range dryRun(t, args...) {
			line := strings.Join(c, " ")
			if !strings.HasPrefix(line, "gcloud run deploy ") && !strings.HasPrefix(line, "gcloud run jobs deploy ") {
				continue
			}
			n++
			if key, budget, cleared := strings.Contains(line, "--set-secrets=VT_API_KEY="), strings.Contains(line, "VT_REQUESTS_PER_MINUTE="), slices.Contains(c, "--clear-secrets"); key != with || budget != with || cleared == with {
				t.Errorf("%s: key %t, budget %t, key taken away %t: %s", name, key, budget, cleared, line)
			}
		}
		if n == 0 {
			t.Errorf("%s: nothing is deployed", name)
		}
	}
}
