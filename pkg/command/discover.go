package command

import (
	"path"
	"slices"
	"strings"
)

// isReconTool reports whether name is a command for looking around.
func isReconTool(name string) bool { return reconTools()[name] }

var reconTools = nameSet("id whoami uname hostname ps w who last lastlog users groups ifconfig ip netstat ss route arp lscpu lsblk lsof env printenv set lsb_release getent df free uptime mount findmnt lspci dmesg nproc arch finger getcap hostnamectl pstree top iwconfig")

// isReconScript knows the tools that look for ways to more privileges.
func isReconScript(name string) bool {
	return isOneOf(strings.ToLower(name), "linpeas linpeas.sh linenum.sh lse.sh linux-exploit-suggester.sh linux-exploit-suggester les.sh pspy pspy64 pspy32 pspy64s linuxprivchecker.py unix-privesc-check traitor lynis beroot.py linpeas_linux_amd64 linux-smart-enumeration.sh")
}

// discover weighs looking around and the search for credentials.
func (s *scan) discover(n *node) {
	switch {
	case isReconScript(n.name):
		s.hit(Recon, Suspicious, n.text, "T1082")
	case isOneOf(strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(n.name, ".py"), ".sh")), "mimipenguin lazagne gcploit pypykatz keyhunter noseyparker mimipy swap_digger 3snake sshlooter titus"):
		s.hit(CredentialSearch, Suspicious, n.text)
	}
	if n.name == "trufflehog" && n.has("filesystem") && n.has("/", "/home", "/root", "/etc") {
		s.hit(CredentialSearch, Suspicious, n.text)
	}
	s.lookAround(n)
	s.readsSecrets(n)
	s.searches(n)
	s.cloudCredentials(n)
}

// lookAround collects commands that only count together.
func (s *scan) lookAround(n *node) {
	kind := ""
	switch n.name {
	case "id", "whoami", "groups", "who", "w", "users", "last", "lastlog", "lastb", "chage", "finger", "ps", "pstree", "top", "ifconfig", "netstat", "ss", "route", "arp",
		"lscpu", "lsof", "lsmod", "kmod", "dmesg", "pwd", "hostname", "hostnamectl", "lsb_release", "df", "lsblk", "findmnt", "free", "uptime", "lspci", "iwconfig":
		kind = n.name
		if n.name == "ps" && slices.ContainsFunc(n.to, func(t *node) bool { return t.name == "grep" || t.name == "awk" || t.name == "wc" }) {
			s.hit(HealthCheck, Benign, pipeText(n.to[0]))
			kind = ""
		}
		if n.name == "id" && n.has("-u", "-g", "-un", "-gn") || n.name == "lsb_release" || n.captured > 0 || n.inTest {
			kind = ""
		}
	case "uname":
		if n.short('a') || n.has("--all") || len(n.args) == 0 && n.captured == 0 {
			kind = n.name
		}
	case "ip":
		if n.has("a", "addr", "r", "route", "neigh", "address", "n") && n.captured == 0 {
			kind = n.name
		}
	case "env", "printenv", "set", "export", "declare":
		if len(n.args) == 0 && len(n.redirs) == 0 {
			kind = "env"
		}
	case "mount":
		if len(n.args) == 0 {
			kind = n.name
		}
	case "ls":
		if n.any(func(a string) bool {
			return isOneOf(strings.TrimRight(a, "/*"), "/home /root /etc /var/spool/cron /proc /host ~/.ssh /root/.ssh /etc/cron.d /var/www /opt /dev /.dockerenv /run/secrets /var/run/secrets/kubernetes.io/serviceaccount") || isOneOf(a, "/") || isSensitivePath(a)
		}) {
			kind = n.name
		}
	case "sudo":
		if n.has("-V", "-v") {
			kind = n.name
		}
	case "cat", "head", "tail", "less", "more", "strings", "grep", "awk", "cut", "nl":
		s.readsSystem(n)
	case "getent":
		if len(n.args) == 1 && isOneOf(n.args[0], "passwd group shadow") {
			kind = n.name
		}
	case "find":
		if n.argContains("-4000", "-2000", "/4000", "-u=s", "/u=s", "u+s", "-6000", "/6000", "-g=s", "-writable") || has2(n, "-perm", "-222") || has2(n, "-perm", "-o+w") || has2(n, "-perm", "-0002") {
			s.hit(Recon, Suspicious, n.text, "T1083")
		}
	case "getcap":
		s.hit(Recon, Suspicious, n.text, "T1083")
	case "capsh":
		if n.has("--print") {
			kind = n.name
		}
	case "compgen":
		kind = n.name
	case "kubectl", "oc":
		if n.has("auth") && n.has("can-i") || n.has("get") && n.has("secrets", "secret", "pods", "nodes", "all", "ns", "namespaces") {
			kind = n.name + " " + strings.Join(n.operands("no"), " ")
		}
	}
	if kind != "" {
		s.recon = append(s.recon, kind)
		s.recTx = append(s.recTx, n.text)
	}
}

