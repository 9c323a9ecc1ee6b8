package record

import "time"

// Logs are the log entries around the event.
type Logs struct {
	// URL is the Logs Explorer link to the entries.
	URL string `json:"url,omitempty"`
	// From is the beginning of the window of application logs.
	From time.Time `json:"from,omitzero"`
	// To is its end.
	To time.Time `json:"to,omitzero"`
	// Visible is false when no entry of the workload was there at all: the logs may be routed elsewhere.
	Visible bool `json:"visible"`
	// Truncated is true when there were more entries than could be read.
	Truncated bool `json:"truncated,omitempty"`
	// Scopes are the resource names that were read.
	Scopes []string `json:"scopes,omitempty"`
	// Total is how many entries were read.
	Total int `json:"total"`
	// Signals are what is telling in the entries, the most important first.
	Signals []Signal `json:"signals,omitempty"`
	// EntryRequest is the request that most likely led to the event.
	EntryRequest *LogEntry `json:"entry_request,omitempty"`
	// Excerpt are the most telling entries, one line each, in order of time.
	Excerpt []string `json:"excerpt,omitempty"`
	// Entries are the telling entries in full, in order of time.
	Entries []LogEntry `json:"entries,omitempty"`
}

// Signal is something telling that was seen in the logs.
type Signal struct {
	// Kind is the signal's name.
	Kind string `json:"kind"`
	// Count is how many entries show it.
	Count int `json:"count"`
	// Entries are the positions in entries of those nearest to the event that show it, from 0.
	Entries []int `json:"entries,omitempty"`
}

// LogEntry is one log entry.
type LogEntry struct {
	// Kind is app, request, system or audit.
	Kind string `json:"kind"`
	// Time is the entry's time.
	Time time.Time `json:"time"`
	// Severity is the entry's severity.
	Severity string `json:"severity,omitempty"`
	// LogName is the name of its log.
	LogName string `json:"log_name,omitempty"`
	// InsertID is the entry's id within its log.
	InsertID string `json:"insert_id,omitempty"`
	// Text is the redacted text.
	Text string `json:"text,omitempty"`
	// Revision is the revision that wrote it.
	Revision string `json:"revision,omitempty"`
	// Execution is the execution that wrote it.
	Execution string `json:"execution,omitempty"`
	// Container is the container that wrote it.
	Container string `json:"container,omitempty"`
	// Instance is the instance that wrote it.
	Instance string `json:"instance,omitempty"`
	// Trace is the entry's trace.
	Trace string `json:"trace,omitempty"`
	// Request is the HTTP request of a request entry.
	Request *Request `json:"request,omitempty"`
	// Audit is the API call of an audit entry.
	Audit *Audit `json:"audit,omitempty"`
}

// Request is an HTTP request.
type Request struct {
	// Method is the HTTP method.
	Method string `json:"method,omitempty"`
	// URL is the redacted URL, defanged.
	URL string `json:"url,omitempty"`
	// Status is the HTTP status.
	Status int `json:"status,omitempty"`
	// RemoteIP is the defanged address of the client.
	RemoteIP string `json:"remote_ip,omitempty"`
	// UserAgent is the client's user agent.
	UserAgent string `json:"user_agent,omitempty"`
	// Bytes is the size of the response.
	Bytes int64 `json:"bytes,omitempty"`
	// LatencyMS is how long the answer took, in milliseconds.
	LatencyMS int64 `json:"latency_ms,omitempty"`
}

// Audit is an API call.
type Audit struct {
	// Method is the method's name.
	Method string `json:"method,omitempty"`
	// Principal is the caller's e-mail address.
	Principal string `json:"principal,omitempty"`
	// CallerIP is the defanged address of the caller.
	CallerIP string `json:"caller_ip,omitempty"`
	// UserAgent is the caller's user agent.
	UserAgent string `json:"user_agent,omitempty"`
	// Resource is the resource called on.
	Resource string `json:"resource,omitempty"`
	// Code is the google.rpc code, 0 for success.
	Code int `json:"code,omitempty"`
	// Message is the status message.
	Message string `json:"message,omitempty"`
	// Revision is the revision a deploy made.
	Revision string `json:"revision,omitempty"`
	// Detail says what the call set.
	Detail string `json:"detail,omitempty"`
	// System is true for what the platform did by itself.
	System bool `json:"system,omitempty"`
}

