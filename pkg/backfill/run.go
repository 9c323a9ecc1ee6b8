package backfill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Bounds of a listing that does not go on.
const (
	// pageTimeout is the time that one page may take.
	pageTimeout = time.Minute
	// maxQuotaWaits and quotaWait bound the waiting for a page that is refused
	// over quota: how often, and how long each time.
	maxQuotaWaits = 10
	quotaWait     = 2 * time.Minute
	// maxEmptyPages is how many pages in a row may be empty.
	maxEmptyPages = 100
	// maxNames bounds the memory of findings of one and the same event time.
	maxNames = 10_000
	// saveEvery is how often the cursor is written.
	saveEvery = 2 * time.Second
)

var errEndless = errors.New("the listing does not end")

// run is a Job that is running.
type run struct {
	job     *Job
	began   time.Time
	limiter *rate.Limiter
	slots   chan struct{}
	group   sync.WaitGroup

	// names are the findings listed whose event time is last: a listing that
	// is begun again at last holds them once more. Only list uses them.
	names map[string]struct{}
	// places are the workloads with findings. Only list and settle use them.
	places map[string]*place

	mu      sync.Mutex
	summary Summary
	// last is the latest event time listed.
	last time.Time
	// open are the event times of the findings that are not done yet.
	open map[int]time.Time
	next int
	// held is the earliest event time of a finding that failed and may succeed
	// when it is tried again.
	held time.Time
	// pause is when the upstream takes writes again.
	pause time.Time
	saved time.Time
}

// list goes through the pages. A token that is refused is no reason to give
// up: pages may take longer to work through than a token lives, so the listing
// is begun again where it had come to.
func (r *run) list(ctx, work context.Context) error {
	since, token, empty, again := r.job.Since, "", 0, false
	for {
		page, err := r.page(ctx, since, token)
		if err != nil {
			last := r.lastTime()
			if ctx.Err() != nil || token == "" || !last.After(since) {
				return err
			}
			since, token, again = last, "", true
			continue
		}
		r.promise(page, token == "")
		if len(page.Findings) == 0 {
			empty++
		} else {
			empty = 0
		}
		for i := range page.Findings {
			f := &page.Findings[i]
			if again && r.listed(f, since) {
				continue
			}
			r.remember(f)
			if err := r.take(ctx, work, f); err != nil {
				return err
			}
		}
		switch {
		case page.Next == "":
			return nil
		case page.Next == token, empty == maxEmptyPages:
			return errEndless
		}
		token = page.Next
	}
}

// page reads one page, and waits where that is refused over quota.
func (r *run) page(ctx context.Context, since time.Time, token string) (Page, error) {
	for waits := 0; ; waits++ {
		page, err := r.ask(ctx, since, token)
		over, ok := errors.AsType[*evidence.QuotaError](err)
		if !ok || waits == maxQuotaWaits {
			return page, err
		}
		if err := sleep(ctx, min(max(time.Until(over.Until), time.Second), quotaWait)); err != nil {
			return Page{}, err
		}
	}
}

func (r *run) ask(ctx context.Context, since time.Time, token string) (Page, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pageTimeout, fmt.Errorf("no page of findings within %s", pageTimeout))
	defer cancel()
	return r.job.List(ctx, since, token)
}

// promise notes how many findings there will be.
func (r *run) promise(p Page, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first {
		r.summary.Total = r.summary.Listed + p.Total
	}
	r.summary.Listed += p.Unreadable
	r.summary.Skipped += p.Unreadable
	if p.Unreadable > 0 {
		r.summary.SkippedBy[reasonUnreadable] += p.Unreadable
	}
	r.summary.Total = max(r.summary.Total, r.summary.Listed+len(p.Findings))
}

func (r *run) lastTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// listed reports whether a finding came before the listing was begun again at since.
func (r *run) listed(f *finding.Finding, since time.Time) bool {
	_, known := r.names[f.StableName()]
	return f.EventTime.Before(since) || known && f.EventTime.Equal(since)
}

