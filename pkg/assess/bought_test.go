package assess

import (
	"testing"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// TestNotBought: what whoever runs a program can choose, its words and the
// shell in between, makes nothing likely benign that a server started.
func TestNotBought(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	under := func(server string, between []string, args ...string) *finding.Finding {
		f := childShell(server, args...)
		child := f.Processes[1]
		shell := child
		shell.Args, child.PID, child.ParentPID = between, shell.PID+1, shell.PID
		f.Processes = []finding.Process{f.Processes[0], shell, child}
		return f
	}
	for _, mimic := range []string{
		"node /app/run.js; pg_isready -h db; python manage.py migrate",
		"npm start; python manage.py migrate; java -version",
		"curl -fsS http://localhost:8080/healthz; python manage.py migrate; npm start",
	} {
		for name, f := range map[string]*finding.Finding{
			"a server's child":      childShell("java", "sh", "-c", mimic),
			"a shell's child":       under("java", []string{"sh", "-c", "x"}, "sh", "-c", mimic),
			"a script's child":      under("node", []string{"bash", "/app/tool.sh"}, "sh", "-c", mimic),
			"a typed shell's child": under("php-fpm", []string{"sh"}, "sh", "-c", mimic),
		} {
			if a := p.Assess(input(f, complete())); a.Verdict == LikelyBenign {
				t.Errorf("%s, %s:\n%s", name, mimic, explain(a))
			}
		}
	}
}

// TestFilesAreJudged: who finds a file malicious is not answered by how the
// file was started: an image's own command may be the malware.
func TestFilesAreJudged(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for _, category := range []string{
		"Execution: Built in Malicious Binary Executed", "Execution: Added Malicious Binary Executed", "Execution: Modified Malicious Library Loaded",
		"Execution: Malicious Python executed", "Malicious Script Executed",
	} {
		f := childShell("tini", "sh", "./docker-entrypoint.sh") // as configured
		f.Processes[0].Binary.Path = "/sbin/tini"
		f.Category, f.Severity = category, "LOW"
		a := p.Assess(input(f, complete()))
		for _, id := range ids(a) {
			switch id {
			case "configured_command", "configured_start", "entrypoint_script", "package_script", "container_start", "parent_is_init":
				t.Errorf("%s: %s explains it", category, id)
			}
		}
		if a.Verdict == LikelyBenign {
			t.Errorf("%s:\n%s", category, explain(a))
		}
	}
}
