package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// checkRecord validates a record against the published JSON Schema and decodes it.
func checkRecord(t testing.TB, data []byte) *record.Record {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "record.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("the record does not validate: %v", err)
	}
	var r record.Record
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if r.SchemaVersion != 1 {
		t.Errorf("schema_version %d", r.SchemaVersion)
	}
	return &r
}

func fixture(name string) string { return filepath.Join("testdata", name) }

// TestEnrichOffline: the same finding as push body, notification and bare.
func TestEnrichOffline(t *testing.T) {
	t.Parallel()
	const name = "projects/415926535897/sources/7001/locations/global/findings/1f5c3aa0b7d94e02"
	for _, file := range []string{"push.json", "notification.json", "finding.json"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			code, out, errs := command(t.Context(), "", "enrich", "--offline", "--output=json", fixture(file))
			if code != exitDone || errs != "" {
				t.Fatalf("exit code %d, %q", code, errs)
			}
			r := checkRecord(t, []byte(out))
			if r.Finding.CanonicalName != name || r.Workload.Key != "run/shop-prod-4711/europe-west1/service/storefront" && file != "finding.json" {
				t.Errorf("finding %q on %q", r.Finding.CanonicalName, r.Workload.Key)
			}
			states := map[string]string{}
			for _, s := range r.Sources {
				states[s.Name] = s.State
			}
			want := map[string]string{"findings": "disabled", "logs": "disabled", "config": "disabled", "virustotal": "disabled"}
			if diff := cmp.Diff(want, states); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if v := r.Assessment.Verdict; v != "malicious" && v != "likely_malicious" {
				t.Errorf("a reverse shell is %q", v)
			}
		})
	}
}

func TestEnrichForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"text is the default", nil, []string{"Reverse Shell", "storefront", "203[.]0[.]113[.]66"}},
		{"text", []string{"-o", "text"}, []string{"Reverse Shell", "storefront"}},
		{"Markdown", []string{"--output=markdown"}, []string{"# ", "Reverse Shell", "| --- |"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := command(t.Context(), "", append([]string{"enrich", "--offline", fixture("notification.json")}, c.args...)...)
			if code != exitDone || errs != "" {
				t.Fatalf("exit code %d, %q", code, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("not %q in\n%s", want, out)
				}
			}
			if strings.Contains(out, "\x1b") {
				t.Error("colour codes in a pipe")
			}
		})
	}
}

