package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOffHours(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("Berlin", 2*3600)
	for _, tt := range []struct {
		at   string
		zone *time.Location
		want bool
	}{
		{"2026-03-03T05:59:59Z", nil, true}, // a Tuesday
		{"2026-03-03T06:00:00Z", nil, false},
		{"2026-03-03T19:59:59Z", nil, false},
		{"2026-03-03T20:00:00Z", nil, true},
		{"2026-03-07T12:00:00Z", nil, true}, // Saturday
		{"2026-03-08T12:00:00Z", nil, true}, // Sunday
		{"2026-03-09T00:30:00+01:00", nil, true},
		{"2026-03-03T04:30:00Z", berlin, false},
		{"2026-03-03T18:30:00Z", berlin, true},
		{"2026-03-06T22:30:00Z", berlin, true},
		{"2026-03-08T22:30:00Z", berlin, true}, // Monday, but at night
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := OffHours(at, tt.zone); got != tt.want {
			t.Errorf("OffHours(%s, %v) = %v, want %v", tt.at, tt.zone, got, tt.want)
		}
	}
	if OffHours(time.Time{}, nil) {
		t.Error("an unknown time is out of hours")
	}
}

// errors are entries at these seconds before the event.
func errorsAt(before ...int) []LogEntry {
	var out []LogEntry
	for _, s := range before {
		out = append(out, LogEntry{Kind: LogApp, Time: event.Add(-time.Duration(s) * time.Second), Severity: "ERROR", Text: "boom"})
	}
	return out
}

