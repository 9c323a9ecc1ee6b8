package cloudrun

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// name is a workload's resource name, validated.
type name struct {
	kind finding.Kind
	// resource is projects/P/locations/L/services/S (or jobs, workerPools).
	resource string
	// number is the project number where it is known, or empty.
	number string
	// version is the short name of the revision or execution, or empty.
	version string
}

// Names come out of findings, so they are checked before they become part of a
// request: no slash, no wildcard, no empty segment, at most 128 characters. A
// project is an id, with a domain in front for old ones, or a number.
var (
	projectName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,127}$`)
	segmentName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
	allDigits   = regexp.MustCompile(`^[0-9]+$`)
)

// nameOf returns the resource name of w, or an error if w is not the name of a
// Cloud Run workload.
func nameOf(w finding.Workload) (name, error) {
	n := name{kind: w.Kind, number: w.ProjectNumber, version: w.Revision}
	if allDigits.MatchString(w.Project) {
		n.number = w.Project
	}
	var collection string
	switch w.Kind {
	case finding.Service:
		collection = "services"
	case finding.WorkerPool:
		collection = "workerPools"
	case finding.Job:
		collection, n.version = "jobs", w.Execution
	default:
		return name{}, fmt.Errorf("name the workload: no Cloud Run kind %.40q", w.Kind)
	}
	if !projectName.MatchString(w.Project) {
		return name{}, fmt.Errorf("name the workload: invalid project %.100q", w.Project)
	}
	if !segmentName.MatchString(w.Location) || !segmentName.MatchString(w.Name) {
		return name{}, fmt.Errorf("name the workload: invalid location %.100q or name %.100q", w.Location, w.Name)
	}
	if n.version != "" && !segmentName.MatchString(n.version) {
		return name{}, fmt.Errorf("name the workload: invalid revision or execution %.100q", n.version)
	}
	n.resource = "projects/" + w.Project + "/locations/" + w.Location + "/" + collection + "/" + w.Name
	return n, nil
}

// versionName is the resource name of the revision or execution called short.
func (n name) versionName(short string) string {
	if n.kind == finding.Job {
		return n.resource + "/executions/" + short
	}
	return n.resource + "/revisions/" + short
}

// last returns the last segment of a resource name.
func last(resource string) string {
	return resource[strings.LastIndexByte(resource, '/')+1:]
}
