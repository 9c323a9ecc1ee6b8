package finding

import (
	"fmt"
	"strings"
	"time"
)

// decode reads one finding from an object that is a notification message, an
// element of a list answer, the console's export ("findings" is one object, the
// source properties are beside it), or the finding itself.
func decode(envelope object) (*Finding, error) {
	f := &Finding{}
	d := &decoder{f: f}
	self := envelope
	for _, key := range []string{"finding", "findings"} {
		n := envelope.get(key)
		if n == nil {
			continue
		}
		if !n.is('{') {
			return nil, fmt.Errorf("%s is not an object: %w", key, ErrNoFinding)
		}
		self = d.object(n)
		f.NotificationConfig = d.text(envelope, "", "notificationConfigName", maxText)
		f.Deleted = d.enum(envelope, "", "stateChange", v1StateChange) == "REMOVED"
		break
	}
	if err := d.decisive(self); err != nil {
		return nil, err
	}
	d.head(self)
	d.container(self)
	d.network(self)
	d.attribution(self)
	d.resource(envelope.get("resource"))
	props := &properties{}
	source := self.get("sourceProperties")
	if source == nil {
		source = envelope.get("sourceProperties")
	}
	for key, v := range source.entries() {
		props.set(key, nodeValue(v))
	}
	if err := f.finish(props); err != nil {
		return nil, err
	}
	return f, nil
}

// decoder reads fields into a finding and keeps account of what it could not
// read or keep. The path argument of its methods prefixes the field's name in
// that account.
type decoder struct {
	f      *Finding
	fields object
}

// decisive reads what decides whether and where marks are written. A wrong type
// there is an error: a guess could write to the wrong place, or never.
func (d *decoder) decisive(o object) error {
	for _, field := range []struct {
		key string
		to  *string
	}{{"name", &d.f.Name}, {"canonicalName", &d.f.CanonicalName}, {"resourceName", &d.f.ResourceName}} {
		n := o.get(field.key)
		if n == nil {
			continue
		}
		s, ok := n.text()
		if !ok || len(s) > maxText {
			return fmt.Errorf("%s is not a name: %w", field.key, ErrNoFinding)
		}
		*field.to = s
	}
	if n := o.get("eventTime"); n != nil {
		t, ok := d.parseTime(n)
		if !ok {
			return fmt.Errorf("eventTime is not a time: %w", ErrNoFinding)
		}
		d.f.EventTime = t
	}
	state, ok := parseEnum(o.get("state"), stateName)
	if !ok {
		return fmt.Errorf("state is not a state: %w", ErrNoFinding)
	}
	mute, ok := parseEnum(o.get("mute"), muteName)
	if !ok {
		return fmt.Errorf("mute is not a mute state: %w", ErrNoFinding)
	}
	d.f.State, d.f.Mute = State(state), d.f.cut(mute, maxText)
	return nil
}

// head reads the other fields that say what the finding is.
func (d *decoder) head(o object) {
	f := d.f
	f.Parent = d.text(o, "", "parent", maxText)
	f.ParentDisplayName = d.text(o, "", "parentDisplayName", maxText)
	if f.ParentDisplayName == "" {
		f.ParentDisplayName = d.text(o, "", "sourceDisplayName", maxText)
	}
	f.Category = d.text(o, "", "category", maxText)
	f.Description = d.text(o, "", "description", maxLongText)
	f.ExternalURI = d.text(o, "", "externalUri", maxText)
	f.Class = d.enum(o, "", "findingClass", className)
	f.Severity = Severity(d.enum(o, "", "severity", severityName))
	f.CreateTime = d.time(o, "", "createTime")

	marks := d.object(d.child(o, "", "securityMarks", '{')).get("marks")
	for key, v := range marks.entries() {
		value, ok := v.text()
		switch {
		case !ok:
			f.malformed("securityMarks.marks")
		case len(f.Marks) >= maxMarks:
			f.Truncated++
		default:
			if f.Marks == nil {
				f.Marks = make(map[string]string)
			}
			f.Marks[f.cut(key, maxText)] = f.cut(value, maxMark)
		}
	}
}

