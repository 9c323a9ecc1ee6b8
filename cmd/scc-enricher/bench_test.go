package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
)

// These benchmarks print the figures of docs/benchmarks.md. All but
// BenchmarkPath measure the program as it is shipped, in a process of its own,
// against the emulated APIs in this one. Each is one scenario:
//
//	go test -run '^$' -bench . -benchtime 1x ./cmd/scc-enricher

// BenchmarkLatency is the time from the push request to its acknowledgement,
// after the marks were written, against the critical path: the slowest read of
// the finding plus the write. Every call of an upstream takes 50 to 300 ms.
func BenchmarkLatency(b *testing.B) {
	const findings, conns = 300, 10
	for b.Loop() {
		d := &delays{rng: rand.New(rand.NewPCG(1, 2)), read: map[int]time.Duration{}, write: map[int]time.Duration{}, shops: map[string]int{}}
		for i := range findings + conns {
			d.shops[hashOf(i)] = i
		}
		world := newShops(findings + conns)
		_, api, vt := startAPIs(b, emulator.Options{World: world, Quotas: endless(), Intercept: d.intercept})
		p := newProgram(b, api, vt, append(unlimited(), "--settle-delay=1h")...).silent()
		p.start()
		bodies := crowd(b, world, findings+conns)
		flood(b, p.url, bodies[findings:], conns, nil) // connections are made
		ratios, times := make([]float64, findings), make([]float64, findings)
		flood(b, p.url, bodies[:findings], conns, func(i int, took time.Duration) {
			ratios[i], times[i] = took.Seconds()/d.critical(i).Seconds(), float64(took.Microseconds())/1000
		})
		if _, complete := enriched(world); complete != findings+conns {
			b.Errorf("%d of %d findings are complete", complete, findings+conns)
		}
		b.ReportMetric(quantile(ratios, 0.50), "p50-×critical")
		b.ReportMetric(quantile(ratios, 0.99), "p99-×critical")
		b.ReportMetric(quantile(times, 0.50), "p50-ms")
		b.ReportMetric(quantile(times, 0.99), "p99-ms")
		p.stop()
	}
}

// delays are what each upstream call took, by the number of the finding's service.
type delays struct {
	mu          sync.Mutex
	rng         *rand.Rand
	read, write map[int]time.Duration
	shops       map[string]int // by hash
}

var shopName = regexp.MustCompile(`shop-(\d{4})|crowd(\d{5})`)

func (d *delays) intercept(ctx context.Context, c emulator.Call) error {
	d.mu.Lock()
	delay := 50*time.Millisecond + time.Duration(d.rng.Int64N(int64(250*time.Millisecond)))
	i, ok := d.shops[c.Path[strings.LastIndexByte(c.Path, '/')+1:]]
	if c.Request != nil {
		m := shopName.FindStringSubmatch(fmt.Sprint(c.Request))
		if ok = m != nil; ok {
			i, _ = strconv.Atoi(m[1] + m[2])
		}
	}
	into := d.read
	if c.Name() == "UpdateSecurityMarks" {
		into = d.write
	}
	if ok {
		into[i] = max(into[i], delay)
	}
	d.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
	}
	return nil
}

// critical is the least that the finding's enrichment can take.
func (d *delays) critical(i int) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read[i] + d.write[i]
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// BenchmarkThroughput is how many findings a second are fully written, all four
// sources asked for each, and how much of the processor the program needs for
// one. Upstreams answer at once; they and the load share the processors.
func BenchmarkThroughput(b *testing.B) {
	const warm, findings, conns = 200, 2000, 64
	for b.Loop() {
		world := newShops(warm + findings)
		emu, api, vt := startAPIs(b, emulator.Options{World: world, Quotas: endless(), RecordLimit: 1})
		p := newProgram(b, api, vt, append(unlimited(), "--settle-delay=1h")...).silent()
		p.start()
		bodies := crowd(b, world, warm+findings)
		flood(b, p.url, bodies[:warm], conns, nil)
		emu.ResetCalls()
		cpu, own := p.cpu(), ownCPU(b)
		took, statuses := flood(b, p.url, bodies[warm:], conns, nil)
		cpu, own = p.cpu()-cpu, ownCPU(b)-own
		if _, complete := enriched(world); complete != warm+findings || statuses[http.StatusNoContent] != findings {
			b.Errorf("%d of %d findings are complete; answers %v", complete, warm+findings, statuses)
		}
		for _, name := range []string{"ListFindings", "ListLogEntries", "GetService", "GetIamPolicy", "files", "UpdateSecurityMarks"} {
			if n := emu.Counts()[name]; n != findings {
				b.Errorf("%d calls of %s for %d findings", n, name, findings)
			}
		}
		b.ReportMetric(findings/took.Seconds(), "findings/s")
		b.ReportMetric(float64(cpu.Microseconds())/findings, "cpu-µs/finding")
		b.ReportMetric(float64(own.Microseconds())/findings, "load+upstreams-cpu-µs/finding")
		p.stop()
	}
}

