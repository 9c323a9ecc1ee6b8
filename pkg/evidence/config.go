package evidence

import "time"

// Config is the configuration of a Cloud Run workload as the Admin API v2
// tells it, for the revision or execution the finding is about where that
// still exists. Environment values are never read into it.
type Config struct {
	// Resource is the API name, projects/P/locations/L/services/S.
	Resource string
	// Revision is the short name of the revision (service, worker pool) or
	// execution (job) reviewed; RevisionSource says how it was chosen:
	// "finding" (it names it), "traffic" (serving now and at event time),
	// "latest" (the newest that existed at event time) or "template" (what the
	// workload would run next).
	Revision       string
	RevisionSource string
	// Gone is true when the workload answered 404: deleted, which is a normal answer.
	Gone bool
	// RevisionGone is true when the named revision or execution answered 404.
	RevisionGone bool
	// Partial names the parts that could not be read: "workload" (the service,
	// job or worker pool itself), "iam_policy", "revision" (or execution),
	// "previous_revision".
	Partial []string

	Containers []ContainerConfig
	// ServiceAccount is the identity's e-mail; DefaultServiceAccount is true
	// for the Compute Engine default account, named or implied by an empty field.
	ServiceAccount        string
	DefaultServiceAccount bool
	// Ingress is "all", "internal", "internal_and_cloud_load_balancing", "none" or empty.
	Ingress string
	// Invokers are the members with an invoking role; AllUsers and
	// AllAuthenticatedUsers are read from them. InvokerIAMDisabled switches the check off.
	Invokers              []string
	AllUsers              bool
	AllAuthenticatedUsers bool
	InvokerIAMDisabled    bool
	IAPEnabled            bool
	// IAMKnown is false when the IAM policy could not be read.
	IAMKnown bool
	// ExecutionEnvironment is "gen1", "gen2" or empty (unspecified).
	ExecutionEnvironment string
	// VPCEgress is "all-traffic", "private-ranges-only" or empty when there is no VPC access.
	VPCEgress    string
	VPCConnector string
	VPCNetworks  []string
	Volumes      []Volume
	// BinaryAuthorization is "default", "policy" or empty; Breakglass is the justification that bypassed it.
	BinaryAuthorization string
	Breakglass          string
	Creator             string
	LastModifier        string
	CreateTime          time.Time
	UpdateTime          time.Time
	// RevisionCreator and RevisionCreateTime are of the reviewed revision or execution.
	RevisionCreator    string
	RevisionCreateTime time.Time
	Client             string
	URLs               []string
	Traffic            []Traffic
	// MaxInstances, MinInstances are 0 when unset.
	MinInstances, MaxInstances int
	ThreatDetection            bool
	// OverriddenArgs is true when an execution runs with other arguments or
	// command than its job's template: RunJob can override them.
	OverriddenArgs bool
	// Previous is the revision before the reviewed one; nil when there is none or it is unknown.
	Previous *PreviousRevision
}

// ContainerConfig is one container of a revision or task template.
type ContainerConfig struct {
	Name  string
	Image string
	// Digest is "sha256:..." where the image is named by digest, else empty.
	Digest  string
	Command []string
	Args    []string
	// EnvNames are names only. PlaintextSecretEnv are those whose literal
	// value looks like a secret; SecretEnv are those filled from Secret Manager.
	EnvNames           []string
	PlaintextSecretEnv []string
	SecretEnv          []SecretRef
	// SecretMounts are the files that secret volumes put into the container.
	SecretMounts []SecretRef
	Mounts       []Mount
	Ports        []int32
	// Probes are the exec or HTTP probes in words, "http /healthz".
	Probes []string
}

// SecretRef is a secret by reference.
type SecretRef struct {
	// Name is the environment variable or mount path that holds it.
	Name    string
	Secret  string
	Version string
}

// Mount is a mounted volume.
type Mount struct {
	Volume string
	Path   string
}

// Volume is a volume of the workload.
type Volume struct {
	Name string
	// Kind is "secret", "cloudsql", "empty_dir", "nfs" or "gcs".
	Kind string
	// Source is the secret, bucket, server path or instance.
	Source   string
	Writable bool
}

// Traffic is one traffic target as served.
type Traffic struct {
	Revision string
	Percent  int
	Tag      string
	Latest   bool
}

// PreviousRevision is what ran before and what changed since.
type PreviousRevision struct {
	Name       string
	CreateTime time.Time
	Creator    string
	Image      string
	Digest     string
	// Changed is a closed set: image, command, args, env, service_account, ingress, scaling.
	Changed []string
	// Details say each change in words, names only: "env added: FOO".
	Details []string
}

// Main returns the container called name, or the only or first one; nil when there is none.
func (c *Config) Main(name string) *ContainerConfig {
	for i := range c.Containers {
		if name != "" && c.Containers[i].Name == name {
			return &c.Containers[i]
		}
	}
	if len(c.Containers) == 0 {
		return nil
	}
	return &c.Containers[0]
}
