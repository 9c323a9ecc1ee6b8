package command

import "strings"

// Words by which code is known to write files, to remove them, and to give what
// it finds to somebody.
var (
	codeWrites  = [...]string{".write(", "writeFile", "appendFile", "file_put_contents(", "File.write", "fwrite(", "write_text(", "'w')", `"w")`, "'a')", `"a")`, "copyfile(", "shutil.copy", "os.symlink(", "os.rename(", "'>", `">`}
	codeRemoves = [...]string{"rmtree(", "os.remove(", "os.unlink(", "unlink(", "unlinkglob(", "rmSync(", "rm_rf(", "rm_r(", "FileUtils.rm", "rmdir(", "remove_dir_all", ".unlink()"}
)

// codeFacts weighs what a line of code does to the system itself, by the same
// places and settings that commands are weighed by.
func (s *scan) codeFacts(f *features, n *node, literals []string) {
	if f.long {
		return
	}
	writes, removes := f.any(codeWrites[:]), f.any(codeRemoves[:])
	for _, q := range literals {
		q = strings.TrimLeft(q, "<>+ ") // Perl opens '>>/etc/x'
		if len(q) > 200 || !strings.HasPrefix(q, "/") && !strings.HasPrefix(q, "~") {
			continue
		}
		if pl, ok := placeOf(q); writes && ok && pl.technique != "T1505.003" {
			s.hit(pl.behavior, max(pl.class, Suspicious), n.text, pl.technique)
		}
		switch {
		case !removes:
		case isSystemLog(q) || isAllLogs(q) || strings.HasPrefix(q, "/var/log/") && strings.Contains(q, ".log"):
			s.hit(LogTampering, Suspicious, n.text, "T1070.002")
		case isHistoryFile(q):
			s.hit(HistoryDisabled, Suspicious, n.text, "T1070.003")
		case isSystemPath(q) && containsAny(f.code, "rmtree(", "walk(", "rmSync(", "rm_rf(", "rm_r(", "glob("):
			s.hit(Destruction, Malicious, n.text, "T1485")
		}
	}
	s.codePrivileges(f, n)
	s.codeMemory(f, n)
	s.codeNetwork(f, n, literals)
}

// codePrivileges: set-user-id bits, and the environment searched for secrets.
func (s *scan) codePrivileges(f *features, n *node) {
	if containsAny(f.code, "chmod(", "chmod0", "chmod 0") && containsAny(f.code, "0o4755", "04755", "0o6755", "06755", "0o4777", "04777", "S_ISUID") {
		s.hit(PrivilegeEscalation, Malicious, n.text, "T1548.001")
	}
	if containsAny(f.code, "os.environ.items()", "inos.environ", "Object.entries(process.env)", "Object.keys(process.env)", "ENV.select", "ENV.each") && containsAny(strings.ToUpper(f.code), "KEY", "SECRET", "TOKEN", "PASS") && containsAny(strings.ToUpper(f.raw), "'KEY", `"KEY`, "SECRET", "TOKEN", "PASS", "/KEY") {
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	}
	if f.l.name == "php" && containsAny(f.code, "$_GET", "$_POST", "$_REQUEST", "$_COOKIE", "HTTP_") && (f.any(f.l.run) || f.any(f.l.eval) || containsAny(f.code, "@$", "='assert'", `="assert"`)) {
		s.hit(Persistence, Malicious, n.text, "T1505.003")
	}
}

// codeMemory: code loaded without a file, other processes taken over, objects
// that run when they are read, and processes without end (T1620, T1055, T1499).
func (s *scan) codeMemory(f *features, n *node) {
	switch {
	case containsAny(f.code, "memfd_create", "syscall(319", "syscall319", "CFUNCTYPE(", "fexecve(", "dlopen(\"/tmp", "dlopen('/tmp"), strings.Contains(f.code, "CDLL('/tmp"), strings.Contains(f.code, `CDLL("/tmp`):
		s.hit(TempExecution, Malicious, n.text, "T1620")
	case containsAny(f.code, "ptrace(", "process_vm_writev", "process_vm_readv"):
		s.hit(PrivilegeEscalation, Suspicious, n.text, "T1055.008")
	case strings.Contains(f.code, "pickle.loads(") && containsAny(f.code, "system", "posix", "subprocess", "__reduce__"), strings.Contains(f.code, "unserialize(") && containsAny(f.code, "system", "phar:"):
		s.hit(EncodedPayload, Malicious, n.text, "T1059.006")
	case containsAny(f.code, "system(pack(", "exec(pack(", "evalpack", "eval(pack(", "evalunpack", "eval(unpack", "system(pack"):
		s.hit(EncodedPayload, Malicious, n.text, "T1027.010", "T1140")
	case containsAny(f.code, "forkwhile", "while(1){fork", "whileTrue:os.fork()", "while1:os.fork()", "loop{fork", "fork()while"):
		s.hit(Destruction, Malicious, n.text, "T1499")
	}
}

// codeNetwork: libraries that listen to the wire or act on other machines, and
// names looked up for what is in them.
func (s *scan) codeNetwork(f *features, n *node, literals []string) {
	switch {
	case strings.Contains(f.code, "sniff(") || containsAny(f.code, "AF_PACKET", "SOCK_RAW", "pcap."):
		s.hit(Recon, Suspicious, n.text, "T1040")
	case containsAny(f.code, "exec_command(", "Net::SSH.start(", "paramiko.SSHClient(", "fabric.Connection("):
		s.hit(LateralTool, Suspicious, n.text, "T1021.004")
	case containsAny(f.code, "Telnet('", `Telnet("`) && dialsOut(f.raw):
		s.hit(LateralTool, Suspicious, n.text, "T1095")
	case containsAny(f.code, "gethostbyname(", ".resolve(", ".lookup(", "getaddrinfo(", "dns_get_record(", "gethostbyaddr(") && strings.Contains(f.code, "+") && containsAny(f.code, "open(", "hostname()", "environ", "getuser(", "readFile", "process.env", "uname(", "b32encode", "hexlify", "toString('hex'"):
		s.hit(Exfiltration, Suspicious, n.text, "T1048.003")
	}
	if containsAny(f.code, "exec_command(", ".execute(") {
		for _, q := range literals {
			if strings.Contains(q, " ") {
				s.tentativeShell(q)
			}
		}
	}
}
