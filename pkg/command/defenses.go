package command

import (
	"path"
	"slices"
	"strings"
)

// securityNames are parts of the names of programs, services, packages and
// folders of logging, audit, firewall and endpoint protection, as the rules of
// Falco and Sigma on disabling security tools list them (ATT&CK T1562.001).
var securityNames = [...]string{
	"auditd", "rsyslog", "syslog", "journald", "falco", "osquery", "fluentd", "fluent-bit", "aliyun", "aegis", "cloudmonitor", "crowdstrike", "falcon",
	"sysdig", "wazuh", "ossec", "clamav", "clamd", "apparmor", "selinux", "firewalld", "nftables", "tetragon", "tracee", "sentinelone", "sentineld",
	"cbdaemon", "cbagent", "carbonblack", "mdatp", "ds_agent", "trendmicro", "sophos", "eset", "kesl", "qualys", "aqua-", "twistlock", "prisma-defender",
	"lacework", "newrelic-infra", "datadog-agent", "telegraf", "ops-agent", "stackdriver", "suricata", "snort", "fail2ban", "rkhunter", "chkrootkit",
	"auditbeat", "filebeat", "elastic-agent", "bcm-agent", "yunjing", "ydservice", "qcloud",
}

func namesSecurity(a string) bool {
	a = strings.ToLower(a)
	return containsAny(a, securityNames[:]...) && !strings.HasSuffix(a, ".log")
}

// minerNames are names that only miners and their companions have: whoever
// looks for them to kill them clears away the competition (T1496, T1489).
var minerNames = [...]string{"xmrig", "minerd", "kinsing", "kdevtmpfsi", "cpuminer", "cryptonight", "stratum", "kthreaddi", "xmr-stak", "monero", "watchbog", "ddgs", "zsvc", "pamdicks"}

func namesMiner(a string) bool { return containsAny(strings.ToLower(a), minerNames[:]...) }

// defenses weighs what is done to the things that watch or guard the system.
func (s *scan) defenses(n *node) {
	switch n.name {
	case "kill", "pkill", "killall", "skill", "xargs":
		s.kills(n)
	case "systemctl", "service", "rc-service", "initctl", "chkconfig", "update-rc.d", "launchctl", "sv", "supervisorctl":
		if n.has("stop", "disable", "mask", "kill", "off", "remove", "teardown") && n.any(namesSecurity) || n.has("stop", "disable", "mask") && n.any(isFirewall) {
			s.hit(LogTampering, Malicious, n.text, "T1562.001")
		}
	case "rm", "mv", "apt", "apt-get", "yum", "dnf", "apk", "zypper", "dpkg", "rpm":
		s.removesGuards(n)
	case "sysctl":
		for _, a := range n.args {
			if key, value, ok := strings.Cut(a, "="); ok {
				s.kernelSetting(strings.ReplaceAll(key, ".", "/"), value, n)
			}
		}
	case "iptables", "ip6tables", "nft", "firewall-cmd", "ufw":
		s.firewall(n)
	case "aa-teardown", "aa-disable", "aa-complain":
		s.hit(LogTampering, Malicious, n.text, "T1562.001")
	case "wrmsr":
		s.hit(Miner, Suspicious, n.text)
	case "modprobe":
		if n.has("msr") {
			s.hit(Miner, Suspicious, n.text)
		}
	case "touch":
		if n.has("-d", "-t", "--date", "-r", "--reference") && n.any(isSystemProgram) {
			s.hit(LogTampering, Suspicious, n.text, "T1070.006")
		}
	}
	if strings.HasPrefix(n.path, "/etc/init.d/") && namesSecurity(n.name) && n.has("stop", "teardown", "kill") {
		s.hit(LogTampering, Malicious, n.text, "T1562.001")
	}
	s.wipesLogs(n)
}

func isFirewall(a string) bool { return isOneOf(a, "firewalld ufw iptables ip6tables nftables") }

// gentle: signals that make a daemon read its configuration again, or nothing.
func gentle(n *node) bool {
	return n.has("-HUP", "-1", "-SIGHUP", "-USR1", "-USR2", "-0", "-l", "-WINCH") || has2(n, "-s", "HUP")
}

