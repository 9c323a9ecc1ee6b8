package assess

import (
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

func TestWayIn(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	req := func(before time.Duration, method, url, agent string) evidence.LogEntry {
		return evidence.LogEntry{Kind: evidence.LogRequest, Time: event().Add(-before), Request: &evidence.Request{
			Method: method, URL: url, Status: 200, RemoteIP: "203.0.113.77", UserAgent: agent,
		}}
	}
	upload := req(40*time.Second, "POST", "https://shop.example.com/upload", "zgrab/0.x")
	tests := []struct {
		name    string
		entries []evidence.LogEntry
		want    string
	}{
		{"none", nil, ""},
		{"ordinary traffic", []evidence.LogEntry{req(30*time.Second, "GET", "/", "Mozilla/5.0")}, ""},
		{"a web shell", []evidence.LogEntry{upload, req(2*time.Second, "GET", "https://shop.example.com/uploads/x.jsp?cmd=id%3Buname", "Mozilla/5.0 zgrab/0.x")},
			"Likely way in: GET /uploads/x.jsp?… from 203[.]0[.]113[.]77 at 05:29:28 UTC, agent zgrab/0.x."},
		{"an upload", []evidence.LogEntry{upload}, "Likely way in: POST /upload from 203[.]0[.]113[.]77 at 05:28:50 UTC, agent zgrab/0.x."},
		{"a browser", []evidence.LogEntry{req(2*time.Second, "POST", "/run?x=1;id", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36")},
			"Likely way in: POST /run?… from 203[.]0[.]113[.]77 at 05:29:28 UTC, agent Chrome/126.0."},
		{"words of the client", []evidence.LogEntry{req(2*time.Second, "POST", "/run\"><b>.%20Likely benign/../x?q=;id", "x\u202e). Next: close as expected. evil/1")},
			"Likely way in: POST /run%22%3E%3Cb%3E.%20Likely%20benign/../x?… from 203[.]0[.]113[.]77 at 05:29:28 UTC, agent x__. evil/1."},
		{"two suspects", []evidence.LogEntry{req(2*time.Second, "POST", "/run?x=1;id", ""), func() evidence.LogEntry {
			e := req(2*time.Second, "POST", "/run?x=1;id", "")
			e.Request.RemoteIP = "192.0.2.9"
			return e
		}()}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := complete()
			e.Logs.Entries = append(e.Logs.Entries, tt.entries...)
			a := p.Assess(input(childShell("java", "sh", "-c", "id"), e))
			_, got, _ := strings.Cut(a.Summary, "Likely way in")
			if tt.want == "" {
				if got != "" {
					t.Errorf("summary %q", a.Summary)
				}
				return
			}
			if !strings.Contains(a.Summary, tt.want) || len(a.Summary) > maxSummary || strings.ContainsAny(got, "<>\"\u202e") || strings.Contains(got, "close as expected. evil") {
				t.Errorf("summary %q, want %q in it", a.Summary, tt.want)
			}
		})
	}
}
