package push

import (
	"net/http"
	"strings"

	"go.uber.org/zap"
)

// traceFields names the request's trace in Cloud Logging's fields, from the
// W3C traceparent header, else from Google's X-Cloud-Trace-Context. With a
// project the trace is its full name, which Cloud Logging needs to link it.
func traceFields(h http.Header, project string) []zap.Field {
	trace, span := "", ""
	if p := strings.Split(h.Get("Traceparent"), "-"); len(p) == 4 && hex(p[1], 32) && hex(p[2], 16) {
		trace, span = p[1], p[2]
	} else if id, rest, _ := strings.Cut(h.Get("X-Cloud-Trace-Context"), "/"); hex(id, 32) {
		trace = id
		span, _, _ = strings.Cut(rest, ";")
		if len(span) > 20 {
			span = ""
		}
	}
	if trace == "" {
		return nil
	}
	if project != "" {
		trace = "projects/" + project + "/traces/" + trace
	}
	fields := []zap.Field{zap.String("logging.googleapis.com/trace", trace)}
	if span != "" && strings.Trim(span, "0123456789abcdef") == "" {
		fields = append(fields, zap.String("logging.googleapis.com/spanId", span))
	}
	return fields
}

func hex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}
