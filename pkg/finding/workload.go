package finding

import "strings"

// Kind is the kind of a Cloud Run workload.
type Kind string

// The kinds of Cloud Run workloads that findings name.
const (
	Service    Kind = "service"
	Job        Kind = "job"
	WorkerPool Kind = "worker_pool"
)

// runPrefix begins the full resource name of every Cloud Run resource.
const runPrefix = "//run.googleapis.com/"

// Workload names a Cloud Run service, job or worker pool, and the revision or
// execution where the finding tells it. Every part of a parsed workload is made
// of letters, digits, "-", "_", "." and (project only) ":", begins with a
// letter or digit, and is at most 128 characters long, so that it is safe in
// filters, paths and, quoted, in shell commands.
//
// Compare workloads with Same, never with ==: one may be known by its
// project's id and another by the number.
type Workload struct {
	// Project is the project id where it is known, else the project number.
	Project string
	// ProjectNumber is the project number where it is known, or empty.
	ProjectNumber string
	Location      string
	Kind          Kind
	Name          string
	// Revision is the revision of a service or worker pool, or empty.
	Revision string
	// Execution is the execution of a job, or empty.
	Execution string
}

// ParseWorkload reads a full resource name of Cloud Run, in one of the forms
//
//	//run.googleapis.com/projects/P/locations/L/services/S[/revisions/R]
//	//run.googleapis.com/projects/P/locations/L/jobs/J[/executions/E[/tasks/T]]
//	//run.googleapis.com/projects/P/locations/L/workerPools/W[/revisions/R]
//
// where P is a project id or number (resource patterns of google.cloud.run.v2).
// It reports false for every other name: other services, top-level instances,
// namespaced names (which have no location), and parts with characters that no
// Cloud Run name has.
func ParseWorkload(resourceName string) (Workload, bool) {
	rest, ok := strings.CutPrefix(resourceName, runPrefix)
	if !ok || len(rest) > maxName {
		return Workload{}, false
	}
	p := strings.Split(rest, "/")
	if len(p) < 6 || len(p)%2 != 0 || p[0] != "projects" || p[2] != "locations" {
		return Workload{}, false
	}
	if !validProject(p[1]) || !validPart(p[3]) || !validPart(p[5]) {
		return Workload{}, false
	}
	w := Workload{Project: p[1], Location: p[3], Name: p[5]}
	if isNumber(p[1]) {
		w.ProjectNumber = p[1]
	}
	switch p[4] {
	case "services":
		w.Kind = Service
	case "jobs":
		w.Kind = Job
	case "workerPools", "workerpools":
		w.Kind = WorkerPool
	default:
		return Workload{}, false
	}
	if !w.setChild(p[6:]) {
		return Workload{}, false
	}
	return w, true
}

// setChild reads what follows the workload's own name.
func (w *Workload) setChild(p []string) bool {
	if len(p) == 0 {
		return true
	}
	for i := 1; i < len(p); i += 2 {
		if !validPart(p[i]) {
			return false
		}
	}
	switch {
	case w.Kind != Job && len(p) == 2 && p[0] == "revisions":
		w.Revision = p[1]
	case w.Kind == Job && p[0] == "executions" && (len(p) == 2 || len(p) == 4 && p[2] == "tasks"):
		w.Execution = p[1]
	default:
		return false
	}
	return true
}

// IsZero reports whether w names no workload.
func (w Workload) IsZero() bool { return w.Name == "" }

// Key is "run/PROJECT/LOCATION/service/NAME" with the kind service, job or
// worker_pool, or empty for no workload. Revision and execution are not in it.
func (w Workload) Key() string {
	if w.IsZero() {
		return ""
	}
	return "run/" + w.Project + "/" + w.Location + "/" + string(w.Kind) + "/" + w.Name
}

// ResourcePath is the name in the Cloud Run Admin API,
// "projects/P/locations/L/services/S", or empty for no workload.
func (w Workload) ResourcePath() string { return w.pathIn(w.Project) }

func (w Workload) pathIn(project string) string {
	var collection string
	switch w.Kind {
	case Service:
		collection = "services"
	case Job:
		collection = "jobs"
	case WorkerPool:
		collection = "workerPools"
	}
	if w.IsZero() || collection == "" {
		return ""
	}
	return "projects/" + project + "/locations/" + w.Location + "/" + collection + "/" + w.Name
}

// FullNames are the full resource names the workload may have in findings: by
// project id and, where both are known, by project number.
func (w Workload) FullNames() []string {
	path := w.ResourcePath()
	if path == "" {
		return nil
	}
	names := []string{runPrefix + path}
	if w.ProjectNumber != "" && w.ProjectNumber != w.Project {
		names = append(names, runPrefix+w.pathIn(w.ProjectNumber))
	}
	return names
}

// Same reports whether both name the same service, job or worker pool, whatever
// the revision or execution. A project id and a project number are the same
// project when either workload knows both; when neither does, they differ.
func (w Workload) Same(other Workload) bool {
	return !w.IsZero() && w.Kind == other.Kind && w.Name == other.Name && w.Location == other.Location &&
		(w.Project == other.Project ||
			w.ProjectNumber != "" && (w.ProjectNumber == other.ProjectNumber || w.ProjectNumber == other.Project) ||
			other.ProjectNumber != "" && other.ProjectNumber == w.Project)
}

// resolveProject fills the project id and number of w from what the rest of
// the finding says about the project of its resource.
func (w *Workload) resolveProject(r Resource, scope string) {
	if w.IsZero() {
		return
	}
	number := r.ProjectNumber
	if number == "" {
		// The canonical name's prefix is the closest resource-manager ancestor
		// of the resource: for a workload, its project.
		if p, ok := strings.CutPrefix(scope, "projects/"); ok && isNumber(p) {
			number = p
		}
	}
	switch {
	case number == "":
	case w.ProjectNumber == "" && (r.ProjectID == "" || r.ProjectID == w.Project):
		w.ProjectNumber = number
	case w.Project == number && r.ProjectID != "":
		w.Project = r.ProjectID
	}
}

// maxPart bounds one segment of a resource name, in bytes.
const maxPart = 128

// validPart reports whether s can be one segment of a resource name and
// nothing else: no path trick, no flag, no quote.
func validPart(s string) bool { return validChars(s, false) }

// validProject is validPart for project ids, which may be scoped by a domain
// ("example.com:project").
func validProject(s string) bool { return validChars(s, true) }

func validChars(s string, colon bool) bool {
	if s == "" || len(s) > maxPart || !isAlnum(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case isAlnum(c), c == '-', c == '_':
		case c == '.' && s[i-1] != '.':
		case c == ':' && colon:
		default:
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
