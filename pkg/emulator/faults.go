package emulator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
)

// Faults describe what goes wrong in the emulated APIs. Rules apply in order,
// each to the calls it is for; SetFaults changes them while the emulator serves.
type Faults struct {
	// Seed makes probabilities repeatable: the nth call that a rule is for
	// always has the same fate.
	Seed  uint64
	Rules []Fault
}

// Fault is one rule: which calls, and what befalls them. Of several effects
// those that delay come first.
type Fault struct {
	// Method is a pattern, as path.Match has it, of a method's last part or of
	// the whole: "ListFindings", "Get*", "google.cloud.run.v2.*/*",
	// "virustotal/*"; "*" and "" are all methods.
	Method string `yaml:"method"`
	// Project, an id or a number, restricts the rule to calls that name the
	// project, by either; VirusTotal's name none.
	Project string `yaml:"project"`
	// First restricts the rule to the first n of its calls, and Probability to
	// a share of them, 0 to 1; zero restricts nothing.
	First       int     `yaml:"first"`
	Probability float64 `yaml:"probability"`

	// Latency delays the call, or ends it where the caller gives up first.
	Latency time.Duration `yaml:"latency"`
	// Hang gives no answer until the caller gives up.
	Hang bool `yaml:"hang"`
	// Reset closes the connection under the call, with every other call on it.
	// On a connection of ServeGRPC the call alone fails with Unavailable.
	Reset bool `yaml:"reset"`
	// Code fails the call. VirusTotal answers with the HTTP status of the code.
	Code codes.Code `yaml:"-"`
	// Served has Hang, Reset and Code come after the call was served: it took
	// effect, and its caller does not know. Not for VirusTotal.
	Served bool `yaml:"served"`
	// PerMinute refuses what is more than n calls in any sliding minute, as
	// Google does: RESOURCE_EXHAUSTED with ErrorInfo and QuotaFailure.
	PerMinute int `yaml:"per_minute"`
	// RetryAfter adds RetryInfo to a RESOURCE_EXHAUSTED of this rule, and
	// Retry-After to VirusTotal's answer.
	RetryAfter time.Duration `yaml:"retry_after"`
	// SlowBody waits before each 256 bytes of the body of a REST answer,
	// VirusTotal's included. gRPC answers are not slowed.
	SlowBody time.Duration `yaml:"slow_body"`
	// ShortPages makes pages of lists at most n results long, whatever size
	// was asked for; a page that is short for that has a token for the rest.
	ShortPages int `yaml:"short_pages"`
	// EmptyPages answers each first page of a list empty, with the token of a
	// second that holds it, which list methods may do at any time
	// (https://google.aip.dev/158).
	EmptyPages bool `yaml:"empty_pages"`
	// ListLag hides a finding from ListFindings and GroupFindings for so long
	// after it arrived; its notification is published at once. Project, First
	// and Probability do not restrict it, and the longest of all rules holds.
	ListLag time.Duration `yaml:"list_lag"`
}

// ParseFaults reads faults from YAML, or JSON, which is YAML:
//
//	seed: 7
//	rules:
//	  - {method: "*", code: UNAVAILABLE, probability: 0.25}
//	  - {method: "virustotal/*", latency: 2s}
//
// Keys are the names of Fault's fields in snake case, codes those of
// google/rpc/code.proto. All faults of the text are reported together.
func ParseFaults(data []byte) (*Faults, error) {
	var doc struct {
		Seed  uint64 `yaml:"seed"`
		Rules []struct {
			Fault `yaml:",inline"`
			Code  string `yaml:"code"`
		} `yaml:"rules"`
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	f := &Faults{Seed: doc.Seed}
	var errs []error
	for i, r := range doc.Rules {
		if r.Code != "" {
			if err := r.Fault.Code.UnmarshalJSON([]byte(strconv.Quote(r.Code))); err != nil {
				errs = append(errs, fmt.Errorf("rule %d: %q is no code of google/rpc/code.proto", i+1, r.Code))
			}
		}
		f.Rules = append(f.Rules, r.Fault)
	}
	if err := errors.Join(append(errs, f.check())...); err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	return f, nil
}

// check returns every rule that cannot be meant.
func (f *Faults) check() error {
	var errs []error
	for i := range f.Rules {
		r := &f.Rules[i]
		if _, err := path.Match(r.Method, ""); err != nil {
			errs = append(errs, fmt.Errorf("rule %d: method %q: %w", i+1, r.Method, err))
		}
		if !(r.Probability >= 0 && r.Probability <= 1) {
			errs = append(errs, fmt.Errorf("rule %d: probability %v is not between 0 and 1", i+1, r.Probability))
		}
		if min(r.First, r.PerMinute, r.ShortPages) < 0 || min(r.Latency, r.RetryAfter, r.SlowBody, r.ListLag) < 0 {
			errs = append(errs, fmt.Errorf("rule %d: a number is below zero", i+1))
		}
	}
	return errors.Join(errs...)
}

// fits reports whether a rule is for the method.
func (r *Fault) fits(method string) bool {
	if r.Method == "" || r.Method == "*" {
		return true
	}
	for _, name := range []string{method, method[strings.LastIndexByte(method, '/')+1:]} {
		if ok, err := path.Match(r.Method, name); err == nil && ok {
			return true
		}
	}
	return false
}
