// Package dashboards tests the dashboards of this folder and the queries that
// the documentation prints.
package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/sccfilter"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// builtin are Google's metrics in their PromQL spelling
// (https://cloud.google.com/monitoring/api/metrics_gcp), by resource.
var builtin = map[string][]string{
	"cloud_run_revision": {
		"run_googleapis_com:request_count", "run_googleapis_com:request_latencies_bucket", "run_googleapis_com:container_instance_count",
		"run_googleapis_com:container_cpu_utilizations_bucket", "run_googleapis_com:container_memory_utilizations_bucket",
	},
	"pubsub_subscription": {
		"pubsub_googleapis_com:subscription_push_request_count", "pubsub_googleapis_com:subscription_num_undelivered_messages",
		"pubsub_googleapis_com:subscription_oldest_unacked_message_age",
	},
	"cloud_tasks_queue": {"cloudtasks_googleapis_com:queue_depth"},
}

func TestMonitoringMetrics(t *testing.T) {
	t.Parallel()
	text := read(t, "monitoring.json")
	var dashboard any
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	alerts := read(t, "../terraform/alerts.tf")
	queries := 0
	visit(dashboard, func(key string, value any) {
		query, ok := value.(string)
		if key != "prometheusQuery" || !ok {
			return
		}
		queries++
		if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
			t.Errorf("brackets do not match: %s", query)
		}
		for _, m := range regexp.MustCompile(`([a-z_]+_googleapis_com:[a-z_]+)\{monitored_resource="([a-z_]+)"`).FindAllStringSubmatch(query, -1) {
			if name, ours := strings.CutPrefix(m[1], "logging_googleapis_com:user_scc_enricher_"); ours {
				if !regexp.MustCompile(`(?m)^    ` + name + ` = \{$`).MatchString(alerts) {
					t.Errorf("deploy/terraform makes no log metric %s", name)
				}
			} else if !slices.Contains(builtin[m[2]], m[1]) {
				t.Errorf("%s is no metric of %s that is known here", m[1], m[2])
			}
		}
		if strings.Count(query, "_googleapis_com:") != len(regexp.MustCompile(`_googleapis_com:[a-z_]+\{monitored_resource=`).FindAllString(query, -1)) {
			t.Errorf("a metric without its resource: %s", query)
		}
	})
	if queries < 12 {
		t.Errorf("found %d queries", queries)
	}
}

// visit calls f for every key of every object.
func visit(v any, f func(key string, value any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			f(k, inner)
			visit(inner, f)
		}
	case []any:
		for _, inner := range v {
			visit(inner, f)
		}
	}
}

// TestMonitoringTiles: the API refuses tiles that overlap or leave the grid.
func TestMonitoringTiles(t *testing.T) {
	t.Parallel()
	var d struct {
		MosaicLayout struct {
			Columns int
			Tiles   []struct {
				XPos, YPos, Width, Height int
				Widget                    map[string]any
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "monitoring.json")), &d); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]int{}
	for i, tile := range d.MosaicLayout.Tiles {
		if tile.XPos+tile.Width > d.MosaicLayout.Columns || tile.Width < 1 || tile.Height < 1 || len(tile.Widget) != 2 {
			t.Errorf("tile %d leaves the grid or has no widget: %+v", i, tile)
		}
		for x := tile.XPos; x < tile.XPos+tile.Width; x++ {
			for y := tile.YPos; y < tile.YPos+tile.Height; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("tiles %d and %d overlap", other, i)
				}
				taken[[2]int{x, y}] = i
			}
		}
	}
}

