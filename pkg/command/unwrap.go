package command

import (
	"slices"
	"strings"
	"sync"
)

// wrapper says how a command carries another one in its arguments.
type wrapper struct {
	names string
	// valued are letters of short options that take the next word.
	valued string
	// long are long options that take the next word.
	long string
	// skip is how many operands stand before the command.
	skip int
	// joined: the rest is one shell text.
	joined bool
	// launcher: a bare shell behind it is how programs get abused, not used.
	launcher bool
}

// wrappers are commands that run their arguments. It is never written.
var wrappers = [...]wrapper{
	{names: "env", valued: "uC", long: "--unset --chdir", launcher: true},
	{names: "sudo doas", valued: "ugphCrtUDRTa", long: "--user --group --prompt --host --close-from --chdir --role --type"},
	{names: "nohup setsid command builtin exec coproc noglob nocorrect", valued: "a"},
	{names: "time", valued: "fo", long: "--format --output", launcher: true},
	{names: "nice", valued: "n", long: "--adjustment", launcher: true},
	{names: "ionice", valued: "cnpPu", launcher: true},
	{names: "chrt", valued: "TPD", skip: 1, launcher: true},
	{names: "taskset", skip: 1, launcher: true},
	{names: "numactl", valued: "NmCip"},
	{names: "stdbuf", valued: "ioe", launcher: true},
	{names: "unbuffer rlwrap tsp torify torsocks catchsegv softlimit setlock", launcher: true},
	{names: "eatmydata faketime"},
	{names: "timeout gtimeout", valued: "sk", long: "--signal --kill-after", skip: 1, launcher: true},
	{names: "watch", valued: "nd", long: "--interval", joined: true, launcher: true},
	{names: "xargs", valued: "IiLnPsEadr", long: "--max-args --max-procs --replace --delimiter --arg-file", launcher: true},
	{names: "flock", valued: "wE", skip: 1, launcher: true},
	{names: "strace ltrace", valued: "oepsuEPS", launcher: true},
	{names: "chroot", long: "", skip: 1, launcher: true},
	{names: "unshare", valued: "RwSG", long: "--root --wd --setuid --setgid", launcher: true},
	{names: "nsenter", valued: "tSGrw", long: "--target --setuid --setgid", launcher: true},
	{names: "setpriv", long: "--reuid --regid --groups"},
	{names: "capsh"},
	{names: "gosu su-exec s6-setuidgid setuidgid", skip: 1},
	{names: "chpst", valued: "uUbe/nmdoptl"},
	{names: "tini tini-static dumb-init catatonit docker-init pid1 s6-svscan", valued: "per"},
	{names: "setarch linux32 linux64 i386 x86_64", launcher: true},
	{names: "logsave", skip: 1, launcher: true},
	{names: "multitime pexec valgrind", launcher: true},
	{names: "perf", skip: 1, launcher: true},
	{names: "choom", valued: "np", launcher: true},
	{names: "runuser", valued: "ugGs"},
	{names: "proxychains proxychains4", valued: "f"},
	{names: "start-stop-daemon", valued: "nupgkcrdNIPR", long: "--chuid --pidfile --name --user --chdir --retry --startas"},
	{names: "xvfb-run", valued: "nslfpew", long: "--server-args --server-num --error-file"},
	{names: "wait-for-it wait-for-it.sh wait-for wait-for.sh", valued: "thp", skip: 1},
	{names: "dockerize", valued: "", long: "-wait -timeout -template -wait-retry-interval -stdout -stderr"},
	{names: "newrelic-admin", skip: 1},
	{names: "ddtrace-run opentelemetry-instrument newrelic-python dbus-run-session with-contenv"},
	{names: "dotenv", valued: "ef", launcher: false},
	{names: "cross-env"},
	{names: "sshpass", valued: "pfdP"},
	{names: "ld-linux-x86-64.so.2 ld.so ld-musl-x86_64.so.1 ld-linux.so.2 ld-linux-aarch64.so.1", long: "--library-path --preload", launcher: true},
	{names: "parallel", valued: "jIN", long: "--jobs"},
	{names: "poetry pipenv uv pdm hatch rye", skip: 1},
	{names: "bundle", skip: 1},
	{names: "doppler chamber op berglas aws-vault infisical", valued: "pc", skip: 1},
	{names: "nodemon", valued: "we", long: "--watch --ext"},
}

