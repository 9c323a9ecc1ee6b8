package marks

import "errors"

// Errors of a mark write that no repetition can heal; every other error may.
var (
	// ErrGone: the finding does not exist any more.
	ErrGone = errors.New("finding gone")
	// ErrRejected: the marks or the name can never be accepted.
	ErrRejected = errors.New("marks rejected")
)

// Write is one change to the security marks of a finding.
type Write struct {
	// Name is the finding's canonical name, with or without a location.
	// Fallback is the name it was read at, tried where the scope of Name does
	// not take writes; empty for none.
	Name, Fallback string
	// Set are the marks to add or replace. Keys are 1 to 256 letters, digits,
	// "_" or "-"; values have 1 to 4,096 characters beside surrounding space
	// (google.cloud.securitycenter.v2.SecurityMarks).
	Set map[string]string
	// Delete are the keys to remove; keys that are also set stay.
	Delete []string
}
