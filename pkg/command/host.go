package command

import (
	"path"
	"strings"
)

// host weighs what needs more than the words of one command: cron tables,
// installed packages, file attributes.
func (s *scan) host(n *node) {
	switch {
	case n.name == "crontab":
		s.crontab(n)
	case n.name == "tee" || n.name == "dd" || n.name == "cp" || n.name == "mv" || n.name == "install" || n.name == "ln" || n.name == "sed":
		s.copies(n)
	case strings.HasPrefix(n.name, "mkfs"):
		s.hit(Destruction, Malicious, n.text, "T1561.001")
	case n.name == "mkfifo" || n.name == "mknod" && n.has("p"):
		s.fifos = append(s.fifos, n.operands("m")...)
	case isOneOf(n.name, "apt apt-get apk yum dnf microdnf zypper pacman pip pip3 pipx npm yarn pnpm gem cargo go uv brew easy_install conda mamba npx bunx pnpx uvx composer dpkg rpm snap opkg tdnf"):
		s.packages(n)
	}
}

// packages weighs the installation of packages by what is installed.
func (s *scan) packages(n *node) {
	if n.any(func(a string) bool {
		u, ok := parseURL(a)
		return ok && (isIP(u.host) && kindOfHost(u.host) == publicHost)
	}) {
		s.hit(DownloadAndExecute, Suspicious, n.text)
	}
	if n.name != "easy_install" && !n.has("install", "add", "-i", "-U", "-S", "-Sy", "-Syu", "update", "localinstall", "ci", "i", "sync", "require", "get", "global", "-Uvh", "-ivh", "reinstall") || n.has("--version") || n.name == "cargo" && !n.has("install") || n.name == "go" && !n.has("install", "get") {
		return
	}
	if n.name == "composer" && n.has("install") || n.has("run", "exec") {
		return
	}
	c := Neutral
	if len(n.operands("t")) == 2 && n.any(func(a string) bool { return isOneOf(a, "netcat netcat-openbsd telnet nc socat") }) {
		c = Suspicious // alone; beside other packages it waits for a port in an image
	}
	if n.any(func(a string) bool {
		a, _, _ = strings.Cut(a, "=")
		return isOneOf(a, "nmap masscan netcat-traditional ncat nmap-ncat hydra tor proxychains proxychains4 sshpass zmap john hashcat xmrig cpuminer libpcap-dev tcpdump nikto sqlmap aircrack-ng metasploit pwncat pwncat-cs impacket nbtscan iodine") || isTempPath(a) || strings.HasPrefix(a, "http://")
	}) {
		c = Suspicious
	}
	s.hit(PackageInstall, c, n.text)
	s.installs = true
}

// crontab weighs a cron table that is written by the command.
func (s *scan) crontab(n *node) {
	words := n.operands("u")
	switch {
	case n.has("-l"):
		return
	case n.has("-r"):
		s.hit(Persistence, Suspicious, n.text, "T1053.003")
		return
	case n.has("-e"):
		s.hit(Persistence, Suspicious, n.text, "T1053.003")
		return
	}
	text := ""
	for _, f := range n.from {
		if t, ok := s.source(f); ok {
			text += t + "\n"
		}
	}
	if n.hasStdin {
		text += n.stdin
	}
	if len(words) > 0 {
		if a := s.files[path.Base(words[0])]; a != nil {
			text += a.content
			if a.downloaded || a.decoded {
				s.hit(Persistence, Malicious, n.text, "T1053.003")
				return
			}
		}
		if isTempPath(words[0]) && !s.cronDaemon {
			s.hit(Persistence, Suspicious, n.text, "T1053.003")
		}
	}
	s.cronText(text, n, len(n.from) > 0 || n.hasStdin)
}

// cronText reads the commands of a cron table. A table written by hand is
// suspicious unless the text runs a cron daemon itself, as a cron container does.
func (s *scan) cronText(text string, n *node, piped bool) {
	before := s.worst()
	for line := range strings.SplitSeq(text, "\n") {
		if c := cronCommand(line); c != "" {
			s.tentativeShell(c)
		}
	}
	switch {
	case s.worst() > before || s.tainted(text):
		s.hit(Persistence, Malicious, n.text, "T1053.003")
	case piped && !s.cronDaemon:
		s.hit(Persistence, Suspicious, n.text, "T1053.003")
	case piped:
		s.hit(Persistence, Neutral, n.text, "T1053.003")
	}
}

