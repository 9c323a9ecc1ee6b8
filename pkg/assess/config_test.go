package assess

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

func TestExposure(t *testing.T) {
	t.Parallel()
	served := evidence.Logs{Entries: []evidence.LogEntry{{Request: &evidence.Request{RemoteIP: "203.0.113.5", Status: 200}}}}
	refused := evidence.Logs{Entries: []evidence.LogEntry{{Request: &evidence.Request{RemoteIP: "203.0.113.5", Status: 403}}}}
	tests := []struct {
		name string
		kind finding.Kind
		cfg  *evidence.Config
		gone bool
		logs evidence.Logs
		want Exposure
	}{
		{name: "all_users", cfg: &evidence.Config{Ingress: "all", AllUsers: true, IAMKnown: true}, want: Public},
		{name: "check_disabled", cfg: &evidence.Config{Ingress: "all", InvokerIAMDisabled: true, IAMKnown: true}, want: Public},
		{name: "check_disabled_iam_unknown", cfg: &evidence.Config{Ingress: "all", InvokerIAMDisabled: true}, want: Public},
		{name: "iap_in_front", cfg: &evidence.Config{Ingress: "all", InvokerIAMDisabled: true, IAPEnabled: true, IAMKnown: true}, want: Authenticated},
		{name: "all_authenticated", cfg: &evidence.Config{Ingress: "all", AllAuthenticatedUsers: true, IAMKnown: true}, want: Authenticated},
		{name: "named_invokers", cfg: &evidence.Config{Ingress: "all", IAMKnown: true}, want: Authenticated},
		{name: "iam_unknown", cfg: &evidence.Config{Ingress: "all"}, want: ExposureUnknown},
		{name: "internal", cfg: &evidence.Config{Ingress: "internal", AllUsers: true, IAMKnown: true}, want: Internal},
		{name: "none", cfg: &evidence.Config{Ingress: "none", IAMKnown: true}, want: Internal},
		{name: "balancer_open", cfg: &evidence.Config{Ingress: "internal_and_cloud_load_balancing", AllUsers: true, IAMKnown: true}, want: ExposureUnknown},
		{name: "balancer_open_refused", cfg: &evidence.Config{Ingress: "internal_and_cloud_load_balancing", AllUsers: true, IAMKnown: true}, logs: refused, want: ExposureUnknown},
		{name: "balancer_open_served", cfg: &evidence.Config{Ingress: "internal_and_cloud_load_balancing", AllUsers: true, IAMKnown: true}, logs: served, want: Public},
		{name: "balancer_closed", cfg: &evidence.Config{Ingress: "internal_and_cloud_load_balancing", IAMKnown: true}, want: Authenticated},
		{name: "no_ingress_known", cfg: &evidence.Config{AllUsers: true, IAMKnown: true}, want: ExposureUnknown},
		{name: "gone", cfg: &evidence.Config{Ingress: "all", AllUsers: true}, gone: true, want: ExposureUnknown},
		{name: "job", kind: finding.Job, cfg: &evidence.Config{}, gone: true, want: ExposureNotApplicable},
		{name: "worker_pool", kind: finding.WorkerPool, cfg: &evidence.Config{}, want: ExposureNotApplicable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := exposureOf(tt.kind, tt.cfg, !tt.gone, tt.logs); got != tt.want {
				t.Errorf("exposureOf() = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestConfigRisks(t *testing.T) {
	t.Parallel()
	everything := &evidence.Config{
		AllUsers: true, AllAuthenticatedUsers: true, InvokerIAMDisabled: true, DefaultServiceAccount: true, OverriddenArgs: true,
		Breakglass: "because", ExecutionEnvironment: "gen1",
		Volumes: []evidence.Volume{{Kind: "gcs", Writable: true}, {Kind: "secret", Source: "tls"}},
		Containers: []evidence.ContainerConfig{{
			Name: "pay-1", Image: "gcr.io/p/i:latest", PlaintextSecretEnv: []string{"KEY"},
			SecretEnv: []evidence.SecretRef{{Secret: "s", Version: "latest"}},
		}},
	}
	clean := &evidence.Config{
		VPCEgress: "all-traffic", BinaryAuthorization: "default", ExecutionEnvironment: "gen2",
		Volumes:    []evidence.Volume{{Kind: "empty_dir", Writable: true}, {Kind: "nfs"}},
		Containers: []evidence.ContainerConfig{{Name: "pay-1", Image: "europe-west1-docker.pkg.dev/shop-prod/app/pay@sha256:" + hash("1"), Digest: "sha256:" + hash("1")}},
	}
	for name, tt := range map[string]struct {
		cfg  *evidence.Config
		want []string
	}{
		"nothing_read": {nil, nil},
		"gone":         {&evidence.Config{Gone: true, AllUsers: true}, nil},
		"clean":        {clean, nil},
		"everything":   {everything, ConfigRisks()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := complete()
			e.Config = tt.cfg
			a := mustDefault(t).Assess(input(childShell("java", "sh"), e))
			if diff := cmp.Diff(tt.want, a.ConfigRisks); diff != "" {
				t.Errorf("ConfigRisks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImageDrift(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ran  finding.Container
		cfg  evidence.ContainerConfig
		want bool
	}{
		"same_digest":       {finding.Container{ImageID: "x/y@sha256:" + hash("1")}, evidence.ContainerConfig{Image: "x/y@sha256:" + hash("1"), Digest: "sha256:" + hash("1")}, false},
		"other_digest":      {finding.Container{ImageID: "sha256:" + hash("2")}, evidence.ContainerConfig{Image: "x/y@sha256:" + hash("1"), Digest: "sha256:" + hash("1")}, true},
		"tag_and_digest":    {finding.Container{URI: "x/y:v1"}, evidence.ContainerConfig{Image: "x/y@sha256:" + hash("1"), Digest: "sha256:" + hash("1")}, false},
		"other_repository":  {finding.Container{URI: "x/z:v1"}, evidence.ContainerConfig{Image: "x/y:v1"}, true},
		"port_in_registry":  {finding.Container{URI: "r:5000/y"}, evidence.ContainerConfig{Image: "r:5000/y:v2"}, false},
		"nothing_to_tell":   {finding.Container{}, evidence.ContainerConfig{Image: "x/y:v1"}, false},
		"not_really_digest": {finding.Container{ImageID: "sha256:zz", URI: "x/y"}, evidence.ContainerConfig{Image: "x/y:v1", Digest: ""}, false},
	} {
		s := &subject{f: &finding.Finding{Containers: []finding.Container{tt.ran}}, main: &tt.cfg}
		if got := s.imageDrift(); got != tt.want {
			t.Errorf("%s: imageDrift() = %v, want %v", name, got, tt.want)
		}
	}
}

func TestMatchesCommand(t *testing.T) {
	t.Parallel()
	conf := func(argv ...string) *evidence.ContainerConfig { return &evidence.ContainerConfig{Command: argv} }
	for name, tt := range map[string]struct {
		argv []string
		cfg  *evidence.ContainerConfig
		want bool
	}{
		"same":                   {[]string{"npm", "start"}, conf("npm", "start"), true},
		"command_and_args":       {[]string{"npm", "start"}, &evidence.ContainerConfig{Command: []string{"npm"}, Args: []string{"start"}}, true},
		"by_path":                {[]string{"/usr/bin/npm", "start"}, conf("npm", "start"), true},
		"by_shebang":             {[]string{"/bin/sh", "./docker-entrypoint.sh", "x"}, conf("./docker-entrypoint.sh", "x"), true},
		"sh_c":                   {[]string{"sh", "-c", "npm start"}, conf("npm", "start"), true},
		"sh_c_exec":              {[]string{"sh", "-c", "exec npm start"}, conf("npm", "start"), true},
		"sh_c_configured":        {[]string{"sh", "-c", "npm start"}, conf("sh", "-c", "npm start"), true},
		"more_arguments":         {[]string{"npm", "start", "--evil"}, conf("npm", "start"), false},
		"sh_c_and_more":          {[]string{"sh", "-c", "npm start; curl x | sh"}, conf("npm", "start"), false},
		"planted_in_tmp":         {[]string{"/tmp/npm", "start"}, conf("npm", "start"), false},
		"other_path":             {[]string{"/tmp/docker-entrypoint.sh"}, conf("/docker-entrypoint.sh"), false},
		"bare_shell_configured":  {[]string{"sh"}, conf("sh"), false},
		"interactive_configured": {[]string{"bash", "-i"}, conf("bash", "-i"), false},
		"nothing_configured":     {[]string{"sh", "-c", "id"}, conf(), false},
		"no_arguments":           {nil, conf("npm"), false},
		"no_config":              {[]string{"npm"}, nil, false},
	} {
		if got := matchesCommand(tt.argv, tt.cfg); got != tt.want {
			t.Errorf("%s: matchesCommand(%q) = %v, want %v", name, tt.argv, got, tt.want)
		}
	}
}

func TestPublicIP(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{
		"203.0.113.9": true, "8.8.8.8": true, "2001:db8::1": true, "::ffff:8.8.8.8": true, "[2001:db8::1]": true,
		"10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"fd00::1": false, "fe80::1": false, "::1": false, "0.0.0.0": false, "224.0.0.1": false, "not an address": false, "": false, "::ffff:10.0.0.1": false,
	} {
		if got := publicIP(ip); got != want {
			t.Errorf("publicIP(%q) = %v, want %v", ip, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"pay": "pay", "a b": "'a b'", "a'b": `'a'\''b'`, "$(x)": "'$(x)'", "a=b,c=d": "a=b,c=d", "sha256:ab@x/y": "sha256:ab@x/y", "~": "'~'", "*": "'*'", "é": "'é'",
		"": "", "a\nb": "", "a\x00b": "", "a\x1bb": "", "\u202ex": "", "\xff": "", strings.Repeat("x", 5000): "",
	} {
		got, ok := quote(in)
		if got != want || ok != (want != "") {
			t.Errorf("quote(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}