// Deploy is a deploy of the workload.
type Deploy struct {
	// Time is when it was deployed.
	Time time.Time `json:"time"`
	// Principal is who deployed it.
	Principal string `json:"principal,omitempty"`
	// Revision is the revision made.
	Revision string `json:"revision,omitempty"`
	// Source is logs or config: where this is known from.
	Source string `json:"source"`
}

// Config is the configuration of the workload.
type Config struct {
	// Resource is the name in the Cloud Run Admin API.
	Resource string `json:"resource,omitempty"`
	// Revision is the revision or execution that was reviewed.
	Revision string `json:"revision,omitempty"`
	// RevisionSource is finding, traffic, latest or template: how the revision was chosen.
	RevisionSource string `json:"revision_source,omitempty"`
	// Gone is true when the workload has been deleted.
	Gone bool `json:"gone,omitempty"`
	// RevisionGone is true when the revision or execution has been deleted.
	RevisionGone bool `json:"revision_gone,omitempty"`
	// Partial names the parts that could not be read.
	Partial []string `json:"partial,omitempty"`
	// Containers are the containers as configured.
	Containers []ContainerConfig `json:"containers,omitempty"`
	// ServiceAccount is the identity the workload runs as.
	ServiceAccount string `json:"service_account,omitempty"`
	// DefaultServiceAccount is true for the Compute Engine default account.
	DefaultServiceAccount bool `json:"default_service_account,omitempty"`
	// Ingress is who can reach the endpoint by network.
	Ingress string `json:"ingress,omitempty"`
	// Invokers are the members with an invoking role.
	Invokers []string `json:"invokers,omitempty"`
	// AllUsers is true when anybody may invoke.
	AllUsers bool `json:"all_users,omitempty"`
	// AllAuthenticatedUsers is true when anybody with a Google account may invoke.
	AllAuthenticatedUsers bool `json:"all_authenticated_users,omitempty"`
	// InvokerIAMDisabled is true when the invoker check is switched off.
	InvokerIAMDisabled bool `json:"invoker_iam_disabled,omitempty"`
	// IAPEnabled is true when Identity-Aware Proxy is on.
	IAPEnabled bool `json:"iap_enabled,omitempty"`
	// IAMKnown is false when the IAM policy could not be read.
	IAMKnown bool `json:"iam_known"`
	// ExecutionEnvironment is gen1 or gen2.
	ExecutionEnvironment string `json:"execution_environment,omitempty"`
	// VPCEgress is what leaves through the VPC network.
	VPCEgress string `json:"vpc_egress,omitempty"`
	// VPCConnector is the Serverless VPC Access connector.
	VPCConnector string `json:"vpc_connector,omitempty"`
	// VPCNetworks are the networks of direct VPC egress.
	VPCNetworks []string `json:"vpc_networks,omitempty"`
	// Volumes are the volumes.
	Volumes []Volume `json:"volumes,omitempty"`
	// BinaryAuthorization is default or policy.
	BinaryAuthorization string `json:"binary_authorization,omitempty"`
	// Breakglass is the justification that bypassed Binary Authorization.
	Breakglass string `json:"breakglass,omitempty"`
	// Creator is who created the workload.
	Creator string `json:"creator,omitempty"`
	// LastModifier is who changed it last.
	LastModifier string `json:"last_modifier,omitempty"`
	// CreateTime is when the workload was created.
	CreateTime time.Time `json:"create_time,omitzero"`
	// UpdateTime is when it was last changed.
	UpdateTime time.Time `json:"update_time,omitzero"`
	// RevisionCreator is who created the reviewed revision or execution.
	RevisionCreator string `json:"revision_creator,omitempty"`
	// RevisionCreateTime is when it was created.
	RevisionCreateTime time.Time `json:"revision_create_time,omitzero"`
	// Client is the client that deployed it.
	Client string `json:"client,omitempty"`
	// URLs are the addresses of the service.
	URLs []string `json:"urls,omitempty"`
	// Traffic says which revision gets how much traffic.
	Traffic []Traffic `json:"traffic,omitempty"`
	// MinInstances is the least number of instances.
	MinInstances int `json:"min_instances,omitempty"`
	// MaxInstances is the largest number of instances.
	MaxInstances int `json:"max_instances,omitempty"`
	// ThreatDetection is true when Cloud Run Threat Detection is on for it.
	ThreatDetection bool `json:"threat_detection,omitempty"`
	// OverriddenArgs is true when an execution runs with other arguments than its job says.
	OverriddenArgs bool `json:"overridden_args,omitempty"`
	// Previous is the revision before the reviewed one, and what changed.
	Previous *Previous `json:"previous,omitempty"`
}

