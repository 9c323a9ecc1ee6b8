package finding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The errors of Parse and ParseAll. Both mean that reading the same bytes again
// can never succeed.
var (
	// ErrNotJSON: the input is not JSON.
	ErrNotJSON = errors.New("not JSON")
	// ErrNoFinding: the input is JSON and holds no usable finding: none at all,
	// one without a valid name, which could never be written to, or one whose
	// event time, resource name, state or mute state is of a wrong type.
	ErrNoFinding = errors.New("no usable finding")
)

// Parse reads exactly one finding from a notification message (version 1 or 2),
// a bare finding, an element of a ListFindings answer, or such an answer or an
// array with one element. It accepts both field casings, enums by name or
// number, integers as strings, unknown fields and null anywhere; a field that
// cannot be read and does not decide whether or where to write is left out and
// named in Malformed. A finding without event time has the zero time. A finding
// about something else than Cloud Run has a zero Workload.
//
// Its cost is linear in len(data), which the caller bounds; what it keeps is
// bounded by this package. The error wraps ErrNotJSON or ErrNoFinding.
func Parse(data []byte) (*Finding, error) {
	root, ok := rootNode(data)
	if !ok {
		return nil, fmt.Errorf("parse finding: %w", ErrNotJSON)
	}
	var found []*Finding
	var errs []error
	for f, err := range walk(root, envelopeDepth) {
		if err != nil {
			errs = append(errs, err)
		} else {
			found = append(found, f)
		}
		if len(found)+len(errs) > 1 {
			return nil, fmt.Errorf("parse finding: more than one in the input: %w", ErrNoFinding)
		}
	}
	switch {
	case len(errs) > 0:
		return nil, fmt.Errorf("parse finding: %w", errs[0])
	case len(found) == 0:
		return nil, fmt.Errorf("parse finding: %w", ErrNoFinding)
	}
	return found[0], nil
}

// maxErrors is how many errors ParseAll spells out.
const maxErrors = 10

// ParseAll reads every finding of a file: one or several of the forms that
// Parse accepts, one after the other (NDJSON included), with any number of
// elements in their arrays, at most MaxFindings in all. The findings that can
// be read are returned also when others cannot; the error joins what was wrong,
// wraps ErrNotJSON or ErrNoFinding, and is nil only when all were read and
// there was at least one.
func ParseAll(data []byte) ([]*Finding, error) {
	var found []*Finding
	var errs []error
	bad, seen := 0, 0
	fail := func(err error) {
		if bad++; bad <= maxErrors {
			errs = append(errs, err)
		}
	}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
read:
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			fail(fmt.Errorf("byte %d: %w", dec.InputOffset(), ErrNotJSON))
			break
		}
		empty := true
		for f, err := range walk(node(bytes.TrimSpace(raw)), envelopeDepth) {
			empty = false
			if seen++; seen > MaxFindings {
				fail(fmt.Errorf("more than %d findings: %w", MaxFindings, ErrNoFinding))
				break read
			}
			if err != nil {
				fail(fmt.Errorf("finding %d: %w", seen, err))
				continue
			}
			found = append(found, f)
		}
		if empty {
			fail(fmt.Errorf("value before byte %d: %w", dec.InputOffset(), ErrNoFinding))
		}
	}
	switch {
	case bad > maxErrors:
		errs = append(errs, fmt.Errorf("and %d more", bad-maxErrors))
	case bad == 0 && len(found) == 0:
		errs = append(errs, ErrNotJSON)
	}
	if err := errors.Join(errs...); err != nil {
		return found, fmt.Errorf("parse findings: %w", err)
	}
	return found, nil
}

// envelopeDepth is how deep findings may be wrapped: an array of answers of
// arrays.
const envelopeDepth = 3

// walk yields every finding in n, or why it cannot be used.
func walk(n node, depth int) func(yield func(*Finding, error) bool) {
	return func(yield func(*Finding, error) bool) { walkNode(n, depth, yield) }
}

func walkNode(n node, depth int, yield func(*Finding, error) bool) bool {
	switch {
	case n.is('['):
		if depth == 0 {
			return yield(nil, fmt.Errorf("findings nested too deep: %w", ErrNoFinding))
		}
		for e := range n.elements() {
			if !walkNode(e, depth-1, yield) {
				return false
			}
		}
		return true
	case !n.is('{'):
		return yield(nil, ErrNoFinding)
	}
	envelope, left := n.object()
	if !envelope.get("finding").is('{') {
		for _, list := range []string{"listFindingsResults", "findings"} {
			if l := envelope.get(list); l.is('[') {
				return walkNode(l, depth, yield)
			}
		}
	}
	f, err := decode(envelope)
	if f != nil {
		f.Truncated += left
	}
	return yield(f, err)
}
