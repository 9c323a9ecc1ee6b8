package finding

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func seed(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`[{` + okName + `,"processes":[{"pid":"1","args":["\"a\""]}],"event_time":{"seconds":1}}]`))
	f.Add([]byte(`{"a":[1,2,{"b":null}],"c":"\u00e9\\\"","d":-1.5e3,"":true}`))
}

// No input panics; a finding that parses can be written to; the two entry
// points agree.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data)
		all, allErr := ParseAll(data)
		if err != nil {
			if got != nil || !errors.Is(err, ErrNotJSON) && !errors.Is(err, ErrNoFinding) {
				t.Fatalf("finding %v, error %v", got, err)
			}
			return
		}
		if _, ok := splitName(got.CanonicalName); !ok {
			t.Fatalf("canonical name %q", got.CanonicalName)
		}
		if _, ok := splitName(got.Name); !ok || got.ParentScope() == "" {
			t.Fatalf("name %q", got.Name)
		}
		if !got.Workload.IsZero() && (got.Workload.Key() == "" || got.Workload.ResourcePath() == "") {
			t.Fatalf("workload %+v", got.Workload)
		}
		if !utf8.ValidString(got.Category) || !utf8.ValidString(got.Tree().String()) {
			t.Fatal("text is not UTF-8")
		}
		if allErr != nil || len(all) != 1 {
			t.Fatalf("Parse reads it, ParseAll: %d findings, %v", len(all), allErr)
		}
		if diff := cmp.Diff(got, all[0]); diff != "" {
			t.Fatalf("ParseAll differs:\n%s", diff)
		}
	})
}

// plain rebuilds the value that encoding/json would decode.
func plain(n node) any {
	switch {
	case n.is('{'):
		m := map[string]any{}
		for k, v := range n.members() {
			key, _ := k.text()
			m[key] = plain(v)
		}
		return m
	case n.is('['):
		a := []any{}
		for e := range n.elements() {
			a = append(a, plain(e))
		}
		return a
	case n.is('"'):
		s, _ := n.text()
		return s
	case n.absent():
		return nil
	}
	if b, ok := n.boolean(); ok {
		return b
	}
	return json.Number(n)
}

// The walker sees what encoding/json sees in every valid document, and ends on
// every other input.
func FuzzWalker(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		root, ok := rootNode(data)
		if !ok {
			plain(data)
			return
		}
		if len(data) > 1<<16 {
			return
		}
		var want any
		dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Skip(err)
		}
		if diff := cmp.Diff(want, plain(root)); diff != "" {
			t.Fatalf("walker differs from encoding/json:\n%s", diff)
		}
	})
}
