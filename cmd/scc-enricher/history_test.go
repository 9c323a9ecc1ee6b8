package main

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// TestSeenBefore: the same that people closed on two days before is said in
// marks and record, for no request more; findings of the past are left alone.
func TestSeenBefore(t *testing.T) {
	t.Parallel()
	w := emulator.NewWorld(nil)
	w.AddProject(emulator.Project{ID: testProject, Number: testNumber, Organization: "882103374521"})
	w.AddService(emulator.WorkloadSpec{Project: testProject, Location: "europe-west1", Name: "storefront", Created: time.Now().Add(-48 * time.Hour), Public: true})
	addLog(t, w, "listening on :8080") // output of a shell would undo every explanation
	r := newRig(t, rigOptions{emulator: emulator.Options{World: w}})
	again := func(id string, before time.Duration, n string, state securitycenterpb.Finding_State) *securitycenterpb.Finding {
		f := newFinding(id)
		f.State = state
		f.EventTime = timestamppb.New(f.GetEventTime().AsTime().Add(-before))
		f.Processes[0].Args = []string{`"sh"`, `"-c"`, `"convert /tmp/in-` + n + `.png /tmp/out.jpg"`}
		return f
	}
	const day = 24 * time.Hour
	r.add(again("older-3", 3*day, "3", securitycenterpb.Finding_INACTIVE))
	r.add(again("older-9", 9*day, "9", securitycenterpb.Finding_INACTIVE))
	r.add(again("too-old", 40*day, "1", securitycenterpb.Finding_INACTIVE))
	r.add(again("open", 5*day, "5", securitycenterpb.Finding_ACTIVE))
	name, notification := r.add(again("now", 0, "42", securitycenterpb.Finding_ACTIVE))
	r.want(notification, 204, "written")
	marks := r.emu.Marks(name)
	if !strings.Contains(marks["enrich_reasons"], "seen_before(-25)") {
		t.Errorf("reasons %q, sources %q", marks["enrich_reasons"], marks["enrich_sources"])
	}
	if !strings.Contains(marks["enrich_sources"], "findings=empty") {
		t.Errorf("sources %q: findings of the past are no company", marks["enrich_sources"])
	}
	rec := checkRecord(t, r.records.get()[0])
	if s := rec.SeenBefore; s == nil || s.Count != 2 || s.ClosedDays != 2 || len(s.Findings) != 2 || !strings.HasSuffix(s.Findings[0], "/older-3") {
		t.Errorf("seen before: %+v", s)
	}
	if n := r.emu.Counts()["ListFindings"]; n != 1 {
		t.Errorf("%d lists, want 1", n)
	}
	for _, id := range []string{"older-3", "open", "too-old"} {
		if got := own(r.emu.Marks(testSource + "/findings/" + id)); len(got) > 0 {
			t.Errorf("%s was marked: %v", id, got)
		}
	}
}
