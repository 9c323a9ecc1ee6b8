package logquery

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	_ "google.golang.org/genproto/googleapis/cloud/audit"
	"google.golang.org/protobuf/encoding/protojson"
)

func entry(t testing.TB, s string) *Entry {
	t.Helper()
	e := &loggingpb.LogEntry{}
	if err := protojson.Unmarshal([]byte(s), e); err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(t testing.TB) *Entry {
	return entry(t, `{"logName":"projects/p/logs/run.googleapis.com%2Frequests","insertId":"a1","severity":"WARNING",
 "timestamp":"2026-11-01T10:00:00.500Z","resource":{"type":"cloud_run_revision","labels":{"service_name":"shop","location":"europe-west1"}},
 "labels":{"run.googleapis.com/execution_name":"job-abc","container_name":"app"},"trace":"projects/p/traces/1",
 "httpRequest":{"requestMethod":"POST","requestUrl":"https://shop.example.com/upload","status":404,"requestSize":"2048","latency":"1.5s","remoteIp":"203.0.113.7","userAgent":"Scanner/1"}}`)
}

func audit(t testing.TB) *Entry {
	return entry(t, `{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","severity":"NOTICE","timestamp":"2026-11-01T09:00:00Z",
 "protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","methodName":"google.cloud.run.v2.Services.UpdateService","authenticationInfo":{"principalEmail":"ada@example.com"}}}`)
}

func app(t testing.TB) *Entry {
	return entry(t, `{"logName":"projects/p/logs/run.googleapis.com%2Fstderr","timestamp":"2026-11-01T10:00:01Z",
 "jsonPayload":{"msg":"Login FAILED","n":12,"ok":true,"users":[{"name":"eve"},{"name":"bob"}]}}`)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	entries := map[string]*Entry{"request": request(t), "audit": audit(t), "app": app(t)}
	tests := []struct{ query, want string }{
		{``, "app audit request"},
		{`severity>=WARNING`, "request"},
		{`severity<=NOTICE`, "app audit"},
		{`severity=DEFAULT`, "app"},
		{`severity=(NOTICE OR "WARNING")`, "audit request"},
		{`resource.type="cloud_run_revision" resource.labels.service_name=shop`, "request"},
		{`resource.labels.service_name="SHOP"`, "request"},
		{`labels."run.googleapis.com/execution_name"="job-abc"`, "request"},
		{`labels.container_name=app`, "request"},
		{`httpRequest.status>=400 AND httpRequest.status<500`, "request"},
		{`http_request.request_method="POST"`, "request"},
		{`httpRequest.requestSize>1024`, "request"},
		{`httpRequest.latency>"1s"`, "request"},
		{`httpRequest.status=0`, "app audit"},
		{`httpRequest.requestUrl=~"/up.*d$"`, "request"},
		{`httpRequest.requestUrl!~"/up" AND httpRequest:*`, ""},
		{`httpRequest:*`, "request"},
		{`protoPayload.methodName:"Services.UpdateService"`, "audit"},
		{`protoPayload.authenticationInfo.principalEmail=~"@example\.com$"`, "audit"},
		{`jsonPayload.msg:failed`, "app"},
		{`jsonPayload.n>3`, "app"},
		{`jsonPayload.n="12"`, "app"},
		{`jsonPayload.ok=true`, "app"},
		{`jsonPayload.users.name="bob"`, "app"},
		{`jsonPayload.missing!="x"`, ""},
		{`NOT jsonPayload.missing="x"`, "app audit request"},
		{`-jsonPayload.msg:failed AND NOT trace:traces`, "audit"},
		{`trace=""`, "app audit"},
		{`timestamp>="2026-11-01T10:00:00Z" timestamp<"2026-11-01T10:00:01Z"`, "request"},
		{`timestamp>"2026-11-01"`, "app audit request"},
		{`timestamp>=2026-11-01T10:00:00Z`, "app request"},
		{`logName="projects/p/logs/run.googleapis.com%2Fstderr"`, "app"},
		{`logName=("projects/p/logs/run.googleapis.com%2Fstderr" OR "projects/p/logs/run.googleapis.com%2Frequests")`, "app request"},
		{`logName:cloudaudit`, "audit"},
		{`log_id("run.googleapis.com/requests") OR log_id("cloudaudit.googleapis.com/activity")`, "audit request"},
		{`SCANNER`, "request"},
		{`"login failed"`, "app"},
		{`SEARCH("eve")`, "app"},
		{`SEARCH(httpRequest.userAgent, "scanner")`, "request"},
		{`ip_in_net(httpRequest.remoteIp, "203.0.113.0/24")`, "request"},
		{`ip_in_net(httpRequest.remoteIp, "198.51.100.0/24")`, ""},
		{`severity=WARNING OR severity=NOTICE AND logName:audit`, "audit"},
	}
	for _, tt := range tests {
		q, err := Parse(tt.query)
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.query, err)
			continue
		}
		var got []string
		for _, name := range []string{"app", "audit", "request"} {
			if q.Match(entries[name]) {
				got = append(got, name)
			}
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%s matches %q, want %q", tt.query, g, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`thud="x"`, `operation.thud="x"`, `textPayload.thud="x"`, `timestamp.seconds=1`, `severity>=LOUD`, `timestamp>"yesterday"`,
		`httpRequest.status=abc`, `httpRequest.latency>"fast"`, `httpRequest.cacheHit=maybe`, `resource="x"`, `textPayload=~"("`, `httpRequest.status=~"4.."`,
		`severity=`, `(severity=ERROR`, `severity=ERROR AND`, `sample(insertId, 0.5)`, `ip_in_net(httpRequest.remoteIp, "x")`, `log_id("a","b")`,
		strings.Repeat("é", MaxLength+1),
	} {
		if _, err := Parse(s); err == nil {
			t.Errorf("Parse(%.60s) succeeded, want an error", s)
		}
	}
	if _, err := Parse(strings.Repeat("é", MaxLength)); err != nil {
		t.Errorf("a query of exactly %d characters: %v", MaxLength, err)
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	q, err := Parse(`timestamp>="2026-11-01T10:00:00Z" AND timestamp<="2026-11-01T11:00:00Z" AND timestamp<"2026-11-01T10:30:00Z" AND (timestamp>"2030-01-01" OR severity=ERROR)`)
	if err != nil {
		t.Fatal(err)
	}
	from, to := q.Between()
	if want := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC); !from.Equal(want) {
		t.Errorf("from %v, want %v", from, want)
	}
	if want := time.Date(2026, 11, 1, 10, 30, 0, 0, time.UTC); !to.Equal(want) {
		t.Errorf("to %v, want %v", to, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`severity>=ERROR resource.labels.x="y"`, `jsonPayload.a=~"x.*" OR -labels."a.b"=c`, `log_id("x") httpRequest.status>=500`, `timestamp>"2026-01-01" text`} {
		f.Add(s)
	}
	entries := []*Entry{request(f), audit(f), app(f)}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s)
		if err != nil {
			return
		}
		for _, e := range entries {
			hit := q.Match(e)
			from, to := q.Between()
			at := e.Proto.GetTimestamp().AsTime()
			if hit && (!from.IsZero() && at.Before(from) || !to.IsZero() && at.After(to)) {
				t.Fatalf("%q matches an entry outside its bounds", s)
			}
		}
	})
}