// readsSystem: files that describe users, system and network.
func (s *scan) readsSystem(n *node) {
	for _, a := range n.args {
		switch {
		case a == "/etc/passwd" || strings.HasPrefix(a, "../") && strings.HasSuffix(a, "../etc/passwd"):
			if (isOneOf(n.name, "awk grep") && n.argContains("==0", ":0:", "== 0") || n.name == "cut" && n.captured == 0 && !n.inTest && len(n.from) == 0) || (n.name == "cat" || n.name == "head" || n.name == "tail" || n.name == "less" || n.name == "more" || n.name == "strings" || n.name == "nl") && n.captured == 0 && !n.inTest {
				s.hit(Recon, Suspicious, n.text, "T1087.001")
			} else {
				s.recon, s.recTx = append(s.recon, a), append(s.recTx, n.text)
			}
		case isOneOf(a, "/etc/issue /etc/os-release /etc/hosts /etc/resolv.conf /etc/group /etc/crontab /etc/fstab /proc/version /proc/cpuinfo /proc/mounts /proc/net/tcp /proc/net/arp /proc/self/status /proc/self/mountinfo /etc/hostname /proc/self/cgroup /proc/1/cgroup /proc/meminfo /etc/lsb-release /etc/redhat-release /proc/net/route /proc/net/fib_trie /proc/1/status /proc/self/mounts /proc/kallsyms /proc/self/uid_map /proc/self/attr/current /proc/1/cmdline /proc/modules /etc/login.defs /etc/shells /etc/security/pwquality.conf") || strings.HasPrefix(a, "/etc/pam.d/"):
			if n.captured == 0 && !n.inTest {
				s.recon, s.recTx = append(s.recon, a), append(s.recTx, n.text)
			}
		}
	}
}

// manyRecon is how many kinds of looking around make a chain.
const manyRecon = 3

// weighRecon turns the collected commands into one hit.
func (s *scan) weighRecon() {
	if len(s.recon) == 0 {
		return
	}
	kinds := slices.Compact(slices.Sorted(slices.Values(s.recon)))
	c := Neutral
	if len(kinds) >= manyRecon || s.onlyLooks() {
		c = Suspicious
	}
	s.hit(Recon, c, strings.Join(slices.Compact(s.recTx), " ; "), "T1082", "T1033")
}

// isSecretFile reports whether p names a file that holds credentials; also
// patterns of find and grep.
func isSecretFile(p string) bool {
	if isSensitivePath(p) {
		return true
	}
	b := strings.ToLower(strings.Trim(path.Base(p), "*"))
	if containsAny(p, "ca-certificates", "/etc/ssl/certs", "/ca-trust/", "/certifi/", "cacert") {
		return false // the authorities' certificates are for everybody
	}
	switch {
	case isOneOf(b, ".env env.local .env.local .env.production .env.prod id_rsa id_dsa id_ed25519 .pem .key .p12 .pfx .ppk .kdbx .jks .keystore credentials credentials.json creds.json .aws .ssh service-account.json serviceaccount.json wallet.dat wp-config.php database.yml secrets.yml settings.py .git-credentials .netrc .gnupg secring adc.json key.json terraform.tfstate .tfstate shadow .password-store vault.yml secrets.json .htpasswd passwords.txt"):
		return true
	case p == "/etc/passwd" || p == "/etc/shadow":
		return true
	}
	return strings.HasSuffix(b, ".pem") && !strings.Contains(b, "cert") && !strings.Contains(b, "ca") || strings.HasSuffix(b, ".kdbx") || strings.HasSuffix(b, "_rsa")
}

