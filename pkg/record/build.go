package record

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/attack"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// The bounds of a record: numbers of elements, and characters of texts.
const (
	maxProcesses   = 20
	maxFiles       = 20
	maxLibraries   = 10
	maxEnvNames    = 100
	maxBehaviors   = 40
	maxDecoded     = 5
	maxIndicators  = 50
	maxMembers     = 200
	maxReputations = 25
	maxReasons     = 60
	maxUnchecked   = 30
	maxSteps       = 40
	maxList        = 50

	maxName    = 256
	maxText    = 600
	maxCommand = 4000
	maxStep    = 2000
)

// builder makes the parts of one record.
type builder struct {
	r  *redact.Redactor
	in Input
	f  *finding.Finding
	ev *evidence.Evidence
	// seen keeps the texts that were redacted: many occur several times.
	seen map[textKey]string
	// commands keeps the redacted command lines.
	commands map[*finding.Process]string
}

// textsExpected is how many texts an ordinary record has.
const textsExpected = 128

type textKey struct {
	text  string
	limit int
}

// text is a free text: without secrets, on one line, of at most limit characters.
func (b *builder) text(s string, limit int) string {
	if s == "" {
		return ""
	}
	key := textKey{s, limit}
	done, ok := b.seen[key]
	if !ok {
		done = b.r.Line(s, limit)
		b.seen[key] = done
	}
	return done
}

// command is the redacted command line of a process.
func (b *builder) command(p *finding.Process) string {
	s, ok := b.commands[p]
	if !ok {
		s = b.args(p.Args, maxCommand)
		b.commands[p] = s
	}
	return s
}

// args is a redacted command line of at most limit characters. Arguments that
// cannot be seen in it are not read.
func (b *builder) args(argv []string, limit int) string {
	size := 0
	for i, arg := range argv {
		if size += len(arg) + 1; size > 4*limit && i > 0 {
			return clean(b.r.Args(argv[:i])+" …", limit)
		}
	}
	return clean(b.r.Args(argv), limit)
}

// clean is a name of a closed set, or one whose form was checked where it was
// read: nothing in it can be a secret.
func clean(s string, limit int) string { return redact.Clean(s, limit) }

