package command

import (
	"path"
	"slices"
	"strings"
)

// harmRules are what single commands say by themselves of destruction, of logs and
// defences, of other machines, and of ordinary tools. It is never written.
var harmRules = [...]rule{
	// Destruction.
	{"rm unlink", Destruction, Malicious, "T1485", removesSystem},
	{"rm", Destruction, Suspicious, "T1485", func(n *node) bool {
		return n.short('r') && n.any(func(a string) bool {
			return containsAny(a, "/var/lib/postgresql", "/var/lib/mysql", "/var/lib/mongo", "/var/lib/redis", "/var/lib/elasticsearch", "/var/lib/docker", "/var/lib/kubelet") && !containsAny(a, "cache", "tmp", "lock")
		})
	}},
	{"gpg gpg2 openssl ccrypt age 7z zip", Destruction, Suspicious, "T1486", func(n *node) bool {
		return (n.swept || slices.Contains(n.via, "xargs") || n.argContains("$") && slices.ContainsFunc(n.from, func(f *node) bool { return f.name == "find" })) && (n.has("-c", "--symmetric", "-e", "--encrypt", "enc") || n.argContains("-p")) && !n.has("-d", "--decrypt")
	}},
	{"chmod chown", Destruction, Malicious, "T1485", func(n *node) bool {
		return (n.short('R') || n.has("--recursive")) && n.any(func(a string) bool { return isOneOf(strings.TrimSuffix(a, "*"), "/ /etc /usr /bin /lib") })
	}},
	{"shred srm wipe", Destruction, Suspicious, "T1485", nil},
	{"shred srm wipe", Destruction, Malicious, "T1561.001", func(n *node) bool { return n.any(isDisk) || n.any(isSystemPath) }},
	{"dd", Destruction, Malicious, "T1561.001", func(n *node) bool {
		return n.any(func(a string) bool { return isDisk(strings.TrimPrefix(a, "of=")) && strings.HasPrefix(a, "of=") })
	}},
	{"dd", Destruction, Suspicious, "T1485", func(n *node) bool {
		return n.argContains("if=/dev/urandom", "if=/dev/zero", "if=/dev/random") && n.any(func(a string) bool {
			return strings.HasPrefix(a, "of=/") && !isOneOf(a, "of=/dev/null of=/swapfile") && !isTempPath(a[3:])
		})
	}},
	{"wipefs sgdisk sfdisk blkdiscard hdparm parted fdisk", Destruction, Suspicious, "T1561.001", func(n *node) bool { return n.any(isDisk) && !n.has("-l", "--list", "print") }},
	{"mv", Destruction, Malicious, "T1485", func(n *node) bool { return len(n.args) > 1 && n.args[len(n.args)-1] == "/dev/null" }},
	{"find", Destruction, Malicious, "T1485", func(n *node) bool {
		return (n.has("-delete") || n.has("shred") || n.has("rm") && n.has("-exec")) && len(n.args) > 0 && isSystemPath(n.args[0]) && (!n.has("-mtime", "-mmin", "-empty", "-perm", "-name", "-iname", "-ctime", "-newer", "-path") || has2(n, "-name", "*"))
	}},
	{"7z 7za 7zr zip", Destruction, Suspicious, "T1486", func(n *node) bool {
		return n.any(func(a string) bool { return strings.HasPrefix(a, "-p") || a == "-P" || a == "-e" }) && n.has("-sdel", "-m", "-rm")
	}},
	{"find", Destruction, Malicious, "T1486", func(n *node) bool {
		return n.has("-exec") && n.argContains("openssl", "gpg", "ccrypt") && n.argContains("enc", "-c", "-e") && !n.has("-d")
	}},
	{"kill", Destruction, Malicious, "T1489", func(n *node) bool { return has2(n, "-9", "-1") || has2(n, "-KILL", "-1") }},
	{"shutdown reboot poweroff halt init telinit", Destruction, Suspicious, "T1529", func(n *node) bool { return n.name != "init" && n.name != "telinit" || n.has("0", "6") }},
	{"stress stress-ng", Destruction, Suspicious, "T1499", nil},
	{"*", Destruction, Suspicious, "T1498", func(n *node) bool {
		return containsAny(strings.ToLower(n.name), "flood", "ddos", "slowloris", "goldeneye", "stress-http", "stresser", "torshammer", "xerxes", "mhddos", "udp-bomb") || n.name == "hping3" && n.has("--flood")
	}},
	{"yes", Destruction, Suspicious, "T1499", func(n *node) bool { return len(n.to) == 0 && writesNull(n) }},

	// Logs, audit, defences.
	{"rm shred unlink truncate", LogTampering, Malicious, "T1070.002", func(n *node) bool { return n.any(isSystemLog) }},
	{"truncate", LogTampering, Suspicious, "T1070.002", func(n *node) bool {
		return n.any(func(a string) bool { return strings.HasPrefix(a, "/var/log/") && path.Ext(a) != ".1" }) && n.argContains("/var/log/syslog", "/var/log/auth", "/var/log/messages", "/var/log/secure")
	}},
	{"rm", LogTampering, Suspicious, "T1070.002", func(n *node) bool {
		return n.any(func(a string) bool { return isOneOf(strings.TrimRight(a, "*/"), "/var/log") })
	}},
	{"find", LogTampering, Suspicious, "T1070.002", func(n *node) bool {
		return len(n.args) > 0 && n.args[0] == "/" && n.argContains(".log") && (n.has("truncate", "shred", "-delete", "rm")) && !n.has("-mtime", "-mmin", "-ctime")
	}},
	{"journalctl", LogTampering, Suspicious, "T1070.002", func(n *node) bool { return n.argContains("--vacuum", "--rotate", "--flush") }},
	{"dmesg", LogTampering, Suspicious, "T1070.002", func(n *node) bool { return n.has("-C", "-c", "--clear") }},
	{"auditctl", LogTampering, Malicious, "T1562.001", func(n *node) bool { return n.has("-D", "-e") }},
	{"setenforce", LogTampering, Suspicious, "T1562.001", func(n *node) bool { return n.has("0", "Permissive") }},
	{"iptables ip6tables nft ufw", LogTampering, Suspicious, "T1562.004", func(n *node) bool { return n.has("-F", "--flush", "flush", "disable", "-X") }},
	{"history", HistoryDisabled, Suspicious, "T1070.003", func(n *node) bool { return n.short('c') || n.short('d') || n.short('w') }},
	{"unset", HistoryDisabled, Suspicious, "T1562.003", func(n *node) bool { return n.has("HISTFILE", "HISTSIZE", "HISTFILESIZE", "HISTCONTROL") }},
	{"set", HistoryDisabled, Suspicious, "T1562.003", func(n *node) bool { return has2(n, "+o", "history") }},
	{"shopt", HistoryDisabled, Suspicious, "T1562.003", func(n *node) bool { return has2(n, "-u", "histappend") }},
	{"rm shred ln truncate cp unlink", HistoryDisabled, Suspicious, "T1070.003", func(n *node) bool { return n.any(isHistoryFile) }},

	// Scanners and tools for reaching other machines.
	{"nmap pnscan skanuvaty xscan masscan zmap rustscan naabu unicornscan hping3 fscan arp-scan nbtscan kscan zgrab zgrab2 smbmap enum4linux crackmapexec netdiscover fping netexec nxc smbclient rpcclient onesixtyone snmpwalk snmp-check kerbrute bloodhound-python certipy ldapdomaindump dnsrecon dnsenum fierce amass subfinder httpx sx angryip p0f xprobe2", PortScan, Suspicious, "", func(n *node) bool {
		return !n.has("--version", "--help") && (n.name != "fping" || n.has("-g") || n.short('g'))
	}},
	{"ssh-keyscan showmount ldapsearch nbtstat", PortScan, Suspicious, "T1018", func(n *node) bool {
		return n.swept || n.name == "showmount" || n.name == "ldapsearch" && n.has("-x") && n.argContains("ldap://") && !n.argContains("localhost", "127.0.0.1") || n.any(func(a string) bool { return strings.Contains(a, "/") && isIP(strings.SplitN(a, "/", 2)[0]) })
	}},
	{"nikto gobuster dirb ffuf wfuzz sqlmap hydra medusa ncrack john hashcat patator dirsearch nuclei wpscan msfconsole msfvenom responder impacket-secretsdump", PortScan, Suspicious, "T1046", nil},
	{"sshpass chisel ptunnel-ng ngrok frpc frps gost iox ligolo ligolo-agent rathole revsocks nps npc earthworm ew dnscat dnscat2 iodine ptunnel stowaway reGeorg pwncat pwncat-cs sliver-client merlin evil-winrm sshuttle bore serveo pagekite localtunnel zrok playit tmate gsocket gs-netcat upterm sshx", LateralTool, Suspicious, "T1572", nil},
	{"proxychains proxychains4 torify torsocks tor", LateralTool, Suspicious, "T1090", nil},
	{"cloudflared tailscale tailscaled", LateralTool, Neutral, "T1572", nil},
	{"kubectl oc", LateralTool, Suspicious, "T1609", func(n *node) bool {
		return n.has("attach", "debug", "run") && !n.has("--help", "exec") || n.has("exec") && (!n.has("--") || n.has("-it", "-i", "-ti", "--stdin") || bareShellLast(n))
	}},

	{"gcloud gsutil bq aws az kubectl oc helm terraform eksctl doctl ibmcloud aliyun oci argocd", CloudCLIUse, Neutral, "", nil},
	{"gcc g++ cc c++ clang clang++ tcc make cmake ld as go rustc cargo javac nim ghc cobc gfortran", CompilerUse, Neutral, "", compiles},
	{"gcc g++ cc c++ clang tcc javac", CompilerUse, Suspicious, "", func(n *node) bool {
		return n.any(isTempPath) || n.has("-shared") && n.has("-nostartfiles") || n.has("-xc", "-x") && n.has("-")
	}},
	{"chmod chown chgrp setfacl", PermissionChange, Neutral, "", nil},
	{"chmod", PermissionChange, Suspicious, "", func(n *node) bool {
		return makesExecutable(n) && n.any(func(a string) bool {
			return isTempPath(a) && !n.made(a) || isHiddenPath(a) && strings.Contains(a, "/") && !isKeyFolder(a)
		})
	}},
	{"chmod chown", PermissionChange, Suspicious, "", func(n *node) bool {
		return n.any(func(a string) bool {
			return isOneOf(a, "/etc/passwd /etc/shadow /etc/sudoers / /etc /root /bin /usr /usr/bin")
		}) && !n.has("640", "600", "644")
	}},
}
