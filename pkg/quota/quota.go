// Package quota keeps budgets per upstream, shared by everything that calls it.
package quota

import (
	"time"
)

// Budget allows a number of requests in any sliding minute, and in a UTC day.
// It is safe for concurrent use.
type Budget struct {
	name string
	now  func() time.Time
}
