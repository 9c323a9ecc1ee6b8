package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// demoOutput is what demo --output json prints.
type demoOutput struct {
	Story, Title string
	Findings     []result
}

func TestDemoJSON(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "demo", "--once", "--output", "json")
	if code != exitDone || errs != "" {
		t.Errorf("exit code %d, %q", code, errs)
	}
	var got demoOutput
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if got.Story != "webshell" || got.Title == "" || len(got.Findings) < 6 {
		t.Errorf("story %q, title %q, %d findings", got.Story, got.Title, len(got.Findings))
	}
	workloads := map[string]bool{}
	for _, f := range got.Findings {
		workloads[f.Workload] = true
		if !f.OK || f.Verdict != f.Expected || f.Marks["enrich_verdict"] != f.Verdict {
			t.Errorf("%s: verdict %q, expected %q, mark %q", f.Finding, f.Verdict, f.Expected, f.Marks["enrich_verdict"])
		}
		if f.Marks["enrich_schema"] != "1" || f.Marks["enrich_summary"] == "" || f.Score == "" || f.NextAction == "" || f.NextStep == "" || len(f.Reasons) == 0 {
			t.Errorf("%s: says too little: %+v", f.Finding, f)
		}
	}
	if len(workloads) != 3 {
		t.Errorf("workloads %v", workloads)
	}
	// Late news: the shell did not look like much when it came.
	first, members := got.Findings[0], []map[string]string{}
	for _, f := range got.Findings {
		if f.Workload == first.Workload {
			members = append(members, f.Marks)
		}
	}
	if a := first.OnArrival; a.Verdict != "likely_malicious" || a.Related != 0 || first.Verdict != "malicious" || first.NextAction != "contain_now" {
		t.Errorf("the first finding: on arrival %+v, at rest %s, %s", a, first.Verdict, first.NextAction)
	}
	if len(members) < 4 || !agree(members...) {
		t.Errorf("the %d findings of %s do not agree", len(members), first.Workload)
	}
}

func TestDemoText(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "demo", "--once")
	if code != exitDone || errs != "" {
		t.Errorf("exit code %d, %q", code, errs)
	}
	story, err := emulator.LoadStory("webshell", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, story.Title) {
		t.Error("no title")
	}
	for _, step := range story.Steps {
		// Each finding's heading is followed by its verdict.
		verdict := story.Expect[step.Finding.GetCanonicalName()]
		found := false
		for part := range strings.SplitSeq(out, step.Finding.GetCategory()) {
			head, _, _ := strings.Cut(part, "\n\n")
			found = found || strings.Contains(head, verdict)
		}
		if !found {
			t.Errorf("%s: no verdict %s", step.Finding.GetCategory(), verdict)
		}
	}
	if !regexp.MustCompile(`likely_malicious 0\d\d, 0 related → malicious 100  Unexpected Child Shell\n`).MatchString(out) {
		t.Error("no word of what the first finding said when it came, and says at rest")
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colour codes in a pipe")
	}
	if strings.Contains(out, "made-up-payment-key") {
		t.Error("the value of an environment variable is printed")
	}
}

func TestDemoSingle(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "demo", "--once", "--story", "single", "--output=json")
	var got demoOutput
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != exitDone || errs != "" || len(got.Findings) != 1 || !got.Findings[0].OK {
		t.Errorf("exit code %d, %q, %+v", code, errs, got)
	}
}

// TestDemoVerbose: the log goes to standard error, and is the service's.
func TestDemoVerbose(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "demo", "--once", "--story=single", "-v")
	if code != exitDone || !strings.Contains(errs, `"message":"delivery"`) || strings.Contains(out, `"message":"delivery"`) {
		t.Errorf("exit code %d, standard error %q", code, errs)
	}
}

// TestDemoSpeed: pauses are played, and findings overlap.
func TestDemoSpeed(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t.Context(), "", "demo", "--once", "--speed=2000", "--output=json")
	var got demoOutput
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != exitDone || errs != "" {
		t.Errorf("exit code %d, %q", code, errs)
	}
}

// TestDemoWrongVerdict: --once fails when a verdict is not the expected one.
func TestDemoWrongVerdict(t *testing.T) {
	t.Parallel()
	err := wrong([]result{
		{Workload: "run/p/l/service/s", Category: "Reverse Shell", Verdict: "unknown", Expected: "malicious"},
		{Workload: "run/p/l/service/t", Category: "Reverse Shell", Verdict: "malicious", Expected: "malicious", OK: true},
	})
	if err == nil || !strings.Contains(err.Error(), `1 of 2 verdicts are not the expected ones`) || !strings.Contains(err.Error(), `is "unknown", expected "malicious"`) {
		t.Errorf("error %v", err)
	}
	if err := wrong(nil); err != nil {
		t.Error(err)
	}
}
