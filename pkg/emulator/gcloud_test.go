package emulator

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// TestGcloud points the real gcloud at the emulator. Some commands use v1 of
// the API when the name has no location.
func TestGcloud(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("gcloud is not installed")
	}
	w := testWorld(t)
	name := addFinding(t, w, testFinding("f1", "shop"))
	addFinding(t, w, testFinding("f2", "other"))
	now := time.Now()
	for i, sev := range []logtypepb.LogSeverity{logtypepb.LogSeverity_INFO, logtypepb.LogSeverity_ERROR, logtypepb.LogSeverity_CRITICAL} {
		e := &loggingpb.LogEntry{
			LogName: "projects/shop-prod-4711/logs/run.googleapis.com%2Fstderr", Severity: sev, Timestamp: timestamppb.New(now.Add(time.Duration(i-10) * time.Minute)),
			Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{"service_name": "shop"}},
			Payload:  &loggingpb.LogEntry_TextPayload{TextPayload: sev.String()},
		}
		if err := w.AddLogEntries(e); err != nil {
			t.Fatal(err)
		}
	}
	_, url := start(t, Options{World: w})
	env := append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECURITYCENTER="+url+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING="+url+"/", "CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_PROJECT=shop-prod-4711",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true")
	gcloud := func(into any, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, append(args, "--format=json")...)
		var stderr bytes.Buffer
		cmd.Env, cmd.Stderr = env, &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gcloud %v: %v\n%s", args, err, stderr.Bytes())
		}
		if err := json.Unmarshal(out, into); err != nil {
			t.Fatalf("gcloud %v prints %q: %v", args, out, err)
		}
	}

	var listed []struct {
		Finding  struct{ CanonicalName, Category string }
		Resource struct {
			GcpMetadata struct{ ProjectDisplayName string }
		}
	}
	gcloud(&listed, "scc", "findings", "list", "projects/shop-prod-4711", "--location=locations/global",
		`--filter=category="Reverse Shell" AND resource_name:"services/shop"`, "--field-mask=finding.canonical_name,finding.category,resource.gcp_metadata")
	if len(listed) != 1 || listed[0].Finding.CanonicalName != name || listed[0].Finding.Category != "Reverse Shell" || listed[0].Resource.GcpMetadata.ProjectDisplayName != "shop-prod-4711" {
		t.Errorf("findings list: %+v", listed)
	}
	var marks struct{ Marks map[string]string }
	gcloud(&marks, "scc", "findings", "update-marks", name, "--security-marks=enrich_verdict=malicious,Owner-Team=web", "--update-mask=marks.enrich_verdict,marks.Owner-Team")
	gcloud(&marks, "scc", "findings", "update-marks", "projects/shop-prod-4711/sources/7001/findings/f1", "--security-marks=enrich_score=090", "--update-mask=marks.enrich_score,marks.owner-team")
	var shown struct{ Marks map[string]string }
	want := map[string]string{"enrich_verdict": "malicious", "enrich_score": "090"}
	for _, n := range []string{name, "projects/415926535897/sources/7001/findings/f1"} {
		gcloud(&shown, "scc", "findings", "list-marks", n)
		if !cmp.Equal(want, shown.Marks) {
			t.Errorf("list-marks %s: %v, want %v", n, shown, want)
		}
	}
	var entries []struct{ TextPayload string }
	gcloud(&entries, "logging", "read", `severity>=ERROR resource.labels.service_name="shop"`, "--limit=5")
	if want := []struct{ TextPayload string }{{"CRITICAL"}, {"ERROR"}}; !cmp.Equal(want, entries) {
		t.Errorf("logging read: %v, want %v", entries, want)
	}
}
