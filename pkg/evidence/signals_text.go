package evidence

import (
	"regexp"
	"strings"
)

// The patterns below run only on text that holds one of their literal words,
// so that a page of ordinary lines costs no regular expression.
var (
	reID       = regexp.MustCompile(`uid=\d+\([^)\s]{1,32}\) gid=\d+\(`)
	reShell    = regexp.MustCompile(`(?m)(?:^|[\s/'"])(?:ba|da|z|a|k)?sh: (?:(?:line )?\d+: )?[^\s:]{1,128}: (?:(?:command )?not found|no such file or directory|permission denied)`)
	reCoreutil = regexp.MustCompile(`(?m)^(?:base64|cat|ls|cp|mv|chmod|chown|rm|tar|nc|find|grep|head|tail|mkdir|touch|wget|dd|mount|ps|crontab): .{0,200}(?:no such file or directory|permission denied|operation not permitted|invalid option|missing operand)`)
	reWget     = regexp.MustCompile(`(?m)^--\d{4}-\d\d-\d\d \d\d:\d\d:\d\d--  ?https?://|^connecting to \S{1,253} ?\(\d{1,3}(?:\.\d{1,3}){3}:\d+\)|^saving to: ['‘]`)
	reCurl     = regexp.MustCompile(`(?m)^curl: \(\d+\) `)
	reUname    = regexp.MustCompile(`(?m)^linux \S{1,253} \d+\.\d+\.\S* .{0,200}(?:gnu/linux|x86_64|aarch64)`)
	reListing  = regexp.MustCompile(`(?m)^[dlcbps-](?:[r-][w-][xst-]){3}[.+]?\s+\d+ \S+\s+\S+\s+\d+`)
	rePS       = regexp.MustCompile(`(?m)^\s*(?:user|uid)?\s+pid\b.{0,120}\b(?:cmd|command)\s*$`)

	reMiner = regexp.MustCompile(`new job from \S{1,253}:\d+ diff|accepted \(\d+/\d+\) diff|speed 10s/60s/15m|about\s+xmrig/|\buse pool \S{1,253}:\d+`)
	rePort  = regexp.MustCompile(`discovered open port \d+/(?:tcp|udp) on`)
	reNetc  = regexp.MustCompile(`(?m)^(?:ncat: (?:connected to|listening on)|listening on \[(?:any|0\.0\.0\.0)\] \d+|connect to \[\S{0,64}\] from )`)

	reFrame = regexp.MustCompile(`(?m)^\s*at [\w.$<>/\[\] ]{0,200}\(.{1,300}:\d+(?::\d+)?\)|^\s*at (?:async )?(?:file://|node:|/)\S{1,300}:\d+:\d+`)
	reRust  = regexp.MustCompile(`thread '[^'\n]{0,100}' (?:\(\d+\) )?panicked at`)
	reGo    = regexp.MustCompile(`(?m)^goroutine \d+ \[[^\]\n]{1,64}\]:|^panic: `)
	reJava  = regexp.MustCompile(`(?m)^Exception in thread "|^Caused by: [\w.$]{1,200}(?:Exception|Error)\b`)
	reRuby  = regexp.MustCompile(`(?m)^\S{1,300}\.rb:\d+:in [` + "`" + `']`)
	rePHP   = regexp.MustCompile(`PHP Fatal error:|(?m)^#0 .{1,300}\(\d+\): `)

	reExit    = regexp.MustCompile(`container called exit\((-?\d+)\)`)
	reSignal  = regexp.MustCompile(`(?:terminated on signal|uncaught signal:?) (\d+)`)
	reMemory  = regexp.MustCompile(`memory limit of .{1,40} exceeded`)
	reSegv    = regexp.MustCompile(`(?i)\bsegmentation fault\b|\(core dumped\)`)
	reOOMApp  = regexp.MustCompile(`java\.lang\.OutOfMemoryError|JavaScript heap out of memory|\bfatal error: runtime: out of memory`)
	reNewInst = regexp.MustCompile(`^starting new instance\b`)
)

