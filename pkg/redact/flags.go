package redact

import (
	"path"
	"strings"
	"unicode/utf8"
)

// flagKind is what follows a command-line flag.
type flagKind int

const (
	plainFlag   flagKind = iota
	secretFlag           // the next word is a secret
	userFlag             // the next word is user:password
	percentFlag          // the next word is user%password
)

// flagOf says what follows the flag ("-p", "--password") of the tool, the base
// name of the program it belongs to or "".
func flagOf(tool, flag string) flagKind {
	if strings.IndexByte(flag, '=') >= 0 {
		return plainFlag // the rules for assignments see it
	}
	switch flag {
	case "-u", "-U", "--user", "--proxy-user":
		switch tool {
		case "smbclient", "rpcclient", "smbget":
			return percentFlag
		case "docker", "podman", "sudo", "su", "chown", "install", "setpriv", "crictl", "runuser", "psql":
			return plainFlag
		}
		return userFlag
	case "-p":
		switch tool {
		case "sshpass", "mongo", "mongosh", "mongodump", "mongorestore", "hydra", "nxc", "netexec", "crackmapexec", "evil-winrm", "steghide", "openstego":
			return secretFlag
		case "docker login", "podman login", "helm login", "crane login", "skopeo login", "oras login":
			return secretFlag
		}
		return plainFlag
	case "-a":
		if tool == "redis-cli" {
			return secretFlag
		}
		return plainFlag
	case "-w":
		if strings.HasPrefix(tool, "ldap") {
			return secretFlag
		}
		return plainFlag
	case "-P":
		switch tool {
		case "sqlcmd", "bcp", "osql", "isql", "unzip", "zip":
			return secretFlag
		}
		return plainFlag
	case "-A", "-X":
		if strings.HasPrefix(tool, "snmp") {
			return secretFlag
		}
		return plainFlag
	case "-k", "-K":
		if tool == "openssl" {
			return secretFlag
		}
		return plainFlag
	}
	if tool == "gcloud" && (flag == "--secret" || strings.HasSuffix(flag, "-secrets")) {
		return plainFlag // the name of a secret
	}
	switch classify(flag) {
	case secretName, tokenName:
		return secretFlag
	case authName, cookieName:
		return plainFlag // header rules see them
	}
	if flag == "--auth" || flag == "--key" && tool == "apikey" {
		return secretFlag
	}
	return plainFlag
}

// attached says how many bytes of a word are the flag to which the tool's
// password is attached, as in mysql -pSECRET; 0 when there is none.
func attached(tool, word string) int {
	if len(word) < 3 || !strings.HasPrefix(word, "-p") {
		return 0
	}
	switch tool {
	case "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mariadb", "mariadb-dump", "mariadb-admin", "mycli", "sshpass", "7z", "7za", "7zr":
		return 2
	}
	return 0
}

// toolAfter returns the tool that words after word belong to.
func toolAfter(tool, word string) string {
	if word == "login" {
		switch tool {
		case "docker", "podman", "helm", "crane", "skopeo", "oras":
			return tool + " login"
		}
	}
	base := path.Base(word)
	switch base {
	case "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mariadb", "mariadb-dump", "mariadb-admin", "mycli",
		"sshpass", "7z", "7za", "7zr", "mongo", "mongosh", "mongodump", "mongorestore", "hydra", "nxc", "netexec", "crackmapexec",
		"evil-winrm", "steghide", "openstego", "docker", "podman", "helm", "crane", "skopeo", "oras", "redis-cli", "sqlcmd", "bcp", "osql", "isql", "unzip",
		"zip", "openssl", "smbclient", "rpcclient", "smbget", "sudo", "su", "chown", "install", "setpriv", "crictl", "runuser",
		"psql", "gcloud", "curl", "wget", "ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami", "ldapdelete", "ldappasswd",
		"snmpwalk", "snmpget", "snmpset", "snmpbulkwalk", "htpasswd":
		return base
	}
	return tool
}

// flags masks the values of command-line flags in a text.
func (f *finder) flags() {
	s := f.text
	if !strings.Contains(s, " -") && !strings.HasPrefix(s, "-") && !strings.Contains(s, "\t-") && !strings.Contains(s, "\n-") && !strings.Contains(s, " set ") && !strings.ContainsAny(s, "\"'") {
		return
	}
	tool, before, last := "", "", "" // the two words before
	names := 0                       // words until the password of htpasswd
	for i := 0; i < len(s); {
		if flagGap(s[i]) {
			if strings.IndexByte(";|&\n(", s[i]) >= 0 {
				tool, names = "", 0
			}
			i++
			continue
		}
		end := i
		for end < len(s) && !flagGap(s[end]) {
			end++
		}
		w := s[i:end]
		if w[0] != '-' {
			tool = toolAfter(tool, w)
			if last == "set" && (before == "configure" || before == "config") && settingOf(w) {
				f.flagValue(secretFlag, end)
			}
			if names > 0 {
				if names--; names == 0 {
					f.flagValue(secretFlag, end)
				}
			}
			before, last = last, w
			i = end
			continue
		}
		if n := attached(tool, w); n > 0 {
			if from, to := value(s, i+n, 0); !harmless(s[from:to]) {
				f.mask(from, to)
			}
		}
		f.flagValue(flagOf(tool, w), end)
		if tool == "htpasswd" && w[1:] != "" && w[1] != '-' {
			names = htpasswdNames(w, names)
		}
		i = end
	}
}

