package virustotal

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
)

func TestQuotaRefusals(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 10, 6, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name, code, message, header string
		scope                       string
		until                       time.Time
	}{
		{"unclear", "QuotaExceededError", "Quota exceeded", "", quota.Minute, noon.Add(time.Minute)},
		{"rate", "TooManyRequestsError", "Too many requests today", "", quota.Day, midnight},
		{"rate, plain", "TooManyRequestsError", "Too many requests", "", quota.Minute, noon.Add(time.Minute)},
		{"daily", "QuotaExceededError", "You have exceeded your daily quota", "", quota.Day, midnight},
		{"monthly", "QuotaExceededError", "Monthly quota exceeded", "", quota.Day, midnight},
		{"retry after seconds", "QuotaExceededError", "", "90", quota.Minute, noon.Add(90 * time.Second)},
		{"retry after a date", "QuotaExceededError", "", noon.Add(2 * time.Minute).Format(http.TimeFormat), quota.Minute, noon.Add(2 * time.Minute)},
		{"retry after an age", "QuotaExceededError", "", "99999999999", quota.Minute, noon.Add(time.Hour)},
		{"retry after nonsense", "QuotaExceededError", "", "-5", quota.Minute, noon.Add(time.Minute)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fakeVT{}
			f.set(func(w http.ResponseWriter, r *http.Request) {
				if tt.header != "" {
					w.Header().Set("Retry-After", tt.header)
				}
				refuse(http.StatusTooManyRequests, tt.code, tt.message)(w, r)
			})
			at := &clockAt{t: noon}
			b := quota.New("virustotal", 4, 500, at.now)
			c, _ := start(t, f, func(o *Options) { o.Budget, o.Now = b, at.now })
			got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
			q, ok := errors.AsType[*evidence.QuotaError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(&evidence.QuotaError{Upstream: "virustotal", Scope: tt.scope, Until: tt.until}, q); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if got[0].State != evidence.Quota || got[0].Verdict != "" {
				t.Errorf("reputation %+v", got[0])
			}
			if m, d := b.Left(); (tt.scope == quota.Minute && (m != 0 || d == 0)) || (tt.scope == quota.Day && d != 0) {
				t.Errorf("left %d a minute, %d a day", m, d)
			}
			// Closed: nothing more is asked until then.
			f.requests()
			if _, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaB)}); !errors.Is(err, evidence.ErrQuota) || len(f.requests()) != 0 {
				t.Errorf("asked although the quota is spent: %v", err)
			}
		})
	}
}

// TestUnclearQuota: "Quota exceeded" minute after minute is the day's.
func TestUnclearQuota(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	at := &clockAt{t: noon}
	c, _ := start(t, f, func(o *Options) { o.Now = at.now })
	ask := func(want string) {
		t.Helper()
		_, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
		q, ok := errors.AsType[*evidence.QuotaError](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("error %v", err)
		case want != "" && (!ok || q.Scope != want):
			t.Errorf("error %v, want scope %s", err, want)
		}
	}
	unclear := refuse(http.StatusTooManyRequests, "QuotaExceededError", "Quota exceeded")
	f.set(unclear)
	ask(quota.Minute)
	ask(quota.Minute) // at the same time: one strike
	ask(quota.Minute)
	at.add(61 * time.Second)
	ask(quota.Minute)
	f.set(nil)
	ask("") // an answer forgets the strikes
	at.add(25 * time.Hour)
	f.set(unclear)
	for _, want := range []string{quota.Minute, quota.Minute, quota.Day, quota.Minute} {
		ask(want)
		at.add(61 * time.Second)
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	c, at := start(t, f)
	if _, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaB)}); err != nil {
		t.Fatal(err)
	}
	f.requests()
	f.set(refuse(http.StatusForbidden, "ForbiddenError", ""))
	for range 3 {
		got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
		if got[0].State != evidence.Denied || got[0].Reason != "HTTP 403 ForbiddenError" || !errors.Is(err, evidence.ErrDenied) {
			t.Errorf("got %+v, %v", got[0], err)
		}
	}
	got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA), file(shaB)})
	if got[1].State != evidence.OK || !errors.Is(err, evidence.ErrPartial) || !errors.Is(err, evidence.ErrDenied) {
		t.Errorf("got %+v, %v; want the cached answer", got, err)
	}
	if n := len(f.requests()); n != 1 {
		t.Errorf("%d requests with a refused key", n)
	}
	at.add(6 * time.Minute)
	f.set(nil)
	if got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)}); err != nil || got[0].State != evidence.OK {
		t.Errorf("got %+v, %v", got, err)
	}
}
