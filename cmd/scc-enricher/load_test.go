package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// flood posts bodies over so many connections, each as fast as it is answered,
// and returns how long that took and how often each status was answered. It is
// plain on purpose: load and service share the machine. took, if not nil, is
// told how long each body was under way.
func flood(tb testing.TB, url string, bodies [][]byte, conns int, took func(i int, d time.Duration)) (time.Duration, map[int]int) {
	tb.Helper()
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	var (
		wg       sync.WaitGroup
		next     atomic.Int64
		mu       sync.Mutex
		statuses = map[int]int{}
	)
	began := time.Now()
	for range conns {
		wg.Go(func() {
			mine := map[int]int{}
			conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", address)
			if err != nil {
				tb.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for i := int(next.Add(1)) - 1; i < len(bodies); i = int(next.Add(1)) - 1 {
				sent := time.Now()
				status, err := exchange(conn, in, "/"+path, bodies[i])
				if err != nil {
					tb.Errorf("post: %v", err)
					return
				}
				mine[status]++
				if took != nil {
					took(i, time.Since(sent))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for status, n := range mine {
				statuses[status] += n
			}
		})
	}
	wg.Wait()
	return time.Since(began), statuses
}

// exchange sends one request and reads the head of its answer, which has no body.
func exchange(conn net.Conn, in *bufio.Reader, path string, body []byte) (status int, err error) {
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, len(body))
	if _, err := (&net.Buffers{head, body}).WriteTo(conn); err != nil {
		return 0, err
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if status == 0 {
			if status, err = strconv.Atoi(string(bytes.Fields(line)[1])); err != nil {
				return 0, err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return status, nil
		}
	}
}

// crowd adds findings, from number first on, each on a service and with a hash
// of its own, and returns their push bodies.
func crowd(tb testing.TB, world *emulator.World, first, n int) [][]byte {
	tb.Helper()
	var last []byte
	listening := true
	world.OnPublish(func(n emulator.Notification) {
		if listening {
			last = n.Data
		}
	})
	bodies := make([][]byte, 0, n)
	for i := first; i < first+n; i++ {
		f := shopFinding(fmt.Sprintf("crowd%05d", i), i)
		f.Processes[0].Binary.Sha256 = hashOf(i)
		if err := world.AddFinding(f, nil, nil); err != nil {
			tb.Fatal(err)
		}
		bodies = append(bodies, envelope(tb, last))
	}
	listening = false
	return bodies
}

func hashOf(i int) string {
	sum := sha256.Sum256([]byte(shop(i)))
	return hex.EncodeToString(sum[:])
}

// enriched counts the findings that have marks, and those of them that are complete.
func enriched(world *emulator.World) (marked, complete int) {
	for _, name := range world.Names() {
		switch world.Marks(name)["enrich_status"] {
		case "complete":
			complete++
			marked++
		case "partial":
			marked++
		}
	}
	return marked, complete
}

// userHZ is the unit of times in /proc, as Linux shows them.
const userHZ = 100

// cpu is the processor time that the process has used so far.
func (p *program) cpu() time.Duration {
	p.t.Helper()
	p.mu.Lock()
	pid := p.cmd.Process.Pid
	p.mu.Unlock()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	// proc_pid_stat(5): utime and stime are fields 14 and 15; the name, field 2,
	// is in parentheses and may hold spaces.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ
}

// ownCPU is the processor time that this process has used so far.
func ownCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quiet waits until done and nothing was written for so long.
func quiet(tb testing.TB, limit, still time.Duration, writes func() int, done func() bool) {
	tb.Helper()
	last, since := -1, time.Now()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		if n := writes(); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) >= still && done() {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("no rest within %s: %d writes, the last %s ago", limit, last, time.Since(since))
		}
	}
}

// silent sends the program's log nowhere: Cloud Run's collector is not part of
// what is measured.
func (p *program) silent() *program {
	p.discard = true
	return p
}

func contextWithin(tb testing.TB, limit time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	tb.Cleanup(cancel)
	return ctx
}
