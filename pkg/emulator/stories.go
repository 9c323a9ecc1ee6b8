package emulator

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"go.yaml.in/yaml/v3"
	_ "google.golang.org/genproto/googleapis/cloud/audit" // the payload of audit log entries
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

//go:embed stories/*.yaml
var storyFiles embed.FS

// Story is an attack, or what looks like one: a world, and findings that
// arrive in it one after the other.
type Story struct {
	Name, Title string
	Projects    []Project
	Steps       []Step
	// Expect is the verdict an analyst would give at the end, by canonical name
	// of the finding.
	Expect map[string]string

	run         []runResource
	policies    map[string]*iampb.Policy
	logs        []*loggingpb.LogEntry
	reputations map[string]map[string]json.RawMessage
}

// Step is the arrival of one finding.
type Step struct {
	// After is how long after the step before it.
	After   time.Duration
	Finding *securitycenterpb.Finding
	// Extra are fields that the public proto does not have.
	Extra map[string]json.RawMessage
}

// storyFile is the YAML of a story. Messages are in protobuf's JSON mapping,
// with two conveniences: a string such as "@-3m0.25s" is the time so long
// before the base time, and arguments, paths and environment values of
// processes are plain here and JSON-encoded in the finding, as process.proto
// wants them.
type storyFile struct {
	Title    string
	Projects []struct {
		ID, Number, Organization string
		Folders                  []string
	}
	Services, Revisions, Jobs, Executions []any
	WorkerPools                           []any `yaml:"workerPools"`
	Policies                              map[string]any
	Logs                                  []any
	VirusTotal                            map[string]map[string]any `yaml:"virustotal"`
	Findings                              []struct {
		After   time.Duration
		Verdict string
		Finding map[string]any
		Extra   map[string]any
	}
	// Shared holds anchors for the rest of the file.
	Shared any
}

// StoryNames lists the stories that come with the package.
func StoryNames() []string {
	entries, err := storyFiles.ReadDir("stories")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// LoadStory loads a story that comes with the package. Its times are offsets
// from base, usually now.
func LoadStory(name string, base time.Time) (*Story, error) {
	data, err := storyFiles.ReadFile(path.Join("stories", path.Base(name)+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("no story %q, there are %s", name, strings.Join(StoryNames(), ", "))
	}
	return ParseStory(name, data, base)
}

// ParseStory parses a story's YAML.
func ParseStory(name string, data []byte, base time.Time) (*Story, error) {
	var file storyFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("story %q: %w", name, err)
	}
	s := &Story{Name: name, Title: file.Title, Expect: map[string]string{}, policies: map[string]*iampb.Policy{}, reputations: map[string]map[string]json.RawMessage{}}
	for _, p := range file.Projects {
		s.Projects = append(s.Projects, Project{ID: p.ID, Number: p.Number, Organization: p.Organization, Folders: p.Folders})
	}
	l := &storyLoader{base: base}
	for _, v := range file.Services {
		s.run = append(s.run, load(l, v, &runpb.Service{}))
	}
	for _, v := range file.Revisions {
		s.run = append(s.run, load(l, v, &runpb.Revision{}))
	}
	for _, v := range file.Jobs {
		s.run = append(s.run, load(l, v, &runpb.Job{}))
	}
	for _, v := range file.Executions {
		s.run = append(s.run, load(l, v, &runpb.Execution{}))
	}
	for _, v := range file.WorkerPools {
		s.run = append(s.run, load(l, v, &runpb.WorkerPool{}))
	}
	for resource, v := range file.Policies {
		s.policies[resource] = load(l, v, &iampb.Policy{})
	}
	for _, v := range file.Logs {
		s.logs = append(s.logs, load(l, v, &loggingpb.LogEntry{}))
	}
	for collection, objects := range file.VirusTotal {
		s.reputations[collection] = l.raw(objects)
	}
	for _, v := range file.Findings {
		encodeProcesses(v.Finding)
		f := load(l, v.Finding, &securitycenterpb.Finding{})
		s.Steps = append(s.Steps, Step{After: v.After, Finding: f, Extra: l.raw(v.Extra)})
		s.Expect[f.GetCanonicalName()] = v.Verdict
	}
	if l.err != nil {
		return nil, fmt.Errorf("story %q: %w", name, l.err)
	}
	return s, nil
}

// storyLoader turns YAML values into messages, and keeps the first error.
type storyLoader struct {
	base time.Time
	err  error
}

func load[T proto.Message](l *storyLoader, v any, into T) T {
	data, err := json.Marshal(l.times(v))
	if err == nil {
		err = protojson.Unmarshal(data, into)
	}
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("%s: %w", into.ProtoReflect().Descriptor().Name(), err)
	}
	return into
}

