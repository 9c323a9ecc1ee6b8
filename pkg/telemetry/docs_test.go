package telemetry

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// described are the labels of every metric of ours that is registered, by name.
func described(t *testing.T) map[string][]string {
	t.Helper()
	m := NewMetrics()
	m.Budget("virustotal", func() (int, int) { return 0, 0 })
	m.Pending(func() int { return 0 })
	m.Circuit("logs", func() bool { return false })
	descs := make(chan *prometheus.Desc, 1000)
	m.registry.Describe(descs)
	close(descs)
	form := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "[^"]+", (?:unit: "[^"]*", )?constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)
	out := map[string][]string{}
	for d := range descs {
		parts := form.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("a description of another form: %s", d)
		}
		if !strings.HasPrefix(parts[1], "scc_enricher_") {
			continue
		}
		labels := []string{}
		for _, l := range strings.FieldsFunc(parts[2]+","+parts[3], func(r rune) bool { return r == ',' }) {
			name, _, _ := strings.Cut(l, "=")
			labels = append(labels, name)
		}
		out[parts[1]] = labels
	}
	if len(out) < 10 {
		t.Fatalf("%d metrics: the search is broken", len(out))
	}
	return out
}

// section is the part of docs/operations.md about metrics.
func section(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## Metrics\n")
	text, _, ok := strings.Cut(rest, "\n## ")
	if !ok {
		t.Fatal("docs/operations.md has no section Metrics")
	}
	return text
}

// TestEveryMetricIsDocumented: the table has every metric with its labels, and
// no other.
func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(scc_enricher_[a-z_]+)` \\| (counter|gauge|histogram) \\|([^|]*)\\|").FindAllStringSubmatch(section(t), -1) {
		labels := []string{}
		for _, l := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, l[1])
		}
		documented[row[1]] = labels
	}
	if diff := cmp.Diff(described(t), documented); diff != "" {
		t.Errorf("metrics of docs/operations.md (-registered +documented):\n%s", diff)
	}
}

// TestQueries: every metric has a query, and every query names metrics and
// labels that there are.
func TestQueries(t *testing.T) {
	t.Parallel()
	known := described(t)
	asked := map[string]bool{}
	series := regexp.MustCompile(`(scc_enricher_[a-z_]+?)(?:_bucket|_count|_sum)?(?:\{([^}]*)\}|[^a-z_{])`)
	for _, block := range regexp.MustCompile("(?ms)^```promql\n(.*?)^```").FindAllStringSubmatch(section(t), -1) {
		for query := range strings.Lines(block[1]) {
			for _, pair := range []string{"()", "{}", "[]"} {
				if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
					t.Errorf("unbalanced %s: %s", pair, query)
				}
			}
			found := series.FindAllStringSubmatch(query, -1)
			if len(found) == 0 {
				t.Errorf("no metric: %s", query)
			}
			var labels []string
			for _, m := range found {
				asked[m[1]] = true
				own, ok := known[m[1]]
				if !ok {
					t.Errorf("no metric is called %s: %s", m[1], query)
				}
				labels = append(append(labels, own...), "le")
				for _, matcher := range regexp.MustCompile(`([a-z_]+)\s*[=!]`).FindAllStringSubmatch(m[2], -1) {
					if !slices.Contains(own, matcher[1]) {
						t.Errorf("%s has no label %s: %s", m[1], matcher[1], query)
					}
				}
			}
			for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(query, -1) {
				for l := range strings.SplitSeq(by[1], ",") {
					if !slices.Contains(labels, strings.TrimSpace(l)) {
						t.Errorf("no metric of it has the label %s: %s", l, query)
					}
				}
			}
		}
	}
	for name := range known {
		if !asked[name] {
			t.Errorf("docs/operations.md has no query of %s", name)
		}
	}
}

// TestNamesElsewhere: dashboards, alerts, scripts and pages name only metrics
// that there are: ours, and the log-based ones that deploy makes.
func TestNamesElsewhere(t *testing.T) {
	t.Parallel()
	known := described(t)
	alerts, err := os.ReadFile("../../deploy/terraform/alerts.tf")
	if err != nil {
		t.Fatal(err)
	}
	_, made, _ := strings.Cut(string(alerts), "log_metrics = {")
	made, _, _ = strings.Cut(made, "\n  }\n")
	for _, m := range regexp.MustCompile(`(?m)^    ([a-z_]+) = \{$`).FindAllStringSubmatch(made, -1) {
		known["scc_enricher_"+m[1]] = nil
	}
	if len(known) != len(described(t))+3 {
		t.Fatalf("the log-based metrics were not found: %v", known)
	}
	named := 0
	for _, pattern := range []string{"../../deploy/terraform/*.tf", "../../deploy/dashboards/*.json", "../../deploy/gcloud/*.sh", "../../docs/*.md", "../../docs/playbooks/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`scc_enricher_[a-z_]+`).FindAllString(string(text), -1) {
				named++
				_, whole := known[m]
				_, part := known[regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(m, "")]
				if !whole && !part {
					t.Errorf("%s names %s, which is no metric", file, m)
				}
			}
		}
	}
	if named < 30 {
		t.Errorf("found %d names", named)
	}
}
