package command

import "strings"

// lang describes an interpreter: which options carry code, and the words by
// which its code is known. Texts are compared without blanks.
type lang struct {
	name string
	// options carry code in the next word.
	options string
	// technique of running code in it.
	technique string
	connect   []string // opens a connection
	listen    []string // waits for one
	dup       []string // puts a connection in the place of the standard streams
	receive   []string // reads from a connection
	run       []string // starts a program
	pty       []string // starts a program on a terminal
	fetch     []string // gets something over HTTP
	post      []string // sends something
	eval      []string // runs text as code
	decode    []string // decodes text
	uid       []string // becomes another user
}

// langs are the interpreters. It is never written.
var langs = [...]lang{
	{
		name: "python", options: "-c", technique: "T1059.006",
		connect: []string{".connect((", ".connect_ex((", "create_connection(", ".connect("}, listen: []string{".listen(", "TCPServer(", "HTTPServer(", "UDPServer(", "ThreadingTCPServer("},
		dup: []string{"dup2"}, receive: []string{"recv(", ".makefile(", "rfile", ".path[", ".path.", "headers.get(", "parse_qs("},
		run:   []string{"subprocess.", "os.system(", ".popen(", ".system(", "Popen(", "os.exec", "commands.getoutput", "os.spawn", "check_output(", "pty.spawn(", "system(", `("subprocess")`, "('subprocess')", `("pty")`, "('pty')"},
		pty:   []string{"pty.spawn("},
		fetch: []string{"urlopen(", "urlretrieve(", "requests.get(", "httpx.get(", "http.client", "HTTPConnection(", "HTTPSConnection(", "wget.download(", "URLopener(", "requests.request("},
		post:  []string{"requests.post(", "requests.put(", "httpx.post(", "data=", "smtplib", "ftplib", "\"POST\"", "'POST'"},
		eval:  []string{"exec(", "eval(", "compile(", "__import__('os').system", "runpy."}, decode: []string{"b64decode(", "fromhex(", "zlib.decompress(", "marshal.loads(", "unhexlify(", "codecs.decode(", "b32decode(", "a85decode(", "b85decode(", ".decode('base64')", ".decode('hex')", "decodebytes(", "decodestring("},
		uid: []string{".setuid(0", ".setresuid(0", ".setgid(0"},
	},
	{
		name: "perl", options: "-e -E -M", technique: "T1059.004",
		connect: []string{"connect(S", "IO::Socket", "sockaddr_in(", "connect("}, listen: []string{"listen(", "Listen=>", "LocalPort"},
		dup: []string{">&S", "fdopen", ">&", "->fdopen(", "STDIN->"}, receive: []string{"<$c>", "<$s", "<S>", "recv("},
		run:   []string{"exec{", "exec(", "exec\"", "exec'", "system", "exec/", "`", "qx", "exec,"},
		fetch: []string{"LWP::", "HTTP::Tiny", "getstore(", "mirror("}, post: []string{"->post("}, eval: []string{"eval"}, decode: []string{"decode_base64", "unpack", "pack("},
		uid: []string{"setuid(0", "$<=0", "$>=0", "$<=$>", "setuid"},
	},
	{
		name: "php", options: "-r --run -B", technique: "T1059.004",
		connect: []string{"fsockopen(", "stream_socket_client(", "socket_connect(", "pfsockopen("}, listen: []string{"socket_listen(", "stream_socket_server("},
		dup: []string{"<&3", "array(0=>$", "0=>$sock", ">&3"}, receive: []string{"fgets(", "fread(", "socket_read("},
		run:   []string{"exec(", "shell_exec(", "system(", "passthru(", "popen(", "proc_open(", "`", "pcntl_exec(", "='system'", "='exec'", "='shell_exec'", "='passthru'", `="system"`, `="exec"`, `="shell_exec"`, "call_user_func("},
		fetch: []string{"file_get_contents('http", "file_get_contents(\"http", "curl_exec(", "fopen('http", "fopen(\"http", "copy('http", "copy(\"http"}, post: []string{"CURLOPT_POST", "'method'=>'POST'"},
		eval: []string{"eval(", "assert(", "create_function(", "include("}, decode: []string{"base64_decode(", "gzinflate(", "gzuncompress(", "str_rot13(", "hex2bin("}, uid: []string{"posix_setuid(0"},
	},
	{
		name: "ruby", options: "-e", technique: "T1059.004",
		connect: []string{"TCPSocket.new(", "TCPSocket.open(", "Socket.tcp(", "TCPSocket.new"}, listen: []string{"TCPServer.new(", "TCPServer.open("},
		dup: []string{"<&%d", "reopen(", "to_i"}, receive: []string{".gets", ".read"},
		run:   []string{"exec", "system", "IO.popen(", "spawn", "`", "%x", "Open3."},
		fetch: []string{"Net::HTTP", "open-uri", "URI.open("}, post: []string{".post("}, eval: []string{"eval"}, decode: []string{"Base64.decode64", "unpack("}, uid: []string{"Process::Sys.setuid(0", "Process::UID.change"},
	},
	{
		name: "node", options: "-e --eval -p --print -pe", technique: "T1059.007",
		connect: []string{"Deno.connect(", "net.connect(", ".connect(", "net.Socket(", "createConnection("}, listen: []string{"createServer("},
		dup: []string{".pipe("}, receive: []string{".on('data'", ".on(\"data\""},
		run:   []string{"Deno.run(", "Deno.Command(", "Bun.spawn", "child_process", ".spawn(", ".exec(", "execSync(", "spawnSync(", "execFile"},
		fetch: []string{"http.get(", "https.get(", "http').get(", "http\").get(", "https').get(", "https\").get(", "http').request(", "http\").request(", "fetch(", "http.request(", "https.request(", "axios.get("}, post: []string{"method:'POST'", "method:\"POST\"", "axios.post("},
		eval: []string{"eval(", "newFunction(", "vm.runIn"}, decode: []string{"'base64')", "\"base64\")", "atob(", "'hex')"}, uid: []string{"process.setuid(0"},
	},
	{
		name: "lua", options: "-e", technique: "T1059.011",
		connect: []string{"connect("}, listen: []string{"bind(", "listen("}, dup: nil, receive: []string{":receive("},
		run:   []string{"os.execute(", "io.popen("},
		fetch: []string{"socket.http", "http.request("}, eval: []string{"load(", "loadstring("}, decode: []string{"unb64", "base64"},
	},
	{
		name: "awk", options: "-f", technique: "T1059.004",
		connect: []string{"/inet/tcp/0/", "/inet/udp/0/", "/inet4/tcp/0/"}, listen: []string{"/inet/tcp/"}, dup: nil, receive: []string{"getline"},
		run: []string{"system(", "|getline", "\"|&getline", "|&getline", "|\""},
	},
	{
		name: "tclsh", options: "", technique: "T1059.004",
		connect: []string{"socket"}, listen: []string{"socket-server"}, receive: []string{"gets$s"}, run: []string{"exec"},
	},
	{
		name: "java", options: "", technique: "T1059.004",
		connect: []string{"java.net.Socket("}, run: []string{"Runtime.getRuntime().exec", "ProcessBuilder("}, receive: []string{"getInputStream()"},
	},
	{
		name: "powershell", options: "-c -Command -command -C", technique: "T1059.001",
		connect: []string{"Sockets.TCPClient", "Sockets.TcpClient"}, listen: []string{"TcpListener"}, receive: []string{".Read("}, run: []string{"iex", "Invoke-Expression", "Start-Process", "/bin/"},
		fetch: []string{"DownloadString(", "DownloadFile(", "Invoke-WebRequest", "Invoke-RestMethod", "iwr"}, eval: []string{"iex", "IEX", "Invoke-Expression"}, decode: []string{"FromBase64String("},
	},
	{
		name: "other", options: "-e --eval -c -E", technique: "T1059",
		connect: []string{"connect(", "TCPSocket", "socketConnection(", "gen_tcp:connect", ":gen_tcp.connect"}, listen: []string{"listen("},
		receive: []string{"readline(", ".receive", "recv("}, run: []string{"run(", "Process.new", "system(", "os:cmd", "System.cmd", "callCommand", "exec("},
	},
	{
		name: "go", technique: "T1059",
		connect: []string{"net.Dial("}, listen: []string{"net.Listen("}, dup: []string{"Stdin=c", "Stdin=conn"}, run: []string{"exec.Command(", "syscall.Exec("},
		fetch: []string{"http.Get("},
	},
	{
		name: "c", technique: "T1059",
		connect: []string{"connect("}, listen: []string{"listen("}, dup: []string{"dup2("}, run: []string{"execve(", "execl(", "system(", "execlp(", "execvp("},
		uid: []string{"setuid(0", "setresuid(0"},
	},
}

