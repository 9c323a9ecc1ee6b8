package finding

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of what is kept of one finding. Lists keep their first elements,
// strings their first bytes (cut between characters); whatever is left out is
// counted in Finding.Truncated. They are far above what detectors send.
const (
	// MaxFindings is how many findings ParseAll reads from one input.
	MaxFindings = 10_000

	maxProcesses   = 200
	maxContainers  = 100
	maxFiles       = 200  // files, and libraries of one process
	maxArgs        = 1000 // arguments of one process, names of its environment
	maxIndicators  = 500  // of each kind
	maxConnections = 200
	maxMarks       = 1000
	maxTechniques  = 100 // of each kind
	maxFolders     = 20
	maxFields      = 1000 // fields of one JSON object
	maxMalformed   = 20

	maxText     = 4 << 10  // bytes of a name, path, URI, ...
	maxLongText = 64 << 10 // bytes of an argument, a description, a file's contents
	maxMark     = 16 << 10 // bytes of a mark: 4,096 characters of four bytes
)

// cut bounds s to limit bytes.
func (f *Finding) cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	f.Truncated++
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.Clone(s[:limit])
}

// encoded bounds a string that SCC documents as a JSON-encoded string
// (process.proto, file.proto), decoded once where it is one.
func (f *Finding) encoded(s string, limit int) string {
	return f.cut(decodeLiteral(s), limit)
}

// decodeLiteral returns the text of a JSON string literal, or s when it is none.
func decodeLiteral(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var out string
	if err := json.Unmarshal([]byte(s), &out); err != nil {
		return s
	}
	return out
}

// addArg adds one argument to p.
func (f *Finding) addArg(p *Process, arg string) {
	if len(p.Args) >= maxArgs {
		f.Truncated++
		p.ArgsTruncated = true
		return
	}
	before := f.Truncated
	p.Args = append(p.Args, f.encoded(arg, maxLongText))
	if f.Truncated != before {
		p.ArgsTruncated = true
	}
}

// addEnv adds the name of one environment variable to p. A name that carries
// its value ("K=V") loses it.
func (f *Finding) addEnv(p *Process, key string) {
	key, _, _ = strings.Cut(decodeLiteral(key), "=")
	if key == "" {
		return
	}
	if len(p.EnvNames) >= maxArgs {
		f.Truncated++
		p.EnvTruncated = true
		return
	}
	p.EnvNames = append(p.EnvNames, f.cut(key, maxText))
}

// malformed notes that field was present and could not be read.
func (f *Finding) malformed(field string) {
	if len(f.Malformed) < maxMalformed && !slices.Contains(f.Malformed, field) {
		f.Malformed = append(f.Malformed, field)
	}
}

// projectParts splits a project's resource name,
// "//cloudresourcemanager.googleapis.com/projects/P", and display name into
// number and id.
func projectParts(resource, display string) (number, id string) {
	if _, p, ok := strings.Cut(resource, "projects/"); ok && validProject(p) {
		if isNumber(p) {
			number = p
		} else {
			id = p
		}
	}
	if id == "" && validProject(display) && !isNumber(display) && !strings.ContainsFunc(display, notInProjectID) {
		id = display
	}
	return number, id
}

// notInProjectID tells the characters that a display name may have and a
// project id never has.
func notInProjectID(r rune) bool { return r == '_' || 'A' <= r && r <= 'Z' }

// crmName drops the service from a resource manager's full resource name.
func crmName(s string) string {
	return strings.TrimPrefix(s, "//cloudresourcemanager.googleapis.com/")
}