// kills: security tools or other people's miners are ended, by name or through
// a list of processes that was searched for them.
func (s *scan) kills(n *node) {
	if gentle(n) || n.name == "xargs" && !n.has("kill", "pkill", "killall") {
		return
	}
	pick := func(f func(string) bool) bool {
		if n.any(f) {
			return true
		}
		for _, m := range n.from {
			if isOneOf(m.name, "ps pgrep pidof grep egrep awk netstat ss lsof fuser docker top") && m.any(f) {
				return true
			}
		}
		for _, sb := range n.subs {
			for _, m := range sb.nodes {
				if m.any(f) {
					return true
				}
			}
		}
		return false
	}
	switch {
	case pick(namesSecurity):
		s.hit(LogTampering, Malicious, pipeText(n), "T1562.001")
	case pick(namesMiner):
		s.hit(Miner, Suspicious, pipeText(n))
	case slices.ContainsFunc(n.from, func(m *node) bool { return m.name == "netstat" || m.name == "ss" }):
		s.hit(Destruction, Suspicious, pipeText(n), "T1489")
	}
}

// removesGuards: packages and folders of security tools are taken away.
func (s *scan) removesGuards(n *node) {
	remove := n.name == "rm" || n.name == "mv" || n.has("remove", "purge", "erase", "del", "-e", "-r", "-P", "autoremove")
	if !remove {
		return
	}
	for _, a := range n.args {
		switch {
		case strings.HasPrefix(a, "-"), strings.HasPrefix(a, "/var/run/"), strings.HasPrefix(a, "/run/"), strings.HasSuffix(a, ".pid"), strings.HasPrefix(a, "/var/lib/apt"):
		case strings.HasPrefix(a, "/") && !containsAny(a, "/opt/", "/usr/", "/etc/", "/var/ossec", "/bin/", "/sbin/"):
		case namesSecurity(a), n.name == "rm" && isOneOf(a, "/etc/audit /etc/audit/audit.rules /etc/rsyslog.conf /etc/apparmor.d"):
			s.hit(LogTampering, Malicious, n.text, "T1562.001")
			return
		}
	}
}

// kernelSetting weighs a value given to a setting of the kernel, "kernel/yama/ptrace_scope".
func (s *scan) kernelSetting(key, value string, n *node) {
	value = strings.TrimSpace(value)
	switch strings.TrimPrefix(key, "/proc/sys/") {
	case "kernel/randomize_va_space", "kernel/yama/ptrace_scope", "kernel/kptr_restrict", "kernel/dmesg_restrict", "kernel/unprivileged_bpf_disabled", "vm/mmap_min_addr",
		"fs/protected_symlinks", "fs/protected_hardlinks", "fs/protected_regular", "kernel/nmi_watchdog":
		if value == "0" {
			s.hit(LogTampering, Suspicious, n.text, "T1562.001")
		}
	case "kernel/core_pattern", "kernel/modprobe":
		if strings.ContainsAny(value, "|/") {
			s.hit(ContainerEscape, Malicious, n.text)
		}
	case "vm/nr_hugepages":
		s.hit(Miner, Suspicious, n.text)
	}
}

// firewall: rules are flushed, everything is let through, or others are shut out.
func (s *scan) firewall(n *node) {
	switch {
	case n.name == "firewall-cmd" || n.name == "ufw":
		if n.has("disable", "reset", "--panic-off") {
			s.hit(LogTampering, Suspicious, n.text, "T1562.004")
		}
	case has2(n, "-P", "INPUT") || has2(n, "-P", "OUTPUT") || has2(n, "-P", "FORWARD"),
		(n.has("INPUT", "OUTPUT")) && (n.has("-I", "-A")) && n.has("DROP", "REJECT", "ACCEPT") && !n.has("-L", "nat") && !n.has("lo"):
		s.hit(LogTampering, Suspicious, n.text, "T1562.004")
	}
}

