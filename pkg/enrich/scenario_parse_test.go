package enrich_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// scenario is one file of testdata: a world, findings, and what happens when.
// docs of the format are in testdata/README.md.
type scenario struct {
	path    string
	archive *txtar.Archive
	lines   map[string]int // section → number of its first line
	world   theWorld
	// findings by short name, in order of the file.
	findings map[string]*finding.Finding
	order    []string
	script   []step
}

// theWorld is the section world.yaml: what the sources know.
type theWorld struct {
	// Start is when the clock of the scenario shows 0s.
	Start time.Time `json:"start"`
	// Settings of every instance; absent ones are the service's defaults.
	Settings struct {
		Window, MaxSpan, SettleDelay string
	} `json:"settings"`
	// Queue is "shared", as Cloud Tasks is, or "local": a follow-up dies with its instance.
	Queue string `json:"queue"`
	// Config is the workload's configuration; "gone": true is a deleted workload.
	Config *evidence.Config `json:"config"`
	// Logs are all entries, of every kind; a reader gets those of its window.
	Logs []evidence.LogEntry `json:"logs"`
	// VirusTotal holds reports by hash, address, domain or URL. What is not here is
	// not known to VirusTotal; a world without this key has VirusTotal disabled.
	VirusTotal map[string]evidence.Reputation `json:"virustotal"`
}

// step is one line of the script.
type step struct {
	at    time.Duration
	timed bool // false: at the moment of the line before
	words []string
	line  int
	text  string
}

// startDefault is a Tuesday morning, UTC.
var startDefault = time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)

// loadScenario reads a scenario; its errors name file and line.
func loadScenario(path string) (*scenario, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseScenario(path, data)
}

func parseScenario(path string, data []byte) (*scenario, error) {
	s := &scenario{path: filepath.ToSlash(path), archive: txtar.Parse(data), lines: sectionLines(data), findings: map[string]*finding.Finding{}}
	if len(bytes.TrimSpace(s.archive.Comment)) == 0 {
		return nil, s.errorf("", 1, "no comment: say first what rule the scenario shows")
	}
	s.world.Start = startDefault
	for _, f := range s.archive.Files {
		if f.Name == "world.yaml" {
			if err := s.decodeYAML(f, &s.world); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range s.archive.Files {
		var err error
		switch {
		case f.Name == "world.yaml" || strings.HasPrefix(f.Name, golden):
		case f.Name == "script":
			err = s.parseScript(f)
		case f.Name == "findings.yaml":
			err = s.parseShortFindings(f)
		case strings.HasSuffix(f.Name, ".json"):
			err = s.parseNotification(f)
		default:
			err = s.errorf(f.Name, 0, "unknown section; there are world.yaml, findings.yaml, NAME.json, script and %s...", golden)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(s.findings) == 0 {
		return nil, s.errorf("", 1, "no findings")
	}
	if s.script == nil {
		s.defaultScript()
	}
	return s, nil
}

// defaultScript delivers every finding in order, a second apart, and compares
// all marks at rest.
func (s *scenario) defaultScript() {
	for i, name := range s.order {
		s.script = append(s.script, step{at: time.Duration(5+i) * time.Second, timed: true, words: []string{"deliver", name}})
	}
	s.script = append(s.script, step{words: []string{"rest"}}, step{words: []string{"golden"}})
}

// sectionLines numbers the first line after each marker, as txtar has them.
func sectionLines(data []byte) map[string]int {
	out := map[string]int{}
	for i, line := range strings.Split(string(data), "\n") {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end {
			out[strings.TrimSpace(name)] = i + 2
		}
	}
	return out
}

// errorf names the file and the line; line counts from 0 in a section.
func (s *scenario) errorf(section string, line int, format string, args ...any) error {
	if section != "" {
		line += s.lines[section]
	}
	return fmt.Errorf("%s:%d: %s", s.path, line, fmt.Sprintf(format, args...))
}

// decodeYAML decodes a section strictly. Texts like "@-3m" are times from the start.
func (s *scenario) decodeYAML(f txtar.File, into any) error {
	var raw any
	if err := yaml.Unmarshal(f.Data, &raw); err != nil {
		return s.errorf(f.Name, yamlLine(err), "%v", err)
	}
	return s.decode(f, raw, into)
}

func (s *scenario) decode(f txtar.File, value, into any) error {
	data, err := json.Marshal(s.times(value))
	if err != nil {
		return s.errorf(f.Name, 0, "%v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return s.errorf(f.Name, 0, "%s: %v", f.Name, err)
	}
	return nil
}

// yamlLine reads the line out of a message of the YAML decoder, counted from 0.
func yamlLine(err error) int {
	_, rest, _ := strings.Cut(err.Error(), "line ")
	digits, _, _ := strings.Cut(rest, ":")
	n, atoi := strconv.Atoi(digits)
	if atoi != nil || n < 1 {
		return 0
	}
	return n - 1
}

// times replaces "@offset" by a time in RFC 3339.
func (s *scenario) times(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = s.times(v[k])
		}
	case []any:
		for i := range v {
			v[i] = s.times(v[i])
		}
	case string:
		if offset, ok := strings.CutPrefix(v, "@"); ok {
			if d, err := time.ParseDuration(offset); err == nil {
				return s.world.Start.Add(d).Format(time.RFC3339Nano)
			}
		}
	}
	return v
}

// parseScript reads lines of the form "[at TIME] VERB WORDS... [# remark]".
func (s *scenario) parseScript(f txtar.File) error {
	s.script = []step{}
	for i, line := range strings.Split(string(f.Data), "\n") {
		words, err := splitWords(line)
		if err != nil {
			return s.errorf(f.Name, i, "%v", err)
		}
		if len(words) == 0 {
			continue
		}
		st := step{line: s.lines[f.Name] + i, text: strings.TrimSpace(line)}
		if words[0] == "at" && len(words) > 2 {
			if st.at, err = time.ParseDuration(words[1]); err != nil {
				return s.errorf(f.Name, i, "at %s: not a time: %v", words[1], err)
			}
			st.timed, words = true, words[2:]
		}
		st.words = words
		s.script = append(s.script, st)
	}
	return nil
}

// splitWords splits at spaces outside of double quotes, and drops a remark.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range strings.TrimSpace(line) + " " {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case quoted, r != ' ' && r != '\t' && (r != '#' || begun):
			word.WriteRune(r)
			begun = true
		case r == '#':
			return words, nil
		case begun:
			words = append(words, word.String())
			word.Reset()
			begun = false
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quotation mark is missing: %s", line)
	}
	return words, nil
}
