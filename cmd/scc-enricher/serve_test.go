package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
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

// TestServeIncident: the second finding on a container joins the first in an
// incident, and says so in its marks.
func TestServeIncident(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{flags: []string{"--settle-delay=200ms"}})
	first, one := r.add(newFinding("member-1"))
	r.want(one, http.StatusNoContent, "written")
	f := newFinding("member-2")
	f.Category = "Reverse Shell"
	name, two := r.add(f)
	r.want(two, http.StatusNoContent, "written")
	marks := r.emu.Marks(name)
	if !strings.HasPrefix(marks["enrich_incident"], "inc-") || marks["enrich_related_count"] != "1" {
		t.Errorf("incident %q with %q others", marks["enrich_incident"], marks["enrich_related_count"])
	}
	eventually(t, 20*time.Second, "the members agree", func() bool { return agree(r.emu.Marks(first), r.emu.Marks(name)) })
}

// agree reports whether the members of an incident say the same of it.
func agree(members ...map[string]string) bool {
	for _, key := range []string{"incident", "related_count", "incident_start", "incident_end", "score", "verdict", "priority"} {
		for _, m := range members {
			if value := m["enrich_"+key]; value == "" || value != members[0]["enrich_"+key] {
				return false
			}
		}
	}
	return true
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
	if line := log.last(t); line["record_error"] != "topic away" || line["severity"] != "WARNING" {
		t.Errorf("record_error %v with severity %v", line["record_error"], line["severity"])
	}
}

type brokenRecords struct{}

func (brokenRecords) Record(context.Context, []byte, map[string]string) error {
	return errors.New("topic away")
}
