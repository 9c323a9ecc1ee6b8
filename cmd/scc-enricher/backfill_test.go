package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	securitycenter "cloud.google.com/go/securitycenter/apiv2"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// missed is an emulated Security Command Center with findings that no service
// was told of.
type missed struct {
	t     *testing.T
	emu   *emulator.Emulator
	api   string
	args  []string
	names []string
	// intercept, if set, runs before each call is served.
	intercept atomic.Pointer[func(emulator.Call) error]
}

func newMissed(t *testing.T, n int) *missed {
	t.Helper()
	m := &missed{t: t}
	var err error
	m.emu, err = emulator.New(emulator.Options{World: newWorld(t), Quotas: emulator.Quotas{SCCReads: -1, SCCWrites: -1, LoggingReads: -1, RunReads: -1}, Intercept: func(_ context.Context, c emulator.Call) error {
		if f := m.intercept.Load(); f != nil {
			return (*f)(c)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if m.api, err = m.emu.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	m.args = []string{"backfill", "--parent=organizations/882103374521", "--since=24h", "--rate=60000/min", "--logging-reads-per-minute=10000",
		"--scc-endpoint=" + m.api, "--logging-endpoint=" + m.api, "--run-endpoint=" + m.api}
	for i := range n {
		m.names = append(m.names, m.add(fmt.Sprintf("missed%d", i), time.Duration(n-i)*time.Hour/2))
	}
	return m
}

// add adds a finding whose event is so long ago.
func (m *missed) add(id string, ago time.Duration) string {
	m.t.Helper()
	f := newFinding(id)
	f.EventTime = timestamppb.New(time.Now().Add(-ago))
	if err := m.emu.AddFinding(f, nil, nil); err != nil {
		m.t.Fatal(err)
	}
	return f.GetCanonicalName()
}

// intercepts runs f before each call from now on.
func (m *missed) intercepts(f func(emulator.Call) error) { m.intercept.Store(&f) }

// marked counts the findings with marks of ours.
func (m *missed) marked() int {
	n := 0
	for _, name := range m.names {
		if len(own(m.emu.Marks(name))) > 0 {
			n++
		}
	}
	return n
}

// summary decodes the last line of the output.
func summary(t *testing.T, out string) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var s map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatalf("the last line is not JSON: %v:\n%s", err, out)
	}
	if s["message"] != "backfill" || s["severity"] == nil || s["timestamp"] == nil {
		t.Errorf("summary %v", s)
	}
	return s
}

// run runs backfill, which must find all well, and returns its summary.
func (m *missed) run(flags ...string) map[string]any {
	m.t.Helper()
	m.emu.ResetCalls()
	code, out, errs := command(m.t.Context(), "", append(m.args[:len(m.args):len(m.args)], flags...)...)
	if code != exitDone || errs != "" {
		m.t.Fatalf("exit code %d; %s\n%s", code, errs, out)
	}
	return summary(m.t, out)
}

// wantSummary checks some numbers of a summary; those not named are 0.
func wantSummary(t *testing.T, s map[string]any, want map[string]int) {
	t.Helper()
	got, all := map[string]int{}, map[string]int{}
	for _, key := range []string{"listed", "missing", "stale", "partial", "planned", "enriched", "failed", "skipped", "unfinished", "still_partial", "records_failed"} {
		all[key] = want[key]
		if n, ok := s[key].(float64); ok {
			got[key] = int(n)
		}
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	m := newMissed(t, 5)
	writes := func() int { return m.emu.Counts()["UpdateSecurityMarks"] }

	// A dry run says what would be done and why, and writes nothing.
	s := m.run("--dry-run", "--output=json")
	wantSummary(t, s, map[string]int{"listed": 5, "missing": 5, "planned": 5})
	if writes() != 0 || m.marked() != 0 || m.emu.Counts()["ListLogEntries"] != 0 {
		t.Errorf("a dry run made %v", m.emu.Counts())
	}

	s = m.run()
	wantSummary(t, s, map[string]int{"listed": 5, "missing": 5, "enriched": 5})
	if m.marked() != 5 || s["ok"] != true || s["severity"] != "INFO" {
		t.Errorf("%d marked, summary %v", m.marked(), s)
	}
	for _, name := range m.names {
		if got := m.emu.Marks(name); got["enrich_status"] != "complete" || got["enrich_verdict"] == "" {
			t.Errorf("%s: status %q, verdict %q", name, got["enrich_status"], got["enrich_verdict"])
		}
	}

	// A second run has nothing to do, and asks no source: it lists the findings,
	// and the incident that they are, once for each day (UTC) they lie on.
	days := map[string]bool{}
	for _, name := range m.names {
		days[m.emu.Marks(name)["enrich_event_time"][:len(time.DateOnly)]] = true
	}
	s = m.run()
	wantSummary(t, s, map[string]int{"listed": 5, "skipped": 5})
	if diff := cmp.Diff(map[string]int{"ListFindings": 1 + len(days)}, m.emu.Counts()); diff != "" {
		t.Errorf("calls of the second run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"complete": 5.0}, s["skipped_by"]); diff != "" {
		t.Errorf("skipped by (-want +got):\n%s", diff)
	}

	// An event that fired again, a mark that somebody changed, and a finding
	// that somebody muted.
	again := newFinding("missed1")
	again.EventTime = timestamppb.New(time.Now().Add(-time.Minute))
	if err := m.emu.AddFinding(again, nil, nil); err != nil {
		t.Fatal(err)
	}
	m.setMark(m.names[2], "enrich_verdict", "likely_benign")
	muted := newFinding("muted")
	muted.Mute = securitycenterpb.Finding_MUTED
	if err := m.emu.AddFinding(muted, nil, nil); err != nil {
		t.Fatal(err)
	}
	s = m.run()
	wantSummary(t, s, map[string]int{"listed": 6, "stale": 2, "enriched": 2, "skipped": 4})
	if got := m.emu.Marks(m.names[2])["enrich_verdict"]; got == "likely_benign" || writes() < 2 {
		t.Errorf("verdict %q after %d writes, want it put right", got, writes())
	}
}

// setMark changes one mark as a person would.
func (m *missed) setMark(name, key, value string) {
	m.t.Helper()
	c, err := securitycenter.NewClient(m.t.Context(), upstream.ClientOptions(m.api)...)
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.UpdateSecurityMarks(m.t.Context(), &securitycenterpb.UpdateSecurityMarksRequest{
		SecurityMarks: &securitycenterpb.SecurityMarks{Name: name + "/securityMarks", Marks: map[string]string{key: value}},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"marks." + key}},
	}); err != nil {
		m.t.Fatal(err)
	}
}

// TestBackfillCompletesPartial: what a source did not answer is asked again.
func TestBackfillCompletesPartial(t *testing.T) {
	t.Parallel()
	m := newMissed(t, 3)
	m.intercepts(func(c emulator.Call) error {
		if c.Name() == "ListLogEntries" {
			return status.Error(codes.PermissionDenied, "made up")
		}
		return nil
	})
	s := m.run()
	wantSummary(t, s, map[string]int{"listed": 3, "missing": 3, "enriched": 3, "still_partial": 3})

	// Still so: nothing new to write.
	s = m.run()
	wantSummary(t, s, map[string]int{"listed": 3, "partial": 3, "skipped": 3, "still_partial": 3})
	if n := m.emu.Counts()["UpdateSecurityMarks"]; n != 0 {
		t.Errorf("%d writes of what was there", n)
	}

	m.intercepts(func(emulator.Call) error { return nil })
	s = m.run()
	wantSummary(t, s, map[string]int{"listed": 3, "partial": 3, "enriched": 3})
	for _, name := range m.names {
		if got := m.emu.Marks(name)["enrich_status"]; got != "complete" {
			t.Errorf("status %q", got)
		}
	}
}

// TestBackfillFailures: findings that fail do not stop the rest, and are said.
func TestBackfillFailures(t *testing.T) {
	t.Parallel()
	m := newMissed(t, 4)
	m.intercepts(func(c emulator.Call) error {
		if req, ok := c.Request.(*securitycenterpb.UpdateSecurityMarksRequest); ok && strings.Contains(req.GetSecurityMarks().GetName(), "missed1") {
			return status.Error(codes.PermissionDenied, "not you, AKIA\x1b[31mred\nnext")
		}
		return nil
	})
	code, out, errs := command(t.Context(), "", m.args...)
	if code != exitFailed || !strings.Contains(errs, "1 of 4 findings failed (1 write_denied)") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, errs)
	}
	s := summary(t, out)
	wantSummary(t, s, map[string]int{"listed": 4, "missing": 4, "enriched": 3, "failed": 1})
	if s["ok"] != false || s["severity"] != "ERROR" || m.marked() != 3 {
		t.Errorf("%d marked, summary %v", m.marked(), s)
	}
	if strings.Count(out, "\n") != 2 || !strings.Contains(out, `"reason":"write_denied"`) || strings.Contains(out, "u001b") {
		t.Errorf("want one line for the failure and the summary:\n%s", out)
	}

	m.intercepts(func(c emulator.Call) error {
		if c.Name() == "ListFindings" {
			return status.Error(codes.PermissionDenied, "made up")
		}
		return nil
	})
	code, out, errs = command(t.Context(), "", m.args...)
	if code != exitFailed || !strings.Contains(errs, "permission denied") || summary(t, out)["ok"] != false {
		t.Errorf("listing denied: exit code %d, %q, %s", code, errs, out)
	}
}

