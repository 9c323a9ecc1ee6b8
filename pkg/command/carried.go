package command

import (
	"path"
	"slices"
	"strings"
)

// carried reads words that hold whole command lines for somebody else to run: a
// start script in the metadata of a machine, the command of a job, a patch of a
// workload. Only what is malicious by itself counts.
func (s *scan) carried(n *node) {
	if isShell(n.name) || isOneOf(n.name, "echo printf grep egrep rg sed awk git gh jq logger eval trap xargs find env sudo timeout nohup curl wget") || language(n.name) != nil {
		return
	}
	for _, a := range n.args {
		if len(a) < 12 || len(a) > maxValue || strings.HasPrefix(a, "$(") || a[0] == '`' || !strings.Contains(a, " ") && !strings.Contains(a, "|") || !containsAny(a, "| sh", "|sh", "| bash", "|bash", "/dev/tcp/", "nc -e", "ncat -e", "-e /bin/", "chmod +x", "base64 -d", "curl ", "wget ") {
			continue
		}
		text := a
		if key, v, ok := strings.Cut(a, "="); ok && isName(strings.NewReplacer("-", "", ".", "").Replace(key)) {
			text = v
			if _, inner, ok := strings.Cut(v, "="); ok && strings.HasPrefix(key, "--") && !strings.HasPrefix(v, "/") {
				text = inner
			}
		}
		c := newScan()
		s.lend(c)
		c.depth, c.decodes = s.depth+1, s.decodes
		if c.depth < maxDepth {
			c.shell(c.take(text), nil)
		}
		r := c.finish()
		s.settle(c)
		for _, h := range r.Hits {
			if h.Class >= Malicious {
				s.hits = append(s.hits, h)
			}
		}
	}
}

// resolved is n with the names of files that stand relative to a folder the
// text changed into, where that folder is one of the system or of the accounts.
func (s *scan) resolved(n *node) *node {
	if s.dir == "" || !isOneOf(n.name, "rm cat shred tar zip cp mv head tail less more base64 strings truncate chmod chown grep tee sed ln find unlink dd ls curl nc wipe gpg openssl xxd") {
		return n
	}
	d := strings.TrimRight(s.dir, "/")
	if d != "" && !isOneOf(d, "/etc /var/log /root /home /proc /var/spool/cron /host /var/lib /usr /usr/bin /bin /boot /var /mnt /srv ~ ~/.ssh ~/.aws /root/.ssh /run/secrets /var/run/secrets") &&
		!strings.HasPrefix(d, "/etc/") && !strings.HasPrefix(d, "/root/") && !strings.HasPrefix(d, "/var/log/") && !strings.HasPrefix(d, "/var/spool/cron/") && !strings.HasPrefix(d, "/var/run/secrets/") && !strings.HasPrefix(d, "/host") {
		return n
	}
	c := *n
	c.args = slices.Clone(n.args)
	for i, a := range c.args {
		if a == "" || strings.ContainsAny(a[:1], "-/$~'\"<(") || strings.ContainsAny(a, " =:@") || i == 0 && isOneOf(n.name, "chmod chown grep sed") {
			continue
		}
		c.args[i] = d + "/" + strings.TrimPrefix(a, "./")
	}
	c.redirs = slices.Clone(n.redirs)
	for i, r := range c.redirs {
		if r.target != "" && !strings.ContainsAny(r.target[:1], "/$~&<(0123456789") && !strings.Contains(r.target, " ") {
			c.redirs[i].target = d + "/" + r.target
		}
	}
	return &c
}

// secretFiles are what patterns such as "/e?c/sh?dow" are tried on.
var secretFiles = [...]string{"/etc/passwd", "/etc/shadow", "/root/.ssh/id_rsa", "/var/run/secrets/kubernetes.io/serviceaccount/token", "/proc/self/environ", "/proc/1/environ"}

// unglob gives the file of secrets that a pattern hides, else the pattern.
func unglob(p string) string {
	if !strings.HasPrefix(p, "/") || !strings.ContainsAny(p, "?[*") || len(p) > 200 {
		return p
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "*" || strings.HasPrefix(part, "*.") || part == "**" {
			return p
		}
	}
	for _, f := range secretFiles {
		if ok, err := path.Match(p, f); err == nil && ok {
			return f
		}
	}
	return p
}

// probes: looking around that is made to travel: the output of a command that
// says who one is, encoded; tools listed to see what is there (T1518); signs of
// a virtual machine (T1497.001).
func (s *scan) probes(n *node) {
	switch n.name {
	case "base64", "xxd", "od", "base32", "md5sum":
		for _, f := range n.from {
			if isOneOf(f.name, "id whoami hostname uname env printenv ifconfig ps") && len(n.to) == 0 && n.captured == 0 && !isDecoder(n) && n.name != "md5sum" {
				s.hit(Recon, Suspicious, pipeText(n), "T1033")
			}
		}
	case "which", "type", "whereis", "command", "hash":
		count := 0
		for _, a := range n.args {
			if isOneOf(a, "nc ncat netcat socat wget curl gcc cc g++ python python2 python3 perl ruby nmap php lua docker kubectl gdb telnet tcpdump socat ssh openssl gcloud aws az git make strace") {
				count++
			}
		}
		if count >= manyRecon && n.captured == 0 && !n.inTest {
			s.hit(Recon, Suspicious, n.text, "T1518")
		}
	case "systemd-detect-virt", "virt-what", "dmidecode", "lshw", "imvirt", "facter":
		if n.captured == 0 {
			s.recon, s.recTx = append(s.recon, n.name), append(s.recTx, n.text)
		}
	case "grep", "egrep":
		if n.argContains("hypervisor", "vmware", "qemu", "virtualbox") {
			s.recon, s.recTx = append(s.recon, "virtual"), append(s.recTx, n.text)
		}
	case "printenv":
		if len(n.args) > 0 && n.any(isSecretVariable) && n.captured == 0 && len(n.to) == 0 && !n.inTest && len(n.redirs) == 0 {
			s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
		}
	case "echo", "printf":
		if len(n.args) > 0 && n.captured == 0 && len(n.to) == 0 && len(n.redirs) == 0 {
			if v, ok := strings.CutPrefix(n.args[len(n.args)-1], "$"); ok && len(n.args) < 3 && isSecretVariable(strings.Trim(v, "{}")) {
				s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
			}
		}
	case "getent":
		if n.has("shadow", "gshadow") {
			s.hit(CredentialSearch, Suspicious, n.text, "T1003.008")
		}
	}
}

func isSecretVariable(name string) bool {
	return isName(name) && containsAny(strings.ToUpper(name), "SECRET", "PASSWORD", "PASSWD", "PRIVATE_KEY", "ACCESS_KEY", "API_KEY", "_TOKEN", "CREDENTIAL")
}
