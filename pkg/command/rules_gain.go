package command

import (
	"path"
	"slices"
	"strings"
)

// gainRules are what single commands say by themselves of miners, of ways out of
// the container, of privileges and of staying. It is never written.
var gainRules = [...]rule{
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
	{"openssl", TempExecution, Suspicious, "T1574.006", func(n *node) bool {
		return n.has("-engine", "-provider-path") && n.any(func(a string) bool { return strings.Contains(a, "/") && strings.Contains(a, ".so") })
	}},
	{"setpriv", PrivilegeEscalation, Suspicious, "T1548.001", func(n *node) bool { return n.has("--reuid=0", "--reuid=root") }},

	{"perl ruby ed ex vim vi gawk python", PrivilegeEscalation, Suspicious, "T1098", func(n *node) bool {
		return (n.short('i') || isOneOf(n.name, "ed ex vim vi")) && n.any(func(a string) bool { return isOneOf(a, "/etc/passwd /etc/shadow /etc/sudoers") })
	}},
	{"mount", LogTampering, Suspicious, "T1564", func(n *node) bool { return n.argContains("hidepid") }},
	{"anydesk rustdesk meshagent teamviewerd teamviewer splashtop screenconnect atera_agent dwagent dwagsvc aeroadmin remotely zohoassist", LateralTool, Suspicious, "T1219", nil},
	{"amazon-ssm-agent", LateralTool, Suspicious, "T1219", func(n *node) bool { return n.has("-register") }},
	{"telnetd in.telnetd rlogind in.rlogind rshd in.rshd", BindShell, Suspicious, "T1059.004", nil},
	{"inetd xinetd", BindShell, Suspicious, "T1059.004", func(n *node) bool { return n.any(isTempPath) }},
	{"git", PrivilegeEscalation, Suspicious, "T1068", func(n *node) bool {
		return n.has("clone") && n.any(func(a string) bool { return strings.Contains(a, "://") && isExploit(strings.TrimRight(a, "/")) })
	}},
	{"arpspoof dnsspoof macof yersinia mitm6 sslstrip dnschef", Recon, Suspicious, "T1040", nil},
	{"fcrackzip pdfcrack crunch cewl rarcrack truecrack zip2john ssh2john ssh2john.py", CredentialSearch, Suspicious, "", nil},
	{"ccencrypt ccrypt", Destruction, Suspicious, "T1486", func(n *node) bool { return n.short('r') && !n.has("-d") }},
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
	{"usermod chsh", Persistence, Suspicious, "T1098", func(n *node) bool {
		return n.any(isServiceAccount) && n.any(func(a string) bool { return isShell(baseName(a)) })
	}},
	{"gpasswd usermod", Persistence, Suspicious, "T1098", func(n *node) bool {
		return (n.any(isServiceAccount) || n.has("www-data")) && n.argContains("docker", "lxd")
	}},
	{"loginctl", Persistence, Suspicious, "T1543.002", func(n *node) bool { return n.has("enable-linger") }},
	{"lvremove vgremove zfs btrfs zpool", Destruction, Suspicious, "T1490", func(n *node) bool {
		return n.name == "lvremove" || n.name == "vgremove" || n.has("destroy", "delete")
	}},
	{"cat dd head", Destruction, Suspicious, "T1499", func(n *node) bool {
		return n.name != "dd" && n.has("/dev/zero", "/dev/urandom") && !n.has("-c") && slices.ContainsFunc(n.redirs, func(r redir) bool { return r.op == ">" && r.target != "/dev/null" })
	}},
	{"redis-cli", Destruction, Suspicious, "T1485", func(n *node) bool { return slices.Contains(n.via, "xargs") && n.has("del", "DEL", "unlink") }},
	{"dig host nslookup", Recon, Suspicious, "T1018", func(n *node) bool { return n.has("axfr", "AXFR") || n.argContains("any.any.svc", "any.any.any.svc") }},
	{"telnet", LateralTool, Suspicious, "T1095", func(n *node) bool {
		return n.any(func(a string) bool { return isIP(a) && kindOfHost(a) == publicHost })
	}},
	{"openssl", LateralTool, Suspicious, "T1095", func(n *node) bool {
		return n.has("s_client") && n.has("-quiet") && len(n.from) == 0 && len(n.redirs) == 0 && n.any(func(a string) bool { h, _ := splitHostPort(a); return isIP(h) && kindOfHost(h) == publicHost })
	}},
	{"jmap jcmd", CredentialSearch, Suspicious, "T1003.007", func(n *node) bool { return n.argContains("dump") && (n.any(isTempPath) || n.argContains("=/tmp/")) }},
	{"procdump", CredentialSearch, Suspicious, "T1003.007", nil},
	{"ps", CredentialSearch, Suspicious, "T1003.007", func(n *node) bool {
		return len(n.args) > 0 && n.args[0][:min(1, len(n.args[0]))] != "-" && strings.Contains(n.args[0], "e") && strings.Trim(n.args[0], "auxwefj") == "" && n.captured == 0
	}},
	{"ls", Recon, Suspicious, "T1083", func(n *node) bool {
		seen := 0
		for _, a := range n.args {
			if isOneOf(strings.TrimRight(a, "/*"), "/root /home /etc /opt /srv /var/www /var/spool/cron /etc/cron.d /tmp /proc /host") {
				seen++
			}
		}
		return seen >= manyRecon && n.captured == 0
	}},
	{"git", Download, Suspicious, "T1105", func(n *node) bool {
		return n.has("clone") && n.any(func(a string) bool {
			u, ok := parseURL(a)
			return ok && isIP(u.host) && kindOfHost(u.host) == publicHost
		})
	}},
	{"sed", Destruction, Suspicious, "T1565.001", func(n *node) bool { return n.short('i') && n.argContains("<script") && n.argContains("://", `:\/\/`) }},
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
}
