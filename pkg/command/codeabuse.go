package command

import (
	"path"
	"slices"
	"strings"
)

// codeAbuse weighs what a line of code is mostly written for when somebody got
// in through an application: what the environment holds, who the accounts are,
// functions called by a name that is hidden, everything encrypted or ended.
// Sources: PayloadsAllTheThings on code injection, GTFOBins, ATT&CK T1059.
func (s *scan) codeAbuse(f *features, n *node, literals []string) {
	if f.long {
		return
	}
	runs, writes := f.any(f.l.run), f.any(codeWrites[:])
	for _, fact := range [...]struct {
		is        bool
		behavior  Behavior
		class     Class
		technique string
	}{
		{containsAny(f.code, "print(os.environ)", "print(dict(os.environ", "console.log(process.env)", "console.log(JSON.stringify(process.env", "print_r(getenv())", "var_dump(getenv())", "print_r($_ENV", "print_r($_SERVER", "putsENV.to_h", "pENV.to_h", "keys%ENV", "phpinfo()"), CredentialSearch, Suspicious, "T1552.001"},
		{containsAny(f.code, "get_credentials()", "list_secret_for_all", "list_namespaced_secret", "list_secrets(") || strings.Contains(f.code, "google.auth.default(") && strings.Contains(f.code, ".token"), CredentialSearch, Suspicious, "T1552.005"},
		{containsAny(f.code, "getpwall(", "Etc.passwd", "getpwent"), Recon, Suspicious, "T1087.001"},
		{containsAny(f.code, "pynput", "keyboard.Listener", "evdev.InputDevice", "pyxhook"), CredentialSearch, Suspicious, "T1056.001"},
		{containsAny(f.code, "os.kill(-1", "kill9,-1", "kill(-1,", "process.kill(-1"), Destruction, Malicious, "T1489"},
		{containsAny(f.code, ".kill(", "os.kill(", ".terminate(") && containsAny(f.code, guardNames[:]...), LogTampering, Malicious, "T1562.001"},
		{containsAny(f.code, "privileged=True", "pid_mode='host'", "Privileged:true"), ContainerEscape, Malicious, "T1611"},
		{containsAny(f.code, "!!python/object", "UnsafeLoader", "node-serialize", "Marshal.load(", "yaml.unsafe_load"), EncodedPayload, Suspicious, "T1059"},
		{containsAny(f.code, "Fernet(", "AES.new(", ".encrypt(", "createCipheriv(", "openssl_encrypt(") && containsAny(f.code, "glob", "walk(", "readdirSync(", "scandir(", "Dir[", "RecursiveDirectoryIterator") && writes, Destruction, Malicious, "T1486"},
		{containsAny(f.code, "mainModule.require(", "constructor.constructor(", "process.binding(", "__subclasses__()", "__globals__", "__builtins__["), InteractiveShell, Suspicious, "T1059"},
		{containsAny(f.code, "include('http", `include("http`, "require('http://", "require_once('http", "include('php://", "include('data:", "eval(file_get_contents('php://", "php://input", "eval('?>'"), DownloadAndExecute, Malicious, "T1105"},
		{containsAny(f.code, "array_map('system", "ReflectionFunction('", "array_filter(", "usort(") && containsAny(f.code, "'system'", "'exec'", "'passthru'", "'shell_exec'", "'assert'"), EncodedPayload, Suspicious, "T1027.010"},
		{f.l.name == "php" && f.any(f.l.decode) && callsVariable(f.code), EncodedPayload, Malicious, "T1027.010"},
		{containsAny(f.code, "putenv('LD_PRELOAD", `putenv("LD_PRELOAD`, "environ['LD_PRELOAD"), PrivilegeEscalation, Suspicious, "T1574.006"},
		{containsAny(f.code, "1..254", "1..255", "range(1,25", "range(255)", "range(254)", "range(256)") && (runs || f.any(f.l.connect)) && containsAny(f.code, "ping", "connect", "nc-"), PortScan, Suspicious, "T1046"},
		{containsAny(f.code, "highlight_file(", "show_source(", "readfile(") && containsAny(f.code, "config", "passwd", ".env", ".ssh"), CredentialSearch, Suspicious, "T1552.001"},
		{runs && slices.ContainsFunc(literals, func(q string) bool { return isOneOf(q, "id whoami env uname hostname ifconfig ps printenv") }), Recon, Suspicious, "T1033"},
		{runs && f.any(f.l.post) && dialsOut(f.raw) && containsAny(f.code, "POST", "post("), Exfiltration, Suspicious, "T1048"},
	} {
		if fact.is {
			s.hit(fact.behavior, fact.class, n.text, fact.technique)
		}
	}
	if containsAny(f.code, "pickle.loads(", "cPickle.loads(", "marshal.loads(", "unserialize(", "yaml.load(") && f.any(f.l.decode) {
		s.hit(EncodedPayload, Malicious, n.text, "T1059.006")
	}
	if n.short('i') && f.any(codeDoors[:]) && n.any(func(a string) bool { return isOneOf(path.Ext(a), ".php .js .py .jsp .html .rb") }) {
		s.hit(Persistence, Malicious, n.text, "T1505.003")
	}
	for _, u := range findURLs(f.raw, 8) {
		if isIP(u.host) && kindOfHost(u.host) == publicHost && !isResolver(u.host) {
			s.hit(Download, Suspicious, n.text, "T1105")
		}
	}
}

// codeDoors are words of code that runs what it is sent.
var codeDoors = [...]string{"eval(", "$_COOKIE", "$_POST", "$_GET", "$_REQUEST", "system(", "child_process", "<script"}

// callsVariable reports whether a function is called whose name is in a variable: "$x(".
func callsVariable(code string) bool {
	for i := strings.IndexByte(code, '$'); i >= 0; {
		j := i + 1
		for j < len(code) && isWordByte(code[j]) {
			j++
		}
		if j > i+1 && j < len(code) && code[j] == '(' {
			return true
		}
		next := strings.IndexByte(code[j:], '$')
		if next < 0 {
			return false
		}
		i = j + next
	}
	return false
}

// weakDoors are parts of the paths by which servers are taken over: consoles that
// deploy, endpoints that tell or change the configuration, well-known holes (T1210).
var weakDoors = [...]string{
	"/manager/text/deploy", "/manager/html/upload", "/wls-wsat/", "/ws/v1/cluster/apps", "/actuator/env", "/actuator/heapdump", "/actuator/gateway", "/actuator/jolokia", "/jolokia/exec",
	"/wd/hub/session", "/cgi-bin/luci/", "/_search?q=pass", "/invoker/", "/vendor/phpunit/", "/boaform/", "/gponform/", "/setup.cgi", "/druid/indexer/v1/sampler", "/geoserver/wfs", "/dataimport?command",
	"/.git/config", "/.aws/credentials", "/_config/query_servers", "/v1/submissions/create", "/functionrouter", "/api/v1/validate/code", "/solr/admin/cores?action=create", "/securityrealm/", "/descriptorbyname/",
}

// takesOver weighs requests to such paths.
func (s *scan) takesOver(n *node, u url) {
	p := strings.ToLower(u.path)
	if containsAny(p, weakDoors[:]...) || strings.Contains(p, "/cgi-bin/") && strings.ContainsAny(p, "$`;|") {
		s.hit(LateralTool, Suspicious, n.text, "T1210")
	}
}