// readsFiles are programs that print or copy what is in a file (GTFOBins, file read).
var readsFiles = nameSet("cat bat head tail less more strings base64 base32 basenc xxd od cp mv ln install tar zip 7z cpio nl tac sort uniq cut awk sed grep egrep rg dd vi vim nano emacs hexdump hd view pr fold rev paste openssl unshadow gpg john column comm csplit cmp diff expand unexpand fmt iconv join jq yq look nroff troff ul uuencode split tr tee sqlite3 zcat gzip bzip2 xz python perl ruby node php")

// readsSecrets weighs commands that print or copy files of credentials.
func (s *scan) readsSecrets(n *node) {
	if !isOneOf(n.name, "chmod chown chgrp ls test [ stat touch getfacl rm echo printf sed grep find") {
		for _, a := range n.args {
			b := path.Base(a)
			switch {
			case strings.HasSuffix(a, "/etc/shadow") || strings.HasSuffix(a, "/etc/gshadow"):
				s.hit(CredentialSearch, Suspicious, n.text, "T1003.008")
			case strings.HasPrefix(a, "/proc/") && b == "environ" && n.name == "xargs":
				s.hit(CredentialSearch, Suspicious, n.text, "T1003.007")
			case b == "access_tokens.db" || b == "credentials.db":
				s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
			}
		}
	}
	if !readsFiles()[n.name] {
		return
	}
	read := n.args
	for _, r := range n.redirs {
		if r.op == "<" {
			read = append(read[:len(read):len(read)], r.target)
		}
	}
	for _, a := range read {
		p := unglob(strings.TrimPrefix(a, "if="))
		switch {
		case n.name == "install" && n.has("-d"):
		case strings.HasSuffix(p, "/etc/shadow") || strings.HasSuffix(p, "/etc/gshadow") || p == "/etc/sudoers" && n.name == "cat":
			s.hit(CredentialSearch, Malicious, n.text, "T1003.008")
		case isBrowserStore(p):
			s.hit(CredentialSearch, Suspicious, n.text, "T1555.003")
		case strings.HasPrefix(p, "/proc/") && (strings.HasSuffix(p, "/environ") || strings.HasSuffix(p, "/mem")):
			if n.captured > 0 && n.inTest {
				continue
			}
			s.hit(CredentialSearch, Suspicious, n.text, "T1003.007")
		case isHistoryFile(p) && n.name != "rm":
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.003")
		case containsAny(p, "/serviceaccount/token", "kubernetes.io/serviceaccount/"):
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
		case isSensitivePath(p) && !isOneOf(path.Base(p), "authorized_keys release_agent core_pattern docker.sock containerd.sock crio.sock sudoers ld.so.preload .npmrc .pypirc"):
			s.hit(CredentialSearch, secretClass(n), n.text, secretTechnique(p))
		case isDotenv(p) && !writesNull(n) && n.captured == 0 && !n.inTest && len(n.to) == 0 && isOneOf(n.name, "cat head tail less more strings base64"):
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
		}
	}
}

func isDotenv(p string) bool {
	b := path.Base(p)
	return isOneOf(b, "database.yml secrets.yml master.key service-account.json serviceaccount.json service_account.json local_settings.py parameters.yml tomcat-users.xml config.inc.php configuration.php terraform.tfstate") || path.Ext(b) == ".key" && strings.Contains(p, "/") || strings.HasPrefix(p, "/run/secrets/*") || strings.HasPrefix(p, "/var/run/secrets/*") || b == "user.MYD" || b == ".env" || strings.HasPrefix(b, ".env.") && b != ".env.example" || b == ".env*" || isOneOf(b, "wp-config.php credentials.json")
}

