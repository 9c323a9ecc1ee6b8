package assess

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// maxShape bounds the command line that a shape is made of, in bytes: a longer
// one has none.
const maxShape = 16 << 10

// shape is what a finding shows apart from what differs from one run to the
// next: two findings of one shape are about the same thing done again. Numbers,
// hashes, the names of data files and the hosts are abstracted, and what is
// abstracted of hosts is compared by itself. What is run is not abstracted: a
// program, a script and any file whose name is not plainly that of data count
// letter by letter.
type shape struct {
	// key is everything that must be equal.
	key string
	// repos and digests name the image: one of them must agree.
	repo    string
	digests []string
	// binary and script are hashes, empty where unknown; of the same image they
	// must not differ.
	binary, script string
	// hosts are those the command line names.
	hosts []string
}

// shapeOf returns the shape of a finding; false when too little is known of it
// to ever call another one the same.
func shapeOf(f *finding.Finding) (shape, bool) {
	child, parent := f.Tree().Child, f.Tree().Parent
	if child == nil || parent == nil || len(child.Args) == 0 || child.ArgsTruncated || len(f.Containers) == 0 || isBareShell(child.Args) {
		return shape{}, false
	}
	size := 0
	for _, a := range child.Args {
		size += len(a)
	}
	if size > maxShape || child.Binary == nil && child.Name == "" {
		return shape{}, false
	}
	s := shape{repo: repository(f.Containers[0].URI), script: child.ScriptHash()}
	for _, name := range []string{f.Containers[0].URI, f.Containers[0].ImageID} {
		if i := strings.Index(name, "sha256:"); i >= 0 {
			s.digests = append(s.digests, name[i:])
		}
	}
	if s.repo == "" && len(s.digests) == 0 {
		return shape{}, false
	}
	user := "unknown"
	if child.UserID != nil {
		user = "other"
		if *child.UserID == 0 {
			user = "root"
		}
	}
	contents := ""
	if child.Script != nil {
		contents = child.Script.Contents
	}
	program := child.Name
	if child.Binary != nil {
		s.binary = child.Binary.FullHash()
		if child.Binary.Path != "" {
			program = child.Binary.Path
		}
		if isTemporary(child.Binary.Path) || isFileless(child.Binary.Path) {
			return shape{}, false
		}
	}
	s.hosts = hostsOf(readProcess(child))
	line := abstraction{hosts: s.hosts}.args(child.Args)
	s.key = strings.Join([]string{categoryKey(f.Category), string(f.Workload.Kind), processName(parent), program, user, contents, line}, "\x00")
	return s, true
}

// same reports whether two findings of these shapes did the same in the same image.
func (s *shape) same(o *shape) bool {
	if s.key != o.key {
		return false
	}
	image := slices.ContainsFunc(s.digests, func(d string) bool { return slices.Contains(o.digests, d) })
	if image && s.binary != "" && o.binary != "" && s.binary != o.binary {
		return false // the image is the same, the program is not
	}
	if s.script != "" && o.script != "" && s.script != o.script {
		return false
	}
	return image || s.repo != "" && s.repo == o.repo
}

