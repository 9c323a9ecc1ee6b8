package command

import (
	"path"
	"slices"
	"strings"
)

// cluster weighs what reaches for the host under the container, for the other
// containers, and for the machinery that runs them. Sources: the threat matrix
// for Kubernetes, Falco's rules on runtimes, HackTricks on kubelet and etcd.
func (s *scan) cluster(n *node) {
	s.hostFiles(n)
	switch n.name {
	case "etcdctl":
		if n.has("get") && n.has("--prefix", "--from-key", "/registry/secrets", "--keys-only") || n.argContains("/registry/secrets") {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
		}
	case "docker", "podman", "nerdctl", "ctr", "crictl", "lxc":
		s.runtime(n)
	case "kubectl", "oc":
		s.kube(n)
	case "kubeletctl", "kube-hunter", "kubeaudit", "kubesploit", "kubestriker":
		s.hit(LateralTool, Suspicious, n.text, "T1609")
	}
}

// hostMounts are where the host's files are usually mounted in a container.
var hostMounts = [...]string{"/host", "/hostfs", "/rootfs", "/host-root", "/hostroot", "/mnt/host", "/mnt/root", "/node"}

// onHost cuts the place of the host's file system off a path.
func onHost(p string) (string, bool) {
	for _, m := range hostMounts {
		if rest, ok := strings.CutPrefix(p, m+"/"); ok {
			return "/" + rest, true
		}
	}
	return "", false
}

// hostFiles: the host's own files are read or written, below a mount of its root.
func (s *scan) hostFiles(n *node) {
	touches := func(a string) bool {
		rest, ok := onHost(strings.TrimPrefix(a, "of="))
		if !ok {
			return false
		}
		for _, d := range [...]string{"/etc", "/root", "/home", "/var/spool", "/var/lib/kubelet", "/var/lib/docker", "/var/run/", "/run/", "/usr/bin", "/bin", "/sbin", "/boot", "/proc/1/", "/tmp/", "/opt/"} {
			if strings.HasPrefix(rest, d) {
				return true
			}
		}
		return false
	}
	if n.any(touches) && isOneOf(n.name, "cat ls cp mv tar find grep head tail vi vim nano less more tee dd ln rm chmod chown base64 strings sed awk xxd install rsync touch") ||
		slices.ContainsFunc(n.redirs, func(r redir) bool { return touches(r.target) }) {
		s.hit(ContainerEscape, Suspicious, n.text)
	}
}

