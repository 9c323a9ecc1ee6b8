// Package finding says what Security Command Center said: it turns a
// notification, a listed finding or a bare finding into one Finding, and
// derives its identity, its Cloud Run workload and its process tree.
//
// Parsing is lenient about what is not used (unknown fields, unknown enum
// values, both field casings, v1 and v2) and strict about what is. The package
// is pure: it takes no context, clock, logger or client.
package finding

import "time"

// Finding is one Security Command Center finding, version 1 or 2, reduced to
// the fields an investigation uses. Text in it is untrusted: process
// arguments, names and properties may have been chosen by an attacker.
type Finding struct {
	// Name is the resource name the finding was read at, with or without
	// "/locations/L".
	Name string
	// CanonicalName is the name under the closest resource-manager ancestor.
	// Together with EventTime it is the finding's identity, and it is where
	// marks are written. It falls back to Name where SCC sent none.
	CanonicalName string
	// NotificationConfig is the config that published the message, or empty.
	NotificationConfig string
	// Parent is the source, "organizations/N/sources/S".
	Parent string
	// ParentDisplayName is the source: "Cloud Run Threat Detection", "Event Threat Detection", ...
	ParentDisplayName string
	// ResourceName is the full resource name, "//run.googleapis.com/projects/...";
	// the name of Resource where the finding has none.
	ResourceName string
	// Category is the detector's display name, unchanged. Google's own pages
	// spell some of them in several ways; attack.Normalize folds them.
	Category    string
	Description string
	ExternalURI string
	// Class is THREAT, VULNERABILITY, ..., or empty.
	Class    string
	State    State
	Severity Severity
	// Mute is MUTED, UNMUTED, UNDEFINED or empty.
	Mute string
	// EventTime is when the detector saw the event (nanoseconds kept); zero if unset.
	EventTime  time.Time
	CreateTime time.Time
	// Marks are the security marks as read back, keys in the casing received.
	Marks map[string]string

	Containers  []Container
	Processes   []Process
	Files       []File
	Indicator   Indicator
	Connections []Connection
	Access      Access
	Mitre       Mitre
	// ReverseShell is set from the v1 source properties of the Reverse Shell detector.
	ReverseShell *ReverseShell

	Resource Resource
	// Workload is the Cloud Run workload parsed from ResourceName; its zero
	// value means the finding is not about Cloud Run.
	Workload Workload

	// Deleted is true when a version 1 list answer says that the finding no
	// longer matches: ListFindingsResult.stateChange is REMOVED.
	Deleted bool
	// Truncated counts the values that were cut or left out because of this
	// package's own bounds (see bounds.go); zero for every finding of sane size.
	Truncated int
	// Malformed names the fields that were present but of a type that cannot
	// be read, at most 20, each once. They are treated as absent.
	Malformed []string
}

// State is the state of a finding: ACTIVE, INACTIVE or empty.
type State string

// The states of SCC's Finding.State.
const (
	Active   State = "ACTIVE"
	Inactive State = "INACTIVE"
)

// Severity is CRITICAL, HIGH, MEDIUM, LOW or empty.
type Severity string

// The severities of SCC's Finding.Severity.
const (
	Critical Severity = "CRITICAL"
	High     Severity = "HIGH"
	Medium   Severity = "MEDIUM"
	Low      Severity = "LOW"
)

// Muted reports whether the finding is muted.
func (f *Finding) Muted() bool { return f.Mute == "MUTED" }

// Container is one element of containers[]; any field may be empty.
type Container struct {
	Name string
	// URI is the image as configured; it may be a mutable tag.
	URI string
	// ImageID names the image by digest where the runtime told it.
	ImageID    string
	CreateTime time.Time
}

// Process is one element of processes[]. The order of the array says nothing:
// use Tree.
type Process struct {
	// Name is the process's comm, which the process itself can change.
	Name      string
	Binary    *File
	Libraries []File
	Script    *File
	// Args is the argument vector, already decoded from SCC's JSON-encoded
	// strings. May be empty by policy of the customer.
	Args          []string
	ArgsTruncated bool
	// EnvNames are the names only; values are dropped while parsing.
	EnvNames     []string
	EnvTruncated bool
	PID          int64
	ParentPID    int64
	// UserID is the numeric user, 0 for root. It is nil when SCC sent none,
	// which protobuf JSON also does for 0: nil does not exclude root.
	UserID *int64
}

// File is a file as SCC describes it.
type File struct {
	Path string
	// Size and HashedSize are bytes; SHA256 covers the first HashedSize bytes.
	Size            int64
	HashedSize      int64
	SHA256          string
	PartiallyHashed bool
	// Contents is a prefix of the file, possibly truncated.
	Contents string
	// DiskPath is the path relative to its disk partition.
	DiskPath string
}

// Indicator holds the indicators of compromise that SCC names.
type Indicator struct {
	IPs     []string
	Domains []string
	URIs    []string
	// Signatures are names of YARA rules and of binary families seen in memory.
	Signatures []string
}

// Connection is one network connection; ports are 0 when unknown.
type Connection struct {
	DestinationIP   string
	DestinationPort int
	SourceIP        string
	SourcePort      int
	Protocol        string
}

// Access says who called which API, for control-plane findings.
type Access struct {
	Principal string
	CallerIP  string
	Region    string
	UserAgent string
	// KeyName is the full resource name of the service account key that the
	// caller used, or empty.
	KeyName     string
	ServiceName string
	MethodName  string
}

// Mitre carries SCC's own ATT&CK mapping as enum names, not as T-numbers.
type Mitre struct {
	PrimaryTactic        string
	PrimaryTechniques    []string
	AdditionalTactics    []string
	AdditionalTechniques []string
	// Version is the ATT&CK version SCC refers to, or empty.
	Version string
}

// ReverseShell holds the v1 source properties
// Reverse_Shell_Stdin_Redirection_{Dst,Src}_{Ip,Port}.
type ReverseShell struct {
	DestinationIP   string
	DestinationPort int
	SourceIP        string
	SourcePort      int
}

// Resource is the affected resource as SCC describes it.
type Resource struct {
	Name        string
	DisplayName string
	Type        string
	Service     string
	Location    string
	// ProjectNumber and ProjectID come from the project's resource name and
	// display name; either may be empty. A display name that cannot be a
	// project id is not kept.
	ProjectNumber string
	ProjectID     string
	// Organization is "organizations/N", or empty.
	Organization string
	// Folders are "folders/N", the deepest first.
	Folders []string
}
