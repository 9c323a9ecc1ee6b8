package backfill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// world lists findings in pages and enriches them: what is enriched has
// complete marks when it is listed again.
type world struct {
	mu       sync.Mutex
	findings []*finding.Finding
	size     int // of a page
	endless  bool
	// onList and onRefresh, if set, run before the answer; an error is the answer.
	onList    func(call int, token string) error
	onRefresh func(ctx context.Context, f *finding.Finding) (*enrich.Result, error)

	lists    int
	begun    []time.Time
	done     []string
	now, max int // under way
}

// newWorld holds n findings without marks, one a second from the event on.
func newWorld(n int) *world {
	w := &world{size: 2}
	for i := range n {
		f := seed()
		f.CanonicalName = fmt.Sprintf("projects/123456789012/sources/42/locations/global/findings/f%02d", i)
		f.EventTime = event.Add(time.Duration(i) * time.Second)
		w.findings = append(w.findings, f)
	}
	return w
}

func (w *world) list(_ context.Context, since time.Time, token string) (backfill.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists++
	if w.onList != nil {
		if err := w.onList(w.lists, token); err != nil {
			return backfill.Page{}, err
		}
	}
	if w.endless {
		return backfill.Page{Next: strconv.Itoa(w.lists)}, nil
	}
	var match []finding.Finding
	for _, f := range w.findings {
		if !f.EventTime.Before(since) {
			match = append(match, *f)
		}
	}
	from, _ := strconv.Atoi(token)
	to := min(from+w.size, len(match))
	p := backfill.Page{Findings: match[from:to], Total: len(match)}
	if to < len(match) {
		p.Next = strconv.Itoa(to)
	}
	return p, nil
}

func (w *world) refresh(ctx context.Context, f *finding.Finding) (*enrich.Result, error) {
	w.mu.Lock()
	w.begun = append(w.begun, time.Now())
	w.now++
	w.max = max(w.max, w.now)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.now--
		w.mu.Unlock()
	}()
	if w.onRefresh != nil {
		if res, err := w.onRefresh(ctx, f); res != nil || err != nil {
			return res, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, short(f.CanonicalName))
	for _, g := range w.findings {
		if g.CanonicalName == f.CanonicalName {
			g.Mute = "MUTED" // stands for complete marks
		}
	}
	return &enrich.Result{Decision: enrich.Written, Record: &record.Record{Status: "complete"}}, nil
}

func short(name string) string { return filepath.Base(name) }

func (w *world) job() *backfill.Job {
	return &backfill.Job{List: w.list, Refresh: w.refresh, MarkPrefix: prefix, Since: event, PerMinute: 60, Concurrency: 4}
}

// sleepPastEvents brings a bubble's clock, which begins in the year 2000, past the findings.
func sleepPastEvents() { time.Sleep(time.Until(event.Add(time.Hour))) }

// ignoring leaves out of a summary what a test does not care about.
var ignoring = cmp.Options{cmpopts.IgnoreFields(backfill.Summary{}, "Took"), cmpopts.EquateEmpty()}

func balance(t *testing.T, s backfill.Summary) {
	t.Helper()
	if sum := s.Enriched + s.Skipped + s.Failed + s.Unfinished + s.Planned; sum != s.Listed {
		t.Errorf("%d listed, %d accounted for: %+v", s.Listed, sum, s)
	}
}

// TestRate: findings begin evenly spread, skipped ones cost nothing.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		for _, i := range []int{1, 2, 7} {
			w.findings[i].Mute = "MUTED"
		}
		began := time.Now()
		got, err := w.job().Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := backfill.Summary{Listed: 9, Missing: 6, Enriched: 6, Skipped: 3, SkippedBy: map[string]int{"muted": 3}, Total: 9}
		if diff := cmp.Diff(want, got, ignoring); diff != "" {
			t.Errorf("summary (-want +got):\n%s", diff)
		}
		for i, at := range w.begun {
			if want := began.Add(time.Duration(i) * time.Second); at.Sub(want).Abs() > time.Millisecond {
				t.Errorf("finding %d began after %s, want %s", i, at.Sub(began), want.Sub(began))
			}
		}
		if got.Took.Round(time.Second) != 5*time.Second {
			t.Errorf("took %s, want 5s", got.Took)
		}
	})
}

