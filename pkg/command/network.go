package command

import (
	"path"
	"slices"
	"strings"
)

// network weighs commands that talk to other hosts.
func (s *scan) network(n *node) {
	switch {
	case isNetcat(n.name):
		s.netcat(n)
	case n.name == "socat":
		s.socat(n)
	case isOneOf(n.name, "curl wget http https httpie xh fetch aria2c axel lwp-download lwp-request GET"):
		s.fetch(n)
	case n.name == "openssl" && n.has("s_client") && sendsFile(n):
		s.hit(Exfiltration, Suspicious, n.text, "T1048")
	case isOneOf(n.name, "dig nslookup host drill ping ping6 resolvectl"):
		s.lookup(n)
	case isOneOf(n.name, "ssh autossh scp sftp rsync"):
		s.remote(n)
	case isOneOf(n.name, "ftp tftp lftp ncftp ftpget ftpput atftp"):
		c := Suspicious
		if isOneOf(n.name, "lftp ncftp ftp") && !n.any(func(a string) bool {
			return isIP(a) || containsAny(a, "-R", "put ") || slices.ContainsFunc(findURLs(a, 4), func(u url) bool { return isIP(u.host) })
		}) && !n.hasStdin {
			c = Neutral // a partner's server, by its name
		}
		s.hit(Download, c, n.text)
	case n.name == "whois" && n.has("-h") && n.has("-p"), n.name == "finger" && n.argContains("@"):
		s.hit(Exfiltration, Suspicious, n.text, "T1048.003")
	case isShell(n.name):
		s.streams(n)
	}
	for _, a := range n.args {
		if strings.Contains(a, "://") {
			for _, u := range findURLs(a, 8) {
				s.metadata(n, u)
				s.orchestratorURL(n, u)
				s.takesOver(n, u)
				s.cloudURL(n, u)
			}
		}
	}
	s.metadataWords(n)
}

// isDownloader reports whether the command's output comes from the network.
func isDownloader(n *node) bool {
	switch n.name {
	case "curl", "wget", "http", "https", "httpie", "xh", "fetch", "lwp-download", "lwp-request", "GET", "lynx", "links", "w3m", "elinks", "aria2c", "axel", "ftp", "tftp", "lftp":
		return true
	case "gsutil":
		return n.has("cat") || n.has("cp") && n.has("-")
	case "gcloud":
		return n.has("storage") && n.has("cat")
	case "aws":
		return n.has("s3") && n.has("cp") && n.has("-")
	case "dig", "host", "nslookup", "drill":
		return n.argContains("txt", "TXT")
	case "python", "perl", "ruby", "php", "node":
		return n.argContains("urllib", "urlopen", "requests.get", "LWP::", "Net::HTTP", "file_get_contents('http", `file_get_contents("http`, "https.get", "http.get", "open-uri", "fetch(")
	case "busybox":
		return len(n.args) > 0 && isOneOf(n.args[0], "wget ftpget tftp")
	case "sh", "bash", "dash", "ash":
		v := shellArgs(n.args)
		return v.hasScript && containsAny(v.script+" ", "curl ", "wget ")
	case "sudo", "timeout", "nohup", "env", "xargs", "torify", "torsocks", "proxychains", "proxychains4", "command", "exec":
		if w := wrapperOf(n.name); w != nil {
			c := *n
			c.binds = nil
			c.setWords(w.command(n))
			return c.path != "" && c.name != n.name && isDownloader(&c)
		}
	}
	return false
}

// fetch weighs curl, wget and their kin.
func (s *scan) fetch(n *node) {
	targets := fetchTargets(n)
	local, public := len(targets) > 0, false
	for _, u := range targets {
		k := kindOfHost(u.host)
		local = local && (k == loopbackHost || k == privateHost || k == unknownHost)
		public = public || k == publicHost || k == metadataHost
		s.hostIndicator(u.host)
		if u.scheme == "" {
			s.metadata(n, u)
		}
	}
	if n.has("--unix-socket", "--abstract-unix-socket") {
		if n.argContains("docker.sock", "containerd.sock", "crio.sock", "podman.sock") {
			s.hit(ContainerEscape, Malicious, n.text)
		}
		return
	}
	if s.uploads(n, targets) || s.carries(n, targets) {
		return
	}
	if n.has("-XDELETE", "DELETE") && (slices.Contains(n.via, "xargs") || n.swept || slices.ContainsFunc(targets, func(u url) bool { return isOneOf(u.path, "/_all /*") || u.port == "9200" && u.path == "/" })) {
		s.hit(Destruction, Suspicious, pipeText(n), "T1485")
	}
	if public && drips(n) {
		s.hit(Exfiltration, Malicious, pipeText(n), "T1048")
		return
	}
	if len(targets) == 0 {
		if n.swept || len(n.operands("")) == 0 {
			return
		}
	}
	if to := outputPath(n, targets); local && (to == "" || to == "-" || to == "/dev/null" || n.has("--spider")) {
		s.hit(HealthCheck, Benign, n.text)
		return
	}
	if sendsInline(n) && !public {
		return
	}
	s.hit(Download, s.downloadClass(n, targets), n.text)
}

