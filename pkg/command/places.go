package command

import (
	"path"
	"slices"
	"strings"
)

// place says what it means to write to a file.
type place struct {
	behavior  Behavior
	class     Class
	technique string
}

// placeOf knows the files whose writing gains persistence, privileges or a way out.
func placeOf(p string) (place, bool) {
	b := path.Base(p)
	home := strings.HasPrefix(p, "~") || strings.HasPrefix(p, "$HOME") || strings.HasPrefix(p, "/root/") || strings.HasPrefix(p, "/home/")
	switch {
	case b == "authorized_keys" || b == "authorized_keys2":
		return place{Persistence, Malicious, "T1098.004"}, true
	case p == "/etc/ld.so.preload":
		return place{Persistence, Malicious, "T1574.006"}, true
	case isCronPlace(p):
		return place{Persistence, Suspicious, "T1053.003"}, true
	case isOneOf(b, ".bashrc .bash_profile .profile .zshrc .bash_login .bash_logout .zprofile .zshenv .kshrc") && (home || strings.HasPrefix(p, ".")), p == "/etc/profile", p == "/etc/bash.bashrc", p == "/etc/bashrc", p == "/etc/zshrc", p == "/etc/environment",
		strings.HasPrefix(p, "/etc/profile.d/"):
		return place{Persistence, Suspicious, "T1546.004"}, true
	case p == "/etc/rc.local", strings.HasPrefix(p, "/etc/init.d/"), strings.HasPrefix(p, "/etc/update-motd.d/"), strings.HasPrefix(p, "/etc/rc"):
		return place{Persistence, Malicious, "T1037.004"}, true
	case strings.HasSuffix(p, ".service") || strings.HasSuffix(p, ".timer"):
		return place{Persistence, Suspicious, "T1543.002"}, strings.Contains(p, "systemd/")
	case p == "/etc/passwd" || p == "/etc/shadow":
		return place{Persistence, Suspicious, "T1136.001"}, true
	case p == "/etc/sudoers" || strings.HasPrefix(p, "/etc/sudoers.d/"):
		return place{PrivilegeEscalation, Malicious, "T1548.003"}, true
	case strings.HasPrefix(p, "/etc/ld.so.conf"):
		return place{Persistence, Neutral, "T1574.006"}, true
	case strings.Contains(p, "/security/pam_"), strings.HasPrefix(p, "/etc/pam.d/"):
		return place{Persistence, Malicious, "T1556.003"}, true
	case containsAny(p, "release_agent", "notify_on_release", "/proc/sys/kernel/core_pattern", "uevent_helper", "/proc/1/root/", "sysrq-trigger", "/cgroup.procs", "binfmt_misc/register"):
		return place{ContainerEscape, Malicious, "T1611"}, true
	case isDisk(p):
		return place{Destruction, Malicious, "T1561.001"}, true
	case isSystemLog(p):
		return place{LogTampering, Malicious, "T1070.002"}, true
	case isHistoryFile(p):
		return place{HistoryDisabled, Suspicious, "T1070.003"}, true
	case strings.Contains(p, "/sys/kernel/security") || p == "/proc/sys/kernel/randomize_va_space" || strings.HasPrefix(p, "/sys/fs/selinux"):
		return place{LogTampering, Suspicious, "T1562.001"}, true
	case path.Ext(b) == ".php" || path.Ext(b) == ".jsp" || path.Ext(b) == ".aspx" || path.Ext(b) == ".jspx":
		return place{Persistence, Suspicious, "T1505.003"}, containsAny("/"+p, "/var/www", "/html/", "/webapps/", "/htdocs", "/public/", "/wwwroot", "/uploads/")
	}
	return place{}, false
}

func isCronPlace(p string) bool {
	return strings.HasPrefix(p, "/etc/cron") || strings.HasPrefix(p, "/var/spool/cron") || strings.HasPrefix(p, "/etc/anacrontab")
}

// writes looks at files the command's output is written to.
func (s *scan) writes(n *node) {
	for _, r := range n.redirs {
		if !strings.HasPrefix(r.op, ">") && !strings.HasPrefix(r.op, "&>") || strings.HasPrefix(r.target, "/dev/null") {
			continue
		}
		s.writesTo(r.target, n, strings.HasSuffix(r.op, ">>"))
	}
}

