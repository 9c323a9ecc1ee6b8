package emulator

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestVirusTotal(t *testing.T) {
	t.Parallel()
	hash, page := strings.Repeat("ab", 32), "http://203.0.113.66/x"
	w := testWorld(t)
	for _, r := range []struct{ collection, id, attributes string }{
		{"files", hash, `{"md5":"` + strings.Repeat("cd", 16) + `","last_analysis_stats":{"malicious":58}}`},
		{"domains", "evil.example.net", `{"reputation":-1}`},
		{"ip_addresses", "203.0.113.66", `{}`},
		{"urls", page, `{"url":"` + page + `"}`},
	} {
		if err := w.SetReputation(r.collection, r.id, json.RawMessage(r.attributes)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Options{World: w, VirusTotalKey: "k", Quotas: unlimited()})
	if err != nil {
		t.Fatal(err)
	}
	url, err := e.StartVirusTotal(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path, key string
		code      int
		at        string
		want      any
	}{
		{"files/" + hash, "k", 200, "data.attributes.last_analysis_stats.malicious", 58.0},
		{"files/" + strings.ToUpper(hash), "k", 200, "data.id", hash},
		{"files/" + strings.Repeat("cd", 16), "k", 200, "data.type", "file"},
		{"domains/evil.example.net", "k", 200, "data.type", "domain"},
		{"ip_addresses/203.0.113.66", "k", 200, "data.type", "ip_address"},
		{"urls/" + base64.RawURLEncoding.EncodeToString([]byte(page)), "k", 200, "data.attributes.url", page},
		{"urls/" + urlID(page), "k", 200, "data.type", "url"},
		{"urls/" + base64.URLEncoding.EncodeToString([]byte(page+"yy")), "k", 400, "error.code", "InvalidArgumentError"},
		{"files/" + strings.Repeat("00", 32), "k", 404, "error.code", "NotFoundError"},
		{"files/short", "k", 400, "error.code", "InvalidArgumentError"},
		{"files/" + hash, "wrong", 401, "error.code", "WrongCredentialsError"},
		{"files/" + hash, "", 401, "error.code", "AuthenticationRequiredError"},
		{"comments/x", "k", 404, "error.code", "NotFoundError"},
	}
	for _, tt := range tests {
		code, v := rest(t, "GET", url+"/api/v3/"+tt.path, "", "x-apikey", tt.key)
		if code != tt.code || dig(v, tt.at) != tt.want {
			t.Errorf("%s: %d, %s = %v; want %d, %v", tt.path, code, tt.at, dig(v, tt.at), tt.code, tt.want)
		}
	}
	if n := e.Counts()["files"]; n != 7 {
		t.Errorf("%d lookups of files counted, want 7", n)
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(Quotas{VTPerDay: 7}, time.Now)
		var got []string
		spend := func(n int) {
			for range n {
				got = append(got, l.spendVirusTotal())
			}
		}
		spend(5)
		time.Sleep(30 * time.Second)
		spend(1)
		time.Sleep(30 * time.Second)
		spend(4)
		time.Sleep(24 * time.Hour)
		spend(1)
		if want := ",,,,minute,minute,,,,day,"; strings.Join(got, ",") != want {
			t.Errorf("refusals %q, want %q", strings.Join(got, ","), want)
		}
		for i := range 61 {
			call := &Call{Method: "google.logging.v2.LoggingServiceV2/ListLogEntries"}
			if err := l.spend(call); (err != nil) != (i == 60) {
				t.Errorf("log read %d: %v", i+1, err)
			}
		}
		if err := l.spend(&Call{Method: "x/ListLogEntries", Metadata: map[string][]string{"x-goog-user-project": {"another"}}}); err != nil {
			t.Errorf("another consumer: %v", err)
		}
		if err := l.spend(&Call{Method: "x/UpdateSecurityMarks"}); err != nil {
			t.Errorf("another budget: %v", err)
		}
	})
}
