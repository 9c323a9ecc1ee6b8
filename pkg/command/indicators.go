package command

import (
	"net/netip"
	"path"
	"strings"
)

// Defang makes a network indicator harmless to click or to resolve:
// "http://1.2.3.4/a.b" becomes "hxxp://1[.]2[.]3[.]4/a.b". Paths, hashes and
// wallets come back unchanged.
func Defang(value string) string {
	if u, ok := parseURL(value); ok {
		i := strings.Index(value, "://")
		scheme := strings.Replace(strings.Replace(value[:i], "tt", "xx", 1), "ft", "fx", 1)
		rest := value[i+3:]
		at := strings.Index(rest, u.host)
		if at < 0 {
			return scheme + "://" + rest
		}
		return scheme + "://" + rest[:at] + defangHost(u.host) + rest[at+len(u.host):]
	}
	if isIP(value) || isDomain(value) {
		return defangHost(value)
	}
	return value
}

func defangHost(h string) string {
	return strings.ReplaceAll(strings.ReplaceAll(h, ".", "[.]"), ":", "[:]")
}

func (s *scan) indicator(kind, value string) {
	if value == "" || len(value) > 2048 || len(s.indicators) >= MaxIndicators {
		return
	}
	i := Indicator{Kind: kind, Value: value}
	if !s.seen[i] {
		s.seen[i] = true
		s.indicators = append(s.indicators, i)
	}
}

// hostIndicator records a host that stands where a host must stand.
func (s *scan) hostIndicator(h string) {
	h = strings.Trim(h, "[]'\"")
	if a, ok := parseAddr(h); ok {
		s.indicator("ip", a.String())
	} else if isDomain(h) {
		s.indicator("domain", strings.ToLower(strings.TrimSuffix(h, ".")))
	}
}

// rawIndicators finds what is recognisable anywhere in a text: URLs, addresses,
// hashes, wallets and suspicious paths.
func (s *scan) rawIndicators(text string) {
	if len(s.indicators) >= MaxIndicators || !s.scans(text) {
		return
	}
	for _, u := range findURLs(text, MaxIndicators) {
		s.urlIndicator(u)
	}
	for from := 0; from < len(text); {
		if !isTokenByte(text[from]) {
			from++
			continue
		}
		end := from
		for end < len(text) && isTokenByte(text[end]) {
			end++
		}
		if end-from >= 4 && end-from < 256 {
			s.tokenIndicator(text[from:end], from > 0 && text[from-1] == '/' && from > 1 && text[from-2] == '/')
		}
		from = end
	}
}

func isTokenByte(c byte) bool {
	return isWordByte(c) || c == '.' || c == '/' || c == '-' || c == ':' || c == '['
}

func (s *scan) urlIndicator(u url) {
	switch u.scheme {
	case "http", "https", "ftp", "ftps", "sftp", "tftp", "gs", "s3", "ssh", "ws", "wss", "ldap", "ldaps", "rmi", "git",
		"tcp", "ssl", "tls", "udp", "socks5", "socks4", "stratum", "stratum+tcp", "stratum+ssl", "stratum+tls", "stratum2+tcp":
	default:
		return
	}
	if kind := kindOfHost(u.host); kind == unknownHost || strings.ContainsAny(u.host, "$`{(<") {
		return
	}
	s.indicator("url", u.raw)
	if u.scheme != "gs" && u.scheme != "s3" {
		s.hostIndicator(u.host)
	}
}

// tokenIndicator looks at one run of word characters.
func (s *scan) tokenIndicator(t string, inURL bool) {
	t = strings.TrimRight(strings.TrimLeft(t, "[:-"), ".:-/")
	if t == "" {
		return
	}
	if i := strings.Index(t, "/dev/tcp/"); i >= 0 && strings.Count(t[i:], "/") >= 4 {
		h, _, _ := strings.Cut(t[i+9:], "/")
		s.hostIndicator(h)
		return
	}
	if p := t[strings.LastIndexByte(t, '=')+1:]; strings.HasPrefix(p, "/") && !inURL {
		if isTempPath(p) || isSensitivePath(p) {
			s.indicator("path", p)
		}
		return
	}
	digits := t[0] >= '0' && t[0] <= '9'
	if digits && strings.Count(t, ".") == 3 {
		h, _ := splitHostPort(strings.SplitN(t, "/", 2)[0])
		if a, err := netip.ParseAddr(h); err == nil && !a.IsUnspecified() {
			s.indicator("ip", a.String())
		}
	}
	if strings.Count(t, ":") > 1 {
		if a, err := netip.ParseAddr(t); err == nil && a.Is6() && len(t) > 4 {
			s.indicator("ip", a.String())
		}
	}
	s.opaqueIndicator(strings.TrimPrefix(t, "sha256:"))
}