// TestConcurrency: slow findings run beside each other, within the bound.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(20)
		w.onRefresh = func(context.Context, *finding.Finding) (*enrich.Result, error) {
			time.Sleep(10 * time.Second)
			return nil, nil
		}
		j := w.job()
		j.PerMinute = 0
		got, err := j.Run(t.Context())
		if err != nil || got.Enriched != 20 {
			t.Fatalf("%+v, %v", got, err)
		}
		if w.max != 4 || got.Took.Round(time.Second) != 50*time.Second {
			t.Errorf("%d at once in %s, want 4 in 50s", w.max, got.Took)
		}
	})
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(5)
	w.findings[2].Marks = with(written("complete", nil), "enrich_schema", "0")
	w.findings[3].Marks, w.findings[3].EventTime = written("partial", map[string]string{"logs": "quota"}), event
	cursor := &backfill.Cursor{Path: filepath.Join(t.TempDir(), "cursor")}
	if err := cursor.Save(event); err != nil {
		t.Fatal(err)
	}
	var needs []backfill.Need
	j := w.job()
	j.Refresh, j.DryRun, j.Cursor = nil, true, cursor
	j.Observe = func(i backfill.Item, _ backfill.Summary) {
		if i.Outcome != backfill.Planned || i.Workload == "" || i.Category == "" || i.Why == "" {
			t.Errorf("item %+v", i)
		}
		needs = append(needs, i.Need)
	}
	got, err := j.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := backfill.Summary{Listed: 5, Missing: 3, Stale: 1, Partial: 1, Planned: 5, Total: 5}
	if diff := cmp.Diff(want, got, ignoring); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]backfill.Need{"missing", "missing", "stale", "partial", "missing"}, needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	if at, err := cursor.Load(); err != nil || !at.Equal(event) {
		t.Errorf("a dry run touched the cursor: %v, %v", at, err)
	}
}

// TestFailuresDoNotStop: the rest is enriched, and the counts balance.
func TestFailuresDoNotStop(t *testing.T) {
	t.Parallel()
	w := newWorld(6)
	results := map[string]*enrich.Result{
		"f00": {Decision: enrich.Written, Record: &record.Record{Status: "partial"}, RecordErr: errors.New("topic gone")},
		"f01": {Decision: enrich.Unchanged, Record: &record.Record{Status: "partial"}},
		"f05": {Decision: enrich.Older},
	}
	errs := map[string]error{
		"f02": &enrich.Failure{Reason: "gone", Permanent: true, Err: errors.New("x")},
		"f03": errors.New("unheard of"),
	}
	w.onRefresh = func(_ context.Context, f *finding.Finding) (*enrich.Result, error) {
		return results[short(f.CanonicalName)], errs[short(f.CanonicalName)]
	}
	j := w.job()
	j.PerMinute = 0
	got, err := j.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := backfill.Summary{
		Listed: 6, Missing: 6, Enriched: 2, Skipped: 2, Failed: 2, StillPartial: 2, RecordsFailed: 1, Total: 6,
		SkippedBy: map[string]int{"unchanged": 1, "older": 1}, FailedBy: map[string]int{"gone": 1, "failed": 1},
	}
	if diff := cmp.Diff(want, got, ignoring); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	balance(t, got)
}

