package command

import "slices"

// trait is what is known of a behaviour whatever the command line.
type trait struct {
	behavior   Behavior
	class      Class
	techniques []string
	sentence   string
}

// traits describes every behaviour, the most dangerous first; this is also the
// order of Reading.Hits within a class. The technique ids are those of ATT&CK
// Enterprise. It is never written.
var traits = [...]trait{
	{ReverseShell, Malicious, []string{"T1059.004", "T1095"}, "Opens a shell whose input and output are a connection to a remote host."},
	{BindShell, Malicious, []string{"T1059.004", "T1095"}, "Listens on a port and gives whoever connects a shell."},
	{DownloadAndExecute, Malicious, []string{"T1105", "T1059.004"}, "Fetches code from the network and runs it."},
	{Miner, Malicious, []string{"T1496.001"}, "Runs or configures a cryptocurrency miner."},
	{ContainerEscape, Malicious, []string{"T1611"}, "Tries to leave the container for the host."},
	{MetadataTokenAccess, Malicious, []string{"T1552.005"}, "Asks the instance metadata server for credentials of the service account."},
	{CredentialSearch, Suspicious, []string{"T1552.001", "T1552.003", "T1552.004", "T1552.007", "T1003.007", "T1003.008"}, "Searches for or reads keys, passwords, tokens or other credentials."},
	{Exfiltration, Suspicious, []string{"T1048", "T1048.003", "T1567"}, "Sends files or the output of commands to a remote host."},
	{Destruction, Malicious, []string{"T1485", "T1486", "T1489", "T1499", "T1561.001"}, "Destroys data, disks or the running system."},
	{PrivilegeEscalation, Suspicious, []string{"T1548.001", "T1548.003", "T1068", "T1574.006"}, "Tries to gain root or more privileges."},
	{Persistence, Suspicious, []string{"T1053.003", "T1098.004", "T1136.001", "T1543.002", "T1546.004", "T1574.006", "T1037.004", "T1098", "T1505.003", "T1556.003"}, "Arranges to be run or let in again later."},
	{LogTampering, Suspicious, []string{"T1070.002", "T1562.001"}, "Removes or silences logs, audit or security tools."},
	{HistoryDisabled, Suspicious, []string{"T1070.003", "T1562.003"}, "Clears the shell history or stops it from being written."},
	{EncodedPayload, Suspicious, []string{"T1027.010", "T1140"}, "Carries an encoded payload that is decoded on the spot."},
	{PipeToShell, Suspicious, []string{"T1059.004"}, "Pipes generated text into a shell or interpreter."},
	{TempExecution, Suspicious, []string{"T1059.004", "T1564.001"}, "Runs a program from a world-writable or hidden place."},
	{PortScan, Suspicious, []string{"T1046"}, "Scans hosts or ports."},
	{LateralTool, Suspicious, []string{"T1021.004", "T1090", "T1572", "T1609"}, "Reaches other machines, tunnels to them or acts on them."},
	{InteractiveShell, Suspicious, []string{"T1059.004"}, "Starts an interactive shell, also out of another program."},
	{Recon, Neutral, []string{"T1082", "T1033", "T1057", "T1016", "T1087.001", "T1083"}, "Looks around: users, processes, network, system or files."},
	{CloudCLIUse, Neutral, []string{"T1059.009"}, "Uses a cloud or cluster command-line client."},
	{Download, Neutral, []string{"T1105"}, "Fetches a file from the network."},
	{CompilerUse, Neutral, []string{"T1027.004"}, "Compiles code inside the container."},
	{PackageInstall, Neutral, []string{"T1105"}, "Installs packages at run time."},
	{PermissionChange, Neutral, []string{"T1222.002"}, "Changes permissions or owners of files."},
	{EntrypointScript, Benign, nil, "Looks like a container's entrypoint script or init process."},
	{HealthCheck, Benign, nil, "Looks like a health check or a wait for a dependency."},
	{PackageScript, Benign, nil, "Looks like an application started by its package or process manager."},
	{ShellWrapper, Benign, nil, "Is a shell that only starts one program."},
	{VersionCheck, Benign, nil, "Asks a program for its version."},
	{Migration, Benign, nil, "Looks like a database migration or a database client job."},
}

// All returns every behaviour, the most dangerous first.
func All() []Behavior {
	out := make([]Behavior, len(traits))
	for i, t := range traits {
		out[i] = t.behavior
	}
	return out
}

func (b Behavior) trait() trait {
	for _, t := range traits {
		if t.behavior == b {
			return t
		}
	}
	return trait{behavior: b}
}

// rank is the place of b in All, lower is more dangerous.
func (b Behavior) rank() int {
	for i := range traits {
		if traits[i].behavior == b {
			return i
		}
	}
	return len(traits)
}

// Sentence says in words what the behaviour is; empty for an unknown one.
func (b Behavior) Sentence() string { return b.trait().sentence }

// Techniques are the ATT&CK ids the behaviour may stand for. A Hit names those
// of its own occurrence.
func (b Behavior) Techniques() []string { return slices.Clone(b.trait().techniques) }

// Class is how much the behaviour usually weighs; an occurrence may weigh more
// or less, see Hit.Class.
func (b Behavior) Class() Class { return b.trait().class }
