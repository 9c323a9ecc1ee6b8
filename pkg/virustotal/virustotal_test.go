package virustotal

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
)

const testKey = "not-a-real-key-0123456789"

var (
	noon = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)
	shaA = strings.Repeat("a", 64)
	shaB = strings.Repeat("b", 64)
	shaC = strings.Repeat("c", 64)
)

func file(sha string) evidence.Artifact {
	return evidence.Artifact{Kind: "file", Value: sha, Role: "binary", Path: "/tmp/x"}
}

// fakeVT is VirusTotal behind a test server.
type fakeVT struct {
	mu sync.Mutex
	// answer is what a request gets; nil is a report without detections.
	answer func(w http.ResponseWriter, r *http.Request)
	paths  []string
	// inFlight and most count concurrent requests.
	inFlight, most int
}

func (f *fakeVT) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.paths = append(f.paths, r.URL.Path)
	f.inFlight++
	f.most = max(f.most, f.inFlight)
	answer := f.answer
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.inFlight--; f.mu.Unlock() }()
	switch {
	case r.Header.Get("X-Apikey") != testKey, r.Method != http.MethodGet, strings.Contains(r.URL.String(), testKey), !strings.HasPrefix(r.UserAgent(), "scc-enricher"):
		http.Error(w, "bad request", http.StatusTeapot)
	case answer != nil:
		answer(w, r)
	default:
		report(w, r, 0, 60)
	}
}

func (f *fakeVT) set(answer func(http.ResponseWriter, *http.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeVT) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.paths
	f.paths = nil
	return out
}

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// report answers with a report of the object asked for.
func report(w http.ResponseWriter, r *http.Request, malicious, undetected int) {
	types := map[string]string{"files": "file", "domains": "domain", "ip_addresses": "ip_address", "urls": "url"}
	p := strings.Split(r.URL.Path, "/")
	write(w, http.StatusOK, fmt.Sprintf(`{"data":{"id":%q,"type":%q,"attributes":{"last_analysis_stats":{"malicious":%d,"undetected":%d,"type-unsupported":9}}}}`,
		p[len(p)-1], types[p[len(p)-2]], malicious, undetected))
}

func refuse(status int, code, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		write(w, status, fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message))
	}
}

