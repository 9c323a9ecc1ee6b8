package command

import (
	"path"
	"slices"
	"strings"
)

// codeEffects weighs what a line of code does whatever library it uses: whom it
// talks to, what becomes of the files it walks over, what it starts for whoever
// asks. Sources: PayloadsAllTheThings on reverse shells, ATT&CK T1059, T1486.
func (s *scan) codeEffects(f *features, n *node, literals []string) {
	if f.long {
		return
	}
	starts := f.any(f.l.run) || containsAny(f.code, "importsubprocess", ",subprocess", "subprocessas", "getoutput(", "child_process", "proc_open", "`", "qx{", "qx(")
	network := f.any(f.l.connect) || f.any(f.l.fetch) || f.any(f.l.post) || containsAny(f.code, "socket", "ftplib", "Net::FTP", "Net::SMTP", "smtplib", "paramiko", "telnetlib", "dgram", "http", "WebSocket", "urllib", "aiohttp", "fsockopen", "ftp_connect")
	serves := containsAny(f.code, "HTTPServer", "createServer(", "TCPServer", "socketserver", "WEBrick", "Sinatra", "Flask(", "express()", "asyncio.start_server", "HTTP::Daemon")
	walks := containsAny(f.code, "os.walk(", "glob.glob(", ".rglob(", "globglob", "unlinkglob", "readdirSync(", "scandir(", "Dir.glob", "Dir[", "RecursiveDirectoryIterator", "File::Find", "find(")
	for _, fact := range [...]struct {
		is        bool
		behavior  Behavior
		class     Class
		technique string
	}{
		{serves && starts && containsAny(f.code, "headers", ".path", ".url", "query", "params", "rfile", "recv(", "'data'", `"data"`, "request."), BindShell, Malicious, "T1059"},
		{f.l.name == "perl" && containsAny(f.code, "PRIVMSG", "JOIN#") && network, ReverseShell, Malicious, "T1071"},
		{walks && containsAny(f.code, "'.enc'", `".enc"`, ".locked", ".crypt", "^0x", "x^", "^k", "encrypt") && f.any(codeWrites[:]), Destruction, Malicious, "T1486"},
		{walks && f.any(codeRemoves[:]) && slices.ContainsFunc(literals, holdsData) || containsAny(f.code, "unlinkglob") && slices.ContainsFunc(literals, holdsData), Destruction, Suspicious, "T1485"},
		{containsAny(f.code, "storbinary(", "storlines(", "ftp_put(", ".putbinaryfile(", ".sendmail(", ".send_message("), Exfiltration, Suspicious, "T1048.003"},
		{network && containsAny(f.code, "environ", "process.env", "ENV.", "%ENV", "getenv(") && containsAny(f.code, "dumps(", "stringify(", "b64encode(", "base64", "urlencode(", "str(", "to_json", "sendto(", ".send("), Exfiltration, Suspicious, "T1048"},
		{containsAny(f.code, "range(1,25", "<255", "<256", "<=254", "<=255", "1..254", "range(1,102", "range(1,655", "<65536", "<1025", "1..1024", "1..65535") && network, PortScan, Suspicious, "T1046"},
		{containsAny(f.code, "connect_ex(", ".connect(") && containsAny(f.code, "forpin", "forportin", "foripin", "forhin", "forhostin", "forxin", "foriin") && network && containsAny(f.code, "==0", "print(", "except"), PortScan, Suspicious, "T1046"},
		{f.any(codeIncludes[:]) && slices.ContainsFunc(literals, isDotenv) && containsAny(f.code, "print", "echo", "dump", "var_export", "get_defined"), CredentialSearch, Suspicious, "T1552.001"},
		{containsAny(f.code, "pty.fork(", "os.forkpty(", "os.setsid(") && network, ReverseShell, Suspicious, "T1059.006"},
		{containsAny(f.code, "os.dup2(", "dup2(") && network, ReverseShell, Malicious, "T1059.006"},
		{containsAny(f.code, "mmap(") && containsAny(f.code, "PROT_EXEC", "CFUNCTYPE", "ctypes"), TempExecution, Malicious, "T1620"},
		{containsAny(f.code, "ctypes.") && containsAny(f.code, "mount(", "setns(", "unshare(", "prctl(", "init_module"), PrivilegeEscalation, Suspicious, "T1068"},
		{containsAny(f.code, "setns(", "os.setns", "chroot("), ContainerEscape, Suspicious, "T1611"},
		{containsAny(f.code, "AF_UNIX", "UNIXSocket", "socketPath", "unix://") && containsAny(f.code, "docker.sock", "containerd.sock", "crio.sock", "podman.sock"), ContainerEscape, Malicious, "T1611"},
		{containsAny(f.code, "setproctitle(", "$0='[", `$0="[`, "prctl(15", "process.title="), TempExecution, Suspicious, "T1036.004"},
		{evalsFetched(f), DownloadAndExecute, Malicious, "T1105"},
	} {
		if fact.is {
			s.hit(fact.behavior, fact.class, n.text, fact.technique)
		}
	}
	if !network {
		return
	}
	for _, q := range literals {
		h, _ := splitHostPort(q)
		if len(q) < 64 && strings.Count(h, ".") == 3 && isIP(h) && kindOfHost(h) == publicHost && !isResolver(h) {
			s.hit(LateralTool, Suspicious, n.text, "T1095")
		}
	}
}

