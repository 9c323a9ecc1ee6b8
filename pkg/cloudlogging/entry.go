package cloudlogging

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	ltype "google.golang.org/genproto/googleapis/logging/type"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// The bounds of one entry, in bytes.
const (
	maxText   = 8 << 10
	maxURL    = 4 << 10
	maxDetail = 1 << 10
	maxField  = 512
)

// entryOf reduces a LogEntry. Text keeps its control characters; it is made
// valid UTF-8 and bounded.
func entryOf(e *loggingpb.LogEntry) evidence.LogEntry {
	labels := e.GetResource().GetLabels()
	out := evidence.LogEntry{
		Kind:      kindOf(e),
		Time:      timeOf(e),
		InsertID:  clean(e.GetInsertId(), maxField),
		LogName:   clean(e.GetLogName(), maxField),
		Severity:  e.GetSeverity().String(),
		Revision:  clean(labels["revision_name"], maxField),
		Execution: clean(e.GetLabels()["run.googleapis.com/execution_name"], maxField),
		Container: clean(e.GetLabels()["container_name"], maxField),
		Instance:  clean(e.GetLabels()["instanceId"], maxField),
		Trace:     clean(e.GetTrace(), maxField),
		Request:   requestOf(e.GetHttpRequest()),
	}
	switch {
	case e.GetJsonPayload() != nil:
		fields := e.GetJsonPayload().GetFields()
		out.Text = clean(message(fields), maxText)
		if e.GetSeverity() == ltype.LogSeverity_DEFAULT {
			out.Severity = level(fields)
		}
	case e.GetProtoPayload() != nil:
		auditOf(e.GetProtoPayload(), &out)
	default:
		out.Text = clean(e.GetTextPayload(), maxText)
	}
	return out
}

// kindOf tells the kind by the log's id. "//var/log/system" is the older
// spelling of the system log. An application may log an httpRequest of its
// own: that is still the application's word.
func kindOf(e *loggingpb.LogEntry) evidence.LogKind {
	_, id, _ := strings.Cut(e.GetLogName(), "/logs/")
	if plain, err := url.PathUnescape(id); err == nil {
		id = plain
	}
	switch {
	case strings.HasPrefix(id, "cloudaudit.googleapis.com/"), strings.HasPrefix(id, "externalaudit.googleapis.com/"):
		return evidence.LogAudit
	case id == "run.googleapis.com/requests":
		return evidence.LogRequest
	case id == "run.googleapis.com/varlog/system", id == "run.googleapis.com//var/log/system":
		return evidence.LogSystem
	}
	return evidence.LogApp
}

// timeOf is when the entry happened, or when it was received where it does not tell.
func timeOf(e *loggingpb.LogEntry) time.Time {
	switch {
	case e.GetTimestamp().IsValid() && e.GetTimestamp().AsTime().Unix() != 0:
		return e.GetTimestamp().AsTime()
	case e.GetReceiveTimestamp().IsValid():
		return e.GetReceiveTimestamp().AsTime()
	}
	return time.Time{}
}

func requestOf(r *ltype.HttpRequest) *evidence.Request {
	if r == nil {
		return nil
	}
	out := &evidence.Request{
		Method:    clean(r.GetRequestMethod(), maxField),
		URL:       clean(r.GetRequestUrl(), maxURL),
		Status:    int(r.GetStatus()),
		RemoteIP:  clean(r.GetRemoteIp(), maxField),
		UserAgent: clean(r.GetUserAgent(), maxField),
		Bytes:     r.GetResponseSize(),
	}
	if r.GetLatency().IsValid() {
		out.Latency = r.GetLatency().AsDuration()
	}
	return out
}

// clean makes s valid UTF-8 of at most limit bytes.
func clean(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && limit-cut < utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		// A copy: the rest of a large payload need not stay in memory.
		s = strings.Clone(s[:cut])
	}
	if utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "?")
	return s[:min(len(s), limit)]
}
