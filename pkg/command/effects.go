package command

import (
	"path"
	"slices"
	"strings"
)

// effects weighs what options make a program do, whichever it is: files that it
// writes where others start them, hosts that hide who answers, commands handed
// to it as settings.
func (s *scan) effects(n *node) {
	s.outputs(n)
	s.readsByAny(n)
	s.egress(n)
	s.settingsRun(n)
	s.installsLibrary(n)
}

// outputs: a file that an option names as output lies where it is started,
// believed or loaded.
func (s *scan) outputs(n *node) {
	if wrapperOf(n.name) != nil || language(n.name) != nil || isShell(n.name) || isOneOf(n.name, "ssh ssh-keygen sshd crond cron chmod chown cat grep find") {
		return
	}
	for _, o := range n.opt("-o", "-O", "-w", "--output", "--output-document", "--out", "-out", "--outfile", "-outfile", "--file", "--log-file", "--logfile", "--write-to", "--dump-header", "-D", "--cookie-jar", "--trace", "--stderr", "--save-cookies") {
		if !strings.HasPrefix(o, "/") && !strings.HasPrefix(o, "~") || len(o) > 200 {
			continue
		}
		if pl, ok := placeOf(o); ok && pl.class >= Suspicious {
			s.hit(pl.behavior, pl.class, n.text, pl.technique)
		} else if isWatchingTool(o) || strings.HasPrefix(o, "/lib/") || strings.HasPrefix(o, "/usr/lib/x86_64") {
			s.hit(Persistence, Suspicious, n.text, "T1554")
		}
	}
}

// readsByAny: a file of keys given to a program that has nothing to do with keys,
// as an input, a configuration or a list of words (GTFOBins, file read).
func (s *scan) readsByAny(n *node) {
	if isFamiliar(n.name) || usesKeys()[n.name] || isPackageScript(n) || isEntrypoint(n) || n.inTest {
		return
	}
	for _, a := range n.args {
		v := strings.TrimPrefix(a[strings.LastIndexAny(a, "=@<")+1:], "file:")
		v = "/" + strings.TrimLeft(v, "/")
		if len(a) > 200 || !strings.Contains(a, "/") || strings.Contains(a, " ") {
			continue
		}
		if isOneOf(v, "/etc/shadow /etc/gshadow /etc/sudoers /proc/kcore /proc/kallsyms /dev/mem") || strings.HasPrefix(v, "/root/.") || isOneOf(path.Base(v), "id_rsa id_ed25519 id_ecdsa .bash_history .netrc .git-credentials") {
			s.hit(CredentialSearch, Suspicious, n.text, secretTechnique(v))
			return
		}
	}
}

// freeNames are suffixes under which anybody has a name at once and for nothing.
var freeNames = [...]string{".duckdns.org", ".ddns.net", ".hopto.org", ".zapto.org", ".sytes.net", ".no-ip.org", ".no-ip.biz", ".servehttp.com", ".dynu.net", ".myftp.org", ".afraid.org", ".mooo.com", ".chickenkiller.com", ".nip.io", ".sslip.io", ".xip.io", ".onion", ".i2p", ".top", ".tk", ".gq", ".ml", ".cf", ".bazar", ".bit"}

// egress: names that hide who answers, and a name of the machine carried out in
// the address itself.
func (s *scan) egress(n *node) {
	if !isNetworkTool(n.name) && language(n.name) == nil {
		return
	}
	host := headerHost(n)
	for _, a := range n.args {
		if !strings.Contains(a, ".") || len(a) > 2048 {
			continue
		}
		for _, u := range findURLs(a, 4) {
			h := strings.ToLower(u.host)
			for _, suffix := range freeNames {
				if strings.HasSuffix(h, suffix) {
					s.hit(LateralTool, Suspicious, n.text, "T1568")
				}
			}
			if kindOfHost(h) == publicHost && containsAny(a, "$(hostname", "`hostname", "$(whoami", "$(id", "$HOSTNAME", "$(uname", "$(pwd", "${HOSTNAME") {
				s.hit(Exfiltration, Suspicious, n.text, "T1048")
			}
			if host != "" && kindOfHost(h) == publicHost && !isIP(h) && kindOfHost(host) == publicHost && !sameOwner(h, host) {
				s.hit(LateralTool, Suspicious, n.text, "T1090.004")
			}
		}
	}
	if isOneOf(n.name, "nslookup dig host ping drill getent") && n.any(func(a string) bool {
		return containsAny(a, "$(cat", "$(hostname", "$(id", "$(whoami", "`hostname", "`whoami", "$(uname", "$HOSTNAME.") && strings.Contains(a, ".")
	}) {
		s.hit(Exfiltration, Suspicious, n.text, "T1048.003")
	}
}

