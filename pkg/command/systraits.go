package command

import (
	"path"
	"slices"
	"strings"
)

// traits weighs what a command touches whatever program it is: other processes'
// files, places of the host, the clusters' interfaces, a name that is not its own.
func (s *scan) traits(n *node) {
	s.isTool(n)
	s.hides(n)
	s.masquerades(n)
	s.otherProcesses(n)
	s.clusterAPI(n)
	s.cloudDoors(n)
	s.settings(n)
	s.searchesLogins(n)
	s.scansSecrets(n)
	s.launches(n)
	s.empties(n)
}

// scansSecrets: tools that find secrets, sent over more than a repository.
func (s *scan) scansSecrets(n *node) {
	if isOneOf(n.name, "gitleaks trufflehog detect-secrets whispers ggshield secretscanner") || language(n.name) != nil && n.has("trufflehog", "gitleaks") {
		if n.any(func(a string) bool {
			return a == "/" || isSystemPath(a) || isTempPath(a) || isHiddenPath(a) && strings.HasPrefix(a, "/")
		}) {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
		}
	}
}

// launches: a container of a miner, or one that is told of a pool; awk code from
// a temporary place; a line put into a script that runs something at once.
func (s *scan) launches(n *node) {
	switch n.name {
	case "docker", "podman", "nerdctl", "kubectl", "ctr", "crictl", "gcloud", "helm":
		if n.any(func(a string) bool {
			return namesMiner(a) || containsAny(strings.ToLower(a), "pool_url", "pool_user", "wallet=", "hashrate")
		}) && !n.has("logs", "delete", "rm", "kill", "get") {
			s.hit(Miner, Suspicious, n.text)
		}
	case "awk", "gawk", "mawk", "sed":
		for _, f := range n.opt("-f", "--file") {
			if isTempPath(f) || isHiddenPath(f) {
				s.hit(TempExecution, Suspicious, n.text, "T1059.004")
			}
		}
		if n.name == "sed" && n.short('i') {
			for _, a := range n.args {
				t := strings.TrimLeft(a, "0123456789$/^aic\\ \t")
				if len(t) > 8 && containsAny(t, "curl ", "wget ", "/dev/tcp", "nc ", "bash", "base64", "eval") && s.readsBad(strings.TrimSuffix(t, "\\n")) {
					s.hit(Persistence, Malicious, n.text, "T1546")
				}
			}
		}
	case "capsh":
		if n.has("--print") {
			s.hit(Recon, Suspicious, n.text, "T1082")
		}
	}
}

// empties: logs whose names stand in a loop are written over.
func (s *scan) empties(n *node) {
	if n.name == "rm" && (n.short('r') || n.short('R')) && !s.installs && n.any(func(a string) bool {
		return strings.HasPrefix(a, "/var/log/") && strings.Count(a, "/") == 3 && path.Ext(a) == "" && !strings.ContainsAny(a, "*$") && !containsAny(a, "apt", "dpkg", "yum", "dnf", "tmp", "cache")
	}) {
		s.hit(LogTampering, Suspicious, n.text, "T1070.002")
	}
	for _, r := range n.redirs {
		if r.op == ">" && (strings.HasPrefix(r.target, "/var/log/$") || strings.HasPrefix(r.target, "/var/log/${")) && (n.name == "cat" && n.has("/dev/null") || isOneOf(n.name, ": true")) {
			s.hit(LogTampering, Suspicious, n.text, "T1070.002")
		}
	}
	if isDownloader(n) && n.argContains("ifconfig.me", "ipinfo.io", "icanhazip", "ipify.org", "ip-api.com", "checkip.", "ifconfig.co", "ident.me", "ipecho.net", "myip", "ip.sb", "whatismyip", "ifconfig.io", "api.ip.sb") && n.captured == 0 {
		s.recon, s.recTx = append(s.recon, "own address"), append(s.recTx, n.text)
	}
}

