package command

import (
	"path"
	"slices"
	"strings"
)

// runCode reads the code an interpreter is given: in an option, on standard
// input, or as a file.
func (s *scan) runCode(n *node) {
	l := language(n.name)
	code := n.codeOf(l)
	for _, e := range n.opt("-enc", "-EncodedCommand", "-e", "-ec") {
		if b, ok := decodeBase64(e); ok && l.name == "powershell" {
			s.hit(EncodedPayload, Malicious, n.text, "T1027.010", "T1140")
			code, _ = s.payload(b)
			s.keepDecoded(code)
		}
	}
	if l.name == "php" && n.argContains("auto_prepend_file=http", "auto_append_file=http", "auto_prepend_file=data:", "auto_prepend_file=php:", "auto_prepend_file=/tmp", "allow_url_include=1", "allow_url_include=On") {
		s.hit(DownloadAndExecute, Malicious, n.text, "T1105")
	}
	switch {
	case code != "":
		s.code(l, code, n, false)
		for _, f := range n.from {
			if isDownloader(f) && containsAny(code, "exec(", "eval(", "os.system(") && containsAny(code, "stdin", "STDIN", "input()", "<>") {
				s.hit(DownloadAndExecute, Malicious, pipeText(n))
			}
		}
	case n.has("-m") && l.name == "python":
		s.pythonModule(n)
	case l.name == "awk" || len(n.args) > 0 && isOneOf(n.args[0], "--version -v -V -version --help"):
	case len(n.args) == 0 || n.args[0] == "-":
		s.stdinCode(n, l)
	default:
		for _, a := range n.args {
			if !strings.HasPrefix(a, "-") {
				s.runsFile(a, n)
				break
			}
			if a == "/dev/stdin" {
				s.stdinCode(n, l)
			}
		}
	}
	if usesSocket(s, n) && code == "" && len(n.args) == 0 {
		s.hit(ReverseShell, Malicious, n.text)
	}
}

func (s *scan) stdinCode(n *node, l *lang) {
	switch {
	case n.hasStdin:
		s.code(l, s.take(n.stdin), n, true)
	case len(n.from) > 0:
		before := len(s.hits)
		if t, ok := s.constOutput(n.from); ok {
			s.code(l, s.take(t), n, true)
			if len(s.hits) == before {
				return
			}
		}
		s.pipedInto(n)
	}
}

// codeOf is the code given in the arguments.
func (n *node) codeOf(l *lang) string {
	if l.name == "awk" {
		if w := n.operands("Fvf"); len(w) > 0 {
			return w[0]
		}
		return ""
	}
	var parts []string
	for i, a := range n.args {
		if (l.options == "" || l.name == "other" && a == "eval") && (a == "-c" || a == "-e" || a == "eval" || a == "exec") && i+1 < len(n.args) {
			return n.args[i+1]
		}
		switch {
		case a == "--":
			return strings.Join(parts, "\n")
		case len(a) < 2 || a[0] != '-':
			if i == 0 && (a == "eval" || a == "exec") && len(n.args) > 1 {
				return n.args[1]
			}
			continue
		}
		for o := range strings.FieldsSeq(l.options) {
			if o == "-M" {
				if strings.HasPrefix(a, "-M") {
					parts = append(parts, a)
				}
				continue
			}
			if v, ok := strings.CutPrefix(a, o+"="); ok && len(o) > 2 {
				parts = append(parts, v)
				continue
			}
			letter := len(o) == 2 && a[1] != '-' && len(a) <= 8 && a[len(a)-1] == o[1]
			if (a == o || letter) && i+1 < len(n.args) {
				parts = append(parts, n.args[i+1])
			} else if len(o) == 2 && o != "-c" && strings.HasPrefix(a, o) && len(a) > 8 {
				parts = append(parts, a[2:])
			}
		}
	}
	return strings.Join(parts, "\n")
}

