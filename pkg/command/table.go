package command

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// rule is one line of the table: a command, a condition on its words, and what
// it then is.
type rule struct {
	names      string
	behavior   Behavior
	class      Class
	techniques string
	when       func(n *node) bool
}

// rules is what single commands say by themselves. It is never written.
var rules = [...]rule{
	// Miners: names of the tools, whatever their arguments.
	{"xmrig xmr-stak xmr-stak-cpu xmr-stak-rx minerd cpuminer cpuminer-multi ccminer ethminer lolMiner nbminer phoenixminer t-rex gminer teamredminer nanominer cgminer bfgminer sgminer minergate minergate-cli xmrigDaemon xmrig-notls xmrigMiner claymore srbminer SRBMiner-MULTI wildrig-multi cryptonight kdevtmpfsi kinsing sysrv xmr",
		Miner, Malicious, "", nil},
	{"*", Miner, Malicious, "", minerArguments},
	{"git curl wget aria2c", Miner, Suspicious, "", func(n *node) bool {
		return (n.name != "git" || n.has("clone")) && n.any(func(a string) bool { return strings.Contains(a, "://") && namesMiner(a) })
	}},
	{"*", LateralTool, Suspicious, "T1496.002", func(n *node) bool { return isProxyware(n.name) }},

	{"ip ifconfig", Recon, Suspicious, "T1040", func(n *node) bool { return n.has("promisc") }},
	{"gcore", CredentialSearch, Suspicious, "T1003.007", nil},
	{"strace ltrace", CredentialSearch, Suspicious, "T1003.007", func(n *node) bool { return n.short('p') && n.argContains("read", "write", "sendto", "recvfrom") }},
	{"bpftrace", Recon, Suspicious, "T1040", func(n *node) bool { return n.has("-e", "--unsafe") }},
	{"logkeys xspy lkl", CredentialSearch, Suspicious, "T1056.001", nil},
	{"cat tee dd hexdump xxd", CredentialSearch, Suspicious, "T1056.001", func(n *node) bool { return n.argContains("/dev/input/event") }},
	{"tcpdump tshark dumpcap ettercap bettercap tcpflow ngrep dsniff urlsnarf", Recon, Suspicious, "T1040", func(n *node) bool { return !n.has("--version", "-D", "-h") }},

	// Escapes from the container.
	{"nsenter", ContainerEscape, Malicious, "", func(n *node) bool { return n.has("-t", "-t1", "--target") || n.argContains("/proc/1/ns") }},
	{"unshare", ContainerEscape, Suspicious, "", func(n *node) bool { return !n.has("--help", "--version") }},
	{"cdk cdk_linux_amd64 deepce deepce.sh botb ctrsploit peirates kdigger escape.sh", ContainerEscape, Malicious, "", nil},
	{"runc crun", ContainerEscape, Suspicious, "", func(n *node) bool { return n.has("run", "exec", "create") }},
	{"ls cat stat file find curl nc socat", ContainerEscape, Suspicious, "", func(n *node) bool {
		return !n.inTest && n.any(func(a string) bool { return isOneOf(path.Base(a), "docker.sock containerd.sock crio.sock") })
	}},
	{"amicontained", Recon, Suspicious, "T1082", nil},
	{"docker podman nerdctl", ContainerEscape, Malicious, "", func(n *node) bool {
		return n.has("run", "create") && (n.has("--privileged") || n.argContains("--pid=host", "/:/", "docker.sock", "cap-add=SYS_ADMIN", "cap-add=ALL") || has2(n, "--pid", "host") || has2(n, "--cap-add", "SYS_ADMIN"))
	}},
	{"docker podman nerdctl", ContainerEscape, Suspicious, "", func(n *node) bool {
		return n.argContains("unix:///var/run/docker.sock", "unix:///run/docker.sock", "/host/")
	}},
	{"mount", ContainerEscape, Malicious, "", func(n *node) bool {
		return n.any(func(a string) bool { return isDisk(a) || a == "cgroup" || a == "rdma" }) && !n.has("-a")
	}},
	{"debugfs", ContainerEscape, Malicious, "", func(n *node) bool { return n.any(isDisk) }},
	{"insmod modprobe rmmod", ContainerEscape, Suspicious, "T1611", func(n *node) bool {
		return n.name != "modprobe" || n.any(isTempPath) || !n.has("-n", "-c", "--show-depends") && len(n.operands("CSd")) > 0 && !n.any(isCommonModule)
	}},
	{"mknod", ContainerEscape, Malicious, "T1611", func(n *node) bool { return n.has("b") }},
	{"mount", ContainerEscape, Suspicious, "T1611", func(n *node) bool {
		return has2(n, "-t", "proc") || has2(n, "-t", "sysfs") || has2(n, "-t", "securityfs") || has2(n, "-t", "debugfs") || has2(n, "-t", "tracefs") || has2(n, "-t", "devtmpfs") || has2(n, "-t", "overlay")
	}},
	{"ctr crictl nerdctl docker", ContainerEscape, Suspicious, "T1611", func(n *node) bool { return n.argContains("unix:///host", "=/host/") }},
	{"ttyd gotty wetty shellinabox shellinaboxd webssh2", BindShell, Suspicious, "T1059.004", func(n *node) bool { return !n.has("--version", "--help") }},
	{"chroot", ContainerEscape, Suspicious, "", func(n *node) bool {
		return n.any(func(a string) bool {
			return isOneOf(strings.TrimSuffix(a, "/"), "/host /mnt /hostfs /rootfs /mnt/host /proc/1/root /node /host-root") || strings.HasPrefix(a, "/mnt/") || strings.HasPrefix(a, "/proc/1/")
		})
	}},
	{"*", ContainerEscape, Malicious, "", func(n *node) bool {
		return !isOneOf(n.name, "echo grep") && n.argContains("release_agent", "notify_on_release", "/proc/1/root", "/proc/1/ns/", "/proc/sys/kernel/core_pattern", "uevent_helper", "/proc/sysrq-trigger", "/proc/self/exe/../", "/proc/1/cwd")
	}},

	// Privileges.
	{"sudo", PrivilegeEscalation, Malicious, "T1548.003", func(n *node) bool {
		return n.any(func(a string) bool {
			return containsAny(a, "#-1", "#4294967295", "#$((0xffffffff))", "#$((") && !strings.Contains(a, " ")
		})
	}},
	{"sudoedit sudo", PrivilegeEscalation, Malicious, "T1068", func(n *node) bool {
		return (n.name == "sudoedit" || n.has("-e")) && n.short('s') && n.any(func(a string) bool { return strings.HasSuffix(a, `\`) || len(a) > 50 })
	}},
	{"sudoedit", PrivilegeEscalation, Suspicious, "T1068", func(n *node) bool { return n.short('s') }},
	{"sudo", Recon, Suspicious, "T1033", func(n *node) bool {
		return len(n.args) > 0 && (n.args[0] == "-l" || n.args[0] == "-ll" || n.args[0] == "-nl" || n.has("-l", "--list") && n.has("-n"))
	}},
	{"sudo doas", PrivilegeEscalation, Suspicious, "T1548.003", becomesRoot},
	{"sudo", PrivilegeEscalation, Suspicious, "T1548.003", func(n *node) bool { return n.has("-S", "--stdin", "-kS", "-SE") && (len(n.from) > 0 || n.hasStdin) }},
	{"su", PrivilegeEscalation, Suspicious, "T1548.003", func(n *node) bool {
		return slices.Contains(n.operands("cs"), "root")
	}},
	{"*", PrivilegeEscalation, Suspicious, "T1068", func(n *node) bool { return isExploit(n.path) || n.name == "java" && n.any(isExploit) }},
	{"su", PrivilegeEscalation, Suspicious, "T1548.003", func(n *node) bool {
		return !n.has("-c", "--command", "--session-command") && !n.short('c') && !n.has("--help")
	}},
	{"pkexec", PrivilegeEscalation, Malicious, "T1068", func(n *node) bool { return len(n.args) == 0 || n.argContains("sh", "GCONV") }},
	{"pkexec", PrivilegeEscalation, Suspicious, "T1068", nil},
	{"chmod", PrivilegeEscalation, Malicious, "T1548.001", setsUID},
	{"install", PrivilegeEscalation, Malicious, "T1548.001", func(n *node) bool {
		return n.has("-m=xs", "-m4755", "-m+s") || has2(n, "-m", "=xs") || has2(n, "-m", "4755") || has2(n, "-m", "u+s")
	}},
	{"setcap", PrivilegeEscalation, Malicious, "T1548.001", func(n *node) bool {
		return n.argContains("setuid", "setgid", "sys_admin", "dac_", "sys_ptrace", "=ep", "all+", "chown", "fowner", "sys_module") && !n.argContains("net_bind", "net_raw", "ipc_lock")
	}},
	{"capsh", PrivilegeEscalation, Suspicious, "T1548.001", func(n *node) bool { return !n.has("--print") && n.argContains("--gid=0", "--uid=0", "--") }},
	{"gdb strace ltrace", PrivilegeEscalation, Suspicious, "T1055.008", func(n *node) bool {
		return n.has("-p", "--pid") && n.argContains("call", "system(", "1") && n.name == "gdb"
	}},
	{"enable", PrivilegeEscalation, Suspicious, "T1574.006", func(n *node) bool { return n.has("-f") }},
	{"openssl", PrivilegeEscalation, Suspicious, "T1574.006", func(n *node) bool {
		return n.has("-engine", "-provider-path") && n.any(func(a string) bool { return strings.Contains(a, "/") && strings.Contains(a, ".so") })
	}},
	{"setpriv", PrivilegeEscalation, Suspicious, "T1548.001", func(n *node) bool { return n.has("--reuid=0", "--reuid=root") }},

	{"perl ruby ed ex vim vi gawk python", PrivilegeEscalation, Suspicious, "T1098", func(n *node) bool {
		return (n.short('i') || isOneOf(n.name, "ed ex vim vi")) && n.any(func(a string) bool { return isOneOf(a, "/etc/passwd /etc/shadow /etc/sudoers") })
	}},
	{"mount", LogTampering, Malicious, "T1564", func(n *node) bool {
		return (n.has("--bind", "-B") || n.argContains("bind")) && len(n.args) > 0 && (strings.HasPrefix(n.args[len(n.args)-1], "/proc/") || strings.HasPrefix(n.args[len(n.args)-1], "/var/log/"))
	}},
	{"rm unlink shred", LogTampering, Suspicious, "T1070.004", func(n *node) bool { return n.has("$0", "${0}", "${BASH_SOURCE[0]}") }},
	{"ab", Exfiltration, Suspicious, "T1048", func(n *node) bool { return n.has("-p") && n.any(isSecretFile) }},
	{"restic borg duplicity rdiff-backup", Exfiltration, Suspicious, "T1048", func(n *node) bool {
		return n.any(func(a string) bool {
			for _, u := range findURLs(a, 2) {
				if isIP(u.host) && kindOfHost(u.host) == publicHost {
					return true
				}
			}
			return false
		})
	}},
	{"azcopy megaput mega-put gdrive dbxcli", Exfiltration, Suspicious, "T1567", func(n *node) bool {
		return n.name != "azcopy" || len(n.operands("")) > 2 && !strings.Contains(n.operands("")[1], "://")
	}},
	{"cancel", Exfiltration, Suspicious, "T1048", func(n *node) bool { return n.has("-h") && n.has("-u") }},
	{"git", Exfiltration, Suspicious, "T1567", func(n *node) bool {
		return n.has("push") && n.any(func(a string) bool {
			u, ok := parseURL(a)
			return ok && isIP(u.host) && kindOfHost(u.host) == publicHost
		})
	}},

	// Accounts and things that come back.
	{"useradd adduser", Persistence, Malicious, "T1136.001", func(n *node) bool {
		return has2(n, "-u", "0") || n.has("-u0", "--uid=0", "-ou") || has2(n, "-ou", "0") || has2(n, "-g", "0") && n.short('o')
	}},
	{"useradd adduser", Persistence, Suspicious, "T1136.001", func(n *node) bool {
		return n.argContains("sudo", "wheel", "docker") || n.has("-p", "--password") || (n.has("-M", "-N", "--no-create-home") || n.short('o')) && n.any(func(a string) bool { return isShell(baseName(a)) && strings.HasPrefix(a, "/") }) || !n.has("-r", "-S", "-D", "-H", "-M", "--system", "--no-create-home", "--disabled-password", "--disabled-login", "-u", "--uid") && !n.argContains("nologin", "/bin/false") && !n.short('r') && !n.short('S') && !n.short('D') && !n.short('u') && !n.short('H')
	}},
	{"usermod gpasswd adduser", Persistence, Suspicious, "T1098", func(n *node) bool {
		return n.any(func(a string) bool {
			for g := range strings.SplitSeq(a, ",") {
				if isOneOf(g, "sudo wheel root admin shadow disk") {
					return true
				}
			}
			return false
		}) && !n.has("-u")
	}},
	{"usermod", Persistence, Malicious, "T1098", func(n *node) bool { return has2(n, "-u", "0") || n.has("-ou") }},
	{"chpasswd passwd", Persistence, Suspicious, "T1098", func(n *node) bool {
		return !n.has("-S", "-l", "--status", "--lock") && !n.hasVariable()
	}},
	{"systemctl", Persistence, Suspicious, "T1543.002", func(n *node) bool { return n.has("enable") && !n.has("--user") || n.has("link") }},
	{"update-rc.d chkconfig rc-update", Persistence, Suspicious, "T1037.004", nil},
	{"at batch", Persistence, Suspicious, "T1053.002", func(n *node) bool {
		return n.path == "batch" && len(n.args) == 0 || n.name == "at" && len(n.args) > 0 && !n.has("-l", "-c", "-d", "-r", "-V")
	}},
	{"chattr", Persistence, Suspicious, "T1222.002", func(n *node) bool {
		return n.any(func(a string) bool { return len(a) > 1 && (a[0] == '+' || a[0] == '-') && strings.ContainsAny(a, "ia") })
	}},
	{"systemd-run", Persistence, Suspicious, "T1053.006", func(n *node) bool { return n.argContains("--on-") }},

	// Destruction.
	{"rm unlink", Destruction, Malicious, "T1485", removesSystem},
	{"rm", Destruction, Suspicious, "T1485", func(n *node) bool {
		return n.short('r') && n.any(func(a string) bool {
			return containsAny(a, "/var/lib/postgresql", "/var/lib/mysql", "/var/lib/mongo", "/var/lib/redis", "/var/lib/elasticsearch", "/var/lib/docker", "/var/lib/kubelet") && !containsAny(a, "cache", "tmp", "lock")
		})
	}},
	{"gpg gpg2 openssl ccrypt age 7z zip", Destruction, Suspicious, "T1486", func(n *node) bool {
		return n.swept && (n.has("-c", "--symmetric", "-e", "--encrypt", "enc") || n.argContains("-p")) && !n.has("-d", "--decrypt")
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
	{"sshpass chisel ngrok frpc frps gost iox ligolo ligolo-agent rathole revsocks nps npc earthworm ew dnscat dnscat2 iodine ptunnel stowaway reGeorg pwncat pwncat-cs sliver-client merlin evil-winrm sshuttle bore serveo pagekite localtunnel zrok playit tmate gsocket gs-netcat upterm sshx", LateralTool, Suspicious, "T1572", nil},
	{"proxychains proxychains4 torify torsocks tor", LateralTool, Suspicious, "T1090", nil},
	{"cloudflared tailscale tailscaled", LateralTool, Neutral, "T1572", nil},
	{"kubectl oc", LateralTool, Suspicious, "T1609", func(n *node) bool {
		return n.has("attach", "debug", "run") && !n.has("--help", "exec") || n.has("exec") && (!n.has("--") || n.has("-it", "-i", "-ti", "--stdin") || bareShellLast(n))
	}},

	{"gcloud gsutil bq aws az kubectl oc helm terraform eksctl doctl ibmcloud aliyun oci argocd", CloudCLIUse, Neutral, "", nil},
	{"gcc g++ cc c++ clang clang++ tcc make cmake ld as go rustc cargo javac nim ghc cobc gfortran", CompilerUse, Neutral, "", compiles},
	{"gcc g++ cc c++ clang tcc", CompilerUse, Suspicious, "", func(n *node) bool {
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

func has2(n *node, a, b string) bool {
	for i := 0; i+1 < len(n.args); i++ {
		if n.args[i] == a && n.args[i+1] == b {
			return true
		}
	}
	return false
}

// table applies the rules to one command.
func (s *scan) table(n *node) {
	index := rulesByName()
	for _, list := range [...][]*rule{index[n.name], index["*"]} {
		for _, r := range list {
			if r.when == nil || r.when(n) {
				s.hit(r.behavior, r.class, n.text, strings.Fields(r.techniques)...)
			}
		}
	}
}

// rulesByName finds the rules of a command; "*" are those of every command.
var rulesByName = sync.OnceValue(func() map[string][]*rule {
	index := map[string][]*rule{}
	for i := range rules {
		for name := range strings.FieldsSeq(rules[i].names) {
			index[name] = append(index[name], &rules[i])
		}
	}
	return index
})

// becomesRoot: sudo that gives a shell rather than running one command.
func becomesRoot(n *node) bool {
	own := n.args
	if w := wrapperOf(n.name); w != nil {
		c := *n
		rest := w.command(&c)
		own = n.args[:len(n.args)-len(rest)]
		if len(rest) > 0 && rest[0] == "su" {
			return !slices.Contains(rest, "-c")
		}
	}
	return slices.ContainsFunc(own, func(a string) bool { return isOneOf(a, "-i -s --login --shell") }) && len(own) == len(n.args) || bareShellLast(n)
}

// bareShellLast: "sudo bash", "sudo -u root /bin/sh".
func bareShellLast(n *node) bool {
	return len(n.args) > 0 && isShell(baseName(n.args[len(n.args)-1])) && !n.has("-c")
}

// setsUID reports whether chmod sets the set-user-id or set-group-id bit of a file.
func setsUID(n *node) bool {
	for _, a := range n.args {
		switch {
		case len(a) == 4 && (a[0] == '4' || a[0] == '6') && strings.Trim(a, "01234567") == "":
			return true
		case strings.HasPrefix(a, "/") || strings.HasPrefix(a, "--"):
		case strings.ContainsAny(a, "+=") && strings.Trim(a, "ugoa+=rwxst,-") == "" && strings.Contains(a, "s") && a[0] != 'g':
			return true
		}
	}
	return false
}

// makesExecutable reports whether chmod sets an execute bit.
func makesExecutable(n *node) bool {
	return n.any(func(a string) bool {
		switch {
		case a == "" || a[0] == '-' || a[0] == '/':
			return false
		case strings.Trim(a, "01234567") == "" && len(a) >= 3 && len(a) <= 4:
			return strings.ContainsAny(a[len(a)-3:], "1357")
		}
		return strings.ContainsAny(a, "+=") && strings.Trim(a, "ugoa+=rwxXst,-") == "" && strings.Contains(a, "x")
	})
}

// isDisk reports whether p is a block device, or the kernel's memory.
func isDisk(p string) bool {
	for _, d := range [...]string{"/dev/sd", "/dev/nvme", "/dev/vd", "/dev/xvd", "/dev/hd", "/dev/mmcblk", "/dev/dm-", "/dev/mapper/", "/dev/loop", "/dev/root", "/dev/disk/"} {
		if strings.HasPrefix(p, d) {
			return true
		}
	}
	return p == "/dev/mem" || p == "/dev/kmem"
}

// isSystemPath reports whether p is a whole directory of the system, or all files in it.
func isSystemPath(p string) bool {
	if p == "" || p == "--no-preserve-root" {
		return p != ""
	}
	base := strings.TrimSuffix(p, "*")
	trimmed := strings.TrimRight(base, "/.")
	if strings.HasPrefix(p, "/") && trimmed == "" {
		return true
	}
	if base != p && !strings.HasSuffix(base, "/") {
		return false
	}
	return isOneOf(trimmed, "/bin /boot /etc /home /lib /lib64 /root /sbin /usr /var /sys /proc /usr/bin /usr/lib /var/lib /dev ~ $HOME /mnt /media /srv /usr/sbin /usr/local /etc/ssl /home/ubuntu /var/lib/mysql /var/lib/postgresql /var/backups /backup /backups")
}

func removesSystem(n *node) bool {
	if n.has("--no-preserve-root") {
		return true
	}
	return (n.short('r') || n.short('R') || n.has("--recursive")) && n.any(isSystemPath)
}

// isSystemLog reports whether p is a log that tells of logins, commands or the system.
func isSystemLog(p string) bool {
	b := path.Base(p)
	return strings.HasPrefix(p, "/var/log/") && (isOneOf(b, "auth.log secure syslog messages wtmp btmp lastlog audit audit.log faillog kern.log cron daemon.log journal maillog utmp") || strings.HasPrefix(p, "/var/log/audit/") || b == "*" && strings.Count(p, "/") == 3) ||
		isOneOf(p, "/var/run/utmp /run/utmp /run/log/journal")
}

func isHistoryFile(p string) bool {
	b := path.Base(p)
	return strings.HasSuffix(b, "_history") && strings.HasPrefix(b, ".") || b == ".histfile" || b == "$HISTFILE"
}

// compiles leaves out the tools' housekeeping.
func compiles(n *node) bool {
	switch n.name {
	case "go":
		return n.has("build", "run", "install")
	case "cargo":
		return n.has("build", "run", "install")
	case "make", "cmake":
		return len(n.args) == 0 || n.has("install", "all", "--build", "-C")
	}
	return len(n.args) > 0 && !n.has("--version", "-v", "-V", "-dumpversion")
}

// minerArguments knows a miner by its options, whatever its name.
func minerArguments(n *node) bool {
	if isOneOf(n.name, "echo grep printf cat pgrep pkill ps sed awk killall") {
		return false
	}
	score := 0
	for i, a := range n.args {
		low := strings.ToLower(a)
		value := a[strings.LastIndexByte(a, '=')+1:]
		switch {
		case containsAny(low, "stratum+tcp://", "stratum+ssl://", "stratum+tls://", "stratum+udp://", "stratum1+", "stratum2+", "stratum://", "daemon+http://"):
			return true
		case strings.HasPrefix(strings.TrimPrefix(low, "./"), "xmr"), containsAny(low, "monero", "hashvault", "nanopool", "2miners", "unmineable", "nicehash", "minexmr", "c3pool", "herominers", "moneroocean", "supportxmr", "f2pool", "poolin."):
			score++
		case strings.HasPrefix(low, "--donate-level") || low == "--nicehash" || low == "--randomx-1gb-pages" || strings.HasPrefix(low, "--cpu-max-threads-hint") || strings.HasPrefix(low, "--cpu-priority") || strings.HasPrefix(low, "--rig-id") || low == "--randomx-no-numa" || strings.HasPrefix(low, "--randomx-"):
			score += 2
		case (low == "-a" || low == "--algo" || low == "--coin") && i+1 < len(n.args) && isCoinAlgorithm(n.args[i+1]), strings.HasPrefix(low, "--algo=") && isCoinAlgorithm(a[7:]), strings.HasPrefix(low, "--coin=") && isCoinAlgorithm(a[7:]):
			score += 2
		case len(value) >= 90 && len(value) < 160 && (value[0] == '4' || value[0] == '8') && allIn(value[:90], isBase58):
			score += 2
		case (low == "-o" || low == "--url" || low == "--pool") && i+1 < len(n.args) && hasPort(n.args[i+1]), strings.HasPrefix(low, "--url=") && hasPort(a), strings.HasPrefix(low, "--pool=") && hasPort(a):
			score++
		case low == "-u" || low == "--user" || low == "--wallet" || strings.HasPrefix(low, "--user="):
			if i+1 < len(n.args) && len(n.args[i+1]) >= 26 && !strings.ContainsAny(n.args[i+1], ":/@ ") {
				score++
			}
		}
	}
	return score >= 2 && n.name != "curl" && n.name != "mysql"
}

func hasPort(a string) bool {
	i := strings.LastIndexByte(a, ':')
	return i > 0 && i+1 < len(a) && len(a)-i <= 6 && strings.Trim(a[i+1:], "0123456789") == ""
}

func isCoinAlgorithm(a string) bool {
	a = strings.ToLower(a)
	return isOneOf(a, "cryptonight randomx ethash etchash kawpow scrypt sha256d equihash x11 x16r autolykos2 verushash argon2/chukwa ghostrider yespower yescrypt monero xmr astrobwt lyra2z minotaurx progpow octopus blake3 beamhash kheavyhash") ||
		strings.HasPrefix(a, "rx/") || strings.HasPrefix(a, "cn/") || strings.HasPrefix(a, "cn-") || strings.HasPrefix(a, "cryptonight") || strings.HasPrefix(a, "argon2")
}