// htpasswdNames is how many words stand before the password that "htpasswd -b
// FILE USER PASSWORD" or "htpasswd -nb USER PASSWORD" takes from its arguments.
func htpasswdNames(flag string, names int) int {
	batch, shown := strings.Contains(flag, "b"), strings.Contains(flag, "n")
	switch {
	case batch && shown, names > 0 && shown:
		return 1
	case batch:
		return 2
	}
	return names
}

// settingOf reports whether the key of "aws configure set KEY VALUE" or "npm
// config set //HOST/:KEY VALUE" is that of a secret.
func settingOf(key string) bool {
	switch classify(key[strings.LastIndexAny(key, "/:.")+1:]) {
	case secretName, tokenName:
		return true
	}
	return false
}

// flagValue masks the word after a flag that ends at end.
func (f *finder) flagValue(kind flagKind, end int) {
	s := f.text
	if kind == plainFlag || end >= len(s) {
		return
	}
	p := end
	// In a printed argument vector quotes and commas stand between the words.
	for p < len(s) && p < end+6 && strings.IndexByte(" \t\"',", s[p]) >= 0 {
		if (s[p] == '"' || s[p] == '\'') && p > end {
			break
		}
		p++
	}
	if p == end || p >= len(s) || s[p] == '-' {
		return
	}
	open := byte(0)
	if s[end] == '"' || s[end] == '\'' {
		open = s[end]
		if s[p] == open {
			open = 0
		}
	}
	from, to := value(s, p, open)
	lo, hi := secretPart(kind, s[from:to])
	if lo < hi {
		f.mask(from+lo, from+hi)
	}
}

// secretPart finds the secret v[lo:hi] in the value of a flag.
func secretPart(kind flagKind, v string) (lo, hi int) {
	sep := ":"
	switch kind {
	case plainFlag:
		return 0, 0
	case secretFlag:
		// OpenSSL's password arguments say where the password is.
		if rest, ok := strings.CutPrefix(v, "pass:"); ok && !harmless(rest) {
			return len("pass:"), len(v)
		}
		if harmless(strings.TrimPrefix(v, "pass:")) || strings.HasPrefix(v, "env:") || strings.HasPrefix(v, "file:") {
			return 0, 0
		}
		return 0, len(v)
	case percentFlag:
		sep = "%"
	}
	i := strings.Index(v, sep)
	if i <= 0 || v[0] == '$' || harmless(v[i+1:]) || strings.HasPrefix(v[i:], "://") {
		return 0, 0
	}
	if digitsOnly(v[:i]) && digitsOnly(v[i+1:]) { // uid:gid
		return 0, 0
	}
	return i + 1, len(v)
}

func flagGap(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ';', '|', '&', '(', ')', '"', '\'', '`', ',', '[', ']', '{', '}':
		return true
	}
	return false
}

// maskArgs masks the arguments that are secret because of the one before
// them, or because of the program. argv is not changed.
func maskArgs(argv []string) []string {
	out := make([]string, len(argv))
	copy(out, argv)
	tool := ""
	for i, arg := range argv {
		if out[i] == Mask || arg == "" {
			continue
		}
		if arg[0] != '-' {
			tool = toolAfter(tool, arg)
			continue
		}
		if n := attached(tool, arg); n > 0 && !harmless(arg[n:]) {
			out[i] = arg[:n] + Mask
			continue
		}
		if name, v, found := strings.Cut(arg, "="); found {
			if tool == "gcloud" && (name == "--secret" || strings.HasSuffix(name, "-secrets")) {
				continue
			}
			if k := classify(name); (k == secretName || k == tokenName) && !harmless(v) && !digitsOnly(v) {
				out[i] = name + "=" + Mask
			}
			continue
		}
		if i+1 >= len(argv) || strings.HasPrefix(argv[i+1], "--") {
			continue
		}
		next := argv[i+1]
		lo, hi := secretPart(flagOf(tool, arg), next)
		if lo < hi && (next[0] != '-' || len(next) > 3) {
			out[i+1] = next[:lo] + Mask
		}
	}
	return out
}

// quote quotes an argument as a POSIX shell would need it.
func quote(arg string) string {
	if arg == "" {
		return "''"
	}
	bare := true
	for _, c := range []byte(strings.ReplaceAll(arg, Mask, "x")) {
		if c < utf8.RuneSelf && !nameByte(c) && strings.IndexByte("/:=@%+,", c) < 0 {
			bare = false
			break
		}
	}
	if bare {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
