package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// asked answers lookups until the budget is spent, and remembers them.
type asked struct {
	budget int
	values []string
}

func (a *asked) Lookup(_ context.Context, list []evidence.Artifact) ([]evidence.Reputation, error) {
	var out []evidence.Reputation
	var err error
	for _, x := range list {
		if a.budget == 0 {
			err = &evidence.QuotaError{Upstream: "virustotal", Scope: "minute", Until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
			out = append(out, evidence.Reputation{Artifact: x, State: evidence.Quota, Reason: err.Error()})
			continue
		}
		a.budget--
		a.values = append(a.values, x.Kind+" "+x.Value)
		out = append(out, evidence.Reputation{Artifact: x, State: evidence.OK, Verdict: evidence.VerdictClean})
	}
	return out, err
}

// configured answers with a configuration after a while.
type configured struct {
	after time.Duration
	cfg   *evidence.Config
	err   error
}

func (c configured) ReadConfig(ctx context.Context, _ finding.Workload, _ time.Time) (*evidence.Config, error) {
	select {
	case <-time.After(c.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return c.cfg, c.err
}

func TestIndicatorLookups(t *testing.T) {
	t.Parallel()
	file := evidence.Artifact{Kind: "file", Value: "a", Role: "binary"}
	ips := func(n int) []evidence.Artifact {
		out := []evidence.Artifact{}
		for i := range n {
			out = append(out, evidence.Artifact{Kind: "ip", Value: fmt.Sprintf("45.9.148.%d", i+1), Role: evidence.RoleArgument})
		}
		return out
	}
	mine := &evidence.Config{Containers: []evidence.ContainerConfig{{Command: []string{"curl", "http://45.9.148.1/"}}}}
	partial := fmt.Errorf("x: %w", evidence.ErrPartial)
	for _, tt := range []struct {
		name       string
		files      []evidence.Artifact
		indicators []evidence.Artifact
		config     evidence.ConfigReader
		budget     int
		want       []string
		state      evidence.State
		lookups    int
	}{
		{"files only", []evidence.Artifact{file}, nil, configured{cfg: mine}, 9, []string{"file a"}, evidence.OK, 1},
		{"files first, then what is not the owner's", []evidence.Artifact{file}, ips(2), configured{after: time.Second, cfg: mine}, 9, []string{"file a", "ip 45.9.148.2"}, evidence.OK, 2},
		{"at most four", nil, ips(9), configured{cfg: &evidence.Config{}}, 9, []string{"ip 45.9.148.1", "ip 45.9.148.2", "ip 45.9.148.3", "ip 45.9.148.4"}, evidence.OK, 4},
		{"all are the owner's", nil, ips(1), configured{cfg: mine}, 9, nil, evidence.NotApplicable, 0},
		{"none named", nil, ips(0), configured{cfg: mine}, 9, nil, evidence.NotApplicable, 0},
		{"the budget ends between", []evidence.Artifact{file}, ips(3), configured{cfg: &evidence.Config{}}, 2, []string{"file a", "ip 45.9.148.1"}, evidence.Partial, 4},
		{"the budget is spent", nil, ips(1), configured{cfg: &evidence.Config{}}, 0, nil, evidence.Quota, 1},
		{"the workload is gone", nil, ips(1), configured{cfg: &evidence.Config{Gone: true}, err: evidence.ErrNotFound}, 9, []string{"ip 45.9.148.1"}, evidence.OK, 1},
		{"only the IAM policy is missing", nil, ips(2), configured{cfg: &evidence.Config{Containers: mine.Containers, Partial: []string{"iam_policy"}}, err: partial}, 9, []string{"ip 45.9.148.2"}, evidence.OK, 1},
		{"the workload is missing", nil, ips(1), configured{cfg: &evidence.Config{Partial: []string{"workload"}}, err: partial}, 9, nil, evidence.Partial, 1},
		{"no configuration, no question", []evidence.Artifact{file}, ips(9), configured{err: errors.New("reset")}, 9, []string{"file a"}, evidence.Partial, 5},
		{"the configuration is denied", nil, ips(1), configured{err: fmt.Errorf("x: %w", evidence.ErrDenied)}, 9, nil, evidence.Denied, 1},
		{"the configuration is late", nil, ips(1), configured{after: time.Hour}, 9, nil, evidence.Timeout, 1},
		{"the configuration is not read", []evidence.Artifact{file}, ips(1), nil, 9, []string{"file a"}, evidence.OK, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				vt := &asked{budget: tt.budget}
				c := &evidence.Collector{Reputation: vt, Config: tt.config, SourceTimeout: 8 * time.Second}
				e := c.Collect(t.Context(), evidence.Query{Artifacts: tt.files, Indicators: tt.indicators})
				if diff := cmp.Diff(tt.want, vt.values); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				if e.VTState.State != tt.state || len(e.Reputations) != tt.lookups {
					t.Errorf("state %s (%s) with %d reputations, want %s with %d", e.VTState.State, e.VTState.Reason, len(e.Reputations), tt.state, tt.lookups)
				}
				if e.VTState.State == evidence.Quota && e.VTState.RetryAt.IsZero() {
					t.Error("a spent quota does not say when it refills")
				}
			})
		})
	}
}

// lists answers with one related and one older finding.
type lists struct{ related, history error }

func (l lists) ListRelated(context.Context, evidence.RelatedQuery) ([]finding.Finding, error) {
	return []finding.Finding{{Name: "related"}}, l.related
}

func (l lists) ReadHistory(context.Context, evidence.RelatedQuery) ([]finding.Finding, error) {
	if l.history != nil {
		return nil, l.history
	}
	return []finding.Finding{{Name: "older"}}, nil
}

// TestHistoryState: what ran before is asked only after the related findings
// came whole, and its silence shows in their state.
func TestHistoryState(t *testing.T) {
	t.Parallel()
	quota := &evidence.QuotaError{Upstream: "scc_reads", Until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, tt := range []struct {
		name  string
		lists lists
		ask   bool
		state evidence.State
		older int
	}{
		{"both", lists{}, true, evidence.OK, 1},
		{"not asked", lists{history: quota}, false, evidence.OK, 0},
		{"history failed", lists{history: quota}, true, evidence.Partial, 0},
		{"related findings failed", lists{related: quota}, true, evidence.Quota, 0},
	} {
		c := &evidence.Collector{Findings: tt.lists, History: tt.lists, SourceTimeout: time.Second}
		e := c.Collect(t.Context(), evidence.Query{History: tt.ask})
		if e.FindingsState.State != tt.state || len(e.History) != tt.older || len(e.Related) != 1 {
			t.Errorf("%s: state %+v with %d older and %d related", tt.name, e.FindingsState, len(e.History), len(e.Related))
		}
		if tt.state == evidence.Partial && (e.FindingsState.Reason == "" || e.FindingsState.RetryAt.IsZero()) {
			t.Errorf("%s: %+v says neither why nor when to ask again", tt.name, e.FindingsState)
		}
	}
}
