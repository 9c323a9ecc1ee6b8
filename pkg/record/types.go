package record

import "time"

// Finding is what Security Command Center said.
type Finding struct {
	// Name is the resource name the finding was read at.
	Name string `json:"name"`
	// CanonicalName is the name under the closest resource-manager ancestor; with event_time it is the identity.
	CanonicalName string `json:"canonical_name"`
	// Category is the detector's display name.
	Category string `json:"category"`
	// CategoryPage is Google's page about the category, where its address is known.
	CategoryPage string `json:"category_page,omitempty"`
	// Description is the finding's own description.
	Description string `json:"description,omitempty"`
	// Class is the finding class, THREAT for a threat.
	Class string `json:"class,omitempty"`
	// State is ACTIVE or INACTIVE.
	State string `json:"state,omitempty"`
	// Severity is CRITICAL, HIGH, MEDIUM or LOW.
	Severity string `json:"severity,omitempty"`
	// Mute is the mute state.
	Mute string `json:"mute,omitempty"`
	// Source is the display name of the service that made the finding.
	Source string `json:"source,omitempty"`
	// EventTime is when the detector saw the event.
	EventTime time.Time `json:"event_time"`
	// EarlierTimes are earlier events of the same finding, as far as they are known: Security Command Center keeps only the newest.
	EarlierTimes []time.Time `json:"earlier_times,omitempty"`
	// CreateTime is when the finding was created.
	CreateTime time.Time `json:"create_time,omitzero"`
	// ExternalURI is the finding's link, if any.
	ExternalURI string `json:"external_uri,omitempty"`
	// ResourceName is the full resource name.
	ResourceName string `json:"resource_name,omitempty"`
	// ResourceType is the type of the resource.
	ResourceType string `json:"resource_type,omitempty"`
	// Organization is the organization of the resource.
	Organization string `json:"organization,omitempty"`
	// Folders are the folders of the resource, the deepest first.
	Folders []string `json:"folders,omitempty"`
	// Containers are the containers the finding names.
	Containers []Container `json:"containers,omitempty"`
	// Files are the files the finding names.
	Files []File `json:"files,omitempty"`
	// Connections are the network connections the finding names, addresses defanged.
	Connections []Connection `json:"connections,omitempty"`
	// Access says who called which API, for control-plane findings.
	Access *Access `json:"access,omitempty"`
	// Truncated counts the values of the finding that were too large to be read.
	Truncated int `json:"truncated,omitempty"`
	// Malformed names the fields of the finding that could not be read.
	Malformed []string `json:"malformed,omitempty"`
}

// Container is a container the finding names.
type Container struct {
	// Name is the container's name.
	Name string `json:"name,omitempty"`
	// Image is the image as configured, perhaps by a mutable tag.
	Image string `json:"image,omitempty"`
	// ImageID names the image by digest.
	ImageID string `json:"image_id,omitempty"`
	// CreateTime is when the container started.
	CreateTime time.Time `json:"create_time,omitzero"`
}

// File is a file.
type File struct {
	// Path is the file's path.
	Path string `json:"path,omitempty"`
	// SHA256 is the hash of the first hashed_size bytes, lower-case hex.
	SHA256 string `json:"sha256,omitempty"`
	// Size is the size in bytes.
	Size int64 `json:"size,omitempty"`
	// HashedSize is how many bytes the hash covers.
	HashedSize int64 `json:"hashed_size,omitempty"`
	// PartiallyHashed is true when the hash covers only a prefix.
	PartiallyHashed bool `json:"partially_hashed,omitempty"`
	// Contents is the beginning of the file, redacted.
	Contents string `json:"contents,omitempty"`
}

// Connection is one network connection.
type Connection struct {
	// Destination is the defanged address and port.
	Destination string `json:"destination,omitempty"`
	// Source is the defanged address and port.
	Source string `json:"source,omitempty"`
	// Protocol is the protocol's name.
	Protocol string `json:"protocol,omitempty"`
}

