package assess

import (
	"slices"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// matchesCommand reports whether argv is the container's configured command:
// itself, run by the interpreter of its first line, or as the text of "sh -c".
// A bare shell matches nothing, whatever the configuration says.
func matchesCommand(argv []string, c *evidence.ContainerConfig) bool {
	if c == nil {
		return false
	}
	want := configuredCommand(c)
	if len(want) == 0 || len(argv) == 0 || isBareShell(want) || isBareShell(argv) {
		return false
	}
	if sameCommand(argv, want) {
		return true
	}
	if !shellName(argv[0]) {
		return false
	}
	if len(argv) == 3 && argv[1] == "-c" {
		text := strings.TrimPrefix(strings.TrimSpace(argv[2]), "exec ")
		return text == strings.Join(want, " ")
	}
	return sameCommand(argv[1:], want)
}

// sameCommand compares two argument vectors; the program may be named by path
// in one and by name in the other.
func sameCommand(a, b []string) bool {
	if len(a) != len(b) || len(a) == 0 || !slices.Equal(a[1:], b[1:]) {
		return false
	}
	if a[0] == b[0] {
		return true
	}
	if strings.Contains(a[0], "/") && strings.Contains(b[0], "/") && (strings.HasPrefix(a[0], "/") == strings.HasPrefix(b[0], "/")) {
		return false
	}
	return baseName(a[0]) == baseName(b[0]) && !isTemporary(a[0]) && !isTemporary(b[0])
}

func baseName(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

func shellName(p string) bool {
	switch strings.TrimPrefix(baseName(p), "-") { // a login shell's name begins with "-"
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox":
		return true
	}
	return false
}

// isBareShell reports whether argv is a shell that is given no script.
func isBareShell(argv []string) bool {
	if len(argv) == 0 || !shellName(argv[0]) {
		return false
	}
	for _, a := range argv[1:] {
		if !strings.HasPrefix(a, "-") || a == "-c" {
			return false
		}
	}
	return true
}

// matchesProbe reports whether argv is an exec probe of the container, which
// the configuration gives in words: "exec /bin/grpc_health_probe -addr=:8080".
func matchesProbe(argv []string, c *evidence.ContainerConfig) bool {
	if c == nil || len(argv) == 0 || isBareShell(argv) {
		return false
	}
	line := strings.Join(argv, " ")
	for _, p := range c.Probes {
		if cmd, ok := strings.CutPrefix(p, "exec "); ok && cmd == line {
			return true
		}
	}
	return false
}
