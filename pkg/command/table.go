package command

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// rule is one line of the table: a command, a condition on its words, and what
// it then is.
type rule struct {
	names      string
	behavior   Behavior
	class      Class
	techniques string
	when       func(n *node) bool
}

// rules are all lines of the table.
func rules() []rule { return slices.Concat(gainRules[:], harmRules[:]) }

func has2(n *node, a, b string) bool {
	for i := 0; i+1 < len(n.args); i++ {
		if n.args[i] == a && n.args[i+1] == b {
			return true
		}
	}
	return false
}

// table applies the rules to one command.
func (s *scan) table(n *node) {
	index := rulesByName()
	for _, list := range [...][]*rule{index[n.name], index["*"]} {
		for _, r := range list {
			if r.when == nil || r.when(n) {
				s.hit(r.behavior, r.class, n.text, strings.Fields(r.techniques)...)
			}
		}
	}
}

// rulesByName finds the rules of a command; "*" are those of every command.
var rulesByName = sync.OnceValue(func() map[string][]*rule {
	index := map[string][]*rule{}
	all := rules()
	for i := range all {
		for name := range strings.FieldsSeq(all[i].names) {
			index[name] = append(index[name], &all[i])
		}
	}
	return index
})

// becomesRoot: sudo that gives a shell rather than running one command.
func becomesRoot(n *node) bool {
	own := n.args
	if w := wrapperOf(n.name); w != nil {
		c := *n
		rest := w.command(&c)
		own = n.args[:len(n.args)-len(rest)]
		if len(rest) > 0 && rest[0] == "su" {
			return !slices.Contains(rest, "-c")
		}
	}
	return slices.ContainsFunc(own, func(a string) bool { return isOneOf(a, "-i -s --login --shell") }) && len(own) == len(n.args) || bareShellLast(n)
}

// bareShellLast: "sudo bash", "sudo -u root /bin/sh".
func bareShellLast(n *node) bool {
	return len(n.args) > 0 && isShell(baseName(n.args[len(n.args)-1])) && !n.has("-c")
}

// setsUID reports whether chmod sets the set-user-id or set-group-id bit of a file.
func setsUID(n *node) bool {
	for _, a := range n.args {
		switch {
		case len(a) == 4 && (a[0] == '4' || a[0] == '6') && strings.Trim(a, "01234567") == "":
			return true
		case strings.HasPrefix(a, "/") || strings.HasPrefix(a, "--"):
		case strings.ContainsAny(a, "+=") && strings.Trim(a, "ugoa+=rwxst,-") == "" && strings.Contains(a, "s") && a[0] != 'g':
			return true
		}
	}
	return false
}

// makesExecutable reports whether chmod sets an execute bit.
func makesExecutable(n *node) bool {
	return n.any(func(a string) bool {
		switch {
		case a == "" || a[0] == '-' || a[0] == '/':
			return false
		case strings.Trim(a, "01234567") == "" && len(a) >= 3 && len(a) <= 4:
			return strings.ContainsAny(a[len(a)-3:], "1357")
		}
		return strings.ContainsAny(a, "+=") && strings.Trim(a, "ugoa+=rwxXst,-") == "" && strings.Contains(a, "x")
	})
}

// isDisk reports whether p is a block device, or the kernel's memory.
func isDisk(p string) bool {
	for _, d := range [...]string{"/dev/sd", "/dev/nvme", "/dev/vd", "/dev/xvd", "/dev/hd", "/dev/mmcblk", "/dev/dm-", "/dev/mapper/", "/dev/loop", "/dev/root", "/dev/disk/"} {
		if strings.HasPrefix(p, d) {
			return true
		}
	}
	return p == "/dev/mem" || p == "/dev/kmem"
}

// isSystemPath reports whether p is a whole directory of the system, or all files in it.
func isSystemPath(p string) bool {
	if p == "" || p == "--no-preserve-root" {
		return p != ""
	}
	base := strings.TrimSuffix(p, "*")
	trimmed := strings.TrimRight(base, "/.")
	if strings.HasPrefix(p, "/") && trimmed == "" {
		return true
	}
	if base != p && !strings.HasSuffix(base, "/") {
		return false
	}
	return isOneOf(trimmed, "/bin /boot /etc /home /lib /lib64 /root /sbin /usr /var /sys /proc /usr/bin /usr/lib /var/lib /dev ~ $HOME /mnt /media /srv /usr/sbin /usr/local /etc/ssl /home/ubuntu /var/lib/mysql /var/lib/postgresql /var/backups /backup /backups")
}