// container reads what the detector saw in the container.
func (d *decoder) container(o object) {
	f := d.f
	for _, c := range d.objects(o, "", "containers", maxContainers) {
		f.Containers = append(f.Containers, Container{
			Name:       d.text(c, "containers.", "name", maxText),
			URI:        d.text(c, "containers.", "uri", maxText),
			ImageID:    d.text(c, "containers.", "imageId", maxText),
			CreateTime: d.time(c, "containers.", "createTime"),
		})
	}
	for _, p := range d.objects(o, "", "processes", maxProcesses) {
		f.Processes = append(f.Processes, d.process(p))
	}
	f.Files = d.files(o, "", "files")
}

// network reads the indicators of compromise and the connections.
func (d *decoder) network(o object) {
	f := d.f
	if ind := d.object(d.child(o, "", "indicator", '{')); ind != nil {
		f.Indicator.IPs = d.texts(ind, "indicator.", "ipAddresses", maxIndicators)
		f.Indicator.Domains = d.texts(ind, "indicator.", "domains", maxIndicators)
		f.Indicator.URIs = d.texts(ind, "indicator.", "uris", maxIndicators)
		for _, s := range d.objects(ind, "indicator.", "signatures", maxIndicators) {
			rule := d.object(s.get("yaraRuleSignature"))
			family := d.object(s.get("memoryHashSignature"))
			f.addSignature(d.text(rule, "indicator.signatures.", "yaraRule", maxText))
			f.addSignature(d.text(family, "indicator.signatures.", "binaryFamily", maxText))
		}
	}
	for _, c := range d.objects(o, "", "connections", maxConnections) {
		f.Connections = append(f.Connections, Connection{
			DestinationIP:   d.text(c, "connections.", "destinationIp", maxText),
			DestinationPort: port(d.integer(c, "connections.", "destinationPort")),
			SourceIP:        d.text(c, "connections.", "sourceIp", maxText),
			SourcePort:      port(d.integer(c, "connections.", "sourcePort")),
			Protocol:        d.enum(c, "connections.", "protocol", protocolName),
		})
	}
}

// attribution reads who called which API, and the ATT&CK mapping.
func (d *decoder) attribution(o object) {
	f := d.f
	if a := d.object(d.child(o, "", "access", '{')); a != nil {
		f.Access = Access{
			Principal:   d.text(a, "access.", "principalEmail", maxText),
			CallerIP:    d.text(a, "access.", "callerIp", maxText),
			Region:      d.text(d.object(a.get("callerIpGeo")), "access.callerIpGeo.", "regionCode", maxText),
			UserAgent:   d.text(a, "access.", "userAgent", maxText),
			KeyName:     d.text(a, "access.", "serviceAccountKeyName", maxText),
			ServiceName: d.text(a, "access.", "serviceName", maxText),
			MethodName:  d.text(a, "access.", "methodName", maxText),
		}
	}
	if m := d.object(d.child(o, "", "mitreAttack", '{')); m != nil {
		f.Mitre = Mitre{
			PrimaryTactic:        d.enum(m, "mitreAttack.", "primaryTactic", tacticName),
			PrimaryTechniques:    d.enums(m, "mitreAttack.", "primaryTechniques", techniqueName),
			AdditionalTactics:    d.enums(m, "mitreAttack.", "additionalTactics", tacticName),
			AdditionalTechniques: d.enums(m, "mitreAttack.", "additionalTechniques", techniqueName),
			Version:              d.text(m, "mitreAttack.", "version", maxText),
		}
	}
}

func (d *decoder) process(o object) Process {
	const path = "processes."
	p := Process{
		Name:          d.text(o, path, "name", maxText),
		Binary:        d.file(d.child(o, path, "binary", '{')),
		Libraries:     d.files(o, path, "libraries"),
		Script:        d.file(d.child(o, path, "script", '{')),
		ArgsTruncated: d.boolean(o, path, "argumentsTruncated"),
		EnvTruncated:  d.boolean(o, path, "envVariablesTruncated"),
		PID:           d.integer(o, path, "pid"),
		ParentPID:     d.integer(o, path, "parentPid"),
	}
	for n := range d.child(o, path, "args", '[').elements() {
		if s, ok := n.text(); ok {
			d.f.addArg(&p, s)
		} else if !n.absent() {
			d.f.malformed(path + "args")
		}
	}
	for n := range d.child(o, path, "envVariables", '[').elements() {
		env := d.object(n)
		d.f.addEnv(&p, d.text(env, path+"envVariables.", "name", maxLongText))
	}
	if o.get("userId") != nil {
		if id, ok := o.get("userId").integer(); ok {
			p.UserID = &id
		} else {
			d.f.malformed(path + "userId")
		}
	}
	return p
}