// unwrap visits what the command runs in turn.
func (s *scan) unwrap(n *node) {
	switch n.name {
	case "eval":
		s.evaluate(n)
		return
	case "busybox", "toybox":
		s.rewrap(n, n.args, false)
		return
	case "su", "runuser":
		s.switchUser(n)
	case "find", "fd", "fdfind":
		s.findExec(n)
		return
	case "ssh":
		if words := n.operands("bcDEeFIiJLlmOopQRSWw"); len(words) > 1 {
			if len(words) == 2 && isShell(baseName(words[1])) {
				s.hit(InteractiveShell, Suspicious, n.text)
			}
			s.deeper(func() {
				s.shell(strings.Join(words[1:], " "), &node{via: append(n.via[:len(n.via):len(n.via)], "ssh"), from: n.from})
			})
		}
		return
	case "kubectl", "oc", "docker", "podman", "nerdctl", "crictl", "ctr":
		s.containerExec(n)
		return
	case "trap":
		if len(n.args) > 1 && n.args[0] != "-" && n.args[0] != "" {
			s.shell(n.args[0], nil)
		}
		return
	case "concurrently", "npm-run-all":
		for _, a := range n.args {
			if strings.Contains(a, " ") {
				s.shell(a, nil)
			}
		}
		return
	case "source", ".":
		s.sourced(n)
		return
	case "script":
		for _, c := range n.opt("-c", "--command") {
			s.shell(c, &node{via: append(n.via[:len(n.via):len(n.via)], "script")})
		}
		return
	case "start-stop-daemon":
		for _, x := range n.opt("-x", "--exec", "-a", "--startas") {
			s.rewrap(n, append([]string{x}, afterDashes(n.args)...), true)
		}
		return
	}
	w := wrapperOf(n.name)
	if w == nil {
		return
	}
	rest := w.command(n)
	if len(rest) == 0 {
		return
	}
	switch {
	case n.name == "flock" && len(rest) == 2 && rest[0] == "-c":
		s.shell(rest[1], n)
		return
	case w.joined && !n.has("-x", "--exec"):
		if isShell(baseName(rest[0])) && len(rest) == 1 {
			s.hit(InteractiveShell, Suspicious, n.text)
		}
		s.shell(strings.Join(rest, " "), n)
		return
	}
	s.rewrap(n, rest, w.launcher)
}

func wrapperOf(name string) *wrapper { return wrappersByName()[name] }

var wrappersByName = sync.OnceValue(func() map[string]*wrapper {
	return indexNames(wrappers[:], func(w *wrapper) string { return w.names })
})

