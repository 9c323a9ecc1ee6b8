package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// parseCLI parses a command line as run does, without running the command.
func parseCLI(t *testing.T, args ...string) *cli {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.PostBuild(ignoreEmpty))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &c
}

// clearEnv removes every variable that a flag reads, so that a test does not
// depend on who runs it.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, f := range serveFlags(t) {
		for _, name := range f.Envs {
			if value, set := os.LookupEnv(name); set {
				t.Setenv(name, value) // restores it at the end
				if err := os.Unsetenv(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// serveFlags are the flags of serve.
func serveFlags(t *testing.T) []*kong.Flag {
	t.Helper()
	var s serveCmd
	parser, err := kong.New(&s)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(parser.Model.Flags, func(f *kong.Flag) bool { return f.Name == "help" })
}

// TestEverySettingHasAnEnvironmentVariable, named like its flag.
func TestEverySettingHasAnEnvironmentVariable(t *testing.T) {
	t.Parallel()
	for _, f := range serveFlags(t) {
		if f.Name == "insecure-local" { // never set by accident in a deployment
			continue
		}
		if len(f.Envs) != 1 {
			t.Errorf("--%s has environment variables %v", f.Name, f.Envs)
			continue
		}
		like := map[string]string{"project": "GOOGLE_CLOUD_PROJECT", "logging-reads-per-min": "LOGGING_READS_PER_MINUTE"}[f.Name]
		if like == "" {
			like = strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		}
		if f.Envs[0] != like {
			t.Errorf("--%s reads %s", f.Name, f.Envs[0])
		}
	}
}

// TestDefaults: the defaults are those that are promised.
func TestDefaults(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"PORT": "8080", "SCC_PARENT": "", "PUSH_AUTH": "oidc", "PUSH_AUDIENCE": "", "PUSH_SERVICE_ACCOUNT": "", "PUSH_JWKS_URL": "",
		"CORRELATION_WINDOW": "30m", "INCIDENT_MAX_SPAN": "24h", "SETTLE_DELAY": "15s", "LOG_WINDOW_BEFORE": "10m", "LOG_WINDOW_AFTER": "2m", "LOG_SCOPES": "projects/{project}",
		"ENRICH_TIMEOUT": "20s", "SOURCE_TIMEOUT": "8s", "MARK_PREFIX": "enrich_",
		"VT_API_KEY": "", "VT_LOOKUPS": "files", "WORKING_TIME_ZONE": "UTC", "VT_REQUESTS_PER_MINUTE": "4", "VT_REQUESTS_PER_DAY": "500",
		"LOGGING_READS_PER_MINUTE": "60", "SCC_READS_PER_MINUTE": "1000", "SCC_WRITES_PER_MINUTE": "1000",
		"RECORD_TOPIC": "", "DEAD_LETTER_TOPIC": "", "POLICY_FILE": "",
		"SCC_ENDPOINT": "", "LOGGING_ENDPOINT": "", "RUN_ENDPOINT": "", "VT_ENDPOINT": "", "LOG_LEVEL": "info",
		"TASKS_QUEUE": "", "TASKS_URL": "", "TASKS_SERVICE_ACCOUNT": "", "TASKS_ENDPOINT": "", "GOOGLE_CLOUD_PROJECT": "",
	}
	got := map[string]string{}
	for _, f := range serveFlags(t) {
		if len(f.Envs) == 1 {
			got[f.Envs[0]] = f.Default
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	// The defaults must pass the program's own check.
	if _, err := defaultServe("--push-auth=iam"); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

// TestOperationsPage: docs/operations.md lists every variable with its default.
func TestOperationsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	name := regexp.MustCompile("`([A-Z][A-Z0-9_]+)`")
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		names := name.FindAllStringSubmatch(cells[1], -1)
		values := strings.Split(strings.Trim(strings.TrimSpace(cells[2]), "`"), ",")
		for i, n := range names {
			documented[n[1]] = strings.TrimSpace(values[min(i, len(values)-1)])
		}
	}
	for _, f := range serveFlags(t) {
		if len(f.Envs) != 1 {
			continue
		}
		value, ok := documented[f.Envs[0]]
		switch {
		case !ok:
			t.Errorf("%s is not in docs/operations.md", f.Envs[0])
		case f.Default != "" && f.Default != value:
			t.Errorf("%s: the default is %q, docs/operations.md says %q", f.Envs[0], f.Default, value)
		}
	}
}

// TestFlagWins: a flag wins over its variable, the variable over the default.
func TestFlagWins(t *testing.T) {
	clearEnv(t)
	t.Setenv("CORRELATION_WINDOW", "7m")
	t.Setenv("VT_REQUESTS_PER_MINUTE", "1000")
	t.Setenv("PUSH_AUTH", "iam")
	t.Setenv("VT_API_KEY", "from-the-environment")
	got := parseCLI(t, "serve", "--correlation-window=9m").Serve
	type settings struct{ window, perMinute, auth, key, level string }
	want := settings{"9m0s", "1000", "iam", "from-the-environment", "info"}
	have := settings{got.CorrelationWindow.String(), strconv.Itoa(got.VTRequestsPerMinute.n), got.PushAuth, string(got.VTAPIKey), got.LogLevel}
	if diff := cmp.Diff(want, have, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestEmptyIsUnset: a variable that is set and empty is as one that is not set,
// of whatever type.
func TestEmptyIsUnset(t *testing.T) {
	clearEnv(t)
	want := parseCLI(t, "serve").Serve
	backfill := parseCLI(t, "backfill", "--since=1h").Backfill
	for _, f := range serveFlags(t) {
		for _, name := range f.Envs {
			t.Setenv(name, "")
		}
	}
	for _, name := range []string{"BACKFILL_LOCATION", "BACKFILL_RATE", "BACKFILL_CONCURRENCY", "BACKFILL_DRY_RUN", "BACKFILL_OUTPUT"} {
		t.Setenv(name, "")
	}
	if got := parseCLI(t, "serve").Serve; !reflect.DeepEqual(got, want) {
		t.Errorf("settings are %+v, want %+v", got, want)
	}
	if got := parseCLI(t, "backfill", "--since=1h").Backfill; !reflect.DeepEqual(got, backfill) {
		t.Errorf("settings are %+v, want %+v", got, backfill)
	}
	// The program itself must do so, too.
	code, _, errs := command(t.Context(), "", "serve")
	if code != exitUsage || !strings.Contains(errs, "has 2 fault(s)") || !strings.Contains(errs, "PUSH_AUDIENCE: required") {
		t.Errorf("exit code %d, %q", code, errs)
	}
}

// TestFaultsTogether: all faults of a configuration are reported at once, each
// with its variable, with exit code 2 and without the secret.
func TestFaultsTogether(t *testing.T) {
	clearEnv(t)
	const canary = "canary of a secret"
	bad := map[string]string{
		"PORT": "99999", "SCC_PARENT": "acme", "PUSH_AUTH": "maybe", "PUSH_JWKS_URL": "keys", "CORRELATION_WINDOW": "soon",
		"INCIDENT_MAX_SPAN": "-1h", "SETTLE_DELAY": "2h", "LOG_WINDOW_BEFORE": "0s", "LOG_WINDOW_AFTER": "2", "SOURCE_TIMEOUT": "20s",
		"MARK_PREFIX": "Enrich-", "VT_LOOKUPS": "indicators", "WORKING_TIME_ZONE": "Mars/Olympus", "VT_REQUESTS_PER_MINUTE": "0", "VT_REQUESTS_PER_DAY": "many", "LOGGING_READS_PER_MINUTE": "-3",
		"SCC_READS_PER_MINUTE": "1.5", "SCC_WRITES_PER_MINUTE": "1e3", "RECORD_TOPIC": "projects/proj/topics/rec", "DEAD_LETTER_TOPIC": "projects/example/topics/googx",
		"SCC_ENDPOINT": "ftp://127.0.0.1:1", "LOGGING_ENDPOINT": "127.0.0.1", "RUN_ENDPOINT": "http://127.0.0.1:8086/run", "VT_ENDPOINT": "http://127.0.0.1:1/api",
		"LOG_LEVEL": "loud", "LOG_SCOPES": "projects/x/y", "VT_API_KEY": canary, "POLICY_FILE": "/nope",
		"TASKS_QUEUE": "queue", "TASKS_URL": "ftp://example.com/tasks/followup", "TASKS_SERVICE_ACCOUNT": "tasks", "TASKS_ENDPOINT": "http://127.0.0.1:99999",
	}
	for name, value := range bad {
		t.Setenv(name, value)
	}
	code, out, errs := command(t.Context(), "", "serve")
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	if out != "" {
		t.Errorf("standard output %q", out)
	}
	for name := range bad {
		if n := strings.Count(errs, "  "+name+": "); n != 1 {
			t.Errorf("%s is reported %d times", name, n)
		}
	}
	if want := "has " + strconv.Itoa(len(bad)) + " fault(s)"; !strings.Contains(errs, want) {
		t.Errorf("not %q", want)
	}
	if strings.Contains(errs, canary) {
		t.Error("the secret is printed")
	}
	if t.Failed() {
		t.Log(errs)
	}
}

// TestFaults: faults that do not show with others at once.
func TestFaults(t *testing.T) {
	clearEnv(t)
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"oidc needs its two", nil, []string{"PUSH_AUDIENCE: required", "PUSH_SERVICE_ACCOUNT: required"}},
		{"an account is an address", []string{"--push-audience=a", "--push-service-account=pubsub"}, []string{`PUSH_SERVICE_ACCOUNT: "pubsub"`}},
		{"none without override", []string{"--push-auth=none"}, []string{"PUSH_AUTH: none admits anybody"}},
		{"none with a regional endpoint", []string{"--push-auth=none", "--scc-endpoint=securitycenter.me-central2.rep.googleapis.com:443"}, []string{"PUSH_AUTH: none admits anybody"}},
		{"none with VirusTotal overridden only", []string{"--push-auth=none", "--vt-endpoint=http://127.0.0.1:1"}, []string{"PUSH_AUTH: none admits anybody"}},
		{"a policy that is not there", []string{"--push-auth=iam", "--policy-file=/nowhere/policy.yaml"}, []string{"POLICY_FILE: open /nowhere/policy.yaml"}},
		{"several scopes", []string{"--push-auth=iam", "--log-scopes=projects/p,projects/x/y"}, []string{`LOG_SCOPES: "projects/x/y"`}},
		{"a topic that is Google's", []string{"--push-auth=iam", "--dead-letter-topic=projects/example/topics/googx"}, []string{`DEAD_LETTER_TOPIC: "projects/example/topics/googx"`}},
		{"a path at VirusTotal without a key", []string{"--push-auth=iam", "--vt-endpoint=https://www.virustotal.com/api/v3"}, []string{"VT_ENDPOINT: "}},
		{"a window above the span", []string{"--push-auth=iam", "--incident-max-span=1m"}, []string{"INCIDENT_MAX_SPAN: 1m0s must not be below CORRELATION_WINDOW (30m0s)"}},
		{"a window of a year", []string{"--push-auth=iam", "--correlation-window=9000h"}, []string{"CORRELATION_WINDOW: 9000h0m0s is more than 720h0m0s"}},
		{"a span of a year", []string{"--push-auth=iam", "--incident-max-span=9000h"}, []string{"INCIDENT_MAX_SPAN: 9000h0m0s is more than 720h0m0s"}},
		{"a timeout beyond any acknowledgement deadline", []string{"--push-auth=iam", "--enrich-timeout=1h"}, []string{"ENRICH_TIMEOUT: 1h0m0s is more than 9m0s"}},
		{"a budget beyond memory", []string{"--push-auth=iam", "--scc-reads-per-minute=1000000000"}, []string{"SCC_READS_PER_MINUTE: 1000000000 is not between 1 and 1000000"}},
		{"an endpoint without such a port", []string{"--push-auth=iam", "--scc-endpoint=127.0.0.1:99999"}, []string{"SCC_ENDPOINT: "}},
		{"tasks without queue", []string{"--push-auth=iam", "--tasks-url=https://example.com/tasks/followup", "--tasks-service-account=a@example.com"}, []string{"TASKS_URL: set without TASKS_QUEUE", "TASKS_SERVICE_ACCOUNT: set without TASKS_QUEUE"}},
		{"a queue needs its two", []string{"--push-auth=iam", "--tasks-queue=projects/p/locations/l/queues/q"}, []string{"TASKS_URL: ", "TASKS_SERVICE_ACCOUNT: "}},
		{"tasks to another path", []string{"--push-auth=iam", "--tasks-queue=projects/p/locations/l/queues/q", "--tasks-url=https://example.com/push", "--tasks-service-account=a@example.com"}, []string{"TASKS_URL: it is this service's address with /tasks/followup"}},
		{"a token in the clear", []string{"--push-auth=iam", "--tasks-queue=projects/p/locations/l/queues/q", "--tasks-url=http://example.com/tasks/followup", "--tasks-service-account=a@example.com"}, []string{"TASKS_URL: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := command(t.Context(), "", append([]string{"serve"}, c.args...)...)
			if want := fmt.Sprintf("has %d fault(s)", len(c.want)); !strings.Contains(errs, want) {
				t.Errorf("not %q in %q", want, errs)
			}
			if code != exitUsage || out != "" {
				t.Errorf("exit code %d, standard output %q", code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("not %q in %q", want, errs)
				}
			}
		})
	}
	t.Run("none is allowed locally", func(t *testing.T) {
		if _, err := defaultServe("--push-auth=none", "--insecure-local"); err != nil {
			t.Error(err)
		}
	})
	t.Run("a port that is taken", func(t *testing.T) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		code, _, errs := command(t.Context(), "", "serve", "--push-auth=iam", "--port="+port)
		if code != exitFailed || !strings.HasPrefix(errs, "scc-enricher: listen on PORT: ") || strings.Count(errs, "\n") != 1 {
			t.Errorf("exit code %d, %q", code, errs)
		}
	})
}

// TestSecretNeverPrints in any way of printing settings.
func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s, err := defaultServe("--push-auth=iam", "--vt-api-key=canary-key")
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if out := fmt.Sprintf(form, s); strings.Contains(out, "canary-key") {
			t.Errorf("%s prints the key", form)
		}
		if out := fmt.Sprintf(form, *s); strings.Contains(out, "canary-key") {
			t.Errorf("%s prints the key", form)
		}
	}
	if string(s.VTAPIKey) != "canary-key" {
		t.Error("the key is lost")
	}
}