func (d *decoder) files(o object, path, key string) []File {
	var out []File
	for _, e := range d.objects(o, path, key, maxFiles) {
		out = append(out, d.fileOf(e))
	}
	return out
}

// file returns nil for an absent file.
func (d *decoder) file(n node) *File {
	if n == nil {
		return nil
	}
	file := d.fileOf(d.object(n))
	if file == (File{}) {
		return nil
	}
	return &file
}

func (d *decoder) fileOf(o object) File {
	const path = "file."
	return File{
		Path:            d.encoded(o, path, "path", maxText),
		Size:            d.integer(o, path, "size"),
		HashedSize:      d.integer(o, path, "hashedSize"),
		SHA256:          strings.TrimSpace(d.text(o, path, "sha256", maxText)),
		PartiallyHashed: d.boolean(o, path, "partiallyHashed"),
		Contents:        d.encoded(o, path, "contents", maxLongText),
		DiskPath:        d.encoded(d.object(o.get("diskPath")), path+"diskPath.", "relativePath", maxText),
	}
}

// resource reads version 2's gcpMetadata and version 1's flat fields; where both
// are there, gcpMetadata counts.
func (d *decoder) resource(n node) {
	const path = "resource."
	o := d.object(n)
	if o == nil {
		return
	}
	r := &d.f.Resource
	r.Name = d.text(o, path, "name", maxText)
	r.DisplayName = d.text(o, path, "displayName", maxText)
	r.Type = d.text(o, path, "type", maxText)
	r.Service = d.text(o, path, "service", maxText)
	r.Location = d.text(o, path, "location", maxText)
	gcp := d.object(d.child(o, path, "gcpMetadata", '{'))
	first := func(keys ...string) string {
		for _, level := range []object{gcp, o} {
			for _, key := range keys {
				if s := d.text(level, path, key, maxText); s != "" {
					return s
				}
			}
		}
		return ""
	}
	r.ProjectNumber, r.ProjectID = projectParts(first("project", "projectName"), first("projectDisplayName"))
	r.Organization = crmName(first("organization"))
	folders := d.objects(gcp, path+"gcpMetadata.", "folders", maxFolders)
	if len(folders) == 0 {
		folders = d.objects(o, path, "folders", maxFolders)
	}
	for _, folder := range folders {
		if s := crmName(d.text(folder, path+"folders.", "resourceFolder", maxText)); s != "" {
			r.Folders = append(r.Folders, s)
		}
	}
}

// parseTime reads RFC 3339 text or {seconds, nanos}. The Unix epoch is how
// protobuf JSON writes an unset time: it reads as the zero time.
func (d *decoder) parseTime(n node) (time.Time, bool) {
	var t time.Time
	switch {
	case n.is('"'):
		s, _ := n.text()
		if s == "" {
			return time.Time{}, true
		}
		var err error
		if t, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return time.Time{}, false
		}
	case n.is('{'):
		o := d.object(n)
		if len(o) == 0 {
			return time.Time{}, true
		}
		seconds, ok := o.get("seconds").integer()
		if !ok && o.get("seconds") != nil {
			return time.Time{}, false
		}
		nanos, ok := o.get("nanos").integer()
		if !ok && o.get("nanos") != nil {
			return time.Time{}, false
		}
		if nanos < 0 || nanos >= int64(time.Second) || seconds < minSeconds || seconds > maxSeconds {
			return time.Time{}, false
		}
		t = time.Unix(seconds, nanos)
	default:
		return time.Time{}, false
	}
	return setTime(t), true
}

// The range of google.protobuf.Timestamp: years 1 to 9999, in Unix seconds.
const (
	minSeconds = -62135596800
	maxSeconds = 253402300799
)

// setTime is t in UTC, or the zero time for the Unix epoch.
func setTime(t time.Time) time.Time {
	if t.Equal(time.Unix(0, 0)) {
		return time.Time{}
	}
	return t.UTC()
}

// port is n where it can be a port, else 0.
func port(n int64) int {
	if n < 0 || n > 65535 {
		return 0
	}
	return int(n)
}

func (f *Finding) addSignature(s string) {
	if s == "" {
		return
	}
	if len(f.Indicator.Signatures) >= maxIndicators {
		f.Truncated++
		return
	}
	f.Indicator.Signatures = append(f.Indicator.Signatures, f.cut(s, maxText))
}
