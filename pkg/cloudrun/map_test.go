package cloudrun

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

func TestPlaintextSecret(t *testing.T) {
	t.Parallel()
	// The values are made up; those in a token's form are split so that no
	// scanner takes them for real ones.
	tests := []struct {
		name, env, value string
		want             bool
	}{
		{"password", "DB_PASSWORD", "hunter2", true},
		{"camel case", "dbPassword", "hunter2", true},
		{"api key", "STRIPE_API_KEY", "whatever", true},
		{"secret key base", "SECRET_KEY_BASE", "0123456789abcdef", true},
		{"private key by name", "PRIVATE_KEY", "MIIEvQ", true},
		{"credentials", "SMTP_CREDENTIALS", "u:p", true},
		{"pass", "SMTP_PASS", "p", true},
		{"token", "GITHUB_TOKEN", "abc", true},
		{"dsn with credentials", "SENTRY_DSN", "https://0123@o1.ingest.example", true},
		{"default password", "REDIS_PASSWORD", "changeme", true},
		{"empty", "DB_PASSWORD", "", false},
		{"blank", "DB_PASSWORD", "  ", false},
		{"file", "DB_PASSWORD_FILE", "/run/secrets/db", false},
		{"path", "TOKEN_PATH", "abc", false},
		{"secret's name", "SECRET_NAME", "db-password", false},
		{"path under another name", "GOOGLE_APPLICATION_CREDENTIALS", "/secrets/key.json", false},
		{"reference", "DB_PASSWORD", "projects/1/secrets/db/versions/3", false},
		{"expansion", "DB_PASSWORD", "$(OTHER)", false},
		{"url without credentials", "TOKEN_URL", "https://issuer.example/token", false},
		{"url as token server", "AUTH_TOKEN", "https://issuer.example/token", false},
		{"dsn without credentials", "DATABASE_DSN", "postgres://db.internal/app", false},
		{"switch", "PASSWORD_AUTH", "true", false},
		{"number of tokens", "MAX_TOKENS", "4096", false},
		{"ttl", "TOKEN_TTL", "3600", false},
		{"public", "NEXT_PUBLIC_API_KEY", "abc", false},
		{"working directory", "PWD", "srv", false},
		{"tokenizer", "TOKENIZERS_PARALLELISM", "maybe", false},
		{"plain", "MODE", "live", false},
		{"ordinary url", "BACKEND_URL", "https://backend.example/a?b=c", false},

		{"private key", "CONFIG", "-----BEGIN RSA " + "PRIVATE KEY-----\nMII", true},
		{"service account key", "CONFIG", `{"type":"service_account","private_key": "x"}`, true},
		{"google api key", "MAPS", "AIza" + strings.Repeat("x", 35), true},
		{"stripe", "PAY", "sk_" + "live_0123456789abcdef", true},
		{"github", "GH", "ghp_" + strings.Repeat("a", 36), true},
		{"aws id", "AWS_ACCESS_KEY_ID", "AKIA" + strings.Repeat("A", 16), true},
		{"jwt", "X", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0.abc", true},
		{"url with password", "DATABASE_URL", "postgres://app:hunter2@db.internal/app", true},
		{"redis url without a user", "REDIS_URL", "redis://:hunter2@10.0.0.3:6379", true},
		{"url with user only", "REPO_URL", "ssh://git@github.com/acme/shop", false},
		{"url with expansion", "DATABASE_URL", "postgres://app:$(PW)@db/app", false},
		{"connection string", "SQL", "Server=db;User Id=app;Password=hunter2;", true},
		{"slack", "HOOK", "https://hooks.slack.com/services/" + strings.Repeat("T", 24), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := plaintextSecret(tt.env, tt.value); got != tt.want {
				t.Errorf("plaintextSecret(%q, %q) = %v", tt.env, tt.value, got)
			}
		})
	}
}