// secretClass: copying a key into place with cp is what operators do.
func secretClass(n *node) Class {
	if isOneOf(n.name, "cp mv") && !n.any(func(a string) bool { return isTempPath(a + "/x") }) {
		return Neutral
	}
	return Suspicious
}

func secretTechnique(p string) string {
	if containsAny(p, "id_", ".ssh", ".gnupg", ".pem", "secring") {
		return "T1552.004"
	}
	return "T1552.001"
}

// searches weighs find, grep, locate and env | grep for what they look for.
func (s *scan) searches(n *node) {
	switch n.name {
	case "find", "locate", "fd", "mlocate", "plocate", "whereis":
		for i, a := range n.args {
			named := n.name != "find" || i > 0 && isOneOf(n.args[i-1], "-name -iname -path -ipath -wholename -iwholename -regex -iregex")
			if named && wantsSecret(a) {
				s.hit(CredentialSearch, Suspicious, n.text, "T1552.001", "T1552.004")
			}
		}
	case "grep", "egrep", "rg", "ag", "zgrep", "fgrep", "ack":
		s.grep(n)
	case "gpg", "gpg2":
		if n.has("--list-secret-keys", "-K", "--export-secret-keys", "--export-secret-key") {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.004")
		}
	case "ls":
		if n.any(func(a string) bool {
			return containsAny(a, "/.ssh", "/.aws", "/.gnupg", "/.kube", "/.config/gcloud", "kubernetes.io/serviceaccount")
		}) && n.captured == 0 && !n.inTest {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.004")
		}
	}
}