// TestSignalsOfSeveral: what only several entries together show, with the
// entries behind it.
func TestSignalsOfSeveral(t *testing.T) {
	t.Parallel()
	from := func(e LogEntry, ip string) LogEntry {
		r := *e.Request
		r.RemoteIP = ip
		e.Request = &r
		return e
	}
	night := func(e LogEntry) LogEntry {
		e.Time = e.Time.Add(-10 * time.Hour)
		return e
	}
	upload := request(3*time.Minute, "POST", "/upload", 200)
	call := audit(time.Hour, "google.cloud.run.v2.Services.UpdateService")
	for _, tt := range []struct {
		name    string
		kind    string
		entries []LogEntry
		zone    *time.Location
		want    []int
		count   int
	}{
		{"ten errors in a minute", SignalErrorBurst, errorsAt(200, 130, 60, 55, 50, 45, 40, 35, 30, 20, 10, 5), nil, []int{7, 8, 9, 10, 11}, 10},
		{"ten errors in an hour", SignalErrorBurst, errorsAt(3600, 3000, 2500, 2000, 1500, 1000, 500, 400, 300, 200, 100), nil, nil, 0},
		{"nine errors at once", SignalErrorBurst, errorsAt(1, 1, 1, 1, 1, 1, 1, 1, 1), nil, nil, 0},

		{"a web shell", SignalUploadedScript, []LogEntry{upload, request(2*time.Minute, "GET", "/uploads/x.jsp?cmd=id", 200), request(time.Minute, "POST", "/uploads/x.jsp", 504)}, nil, []int{1, 2}, 2},
		{"by another client", SignalUploadedScript, []LogEntry{upload, from(request(time.Minute, "GET", "/media/x.php", 200), "192.0.2.9")}, nil, []int{1}, 1},
		{"put and run", SignalUploadedScript, []LogEntry{request(2*time.Minute, "PUT", "/app/x.jsp", 201), request(time.Minute, "GET", "/app/x.jsp", 200)}, nil, []int{1}, 1},
		{"encoded", SignalUploadedScript, []LogEntry{upload, request(time.Minute, "GET", "/uploads/x%2Ejsp", 200)}, nil, []int{1}, 1},
		{"no upload", SignalUploadedScript, []LogEntry{request(time.Minute, "GET", "/uploads/x.jsp", 200)}, nil, nil, 0},
		{"posted to among what others stored", SignalUploadedScript, []LogEntry{request(time.Minute, "POST", "/wp-content/uploads/2026/02/s.php", 200)}, nil, []int{0}, 1},
		{"posted to, or uploaded by it", SignalUploadedScript, []LogEntry{request(time.Minute, "POST", "/uploads/x.jsp", 200)}, nil, nil, 0},
		{"posted to the page that uploads", SignalUploadedScript, []LogEntry{request(time.Minute, "POST", "/uploads/save_file.php", 200)}, nil, nil, 0},
		{"posted to a script that is not there", SignalUploadedScript, []LogEntry{request(time.Minute, "POST", "/uploads/s.php", 404)}, nil, nil, 0},
		{"posted to a program's own script", SignalUploadedScript, []LogEntry{request(time.Minute, "POST", "/wp-admin/admin-ajax.php", 200)}, nil, nil, 0},
		{"asked for .env and .git first", SignalProbeThenHit, []LogEntry{request(3*time.Minute, "GET", "/.env", 404), request(2*time.Minute, "GET", "/.git/config", 403), request(time.Minute, "POST", "/api/preview", 200)}, nil, []int{2}, 1},
		{"asked for .env twice", SignalProbeThenHit, []LogEntry{request(3*time.Minute, "GET", "/.env", 404), request(2*time.Minute, "GET", "/.env?x", 404), request(time.Minute, "POST", "/api/preview", 200)}, nil, nil, 0},
		{"another client asked for them", SignalProbeThenHit, []LogEntry{from(request(3*time.Minute, "GET", "/.env", 404), "192.0.2.9"), from(request(2*time.Minute, "GET", "/.git/config", 404), "192.0.2.9"), request(time.Minute, "POST", "/api/preview", 200)}, nil, nil, 0},
		{"well-known files are asked for by anybody", SignalProbeThenHit, []LogEntry{request(3*time.Minute, "GET", "/.well-known/security.txt", 404), request(2*time.Minute, "GET", "/.well-known/assetlinks.json", 404), request(time.Minute, "GET", "/", 200)}, nil, nil, 0},
		{"the upload came later", SignalUploadedScript, []LogEntry{request(5*time.Minute, "GET", "/uploads/x.jsp", 200), upload}, nil, nil, 0},
		{"a refused upload", SignalUploadedScript, []LogEntry{request(3*time.Minute, "POST", "/upload", 403), request(time.Minute, "GET", "/uploads/x.jsp", 200)}, nil, nil, 0},
		{"the script is not there", SignalUploadedScript, []LogEntry{upload, request(time.Minute, "GET", "/uploads/x.jsp", 404)}, nil, nil, 0},
		{"a picture", SignalUploadedScript, []LogEntry{upload, request(time.Minute, "GET", "/uploads/x.png", 200)}, nil, nil, 0},
		{"the page that uploads", SignalUploadedScript, []LogEntry{request(3*time.Minute, "POST", "/upload.php", 200), request(time.Minute, "GET", "/upload.php", 200)}, nil, nil, 0},

		{"a deploy at two in the morning", SignalOffHoursDeploy, []LogEntry{night(call), call}, nil, []int{0}, 1},
		{"which is daytime elsewhere", SignalOffHoursDeploy, []LogEntry{night(call), call}, time.FixedZone("east", 8*3600), nil, 0},
		{"which is night elsewhere", SignalOffHoursDeploy, []LogEntry{call}, time.FixedZone("east", 10*3600), []int{0}, 1},
		{"a new revision at night", SignalOffHoursDeploy, []LogEntry{night(ready(time.Hour, "shop-2", true))}, nil, []int{0}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sigs := Signals(Logs{Event: event, Entries: tt.entries, Zone: tt.zone}, nil)
			i := slices.IndexFunc(sigs, func(s Signal) bool { return s.Kind == tt.kind })
			if i < 0 {
				if tt.count > 0 {
					t.Fatalf("no %s among %v", tt.kind, sigs)
				}
				return
			}
			if diff := cmp.Diff(Signal{Kind: tt.kind, Count: tt.count, Entries: tt.want}, sigs[i]); diff != "" {
				t.Errorf("signal (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEverySignal: one log that shows everything, each signal with its count
// and the entries behind it.
func TestEverySignal(t *testing.T) {
	t.Parallel()
	var l Logs
	want := map[string][]int{}
	add := func(e LogEntry, kinds ...string) {
		for _, k := range kinds {
			want[k] = append(want[k], len(l.Entries))
		}
		l.Entries = append(l.Entries, e)
	}
	add(audit(11*time.Hour, "google.cloud.run.v2.Services.UpdateService"), SignalDeploy, SignalOffHoursDeploy) // 01:00
	add(audit(3*time.Hour, "google.cloud.run.v1.Services.SetIamPolicy"), SignalIAMChange)
	add(audit(2*time.Hour, "google.cloud.run.v1.Jobs.RunJob"), SignalJobRun)
	for i := range probeErrors {
		add(request(9*time.Minute, "GET", fmt.Sprintf("/admin%d", i), 404), SignalHTTP4xx)
	}
	add(request(8*time.Minute, "GET", "/manager", 200), SignalProbeThenHit)
	l.Entries[len(l.Entries)-1].Request.UserAgent = "nikto/2.5"
	want[SignalScannerAgent] = []int{len(l.Entries) - 1}
	add(request(7*time.Minute, "POST", "/upload", 503), SignalUpload, SignalHTTP5xx)
	add(request(6*time.Minute, "GET", "/uploads/x.jsp?f=../../etc/passwd", 500), SignalUploadedScript, SignalPathTraversal, SignalHTTP5xx)
	add(request(5*time.Minute, "GET", "/ping?h=1;id", 500), SignalCommandInjection, SignalHTTP5xx)
	add(app("uid=0(root) gid=0(root)"), SignalShellOutput)
	add(app("stratum+tcp://pool:3333"), SignalToolOutput)
	add(app("started kdevtmpfsi"), SignalProcessNameSeen)
	add(app("connected to 203.0.113.66"), SignalIndicatorSeen)
	add(app("Traceback (most recent call last):"), SignalStackTrace)
	add(system("Memory limit of 512 MiB exceeded"), SignalOOM)
	add(system("Container called exit(139)."), SignalCrash)
	add(system("Starting new instance. Reason: AUTOSCALING"), SignalRestart)
	for range burstErrors {
		add(LogEntry{Kind: LogApp, Time: event, Severity: "ERROR", Text: "boom"}, SignalError, SignalErrorBurst)
	}
	got := map[string][]int{}
	for _, s := range Signals(l, attack()) {
		got[s.Kind] = s.Entries
		if s.Count != len(want[s.Kind]) {
			t.Errorf("%s: count %d, want %d", s.Kind, s.Count, len(want[s.Kind]))
		}
	}
	for k, idx := range want {
		want[k] = nearest(l, idx, event)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries behind the signals (-want +got):\n%s", diff)
	}
	for _, k := range SignalKinds() {
		if len(want[k]) == 0 {
			t.Errorf("nothing shows %s", k)
		}
	}
}
