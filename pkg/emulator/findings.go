package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// stored is a finding with its resource. The messages are never changed, only
// replaced, so that a reader may keep them.
type stored struct {
	key      findingKey
	project  *Project
	finding  *securitycenterpb.Finding
	resource *securitycenterpb.Resource
	extra    map[string]json.RawMessage
	arrived  time.Time
}

// Notification is what Security Command Center publishes to Pub/Sub: the JSON
// of a v2 NotificationMessage.
type Notification struct {
	Data []byte
	// Finding is the canonical name.
	Finding string
}

// OnPublish calls f for every notification from now on, in the goroutine that
// made the change: f must not block, and is called concurrently. The order of
// notifications is not that of the changes, as Pub/Sub promises none.
func (w *World) OnPublish(f func(Notification)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners = append(w.listeners, f)
}

// SetNotificationConfig names the config in notifications; the default is
// "organizations/O/locations/global/notificationConfigs/enricher" of the
// finding's organization.
func (w *World) SetNotificationConfig(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.config = name
}

// AddFinding adds a finding, or updates the one of the same name and keeps its
// marks and create time, and publishes it. The finding needs a canonical name
// in a known project; name, parent, state, times and mute are filled in where
// they are missing, and so is a nil resource. extra are fields of the
// published finding that the public proto does not have, by JSON name.
func (w *World) AddFinding(f *securitycenterpb.Finding, r *securitycenterpb.Resource, extra map[string]json.RawMessage) error {
	n, err := parseFinding(f.GetCanonicalName())
	if err != nil {
		return fmt.Errorf("add finding: %w", err)
	}
	w.mu.Lock()
	p, ok := w.project(n.scope.id)
	if n.scope.kind != "projects" || !ok {
		w.mu.Unlock()
		return fmt.Errorf("add finding: canonical name %q is not of a known project", f.GetCanonicalName())
	}
	f = proto.CloneOf(f)
	if r == nil {
		r = defaultResource(p, f.GetResourceName())
	}
	fillIn(f, r, p, n, w.now())
	s := w.byKey[n.key]
	if s == nil {
		s = &stored{key: n.key, arrived: w.now()}
		w.byKey[n.key] = s
		w.findings = append(w.findings, s)
		w.byResource[f.GetResourceName()] = append(w.byResource[f.GetResourceName()], s)
	} else {
		f.SecurityMarks, f.CreateTime = s.finding.GetSecurityMarks(), s.finding.GetCreateTime()
	}
	s.project, s.finding, s.resource, s.extra = p, f, r, extra
	w.sources[n.key.source] = f.GetParentDisplayName()
	return w.publishAndUnlock(s)
}

// fillIn sets what Security Command Center itself would set.
func fillIn(f *securitycenterpb.Finding, r *securitycenterpb.Resource, p *Project, n findingName, now time.Time) {
	top := scope{kind: "organizations", id: p.Organization}
	if p.Organization == "" {
		top = scope{kind: "projects", id: p.Number}
	}
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&f.Name, n.source(top)+"/findings/"+n.key.id)
	set(&f.Parent, n.source(top))
	set(&f.ResourceName, r.GetName())
	if f.SecurityMarks == nil {
		f.SecurityMarks = &securitycenterpb.SecurityMarks{}
	}
	f.SecurityMarks.Name = f.Name + "/securityMarks"
	f.SecurityMarks.CanonicalName = f.CanonicalName + "/securityMarks"
	if f.State == securitycenterpb.Finding_STATE_UNSPECIFIED {
		f.State = securitycenterpb.Finding_ACTIVE
	}
	if f.Mute == securitycenterpb.Finding_MUTE_UNSPECIFIED {
		f.Mute = securitycenterpb.Finding_UNDEFINED
	}
	if f.CreateTime == nil {
		f.CreateTime = timestamppb.New(now.Truncate(time.Millisecond))
	}
	if f.EventTime == nil {
		f.EventTime = f.CreateTime
	}
	if f.MuteUpdateTime == nil {
		f.MuteUpdateTime = &timestamppb.Timestamp{} // the epoch, as real notifications have it
	}
}

