package finding

import (
	"strings"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ProtoResource is the resource of a finding, as a ListFindings result or a
// notification message carries it: both of their generated types have these
// methods.
type ProtoResource interface {
	GetName() string
	GetDisplayName() string
	GetType() string
	GetService() string
	GetLocation() string
	GetGcpMetadata() *securitycenterpb.GcpMetadata
}

// FromProto converts a finding of the version 2 client and its resource, which
// may be nil. The result is that of Parse on the same finding as JSON; it is nil
// where Parse answers ErrNoFinding, that is, for a finding without a valid name.
func FromProto(pb *securitycenterpb.Finding, r ProtoResource) *Finding {
	if pb == nil {
		return nil
	}
	c := converter{&Finding{}}
	c.head(pb)
	c.container(pb)
	c.network(pb)
	c.attribution(pb)
	if r != nil {
		c.resource(r)
	}
	props := &properties{}
	for key, v := range pb.GetSourceProperties() {
		props.set(key, protoValue{v})
	}
	if err := c.f.finish(props); err != nil {
		return nil
	}
	return c.f
}

// converter copies a generated message into a finding.
type converter struct{ f *Finding }

func (c converter) text(s string) string { return c.f.cut(s, maxText) }

func (c converter) head(pb *securitycenterpb.Finding) {
	f := c.f
	f.Name = pb.GetName()
	f.CanonicalName = pb.GetCanonicalName()
	f.ResourceName = pb.GetResourceName()
	f.EventTime = protoTime(pb.GetEventTime())
	f.CreateTime = protoTime(pb.GetCreateTime())
	f.State = State(specified(stateName(int32(pb.GetState()))))
	f.Severity = Severity(specified(severityName(int32(pb.GetSeverity()))))
	f.Mute = specified(muteName(int32(pb.GetMute())))
	f.Class = specified(className(int32(pb.GetFindingClass())))
	f.Parent = c.text(pb.GetParent())
	f.ParentDisplayName = c.text(pb.GetParentDisplayName())
	f.Category = c.text(pb.GetCategory())
	f.Description = f.cut(pb.GetDescription(), maxLongText)
	f.ExternalURI = c.text(pb.GetExternalUri())
	for k, v := range pb.GetSecurityMarks().GetMarks() {
		if len(f.Marks) >= maxMarks {
			f.Truncated++
			continue
		}
		if f.Marks == nil {
			f.Marks = make(map[string]string)
		}
		f.Marks[c.text(k)] = f.cut(v, maxMark)
	}
}

func (c converter) container(pb *securitycenterpb.Finding) {
	f := c.f
	for _, p := range bounded(f, pb.GetContainers(), maxContainers) {
		f.Containers = append(f.Containers, Container{
			Name:       c.text(p.GetName()),
			URI:        c.text(p.GetUri()),
			ImageID:    c.text(p.GetImageId()),
			CreateTime: protoTime(p.GetCreateTime()),
		})
	}
	for _, p := range bounded(f, pb.GetProcesses(), maxProcesses) {
		f.Processes = append(f.Processes, c.process(p))
	}
	f.Files = c.files(pb.GetFiles())
}

func (c converter) network(pb *securitycenterpb.Finding) {
	f := c.f
	ind := pb.GetIndicator()
	f.Indicator.IPs = c.texts(ind.GetIpAddresses(), maxIndicators)
	f.Indicator.Domains = c.texts(ind.GetDomains(), maxIndicators)
	f.Indicator.URIs = c.texts(ind.GetUris(), maxIndicators)
	for _, s := range bounded(f, ind.GetSignatures(), maxIndicators) {
		f.addSignature(s.GetYaraRuleSignature().GetYaraRule())
		f.addSignature(s.GetMemoryHashSignature().GetBinaryFamily())
	}
	for _, p := range bounded(f, pb.GetConnections(), maxConnections) {
		f.Connections = append(f.Connections, Connection{
			DestinationIP:   c.text(p.GetDestinationIp()),
			DestinationPort: port(int64(p.GetDestinationPort())),
			SourceIP:        c.text(p.GetSourceIp()),
			SourcePort:      port(int64(p.GetSourcePort())),
			Protocol:        specified(protocolName(int32(p.GetProtocol()))),
		})
	}
}

func (c converter) attribution(pb *securitycenterpb.Finding) {
	f := c.f
	a := pb.GetAccess()
	f.Access = Access{
		Principal:   c.text(a.GetPrincipalEmail()),
		CallerIP:    c.text(a.GetCallerIp()),
		Region:      c.text(a.GetCallerIpGeo().GetRegionCode()),
		UserAgent:   c.text(a.GetUserAgent()),
		KeyName:     c.text(a.GetServiceAccountKeyName()),
		ServiceName: c.text(a.GetServiceName()),
		MethodName:  c.text(a.GetMethodName()),
	}
	m := pb.GetMitreAttack()
	f.Mitre = Mitre{
		PrimaryTactic:        specified(tacticName(int32(m.GetPrimaryTactic()))),
		PrimaryTechniques:    enumNames(f, m.GetPrimaryTechniques(), techniqueName),
		AdditionalTactics:    enumNames(f, m.GetAdditionalTactics(), tacticName),
		AdditionalTechniques: enumNames(f, m.GetAdditionalTechniques(), techniqueName),
		Version:              c.text(m.GetVersion()),
	}
}

func (c converter) process(pb *securitycenterpb.Process) Process {
	p := Process{
		Name:          c.text(pb.GetName()),
		Binary:        c.file(pb.GetBinary()),
		Libraries:     c.files(pb.GetLibraries()),
		Script:        c.file(pb.GetScript()),
		ArgsTruncated: pb.GetArgumentsTruncated(),
		EnvTruncated:  pb.GetEnvVariablesTruncated(),
		PID:           pb.GetPid(),
		ParentPID:     pb.GetParentPid(),
	}
	for _, arg := range pb.GetArgs() {
		c.f.addArg(&p, arg)
	}
	for _, env := range pb.GetEnvVariables() {
		c.f.addEnv(&p, c.f.cut(env.GetName(), maxLongText))
	}
	if id := pb.GetUserId(); id != 0 { // proto3 cannot tell 0 from absent
		p.UserID = &id
	}
	return p
}

func (c converter) files(pbs []*securitycenterpb.File) []File {
	var out []File
	for _, pb := range bounded(c.f, pbs, maxFiles) {
		out = append(out, c.fileOf(pb))
	}
	return out
}

func (c converter) file(pb *securitycenterpb.File) *File {
	file := c.fileOf(pb)
	if file == (File{}) {
		return nil
	}
	return &file
}

func (c converter) fileOf(pb *securitycenterpb.File) File {
	return File{
		Path:            c.f.encoded(pb.GetPath(), maxText),
		Size:            pb.GetSize(),
		HashedSize:      pb.GetHashedSize(),
		SHA256:          strings.TrimSpace(c.text(pb.GetSha256())),
		PartiallyHashed: pb.GetPartiallyHashed(),
		Contents:        c.f.encoded(pb.GetContents(), maxLongText),
		DiskPath:        c.f.encoded(pb.GetDiskPath().GetRelativePath(), maxText),
	}
}

func (c converter) resource(pb ProtoResource) {
	r, gcp := &c.f.Resource, pb.GetGcpMetadata()
	r.Name = c.text(pb.GetName())
	r.DisplayName = c.text(pb.GetDisplayName())
	r.Type = c.text(pb.GetType())
	r.Service = c.text(pb.GetService())
	r.Location = c.text(pb.GetLocation())
	r.ProjectNumber, r.ProjectID = projectParts(c.text(gcp.GetProject()), c.text(gcp.GetProjectDisplayName()))
	r.Organization = crmName(c.text(gcp.GetOrganization()))
	for _, folder := range bounded(c.f, gcp.GetFolders(), maxFolders) {
		if s := crmName(c.text(folder.GetResourceFolder())); s != "" {
			r.Folders = append(r.Folders, s)
		}
	}
}

func (c converter) texts(in []string, limit int) []string {
	var out []string
	for _, s := range in {
		switch {
		case s == "":
		case len(out) >= limit:
			c.f.Truncated++
		default:
			out = append(out, c.text(s))
		}
	}
	return out
}

// bounded is the first limit elements of list.
func bounded[T any](f *Finding, list []T, limit int) []T {
	if len(list) <= limit {
		return list
	}
	f.Truncated += len(list) - limit
	return list[:limit]
}

func enumNames[E ~int32](f *Finding, list []E, name func(int32) string) []string {
	var out []string
	for _, e := range list {
		s := specified(name(int32(e)))
		switch {
		case s == "":
		case len(out) >= maxTechniques:
			f.Truncated++
		default:
			out = append(out, s)
		}
	}
	return out
}

// protoTime is the zero time for an absent, invalid or epoch timestamp.
func protoTime(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() {
		return time.Time{}
	}
	return setTime(t.AsTime())
}
