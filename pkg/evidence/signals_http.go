package evidence

import (
	"net/http"
	"path"
	"regexp"
	"strings"
)

// Bounds of one request's reading.
const (
	maxURLScan = 4096
	// probeErrors client errors on at least probePaths paths make a probe.
	probeErrors = 5
	probePaths  = 3
	// probeSecrets files that no visitor asks for make one too.
	probeSecrets = 2
)

// The patterns run on decoded text in lower case. Separators must be ones that
// a query parameter cannot hold innocently: a single "&" is not.
var (
	reStrongCommand = regexp.MustCompile("(?:;|\\||&&|`|\\n|\\$\\()\\s*(?:/(?:usr/)?bin/\\w+|whoami|uname|ifconfig|nslookup|busybox)(?:$|[\\s;|&)`'\"<>])")
	reToolCommand   = regexp.MustCompile("(?:;|\\||&&|`|\\n|\\$\\()\\s*(?:wget|curl|nc|ncat|ping|sleep|bash|sh|python[23]?|perl|php|chmod|base64)\\s+(?:-|https?:|[./<]|\\d)")
	reFileCommand   = regexp.MustCompile("(?:;|\\||&&|`|\\n|\\$\\()\\s*(?:cat|ls|rm|touch|find|head)\\s+[-/.~*]")
	reBareCommand   = regexp.MustCompile("(?:;|\\||&&|`|\\n|\\$\\()\\s*(?:id|ls|ps)\\s*(?:$|[;|&)`])")
	rePipeToShell   = regexp.MustCompile(`\|\s*(?:/bin/)?(?:ba|da|z|a)?sh\s*(?:$|[;&|)'"` + "`" + `])`)
	reCode          = regexp.MustCompile(`\$\{jndi:|\$\{\$?\{?(?:lower|upper|env|::-)|\(\)\s*\{\s*:?\s*;?\s*\}\s*;|/dev/tcp/|\$\{?ifs\b|getruntime\(\)|java\.lang\.runtime|processbuilder|__import__\s*\(|os\.(?:system|popen)\s*\(|(?:shell_exec|passthru|proc_open|popen|system)\s*\(\s*['"$]|child_process|_memberaccess|class\.module\.classloader|auto_prepend_file|\{\{\s*\d+\s*\*\s*\d+\s*\}\}|__class__\s*\.\s*__|<\?php`)

	reDotDot  = regexp.MustCompile(`(?:^|[/\\=:;&?])\.\.(?:;?[/\\])`)
	reSysFile = regexp.MustCompile(`(?:^|[/\\=:?&@])(?:etc/(?:passwd|shadow|hosts|group|sudoers)|proc/(?:self|\d+)/|var/run/secrets|root/\.|windows/(?:win\.ini|system32)|boot\.ini|web-inf/)|file:///`)
)

// hasRequests reports whether the answer holds request log entries.
func hasRequests(l Logs) bool {
	for i := range l.Entries {
		if l.Entries[i].Kind == LogRequest {
			return true
		}
	}
	return false
}

// requestKinds returns the signals of one request.
func requestKinds(e *LogEntry, s subject) []string {
	r := e.Request
	var kinds []string
	switch {
	case r.Status >= 500:
		kinds = append(kinds, SignalHTTP5xx)
	case r.Status >= 400:
		kinds = append(kinds, SignalHTTP4xx)
	}
	if injects(r) {
		kinds = append(kinds, SignalCommandInjection)
	}
	if traverses(r) {
		kinds = append(kinds, SignalPathTraversal)
	}
	if scannerAgent(r.UserAgent) {
		kinds = append(kinds, SignalScannerAgent)
	}
	if uploads(r) && (s.event.IsZero() || (!e.Time.After(s.event.Add(skew)) && s.event.Sub(e.Time) <= uploadWindow)) {
		kinds = append(kinds, SignalUpload)
	}
	return kinds
}

// injects reports whether the path, a parameter or the user agent carries
// shell, template or expression code.
func injects(r *Request) bool {
	p, query, _ := strings.Cut(bound(r.URL), "?")
	if code(decode(p)) {
		return true
	}
	// Every browser's user agent has brackets and semicolons.
	if ua := strings.ToLower(bound(r.UserAgent)); containsAny(ua, "${", "$(", "()", "`", "/dev/tcp/", "<?php") && code(ua) {
		return true
	}
	for param := range strings.SplitSeq(query, "&") {
		if code(decode(strings.ReplaceAll(param, "+", " "))) {
			return true
		}
	}
	return false
}

// code reports whether one decoded text is code; t is in lower case.
func code(t string) bool {
	if strings.ContainsAny(t, ";|&`\n$") && (reStrongCommand.MatchString(t) || reToolCommand.MatchString(t) ||
		reFileCommand.MatchString(t) || reBareCommand.MatchString(t) || rePipeToShell.MatchString(t)) {
		return true
	}
	return (strings.ContainsAny(t, "({$<") || containsAny(t, "/dev/tcp/", "child_process", "_memberaccess", "class.module.", "auto_prepend_", "processbuilder", "java.lang.")) &&
		reCode.MatchString(t)
}

func containsAny(t string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(t, w) {
			return true
		}
	}
	return false
}