// headerHost is the host that a request names in its header.
func headerHost(n *node) string {
	for _, h := range n.opt("-H", "--header") {
		if k, v, ok := strings.Cut(h, ":"); ok && strings.EqualFold(strings.TrimSpace(k), "host") {
			v, _ = splitHostPort(strings.TrimSpace(v))
			if isDomain(v) {
				return v
			}
		}
	}
	return ""
}

// sameOwner: two names with the same last two labels.
func sameOwner(a, b string) bool {
	tail := func(h string) string {
		l := strings.Split(strings.ToLower(h), ".")
		return strings.Join(l[max(len(l)-2, 0):], ".")
	}
	return tail(a) == tail(b)
}

// settingsRun: options whose value is a command line for the program to run.
func (s *scan) settingsRun(n *node) {
	if isShell(n.name) || language(n.name) != nil || isOneOf(n.name, "echo printf grep git") {
		return
	}
	for _, a := range n.args {
		key, v, ok := strings.Cut(a, "=")
		if !ok || len(v) < 3 || len(v) > 512 || strings.Contains(key, " ") {
			continue
		}
		low := strings.ToLower(key)
		if containsAny(low, "proxycommand", "localcommand", "knownhostscommand", "core_pattern", "archive_command", "restore_command", "program", "handler", "hook", "on-complete", "on-connect", "up-script", "script-security", "exec.", "preinstall", "postinstall") {
			w := strings.Trim(v, "'\"")
			if isShell(firstWord(w)) || isTempPath(w) || mentionsShell(w) || s.readsBad(w) {
				s.hit(InteractiveShell, Suspicious, n.text, "T1059.004")
			}
		}
	}
	if n.name == "npx" || n.name == "pnpx" || n.name == "bunx" || n.name == "go" && n.has("run") {
		if n.any(func(a string) bool {
			return strings.HasPrefix(a, "github:") || strings.HasPrefix(a, "gist:") || strings.HasPrefix(a, "git+") || n.name == "go" && strings.Contains(a, ".") && strings.Contains(a, "@")
		}) {
			s.hit(DownloadAndExecute, Suspicious, n.text, "T1105")
		}
	}
}

// installsLibrary: a library, a module or a tool put among those of the system
// from a place where nobody builds (T1574.006, T1554).
func (s *scan) installsLibrary(n *node) {
	if !isOneOf(n.name, "cp mv install ln tee rsync") {
		return
	}
	w := n.operands("mogt")
	if len(w) == 0 {
		return
	}
	to := w[len(w)-1]
	from := ""
	if len(w) > 1 {
		from = w[0]
	}
	system := strings.HasPrefix(to, "/lib/") || strings.HasPrefix(to, "/usr/lib/") || strings.HasPrefix(to, "/lib64/") || strings.HasPrefix(to, "/usr/local/lib/lib") || strings.Contains(to, "/security/")
	switch {
	case system && (isTempPath(from) || isHiddenPath(from)), n.name == "tee" && isOneOf(path.Dir(to), "/usr/local/bin /usr/bin /usr/sbin") && isOneOf(path.Base(to), "ls ps netstat ss sudo su ssh sshd curl wget git docker kubectl cat"):
		s.hit(Persistence, Suspicious, n.text, "T1574.006")
	case (isTempPath(from) || isHiddenPath(from)) && isOneOf(path.Dir(to), "/usr/bin /usr/sbin /bin /sbin") && !slices.Contains(n.via, "docker"):
		s.hit(Persistence, Suspicious, n.text, "T1036.005")
	}
}