// TestHelp: every command explains itself and names its environment variables.
func TestHelp(t *testing.T) {
	clearEnv(t)
	t.Setenv("VT_API_KEY", "canary-key")
	var c cli
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	commands := [][]string{nil}
	for _, leaf := range parser.Model.Leaves(true) {
		commands = append(commands, strings.Fields(strings.TrimSpace(leaf.Path())))
	}
	if len(commands) < 7 {
		t.Fatalf("only %v", commands)
	}
	for _, path := range commands {
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			args := slices.DeleteFunc(slices.Clone(path), func(s string) bool { return strings.HasPrefix(s, "<") || strings.HasPrefix(s, "scc-enricher") })
			code, out, errs := command(t.Context(), "", append(args, "--help")...)
			if code != exitDone || errs != "" || !strings.Contains(out, "Usage: ") {
				t.Errorf("exit code %d, standard error %q, standard output:\n%s", code, errs, out)
			}
			if strings.Contains(out, "canary-key") {
				t.Error("the key is printed")
			}
			for _, leaf := range parser.Model.Leaves(true) {
				if !slices.Equal(strings.Fields(strings.TrimSpace(leaf.Path())), path) {
					continue
				}
				for _, f := range leaf.Flags {
					for _, env := range f.Envs {
						if !strings.Contains(out, env) {
							t.Errorf("%s is not named", env)
						}
					}
				}
			}
		})
	}
	t.Run("no arguments", func(t *testing.T) {
		code, out, _ := command(t.Context(), "")
		if code != exitDone || !strings.Contains(out, "serve") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	})
}