// command cuts the wrapped command out of the wrapper's arguments.
func (w *wrapper) command(n *node) []string {
	skip := w.skip
	for i := 0; i < len(n.args); i++ {
		a := n.args[i]
		switch {
		case a == "--":
			if len(n.args) > i+1 && skip > 0 && !isOneOf(n.name, "poetry pipenv uv pdm hatch rye doppler chamber op berglas aws-vault infisical wait-for-it wait-for-it.sh wait-for wait-for.sh newrelic-admin") {
				i += skip
			}
			return n.args[min(i+1, len(n.args)):]
		case strings.HasPrefix(a, "--"):
			if isOneOf(a, w.long) {
				i++
			}
		case len(a) > 1 && a[0] == '-':
			if n.name == "env" && strings.HasPrefix(a, "-S") {
				return strings.Fields(strings.TrimPrefix(strings.Join(n.args[i:], " "), "-S"))
			}
			if isOneOf(a, w.long) || len(a) == 2 && strings.IndexByte(w.valued, a[1]) >= 0 || len(a) > 2 && len(a) < 5 && strings.IndexByte(w.valued, a[len(a)-1]) >= 0 && !strings.ContainsAny(a, "0123456789=") {
				i++
			}
		default:
			if name, v, ok := strings.Cut(a, "="); ok && isName(name) && isOneOf(n.name, "env sudo doas cross-env") {
				n.binds = append(n.binds, binding{name, v})
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			return n.args[i:]
		}
	}
	return nil
}

// rewrap visits the command made of words in the place of n.
func (s *scan) rewrap(n *node, words []string, launcher bool) {
	if len(words) == 0 {
		return
	}
	c := *n
	c.via = append(n.via[:len(n.via):len(n.via)], n.name)
	c.setWords(words)
	c.subs = nil
	for _, sb := range n.subs {
		if sb.word > 0 {
			c.subs = append(c.subs, sb)
		}
	}
	for _, b := range c.binds {
		s.binding(b, n)
	}
	c.binds = nil
	for _, f := range n.from {
		c.swept = c.swept || f.name == "seq"
	}
	if launcher && isBareShell(&c) && len(c.from) == 0 && !c.hasStdin && len(c.redirs) == 0 {
		s.hit(InteractiveShell, Suspicious, n.text)
		if slices.Contains(c.via, "sudo") || slices.Contains(c.via, "doas") {
			s.hit(PrivilegeEscalation, Suspicious, n.text, "T1548.003")
		}
	}
	s.visit(&c)
}

// deeper runs f one level deeper.
func (s *scan) deeper(f func()) {
	if s.depth < maxDepth {
		s.depth++
		f()
		s.depth--
	}
}

// evaluate reads the text given to eval.
func (s *scan) evaluate(n *node) {
	text := strings.Join(n.args, " ")
	if v, ok := strings.CutPrefix(text, "$"); ok && s.readVars[v] {
		s.runsInput(n)
		return
	}
	s.shell(text, n)
}

// switchUser reads the command of "su -c".
func (s *scan) switchUser(n *node) {
	for _, c := range n.opt("-c", "--command", "--session-command") {
		s.shell(c, &node{via: append(n.via[:len(n.via):len(n.via)], n.name)})
	}
}

// findExec reads the commands of find's -exec, -ok and fd's -x.
func (s *scan) findExec(n *node) {
	for i := 0; i < len(n.args); i++ {
		if !isOneOf(n.args[i], "-exec -execdir -ok -okdir -x --exec -X --exec-batch") {
			continue
		}
		end := i + 1
		for end < len(n.args) && n.args[end] != ";" && n.args[end] != "+" && n.args[end] != `\;` {
			end++
		}
		s.rewrap(n, n.args[i+1:end], true)
		i = end
	}
}

// containerExec reads the command given to another container.
func (s *scan) containerExec(n *node) {
	if i := slices.Index(n.args, "--"); i >= 0 {
		s.rewrap(n, n.args[i+1:], false)
		return
	}
	words := n.operands("ncuew", "--namespace", "--container", "--user", "--env", "--workdir", "--kubeconfig", "--context")
	if len(words) > 2 && words[0] == "exec" {
		if len(words) == 3 && isShell(baseName(words[2])) {
			s.hit(InteractiveShell, Suspicious, n.text)
		}
		s.rewrap(n, words[2:], false)
	}
}

func afterDashes(args []string) []string {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[i+1:]
	}
	return nil
}

// sourced: ". file" runs a file in this shell.
func (s *scan) sourced(n *node) {
	if len(n.args) > 0 && !strings.HasPrefix(n.args[0], "<(") {
		if p := n.args[0]; !isHiddenPath(p) || isTempPath(p) {
			s.runsFile(p, n)
		}
	}
}
