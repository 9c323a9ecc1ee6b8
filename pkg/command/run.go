package command

import (
	"path"
	"strings"
)

// invocation is how a shell was started.
type invocation struct {
	script      string   // of -c
	rest        []string // what follows the script
	hasScript   bool
	file        string // script file
	interactive bool
	privileged  bool
	login       bool
	stdin       bool // reads its commands from standard input
}

// shellArgs takes apart the arguments of a shell.
func shellArgs(args []string) invocation {
	var v invocation
	wantScript := false
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--init-file" || a == "--rcfile" || a == "-o" || a == "+o" || a == "-O" || a == "+O":
			i++
		case a == "--interactive":
			v.interactive = true
		case a == "--login":
			v.login = true
		case a == "--command":
			wantScript = true
		case a == "--" || a == "-":
			if i+1 < len(args) {
				v.operand(args[i+1], wantScript)
				v.rest = args[i+2:]
			}
			v.stdin = v.file == "" && !v.hasScript
			return v
		case strings.HasPrefix(a, "--"):
		case len(a) > 1 && (a[0] == '-' || a[0] == '+'):
			wantScript = wantScript || strings.IndexByte(a, 'c') > 0
			v.interactive = v.interactive || strings.IndexByte(a, 'i') > 0
			v.privileged = v.privileged || strings.IndexByte(a, 'p') > 0
			v.login = v.login || strings.IndexByte(a, 'l') > 0
			v.stdin = v.stdin || strings.IndexByte(a, 's') > 0
			if strings.HasSuffix(a, "o") {
				i++ // -eo pipefail
			}
		default:
			if !v.stdin || wantScript {
				v.operand(a, wantScript)
				v.rest = args[i+1:]
			}
			v.stdin = v.file == "" && !v.hasScript
			return v
		}
	}
	v.stdin = !wantScript
	return v
}

func (v *invocation) operand(a string, script bool) {
	if script {
		v.script, v.hasScript = a, true
	} else {
		v.file = a
	}
}

// isBareShell reports whether n is a shell with neither script nor file.
func isBareShell(n *node) bool {
	if !isShell(n.name) {
		return false
	}
	v := shellArgs(n.args)
	return !v.hasScript && v.file == ""
}

// runShell reads what a shell is told to do.
func (s *scan) runShell(n *node) {
	v := shellArgs(n.args)
	if v.privileged && !v.hasScript && v.file == "" {
		s.hit(PrivilegeEscalation, Suspicious, n.text, "T1548.001")
	}
	switch {
	case v.hasScript:
		s.runScript(n, v)
	case v.file != "" && v.file != "/dev/stdin":
		if !strings.HasPrefix(v.file, "<(") {
			s.runsFile(v.file, n)
		}
	default:
		s.stdinShell(n)
	}
	if v.interactive && !v.hasScript && v.file == "" {
		s.hit(InteractiveShell, Suspicious, n.text)
	}
	if !v.hasScript && v.file == "" && reattached(n) {
		s.hit(InteractiveShell, Suspicious, n.text)
	}
	if usesSocket(s, n) && !v.hasScript {
		s.hit(ReverseShell, Malicious, n.text)
	}
}

// reattached: a shell whose standard streams are tied to each other, to give it
// back the terminal or the connection of the program that starts it.
func reattached(n *node) bool {
	for _, r := range n.redirs {
		if r.op == "<&" && (r.target == "1" || r.target == "2") || r.op == ">&" && r.target == "0" || r.target == "/dev/tty" || strings.HasPrefix(r.target, "$(tty") {
			return true
		}
	}
	return false
}

// runScript reads the text of "sh -c".
func (s *scan) runScript(n *node, v invocation) {
	if name, ok := strings.CutPrefix(v.script, "$"); ok && s.readVars[name] {
		s.runsInput(n)
		return
	}
	c := *n
	if len(v.rest) > 0 && !strings.ContainsAny(v.script, " \t\n") && knownCommand(baseName(v.script)) {
		v.script += " " + strings.Join(v.rest, " ") // a line that lost its quotes
	}
	s.shell(v.script, &c)
	if v.interactive && usesSocket(s, n) {
		s.hit(ReverseShell, Malicious, n.text)
	}
}

// stdinShell: a shell that reads its commands from a pipe, a here-document or
// a redirection.
func (s *scan) stdinShell(n *node) {
	switch {
	case n.hasStdin:
		s.script(s.take(n.stdin), &node{via: n.via, redirs: n.redirs})
	case len(n.from) > 0:
		s.pipedInto(n)
	}
	for _, r := range n.redirs {
		if r.op == "<" && (r.fd == "" || r.fd == "0") && !strings.HasPrefix(r.target, "&") {
			s.runsFile(r.target, n)
			if strings.HasPrefix(r.target, "<(") {
				s.substituted(n)
			}
		}
	}
}

