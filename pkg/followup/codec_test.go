package followup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/followup"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	in := task("shop", event.Add(time.Minute).In(time.FixedZone("", 3600)))
	in.At = in.At.In(time.FixedZone("", 3600))
	in.Attempt = 3
	got, err := followup.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":1,"kind":"settle",` +
		`"finding":"organizations/1/sources/2/locations/global/findings/shop","name":"organizations/1/sources/2/findings/shop",` +
		`"resource":"//run.googleapis.com/projects/p/locations/l/services/shop","event_time":"2026-04-24T10:00:00.123456789Z",` +
		`"group":"shop","attempt":3,"at":"2026-04-24T10:01:00.123456789Z"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("encoding -want +got:\n%s", diff)
	}
	out, err := followup.Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	in.At = in.At.UTC()
	if diff := cmp.Diff(in, out); diff != "" {
		t.Errorf("decoded -want +got:\n%s", diff)
	}
}

// invalid are tasks that no queue may take.
func invalid() map[string]followup.Task {
	with := func(change func(*followup.Task)) followup.Task {
		in := task("shop", event)
		change(&in)
		return in
	}
	return map[string]followup.Task{
		"zero":             {},
		"unknown kind":     with(func(t *followup.Task) { t.Kind = "reboot" }),
		"no finding":       with(func(t *followup.Task) { t.Finding = "" }),
		"long finding":     with(func(t *followup.Task) { t.Finding = strings.Repeat("f", 1025) }),
		"long group":       with(func(t *followup.Task) { t.Group = strings.Repeat("g", 1025) }),
		"long name":        with(func(t *followup.Task) { t.Name = strings.Repeat("g", 1025) }),
		"not UTF-8":        with(func(t *followup.Task) { t.Resource = "\xff" }),
		"negative attempt": with(func(t *followup.Task) { t.Attempt = -1 }),
		"large attempt":    with(func(t *followup.Task) { t.Attempt = 1001 }),
		"no event time":    with(func(t *followup.Task) { t.EventTime = time.Time{} }),
		"no time":          with(func(t *followup.Task) { t.At = time.Time{} }),
		"year 10000":       with(func(t *followup.Task) { t.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"year 0":           with(func(t *followup.Task) { t.EventTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }),
	}
}

func TestEncodeInvalid(t *testing.T) {
	t.Parallel()
	for name, in := range invalid() {
		if _, err := followup.Encode(in); !errors.Is(err, followup.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
}

// TestEncodeWorstCase: nothing that may be encoded is too large to be read.
func TestEncodeWorstCase(t *testing.T) {
	t.Parallel()
	worst := strings.Repeat("\x01", 1024)
	in := followup.Task{Kind: followup.Complete, Finding: worst, Name: worst, Resource: worst, Group: worst, Anew: true, Attempt: 1000, EventTime: event, At: event}
	data, err := followup.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := followup.Decode(data)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Errorf("decoded -want +got:\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, err := followup.Encode(task("shop", event))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, replacement string) string {
		s := strings.Replace(string(good), old, replacement, 1)
		if s == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return s
	}
	tests := map[string]string{
		"nothing":         "",
		"null":            "null",
		"list":            "[]",
		"empty":           "{}",
		"truncated":       string(good[:len(good)-1]),
		"two values":      string(good) + string(good),
		"trailing text":   string(good) + "x",
		"unknown field":   edit(`"attempt"`, `"shell":"rm","attempt"`),
		"unknown version": edit(`"version":1`, `"version":2`),
		"no version":      edit(`"version":1,`, ``),
		"wrong type":      edit(`"attempt":0`, `"attempt":"0"`),
		"fraction":        edit(`"attempt":0`, `"attempt":0.5`),
		"bad time":        edit(`2026-04-24`, `2026-13-24`),
		"unknown kind":    edit(`settle`, `reboot`),
		"not UTF-8":       edit(`"group":"shop"`, "\"group\":\"\xff\""),
		"long group":      edit(`"group":"shop"`, `"group":"`+strings.Repeat("g", 1025)+`"`),
		"too large":       string(good) + strings.Repeat(" ", followup.MaxBody),
		"deep":            strings.Repeat("[", 60_000),
		"long field name": `{"` + strings.Repeat("x", 60_000) + `":1}`,
	}
	for name, data := range tests {
		got, err := followup.Decode([]byte(data))
		if !errors.Is(err, followup.ErrInvalid) {
			t.Errorf("%s: Decode() = %+v, %v; want ErrInvalid", name, got, err)
		} else if len(err.Error()) > 400 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
	if _, err := followup.Decode([]byte(" " + string(good) + "\n")); err != nil {
		t.Errorf("with space around: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, t := range []followup.Task{task("shop", event), {Kind: followup.Complete, Finding: "f", EventTime: event, At: event, Attempt: 7}} {
		data, err := followup.Encode(t)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":1,"kind":"settle","finding":"\ud800","event_time":"0001-01-01T00:00:01+23:59","at":"9999-12-31T23:59:59-23:59","attempt":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := followup.Decode(data)
		if err != nil {
			if !errors.Is(err, followup.ErrInvalid) {
				t.Fatalf("error %v is no ErrInvalid", err)
			}
			return
		}
		again, err := followup.Encode(first)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		second, err := followup.Decode(again)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("round trip -first +second:\n%s", diff)
		}
		if id := first.ID(); id != second.ID() || !legal.MatchString(id) {
			t.Fatalf("IDs %q and %q", id, second.ID())
		}
		if slot := first.Slotted(time.Minute); slot.At.Before(first.At) {
			t.Fatalf("slot %s is before %s", slot.At, first.At)
		}
	})
}
