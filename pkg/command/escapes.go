package command

import (
	"strings"
	"sync"
)

// carrier says how a program that is no shell can be made to start one.
type carrier struct {
	names string
	// bare: a shell as a word of its own is already an escape.
	bare bool
}

// carriers are programs with a way to run commands, as GTFOBins lists them.
// It is never written.
var carriers = [...]carrier{
	{"vi vim nvim view rvim rview vimdiff ex gvim ed emacs nano pico joe", false},
	{"less more man pg most info", false},
	{"tar bsdtar", false},
	{"zip unzip 7z cpio rar", true},
	{"git hg svn", false},
	{"rsync scp sftp ssh ssh-keygen ssh-keyscan", false},
	{"find fd sed gsed ed awk gawk mawk nawk xargs split csplit sort", false},
	{"gdb lldb r2 valgrind perf bpftrace dtrace crash gtester cobc ghc ghci ocaml", true},
	{"make cmake gcc g++ clang ninja rake grunt gulp", false},
	{"mysql mariadb psql sqlite3 mongo redis-cli sqlplus", false},
	{"apt apt-get dpkg rpm rpmquery yum dnf zypper pip gem npm npx cpan easy_install bundle composer snap pacman", true},
	{"tmux screen dtach byobu tmate service", true},
	{"expect tclsh wish octave octave-cli julia R Rscript jrunscript jjs jshell groovy scala gimp sage maxima", true},
	{"nmap tcpdump wireshark tshark dumpcap masscan hping3 openvpn", false},
	{"puppet ansible ansible-playbook knife chef salt facter terraform vagrant packer", false},
	{"docker podman kubectl lxc machinectl systemctl systemd-run journalctl busctl run-parts", false},
	{"latex pdflatex xelatex lualatex tex", false},
	{"dc bc ftp lftp mail mailx mutt telnet w3m lynx links wget curl aria2c", false},
	{"logsave run-mailcap start-stop-daemon ionice setarch softlimit sshpass unbuffer rlwrap enscript genisoimage neofetch cowsay cowthink xdotool zathura wg-quick at batch crontab dmsetup losetup ldconfig ip socat task tasksh tdbtool aoss distcc multitime pexec pandoc check_by_ssh check_cups choom clamscan debugfs dosbox dvips elvish eqn ginsh gem hexdump iftop joe ksshell msgfilter msgmerge nft ntpdate opkg php-fpm posh pwsh rc scanmem slsh ssh-agent sshfs svnadmin tic troff ul uuencode varnishncsa vigr vipw watch xmodmap yash zsoelim ranger mc nnn torify torsocks doas yarn", true},
}

// escapes weighs programs that are made to start a shell.
func (s *scan) escapes(n *node) {
	switch {
	case isShell(n.name) || isNetcat(n.name) || n.name == "socat" && !n.has("stdin", "-") || isOneOf(n.name, "echo printf cat grep egrep useradd usermod adduser chsh eval exec export test [ which command type ls ln cp mv chmod stat file busybox read set head tail") || wrapperOf(n.name) != nil && !isOneOf(n.name, "bundle parallel poetry"):
		return
	case n.name == "script":
		s.scriptTool(n)
		return
	case language(n.name) != nil:
		return
	case n.name == "stty":
		if n.has("raw") && n.has("-echo") {
			s.hit(InteractiveShell, Suspicious, n.text)
		}
		return
	}
	s.options(n)
	known := knownCarrier(n.name)
	if s.planted && (known != nil && !isOneOf(n.name, "find awk sed sort split wget curl docker kubectl") || n.name == "go") {
		s.hit(InteractiveShell, Suspicious, n.text)
	}
	for i, a := range n.args {
		if s.isEscape(n, known, i, a) {
			s.escape(n, a)
			return
		}
	}
	for _, r := range n.redirs {
		if r.op == "<" && mentionsShell(r.target) && !strings.HasPrefix(r.target, "/") {
			s.escape(n, r.target)
		}
	}
	if known != nil && (n.hasStdin && mentionsShell(n.stdin) || fedShell(n)) {
		s.escape(n, n.stdin)
	}
}

// options finds options that name a program, a hook or a plugin which lies in
// a temporary place.
func (s *scan) options(n *node) {
	for i, a := range n.args {
		if !strings.HasPrefix(a, "-") {
			continue
		}
		key, value, ok := strings.Cut(a, "=")
		if !ok && i+1 < len(n.args) {
			value = n.args[i+1]
		}
		if isTempPath(value) && containsAny(key, "askpass", "exec", "hook", "filter", "plugin", "-script", "cmd", "command", "program", "pager", "rsh", "on-download") {
			s.hit(TempExecution, Suspicious, n.text)
		}
		if ok && strings.Contains(value, " ") && containsAny(key, "command", "exec", "program", "filter", "hook", "action") {
			s.tentativeShell(strings.TrimPrefix(value, "exec="))
		}
	}
}

// fedShell: "echo '!sh' | program".
func fedShell(n *node) bool {
	for _, f := range n.from {
		if (f.name == "echo" || f.name == "printf") && f.any(func(a string) bool { return mentionsShell(a) || strings.HasPrefix(a, "!") }) {
			return true
		}
	}
	return false
}

