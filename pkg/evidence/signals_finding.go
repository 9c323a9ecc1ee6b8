package evidence

import (
	"net/netip"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Bounds of what is looked for, so that a hostile finding cannot make the scan slow.
const (
	maxNames      = 32
	maxIndicators = 64
	maxArgScan    = 16 << 10
)

// subject is what of a finding is looked for in log text, all in lower case.
type subject struct {
	event      time.Time
	procs      []string
	indicators []string
	addrs      map[netip.Addr]bool
}

var (
	reArgURL  = regexp.MustCompile(`(?i)\b(?:https?|ftp|ldap|rmi|stratum\+(?:tcp|ssl))://([a-z0-9.-]{3,253})`)
	reArgAddr = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b`)
)

// subjectOf collects names and indicators. Only processes that are no other
// process's parent count: the application's own name is in every log line.
func subjectOf(f *finding.Finding) subject {
	s := subject{addrs: map[netip.Addr]bool{}}
	if f == nil {
		return s
	}
	s.event = f.EventTime
	for _, ip := range f.Indicator.IPs {
		s.indicator(ip)
	}
	for _, d := range f.Indicator.Domains {
		s.indicator(d)
	}
	for _, u := range f.Indicator.URIs {
		s.indicator(u)
	}
	for _, c := range f.Connections {
		s.indicator(c.DestinationIP)
	}
	if f.ReverseShell != nil {
		s.indicator(f.ReverseShell.DestinationIP)
	}
	parents := map[int64]bool{}
	for _, p := range f.Processes {
		if p.ParentPID != p.PID {
			parents[p.ParentPID] = true
		}
	}
	for _, p := range f.Processes {
		if parents[p.PID] && p.PID != 0 {
			continue
		}
		s.process(p)
	}
	for _, file := range f.Files {
		s.file(file.Path)
	}
	return s
}

func (s *subject) process(p finding.Process) {
	s.name(p.Name)
	if p.Binary != nil {
		s.file(p.Binary.Path)
	}
	if p.Script != nil {
		s.file(p.Script.Path)
	}
	args := strings.Join(p.Args, " ")
	args = args[:min(len(args), maxArgScan)]
	for _, m := range reArgURL.FindAllStringSubmatch(args, maxIndicators) {
		s.indicator(m[1])
	}
	for _, a := range reArgAddr.FindAllString(args, maxIndicators) {
		s.indicator(a)
	}
}

// file adds a path, and its base name where that says something.
func (s *subject) file(p string) {
	base := path.Base(p)
	if strings.HasPrefix(p, "/") && len(p) >= 6 && !commonProgram(strings.ToLower(base)) {
		s.add(p)
	}
	s.name(base)
}

// name adds a program name unless it is short, common or likely the
// application's own.
func (s *subject) name(n string) {
	if len(n) >= 5 && !commonProgram(strings.ToLower(n)) {
		s.add(n)
	}
}

func (s *subject) add(n string) {
	n = strings.ToLower(n)
	if len(s.procs) < maxNames && len(n) <= 512 {
		s.procs = append(s.procs, n)
	}
}

// indicator adds an address, a domain or a URL. Loopback, unspecified and
// link-local addresses say nothing: the metadata server is one of them.
func (s *subject) indicator(v string) {
	v = strings.ToLower(strings.TrimSpace(v))
	if a, err := netip.ParseAddr(v); err == nil {
		a = a.Unmap()
		if !a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast() && len(s.addrs) < maxIndicators {
			s.addrs[a] = true
			s.indicators = append(s.indicators, v)
		}
		return
	}
	if len(v) < 4 || len(v) > 2048 || !strings.Contains(v, ".") || strings.HasSuffix(v, "metadata.google.internal") {
		return
	}
	if len(s.indicators) < maxIndicators {
		s.indicators = append(s.indicators, v)
	}
}

// names reports whether text names a process or file of the finding.
func (s *subject) names(text string) bool {
	t := strings.ToLower(text)
	for _, n := range s.procs {
		if containsWord(t, n) {
			return true
		}
	}
	return false
}

// indicates reports whether text holds an indicator of the finding.
func (s *subject) indicates(text string) bool {
	if len(s.indicators) == 0 || text == "" {
		return false
	}
	t := strings.ToLower(text)
	for _, n := range s.indicators {
		if containsWord(t, n) {
			return true
		}
	}
	return false
}

// client reports whether an entry's client address is an indicator, or its
// request names one.
func (s *subject) client(e *LogEntry) bool {
	if e.Audit != nil && s.addr(e.Audit.CallerIP) {
		return true
	}
	return e.Request != nil && (s.addr(e.Request.RemoteIP) || s.indicates(decode(e.Request.URL)))
}

func (s *subject) addr(v string) bool {
	if len(s.addrs) == 0 {
		return false
	}
	a, err := netip.ParseAddr(v)
	return err == nil && s.addrs[a.Unmap()]
}

// containsWord reports whether t holds w with no letter, digit, "-" or "_"
// beside it, and not as the front part of a longer dotted name or number:
// "evil.com" is in "a.evil.com." but not in "evil.com.au", "1.2.3.4" not in
// "11.2.3.4" or "1.2.3.4.5".
func containsWord(t, w string) bool {
	for from := 0; ; {
		i := strings.Index(t[from:], w)
		if i < 0 {
			return false
		}
		i += from
		if !wordBefore(t[:i], w[0]) && !wordAfter(t[i+len(w):], w[len(w)-1]) {
			return true
		}
		from = i + 1
	}
}

func wordBefore(before string, first byte) bool {
	n := len(before)
	if n == 0 || !wordByte(first) {
		return false
	}
	if wordByte(before[n-1]) {
		return true
	}
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	return before[n-1] == '.' && n > 1 && digit(before[n-2]) && digit(first)
}

func wordAfter(after string, last byte) bool {
	if after == "" || !wordByte(last) {
		return false
	}
	return wordByte(after[0]) || (after[0] == '.' && len(after) > 1 && wordByte(after[1]))
}

func wordByte(b byte) bool {
	return b == '_' || b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}

// commonProgram reports whether a program's name is too common in ordinary
// logs to say anything.
func commonProgram(name string) bool {
	name = strings.TrimRight(name, "0123456789.")
	switch name {
	case "", "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "toybox", "env", "cat", "echo", "sleep", "timeout",
		"python", "pypy", "perl", "ruby", "node", "nodejs", "java", "php", "php-fpm", "dotnet", "deno",
		"nginx", "apache", "httpd", "envoy", "caddy", "gunicorn", "uvicorn", "uwsgi", "puma", "celery",
		"server", "service", "worker", "backend", "frontend", "gateway", "proxy", "agent", "application", "entrypoint",
		"start", "index", "script", "docker-entrypoint.sh", "entrypoint.sh", "start.sh", "server.js", "index.js", "main.py", "manage.py",
		"tini", "dumb-init", "supervisord", "root", "usr", "local", "admin", "process", "error", "debug", "fatal", "warning", "update", "install":
		return true
	}
	return false
}
