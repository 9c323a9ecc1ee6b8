package logquery

import (
	"fmt"
	"strings"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// kind is how values of a field compare.
type kind int

const (
	// free fields are parts of payloads and labels: they may be missing and have any type.
	free kind = iota
	str
	number
	boolean
	timestamp
	duration
	severity
	message
)

// field is a resolved path: JSON names, and the kind of its values.
type field struct {
	path []string
	kind kind
	name string
}

// resolve checks a path against the type LogEntry, in either spelling of its
// fields. Below payloads, structs and maps every path is allowed.
func resolve(path []string) (field, error) {
	f := field{path: make([]string, 0, len(path)), name: strings.Join(path, ".")}
	desc := (&loggingpb.LogEntry{}).ProtoReflect().Descriptor()
	for i, name := range path {
		fd := desc.Fields().ByJSONName(name)
		if fd == nil {
			fd = desc.Fields().ByName(protoreflect.Name(name))
		}
		if fd == nil {
			return f, fmt.Errorf("field not found: %.80q", f.name)
		}
		f.path = append(f.path, fd.JSONName())
		last := i == len(path)-1
		switch {
		case fd.IsMap() || isPayload(fd):
			f.path = append(f.path, path[i+1:]...)
			if f.kind = free; last {
				f.kind = message
			}
			return f, nil
		case fd.Kind() == protoreflect.MessageKind:
			f.kind = messageKind(fd.Message())
			if f.kind != message && !last {
				return f, fmt.Errorf("field not found: %.80q", f.name)
			}
			desc = fd.Message()
		case last:
			f.kind = scalarKind(fd)
		default:
			return f, fmt.Errorf("field not found: %.80q", f.name)
		}
	}
	return f, nil
}

func isPayload(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.MessageKind {
		return false
	}
	switch fd.Message().FullName() {
	case "google.protobuf.Any", "google.protobuf.Struct":
		return true
	}
	return false
}

func messageKind(md protoreflect.MessageDescriptor) kind {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return timestamp
	case "google.protobuf.Duration":
		return duration
	}
	return message
}

func scalarKind(fd protoreflect.FieldDescriptor) kind {
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return str
	case protoreflect.BoolKind:
		return boolean
	case protoreflect.EnumKind:
		return severity
	default:
		return number
	}
}

// values collects what stands at a path; lists fan out.
func values(v any, path []string) []any {
	if list, ok := v.([]any); ok {
		var all []any
		for _, c := range list {
			all = append(all, values(c, path)...)
		}
		return all
	}
	if len(path) == 0 {
		if v == nil {
			return nil
		}
		return []any{v}
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	c, ok := m[path[0]]
	if !ok {
		return nil
	}
	return values(c, path[1:])
}