// masquerades: a name that is not the program's own, programs in folders of
// settings, options that only other people's earning programs have.
func (s *scan) masquerades(n *node) {
	p := n.path
	switch {
	case n.name == "exec" && n.has("-a") && len(n.args) > 2:
		s.hit(TempExecution, Suspicious, n.text, "T1036.004")
	case strings.Contains(p, "/.config/") && strings.HasPrefix(p, "/"), strings.Contains(p, "/.cache/") && strings.Count(p[strings.Index(p, "/.cache/"):], "/") < 4 && strings.HasPrefix(p, "/"):
		s.hit(TempExecution, Suspicious, n.text, "T1564.001")
	case strings.HasPrefix(p, "./") && n.any(func(a string) bool { return isTempPath(a[strings.IndexByte(a, '=')+1:]) }) && !isStartScript(p, true) && strings.Count(p, "/") == 1 && path.Ext(p) == "":
		s.hit(TempExecution, Suspicious, n.text, "T1036")
	case has2(n, "start", "accept") && n.has("--token"):
		s.hit(LateralTool, Suspicious, n.text, "T1496.002")
	case isDropPath(p) && strings.HasPrefix(p, "/") && language(n.name) == nil && path.Ext(p) == "" && containsAny(p, "upload", "/static/", "/media/", "attachments", "/downloads/", "/images/"):
		s.hit(TempExecution, Suspicious, n.text, "T1036.005")
	}
	b := path.Base(p)
	if strings.Contains(p, "/") && len(b) > 4 && (strings.HasSuffix(b, ".jpg") || strings.HasSuffix(b, ".png") || strings.HasSuffix(b, ".gif") || strings.HasSuffix(b, ".pdf") || strings.HasSuffix(b, ".txt") || strings.HasSuffix(b, ".log") || strings.HasSuffix(b, ".css") || strings.HasSuffix(b, ".dat")) {
		s.hit(TempExecution, Suspicious, n.text, "T1036.008")
	}
}

// otherProcesses: the root, the memory or the environment of other processes.
func (s *scan) otherProcesses(n *node) {
	for _, a := range n.args {
		if a == "/proc/kcore" || a == "/dev/mem" || a == "/dev/kmem" {
			s.hit(CredentialSearch, Suspicious, n.text, "T1003.007")
		}
		if len(a) > 200 || !strings.Contains(a, "/proc/") || isOneOf(n.name, "echo printf") {
			continue
		}
		rest := a[strings.Index(a, "/proc/")+6:]
		pid, what, ok := strings.Cut(rest, "/")
		if !ok || pid == "self" || pid == "sys" || pid == "net" || pid == "thread-self" {
			continue
		}
		switch {
		case strings.HasPrefix(what, "root/"), what == "root" && n.name != "ls", strings.HasPrefix(what, "cwd/"):
			s.hit(ContainerEscape, Suspicious, n.text, "T1611")
		case what == "mem" || what == "maps" && (pid == "*" || strings.HasPrefix(pid, "$")) || what == "environ" && (pid == "*" || strings.HasPrefix(pid, "$") || strings.HasPrefix(pid, "[")):
			s.hit(CredentialSearch, Suspicious, n.text, "T1003.007")
		}
	}
}

// clusterAPI: the interfaces of a cluster asked by hand, with a token, and the
// metadata server under another name.
func (s *scan) clusterAPI(n *node) {
	if !isDownloader(n) && language(n.name) == nil {
		return
	}
	for _, a := range n.args {
		for _, u := range findURLs(a, 4) {
			h, p := strings.ToLower(u.host), strings.ToLower(u.path)
			switch {
			case (strings.HasPrefix(h, "kubernetes.default") || h == "kubernetes" || strings.Contains(u.host, "KUBERNETES_SERVICE_HOST") || strings.Contains(a, "KUBERNETES_SERVICE_HOST") || u.port == "6443") && containsAny(p, "/api", "/version/", "/openapi"):
				s.hit(LateralTool, Suspicious, n.text, "T1609")
			case u.port == "10250" || u.port == "10255" || u.port == "10256" && p != "/healthz" || u.port == "4194":
				s.hit(LateralTool, Suspicious, n.text, "T1609")
			case !isMetadataHost(h) && (strings.Contains(h, "169.254.169.254") || strings.Contains(h, "169-254-169-254") || containsAny(p, "computemetadata/v1", "/latest/meta-data/", "instance-identity/document", "/latest/user-data", "/latest/dynamic/")):
				s.hit(MetadataTokenAccess, Suspicious, n.text)
			}
		}
	}
	if n.has("--unix-socket", "--abstract-unix-socket") && n.argContains("containerd", "docker", "crio", "podman", "kubelet", "buildkit") {
		s.hit(ContainerEscape, Suspicious, n.text)
	}
}