// clockAt is a clock that a test moves.
type clockAt struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clockAt) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clockAt) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func start(t *testing.T, f *fakeVT, change ...func(*Options)) (*Client, *clockAt) {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	at := &clockAt{t: noon}
	o := Options{APIKey: testKey + "\n", Endpoint: srv.URL, HTTPClient: srv.Client(), Now: at.now}
	for _, c := range change {
		c(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, at
}

func TestLookup(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	f.set(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, shaB) {
			refuse(http.StatusNotFound, "NotFoundError", "nope")(w, r)
			return
		}
		report(w, r, 58, 14)
	})
	c, _ := start(t, f)
	artifacts := []evidence.Artifact{file(shaA), file(shaB), file("ABC"), file(shaA[:63]), {Kind: "mutex", Value: "x"}, {Kind: "file", Value: shaA, Role: "library"}}
	got, err := c.Lookup(t.Context(), artifacts)
	if err != nil {
		t.Fatal(err)
	}
	known := evidence.Reputation{State: evidence.OK, Verdict: evidence.VerdictMalicious, Malicious: 58, Engines: 72, URL: guiURL + "file/" + shaA, AskedAt: noon}
	want := []evidence.Reputation{
		known,
		{State: evidence.Empty, Verdict: evidence.VerdictNotFound, URL: guiURL + "file/" + shaB, AskedAt: noon, Reason: "unknown to VirusTotal"},
		{State: evidence.NotApplicable, Reason: "not a full SHA-256"},
		{State: evidence.NotApplicable, Reason: "not a full SHA-256"},
		{State: evidence.NotApplicable, Reason: "no kind of artifact that VirusTotal knows"},
		known,
	}
	for i := range want {
		want[i].Artifact = artifacts[i]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	paths := f.requests()
	slices.Sort(paths)
	if diff := cmp.Diff([]string{"/api/v3/files/" + shaA, "/api/v3/files/" + shaB}, paths); diff != "" {
		t.Errorf("requests: -want +got\n%s", diff)
	}
}

func TestIndicators(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	c, _ := start(t, f)
	got, err := c.Lookup(t.Context(), []evidence.Artifact{
		{Kind: "domain", Value: "Evil.Example.COM."}, {Kind: "ip", Value: "8.8.4.4"}, {Kind: "ip", Value: "2606:4700::1111"},
		{Kind: "url", Value: "http://8.8.4.4/x.sh?a=1#frag"}, {Kind: "ip", Value: "169.254.169.254"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, state := range []evidence.State{evidence.OK, evidence.OK, evidence.OK, evidence.OK, evidence.NotApplicable} {
		if got[i].State != state {
			t.Errorf("%+v, want %s", got[i], state)
		}
	}
	paths := f.requests()
	slices.Sort(paths)
	want := []string{"/api/v3/domains/evil.example.com", "/api/v3/ip_addresses/2606:4700::1111", "/api/v3/ip_addresses/8.8.4.4", "/api/v3/urls/aHR0cDovLzguOC40LjQveC5zaD9hPTE"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("requests: -want +got\n%s", diff)
	}
}

func TestDisabled(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	c, _ := start(t, f, func(o *Options) { o.APIKey = "" })
	got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
	if !errors.Is(err, evidence.ErrDisabled) || len(got) != 1 || got[0].State != evidence.Disabled || len(f.requests()) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{APIKey: "a\nb"}, {APIKey: "kéy"}, {Endpoint: "www.virustotal.com"}, {Endpoint: "ftp://x"}, {Endpoint: "https://x/path"}, {Endpoint: "https://u:p@x"}, {Endpoint: "://"},
	} {
		if _, err := New(o); err == nil || (o.APIKey != "" && strings.Contains(err.Error(), o.APIKey)) {
			t.Errorf("New(%v) = %v", o, err)
		}
	}
}

func TestKeyNeverShows(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	f.set(refuse(http.StatusUnauthorized, "WrongCredentialsError", "Wrong API key "+testKey))
	c, _ := start(t, f)
	got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
	dead, _ := start(t, f, func(o *Options) { o.Endpoint = "http://127.0.0.1:1" })
	got2, err2 := dead.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
	o := Options{APIKey: testKey}
	for _, s := range []string{fmt.Sprintf("%+v %v", got, err), fmt.Sprintf("%+v %v", got2, err2), fmt.Sprintf("%v %+v %#v %s", o, o, o, o), fmt.Sprintf("%+v %#v", c, c)} {
		if strings.Contains(s, testKey) {
			t.Errorf("the key shows in %s", s)
		}
	}
	if got2[0].State != evidence.Error {
		t.Errorf("unreachable: %+v", got2)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	f.set(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, shaB) {
			refuse(http.StatusNotFound, "NotFoundError", "")(w, r)
			return
		}
		report(w, r, 0, 60)
	})
	c, at := start(t, f)
	look := func(want int) []evidence.Reputation {
		t.Helper()
		got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA), {Kind: "file", Value: shaB, Role: "script"}})
		if n := len(f.requests()); err != nil || n != want {
			t.Errorf("%d requests, want %d (%v)", n, want, err)
		}
		return got
	}
	look(2)
	at.add(59 * time.Minute)
	got := look(0)
	if got[0].AskedAt != noon || got[0].Verdict != evidence.VerdictClean || got[1].Artifact.Role != "script" {
		t.Errorf("cached %+v", got)
	}
	at.add(2 * time.Minute)
	look(1) // the miss is asked again after an hour
	at.add(23 * time.Hour)
	look(2)
	f.set(refuse(http.StatusServiceUnavailable, "TransientError", ""))
	at.add(25 * time.Hour)
	for range 2 { // errors are not cached
		if _, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)}); err == nil || len(f.requests()) != 1 {
			t.Errorf("error %v, or not one request", err)
		}
	}
}

func TestBoundAndConcurrency(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	f.set(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * time.Millisecond)
		report(w, r, 0, 60)
	})
	c, _ := start(t, f)
	var artifacts []evidence.Artifact
	for i := range 25 {
		artifacts = append(artifacts, file(fmt.Sprintf("%064x", i)))
	}
	got, err := c.Lookup(t.Context(), artifacts)
	if n := len(f.requests()); n != maxAsked || f.most > concurrency {
		t.Errorf("%d requests, %d at once", n, f.most)
	}
	if !errors.Is(err, evidence.ErrPartial) || got[19].State != evidence.OK || got[20].State != evidence.Partial || got[20].Reason == "" {
		t.Errorf("%v: %+v %+v", err, got[19], got[20])
	}
	if _, err := c.Lookup(t.Context(), artifacts); err != nil || len(f.requests()) != 5 {
		t.Errorf("the rest was not asked the second time: %v", err)
	}
}

