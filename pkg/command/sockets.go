package command

import (
	"strings"
)

// devTCP takes apart bash's "/dev/tcp/host/port".
func devTCP(target string) (endpoint, bool) {
	rest, ok := strings.CutPrefix(target, "/dev/tcp/")
	if !ok {
		rest, ok = strings.CutPrefix(target, "/dev/udp/")
	}
	if !ok {
		return endpoint{}, false
	}
	host, port, _ := strings.Cut(rest, "/")
	return endpoint{host, port}, host != ""
}

// opensSocket reports whether the command is redirected from or to a network address.
func opensSocket(n *node) bool {
	for _, r := range n.redirs {
		if _, ok := devTCP(r.target); ok {
			return true
		}
	}
	return false
}

// usesSocket reports whether a redirection of the command is a network
// connection, opened here or earlier in the text.
func usesSocket(s *scan, n *node) bool {
	for _, r := range n.redirs {
		if _, ok := devTCP(r.target); ok {
			return true
		}
		if strings.HasSuffix(r.op, "&") {
			if _, ok := s.sockets[strings.TrimSuffix(strings.TrimLeft(r.target, "$"), "-")]; ok {
				return true
			}
		}
	}
	return false
}

// connects reads redirections to network addresses.
func (s *scan) connects(n *node) {
	if n.name == "ztcp" || n.name == "zsocket" {
		if h := n.operands("d"); len(h) > 0 {
			s.sockets["REPLY"] = endpoint{host: h[0]}
			s.hostIndicator(h[0])
		}
	}
	if v := strings.TrimPrefix(n.path, "$"); v != n.path && s.readVars[v] {
		s.runsInput(n)
	}
	for _, r := range n.redirs {
		e, ok := devTCP(r.target)
		if !ok {
			continue
		}
		s.hostIndicator(e.host)
		if n.name == "exec" && len(n.args) == 0 {
			fd := strings.Trim(r.fd, "{}")
			if fd == "" {
				fd = "0"
			}
			s.sockets[fd] = e
			if k := kindOfHost(e.host); k == loopbackHost || k == privateHost && !isIP(e.host) {
				s.hit(HealthCheck, Benign, n.text)
			}
			continue
		}
		s.probe(n, r, e)
	}
}

// probe weighs a command that is no shell but talks to a network address.
func (s *scan) probe(n *node, r redir, e endpoint) {
	switch {
	case isShell(n.name):
	case n.swept && strings.Contains(e.host+e.port, "$"):
		s.hit(PortScan, Suspicious, n.text)
	case strings.HasPrefix(r.op, ">") && sendsFile(n):
		if kindOfHost(e.host) != loopbackHost {
			s.hit(Exfiltration, Malicious, pipeText(n), "T1048.003")
		}
	case r.op == "<" && len(n.to) == 0 && hasOutputFile(n):
		s.hit(Download, Suspicious, n.text)
	case kindOfHost(e.host) == publicHost && strings.HasPrefix(r.op, ">") && len(n.subs) > 0:
		s.hit(Exfiltration, Suspicious, n.text, "T1048.003")
	case kindOfHost(e.host) == publicHost && (n.name == "cat" || n.name == "" && n.captured > 0 && r.op == "<"):
		s.hit(Download, Suspicious, n.text)
	case n.name == "" || isOneOf(n.name, "cat echo printf true : exec timeout test"):
		if n.name == "" || n.inTest || kindOfHost(e.host) != publicHost {
			s.hit(HealthCheck, Benign, n.text)
		}
	}
}

// sendsFile reports whether the command passes on a file, or the output of a
// command that collects things.
func sendsFile(n *node) bool {
	if n.name == "cat" && len(n.operands("")) > 0 {
		return true
	}
	for _, r := range n.redirs {
		if r.op == "<" && strings.HasPrefix(r.target, "/") && r.target != "/dev/null" && !strings.HasPrefix(r.target, "/dev/tcp") {
			return true
		}
	}
	for _, f := range n.from {
		if collects(f) {
			return true
		}
	}
	return collects(n)
}

func hasOutputFile(n *node) bool {
	for _, r := range n.redirs {
		if strings.HasPrefix(r.op, ">") && !strings.HasPrefix(r.target, "/dev/") && !strings.HasSuffix(r.op, "&") {
			return true
		}
	}
	return false
}

// collects reports whether a command gathers data worth stealing.
func collects(n *node) bool {
	switch n.name {
	case "tar", "zip", "7z", "cat", "base64", "xxd", "gzip", "dd", "find", "cpio", "od", "hexdump":
		return n.name != "cat" || len(n.operands("")) > 0
	case "env", "printenv", "export", "set", "id", "whoami", "ps", "ifconfig", "uname", "netstat", "ss", "lsof", "w", "last":
		return n.name != "uname" || n.short('a')
	case "mysqldump", "pg_dump", "pg_dumpall", "mongodump":
		return true
	}
	return false
}

// isNetcat reports whether name is one of the netcats.
func isNetcat(name string) bool {
	return isOneOf(name, "nc ncat netcat nc.traditional nc.openbsd pwncat rcat cryptcat sbd dbd socket tcpserver")
}

// isNetPipe reports whether a command copies between its standard streams and
// the network.
func isNetPipe(n *node) bool {
	switch n.name {
	case "telnet", "socat":
		return true
	case "openssl":
		return n.has("s_client", "s_server")
	case "curl":
		return n.argContains("telnet://")
	}
	return isNetcat(n.name)
}

func isListening(n *node) bool {
	return isNetcat(n.name) && (n.short('l') || n.has("--listen")) || n.has("s_server") || n.name == "socat" && n.any(func(a string) bool { return strings.Contains(strings.ToUpper(a), "LISTEN") })
}

