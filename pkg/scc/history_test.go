package scc_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/scc"
)

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// TestHistoryComesAlong: a listing of the related findings brings the older
// ones along, in the same page, and for the neighbours too.
func TestHistoryComesAlong(t *testing.T) {
	t.Parallel()
	s := &server{}
	for i, after := range []time.Duration{0, 10 * time.Minute, -31 * time.Minute, -29 * time.Minute, -2 * day, -29 * day, -31 * day, -60 * day} {
		s.results = append(s.results, result(fmt.Sprint(i), shopResource, after))
	}
	s.results = append(s.results, result("other", "projects/shop-prod/locations/europe-west1/services/shop-2", -2*day))
	c := startWith(t, s, scc.Options{History: month})
	q := query()
	related, err := c.ListRelated(t.Context(), q)
	if diff := cmp.Diff([]string{"1", "0", "3"}, ids(related)); diff != "" || err != nil {
		t.Errorf("ListRelated() -want +got:\n%s%v", diff, err)
	}
	for range 2 {
		older, err := c.ReadHistory(t.Context(), q)
		if diff := cmp.Diff([]string{"2", "4", "5"}, ids(older)); diff != "" || err != nil {
			t.Errorf("ReadHistory() -want +got:\n%s%v", diff, err)
		}
		q.From = q.From.Add(30 * time.Second) // a neighbour
		q.To = q.To.Add(30 * time.Second)
	}
	q.From = query().From.Add(-5 * time.Minute) // and one before
	if older, err := c.ReadHistory(t.Context(), q); err != nil || !cmp.Equal([]string{"4", "5"}, ids(older)) {
		t.Errorf("ReadHistory() of a neighbour before = %v, %v", ids(older), err)
	}
	if got := s.listed(); len(got) != 1 || got[0].GetPageSize() != 1000 {
		t.Errorf("%d requests: %v", len(got), got)
	}
}

// TestHistoryByItself: without a listing at hand, or about another time, it
// costs one page of at most 200.
func TestHistoryByItself(t *testing.T) {
	t.Parallel()
	s := &server{}
	for i := range 450 {
		s.results = append(s.results, result(fmt.Sprint(i), shopResource, -time.Hour-time.Duration(i)*time.Hour))
	}
	c := startWith(t, s, scc.Options{History: month})
	older, err := c.ReadHistory(t.Context(), query())
	if err != nil || len(older) != 200 || older[0].EventTime.Sub(event) != -time.Hour {
		t.Errorf("ReadHistory() = %d findings, %v", len(older), err)
	}
	if got := s.listed(); len(got) != 1 || got[0].GetPageSize() != 200 {
		t.Errorf("%d requests: %v", len(got), got)
	}
	earlier := query()
	earlier.From, earlier.To = earlier.From.Add(-10*day), earlier.To.Add(-10*day)
	if older, err = c.ReadHistory(t.Context(), earlier); err != nil || len(older) != 200 || older[0].EventTime.Sub(earlier.From) > 0 {
		t.Errorf("ReadHistory() of another time = %d findings, %v", len(older), err)
	}
	if n := len(s.listed()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestHistoryNeverCostsAPage: however much ran here before, related findings
// are read as if there were no history.
func TestHistoryNeverCostsAPage(t *testing.T) {
	t.Parallel()
	s := &server{}
	for i := range 3000 {
		s.results = append(s.results, result(fmt.Sprint(i), shopResource, -time.Duration(i)*10*time.Minute))
	}
	c := startWith(t, s, scc.Options{History: month})
	related, err := c.ListRelated(t.Context(), query())
	if err != nil || len(related) != 4 {
		t.Errorf("ListRelated() = %d findings, %v", len(related), err)
	}
	older, err := c.ReadHistory(t.Context(), query())
	if err != nil || len(older) == 0 || len(older) > 200 {
		t.Errorf("ReadHistory() = %d findings, %v", len(older), err)
	}
	if n := len(s.listed()); n != 1 {
		t.Errorf("%d pages, want 1", n)
	}
}

func TestHistoryFails(t *testing.T) {
	t.Parallel()
	if older, err := start(t, &server{}, nil, nil).ReadHistory(t.Context(), query()); err != nil || older != nil {
		t.Errorf("switched off: %v, %v", older, err)
	}
	c := startWith(t, &server{}, scc.Options{History: month, Reads: quota.New("scc_reads", 1, 0, nil)})
	if _, err := c.ListRelated(t.Context(), query()); err != nil {
		t.Fatal(err)
	}
	other := query()
	other.Workload.Name = "shop-3"
	if _, err := c.ReadHistory(t.Context(), other); !errors.Is(err, evidence.ErrQuota) {
		t.Errorf("over the budget: %v", err)
	}
}
