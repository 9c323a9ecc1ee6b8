package followup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// MaxBody is the largest encoded task that is read, in bytes. A task whose
// fields are within their bounds never comes near it.
const MaxBody = 64 << 10

// version is the version of the encoding.
const version = 1

// wire is the encoding of a Task.
type wire struct {
	Version   int       `json:"version"`
	Kind      Kind      `json:"kind"`
	Finding   string    `json:"finding"`
	Name      string    `json:"name,omitempty"`
	Resource  string    `json:"resource,omitempty"`
	EventTime time.Time `json:"event_time"`
	Group     string    `json:"group,omitempty"`
	Anew      bool      `json:"anew,omitempty"`
	Attempt   int       `json:"attempt"`
	At        time.Time `json:"at"`
}

// Encode returns t as one JSON document with times in UTC. The error wraps
// ErrInvalid where a field is out of bounds.
func Encode(t Task) ([]byte, error) {
	if err := t.valid(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(wire{
		Version: version, Kind: t.Kind, Finding: t.Finding, Name: t.Name, Resource: t.Resource,
		EventTime: t.EventTime.UTC(), Group: t.Group, Anew: t.Anew, Attempt: t.Attempt, At: t.At.UTC(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode follow-up task: %w", err)
	}
	return data, nil
}

// Decode reads what Encode wrote: exactly one JSON object in UTF-8 of at most
// MaxBody bytes, of a known version, without fields it does not know, and with
// every field within its bounds. Every error is final and wraps ErrInvalid.
func Decode(data []byte) (Task, error) {
	if len(data) > MaxBody {
		return Task{}, fmt.Errorf("%w: over %d bytes", ErrInvalid, MaxBody)
	}
	if !utf8.Valid(data) {
		return Task{}, fmt.Errorf("%w: not UTF-8", ErrInvalid)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		// encoding/json quotes its input, which may be long.
		return Task{}, fmt.Errorf("%w: %.200s", ErrInvalid, err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Task{}, fmt.Errorf("%w: more than one JSON value", ErrInvalid)
	}
	if w.Version != version {
		return Task{}, fmt.Errorf("%w: version %d, want %d", ErrInvalid, w.Version, version)
	}
	t := Task{
		Kind: w.Kind, Finding: w.Finding, Name: w.Name, Resource: w.Resource,
		EventTime: w.EventTime.UTC(), Group: w.Group, Anew: w.Anew, Attempt: w.Attempt, At: w.At.UTC(),
	}
	if err := t.valid(); err != nil {
		return Task{}, err
	}
	return t, nil
}
