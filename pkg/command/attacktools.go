package command

import (
	"strings"
	"sync"
)

// attackTools are the programs of attackers by what they are for, beyond those of
// the rules. Sources: the software of ATT&CK, Sigma's rules on Linux hack tools.
// It is never written.
var attackTools = [...]struct {
	names     string
	behavior  Behavior
	technique string
}{
	{"mimikatz hashdump laZagne truffleHog linikatz mimipenguin keydump creddump swapdigger", CredentialSearch, "T1552.001"},
	{"pacu cloudfox gcpwn gcp_scanner gcp-scanner scout scoutsuite prowler roadrecon roadtx azurehound enumerate-iam cloud_enum cloudbrute s3scanner gcpbucketbrute steampipe cartography purplepanda peass bloodhound kubescape kube-bench rakkess kubectl-who-can access-matrix rbac-police kubiscan", Recon, "T1580"},
	{"stratus-red-team kube-escape ctr-escape grype-escape cdk-team leaky-vessels", ContainerEscape, "T1611"},
	{"icmpsh icmpsh-s icmptunnel icmpdoor hans udp2raw udpspeeder kcptun wstunnel wstunnel-linux tcptunnel rport rathole inlets inlets-pro tunnelto pinggy expose telebit zerotier-one zerotier-cli n2n supernode netbird headscale nebula softether vpnclient ssf reverse_ssh rssh ssh-j goproxy brook naive naiveproxy shadowsocks-libev sslocal ssserver tuic mieru juicity snell-server trojan-go clash mihomo tinyproxy microsocks srelay dante sockd privoxy polipo obfs4proxy lokinet i2pd i2prouter dnstt-client dnstt-server heyoka tuns ozymandns godoh slipstream-client", LateralTool, "T1572"},
	{"sliver sliver-server havoc mythic poseidon apollo villain hoaxshell covenant empire starkiller koadic pupy pupysh quasar byob brc4 badrat nimplant deimos deimosc2 emp3r0r merlinAgent merlinagent sandcat splunkd-agent manjusaka vshell supershell geacon geacon_pro cobaltstrike beacon meterpreter msfrpcd metasploit thc-gsocket tsh tshd bpfdoor bpfdoor-agent reptile diamorphine kovid medusa-rootkit adore-ng", ReverseShell, "T1071"},
	{"crowbar brutespray sshspray sshbrute legba thc-hydra bruteforce brute ssh-brute changeme cupp medusa ncrack rdp-brute mysqlbrute redis-brute", PortScan, "T1110"},
	{"feroxbuster arjun dalfox xsstrike commix tplmap sstimap ghauri jaeles whatweb wafw00f testssl testssl.sh sslscan sslyze assetfinder findomain sublist3r dnsx katana hakrawler gau waybackurls aquatone eyewitness gowitness interactsh-client masscan_to_nmap zdns shodan censys theharvester recon-ng spiderfoot kubehunter svmap svwar sipvicious dnsmap dnstracer massdns puredns shuffledns smap goscan pscan skipfish arachni w3af vulscan fscanx kscan ladon ladongo gogo serverscan", PortScan, "T1046"},
	{"steghide stegsnow outguess openstego stegolsb stegseek stegosuite stepic zsteg jsteg snow", EncodedPayload, "T1027.003"},
	{"cloakify dnsteal dnsexfil powershell-exfil dns-exfil det pyexfil egress-assess", Exfiltration, "T1048"},
	{"lockbit conti blackcat alphv babuk esxi_encrypt encryptor ransom cryptor darkside revil akira royal hellokitty", Destruction, "T1486"},
	{"slowhttptest hulk.py torshammer pyloris rudy loic hoic siege-ddos mirai gafgyt tsunami bashlite kaiten xorddos muhstik", Destruction, "T1498"},
	{"cpulimit-miner xmrig-proxy xmr-node-proxy trex t-rex-miner rigel onezerominer bzminer srbminer-multi hellminer ccminer-verus nheqminer cudaminer cpuminer-opt xmrig-mo xmrig-cuda qubitcoin rqiner qli-client hive-miner verusminer oneminer astrominer dero-miner-linux-amd64 spectre-miner tnn-miner", Miner, "T1496.001"},
	{"mitmproxy mitmdump mitmweb sslsplit bettercap pcredz net-creds netsniff-ng tcpick driftnet ngrep", Recon, "T1040"},
}

// toolOf indexes them by name.
var toolOf = sync.OnceValue(func() map[string]int {
	index := map[string]int{}
	for i, t := range attackTools {
		for name := range strings.FieldsSeq(t.names) {
			index[strings.ToLower(name)] = i
		}
	}
	return index
})

// isTool weighs a program by its name, also one that is started as a script or by
// an interpreter.
func (s *scan) isTool(n *node) {
	if isVersionCheck(n) {
		return
	}
	names := []string{n.name}
	if language(n.name) != nil || isShell(n.name) {
		names = nil
		for i, a := range n.args {
			if i < 3 && !strings.HasPrefix(a, "-") && !strings.ContainsAny(a, " ;(") {
				names = append(names, baseName(a))
			} else if i > 0 && n.args[i-1] == "-m" {
				names = append(names, a)
			}
		}
	}
	for _, name := range names {
		name = strings.ToLower(name)
		for _, ext := range [...]string{".py", ".sh", ".pl", ".rb", ".elf", "_linux_amd64", "-linux-amd64", "_amd64", "-amd64", "-linux", "_linux", ".bin"} {
			name = strings.TrimSuffix(name, ext)
		}
		i, ok := toolOf()[name]
		if !ok {
			continue
		}
		t := attackTools[i]
		s.hit(t.behavior, Suspicious, n.text, t.technique)
		return
	}
}
