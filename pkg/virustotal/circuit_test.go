package virustotal

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// TestCircuit: server errors open the circuit, and from then on nothing is sent
// and nothing spent; answers of any kind do not.
func TestCircuit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		open   bool
		state  evidence.State
	}{
		"server error": {http.StatusServiceUnavailable, `{"error":{"code":"TransientError"}}`, true, evidence.Error},
		"gateway":      {http.StatusBadGateway, "<html>", true, evidence.Error},
		"not found":    {http.StatusNotFound, `{"error":{"code":"NotFoundError"}}`, false, evidence.Empty},
		"bad request":  {http.StatusBadRequest, `{"error":{"code":"InvalidArgumentError"}}`, false, evidence.Error},
		"no JSON":      {http.StatusOK, "<html>", false, evidence.Error},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeVT{}
			f.set(func(w http.ResponseWriter, _ *http.Request) { write(w, tc.status, tc.body) })
			circuit := upstream.NewCircuit(upstream.CircuitOptions{Source: "virustotal", Failures: 3})
			budget := quota.New("virustotal", 100, 0, nil)
			c, _ := start(t, f, func(o *Options) { o.Circuit, o.Budget = circuit, budget })
			var last evidence.Reputation
			for i := range 6 {
				sha := strings.Repeat(fmt.Sprint(i), 64)
				reps, _ := c.Lookup(t.Context(), []evidence.Artifact{file(sha)})
				last = reps[0]
			}
			left, _ := budget.Left()
			sent := len(f.requests())
			if want := map[bool]int{true: 3, false: 6}[tc.open]; sent != want || 100-left != want || circuit.Open() != tc.open {
				t.Errorf("%d requests and %d spent, want %d each; open %v, want %v", sent, 100-left, want, circuit.Open(), tc.open)
			}
			if last.State != tc.state || tc.open != strings.Contains(last.Reason, "the source is down") {
				t.Errorf("state %s, reason %q", last.State, last.Reason)
			}
		})
	}
}
