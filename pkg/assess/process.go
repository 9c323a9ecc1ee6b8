package assess

import (
	"path"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// youngContainer is the age in seconds within which a container still starts.
const youngContainer = 120

// setExplained sets command.explained out of the other facts. What a command
// is called explains it only where it could be part of the container's start:
// anybody who can run a program can also name it, and start it by way of a
// shell. Nothing explains a file that the detector calls malicious: it may be
// the very command that the image was made for.
func setExplained(f *facts) {
	kinds := 0
	entrypoint := false
	for _, b := range f.getList("command.behaviors") {
		switch command.Behavior(b) {
		case command.EntrypointScript:
			entrypoint = true
			kinds++
		case command.HealthCheck, command.PackageScript, command.VersionCheck, command.Migration:
			kinds++
		}
	}
	served := f.getBool("process.parent_is_server") || f.getText("process.server_shell") != ""
	running := served && f.getInt("finding.container_age_seconds") > youngContainer
	configured := f.getBool("command.matches_config") && !f.getBool("config.overridden_args") && !running || f.getBool("command.matches_probe")
	placed := configured || f.getBool("process.at_start")
	if !placed && !served {
		age := f.getInt("finding.container_age_seconds")
		placed = !entrypoint || age >= 0 && age <= youngContainer
	}
	f.bool("command.explained", kinds > 0 && placed && !f.getBool("command.dangerous") && !f.getBool("finding.malicious_file"))
}

// maliciousFile reports whether a detector judges a file by itself, "Added
// Malicious Binary Executed", and not a URL or a command line.
func maliciousFile(category string) bool {
	key := categoryKey(category)
	return strings.Contains(key, "malicious") && !strings.Contains(key, "url") && !strings.Contains(key, "cmdline")
}

// atStart reports whether a process belongs to the start of its container: it
// is process 1, or each of its ancestors up to process 1 is an init, a package
// manager or a shell that runs a script. What serves requests is none of these.
func atStart(t finding.Tree) bool {
	if len(t.Chain) == 0 || t.Chain[0].PID != 1 {
		return false
	}
	for _, p := range t.Chain[:len(t.Chain)-1] {
		switch {
		case p.Binary != nil && (isTemporary(p.Binary.Path) || isFileless(p.Binary.Path)):
			return false
		case isInit(processName(p)), isPackageManager(p):
		case p.IsShell() && len(p.Args) > 0 && shellName(p.Args[0]) && !isBareShell(p.Args):
		default:
			return false
		}
	}
	return true
}

// firstArgs are the arguments of a first process. A package manager has its
// title in their place, "npm start".
func firstArgs(p *finding.Process) []string {
	if len(p.Args) == 1 && isPackageManager(p) {
		return strings.Fields(p.Args[0])
	}
	return p.Args
}

// serverShell says which server process started a shell among the child and
// its ancestors, in words, or "". A package manager's shell is its way to start
// the application.
func serverShell(t finding.Tree) string {
	for i := 1; i < len(t.Chain); i++ {
		parent, child := t.Chain[i-1], t.Chain[i]
		if child.IsShell() && isServer(processName(parent)) && !isPackageManager(parent) {
			return plain(displayName(parent)) + " started " + plain(displayName(child))
		}
	}
	return ""
}

// fedShell says which ancestor is a shell that was told nothing and started
// something all the same, in words, or "".
func fedShell(t finding.Tree) string {
	for i := 1; i < len(t.Chain); i++ {
		if parent := t.Chain[i-1]; isBareShell(parent.Args) {
			return plain(displayName(parent)) + " started " + plain(displayName(t.Chain[i]))
		}
	}
	return ""
}

// isPackageManager reports whether a process is one of those that start an
// application by a script of its package. Such a one is run by node, which has
// its title in the place of its arguments: "npm start".
func isPackageManager(p *finding.Process) bool {
	switch baseName(processName(p)) {
	case "node", "nodejs", "npm", "yarn", "pnpm":
	default:
		return false
	}
	words := strings.Fields(strings.Join(p.Args[:min(len(p.Args), 2)], " "))
	if len(words) > 1 && (baseName(words[0]) == "node" || baseName(words[0]) == "nodejs") {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	switch baseName(words[0]) {
	case "npm", "npx", "npm-cli.js", "yarn", "yarnpkg", "yarn.js", "pnpm", "pnpx", "pnpm.cjs":
		return true
	}
	return false
}

// isServer reports whether a file name is that of a program that serves
// requests or runs those that do.
func isServer(name string) bool {
	name = strings.ToLower(strings.TrimRight(name, "0123456789.-:"))
	switch name {
	case "java", "node", "nodejs", "nginx", "httpd", "apache", "php", "php-fpm", "php-cgi", "python", "uwsgi",
		"gunicorn", "uvicorn", "celery", "ruby", "puma", "unicorn", "passenger", "dotnet", "caddy", "traefik", "envoy",
		"haproxy", "tomcat", "jetty", "deno", "bun", "beam.smp", "beam", "perl", "mysqld", "mariadbd", "postgres",
		"redis-server", "mongod", "memcached", "lighttpd", "openresty", "varnishd", "squid", "foomatic-rip":
		return true
	}
	return strings.HasPrefix(name, "php-fpm") || strings.HasPrefix(name, "apache")
}

// isInit reports whether a file name is that of a container's first process.
func isInit(name string) bool {
	switch name {
	case "tini", "tini-static", "dumb-init", "docker-init", "catatonit", "init", "s6-svscan", "s6-supervise", "runsc", "launcher", "supervisord":
		return true
	}
	return false
}

// isTemporary reports whether a path lies where programs are dropped rather
// than installed.
func isTemporary(p string) bool {
	for _, dir := range []string{"/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/var/run/", "/dev/mqueue/"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return strings.Contains(p, "/.")
}

// isFileless reports whether a path is that of a program without a file.
func isFileless(p string) bool {
	return strings.Contains(p, "memfd:") || strings.HasSuffix(p, " (deleted)") || strings.HasPrefix(p, "/proc/self/fd/")
}

// displayName is a process's name as in the finding's process tree; where it
// hides a file of a temporary place, that too.
func displayName(p *finding.Process) string {
	if p == nil || p.Name == "" {
		return processName(p)
	}
	name := plain(p.Name)
	for _, f := range []*finding.File{p.Binary, p.Script} {
		if f == nil || !isTemporary(f.Path) && !isFileless(f.Path) {
			continue
		}
		if base := plain(path.Base(f.Path)); base != name {
			return name + " (" + base + ")"
		}
	}
	return name
}
