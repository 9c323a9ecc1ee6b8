// Package bigquery tests the SQL views of this folder.
package bigquery

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

var update = flag.Bool("update", false, "rewrite testdata/expected.json")

func views(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.sql")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(file, ".sql")] = string(data)
	}
	if len(out) < 7 {
		t.Fatalf("found %d views", len(out))
	}
	return out
}

// TestViewsOnSampleRows runs every view in DuckDB, translated by sqlglot, on
// the rows of testdata/rows.json. It needs node with the packages of
// sqltest/package.json in the folder NODE_PACKAGES, and Debian's
// python3-sqlglot; REQUIRE_SQL=1 fails where they are missing.
func TestViewsOnSampleRows(t *testing.T) {
	t.Parallel()
	missing := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("REQUIRE_SQL") != "" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	packages := os.Getenv("NODE_PACKAGES")
	if packages == "" {
		packages = "sqltest"
	}
	if _, err := exec.LookPath("node"); err != nil {
		missing("node is not on PATH: the views were not run")
	}
	if _, err := os.Stat(filepath.Join(packages, "node_modules", "@duckdb", "node-api")); err != nil {
		missing("%s/node_modules has no @duckdb/node-api: the views were not run", packages)
	}
	if err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import sqlglot").Run(); err != nil {
		missing("python3-sqlglot is missing: the views were not run")
	}
	absolute, err := filepath.Abs(packages)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "sqltest/run.mjs", ".", "testdata/rows.json")
	cmd.Env = append(cmd.Environ(), "NODE_PACKAGES="+absolute)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run the views: %v\n%s", err, stderr.String())
	}
	var got map[string][]map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "expected.json")
	if *update {
		data, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]map[string]any
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for name := range views(t) {
		if len(want[name]) == 0 {
			t.Errorf("the sample rows give view %s nothing to return", name)
		}
		if name == "enriched" || name == "enrichments" { // the two without ORDER BY
			sortRows(want[name])
			sortRows(got[name])
		}
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("view %s (-want +got):\n%s", name, diff)
		}
	}
}

// sortRows makes the order of a view without ORDER BY fixed.
func sortRows(rows []map[string]any) {
	slices.SortFunc(rows, func(a, b map[string]any) int {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return strings.Compare(string(x), string(y))
	})
}

// code is a view without its comments.
func code(sql string) string {
	return regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(sql, "")
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	known := []string{"findings", "records", "enriched", "enrichments"}
	for name, sql := range views(t) {
		found := regexp.MustCompile(`\$\{([a-z_]*)\}`).FindAllStringSubmatch(sql, -1)
		if len(found) == 0 {
			t.Errorf("view %s reads no table", name)
		}
		for _, m := range found {
			if !slices.Contains(known, m[1]) {
				t.Errorf("view %s: unknown placeholder %s", name, m[0])
			}
		}
	}
}

// TestViewsScript runs the script dry: every view once, each after those it
// reads, and no placeholder left.
func TestViewsScript(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "bash", "views.sh", "secops-prod", "scc_enricher").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made := []string{"findings", "records"} // what is there before
	var current string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "-- secops-prod.scc_enricher."); ok {
			current = name
			made = append(made, name)
		}
		for _, m := range regexp.MustCompile("`secops-prod\\.scc_enricher\\.([a-z_]+)`").FindAllStringSubmatch(line, -1) {
			if m[1] == current || !slices.Contains(made, m[1]) {
				t.Errorf("%s reads %s, which is not there yet", current, m[1])
			}
		}
	}
	if len(made) != len(views(t))+2 || strings.Contains(code(string(out)), "${") {
		t.Errorf("made %v:\n%s", made, out)
	}
	if out, err := exec.CommandContext(t.Context(), "bash", "views.sh", "x;y", "d").CombinedOutput(); err == nil {
		t.Errorf("a hostile project is taken: %s", out)
	}
}

// TestFunctionsAreBigQuerys holds the views to functions that BigQuery
// documents: DuckDB has others, which would pass the run and fail in BigQuery.
func TestFunctionsAreBigQuerys(t *testing.T) {
	t.Parallel()
	// https://cloud.google.com/bigquery/docs/reference/standard-sql/functions-all
	documented := []string{
		"APPROX_QUANTILES", "COALESCE", "CONCAT", "COUNT", "COUNTIF", "CURRENT_TIMESTAMP", "DATE", "IF", "JSON_QUERY_ARRAY",
		"JSON_VALUE", "LOWER", "MAX", "MAX_BY", "MIN", "OFFSET", "REGEXP_REPLACE", "ROW_NUMBER", "SAFE_CAST", "STRING_AGG",
		"STRPOS", "TIMESTAMP_DIFF", "TIMESTAMP_SUB", "UNNEST",
	}
	words := []string{"AS", "OVER", "IN", "FROM", "BY"}
	call := regexp.MustCompile(`\b([A-Za-z_]+)\s*\(`)
	for name, sql := range views(t) {
		for _, m := range call.FindAllStringSubmatch(code(sql), -1) {
			if f := m[1]; !slices.Contains(documented, f) && !slices.Contains(words, f) {
				t.Errorf("view %s calls %s, which is not on the list of BigQuery's functions", name, f)
			}
		}
	}
}

func TestMarksExist(t *testing.T) {
	t.Parallel()
	for name, sql := range views(t) {
		for _, m := range regexp.MustCompile(`'enrich_([a-z_]+)'`).FindAllStringSubmatch(sql, -1) {
			if !slices.Contains(marks.Names(), m[1]) {
				t.Errorf("view %s reads the mark %s, which is never written", name, m[1])
			}
		}
	}
}

// TestRecordPathsExist looks every path and every word of a closed set up in
// the record's JSON Schema.
func TestRecordPathsExist(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for name, sql := range views(t) {
		for _, m := range regexp.MustCompile(`JSON_(?:VALUE|QUERY_ARRAY)\((\w+), '\$\.([a-z_.]+)'\)`).FindAllStringSubmatch(sql, -1) {
			path := strings.Split(m[2], ".")
			if m[1] == "s" { // an element of sources
				path = append([]string{"sources"}, path...)
			}
			if !has(schema, schema, path) {
				t.Errorf("view %s reads %s, which the record's schema does not have", name, strings.Join(path, "."))
			}
		}
		for _, m := range regexp.MustCompile(`(?:verdict|next_action|state|status|'investigate'\)) (?:NOT )?(?:IN|=|<>) (\([^)]*\)|'[^']*')`).FindAllStringSubmatch(code(sql), -1) {
			for _, w := range regexp.MustCompile(`'([a-z_]+)'`).FindAllStringSubmatch(m[1], -1) {
				if !strings.Contains(string(data), `"`+w[1]+`"`) {
					t.Errorf("view %s compares with %q, which no closed set of the record has", name, w[1])
				}
			}
		}
	}
}

// has follows path through properties, references and items.
func has(root, node map[string]any, path []string) bool {
	if ref, ok := node["$ref"].(string); ok {
		defs, _ := root["$defs"].(map[string]any)
		next, _ := defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		return next != nil && has(root, next, path)
	}
	if items, ok := node["items"].(map[string]any); ok && len(path) > 0 {
		return has(root, items, path)
	}
	if len(path) == 0 {
		return true
	}
	properties, _ := node["properties"].(map[string]any)
	next, ok := properties[path[0]].(map[string]any)
	return ok && has(root, next, path[1:])
}
