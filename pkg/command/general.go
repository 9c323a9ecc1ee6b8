package command

import (
	"path"
	"slices"
	"strings"
)

// general weighs what is odd whatever the program: an unknown one that is given
// a bare public address, a file of keys handed to something that has no use for
// it, a program where none belongs or that is called like a thread of the
// kernel, folders of the system packed into a hidden or temporary archive.
func (s *scan) general(n *node) {
	s.bareAddress(n)
	s.handsKeys(n)
	s.oddProgram(n)
	s.stages(n)
}

// isFamiliar reports whether a program is one that the other rules know.
func isFamiliar(name string) bool {
	return isShell(name) || isNetworkTool(name) || isReconTool(name) || databaseClients()[name] || language(name) != nil || wrapperOf(name) != nil || familiar()[name]
}

// usesKeys are programs that log in with files of keys, or handle them as files.
var usesKeys = nameSet("ssh scp sftp rsync ssh-add ssh-keygen ssh-agent autossh sshfs git gcloud kubectl oc helm ansible ansible-playbook terraform chmod chown chgrp ls test [ stat touch mkdir rm echo printf export install getfacl sed grep egrep find ssh-keyscan mv cp ln openssl certbot nginx envoy vault curl wget read cd dirname basename sleep cat docker podman stunnel node java npm")

var familiar = nameSet("echo printf cat grep egrep sed awk cut tr test [ export read set eval exec cd mkdir rm cp mv ln ls chmod chown tee find tar zip unzip git docker podman kubectl gcloud gsutil aws az terraform helm iptables ip6tables ip nft route ufw firewall-cmd ssh-keyscan ssh-keygen iptables-restore ping6 ab wrk hey k6 vegeta nginx java tailscale tailscaled cloudflared wg wg-quick openvpn consul vault etcd etcdctl redis-server memcached haproxy envoy traefik caddy dnsmasq unbound named ntpdate chronyd sntp kill pkill at crontab gh jq yq npm yarn pnpm pip go cargo make mvn gradle route arp sysctl mount hostname date sleep true false case for seq xargs iperf iperf3 mtr tracepath uvicorn gunicorn php-fpm celery expr basename dirname ffmpeg ffprobe yt-dlp vlc gst-launch-1.0 kcat kafkacat grpcurl snmpget sipsak")

// bareAddress: an unknown program connects to a public address without a name.
func (s *scan) bareAddress(n *node) {
	if isFamiliar(n.name) || isPackageScript(n) || n.name == "" {
		return
	}
	for _, a := range n.args {
		if len(a) > 200 || strings.ContainsAny(a, " $/") && !strings.Contains(a, "://") {
			continue
		}
		v := a[strings.LastIndexByte(a, '=')+1:]
		h, port := splitHostPort(strings.TrimLeft(v[strings.LastIndexByte(v, '@')+1:], "-abcdefghijklmnopqrstuvwxyz"))
		if u, ok := parseURL(v); ok {
			h, port = u.host, u.port
		}
		if strings.Count(h, ".") == 3 && isIP(h) && kindOfHost(h) == publicHost && (port != "" || strings.Contains(v, "://") || len(n.args) < 6) && !isResolver(h) && !strings.Contains(strings.ToLower(a), "version") {
			s.hit(LateralTool, Suspicious, n.text, "T1095")
			return
		}
	}
}

// isResolver: the public name servers that everybody names by address.
func isResolver(h string) bool {
	return isOneOf(h, "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 208.67.222.222 208.67.220.220")
}

// handsKeys: files that hold keys, given to a program that is not known to log in with them.
func (s *scan) handsKeys(n *node) {
	if usesKeys()[n.name] || language(n.name) != nil || isShell(n.name) || n.captured > 0 && n.inTest {
		return
	}
	for _, a := range n.args {
		v := strings.TrimPrefix(a[strings.LastIndexAny(a, "=@")+1:], "file://")
		if !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "~") || strings.ContainsAny(v, " ;|") {
			continue
		}
		b := path.Base(v)
		if isOneOf(b, "id_rsa id_dsa id_ecdsa id_ed25519 shadow gshadow application_default_credentials.json access_tokens.db") || strings.HasSuffix(v, "/.aws/credentials") || strings.HasSuffix(v, "/serviceaccount/token") && !strings.HasPrefix(a, "-") {
			s.hit(CredentialSearch, Suspicious, n.text, secretTechnique(v))
			return
		}
	}
}

// oddProgram: a program below folders that hold devices, logs or spools, or one
// that calls itself a thread of the kernel (T1036).
func (s *scan) oddProgram(n *node) {
	p := n.path
	if strings.HasPrefix(p, "/dev/") && !strings.HasPrefix(p, "/dev/fd") && !strings.HasPrefix(p, "/dev/tcp") || strings.HasPrefix(p, "/var/log/") || strings.HasPrefix(p, "/var/spool/") || strings.HasPrefix(p, "/sys/") || strings.HasPrefix(p, "/boot/") || strings.HasPrefix(p, "/run/user/") || strings.HasPrefix(p, "/lost+found/") {
		s.hit(TempExecution, Suspicious, n.text, "T1036.005")
	}
	b := strings.Trim(path.Base(p), "[]")
	for _, k := range [...]string{"kworker", "kthreadd", "ksoftirqd", "kdevtmpfs", "migration/", "kswapd", "khelper", "kauditd", "watchdogd", "rcu_sched", "ksmd", "kblockd", "khugepaged", "jbd2"} {
		if strings.HasPrefix(b, k) && b != "" {
			s.hit(TempExecution, Suspicious, n.text, "T1036.004")
			return
		}
	}
}

// stages: what nobody packs for a backup of an application (T1560.001, T1074.001).
func (s *scan) stages(n *node) {
	if !isOneOf(n.name, "tar zip 7z 7za rar cpio bsdtar pax") || n.short('x') || n.short('t') {
		return
	}
	hidden := n.any(func(a string) bool { return isTempPath(a) || isHiddenPath(a) && strings.HasPrefix(a, "/") }) || slices.ContainsFunc(n.to, func(t *node) bool { return isOneOf(t.name, "base64 xxd openssl gpg nc ncat curl split") })
	if hidden && n.any(func(a string) bool {
		return isOneOf(strings.TrimRight(a, "/*"), "/etc /root /home /proc /run/secrets /var/run/secrets /var/log /var/mail /var/spool/cron /root/.ssh /root/.aws ~/.ssh ~/.aws")
	}) {
		s.hit(CredentialSearch, Suspicious, n.text, "T1560.001")
	}
}

// onlyLooks reports whether everything the text does is looking around, with at
// least two of the questions an intruder asks first.
func (s *scan) onlyLooks() bool {
	first := 0
	for _, k := range slices.Compact(slices.Sorted(slices.Values(s.recon))) {
		if isOneOf(k, "id whoami uname env netstat ss ps w who last ip ifconfig /etc/passwd lsof arp getent") {
			first++
		}
	}
	if first < 2 {
		return false
	}
	for _, n := range s.simple {
		if n.path != "" && !isReconTool(n.name) && !isOneOf(n.name, "echo printf cat ls pwd head grep true date sort wc last lastlog") {
			return false
		}
	}
	return len(s.simple) > 1
}