// Access says who called which API.
type Access struct {
	// Principal is the caller's e-mail address.
	Principal string `json:"principal,omitempty"`
	// CallerIP is the defanged address of the caller.
	CallerIP string `json:"caller_ip,omitempty"`
	// Region is the region of the caller.
	Region string `json:"region,omitempty"`
	// UserAgent is the caller's user agent.
	UserAgent string `json:"user_agent,omitempty"`
	// Service is the API's service name.
	Service string `json:"service,omitempty"`
	// Method is the API's method name.
	Method string `json:"method,omitempty"`
}

// Workload is the Cloud Run workload, and the container in it.
type Workload struct {
	// Key names the workload: run/PROJECT/LOCATION/service/NAME.
	Key string `json:"key,omitempty"`
	// Project is the project id, or the number where the id is not known.
	Project string `json:"project,omitempty"`
	// ProjectNumber is the project number.
	ProjectNumber string `json:"project_number,omitempty"`
	// Location is the region.
	Location string `json:"location,omitempty"`
	// Kind is service, job or worker_pool.
	Kind string `json:"kind,omitempty"`
	// Name is the workload's name.
	Name string `json:"name,omitempty"`
	// Revision is the revision of a service or worker pool that the finding names, or that was reviewed.
	Revision string `json:"revision,omitempty"`
	// Execution is the execution of a job that the finding names, or that was reviewed.
	Execution string `json:"execution,omitempty"`
	// Container is the container's name.
	Container string `json:"container,omitempty"`
	// Image is the image, by digest where it is known.
	Image string `json:"image,omitempty"`
	// ServiceAccount is the identity the workload runs as.
	ServiceAccount string `json:"service_account,omitempty"`
	// ConsoleURL is the workload's page in the Google Cloud console.
	ConsoleURL string `json:"console_url,omitempty"`
}

// Story is the process the finding is about and where it comes from.
type Story struct {
	// Tree shows the chain of processes: java(1) > sh(17).
	Tree string `json:"tree,omitempty"`
	// Command is the child's redacted command line.
	Command string `json:"command,omitempty"`
	// Truncated is true when arguments were cut before they were read.
	Truncated bool `json:"truncated,omitempty"`
	// Unparsed is true when some shell text could be read by words only.
	Unparsed bool `json:"unparsed,omitempty"`
	// Parent is the process that started the child.
	Parent *Process `json:"parent,omitempty"`
	// Child is the process the finding is about.
	Child *Process `json:"child,omitempty"`
}

// Process is one process. It never carries the values of environment variables.
type Process struct {
	// Name is the process's name, which the process itself can change.
	Name string `json:"name,omitempty"`
	// PID is the process id.
	PID int64 `json:"pid,omitempty"`
	// ParentPID is the id of its parent.
	ParentPID int64 `json:"parent_pid,omitempty"`
	// UserID is the numeric user, 0 for root.
	UserID *int64 `json:"user_id,omitempty"`
	// Command is the redacted command line.
	Command string `json:"command,omitempty"`
	// ArgsTruncated is true when the finding carries only some arguments.
	ArgsTruncated bool `json:"args_truncated,omitempty"`
	// Binary is the program.
	Binary *File `json:"binary,omitempty"`
	// Script is the script that ran.
	Script *File `json:"script,omitempty"`
	// Libraries are the libraries loaded.
	Libraries []File `json:"libraries,omitempty"`
	// EnvNames are the names of environment variables.
	EnvNames []string `json:"env_names,omitempty"`
}

// Behavior is one thing the command line does.
type Behavior struct {
	// Name is the behaviour's name in the closed set.
	Name string `json:"name"`
	// Sentence says it in words.
	Sentence string `json:"sentence,omitempty"`
	// Class is benign, neutral, suspicious or malicious.
	Class string `json:"class"`
	// Text is the redacted part of the command line that shows it.
	Text string `json:"text,omitempty"`
	// Techniques are ATT&CK ids.
	Techniques []string `json:"techniques,omitempty"`
}