// rows are what the views return for the sample rows.
func rows(t *testing.T) map[string][]map[string]any {
	t.Helper()
	var out map[string][]map[string]any
	if err := json.Unmarshal([]byte(read(t, "../bigquery/testdata/expected.json")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGrafanaQueries: every panel reads a view that exists, and columns it has.
func TestGrafanaQueries(t *testing.T) {
	t.Parallel()
	var d struct {
		Templating struct{ List []struct{ Name string } }
		Panels     []struct {
			Title   string
			GridPos struct{ X, W int }
			Targets []struct{ RawSQL string }
		}
	}
	text := read(t, "grafana.json")
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	for _, m := range regexp.MustCompile(`\$\{([a-z]+)\}`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(variables, m[1]) {
			t.Errorf("unknown variable %s", m[0])
		}
	}
	views := rows(t)
	seen := map[string]bool{}
	keywords := strings.Fields("SELECT FROM WHERE GROUP BY ORDER LIMIT AS DESC COUNT SUM MAX TIMESTAMP time incidents findings p1_open open_minutes")
	for _, p := range d.Panels {
		if len(p.Targets) != 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q has no target or leaves the grid", p.Title)
			continue
		}
		sql := p.Targets[0].RawSQL
		m := regexp.MustCompile("FROM `\\$\\{project\\}\\.\\$\\{dataset\\}\\.([a-z_]+)`").FindStringSubmatch(sql)
		if m == nil || len(views[m[1]]) == 0 {
			t.Errorf("panel %q reads no view: %s", p.Title, sql)
			continue
		}
		seen[m[1]] = true
		bare := regexp.MustCompile("`[^`]*`|'[^']*'").ReplaceAllString(sql, "")
		for _, w := range regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`).FindAllString(bare, -1) {
			if _, column := views[m[1]][0][w]; !column && !slices.Contains(keywords, w) {
				t.Errorf("panel %q: view %s has no column %s", p.Title, m[1], w)
			}
		}
	}
	for _, v := range []string{"open_incidents", "time_to_enrich", "top_workloads", "coverage_gaps", "analyst_workload"} {
		if !seen[v] {
			t.Errorf("no panel shows %s", v)
		}
	}
}

// TestMarksInDocs: every mark that a page, a playbook or a dashboard names is
// one that is written.
func TestMarksInDocs(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/playbooks/*.md", "*.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	count := 0
	for _, file := range files {
		for _, m := range regexp.MustCompile(`\benrich_([a-z_]+)`).FindAllStringSubmatch(read(t, file), -1) {
			count++
			if !slices.Contains(marks.Names(), m[1]) {
				t.Errorf("%s names the mark enrich_%s, which is never written", filepath.Base(file), m[1])
			}
		}
	}
	if len(files) < 12 || count < 20 {
		t.Errorf("found %d marks in %d files", count, len(files))
	}
}

// TestSavedQueries parses the filters that docs/dashboards.md gives as Security
// Command Center would, and checks fields, values of the closed sets, and that
// no OR stands beside an AND without parentheses, because OR binds tighter there.
func TestSavedQueries(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(read(t, "../../docs/dashboards.md"), "## Saved queries")
	schema := read(t, "../../docs/record.schema.json")
	pages := read(t, "../../docs/marks.md")
	queries := 0
	for _, block := range regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			queries++
			if _, err := sccfilter.Parse(line); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			outside := regexp.MustCompile(`\([^()]*\)`).ReplaceAllString(line, "")
			if strings.Contains(outside, " OR ") && strings.Contains(outside, " AND ") {
				t.Errorf("OR beside AND: %s", line)
			}
			for _, m := range regexp.MustCompile(`([a-z_.]+)\s*(?:=|:)\s*"([^"]*)"`).FindAllStringSubmatch(line, -1) {
				if !strings.HasPrefix(m[1], "security_marks.marks.enrich_") && !slices.Contains([]string{"state", "mute", "resource_name"}, m[1]) {
					t.Errorf("%s is not a field these filters use: %s", m[1], line)
				}
				word := m[2]
				if strings.HasPrefix(m[1], "security_marks") && regexp.MustCompile(`^[a-z_]{4,}$`).MatchString(word) &&
					!strings.Contains(schema, `"`+word+`"`) && !strings.Contains(pages, "`"+word+"`") {
					t.Errorf("no mark ever says %q: %s", word, line)
				}
			}
		}
	}
	if queries < 10 {
		t.Errorf("found %d saved queries", queries)
	}
}

// TestSamplesInDocs holds the sample tables of docs/dashboards.md to what the
// views really return for the sample rows.
func TestSamplesInDocs(t *testing.T) {
	t.Parallel()
	page := read(t, "../../docs/dashboards.md")
	views := rows(t)
	for _, name := range []string{"open_incidents", "time_to_enrich", "top_workloads", "coverage_gaps", "analyst_workload"} {
		_, section, ok := strings.Cut(page, "### `"+name+"`")
		if !ok {
			t.Errorf("docs/dashboards.md does not show %s", name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n#")
		var table []string
		for line := range strings.Lines(section) {
			if strings.HasPrefix(line, "|") {
				table = append(table, strings.Trim(strings.TrimSpace(line), "| "))
			}
		}
		if len(table) != len(views[name])+2 {
			t.Errorf("%s: the sample has %d rows, the view returns %d", name, len(table)-2, len(views[name]))
			continue
		}
		columns := strings.Split(table[0], " | ")
		for i, row := range views[name] {
			for j, cell := range strings.Split(table[i+2], " | ") {
				want := ""
				if v := row[columns[j]]; v != nil {
					want = fmt.Sprint(v)
				}
				if cell = strings.Trim(cell, " "); cell != want {
					t.Errorf("%s row %d: %s is %q in the page, %q in the view", name, i, columns[j], cell, want)
				}
			}
		}
	}
}
