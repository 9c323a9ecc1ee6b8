package gcloud

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// documented returns the words of every gcloud command in the fenced blocks
// and the code spans of the pages, by page.
func documented(t *testing.T) map[string][][]string {
	t.Helper()
	out := map[string][][]string{}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/playbooks/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			page := string(data)
			var texts []string
			for _, m := range regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```").FindAllStringSubmatch(page, -1) {
				texts = append(texts, m[1])
			}
			page = regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(page, "")
			for _, m := range regexp.MustCompile("`(gcloud [^`…]*)`").FindAllStringSubmatch(page, -1) {
				// A span that ends with a flag names a command, it is none.
				if !regexp.MustCompile(`--[a-z-]+$`).MatchString(m[1]) {
					texts = append(texts, m[1])
				}
			}
			for _, text := range texts {
				if strings.Contains(text, "gcloud ") && !strings.Contains(text, "terraform ") && !strings.Contains(text, "SCOPE") {
					out[filepath.Base(file)] = append(out[filepath.Base(file)], gcloudCalls(t, file, text)...)
				}
			}
		}
	}
	return out
}

// gcloudCalls parses text as shell and returns its calls of gcloud; what the
// shell would fill in becomes a time, which is what most of it is.
func gcloudCalls(t *testing.T, file, text string) [][]string {
	t.Helper()
	parsed, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		t.Errorf("%s: %v in\n%s", file, err, text)
		return nil
	}
	var out [][]string
	syntax.Walk(parsed, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "gcloud" {
			return true
		}
		var words []string
		for _, w := range call.Args {
			var b strings.Builder
			parts(&b, w.Parts)
			words = append(words, b.String())
		}
		out = append(out, words)
		return true
	})
	return out
}

func parts(b *strings.Builder, all []syntax.WordPart) {
	for _, part := range all {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(part.Value, "\\\n", ""))
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			parts(b, part.Parts)
		default:
			b.WriteString("2026-01-01T00:00:00Z")
		}
	}
}

// TestDocumentedCommands compares every command that the pages print with
// gcloud's own table.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	root := gcloudTable(t)
	total := 0
	for page, commands := range documented(t) {
		for _, c := range commands {
			total++
			t.Run(page, func(t *testing.T) { root.check(t, c[1:]) })
		}
	}
	if total < 40 {
		t.Errorf("found %d commands in the pages", total)
	}
}
