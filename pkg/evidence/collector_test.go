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

// sources answers all four questions after a delay, with an error.
type sources struct {
	delay  time.Duration
	err    error
	deaf   bool // ignores its context
	panics bool
	value  bool
}

func (s sources) wait(ctx context.Context) error {
	if s.panics {
		panic("boom")
	}
	if s.deaf {
		time.Sleep(s.delay)
		return s.err
	}
	select {
	case <-time.After(s.delay):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s sources) ListRelated(ctx context.Context, _ evidence.RelatedQuery) ([]finding.Finding, error) {
	err := s.wait(ctx)
	if s.value {
		return []finding.Finding{{Name: "f"}}, err
	}
	return nil, err
}

func (s sources) ReadConfig(ctx context.Context, _ finding.Workload, _ time.Time) (*evidence.Config, error) {
	err := s.wait(ctx)
	if s.value {
		return &evidence.Config{Resource: "r"}, err
	}
	return nil, err
}

func (s sources) ReadLogs(ctx context.Context, _ evidence.LogQuery) (evidence.Logs, error) {
	err := s.wait(ctx)
	if s.value {
		return evidence.Logs{Entries: []evidence.LogEntry{{Text: "t"}}, Visible: true}, err
	}
	return evidence.Logs{}, err
}

func collector(s sources) *evidence.Collector {
	return &evidence.Collector{Findings: s, Config: s, Logs: s, SourceTimeout: 8 * time.Second}
}

func TestStates(t *testing.T) {
	t.Parallel()
	until := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		sources sources
		want    evidence.State
		retryAt time.Time
	}{
		{name: "answered", sources: sources{value: true}, want: evidence.OK},
		{name: "answered, nothing there", want: evidence.Empty},
		{name: "not found", sources: sources{err: fmt.Errorf("x: %w", evidence.ErrNotFound)}, want: evidence.Empty},
		{name: "a part", sources: sources{value: true, err: fmt.Errorf("x: %w", evidence.ErrPartial)}, want: evidence.Partial},
		{name: "quota", sources: sources{err: &evidence.QuotaError{Until: until}}, want: evidence.Quota, retryAt: until},
		{name: "denied", sources: sources{err: fmt.Errorf("x: %w", evidence.ErrDenied)}, want: evidence.Denied},
		{name: "error", sources: sources{err: errors.New("reset")}, want: evidence.Error},
		{name: "panic", sources: sources{panics: true}, want: evidence.Error},
		{name: "slow", sources: sources{delay: time.Hour}, want: evidence.Timeout},
		{name: "slow and deaf", sources: sources{delay: time.Hour, deaf: true}, want: evidence.Timeout},
		{name: "a value does not make a failure ok", sources: sources{value: true, err: errors.New("reset")}, want: evidence.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				e := collector(tt.sources).Collect(t.Context(), evidence.Query{})
				for source, st := range map[string]evidence.Status{"findings": e.FindingsState, "config": e.ConfigState, "logs": e.LogsState} {
					if st.State != tt.want || !st.RetryAt.Equal(tt.retryAt) {
						t.Errorf("%s: state %q, retry at %v; want %q, %v", source, st.State, st.RetryAt, tt.want, tt.retryAt)
					}
					if st.State != evidence.OK && st.State != evidence.Empty && st.Reason == "" {
						t.Errorf("%s: state %q gives no reason", source, st.State)
					}
				}
				if took := time.Since(began); took > 9*time.Second {
					t.Errorf("collecting took %v, past the source deadline", took)
				}
				time.Sleep(2 * time.Hour) // lets a deaf source end: nothing may leak
			})
		})
	}
}

func TestSourcesRunAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		e := collector(sources{delay: 3 * time.Second, value: true}).Collect(t.Context(), evidence.Query{})
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three sources of 3 s took %v", took)
		}
		if e.LogsState.Took != 3*time.Second {
			t.Errorf("logs took %v, want 3s", e.LogsState.Took)
		}
	})
}

func TestNilSourceIsDisabled(t *testing.T) {
	t.Parallel()
	e := (&evidence.Collector{SourceTimeout: time.Second}).Collect(t.Context(), evidence.Query{})
	for _, st := range []evidence.Status{e.FindingsState, e.ConfigState, e.LogsState, e.VTState} {
		if st.State != evidence.Disabled {
			t.Errorf("state = %q, want disabled", st.State)
		}
	}
}

type reputations []evidence.Reputation

func (r reputations) Lookup(context.Context, []evidence.Artifact) ([]evidence.Reputation, error) {
	return r, nil
}

func TestReputationState(t *testing.T) {
	t.Parallel()
	rep := func(states ...evidence.State) reputations {
		var out reputations
		for _, s := range states {
			out = append(out, evidence.Reputation{State: s, Reason: string(s)})
		}
		return out
	}
	tests := []struct {
		name string
		reps reputations
		want evidence.State
	}{
		{"all answered", rep(evidence.OK, evidence.OK), evidence.OK},
		{"one unknown to VirusTotal", rep(evidence.OK, evidence.Empty), evidence.OK},
		{"all unknown", rep(evidence.Empty), evidence.Empty},
		{"some answered", rep(evidence.OK, evidence.Quota), evidence.Partial},
		{"none answered", rep(evidence.Quota, evidence.Quota), evidence.Quota},
		{"wrong key", rep(evidence.Denied), evidence.Denied},
		{"nothing to ask", rep(evidence.NotApplicable), evidence.NotApplicable},
		{"nothing to ask of one, the other failed", rep(evidence.NotApplicable, evidence.Timeout), evidence.Timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &evidence.Collector{Reputation: tt.reps, SourceTimeout: time.Second}
			e := c.Collect(t.Context(), evidence.Query{Artifacts: make([]evidence.Artifact, len(tt.reps))})
			if diff := cmp.Diff(tt.want, e.VTState.State); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
	e := (&evidence.Collector{Reputation: rep(), SourceTimeout: time.Second}).Collect(t.Context(), evidence.Query{})
	if e.VTState.State != evidence.NotApplicable {
		t.Errorf("no artifact: state = %q, want not_applicable", e.VTState.State)
	}
}
