// Package image tests the Dockerfile and the Cloud Build configuration.
package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"mvdan.cc/sh/v3/syntax"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	file := read(t, "Dockerfile")
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(file, -1) {
		arg := regexp.MustCompile(`^\$\{([A-Z_]+)\}$`).FindStringSubmatch(m[1])
		if arg == nil {
			t.Errorf("FROM %s: a base is named by a build argument with a pinned default", m[1])
			continue
		}
		if !regexp.MustCompile(`(?m)^ARG ` + arg[1] + `=\S+:\S+@sha256:[0-9a-f]{64}$`).MatchString(file) {
			t.Errorf("the base %s is not pinned by digest", arg[1])
		}
	}
	for _, want := range []string{
		"GOFLAGS=-trimpath", "-buildvcs=false", `-ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}"`, "CGO_ENABLED=0",
		"USER 65532:65532", "EXPOSE 8080", `ENTRYPOINT ["/scc-enricher"]`, "crane digest gcr.io/distroless/static-debian12:nonroot",
	} {
		if !strings.Contains(file, want) {
			t.Errorf("the Dockerfile has no %s", want)
		}
	}
	// A frontend would be one more image that builds, and by a tag.
	if regexp.MustCompile(`(?m)^#\s*syntax\s*=`).MatchString(file) {
		t.Error("the Dockerfile has its frontend pulled")
	}
	// The toolchain of the image is that of go.mod, or a newer one.
	_, goVersion, _ := strings.Cut(read(t, "go.mod"), "\ngo ")
	goVersion, _, _ = strings.Cut(goVersion, "\n")
	minor := strings.Join(strings.Split(goVersion, ".")[:2], ".")
	if !strings.Contains(file, "ARG GO_IMAGE=golang:"+minor+".") {
		t.Errorf("go.mod says go %s, the Dockerfile builds with another", goVersion)
	}
}

// TestContext holds the build context to what the build copies.
func TestContext(t *testing.T) {
	t.Parallel()
	ignore := strings.Split(read(t, ".dockerignore"), "\n")
	if !slices.Contains(ignore, "*") {
		t.Error(".dockerignore does not begin with nothing")
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		for _, source := range strings.Fields(m[1]) {
			if !slices.Contains(ignore, "!"+source) {
				t.Errorf("the Dockerfile copies %s, which .dockerignore leaves out", source)
			}
		}
	}
}

type build struct {
	Substitutions map[string]string `yaml:"substitutions"`
	Timeout       string            `yaml:"timeout"`
	Options       struct {
		Logging              string   `yaml:"logging"`
		MachineType          string   `yaml:"machineType"`
		DynamicSubstitutions bool     `yaml:"dynamicSubstitutions"`
		Env                  []string `yaml:"env"`
	} `yaml:"options"`
	Steps []step `yaml:"steps"`
}

type step struct {
	ID         string   `yaml:"id"`
	Name       string   `yaml:"name"`
	Entrypoint string   `yaml:"entrypoint"`
	Args       []string `yaml:"args"`
	WaitFor    []string `yaml:"waitFor"`
}

func cloudBuild(t *testing.T) (build, string) {
	t.Helper()
	text := read(t, "cloudbuild.yaml")
	var b build
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true) // a misspelt key is refused here, not by Cloud Build
	if err := dec.Decode(&b); err != nil {
		t.Fatal(err)
	}
	return b, text
}

func TestCloudBuildSteps(t *testing.T) {
	t.Parallel()
	b, text := cloudBuild(t)
	want := []string{"modules", "test", "lint", "vulnerabilities", "build", "smoke", "push", "deploy", "health", "traffic"}
	var ids []string
	for _, s := range b.Steps {
		if s.Name == "" || len(s.Args) == 0 {
			t.Errorf("step %q has no image or no arguments", s.ID)
		}
		for _, before := range s.WaitFor {
			if !slices.Contains(ids, before) {
				t.Errorf("step %s waits for %s, which does not come before it", s.ID, before)
			}
		}
		if len(ids) > 0 && len(s.WaitFor) == 0 {
			t.Errorf("step %s does not say what it waits for", s.ID)
		}
		ids = append(ids, s.ID)
		if strings.HasPrefix(s.Name, "golang:") && !strings.Contains(read(t, "Dockerfile"), "GO_IMAGE="+s.Name+"\n") {
			t.Errorf("step %s tests with another Go than the Dockerfile builds with: %s", s.ID, s.Name)
		}
	}
	if !slices.Equal(ids, want) {
		t.Errorf("steps %v, want %v", ids, want)
	}
	for name := range b.Substitutions {
		if !strings.Contains(text, "#   "+name+" ") {
			t.Errorf("the substitution %s is not described", name)
		}
	}
	if !b.Options.DynamicSubstitutions || b.Timeout == "" || b.Options.Logging == "" {
		t.Error("options or timeout are missing")
	}
	// What must hold before traffic moves.
	for id, part := range map[string]string{
		"smoke": "demo --once", "deploy": "--no-traffic", "health": "print-identity-token", "traffic": "--to-latest", "vulnerabilities": "govulncheck",
	} {
		s := b.Steps[slices.Index(ids, id)]
		if !strings.Contains(strings.Join(s.Args, "\n"), part) {
			t.Errorf("step %s has no %s", id, part)
		}
	}
}