// worst is the heaviest class so far.
func (s *scan) worst() Class {
	c := Neutral
	for _, h := range s.hits {
		c = max(c, h.Class)
	}
	return c
}

// tainted reports whether a text names a temporary or hidden file, or a download.
func (s *scan) tainted(text string) bool {
	for w := range strings.FieldsSeq(text) {
		w = strings.Trim(w, "'\"")
		if strings.HasPrefix(w, "/proc/") {
			continue
		}
		if isTempPath(w) || isHiddenPath(w) && strings.HasPrefix(w, "/") {
			return true
		}
		if a := s.files[path.Base(w)]; a != nil && (a.downloaded || a.decoded) {
			return true
		}
	}
	return false
}

// tentativeShell reads shell text and keeps what is at least suspicious.
func (s *scan) tentativeShell(text string) {
	c := newScan()
	s.lend(c)
	c.depth, c.decodes = s.depth+1, s.decodes
	if c.depth < maxDepth {
		c.shell(c.take(text), nil)
	}
	r := c.finish()
	s.settle(c)
	for _, h := range r.Hits {
		if h.Class >= Suspicious {
			s.hits = append(s.hits, h)
		}
	}
	for _, i := range r.Indicators {
		s.indicator(i.Kind, i.Value)
	}
}

// cronCommand cuts the schedule, and a user name, off a line of a cron table.
func cronCommand(line string) string {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return ""
	}
	skip := 5
	if line[0] == '@' {
		skip = 1
	}
	for range skip {
		i := strings.IndexAny(line, " \t")
		if i < 0 {
			return ""
		}
		line = strings.TrimLeft(line[i:], " \t")
	}
	if rest, ok := strings.CutPrefix(line, "root "); ok {
		return rest
	}
	return line
}

// copies looks at files written by tee, cp, mv, dd, install, ln and sed -i.
func (s *scan) copies(n *node) {
	words := n.operands("mogts")
	if len(words) == 0 {
		return
	}
	to := words[len(words)-1]
	switch n.name {
	case "tee":
		for _, w := range words {
			s.writesTo(w, n, n.short('a'))
		}
		return
	case "dd":
		for _, w := range words {
			if v, ok := strings.CutPrefix(w, "of="); ok {
				s.writesTo(v, n, false)
			}
		}
		return
	case "ln":
		if isHistoryFile(to) {
			s.hit(HistoryDisabled, Suspicious, n.text, "T1070.003")
		}
		words = n.operands("t")
		if pl, ok := placeOf(to); ok && isTempPath(words[0]) {
			s.hit(pl.behavior, pl.class, n.text, pl.technique)
		}
		return
	case "sed":
		switch {
		case !n.short('i'):
			return
		case strings.HasSuffix(to, "sshd_config"):
			if loosensLogin(strings.Join(words[:len(words)-1], " ")) {
				s.hit(Persistence, Suspicious, n.text, "T1098.004")
			}
			return
		case strings.HasSuffix(to, ".php") && n.argContains("$_", "eval(", "system(", "base64_decode("):
			s.hit(Persistence, Malicious, n.text, "T1505.003")
			return
		case to == "/etc/selinux/config" && n.argContains("disabled", "permissive"):
			s.hit(LogTampering, Suspicious, n.text, "T1562.001")
			return
		case !isOneOf(to, "/etc/passwd /etc/shadow /etc/sudoers /etc/ld.so.preload") && !strings.HasPrefix(to, "/etc/pam.d/") && !isSystemLog(to):
			return
		}
	}
	if len(words) < 2 && n.name != "sed" {
		return
	}
	if n.name != "sed" {
		s.replacesTool(n, words)
	}
	if d := strings.TrimSuffix(to, "/"); d != to || strings.HasSuffix(to, "/system") || path.Ext(to) == ".d" {
		to = d + "/" + path.Base(words[0])
	}
	if pl, ok := placeOf(to); ok || isCronPlace(to) {
		if pl.technique == "T1505.003" && !isTempPath(words[0]) {
			return
		}
		s.hit(pl.behavior, pl.class, n.text, pl.technique)
	}
}

