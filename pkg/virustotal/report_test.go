package virustotal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

func TestReport(t *testing.T) {
	t.Parallel()
	ft, err := targetOf(file(shaA))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, attributes string
		want             evidence.Reputation
	}{
		{
			"everything", `{"last_analysis_stats":{"malicious":58,"suspicious":1,"undetected":10,"harmless":3,"timeout":4,"confirmed-timeout":1,"failure":1,"type-unsupported":9},
			 "popular_threat_classification":{"suggested_threat_label":"trojan.mirai/gafgyt"},"meaningful_name":"a","names":["a","b\u0000\u202e","","c","d","e","f"],
			 "type_description":"ELF","first_submission_date":1600000000,"last_analysis_date":1700000000}`,
			evidence.Reputation{
				State: evidence.OK, Verdict: evidence.VerdictMalicious, Malicious: 58, Suspicious: 1, Engines: 72, Label: "trojan.mirai/gafgyt", Names: []string{"a", "b", "c", "d", "e"},
				Type: "ELF", FirstSeen: time.Unix(1600000000, 0).UTC(), LastAnalysis: time.Unix(1700000000, 0).UTC(),
			},
		},
		{"three engines", `{"last_analysis_stats":{"malicious":3,"undetected":60}}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictMalicious, Malicious: 3, Engines: 63}},
		{"two engines", `{"last_analysis_stats":{"malicious":2,"undetected":60}}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictSuspicious, Malicious: 2, Engines: 62}},
		{"one suspects", `{"last_analysis_stats":{"suspicious":1,"undetected":60}}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictClean, Suspicious: 1, Engines: 61}},
		{"two suspect", `{"last_analysis_stats":{"suspicious":2,"undetected":60}}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictSuspicious, Suspicious: 2, Engines: 62}},
		{"clean", `{"last_analysis_stats":{"malicious":0,"undetected":70}}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictClean, Engines: 70}},
		{"own verdict", `{"last_analysis_stats":{"undetected":70},"threat_verdict":"VERDICT_MALICIOUS"}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictMalicious, Engines: 70}},
		{"own verdict, short", `{"threat_verdict":"SUSPICIOUS"}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictSuspicious}},
		{"own verdict undetected", `{"threat_verdict":"UNDETECTED"}`, evidence.Reputation{State: evidence.Empty, Reason: "never analysed"}},
		{"gti", `{"last_analysis_stats":{"undetected":70},"gti_assessment":{"verdict":{"value":"VERDICT_MALICIOUS"}},"threat_verdict":"SUSPICIOUS"}`, evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictMalicious, Engines: 70}},
		{"nobody answered", `{"last_analysis_stats":{"malicious":0,"timeout":9,"type-unsupported":70}}`, evidence.Reputation{State: evidence.Empty, Reason: "never analysed"}},
		{"no statistics", `{}`, evidence.Reputation{State: evidence.Empty, Reason: "never analysed"}},
		{
			"nulls", `{"last_analysis_stats":{"malicious":null,"undetected":5},"names":null,"popular_threat_classification":null,"gti_assessment":null,"first_submission_date":null,"type_description":null,"type_tag":"elf"}`,
			evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictClean, Engines: 5, Type: "elf"},
		},
		{
			"other types", `{"last_analysis_stats":{"malicious":"many","undetected":5},"names":"x","popular_threat_classification":[],"first_submission_date":"yesterday","type_description":7,"last_analysis_date":-3}`,
			evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictClean, Engines: 5},
		},
		{"absurd", `{"last_analysis_stats":{"malicious":-1,"undetected":99999999},"last_analysis_date":99999999999999}`, evidence.Reputation{State: evidence.Empty, Reason: "never analysed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reportOf(ft, json.RawMessage(`{"id":"`+shaA+`","type":"file","attributes":`+tt.attributes+`}`))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.URL = guiURL + "file/" + shaA
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	for _, bad := range []string{``, `null`, `[]`, `"x"`, `{"id":"` + shaA + `"}`, `{"attributes":null}`, `{"type":"domain","attributes":{}}`, `{"id":"` + shaB + `","attributes":{}}`} {
		if r, err := reportOf(ft, json.RawMessage(bad)); err == nil {
			t.Errorf("reportOf(%s) = %+v", bad, r)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, value, path string
	}{
		{"file", shaA, "files/" + shaA},
		{"file", strings.ToUpper(shaA), ""},
		{"file", shaA[:32], ""},
		{"file", shaA + "/../", ""},
		{"domain", "evil.example.org", "domains/evil.example.org"},
		{"domain", "XN--80AK6AA92E.com.", "domains/xn--80ak6aa92e.com"},
		{"domain", "localhost", ""},
		{"domain", "metadata.google.internal", ""},
		{"domain", "printer.local", ""},
		{"domain", "a.b.svc", ""},
		{"domain", "shop.example", ""},
		{"domain", "1.2.3.4", ""},
		{"domain", "a..com", ""},
		{"domain", "a/b.com", ""},
		{"domain", strings.Repeat("a.", 200) + "com", ""},
		{"ip", "8.8.8.8", "ip_addresses/8.8.8.8"},
		{"ip", "::ffff:8.8.8.8", "ip_addresses/8.8.8.8"},
		{"ip", "2606:4700:0:0::1111", "ip_addresses/2606:4700::1111"},
		{"ip", "10.0.0.1", ""},
		{"ip", "172.16.3.4", ""},
		{"ip", "192.168.1.1", ""},
		{"ip", "127.0.0.1", ""},
		{"ip", "::ffff:127.0.0.1", ""},
		{"ip", "169.254.169.254", ""},
		{"ip", "100.64.0.1", ""},
		{"ip", "203.0.113.7", ""},
		{"ip", "0.0.0.0", ""},
		{"ip", "224.0.0.1", ""},
		{"ip", "255.255.255.255", ""},
		{"ip", "::1", ""},
		{"ip", "fe80::1", ""},
		{"ip", "fe80::1%eth0", ""},
		{"ip", "fd00:ec2::254", ""},
		{"ip", "2001:db8::1", ""},
		{"ip", "64:ff9b::a00:1", ""},
		{"ip", "not an address", ""},
		{"url", "http://evil.example.org/x", "urls/aHR0cDovL2V2aWwuZXhhbXBsZS5vcmcveA"},
		{"url", "http://169.254.169.254/computeMetadata/v1/", ""},
		{"url", "http://metadata.google.internal/", ""},
		{"url", "http://user:pw@evil.example.org/", ""},
		{"url", "http://[::1]/", ""},
		{"url", "http://2130706433/", ""},
		{"url", "http://127.1/", ""},
		{"url", "file:///etc/passwd", ""},
		{"url", "http://", ""},
		{"url", "http://evil.example.org/" + strings.Repeat("x", 3000), ""},
		{"process", "x", ""},
	}
	for _, tt := range tests {
		got, err := targetOf(evidence.Artifact{Kind: tt.kind, Value: tt.value})
		if (err == nil) != (tt.path != "") || got.path != tt.path {
			t.Errorf("targetOf(%s %q) = %q, %v; want %q", tt.kind, tt.value, got.path, err, tt.path)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add(`{"attributes":{"last_analysis_stats":{"malicious":3}}}`)
	f.Add(`{"attributes":{"names":[1],"gti_assessment":{"verdict":3}}}`)
	ft, err := targetOf(file(shaA))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data string) {
		r, err := reportOf(ft, json.RawMessage(data))
		if err == nil && r.State != evidence.OK && r.State != evidence.Empty {
			t.Errorf("state %q", r.State)
		}
		if len(r.Names) > maxNames || r.Malicious < 0 || r.Engines < r.Malicious {
			t.Errorf("report %+v", r)
		}
	})
}

func FuzzTarget(f *testing.F) {
	f.Add("url", "http://evil.example.org/x")
	f.Add("domain", "evil.example.org")
	f.Fuzz(func(t *testing.T, kind, value string) {
		got, err := targetOf(evidence.Artifact{Kind: kind, Value: value})
		if err == nil && strings.ContainsAny(got.path, "?#% \n") {
			t.Errorf("path %q", got.path)
		}
	})
}

func realData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA is not set")
	}
	return filepath.Join(dir, "virustotal")
}

// TestRealReports maps reports as the real API returned them.
func TestRealReports(t *testing.T) {
	t.Parallel()
	dir := realData(t)
	type object struct {
		ID, Type   string
		Attributes map[string]json.RawMessage
	}
	tests := map[string]evidence.Verdict{
		"file_eicar_a.json": evidence.VerdictMalicious, "file_malicious47_opencti.json": evidence.VerdictMalicious, "file_rtf_malicious35.json": evidence.VerdictMalicious,
		"gti_files.json": evidence.VerdictMalicious, "gti_ip.json": evidence.VerdictMalicious, "domain_opencti.json": evidence.VerdictMalicious,
		"object_url_0.json": evidence.VerdictClean, "object_url_2.json": evidence.VerdictClean,
		"list_livehunt_clean.json": evidence.VerdictClean, "list_retrohunt_elf_malicious1.json": evidence.VerdictSuspicious,
	}
	kinds := map[string]string{"file": kindFile, "domain": kindDomain, "ip_address": kindIP, "url": kindURL}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			var objects []json.RawMessage
			var wrapped struct{ Data, Response json.RawMessage }
			switch {
			case json.Unmarshal(raw, &objects) == nil: // a bare array
			case json.Unmarshal(raw, &wrapped) != nil:
				t.Fatal("not JSON")
			case json.Unmarshal(wrapped.Data, &objects) == nil: // a list
			case wrapped.Data != nil:
				objects = append(objects, wrapped.Data)
			case wrapped.Response != nil:
				objects = append(objects, wrapped.Response)
			default:
				objects = append(objects, raw)
			}
			for _, data := range objects {
				var o object
				if err := json.Unmarshal(data, &o); err != nil {
					t.Fatal(err)
				}
				tg := target{kind: kinds[o.Type], value: o.ID, objectType: o.Type}
				r, err := reportOf(tg, data)
				if err != nil {
					t.Fatal(err)
				}
				if r.State != evidence.OK || r.Verdict != want || r.Engines == 0 || (tg.kind == kindFile && r.FirstSeen.IsZero()) || len(r.Names) > maxNames {
					t.Errorf("%+v, want %s", r, want)
				}
			}
		})
	}
}

// TestRealErrors answers with every documented status and code, and with
// errors as they were seen.
func TestRealErrors(t *testing.T) {
	t.Parallel()
	dir := realData(t)
	var pairs []struct {
		Status int
		Code   string
	}
	raw, err := os.ReadFile(filepath.Join(dir, "error_codes_documented.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &pairs); err != nil || len(pairs) < 10 {
		t.Fatal(err)
	}
	state := func(status int) evidence.State {
		switch status {
		case 401, 403:
			return evidence.Denied
		case 404:
			return evidence.Empty
		case 429:
			return evidence.Quota
		}
		return evidence.Error
	}
	check := func(name string, status int, answer func(http.ResponseWriter, *http.Request)) {
		f := &fakeVT{}
		f.set(answer)
		c, _ := start(t, f)
		got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
		if got[0].State != state(status) || (err == nil) != (status == 404) {
			t.Errorf("%s: %+v, %v; want %s", name, got[0], err, state(status))
		}
	}
	for _, p := range pairs {
		check(p.Code, p.Status, refuse(p.Status, p.Code, "a message"))
	}
	raw, err = os.ReadFile(filepath.Join(dir, "errors.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); lines++ {
		var e struct {
			Status int
			Body   string
		}
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		check(e.Body, e.Status, func(w http.ResponseWriter, _ *http.Request) { write(w, e.Status, e.Body) })
	}
	if lines == 0 {
		t.Error("no errors read")
	}
}
