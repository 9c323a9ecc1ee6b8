package assess

import (
	"net/netip"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/attack"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// sccAttack returns the tactics and techniques that Security Command Center
// names in a finding, with those its category stands for.
func sccAttack(f *finding.Finding) (tactics, techniques []string) {
	if t, te, ok := attack.ForCategory(f.Category); ok {
		tactics, techniques = append(tactics, t...), append(techniques, te...)
	}
	for _, name := range append([]string{f.Mitre.PrimaryTactic}, f.Mitre.AdditionalTactics...) {
		tactics = append(tactics, attack.Tactic(name))
	}
	for _, list := range [][]string{f.Mitre.PrimaryTechniques, f.Mitre.AdditionalTechniques} {
		for _, name := range list {
			techniques = append(techniques, attack.Technique(name))
		}
	}
	return attack.SortTactics(tactics), techniques
}

// attack returns the tactics and techniques of the finding, its command line
// and the rules that fired, in order of the kill chain, each once.
func (s *subject) attack(fromRules []string) (tactics, techniques []string) {
	tactics, techniques = sccAttack(s.f)
	for _, h := range s.reading.Hits {
		if h.Class < command.Neutral {
			continue
		}
		tactics = append(tactics, behaviorTactics(h.Behavior)...)
		techniques = append(techniques, h.Techniques...)
	}
	techniques = append(techniques, fromRules...)
	for _, t := range fromRules {
		// A technique of one tactic says which; others would add guesses.
		if of := attack.TechniqueTactics(t); len(of) == 1 {
			tactics = append(tactics, of...)
		}
	}
	return attack.SortTactics(tactics), attack.SortTechniques(techniques)
}

func (s *subject) attackVersion() string { return attack.Version(s.f.Mitre.Version) }

// behaviorTactics are the tactics a behaviour serves in a container. ATT&CK
// lists several techniques under more tactics than one command shows.
func behaviorTactics(b command.Behavior) []string {
	switch b {
	case command.ReverseShell, command.BindShell:
		return []string{"TA0002", "TA0011"}
	case command.DownloadAndExecute:
		return []string{"TA0002", "TA0011"}
	case command.Download:
		return []string{"TA0011"}
	case command.Miner, command.Destruction:
		return []string{"TA0040"}
	case command.ContainerEscape, command.PrivilegeEscalation:
		return []string{"TA0004"}
	case command.MetadataTokenAccess, command.CredentialSearch:
		return []string{"TA0006"}
	case command.Exfiltration:
		return []string{"TA0010"}
	case command.Persistence:
		return []string{"TA0003"}
	case command.LogTampering, command.HistoryDisabled, command.EncodedPayload, command.CompilerUse, command.PermissionChange:
		return []string{"TA0005"}
	case command.PortScan, command.Recon:
		return []string{"TA0007"}
	case command.LateralTool:
		return []string{"TA0008"}
	case command.PipeToShell, command.InteractiveShell, command.TempExecution, command.CloudCLIUse:
		return []string{"TA0002"}
	}
	return nil
}

// detected are the hashes of the files that the detector itself calls
// malicious, whether VirusTotal knows them or not.
func (s *subject) detected() []string {
	key := categoryKey(s.f.Category)
	child := s.tree.Child
	if child == nil || !strings.Contains(key, "malicious") {
		return nil
	}
	var out []string
	switch {
	case strings.Contains(key, "library"):
		for i := range child.Libraries {
			out = append(out, child.Libraries[i].FullHash())
		}
	case strings.Contains(key, "binary"):
		out = append(out, child.Binary.FullHash())
	case strings.Contains(key, "python"), strings.Contains(key, "script"):
		out = append(out, child.ScriptHash())
	}
	return out
}

// maxIndicators bounds the indicators of one assessment.
const maxIndicators = 20

// indicators collects the addresses, domains, URLs and hashes to look for
// elsewhere: first what Security Command Center and VirusTotal call bad, then
// what the command names. Paths are no network indicators but stay, last.
func (s *subject) indicators() []command.Indicator {
	var out, paths []command.Indicator
	seen := map[command.Indicator]bool{}
	add := func(kind, value string) {
		i := command.Indicator{Kind: kind, Value: value}
		if value == "" || seen[i] {
			return
		}
		seen[i] = true
		if kind == "path" {
			paths = append(paths, i)
			return
		}
		out = append(out, i)
	}
	if r := s.f.ReverseShell; r != nil {
		add("ip", r.DestinationIP)
	}
	for _, v := range s.f.Indicator.URIs {
		add("url", v)
	}
	for _, v := range s.f.Indicator.Domains {
		add("domain", v)
	}
	for _, v := range s.f.Indicator.IPs {
		add("ip", v)
	}
	for i := range s.ev.Reputations {
		r := &s.ev.Reputations[i]
		if !answered(r.State) || gravity(r.Verdict) < 3 {
			continue
		}
		kind := r.Artifact.Kind
		if kind == "file" {
			kind = "hash"
		}
		add(kind, r.Artifact.Value)
	}
	for _, hash := range s.detected() {
		add("hash", hash)
	}
	if s.controlPlane() {
		if ip, err := netip.ParseAddr(s.f.Access.CallerIP); err == nil {
			add("ip", ip.String())
		}
	}
	for _, i := range s.reading.Indicators {
		add(i.Kind, i.Value)
	}
	for _, c := range s.f.Connections {
		add("ip", c.DestinationIP)
	}
	out = append(out, paths...)
	if len(out) > maxIndicators {
		out = out[:maxIndicators]
	}
	return out
}