// TestListing: pages that are refused, empty, cut or endless.
func TestListing(t *testing.T) {
	t.Parallel()
	over := func(after time.Duration) error {
		return fmt.Errorf("x: %w", &evidence.QuotaError{Upstream: "scc_reads", Scope: "minute", Until: time.Now().Add(after)})
	}
	tests := []struct {
		name   string
		change func(*world)
		listed int
		took   time.Duration
		fails  bool
	}{
		{"over quota, then not", func(w *world) {
			w.onList = func(call int, _ string) error {
				if call == 2 {
					return over(40 * time.Second)
				}
				return nil
			}
		}, 6, 40 * time.Second, false},
		{"over quota for ever", func(w *world) {
			w.onList = func(int, string) error { return over(time.Hour) }
		}, 0, 20 * time.Minute, true},
		{"denied", func(w *world) { w.onList = func(int, string) error { return evidence.ErrDenied } }, 0, 0, true},
		{"a token expires", func(w *world) {
			w.onList = func(call int, token string) error {
				if call == 2 && token != "" {
					return errors.New("invalid page token")
				}
				return nil
			}
		}, 6, 0, false},
		{"every token is refused", func(w *world) {
			w.onList = func(_ int, token string) error {
				if token != "" {
					return errors.New("invalid page token")
				}
				return nil
			}
		}, 6, 0, false},
		{"tokens are refused among findings of one time", func(w *world) {
			for _, f := range w.findings {
				f.EventTime = event
			}
			w.onList = func(_ int, token string) error {
				if token != "" {
					return errors.New("invalid page token")
				}
				return nil
			}
		}, 2, 0, true},
		{"the same token again", func(w *world) { w.size = 0 }, 0, 0, true},
		{"empty pages for ever", func(w *world) { w.endless = true }, 0, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(6)
				tt.change(w)
				j := w.job()
				j.PerMinute = 0
				got, err := j.Run(t.Context())
				if (err != nil) != tt.fails {
					t.Errorf("error %v", err)
				}
				if got.Listed != tt.listed || got.Enriched != tt.listed || len(w.done) != tt.listed {
					t.Errorf("%+v, %d enriched; want %d, each once", got, len(w.done), tt.listed)
				}
				if got.Took.Round(time.Second) != tt.took {
					t.Errorf("took %s, want %s", got.Took, tt.took)
				}
			})
		})
	}
}

// TestWriteQuotaPauses: while writes are refused no further finding is begun.
func TestWriteQuotaPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4)
		first := true
		w.onRefresh = func(context.Context, *finding.Finding) (*enrich.Result, error) {
			if !first {
				return nil, nil
			}
			first = false
			return nil, &enrich.Failure{Reason: "write_quota", Err: &evidence.QuotaError{Until: time.Now().Add(30 * time.Second)}}
		}
		j := w.job()
		j.Concurrency = 1
		got, err := j.Run(t.Context())
		if err != nil || got.Failed != 1 || got.Enriched != 3 || got.FailedBy["write_quota"] != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		// The second finding passed the pause before the first one failed.
		if gap := w.begun[2].Sub(w.begun[0]); gap < 30*time.Second {
			t.Errorf("the third finding began %s after the refusal", gap)
		}
	})
}

// TestInterrupted: the cursor is saved before what is not done, and another run
// with it does the rest, each finding once.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprintf("slow=%v", slow), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "cursor")
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(10)
				if slow {
					w.onRefresh = func(ctx context.Context, _ *finding.Finding) (*enrich.Result, error) {
						select {
						case <-ctx.Done():
							return nil, ctx.Err()
						case <-time.After(time.Minute):
							return nil, nil
						}
					}
				}
				sleepPastEvents()
				cursor := &backfill.Cursor{Path: path, Query: "q"}
				j := w.job()
				j.Cursor = cursor
				ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
				defer cancel()
				got, err := j.Run(ctx)
				if !errors.Is(err, context.DeadlineExceeded) || got.Unfinished == 0 {
					t.Fatalf("%+v, %v", got, err)
				}
				balance(t, got)
				at, err := cursor.Load()
				want := event.Add(4 * time.Second)
				if slow {
					want = event
					if got.Took > 12*time.Second {
						t.Errorf("ended %s after the interruption", got.Took)
					}
				}
				if err != nil || !at.Equal(want) {
					t.Fatalf("cursor at %v, %v; want %v", at, err, want)
				}
				w.onRefresh = nil
				j.Since = at
				if got, err = j.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				balance(t, got)
				slices.Sort(w.done)
				if diff := cmp.Diff([]string{"f00", "f01", "f02", "f03", "f04", "f05", "f06", "f07", "f08", "f09"}, w.done); diff != "" {
					t.Errorf("enriched (-want +got):\n%s", diff)
				}
				if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the cursor of a finished run is left: %v", err)
				}
			})
		})
	}
}

