package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version and commit are set by the linker, where the sources have no .git:
// -ldflags "-X main.version=v1.2.3 -X main.commit=0123abc".
var version, commit string

// versionCmd prints the version.
type versionCmd struct{}

// build says what was built.
type build struct{ Version, Commit, Go string }

// readVersion reads the linker's version and commit, or the commit that the
// toolchain stamped.
func readVersion() build {
	b := build{Version: version, Commit: "unknown", Go: runtime.Version()}
	if b.Version == "" {
		b.Version = "devel"
	}
	if commit != "" {
		b.Commit = commit
		return b
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		b.Commit += " (modified)"
	}
	return b
}

// Run prints one line.
func (versionCmd) Run(std streams) error {
	b := readVersion()
	_, err := fmt.Fprintf(std.out, "scc-enricher %s commit %s %s %s/%s\n", b.Version, b.Commit, b.Go, runtime.GOOS, runtime.GOARCH)
	return err
}
