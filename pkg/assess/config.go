package assess

import (
	"net/netip"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The closed set of configuration risks, the gravest first. A risk is a weak
// point that an attacker in the container could use or that hides him; it is no
// proof of anything.
const (
	// RiskAllUsers: anyone may invoke the service.
	RiskAllUsers = "allusers_invoker"
	// RiskInvokerIAMDisabled: the invoker check is switched off, whatever the IAM policy says.
	RiskInvokerIAMDisabled = "invoker_iam_disabled"
	// RiskAllAuthenticatedUsers: anyone with any Google account may invoke the service.
	RiskAllAuthenticatedUsers = "allauthenticatedusers_invoker"
	// RiskDefaultServiceAccount: it runs as the Compute Engine default service account.
	RiskDefaultServiceAccount = "default_service_account"
	// RiskPlaintextSecretEnv: an environment variable's literal value looks like a secret.
	RiskPlaintextSecretEnv = "plaintext_secret_env"
	// RiskSecretsMounted: the container can read secrets of Secret Manager.
	RiskSecretsMounted = "secrets_mounted"
	// RiskSecretLatestVersion: a secret is referred to as "latest", so that a new value is picked up unseen.
	RiskSecretLatestVersion = "secret_latest_version"
	// RiskMutableImageTag: the image is not named by digest.
	RiskMutableImageTag = "mutable_image_tag"
	// RiskImageDrift: the finding's image is not the one of the configuration reviewed.
	RiskImageDrift = "image_drift"
	// RiskOverriddenArgs: the execution runs with other arguments than its job's template.
	RiskOverriddenArgs = "overridden_args"
	// RiskBreakglass: Binary Authorization was bypassed with a justification.
	RiskBreakglass = "breakglass_deploy"
	// RiskNoBinaryAuthorization: Binary Authorization does not check the image.
	RiskNoBinaryAuthorization = "no_binary_authorization"
	// RiskWritableVolume: a bucket or file share is mounted writable, where code can persist.
	RiskWritableVolume = "writable_volume"
	// RiskNoEgressControl: traffic to the internet does not pass the VPC network.
	RiskNoEgressControl = "no_vpc_egress_control"
	// RiskGen1: the first-generation execution environment, where runtime detectors do not work.
	RiskGen1 = "gen1_no_runtime_detection"
)

// ConfigRisks returns the closed set of configuration risks, the gravest first.
func ConfigRisks() []string {
	return []string{
		RiskAllUsers, RiskInvokerIAMDisabled, RiskAllAuthenticatedUsers, RiskDefaultServiceAccount,
		RiskPlaintextSecretEnv, RiskSecretsMounted, RiskSecretLatestVersion, RiskMutableImageTag,
		RiskImageDrift, RiskOverriddenArgs, RiskBreakglass, RiskNoBinaryAuthorization,
		RiskWritableVolume, RiskNoEgressControl, RiskGen1,
	}
}

// configRisks returns the risks of the configuration read, in the order of
// ConfigRisks; nil when none was read.
func (s *subject) configRisks() []string {
	if !s.configKnown {
		return nil
	}
	cfg := s.cfg
	plaintext, latest, mutable := false, false, false
	for _, c := range cfg.Containers {
		plaintext = plaintext || len(c.PlaintextSecretEnv) > 0
		mutable = mutable || (c.Image != "" && c.Digest == "")
		for _, r := range secretRefs(&c) {
			latest = latest || r.Version == "latest"
		}
	}
	writable := false
	for _, v := range cfg.Volumes {
		writable = writable || (v.Writable && (v.Kind == "gcs" || v.Kind == "nfs"))
	}
	has := map[string]bool{
		RiskAllUsers:              cfg.AllUsers,
		RiskInvokerIAMDisabled:    cfg.InvokerIAMDisabled,
		RiskAllAuthenticatedUsers: cfg.AllAuthenticatedUsers,
		RiskDefaultServiceAccount: cfg.DefaultServiceAccount,
		RiskPlaintextSecretEnv:    plaintext,
		RiskSecretsMounted:        len(s.secrets()) > 0,
		RiskSecretLatestVersion:   latest,
		RiskMutableImageTag:       mutable,
		RiskImageDrift:            s.imageDrift(),
		RiskOverriddenArgs:        cfg.OverriddenArgs,
		RiskBreakglass:            cfg.Breakglass != "",
		RiskNoBinaryAuthorization: cfg.BinaryAuthorization == "",
		RiskWritableVolume:        writable,
		RiskNoEgressControl:       cfg.VPCEgress != "all-traffic",
		RiskGen1:                  cfg.ExecutionEnvironment == "gen1",
	}
	var out []string
	for _, r := range ConfigRisks() {
		if has[r] {
			out = append(out, r)
		}
	}
	return out
}

// secretRefs are the secrets of one container, from environment and files.
func secretRefs(c *evidence.ContainerConfig) []evidence.SecretRef {
	out := make([]evidence.SecretRef, 0, len(c.SecretEnv)+len(c.SecretMounts))
	return append(append(out, c.SecretEnv...), c.SecretMounts...)
}

// secrets returns the secrets that the workload's containers can read, each
// secret and version once, in order of appearance.
func (s *subject) secrets() []evidence.SecretRef {
	var out []evidence.SecretRef
	seen := map[[2]string]bool{}
	add := func(r evidence.SecretRef) {
		key := [2]string{r.Secret, r.Version}
		if r.Secret != "" && !seen[key] {
			seen[key] = true
			out = append(out, r)
		}
	}
	names := map[string]bool{}
	for i := range s.cfg.Containers {
		for _, r := range secretRefs(&s.cfg.Containers[i]) {
			add(r)
			names[r.Secret] = true
		}
	}
	for _, v := range s.cfg.Volumes {
		if v.Kind == "secret" && !names[v.Source] {
			add(evidence.SecretRef{Name: v.Name, Secret: v.Source})
		}
	}
	return out
}

// imageDrift reports whether the finding's container runs another image than
// the configuration names. Both must name a digest, or else a repository.
func (s *subject) imageDrift() bool {
	if s.main == nil || len(s.f.Containers) == 0 {
		return false
	}
	c := s.f.Containers[0]
	ran := digestOf(c.ImageID)
	if ran == "" {
		ran = digestOf(c.URI)
	}
	if ran != "" && s.main.Digest != "" {
		return ran != s.main.Digest
	}
	a, b := repository(c.URI), repository(s.main.Image)
	return a != "" && b != "" && a != b
}

// digestOf returns "sha256:<64 hex digits>" where an image name or id holds it.
func digestOf(image string) string {
	i := strings.LastIndex(image, "sha256:")
	if i < 0 {
		return ""
	}
	d := image[i:]
	if len(d) != len("sha256:")+64 || strings.Trim(d[len("sha256:"):], "0123456789abcdef") != "" {
		return ""
	}
	return d
}

// repository returns an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// exposureOf says who can send requests to the workload. Jobs and worker pools
// take none. What could not be read is unknown, never internal.
//
// Public needs ingress from everywhere and no identity check: the check is
// switched off or allUsers may invoke, and Identity-Aware Proxy is not in
// front. allAuthenticatedUsers, which is anyone with a Google account, counts
// as authenticated; a configuration risk says what that is worth. Behind a load
// balancer without an identity check the balancer decides: public once a
// request from a public address is in the logs, else unknown.
func exposureOf(kind finding.Kind, cfg *evidence.Config, known bool, logs evidence.Logs) Exposure {
	switch {
	case kind == finding.Job || kind == finding.WorkerPool:
		return ExposureNotApplicable
	case !known:
		return ExposureUnknown
	}
	switch cfg.Ingress {
	case "internal", "none":
		return Internal
	case "all", "internal_and_cloud_load_balancing":
	default:
		return ExposureUnknown
	}
	switch {
	case cfg.IAPEnabled:
		return Authenticated
	case !cfg.IAMKnown && !cfg.InvokerIAMDisabled && !cfg.AllUsers:
		return ExposureUnknown
	case !cfg.InvokerIAMDisabled && !cfg.AllUsers:
		return Authenticated
	case cfg.Ingress == "all" || servedPublic(logs):
		return Public
	}
	return ExposureUnknown
}

// servedPublic reports whether a request from a public address was answered.
func servedPublic(logs evidence.Logs) bool {
	for i := range logs.Entries {
		r := logs.Entries[i].Request
		if r != nil && r.Status > 0 && r.Status != 403 && r.Status != 404 && publicIP(r.RemoteIP) {
			return true
		}
	}
	return false
}

// publicIP reports whether s is an address that is routed on the internet.
func publicIP(s string) bool {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return false
	}
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, reserved := range []string{"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4"} {
		if p := netip.MustParsePrefix(reserved); p.Contains(a) {
			return false
		}
	}
	return true
}