// runtime: containers that are given the host, and containers ended wholesale.
func (s *scan) runtime(n *node) {
	all := slices.ContainsFunc(n.subs, func(sb sub) bool {
		return slices.ContainsFunc(sb.nodes, func(m *node) bool { return m.name == n.name && m.has("ps", "images", "volume") })
	})
	switch {
	case n.has("run", "create", "c", "launch") && (n.has("--privileged") || n.argContains("src=/,", "source=/,", "security.privileged=true", "--net-host") || has2(n, "--network", "host") && n.argContains("/:/")):
		s.hit(ContainerEscape, Malicious, n.text)
	case n.has("rm", "kill", "stop", "rmi") && all && n.has("-f", "--force", "kill", "rmi", "-vf", "-fv"), n.has("prune") && n.has("--volumes"):
		s.hit(Destruction, Suspicious, n.text, "T1485")
	case n.has("cp") && n.any(func(a string) bool { return strings.Contains(a, ":/") && isSecretFile(a[strings.IndexByte(a, ':')+1:]) }):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
	for i, a := range n.args {
		h := ""
		if (a == "-H" || a == "--host") && i+1 < len(n.args) {
			h = n.args[i+1]
		} else if v, ok := strings.CutPrefix(a, "-H="); ok {
			h = v
		}
		if strings.HasPrefix(h, "tcp://") || strings.Contains(h, "/host/") {
			s.hit(ContainerEscape, Suspicious, n.text)
		}
	}
}

// kube: secrets, other pods, everything at once, and doors left open.
func (s *scan) kube(n *node) {
	switch {
	case n.has("delete", "drain") && (n.has("--all", "-A", "--all-namespaces") || n.has("ns", "namespace", "namespaces") && !n.argContains("preview", "test", "ci-", "tmp")):
		s.hit(Destruction, Suspicious, n.text, "T1485")
	case n.argContains("hostPID", "hostNetwork", "privileged\":true", "hostPath"):
		s.hit(ContainerEscape, Malicious, n.text)
	case n.has("create", "apply") && n.any(func(a string) bool {
		u, ok := parseURL(a)
		return ok && isIP(u.host) && kindOfHost(u.host) == publicHost
	}):
		s.hit(DownloadAndExecute, Suspicious, n.text)
	case n.has("create", "apply") && n.argContains("cluster-admin"), n.has("auth") && n.has("reconcile"):
		s.hit(Persistence, Suspicious, n.text, "T1098")
	case n.has("--token") && n.has("--server", "-s") || n.argContains("serviceaccount/token"):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
	case n.has("cp") && len(n.args) > 2 && n.argContains(":/etc/", ":/root", ":/var/run/secrets", ":/run/secrets"):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
	}
}

// orchestratorURL weighs requests to the doors of runtimes and clusters: the
// kubelet, etcd, an open runtime, and the API server's secrets.
func (s *scan) orchestratorURL(n *node, u url) {
	p := strings.ToLower(u.path)
	switch {
	case u.port == "10250" && containsAny(p, "/run/", "/exec/", "/pods", "/runningpods", "/containerlogs", "/cri/"), u.port == "10255" && strings.Contains(p, "/pods"):
		s.hit(LateralTool, Suspicious, n.text, "T1609")
	case (u.port == "2375" || u.port == "2376") && containsAny(p, "/containers", "/images", "/exec", "/info", "/version", "/build"):
		s.hit(ContainerEscape, Suspicious, n.text)
	case u.port == "2379" && containsAny(p, "/keys", "/v3/kv"):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
	case containsAny(p, "/api/v1/secrets", "/secrets") && strings.Contains(p, "/api/v1/"):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
	case strings.Contains(p, "/api/v1/namespaces/") && containsAny(p, "/exec?", "/attach?"):
		s.hit(LateralTool, Suspicious, n.text, "T1609")
	case u.port == "8500" && containsAny(p, "/v1/agent/check/register", "/v1/agent/service/register"), strings.Contains(p, "/script") && u.port == "8080" && n.argContains("execute()"):
		s.hit(LateralTool, Suspicious, n.text, "T1059")
	case u.scheme == "gopher" || u.scheme == "dict":
		s.hit(LateralTool, Suspicious, n.text, "T1090")
	}
}

// cloudImpact weighs cloud clients that destroy data, stop the logs, or leave
// something behind (T1485, T1562.008, T1098).
func (s *scan) cloudImpact(n *node) {
	quiet := n.has("--quiet", "-q", "--force", "-y", "--yes", "--skip-final-snapshot", "--force-delete-without-recovery") || n.name != "gcloud"
	scratch := n.argContains("preview", "staging", "test", "tmp", "temp", "dev-", "-dev", "ci-", "sandbox")
	deletes := n.has("delete", "destroy", "remove", "rm", "rb", "purge")
	if n.swept && n.argContains("secret") && n.has("access", "get-secret-value", "get", "read", "show") && isOneOf(n.name, "gcloud aws az vault kubectl") {
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
	if isOneOf(n.name, "gsutil gcloud aws rclone") {
		s.movesBucket(n)
	}
	switch n.name {
	case "gcloud":
		switch {
		case n.has("search-all-iam-policies", "search-all-resources", "analyze-iam-policy"):
			s.hit(Recon, Suspicious, n.text, "T1580")
		case deletes && n.has("logging", "sinks") || n.has("logging") && n.has("update") && n.argContains("--exclusion", "--disabled"):
			s.hit(LogTampering, Suspicious, n.text, "T1562.008")
		case deletes && quiet && !scratch && n.has("projects", "sql", "buckets", "kms", "secrets", "snapshots", "backups", "databases", "disks", "clusters", "storage"):
			if !n.has("storage") || n.any(wholeBucket) || n.has("buckets") {
				s.hit(Destruction, Suspicious, n.text, "T1485")
			}
		case n.argContains("allUsers", "allAuthenticatedUsers") && n.has("add-iam-policy-binding", "set-iam-policy"):
			s.hit(Persistence, Suspicious, n.text, "T1098")
		case n.has("roles") && n.has("create", "update") && n.argContains("setIamPolicy", "actAs", "getAccessToken"):
			s.hit(Persistence, Suspicious, n.text, "T1098")
		case n.has("compute") && n.has("ssh") && n.has("--command"):
			s.hit(LateralTool, Suspicious, n.text, "T1021.004")
		case n.has("add-metadata") && n.argContains("ssh-keys", "startup-script"):
			s.hit(Persistence, Suspicious, n.text, "T1098.004")
		}
	case "gsutil":
		if n.has("versioning", "retention") && n.has("off", "clear") {
			s.hit(Destruction, Suspicious, n.text, "T1490")
		}
		if n.swept && n.has("rm") && n.short('r') && n.any(func(a string) bool { return strings.HasPrefix(a, "$") }) || n.has("rb") && !scratch || n.has("rm") && (n.short('r') || n.short('a')) && n.any(wholeBucket) && !scratch {
			s.hit(Destruction, Suspicious, n.text, "T1485")
		}
	case "aws":
		switch {
		case n.has("stop-logging", "delete-trail", "delete-detector", "disable-alarm-actions", "delete-flow-logs", "delete-log-group", "stop-configuration-recorder"):
			s.hit(LogTampering, Suspicious, n.text, "T1562.008")
		case !scratch && (n.has("rb") && n.has("--force") || n.has("rm") && n.has("--recursive") && n.any(wholeBucket) || n.has("delete-db-instance", "delete-db-cluster", "terminate-instances", "delete-table", "delete-snapshot", "schedule-key-deletion", "delete-secret", "delete-recovery-point")):
			s.hit(Destruction, Suspicious, n.text, "T1485")
		}
	case "bq":
		if n.has("rm") && n.has("-r") && n.short('f') && !scratch {
			s.hit(Destruction, Suspicious, n.text, "T1485")
		}
	}
}

// isCommonModule: modules of the kernel that networks and file systems need.
func isCommonModule(m string) bool {
	for _, p := range [...]string{"tun", "fuse", "overlay", "br_netfilter", "ip_", "ip6", "ipt", "nf_", "nft", "xt_", "wireguard", "nfs", "cifs", "bridge", "loop", "dm_", "veth", "ipvs", "vhost", "kvm", "nvidia", "i2c", "snd", "uinput", "v4l2loopback", "-r"} {
		if strings.HasPrefix(m, p) {
			return true
		}
	}
	return false
}

// movesBucket: a bucket as a whole is copied to one whose name has no part in
// common with it, or to an endpoint that is an address.
func (s *scan) movesBucket(n *node) {
	for _, v := range n.opt("--endpoint-url") {
		if u, ok := parseURL(v); ok && isIP(u.host) && kindOfHost(u.host) == publicHost {
			s.hit(Exfiltration, Suspicious, n.text, "T1537")
		}
	}
	var buckets []string
	for _, a := range n.args {
		if scheme, rest, ok := strings.Cut(a, "://"); ok && (scheme == "gs" || scheme == "s3") && !strings.Contains(a, "$") {
			name, _, _ := strings.Cut(rest, "/")
			buckets = append(buckets, strings.ToLower(name))
			if len(buckets) == 1 && !wholeBucket(a) {
				return
			}
		}
	}
	if len(buckets) != 2 || !n.has("cp", "rsync", "sync", "mv") || !(n.short('r') || n.has("--recursive", "rsync", "sync")) {
		return
	}
	for _, part := range strings.FieldsFunc(buckets[0], func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		if len(part) > 2 && strings.Contains(buckets[1], part) {
			return
		}
	}
	s.hit(Exfiltration, Suspicious, n.text, "T1537")
}

// wholeBucket reports whether an argument names a bucket as a whole.
func wholeBucket(a string) bool {
	_, rest, ok := strings.Cut(a, "://")
	if !ok {
		return false
	}
	_, p, _ := strings.Cut(rest, "/")
	return strings.Trim(p, "*/") == ""
}

// isExploit reports whether a program is named after a public exploit.
func isExploit(p string) bool {
	b := strings.ToLower(path.Base(p))
	return strings.HasPrefix(b, "cve-20") || strings.HasPrefix(b, "cve_20") ||
		containsAny(b, "exploit", "pwnkit", "dirtycow", "dirtypipe", "dirty_pipe", "dirtycred", "dirty_sock", "looney", "overlayfs_priv", "gameoverlay", "baron_samedit", "sudo_killer", "getroot", "rootkit", "privesc", "ysoserial", "marshalsec", "jndi-injection", "jndiexploit", "rogue-jndi")
}
