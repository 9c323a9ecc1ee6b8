package enrich_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// shortFinding is a finding of findings.yaml; it becomes a whole notification.
type shortFinding struct {
	// Event and Created are offsets from the start; Created is 2s after Event by default.
	Event, Created string
	// Every spaces the events of a range such as "f1..f9".
	Every string
	// Category, Severity, Class as SCC has them; HIGH and THREAT by default.
	Category, Severity, Class string
	// Resource is "services/web" (the default), "jobs/nightly", ...; "//..." is a whole name.
	Resource string
	// Container and Image name the container; absent by default.
	Container, Image string
	// Child and Parent are the arguments of the two processes; Parent is java by default.
	Child, Parent []string
	// SHA256 is the hash of the child's binary, a whole file.
	SHA256 string
	// Finding holds further fields of the finding, in SCC's own form.
	Finding map[string]any
}

// parseShortFindings reads findings.yaml, in the order of the file.
func (s *scenario) parseShortFindings(f txtar.File) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(f.Data, &doc); err != nil {
		return s.errorf(f.Name, yamlLine(err), "%v", err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return s.errorf(f.Name, 0, "want NAME: {...} for each finding")
	}
	nodes := doc.Content[0].Content
	for i := 0; i+1 < len(nodes); i += 2 {
		if err := s.parseShort(f, nodes[i], nodes[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) parseShort(f txtar.File, key, value *yaml.Node) error {
	var raw any
	if err := value.Decode(&raw); err != nil {
		return s.errorf(f.Name, value.Line-1, "%v", err)
	}
	var short shortFinding
	if err := s.decode(f, raw, &short); err != nil {
		return s.errorf(f.Name, key.Line-1, "%s: %v", key.Value, err)
	}
	names, err := expand(key.Value)
	if err != nil {
		return s.errorf(f.Name, key.Line-1, "%v", err)
	}
	for n, name := range names {
		message, err := short.notification(s.world.Start, name, n)
		if err != nil {
			return s.errorf(f.Name, key.Line-1, "%s: %v", name, err)
		}
		if err := s.addFinding(name, message); err != nil {
			return s.errorf(f.Name, key.Line-1, "%s: %v", name, err)
		}
	}
	return nil
}

// parseNotification reads NAME.json: a notification in SCC's own form.
func (s *scenario) parseNotification(f txtar.File) error {
	var raw any
	if err := json.Unmarshal(f.Data, &raw); err != nil {
		return s.errorf(f.Name, 0, "%v", err)
	}
	data, err := json.Marshal(s.times(raw))
	if err == nil {
		err = s.addFinding(strings.TrimSuffix(f.Name, ".json"), data)
	}
	if err != nil {
		return s.errorf(f.Name, 0, "%v", err)
	}
	return nil
}

func (s *scenario) addFinding(name string, notification []byte) error {
	f, err := finding.Parse(notification)
	if err != nil {
		return err
	}
	if len(f.Malformed) > 0 {
		return fmt.Errorf("malformed fields: %v", f.Malformed)
	}
	if s.findings[name] != nil {
		return fmt.Errorf("there are two findings %s", name)
	}
	s.findings[name] = f
	s.order = append(s.order, name)
	return nil
}

// notification is the message SCC sends; args and paths are JSON-encoded in it,
// as process.proto says.
func (f shortFinding) notification(start time.Time, name string, n int) ([]byte, error) {
	event, err := offset(f.Event, 0)
	if err != nil {
		return nil, err
	}
	every, err := offset(f.Every, 0)
	if err != nil {
		return nil, err
	}
	event += time.Duration(n) * every
	created, err := offset(f.Created, event+2*time.Second)
	if err != nil {
		return nil, err
	}
	resource := f.Resource
	if !strings.HasPrefix(resource, "//") {
		resource = "//run.googleapis.com/projects/shop-prod/locations/europe-west1/" + or(resource, "services/web")
	}
	body := map[string]any{
		"name":          "organizations/998877665544/sources/42/locations/global/findings/" + name,
		"canonicalName": "projects/123456789012/sources/42/locations/global/findings/" + name,
		"parent":        "organizations/998877665544/sources/42/locations/global", "parentDisplayName": "Cloud Run Threat Detection",
		"resourceName": resource, "category": or(f.Category, "Unexpected Child Shell"), "state": "ACTIVE", "mute": "UNDEFINED",
		"severity": or(f.Severity, "HIGH"), "findingClass": or(f.Class, "THREAT"),
		"eventTime": start.Add(event).Format(time.RFC3339Nano), "createTime": start.Add(created).Format(time.RFC3339Nano),
	}
	if f.Container != "" || f.Image != "" {
		body["containers"] = []any{map[string]any{"name": f.Container, "uri": f.Image}}
	}
	if len(f.Child) > 0 {
		body["processes"] = f.processes()
	}
	maps.Copy(body, f.Finding)
	return json.Marshal(map[string]any{
		"notificationConfigName": "organizations/998877665544/locations/global/notificationConfigs/cloud-run", "finding": body,
		"resource": map[string]any{"name": resource, "gcpMetadata": map[string]any{
			"project": "//cloudresourcemanager.googleapis.com/projects/123456789012", "projectDisplayName": "shop-prod", "organization": "organizations/998877665544",
		}},
	})
}

func (f shortFinding) processes() []any {
	parent := f.Parent
	if len(parent) == 0 {
		parent = []string{"java", "-jar", "app.jar"}
	}
	child := process(f.Child, 17, 1)
	if f.SHA256 != "" {
		child["binary"] = map[string]any{"path": child["args"].([]any)[0], "size": "4096", "hashedSize": "4096", "sha256": f.SHA256}
	}
	return []any{child, process(parent, 1, 0)}
}

func process(args []string, pid, parent int) map[string]any {
	encoded := make([]any, len(args))
	for i, a := range args {
		data, _ := json.Marshal(a)
		encoded[i] = string(data)
	}
	return map[string]any{"name": filepath.Base(args[0]), "pid": strconv.Itoa(pid), "parentPid": strconv.Itoa(parent), "args": encoded}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func offset(s string, fallback time.Duration) (time.Duration, error) {
	if s == "" {
		return fallback, nil
	}
	return time.ParseDuration(s)
}

// expand makes f1, f2, f3 of "f1..f3".
func expand(name string) ([]string, error) {
	first, last, ok := strings.Cut(name, "..")
	if !ok {
		return []string{name}, nil
	}
	stem := strings.TrimRight(first, "0123456789")
	from, err1 := strconv.Atoi(strings.TrimPrefix(first, stem))
	to, err2 := strconv.Atoi(strings.TrimPrefix(last, stem))
	if err1 != nil || err2 != nil || to < from || to-from >= 10_000 {
		return nil, fmt.Errorf("%q is no range such as f1..f9", name)
	}
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, stem+strconv.Itoa(i))
	}
	return out, nil
}