// TestCloudBuildSubstitutions resolves every $NAME and ${NAME}: Cloud Build
// refuses a build with one it does not know, and $$ is a dollar.
func TestCloudBuildSubstitutions(t *testing.T) {
	t.Parallel()
	b, _ := cloudBuild(t)
	// https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values
	builtin := []string{"PROJECT_ID", "BUILD_ID", "PROJECT_NUMBER", "LOCATION"}
	used := map[string]bool{}
	texts := slices.Clone(b.Options.Env)
	for _, s := range b.Steps {
		texts = append(texts, s.Name, strings.Join(s.Args, "\n"))
	}
	for _, text := range texts {
		for _, m := range regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)?`).FindAllStringSubmatch(strings.ReplaceAll(text, "$$", ""), -1) {
			_, ours := b.Substitutions[m[1]]
			used[m[1]] = true
			if !ours && !slices.Contains(builtin, m[1]) {
				t.Errorf("%q is no substitution: %s", m[0], text)
			}
		}
	}
	for name := range b.Substitutions {
		if !used[name] {
			t.Errorf("the substitution %s is not used, which Cloud Build refuses", name)
		}
	}
}

// TestCloudBuildScripts parses the scripts as bash reads them after Cloud
// Build's substitution, and asks shellcheck where it is.
func TestCloudBuildScripts(t *testing.T) {
	t.Parallel()
	b, _ := cloudBuild(t)
	shellcheck, _ := exec.LookPath("shellcheck")
	scripts := 0
	for _, s := range b.Steps {
		if s.Entrypoint != "bash" {
			continue
		}
		scripts++
		if len(s.Args) != 2 || s.Args[0] != "-ceu" {
			t.Errorf("step %s goes on after a failure: %q", s.ID, s.Args[0])
			continue
		}
		script := regexp.MustCompile(`\$\{[A-Z_]+\}`).ReplaceAllString(strings.ReplaceAll(s.Args[1], "$$", "\x00"), "value")
		script = strings.ReplaceAll(script, "\x00", "$")
		if _, err := syntax.NewParser().Parse(strings.NewReader(script), s.ID); err != nil {
			t.Errorf("step %s: %v", s.ID, err)
		}
		if shellcheck == "" {
			continue
		}
		// SC2154: variables that options.env sets; SC2050, SC2194: comparisons
		// with what was a substitution.
		cmd := exec.CommandContext(t.Context(), shellcheck, "--shell=bash", "--exclude=SC2154,SC2050,SC2194,SC2157", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("step %s: %v\n%s", s.ID, err, out)
		}
	}
	if scripts < 6 {
		t.Errorf("found %d scripts", scripts)
	}
}

// TestLinterVersion: Cloud Build lints with the version that .ci/run pins.
func TestLinterVersion(t *testing.T) {
	t.Parallel()
	_, version, ok := strings.Cut(read(t, ".ci/run"), "golangci_version=")
	version, _, _ = strings.Cut(version, "\n")
	if !ok || !strings.Contains(read(t, "cloudbuild.yaml"), "GOLANGCI_VERSION="+version+"\n") {
		t.Errorf("cloudbuild.yaml lints with another version than .ci/run (%s)", version)
	}
	_, version, ok = strings.Cut(read(t, ".ci/run"), "govulncheck_version=")
	version, _, _ = strings.Cut(version, "\n")
	if !ok || !strings.Contains(read(t, "cloudbuild.yaml"), "GOVULNCHECK_VERSION="+version+"\n") {
		t.Errorf("cloudbuild.yaml looks for vulnerabilities with another version than .ci/run (%s)", version)
	}
}

// TestSmoke builds and tries the image. It takes most of a minute, so it runs
// only where it is asked for.
func TestSmoke(t *testing.T) {
	if os.Getenv("REQUIRE_BUILDAH") == "" {
		t.Skip("REQUIRE_BUILDAH is not set: the image was not built; deploy/image/smoke.sh does it")
	}
	out, err := exec.CommandContext(t.Context(), "bash", "smoke.sh").CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "smoke test passed") {
		t.Errorf("smoke.sh: %v", err)
	}
}

// TestInspect: the check of an image's files finds what must not be there.
func TestInspect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		mode       os.FileMode
		ok         bool
	}{
		{"the binary alone", "", 0, true},
		{"certificates beside it", "etc/ssl/certs/ca-certificates.crt", 0o644, true},
		{"a shell", "bin/sh", 0o755, false},
		{"busybox", "usr/bin/busybox", 0o755, false},
		{"an interpreter", "usr/local/bin/python3", 0o755, false},
		{"a package manager", "usr/bin/apt-get", 0o755, false},
		{"a setuid file", "usr/bin/ping", 0o755 | os.ModeSetuid, false},
		{"a setgid file", "usr/bin/wall", 0o755 | os.ModeSetgid, false},
		{"a binary that all may write", "scc-enricher", 0o777, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			write := func(path string, mode os.FileMode) {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			write("scc-enricher", 0o755)
			if tt.path != "" {
				write(tt.path, tt.mode)
			}
			if out, err := exec.CommandContext(t.Context(), "sh", "inspect.sh", root).CombinedOutput(); (err == nil) != tt.ok {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