// traverses reports whether a request climbs out of a directory, twice or
// towards a system file, or names a system file.
func traverses(r *Request) bool {
	t := decode(stripOrigin(bound(r.URL)))
	if containsAny(t, "etc/", "proc/", "run/secrets", "root/.", "windows/", "boot.ini", "web-inf/", "file:///") && reSysFile.MatchString(t) {
		return true
	}
	return strings.Contains(t, "..") && (containsAny(t, "..;/", "../../", `..\..\`) || len(reDotDot.FindAllStringIndex(t, 2)) > 1)
}

// uploads reports whether a request wrote a file by the look of it: POST or PUT
// to a path that names uploads, or PUT or POST of a server-side script.
func uploads(r *Request) bool {
	if (r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != "MOVE") || (r.Status >= 400 && r.Status < 500) {
		return false
	}
	p, _, _ := strings.Cut(decode(stripOrigin(bound(r.URL))), "?")
	switch path.Ext(p) {
	case ".jsp", ".jspx", ".war", ".phtml", ".aspx", ".cgi":
		return true
	case ".php", ".sh", ".py":
		return r.Method != http.MethodPost
	}
	for seg := range strings.SplitSeq(p, "/") {
		base := strings.TrimSuffix(seg, path.Ext(seg))
		for word := range strings.FieldsFuncSeq(base, func(c rune) bool { return c == '-' || c == '_' || c == '.' || c == ':' }) {
			switch word {
			case "upload", "uploads", "uploader", "fileupload", "uploadfile", "attachment", "attachments", "multipart":
				return true
			}
		}
	}
	return false
}

// scannerAgent reports whether a user agent names a vulnerability scanner.
func scannerAgent(agent string) bool {
	a := strings.ToLower(bound(agent))
	for _, s := range []string{
		"sqlmap", "nikto", "nuclei", "masscan", "zgrab", "gobuster", "wpscan", "nmap scripting engine", "dirbuster",
		"feroxbuster", "fuzz faster u fool", "wfuzz", "acunetix", "nessus", "openvas", "arachni", "w3af", "jaeles",
		"whatweb", "l9explore", "l9tcpid", "commix", "dirsearch", "netsparker", "zmeu", "projectdiscovery",
	} {
		if strings.Contains(a, s) {
			return true
		}
	}
	return false
}

// probeHits returns the requests that succeeded for a client that had before
// got many client errors on distinct paths, or on two files that only those ask
// for who look for secrets: what a directory scan ends with.
// Missing pictures and style sheets are how ordinary browsers get a 404.
func probeHits(l Logs) []int {
	type client struct {
		errors  int
		secrets int
		paths   map[string]bool
	}
	clients := map[string]*client{}
	var hits []int
	fromApp := !hasRequests(l)
	for i := range l.Entries {
		r := l.Entries[i].Request
		if r == nil || r.RemoteIP == "" || (l.Entries[i].Kind != LogRequest && !fromApp) {
			continue
		}
		c := clients[r.RemoteIP]
		if c == nil {
			c = &client{paths: map[string]bool{}}
			clients[r.RemoteIP] = c
		}
		p, _, _ := strings.Cut(stripOrigin(r.URL), "?")
		switch {
		case r.Status >= 400 && r.Status < 500 && r.Status != 429 && !asset(p):
			c.errors++
			if !c.paths[p] && secretFile(p) {
				c.secrets++
			}
			c.paths[p] = true
		case r.Status >= 200 && r.Status < 300 && !c.paths[p] &&
			(c.errors >= probeErrors && len(c.paths) >= probePaths || c.secrets >= probeSecrets):
			hits = append(hits, i)
		}
	}
	return hits
}

// secretFile reports whether a path is one that no page links to and that holds
// secrets where somebody left it behind.
func secretFile(p string) bool {
	p = decode(p)
	base := path.Base(p)
	return strings.HasPrefix(base, ".env") || strings.HasPrefix(base, "wp-config.php") || base == "id_rsa" || base == ".htpasswd" ||
		base == ".npmrc" || base == ".pgpass" || base == ".git-credentials" || base == "phpinfo.php" ||
		containsAny(p+"/", "/.git/", "/.svn/", "/.aws/", "/.ssh/", "/.docker/", "/.kube/", "/actuator/env/", "/actuator/heapdump/")
}

// asset reports whether a path is a picture, font or the like.
func asset(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".ico", ".css", ".js", ".map", ".woff", ".woff2", ".ttf", ".avif", ".mp4", ".webmanifest":
		return true
	}
	return false
}

// stripOrigin takes "https://host" off a URL: request logs hold the whole URL.
func stripOrigin(u string) string {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := strings.CutPrefix(u, scheme); ok {
			if i := strings.IndexAny(rest, "/?"); i >= 0 {
				return rest[i:]
			}
			return "/"
		}
	}
	return u
}

// decode undoes percent-encoding twice, since attackers encode twice to pass a
// filter that decodes once, and returns lower case. Broken escapes stay as they are.
func decode(s string) string {
	s = bound(s)
	for range 2 {
		d := unescape(s)
		if d == s {
			break
		}
		s = d
	}
	return strings.ToLower(s)
}

func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b.WriteByte(hi<<4 | lo)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func bound(s string) string { return s[:min(len(s), maxURLScan)] }
