package command

import (
	"path"
	"strings"
)

// baseName is the command's name without directory, version or login dash:
// "/usr/bin/python3.11" is "python", "-bash" is "bash".
func baseName(p string) string {
	if isGlob(p) {
		p = resolveGlob(p)
	}
	b := strings.TrimPrefix(path.Base(p), "-")
	if i := strings.IndexByte(b, '$'); i >= 0 && b != "$SHELL" && b != "$BASH" {
		if s := stripParams(b); knownCommand(s) {
			return s
		}
		return b
	}
	switch b {
	case "$SHELL":
		return "sh"
	case "$BASH":
		return "bash"
	}
	for _, lang := range [...]string{"python", "pypy", "perl", "ruby", "php", "lua", "node", "pip", "gcc", "g++", "clang", "java", "luajit", "tclsh"} {
		if rest, ok := strings.CutPrefix(b, lang); ok && strings.Trim(rest, "0123456789.-") == "" {
			return lang
		}
	}
	return b
}

// stripParams removes "$name" from a word broken up with unset variables.
func stripParams(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '{' {
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return b.String()
			}
			i += end
			continue
		}
		for i+1 < len(s) && isWordByte(s[i+1]) {
			i++
		}
	}
	return b.String()
}
