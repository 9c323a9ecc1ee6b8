package gcloud

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// node is one command in gcloud's own table of commands. A flag's kind is
// "value", "bool", "dynamic" or the list of values it takes.
type node struct {
	Commands map[string]*node `json:"commands"`
	Flags    map[string]any   `json:"flags"`
}

// gcloudTable reads the table that gcloud's shell completion uses. Without one
// the test is skipped, or fails with REQUIRE_GCLOUD.
func gcloudTable(t *testing.T) *node {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("REQUIRE_GCLOUD") != "" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	path, err := exec.LookPath("gcloud")
	if err != nil {
		missing("gcloud is not on PATH")
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		missing("%v", err)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(target)), "data", "cli", "gcloud_completions.py"))
	if err != nil {
		missing("this gcloud has no table of its commands: %v", err)
	}
	_, table, _ := bytes.Cut(data, []byte("STATIC_COMPLETION_CLI_TREE ="))
	var root node
	if err := json.NewDecoder(bytes.NewReader(table)).Decode(&root); err != nil {
		missing("gcloud's table of commands: %v", err)
	}
	return &root
}

// check compares one command, its flags and their values with the table.
func (root *node) check(t *testing.T, words []string) {
	t.Helper()
	n := root
	for len(words) > 0 && n.Commands[words[0]] != nil {
		n, words = n.Commands[words[0]], words[1:]
	}
	if len(n.Commands) > 0 {
		t.Errorf("gcloud has no such command: %q", words)
		return
	}
	for i, w := range words {
		flag, value, valued := strings.Cut(w, "=")
		if !valued && i+1 < len(words) && n.Flags[flag] != "bool" && !strings.HasPrefix(words[i+1], "--") {
			value, valued = words[i+1], true
		}
		if !strings.HasPrefix(flag, "--") {
			continue
		}
		kind, ok := n.Flags[flag]
		if !ok {
			kind, ok = root.Flags[flag]
		}
		if !ok && strings.HasPrefix(flag, "--no-") {
			kind, ok = n.Flags["--"+strings.TrimPrefix(flag, "--no-")]
		}
		choices, _ := kind.([]any)
		switch {
		case !ok:
			t.Errorf("no flag %s: %q", flag, words)
		case kind == "bool" && strings.Contains(w, "="):
			t.Errorf("%s takes no value: %q", flag, words)
		case kind != "bool" && root.Flags[flag] != "bool" && !valued:
			t.Errorf("%s needs a value: %q", flag, words)
		case len(choices) > 0 && !slices.ContainsFunc(choices, func(c any) bool { word, _ := c.(string); return strings.EqualFold(word, value) }):
			t.Errorf("%s=%s is not one of %v", flag, value, choices)
		}
	}
}