// BenchmarkEcho is how many notifications of our own mark writes a second are
// acknowledged.
func BenchmarkEcho(b *testing.B) {
	const findings, echoes, conns = 200, 60_000, 64
	for b.Loop() {
		world := newShops(findings)
		emu, api, vt := startAPIs(b, emulator.Options{World: world, Quotas: endless(), RecordLimit: 1})
		p := newProgram(b, api, vt, append(unlimited(), "--settle-delay=1h")...).silent()
		p.start()
		bodies := crowd(b, world, findings)
		var mu sync.Mutex
		var written [][]byte
		world.OnPublish(func(n emulator.Notification) {
			body := envelope(b, n.Data)
			mu.Lock()
			defer mu.Unlock()
			written = append(written, body)
		})
		flood(b, p.url, bodies, conns, nil)
		emu.ResetCalls()
		cpu := p.cpu()
		took, statuses := flood(b, p.url, slices.Repeat(written, echoes/len(written)), conns, nil)
		cpu = p.cpu() - cpu
		calls := 0
		for _, n := range emu.Counts() {
			calls += n
		}
		if acked := statuses[http.StatusNoContent]; acked != echoes {
			b.Errorf("answers %v, want %d times 204", statuses, echoes)
		}
		b.ReportMetric(echoes/took.Seconds(), "echoes/s")
		b.ReportMetric(float64(calls), "upstream-calls")
		b.ReportMetric(float64(cpu.Nanoseconds())/1000/echoes, "cpu-µs/echo")
		p.stop()
	}
}

// BenchmarkQuotas lets 1,000 findings on 1,000 containers arrive at once under
// Google's quotas, in real time.
func BenchmarkQuotas(b *testing.B) {
	const findings = 1000
	for b.Loop() {
		world := newShops(findings)
		emu, api, vt := startAPIs(b, emulator.Options{World: world, RecordLimit: 1_000_000})
		p := newProgram(b, api, vt).silent()
		p.start()
		pusher := emulator.NewPusher(emulator.PushOptions{URL: p.url, Concurrency: 100, AckDeadline: time.Minute})
		world.OnPublish(pusher.PublishNotification)
		began := time.Now()
		crowd(b, world, findings)
		marked, complete := 0, 0
		for marked < findings && time.Since(began) < 5*time.Minute {
			time.Sleep(50 * time.Millisecond)
			marked, complete = enriched(world)
		}
		took := time.Since(began)
		refused, most := refusals(emu.Calls())
		all := 0
		for _, name := range slices.Sorted(maps.Keys(refused)) {
			b.Logf("%d calls of %s refused", refused[name], name)
			all += refused[name]
		}
		b.ReportMetric(took.Seconds(), "s-all-marked")
		b.ReportMetric(float64(marked), "marked")
		b.ReportMetric(float64(complete), "complete-by-then")
		b.ReportMetric(float64(withLogs(world)), "with-logs-by-then")
		b.ReportMetric(float64(all), "refused-by-quota")
		b.ReportMetric(float64(most), "log-reads/min")
		pusher.Close()
		p.stop()
	}
}

