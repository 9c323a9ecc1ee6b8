package redact

import (
	"strings"
	"sync"
)

// The bounds of a set of known texts: it holds at most 2 × maxKnown of at most
// maxKnownText bytes each, 4 MiB at the very most.
const (
	maxKnown     = 4096
	maxKnownText = 512
)

// known remembers texts in which nothing was found: most of what is redacted
// are the same words again, of rules, plans and names. A text with a secret is
// never in it. It forgets the texts that were not asked for in a while. Its
// zero value is empty, and it is safe for concurrent use.
type known struct {
	mu sync.RWMutex
	// When young is full it takes old's place, which is forgotten.
	young, old map[string]struct{}
}

// has reports whether s was added.
func (k *known) has(s string) bool {
	if len(s) > maxKnownText {
		return false
	}
	k.mu.RLock()
	_, young := k.young[s]
	old := false
	if !young {
		_, old = k.old[s]
	}
	k.mu.RUnlock()
	if old {
		k.add(s)
	}
	return young || old
}

// add remembers s.
func (k *known) add(s string) {
	if len(s) > maxKnownText {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.young == nil || len(k.young) >= maxKnown {
		k.old, k.young = k.young, make(map[string]struct{})
	}
	// A clone: s may be a piece of a large text, which must not be kept.
	k.young[strings.Clone(s)] = struct{}{}
}