// writesTo weighs the writing of one file.
func (s *scan) writesTo(p string, n *node, appends bool) {
	text, known := s.written(n)
	switch {
	case strings.HasPrefix(p, "/proc/sys/"):
		s.kernelSetting(p, text, n)
	case isOneOf(p, "/selinux/enforce /sys/fs/selinux/enforce") && strings.Contains(text, "0"):
		s.hit(LogTampering, Suspicious, pipeText(n), "T1562.001")
	case strings.HasPrefix(p, "/etc/apt/sources.list"), strings.HasPrefix(p, "/etc/yum.repos.d/"), p == "/etc/apk/repositories":
		for _, u := range findURLs(text, 8) {
			if strings.Contains(text, "trusted=yes") || isIP(u.host) && kindOfHost(u.host) == publicHost {
				s.hit(PackageInstall, Suspicious, pipeText(n))
			}
		}
	case p == "/etc/hosts":
		s.namesHost(text, n)
	case strings.HasSuffix(p, "sshd_config") || strings.Contains(p, "sshd_config.d/"):
		if loosensLogin(text) {
			s.hit(Persistence, Suspicious, pipeText(n), "T1098.004")
		}
	}
	s.notes(p, text, n)
	s.plantsCode(p, text, n)
	if l := looksLike(text); l != nil && l.name == "php" && containsAny(text, "$_GET", "$_POST", "$_REQUEST", "$_COOKIE", "$_SERVER") && containsAny(text, "eval", "system", "exec", "passthru", "assert", "$_GET[") {
		s.hit(Persistence, Malicious, pipeText(n), "T1505.003")
	}
	s.writesHook(p, n, text)
	if inner, ok := onHost(p); ok {
		if _, ok := placeOf(inner); ok || isCronPlace(inner) {
			s.hit(ContainerEscape, Malicious, pipeText(n))
		}
		p = inner
	}
	switch {
	case appends && isOneOf(n.name, "dd head") && containsAny("^"+p, "^/usr/local/bin/", "^/usr/bin/", "^/bin/", "^/usr/sbin/"):
		s.hit(LogTampering, Suspicious, pipeText(n), "T1027.001")
	case isWatchingTool(p):
		s.hit(Persistence, Suspicious, pipeText(n), "T1554")
	case isAllLogs(p) && !appends:
		s.hit(LogTampering, Suspicious, pipeText(n), "T1070.002")
	}
	pl, ok := placeOf(p)
	if !ok {
		return
	}
	switch {
	case isCronPlace(p):
		s.cronText(text, n, true)
		return
	case p == "/etc/passwd" && appends && containsAny(text, ":0:0:", "::0:"):
		pl.class = Malicious
	case p == "/etc/passwd" && containsAny(text, "nologin", "/bin/false") && !containsAny(text, ":0:"):
		pl.class = Neutral // an account for a service
	case p == "/etc/passwd" && containsAny(text, "$(id -u)", "$(id", "$USER", "$UID", "`id", "${"):
		pl.class = Neutral // arbitrary user ids, as OpenShift gives them
	case pl.class == Neutral && s.tainted(text):
		pl.class = Suspicious
	case pl.technique == "T1546.004" && slices.ContainsFunc(n.from, func(f *node) bool { return f.name == "printenv" || f.name == "env" || f.name == "declare" }),
		pl.technique == "T1546.004" && isOneOf(n.name, "printenv env declare export"):
		pl.class = Neutral // a cron container hands its environment on
	case isOneOf(pl.technique, "T1546.004") && known && !s.readsBad(text) && (strings.Contains(text, "export ") || !s.tainted(text)) && !containsAny(text, "trap", "PROMPT_COMMAND", "LD_PRELOAD") && !aliasesTool(text):
		pl.class = Neutral // export PATH=... and the like
	case pl.technique == "T1505.003" && (path.Ext(p) != ".php" || isHiddenPath(p) || slices.ContainsFunc(append(n.from[:len(n.from):len(n.from)], n), isDecoder)):
	case pl.technique == "T1505.003" && known && !containsAny(text, "$_", "eval", "system", "exec", "Runtime", "base64", "getParameter", "passthru"):
		pl.class = Neutral
	case pl.behavior == LogTampering && appends && n.name != "":
		pl.class = Neutral
	}
	s.hit(pl.behavior, pl.class, pipeText(n), pl.technique)
}

// notes weighs the text itself: settings of the kernel that are applied later, a
// demand for ransom (T1486), a page that tells who has been here (T1491.002).
func (s *scan) notes(p, text string, n *node) {
	low := strings.ToLower(text)
	switch {
	case strings.HasPrefix(p, "/etc/sysctl") && strings.Contains(low, "core_pattern") && strings.Contains(low, "|"):
		s.hit(ContainerEscape, Malicious, pipeText(n))
	case containsAny(low, "bitcoin", "btc", "monero", "xmr") && containsAny(low, "pay", "decrypt", "ransom", "files have been", "recover"):
		s.hit(Destruction, Suspicious, pipeText(n), "T1486")
	case containsAny(low, "hacked", "pwned", "owned by", "defaced") && containsAny("/"+p, "/www", "/html", "/public", "/htdocs", "index."):
		s.hit(Destruction, Suspicious, pipeText(n), "T1491.002")
	}
}

// readsBad reports whether a text, read as shell, is suspicious.
func (s *scan) readsBad(text string) bool {
	before := len(s.hits)
	s.tentativeShell(text)
	return len(s.hits) > before
}

// written is the constant text a command writes.
func (s *scan) written(n *node) (string, bool) {
	if t, ok := s.constOutput(append(n.from[:len(n.from):len(n.from)], n)); ok {
		return t, true
	}
	var parts []string
	for _, f := range n.from {
		if t, ok := s.source(f); ok {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, "\n"), len(parts) > 0
}