// Indicator is a network or file indicator.
type Indicator struct {
	// Kind is ip, domain, url, hash, path or wallet.
	Kind string `json:"kind"`
	// Value is the indicator, defanged where it could be clicked or resolved.
	Value string `json:"value"`
}

// Incident are the findings that belong together.
type Incident struct {
	// ID is the same for every member.
	ID string `json:"id"`
	// Start is the event time of the first member.
	Start time.Time `json:"start"`
	// End is the event time of the last member.
	End time.Time `json:"end"`
	// RelatedCount is the number of other members.
	RelatedCount int `json:"related_count"`
	// RelatedMuted is the number of other members that are muted; they count all the same.
	RelatedMuted int `json:"related_muted,omitempty"`
	// Categories count the other members by category, the most frequent first.
	Categories []Count `json:"categories,omitempty"`
	// Members are all members in order of event time; the nearest to the finding when there are too many.
	Members []Member `json:"members"`
}

// Count is a name and how often it occurs.
type Count struct {
	// Name is what is counted.
	Name string `json:"name"`
	// Count is how often it occurs.
	Count int `json:"count"`
}

// Member is one finding of the incident.
type Member struct {
	// Name is the finding's canonical name.
	Name string `json:"name"`
	// Category is the finding's category.
	Category string `json:"category"`
	// Severity is the finding's severity.
	Severity string `json:"severity,omitempty"`
	// EventTime is when the detector saw the event.
	EventTime time.Time `json:"event_time"`
	// Strength is container, revision or workload: how surely it is on the same container.
	Strength string `json:"strength,omitempty"`
	// Seed is true for the finding of this record.
	Seed bool `json:"seed,omitempty"`
	// Muted is true when the finding is muted.
	Muted bool `json:"muted,omitempty"`
	// State is ACTIVE or INACTIVE.
	State string `json:"state,omitempty"`
}

// Reputation is VirusTotal's answer about one artifact.
type Reputation struct {
	// Kind is file, domain, ip or url.
	Kind string `json:"kind"`
	// Value is the SHA-256, or the defanged indicator.
	Value string `json:"value"`
	// Role says where the artifact comes from: binary, library, script, file or argument.
	Role string `json:"role,omitempty"`
	// Path is the file's path.
	Path string `json:"path,omitempty"`
	// State is the state of this lookup.
	State string `json:"state"`
	// Reason says why the state is not ok.
	Reason string `json:"reason,omitempty"`
	// Verdict is malicious, suspicious, clean or not_found; absent without an answer.
	Verdict string `json:"verdict,omitempty"`
	// Malicious counts the engines that call it malicious.
	Malicious int `json:"malicious,omitempty"`
	// Suspicious counts the engines that call it suspicious.
	Suspicious int `json:"suspicious,omitempty"`
	// Engines counts the engines that answered.
	Engines int `json:"engines,omitempty"`
	// Label is the suggested threat label.
	Label string `json:"label,omitempty"`
	// Names are names the artifact is known by.
	Names []string `json:"names,omitempty"`
	// Type is the type of the artifact.
	Type string `json:"type,omitempty"`
	// FirstSeen is when VirusTotal first saw it.
	FirstSeen time.Time `json:"first_seen,omitzero"`
	// LastAnalysis is when it was last analysed.
	LastAnalysis time.Time `json:"last_analysis,omitzero"`
	// AskedAt is when VirusTotal answered; earlier than the record when the answer was cached.
	AskedAt time.Time `json:"asked_at,omitzero"`
	// URL is the artifact's page.
	URL string `json:"url,omitempty"`
}

