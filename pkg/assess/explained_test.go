package assess

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// underServer is evidence in which the owner deployed ten minutes before and
// no command is configured.
func underServer() *evidence.Evidence {
	e := deployed(complete(), "alice@example.com", 10)
	e.Config.Containers[0].Command = nil
	return e
}

// TestNamesExplainNothing holds that no file name and no ordinary word buys an
// explanation for what a server started.
func TestNamesExplainNothing(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for _, argv := range [][]string{
		{"sh", "/app/uploads/entrypoint.sh"},
		{"sh", "/app/run.sh"},
		{"sh", "-c", "exec /app/run.sh"},
		{"sh", "/docker-entrypoint.sh", "curl", "http://198.51.100.3/x"},
		{"sh", "-c", "node /app/uploads/x.js"},
		{"sh", "-c", "test 1; node /app/x.js"},
		{"sh", "-c", "psql -c 'select * from users'; pgrep x"},
		{"sh", "-c", "./docker-entrypoint.sh"},
	} {
		for _, young := range []bool{false, true} {
			f := childShell("java", argv...)
			root := int64(0)
			f.Processes[1].UserID = &root
			if young {
				f.Containers[0].CreateTime = event().Add(-30 * time.Second)
			}
			a := p.Assess(input(f, underServer()))
			if a.Verdict == LikelyBenign || a.Verdict == Unknown {
				t.Errorf("%q is %s: %s", argv, a.Verdict, explain(a))
			}
			if !slices.Contains(ids(a), "root_user") {
				t.Errorf("%q: root does not count: %s", argv, explain(a))
			}
		}
	}
}

