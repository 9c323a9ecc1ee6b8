// Package command reads a command line as an analyst would: it parses shell
// text into a syntax tree, argument vectors of interpreters and encoded
// payloads, to a bounded depth, and says what the command does as a closed set
// of behaviours with ATT&CK techniques, and which indicators it names.
//
// Nothing is ever run or expanded. What is read is untrusted; the texts in a
// Reading are not redacted, the record does that for everything it carries.
package command

// Behavior is one thing a command line does. The set is closed.
type Behavior string

// The behaviours, the dangerous ones first.
const (
	ReverseShell        Behavior = "reverse_shell"
	BindShell           Behavior = "bind_shell"
	DownloadAndExecute  Behavior = "download_and_execute"
	Miner               Behavior = "miner"
	ContainerEscape     Behavior = "container_escape"
	MetadataTokenAccess Behavior = "metadata_token_access"
	CredentialSearch    Behavior = "credential_search" //nolint:gosec // the name of a behaviour
	Exfiltration        Behavior = "exfiltration"
	Destruction         Behavior = "destruction"
	PrivilegeEscalation Behavior = "privilege_escalation"
	Persistence         Behavior = "persistence"
	LogTampering        Behavior = "log_tampering"
	HistoryDisabled     Behavior = "history_disabled"
	EncodedPayload      Behavior = "encoded_payload"
	PipeToShell         Behavior = "pipe_to_shell"
	PortScan            Behavior = "port_scan"
	LateralTool         Behavior = "lateral_tool"
	CloudCLIUse         Behavior = "cloud_cli_use"
	Download            Behavior = "download"
	Recon               Behavior = "recon"
	CompilerUse         Behavior = "compiler_use"
	PackageInstall      Behavior = "package_install"
	PermissionChange    Behavior = "permission_change"
	InteractiveShell    Behavior = "interactive_shell"
	TempExecution       Behavior = "temp_execution"

	// The benign ones: they explain a command, they never hide another behaviour.
	EntrypointScript Behavior = "entrypoint_script"
	HealthCheck      Behavior = "health_check"
	PackageScript    Behavior = "package_script"
	ShellWrapper     Behavior = "shell_wrapper"
	VersionCheck     Behavior = "version_check"
	Migration        Behavior = "migration"
)

// Reading is what a command line says.
type Reading struct {
	// Hits are the behaviours found, strongest first, each behaviour once.
	Hits []Hit
	// Indicators are at most MaxIndicators, in order of appearance, without duplicates.
	Indicators []Indicator
	// Decoded are the payloads that were decoded and read again.
	Decoded []string
	// Truncated is true when the arguments were cut, by SCC or by our own bounds.
	Truncated bool
	// Unparsed is true when some shell text could not be parsed and was read by words only.
	Unparsed bool
}

// Hit is a behaviour and the text it was seen in.
type Hit struct {
	Behavior Behavior
	// Text is the part of the command line that shows it, not redacted.
	Text string
	// Techniques are ATT&CK (sub-)technique ids, "T1059.004".
	Techniques []string
	// Class is how much this occurrence weighs: a lone "id" is Neutral, a
	// chain of such commands Suspicious, though both are Recon.
	Class Class
}

// Indicator is a network or file indicator named by the command.
type Indicator struct {
	// Kind is "ip", "domain", "url", "hash", "path" or "wallet".
	Kind  string
	Value string
}

// MaxIndicators is how many indicators a Reading carries at most.
const MaxIndicators = 50

// Has reports whether the reading shows b.
func (r Reading) Has(b Behavior) bool {
	for _, h := range r.Hits {
		if h.Behavior == b {
			return true
		}
	}
	return false
}