// pythonModule weighs "python -m ...".
func (s *scan) pythonModule(n *node) {
	for i, a := range n.args {
		if a != "-m" || i+1 == len(n.args) {
			continue
		}
		switch m := n.args[i+1]; m {
		case "http.server", "SimpleHTTPServer", "pyftpdlib", "uploadserver":
			if n.has("--bind", "-b") || n.has("--directory", "-d") && !n.any(isTempPath) {
				return
			}
			s.hit(LateralTool, Neutral, n.text, "T1048")
		case "pip":
			c := *n
			c.setWords(n.args[i+1:])
			s.packages(&c)
		}
		return
	}
}

// squeeze removes blanks, so that features match however code is spaced.
func squeeze(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, code)
}

// code weighs a program by its features. A whole file needs more than a line does.
func (s *scan) code(l *lang, code string, n *node, file bool) {
	s.rawIndicators(code)
	if n.hasStdin || file {
		s.embedded(code, n.text)
	}
	f := features{l: l, code: joinLiterals(squeeze(code)), raw: code, long: file && len(code) > 4000}
	literals := stringLiterals(code, 200)
	for _, q := range literals {
		if h, _ := splitHostPort(q); len(q) < 80 && (isIP(h) && strings.Contains(h, ".") || isDomain(h) && !looksLikeFile(h)) {
			s.hostIndicator(h)
		}
	}
	f.shell = mentionsShell(code) || containsAny(f.code, "'sh'", `"sh"`, "'bash'", `"bash"`, "/bin/sh", "/bin/bash", "cmd.exe")
	s.overSocket(&f, n)
	s.spawns(&f, literals, n)
	s.fetches(&f, n, literals)
	s.codeSecrets(&f, n, literals)
	s.codeFacts(&f, n, literals)
	s.codeAbuse(&f, n, literals)
	s.codeEffects(&f, n, literals)
	s.unspells(&f, n, literals)
}

// features are what a piece of code shows.
type features struct {
	l     *lang
	code  string // without blanks
	raw   string
	shell bool // names a shell
	long  bool // a whole program rather than a line
}

func (f *features) any(list []string) bool { return containsAny(f.code, list...) }

// overSocket finds shells over connections.
func (s *scan) overSocket(f *features, n *node) {
	l := f.l
	connects, listens := f.any(l.connect), f.any(l.listen)
	if l.name == "python" && !containsAny(f.code, "socket", "HTTPServer(", "asyncio.open_connection(") {
		connects, listens = false, false
	}
	if l.name == "node" && !containsAny(f.code, "'net'", `"net"`, "net.", "Deno.", "'tls'", `"tls"`) {
		connects, listens = false, listens && containsAny(f.code, ".url", "req.query", "req.body")
	}
	if l.name == "lua" && !strings.Contains(f.code, "socket") {
		connects, listens = false, false
	}
	if l.name == "awk" && connects && !strings.Contains(f.code, "/inet/tcp/0/") && !strings.Contains(f.code, "/inet/udp/0/") {
		connects = false
	}
	if l.name == "awk" && listens && !strings.Contains(f.code, "/inet/tcp/0/") {
		connects = false
	} else if l.name == "awk" {
		listens = false
	}
	if !connects && !listens {
		return
	}
	runs := f.any(l.run)
	shell := runs && (f.shell && (!f.long || f.any(l.dup)) || f.any(l.pty)) || f.any(l.dup) && (runs || f.shell) && l.name != "node" || runs && f.any(l.receive) && !f.long
	shell = shell || runs && l.name == "powershell"
	if shell && l.name == "node" {
		shell = runs && (f.shell || f.any(l.dup) || f.any(l.receive) && containsAny(f.code, "exec(", "execSync(", "spawn(", "eval("))
	}
	switch {
	case shell && listens && l.name == "awk", shell && listens && containsAny(f.code, "accept", "LocalPort", "createServer(", "TCPServer", "HTTPServer(", "Listen=>"):
		s.hit(BindShell, Malicious, n.text, "T1059.004", l.technique)
	case shell:
		s.hit(ReverseShell, Malicious, n.text, "T1059.004", l.technique)
	case connects && !strings.Contains(f.code, "for_in") && containsAny(f.code, "range(", "foreach", ".upto(", "1..", "xrange(") && containsAny(f.code, ",port)", ",port),", ",p)", "connect_ex", "$_", "%d", "+str(", "{i}", ",i)"):
		s.hit(PortScan, Suspicious, n.text)
	case connects && !f.long && slices.ContainsFunc(stringLiterals(f.raw, 32), func(q string) bool {
		h, _ := splitHostPort(q)
		return strings.Count(h, ".") == 3 && isIP(h) && kindOfHost(h) == publicHost && !isResolver(h)
	}):
		s.hit(LateralTool, Suspicious, n.text, "T1095")
	case connects && !f.long && len(f.code) < 600 && !dialsOut(f.raw):
		s.hit(HealthCheck, Benign, n.text)
	}
}