func (b *builder) texts(list []string, most, limit int) []string {
	var out []string
	for _, s := range list {
		if len(out) == most {
			break
		}
		if s = b.text(s, limit); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// once is texts without repetition: two may be the same without their secrets.
func (b *builder) once(list []string, most, limit int) []string {
	var out []string
	for _, s := range b.texts(list, len(list), limit) {
		if len(out) < most && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (b *builder) finding() Finding {
	f := b.f
	out := Finding{
		Name:          clean(f.Name, 2*maxName),
		CanonicalName: clean(f.CanonicalName, 2*maxName),
		Category:      b.text(f.Category, maxName),
		CategoryPage:  attack.FindingPage(f.Category),
		Description:   b.text(f.Description, 2*maxText),
		Class:         b.text(f.Class, 64),
		State:         b.text(string(f.State), 32),
		Severity:      b.text(string(f.Severity), 32),
		Mute:          b.text(f.Mute, 32),
		Source:        b.text(f.ParentDisplayName, maxName),
		EventTime:     f.EventTime.UTC(),
		EarlierTimes:  first(b.in.EarlierTimes, maxList),
		CreateTime:    f.CreateTime.UTC(),
		ExternalURI:   b.text(f.ExternalURI, maxText),
		ResourceName:  b.text(f.ResourceName, 2*maxName),
		ResourceType:  b.text(f.Resource.Type, maxName),
		Organization:  b.text(f.Resource.Organization, maxName),
		Folders:       b.texts(f.Resource.Folders, maxList, maxName),
		Files:         b.files(f.Files, maxFiles),
		Truncated:     f.Truncated,
		Malformed:     b.texts(f.Malformed, maxList, 64),
	}
	for _, c := range first(f.Containers, maxList) {
		out.Containers = append(out.Containers, Container{
			Name: b.text(c.Name, maxName), Image: b.text(c.URI, 2*maxName),
			ImageID: b.text(c.ImageID, 2*maxName), CreateTime: c.CreateTime.UTC(),
		})
	}
	for _, c := range first(f.Connections, maxList) {
		out.Connections = append(out.Connections, Connection{
			Destination: b.endpoint(c.DestinationIP, c.DestinationPort),
			Source:      b.endpoint(c.SourceIP, c.SourcePort), Protocol: b.text(c.Protocol, 16),
		})
	}
	if s := f.ReverseShell; s != nil && len(out.Connections) < maxList {
		out.Connections = append(out.Connections, Connection{
			Destination: b.endpoint(s.DestinationIP, s.DestinationPort), Source: b.endpoint(s.SourceIP, s.SourcePort),
		})
	}
	if a := f.Access; a != (finding.Access{}) {
		out.Access = &Access{
			Principal: b.text(a.Principal, maxName), CallerIP: b.defanged(a.CallerIP, 64), Region: b.text(a.Region, 64),
			UserAgent: b.text(a.UserAgent, maxName), Service: b.text(a.ServiceName, maxName), Method: b.text(a.MethodName, maxName),
		}
	}
	return out
}

func (b *builder) endpoint(ip string, port int) string {
	ip = b.defanged(ip, 64)
	if ip == "" || port <= 0 {
		return ip
	}
	return net.JoinHostPort(ip, strconv.Itoa(port))
}

// defanged is a text that may hold a network indicator.
func (b *builder) defanged(s string, limit int) string {
	if s == "" {
		return ""
	}
	return redact.Clean(command.Defang(b.text(s, limit)), limit)
}

func (b *builder) files(list []finding.File, most int) []File {
	var out []File
	for i := range first(list, most) {
		out = append(out, *b.file(&list[i]))
	}
	return out
}

func (b *builder) file(f *finding.File) *File {
	if f == nil {
		return nil
	}
	return &File{
		Path: b.text(f.Path, 2*maxName), SHA256: hash(f.SHA256), Size: f.Size, HashedSize: f.HashedSize,
		PartiallyHashed: f.PartiallyHashed, Contents: b.text(f.Contents, 2*maxText),
	}
}

// hash is a hash in lower-case hex, or nothing.
func hash(s string) string {
	s = strings.ToLower(s)
	if len(s) > 128 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

func (b *builder) story() *Story {
	a := &b.in.Assessment
	tree := b.f.Tree()
	child, parent := a.Child, a.Parent
	if child == nil {
		child, parent = tree.Child, tree.Parent
	}
	if child == nil {
		return nil
	}
	return &Story{
		Tree:      b.text(tree.String(), 2*maxName),
		Command:   b.command(child),
		Truncated: a.Reading.Truncated || child.ArgsTruncated,
		Unparsed:  a.Reading.Unparsed,
		Parent:    b.process(parent),
		Child:     b.process(child),
	}
}

func (b *builder) processes() []Process {
	var out []Process
	for i := range first(b.f.Processes, maxProcesses) {
		out = append(out, *b.process(&b.f.Processes[i]))
	}
	return out
}

func (b *builder) process(p *finding.Process) *Process {
	if p == nil {
		return nil
	}
	return &Process{
		Name: b.text(p.Name, 64), PID: p.PID, ParentPID: p.ParentPID, UserID: p.UserID,
		Command: b.command(p), ArgsTruncated: p.ArgsTruncated,
		Binary: b.file(p.Binary), Script: b.file(p.Script), Libraries: b.files(p.Libraries, maxLibraries),
		EnvNames: b.texts(p.EnvNames, maxEnvNames, 128),
	}
}

func (b *builder) behaviors() []Behavior {
	var out []Behavior
	for _, h := range first(b.in.Assessment.Reading.Hits, maxBehaviors) {
		out = append(out, Behavior{
			Name: string(h.Behavior), Sentence: h.Behavior.Sentence(), Class: h.Class.String(),
			Text: b.text(h.Text, maxText), Techniques: b.texts(h.Techniques, 10, 16),
		})
	}
	return out
}

func (b *builder) indicators() []Indicator {
	list := b.in.Assessment.Indicators
	if len(list) == 0 {
		list = b.in.Assessment.Reading.Indicators
	}
	var out []Indicator
	for _, i := range list {
		v := Indicator{Kind: clean(i.Kind, 16), Value: b.defanged(i.Value, maxText)}
		if v.Kind == "hash" {
			if v.Value = hash(i.Value); b.secret(i.Value) {
				continue
			}
		}
		if v.Kind == "" || v.Value == "" || slices.Contains(out, v) {
			continue
		}
		if out = append(out, v); len(out) == maxIndicators {
			break
		}
	}
	return out
}

func (b *builder) incident() *Incident {
	inc := &b.in.Incident
	if inc.Alone() || inc.ID == "" {
		return nil
	}
	out := &Incident{
		ID: clean(inc.ID, 64), Start: inc.Start.UTC(), End: inc.End.UTC(),
	}
	others := inc.Others()
	out.RelatedCount, out.Categories = len(others), b.categories(others)
	for _, m := range others {
		if m.Finding != nil && m.Finding.Muted() {
			out.RelatedMuted++
		}
	}
	seed := slices.IndexFunc(inc.Members, func(m incident.Member) bool { return m.Seed })
	lo := max(0, min(seed-maxMembers/2, len(inc.Members)-maxMembers))
	for _, m := range first(inc.Members[lo:], maxMembers) {
		if m.Finding == nil {
			continue
		}
		out.Members = append(out.Members, Member{
			Name: clean(m.Finding.CanonicalName, 2*maxName), Category: b.text(m.Finding.Category, maxName),
			Severity: b.text(string(m.Finding.Severity), 32), EventTime: m.Finding.EventTime.UTC(),
			Strength: string(m.Strength), Seed: m.Seed, Muted: m.Finding.Muted(), State: b.text(string(m.Finding.State), 32),
		})
	}
	return out
}

// categories counts the findings by category, the most frequent first. Its
// answer does not depend on the order of the members.
func (b *builder) categories(members []incident.Member) []Count {
	counts := map[string]int{}
	for _, m := range members {
		if m.Finding != nil {
			counts[m.Finding.Category]++
		}
	}
	var out []Count
	for name, n := range counts {
		out = append(out, Count{Name: b.text(name, maxName), Count: n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return first(out, maxList)
}

func (b *builder) attack() Attack {
	a := &b.in.Assessment
	out := Attack{Version: attack.Version(clean(a.AttackVersion, 16))}
	for _, id := range first(a.Tactics, maxList) {
		id = b.text(id, 64)
		out.Tactics = append(out.Tactics, Entry{ID: id, Name: attack.TacticName(id)})
	}
	for _, id := range first(a.Techniques, maxList) {
		id = b.text(id, 96)
		out.Techniques = append(out.Techniques, Entry{ID: id, Name: attack.TechniqueName(id), URL: attack.TechniqueURL(id)})
	}
	return out
}

func (b *builder) assessment() Assessment {
	a := &b.in.Assessment
	out := Assessment{
		Verdict: string(a.Verdict), Score: a.Score, OwnScore: a.OwnScore, Priority: clean(a.Priority, 8),
		NextAction: string(a.NextAction), Summary: b.text(a.Summary, maxText), Story: b.text(a.Story, maxText), Exposure: string(a.Exposure),
		ConfigRisks: b.texts(a.ConfigRisks, maxList, 64), Unchecked: b.once(a.Unchecked, maxUnchecked, maxText),
		Policy: b.text(a.PolicyID, maxName),
	}
	if out.Verdict == "" {
		out.Verdict = string(assess.Unknown)
	}
	for _, r := range first(a.Reasons, maxReasons) {
		out.Reasons = append(out.Reasons, Reason{
			ID: clean(r.ID, 64), Title: b.text(r.Title, maxName), Points: r.Points, Source: clean(r.Source, 32),
			Evidence: b.text(r.Evidence, maxText), Incident: r.Incident,
		})
	}
	return out
}

func (b *builder) plan() []Step {
	var out []Step
	for _, s := range first(b.in.Assessment.Plan, maxSteps) {
		out = append(out, Step{
			ID: clean(s.ID, 64), Phase: clean(s.Phase, 32), Title: b.text(s.Title, maxName), Why: b.text(s.Why, maxText),
			Command: b.r.Block(s.Command, maxStep), Effect: b.text(s.Effect, maxText), Undo: b.r.Block(s.Undo, maxStep),
			Permission: b.text(s.Permission, maxName),
		})
	}
	return out
}

// first returns at most n elements.
func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// IncidentOf is the incident of a record by itself, nil for a finding that
// stands alone: what a member's marks say of its company.
func IncidentOf(inc incident.Incident, r *redact.Redactor) *Incident {
	b := builder{r: r, in: Input{Incident: inc}, seen: map[textKey]string{}}
	return b.incident()
}