// take decides about one finding, and has it enriched where that is needed. It
// waits for the rate and for a free slot; the error is ctx's.
func (r *run) take(ctx, work context.Context, f *finding.Finding) error {
	item := Item{Finding: f.CanonicalName, Category: f.Category, Workload: f.Workload.Key(), EventTime: f.EventTime}
	if f.Workload.IsZero() {
		item.Workload = ""
	}
	item.Need, item.Why = Classify(f, r.job.MarkPrefix)
	id := r.enter(item, f.StableName())
	switch {
	case item.Need == None:
		r.leave(id, item, Skipped, item.Why)
		return nil
	case r.job.DryRun:
		r.leave(id, item, Planned, "")
		return nil
	}
	if err := r.admit(ctx); err != nil {
		r.leave(id, item, Unfinished, "")
		return err
	}
	r.group.Go(func() {
		defer func() { <-r.slots }()
		r.enrich(work, id, f, item)
	})
	return nil
}

// admit waits until the next finding may be begun.
func (r *run) admit(ctx context.Context) error {
	r.mu.Lock()
	pause := time.Until(r.pause)
	r.mu.Unlock()
	if err := sleep(ctx, pause); err != nil {
		return err
	}
	if err := sleep(ctx, r.limiter.Reserve().Delay()); err != nil {
		return err
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enrich takes one finding through the pipeline.
func (r *run) enrich(work context.Context, id int, f *finding.Finding, item Item) {
	res, err := r.job.Refresh(work, f)
	if err != nil {
		item.Err = err
		if work.Err() != nil {
			r.leave(id, item, Unfinished, "")
			return
		}
		reason, permanent := "failed", false
		if fail, ok := errors.AsType[*enrich.Failure](err); ok {
			reason, permanent = fail.Reason, fail.Permanent
		}
		r.failed(f, err, permanent)
		r.leave(id, item, Failed, reason)
		return
	}
	item.RecordErr = res.RecordErr
	if res.Record != nil && !res.Record.Complete() {
		r.stillPartial()
	}
	if res.Decision == enrich.Written {
		r.leave(id, item, Enriched, "")
		return
	}
	r.leave(id, item, Skipped, string(res.Decision))
}

func (r *run) stillPartial() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.StillPartial++
}

// failed holds the cursor before a finding that may succeed later, and lets the
// next ones wait while the upstream takes no writes.
func (r *run) failed(f *finding.Finding, err error, permanent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !permanent && (r.held.IsZero() || f.EventTime.Before(r.held)) {
		r.held = f.EventTime
	}
	if over, ok := errors.AsType[*evidence.QuotaError](err); ok {
		if until := time.Now().Add(min(time.Until(over.Until), quotaWait)); until.After(r.pause) {
			r.pause = until
		}
	}
}

// enter counts a finding that was listed, and keeps the cursor before it until
// it leaves.
func (r *run) enter(item Item, name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if item.EventTime.After(r.last) {
		r.last = item.EventTime
		clear(r.names)
	}
	if len(r.names) < maxNames {
		r.names[name] = struct{}{}
	}
	r.summary.Listed++
	switch item.Need {
	case Missing:
		r.summary.Missing++
	case Stale:
		r.summary.Stale++
	case Partial:
		r.summary.Partial++
	}
	r.next++
	r.open[r.next] = item.EventTime
	return r.next
}

// leave counts what became of a finding, tells the observer, and moves the
// cursor. A finding that is unfinished stays open.
func (r *run) leave(id int, item Item, outcome Outcome, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	item.Outcome, item.Reason = outcome, reason
	s := &r.summary
	switch outcome {
	case Planned:
		s.Planned++
	case Enriched:
		s.Enriched++
	case Skipped:
		s.Skipped++
		s.SkippedBy[reason]++
	case Failed:
		s.Failed++
		s.FailedBy[reason]++
	case Unfinished:
		s.Unfinished++
	}
	if item.RecordErr != nil {
		s.RecordsFailed++
	}
	if outcome != Unfinished {
		delete(r.open, id)
	}
	s.Took = time.Since(r.began)
	if r.job.Observe != nil {
		r.job.Observe(item, *s)
	}
	if r.job.Cursor != nil && !r.job.DryRun && time.Since(r.saved) >= saveEvery {
		// A fault shows at the end, when the cursor is saved or removed.
		_ = r.job.Cursor.Save(r.watermark())
		r.saved = time.Now()
	}
}

// watermark is the event time before which every finding is done: never later
// than the run began, because an event time may lie in the future and findings
// of now will still arrive. The caller holds the lock.
func (r *run) watermark() time.Time {
	at := r.last
	if r.began.Before(at) {
		at = r.began
	}
	if !r.held.IsZero() && r.held.Before(at) {
		at = r.held
	}
	for _, t := range r.open {
		if t.Before(at) {
			at = t
		}
	}
	if at.Before(r.job.Since) {
		at = r.job.Since
	}
	return at
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
