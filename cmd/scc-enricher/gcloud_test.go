package main

import (
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestGcloud runs the emulator command with the service behind it, and the
// commands that it prints for the real gcloud, exactly as printed.
func TestGcloud(t *testing.T) {
	t.Parallel()
	wantsGcloud(t, "gcloud")
	port, vtPort := freePort(t), freePort(t)
	api := "http://127.0.0.1:" + port
	log := &buffer{}
	listener := listen(t)
	serveOn(t, listener, log, nil, "--push-auth=none", "--scc-endpoint="+api, "--logging-endpoint="+api, "--run-endpoint="+api,
		"--vt-endpoint=http://127.0.0.1:"+vtPort, "--vt-api-key=any")
	printed, _ := emulate(t, "--port="+port, "--vt-port="+vtPort, "--story=single", "--push=http://"+listener.Addr().String()+"/push")
	eventually(t, 20*time.Second, "marks of the story's finding", func() bool { return strings.Contains(log.String(), `"reason":"written"`) })

	var exports, commands []string
	for _, line := range lines(printed) {
		switch {
		case strings.HasPrefix(line, "export "):
			exports = append(exports, line)
		case strings.HasPrefix(line, "gcloud "):
			commands = append(commands, line)
		}
	}
	if len(exports) == 0 || len(commands) != 3 {
		t.Fatalf("printed exports %q and commands %q in\n%s", exports, commands, printed)
	}
	env := gcloudEnv(t)
	shell := func(line string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(exports, "\n")+"\n"+line)
		var out, errs bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, errs.String())
		}
		return out.String()
	}

	listed := shell(commands[0])
	if !regexp.MustCompile(`(?m)^Execution: Netcat Remote Code Execution in Container +(likely_)?malicious$`).MatchString(listed) {
		t.Errorf("%s prints\n%s", commands[0], listed)
	}
	marks := shell(commands[1])
	for _, want := range []string{"enrich_verdict: ", "enrich_workload: run/mail-prod-8810/europe-north1/worker_pool/mail-worker", "enrich_schema: '1'"} {
		if !strings.Contains(marks, want) {
			t.Errorf("%s does not print %q:\n%s", commands[1], want, marks)
		}
	}
	if entries := shell(commands[2]); !strings.Contains(entries, "logName: projects/mail-prod-8810/logs/") {
		t.Errorf("%s prints\n%s", commands[2], entries)
	}

	// A person's own mark is written by the real gcloud, comes back as a
	// notification, and is left alone.
	deliveries := len(log.deliveries())
	shell(strings.Replace(commands[1], "list-marks", "update-marks", 1) + " --security-marks=owner-team=mail --update-mask=marks.owner-team")
	eventually(t, 20*time.Second, "echo of the person's mark", func() bool { return len(log.deliveries()) > deliveries })
	if got := log.last(t)["reason"]; got != "echo" {
		t.Errorf("reason %v", got)
	}
	if marks := shell(commands[1]); !strings.Contains(marks, "owner-team: mail") || !strings.Contains(marks, "enrich_verdict: ") {
		t.Errorf("marks after update-marks:\n%s", marks)
	}
}

// emulate runs the emulator command until end is called, or the test ends, and
// returns what it printed.
func emulate(t *testing.T, args ...string) (printed string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	out, errs := &buffer{}, &buffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"emulator"}, args...), streams{in: strings.NewReader(""), out: out, err: errs})
	}()
	end = sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("emulator: exit code %d, %s", code, errs)
		}
	})
	t.Cleanup(end)
	for limit := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), "Ctrl-C ends it."); time.Sleep(10 * time.Millisecond) {
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("emulator: exit code %d, %s", code, errs)
		default:
		}
		if time.Now().After(limit) {
			t.Fatalf("emulator: printed only %q", out)
		}
	}
	return out.String(), end
}

// lines are the lines of what was printed, without indentation, and with lines
// that end in a backslash joined to the next.
func lines(printed string) []string {
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(printed, "")
	out := strings.Split(joined, "\n")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// TestEmulatorPrintsHowToServe: the service starts with what the emulator
// command prints, and enriches what it pushes.
func TestEmulatorPrintsHowToServe(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	printed, end := emulate(t, "--port="+freePort(t), "--vt-port="+freePort(t), "--push=http://"+listener.Addr().String()+"/push")
	var args []string
	for _, line := range lines(printed) {
		settings, ok := strings.CutSuffix(line, "scc-enricher serve")
		if !ok {
			continue
		}
		for _, s := range strings.Fields(settings) {
			name, value, _ := strings.Cut(s, "=")
			args = append(args, "--"+strings.ToLower(strings.ReplaceAll(name, "_", "-"))+"="+value)
		}
	}
	if len(args) < 5 {
		t.Fatalf("settings %v in\n%s", args, printed)
	}
	log := &buffer{}
	serveOn(t, listener, log, nil, args...)
	eventually(t, 20*time.Second, "marks of all findings of the story", func() bool { return strings.Count(log.String(), `"reason":"written"`) >= 7 })
	end() // its idle connections would keep the service waiting
}
