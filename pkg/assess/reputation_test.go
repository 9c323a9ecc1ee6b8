package assess

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// about is VirusTotal's answer about an indicator.
func about(kind, value string, v evidence.Verdict, engines int) evidence.Reputation {
	return evidence.Reputation{Artifact: evidence.Artifact{Kind: kind, Value: value, Role: evidence.RoleArgument}, State: evidence.OK, Verdict: v, Malicious: engines, Engines: 94}
}

func TestIndicatorReasons(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	labelled := about("url", "http://evil.org/x?<b>", evidence.VerdictMalicious, 30)
	labelled.Label, labelled.FirstSeen = "trojan.mirai", time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	tests := []struct {
		name     string
		answers  []evidence.Reputation
		reason   string
		points   int
		evidence string
	}{
		{"malicious", []evidence.Reputation{about("ip", "45.9.148.1", evidence.VerdictMalicious, 14)}, "vt_indicator", 25, "14 engines call 45[.]9[.]148[.]1 malicious"},
		{"the worst of several", []evidence.Reputation{about("ip", "45.9.148.1", evidence.VerdictMalicious, 14), labelled, about("domain", "evil.org", evidence.VerdictSuspicious, 1)},
			"vt_indicator", 25, "30 engines call hxxp://evil[.]org/x?_b_ (trojan.mirai, first seen 2026-03-01) malicious, and 1 more"},
		{"suspicious", []evidence.Reputation{about("domain", "evil.org", evidence.VerdictSuspicious, 1)}, "vt_indicator_suspicious", 10, "a few engines object to evil[.]org"},
		{"clean", []evidence.Reputation{about("domain", "evil.org", evidence.VerdictClean, 0)}, "", 0, ""},
		{"unknown", []evidence.Reputation{about("domain", "evil.org", evidence.VerdictNotFound, 0)}, "", 0, ""},
		{"not answered", []evidence.Reputation{{Artifact: evidence.Artifact{Kind: "ip", Value: "45.9.148.1"}, State: evidence.Quota, Verdict: evidence.VerdictMalicious, Malicious: 9}}, "", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := complete()
			e.Reputations = append(e.Reputations, tt.answers...)
			a := p.Assess(input(childShell("java", "sh", "-c", "convert in.png out.jpg"), e))
			i := slices.IndexFunc(a.Reasons, func(r Reason) bool { return strings.HasPrefix(r.ID, "vt_indicator") })
			if tt.reason == "" {
				if i >= 0 {
					t.Errorf("reason %+v", a.Reasons[i])
				}
				return
			}
			if i < 0 || a.Reasons[i].ID != tt.reason || a.Reasons[i].Points != tt.points || a.Reasons[i].Evidence != tt.evidence {
				t.Fatalf("want %s(%+d) %q, got %s", tt.reason, tt.points, tt.evidence, explain(a))
			}
			if at := slices.IndexFunc(a.Plan, func(s Step) bool { return s.ID == "bad_indicator" }); (at >= 0) != (tt.reason == "vt_indicator" && tt.points == 25) {
				t.Errorf("the plan looks for a bad address: %v", at >= 0)
			} else if at >= 0 && !strings.Contains(a.Plan[at].Title, "[.]") {
				t.Errorf("the plan's step is %+v", a.Plan[at])
			}
			slices.Reverse(e.Reputations)
			b := p.Assess(input(childShell("java", "sh", "-c", "convert in.png out.jpg"), e))
			if diff := cmp.Diff(a.Reasons, b.Reasons); diff != "" || a.Score != b.Score {
				t.Errorf("the order of answers matters (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReputationCap: a bad file and a bad address together add no more than
// VirusTotal's cap.
func TestReputationCap(t *testing.T) {
	t.Parallel()
	e := complete()
	e.Reputations[0].Verdict, e.Reputations[0].Malicious = evidence.VerdictMalicious, 50
	e.Reputations = append(e.Reputations, about("ip", "45.9.148.1", evidence.VerdictMalicious, 14))
	p := mustDefault(t)
	a := p.Assess(input(childShell("java", "sh", "-c", "convert in.png out.jpg"), e))
	sum := 0
	for _, r := range a.Reasons {
		if r.Source == "virustotal" {
			sum += r.Points
		}
	}
	if sum != p.caps["virustotal"].max {
		t.Errorf("VirusTotal adds %d: %s", sum, explain(a))
	}
	if a.Verdict != Malicious {
		t.Errorf("verdict %s", a.Verdict)
	}
}

// TestSilentIndicators: while an address waits for its answer nothing is called
// benign.
func TestSilentIndicators(t *testing.T) {
	t.Parallel()
	f, e := childShell("npm", "sh", "./docker-entrypoint.sh"), complete()
	e.Reputations, e.VTState = nil, evidence.Status{State: evidence.Empty}
	p := mustDefault(t)
	if a := p.Assess(input(f, e)); a.Verdict != LikelyBenign {
		t.Fatalf("the configured command is %s", explain(a))
	}
	e.VTState.State = evidence.Partial
	if a := p.Assess(input(f, e)); a.Verdict == LikelyBenign {
		t.Errorf("benign although VirusTotal has not answered: %s", explain(a))
	}
}
