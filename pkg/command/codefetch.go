package command

import (
	"path"
	"strings"
)

// fetches weighs code that gets or sends something over the network.
func (s *scan) fetches(f *features, n *node, literals []string) {
	l := f.l
	evals, decodes := f.any(l.eval) && !f.long, f.any(l.decode)
	if l.name == "python" && evals {
		evals = containsAny(strings.NewReplacer("execfile(", "exec(", "re.compile(", "", "os.exec", "").Replace(f.code), "exec(", "eval(", "compile(", "__import__(")
	}
	if spelled := strings.Count(f.code, "chr(") + strings.Count(f.code, "CHR("); !f.long && (spelled > 7 || strings.Contains(f.code, "fromCharCode(") && strings.Count(f.code, ",") > 7 || strings.Count(f.raw, `\x`) > 15 || strings.Contains(f.code, "[::-1]")) && (f.any(l.eval) || f.any(l.run)) {
		s.hit(EncodedPayload, Malicious, n.text, "T1027.010", "T1140")
	}
	if evals && decodes {
		c := Malicious
		if s.harmless(literals) {
			c = Suspicious
		}
		s.hit(EncodedPayload, c, n.text, "T1027.010", "T1140")
	} else if decodes && f.any(l.run) && !f.long && l.name != "perl" {
		s.hit(EncodedPayload, Suspicious, n.text, "T1027.010", "T1140")
	}
	if !f.any(l.fetch) && !f.any(l.post) {
		return
	}
	var local, remote bool
	for _, u := range findURLs(f.raw, 16) {
		s.metadata(n, u)
		switch kindOfHost(u.host) {
		case loopbackHost, privateHost, unknownHost:
			local = true
		default:
			remote = true
		}
	}
	for _, q := range literals {
		named := len(q) < 80 && containsAny(f.code, "host:'"+q, `host:"`+q, "hostname:'"+q, `hostname:"`+q, "Connection('"+q, `Connection("`+q)
		if h, _ := splitHostPort(q); len(q) < 80 && (named || isIP(h) || isDomain(h) && !looksLikeFile(h)) && kindOfHost(h) == publicHost && strings.Contains(q, ".") {
			remote = true
		}
	}
	switch {
	case f.any(l.fetch) && (evals || f.any(l.run) && !f.long) && (remote || evals):
		s.hit(DownloadAndExecute, Malicious, n.text, "T1105", l.technique)
	case !remote && !f.long && (local || len(literals) > 0):
		s.hit(HealthCheck, Benign, n.text)
	case f.any(l.fetch) && remote && !f.long:
		c := Neutral
		for _, u := range findURLs(f.raw, 8) {
			if isIP(u.host) && kindOfHost(u.host) == publicHost {
				c = Suspicious
			}
		}
		for _, q := range literals {
			if isTempPath(q) {
				c = Suspicious
			}
		}
		s.hit(Download, c, n.text)
	}
	if remote && !f.long && containsAny(f.code, "dict(os.environ)", "str(os.environ", "dumps(os.environ", "urlencode(os.environ", "process.env)", "stringify(process.env", "getenv()", "ENV.to_h", "%ENV", "$_SERVER", "$_ENV") {
		s.hit(Exfiltration, Malicious, n.text, "T1048")
	}
	if remote && !f.long {
		for _, q := range literals {
			if strings.HasPrefix(q, "/") && (isSecretFile(q) || strings.HasPrefix(strings.TrimPrefix(q, "/var"), "/run/secrets")) {
				s.hit(Exfiltration, Malicious, n.text, "T1048")
			}
		}
	}
	if f.any(l.post) && remote && !f.long && containsAny(f.code, "open(", "os.environ", "process.env", "readFile", "file_get_contents(", "ENV.to", "$_ENV", "getenv()") && containsAny(f.code, "post", "POST", "put(", "data=") {
		s.hit(Exfiltration, Suspicious, n.text, "T1048")
	}
}

// harmless reports whether what is encoded in the literals can be read as a whole
// and shows nothing suspicious.
func (s *scan) harmless(literals []string) bool {
	read := 0
	for _, q := range literals {
		if len(q) < minBlob {
			continue
		}
		b, ok := decodeBase64(q)
		if !ok || s.decodes >= maxDecodes || s.depth >= maxDepth {
			return false
		}
		text, printable := s.payload(b)
		if !printable || containsAny(text, "exec(", "eval(", "socket", "decode(", "import os", "subprocess") {
			return false
		}
		before := len(s.hits)
		s.tentativeShell(text)
		if len(s.hits) > before {
			return false
		}
		read++
	}
	return read > 0
}

// codeSecrets finds files of credentials that the code names.
func (s *scan) codeSecrets(f *features, n *node, literals []string) {
	if f.long {
		return
	}
	for _, q := range literals {
		switch {
		case strings.HasPrefix(q, "/etc/shadow") || strings.HasPrefix(q, "/proc/") && strings.HasSuffix(q, "/environ"):
			s.hit(CredentialSearch, Suspicious, n.text, "T1003.008")
		case strings.HasPrefix(q, "/") && isSensitivePath(q) && !strings.Contains(q, " "):
			s.hit(CredentialSearch, Suspicious, n.text, secretTechnique(q))
		case q == "/etc/passwd":
			s.hit(Recon, Suspicious, n.text, "T1087.001")
		}
	}
	s.plantsWebShell(f, n, literals)
	if f.l.name == "awk" && f.any(f.l.run) && mentionsShell(f.raw) {
		s.hit(InteractiveShell, Suspicious, n.text)
	}
}

// plantsWebShell: code that writes a page of a web server which runs what it is sent.
func (s *scan) plantsWebShell(f *features, n *node, literals []string) {
	if !containsAny(f.code, "file_put_contents(", "open(", "writeFile", "File.write", "fwrite(") {
		return
	}
	for _, q := range literals {
		if p := strings.ToLower(path.Ext(q)); len(q) < 200 && isOneOf(p, ".php .jsp .jspx .phtml .aspx") && containsAny(f.raw, "eval(", "system(", "exec(", "$_POST", "$_GET", "$_REQUEST", "getParameter(", "passthru(") {
			s.hit(Persistence, Malicious, n.text, "T1505.003")
			return
		}
	}
}

// stringLiterals returns the quoted strings in code, at most limit.
func stringLiterals(code string, limit int) []string {
	var out []string
	for i := 0; i < len(code) && len(out) < limit; i++ {
		q := code[i]
		if q != '"' && q != '\'' && q != '`' {
			continue
		}
		end := i + 1
		for end < len(code) && code[end] != q {
			if code[end] == '\\' {
				end++
			}
			end++
		}
		if end > len(code) {
			end = len(code)
		}
		if end > i+1 {
			out = append(out, ansiC(code[i+1:end]))
		}
		i = end
	}
	return out
}
