package command

import (
	"path"
	"slices"
	"strings"
)

// watchConfig reports whether p configures what is logged, audited or detected.
func watchConfig(p string) bool {
	return strings.HasPrefix(p, "/etc/audit/") || strings.HasPrefix(p, "/etc/falco/") || isOneOf(p, "/etc/rsyslog.conf /etc/syslog.conf /etc/systemd/journald.conf /etc/osquery/osquery.conf /etc/audisp/audispd.conf") || strings.HasPrefix(p, "/etc/rsyslog.d/")
}

// inSystemBin reports whether p lies directly in the folders of programs that
// only the system fills.
func inSystemBin(p string) bool {
	d := path.Dir(p)
	return d == "/bin" || d == "/sbin"
}

// hiddenInSystem reports whether p is a hidden file or folder where the system
// keeps its programs, libraries and settings (T1564.001).
func hiddenInSystem(p string) bool {
	if !strings.HasPrefix(path.Base(p), ".") || len(path.Base(p)) < 3 || isOneOf(path.Base(p), ".pwd.lock .updated .placeholder .keep .gitkeep .resolv.conf .bashrc .htpasswd .htaccess .dockerenv") {
		return false
	}
	for _, d := range [...]string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/lib", "/usr/lib", "/etc", "/usr/local/bin", "/usr/local/sbin", "/usr/share", "/var/lib", "/dev", "/lib64"} {
		if path.Dir(p) == d {
			return true
		}
	}
	return false
}

// tampers weighs files put or changed where they hide, or where logging and
// audit are configured. Sources: Falco's "Write below binary dir", "Create
// Symlink Over Sensitive Files", "Create Hardlink Over Sensitive Files";
// Atomic Red Team T1562.001, T1562.012, T1564.001, T1056.001.
func (s *scan) tampers(n *node) {
	var made []string
	switch n.name {
	case "touch", "mkdir", "cp", "mv", "install", "tee", "ln":
		made = n.operands("mtd")
		if n.name == "cp" || n.name == "mv" || n.name == "install" || n.name == "ln" {
			made = made[max(len(made)-1, 0):]
		}
		if n.name == "ln" {
			s.linksSecret(n)
		}
	case "sed":
		if n.short('i') {
			made = n.operands("e")
		}
	case "rm", "truncate", "shred":
		if n.any(func(a string) bool { return watchConfig(strings.TrimRight(a, "*")) }) {
			s.hit(LogTampering, Malicious, n.text, "T1562.001")
		}
	case "trap":
		if n.has("DEBUG") && n.argContains("BASH_COMMAND") {
			s.hit(CredentialSearch, Suspicious, n.text, "T1056.001")
		}
	case "bpftool":
		if n.has("load", "loadall", "attach") {
			s.hit(ContainerEscape, Suspicious, n.text, "T1014")
		}
	case "mount":
		if n.argContains("bind") && n.has("/") {
			s.hit(ContainerEscape, Suspicious, n.text, "T1611")
		}
	case "chage":
		if has2(n, "-E", "-1") {
			s.hit(Persistence, Suspicious, n.text, "T1098")
		}
	case "cmd.exe", "powershell.exe", "certutil", "certutil.exe", "bitsadmin":
		s.hit(InteractiveShell, Suspicious, n.text, "T1059")
	case "rsync":
		if n.any(isSensitivePath) && n.any(func(a string) bool { return isTempPath(a + "/x") }) {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.004")
		}
	case "cat", "head", "tail", "less", "more":
		if n.captured == 0 && !n.inTest && len(n.to) == 0 && len(n.redirs) == 0 && n.any(func(a string) bool { return path.Base(a) == "authorized_keys" }) {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.004")
		}
	}
	for _, r := range n.redirs {
		if strings.HasPrefix(r.op, ">") && strings.HasPrefix(r.target, "/") {
			made = append(made, r.target)
		}
	}
	for _, p := range made {
		s.tampersWith(n, p)
	}
}

func (s *scan) tampersWith(n *node, p string) {
	switch {
	case hiddenInSystem(p):
		s.hit(TempExecution, Suspicious, n.text, "T1564.001")
	case inSystemBin(p) && !isOneOf(path.Base(p), "sh bash") && n.name != "ln":
		s.hit(Persistence, Suspicious, n.text, "T1554")
	case !watchConfig(p):
	case strings.HasPrefix(p, "/etc/audit/"), strings.HasPrefix(p, "/etc/falco/"), n.name == "sed" && n.argContains("/d", "null", "#"), strings.Contains(pipeText(n), "/dev/null"):
		s.hit(LogTampering, Suspicious, n.text, "T1562.001")
	}
	if webFolder(p) && (isOneOf(n.name, "id whoami ls ps env printenv ifconfig uname netstat ss") || n.name == "cat" && n.argContains("/etc/", "/proc/")) {
		s.hit(Recon, Suspicious, n.text, "T1074.001")
	}
}

// webFolder reports whether a web server hands out what is written there.
func webFolder(p string) bool {
	return containsAny(p, "/var/www", "/html/", "/webapps/", "/htdocs/", "/public/", "/wwwroot/", "/static/")
}

// linksSecret: a link in a place for everybody to a file or folder that is not.
func (s *scan) linksSecret(n *node) {
	w := n.operands("t")
	if len(w) == 2 && isTempPath(w[1]) && (isSensitivePath(w[0]) || isOneOf(strings.TrimRight(w[0], "/"), "/etc/passwd /etc/shadow /root /etc /root/.ssh /etc/sudoers /home") || w[0] == "/") {
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
}

// recordsKeys: the prompt is made to write down what is typed.
func recordsKeys(name, value string) bool {
	return name == "PROMPT_COMMAND" && strings.Contains(value, "history -a") && containsAny(value, "tee", "logger", ">(", "/tmp/", "curl", "nc ")
}

// opensCloud weighs cloud clients that open a door to everybody, or act as somebody else.
func (s *scan) opensCloud(n *node) {
	if n.name != "gcloud" {
		return
	}
	everybody := n.argContains("0.0.0.0/0", "::/0")
	switch {
	case everybody && n.has("firewall-rules", "sql", "clusters"), n.has("sql") && n.has("set-password"), n.argContains("auth/impersonate_service_account"):
		s.hit(Persistence, Suspicious, n.text, "T1098")
	case n.has("scheduler") && n.has("create") && n.any(func(a string) bool {
		return slices.ContainsFunc(findURLs(a, 2), func(u url) bool { return isIP(u.host) && kindOfHost(u.host) == publicHost })
	}):
		s.hit(Persistence, Suspicious, n.text, "T1053.003")
	case n.has("services") && n.has("disable") && n.argContains("logging.", "securitycenter.", "monitoring.", "cloudkms."), n.has("logging") && n.has("update") && n.has("--retention-days=1", "--no-enabled"):
		s.hit(LogTampering, Suspicious, n.text, "T1562.008")
	case n.has("secrets") && n.any(func(a string) bool {
		v, ok := strings.CutPrefix(a, "--out-file=")
		return ok && isHiddenPath(v)
	}):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
}
