package command

import (
	"path"
	"strings"
)

// databaseTexts are the statements given to a database client on its command
// line or its standard input.
func (n *node) databaseTexts() []string {
	texts := n.opt("-e", "--execute", "-c", "--command", "--eval", "--query", "-q", "-Q")
	switch n.name {
	case "sqlite3", "redis-cli", "valkey-cli", "keydb-cli", "duckdb":
		texts = append(texts, strings.Join(n.args, " "))
	}
	if n.hasStdin {
		texts = append(texts, n.stdin)
	}
	for _, f := range n.from {
		if f.name == "echo" || f.name == "printf" {
			texts = append(texts, strings.Join(f.args, " "))
		}
	}
	return texts
}

// database weighs what database clients are told to do beyond data: to run
// programs, to read and write files of the server, to give away its accounts,
// to drop everything. Sources: GTFOBins (mysql, psql, sqlite3, redis), HackTricks
// on pentesting these servers, ATT&CK T1505.001, T1485, T1555.
func (s *scan) database(n *node) {
	switch n.name {
	case "mysql", "mariadb", "psql", "sqlite3", "mongo", "mongosh", "redis-cli", "valkey-cli", "keydb-cli", "sqlcmd", "cqlsh", "sqlplus", "duckdb", "clickhouse-client", "isql", "usql", "pgcli", "mycli":
	default:
		return
	}
	for _, t := range n.databaseTexts() {
		if len(t) < 4 || len(t) > maxValue || !s.scans(t) {
			continue
		}
		low := strings.ToLower(t)
		s.serverPrograms(n, t, low)
		s.serverAccounts(n, low)
		s.drops(n, low)
		if strings.HasPrefix(n.name, "redis") || n.name == "valkey-cli" || n.name == "keydb-cli" {
			s.redis(n, low)
		}
	}
}

func (s *scan) serverPrograms(n *node, t, low string) {
	switch {
	case containsAny(low, "to program", "from program", "sys_exec(", "sys_eval(", "xp_cmdshell", "\\! ", ".shell ", ".system ", "dbms_scheduler", "executable('", "soname '"):
		s.hit(InteractiveShell, Suspicious, n.text, "T1059.004")
		for _, q := range stringLiterals(t, 8) {
			s.tentativeShell(q)
		}
	case containsAny(low, "into outfile", "into dumpfile", "lo_export(", "writefile("):
		s.hit(Persistence, Suspicious, n.text, "T1505.003")
	case containsAny(low, "load_file('/", "pg_read_file('/", "pg_read_file(", "readfile('/", "lo_import('/etc", "pg_ls_dir(", "from '/etc/", "infile '/etc/", "utl_file"):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	case strings.Contains(low, "load_extension(") && strings.Contains(low, "/"):
		s.hit(PrivilegeEscalation, Suspicious, n.text, "T1574.006")
	}
}

// serverAccounts: the hashes of the server's own accounts, tables of users with
// their passwords, the stores of browsers.
func (s *scan) serverAccounts(n *node, low string) {
	if containsAny(low, "authentication_string", "pg_shadow", "pg_authid", "rolpassword", "password_hash from", "sql_logins", "system.users.find", "login data", "cookies.sqlite", "moz_logins") ||
		strings.Contains(low, "from mysql.user") && containsAny(low, "password", "*") ||
		strings.Contains(low, "select") && strings.Contains(low, " from ") && containsAny(low[:strings.Index(low, " from ")], "password", "passwd", "api_key", "credit_card", "card_number", "ssn", "secret") {
		s.hit(CredentialSearch, Suspicious, n.text, "T1555")
	}
}

// drops: a whole database goes, and none takes its place.
func (s *scan) drops(n *node, low string) {
	drops := containsAny(low, "drop database", "drop schema", "dropdatabase()", "drop table if exists users", "drop keyspace")
	if drops && !containsAny(low, "create ", "test", "tmp", "if exists") {
		s.hit(Destruction, Suspicious, n.text, "T1485")
	}
	if containsAny(low, "flushall", "flushdb") && n.any(isIP) {
		s.hit(Destruction, Suspicious, n.text, "T1485")
	}
}

// redis: a server is made to write its data where they are run or believed.
func (s *scan) redis(n *node, low string) {
	switch {
	case strings.Contains(low, "config set dir") && containsAny(low, "/.ssh", "/cron", "/www", "/html", "/etc", "/root", "/home", "/webapps"),
		strings.Contains(low, "dbfilename") && containsAny(low, "authorized_keys", ".php", ".so", ".jsp", "dbfilename root", "dbfilename crontab", ".sh"):
		s.hit(Persistence, Malicious, n.text, "T1098.004", "T1053.003")
	case strings.Contains(low, "module load"), containsAny(low, "io.popen", "package.loadlib", "os.execute"):
		s.hit(InteractiveShell, Suspicious, n.text, "T1059.011")
	case containsAny(low, "slaveof ", "replicaof ") && n.any(func(a string) bool { return isIP(a) && kindOfHost(a) == publicHost }):
		s.hit(LateralTool, Suspicious, n.text, "T1021.004")
	}
}

// isBrowserStore reports whether p is where a browser or a keyring keeps passwords and cookies.
func isBrowserStore(p string) bool {
	return isOneOf(path.Base(p), "logins.json key4.db key3.db cookies.sqlite signons.sqlite") || containsAny(p, "/Login Data", "/.mozilla/firefox", "google-chrome/Default", "chromium/Default", ".local/share/keyrings/", "/.password-store", "/.electrum", "/.bitcoin", "/.ethereum/keystore", "/.config/solana", "metamask")
}