// TestBackfillResumes: after an interruption the cursor says where to go on.
func TestBackfillResumes(t *testing.T) {
	t.Parallel()
	m := newMissed(t, 10)
	cursor := filepath.Join(t.TempDir(), "cursor.json")
	args := append(m.args[:len(m.args):len(m.args)], "--cursor="+cursor, "--concurrency=1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writes atomic.Int32
	m.intercepts(func(c emulator.Call) error {
		if c.Name() == "UpdateSecurityMarks" && writes.Add(1) == 4 {
			cancel()
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	})
	code, out, errs := command(ctx, "", args...)
	if code != exitFailed || !strings.Contains(errs, "interrupted; the same command goes on from "+cursor) {
		t.Errorf("exit code %d, %q", code, errs)
	}
	if s := summary(t, out); s["unfinished"] == 0.0 || s["failed"] != 0.0 {
		t.Errorf("summary %v", s)
	}
	if n := m.marked(); n < 4 || n > 6 {
		t.Errorf("%d marked at the interruption, want 4 or a little more: what is under way is finished", n)
	}
	saved, err := os.ReadFile(cursor)
	if err != nil {
		t.Fatal(err)
	}

	// A dry run from the same place changes nothing.
	code, out, errs = command(t.Context(), "", append(args, "--dry-run")...)
	if now, err := os.ReadFile(cursor); err != nil || !bytes.Equal(now, saved) || code != exitDone {
		t.Errorf("exit code %d, %q, %q, %v", code, errs, now, err)
	}
	if !strings.Contains(out, "would be enriched") {
		t.Errorf("no summary for people:\n%s", out)
	}

	code, out, errs = command(t.Context(), "", args...)
	if code != exitDone || !strings.Contains(errs, "going on from") || m.marked() != 10 {
		t.Fatalf("exit code %d, %q, %d marked", code, errs, m.marked())
	}
	if s := summary(t, out); s["resumed"] != true || s["listed"].(float64) > 7 {
		t.Errorf("it did not go on where it was: %v", s)
	}
	if n := writes.Load(); n != 10 {
		t.Errorf("%d writes for 10 findings", n)
	}
	if _, err := os.Stat(cursor); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cursor is left: %v", err)
	}

	// The cursor of another query is not gone on from, and any other file is
	// not touched.
	if err := os.WriteFile(cursor, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = command(t.Context(), "", append(args, "--since=48h")...)
	if code != exitDone || !strings.Contains(errs, "another query; beginning anew") {
		t.Errorf("exit code %d, %q", code, errs)
	}
	wantSummary(t, summary(t, out), map[string]int{"listed": 10, "skipped": 10})
	if err := os.WriteFile(cursor, []byte("my diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs = command(t.Context(), "", args...); code != exitUsage || !strings.Contains(errs, "not a cursor") {
		t.Errorf("exit code %d, %q", code, errs)
	}
	if diary, err := os.ReadFile(cursor); err != nil || string(diary) != "my diary" {
		t.Errorf("%q, %v", diary, err)
	}
}

func TestBackfillDryRunTable(t *testing.T) {
	t.Parallel()
	m := newMissed(t, 2)
	code, out, errs := command(t.Context(), "", append(m.args, "--dry-run")...)
	if code != exitDone || errs != "" {
		t.Fatalf("exit code %d, %q", code, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want a heading, two findings and the summary:\n%s", len(lines), out)
	}
	for i, name := range m.names {
		for _, want := range []string{"missing", "Unexpected Child Shell", "run/" + testProject + "/europe-west1/service/storefront", name, "no marks of ours"} {
			if !strings.Contains(lines[i+1], want) {
				t.Errorf("no %q in %q", want, lines[i+1])
			}
		}
	}
	if want := ": 2 missing, 0 stale, 0 partial; 2 would be enriched, 0 skipped; "; !strings.HasPrefix(lines[3], "2 findings since ") || !strings.Contains(lines[3], want) {
		t.Errorf("summary %q", lines[3])
	}
}

func TestBackfillUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"no since", []string{"--parent=projects/p"}, []string{"--since"}},
		{"all faults at once", []string{"--since=yesterday", "--rate=fast", "--concurrency=0", "--location=EU/x"},
			[]string{"--parent: required", "--since: \"yesterday\"", "--rate: \"fast\"", "--concurrency: 0", "--location: \"EU/x\""}},
		{"bad parent", []string{"--since=1d", "--parent=somewhere"}, []string{`SCC_PARENT: "somewhere"`}},
		{"since in the future", []string{"--since=2999-01-01T00:00:00Z", "--parent=projects/p"}, []string{"lies in the future"}},
		{"no rate", []string{"--since=1h", "--parent=projects/p", "--rate=0/min"}, []string{"--rate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := command(t.Context(), "", append([]string{"backfill"}, c.args...)...)
			if code != exitUsage {
				t.Errorf("exit code %d, %q", code, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("not %q in %q", want, errs)
				}
			}
		})
	}
}

func TestParseSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "90m": now.Add(-90 * time.Minute), "7d": now.AddDate(0, 0, -7),
		"2026-03-01T00:00:00+01:00": time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("parseSince(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0h", "-1h", "d", "-7d", "0d", "1.5d", "2026-03-01"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("parseSince(%q) = %v", text, got)
		}
	}
}

