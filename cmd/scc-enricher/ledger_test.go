package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/push"
)

// samples are the values of a /metrics page by series, as they are spelled.
type samples map[string]float64

// scrape reads /metrics.
func scrape(t testing.TB, r *rig) samples {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(r.url, "/push")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out := samples{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if out[line[:i]], err = strconv.ParseFloat(line[i+1:], 64); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return out
}

// sum adds up the series of a metric that have all the labels given, as
// name="value".
func (s samples) sum(metric string, labels ...string) int {
	total := 0.0
next:
	for series, v := range s {
		name, rest, _ := strings.Cut(series, "{")
		if name != metric {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue next
			}
		}
		total += v
	}
	return int(total)
}

// by splits a metric up by the values of one label.
func (s samples) by(metric, label string) map[string]int {
	out := map[string]int{}
	for series, v := range s {
		if rest, ok := strings.CutPrefix(series, metric+"{"); ok {
			_, value, _ := strings.Cut(rest, label+`="`)
			value, _, _ = strings.Cut(value, `"`)
			out[value] += int(v)
		}
	}
	return out
}

// shelf keeps dead letters, but for those that say it must not.
type shelf struct{ kept atomic.Int64 }

func (s *shelf) DeadLetter(_ context.Context, m *push.Message, _, _ string) error {
	if bytes.Contains(m.Data, []byte("no room")) {
		return errors.New("no room")
	}
	s.kept.Add(1)
	return nil
}

// moodyWriter panics where the finding asks for it.
type moodyWriter struct{ enrich.MarkWriter }

func (m moodyWriter) WriteMarks(ctx context.Context, w marks.Write) error {
	if strings.Contains(w.Name, "panics") {
		panic("the writer panics")
	}
	return m.MarkWriter.WriteMarks(ctx, w)
}

// oneRequest is one request of the mixed load, and what must become of it.
type oneRequest struct {
	outcome, reason string
	status          int
	send            func() (int, error)
}

