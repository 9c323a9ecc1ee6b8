package command

import (
	"path"
	"strings"
)

// visit reads one command: its words, its redirections, what it is known to
// do, and what it runs in turn.
func (s *scan) visit(n *node) {
	if s.depth >= maxDepth {
		s.truncated = true
		return
	}
	s.depth++
	s.work.visits++
	defer func() { s.depth-- }()
	n = s.resolved(n)
	s.words(n)
	s.connects(n)
	s.writes(n)
	for _, b := range n.binds {
		s.binding(b, n)
	}
	if n.path == "" {
		return
	}
	s.substituted(n)
	s.table(n)
	s.network(n)
	s.host(n)
	s.discover(n)
	s.defenses(n)
	s.database(n)
	s.cluster(n)
	s.cloudImpact(n)
	s.serves(n)
	s.mails(n)
	s.carried(n)
	s.probes(n)
	s.intrusion(n)
	s.general(n)
	s.evaluatesMade(n)
	s.traits(n)
	s.effects(n)
	s.tampers(n)
	s.opensCloud(n)
	s.collected(n)
	s.tunnels(n)
	s.hooks(n)
	s.escapes(n)
	s.executes(n)
	switch {
	case isShell(n.name):
		s.runShell(n)
	case language(n.name) != nil:
		s.runCode(n)
	default:
		s.unwrap(n)
	}
	s.track(n)
	s.benign(n)
}

// words looks at the arguments for indicators and hidden payloads.
func (s *scan) words(n *node) {
	budget := 64
	for _, a := range n.args {
		if len(a) < 4 {
			continue
		}
		if n.name == "echo" && len(n.to) > 0 && len(a) < minBlob && !strings.Contains(a, elfBase64) {
			s.rawIndicators(a)
			continue
		}
		s.rawIndicators(a)
		if budget > 0 && !isScriptArg(n, a) {
			budget--
			s.embedded(a, n.text)
		}
	}
	if n.hasStdin {
		s.rawIndicators(n.stdin)
		s.embedded(n.stdin, n.text)
	}
	if isNetworkTool(n.name) {
		for _, a := range n.args {
			s.hostWord(a)
		}
	}
}

// isScriptArg: the text given to "sh -c" is parsed, its words are looked at then.
func isScriptArg(n *node, a string) bool {
	return isShell(n.name) && strings.ContainsAny(a, " \t\n;|")
}

func isNetworkTool(name string) bool { return networkTools()[name] }

var networkTools = nameSet("curl wget nc ncat netcat nc.traditional nc.openbsd telnet ssh scp sftp rsync ftp tftp lftp ping ping6 dig nslookup host drill socat openssl nmap masscan aria2c axel traceroute whois fetch http https xh mosh sshpass chisel frpc xmrig minerd getent mysql psql redis-cli mongosh autossh dnscat iodine")

// hostWord records a host given as "host", "host:port", "user@host:path" or "tcp:host:port".
func (s *scan) hostWord(a string) {
	if a == "" || a[0] == '-' || a[0] == '/' || strings.Contains(a, "://") {
		return
	}
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		a = a[i+1:]
	}
	for part := range strings.FieldsFuncSeq(a, func(r rune) bool { return r == ':' || r == ',' || r == '/' || r == '=' }) {
		if isDomain(part) && !looksLikeFile(part) || strings.Count(part, ".") == 3 && isIP(part) {
			s.hostIndicator(part)
		}
	}
}

// looksLikeFile: names whose last label is both a domain suffix and a common
// file extension, with nothing that speaks for a host.
func looksLikeFile(h string) bool {
	return strings.Count(h, ".") == 1 && isOneOf(strings.ToLower(path.Ext(h)), ".sh .py .pl .rs .md .so .zip .mov .ps .cab .app .rb .cc .ml .mo .st .tf .ts .js .la .ai .ac .am .do .vi .cpp .map .bin .run .tar .lock .html")
}

// binding looks at a variable set for a command.
func (s *scan) binding(b binding, n *node) {
	switch b.name {
	case "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH":
		if a := s.files[path.Base(b.value)]; a != nil && a.downloaded {
			s.hit(DownloadAndExecute, Malicious, a.origin+" ; "+n.text)
		}
		if isTempPath(b.value) || strings.HasPrefix(b.value, ".") && b.name == "LD_PRELOAD" || b.value == "/tmp" {
			s.hit(PrivilegeEscalation, Malicious, n.text, "T1574.006")
		}
	case "GCONV_PATH":
		s.hit(PrivilegeEscalation, Malicious, n.text, "T1068")
	case "PAGER", "GIT_PAGER", "EDITOR", "VISUAL", "GIT_SSH_COMMAND", "MANPAGER", "BROWSER", "LESSOPEN", "GIT_EDITOR", "SUDO_EDITOR", "SYSTEMD_EDITOR", "TERM_PROGRAM":
		if mentionsShell(b.value) {
			s.hit(InteractiveShell, Suspicious, n.text)
		}
	case "PROMPT_COMMAND", "BASH_ENV", "ENV":
		if recordsKeys(b.name, b.value) {
			s.hit(CredentialSearch, Suspicious, n.text, "T1056.001")
		}
		if strings.ContainsAny(b.value, " |;") {
			s.shell(b.value, nil)
		}
	case "SHELL":
	default:
		if strings.ContainsAny(b.value, " !(\"'") && mentionsShell(b.value) {
			s.hit(InteractiveShell, Suspicious, n.text)
		}
	}
	s.loaderVariable(b.name, b.value, n.text)
	s.history(b.name, b.value, n.text)
}