// TestMeter: a bar on a terminal, now and then a plain line elsewhere.
func TestMeter(t *testing.T) {
	t.Parallel()
	s := backfill.Summary{Listed: 32, Total: 120, Enriched: 18, Failed: 2, Skipped: 10, Took: 20 * time.Second}
	start := time.Now()
	for _, c := range []struct {
		name string
		bar  bool
		want string
	}{
		{"terminal", true, "\r\x1b[K[=====               ] 30 of 120 findings, 18 enriched, 2 failed, 60/min, 1m0s left"},
		{"pipe", false, "backfill: 30 of 120 findings, 18 enriched, 2 failed, 60/min, 1m0s left\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			m := &meter{w: &b, bar: c.bar, every: time.Second}
			m.show(s, start)
			m.show(s, start.Add(time.Second-1))
			if diff := cmp.Diff(c.want, b.String()); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
			b.Reset()
			m.show(backfill.Summary{}, start.Add(time.Hour))
			if !strings.Contains(b.String(), "0 of 0 findings") {
				t.Errorf("nothing yet: %q", b.String())
			}
		})
	}
}

// TestBackfillOnATerminal: failures stand beside the bar, without terminal
// codes of whoever caused them, and the summary is a sentence.
func TestBackfillOnATerminal(t *testing.T) {
	t.Parallel()
	red, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	v := &backfillView{
		cmd: &backfillCmd{Output: "text", since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}, red: red,
		out: &out, meter: &meter{w: &errs, bar: true, every: time.Hour, shown: time.Now()},
	}
	v.observe(backfill.Item{Finding: "projects/1/sources/2/findings/3", Outcome: backfill.Failed, Reason: "gone", Err: errors.New("not\nfound \x1b[31mred")}, backfill.Summary{})
	v.observe(backfill.Item{Finding: "projects/1/sources/2/findings/4", Outcome: backfill.Enriched, RecordErr: errors.New("no topic")}, backfill.Summary{})
	if diff := cmp.Diff("\r\x1b[Kfailed  projects/1/sources/2/findings/3: not; found red\n"+
		"\r\x1b[Krecord not published  projects/1/sources/2/findings/4: no topic\n", errs.String()); diff != "" {
		t.Errorf("standard error (-want +got):\n%s", diff)
	}
	s := backfill.Summary{
		Listed: 12, Missing: 3, Stale: 1, Partial: 1, Enriched: 3, Failed: 1, Skipped: 8, StillPartial: 1, RecordsFailed: 1, Took: 1234 * time.Millisecond,
		SkippedBy: map[string]int{"muted": 1, "complete": 6, "inactive": 1},
	}
	if err := v.finish(s, false, nil); err != nil {
		t.Fatal(err)
	}
	want := "12 findings since 2026-03-01T00:00:00Z: 3 missing, 1 stale, 1 partial; 3 enriched, 1 failed, 8 skipped (6 complete, 1 inactive, 1 muted), 1 still partial, 1 records not published; 1.2s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}