// sendsInline: a request with a body written in the command.
func sendsInline(n *node) bool {
	return n.has("-d", "--data", "--data-raw", "--json", "--post-data", "--data-urlencode") || n.has("POST", "PUT", "DELETE", "PATCH", "-XPOST", "-XPUT", "-XDELETE")
}

// installerHosts give away nothing but their own installers, over TLS.
var installerHosts = nameSet("install.python-poetry.org astral.sh deb.nodesource.com rpm.nodesource.com bun.sh sh.rustup.rs static.rust-lang.org get.docker.com download.docker.com get.pnpm.io dl.google.com sdk.cloud.google.com packages.cloud.google.com deno.land get.helm.sh get.k3s.io bootstrap.pypa.io getcomposer.org get.sdkman.io packages.microsoft.com dot.net cli.doppler.com get.volta.sh fnm.vercel.app uploader.codecov.io cli.codecov.io awscli.amazonaws.com apt.releases.hashicorp.com get.opentofu.org")

// onlyInstallers reports whether a text fetches from such hosts and from no other.
func onlyInstallers(text string) bool {
	urls := findURLs(text, 4)
	for _, u := range urls {
		if u.scheme != "https" || u.port != "" || !installerHosts()[strings.ToLower(u.host)] {
			return false
		}
	}
	return len(urls) > 0
}

// fetchTargets are the URLs of a request, also those without a scheme.
func fetchTargets(n *node) []url {
	var out []url
	valued := "oHAdFTuUxXbcCeEKmwrtyYzPD"
	if n.name == "wget" {
		valued = "oOaeitTwQPUlADIX"
	}
	c := *n
	c.args = slices.DeleteFunc(slices.Clone(n.args), func(a string) bool { return len(a) > 2 && strings.HasPrefix(a, "-X") }) // "-XDELETE" holds its value
	words := c.operands(valued, "--output", "--header", "--data", "--data-binary", "--data-raw", "--user-agent", "--user", "--request", "--form",
		"--upload-file", "--max-time", "--connect-timeout", "--retry", "--retry-delay", "--write-out", "--cacert", "--cert", "--key", "--proxy", "--unix-socket",
		"--resolve", "--socks5-hostname", "--socks5", "--json", "--data-urlencode", "--cookie", "--referer", "--interface", "--config", "--retry-max-time", "--post-file", "--output-dir")
	words = append(words, n.opt("--url")...)
	for _, w := range words {
		w = strings.Trim(w, "'\"<>")
		if u, ok := parseURL(w); ok {
			out = append(out, u)
			continue
		}
		host := w
		if i := strings.IndexAny(w, "/?"); i >= 0 {
			host = w[:i]
		}
		h, p := splitHostPort(host)
		if isIP(h) || isDomain(h) || h == "localhost" || isMetadataHost(h) || strings.HasPrefix(h, "$") || p != "" && strings.Trim(p, "0123456789$") == "" {
			out = append(out, url{raw: w, host: h, port: p, path: w[len(host):]})
		}
	}
	return out
}

// downloadClass weighs where from and where to.
func (s *scan) downloadClass(n *node, targets []url) Class {
	to := outputPath(n, targets)
	if isTempPath(to) && !isNamedData(to, targets) || isHiddenPath(to) {
		return Suspicious
	}
	for _, d := range n.opt("-P", "--directory-prefix", "--output-dir") {
		if isTempPath(d+"/x") && n.name == "wget" || isHiddenPath(d) {
			return Suspicious
		}
	}
	if n.has("--socks5-hostname", "--socks5") || slices.Contains(n.via, "torsocks") {
		return Suspicious
	}
	for _, u := range targets {
		if kindOfHost(u.host) == publicHost && (isIP(u.host) || strings.HasSuffix(u.host, ".onion")) {
			return Suspicious
		}
		switch strings.ToLower(path.Ext(strings.SplitN(u.path, "?", 2)[0])) {
		case ".sh", ".py", ".pl", ".elf", ".php":
			if to == "-" || u.scheme != "https" || u.port != "" {
				return Suspicious
			}
		}
	}
	return Neutral
}

