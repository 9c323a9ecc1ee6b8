package command

import (
	"path"
	"slices"
	"strings"
)

// uploads weighs files given to the body of a request.
func (s *scan) uploads(n *node, targets []url) bool {
	files := slices.Clone(n.opt("-T", "--upload-file", "--post-file", "--body-file"))
	for _, v := range n.opt("-d", "--data", "--data-binary", "--data-raw", "--data-urlencode", "--json", "-F", "--form") {
		i := strings.IndexByte(v, '@')
		if i > 0 && n.has("--data-urlencode") && (strings.HasPrefix(v[i+1:], "/") || strings.HasPrefix(v[i+1:], ".")) {
			files = append(files, v[i+1:])
		} else if i >= 0 && (i == 0 || v[i-1] == '=') {
			files = append(files, strings.SplitN(v[i+1:], ";", 2)[0])
		}
	}
	if len(files) == 0 || n.name == "wget" && !n.has("--post-file", "--body-file") {
		return false
	}
	c := Neutral
	for _, f := range files {
		c = max(c, s.uploadClass(n, f, targets))
	}
	s.hit(Exfiltration, c, pipeText(n), "T1048")
	return c > Neutral
}

// uploadClass weighs one uploaded file by what it is, and where it goes.
func (s *scan) uploadClass(n *node, file string, targets []url) Class {
	if file == "-" || file == "." || file == "/dev/stdin" {
		if sendsSecret(n) {
			return Malicious
		}
	} else if isSecretFile(file) || isSensitivePath(file) {
		return Malicious
	}
	public, ip := false, false
	for _, u := range targets {
		k := kindOfHost(u.host)
		public = public || k == publicHost
		ip = ip || k == publicHost && isIP(u.host)
	}
	switch {
	case ip:
		return Malicious
	case !public, n.has("-u", "--user", "--netrc", "-n", "--cert", "-E") || n.argContains("uthorization:", "Token:", "token:", "api-key:", "Api-Key:", "apikey", "X-API", "api_key", "token="):
		return Neutral
	case !strings.HasPrefix(file, "/") && isOneOf(path.Ext(file), ".json .xml .yml .yaml .txt .html .info"):
		return Neutral
	}
	return Suspicious
}

// sendsSecret reports whether the commands before n read secrets or look around.
func sendsSecret(n *node) bool {
	for _, f := range n.from {
		if isReconTool(f.name) && collects(f) && !isOneOf(f.name, "uname hostname") {
			return true
		}
		for _, a := range f.args {
			if isSensitivePath(a) || isSecretFile(a) {
				return true
			}
		}
	}
	for _, r := range n.redirs {
		if r.op == "<" && (isSensitivePath(r.target) || isSecretFile(r.target)) {
			return true
		}
	}
	return false
}

// carries: the output of a command that looks around or reads files stands in
// a URL, a body or a host name.
func (s *scan) carries(n *node, targets []url) bool {
	for _, u := range targets {
		if k := kindOfHost(u.host); k == loopbackHost || k == metadataHost {
			return false
		}
	}
	for _, sb := range n.subs {
		if sb.word == 0 {
			continue
		}
		for _, in := range sb.nodes {
			if !leaks(in) {
				continue
			}
			s.hit(Exfiltration, Malicious, n.text, "T1048")
			return true
		}
	}
	return false
}

// leaks: output that says who and where one is, or holds a file's contents.
func leaks(n *node) bool {
	switch n.name {
	case "id":
		return !n.has("-u", "-g")
	case "whoami", "env", "printenv", "ifconfig", "ls", "ps", "w", "netstat", "ss", "set":
		return n.name != "printenv" || len(n.args) == 0
	case "base64", "xxd", "od", "tar", "hexdump":
		return !isDecoder(n)
	case "uname":
		return n.short('a')
	case "cat", "head", "tail", "grep", "awk", "sed":
		return n.any(func(a string) bool { return isSensitivePath(a) || isSecretFile(a) })
	}
	return false
}

// lookup weighs name lookups and pings that carry data.
func (s *scan) lookup(n *node) {
	if s.carries(n, nil) || drips(n) || n.name == "ping" && n.has("-p") && n.argContains("$") {
		s.hit(Exfiltration, Malicious, n.text, "T1048.003")
		return
	}
	if n.swept {
		if strings.HasPrefix(n.name, "ping") && n.argContains("$", "{}") {
			s.hit(PortScan, Suspicious, n.text)
		} else if n.argContains("$") {
			s.hit(Exfiltration, Suspicious, n.text, "T1048.003")
		}
	}
}
