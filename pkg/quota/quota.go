// Package quota keeps a budget of requests per upstream, shared by everything
// that calls it.
//
// A budget is a promise to the upstream: in no sliding minute, and on no UTC
// day, are more requests started than agreed. It never waits and never
// borrows: a request that does not fit is refused at once with the time from
// which it will fit, so that the caller can say "quota" instead of being late.
// Every attempt on the wire spends, a repeated one too.
package quota

import (
	"sync"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// The scopes of a budget, as evidence.QuotaError names them.
const (
	// Minute is the scope of the sliding minute.
	Minute = "minute"
	// Day is the scope of the UTC day.
	Day = "day"
)

// Window is how long one request counts against the minute. It is longer than
// a minute by the spread of latency that is allowed for: a request that
// travels slowly and one that travels fast arrive closer together than they
// were started, and the upstream counts arrivals. With less than a second
// between the slowest and the fastest request, no 60 seconds hold more than
// the budget as the upstream sees it.
const Window = 61 * time.Second

// Budget allows a number of requests in any sliding minute, and on a UTC day.
// It is safe for concurrent use. A nil Budget allows everything.
type Budget struct {
	name      string
	perMinute int
	perDay    int
	now       func() time.Time

	mu sync.Mutex
	// started is a ring of the latest requests that may still count, at most
	// perMinute; oldest is the index of the earliest once the ring is full.
	started []time.Time
	oldest  int
	// day is the UTC day that spent counts, as days since 1970.
	day   int64
	spent int
	// shutMinute and shutDay are set where the upstream itself said no.
	shutMinute, shutDay time.Time
}

// New returns a budget for the upstream called name: perMinute requests in any
// sliding minute and perDay on a UTC day, where zero or less means no limit of
// that kind. The day starts at 00:00 UTC. now is the clock, time.Now if nil.
func New(name string, perMinute, perDay int, now func() time.Time) *Budget {
	if now == nil {
		now = time.Now
	}
	return &Budget{name: name, perMinute: max(perMinute, 0), perDay: max(perDay, 0), now: now}
}

// Take spends one request. If the budget does not allow it, nothing is spent
// and the error is an *evidence.QuotaError that says which scope is spent and
// when the next request will be allowed.
func (b *Budget) Take() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.turn(now)
	if err := b.closed(now); err != nil {
		return err
	}
	b.spent++
	switch {
	case b.perMinute == 0:
	case len(b.started) < b.perMinute:
		b.started = append(b.started, now)
	default:
		b.started[b.oldest] = now
		b.oldest = (b.oldest + 1) % b.perMinute
	}
	return nil
}

// Ready returns the error that Take would return now, and spends nothing.
func (b *Budget) Ready() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.turn(now)
	return b.closed(now)
}

// closed is why no request is allowed now, or nil. The caller holds the lock.
func (b *Budget) closed(now time.Time) error {
	if until := b.dayClosed(now); !until.IsZero() {
		return &evidence.QuotaError{Upstream: b.name, Scope: Day, Until: until}
	}
	if until := b.minuteClosed(now); !until.IsZero() {
		return &evidence.QuotaError{Upstream: b.name, Scope: Minute, Until: until}
	}
	return nil
}

// Exhaust closes the budget until the given time because the upstream itself
// said that it is spent. scope is Minute or Day; anything else counts as
// Minute. Of two closures of one scope the later end holds.
func (b *Budget) Exhaust(scope string, until time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	shut := &b.shutMinute
	if scope == Day {
		shut = &b.shutDay
	}
	if until.After(*shut) {
		*shut = until
	}
}

// Left tells how many requests the minute and the day still allow now; -1
// means no limit. A minute may have more left than its day.
func (b *Budget) Left() (minute, day int) {
	if b == nil {
		return -1, -1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.turn(now)
	minute, day = -1, -1
	if b.perMinute > 0 {
		minute = b.perMinute
		for _, t := range b.started {
			if now.Sub(t) < Window {
				minute--
			}
		}
	}
	if b.perDay > 0 {
		day = max(b.perDay-b.spent, 0)
	}
	if b.shutMinute.After(now) {
		minute = 0
	}
	if b.shutDay.After(now) {
		day = 0
	}
	return minute, day
}

// turn starts a new day's ledger. A clock that steps back keeps the old one:
// the day must not be granted twice.
func (b *Budget) turn(now time.Time) {
	if day := dayOf(now); day > b.day {
		b.day, b.spent = day, 0
	}
}

// dayClosed returns when the day opens again, or zero if it is open.
func (b *Budget) dayClosed(now time.Time) time.Time {
	var until time.Time
	if b.perDay > 0 && b.spent >= b.perDay {
		until = time.Unix((b.day+1)*secondsPerDay, 0).UTC()
	}
	if b.shutDay.After(now) && b.shutDay.After(until) {
		until = b.shutDay
	}
	return until
}

// minuteClosed returns when the minute opens again, or zero if it is open.
func (b *Budget) minuteClosed(now time.Time) time.Time {
	var until time.Time
	if b.perMinute > 0 && len(b.started) == b.perMinute {
		if first := b.started[b.oldest]; now.Sub(first) < Window {
			until = first.Add(Window)
		}
	}
	if b.shutMinute.After(now) && b.shutMinute.After(until) {
		until = b.shutMinute
	}
	return until
}

const secondsPerDay = 24 * 60 * 60

// dayOf counts UTC days since 1970.
func dayOf(t time.Time) int64 { return t.Unix() / secondsPerDay }