// TestCursorWaitsForFailures: an interrupted run is gone on with before the
// first finding that may succeed later, not before one that never can.
func TestCursorWaitsForFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		permanent bool
		want      time.Duration
	}{{"may heal", false, time.Second}, {"never", true, 5 * time.Second}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "cursor")
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(9)
				w.onRefresh = func(_ context.Context, f *finding.Finding) (*enrich.Result, error) {
					if short(f.CanonicalName) == "f01" {
						return nil, &enrich.Failure{Reason: "x", Permanent: tt.permanent, Err: errors.New("x")}
					}
					return nil, nil
				}
				sleepPastEvents()
				j := w.job()
				j.Cursor = &backfill.Cursor{Path: path}
				// The fourth page is refused, and so is the listing begun again.
				w.onList = func(call int, _ string) error {
					if call >= 4 {
						return evidence.ErrDenied
					}
					return nil
				}
				if _, err := j.Run(t.Context()); !errors.Is(err, evidence.ErrDenied) {
					t.Fatal(err)
				}
				if at, err := j.Cursor.Load(); err != nil || !at.Equal(event.Add(tt.want)) {
					t.Errorf("cursor at %v, %v; want %s after the start", at, err, tt.want)
				}
			})
		})
	}
}

// TestFutureEvents: an event time in the future does not carry the cursor past
// findings that are still to arrive.
func TestFutureEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(3)
	w.findings[2].EventTime = time.Now().Add(time.Hour)
	w.onList = func(call int, _ string) error {
		if call > 1 { // the page with the third of three
			return evidence.ErrDenied
		}
		return nil
	}
	w.findings[1], w.findings[2] = w.findings[2], w.findings[1]
	j := w.job()
	j.PerMinute, j.Cursor = 0, &backfill.Cursor{Path: filepath.Join(t.TempDir(), "cursor")}
	if _, err := j.Run(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if at, err := j.Cursor.Load(); err != nil || at.After(time.Now()) {
		t.Errorf("cursor at %v, %v", at, err)
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &backfill.Cursor{Path: filepath.Join(dir, "cursor.json"), Query: backfill.Fingerprint("a", "b")}
	if at, err := c.Load(); err != nil || !at.IsZero() {
		t.Errorf("no file: %v, %v", at, err)
	}
	for _, at := range []time.Time{event, event.Add(time.Nanosecond)} {
		if err := c.Save(at); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Load(); err != nil || !got.Equal(at) {
			t.Errorf("loaded %v, %v; want %v", got, err, at)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files %v, %v; want the cursor alone", entries, err)
	}
	other := &backfill.Cursor{Path: c.Path, Query: backfill.Fingerprint("ab")}
	if _, err := other.Load(); !errors.Is(err, backfill.ErrOtherQuery) {
		t.Errorf("another query: %v", err)
	}
	for _, text := range []string{"", "{}", "root:x:0:0", `{"kind":"scc-enricher backfill cursor 1"}`} {
		if err := os.WriteFile(c.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Load(); !errors.Is(err, backfill.ErrNoCursor) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := c.Remove(); err != nil {
		t.Error(err)
	}
	if err := c.Remove(); err != nil {
		t.Errorf("removed again: %v", err)
	}
	if err := (&backfill.Cursor{Path: filepath.Join(dir, "none", "c")}).Save(event); err == nil {
		t.Error("saved in a folder that is not there")
	}
}
