package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

// backfillView shows a backfill: progress on standard error, findings and the
// summary on standard output.
type backfillView struct {
	cmd   *backfillCmd
	red   *redact.Redactor
	out   io.Writer
	log   *zap.Logger // of standard output
	lines bool        // the summary is a log line
	meter *meter
	rows  int
	err   error
}

func newBackfillView(std streams, b *backfillCmd, red *redact.Redactor) (*backfillView, error) {
	log, err := telemetry.NewLogger(std.out, "info")
	if err != nil {
		return nil, err
	}
	people := b.Output == "text" && (b.DryRun || isTerminal(std.out))
	return &backfillView{cmd: b, red: red, out: std.out, log: log, lines: !people, meter: newMeter(std.err)}, nil
}

// observe shows one finding: those a dry run plans, those that failed, and
// with --output json all of them.
func (v *backfillView) observe(i backfill.Item, s backfill.Summary) {
	switch {
	case v.cmd.Output == "json", v.lines && i.Outcome == backfill.Failed, v.lines && i.RecordErr != nil:
		v.meter.clear()
		level := zap.InfoLevel
		if i.Outcome == backfill.Failed || i.RecordErr != nil {
			level = zap.WarnLevel
		}
		v.log.Log(level, "backfill finding", v.itemFields(i)...)
	case i.Outcome == backfill.Planned:
		v.row(i)
	case i.Outcome == backfill.Failed:
		v.meter.note(fmt.Sprintf("failed  %s: %s", i.Finding, v.clean(i.Err)))
	case i.RecordErr != nil:
		v.meter.note(fmt.Sprintf("record not published  %s: %s", i.Finding, v.clean(i.RecordErr)))
	}
	v.meter.show(s, time.Now())
}

// row prints a line of the table of a dry run.
func (v *backfillView) row(i backfill.Item) {
	const form = "%-20s  %-7s  %-32s  %-52s  %-40s  %s\n"
	v.meter.clear()
	if v.rows == 0 {
		v.print(form, "EVENT TIME", "NEED", "CATEGORY", "WORKLOAD", "WHY", "FINDING")
	}
	v.rows++
	v.print(form, i.EventTime.UTC().Format(time.RFC3339), i.Need, redact.Clean(i.Category, 32), redact.Clean(i.Workload, 200), i.Why, i.Finding)
}

func (v *backfillView) print(format string, args ...any) {
	if v.err == nil {
		_, v.err = fmt.Fprintf(v.out, format, args...)
	}
}