func readsFifo(s *scan, f *node) bool {
	if f.name != "cat" && f.name != "tail" {
		return false
	}
	for _, a := range f.args {
		for _, p := range s.fifos {
			if a == p {
				return true
			}
		}
	}
	return false
}

// netcat weighs the netcats.
func (s *scan) netcat(n *node) {
	listening := isListening(n)
	for _, x := range n.opt("-e", "-c", "--exec", "--sh-exec", "--lua-exec", "--shell-exec") {
		if x == "" || x[0] == '-' || strings.Trim(x, "0123456789.") == "" {
			continue
		}
		switch {
		case listening && (strings.HasPrefix(x, "echo") || strings.HasPrefix(x, "cat") && !isSecretFile(x)):
			s.hit(HealthCheck, Benign, n.text)
		case listening:
			s.hit(BindShell, Malicious, n.text)
		default:
			s.hit(ReverseShell, Malicious, n.text)
		}
		return
	}
	if n.name == "socket" || n.name == "tcpserver" {
		if n.any(func(a string) bool { return mentionsShell(a) || isShell(baseName(strings.SplitN(a, " ", 2)[0])) }) {
			s.hit(BindShell, Malicious, n.text)
			return
		}
	}
	words := n.operands("peqwGgiIkmOPsTtVXx", "--source-port", "--wait", "--exec")
	host, ports := "", []string(nil)
	if len(words) > 0 && !listening {
		host, ports = words[0], words[1:]
	}
	s.netcatPeer(n, host, ports, listening)
}

// netcatPeer weighs a netcat that starts no program by itself.
func (s *scan) netcatPeer(n *node, host string, ports []string, listening bool) {
	kind := kindOfHost(host)
	switch {
	case n.short('z') || n.has("--zero"):
		ranged := len(ports) > 0 && strings.Contains(strings.Trim(ports[0], "-"), "-") || len(ports) > manyItems
		if ranged || n.swept {
			s.hit(PortScan, Suspicious, n.text)
		} else {
			s.hit(HealthCheck, Benign, n.text)
		}
	case shellBeside(n):
	case listening && fedByEcho(n):
		s.hit(HealthCheck, Benign, n.text)
	case listening:
		s.hit(LateralTool, Suspicious, n.text, "T1095")
	case sendsFile(n) && (kind == publicHost || isIP(host) || sendsSecret(n)) && kind != loopbackHost:
		s.hit(Exfiltration, Malicious, pipeText(n), "T1048.003")
	case kind == loopbackHost, kind == privateHost, kind == unknownHost:
		if n.swept {
			s.hit(PortScan, Suspicious, n.text)
		} else {
			s.hit(HealthCheck, Benign, n.text)
		}
	case hasOutputFile(n):
		s.hit(Download, Suspicious, n.text)
	case kind == publicHost:
		s.hit(LateralTool, Suspicious, n.text, "T1095")
	}
}

func fedByEcho(n *node) bool {
	for _, f := range n.from {
		if f.name == "echo" || f.name == "printf" {
			return true
		}
	}
	return n.hasStdin
}

// shellBeside reports whether a shell is on either side in the pipeline; the
// shell's own reading weighs that.
func shellBeside(n *node) bool {
	for _, m := range n.from {
		if isShell(m.name) {
			return true
		}
	}
	for _, m := range n.to {
		if isShell(m.name) {
			return true
		}
	}
	return false
}

// socat weighs its two addresses.
func (s *scan) socat(n *node) {
	line := strings.ToUpper(n.line())
	runs := containsAny(line, "EXEC:", "SYSTEM:", "SHELL:", "EXEC=")
	remote := containsAny(line, "TCP:", "TCP4:", "TCP6:", "TCP-CONNECT:", "TCP4-CONNECT:", "UDP:", "UDP4:", "UDP-CONNECT:", "OPENSSL:", "SSL:", "OPENSSL-CONNECT:", "SCTP:", "SOCKS4:", "SOCKS5:", "PROXY:", "VSOCK-CONNECT:", "DTLS:")
	listens := strings.Contains(line, "LISTEN:") || strings.Contains(line, "-L:")
	shell := containsAny(line, "/SH", "BASH", "ZSH", "DASH", ":SH", "PTY", "SETSID", "CMD")
	switch {
	case runs && listens && shell:
		s.hit(BindShell, Malicious, n.text)
	case runs && listens:
		s.hit(BindShell, Suspicious, n.text)
	case runs && remote:
		s.hit(ReverseShell, Malicious, n.text)
	case runs:
		s.hit(InteractiveShell, Suspicious, n.text)
	case containsAny(line, "FILE:`TTY`", "RAW,ECHO=0", "FILE:$(TTY)"):
		s.hit(LateralTool, Suspicious, n.text, "T1095")
	case containsAny(line, "DOCKER.SOCK", "CONTAINERD.SOCK"):
		s.hit(ContainerEscape, Malicious, n.text)
	case (remote || listens) && containsAny(line, "OPEN:", "CREATE:", "FILE:", "CREAT"):
		s.hit(Exfiltration, Suspicious, n.text, "T1048.003")
	}
}

// streams weighs a bare shell whose output goes into the network.
func (s *scan) streams(n *node) {
	if !isBareShell(n) {
		return
	}
	for _, t := range n.to {
		if isNetPipe(t) {
			if isListening(t) {
				s.hit(BindShell, Malicious, n.text+" | "+t.text)
			} else {
				s.hit(ReverseShell, Malicious, n.text+" | "+t.text)
			}
			return
		}
	}
}
