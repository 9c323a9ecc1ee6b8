package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/backfill"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/scc"
)

// perMinute is a rate, "60/min" or "60". It keeps its fault, as duration does.
type perMinute struct {
	n     int
	fault error
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *perMinute) UnmarshalText(text []byte) error { //nolint:unparam // encoding.TextUnmarshaler; the fault is reported by check
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), "/min"))
	if err != nil || n < 1 || n > 60_000 {
		p.fault = fmt.Errorf("%q is no rate: write it like 60/min, from 1/min to 60000/min", text)
	}
	p.n = n
	return nil
}

// backfillCmd enriches what the service missed.
type backfillCmd struct {
	upstreams

	Since       string    `required:"" env:"BACKFILL_SINCE" placeholder:"24h" help:"Earliest event time: an age like 24h or 7d, or a time like 2026-03-01T00:00:00Z."`
	Parent      string    `placeholder:"organizations/N" help:"Whose findings are listed: organizations/N, folders/N or projects/P. Default: SCC_PARENT."`
	Location    string    `env:"BACKFILL_LOCATION" default:"global" help:"Location of Security Command Center."`
	Rate        perMinute `env:"BACKFILL_RATE" default:"60/min" help:"How many findings are enriched in a minute; those that are skipped do not count."`
	Concurrency count     `env:"BACKFILL_CONCURRENCY" default:"4" help:"How many findings are enriched at once."`
	Cursor      string    `env:"BACKFILL_CURSOR" placeholder:"FILE" help:"Note there how far the run has come, and go on from there after an interruption."`
	DryRun      bool      `env:"BACKFILL_DRY_RUN" help:"Show what would be enriched and why; write nothing."`
	Output      string    `short:"o" env:"BACKFILL_OUTPUT" enum:"text,json" default:"text" help:"text, or json: one line for each finding, then the summary."`

	since time.Time
}

// Help is shown by backfill --help.
func (b *backfillCmd) Help() string {
	return `Lists the active Cloud Run findings since a time and enriches those whose marks are missing,
stale (of another event or an older schema, or changed since) or partial. Others are skipped, so
that it may run beside the service and be repeated. Ends with one summary line, which in a pipe is
a JSON log line; exits 1 if any finding failed.

Examples:
  scc-enricher backfill --parent organizations/123456789012 --since 24h --dry-run
  scc-enricher backfill --parent projects/my-project --since 30d --cursor backfill.json --rate 30/min`
}

// check returns every fault of the configuration at once.
func (b *backfillCmd) check(now time.Time) error {
	if b.Parent != "" {
		b.SCCParent = b.Parent
	}
	var f faults
	b.upstreams.check(&f)
	f.must(b.SCCParent != "", "--parent", "required, or SCC_PARENT: whose findings are listed")
	f.must(locationForm(b.Location), "--location", "%q is no location of Security Command Center", b.Location)
	f.add("--rate", b.Rate.fault)
	f.add("--concurrency", b.Concurrency.fault)
	if b.Concurrency.fault == nil {
		f.must(b.Concurrency.n >= 1 && b.Concurrency.n <= 100, "--concurrency", "%d is not between 1 and 100", b.Concurrency.n)
	}
	var err error
	b.since, err = parseSince(b.Since, now)
	f.add("--since", err)
	return f.err()
}

// locationForm is the form of a location's id, "global" or "eu".
func locationForm(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// parseSince reads a time, or an age in hours or days.
func parseSince(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if at.After(now) {
			return time.Time{}, fmt.Errorf("%q lies in the future", text)
		}
		return at, nil
	}
	age, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(min(n, 100_000)) * 24 * time.Hour
	}
	if err != nil || age <= 0 {
		return time.Time{}, fmt.Errorf("%q is neither an age like 24h or 7d nor a time like 2026-03-01T00:00:00Z", text)
	}
	return now.Add(-age), nil
}

// Run goes through the findings.
func (b *backfillCmd) Run(ctx context.Context, std streams) error {
	if err := b.check(time.Now()); err != nil {
		return err
	}
	cursor, resumed, err := b.cursor(std)
	if err != nil {
		return err
	}
	c, err := connect(ctx, &b.upstreams, "", nil)
	if err != nil {
		return fmt.Errorf("%w\n  without credentials, run: gcloud auth application-default login", err)
	}
	defer func() { _ = c.close() }()
	view, err := newBackfillView(std, b, c.pipeline.Redactor)
	if err != nil {
		return err
	}
	job := &backfill.Job{
		List: func(ctx context.Context, since time.Time, token string) (backfill.Page, error) {
			page, err := c.findings.ListPage(ctx, scc.ListQuery{Parent: b.SCCParent, Location: b.Location, Since: since}, token)
			return backfill.Page(page), err
		},
		MarkPrefix: b.MarkPrefix, Since: b.since, PerMinute: b.Rate.n, Concurrency: b.Concurrency.n,
		DryRun: b.DryRun, Cursor: cursor, Observe: view.observe,
	}
	if !b.DryRun {
		job.Refresh, job.Settle = c.pipeline.Refresh, c.pipeline.SettleAround
	}
	summary, err := job.Run(ctx)
	if err != nil {
		err = errors.New(view.clean(err))
	}
	err = b.outcome(ctx, summary, err)
	return errors.Join(err, view.finish(summary, resumed, err))
}

// cursor loads the cursor, and moves the start to where it says. A folder that
// cannot be written to shows now, and not after an hour.
func (b *backfillCmd) cursor(std streams) (cursor *backfill.Cursor, resumed bool, err error) {
	if b.Cursor == "" {
		return nil, false, nil
	}
	cursor = &backfill.Cursor{Path: b.Cursor, Query: backfill.Fingerprint(b.SCCParent, b.Location, b.Since, b.MarkPrefix, marks.Schema)}
	at, err := cursor.Load()
	switch {
	case errors.Is(err, backfill.ErrNoCursor):
		return nil, false, usageError{fmt.Errorf("--cursor: %w; remove it or name another file", err)}
	case errors.Is(err, backfill.ErrOtherQuery):
		_, _ = fmt.Fprintf(std.err, "backfill: %v; beginning anew\n", err)
	case err != nil:
		return nil, false, fmt.Errorf("--cursor: %w", err)
	case !at.IsZero():
		b.since, resumed = at, true
		_, _ = fmt.Fprintf(std.err, "backfill: going on from %s, as %s says\n", at.Format(time.RFC3339), b.Cursor)
	}
	if b.DryRun {
		return cursor, resumed, nil
	}
	if err := cursor.Save(b.since); err != nil {
		return nil, false, fmt.Errorf("--cursor: %w", err)
	}
	return cursor, resumed, nil
}

// outcome is the error that the program ends with.
func (b *backfillCmd) outcome(ctx context.Context, s backfill.Summary, err error) error {
	var failed error
	switch {
	case s.Failed > 0: // which is why incidents could not be settled, if any
		failed = fmt.Errorf("%d of %d findings failed (%s)", s.Failed, s.Listed, counts(s.FailedBy))
	case s.SettleFailed > 0:
		failed = fmt.Errorf("the incidents of %d of %d containers could not be settled", s.SettleFailed, s.Settled)
	}
	switch {
	case err == nil:
		return failed
	case ctx.Err() != nil && b.Cursor != "" && !b.DryRun:
		err = fmt.Errorf("interrupted; the same command goes on from %s", b.Cursor)
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	return errors.Join(err, failed)
}
