package command

import (
	"slices"
	"strings"
)

// guardNames are the programs that watch for attacks; who asks whether they
// run wants to know whether to hide (T1518.001). Log shippers and monitors are
// not among them: health checks ask for those.
var guardNames = [...]string{"falco", "auditd", "crowdstrike", "falcon-sensor", "osquery", "wazuh", "ossec", "sysdig", "aegis", "aliyun", "sentinelone", "carbonblack", "cbdaemon", "mdatp", "tetragon", "tracee", "apparmor", "selinux", "twistlock", "lacework", "rkhunter", "chkrootkit", "clamd", "suricata", "snort", "tripwire"}

// intrusion weighs looking for guards, requests that attack other services,
// and libraries and modules put in the way of other programs.
func (s *scan) intrusion(n *node) {
	switch n.name {
	case "grep", "egrep", "pgrep", "pidof", "ls":
		asks := slices.ContainsFunc(n.from, func(f *node) bool {
			return isOneOf(f.name, "ps systemctl lsmod rpm dpkg service chkconfig pstree top ls")
		})
		if (asks || n.name == "pgrep" || n.name == "pidof" || n.name == "ls") && n.captured == 0 && len(n.to) == 0 && n.any(func(a string) bool { return containsAny(strings.ToLower(a), guardNames[:]...) }) {
			s.hit(Recon, Suspicious, pipeText(n), "T1518.001")
		}
	case "curl", "wget", "http", "xh", "nc", "ncat":
		if n.any(attacks) || s.pipesAttack(n) {
			s.hit(LateralTool, Suspicious, n.text, "T1210")
		}
	case "rm":
		for _, f := range n.from {
			if slices.Contains(n.via, "xargs") && n.short('r') && (f.name == "ls" || f.name == "find") && len(f.args) > 0 && isSystemPath(f.args[len(f.args)-1]) {
				s.hit(Destruction, Malicious, pipeText(n), "T1485")
			}
		}
	case "crontab":
		if n.has("-l") && n.swept {
			s.hit(Recon, Suspicious, n.text, "T1053.003")
		}
	case "cat", "head", "tail", "more", "less":
		if n.captured == 0 && n.any(func(a string) bool {
			return strings.HasPrefix(a, "/var/spool/cron") || strings.HasPrefix(a, "/etc/cron*")
		}) {
			s.hit(Recon, Suspicious, n.text, "T1053.003")
		}
	}
	s.loads(n)
}

// attacks reports whether a word of a request is made to break what it is sent
// to: lookups of Log4Shell, Shellshock, ways out of the folder, code.
func attacks(a string) bool {
	low := strings.ToLower(a)
	return containsAny(low, "${jndi:", "() { :", "(){ :", "../../etc/", "../../../", "%2e%2e%2f%2e%2e", "..%2f..%2f", "<%runtime", "getruntime().exec", "php://input", "php://filter", "union select", "union+select", "<?php system", "<?=`", "class.module.classloader", "${ifs}",
		"t(java.lang.runtime)", "_method=__construct", "xp_cmdshell", "%{(#", "#_memberaccess", "invokefunction&function=call_user_func") ||
		containsAny(low, "sqlmap/", "nikto", "nuclei", "masscan/", "zgrab/", "wpscan", "gobuster/", "feroxbuster", "dirbuster")
}

func (s *scan) pipesAttack(n *node) bool {
	return slices.ContainsFunc(n.from, func(f *node) bool { return (f.name == "echo" || f.name == "printf") && f.any(attacks) })
}

// loads: settings on the command line that load a module from a temporary place.
func (s *scan) loads(n *node) {
	if isOneOf(n.name, "echo printf") {
		return
	}
	for _, a := range n.args {
		key, value, ok := strings.Cut(a, "=")
		if ok && isTempPath(value) && isOneOf(strings.TrimLeft(key, "-"), "extension zend_extension plugin plugin-dir module load-extension agentpath agentlib require preload init-connect engine") {
			s.hit(TempExecution, Suspicious, n.text, "T1574.006")
		}
	}
}

// loaderVariable weighs a variable that makes interpreters load code before the
// program they are told to run (T1574).
func (s *scan) loaderVariable(name, value, text string) {
	switch name {
	case "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PERL5LIB", "PERL5OPT", "PERL5DB", "RUBYOPT", "RUBYLIB", "NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "BASH_ENV", "ENV", "CLASSPATH", "PHPRC", "PHP_INI_SCAN_DIR", "OPENSSL_CONF", "OPENSSL_ENGINES", "LD_AUDIT", "DOTNET_STARTUP_HOOKS", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "LUA_INIT":
		for w := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ' ' || r == '=' || r == ':' }) {
			if isTempPath(w+"/x") && !strings.HasPrefix(w, "$") {
				s.hit(PrivilegeEscalation, Suspicious, text, "T1574.006")
				return
			}
		}
	case "LD_PRELOAD":
		if containsAny(strings.ToLower(value), "processhid", "libhide", "rootkit", "azazel", "jynx", "beurk", "vlany", "bdvl", "keylog") {
			s.hit(PrivilegeEscalation, Malicious, text, "T1574.006")
		}
	case "GIT_SSH_COMMAND", "GIT_SSH", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND":
		if isShell(firstWord(value)) {
			s.hit(InteractiveShell, Suspicious, text)
		}
	}
}
