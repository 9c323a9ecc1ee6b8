package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// schemaBlock is a block of a provider's schema: names, types, cardinality.
type schemaBlock struct {
	Attributes map[string]struct {
		Required bool `json:"required"`
		Optional bool `json:"optional"`
	} `json:"attributes"`
	BlockTypes map[string]struct {
		Block    schemaBlock `json:"block"`
		Nesting  string      `json:"nesting_mode"`
		MinItems int         `json:"min_items"`
		MaxItems int         `json:"max_items"`
	} `json:"block_types"`
}

type providerSchema struct {
	Resources   map[string]schemaBlock `json:"resources"`
	DataSources map[string]schemaBlock `json:"data_sources"`
}

// schemaFile names the schema of hashicorp/google; without one tests skip.
func schemaFile(t *testing.T) string {
	t.Helper()
	name := os.Getenv("TERRAFORM_SCHEMA")
	if name == "" {
		t.Skip("TERRAFORM_SCHEMA names no schema of hashicorp/google")
	}
	name, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func readSchema(t *testing.T) *providerSchema {
	t.Helper()
	var s providerSchema
	if err := json.Unmarshal([]byte(read(t, schemaFile(t))), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Resources) < 20 {
		t.Fatalf("the schema has %d resources", len(s.Resources))
	}
	return &s
}

func TestSchema(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	for _, fault := range loadModule(t).checkSchema(s) {
		t.Error(fault)
	}
	for _, name := range []string{"organization", "project"} {
		dir := filepath.Join(moduleDir, "examples", name)
		m, err := parseModule(readSources(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range m.checkSchema(s) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// checkSchema compares every resource with the provider's schema.
func (m *module) checkSchema(s *providerSchema) []string {
	var f faults
	for _, r := range m.resources {
		kinds := s.Resources
		if r.data {
			kinds = s.DataSources
		}
		want, ok := kinds[r.kind]
		if !ok {
			f.add("%s: the schema has no such kind", r)
			continue
		}
		compare(&f, r.String(), r.body, &want, true)
	}
	return f
}

// meta are arguments that Terraform itself takes.
func meta() []string { return []string{"count", "for_each", "depends_on", "provider"} }

func compare(f *faults, where string, b *hclsyntax.Body, want *schemaBlock, top bool) {
	for name := range b.Attributes {
		a, ok := want.Attributes[name]
		switch {
		case top && slices.Contains(meta(), name):
		case !ok:
			f.add("%s has no argument %s", where, name)
		case !a.Required && !a.Optional:
			f.add("%s: %s is read only", where, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Attributes)) {
		if want.Attributes[name].Required && b.Attributes[name] == nil {
			f.add("%s needs %s", where, name)
		}
	}
	n := map[string]int{}
	for _, nested := range b.Blocks {
		name, body, dynamic := unwrap(nested)
		if top && name == "lifecycle" {
			continue
		}
		k, ok := want.BlockTypes[name]
		if !ok || body == nil {
			f.add("%s has no block %s", where, name)
			continue
		}
		n[name]++
		if dynamic && k.MaxItems == 1 {
			f.add("%s: %s may be there once, and is dynamic", where, name)
		}
		compare(f, where+"."+name, body, &k.Block, false)
	}
	for _, name := range slices.Sorted(maps.Keys(want.BlockTypes)) {
		k := want.BlockTypes[name]
		if n[name] < k.MinItems || k.MaxItems > 0 && n[name] > k.MaxItems || k.Nesting == "single" && n[name] > 1 {
			f.add("%s has %d of %s, want %d to %d", where, n[name], name, k.MinItems, k.MaxItems)
		}
	}
}

// unwrap gives the name and the content of a block, dynamic or not.
func unwrap(b *hclsyntax.Block) (name string, body *hclsyntax.Body, dynamic bool) {
	if b.Type != "dynamic" {
		return b.Type, b.Body, false
	}
	for _, c := range blocks(b.Body, "content") {
		body = c
	}
	return b.Labels[0], body, true
}

func TestSchemaCanFail(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	const file = "findings.tf"
	for _, tt := range []struct{ name, from, to string }{
		{"argument", "ack_deadline_seconds  ", "ack_deadline  "},
		{"nested argument", "push_endpoint", "endpoint"},
		{"required argument", "    filter = local.finding_filter\n", ""},
		{"block", "oidc_token {", "oidc {"},
		{"kind", `"google_pubsub_topic" "findings"`, `"google_pubsub_topics" "findings"`},
		{"once", "  expiration_policy {", "  expiration_policy {\n    ttl = \"\"\n  }\n  expiration_policy {"},
		{"read only", "  description  = local", "  name = local"},
		{"at least once", "  streaming_config {\n    filter = local.finding_filter\n  }\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sources := readSources(t, moduleDir)
			sources[file] = replaceOnce(t, sources[file], tt.from, tt.to)
			m, err := parseModule(sources)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.checkSchema(s)) == 0 {
				t.Error("no fault was found")
			}
		})
	}
}

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("there is no %q to replace", from)
	}
	return strings.Replace(text, from, to, 1)
}

// TestTerraform runs terraform validate and terraform test over a copy of the
// module, with a provider that has the schema and nothing else.
func TestTerraform(t *testing.T) {
	t.Parallel()
	schema, program := schemaFile(t), terraform(t)
	dir := t.TempDir()
	provider, config := filepath.Join(dir, "provider"), filepath.Join(dir, "terraform.rc")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(provider, "terraform-provider-google"), ".")
	build.Dir = filepath.Join(moduleDir, "testprovider")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(provider, "schema.json"), []byte(read(t, schema)), 0o600); err != nil {
		t.Fatal(err)
	}
	rc := "provider_installation {\n  dev_overrides {\n    \"hashicorp/google\" = \"" + provider + "\"\n  }\n  direct {}\n}\n"
	if err := os.WriteFile(config, []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "module")
	if err := os.CopyFS(work, os.DirFS(moduleDir)); err != nil {
		t.Fatal(err)
	}
	run := func(where string, args ...string) {
		c := exec.CommandContext(t.Context(), program, append([]string{"-chdir=" + filepath.Join(work, where)}, args...)...)
		c.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("terraform %s in %q: %v\n%s", strings.Join(args, " "), where, err, out)
		}
		if args[0] == "test" {
			t.Logf("%s", out)
		}
	}
	run("", "validate", "-no-color")
	run("", "test", "-no-color")
	for _, name := range []string{"organization", "project"} {
		run("examples/"+name, "get", "-no-color")
		run("examples/"+name, "validate", "-no-color")
	}
}
