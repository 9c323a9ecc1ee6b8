package command

import (
	"path"
	"strings"
)

// hooks weighs places where other programs look for commands to run: hooks and
// settings of git, aliases, plugins, start files of interpreters (T1546).
func (s *scan) hooks(n *node) {
	switch n.name {
	case "tmux", "screen", "dtach", "daemonize", "entr", "at", "abduco", "tsp", "run-parts":
		for _, a := range n.args {
			if isTempPath(a) {
				s.runsFile(a, n)
			} else if strings.Contains(a, " ") {
				s.tentativeShell(a)
			}
		}
	case "git":
		s.gitConfig(n)
	case "alias":
		for _, a := range n.args {
			name, v, ok := strings.Cut(a, "=")
			if ok && (shadowsTool(name) && strings.ContainsAny(v, ";&|/") || s.readsBad(v)) {
				s.hit(Persistence, Suspicious, n.text, "T1546.004")
			}
		}
	case "npm", "yarn", "pnpm", "pip":
		if n.has("config") && n.has("set") && n.argContains("script-shell", "node-options") ||
			n.has("config") && n.has("set") && n.argContains("registry", "index-url") && n.any(func(a string) bool {
				u, ok := parseURL(a[strings.IndexByte(a, '=')+1:])
				return ok && isIP(u.host) && kindOfHost(u.host) == publicHost
			}) {
			s.hit(Persistence, Suspicious, n.text, "T1546")
		}
	}
}

func shadowsTool(name string) bool {
	return isOneOf(name, "sudo su ssh ls cat ps passwd netstat top docker kubectl git cd rm curl wget")
}

// gitConfig: settings of git that run programs.
func (s *scan) gitConfig(n *node) {
	keys := [...]string{"core.pager", "core.sshcommand", "core.fsmonitor", "core.editor", "core.hookspath", "alias.", "credential.helper", "diff.external", "filter.", "protocol.ext.allow", "uploadpack.packobjectshook"}
	for i, a := range n.args {
		key, value, ok := strings.Cut(a, "=")
		if !ok && i+1 < len(n.args) && n.has("config") {
			value = n.args[i+1]
		}
		if !containsAny(strings.ToLower(key), keys[:]...) || value == "" {
			continue
		}
		v := strings.TrimPrefix(value, "!")
		if isTempPath(v) || mentionsShell(value) || s.readsBad(v) {
			s.hit(Persistence, Suspicious, n.text, "T1546")
		}
	}
	if n.any(func(a string) bool { return strings.HasPrefix(a, "ext::") }) {
		s.hit(InteractiveShell, Suspicious, n.text)
	}
}

// hookPlace knows files that a program reads as commands or code, beyond those
// of placeOf; what is written there decides.
func hookPlace(p string) bool {
	b := path.Base(p)
	switch {
	case strings.Contains(p, ".git/hooks/") && !strings.HasSuffix(b, ".sample"),
		containsAny(p, "site-packages/", "dist-packages/") && (path.Ext(b) == ".pth" || isOneOf(b, "sitecustomize.py usercustomize.py")),
		strings.HasPrefix(p, "/etc/apt/apt.conf.d/"), strings.HasPrefix(p, "/etc/yum/pluginconf.d"), strings.HasPrefix(p, "/etc/udev/rules.d/"),
		strings.HasPrefix(p, "/etc/NetworkManager/dispatcher.d/"), strings.HasPrefix(p, "/etc/dhcp/"), strings.HasPrefix(p, "/etc/logrotate.d/"),
		strings.HasPrefix(p, "/etc/xdg/autostart/"), strings.Contains(p, ".config/autostart/"), strings.HasPrefix(p, "/docker-entrypoint.d/"), strings.HasPrefix(p, "/docker-entrypoint-initdb.d/"),
		isOneOf(b, ".vimrc .screenrc .tmux.conf .gitconfig .npmrc .pythonrc .inputrc .pam_environment .forward .xinitrc .xprofile"):
		return true
	}
	return false
}

// writesHook weighs the text written to such a file.
func (s *scan) writesHook(p string, n *node, text string) {
	if !hookPlace(p) || text == "" {
		return
	}
	bad := s.readsBad(text)
	for _, q := range stringLiterals(text, 16) {
		bad = bad || s.readsBad(q)
	}
	if _, v, ok := strings.Cut(text, "="); ok {
		bad = bad || s.readsBad(strings.Trim(v, "\" +"))
	}
	if l := looksLike(text); l != nil && containsAny(p, "site-packages", "dist-packages") {
		bad = bad || containsAny(squeeze(text), l.run...)
	}
	if bad || containsAny(text, "curl ", "wget ", "/dev/tcp/") {
		s.hit(Persistence, Suspicious, pipeText(n), "T1546")
	}
}

// namesHost weighs a line written to /etc/hosts: a public name sent to a public
// address that somebody chose, or the name of a security vendor sent nowhere.
func (s *scan) namesHost(text string, n *node) {
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || !isIP(f[0]) {
			continue
		}
		for _, h := range f[1:] {
			if isDomain(h) && kindOfHost(h) == publicHost && kindOfHost(f[0]) == publicHost || namesSecurity(h) || kindOfHost(f[0]) == loopbackHost && isDomain(h) && containsAny(h, "googleapis.com", "amazonaws.com", "azure.com", "datadoghq", "sentry.io", "virustotal", "clamav", "security", "logging.", "update") {
				s.hit(LogTampering, Suspicious, n.text, "T1565.001")
			}
		}
	}
}

// replacements are what sed scripts put in the place of something, and the
// scripts that are no substitutions.
func replacements(scripts []string) string {
	var out []string
	for _, t := range scripts {
		if len(t) > 4 && t[0] == 's' && !isWordByte(t[1]) {
			if p := strings.Split(t[2:], t[1:2]); len(p) > 1 {
				t = p[1]
			}
		}
		out = append(out, t)
	}
	return strings.Join(out, "\n")
}

// loosensLogin reports whether a text opens the door of an SSH server.
func loosensLogin(text string) bool {
	low := strings.ToLower(strings.Join(strings.Fields(text), " "))
	return containsAny(low, "permitrootlogin yes", "permitemptypasswords yes", "authorizedkeysfile", "passwordauthentication yes", "permituserenvironment yes", "strictmodes no")
}

// aliasesTool reports whether a text gives one of the everyday tools another meaning.
func aliasesTool(text string) bool {
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "alias ")
		if !ok {
			return false
		}
		if name, v, ok := strings.Cut(after, "="); ok && shadowsTool(strings.TrimSpace(name)) && containsAny(v, "/", ";", "|", "&") {
			return true
		}
		rest = after
	}
}