func TestInvokersOf(t *testing.T) {
	t.Parallel()
	bind := func(role string, members ...string) *iampb.Policy {
		return &iampb.Policy{Bindings: []*iampb.Binding{{Role: role, Members: members}}}
	}
	tests := []struct {
		name   string
		kind   finding.Kind
		policy *iampb.Policy
		want   policy
	}{
		{"public service", finding.Service, bind("roles/run.invoker", "allUsers"), policy{members: []string{"allUsers"}, allUsers: true}},
		{"any account", finding.Service, bind("roles/run.servicesInvoker", "allAuthenticatedUsers"), policy{members: []string{"allAuthenticatedUsers"}, allAuthenticatedUsers: true}},
		{"developers invoke", finding.Service, bind("roles/run.developer", "group:b@x", "group:a@x", "group:a@x"), policy{members: []string{"group:a@x", "group:b@x"}}},
		{"public admin", finding.Service, bind("roles/run.admin", "allUsers"), policy{members: []string{"allUsers"}, allUsers: true}},
		{"viewers do not", finding.Service, bind("roles/run.viewer", "allUsers"), policy{}},
		{"jobs executor is nothing for a service", finding.Service, bind("roles/run.jobsExecutor", "allUsers"), policy{}},
		{"jobs executor", finding.Job, bind("roles/run.jobsExecutorWithOverrides", "user:a@x"), policy{members: []string{"user:a@x"}}},
		{"services invoker is nothing for a job", finding.Job, bind("roles/run.servicesInvoker", "allUsers"), policy{}},
		{"no policy", finding.Service, nil, policy{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := invokersOf(tt.kind, tt.policy)
			if diff := cmp.Diff(&tt.want, got, cmp.AllowUnexported(policy{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	many := &iampb.Policy{}
	for i := range 300 {
		many.Bindings = append(many.Bindings, &iampb.Binding{Role: "roles/run.invoker", Members: []string{strings.Repeat("m", i+1)}})
	}
	many.Bindings = append(many.Bindings, &iampb.Binding{Role: "roles/run.invoker", Members: []string{"zz", "allUsers"}})
	if p := invokersOf(finding.Service, many); len(p.members) != maxInvokers || !p.allUsers {
		t.Errorf("%d members, all users %v", len(p.members), p.allUsers)
	}
}

func TestServicePosture(t *testing.T) {
	t.Parallel()
	two := int32(2)
	tests := []struct {
		name    string
		service *runpb.Service
		want    evidence.Config
	}{
		{"empty", &runpb.Service{}, evidence.Config{}},
		{"internal", &runpb.Service{Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY}, evidence.Config{Ingress: "internal"}},
		{"load balancer", &runpb.Service{Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER}, evidence.Config{Ingress: "internal_and_cloud_load_balancing"}},
		{"closed", &runpb.Service{Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_NONE}, evidence.Config{Ingress: "none"}},
		{"no invoker check", &runpb.Service{InvokerIamDisabled: true, IapEnabled: true}, evidence.Config{InvokerIAMDisabled: true, IAPEnabled: true}},
		{
			"own policy", &runpb.Service{BinaryAuthorization: &runpb.BinaryAuthorization{BinauthzMethod: &runpb.BinaryAuthorization_Policy{Policy: "projects/p/platforms/cloudRun/policies/x"}}},
			evidence.Config{BinaryAuthorization: "policy"},
		},
		{"uri only", &runpb.Service{Uri: "https://s.run.app"}, evidence.Config{URLs: []string{"https://s.run.app"}}},
		{
			"manual scaling", &runpb.Service{Scaling: &runpb.ServiceScaling{ScalingMode: runpb.ServiceScaling_MANUAL, ManualInstanceCount: &two}},
			evidence.Config{MinInstances: 2, MaxInstances: 2},
		},
		{
			"wanted traffic where none is observed",
			&runpb.Service{Traffic: []*runpb.TrafficTarget{{Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, Revision: "s-1", Percent: 100, Tag: "t"}}},
			evidence.Config{Traffic: []evidence.Traffic{{Revision: "s-1", Percent: 100, Tag: "t"}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, newMapper().service(tt.service).config); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestVPC(t *testing.T) {
	t.Parallel()
	direct := []*runpb.VpcAccess_NetworkInterface{{Network: "default"}, {Subnetwork: "sub"}}
	tests := []struct {
		name   string
		access *runpb.VpcAccess
		egress string
		nets   []string
	}{
		{"none", nil, "", nil},
		{"empty", &runpb.VpcAccess{}, "", nil},
		{"default egress", &runpb.VpcAccess{Connector: "c"}, "private-ranges-only", nil},
		{"direct", &runpb.VpcAccess{NetworkInterfaces: direct, Egress: runpb.VpcAccess_ALL_TRAFFIC}, "all-traffic", []string{"default", "sub"}},
	}
	for _, tt := range tests {
		v := newMapper().template(nil, nil, "", tt.access)
		if v.vpcEgress != tt.egress || !slices.Equal(v.vpcNetworks, tt.nets) {
			t.Errorf("%s: %q %q", tt.name, v.vpcEgress, v.vpcNetworks)
		}
	}
}

func TestChangesOfSeveralContainers(t *testing.T) {
	t.Parallel()
	m := newMapper()
	old := m.template([]*runpb.Container{
		{Name: "web", Image: "web:1", Env: []*runpb.EnvVar{literal("PW", "a"), literal("TOKEN", "b"), secret("KEY", "k", "1")}},
		{Name: "logger", Image: "log:1"},
	}, nil, "", nil)
	cur := m.template([]*runpb.Container{
		{Name: "web", Image: "web:1", Env: []*runpb.EnvVar{secret("PW", "pw", "1"), literal("TOKEN", "c"), literal("KEY", "x")}},
		{Name: "miner", Image: "xmr:1"},
	}, nil, "77-compute@developer.gserviceaccount.com", nil)
	changed, details := changes(old, cur)
	if diff := cmp.Diff([]string{"image", "env"}, changed); diff != "" {
		t.Errorf("changed: -want +got\n%s", diff)
	}
	want := []string{
		"env changed: KEY in container web, from a secret to a literal value",
		"env changed: PW in container web, from a literal value to a secret",
		"env changed: TOKEN in container web",
		"container added: miner, image xmr:1", "container removed: logger, image log:1",
	}
	if diff := cmp.Diff(want, details); diff != "" {
		t.Errorf("details: -want +got\n%s", diff)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	c := &runpb.Container{Image: strings.Repeat("ä", 4000), Args: slices.Repeat([]string{strings.Repeat("x", 9000)}, 900)}
	for range 3000 {
		c.Env = append(c.Env, literal(strings.Repeat("N", len(c.Env)%500+1), "v"))
	}
	got := newMapper().container(c, nil)
	if len(got.Image) > maxTextBytes+4 || len(got.Args) != maxArgs+1 || len(got.Args[0]) > maxArgBytes+4 || len(got.EnvNames) > maxEnv {
		t.Errorf("image %d, args %d of %d, env %d", len(got.Image), len(got.Args), len(got.Args[0]), len(got.EnvNames))
	}
	if last := got.Args[maxArgs]; last != "…(800 more)" {
		t.Errorf("cut says %q", last)
	}
	a, b := newMapper().container(c, nil), newMapper().container(c, nil)
	if a.args == b.args {
		t.Error("fingerprints are the same under two keys")
	}
}

func FuzzPlaintextSecret(f *testing.F) {
	f.Add("DB_PASSWORD", "hunter2")
	f.Add("", "\xff://:@")
	f.Fuzz(func(_ *testing.T, name, value string) { plaintextSecret(name, value) })
}

// TestRealData maps objects as the real API returned them.
func TestRealData(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudrun", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	m := newMapper()
	decode := func(t *testing.T, raw []byte, into proto.Message) {
		t.Helper()
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	mapped := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			Name                  string
			APIVersion            string `json:"apiVersion"`
			Revisions, Executions []json.RawMessage
		}
		if json.Unmarshal(raw, &head) != nil || head.APIVersion != "" {
			continue // Knative forms, and values that are no objects
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			check := func(v *version, containers int) {
				t.Helper()
				mapped++
				if len(v.containers) != containers {
					t.Errorf("%d containers, want %d", len(v.containers), containers)
				}
				for _, c := range v.containers {
					if c.Image == "" {
						t.Error("container without an image")
					}
				}
			}
			switch {
			case strings.Contains(head.Name, "/services/"):
				var s runpb.Service
				decode(t, raw, &s)
				p := m.service(&s)
				check(p.template, len(s.GetTemplate().GetContainers()))
				if p.config.Ingress == "" || p.template.environment == "" || p.config.LastModifier == "" {
					t.Errorf("config %+v", p.config)
				}
			case strings.Contains(head.Name, "/jobs/"):
				var j runpb.Job
				decode(t, raw, &j)
				p := m.job(&j)
				check(p.template, len(j.GetTemplate().GetTemplate().GetContainers()))
				if email, _ := p.template.account(""); email == "" || p.template.tasks == 0 {
					t.Errorf("template %+v", p.template)
				}
			}
			for _, r := range head.Revisions {
				var rev runpb.Revision
				decode(t, r, &rev)
				check(m.revision(&rev), len(rev.GetContainers()))
			}
			for _, r := range head.Executions {
				var e runpb.Execution
				decode(t, r, &e)
				check(m.execution(&e), 0)
			}
		})
	}
	if mapped < 10 {
		t.Errorf("mapped %d objects only", mapped)
	}
}
