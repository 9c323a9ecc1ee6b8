package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ledger is what became of the deliveries, read from /metrics.
type ledger struct {
	Received, Written, Unchanged, Ignored, Dead, Nacked int
}

var deliveryLine = regexp.MustCompile(`(?m)^scc_enricher_deliveries_total\{reason="([a-z_]*)",status="(\d+)"\} (\d+)$`)

// ledger reads the counters. A delivery that belongs to no column is an error.
func (r *faultRig) ledger() ledger {
	r.t.Helper()
	var l ledger
	for _, m := range deliveryLine.FindAllStringSubmatch(r.metrics(), -1) {
		n, err := strconv.Atoi(m[3])
		if err != nil {
			r.t.Fatal(err)
		}
		l.Received += n
		switch reason, status := m[1], m[2]; {
		case status == "503":
			l.Nacked += n
		case status != "204":
			r.t.Errorf("%d deliveries were answered %s %s", n, status, reason)
		case reason == "written":
			l.Written += n
		case slices.Contains([]string{"echo", "unchanged", "older"}, reason):
			l.Unchanged += n
		case slices.Contains([]string{"inactive", "muted", "deleted", "not_a_container"}, reason):
			l.Ignored += n
		case slices.Contains([]string{"not_json", "no_finding", "no_event_time", "bad_envelope", "gone", "marks_rejected"}, reason):
			l.Dead += n
		default:
			r.t.Errorf("%d deliveries of an unknown reason %q", n, reason)
		}
	}
	return l
}

// gauge is one value of /metrics.
func (r *faultRig) gauge(name string) string {
	r.t.Helper()
	_, rest, ok := strings.Cut(r.metrics(), "\n"+name+" ")
	if !ok {
		r.t.Fatalf("not in /metrics: %s", name)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// balance checks that every delivery is in exactly one column, as the service
// counts them and as the subscription does.
func (r *faultRig) balance() ledger {
	r.t.Helper()
	l, sent := r.ledger(), r.pusher.Stats()
	if sum := l.Written + l.Unchanged + l.Ignored + l.Dead + l.Nacked; l.Received != sum {
		r.t.Errorf("received %d, accounted for %d: %+v", l.Received, sum, l)
	}
	acked := l.Written + l.Unchanged + l.Ignored + l.Dead
	if l.Received != sent.Delivered || acked != sent.Acked || l.Nacked != sent.Nacked {
		r.t.Errorf("the service counts %+v, the subscription %+v", l, sent)
	}
	if l.Nacked != sent.Delivered-sent.Published-sent.Lost-r.duplicates*sent.Published {
		r.t.Errorf("%d were not acknowledged, and %d came again: %+v", l.Nacked, sent.Delivered-sent.Published, sent)
	}
	return l
}

// String is the ledger as a row of a table.
func (l ledger) String() string {
	return fmt.Sprintf("%d | %d | %d | %d | %d | %d", l.Received, l.Nacked, l.Written, l.Unchanged, l.Ignored, l.Dead)
}