func removesSystem(n *node) bool {
	if n.has("--no-preserve-root") {
		return true
	}
	return (n.short('r') || n.short('R') || n.has("--recursive")) && n.any(isSystemPath)
}

// isSystemLog reports whether p is a log that tells of logins, commands or the system.
func isSystemLog(p string) bool {
	b := path.Base(p)
	return strings.HasPrefix(p, "/var/log/") && (isOneOf(b, "auth.log secure syslog messages wtmp btmp lastlog audit audit.log faillog kern.log cron daemon.log journal maillog utmp") || strings.HasPrefix(p, "/var/log/audit/") || b == "*" && strings.Count(p, "/") == 3) ||
		isOneOf(p, "/var/run/utmp /run/utmp /run/log/journal")
}

func isHistoryFile(p string) bool {
	b := path.Base(p)
	return strings.HasSuffix(b, "_history") && strings.HasPrefix(b, ".") || b == ".histfile" || b == "$HISTFILE"
}

// compiles leaves out the tools' housekeeping.
func compiles(n *node) bool {
	switch n.name {
	case "go":
		return n.has("build", "run", "install")
	case "cargo":
		return n.has("build", "run", "install")
	case "make", "cmake":
		return len(n.args) == 0 || n.has("install", "all", "--build", "-C")
	}
	return len(n.args) > 0 && !n.has("--version", "-v", "-V", "-dumpversion")
}

// minerArguments knows a miner by its options, whatever its name.
func minerArguments(n *node) bool {
	if isOneOf(n.name, "echo grep printf cat pgrep pkill ps sed awk killall") {
		return false
	}
	score := 0
	for i, a := range n.args {
		low := strings.ToLower(a)
		value := a[strings.LastIndexByte(a, '=')+1:]
		switch {
		case containsAny(low, "stratum+tcp://", "stratum+ssl://", "stratum+tls://", "stratum+udp://", "stratum1+", "stratum2+", "stratum://", "daemon+http://"):
			return true
		case strings.HasPrefix(strings.TrimPrefix(low, "./"), "xmr"), containsAny(low, "monero", "hashvault", "nanopool", "2miners", "unmineable", "nicehash", "minexmr", "c3pool", "herominers", "moneroocean", "supportxmr", "f2pool", "poolin."):
			score++
		case strings.HasPrefix(low, "--donate-level") || low == "--nicehash" || low == "--randomx-1gb-pages" || strings.HasPrefix(low, "--cpu-max-threads-hint") || strings.HasPrefix(low, "--cpu-priority") || strings.HasPrefix(low, "--rig-id") || low == "--randomx-no-numa" || strings.HasPrefix(low, "--randomx-"):
			score += 2
		case (low == "-a" || low == "--algo" || low == "--coin") && i+1 < len(n.args) && isCoinAlgorithm(n.args[i+1]), strings.HasPrefix(low, "--algo=") && isCoinAlgorithm(a[7:]), strings.HasPrefix(low, "--coin=") && isCoinAlgorithm(a[7:]):
			score += 2
		case len(value) >= 90 && len(value) < 160 && (value[0] == '4' || value[0] == '8') && allIn(value[:90], isBase58):
			score += 2
		case (low == "-o" || low == "--url" || low == "--pool") && i+1 < len(n.args) && hasPort(n.args[i+1]), strings.HasPrefix(low, "--url=") && hasPort(a), strings.HasPrefix(low, "--pool=") && hasPort(a):
			score++
		case low == "-u" || low == "--user" || low == "--wallet" || strings.HasPrefix(low, "--user="):
			if i+1 < len(n.args) && len(n.args[i+1]) >= 26 && !strings.ContainsAny(n.args[i+1], ":/@ ") {
				score++
			}
		}
	}
	return score >= 2 && n.name != "curl" && n.name != "mysql"
}

func hasPort(a string) bool {
	i := strings.LastIndexByte(a, ':')
	return i > 0 && i+1 < len(a) && len(a)-i <= 6 && strings.Trim(a[i+1:], "0123456789") == ""
}

func isCoinAlgorithm(a string) bool {
	a = strings.ToLower(a)
	return isOneOf(a, "cryptonight randomx ethash etchash kawpow scrypt sha256d equihash x11 x16r autolykos2 verushash argon2/chukwa ghostrider yespower yescrypt monero xmr astrobwt lyra2z minotaurx progpow octopus blake3 beamhash kheavyhash") ||
		strings.HasPrefix(a, "rx/") || strings.HasPrefix(a, "cn/") || strings.HasPrefix(a, "cn-") || strings.HasPrefix(a, "cryptonight") || strings.HasPrefix(a, "argon2")
}