// TestAtStart holds which ancestors make a script one of the container's start.
func TestAtStart(t *testing.T) {
	t.Parallel()
	proc := func(pid, parent int64, path string, args ...string) finding.Process {
		return finding.Process{PID: pid, ParentPID: parent, Binary: &finding.File{Path: path}, Args: args}
	}
	script := func(pid, parent int64) finding.Process {
		return proc(pid, parent, "/bin/dash", "sh", "./docker-entrypoint.sh")
	}
	const node = "/usr/local/bin/node"
	tests := []struct {
		name  string
		procs []finding.Process
		want  bool
	}{
		{"first process", []finding.Process{script(1, 0)}, true},
		{"unknown parent", []finding.Process{script(17, 9)}, false},
		{"no process ids", []finding.Process{script(0, 0)}, false},
		{"init", []finding.Process{proc(1, 0, "/sbin/tini", "tini", "--", "x"), script(7, 1)}, true},
		{"npm", []finding.Process{proc(1, 0, node, "npm", "start"), script(18, 1)}, true},
		{"npm by its title", []finding.Process{proc(1, 0, node, "npm start"), script(18, 1)}, true},
		{"npm as a script", []finding.Process{proc(1, 0, node, "node", "/usr/local/bin/npm", "start"), script(18, 1)}, true},
		{"shell, then npm", []finding.Process{proc(1, 0, "/bin/sh", "sh", "-c", "npm start"), proc(7, 1, node, "npm", "start"), script(18, 7)}, true},
		{"server", []finding.Process{proc(1, 0, node, "node", "server.js"), script(18, 1)}, false},
		{"server under npm", []finding.Process{proc(1, 0, node, "npm", "start"), proc(7, 1, node, "node", "server.js"), script(18, 7)}, false},
		{"npm under a server", []finding.Process{proc(1, 0, node, "node", "server.js"), proc(7, 1, node, "npm", "start"), script(18, 7)}, false},
		{"npm that is not npm", []finding.Process{proc(1, 0, "/tmp/npm", "npm", "start"), script(18, 1)}, false},
		{"init in a temporary place", []finding.Process{proc(1, 0, "/tmp/tini", "tini"), script(18, 1)}, false},
		{"bare shell", []finding.Process{proc(1, 0, "/bin/sh", "sh"), script(18, 1)}, false},
		{"not from process 1", []finding.Process{proc(40, 12, node, "npm", "start"), script(41, 40)}, false},
		{"nothing", nil, false},
	}
	for _, tt := range tests {
		f := &finding.Finding{Category: "Unexpected Child Shell", Processes: tt.procs}
		if got := atStart(f.Tree()); got != tt.want {
			t.Errorf("%s: atStart() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestOverriddenArguments holds that who overrides a job's arguments does not
// explain them by that.
func TestOverriddenArguments(t *testing.T) {
	t.Parallel()
	f, e := childShell("python3", "sh", "/app/run.sh"), complete()
	f.Workload.Kind, f.Workload.Revision, f.Workload.Execution = finding.Job, "", "etl-x7k2p"
	e.Config.Revision, e.Config.RevisionCreator, e.Config.RevisionCreateTime = "etl-x7k2p", "eve@example.com", event().Add(-2*time.Minute)
	e.Config.OverriddenArgs, e.Config.Containers[0].Command = true, []string{"sh", "/app/run.sh"}
	e.Logs.Entries = append(e.Logs.Entries, evidence.LogEntry{
		Kind: evidence.LogAudit, Time: event().Add(-2 * time.Minute),
		Audit: &evidence.Audit{Method: "google.cloud.run.v2.Jobs.RunJob", Principal: "eve@example.com"},
	})
	a := mustDefault(t).Assess(input(f, e))
	if a.Verdict == LikelyBenign || slices.Contains(ids(a), "fresh_deploy") || slices.Contains(ids(a), "configured_command") {
		t.Errorf("an execution with other arguments explains itself: %s", explain(a))
	}
	if !strings.Contains(a.Plan[len(a.Plan)-1].Title+steps(a), "eve@example.com") {
		t.Errorf("nobody asks who ran it: %s", steps(a))
	}
}

func steps(a Assessment) string {
	var b strings.Builder
	for _, st := range a.Plan {
		b.WriteString(st.ID + ": " + st.Title + "\n")
	}
	return b.String()
}

func TestNewcomer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		kind   finding.Kind
		by     string
		change func(*evidence.Config)
		want   bool
	}{
		{"creator", finding.Job, "alice@example.com", nil, false},
		{"somebody else", finding.Job, "eve@example.com", nil, true},
		{"the job's own identity", finding.Job, "pay@shop-prod.iam.gserviceaccount.com", nil, true},
		{"job without known creator", finding.Job, "eve@example.com", func(c *evidence.Config) { c.Creator = "" }, false},
		{"first revision of a service", finding.Service, "eve@example.com", func(c *evidence.Config) { c.Previous = nil }, false},
		{"service", finding.Service, "eve@example.com", nil, true},
	} {
		f, e := childShell("java", "sh"), complete()
		f.Workload.Kind = tt.kind
		if tt.kind == finding.Job {
			e.Config.Previous = nil
		}
		if tt.change != nil {
			tt.change(e.Config)
		}
		if got := newSubject(input(f, e)).isNewcomer(tt.by); got != tt.want {
			t.Errorf("%s: isNewcomer() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestContainmentNeedsProof holds that hints alone, however many, stop nothing.
func TestContainmentNeedsProof(t *testing.T) {
	t.Parallel()
	e := complete()
	e.Config.DefaultServiceAccount = true
	e.Logs, e.LogsState = evidence.Logs{}, evidence.Status{State: evidence.Empty}
	a := mustDefault(t).Assess(input(childShell("node", "sh", "-c", "ffmpeg -i in.mp4 out.webm"), e))
	if a.Verdict != Suspicious || a.NextAction != Investigate || slices.Contains(ids(a), "server_spawned_shell") {
		t.Errorf("a shell that converts a film: %s", explain(a))
	}
}

// TestBareShell holds that only a shell without anything to run is one.
func TestBareShell(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for _, tt := range []struct {
		argv []string
		want bool
	}{
		{[]string{"sh"}, true}, {[]string{"/bin/bash"}, true}, {[]string{"-bash"}, true}, {[]string{"sh", "-x"}, true},
		{[]string{"{\x00odd"}, false}, {[]string{"[object"}, false}, {[]string{"sh", "/app/x"}, false}, {[]string{"sh", "-c", "x"}, false}, {nil, false},
	} {
		f := childShell("java", tt.argv...)
		f.Processes[1].Name, f.Processes[1].Binary.Path = "sh", "/bin/sh"
		a := p.Assess(input(f, complete()))
		if got := slices.Contains(ids(a), "bare_shell"); got != tt.want {
			t.Errorf("%q: bare_shell = %v, want %v: %s", tt.argv, got, tt.want, explain(a))
		}
	}
}