// withLogs counts the findings whose logs were read.
func withLogs(world *emulator.World) int {
	n := 0
	for _, name := range world.Names() {
		if s := world.Marks(name)["enrich_sources"]; strings.Contains(s, "logs=ok") || strings.Contains(s, "logs=empty") {
			n++
		}
	}
	return n
}

// refusals counts the calls that a quota refused, by method, and the most log
// reads in any minute.
func refusals(calls []emulator.Call) (refused map[string]int, most int) {
	refused = map[string]int{}
	var reads []time.Time
	for _, c := range calls {
		if c.Code == codes.ResourceExhausted {
			refused[c.Name()]++
		}
		if c.Name() == "ListLogEntries" {
			reads = append(reads, c.Time)
		}
	}
	for i, first := 0, 0; i < len(reads); i++ {
		for reads[i].Sub(reads[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return refused, most
}

// BenchmarkOneContainer lets 1,000 findings arrive on one container, and counts
// calls until all agree and nothing is written any more.
func BenchmarkOneContainer(b *testing.B) {
	const findings = 1000
	for b.Loop() {
		world := newShops(1)
		emu, api, vt := startAPIs(b, emulator.Options{World: world, Quotas: endless(), RecordLimit: 1})
		p := newProgram(b, api, vt, append(unlimited(), "--settle-delay=3s")...).silent()
		p.start()
		pusher := emulator.NewPusher(emulator.PushOptions{URL: p.url, Concurrency: 100, AckDeadline: time.Minute})
		world.OnPublish(pusher.PublishNotification)
		began := time.Now()
		for i := range findings {
			if err := world.AddFinding(shopFinding(fmt.Sprintf("one%04d", i), 0), nil, nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := pusher.Wait(contextWithin(b, 10*time.Minute)); err != nil {
			b.Fatal(err)
		}
		arrived := time.Since(began)
		const still = 10 * time.Second
		quiet(b, 10*time.Minute, still, func() int { return emu.Counts()["UpdateSecurityMarks"] }, func() bool { return len(disagreeing(world)) == 0 })
		counts := emu.Counts()
		b.ReportMetric(float64(counts["UpdateSecurityMarks"])/findings, "writes/finding")
		b.ReportMetric(float64(counts["ListFindings"])/findings, "lists/finding")
		b.ReportMetric(float64(counts["ListFindings"]+counts["ListLogEntries"])/findings, "lists+log-reads/finding")
		b.ReportMetric(arrived.Seconds(), "s-all-acked")
		b.ReportMetric((time.Since(began) - still).Seconds(), "s-at-rest")
		pusher.Close()
		p.stop()
	}
}

// BenchmarkStart is the time from exec to a /readyz that answers, best and
// median, the size of the program, and what it needs of memory before the first
// delivery: resident in all, and without the pages of its own file.
func BenchmarkStart(b *testing.B) {
	const starts = 11
	for b.Loop() {
		_, api, vt := startAPIs(b, emulator.Options{})
		p := newProgram(b, api, vt).silent()
		var times []float64
		for range starts {
			times = append(times, float64(p.start().Microseconds())/1000)
			p.kill()
		}
		p.start()
		time.Sleep(2 * time.Second)
		info, err := os.Stat(binary(b))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(slices.Min(times), "best-ms")
		b.ReportMetric(quantile(times, 0.5), "median-ms")
		b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
		b.ReportMetric(mib(p.memory("VmRSS")), "MiB-idle")
		b.ReportMetric(mib(p.memory("RssAnon")), "MiB-idle-own")
		p.stop()
	}
}

// BenchmarkPath is the processor time of one finding from the notification's
// bytes to its marks, without any input or output: the sources answer at once
// what the emulated APIs answered before. Each finding is on a service of its
// own, with a hash, a path in its command line and log lines of its own, so that
// nothing that names them has been seen before.
func BenchmarkPath(b *testing.B) {
	p, data, known := pathOf(b)
	boundMemory() // as serve does
	b.ReportAllocs()
	n := 0
	cpu := ownCPU(b)
	for b.Loop() {
		n++
		known.rename(n)
		f, err := finding.Parse([]byte(known.renamed(data)))
		if err != nil {
			b.Fatal(err)
		}
		known.f = f
		if res, err := p.Enrich(b.Context(), f); err != nil || res.Decision != enrich.Written || !res.Record.Complete() {
			b.Fatalf("%v: %v", res, err)
		}
	}
	b.ReportMetric(float64((ownCPU(b)-cpu).Nanoseconds())/1000/float64(b.N), "cpu-µs/finding")
}

// pathOf is a pipeline whose sources have their answers, with the notification
// of the finding that they were given for.
func pathOf(b *testing.B) (p *enrich.Pipeline, data string, known *heldAnswers) {
	b.Helper()
	world := newShops(1)
	emu, api, vt := startAPIs(b, emulator.Options{World: world, Quotas: endless()})
	settings, err := defaultServe(append(unlimited(), "--scc-endpoint="+api, "--logging-endpoint="+api, "--run-endpoint="+api,
		"--vt-endpoint="+vt, "--vt-api-key=made-up", "--push-auth=none")...)
	if err != nil {
		b.Fatal(err)
	}
	c, err := connect(b.Context(), &settings.upstreams, "", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.close() })
	emu.OnPublish(func(n emulator.Notification) { data = string(n.Data) })
	shell := shopFinding("path00000000", 0)
	shell.Processes[0].Args[2] = `"id; uname -a; cat /srv/shop-0000/settings.py"`
	if err := emu.AddFinding(shell, nil, nil); err != nil {
		b.Fatal(err)
	}
	f, err := finding.Parse([]byte(data))
	if err != nil {
		b.Fatal(err)
	}
	c.pipeline.Writer = nil
	res, err := c.pipeline.Investigate(b.Context(), f)
	if err != nil {
		b.Fatal(err)
	}
	known = &heldAnswers{e: res.Evidence}
	collector := &evidence.Collector{Findings: known, Config: known, Logs: known, Reputation: known, SourceTimeout: 8 * time.Second}
	if p, err = newPipeline(&settings.upstreams, collector); err != nil {
		b.Fatal(err)
	}
	p.Writer = known
	return p, data, known
}

// heldAnswers are what the sources said before, for another finding.
type heldAnswers struct {
	e              *evidence.Evidence
	f              *finding.Finding
	id, name, hash string
}

// rename makes them the answers for finding n.
func (a *heldAnswers) rename(n int) {
	a.id, a.name, a.hash = fmt.Sprintf("path%08d", n), fmt.Sprintf("shop-%06d", n), fmt.Sprintf("%x", sha256.Sum256(strconv.AppendInt(nil, int64(n), 10)))
}

// renamed is a text of theirs for that finding.
func (a *heldAnswers) renamed(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "shop-0000", a.name), testHash, a.hash)
	return strings.ReplaceAll(s, "path00000000", a.id)
}

func (a *heldAnswers) ListRelated(context.Context, evidence.RelatedQuery) ([]finding.Finding, error) {
	return []finding.Finding{*a.f}, nil
}

func (a *heldAnswers) ReadConfig(context.Context, finding.Workload, time.Time) (*evidence.Config, error) {
	c := *a.e.Config
	c.Resource, c.Revision, c.Containers = a.renamed(c.Resource), a.renamed(c.Revision), slices.Clone(c.Containers)
	for i := range c.Containers {
		c.Containers[i].Image = a.renamed(c.Containers[i].Image)
	}
	return &c, nil
}

func (a *heldAnswers) ReadLogs(context.Context, evidence.LogQuery) (evidence.Logs, error) {
	l := a.e.Logs
	l.Entries = slices.Clone(l.Entries)
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Text, e.Revision = a.renamed(e.Text), a.renamed(e.Revision)
	}
	return l, nil
}

func (a *heldAnswers) Lookup(context.Context, []evidence.Artifact) ([]evidence.Reputation, error) {
	list := slices.Clone(a.e.Reputations)
	for i := range list {
		list[i].Artifact.Value, list[i].URL = a.renamed(list[i].Artifact.Value), a.renamed(list[i].URL)
	}
	return list, nil
}

func (a *heldAnswers) WriteMarks(context.Context, marks.Write) error { return nil }
