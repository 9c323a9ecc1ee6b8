package cloudrun

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

const (
	shop    = "projects/acme/locations/europe-west1/services/shop"
	nightly = "projects/acme/locations/europe-west1/jobs/nightly"
	pool    = "projects/acme/locations/europe-west1/workerPools/pool"
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

var (
	noon    = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)
	shopW   = finding.Workload{Project: "acme", Location: "europe-west1", Kind: finding.Service, Name: "shop"}
	jobW    = finding.Workload{Project: "acme", Location: "europe-west1", Kind: finding.Job, Name: "nightly"}
	poolW   = finding.Workload{Project: "acme", Location: "europe-west1", Kind: finding.WorkerPool, Name: "pool"}
	revName = func(n int) string { return fmt.Sprintf("shop-%05d-abc", n) }
)

func ts(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

func literal(name, value string) *runpb.EnvVar {
	return &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_Value{Value: value}}
}

func secret(name, ref, version string) *runpb.EnvVar {
	return &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_ValueSource{ValueSource: &runpb.EnvVarSource{
		SecretKeyRef: &runpb.SecretKeySelector{Secret: ref, Version: version},
	}}}
}

func revision(n int, created time.Time, change ...func(*runpb.Revision)) *runpb.Revision {
	r := &runpb.Revision{
		Name: shop + "/revisions/" + revName(n), CreateTime: ts(created), Creator: "dev@acme.example",
		ServiceAccount: "shop@acme.iam.gserviceaccount.com",
		Containers:     []*runpb.Container{{Name: "web", Image: "eu.gcr.io/acme/shop@" + digestA, Env: []*runpb.EnvVar{literal("MODE", "live")}}},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// newShop is a service of three revisions, an hour apart, with all traffic on
// the latest.
func newShop() *fakeRun {
	f := &fakeRun{
		services: map[string]*runpb.Service{shop: {
			Name: shop, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL, Creator: "founder@acme.example", LastModifier: "ci@acme.example",
			CreateTime: ts(noon.Add(-720 * time.Hour)), UpdateTime: ts(noon), ThreatDetectionEnabled: true, Client: "gcloud",
			Urls:                []string{"https://shop-1.europe-west1.run.app"},
			LatestReadyRevision: shop + "/revisions/" + revName(3),
			TrafficStatuses:     []*runpb.TrafficTargetStatus{{Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, Percent: 100}},
			Template:            &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: "eu.gcr.io/acme/shop:next"}}},
		}},
		policies:  map[string]*iampb.Policy{shop: {Bindings: []*iampb.Binding{{Role: "roles/run.invoker", Members: []string{"allUsers", "user:a@acme.example"}}}}},
		revisions: map[string]*runpb.Revision{},
	}
	for i, d := range []time.Duration{-2 * time.Hour, -time.Hour, 0} {
		r := revision(i+1, noon.Add(d))
		f.revisions[r.GetName()] = r
	}
	return f
}

