package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestEmulatorFaults: what a file says goes wrong; a file that cannot be meant
// is a fault of the usage.
func TestEmulatorFaults(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.yaml")
	set := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("rules: [{code: BROKEN}, {probability: 2}]")
	code, _, errs := command(t.Context(), "", "emulator", "--port=0", "--vt-port=0", "--faults="+file)
	if code != 2 || !strings.Contains(errs, `rule 1: "BROKEN" is no code`) || !strings.Contains(errs, "rule 2: probability 2") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := command(t.Context(), "", "emulator", "--port=0", "--vt-port=0", "--faults="+file+"-missing"); code != 2 {
		t.Errorf("no such file: exit %d: %s", code, errs)
	}

	set("rules: [{method: ListFindings, code: UNAVAILABLE}]")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"emulator", "--port=0", "--vt-port=0", "--faults=" + file}, streams{in: strings.NewReader(""), out: &out, err: io.Discard})
	}()
	address := regexp.MustCompile(`Cloud Run: (http://\S+)`)
	eventually(t, 10*time.Second, "the emulator's address", func() bool { return address.MatchString(out.String()) })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.FindStringSubmatch(out.String())[1]+"/v2/organizations/1/sources/-/findings", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
}