// track remembers the files that the command makes.
func (s *scan) track(n *node) {
	switch n.name {
	case "cd", "pushd":
		if n.captured == 0 && len(n.args) > 0 {
			s.cwd, s.dir = "", n.args[0]
			if d := strings.TrimRight(n.args[0], "/"); isTempPath(d + "/x") {
				s.cwd = d
			}
		}
	case "git":
		s.unpacked = s.unpacked || n.has("clone") && n.any(isTempPath)
	case "tar", "unzip", "gunzip", "bsdtar", "7z":
		for _, f := range n.from {
			s.unpacked = s.unpacked || isDownloader(f)
		}
		for _, a := range n.args {
			if f := s.files[path.Base(a)]; f != nil && f.downloaded {
				s.unpacked = true
			}
		}
	case "mv", "cp", "ln", "install":
		if w := n.operands("mogts"); len(w) == 2 {
			if a := s.files[path.Base(w[0])]; a != nil {
				s.files[path.Base(w[1])] = a
			}
		}
	}
	if len(s.files) >= maxVars {
		return
	}
	if w := n.operands("cpPu"); len(w) > 1 && (isOneOf(n.name, "tftp ftpget atftp") || isOneOf(n.name, "scp sftp") && strings.Contains(w[0], ":")) {
		p := w[len(w)-1]
		s.files[path.Base(p)] = &artifact{path: p, downloaded: true, origin: n.text}
		return
	}
	if isDownloader(n) && isOneOf(n.name, "curl wget fetch aria2c axel lwp-download http xh") {
		if p := outputPath(n, fetchTargets(n)); p != "" && p != "-" && p != "/dev/null" && p != "." && p != "/" {
			s.files[path.Base(p)] = &artifact{path: p, downloaded: true, origin: n.text}
		}
		return
	}
	for _, r := range n.redirs {
		if strings.HasPrefix(r.op, ">") && !strings.HasPrefix(r.target, "/dev/") && !strings.HasSuffix(r.op, "&") {
			a := s.artifactOf(r.target, n)
			s.files[path.Base(r.target)] = a
			s.wrote(a)
		}
	}
	if n.name == "tee" {
		for _, w := range n.operands("") {
			s.files[path.Base(w)] = s.artifactOf(w, n)
		}
	}
}

// wrote reads the constant text written to a file: a script by what it does,
// anything else only for a shell that another program may start from it.
func (s *scan) wrote(a *artifact) {
	if a.content == "" || a.decoded {
		return
	}
	if l := compiled(path.Ext(a.path)); l != nil {
		s.code(l, a.content, &node{text: a.origin}, true)
	}
	lines := strings.Fields(strings.TrimPrefix(a.content, "#!/bin/sh\n"))
	if len(lines) == 1 && isShell(baseName(lines[0])) && strings.HasPrefix(lines[0], "/") && !strings.HasPrefix(a.path, "/etc/") {
		s.hit(InteractiveShell, Suspicious, a.origin)
	}
	if mentionsShell(a.content) {
		s.planted = true
		s.tentativeShell(a.content)
	}
}

// artifactOf describes a file written by a pipeline.
func (s *scan) artifactOf(p string, n *node) *artifact {
	a := &artifact{path: p, origin: pipeText(n)}
	for _, f := range append(n.from[:len(n.from):len(n.from)], n) {
		a.downloaded = a.downloaded || isDownloader(f) || isNetcat(f.name) || f.name == "cat" && opensSocket(f)
		a.decoded = a.decoded || isDecoder(f) && f.name != "rev"
	}
	if t, ok := s.constOutput(append(n.from[:len(n.from):len(n.from)], n)); ok {
		a.content = t[:min(len(t), maxValue)]
		if a.decoded && isProgram(t) {
			s.keepDecoded(clip(t))
		}
	}
	return a
}