// defaultResource describes a Cloud Run resource of a project.
func defaultResource(p *Project, name string) *securitycenterpb.Resource {
	project := "//cloudresourcemanager.googleapis.com/projects/" + p.Number
	gcp := &securitycenterpb.GcpMetadata{Project: project, ProjectDisplayName: p.ID, Parent: project, ParentDisplayName: p.ID}
	path := &securitycenterpb.ResourcePath{Nodes: []*securitycenterpb.ResourcePath_ResourcePathNode{{
		NodeType: securitycenterpb.ResourcePath_GCP_PROJECT, Id: "projects/" + p.Number, DisplayName: p.ID,
	}}}
	text := "projects/" + p.Number
	for _, f := range p.Folders {
		gcp.Folders = append(gcp.Folders, &securitycenterpb.Folder{ResourceFolder: "//cloudresourcemanager.googleapis.com/folders/" + f, ResourceFolderDisplayName: "folder-" + f})
		path.Nodes = append(path.Nodes, &securitycenterpb.ResourcePath_ResourcePathNode{NodeType: securitycenterpb.ResourcePath_GCP_FOLDER, Id: "folders/" + f})
		text = "folders/" + f + "/" + text
	}
	if p.Organization != "" {
		gcp.Organization = "organizations/" + p.Organization
		path.Nodes = append(path.Nodes, &securitycenterpb.ResourcePath_ResourcePathNode{NodeType: securitycenterpb.ResourcePath_GCP_ORGANIZATION, Id: gcp.Organization})
		text = gcp.Organization + "/" + text
	}
	r := &securitycenterpb.Resource{
		Name: name, DisplayName: name[strings.LastIndexByte(name, '/')+1:], Type: "google.cloud.run.Service",
		CloudProvider: securitycenterpb.CloudProvider_GOOGLE_CLOUD_PLATFORM, Service: "run.googleapis.com",
		CloudProviderMetadata: &securitycenterpb.Resource_GcpMetadata{GcpMetadata: gcp}, ResourcePath: path, ResourcePathString: text,
	}
	if _, rest, ok := strings.Cut(name, "/locations/"); ok {
		r.Location, _, _ = strings.Cut(rest, "/")
	}
	switch {
	case strings.Contains(name, "/jobs/"):
		r.Type = "google.cloud.run.Job"
	case strings.Contains(name, "/workerPools/"):
		r.Type = "google.cloud.run.WorkerPool"
	}
	return r
}

// change replaces a finding by a changed clone and publishes it.
func (w *World) change(key findingKey, edit func(*securitycenterpb.Finding)) (*securitycenterpb.Finding, error) {
	w.mu.Lock()
	s := w.byKey[key]
	if s == nil {
		w.mu.Unlock()
		return nil, fmt.Errorf("finding %q is gone", key.id)
	}
	f := proto.CloneOf(s.finding)
	edit(f)
	s.finding = f
	return f, w.publishAndUnlock(s)
}

// publishAndUnlock gives up the lock and calls the listeners.
func (w *World) publishAndUnlock(s *stored) error {
	listeners, config, snapshot := w.listeners, w.config, *s
	w.mu.Unlock()
	if len(listeners) == 0 {
		return nil
	}
	if config == "" {
		n, _, err := parseSource(snapshot.finding.GetName())
		if err != nil {
			return fmt.Errorf("publish finding: %w", err)
		}
		config = n.scope.String() + "/locations/" + n.key.location + "/notificationConfigs/enricher"
	}
	data, err := notification(config, &snapshot)
	if err != nil {
		return fmt.Errorf("publish finding %q: %w", snapshot.finding.GetCanonicalName(), err)
	}
	for _, f := range listeners {
		f(Notification{Data: data, Finding: snapshot.finding.GetCanonicalName()})
	}
	return nil
}

func notification(config string, s *stored) ([]byte, error) {
	data, err := protojson.Marshal(&securitycenterpb.NotificationMessage{
		NotificationConfigName: config, Event: &securitycenterpb.NotificationMessage_Finding{Finding: s.finding}, Resource: s.resource,
	})
	if err != nil {
		return nil, err
	}
	if len(s.extra) == 0 {
		var b bytes.Buffer
		err := json.Compact(&b, data)
		return b.Bytes(), err
	}
	var msg, finding map[string]json.RawMessage
	if err := json.Unmarshal(data, &msg); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(msg["finding"], &finding); err != nil {
		return nil, err
	}
	maps.Copy(finding, s.extra)
	if msg["finding"], err = json.Marshal(finding); err != nil {
		return nil, err
	}
	return json.Marshal(msg)
}

// Finding returns a finding as it is now, and its resource; false if there is
// none of this name at any scope.
func (w *World) Finding(name string) (*securitycenterpb.Finding, *securitycenterpb.Resource, bool) {
	n, err := parseFinding(name)
	if err != nil {
		return nil, nil, false
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	s := w.byKey[n.key]
	if s == nil {
		return nil, nil, false
	}
	return s.finding, s.resource, true
}

// Marks returns the security marks of a finding; nil if there is none.
func (w *World) Marks(name string) map[string]string {
	f, _, ok := w.Finding(name)
	if !ok {
		return nil
	}
	return maps.Clone(f.GetSecurityMarks().GetMarks())
}

// Names returns the canonical names of all findings in order of arrival.
func (w *World) Names() []string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	all := make([]string, len(w.findings))
	for i, s := range w.findings {
		all[i] = s.finding.GetCanonicalName()
	}
	return all
}
