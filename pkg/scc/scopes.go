package scc

import (
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// legacyDisabled is in the API's answer to a write in a scope that it can read
// but not write: with an activation at project level, findings are read under
// their organization and written under their project.
const legacyDisabled = "security command center legacy has been permanently disabled"

// isLegacy reports whether err is that answer.
func isLegacy(err error) bool {
	switch upstream.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition:
		return strings.Contains(strings.ToLower(err.Error()), legacyDisabled)
	default:
		return false
	}
}

// maxScopes bounds the memory of scopes; at the bound it starts afresh, which
// costs one refused write a source.
const maxScopes = 1024

// scopes remembers the sources that refused writes, so that only the first
// write to each pays for it. The zero value is ready to use.
type scopes struct {
	mu      sync.Mutex
	refused map[string]bool
}

// order returns the names to write to, the likelier one first.
func (s *scopes) order(w marks.Write) []string {
	if w.Fallback == w.Name || !isFindingName(w.Fallback) {
		return []string{w.Name}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused[sourceOf(w.Name)] && !s.refused[sourceOf(w.Fallback)] {
		return []string{w.Fallback, w.Name}
	}
	return []string{w.Name, w.Fallback}
}

// learn remembers what became of a write to name.
func (s *scopes) learn(name string, err error) {
	source := sourceOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		delete(s.refused, source)
	case isLegacy(err) && !s.refused[source]:
		if s.refused == nil || len(s.refused) >= maxScopes {
			s.refused = map[string]bool{}
		}
		s.refused[source] = true
	}
}

// sourceOf is a finding's name up to its id.
func sourceOf(name string) string {
	source, _, _ := strings.Cut(name, "/findings/")
	return source
}