// TestLedger: every request that is received ends in exactly one outcome, in a
// mixed load of all of them, and what is counted in different places agrees.
func TestLedger(t *testing.T) {
	t.Parallel()
	signer, err := emulator.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	var written atomic.Int64
	reached := make(chan struct{}) // the write of the one whose caller hangs up
	reach := sync.OnceFunc(func() { close(reached) })
	r := newRig(t, rigOptions{signer: signer, flags: []string{"--settle-delay=1h", "--logging-reads-per-minute=1000", "--scc-writes-per-minute=2000"}, emulator: emulator.Options{
		Intercept: func(ctx context.Context, c emulator.Call) error {
			req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest)
			if !ok {
				return nil
			}
			for kind, code := range map[string]codes.Code{"down": codes.Unavailable, "denied": codes.PermissionDenied, "rejected": codes.InvalidArgument} {
				if strings.Contains(req.GetSecurityMarks().GetName(), kind) {
					return status.Error(code, "no")
				}
			}
			if strings.Contains(req.GetSecurityMarks().GetName(), "patience") {
				reach()
				<-ctx.Done()
				return status.FromContextError(ctx.Err()).Err()
			}
			if !strings.Contains(req.GetSecurityMarks().GetName(), "gone") {
				written.Add(1)
			}
			return nil
		},
	}})
	dead := &shelf{}
	r.svc.push.DeadLetters = dead
	r.svc.pipeline.Writer = moodyWriter{r.svc.pipeline.Writer}
	load, hangsUp := mixedLoad(t, r, signer, reached)

	var wg sync.WaitGroup
	want := map[string]map[string]int{}
	for _, i := range rand.Perm(len(load)) {
		one := load[i]
		if want[one.outcome] == nil {
			want[one.outcome] = map[string]int{}
		}
		want[one.outcome][one.reason]++
		wg.Go(func() {
			got, err := one.send()
			if err != nil || got != one.status {
				t.Errorf("%s/%s: status %d, %v, want %d", one.outcome, one.reason, got, err, one.status)
			}
		})
	}
	wg.Go(hangsUp)
	want[outcomeNacked]["caller_gone"]++
	total := len(load) + 1
	wg.Wait()
	// The last is answered when its caller no longer listens.
	eventually(t, 10*time.Second, "everything is answered", func() bool { return scrape(t, r).sum("scc_enricher_in_flight") == 0 })
	r.svc.push.Drain()
	if got := r.post([]byte("late"), r.token(signer, testPusher)); got != http.StatusServiceUnavailable {
		t.Errorf("while draining: status %d", got)
	}
	want[outcomeNacked]["shutting_down"]++
	total++

	m := scrape(t, r)
	outcomes := map[string]int{}
	for o, reasons := range want {
		for reason, n := range reasons {
			outcomes[o] += n
			if got := m.sum("scc_enricher_deliveries_total", `reason="`+reason+`"`); got < n {
				t.Errorf("reason %s is counted %d times, want %d", reason, got, n)
			}
		}
	}
	if diff := cmp.Diff(outcomes, m.by("scc_enricher_outcomes_total", "outcome")); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	asked := m.sum("scc_enricher_source_seconds_count", `source="logs"`)
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"received", m.sum("scc_enricher_received_total"), total},
		{"outcomes", m.sum("scc_enricher_outcomes_total"), total},
		{"deliveries", m.sum("scc_enricher_deliveries_total"), total},
		{"latencies", m.sum("scc_enricher_delivery_seconds_count"), total},
		{"in flight", m.sum("scc_enricher_in_flight"), 0},
		{"verdicts", m.sum("scc_enricher_verdicts_total"), outcomes[outcomeWritten]},
		{"events to marks", m.sum("scc_enricher_event_to_marks_seconds_count"), outcomes[outcomeWritten]},
		{"dead letters", outcomes[outcomeDeadLettered], int(dead.kept.Load())},
		{"writes", m.sum("scc_enricher_mark_writes_total", `result="ok"`), int(written.Load())},
		{"records", m.sum("scc_enricher_records_total", `result="ok"`), len(r.records.get())},
		{"findings asked", m.sum("scc_enricher_source_seconds_count", `source="findings"`), asked},
		{"config asked", m.sum("scc_enricher_source_seconds_count", `source="config"`), asked},
		{"virustotal asked", m.sum("scc_enricher_source_seconds_count", `source="virustotal"`), asked},
		{"follow-ups held", m.sum("scc_enricher_followups_pending"), r.svc.local.Pending()},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	bounded(t, m)
}

// bounded: labels hold words of closed sets, never a name out of a message.
func bounded(t *testing.T, m samples) {
	t.Helper()
	n := 0
	for series := range m {
		if !strings.HasPrefix(series, "scc_enricher_") || strings.Contains(series, "_bucket{") {
			continue
		}
		n++
		for _, theirs := range []string{testProject, testNumber, "findings/", "storefront", "@", "panics", "no room", "//"} {
			if strings.Contains(series, theirs) {
				t.Errorf("%q in a label: %s", theirs, series)
			}
		}
	}
	if n > 150 {
		t.Errorf("%d series", n)
	}
}