// shellOutput reports whether text is what id, a shell, coreutils, wget, curl,
// uname, ls or ps print. A path of a shell alone is not: start-up scripts and
// access logs hold those.
func shellOutput(text string) bool {
	t := strings.ToLower(text)
	has := func(s string) bool { return strings.Contains(t, s) }
	switch {
	case has("root:x:0:0:"), has("no job control in this shell"), has("cannot set terminal process group"),
		has("% total    % received % xferd"), has("http request sent, awaiting response..."):
		return true
	case has("uid=") && reID.MatchString(t), has("sh: ") && reShell.MatchString(t), has("curl: (") && reCurl.MatchString(t):
		return true
	case (has("--  http") || has("connecting to ") || has("saving to: ")) && reWget.MatchString(t):
		return true
	case has("linux ") && reUname.MatchString(t), (has("rw") || has("r-")) && reListing.MatchString(t), has("pid") && rePS.MatchString(t):
		return true
	}
	failed := has("no such file") || has("permission denied") || has("not permitted") || has("invalid option") || has("missing operand")
	return failed && reCoreutil.MatchString(t)
}

// toolOutput reports whether text is what miners, port scanners, listeners and
// privilege-escalation scripts print.
func toolOutput(text string) bool {
	t := strings.ToLower(text)
	for _, s := range []string{
		"stratum+tcp://", "stratum+ssl://", "stratum2+tcp://",
		"starting nmap ", "nmap scan report for ", "starting masscan ", "starting gobuster in ",
		"linpeas-ng", "linenum", "mimipenguin", "meterpreter", "pspy - version", "[data] attacking ",
		"cdk (container duck)", "zerosecurity penetration toolkit", "sqlmap identified the following injection",
	} {
		if strings.Contains(t, s) {
			return true
		}
	}
	has := func(s string) bool { return strings.Contains(t, s) }
	switch {
	case (has(" diff") || has("xmrig") || has("10s/60s/15m") || has("use pool ")) && reMiner.MatchString(t):
		return true
	case has("discovered open port") && rePort.MatchString(t):
		return true
	}
	return (has("ncat: ") || has("listening on [") || has("connect to [")) && reNetc.MatchString(t)
}

// stackTrace reports whether text holds a stack trace of one of the common runtimes.
func stackTrace(text string) bool {
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("Traceback (most recent call last)"):
		return true
	case has("at ") && reFrame.MatchString(text), has("panicked at") && reRust.MatchString(text):
		return true
	case (has("goroutine ") || has("panic: ")) && reGo.MatchString(text):
		return true
	case (has("Exception in thread") || has("Caused by: ")) && reJava.MatchString(text):
		return true
	case has(".rb:") && reRuby.MatchString(text):
		return true
	}
	return (has("PHP Fatal error:") || has("#0 ")) && rePHP.MatchString(text)
}

// outOfMemory reads the platform's own words in the system log.
func outOfMemory(text string) bool {
	t := strings.ToLower(text)
	return strings.Contains(t, "out-of-memory event detected") ||
		strings.Contains(t, "consider increasing the memory limit") || reMemory.MatchString(t)
}

// outOfMemoryApp reads what runtimes print when memory runs out.
func outOfMemoryApp(text string) bool {
	return strings.Contains(text, "emory") && reOOMApp.MatchString(text)
}

// crashed reads the platform's own words in the system log. Exit 0 and SIGTERM
// are how an instance ends normally.
func crashed(text string) bool {
	t := strings.ToLower(text)
	if m := reExit.FindStringSubmatch(t); m != nil {
		return m[1] != "0"
	}
	if m := reSignal.FindStringSubmatch(t); m != nil {
		return m[1] != "15"
	}
	return strings.Contains(t, "application failed to start") || strings.Contains(t, "application exec likely failed")
}

// crashedApp reads what a process's own death prints.
func crashedApp(text string) bool {
	lower := strings.Contains(text, "egmentation") || strings.Contains(text, "core dumped")
	return lower && reSegv.MatchString(text)
}

// started reads the platform's own words in the system log.
func started(text string) bool { return reNewInst.MatchString(strings.ToLower(text)) }
