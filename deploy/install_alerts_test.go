package deploy_test

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"mvdan.cc/sh/v3/syntax"
)

// alert is what tells one alert policy, or one log-based metric, from another.
type alert struct{ Title, Severity, Duration, Query, Text string }

// TestInstallScriptMakesTheSameAlerts: deploy/gcloud/install.sh makes the log-based
// metrics and the alert policies that the module makes, with its defaults.
func TestInstallScriptMakesTheSameAlerts(t *testing.T) {
	t.Parallel()
	w := readWorld(t, nil)
	var f faults
	s := w.scopes(&f)["organization"]
	want := map[string]alert{}
	for _, r := range w.m.of("google_monitoring_alert_policy") {
		all, err := s.instances(r)
		f.must(err, r.String())
		for _, each := range all {
			text := func(b *hclsyntax.Body, attribute string) string {
				out, err := s.text(b, attribute, each)
				f.must(err, attribute)
				return out
			}
			condition := blocks(blocks(r.body, "conditions")[0], "condition_prometheus_query_language")[0]
			title := text(r.body, "display_name")
			want[title] = alert{
				title, text(r.body, "severity"), text(condition, "duration"), text(condition, "query"), text(blocks(r.body, "documentation")[0], "content"),
			}
		}
	}
	for _, r := range w.m.of("google_logging_metric") {
		all, err := s.instances(r)
		f.must(err, r.String())
		for _, each := range all {
			name, err := s.text(r.body, "name", each)
			f.must(err, "name")
			filter, err := s.text(r.body, "filter", each)
			f.must(err, "filter")
			description, err := s.text(r.body, "description", each)
			f.must(err, "description")
			want[name] = alert{Title: name, Query: filter, Text: description}
		}
	}
	for _, fault := range f {
		t.Error(fault)
	}
	if len(want) != len(alertKeys())+3 {
		t.Fatalf("the module makes %d: %v", len(want), want)
	}
	if diff := cmp.Diff(want, scripted(t)); diff != "" {
		t.Errorf("(-module +script):\n%s", diff)
	}
}

// scripted are the alerts and metrics that a dry run of the script creates.
func scripted(t *testing.T) map[string]alert {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "gcloud/install.sh", "--project", "secops-prod", "--region", "europe-west1", "--scope", "organizations/123456789012",
		"--image", "europe-docker.pkg.dev/secops-prod/scc/scc-enricher@sha256:"+strings.Repeat("0", 64)).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]alert{}
	for line := range strings.Lines(string(out)) {
		if m := regexp.MustCompile(`^gcloud logging metrics create (\S+) `).FindStringSubmatch(line); m != nil {
			got[m[1]] = alert{Title: m[1], Query: flagOf(t, line, "--log-filter"), Text: flagOf(t, line, "--description")}
		}
		if !strings.HasPrefix(line, "gcloud alpha monitoring policies create ") {
			continue
		}
		var p struct {
			DisplayName, Combiner, Severity string
			Conditions                      []struct {
				ConditionPrometheusQueryLanguage struct{ Query, Duration string }
			}
			Documentation struct{ Content string }
		}
		if err := json.Unmarshal([]byte(flagOf(t, line, "--policy")), &p); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		c := p.Conditions[0].ConditionPrometheusQueryLanguage
		got[p.DisplayName] = alert{p.DisplayName, p.Severity, c.Duration, c.Query, p.Documentation.Content}
	}
	return got
}

// flagOf is the value of a flag, as the shell would hand it over.
func flagOf(t *testing.T, line, flag string) string {
	t.Helper()
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	value := ""
	syntax.Walk(file, func(n syntax.Node) bool {
		w, ok := n.(*syntax.Word)
		if !ok {
			return true
		}
		var b strings.Builder
		for _, part := range w.Parts {
			switch part := part.(type) {
			case *syntax.Lit:
				b.WriteString(part.Value)
			case *syntax.SglQuoted:
				b.WriteString(part.Value)
			}
		}
		if v, ok := strings.CutPrefix(b.String(), flag+"="); ok {
			value = v
		}
		return true
	})
	return value
}