// TestEnrichInput: standard input, several files, lists, and files that hold
// no finding, which do not keep the others from being enriched.
func TestEnrichInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read := func(name string) string {
		data, err := os.ReadFile(fixture(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	other := `{"finding":{"name":"projects/1/sources/2/findings/3","category":"X","eventTime":"2026-01-01T00:00:00Z","resourceName":"//compute.googleapis.com/projects/p/zones/z/instances/i"}}`
	for _, c := range []struct {
		name    string
		in      string
		files   []string
		code    int
		records int
		errs    []string
	}{
		{name: "standard input", in: read("push.json"), files: []string{"-"}, records: 1},
		{name: "a list", files: []string{fixture("list.json")}, records: 2},
		{name: "two files", files: []string{fixture("push.json"), fixture("list.json")}, records: 3},
		{name: "not JSON", files: []string{write("text.json", "hello")}, code: exitFailed, errs: []string{"text.json: ", "not JSON"}},
		{name: "empty", files: []string{write("empty.json", "")}, code: exitFailed, errs: []string{"empty.json: ", "not JSON"}},
		{name: "no finding", files: []string{write("none.json", `{"finding":{}}`)}, code: exitFailed, errs: []string{"none.json: ", "no "}},
		{name: "not a container", files: []string{write("vm.json", other)}, code: exitFailed, errs: []string{"vm.json: projects/1/sources/2/findings/3: nothing to enrich: not_a_container"}},
		{name: "no such file", files: []string{filepath.Join(dir, "missing.json")}, code: exitFailed, errs: []string{"missing.json"}},
		{name: "a bad file between good ones", files: []string{fixture("push.json"), filepath.Join(dir, "text.json"), fixture("finding.json")}, code: exitFailed, records: 2, errs: []string{"text.json"}},
		{name: "a bad finding before a good one", in: "[" + other + "," + read("notification.json") + "]", files: []string{"-"}, code: exitFailed, records: 1, errs: []string{"not_a_container"}},
		{name: "an unreadable finding beside a good one", in: "[{\"finding\":{}}," + read("notification.json") + "]", files: []string{"-"}, code: exitFailed, records: 1, errs: []string{"-: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := command(t.Context(), c.in, append([]string{"enrich", "--offline", "--output=json"}, c.files...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			records := 0
			for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); records++ {
				var raw json.RawMessage
				if err := dec.Decode(&raw); err != nil {
					t.Fatal(err)
				}
				checkRecord(t, raw)
			}
			if records != c.records {
				t.Errorf("%d records, want %d", records, c.records)
			}
			for _, want := range c.errs {
				if !strings.Contains(errs, want) {
					t.Errorf("not %q in %q", want, errs)
				}
			}
			if wantLines := min(len(c.errs), 1); strings.Count(errs, "\n") != wantLines {
				t.Errorf("standard error has not %d line(s): %q", wantLines, errs)
			}
		})
	}
}

// TestEnrichSources: with sources the record holds what they say, and marks
// are written only with --write.
func TestEnrichSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	emu, err := emulator.New(emulator.Options{World: w})
	if err != nil {
		t.Fatal(err)
	}
	api, err := emu.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var notification []byte
	w.OnPublish(func(n emulator.Notification) { notification = n.Data })
	f := newFinding("one-shot")
	if err := w.AddFinding(f, nil, nil); err != nil {
		t.Fatal(err)
	}
	name := f.GetCanonicalName()
	args := []string{"enrich", "--output=json", "--scc-endpoint=" + api, "--logging-endpoint=" + api, "--run-endpoint=" + api, "-"}

	code, out, errs := command(t.Context(), string(notification), args...)
	if code != exitDone || errs != "" {
		t.Fatalf("exit code %d, %q", code, errs)
	}
	r := checkRecord(t, []byte(out))
	if r.Source("logs").State != "ok" || r.Source("config").State != "ok" || r.Assessment.Exposure != "public" {
		t.Errorf("sources %+v, exposure %q", r.Sources, r.Assessment.Exposure)
	}
	if n := emu.Counts()["UpdateSecurityMarks"]; n != 0 || len(own(w.Marks(name))) != 0 {
		t.Errorf("written without --write: %d times", n)
	}

	code, out, errs = command(t.Context(), string(notification), append(args, "--write")...)
	if code != exitDone || errs != "" {
		t.Fatalf("--write: exit code %d, %q", code, errs)
	}
	if got, want := w.Marks(name)["enrich_verdict"], checkRecord(t, []byte(out)).Assessment.Verdict; got != want {
		t.Errorf("the mark says %q, the record %q", got, want)
	}

	// A person who asks again gets the record again, although nothing is new,
	// the finding is muted, and the notification is an echo.
	before := emu.Counts()["UpdateSecurityMarks"]
	echo := edited(t, notification, func(f map[string]any) { f["mute"] = "MUTED" })
	code, out, errs = command(t.Context(), string(echo), append(args, "--write")...)
	if code != exitDone || errs != "" {
		t.Fatalf("again: exit code %d, %q", code, errs)
	}
	checkRecord(t, []byte(out))
	if n := emu.Counts()["UpdateSecurityMarks"]; n != before {
		t.Errorf("unchanged marks were written again: %d writes, then %d", before, n)
	}

	// What cannot be written is an error, and never half said.
	gone := edited(t, notification, func(f map[string]any) {
		f["name"], f["canonicalName"] = testSource+"/findings/gone", testSource+"/findings/gone"
	})
	code, _, errs = command(t.Context(), string(gone), append(args, "--write")...)
	if code != exitFailed || !strings.Contains(errs, "gone") || strings.Count(errs, "\n") != 1 {
		t.Errorf("gone: exit code %d, %q", code, errs)
	}
}