// mixedLoad makes three requests of every outcome that can be brought about
// from outside, and the one whose caller hangs up once its write is reached.
func mixedLoad(t *testing.T, r *rig, signer *emulator.Signer, reached <-chan struct{}) (load []oneRequest, hangsUp func()) {
	t.Helper()
	token := r.token(signer, testPusher)
	body := func(outcome, reason string, code int, body []byte, token string) {
		load = append(load, oneRequest{outcome, reason, code, func() (int, error) { return post(t.Context(), r.url, body, token) }})
	}
	deliver := func(outcome, reason string, code int, data []byte) {
		body(outcome, reason, code, envelope(t, data), token)
	}
	finding := func(id string) []byte { _, data := r.add(newFinding(id)); return data }
	change := func(id, field string, value any) []byte {
		return edited(t, finding(id), func(f map[string]any) { f[field] = value })
	}
	for i := range 3 {
		id := func(kind string) string { return fmt.Sprintf("%s%d", kind, i) }
		deliver(outcomeWritten, "written", 204, finding(id("fresh")))

		// Enriched beforehand; its own write came back meanwhile.
		done := finding(id("done"))
		if got := r.post(envelope(t, done), token); got != http.StatusNoContent {
			t.Fatalf("status %d", got)
		}
		load = append(load, oneRequest{outcomeWritten, "written", 204, func() (int, error) { return 204, nil }})
		deliver(outcomeUnchanged, "unchanged", 204, done)
		echo := r.last()
		deliver(outcomeUnchanged, "echo", 204, echo)
		deliver(outcomeUnchanged, "older", 204, edited(t, echo, func(f map[string]any) { f["eventTime"] = "2020-01-01T00:00:00Z" }))

		deliver(outcomeIgnored, "inactive", 204, change(id("inactive"), "state", "INACTIVE"))
		deliver(outcomeIgnored, "muted", 204, change(id("muted"), "mute", "MUTED"))
		deliver(outcomeIgnored, "not_a_container", 204, change(id("bucket"), "resourceName", "//storage.googleapis.com/a-bucket"))

		deliver(outcomeDeadLettered, "not_json", 204, []byte("hello"))
		deliver(outcomeDeadLettered, "no_finding", 204, []byte(`{"finding":{}}`))
		deliver(outcomeDeadLettered, "no_event_time", 204, change(id("timeless"), "eventTime", nil))
		deliver(outcomeDeadLettered, "marks_rejected", 204, finding(id("rejected")))
		deliver(outcomeDeadLettered, "gone", 204, edited(t, finding(id("there")), func(f map[string]any) {
			f["name"], f["canonicalName"] = testSource+"/findings/"+id("gone"), testSource+"/findings/"+id("gone")
		}))
		body(outcomeDeadLettered, "bad_envelope", 204, []byte(`{"message":{"data":"%%%","messageId":"1"},"subscription":"s"}`), token)

		deliver(outcomeNacked, "not_json", 422, []byte("no room"))
		deliver(outcomeNacked, "write_failed", 503, finding(id("down")))
		deliver(outcomeNacked, "write_denied", 503, finding(id("denied")))
		deliver(outcomeNacked, "panic", 500, finding(id("panics")))

		body(outcomeRefused, "unauthenticated", 401, envelope(t, []byte("x")), "")
		body(outcomeRefused, "unauthenticated", 403, envelope(t, []byte("x")), r.token(signer, "mallory@example.com"))
		body(outcomeRefused, "too_large", 413, bytes.Repeat([]byte(" "), push.MaxBody+1), token)
		load = append(load, oneRequest{outcomeRefused, "method", 405, func() (int, error) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, r.url, nil)
			if err != nil {
				return 0, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return 0, err
			}
			return resp.StatusCode, resp.Body.Close()
		}})
	}
	patient := envelope(t, finding("patience"))
	return load, func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			<-reached
			cancel()
		}()
		if _, err := post(ctx, r.url, patient, token); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that hangs up: %v", err)
		}
	}
}

// TestOutcomesAreDocumented: the table of docs/operations.md is that of outcome.
func TestOutcomesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ = bytes.Cut(page, []byte("### The ledger"))
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| acknowledged[^|]*\\| ([a-z_, ]+) \\|$").FindAllSubmatch(page, -1) {
		for reason := range strings.SplitSeq(string(row[2]), ", ") {
			documented[reason] = string(row[1])
		}
	}
	if len(documented) < 14 {
		t.Fatalf("found %v", documented)
	}
	for reason, want := range documented {
		if got := outcome(http.StatusNoContent, reason); got != want {
			t.Errorf("%s is documented as %s, and counted as %s", reason, want, got)
		}
	}
	for _, d := range []enrich.Decision{
		enrich.Echo, enrich.Unchanged, enrich.Inactive, enrich.Muted, enrich.Deleted, enrich.Older, enrich.NotAContainer, enrich.Written,
	} {
		if documented[string(d)] == "" {
			t.Errorf("the decision %s is not documented", d)
		}
	}
	for status, want := range map[int]string{401: outcomeRefused, 403: outcomeRefused, 405: outcomeRefused, 413: outcomeRefused, 422: outcomeNacked, 500: outcomeNacked, 503: outcomeNacked} {
		if got := outcome(status, "written"); got != want {
			t.Errorf("status %d is counted as %s, want %s", status, got, want)
		}
	}
}
