package deploy_test

import (
	"context"
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// knownAfterApply are values of what Terraform knows only after apply, by the address
// that evaluation puts in their place.
func knownAfterApply() *strings.Replacer {
	return strings.NewReplacer(
		"google_pubsub_topic.records.id", "projects/sec-enricher/topics/records",
		"google_pubsub_topic.dead_letters.id", "projects/sec-enricher/topics/dead-letters",
		"google_cloud_tasks_queue.followups.id", "projects/sec-enricher/locations/europe-west1/queues/followups",
		"google_service_account.caller.email", "caller@sec-enricher.iam.gserviceaccount.com",
	)
}

// TestBinaryTakesTheEnvironment starts the binary with the values, not only the
// names, that the module sets. There are no credentials: a configuration that
// is right ends with 1 for want of them, one that is wrong with 2 before that.
func TestBinaryTakesTheEnvironment(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "scc-enricher")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/scc-enricher")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	largest := everything()
	maps.Copy(largest, inputs{
		"enrich_timeout_seconds": cty.NumberIntVal(540), "source_timeout_seconds": cty.NumberIntVal(539), "ack_deadline_seconds": cty.NumberIntVal(600),
		"mark_prefix": cty.StringVal(strings.Repeat("x", 100)), "max_instances": cty.NumberIntVal(50), "virustotal_requests_per_minute": cty.NumberIntVal(51),
	})
	for name, in := range map[string]inputs{"organization": organization(), "everything": everything(), "at the bounds": largest} {
		s, err := loadModule(t).scope(in)
		if err != nil {
			t.Fatal(err)
		}
		for local, kind := range map[string]string{"service_environment": "google_cloud_run_v2_service", "job_environment": "google_cloud_run_v2_job"} {
			env, err := s.environment(local)
			if err != nil {
				t.Fatal(err)
			}
			command := s.args(t, kind)
			t.Run(name+"/"+local, func(t *testing.T) {
				t.Parallel()
				if code, out := start(t, binary, command, env); code != 1 || !strings.Contains(out, "credentials") {
					t.Errorf("%s ends with %d, want 1 and a word about credentials: %s", command, code, out)
				}
				env["SOURCE_TIMEOUT"] = env["ENRICH_TIMEOUT"]
				if code, out := start(t, binary, command, env); code != 2 || !strings.Contains(out, "SOURCE_TIMEOUT") {
					t.Errorf("%s with a wrong deadline ends with %d: this test would prove nothing: %s", command, code, out)
				}
			})
		}
	}
}

// args are the arguments of the one container of the one resource of a kind.
func (s *scope) args(t *testing.T, kind string) []string {
	t.Helper()
	body := s.m.of(kind)[0].body
	for blocks(body, "containers") == nil {
		body = blocks(body, "template")[0]
	}
	v, err := s.eval(blocks(body, "containers")[0].Attributes["args"].Expr, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		out = append(out, e.AsString())
	}
	return out
}

func start(t *testing.T, binary string, command []string, env map[string]string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, command...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PORT=0", "GOOGLE_APPLICATION_CREDENTIALS=" + filepath.Join(t.TempDir(), "credentials.json")}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+knownAfterApply().Replace(v))
	}
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}