// cloudDoors: accounts, keys and providers made, secrets taken as a whole, data
// moved out by the services themselves (T1098, T1555.006, T1537).
func (s *scan) cloudDoors(n *node) {
	switch n.name {
	case "gcloud":
		switch {
		case n.has("config-helper"), n.has("application-default") && n.has("print-access-token"):
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.005")
		case n.has("service-accounts") && n.has("create", "undelete", "enable", "sign-jwt", "sign-blob"), n.argContains("workload-identity-pools", "workforce-pools") && n.argContains("create"), n.has("hmac") && n.has("create"), n.has("api-keys") && n.has("create"), n.has("os-login") && n.has("add"), n.has("add-iam-policy-binding") && n.argContains("serviceAccountTokenCreator", "serviceAccountUser", "serviceAccountKeyAdmin", "gmail.com"):
			s.hit(Persistence, Suspicious, n.text, "T1098.001")
		case n.has("sql") && n.has("export") && !n.argContains("backup", "dump", "export-"), n.has("disks", "images", "snapshots") && n.argContains("allAuthenticatedUsers"), n.has("images") && n.has("export"):
			s.hit(Exfiltration, Suspicious, n.text, "T1537")
		case n.has("secrets") && n.has("versions") && n.has("access") && n.captured == 0 && len(n.to) == 0 && len(n.redirs) == 0 && !n.argContains("--out-file"), n.has("secrets") && n.has("versions") && n.has("access") && (n.swept || slices.Contains(n.via, "xargs")):
			s.hit(CredentialSearch, Suspicious, n.text, "T1555.006")
		case n.has("compute") && n.has("ssh", "scp"), n.any(func(a string) bool {
			_, v, _ := strings.Cut(a, "image=")
			h, _ := splitHostPort(strings.SplitN(v, "/", 2)[0])
			return isIP(h) && kindOfHost(h) == publicHost
		}):
			s.hit(LateralTool, Suspicious, n.text, "T1021.004")
		case n.has("reset-windows-password", "connect-to-serial-port") || n.has("instances") && n.argContains("startup-script-url="):
			s.hit(LateralTool, Suspicious, n.text, "T1021")
		case n.has("org-policies", "resource-manager") && n.has("delete", "disable-enforce", "reset"), n.has("firewall-rules") && n.has("delete", "disable"), n.has("scc") && n.has("update", "delete", "mute", "create") && n.argContains("mute", "muteconfigs", "--disable"), n.has("audit-config"):
			s.hit(LogTampering, Suspicious, n.text, "T1562.008")
		}
	case "aws":
		switch {
		case n.has("get-parameters-by-path") && n.has("--with-decryption"), n.has("batch-get-secret-value", "get-password-data", "get-session-token", "get-federation-token", "ecr-get-login") || n.has("get-authorization-token"):
			s.hit(CredentialSearch, Suspicious, n.text, "T1555.006")
		case n.has("update-assume-role-policy", "attach-role-policy", "put-role-policy", "create-policy-version", "update-login-profile", "add-user-to-group", "create-instance-profile", "create-open-id-connect-provider", "put-bucket-policy", "authorize-security-group-ingress", "import-key-pair"):
			s.hit(Persistence, Suspicious, n.text, "T1098")
		case n.has("modify-snapshot-attribute", "modify-image-attribute", "modify-db-snapshot-attribute", "put-bucket-replication"):
			s.hit(Exfiltration, Suspicious, n.text, "T1537")
		case n.has("delete-bucket-lifecycle", "put-event-selectors", "delete-alarms", "disable-security-hub", "delete-members"):
			s.hit(LogTampering, Suspicious, n.text, "T1562.008")
		}
	case "bq":
		if n.has("extract") && n.any(func(a string) bool {
			return strings.HasPrefix(a, "gs://") && containsAny(a, "public", "tmp", "drop", "temp", "leak")
		}) {
			s.hit(Exfiltration, Suspicious, n.text, "T1537")
		}
	case "kubectl", "oc":
		if n.has("create") && n.has("token", "clusterrolebinding", "rolebinding", "daemonset") || n.has("proxy") && n.argContains("--accept-hosts", "0.0.0.0") || n.argContains("--as=system:", "--as-group=system:masters") || n.has("certificate") && n.has("approve") {
			s.hit(Persistence, Suspicious, n.text, "T1098.006")
		}
	case "vault":
		if n.has("token") && n.has("create") && n.argContains("root") || n.has("audit") && n.has("disable") || n.has("list", "read", "kv") && n.swept {
			s.hit(CredentialSearch, Suspicious, n.text, "T1555")
		}
	case "git":
		if n.any(func(a string) bool {
			u, ok := parseURL(a)
			return ok && n.has("push", "remote") && strings.Contains(u.user, ":") && !strings.ContainsAny(u.user, "$")
		}) {
			s.hit(Exfiltration, Suspicious, n.text, "T1567.001")
		}
	case "keyctl":
		if n.has("print", "read", "pipe", "show") {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552")
		}
	}
}