// grep: a recursive search for words of secrets, or the environment filtered by them.
func (s *scan) grep(n *node) {
	words := n.operands("ABCmefd", "--include", "--exclude", "--exclude-dir")
	words = append(words, n.opt("-e", "--regexp")...)
	if len(words) == 0 || !slices.ContainsFunc(words, secretWord) {
		return
	}
	recursive := n.short('r') || n.short('R') || n.has("--recursive") || n.name == "rg" || n.name == "ag" || n.name == "ack"
	environ := slices.ContainsFunc(n.from, func(f *node) bool {
		return isOneOf(f.name, "env printenv set export") && len(f.args) == 0 || f.name == "ps" || f.name == "history" || f.name == "strings" || f.name == "git" && f.has("log", "show", "grep", "reflog", "stash", "diff") || f.name == "docker" && f.has("inspect", "history") || f.argContains("/environ", "_history")
	})
	wide := slices.ContainsFunc(words, func(w string) bool {
		return isOneOf(strings.TrimRight(w, "/*"), "/etc /home /root /var /opt /var/www /app /srv /usr /proc . /var/log /run /mnt ~ /data /workspace /tmp $HOME ./") || w == "/"
	})
	carried := len(n.via) > 0 && (n.via[len(n.via)-1] == "xargs" || n.via[len(n.via)-1] == "find")
	wide = wide || len(words) == 1 || slices.ContainsFunc(words, func(w string) bool {
		return containsAny("^"+w, "^/etc/", "^/home/", "^/root/", "^/var/", "^/opt/", "^/proc/", "^/srv/")
	})
	if recursive && wide || environ && n.captured == 0 && !n.inTest || carried {
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
}

// secretWord reports whether a search pattern asks for credentials.
func secretWord(w string) bool {
	w = strings.ToLower(w)
	return w == "pass" || containsAny(w, "password", "passwd", "secret", "private key", "private_key", "begin rsa", "begin openssh", "api_key", "apikey", "api-key", "aws_access", "akia", "credential", "token", "_key", "pwd=", "begin.*private", "aiza", "ghp_", "pass=", "pass ", "aws_", "\"private", "key_id", "db_pass", "google_application")
}

// wantsSecret reports whether a file pattern asks for credentials.
func wantsSecret(a string) bool {
	if isSecretFile(a) {
		return true
	}
	low := strings.ToLower(a)
	return isOneOf(low, "id_* tomcat-users.xml web.config") || containsAny(low, "id_rsa", "id_dsa", "id_ed25519", "id_ecdsa", "password", "passwd", "secret", "credential", ".pem", "kubeconfig", ".kdbx", "_history", "authorized_keys", ".git-credentials", ".aws", ".ssh", "gcloud", "service-account", "serviceaccount", "token", "access_tokens", ".gpg", "private", ".ppk", ".pfx", ".p12", "wallet", "shadow") ||
		strings.HasSuffix(low, ".key") || strings.HasSuffix(low, ".env") || strings.HasSuffix(low, ".env*") || strings.HasSuffix(low, ".ovpn")
}

// cloudCredentials weighs what cloud clients are asked for.
func (s *scan) cloudCredentials(n *node) {
	switch n.name {
	case "gcloud":
		switch {
		case n.has("keys") && n.has("create"), n.has("add-iam-policy-binding") && n.argContains("roles/owner", "roles/editor", "allUsers", "Admin", "admin", "roles/iam."):
			s.hit(Persistence, Suspicious, n.text, "T1098")
		case n.has("print-access-token", "print-identity-token", "print-refresh-token") && n.captured == 0 && len(n.to) == 0:
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.005")
		case n.has("list", "get-iam-policy", "describe", "get-value") && n.captured == 0 && len(n.args) > 1:
			s.recon, s.recTx = append(s.recon, "gcloud "+n.args[0]+" "+n.args[1]), append(s.recTx, n.text)
		}
	case "aws":
		switch {
		case n.has("create-access-key", "create-user", "attach-user-policy", "create-login-profile", "put-user-policy"):
			s.hit(Persistence, Suspicious, n.text, "T1098")
		case len(n.args) > 1 && (strings.HasPrefix(n.args[1], "list-") || strings.HasPrefix(n.args[1], "describe-") || n.args[1] == "get-caller-identity" || n.args[1] == "ls" && len(n.args) == 2):
			s.recon, s.recTx = append(s.recon, "aws "+n.args[0]+" "+n.args[1]), append(s.recTx, n.text)
		case n.has("ssm") && n.has("send-command", "start-session"):
			s.hit(LateralTool, Suspicious, n.text, "T1021.004")
		}
	case "az":
		switch {
		case n.has("get-access-token") && n.captured == 0 && len(n.to) == 0:
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.005")
		case n.has("run-command") && n.has("invoke"):
			s.hit(LateralTool, Suspicious, n.text, "T1021.004")
		}
	case "kubectl", "oc":
		if n.has("secrets", "secret") && n.has("-o", "-ojson", "-oyaml", "-A", "--all-namespaces") && n.has("get") && (n.has("-A", "--all-namespaces", "kube-system") || len(n.operands("ncol")) < 3) || n.has("config") && n.has("view") && n.has("--raw") {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.007")
		}
		if n.has("apply", "create") && n.has("clusterrolebinding") {
			s.hit(Persistence, Suspicious, n.text, "T1098")
		}
	case "gsutil", "rclone":
		if n.name == "gsutil" && n.has("ls") && n.captured == 0 {
			s.recon, s.recTx = append(s.recon, strings.Join(n.args, " ")), append(s.recTx, n.text)
		}
		if n.any(isSecretFile) {
			s.hit(Exfiltration, Suspicious, n.text, "T1567")
		}
	}
	if isOneOf(n.name, "aws gcloud gsutil rclone az s3cmd mc") && n.any(func(a string) bool { return isSensitivePath(a) || a == "/etc/passwd" || a == "/etc" || a == "/" }) && n.argContains("cp", "copy", "upload", "sync", "put", "rsync") {
		s.hit(Exfiltration, Malicious, n.text, "T1567")
	}
	if isOneOf(n.name, "gsutil gcloud aws") && n.argContains("allUsers", "AllUsers", "public-read", "allAuthenticatedUsers") {
		s.hit(Exfiltration, Suspicious, n.text, "T1567")
	}
}