// dialsOut reports whether the code names a host that is neither local nor a
// neighbour known by name.
func dialsOut(code string) bool {
	for _, q := range stringLiterals(code, 32) {
		h, _ := splitHostPort(q)
		if isIP(h) && kindOfHost(h) != loopbackHost || isDomain(h) && !looksLikeFile(h) {
			return true
		}
	}
	return false
}

// spawns reads the commands that the code starts.
func (s *scan) spawns(f *features, literals []string, n *node) {
	l := f.l
	if f.any(l.uid) {
		s.hit(PrivilegeEscalation, Malicious, n.text, "T1548.001")
	}
	if !f.any(l.run) && !f.any(l.pty) {
		if f.shell && len(f.code) < 400 && containsAny(f.code, "exec", "system", "spawn", "open(", "call(") {
			s.hit(InteractiveShell, Suspicious, n.text)
		}
		return
	}
	if f.any(l.pty) || f.shell && !f.long && startsShell(literals, f.code) {
		s.hit(InteractiveShell, Suspicious, n.text, "T1059.004", l.technique)
		for _, v := range n.via {
			if v == "sudo" || v == "doas" {
				s.hit(PrivilegeEscalation, Suspicious, n.text, "T1548.003")
			}
		}
	}
	budget := 32
	for _, q := range literals {
		if budget == 0 || len(q) < 4 || !strings.ContainsAny(q, " /") {
			continue
		}
		budget--
		s.tentativeShell(q)
	}
	if words := argumentList(f.raw); len(words) > 1 {
		c := &node{text: n.text}
		c.setWords(words)
		s.deeper(func() { s.visit(c) })
	}
}

// startsShell reports whether a string literal is nothing but a shell.
func startsShell(literals []string, code string) bool {
	for _, q := range literals {
		w := strings.Fields(q)
		if len(w) > 0 && isShell(path.Base(w[0])) && (len(w) == 1 || len(w) == 2 && strings.HasPrefix(w[1], "-") && w[1] != "-c") {
			return true
		}
	}
	return containsAny(code, "exec/bin/", "exec(/bin/", "system(/bin/")
}

// argumentList returns the words of the first list literal given to a function
// that starts programs: subprocess.call(["sh", "-c", "id"]).
func argumentList(code string) []string {
	for _, call := range [...]string{"call(", "run(", "Popen(", "check_output(", "check_call(", "spawn(", "execFileSync(", "execvp(", "execv("} {
		i := strings.Index(code, call)
		if i < 0 {
			continue
		}
		rest := code[i+len(call):]
		open := strings.IndexByte(rest, '[')
		if open < 0 || open > 40 {
			continue
		}
		end := strings.IndexByte(rest[open:], ']')
		if end < 0 {
			continue
		}
		if words := stringLiterals(rest[open:open+end], 16); len(words) > 1 {
			return words
		}
	}
	return nil
}
