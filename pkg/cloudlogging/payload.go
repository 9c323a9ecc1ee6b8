package cloudlogging

import (
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/cloud/audit"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// maxDepth bounds how deep a JSON payload is searched.
const maxDepth = 8

// message is what a JSON payload says: its message, followed by a stack trace
// where that is a field of its own. A payload without a message is given whole.
func message(fields map[string]*structpb.Value) string {
	text := said(fields, 0)
	if trace := traceOf(fields); trace != "" && !strings.Contains(text, trace) {
		text = strings.TrimSpace(clean(text, maxText/2) + "\n" + trace)
	}
	if text != "" || len(fields) == 0 {
		return text
	}
	whole, err := json.Marshal((&structpb.Struct{Fields: fields}).AsMap())
	if err != nil {
		return ""
	}
	return string(whole)
}

// said returns the first message field, looking into nested objects:
// winston, for one, writes message.message.
func said(fields map[string]*structpb.Value, depth int) string {
	for _, k := range []string{"message", "msg", "textPayload", "text", "log", "error", "err", "event", "exception"} {
		v, ok := fields[k]
		if !ok {
			continue
		}
		if s := v.GetStringValue(); s != "" {
			return s
		}
		if o := v.GetStructValue(); o != nil && depth < maxDepth {
			if s := said(o.GetFields(), depth+1); s != "" {
				return s
			}
		}
	}
	return ""
}

func traceOf(fields map[string]*structpb.Value) string {
	for _, k := range []string{"stack_trace", "stack", "stacktrace", "exc_info", "exception"} {
		if s := fields[k].GetStringValue(); s != "" {
			return s
		}
	}
	return ""
}

// level is the severity that a program wrote into its JSON under a name that
// Cloud Logging does not read; DEFAULT if none.
func level(fields map[string]*structpb.Value) string {
	for _, k := range []string{"severity", "level", "levelname", "log.level", "lvl"} {
		switch strings.ToUpper(fields[k].GetStringValue()) {
		case "DEBUG", "TRACE":
			return "DEBUG"
		case "INFO", "INFORMATION":
			return "INFO"
		case "NOTICE":
			return "NOTICE"
		case "WARN", "WARNING":
			return "WARNING"
		case "ERROR", "ERR":
			return "ERROR"
		case "CRITICAL", "FATAL", "PANIC", "DPANIC":
			return "CRITICAL"
		case "ALERT":
			return "ALERT"
		case "EMERGENCY":
			return "EMERGENCY"
		}
	}
	return "DEFAULT"
}

// auditOf reads an AuditLog payload into out. Another kind of payload leaves
// only its type's name.
func auditOf(payload *anypb.Any, out *evidence.LogEntry) {
	var a audit.AuditLog
	if err := payload.UnmarshalTo(&a); err != nil {
		out.Text = clean(payload.GetTypeUrl(), maxField)
		return
	}
	req, resp := a.GetRequest().GetFields(), a.GetResponse().GetFields()
	out.Audit = &evidence.Audit{
		Method:    clean(a.GetMethodName(), maxField),
		Principal: clean(a.GetAuthenticationInfo().GetPrincipalEmail(), maxField),
		CallerIP:  clean(a.GetRequestMetadata().GetCallerIp(), maxField),
		UserAgent: clean(a.GetRequestMetadata().GetCallerSuppliedUserAgent(), maxField),
		Resource:  clean(a.GetResourceName(), maxField),
		Code:      int(a.GetStatus().GetCode()),
		Message:   clean(a.GetStatus().GetMessage(), maxDetail),
		Revision:  clean(revisionOf(a.GetResourceName(), req, resp), maxField),
		System:    strings.HasSuffix(out.LogName, "system_event"),
		Detail:    clean(detailOf(a.GetMethodName(), req, resp), maxDetail),
	}
	if out.Audit.Principal == "" {
		out.Audit.Principal = clean(a.GetAuthenticationInfo().GetPrincipalSubject(), maxField)
	}
	if out.Execution == "" {
		out.Execution = clean(named("Execution", "/executions/", a.GetResourceName(), resp), maxField)
	}
}

// revisionOf is the revision an audit entry is about or made: named by the
// resource, by a response that is a Revision, by a service's status, or by the
// template of the request.
func revisionOf(resource string, req, resp map[string]*structpb.Value) string {
	if r := named("Revision", "/revisions/", resource, resp); r != "" {
		return r
	}
	for _, path := range [][]string{{"status", "latestCreatedRevisionName"}, {"latestCreatedRevision"}} {
		if r := str(resp, path...); r != "" {
			return r[strings.LastIndex(r, "/")+1:]
		}
	}
	for _, path := range [][]string{
		{"service", "spec", "template", "metadata", "name"}, {"service", "template", "revision"}, {"workerPool", "template", "revision"},
	} {
		if r := str(req, path...); r != "" {
			return r
		}
	}
	return ""
}

// named is the name of a kind of object, from the resource name or from the response.
func named(kind, collection, resource string, resp map[string]*structpb.Value) string {
	if _, name, ok := strings.Cut(resource, collection); ok {
		name, _, _ = strings.Cut(name, "/")
		return name
	}
	if str(resp, "kind") == kind {
		return str(resp, "metadata", "name")
	}
	if strings.HasSuffix(str(resp, "@type"), "."+kind) {
		name := str(resp, "name")
		return name[strings.LastIndex(name, "/")+1:]
	}
	return ""
}

// detailOf says what a call set: the policy, the overrides of a job run, or the
// images of a deploy, from the request or else from the response.
func detailOf(method string, req, resp map[string]*structpb.Value) string {
	switch {
	case strings.HasSuffix(method, "SetIamPolicy"):
		var parts []string
		for _, b := range get(req, "policy", "bindings").GetListValue().GetValues() {
			f := b.GetStructValue().GetFields()
			var members []string
			for _, m := range f["members"].GetListValue().GetValues() {
				members = append(members, m.GetStringValue())
			}
			parts = append(parts, f["role"].GetStringValue()+": "+strings.Join(members, ","))
		}
		return strings.Join(parts, "; ")
	case strings.HasSuffix(method, "RunJob"):
		for _, path := range [][]string{{"overrides"}, {"body", "overrides"}, {"runJobRequest", "overrides"}} {
			if o := get(req, path...).GetStructValue(); o != nil {
				if b, err := json.Marshal(o.AsMap()); err == nil {
					return "overrides: " + string(b)
				}
			}
		}
		return ""
	}
	images := imagesOf(structpb.NewStructValue(&structpb.Struct{Fields: req}), 0)
	if len(images) == 0 {
		images = imagesOf(structpb.NewStructValue(&structpb.Struct{Fields: resp}), 0)
	}
	slices.Sort(images)
	if images = slices.Compact(images); len(images) == 0 {
		return ""
	}
	return "image " + strings.Join(images, ", ")
}

// imagesOf finds the images of containers at any place of a request.
func imagesOf(v *structpb.Value, depth int) []string {
	if depth > maxDepth {
		return nil
	}
	var images []string
	for k, f := range v.GetStructValue().GetFields() {
		if k != "containers" {
			images = append(images, imagesOf(f, depth+1)...)
			continue
		}
		for _, c := range f.GetListValue().GetValues() {
			if i := str(c.GetStructValue().GetFields(), "image"); i != "" {
				images = append(images, i)
			}
		}
	}
	return images
}

// get follows keys through objects; nil if one is missing.
func get(fields map[string]*structpb.Value, keys ...string) *structpb.Value {
	var v *structpb.Value
	for _, k := range keys {
		v = fields[k]
		fields = v.GetStructValue().GetFields()
	}
	return v
}

func str(fields map[string]*structpb.Value, keys ...string) string {
	return get(fields, keys...).GetStringValue()
}