var codeIncludes = [...]string{"include", "require", "open(", "readFile", "file_get_contents(", "File.read", "load("}

// evalsFetched: what a request brings is given to eval, whatever stands between.
func evalsFetched(f *features) bool {
	fetches := f.any(f.l.fetch) || containsAny(f.code, "urlopen", "requests.get", "fetch(", "http.get", "https.get", "http').get", "https').get", "LWP::Simple", "HTTP::Tiny", "URI.open", "Net::HTTP", "file_get_contents(\"http", "file_get_contents('http", "urllib.request")
	code := strings.NewReplacer("re.compile(", "", "os.exec", "", "child_process.exec(", "", ".exec(", "").Replace(f.code)
	return fetches && containsAny(code, "exec(", "eval(", "eval$", "evalget", "Function(", "vm.runIn", "compile(", "instance_eval", "loadstring(", "load(")
}

// holdsData reports whether a path lies where applications keep what cannot be
// made again.
func holdsData(p string) bool {
	return containsAny("^"+p, "^/var/lib/", "^/data", "^/backup", "^/home", "^/srv", "^/var/backups", "^/mnt", "^/var/www", "^/app/data", "^/uploads") || isSystemPath(p)
}

// plantsCode weighs text added to the source of an application, to the libraries
// it loads, or to what builds it (T1554, T1195.002).
func (s *scan) plantsCode(p, text string, n *node) {
	if text == "" {
		return
	}
	ext := path.Ext(p)
	builds := containsAny(p, ".github/workflows/", ".gitlab-ci", "Jenkinsfile", ".circleci/", "bitbucket-pipelines", "cloudbuild.yaml")
	if builds && containsAny(text, "curl", "wget", "secrets", "base64", "/dev/tcp") {
		s.hit(Persistence, Suspicious, pipeText(n), "T1195.002")
	}
	if !isOneOf(ext, ".js .mjs .cjs .ts .py .rb .php .pl .lua .pth .json .toml .cfg .mk .gradle .html .htaccess .ini .conf .service") || isTempPath(p) {
		return
	}
	bad := false
	for _, q := range stringLiterals(text, 12) {
		bad = bad || s.readsBad(q)
	}
	low := squeeze(text)
	if bad || containsAny(low, "child_process", "os.system(", "subprocess.", "shell_exec(", "passthru(", "eval(", "auto_prepend_file=", "exec(") && (strings.HasPrefix(p, "/app") || containsAny(p, "node_modules/", "-packages/", "/www", "/html")) && containsAny(low, "http", "curl", "wget", "base64", "$_", "socket") {
		s.hit(Persistence, Suspicious, pipeText(n), "T1554")
	}
}
