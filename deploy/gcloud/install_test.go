// Package gcloud tests the installer that needs nothing but gcloud.
package gcloud

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/syntax"
)

const image = "europe-docker.pkg.dev/secops-prod/scc/scc-enricher@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var variants = map[string][]string{
	"organization": {"--scope", "organizations/123456789012", "--virustotal-version", "1", "--virustotal-lookups", "files,indicators"},
	"folder":       {"--scope=folders/345678901234", "--location=eu", "--project-number=987654321098", "--ingress=all", "--notification-channels=projects/secops-prod/notificationChannels/12,projects/secops-prod/notificationChannels/34"},
	"project":      {"--scope", "projects/shop-prod", "--without-backfill", "--without-records", "--without-followups", "--without-alerts"},
}

// install runs the script with the bash that is there.
func install(t *testing.T, env []string, args ...string) (out, errs string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"install.sh", "--project", "secops-prod", "--region", "europe-west1", "--image", image}, args...)...)
	cmd.Env = append(cmd.Environ(), env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// dryRun returns the words of every command that a dry run prints, checks and
// updates included.
func dryRun(t *testing.T, args ...string) [][]string {
	t.Helper()
	// A gcloud that fails the test when it is called: a dry run calls nothing.
	dir := t.TempDir()
	called := filepath.Join(dir, "called")
	for _, tool := range []string{"gcloud", "bq"} {
		if err := os.WriteFile(filepath.Join(dir, tool), []byte("#!/bin/sh\necho \"$@\" >>"+called+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, err := install(t, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, args...)
	if err != nil {
		t.Fatalf("dry run: %v\n%s", err, errs)
	}
	if data, err := os.ReadFile(called); err == nil {
		t.Errorf("the dry run called gcloud: %s", data)
	}
	var commands [][]string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# unless: "), "# or else: "), "# unless one is named by: ")
		if strings.HasPrefix(line, "gcloud ") || strings.HasPrefix(line, "bq ") {
			commands = append(commands, words(t, line))
		}
	}
	return commands
}

// words are a command's words as the shell would hand them over.
func words(t *testing.T, line string) []string {
	t.Helper()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if len(file.Stmts) != 1 || len(file.Stmts[0].Redirs) > 0 {
		t.Fatalf("not one command: %s", line)
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok {
		t.Fatalf("no simple command: %s", line)
	}
	var out []string
	for _, w := range call.Args {
		var text strings.Builder
		for _, part := range w.Parts {
			switch part := part.(type) {
			case *syntax.Lit:
				text.WriteString(part.Value)
			case *syntax.SglQuoted:
				text.WriteString(part.Value)
			default:
				t.Fatalf("a part that is neither literal nor quoted: %s", line)
			}
		}
		out = append(out, text.String())
	}
	return out
}

func TestCommandsAgainstGcloudsTable(t *testing.T) {
	t.Parallel()
	root := gcloudTable(t)
	for name, args := range variants {
		commands := dryRun(t, args...)
		if len(commands) < 25 {
			t.Errorf("%s: only %d commands were printed", name, len(commands))
		}
		for _, c := range commands {
			if c[0] == "gcloud" {
				root.check(t, c[1:])
			}
		}
	}
}

// TestCommandsThroughGcloudsParser runs the real gcloud without any account:
// arguments that it refuses end with 2 before it looks for one, everything else
// ends with 1 because there is none. Nothing can be done that way.
func TestCommandsThroughGcloudsParser(t *testing.T) {
	if os.Getenv("REQUIRE_GCLOUD") == "" {
		t.Skip("REQUIRE_GCLOUD is not set: this starts the real gcloud some hundred times")
	}
	t.Parallel()
	path, err := exec.LookPath("gcloud")
	if err != nil {
		t.Fatal("gcloud is not on PATH")
	}
	parse := func(c []string) (int, string) {
		args := make([]string, 0, len(c))
		for _, w := range c[1:] {
			args = append(args, strings.ReplaceAll(w, "SOURCE_ID", "456")) // a blank of the pages that must be a number
		}
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir = "../.." // the pages' commands are for the root of the checkout
		cmd.Env = []string{
			"CLOUDSDK_CORE_PROJECT=secops-prod",
			"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "CLOUDSDK_CONFIG=" + t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1",
			"CLOUDSDK_CORE_CHECK_GCE_METADATA=false", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_AUTH_DISABLE_CREDENTIALS=false",
		}
		out, err := cmd.CombinedOutput()
		if err == nil {
			return 0, string(out)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, _ := parse([]string{"gcloud", "pubsub", "subscriptions", "create", "s", "--topic=t", "--ack-deadline=soon", "--project=p"}); code != 2 {
		t.Fatalf("gcloud does not refuse a bad value with 2 but with %d: this test would prove nothing", code)
	}
	seen := map[string][]string{}
	var all [][]string
	for _, args := range variants {
		all = append(all, dryRun(t, args...)...)
	}
	for _, commands := range documented(t) {
		all = append(all, commands...)
	}
	for _, c := range all {
		// One of each command with the same flags is enough.
		var kind []string
		for _, w := range c {
			flag, _, _ := strings.Cut(w, "=")
			kind = append(kind, flag)
		}
		if c[0] == "gcloud" {
			seen[strings.Join(kind, " ")] = c
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, c := range seen {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			// exit 1 and talk of accounts or credentials: it has passed the parser.
			if code, out := parse(c); code != 1 || !regexp.MustCompile(`(?i)account|credential|auth`).MatchString(out) {
				t.Errorf("gcloud answers %d to %q:\n%s", code, c, out)
			}
		})
	}
	wg.Wait()
	t.Logf("%d kinds of commands passed the parser", len(seen))
}

func TestBqFlags(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("bq")
	if err != nil {
		t.Skip("bq is not on PATH")
	}
	help := map[string]string{}
	for _, c := range dryRun(t, variants["organization"]...) {
		if c[0] != "bq" {
			continue
		}
		i := slices.IndexFunc(c[1:], func(w string) bool { return !strings.HasPrefix(w, "-") }) + 1
		name := c[i]
		if help[name] == "" {
			cmd := exec.CommandContext(t.Context(), path, "help", name)
			cmd.Env = append(cmd.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "HOME="+t.TempDir())
			out, _ := cmd.Output() // help ends with 1
			help[name] = string(out)
		}
		for _, w := range c[i+1:] {
			flag, _, _ := strings.Cut(w, "=")
			if bare := strings.TrimPrefix(flag, "--"); bare != flag && !regexp.MustCompile(`--(\[no\])?`+bare+`\b`).MatchString(help[name]) && bare != "location" && bare != "dataset" {
				t.Errorf("bq %s has no flag --%s", name, bare)
			}
		}
	}
	if len(help) < 3 {
		t.Errorf("only %d bq commands were compared", len(help))
	}
}

func TestWhatIsInstalled(t *testing.T) {
	t.Parallel()
	for name, args := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var roles, filters []string
			env := map[string]string{}
			for _, c := range dryRun(t, args...) {
				line := strings.Join(c, " ")
				for _, bad := range []string{"allUsers", "allAuthenticatedUsers", " --allow-unauthenticated", "--no-invoker-iam-check", "set-iam-policy ", "delete"} {
					if strings.Contains(line, bad) {
						t.Errorf("%q in %s", bad, line)
					}
				}
				flags := map[string]string{}
				for _, w := range c {
					if flag, value, ok := strings.Cut(w, "="); ok {
						flags[flag] = value
					}
				}
				if r := flags["--role"]; r != "" {
					roles = append(roles, r)
				}
				if f := flags["--filter"]; f != "" && c[1] == "scc" {
					filters = append(filters, f)
				}
				for pair := range strings.SplitSeq(strings.TrimPrefix(flags["--set-env-vars"], "^|^"), "|") {
					if k, v, ok := strings.Cut(pair, "="); ok {
						env[k] = v
					}
				}
				if strings.HasPrefix(line, "gcloud pubsub subscriptions create") || strings.HasPrefix(line, "gcloud pubsub subscriptions update") {
					if flags["--expiration-period"] != "never" {
						t.Errorf("a subscription expires: %s", line)
					}
				}
				if strings.Contains(line, "subscriptions create scc-enricher-push ") {
					want := map[string]string{"--ack-deadline": "60", "--push-auth-token-audience": env["PUSH_AUDIENCE"], "--push-auth-service-account": env["PUSH_SERVICE_ACCOUNT"], "--dead-letter-topic": "scc-enricher-dead-letters"}
					for k, v := range want {
						if flags[k] != v || v == "" {
							t.Errorf("%s is %q, want %q: %s", k, flags[k], v, line)
						}
					}
				}
			}
			if env["ENRICH_TIMEOUT"] != "20s" {
				t.Errorf("ENRICH_TIMEOUT is %q; the acknowledgement deadline of 60 s is chosen for 20s", env["ENRICH_TIMEOUT"])
			}
			for k := range env {
				if !slices.Contains(known(t), k) {
					t.Errorf("the service has no setting %s", k)
				}
			}
			slices.Sort(roles)
			roles = slices.Compact(roles)
			want := []string{
				"roles/iam.serviceAccountTokenCreator", "roles/logging.viewer", "roles/pubsub.publisher", "roles/pubsub.subscriber", "roles/run.invoker", "roles/run.viewer",
				"roles/secretmanager.secretAccessor", "roles/securitycenter.findingSecurityMarksWriter", "roles/securitycenter.findingsViewer",
			}
			if name != "project" { // that variant goes without queue and table
				want = append(want, "roles/bigquery.dataEditor", "roles/cloudtasks.enqueuer", "roles/iam.serviceAccountUser")
				slices.Sort(want)
			}
			if diff := cmp.Diff(want, roles); diff != "" {
				t.Errorf("roles (-want +got):\n%s", diff)
			}
			if len(filters) != 2 || filters[0] != filters[1] {
				t.Errorf("create and update filter differently: %q", filters)
			}
			// Terraform's text, part by part.
			tf, err := os.ReadFile("../terraform/findings.tf")
			if err != nil {
				t.Fatal(err)
			}
			for part := range strings.SplitSeq(filters[0], " AND ") {
				if !strings.Contains(string(tf), `"`+strings.ReplaceAll(part, `"`, `\"`)+`"`) {
					t.Errorf("deploy/terraform does not filter by %s", part)
				}
			}
		})
	}
}

// known are the environment variables the binary reads, from the tags of its
// flags, and those that Cloud Tasks follow-ups take.
func known(t *testing.T) []string {
	t.Helper()
	out := []string{"TASKS_QUEUE", "TASKS_URL", "TASKS_SERVICE_ACCOUNT"}
	files, err := filepath.Glob("../../cmd/scc-enricher/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of the command: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`env:"([A-Z_]+)"`).FindAllStringSubmatch(string(data), -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// TestApply runs the script against a gcloud that remembers what was made: the
// first run creates, the second finds everything and creates nothing.
func TestApply(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, log := filepath.Join(dir, "state"), filepath.Join(dir, "log")
	// What is made is remembered as "group name"; accounts are made by ID and
	// described by e-mail address.
	fake := `#!/bin/bash
echo "$(basename "$0") $*" >>` + log + `
all="$*" last=""
for w in "$@"; do case "$w" in -* | *:STRING*) ;; *) last="${w%%@*}" ;; esac; done
case "$*" in
  "projects describe"*) echo 987654321098 ;;
  *"policies list"*) called="${all#*displayName=\"}"; if grep -qxF "policy ${called%%\"*}" ` + state + `; then echo projects/secops-prod/alertPolicies/1; fi ;;
  *"policies create"*) called="${all#*\"displayName\":\"}"; echo "policy ${called%%\"*}" >>` + state + ` ;;
  *" describe "*) grep -qxF "${all%% describe *} $last" ` + state + ` || { echo "ERROR: NOT_FOUND: no such thing" >&2; exit 1; } ;;
  *" show "*) grep -qxF "bq $last" ` + state + ` || { echo "BigQuery error: Not found: $last" >&2; exit 2; } ;;
  *" create "*) echo "${all%% create *} $last" >>` + state + ` ;;
  *" mk "*) echo "bq $last" >>` + state + ` ;;
esac
`
	for _, tool := range []string{"gcloud", "bq"} {
		if err := os.WriteFile(filepath.Join(dir, tool), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(state, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	apply := func() (creates, updates []string) {
		t.Helper()
		if err := os.WriteFile(log, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, errs, err := install(t, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, append([]string{"--apply"}, variants["organization"]...)...); err != nil {
			t.Fatalf("apply: %v\n%s", err, errs)
		}
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			switch {
			case strings.Contains(line, "services identity create"): // may be repeated
			case strings.Contains(line, " create ") || strings.Contains(line, " mk "):
				creates = append(creates, line)
			case strings.Contains(line, " update "):
				updates = append(updates, line)
			}
		}
		return creates, updates
	}
	creates, updates := apply()
	if len(creates) < 14 || len(updates) != 0 {
		t.Errorf("the first run creates %d and updates %d things, want at least 14 and none:\n%s", len(creates), len(updates), updates)
	}
	creates, updates = apply()
	if len(creates) != 0 || len(updates) < 6 {
		t.Errorf("the second run creates %d and updates %d things, want none and at least 6:\n%s", len(creates), len(updates), creates)
	}
}

// TestDenied stops at a check that was denied instead of creating.
func TestDenied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	fake := "#!/bin/sh\necho \"$*\" >>" + log + "\ncase \"$*\" in *describe*) echo 'ERROR: PERMISSION_DENIED: no' >&2; exit 1;; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "gcloud"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	_, errs, err := install(t, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, append([]string{"--apply", "--project-number", "1"}, variants["project"]...)...)
	if err == nil || !strings.Contains(errs, "PERMISSION_DENIED") {
		t.Errorf("a denied check ends with %v: %s", err, errs)
	}
	data, _ := os.ReadFile(log)
	if strings.Contains(string(data), "service-accounts create") {
		t.Error("something was created after a denied check")
	}
}

func TestFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, errs, err := install(t, nil, "--scope", "everything", "--image", "x:latest", "--virustotal-version", "latest", "--virustotal-lookups", "indicators", "--notification-channels", "me", "--min-instances", "4")
	if err == nil {
		t.Fatal("a wrong call succeeds")
	}
	for _, want := range []string{"--scope", "--image", "--virustotal-version", "--virustotal-lookups", "--notification-channels", "--min-instances"} {
		if !strings.Contains(errs, want+":") {
			t.Errorf("no word of %s in:\n%s", want, errs)
		}
	}
	for _, hostile := range []string{"projects/x;touch", "organizations/1 --impersonate-service-account=e@example.com", "projects/$(id)"} {
		if _, _, err := install(t, nil, "--scope", hostile); err == nil {
			t.Errorf("the scope %q is taken", hostile)
		}
	}
}

func TestShellcheck(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		if os.Getenv("REQUIRE_SHELLCHECK") != "" {
			t.Fatal("shellcheck is not on PATH")
		}
		t.Skip("shellcheck is not on PATH")
	}
	scripts, err := filepath.Glob("../*/*.sh")
	if err != nil || len(scripts) < 3 {
		t.Fatalf("found %q: %v", scripts, err)
	}
	if out, err := exec.CommandContext(t.Context(), path, scripts...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
