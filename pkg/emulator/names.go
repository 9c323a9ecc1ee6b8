package emulator

import (
	"fmt"
	"strings"
)

// findingKey identifies a finding whatever scope its name is given at.
type findingKey struct{ source, location, id string }

// scope is the left part of a name: "projects", "folders" or "organizations",
// and an id or number.
type scope struct{ kind, id string }

func (s scope) String() string { return s.kind + "/" + s.id }

// findingName is a parsed finding or source name.
type findingName struct {
	scope scope
	key   findingKey
}

// parseSource parses {projects|folders|organizations}/X/sources/S[/locations/L];
// no location is global (securitycenter_service.proto). What follows is rest.
func parseSource(name string) (findingName, string, error) {
	parts := strings.Split(name, "/")
	n := findingName{}
	if len(parts) < 4 || parts[2] != "sources" || parts[1] == "" || parts[3] == "" {
		return n, "", fmt.Errorf("name %.200q does not match a source or finding", name)
	}
	switch parts[0] {
	case "projects", "folders", "organizations":
	default:
		return n, "", fmt.Errorf("name %.200q does not begin with an organization, folder or project", name)
	}
	n.scope = scope{kind: parts[0], id: parts[1]}
	n.key = findingKey{source: parts[3], location: "global"}
	rest := parts[4:]
	if len(rest) >= 2 && rest[0] == "locations" && rest[1] != "" {
		n.key.location, rest = rest[1], rest[2:]
	}
	return n, strings.Join(rest, "/"), nil
}

// parseFinding parses the name of a finding, with or without a location.
func parseFinding(name string) (findingName, error) {
	n, rest, err := parseSource(name)
	if err != nil {
		return n, err
	}
	id, ok := strings.CutPrefix(rest, "findings/")
	if !ok || id == "" || strings.Contains(id, "/") {
		return n, fmt.Errorf("name %.200q does not match a finding", name)
	}
	n.key.id = id
	return n, nil
}

func (n findingName) source(s scope) string {
	return fmt.Sprintf("%s/sources/%s/locations/%s", s, n.key.source, n.key.location)
}

// in reports whether a project lies in a scope.
func (p *Project) in(s scope) bool {
	switch s.kind {
	case "projects":
		return s.id == p.ID || s.id == p.Number
	case "organizations":
		return s.id == p.Organization
	}
	for _, f := range p.Folders {
		if s.id == f {
			return true
		}
	}
	return false
}

// known reports whether any project lies in a scope. The caller holds the lock.
func (w *World) known(s scope) bool {
	for _, p := range w.projects {
		if p.in(s) {
			return true
		}
	}
	return false
}