// assigned looks at a variable set in the text.
func (s *scan) assigned(name, value, text string) {
	if recordsKeys(name, value) {
		s.hit(CredentialSearch, Suspicious, text, "T1056.001")
	}
	switch name {
	case "PATH":
		if first, _, _ := strings.Cut(value, ":"); isTempPath(first+"/x") || first == "." {
			s.hit(PrivilegeEscalation, Suspicious, text, "T1574.007")
		}
	case "LD_PRELOAD":
		if isTempPath(value) {
			s.hit(PrivilegeEscalation, Malicious, text, "T1574.006")
		}
	case "GCONV_PATH":
		s.hit(PrivilegeEscalation, Malicious, text, "T1068")
	}
	s.loaderVariable(name, value, text)
	s.history(name, value, text)
}

// history: variables that keep the shell from remembering.
func (s *scan) history(name, value, text string) {
	switch name {
	case "HISTFILE":
		if value == "" || value == "/dev/null" {
			s.hit(HistoryDisabled, Suspicious, text, "T1562.003")
		}
	case "HISTSIZE", "HISTFILESIZE", "SAVEHIST":
		if value == "0" || value == "" {
			s.hit(HistoryDisabled, Suspicious, text, "T1562.003")
		}
	case "HISTCONTROL", "HISTIGNORE":
		if value == "ignorespace" || value == "ignoreboth" || value == "*" {
			s.hit(HistoryDisabled, Suspicious, text, "T1562.003")
		}
	}
}

// substituted: the command's name, or the text it evaluates, is the output of
// another command.
func (s *scan) substituted(n *node) {
	runs := isShell(n.name) || n.name == "eval" || n.name == "source" || n.name == "." || language(n.name) != nil
	for _, sb := range n.subs {
		if sb.word == assignedWord || sb.word != 0 && !runs {
			continue
		}
		for _, in := range sb.nodes {
			switch {
			case isDownloader(in):
				s.hit(DownloadAndExecute, Malicious, n.text)
			case isDecoder(in) && in.name != "zcat" && in.name != "rev":
				s.hit(EncodedPayload, Malicious, n.text, "T1027.010", "T1140")
			case opensSocket(in) && (n.name == "eval" || isShell(n.name)):
				s.hit(ReverseShell, Malicious, n.text)
			}
		}
	}
}

// executes: the program itself is something that the text made, or lies in a
// place where programs do not belong.
func (s *scan) executes(n *node) {
	for _, p := range launched(n) {
		s.runsFile(p, n)
	}
	target := n.path
	if !strings.Contains(target, "/") && s.files[target] == nil {
		return
	}
	s.runsFile(target, n)
}

// launched are the files that a launcher of compiled programs is told to run.
func launched(n *node) []string {
	switch n.name {
	case "java":
		if jars := n.opt("-jar"); len(jars) > 0 && (isHiddenPath(jars[0]) || !strings.HasPrefix(jars[0], "/tmp/")) {
			return jars
		}
		for _, p := range n.opt("-cp", "-classpath") {
			if isTempPath(p + "/x") {
				return []string{p + "/x"}
			}
		}
	case "go":
		if n.has("run") {
			return n.operands("")[1:]
		}
	case "dotnet", "mono", "wine", "qemu-x86_64", "qemu-arm", "ghc", "kotlin", "scala", "cargo-script":
		if w := n.operands(""); len(w) > 0 {
			return w[:1]
		}
	}
	return nil
}

// runsFile weighs the execution of a file, directly or by an interpreter.
func (s *scan) runsFile(p string, n *node) {
	if s.cwd != "" && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "$") {
		p = s.cwd + "/" + strings.TrimPrefix(p, "./")
	}
	if a := s.files[path.Base(p)]; a != nil && !isVersionCheck(n) {
		switch {
		case a.downloaded:
			s.hit(DownloadAndExecute, Malicious, a.origin+" ; "+n.text)
		case a.decoded:
			s.hit(EncodedPayload, Malicious, a.origin+" ; "+n.text, "T1027.010", "T1140")
		case a.content != "":
			text := a.content
			a.content = ""
			s.script(s.take(text), &node{text: n.text, via: n.via})
		}
	}
	if strings.Contains(p, "impacket") || isOneOf(path.Base(p), "psexec.py secretsdump.py wmiexec.py smbexec.py GetNPUsers.py GetUserSPNs.py ntlmrelayx.py atexec.py dcomexec.py") {
		s.hit(LateralTool, Suspicious, n.text, "T1021.004")
	}
	if isReconScript(path.Base(p)) {
		s.hit(Recon, Suspicious, n.text, "T1082")
	}
	if s.unpacked && (strings.HasPrefix(n.path, "./") || isTempPath(p)) {
		s.hit(DownloadAndExecute, Suspicious, n.text)
	}
	switch {
	case strings.HasPrefix(p, "/dev/tcp/"):
	case strings.Contains(p, "/go-build") || strings.Contains(p, "/pip-") || strings.HasPrefix(p, "/proc/self/exe") || strings.HasPrefix(p, "/tmp/_MEI"):
	case isTempPath(p) && !strings.HasPrefix(p, "/proc/self/fd/") || strings.HasPrefix(p, "/proc/") && strings.Contains(p, "/fd/"):
		s.hit(TempExecution, Suspicious, n.text, "T1059.004")
	case isHiddenPath(p) && !strings.Contains(p, "$"):
		s.hit(TempExecution, Suspicious, n.text, "T1564.001")
	}
}
