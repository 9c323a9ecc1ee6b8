package cloudlogging

import (
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The limits of entries.list, google/logging/v2/logging.proto.
const (
	maxFilter = 20_000
	maxScopes = 100
	maxPage   = 1000
)

// The log ids of audit entries, as the function log_id takes them.
const (
	logActivity    = "cloudaudit.googleapis.com/activity"
	logSystemEvent = "cloudaudit.googleapis.com/system_event"
	logDataAccess  = "cloudaudit.googleapis.com/data_access"
)

// Filter is the Logging query that answers all questions at once
// (https://cloud.google.com/logging/docs/view/logging-query-language). It ORs
//
//   - what the workload itself wrote, its requests and its system log, from
//     Event-Before to Event+After;
//   - audit entries about it, from Event-AuditBefore to Event+After. They are
//     found by label and by resource name, because SetIamPolicy leaves the
//     labels empty and v1 and v2 name resources differently.
//
// It uses comparisons, AND, OR, NOT and log_id only; what these cannot say
// exactly (a name that begins another's, a revision or none) is left to about.
//
// The outermost comparisons bound the time of the whole, so that the search is
// short. The query is empty without questions.
func Filter(queries []evidence.LogQuery) string {
	return filter(queries, true, time.Time{})
}

// filter is Filter, without what the workload wrote when own is false, and
// with no entry after until unless that is zero.
func filter(queries []evidence.LogQuery, own bool, until time.Time) string {
	if len(queries) == 0 {
		return ""
	}
	w := window(queries[0], until)
	for _, q := range queries[1:] {
		v := window(q, until)
		if v.auditFrom.Before(w.auditFrom) {
			w.auditFrom = v.auditFrom
		}
		if v.to.After(w.to) {
			w.to = v.to
		}
	}
	var apps, audits []string
	for _, q := range queries {
		if own {
			apps = append(apps, appClause(q, window(q, until), w))
		}
		audits = append(audits, auditClause(q, window(q, until), w))
	}
	either := "(" + auditCommon(queries) + " AND (" + strings.Join(audits, " OR ") + "))"
	if own {
		either += " OR (NOT log_id(" + quote(logDataAccess) + ") AND (" + strings.Join(apps, " OR ") + "))"
	}
	return "timestamp>=" + stamp(w.auditFrom) + " AND timestamp<=" + stamp(w.to) + " AND (" + either + ")"
}

// span is the time a question covers.
type span struct{ auditFrom, from, to time.Time }

func window(q evidence.LogQuery, until time.Time) span {
	s := span{auditFrom: q.Event.Add(-max(q.AuditBefore, q.Before)), from: q.Event.Add(-q.Before), to: q.Event.Add(q.After)}
	if !until.IsZero() && until.Before(s.to) {
		s.to = until
	}
	return s
}

// within returns the time comparisons that the outer window does not make already.
func within(from, to time.Time, outer span) []string {
	var terms []string
	if from.After(outer.auditFrom) {
		terms = append(terms, "timestamp>="+stamp(from))
	}
	if to.Before(outer.to) {
		terms = append(terms, "timestamp<="+stamp(to))
	}
	return terms
}

// appClause matches what the workload wrote, its requests and its system log.
func appClause(q evidence.LogQuery, s, outer span) string {
	resourceType, nameLabel := evidence.LogResource(q.Workload.Kind)
	terms := append(within(s.from, s.to, outer), "resource.type="+quote(resourceType))
	terms = append(terms, placed(q.Workload)...)
	terms = append(terms, "resource.labels."+nameLabel+"="+quote(q.Workload.Name))
	return "(" + strings.Join(terms, " AND ") + ")"
}

// auditCommon is what all audit clauses have in common. Running a job is a
// Data Access entry (https://cloud.google.com/run/docs/audit-logging); reads,
// which are most of that log, are left out.
func auditCommon(queries []evidence.LogQuery) string {
	logs := "log_id(" + quote(logActivity) + ") OR log_id(" + quote(logSystemEvent) + ")"
	for _, q := range queries {
		if q.Workload.Kind == finding.Job {
			logs += " OR (log_id(" + quote(logDataAccess) + `) AND protoPayload.methodName:"RunJob")`
			break
		}
	}
	return "(" + logs + `) AND protoPayload.serviceName="run.googleapis.com"`
}

// auditClause matches audit entries about one workload.
func auditClause(q evidence.LogQuery, s, outer span) string {
	_, nameLabel := evidence.LogResource(q.Workload.Kind)
	terms := append(within(s.auditFrom, s.to, outer), placed(q.Workload)...)
	about := []string{"resource.labels." + nameLabel + "=" + quote(q.Workload.Name)}
	if q.Workload.Kind == finding.Service {
		about = append(about, "resource.labels.configuration_name="+quote(q.Workload.Name))
	}
	about = append(about, "protoPayload.resourceName:"+quote("/"+collection(q.Workload.Kind)+"/"+q.Workload.Name))
	return "(" + strings.Join(append(terms, "("+strings.Join(about, " OR ")+")"), " AND ") + ")"
}

// placed restricts to the project and location of a workload. A project number
// cannot be compared with the label, which holds the id; the scope read has to do.
func placed(w finding.Workload) []string {
	var terms []string
	if w.Project != "" && strings.Trim(w.Project, "0123456789") != "" {
		terms = append(terms, "resource.labels.project_id="+quote(w.Project))
	}
	if w.Location != "" {
		terms = append(terms, "resource.labels.location="+quote(w.Location))
	}
	return terms
}

// collection is the part of a resource name that says what kind it is, as the
// Admin API spells it. Audit entries compare without regard to case.
func collection(k finding.Kind) string {
	switch k {
	case finding.Job:
		return "jobs"
	case finding.WorkerPool:
		return "workerPools"
	default:
		return "services"
	}
}

// names reports whether a resource name is of the workload, or below it:
// "namespaces/P/services/S" in v1, "projects/P/locations/L/services/S/revisions/R" in v2.
func names(resource string, w finding.Workload) bool {
	of := "/" + strings.ToLower(collection(w.Kind)) + "/" + strings.ToLower(w.Name) + "/"
	return strings.Contains(strings.ToLower(resource)+"/", of)
}

// stamp is a timestamp of the query language.
func stamp(t time.Time) string { return quote(t.UTC().Format(time.RFC3339Nano)) }

// quote quotes a string of the query language. Control characters cannot occur
// in any name that is compared, so they are dropped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= 0x20 && r != 0x7f:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
