package command

import "strings"

// mentionsShell reports whether a word holds a reference to a shell where a
// program is made to start one: "!/bin/sh", "exec=/bin/bash", `system("sh")`,
// "sh <&3". It looks at each "sh" once.
func mentionsShell(a string) bool {
	a = strings.TrimPrefix(strings.TrimSpace(a), "#!")
	for from := 0; ; {
		i := strings.Index(a[from:], "sh")
		if i < 0 {
			return false
		}
		i += from
		from = i + 2
		if from < len(a) && isWordByte(a[from]) {
			continue
		}
		start := i
		for start > 0 && i-start < 3 && a[start-1] >= 'a' && a[start-1] <= 'z' {
			start--
		}
		name := a[start:from]
		switch name {
		case "sh", "bash", "dash", "zsh", "ksh", "ash":
			if isStarted(a[:start]) || (start == 0 || !isWordByte(a[start-1])) && isTied(a[from:]) {
				return true
			}
		case "csh", "tcsh", "rsh":
		default:
			continue
		}
		if isProgramPath(a[:start]) {
			return true
		}
	}
}

// isProgramPath reports whether what stands before a shell's name is its folder,
// at the beginning of something.
func isProgramPath(before string) bool {
	rest, ok := strings.CutSuffix(before, "/bin/")
	if !ok {
		return false
	}
	rest = strings.TrimSuffix(rest, "/usr")
	return rest == "" || strings.IndexByte("!=:(\"'`{ ,;|[/\\-", rest[len(rest)-1]) >= 0
}

// isStarted reports whether what stands before a shell's name is a call that
// starts programs, with or without quotes: `system("`, "exec ", "!".
func isStarted(before string) bool {
	t := strings.TrimRight(strings.TrimRight(before, "\"'`{"), " :(=[")
	for _, call := range [...]string{"exec", "!", "system", "spawn", "popen", "run", "call", "execute"} {
		if rest, ok := strings.CutSuffix(t, call); ok && (rest == "" || !isWordByte(rest[len(rest)-1])) {
			return true
		}
	}
	return false
}

// isTied reports whether a shell's standard streams are tied to descriptors: " <&3".
func isTied(after string) bool {
	t := strings.TrimLeft(after, " \t\n")
	if t == after {
		return false
	}
	if t != "" && t[0] >= '0' && t[0] <= '9' {
		t = t[1:]
	}
	return len(t) > 2 && (t[0] == '<' || t[0] == '>') && t[1] == '&' && t[2] >= '0' && t[2] <= '9'
}