func knownCarrier(name string) *carrier { return carriersByName()[name] }

var carriersByName = sync.OnceValue(func() map[string]*carrier {
	return indexNames(carriers[:], func(c *carrier) string { return c.names })
})

// isEscape reports whether one word makes the program start a shell.
func (s *scan) isEscape(n *node, known *carrier, i int, a string) bool {
	key, value, assigned := strings.Cut(strings.TrimLeft(a, "-"), "=")
	key = strings.ToLower(key)
	if strings.Contains(key, "shell") && assigned && (strings.HasPrefix(a, "-") || key == "shell") || strings.Contains(key, "entrypoint") || strings.HasPrefix(a, "#!") {
		return false
	}
	if i > 0 && isOneOf(n.args[i-1], "-s --shell --entrypoint --default-shell -shell -S") && known == nil {
		return false
	}
	whole := isShell(baseName(a)) && !strings.ContainsAny(a, "=:( ,") && (!strings.Contains(a, "/") || strings.Contains("/"+a, "/bin/"))
	switch {
	case i > 0 && isShell(firstWord(a)) && isOneOf(n.args[i-1], "--to-command -I --use-compress-program --rsh-command --rmt-command --exec --exec-cmd --pager --program --filter -TT --unzip-command"):
		return true
	case strings.Contains(a, " ") && startsWithShell(a) && !isOneOf(n.name, "docker podman kubectl"):
		return true
	case whole && known != nil && known.bare:
		return i > 0 || strings.Contains(a, "/") || strings.HasPrefix(a, "/") || isOneOf(n.name, "tmux screen expect choom distcc multitime pexec logsave dtach")
	case whole && known != nil && i > 0 && strings.HasPrefix(n.args[i-1], "-") && !isOneOf(n.name, "docker podman kubectl make git npm systemctl find curl wget ip rsync tar") && n.args[i-1] != "--":
		return true
	case whole && isOneOf(n.name, "rsync") && i > 0 && n.args[i-1] == "-e":
		return true
	case (whole && strings.Contains(a, "/") || i > 0 && strings.HasPrefix(n.args[i-1], "-") && strings.HasPrefix(a, "/") && isShell(firstWord(a))) && known == nil && !mayNameShell(n):
		if i+1 < len(n.args) && strings.HasPrefix(n.args[i+1], "-") && isScriptFlag(n.args[i+1]) {
			s.rewrap(n, n.args[i:], false)
			return false
		}
		return true
	case strings.Contains(a, `\write18{`):
		return true
	case whole:
		return false
	case !mentionsShell(a):
		return false
	case known != nil:
		return !strings.Contains(a, "://") || strings.Contains(a, "`")
	}
	// An unknown program: only what cannot be a plain argument.
	return assigned && mentionsShell(value) && containsAny(key, "exec", "cmd", "command", "action", "program", "pager", "editor") ||
		strings.HasPrefix(a, "!") || containsAny(a, "system(", "exec:", "os.execute", "popen(", "spawn(", ":!")
}

// firstWord is the base name of the first word of a command line.
func firstWord(a string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(a), " ")
	if strings.ContainsAny(w, "=:(") {
		return ""
	}
	return baseName(w)
}

// startsWithShell: a word that is a whole command line, "/bin/sh -i".
func startsWithShell(a string) bool {
	w := strings.Fields(a)
	return len(w) == 2 && w[1] == "-i" && isShell(baseName(w[0]))
}

// mayNameShell: programs for which the path of a shell is a plain argument.
func mayNameShell(n *node) bool {
	return isOneOf(n.name, "su sudo doas docker podman nerdctl kubectl oc crictl buildah kaniko which whereis readlink realpath sha256sum md5sum ldd dpkg dpkg-query rpm add-shell remove-shell update-alternatives useradd usermod chsh install tee diff cmp sed touch exec tini dumb-init setpriv gosu su-exec chpst pgrep pkill killall ps lsof fuser setcap getcap strip upx make docker-entrypoint.sh") ||
		isEntrypoint(n) || strings.HasSuffix(n.path, ".sh")
}

func (s *scan) escape(n *node, word string) {
	s.hit(InteractiveShell, Suspicious, n.text)
	for _, v := range n.via {
		if v == "sudo" || v == "doas" || v == "pkexec" {
			s.hit(PrivilegeEscalation, Suspicious, n.text, "T1548.003")
		}
	}
	if containsAny(word, "import ", "__import__") && strings.Contains(word, "socket") {
		s.code(language("python"), word, n, false)
	}
	// What the escape runs may be more than a shell.
	for _, q := range stringLiterals(word, 4) {
		if strings.Contains(q, " ") {
			s.tentativeShell(q)
		}
	}
	if _, v, ok := strings.Cut(word, "="); ok && strings.Contains(v, " ") {
		s.tentativeShell(strings.TrimPrefix(v, "exec="))
	}
}

// scriptTool: script(1) gives a shell a terminal.
func (s *scan) scriptTool(n *node) {
	if n.any(func(a string) bool { return a == "/dev/null" }) || n.short('q') && n.argContains("sh") {
		s.hit(InteractiveShell, Suspicious, n.text)
	}
}