// wipesLogs: logs are emptied, edited or removed as a whole, not rotated by age.
func (s *scan) wipesLogs(n *node) {
	switch n.name {
	case "sed", "perl", "ex", "ed":
		if n.short('i') && n.any(func(a string) bool { return strings.HasPrefix(a, "/var/log/") }) && n.argContains("/d") {
			s.hit(LogTampering, Suspicious, n.text, "T1070.002")
		}
	case "rm", "shred", "truncate", "unlink":
		if n.any(isAllLogs) && !n.any(func(a string) bool { return strings.HasPrefix(a, "/var/lib/apt") || strings.HasPrefix(a, "/var/cache") }) && !s.installs {
			s.hit(LogTampering, Suspicious, n.text, "T1070.002")
		}
	case "find":
		if n.has("-delete", "rm", "shred") && sweepsBackups(n) {
			s.hit(Destruction, Suspicious, n.text, "T1490")
		}
		if len(n.args) > 0 && strings.TrimRight(n.args[0], "/") == "/var/log" && n.has("-delete", "rm", "truncate", "shred", "dd", "cp") &&
			!n.has("-mtime", "-mmin", "-ctime", "-size", "-newer") && !onlyRotated(n) {
			s.hit(LogTampering, Suspicious, n.text, "T1070.002")
		}
	case "xargs":
		if n.has("rm", "shred", "unlink") && slices.ContainsFunc(n.from, func(f *node) bool { return f.name == "find" && sweepsBackups(f) }) {
			s.hit(Destruction, Suspicious, pipeText(n), "T1490")
		}
	case "utmpdump", "logtamper", "wtmpclean":
		if n.short('r') || n.name != "utmpdump" {
			s.hit(LogTampering, Malicious, n.text, "T1070.002")
		}
	}
}

// sweepsBackups: a search over the whole system for dumps and backups, whatever their age.
func sweepsBackups(n *node) bool {
	return len(n.args) > 0 && isOneOf(strings.TrimRight(n.args[0], "/")+"/", "/ /home/ /var/ /data/ /mnt/ /srv/ /opt/") && n.argContains(".sql", ".bak", ".dump", "backup", ".vmdk", ".tar.gz", ".snap") && !n.has("-mtime", "-mmin", "-ctime", "-newer")
}

// onlyRotated: the search is for logs that were rotated away.
func onlyRotated(n *node) bool {
	names := 0
	for i, a := range n.args {
		if i > 0 && isOneOf(n.args[i-1], "-name -iname") {
			names++
			if !isOneOf(path.Ext(a), ".gz .1 .old .xz .bz2 .[0-9] .[0-9]*") {
				return false
			}
		}
	}
	return names > 0
}

func isAllLogs(a string) bool {
	return isOneOf(a, "/var/log/* /var/log/*.log /var/log/**/*.log /var/log/*/*.log /var/log/*.gz")
}

// isSystemProgram reports whether p is a file among the system's programs or libraries.
func isSystemProgram(p string) bool {
	switch path.Dir(p) {
	case "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/lib", "/usr/lib", "/lib64", "/usr/lib64":
		return true
	}
	return false
}

// replacesTool: a program that administrators look with, or log in with, is
// moved away or overwritten (T1036.005, T1554).
func (s *scan) replacesTool(n *node, words []string) {
	to := words[len(words)-1]
	if strings.HasSuffix(to, "/") {
		to += path.Base(words[0])
	}
	from := words[0]
	switch {
	case n.name == "mv" && isWatchingTool(from) && len(words) == 2:
		s.hit(Persistence, Suspicious, n.text, "T1036.003")
	case isWatchingTool(to) && (isTempPath(from) || isHiddenPath(from) || s.files[path.Base(from)] != nil || !strings.HasPrefix(from, "/") && !isOneOf(from, "busybox")):
		s.hit(Persistence, Suspicious, n.text, "T1036.005")
	case strings.HasPrefix(to, "/usr/local/share/ca-certificates/") && isTempPath(from), strings.HasPrefix(to, "/etc/pki/ca-trust/") && isTempPath(from):
		s.hit(Persistence, Suspicious, n.text, "T1553.004")
	case isTempPath(to+"/x") && isSystemProgram(from) && (isShell(path.Base(from)) || isOneOf(path.Base(from), "busybox nc ncat curl wget python3 perl socat ssh")):
		s.hit(TempExecution, Suspicious, n.text, "T1036.003")
	}
}

func isWatchingTool(p string) bool {
	return isSystemProgram(p) && isOneOf(path.Base(p), "ls ps netstat ss top find lsof sshd ssh sudo su login passwd bash sh cat w who id last crond cron systemd kill pkill df du ip ifconfig curl wget crontab chattr lsattr md5sum sha256sum tcpdump strace dpkg rpm")
}