// Attack is the mapping to MITRE ATT&CK.
type Attack struct {
	// Version is the ATT&CK version of the mapping.
	Version string `json:"version,omitempty"`
	// Tactics are in the order of the kill chain.
	Tactics []Entry `json:"tactics,omitempty"`
	// Techniques are in the order of the kill chain.
	Techniques []Entry `json:"techniques,omitempty"`
}

// Entry is a tactic or technique.
type Entry struct {
	// ID is the ATT&CK id, or Security Command Center's name where the id is not known.
	ID string `json:"id"`
	// Name is ATT&CK's name.
	Name string `json:"name,omitempty"`
	// URL is the page on attack.mitre.org.
	URL string `json:"url,omitempty"`
}

// Assessment is the conclusion and its reasons.
type Assessment struct {
	// Verdict is the conclusion.
	Verdict string `json:"verdict"`
	// Score is 0 to 100, of the finding within its incident.
	Score int `json:"score"`
	// OwnScore is 0 to 100, of the finding alone.
	OwnScore int `json:"own_score"`
	// Priority is p1 to p4.
	Priority string `json:"priority,omitempty"`
	// NextAction is what to do next.
	NextAction string `json:"next_action,omitempty"`
	// Summary says it in one or two sentences.
	Summary string `json:"summary,omitempty"`
	// Story says in one sentence what happened when in the incident, in order of event time, the same for every member; absent when the finding stands alone.
	Story string `json:"story,omitempty"`
	// Exposure is who can reach the workload.
	Exposure string `json:"exposure,omitempty"`
	// ConfigRisks are risks in the configuration, a closed set.
	ConfigRisks []string `json:"config_risks,omitempty"`
	// Reasons are the rules that fired, the strongest first.
	Reasons []Reason `json:"reasons,omitempty"`
	// Unchecked says in words what was not checked, and why.
	Unchecked []string `json:"unchecked,omitempty"`
	// Policy is the id of the scoring policy in use.
	Policy string `json:"policy,omitempty"`
}

// Reason is one rule that fired.
type Reason struct {
	// ID is the rule's id.
	ID string `json:"id"`
	// Title is the rule's title.
	Title string `json:"title,omitempty"`
	// Points are what the rule added to the score; negative lowers it.
	Points int `json:"points"`
	// Source is the evidence the rule rests on.
	Source string `json:"source,omitempty"`
	// Evidence says in words what was seen.
	Evidence string `json:"evidence,omitempty"`
	// Incident is true when the rule counts for score and not for own_score.
	Incident bool `json:"incident,omitempty"`
}

// Step is one step of the response plan.
type Step struct {
	// ID is the step's id.
	ID string `json:"id"`
	// Phase is evidence, scope, contain, eradicate, recover or harden.
	Phase string `json:"phase,omitempty"`
	// Title says what to do.
	Title string `json:"title"`
	// Why says why.
	Why string `json:"why,omitempty"`
	// Command is the command for this very workload; absent for a step a person does.
	Command string `json:"command,omitempty"`
	// Effect says what the step does to users.
	Effect string `json:"effect,omitempty"`
	// Undo says how to take it back.
	Undo string `json:"undo,omitempty"`
	// Permission is what the step needs.
	Permission string `json:"permission,omitempty"`
	// Automatic is always false: no step is ever done by this program.
	Automatic bool `json:"automatic"`
}

// Source is the state of one source.
type Source struct {
	// Name is findings, logs, config or virustotal.
	Name string `json:"name"`
	// State is how the question to the source ended; ok and empty only after a successful answer.
	State string `json:"state"`
	// Reason says in words why the source was not asked, or what its answer lacks.
	Reason string `json:"reason,omitempty"`
	// Error says in words what went wrong.
	Error string `json:"error,omitempty"`
	// DurationMS is how long the source took, in milliseconds.
	DurationMS int64 `json:"duration_ms"`
	// RetryAt is when asking again makes sense.
	RetryAt time.Time `json:"retry_at,omitzero"`
}