// finish prints the summary; cause is what the program ends with.
func (v *backfillView) finish(s backfill.Summary, resumed bool, cause error) error {
	v.meter.clear()
	if v.lines {
		level := zap.InfoLevel
		if cause != nil {
			level = zap.ErrorLevel
		}
		v.log.Log(level, "backfill", v.summaryFields(s, resumed, cause)...)
		return nil
	}
	did := fmt.Sprintf("%d enriched, %d failed", s.Enriched, s.Failed)
	if v.cmd.DryRun {
		did = fmt.Sprintf("%d would be enriched", s.Planned)
	}
	text := fmt.Sprintf("%d findings since %s: %d missing, %d stale, %d partial; %s, %d skipped",
		s.Listed, v.cmd.since.UTC().Format(time.RFC3339), s.Missing, s.Stale, s.Partial, did, s.Skipped)
	if s.Skipped > 0 {
		text += " (" + counts(s.SkippedBy) + ")"
	}
	for _, more := range []struct {
		n    int
		what string
	}{{s.StillPartial, "still partial"}, {s.Unfinished, "unfinished"}, {s.RecordsFailed, "records not published"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	v.print("%s; %s\n", text, s.Took.Round(100*time.Millisecond))
	return v.err
}

// itemFields are the fields of a finding's log line.
func (v *backfillView) itemFields(i backfill.Item) []zapcore.Field {
	fields := []zapcore.Field{
		zap.String("finding", i.Finding), zap.String("category", redact.Clean(i.Category, 200)), zap.String("workload", redact.Clean(i.Workload, 200)),
		zap.Time("event_time", i.EventTime), zap.String("outcome", string(i.Outcome)),
	}
	if i.Need != backfill.None {
		fields = append(fields, zap.String("need", string(i.Need)), zap.String("why", i.Why))
	}
	if i.Reason != "" {
		fields = append(fields, zap.String("reason", i.Reason))
	}
	if i.Err != nil {
		fields = append(fields, zap.String("error", v.clean(i.Err)))
	}
	if i.RecordErr != nil {
		fields = append(fields, zap.String("record_error", v.clean(i.RecordErr)))
	}
	return fields
}

// summaryFields are the fields of the log line that alerts are made from.
func (v *backfillView) summaryFields(s backfill.Summary, resumed bool, cause error) []zapcore.Field {
	fields := []zapcore.Field{
		zap.Int("listed", s.Listed), zap.Int("missing", s.Missing), zap.Int("stale", s.Stale), zap.Int("partial", s.Partial),
		zap.Int("planned", s.Planned), zap.Int("enriched", s.Enriched), zap.Int("failed", s.Failed), zap.Int("skipped", s.Skipped), zap.Int("unfinished", s.Unfinished),
		zap.Int("still_partial", s.StillPartial), zap.Int("records_failed", s.RecordsFailed),
		zap.Int("settled", s.Settled), zap.Int("settle_failed", s.SettleFailed),
		zap.Any("skipped_by", s.SkippedBy), zap.Any("failed_by", s.FailedBy),
		zap.String("parent", v.cmd.SCCParent), zap.Time("since", v.cmd.since.UTC()), zap.Bool("resumed", resumed), zap.Bool("dry_run", v.cmd.DryRun),
		zap.Duration("took", s.Took), zap.Bool("ok", cause == nil),
	}
	if cause != nil {
		fields = append(fields, zap.String("error", v.clean(cause)))
	}
	return fields
}

// clean is an error as one line of harmless text: an upstream may quote what it
// was sent.
func (v *backfillView) clean(err error) string {
	return v.red.Line(strings.ReplaceAll(err.Error(), "\n", "; "), maxError)
}

// counts are numbers by reason, the largest first.
func counts(by map[string]int) string {
	reasons := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if by[a] != by[b] {
			return by[b] - by[a]
		}
		return strings.Compare(a, b)
	})
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%d %s", by[reason], reason)
	}
	return strings.Join(reasons, ", ")
}

// meter shows how far a run has come: a bar on a terminal, else a plain line
// every half minute.
type meter struct {
	w     io.Writer
	bar   bool
	every time.Duration
	shown time.Time
}

func newMeter(w io.Writer) *meter {
	if isTerminal(w) && os.Getenv("TERM") != "dumb" {
		return &meter{w: w, bar: true, every: 100 * time.Millisecond}
	}
	return &meter{w: w, every: 30 * time.Second, shown: time.Now()}
}

// clear takes the bar away, so that a line can be printed.
func (m *meter) clear() {
	if m.bar {
		_, _ = fmt.Fprint(m.w, "\r\x1b[K")
	}
}

// note prints a line beside the bar.
func (m *meter) note(text string) {
	m.clear()
	_, _ = fmt.Fprintln(m.w, text)
}

// settled is how long a run must take before its rate says anything.
const settled = 2 * time.Second

// show tells the state, if it has not just been told.
func (m *meter) show(s backfill.Summary, now time.Time) {
	if now.Sub(m.shown) < m.every {
		return
	}
	m.shown = now
	done := s.Enriched + s.Skipped + s.Failed + s.Planned
	total := max(s.Total, s.Listed)
	text := fmt.Sprintf("%d of %d findings, %d enriched, %d failed", done, total, s.Enriched, s.Failed)
	if done > 0 && s.Took >= settled {
		left := time.Duration(float64(s.Took) / float64(done) * float64(total-done))
		text += fmt.Sprintf(", %.0f/min, %s left", float64(s.Enriched+s.Failed)/s.Took.Minutes(), left.Round(time.Second))
	}
	if !m.bar {
		_, _ = fmt.Fprintln(m.w, "backfill: "+text)
		return
	}
	const cells = 20
	full := 0
	if total > 0 {
		full = cells * done / total
	}
	_, _ = fmt.Fprintf(m.w, "\r\x1b[K[%s%s] %s", strings.Repeat("=", full), strings.Repeat(" ", cells-full), text)
}

// isTerminal reports whether a person sees what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
