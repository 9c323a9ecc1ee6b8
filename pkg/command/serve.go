package command

import (
	"strings"
)

// serves weighs file servers that give away more than a folder of the
// application (T1048, T1105).
func (s *scan) serves(n *node) {
	dir, is := servedFolder(n)
	if !is {
		return
	}
	if dir == "" || dir == "." || dir == "./" {
		dir = s.dir
	}
	if isStolen(dir) {
		s.hit(Exfiltration, Suspicious, n.text, "T1048")
	}
}

// servedFolder is the folder that a file server is told to serve; "" is where it stands.
func servedFolder(n *node) (string, bool) {
	first := func(list []string) string {
		if len(list) > 0 {
			return list[0]
		}
		return ""
	}
	switch n.name {
	case "python":
		if n.argContains("http.server", "SimpleHTTPServer", "pyftpdlib", "uploadserver", "wsgidav") {
			return first(n.opt("-d", "--directory", "-r")), true
		}
	case "php":
		if n.has("-S") {
			return first(n.opt("-t")), true
		}
	case "httpd", "mini_httpd", "thttpd", "darkhttpd", "webfs", "webfsd", "goshs", "updog", "miniserve", "simplehttpserver":
		if d := n.opt("-h", "-d", "-r"); len(d) > 0 {
			return d[0], true
		}
		if n.name != "httpd" {
			return first(n.operands("ph")), true
		}
	case "ruby":
		for i, a := range n.args {
			if a == "httpd" && i+1 < len(n.args) {
				return n.args[i+1], true
			}
		}
	case "http-server", "serve", "live-server":
		return first(n.operands("pla")), true
	case "twist", "twistd":
		return first(n.opt("--path")), n.has("web", "ftp")
	}
	return "", false
}

// isStolen reports whether a folder holds what nobody shares.
func isStolen(dir string) bool {
	switch strings.TrimRight(dir, "/") {
	case "/etc", "/root", "/home", "/var", "/proc", "/tmp", "/var/tmp", "/dev/shm", "/var/log", "/var/lib", "/run/secrets", "/var/run/secrets", "~", "$HOME", "~/.ssh", "/root/.ssh":
		return true
	}
	return dir == "/"
}

// mails weighs mail programs that carry files of secrets or the system.
func (s *scan) mails(n *node) {
	if !isOneOf(n.name, "sendmail mail mailx mutt ssmtp msmtp swaks s-nail heirloom-mailx") {
		return
	}
	secret := n.any(func(a string) bool { return isSecretFile(strings.TrimPrefix(a, "@")) })
	for _, r := range n.redirs {
		secret = secret || r.op == "<" && isSecretFile(r.target)
	}
	if secret || sendsSecret(n) {
		s.hit(Exfiltration, Malicious, pipeText(n), "T1048.003")
	}
}

// tunnels weighs tools that are both used and abused by what they open.
func (s *scan) tunnels(n *node) {
	tempConfig := false
	for _, v := range n.opt("--config", "-c", "-f", "--cfg", "-config") {
		tempConfig = tempConfig || isTempPath(v) || isHiddenPath(v) && !strings.Contains(v, "/.config/")
	}
	switch n.name {
	case "cloudflared":
		if n.has("access") || n.has("--url") || n.has("--hello-world") || n.argContains("ssh://", "tcp://", "rdp://") {
			s.hit(LateralTool, Suspicious, n.text, "T1572")
		}
	case "tailscaled":
		if n.any(func(a string) bool { _, v, _ := strings.Cut(a, "="); return isHiddenPath(v) }) {
			s.hit(LateralTool, Suspicious, n.text, "T1572")
		}
	case "tailscale":
		if n.has("--ssh", "--advertise-routes", "--advertise-exit-node", "funnel") {
			s.hit(LateralTool, Suspicious, n.text, "T1572")
		}
	case "wg-quick", "openvpn", "rclone", "stunnel", "haproxy", "xray", "v2ray", "sing-box", "trojan", "hysteria", "ss-local", "ss-server", "3proxy", "microsocks", "danted":
		if tempConfig || n.any(isTempPath) || isOneOf(n.name, "xray v2ray sing-box trojan hysteria 3proxy microsocks ss-local ss-server") {
			s.hit(LateralTool, Suspicious, n.text, "T1090")
		}
	case "dropbear":
		s.hit(LateralTool, Suspicious, n.text, "T1021.004")
	case "sshd":
		if n.argContains("PermitRootLogin=yes", "PermitRootLogin yes", "PermitEmptyPasswords", "AuthorizedKeysFile") || n.any(isTempPath) {
			s.hit(Persistence, Suspicious, n.text, "T1098.004")
		}
	case "socat":
		to := n.line()
		if strings.Contains(strings.ToUpper(to), "LISTEN:") {
			for part := range strings.FieldsFuncSeq(to, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
				if isIP(part) && strings.Contains(part, ".") && kindOfHost(part) == publicHost {
					s.hit(LateralTool, Suspicious, n.text, "T1090")
				}
			}
		}
	case "xterm", "urxvt", "xeyes":
		for _, d := range n.opt("-display") {
			if h, _ := splitHostPort(d); h != "" && kindOfHost(h) != loopbackHost {
				s.hit(ReverseShell, Malicious, n.text)
			}
		}
	case "websocat", "wsc":
		if n.argContains("exec:", "sh-c:", "cmd:") {
			s.hit(ReverseShell, Malicious, n.text)
		}
	case "rustcat", "rcat":
		if n.any(func(a string) bool { return isShell(baseName(a)) }) {
			if n.has("listen") || n.short('l') {
				s.hit(BindShell, Malicious, n.text)
			} else {
				s.hit(ReverseShell, Malicious, n.text)
			}
		}
	}
}