func (l *storyLoader) raw(m map[string]any) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(m))
	for k, v := range m {
		data, err := json.Marshal(l.unixTimes(v))
		if err != nil && l.err == nil {
			l.err = err
		}
		out[k] = data
	}
	return out
}

// times replaces "@offset" by a time in RFC 3339.
func (l *storyLoader) times(v any) any {
	return replace(v, func(t time.Duration) any { return l.base.Add(t).UTC().Format(time.RFC3339Nano) })
}

// unixTimes replaces "@offset" by seconds, as VirusTotal has its dates.
func (l *storyLoader) unixTimes(v any) any {
	return replace(v, func(t time.Duration) any { return l.base.Add(t).Unix() })
}

func replace(v any, at func(time.Duration) any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, c := range v {
			out[k] = replace(c, at)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, c := range v {
			out[i] = replace(c, at)
		}
		return out
	case string:
		if offset, ok := strings.CutPrefix(v, "@"); ok {
			if d, err := time.ParseDuration(offset); err == nil {
				return at(d)
			}
		}
	}
	return v
}

// encodeProcesses writes arguments, environment values and paths as JSON
// strings, as process.proto and file.proto say.
func encodeProcesses(finding map[string]any) {
	processes, _ := finding["processes"].([]any)
	for _, p := range processes {
		process, ok := p.(map[string]any)
		if !ok {
			continue
		}
		if args, ok := process["args"].([]any); ok {
			for i := range args {
				args[i] = quoteJSON(args[i])
			}
		}
		variables, _ := process["envVariables"].([]any)
		for _, v := range variables {
			encodeField(v, "val")
		}
		encodeField(process["binary"], "path")
		encodeField(process["script"], "path")
		libraries, _ := process["libraries"].([]any)
		for _, f := range libraries {
			encodeField(f, "path")
		}
	}
}

func encodeField(v any, field string) {
	if m, ok := v.(map[string]any); ok && m[field] != nil {
		m[field] = quoteJSON(m[field])
	}
}

func quoteJSON(v any) any {
	s, ok := v.(string)
	if !ok {
		s = fmt.Sprint(v)
	}
	data, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return string(data)
}

// Install adds a story's projects, workloads, logs and reputations. Its
// findings come with Play.
func (w *World) Install(s *Story) error {
	for _, p := range s.Projects {
		w.AddProject(p)
	}
	for _, r := range s.run {
		w.PutRun(r)
	}
	for resource, p := range s.policies {
		w.SetIAMPolicy(resource, p)
	}
	if err := w.AddLogEntries(s.logs...); err != nil {
		return fmt.Errorf("install story %q: %w", s.Name, err)
	}
	for collection, objects := range s.reputations {
		for id, attributes := range objects {
			if err := w.SetReputation(collection, id, attributes); err != nil {
				return fmt.Errorf("install story %q: %w", s.Name, err)
			}
		}
	}
	return nil
}

// Play adds a story's findings in order. Delays are divided by speed; a speed
// of 0 or less takes none.
func (w *World) Play(ctx context.Context, s *Story, speed float64) error {
	for i, step := range s.Steps {
		if speed > 0 && step.After > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(float64(step.After) / speed)):
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("play story %q, step %d: %w", s.Name, i+1, err)
		}
		if err := w.AddFinding(step.Finding, nil, step.Extra); err != nil {
			return fmt.Errorf("play story %q, step %d: %w", s.Name, i+1, err)
		}
	}
	return nil
}