// ContainerConfig is one container as configured. It never carries the values
// of environment variables.
type ContainerConfig struct {
	// Name is the container's name.
	Name string `json:"name,omitempty"`
	// Image is the image as configured.
	Image string `json:"image,omitempty"`
	// Digest is the image's digest.
	Digest string `json:"digest,omitempty"`
	// Command is the redacted command and its arguments.
	Command string `json:"command,omitempty"`
	// EnvNames are the names of environment variables.
	EnvNames []string `json:"env_names,omitempty"`
	// PlaintextSecretEnv are the names of variables whose literal value looks like a secret.
	PlaintextSecretEnv []string `json:"plaintext_secret_env,omitempty"`
	// Secrets are secrets by reference, in variables and files.
	Secrets []Secret `json:"secrets,omitempty"`
	// Mounts are the mounted volumes.
	Mounts []Mount `json:"mounts,omitempty"`
	// Ports are the ports.
	Ports []int32 `json:"ports,omitempty"`
	// Probes are the probes in words.
	Probes []string `json:"probes,omitempty"`
}

// Secret is a secret by reference.
type Secret struct {
	// Name is the environment variable or path that holds it.
	Name string `json:"name"`
	// Secret is the secret's resource name.
	Secret string `json:"secret"`
	// Version is the secret's version.
	Version string `json:"version,omitempty"`
}

// Mount is a mounted volume.
type Mount struct {
	// Volume is the volume's name.
	Volume string `json:"volume"`
	// Path is where it is mounted.
	Path string `json:"path"`
}

// Volume is a volume.
type Volume struct {
	// Name is the volume's name.
	Name string `json:"name"`
	// Kind is secret, cloudsql, empty_dir, nfs or gcs.
	Kind string `json:"kind,omitempty"`
	// Source is the secret, bucket, server path or instance.
	Source string `json:"source,omitempty"`
	// Writable is true when the workload may write to it.
	Writable bool `json:"writable,omitempty"`
}

// Traffic is one traffic target.
type Traffic struct {
	// Revision is the revision.
	Revision string `json:"revision,omitempty"`
	// Percent is its share.
	Percent int `json:"percent"`
	// Tag is the tag of its own address.
	Tag string `json:"tag,omitempty"`
	// Latest is true for the latest revision.
	Latest bool `json:"latest,omitempty"`
}

// Previous is the revision before the reviewed one, and what changed.
type Previous struct {
	// Name is the revision's name.
	Name string `json:"name"`
	// CreateTime is when it was created.
	CreateTime time.Time `json:"create_time,omitzero"`
	// Creator is who created it.
	Creator string `json:"creator,omitempty"`
	// Image is its image.
	Image string `json:"image,omitempty"`
	// Digest is its image's digest.
	Digest string `json:"digest,omitempty"`
	// Changed names what changed since: image, command, args, env, service_account, ingress, scaling.
	Changed []string `json:"changed,omitempty"`
	// Details say each change in words.
	Details []string `json:"details,omitempty"`
}