func TestUsage(t *testing.T) {
	clearEnv(t)
	for _, args := range [][]string{
		{"serve", "--no-such-flag"}, {"no-such-command"}, {"enrich"}, {"enrich", "--output=pdf", "-"}, {"policy"}, {"policy", "test"},
		{"demo", "--story=none"}, {"demo", "--speed=-1"}, {"emulator", "--story=none"}, {"emulator", "--port=many"}, {"emulator", "--port=99999"}, {"emulator", "--vt-port=99999"}, {"enrich", "--offline", "--write", "-"},
	} {
		code, out, errs := command(t.Context(), "", args...)
		if code != exitUsage || out != "" || !strings.HasPrefix(errs, "scc-enricher: ") {
			t.Errorf("%v: exit code %d, standard output %q, standard error %q", args, code, out, errs)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "version")
	want := regexp.MustCompile(`^scc-enricher \S+ commit .+ ` + regexp.QuoteMeta(runtime.Version()) + " " + runtime.GOOS + "/" + runtime.GOARCH + "\n$")
	if code != exitDone || errs != "" || !want.MatchString(out) {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}

// TestDemoKeepsOut: the demo's service reads no environment, so that it cannot
// reach real projects.
func TestDemoKeepsOut(t *testing.T) {
	clearEnv(t)
	t.Setenv("SCC_PARENT", "organizations/1")
	t.Setenv("RECORD_TOPIC", "projects/real/topics/records")
	t.Setenv("VT_API_KEY", "real")
	got, err := defaultServe("--push-auth=iam")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SCC_PARENT", "RECORD_TOPIC", "VT_API_KEY"} {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	want := parseCLI(t, "serve", "--push-auth=iam").Serve
	got.policy = nil // the check loaded it
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("settings are %+v, want %+v", *got, want)
	}
}

func TestPolicyTest(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "policy", "test", filepath.Join("..", "..", "pkg", "assess", "policy", "default.yaml"))
	if code != exitDone || errs != "" || !regexp.MustCompile(`^ok   \S+default\.yaml: [1-9][0-9]* cases\n$`).MatchString(out) {
		t.Errorf("the default policy: exit code %d, %q, %q", code, out, errs)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("rules: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = command(t.Context(), "", "policy", "test", bad, filepath.Join(t.TempDir(), "missing.yaml"))
	if code == exitDone || out != "" || !strings.Contains(errs, "bad.yaml") || !strings.Contains(errs, "missing.yaml") {
		t.Errorf("bad policies: exit code %d, %q, %q", code, out, errs)
	}
}