// isNamedData: data or an archive, by its name, from a host that has a name and
// shows a certificate for it.
func isNamedData(to string, targets []url) bool {
	switch strings.ToLower(path.Ext(to)) {
	case ".csv", ".json", ".tgz", ".gz", ".zip", ".deb", ".rpm", ".whl", ".gpg", ".asc", ".xml", ".txt", ".parquet", ".pem", ".crt", ".bz2", ".xz", ".sql", ".yaml", ".yml", ".pdf", ".png", ".jpg", ".html", ".tar":
		return len(targets) > 0 && !isHiddenPath(to) && !slices.ContainsFunc(targets, func(u url) bool { return u.scheme != "https" || u.port != "" || isIP(u.host) })
	}
	return false
}

// outputPath is the file a download is written to, or "".
func outputPath(n *node, targets []url) string {
	opts := []string{"-o", "--output"}
	if n.name == "wget" {
		opts = []string{"-O", "--output-document"}
	}
	for _, o := range n.opt(opts...) {
		return o
	}
	for _, r := range n.redirs {
		if strings.HasPrefix(r.op, ">") && (r.fd == "" || r.fd == "1") && !strings.HasPrefix(r.target, "/dev/null") && !strings.HasSuffix(r.op, "&") {
			return r.target
		}
	}
	if (n.name == "wget" || n.short('O') || n.has("--remote-name")) && len(targets) > 0 {
		return path.Base(strings.SplitN(targets[0].path, "?", 2)[0])
	}
	if n.name == "aria2c" || n.name == "axel" || n.name == "lwp-download" {
		if len(targets) > 0 {
			return path.Base(targets[0].path)
		}
	}
	for _, t := range n.to {
		if t.name == "tee" || t.name == "dd" {
			for _, a := range t.args {
				if !strings.HasPrefix(a, "-") {
					return strings.TrimPrefix(a, "of=")
				}
			}
		}
	}
	return ""
}

// remote weighs ssh, scp, sftp and rsync.
func (s *scan) remote(n *node) {
	words := n.operands("bcDEeFIiJLlmOopQRSWwPB", "--rsh", "--exclude", "--password-file")
	far := ""
	for _, w := range words {
		host, _, isRemote := strings.Cut(w, ":")
		if u, ok := parseURL(w); ok {
			host = u.host
		}
		if i := strings.IndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
			isRemote = true
		}
		if isRemote || n.name == "ssh" || n.name == "autossh" || n.name == "sftp" {
			far = host
			break
		}
	}
	if far == "" || strings.HasPrefix(n.line(), "ssh -V") {
		return
	}
	c := Neutral
	switch {
	case n.name != "rsync" && (n.short('R') || n.short('D') || n.short('w') && n.name == "ssh") && !n.has("-Rf"):
		c = Suspicious
	case n.argContains("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"):
		c = Suspicious
	case slices.ContainsFunc(words, func(a string) bool { return isSecretFile(a) && !strings.Contains(a, "/.ssh/") || a == "/etc/passwd" }):
		c = Suspicious
	case kindOfHost(far) == publicHost && isIP(far):
		c = Suspicious
	case len(n.via) > 0 && n.via[len(n.via)-1] == "sshpass" || n.swept:
		c = Suspicious
	case n.any(isTempPath):
		c = Suspicious
	}
	if len(words) > 1 && strings.Contains(words[len(words)-1], ":") && (n.name == "scp" || n.name == "rsync") {
		if w := words[0]; isSecretFile(w) && !strings.HasSuffix(w, ".env") || isOneOf(strings.TrimSuffix(w, "/"), "/etc /root /home") {
			s.hit(Exfiltration, Suspicious, n.text, "T1048")
		} else {
			s.hit(Exfiltration, c, n.text, "T1048") // what is copied there leaves
		}
	}
	if strings.Contains(far, "git") && n.has("-T") {
		c = Neutral
	}
	s.hit(LateralTool, c, n.text, "T1021.004")
}