// hostsOf are the hosts that a command line names, sorted, in lower case.
func hostsOf(r command.Reading) []string {
	var out []string
	for _, i := range r.Indicators {
		switch i.Kind {
		case "ip", "domain", "url":
			h := strings.ToLower(i.Value)
			if u, err := url.Parse(i.Value); err == nil && u.Host != "" {
				h = strings.ToLower(u.Hostname())
			}
			out = append(out, h)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// abstraction makes the shapes of texts that name these hosts.
type abstraction struct{ hosts []string }

// args is the shape of an argument vector.
func (h abstraction) args(argv []string) string {
	out := make([]string, len(argv))
	program := true // the next word that is no option is run
	for i, a := range argv {
		switch {
		case strings.ContainsAny(a, " \t\n;|&`$(<>") && i > 0:
			out[i], program = h.text(a), false
		case program && (i == 0 || !strings.HasPrefix(a, "-")):
			out[i], program = a, runs(a)
		default:
			out[i] = h.word(a)
		}
	}
	return strings.Join(out, "\x01")
}

// text is the shape of shell text or code: word by word, with everything
// between the words as it is.
func (h abstraction) text(text string) string {
	var b strings.Builder
	program := true
	for i := 0; i < len(text); {
		if strings.IndexByte(" \t'\"", text[i]) >= 0 {
			b.WriteByte(text[i])
			i++
			continue
		}
		if strings.IndexByte(";|&\n`$(){}<>", text[i]) >= 0 {
			program = text[i] != '<' && text[i] != '>'
			b.WriteByte(text[i])
			i++
			continue
		}
		end := i
		for end < len(text) && strings.IndexByte(" \t'\";|&\n`$(){}<>", text[end]) < 0 {
			end++
		}
		word := text[i:end]
		switch {
		case program && !strings.HasPrefix(word, "-"):
			b.WriteString(word)
			program = runs(word)
		default:
			b.WriteString(h.word(word))
		}
		i = end
	}
	return b.String()
}

// runs reports whether a program runs the next word that is no option.
func runs(program string) bool {
	name := strings.TrimRight(baseName(program), "0123456789.")
	if shellName(name) || strings.Contains(program, "=") { // an assignment before the command
		return true
	}
	switch name {
	case "env", "exec", "sudo", "su", "doas", "nohup", "nice", "ionice", "timeout", "time", "xargs", "setsid", "stdbuf", "chroot", "unshare",
		"nsenter", "command", "eval", "source", "", "python", "pypy", "perl", "ruby", "node", "nodejs", "deno", "bun", "php", "java", "lua",
		"npm", "npx", "yarn", "pnpm", "go", "make", "then", "do", "else", "if", "while", "until", "!", "gosu", "su-exec", "tini", "dumb-init":
		return true
	}
	return false
}

// word is the shape of one word that is not run.
func (h abstraction) word(w string) string {
	if u, err := url.Parse(w); err == nil && u.Host != "" && h.names(u.Hostname()) {
		return u.Scheme + "://HOST" + shapePath(u.Path) + "?" + shapeLiteral(u.RawQuery)
	}
	if key, value, ok := strings.Cut(w, "="); ok && key != "" {
		return key + "=" + h.word(value)
	}
	if host, port, _ := strings.Cut(w, ":"); h.names(host) {
		return "HOST:" + shapeLiteral(port)
	}
	if strings.Contains(w, "/") || isDataFile(w) {
		return shapePath(w)
	}
	return shapeLiteral(w)
}

// names reports whether a word is one of the hosts, which are compared elsewhere.
func (h abstraction) names(word string) bool {
	return slices.Contains(h.hosts, strings.ToLower(word))
}

// shapePath abstracts the last part of a path that names plain data, and the
// numbers in the others.
func shapePath(p string) string {
	dir, last := path.Split(p)
	if isDataFile(last) {
		return shapeLiteral(dir) + "*" + strings.ToLower(path.Ext(last))
	}
	return shapeLiteral(p)
}

// isDataFile reports whether a file name is that of data that nothing runs.
func isDataFile(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt",
		".csv", ".tsv", ".json", ".ndjson", ".txt", ".log", ".tmp", ".mp3", ".mp4", ".m4a", ".wav", ".webm", ".mov", ".avi", ".mkv", ".ogg", ".srt", ".parquet", ".avro":
		return true
	}
	return false
}

// shapeLiteral replaces numbers and long hexadecimal words.
func shapeLiteral(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		end, digits := i, true
		for end < len(s) && (isDigit(s[end]) || s[end] >= 'a' && s[end] <= 'f' || s[end] >= 'A' && s[end] <= 'F') {
			digits = digits && isDigit(s[end])
			end++
		}
		switch {
		case end-i > 64: // a payload rather than a hash
			b.WriteString(s[i:end])
		case end-i >= 16, end > i && digits:
			b.WriteString("#")
		case end > i:
			b.WriteString(numbers(s[i:end]))
		default:
			b.WriteByte(s[i])
			end++
		}
		i = end
	}
	return b.String()
}

// numbers replaces each run of digits.
func numbers(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			b.WriteByte(s[i])
		} else if i == 0 || !isDigit(s[i-1]) {
			b.WriteByte('#')
		}
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