// settings: what is shut to its owner, mounted anew, named elsewhere; a page
// server over a hidden or temporary folder; ransom notes in a database.
func (s *scan) settings(n *node) {
	low := ""
	if databaseClients()[n.name] || isOneOf(n.name, "mongo mongosh") {
		low = strings.ToLower(n.line())
	}
	switch {
	case n.name == "chmod" && (n.short('R') || n.has("--recursive")) && n.has("000", "0000", "0", "a-rwx", "ugo-rwx"):
		s.hit(Destruction, Suspicious, n.text, "T1485")
	case n.name == "mount" && n.argContains("remount") && n.argContains("rw"):
		s.hit(ContainerEscape, Suspicious, n.text, "T1611")
	case n.name == "php" && n.has("-S") && n.any(func(a string) bool { return isTempPath(a+"/x") || isHiddenPath(a) && strings.Contains(a, "/") }):
		s.hit(LateralTool, Suspicious, n.text, "T1105")
	case containsAny(low, "please_read_me", "readme_to_recover", "read_me", "bitcoin", "ransom", "recover_your_data", " btc ", "bc1q", "monero", "@onionmail", "@proton") && containsAny(low, "drop", "create", "insert"):
		s.hit(Destruction, Malicious, n.text, "T1486")
	}
	for _, r := range n.redirs {
		e, ok := devTCP(r.target)
		if ok && (slices.Contains(n.via, "xargs") || slices.Contains(n.via, "parallel")) && strings.ContainsAny(e.host+e.port, "%{}@$") {
			s.hit(PortScan, Suspicious, n.text)
		}
	}
}

// searchesLogins: a wide search for addresses with a password in them, or for
// tokens by how they begin.
func (s *scan) searchesLogins(n *node) {
	wide := n.short('r') || n.short('R') || n.has("--recursive") || isOneOf(n.name, "rg ag ack")
	if !wide || !isOneOf(n.name, "grep egrep rg ag zgrep ack fgrep") {
		return
	}
	if n.any(func(a string) bool {
		return strings.Contains(a, "://") && containsAny(a, "@", ":[^") || containsAny(a, "xox[", "xoxb", "ghp_", "glpat", "AKIA", "AIza", "eyJ", "sk_live", "ya29", "BEGIN", "hvs.", "npm_[")
	}) {
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
}