// opaqueIndicator recognises hashes and wallets by length and alphabet.
func (s *scan) opaqueIndicator(t string) {
	switch n := len(t); {
	case (n == 32 || n == 40 || n == 64) && allIn(t, isHex) && strings.ContainsAny(t, "0123456789") && strings.ContainsAny(t, "abcdefABCDEF"):
		s.indicator("hash", strings.ToLower(t))
	case n == 42 && strings.HasPrefix(t, "0x") && allIn(t[2:], isHex):
		s.indicator("wallet", t)
	case (n == 95 || n == 106) && (t[0] == '4' || t[0] == '8') && allIn(t, isBase58):
		s.indicator("wallet", t)
	case n >= 42 && n <= 62 && strings.HasPrefix(t, "bc1") && allIn(t, isWordByte):
		s.indicator("wallet", t)
	}
}

func isBase58(c byte) bool { return isWordByte(c) && strings.IndexByte("0OIl_", c) < 0 }

func allIn(t string, f func(byte) bool) bool {
	for i := range len(t) {
		if !f(t[i]) {
			return false
		}
	}
	return true
}

// isTempPath reports whether p is in a place that everybody may write to.
func isTempPath(p string) bool {
	for _, d := range [...]string{"/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/dev/mqueue/", "/run/lock/", "$TMPDIR/"} {
		if strings.HasPrefix(p, d) && len(p) > len(d) {
			return true
		}
	}
	return strings.HasPrefix(p, "$(mktemp") || strings.HasPrefix(p, "/proc/") && strings.Contains(p, "/fd/") || strings.HasPrefix(p, "/memfd:")
}

// isHiddenPath reports whether a directory or the file itself is hidden.
func isHiddenPath(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > 1 && part[0] == '.' && part != ".." && !isOneOf(part, ".venv .local .cache .npm .nvm .cargo .rbenv .pyenv .asdf .next .config .bun .yarn .pnpm .dotnet .m2 .sdkman .git .output .bin .volta .deno") {
			return true
		}
	}
	return false
}

// isSensitivePath reports whether p names a file of credentials or a door to
// the host.
func isSensitivePath(p string) bool {
	b := path.Base(p)
	switch {
	case b == "known_hosts":
		return false
	case isOneOf(b, "shadow gshadow shadow- sudoers authorized_keys id_rsa id_dsa id_ecdsa id_ed25519 .netrc .pgpass .my.cnf .git-credentials docker.sock containerd.sock crio.sock release_agent core_pattern ld.so.preload .vault-token credentials.db access_tokens.db application_default_credentials.json .bash_history .zsh_history .dockercfg .npmrc .pypirc .htpasswd kubeconfig secring.gpg"):
		return true
	case isOneOf(b, ".ssh .gnupg .aws .kube .azure") && strings.Contains(p, "/"):
		return true
	case isBrowserStore(p), isOneOf(p, "/etc/kubernetes/admin.conf /etc/rancher/k3s/k3s.yaml /etc/krb5.keytab /var/lib/kubelet/kubeconfig"), strings.HasPrefix(p, "/etc/kubernetes/pki/") && strings.HasSuffix(p, ".key"),
		strings.HasPrefix(b, "ssh_host_") && strings.HasSuffix(b, "_key"), isOneOf(b, "rclone.conf .s3cfg .boto .my.cnf hosts.yml") && strings.Contains(p, "/.") && b != "hosts.yml", strings.HasSuffix(p, "/gh/hosts.yml"):
		return true
	case containsAny(p, "/.ssh/", "/.aws/credentials", "/.docker/config", "/.kube/", "/.gnupg/", "/.config/gcloud", "/serviceaccount/token", "/.azure/"):
		return true
	case strings.HasPrefix(p, "/proc/"):
		return b == "environ" || strings.HasPrefix(p, "/proc/1/root") || b == "mem" || b == "maps" && strings.Count(p, "/") == 3
	}
	return false
}