func TestSharedRequests(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	f := &fakeVT{}
	f.set(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		report(w, r, 0, 60)
	})
	c, _ := start(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		got, err := c.Lookup(ctx, []evidence.Artifact{file(shaA)})
		if got[0].State != evidence.Timeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient caller: %+v, %v", got, err)
		}
	})
	<-arrived
	for range 5 {
		wg.Go(func() {
			if got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)}); err != nil || got[0].State != evidence.OK {
				t.Errorf("patient caller: %+v, %v", got, err)
			}
		})
	}
	<-ctx.Done()
	time.Sleep(20 * time.Millisecond)
	close(release)
	wg.Wait()
	if n := len(f.requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   evidence.State
	}{
		{"gzip", func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			report(rec, r, 0, 60)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(rec.Body.Bytes())
			_ = z.Close()
		}, evidence.OK},
		{"gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, maxBodyBytes+1))
			_ = z.Close()
		}, evidence.Error},
		{"too large", func(w http.ResponseWriter, _ *http.Request) {
			write(w, http.StatusOK, `{"data":{"id":"`+strings.Repeat("x", maxBodyBytes)+`"}}`)
		}, evidence.Error},
		{"empty", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, "") }, evidence.Error},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, evidence.Error},
		{"null", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, "null") }, evidence.Error},
		{"no data", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, "{}") }, evidence.Error},
		{"a list", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, `{"data":[]}`) }, evidence.Error},
		{"html", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>hello")
		}, evidence.Error},
		{"error inside success", func(w http.ResponseWriter, r *http.Request) {
			refuse(http.StatusOK, "NotFoundError", "")(w, r)
		}, evidence.Empty},
		{"html not found is no answer", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, evidence.Error},
		{"empty not found is no answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, evidence.Error},
		{"empty too many requests", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, evidence.Quota},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, evidence.Error},
		{"another file", func(w http.ResponseWriter, _ *http.Request) {
			write(w, http.StatusOK, `{"data":{"id":"`+shaB+`","type":"file","attributes":{"last_analysis_stats":{"malicious":9}}}}`)
		}, evidence.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fakeVT{}
			f.set(tt.answer)
			c, _ := start(t, f)
			got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA)})
			if got[0].State != tt.want || (err != nil) != (tt.want != evidence.OK && tt.want != evidence.Empty) {
				t.Errorf("got %+v, %v; want %s", got[0], err, tt.want)
			}
			if err != nil && (got[0].Reason == "" || strings.Contains(err.Error(), shaA)) {
				t.Errorf("reason %q, error %v", got[0].Reason, err)
			}
			if n := len(f.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	f := &fakeVT{}
	at := &clockAt{t: noon}
	b := quota.New("virustotal", 2, 500, at.now)
	c, _ := start(t, f, func(o *Options) { o.Budget, o.Now = b, at.now })
	got, err := c.Lookup(t.Context(), []evidence.Artifact{file(shaA), file(shaB), file(shaC)})
	q, ok := errors.AsType[*evidence.QuotaError](err)
	if !ok || q.Scope != quota.Minute || !errors.Is(err, evidence.ErrPartial) || got[2].State != evidence.Quota || got[2].Reason == "" {
		t.Errorf("got %+v, %v", got[2], err)
	}
	if n := len(f.requests()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	got, err = c.Lookup(t.Context(), []evidence.Artifact{file(shaC)})
	if got[0].State != evidence.Quota || !errors.Is(err, evidence.ErrQuota) || errors.Is(err, evidence.ErrPartial) || len(f.requests()) != 0 {
		t.Errorf("got %+v, %v", got[0], err)
	}
	at.add(2 * time.Minute)
	if got, err = c.Lookup(t.Context(), []evidence.Artifact{file(shaC)}); err != nil || got[0].State != evidence.OK {
		t.Errorf("got %+v, %v", got[0], err)
	}
}
