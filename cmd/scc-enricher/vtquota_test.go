package main

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
	"github.com/scc-enricher/scc-enricher/pkg/virustotal"
)

// quotaShelf is Security Command Center in memory.
type quotaShelf struct {
	mu       sync.Mutex
	findings map[string]finding.Finding
}

// ListRelated implements evidence.FindingLister.
func (s *quotaShelf) ListRelated(_ context.Context, q evidence.RelatedQuery) ([]finding.Finding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []finding.Finding
	for _, f := range s.findings {
		if f.Workload.Same(q.Workload) {
			out = append(out, f)
		}
	}
	return out, nil
}

// WriteMarks implements enrich.MarkWriter.
func (s *quotaShelf) WriteMarks(_ context.Context, w marks.Write) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.findings[w.Name]
	f.Marks = maps.Clone(w.Set)
	s.findings[w.Name] = f
	return nil
}

func (s *quotaShelf) second(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.findings["second"].Marks["enrich_"+key]
}

// inProcess answers requests without a socket.
type inProcess struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestVirusTotalQuotaComesBack: a finding that VirusTotal's quota left without
// an answer is complete just after the quota is back, and nobody asks before:
// after the minute, or at 00:00 UTC. The real client, the emulated VirusTotal
// and the queue of the process share one clock.
func TestVirusTotalQuotaComesBack(t *testing.T) {
	t.Parallel()
	policy, err := assess.LoadDefault()
	if err != nil {
		t.Fatal(err)
	}
	redactor, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		quotas emulator.Quotas
		back   time.Duration // after 14:00
	}{
		"minute": {emulator.Quotas{VTPerMinute: 1}, time.Minute},
		"day":    {emulator.Quotas{VTPerDay: 1}, 10 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(14 * time.Hour)
				emu, err := emulator.New(emulator.Options{World: emulator.NewWorld(time.Now), Quotas: tt.quotas})
				if err != nil {
					t.Fatal(err)
				}
				client, err := virustotal.New(virustotal.Options{
					APIKey: "made-up", Endpoint: "http://vt.test", HTTPClient: &http.Client{Transport: inProcess{emu.VirusTotal()}},
					Budget: quota.New("virustotal", 1000, 1000, time.Now), Now: time.Now,
				})
				if err != nil {
					t.Fatal(err)
				}
				s := &quotaShelf{findings: map[string]finding.Finding{}}
				p, err := enrich.New(&enrich.Pipeline{
					Settings:  enrich.Settings{MarkPrefix: "enrich_", Window: 30 * time.Minute, MaxSpan: 24 * time.Hour, SettleDelay: 15 * time.Second, Timeout: 20 * time.Second},
					Collector: &evidence.Collector{Findings: s, Reputation: client, SourceTimeout: 8 * time.Second},
					Policy:    policy, Redactor: redactor, Writer: s, Now: time.Now,
				})
				if err != nil {
					t.Fatal(err)
				}
				local, err := followup.NewLocal(followup.LocalOptions{Run: p.FollowUp})
				if err != nil {
					t.Fatal(err)
				}
				p.FollowUps = local
				for i, service := range []string{"first", "second"} {
					f := malware(service, strings.Repeat(string(rune('a'+i)), 64))
					s.findings[f.CanonicalName] = f
					if _, err := p.Enrich(t.Context(), &f); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(tt.back - time.Second)
				synctest.Wait()
				if got := s.second("sources"); !strings.Contains(got, "virustotal=quota") || s.second("status") != "partial" {
					t.Errorf("a second before: %q", got)
				}
				if n := emu.Counts()["files"]; n != 2 {
					t.Errorf("%d questions before the quota is back, want 2", n)
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if got := s.second("sources"); !strings.Contains(got, "virustotal=empty") || s.second("status") != "complete" {
					t.Errorf("two seconds after: %q", got)
				}
				if left := local.Drain(t.Context()); len(left) > 0 {
					t.Errorf("follow-ups are left: %+v", left)
				}
			})
		})
	}
}

// malware is a finding about a program with the hash, on a service of its own.
func malware(service, hash string) finding.Finding {
	w, _ := finding.ParseWorkload("//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/" + service)
	return finding.Finding{
		Name: service, CanonicalName: service, Category: "Execution: Added Malicious Binary Executed", Class: "THREAT", State: finding.Active,
		EventTime: time.Now().UTC(), CreateTime: time.Now().UTC(), Workload: w, ResourceName: "//run.googleapis.com/" + w.ResourcePath(),
		Processes: []finding.Process{{Name: "x", PID: 9, ParentPID: 1, Args: []string{"/tmp/x"}, Binary: &finding.File{Path: "/tmp/x", Size: 9, HashedSize: 9, SHA256: hash}}},
	}
}