// pipedInto: an interpreter at the end of a pipeline runs what the commands
// before it write.
func (s *scan) pipedInto(n *node) {
	text, known := s.constOutput(n.from)
	decodes := false
	for _, f := range n.from {
		switch {
		case opensSocket(f) || usesSocket(s, f) || isNetPipe(f) || readsFifo(s, f):
			s.pipedFromNet(n, f)
			return
		case isDownloader(f):
			s.hit(DownloadAndExecute, Malicious, pipeText(n))
			s.hit(PipeToShell, Suspicious, pipeText(n))
			return
		case isDecoder(f), known && hidesText(f):
			decodes = true
		}
	}
	if decodes {
		s.hit(EncodedPayload, Malicious, pipeText(n), "T1027.010", "T1140")
	}
	if known {
		if decodes {
			s.decodedScript(text, n)
		} else {
			s.script(s.take(text), &node{via: n.via, redirs: n.redirs, to: n.to})
		}
	}
	s.hit(PipeToShell, Suspicious, pipeText(n))
}

// hidesText reports whether a command turns its words or input into other
// text: letters exchanged, characters written as numbers.
func hidesText(n *node) bool {
	switch n.name {
	case "tr":
		return !n.has("-d")
	case "printf", "echo":
		return n.any(func(a string) bool {
			return strings.Count(a, `\x`) > 3 || strings.Count(a, `\0`)+strings.Count(a, `\1`) > 3
		})
	}
	return false
}

// pipedFromNet: what comes from the network is run; when the output goes back
// there, it is a shell for somebody else.
func (s *scan) pipedFromNet(n, f *node) {
	for _, t := range n.to {
		if isNetPipe(t) || opensSocket(t) {
			s.hit(ReverseShell, Malicious, pipeText(n))
			return
		}
	}
	if isNetcat(f.name) && isListening(f) {
		s.hit(BindShell, Malicious, pipeText(n))
		return
	}
	if usesSocket(s, n) || len(s.fifos) > 0 || n.has("-i") || sameFile(n, f) {
		s.hit(ReverseShell, Malicious, pipeText(n))
		return
	}
	s.hit(DownloadAndExecute, Malicious, pipeText(n))
}

// sameFile reports whether one command writes the file that the other reads.
func sameFile(w, r *node) bool {
	for _, out := range w.redirs {
		for _, in := range r.redirs {
			if strings.HasPrefix(out.op, ">") && in.op == "<" && out.target == in.target {
				return true
			}
		}
	}
	return false
}

// runsInput: a command that is read line by line from input is run.
func (s *scan) runsInput(n *node) {
	if usesSocket(s, n) || len(s.sockets) > 0 {
		s.hit(ReverseShell, Malicious, pipeText(n))
		return
	}
	for _, f := range n.from {
		if isNetcat(f.name) || opensSocket(f) {
			s.hit(ReverseShell, Malicious, pipeText(n))
			return
		}
	}
}

// pipeText is the text of a pipeline up to n.
func pipeText(n *node) string {
	if len(n.from) == 0 {
		return n.text
	}
	var b strings.Builder
	for _, f := range n.from {
		if b.Len() > maxHitText {
			break
		}
		b.WriteString(f.text[:min(len(f.text), maxHitText)])
		b.WriteString(" | ")
	}
	b.WriteString(n.text[:min(len(n.text), maxHitText)])
	return b.String()
}

// knownCommand reports whether a word is a command this package knows.
func knownCommand(name string) bool {
	return isShell(name) || isNetworkTool(name) || isReconTool(name) || language(name) != nil || wrapperOf(name) != nil ||
		isOneOf(name, "cat chmod rm eval echo base64 crontab mkfifo tar find grep gcc docker kubectl gcloud xxd dd")
}

func isGlob(p string) bool {
	return strings.ContainsAny(p, "?*[") && strings.HasPrefix(p, "/")
}

// resolveGlob finds the command that a pattern such as "/???/b?sh" stands for.
func resolveGlob(p string) string {
	for _, dir := range [...]string{"/bin/", "/usr/bin/"} {
		for _, name := range [...]string{"bash", "sh", "nc", "cat", "curl", "wget", "python3", "base64", "ncat", "perl", "chmod", "id", "dash", "php", "ls", "rm"} {
			if ok, err := path.Match(p, dir+name); err == nil && ok {
				return dir + name
			}
		}
	}
	return p
}
