package main

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/emulator/logquery"
)

// TestLogMetricsCountOurLines: the log-based metrics that the alerts and the
// dashboard read count the lines that the service writes, as it writes them.
func TestLogMetricsCountOurLines(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not on PATH")
	}
	out, err := exec.CommandContext(t.Context(), bash, "../../deploy/gcloud/install.sh", "--project", "secops-prod", "--region", "europe-west1",
		"--scope", "organizations/1", "--image", "r.example/i@sha256:"+strings.Repeat("0", 64)).Output()
	if err != nil {
		t.Fatal(err)
	}
	queries := map[string]*logquery.Query{}
	for _, m := range regexp.MustCompile(`(?m)^gcloud logging metrics create scc_enricher_(\S+) .*'--log-filter=([^']*)'`).FindAllStringSubmatch(string(out), -1) {
		if queries[m[1]], err = logquery.Parse(m[2]); err != nil {
			t.Fatal(err)
		}
	}
	if len(queries) != 3 {
		t.Fatalf("found %d log-based metrics", len(queries))
	}
	counted := func(flags []string, deliver func(*rig)) map[string]int {
		r := newRig(t, rigOptions{flags: flags, emulator: emulator.Options{World: newWorld(t)}})
		deliver(r)
		got := map[string]int{}
		for line := range strings.Lines(r.log.String()) {
			var payload structpb.Struct
			if err := json.Unmarshal([]byte(line), &payload); err != nil {
				t.Fatal(err)
			}
			entry, err := logquery.Prepare(&loggingpb.LogEntry{
				Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{"service_name": "scc-enricher"}},
				Payload:  &loggingpb.LogEntry_JsonPayload{JsonPayload: &payload},
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, q := range queries {
				if q.Match(entry) {
					got[name]++
				}
			}
		}
		return got
	}
	two := func(r *rig, second int, reason string) {
		_, one := r.add(newFinding("one"))
		r.want(one, http.StatusNoContent, "written")
		r.want(r.last(), http.StatusNoContent, "echo")
		f := newFinding("two")
		f.Processes[0].Binary.Sha256 = strings.Repeat("ab", 32)
		_, two := r.add(f)
		r.want(two, second, reason)
	}
	for _, c := range []struct {
		name  string
		flags []string
		run   func(*rig)
		want  map[string]int
	}{
		{"everything answers", nil, func(r *rig) { two(r, 204, "written") }, map[string]int{"written": 2}},
		{"a lookup's budget is spent", []string{"--vt-requests-per-minute=1"}, func(r *rig) { two(r, 204, "written") }, map[string]int{"written": 2, "partial": 1, "budget_exhausted": 1}},
		{"the budget of writes is spent", []string{"--scc-writes-per-minute=1"}, func(r *rig) { two(r, 503, "write_quota") }, map[string]int{"written": 1, "budget_exhausted": 1}},
	} {
		if diff := cmp.Diff(c.want, counted(c.flags, c.run)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
