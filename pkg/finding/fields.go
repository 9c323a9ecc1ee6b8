package finding

import (
	"math"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
)

// object indexes n and counts the fields that were left out. All indexes of one
// finding share their memory.
func (d *decoder) object(n node) object {
	if !n.is('{') {
		return nil
	}
	if d.fields == nil {
		d.fields = make(object, 0, 128)
	}
	before := len(d.fields)
	fields, left := n.appendFields(d.fields)
	d.fields = fields
	d.f.Truncated += left
	return fields[before:len(fields):len(fields)]
}

// child returns the field key when it begins with kind ('{' or '['), and notes
// it as malformed when it is something else.
func (d *decoder) child(o object, path, key string, kind byte) node {
	n := o.get(key)
	if n != nil && !n.is(kind) {
		d.f.malformed(path + key)
		return nil
	}
	return n
}

// text returns a string field, cut to limit bytes.
func (d *decoder) text(o object, path, key string, limit int) string {
	n := o.get(key)
	if n == nil {
		return ""
	}
	s, ok := n.text()
	if !ok {
		d.f.malformed(path + key)
	}
	return d.f.cut(s, limit)
}

// encoded returns a string field that SCC documents as JSON-encoded.
func (d *decoder) encoded(o object, path, key string, limit int) string {
	n := o.get(key)
	if n == nil {
		return ""
	}
	s, ok := n.text()
	if !ok {
		d.f.malformed(path + key)
	}
	return d.f.encoded(s, limit)
}

// texts returns an array of strings, at most limit, without empty ones.
func (d *decoder) texts(o object, path, key string, limit int) []string {
	var out []string
	for n := range d.child(o, path, key, '[').elements() {
		s, ok := n.text()
		switch {
		case n.absent() || ok && s == "":
		case !ok:
			d.f.malformed(path + key)
		case len(out) >= limit:
			d.f.Truncated++
		default:
			out = append(out, d.f.cut(s, maxText))
		}
	}
	return out
}

// objects returns an array of objects, at most limit.
func (d *decoder) objects(o object, path, key string, limit int) []object {
	var out []object
	for n := range d.child(o, path, key, '[').elements() {
		switch {
		case n.absent():
		case !n.is('{'):
			d.f.malformed(path + key)
		case len(out) >= limit:
			d.f.Truncated++
		default:
			out = append(out, d.object(n))
		}
	}
	return out
}

func (d *decoder) integer(o object, path, key string) int64 {
	n := o.get(key)
	if n == nil {
		return 0
	}
	i, ok := n.integer()
	if !ok {
		d.f.malformed(path + key)
	}
	return i
}

func (d *decoder) boolean(o object, path, key string) bool {
	n := o.get(key)
	if n == nil {
		return false
	}
	b, ok := n.boolean()
	if !ok {
		d.f.malformed(path + key)
	}
	return b
}

func (d *decoder) time(o object, path, key string) time.Time {
	n := o.get(key)
	if n == nil {
		return time.Time{}
	}
	t, ok := d.parseTime(n)
	if !ok {
		d.f.malformed(path + key)
	}
	return t
}

func (d *decoder) enum(o object, path, key string, name func(int32) string) string {
	s, ok := parseEnum(o.get(key), name)
	if !ok {
		d.f.malformed(path + key)
	}
	return d.f.cut(s, maxText)
}

func (d *decoder) enums(o object, path, key string, name func(int32) string) []string {
	var out []string
	for n := range d.child(o, path, key, '[').elements() {
		s, ok := parseEnum(n, name)
		switch {
		case !ok:
			d.f.malformed(path + key)
		case s == "":
		case len(out) >= maxTechniques:
			d.f.Truncated++
		default:
			out = append(out, d.f.cut(s, maxText))
		}
	}
	return out
}

// parseEnum reads an enum by name, which passes through unknown, or by number.
// Unspecified and absent are empty.
func parseEnum(n node, name func(int32) string) (string, bool) {
	if n.absent() {
		return "", true
	}
	if n.is('"') {
		s, _ := n.text()
		if _, err := strconv.ParseInt(s, 10, 32); err != nil {
			return specified(s), true
		}
	}
	i, ok := n.integer()
	if !ok || i < math.MinInt32 || i > math.MaxInt32 {
		return "", false
	}
	return specified(name(int32(i))), true
}

// specified is s, or empty where s is an enum's zero value by Google's naming.
func specified(s string) string {
	if strings.HasSuffix(s, "_UNSPECIFIED") {
		return ""
	}
	return s
}

// The names of enum numbers (google.cloud.securitycenter.v2); an unknown number
// is its decimal digits.

func stateName(i int32) string     { return securitycenterpb.Finding_State(i).String() }
func severityName(i int32) string  { return securitycenterpb.Finding_Severity(i).String() }
func className(i int32) string     { return securitycenterpb.Finding_FindingClass(i).String() }
func protocolName(i int32) string  { return securitycenterpb.Connection_Protocol(i).String() }
func tacticName(i int32) string    { return securitycenterpb.MitreAttack_Tactic(i).String() }
func techniqueName(i int32) string { return securitycenterpb.MitreAttack_Technique(i).String() }

// muteName knows both numbers of UNDEFINED: 3 in version 2, 4 in version 1.
func muteName(i int32) string {
	if i == 4 {
		return securitycenterpb.Finding_UNDEFINED.String()
	}
	return securitycenterpb.Finding_Mute(i).String()
}

// v1StateChange names ListFindingsResponse.ListFindingsResult.StateChange of
// google.cloud.securitycenter.v1.
func v1StateChange(i int32) string {
	switch i {
	case 1:
		return "CHANGED"
	case 2:
		return "UNCHANGED"
	case 3:
		return "ADDED"
	case 4:
		return "REMOVED"
	}
	return strconv.Itoa(int(i))
}