func TestReadService(t *testing.T) {
	t.Parallel()
	f := newShop()
	f.revisions[shop+"/revisions/"+revName(3)] = revision(3, noon, func(r *runpb.Revision) {
		r.Creator = "mallory@acme.example"
		r.ServiceAccount = ""
		r.ExecutionEnvironment = runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2
		r.VpcAccess = &runpb.VpcAccess{Connector: "conn", Egress: runpb.VpcAccess_ALL_TRAFFIC}
		r.Scaling = &runpb.RevisionScaling{MinInstanceCount: 1, MaxInstanceCount: 7}
		r.Volumes = []*runpb.Volume{
			{Name: "data", VolumeType: &runpb.Volume_Gcs{Gcs: &runpb.GCSVolumeSource{Bucket: "b"}}},
			{Name: "share", VolumeType: &runpb.Volume_Nfs{Nfs: &runpb.NFSVolumeSource{Server: "10.0.0.2", Path: "/x", ReadOnly: true}}},
			{Name: "tmp", VolumeType: &runpb.Volume_EmptyDir{EmptyDir: &runpb.EmptyDirVolumeSource{}}},
			{Name: "tls", VolumeType: &runpb.Volume_Secret{Secret: &runpb.SecretVolumeSource{Secret: "cert", Items: []*runpb.VersionToPath{{Path: "c.pem", Version: "4"}}}}},
			{Name: "sql", VolumeType: &runpb.Volume_CloudSqlInstance{CloudSqlInstance: &runpb.CloudSqlInstance{Instances: []string{"p:r:i"}}}},
		}
		c := r.GetContainers()[0]
		c.Image, c.Command, c.Args = "docker.io/evil/shop:latest", []string{"sh"}, []string{"-c", "id"}
		c.Env = []*runpb.EnvVar{secret("DB_PASSWORD", "db", "latest"), literal("API_KEY", "hunter2hunter2"), literal("PORT_NAME", "x")}
		c.Ports = []*runpb.ContainerPort{{ContainerPort: 8080}}
		c.VolumeMounts = []*runpb.VolumeMount{{Name: "tls", MountPath: "/certs/"}}
		c.LivenessProbe = &runpb.Probe{ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: "/healthz"}}}
	})
	c := f.start(t, nil)
	w := shopW
	w.Revision = revName(3)
	got, err := c.ReadConfig(t.Context(), w, noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := &evidence.Config{
		Resource: shop, Revision: revName(3), RevisionSource: "finding",
		Containers: []evidence.ContainerConfig{{
			Name: "web", Image: "docker.io/evil/shop:latest", Command: []string{"sh"}, Args: []string{"-c", "id"},
			EnvNames: []string{"DB_PASSWORD", "API_KEY", "PORT_NAME"}, PlaintextSecretEnv: []string{"API_KEY"},
			SecretEnv:    []evidence.SecretRef{{Name: "DB_PASSWORD", Secret: "db", Version: "latest"}},
			SecretMounts: []evidence.SecretRef{{Name: "/certs/c.pem", Secret: "cert", Version: "4"}},
			Mounts:       []evidence.Mount{{Volume: "tls", Path: "/certs/"}}, Ports: []int32{8080}, Probes: []string{"http /healthz"},
		}},
		DefaultServiceAccount: true, Ingress: "all",
		Invokers: []string{"allUsers", "user:a@acme.example"}, AllUsers: true, IAMKnown: true,
		ExecutionEnvironment: "gen2", VPCEgress: "all-traffic", VPCConnector: "conn",
		Volumes: []evidence.Volume{
			{Name: "data", Kind: "gcs", Source: "b", Writable: true}, {Name: "share", Kind: "nfs", Source: "10.0.0.2:/x"},
			{Name: "tmp", Kind: "empty_dir", Writable: true}, {Name: "tls", Kind: "secret", Source: "cert"}, {Name: "sql", Kind: "cloudsql", Source: "p:r:i"},
		},
		Creator: "founder@acme.example", LastModifier: "ci@acme.example", CreateTime: noon.Add(-720 * time.Hour), UpdateTime: noon,
		RevisionCreator: "mallory@acme.example", RevisionCreateTime: noon, Client: "gcloud", URLs: []string{"https://shop-1.europe-west1.run.app"},
		Traffic: []evidence.Traffic{{Revision: revName(3), Percent: 100, Latest: true}}, MinInstances: 1, MaxInstances: 7, ThreatDetection: true,
		Previous: &evidence.PreviousRevision{
			Name: revName(2), CreateTime: noon.Add(-time.Hour), Creator: "dev@acme.example", Image: "eu.gcr.io/acme/shop@" + digestA, Digest: digestA,
			Changed: []string{"image", "command", "args", "env", "service_account", "scaling"},
			Details: []string{
				"image changed: eu.gcr.io/acme/shop@" + digestA + " to docker.io/evil/shop:latest", "command changed", "arguments changed",
				"env added: API_KEY", "env added: DB_PASSWORD", "env added: PORT_NAME", "env removed: MODE",
				"service account changed: shop@acme.iam.gserviceaccount.com to the default", "minimum instances changed: 0 to 1", "maximum instances changed: 0 to 7",
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ReadConfig: -want +got\n%s", diff)
	}
	wantCalls := []string{"GetRevision " + shop + "/revisions/" + revName(3), "GetService " + shop, "ListRevisions " + shop, "Services.GetIamPolicy " + shop}
	if diff := cmp.Diff(wantCalls, f.sortedCalls()); diff != "" {
		t.Errorf("calls: -want +got\n%s", diff)
	}
	if !slices.Contains(f.routing, "location=europe-west1") {
		t.Errorf("no routing by location in %q", f.routing)
	}
	if b, err := json.Marshal(got); err != nil || strings.Contains(string(b), "hunter2") || strings.Contains(string(b), "live") {
		t.Errorf("an environment value left the package (%v): %s", err, b)
	}
}

func TestChooseRevision(t *testing.T) {
	t.Parallel()
	type result struct {
		Revision, Source string
		Gone             bool
		Previous         string
		Partial          []string
	}
	traffic := func(ts ...*runpb.TrafficTargetStatus) func(*fakeRun) {
		return func(f *fakeRun) { f.services[shop].TrafficStatuses = ts }
	}
	to := func(n int, percent int32) *runpb.TrafficTargetStatus {
		return &runpb.TrafficTargetStatus{Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, Revision: revName(n), Percent: percent}
	}
	many := func(f *fakeRun) {
		for i := 4; i <= 40; i++ {
			r := revision(i, noon.Add(time.Duration(i)*time.Minute))
			f.revisions[r.GetName()] = r
		}
	}
	tests := []struct {
		name     string
		change   func(*fakeRun)
		revision string
		at       time.Time
		want     result
	}{
		{name: "latest traffic", at: noon.Add(time.Minute), want: result{Revision: revName(3), Source: "traffic", Previous: revName(2)}},
		{name: "no event time", want: result{Revision: revName(3), Source: "traffic", Previous: revName(2)}},
		{name: "deployed after the event", at: noon.Add(-time.Minute), want: result{Revision: revName(2), Source: "latest", Previous: revName(1)}},
		{name: "before every revision", at: noon.Add(-9 * time.Hour), want: result{Source: "template"}},
		{name: "largest share", change: traffic(to(3, 10), to(1, 90)), at: noon.Add(time.Minute), want: result{Revision: revName(1), Source: "traffic"}},
		{name: "largest share came later", change: traffic(to(3, 90), to(1, 10)), at: noon.Add(-time.Minute), want: result{Revision: revName(1), Source: "traffic"}},
		{name: "tag only is not traffic", change: traffic(to(1, 0)), at: noon.Add(time.Minute), want: result{Revision: revName(3), Source: "latest", Previous: revName(2)}},
		{name: "named", revision: revName(2), at: noon, want: result{Revision: revName(2), Source: "finding", Previous: revName(1)}},
		{name: "named and gone", revision: "shop-00000-old", at: noon, want: result{Revision: revName(3), Source: "traffic", Gone: true, Previous: revName(2)}},
		{
			name: "never ready is no predecessor", at: noon, want: result{Revision: revName(3), Source: "traffic", Previous: revName(1)},
			change: func(f *fakeRun) {
				f.revisions[shop+"/revisions/"+revName(2)].Conditions = []*runpb.Condition{{Type: "Ready", State: runpb.Condition_CONDITION_FAILED}}
			},
		},
		{
			name: "retired is a predecessor", at: noon, want: result{Revision: revName(3), Source: "traffic", Previous: revName(2)},
			change: func(f *fakeRun) {
				f.revisions[shop+"/revisions/"+revName(2)].Conditions = []*runpb.Condition{{
					Type: "Ready", State: runpb.Condition_CONDITION_FAILED, Reasons: &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_RETIRED},
				}}
			},
		},
		{
			name: "pinned to one beyond the newest page", change: func(f *fakeRun) { many(f); traffic(to(1, 100))(f) }, at: noon.Add(24 * time.Hour),
			want: result{Revision: revName(1), Source: "traffic", Partial: []string{"previous_revision"}},
		},
		{
			name: "event beyond the newest page", change: func(f *fakeRun) { many(f); traffic()(f) }, at: noon,
			want: result{Source: "template", Partial: []string{"revision"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newShop()
			if tt.change != nil {
				tt.change(f)
			}
			if len(f.services[shop].GetTrafficStatuses()) == 0 {
				f.services[shop].Traffic = nil
			}
			w := shopW
			w.Revision = tt.revision
			cfg, err := f.start(t, nil).ReadConfig(t.Context(), w, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			got := result{Revision: cfg.Revision, Source: cfg.RevisionSource, Gone: cfg.RevisionGone, Partial: cfg.Partial}
			if cfg.Previous != nil {
				got.Previous = cfg.Previous.Name
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestReadJob(t *testing.T) {
	t.Parallel()
	task := func(args ...string) *runpb.TaskTemplate {
		return &runpb.TaskTemplate{
			Containers:           []*runpb.Container{{Image: "eu.gcr.io/acme/nightly@" + digestA, Args: args}},
			ServiceAccount:       "12345-compute@developer.gserviceaccount.com",
			ExecutionEnvironment: runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2,
		}
	}
	f := &fakeRun{
		jobs: map[string]*runpb.Job{nightly: {
			Name: nightly, Creator: "dev@acme.example", LastModifier: "dev@acme.example",
			BinaryAuthorization: &runpb.BinaryAuthorization{BinauthzMethod: &runpb.BinaryAuthorization_UseDefault{UseDefault: true}, BreakglassJustification: "urgent"},
			Template:            &runpb.ExecutionTemplate{TaskCount: 1, Template: task("--report")},
		}},
		policies: map[string]*iampb.Policy{nightly: {Bindings: []*iampb.Binding{
			{Role: "roles/run.jobsExecutor", Members: []string{"serviceAccount:cron@acme.example"}},
			{Role: "roles/run.servicesInvoker", Members: []string{"allUsers"}},
			{Role: "roles/run.viewer", Members: []string{"user:x@acme.example"}},
		}}},
		executions: map[string]*runpb.Execution{
			nightly + "/executions/nightly-1": {Name: nightly + "/executions/nightly-1", Creator: "cron", CreateTime: ts(noon.Add(-2 * time.Hour)), CompletionTime: ts(noon.Add(-time.Hour)), TaskCount: 1, Template: task("--report")},
			nightly + "/executions/nightly-2": {Name: nightly + "/executions/nightly-2", Creator: "mallory", CreateTime: ts(noon.Add(-10 * time.Minute)), TaskCount: 50, Template: task("--mine")},
			nightly + "/executions/nightly-3": {Name: nightly + "/executions/nightly-3", Creator: "cron", CreateTime: ts(noon.Add(-5 * time.Minute)), CompletionTime: ts(noon.Add(-4 * time.Minute)), TaskCount: 1, Template: task("--report")},
		},
	}
	type result struct {
		Execution, Source, Creator string
		Args                       []string
		Overridden                 bool
		Previous                   string
		Changed                    []string
	}
	tests := []struct {
		name      string
		execution string
		at        time.Time
		want      result
	}{
		{
			name: "named", execution: "nightly-2", at: noon,
			want: result{Execution: "nightly-2", Source: "finding", Creator: "mallory", Args: []string{"--mine"}, Overridden: true, Previous: "nightly-1", Changed: []string{"args", "scaling"}},
		},
		{
			name: "running at the event, not the newer finished one", at: noon,
			want: result{Execution: "nightly-2", Source: "latest", Creator: "mallory", Args: []string{"--mine"}, Overridden: true, Previous: "nightly-1", Changed: []string{"args", "scaling"}},
		},
		{
			name: "finished before the event", at: noon.Add(-30 * time.Minute),
			want: result{Execution: "nightly-1", Source: "latest", Creator: "cron", Args: []string{"--report"}},
		},
		{name: "before every execution", at: noon.Add(-3 * time.Hour), want: result{Source: "template", Args: []string{"--report"}}},
	}
	c := f.start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := jobW
			w.Execution = tt.execution
			cfg, err := c.ReadConfig(t.Context(), w, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			got := result{Execution: cfg.Revision, Source: cfg.RevisionSource, Creator: cfg.RevisionCreator, Args: cfg.Containers[0].Args, Overridden: cfg.OverriddenArgs}
			if cfg.Previous != nil {
				got.Previous, got.Changed = cfg.Previous.Name, cfg.Previous.Changed
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if !cfg.DefaultServiceAccount || cfg.Breakglass != "urgent" || cfg.BinaryAuthorization != "default" || cfg.AllUsers || !slices.Equal(cfg.Invokers, []string{"serviceAccount:cron@acme.example"}) {
				t.Errorf("job posture: %+v", cfg)
			}
		})
	}
}

func TestReadWorkerPool(t *testing.T) {
	t.Parallel()
	rev := pool + "/revisions/pool-00001-abc"
	n := int32(4)
	f := &fakeRun{
		workerPools: map[string]*runpb.WorkerPool{pool: {
			Name: pool, LatestReadyRevision: rev, Scaling: &runpb.WorkerPoolScaling{ManualInstanceCount: &n}, ThreatDetectionEnabled: true,
			InstanceSplitStatuses: []*runpb.InstanceSplitStatus{{Type: runpb.InstanceSplitAllocationType_INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST, Percent: 100}},
		}},
		revisions: map[string]*runpb.Revision{rev: {Name: rev, CreateTime: ts(noon), Containers: []*runpb.Container{{Image: "img:1"}}}},
	}
	w := poolW
	w.Project = "123456"
	for _, m := range []map[string]*runpb.Revision{f.revisions} {
		for k, v := range m {
			m[strings.Replace(k, "acme", "123456", 1)] = v
		}
	}
	byNumber := strings.Replace(pool, "acme", "123456", 1)
	f.workerPools[byNumber] = f.workerPools[pool]
	got, err := f.start(t, nil).ReadConfig(t.Context(), w, noon.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := &evidence.Config{
		Resource: byNumber, Revision: "pool-00001-abc", RevisionSource: "traffic", Containers: []evidence.ContainerConfig{{Image: "img:1"}},
		ServiceAccount: "123456-compute@developer.gserviceaccount.com", DefaultServiceAccount: true, IAMKnown: true, RevisionCreateTime: noon,
		Traffic: []evidence.Traffic{{Revision: "pool-00001-abc", Percent: 100, Latest: true}}, MinInstances: 4, MaxInstances: 4, ThreatDetection: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantCalls := []string{"GetWorkerPool " + byNumber, "ListRevisions " + byNumber, "WorkerPools.GetIamPolicy " + byNumber}
	if diff := cmp.Diff(wantCalls, f.sortedCalls()); diff != "" {
		t.Errorf("calls: -want +got\n%s", diff)
	}
}
