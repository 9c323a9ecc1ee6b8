package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// The world of the fault suite: findings of several processes on each of two
// services in each of three projects.
const (
	faultProjects   = 3
	faultServices   = 2
	faultPerService = 3
	// faultFindings are to be enriched; two messages more are to be ignored and
	// one can never succeed.
	faultFindings = faultProjects * faultServices * faultPerService
	faultOthers   = 3
	// faultOrganization holds the projects.
	faultOrganization = "882103374521"
)

func faultProject(p int) (id, number string) {
	return fmt.Sprintf("fault-prod-%d", p+1), fmt.Sprintf("70000000000%d", p+1)
}

func faultService(p, s int) string {
	return fmt.Sprintf("%s-%s", []string{"red", "green", "blue"}[p], []string{"front", "back"}[s])
}

// faultHash is the hash of a finding's binary.
func faultHash(p, s, n int) string {
	return fmt.Sprintf("%02d%02d%02d", p, s, n) + strings.Repeat("ab", 29)
}

// faultWorld is a world as it was at base, by a clock that may be wrong.
func faultWorld(t testing.TB, base time.Time, now func() time.Time) *emulator.World {
	t.Helper()
	w := emulator.NewWorld(now)
	for p := range faultProjects {
		id, number := faultProject(p)
		w.AddProject(emulator.Project{ID: id, Number: number, Organization: faultOrganization})
		for s := range faultServices {
			w.AddService(emulator.WorkloadSpec{
				Project: id, Location: "europe-west1", Name: faultService(p, s), Created: base.Add(-time.Hour), Public: s == 0,
				Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
			})
			addFaultLog(t, w, base, p, s)
			// One member of the incident is known as malware, and not the one that
			// comes first: the others must come to say so, too.
			if s == 0 {
				continue
			}
			if err := w.SetReputation("files", faultHash(p, s, faultPerService-1), []byte(`{"last_analysis_stats":{"malicious":58,"undetected":14},"popular_threat_classification":{"suggested_threat_label":"trojan.mirai"}}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

func addFaultLog(t testing.TB, w *emulator.World, base time.Time, p, s int) {
	t.Helper()
	id, _ := faultProject(p)
	err := w.AddLogEntries(&loggingpb.LogEntry{
		LogName: "projects/" + id + "/logs/run.googleapis.com%2Fstderr", Timestamp: timestamppb.New(base.Add(-time.Minute)),
		Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{
			"project_id": id, "location": "europe-west1", "service_name": faultService(p, s), "revision_name": faultService(p, s) + "-00001-abc",
		}},
		Payload: &loggingpb.LogEntry_TextPayload{TextPayload: "sh: 1: wget: not found"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// faultFinding is the nth finding on a service.
func faultFinding(base time.Time, p, s, n int) *securitycenterpb.Finding {
	id, number := faultProject(p)
	commands := []string{`"ls /app"`, `"id"`, `"date"`}
	return &securitycenterpb.Finding{
		CanonicalName: fmt.Sprintf("projects/%s/sources/7001/locations/global/findings/%s-%d", number, faultService(p, s), n),
		Category:      "Unexpected Child Shell", ParentDisplayName: "Cloud Run Threat Detection",
		ResourceName: "//run.googleapis.com/projects/" + id + "/locations/europe-west1/services/" + faultService(p, s),
		Severity:     securitycenterpb.Finding_LOW, FindingClass: securitycenterpb.Finding_THREAT,
		EventTime:  timestamppb.New(base.Add(time.Duration(n) * time.Minute)),
		Containers: []*securitycenterpb.Container{{Name: "app", Uri: "europe-west1-docker.pkg.dev/" + id + "/apps/" + faultService(p, s) + ":v1"}},
		Processes: []*securitycenterpb.Process{{
			Name: "sh", Pid: 17, ParentPid: 1, Args: []string{`"sh"`, `"-c"`, commands[n%3]},
			Binary: &securitycenterpb.File{Path: `"/bin/dash"`, Size: 125688, HashedSize: 125688, Sha256: faultHash(p, s, n)},
		}, {Name: "java", Pid: 1, Args: []string{`"java"`, `"-jar"`, `"/app/shop.jar"`}}},
	}
}

// arrive lets everything happen: the findings, two to be ignored, and a
// message that can never succeed.
func (r *faultRig) arrive() {
	r.t.Helper()
	add := func(f *securitycenterpb.Finding) {
		if err := r.emu.AddFinding(f, nil, nil); err != nil {
			r.t.Fatal(err)
		}
	}
	for n := range faultPerService {
		for p := range faultProjects {
			for s := range faultServices {
				f := faultFinding(r.base, p, s, n)
				r.names = append(r.names, f.GetCanonicalName())
				add(f)
			}
		}
	}
	closed := faultFinding(r.base, 0, 0, 90)
	closed.State = securitycenterpb.Finding_INACTIVE
	add(closed)
	foreign := faultFinding(r.base, 0, 0, 91)
	foreign.ResourceName = "//compute.googleapis.com/projects/fault-prod-1/zones/europe-west1-b/instances/vm"
	add(foreign)
	r.pusher.Publish([]byte("no JSON"), nil)
}

// faultClock is a clock that can be moved on, so that minutes of an outage and
// of its follow-ups take no time.
type faultClock struct{ ahead atomic.Int64 }

func (c *faultClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *faultClock) jump(d time.Duration) {
	if d > 0 {
		c.ahead.Add(int64(d))
	}
}
