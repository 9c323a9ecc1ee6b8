// Package backfill finds the findings that the service missed, and enriches
// them through the service's own pipeline.
//
// A Job goes through all active Cloud Run findings since a time, in the order
// of their event times, and decides from the marks on each whether they are
// missing, stale or partial. What is wanting is enriched, at a bounded rate and
// a bounded number at once; pages are read as they are needed, so that memory
// does not grow with the number of findings. A finding that fails does not keep
// the others from being enriched. The counts balance: every finding listed was
// enriched, skipped, failed or left unfinished.
//
// It is safe to run beside the service and to repeat: a finding whose marks say
// all there is to say is skipped, and the pipeline writes nothing where nothing
// is new.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/time/rate"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Page is one page of a listing.
type Page struct {
	// Findings are in the order of their event times, the earliest first.
	Findings []finding.Finding
	// Unreadable counts results that are no finding.
	Unreadable int
	// Next is the token of the next page, empty after the last one.
	Next string
	// Total is how many findings match on all pages, or an estimate of it.
	Total int
}

// Job is one backfill. Its fields are set before Run and not changed after.
type Job struct {
	// List returns the page of the active findings since a time that the token
	// names, the first one for an empty token.
	List func(ctx context.Context, since time.Time, token string) (Page, error)
	// Refresh enriches one finding whatever its marks are; nil in a dry run.
	// It is called concurrently, and bounds its own time.
	Refresh func(ctx context.Context, f *finding.Finding) (*enrich.Result, error)
	// MarkPrefix is the prefix of our marks.
	MarkPrefix string
	// Since is the earliest event time.
	Since time.Time
	// PerMinute is how many findings are begun in a minute, evenly spread; 0 is
	// no limit. Findings that are skipped do not count.
	PerMinute int
	// Concurrency is how many findings are enriched at once; 0 is 1.
	Concurrency int
	// DryRun decides and enriches nothing.
	DryRun bool
	// Settle, if set, brings the incidents around a finding into agreement; it
	// is called after the listing for workloads with several findings.
	Settle func(ctx context.Context, f *finding.Finding) error
	// Cursor, if set, is where the job notes how far it has come. It is removed
	// when the job has seen every finding, and not touched by a dry run.
	Cursor *Cursor
	// Observe, if set, is told of every finding, one call at a time. It must
	// not block, nor keep the maps of the summary.
	Observe func(Item, Summary)
}

// Outcome is what became of a finding in this run.
type Outcome string

// The closed set of outcomes.
const (
	// Planned: a dry run would enrich it.
	Planned Outcome = "planned"
	// Enriched: marks were written.
	Enriched Outcome = "enriched"
	// Skipped: there was nothing to do.
	Skipped Outcome = "skipped"
	// Failed: nothing was written.
	Failed Outcome = "failed"
	// Unfinished: the run was interrupted before the finding was done.
	Unfinished Outcome = "unfinished"
)

// Item is one finding of a run.
type Item struct {
	// Finding is the canonical name; Workload the key of its workload, or empty.
	Finding, Category, Workload string
	EventTime                   time.Time
	// Need is what its marks lack and Why says so in words.
	Need    Need
	Why     string
	Outcome Outcome
	// Reason is a word of a closed set: why it was skipped or failed.
	Reason string
	// Err is the cause of a failure.
	Err error
	// RecordErr says why the record of an enriched finding was not published.
	RecordErr error
}

// Summary counts a run. Listed is the sum of Enriched, Skipped, Failed,
// Unfinished and Planned; Missing, Stale and Partial are the needs among them.
type Summary struct {
	Listed, Missing, Stale, Partial                int
	Planned, Enriched, Skipped, Failed, Unfinished int
	// SkippedBy and FailedBy count by reason.
	SkippedBy, FailedBy map[string]int
	// StillPartial counts those among Enriched and Skipped which were looked at
	// and of which a source did not answer again.
	StillPartial int
	// RecordsFailed counts enriched findings whose record was not published.
	RecordsFailed int
	// Settled counts the containers and days whose incidents were brought into
	// agreement, SettleFailed those among them where that failed.
	Settled, SettleFailed int
	// Total is how many findings the listing promises, or an estimate of it.
	Total int
	Took  time.Duration
}

// Run goes through all findings. The error says why it ended before it had seen
// them all, or that the cursor could not be kept; findings that failed are in
// the summary only.
//
// When ctx ends, no further finding is begun; those under way have 8 seconds
// to finish.
func (j *Job) Run(ctx context.Context) (Summary, error) {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(abortAfter):
			abort()
		case <-work.Done():
		}
	})
	defer stop()
	limit := rate.Inf
	if j.PerMinute > 0 {
		limit = rate.Every(time.Minute / time.Duration(j.PerMinute))
	}
	r := &run{
		job: j, began: time.Now(), limiter: rate.NewLimiter(limit, 1), slots: make(chan struct{}, max(j.Concurrency, 1)),
		last: j.Since, names: map[string]struct{}{}, open: map[int]time.Time{}, places: map[string]*place{},
		summary: Summary{SkippedBy: map[string]int{}, FailedBy: map[string]int{}},
	}
	err := r.list(ctx, work)
	r.group.Wait()
	if err == nil && j.Settle != nil && !j.DryRun {
		err = r.settle(ctx, work)
	}
	return r.finish(ctx, err)
}

// abortAfter is how long findings under way may take after an interruption: a
// Cloud Run job is killed 10 seconds after SIGTERM.
const abortAfter = 8 * time.Second

// finish keeps or removes the cursor and closes the counts.
func (r *run) finish(ctx context.Context, err error) (Summary, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.summary
	s.SkippedBy, s.FailedBy = maps.Clone(s.SkippedBy), maps.Clone(s.FailedBy)
	s.Took = time.Since(r.began)
	if err == nil && s.Unfinished > 0 {
		err = context.Cause(ctx)
	}
	if r.job.Cursor == nil || r.job.DryRun {
		return s, err
	}
	keep := r.job.Cursor.Remove
	if err != nil {
		keep = func() error { return r.job.Cursor.Save(r.watermark()) }
	}
	if cursorErr := keep(); cursorErr != nil {
		err = errors.Join(err, fmt.Errorf("keep the cursor: %w", cursorErr))
	}
	return s, err
}
