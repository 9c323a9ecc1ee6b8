package emulator

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/protobuf/proto"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/logquery"
)

// World is everything the emulated APIs know. It is safe for concurrent use.
// Messages handed to it belong to it, and messages it hands out are shared:
// neither may be changed afterwards.
type World struct {
	now func() time.Time

	mu          sync.RWMutex
	projects    map[string]*Project // by id and by number
	findings    []*stored           // in order of arrival
	byKey       map[findingKey]*stored
	byResource  map[string][]*stored
	sources     map[string]string // source id → display name
	logs        map[string]*projectLogs
	run         map[string]proto.Message          // by API name with the project's id
	runLists    map[string]map[string]runResource // the same by collection, ".../services/web/revisions"
	policies    map[string]*iampb.Policy
	reputations map[string]json.RawMessage // "files/HASH" → attributes
	config      string
	listeners   []func(Notification)
}

// Project is a Google Cloud project.
type Project struct {
	ID, Number string
	// Organization and Folders are numbers; the first folder is the deepest.
	Organization string
	Folders      []string
}

// projectLogs are the entries of one project: all, and by workload name.
type projectLogs struct {
	all        []*logquery.Entry // by timestamp
	byWorkload map[string][]*logquery.Entry
}

// NewWorld makes an empty world. now is the clock for create times, quotas and
// tokens; nil is time.Now.
func NewWorld(now func() time.Time) *World {
	if now == nil {
		now = time.Now
	}
	return &World{
		now: now, projects: map[string]*Project{}, byKey: map[findingKey]*stored{}, byResource: map[string][]*stored{},
		sources: map[string]string{}, logs: map[string]*projectLogs{}, run: map[string]proto.Message{}, runLists: map[string]map[string]runResource{},
		policies: map[string]*iampb.Policy{}, reputations: map[string]json.RawMessage{},
	}
}

// AddProject makes a project known. Calls about unknown projects are refused.
func (w *World) AddProject(p Project) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.projects[p.ID] = &p
	if p.Number != "" {
		w.projects[p.Number] = &p
	}
}

// project finds a project by id or number. The caller holds the lock.
func (w *World) project(idOrNumber string) (*Project, bool) {
	p, ok := w.projects[idOrNumber]
	return p, ok
}

// AddLogEntries adds log entries to the projects their log names say. Missing
// insert ids and receive times are filled in. An entry of an unknown project,
// or with a payload of an unregistered type, is an error; entries before it
// stay.
func (w *World) AddLogEntries(entries ...*loggingpb.LogEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range entries {
		parent, _, ok := strings.Cut(e.GetLogName(), "/logs/")
		id, isProject := strings.CutPrefix(parent, "projects/")
		p, known := w.project(id)
		if !ok || !isProject || !known {
			return fmt.Errorf("add log entry: log name %q is not of a known project", e.GetLogName())
		}
		logs := w.logs[p.ID]
		if logs == nil {
			logs = &projectLogs{byWorkload: map[string][]*logquery.Entry{}}
			w.logs[p.ID] = logs
		}
		if e.InsertId == "" {
			e.InsertId = fmt.Sprintf("%s-%06d", p.ID, len(logs.all))
		}
		if e.ReceiveTimestamp == nil {
			e.ReceiveTimestamp = e.GetTimestamp()
		}
		prepared, err := logquery.Prepare(e)
		if err != nil {
			return fmt.Errorf("add log entry: %w", err)
		}
		logs.all = insertByTime(logs.all, prepared)
		for _, label := range workloadLabels() {
			if name := e.GetResource().GetLabels()[label]; name != "" {
				logs.byWorkload[name] = insertByTime(logs.byWorkload[name], prepared)
			}
		}
	}
	return nil
}

func workloadLabels() []string { return []string{"service_name", "job_name", "worker_pool_name"} }

func insertByTime(list []*logquery.Entry, e *logquery.Entry) []*logquery.Entry {
	i, _ := slices.BinarySearchFunc(list, e, byTime)
	return slices.Insert(list, i, e)
}

// byTime orders entries of equal timestamps by insert id, as logging.proto says
// of order_by.
func byTime(a, b *logquery.Entry) int {
	if c := a.Proto.GetTimestamp().AsTime().Compare(b.Proto.GetTimestamp().AsTime()); c != 0 {
		return c
	}
	return strings.Compare(a.Proto.GetInsertId(), b.Proto.GetInsertId())
}

// PutRun stores a Cloud Run resource (*runpb.Service, Revision, Job, Execution
// or WorkerPool) under its API name, whose project is given by id.
func (w *World) PutRun(resources ...runResource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range resources {
		w.run[r.GetName()] = r
		list := path.Dir(r.GetName())
		if w.runLists[list] == nil {
			w.runLists[list] = map[string]runResource{}
		}
		w.runLists[list][r.GetName()] = r
	}
}

// DeleteRun removes a Cloud Run resource, as an operator or the limits on old
// revisions and executions do.
func (w *World) DeleteRun(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.run, name)
	delete(w.runLists[path.Dir(name)], name)
}

// SetIAMPolicy sets the policy of a Cloud Run resource.
func (w *World) SetIAMPolicy(resource string, p *iampb.Policy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policies[resource] = p
}

// SetReputation sets what VirusTotal knows of an object. Collection is files,
// domains, ip_addresses or urls; id is the SHA-256 (a file's MD5 and SHA-1
// attributes are answered too), domain, address or URL; attributes are the
// JSON object under data.attributes.
func (w *World) SetReputation(collection, id string, attributes json.RawMessage) error {
	if !json.Valid(attributes) {
		return fmt.Errorf("attributes of %s %q are not JSON", collection, id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if collection == "urls" {
		id = urlID(id)
	}
	w.reputations[collection+"/"+id] = attributes
	if collection == "files" {
		var hashes struct{ MD5, SHA1 string }
		if err := json.Unmarshal(attributes, &hashes); err != nil {
			return fmt.Errorf("attributes of file %q: %w", id, err)
		}
		for _, h := range []string{hashes.MD5, hashes.SHA1} {
			if h != "" {
				w.reputations[collection+"/"+h] = attributes
			}
		}
	}
	return nil
}