// compiled returns the language of a source file that has to be compiled.
func compiled(ext string) *lang {
	switch ext {
	case ".go":
		return &langs[len(langs)-2]
	case ".c", ".cc", ".cpp":
		return &langs[len(langs)-1]
	}
	return nil
}

// language returns the description of an interpreter by its base name.
func language(name string) *lang {
	switch name {
	case "python", "pypy", "python3-config", "ipython":
		return &langs[0]
	case "perl":
		return &langs[1]
	case "php", "php-cgi", "php-cli":
		return &langs[2]
	case "ruby", "irb", "jruby":
		return &langs[3]
	case "node", "nodejs", "bun", "deno":
		return &langs[4]
	case "lua", "luajit":
		return &langs[5]
	case "awk", "gawk", "mawk", "nawk":
		return &langs[6]
	case "tclsh", "expect", "wish":
		return &langs[7]
	case "jshell", "jrunscript", "jjs", "groovy", "groovysh":
		return &langs[8]
	case "julia", "crystal", "R", "Rscript", "scala", "elixir", "erl", "swift", "octave", "octave-cli", "kotlin":
		return &langs[10]
	case "pwsh", "powershell":
		return &langs[9]
	}
	return nil
}

// looksLike guesses the language of a script without a shebang.
func looksLike(text string) *lang {
	head := strings.TrimSpace(text[:min(len(text), 2048)])
	switch {
	case strings.HasPrefix(head, "<?php") || strings.HasPrefix(head, "<?="):
		return &langs[2]
	case strings.HasPrefix(head, "import ") && !strings.HasPrefix(head, "import -") || strings.HasPrefix(head, "from ") && strings.Contains(head, " import ") || strings.HasPrefix(head, "exec(") || strings.HasPrefix(head, "__import__") || strings.HasPrefix(head, "def ") || strings.HasPrefix(head, "# -*- coding"):
		return &langs[0]
	case strings.HasPrefix(head, "use strict") || strings.HasPrefix(head, "use Socket") || strings.HasPrefix(head, "use IO::") || strings.HasPrefix(head, "use warnings"):
		return &langs[1]
	case strings.HasPrefix(head, "const ") || strings.HasPrefix(head, "var ") || strings.HasPrefix(head, "require(") || strings.HasPrefix(head, "(function("):
		return &langs[4]
	case strings.HasPrefix(head, "require 'socket'") || strings.HasPrefix(head, "require \"socket\""):
		return &langs[3]
	}
	return nil
}
