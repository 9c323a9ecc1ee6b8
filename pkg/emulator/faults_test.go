package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	logging "cloud.google.com/go/logging/apiv2"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	securitycenter "cloud.google.com/go/securitycenter/apiv2"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// broken is an emulator with faults and three findings, and Google's client of it.
func broken(t *testing.T, w *World, rules ...Fault) (*Emulator, *securitycenter.Client, string) {
	t.Helper()
	e, url := start(t, Options{World: w, Quotas: unlimited(), Faults: &Faults{Seed: 7, Rules: rules}})
	return e, sccClient(t, url), url
}

const allFindings = "organizations/882103374521/sources/-"

// listed are the sizes of the pages of all findings, and the first error.
func listed(ctx context.Context, c *securitycenter.Client) (sizes []int, err error) {
	it := c.ListFindings(ctx, &securitycenterpb.ListFindingsRequest{Parent: allFindings, PageSize: 100})
	for token := ""; ; {
		results, next, err := it.InternalFetch(100, token)
		if err != nil {
			return sizes, err
		}
		if sizes = append(sizes, len(results)); next == "" {
			return sizes, nil
		}
		token = next
	}
}

func threeFindings(t *testing.T) *World {
	t.Helper()
	w := testWorld(t)
	for _, id := range []string{"a", "b", "c"} {
		addFinding(t, w, testFinding(id, "shop"))
	}
	return w
}

func TestFaultsOfLists(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rule  Fault
		sizes []int
		code  codes.Code
	}{
		"none":                      {Fault{Method: "GetService", Code: codes.Internal}, []int{3}, codes.OK},
		"an error by short name":    {Fault{Method: "ListFindings", Code: codes.Unavailable}, nil, codes.Unavailable},
		"by pattern":                {Fault{Method: "List*", Code: codes.Internal}, nil, codes.Internal},
		"by full name":              {Fault{Method: "google.cloud.securitycenter.v2.*/*", Code: codes.Aborted}, nil, codes.Aborted},
		"by its project":            {Fault{Method: "*", Project: "other", Code: codes.PermissionDenied}, []int{3}, codes.OK},
		"short pages":               {Fault{Method: "ListFindings", ShortPages: 2}, []int{2, 1}, codes.OK},
		"an empty page":             {Fault{Method: "ListFindings", EmptyPages: true}, []int{0, 3}, codes.OK},
		"an empty page, short ones": {Fault{Method: "ListFindings", EmptyPages: true, ShortPages: 1}, []int{0, 1, 1, 1}, codes.OK},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c, _ := broken(t, threeFindings(t), tc.rule)
			sizes, err := listed(t.Context(), c)
			if diff := cmp.Diff(tc.sizes, sizes); diff != "" || upstream.Code(err) != tc.code {
				t.Errorf("%v; pages (-want +got):\n%s", err, diff)
			}
			if err := e.SetFaults(nil); err != nil {
				t.Fatal(err)
			}
			if sizes, err := listed(t.Context(), c); err != nil || len(sizes) != 1 {
				t.Errorf("healed: %v, %v", sizes, err)
			}
		})
	}
}

// TestFaultsOfOtherServices: pages and projects of Logging and Cloud Run.
func TestFaultsOfOtherServices(t *testing.T) {
	t.Parallel()
	w := logWorld(t)
	w.AddService(WorkloadSpec{Project: "shop-prod-4711", Location: "l", Name: "s"})
	w.AddService(WorkloadSpec{Project: "other", Location: "l", Name: "s"})
	_, url := start(t, Options{World: w, Faults: &Faults{Rules: []Fault{
		{Method: "ListLogEntries", EmptyPages: true, ShortPages: 30}, {Method: "*", Project: "2", Code: codes.PermissionDenied},
	}}})
	logs, err := logging.NewClient(t.Context(), upstream.ClientOptions(url)...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = logs.Close() }()
	entries := 0
	it := logs.ListLogEntries(t.Context(), &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/shop-prod-4711"}, PageSize: 50})
	for {
		if _, err := it.Next(); errors.Is(err, iterator.Done) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		entries++
	}
	if entries != 70 {
		t.Errorf("%d entries, want 70", entries)
	}
	services, err := run.NewServicesClient(t.Context(), upstream.ClientOptions(url)...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = services.Close() }()
	for project, want := range map[string]codes.Code{"shop-prod-4711": codes.OK, "other": codes.PermissionDenied} {
		_, err := services.GetService(t.Context(), &runpb.GetServiceRequest{Name: "projects/" + project + "/locations/l/services/s"})
		if upstream.Code(err) != want {
			t.Errorf("service of %s: %v, want %v", project, err, want)
		}
	}
}

// TestFaultsBySeed: the first n, or a share that a seed repeats.
func TestFaultsBySeed(t *testing.T) {
	t.Parallel()
	fates := func(rule Fault, seed uint64) string {
		e, c, _ := broken(t, threeFindings(t))
		if err := e.SetFaults(&Faults{Seed: seed, Rules: []Fault{rule}}); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for range 40 {
			_, err := listed(t.Context(), c)
			b.WriteByte(map[bool]byte{true: '.', false: 'x'}[err == nil])
		}
		return b.String()
	}
	first := Fault{Method: "ListFindings", First: 3, Code: codes.Unavailable}
	if got, want := fates(first, 1), "xxx"+strings.Repeat(".", 37); got != want {
		t.Errorf("first three: %s", got)
	}
	quarter := Fault{Method: "ListFindings", Probability: 0.25, Code: codes.Unavailable}
	one, again, other := fates(quarter, 1), fates(quarter, 1), fates(quarter, 2)
	if n := strings.Count(one, "x"); one != again || one == other || n < 3 || n > 18 {
		t.Errorf("a quarter: %s, again %s, another seed %s", one, again, other)
	}
}

func TestFaultQuota(t *testing.T) {
	t.Parallel()
	_, c, _ := broken(t, threeFindings(t), Fault{Method: "ListFindings", PerMinute: 2, RetryAfter: 7 * time.Second})
	for i, want := range []codes.Code{codes.OK, codes.OK, codes.ResourceExhausted} {
		_, err := listed(t.Context(), c)
		if upstream.Code(err) != want {
			t.Fatalf("call %d: %v, want %v", i, err, want)
		}
		if want == codes.OK {
			continue
		}
		ae, ok := apierror.FromError(err)
		if !ok {
			t.Fatalf("%v is no API error", err)
		}
		d := ae.Details()
		if ae.Reason() != "RATE_LIMIT_EXCEEDED" || ae.Domain() != "googleapis.com" || ae.Metadata()["quota_limit_value"] != "2" ||
			len(d.QuotaFailure.GetViolations()) != 1 || d.RetryInfo.GetRetryDelay().AsDuration() != 7*time.Second {
			t.Errorf("details %v", ae)
		}
	}
}

func TestFaultsOfTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule Fault
		code codes.Code
	}{
		"hang":         {Fault{Method: "*", Hang: true}, codes.DeadlineExceeded},
		"late":         {Fault{Method: "*", Latency: time.Minute}, codes.DeadlineExceeded},
		"slow":         {Fault{Method: "*", Latency: 50 * time.Millisecond}, codes.OK},
		"slow, an end": {Fault{Method: "*", Latency: 50 * time.Millisecond, Code: codes.Internal}, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c, _ := broken(t, threeFindings(t), tc.rule)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			began := time.Now()
			_, err := listed(ctx, c)
			if upstream.Code(err) != tc.code || time.Since(began) < 50*time.Millisecond {
				t.Errorf("%v after %s, want %v", err, time.Since(began), tc.code)
			}
		})
	}
}

// TestFaultReset: the connection breaks under a call; the client dials again.
func TestFaultReset(t *testing.T) {
	t.Parallel()
	e, c, url := broken(t, threeFindings(t), Fault{Method: "ListFindings", First: 1, Reset: true})
	_, err := listed(t.Context(), c)
	if upstream.Code(err) != codes.Unavailable || strings.Contains(err.Error(), "The connection was reset.") {
		t.Errorf("error %v, want that of a connection that broke, not an answer", err)
	}
	retry := gax.WithRetry(func() gax.Retryer { return gax.OnCodes([]codes.Code{codes.Unavailable}, gax.Backoff{}) })
	it := c.ListFindings(t.Context(), &securitycenterpb.ListFindingsRequest{Parent: allFindings}, retry)
	if _, err := it.Next(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := e.SetFaults(&Faults{Rules: []Fault{{Method: "*", Reset: true}}}); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/"+allFindings+"/findings", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("REST: status %d, want a broken connection", resp.StatusCode)
	}
}

// TestFaultSlowBody: the answer begins at once and takes its time.
func TestFaultSlowBody(t *testing.T) {
	t.Parallel()
	w := threeFindings(t)
	hash := strings.Repeat("ab", 32)
	if err := w.SetReputation("files", hash, fmt.Appendf(nil, `{"names":[%q]}`, strings.Repeat("x", 2000))); err != nil {
		t.Fatal(err)
	}
	e, _, url := broken(t, w, Fault{Method: "*", SlowBody: 40 * time.Millisecond})
	vt, err := e.StartVirusTotal(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"virustotal": vt + "/api/v3/files/" + hash, "REST": url + "/v2/" + allFindings + "/findings"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Apikey", "k")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			began := time.Now()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || len(body) < 2000 || time.Since(began) < 4*40*time.Millisecond {
				t.Errorf("status %d, %d bytes in %s, %v", resp.StatusCode, len(body), time.Since(began), err)
			}
		})
	}
}

// TestFaultServed: a write that took effect, and whose caller does not know.
func TestFaultServed(t *testing.T) {
	t.Parallel()
	e, c, _ := broken(t, threeFindings(t), Fault{Method: "UpdateSecurityMarks", Served: true, Code: codes.DeadlineExceeded})
	name := e.Names()[0]
	_, err := c.UpdateSecurityMarks(t.Context(), &securitycenterpb.UpdateSecurityMarksRequest{
		SecurityMarks: &securitycenterpb.SecurityMarks{Name: name + "/securityMarks", Marks: map[string]string{"a": "b"}},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"marks.a"}},
	})
	if upstream.Code(err) != codes.DeadlineExceeded || e.Marks(name)["a"] != "b" {
		t.Errorf("error %v, marks %v", err, e.Marks(name))
	}
}

// TestFaultListLag: a finding is notified and readable by name, and not listed.
func TestFaultListLag(t *testing.T) {
	t.Parallel()
	now := base()
	w := NewWorld(func() time.Time { return now })
	w.AddProject(Project{ID: "shop-prod-4711", Number: "415926535897", Organization: "882103374521"})
	addFinding(t, w, testFinding("old", "shop"))
	now = now.Add(time.Minute)
	published := 0
	w.OnPublish(func(Notification) { published++ })
	name := addFinding(t, w, testFinding("new", "shop"))
	_, c, _ := broken(t, w, Fault{Method: "ListFindings", ListLag: 30 * time.Second})
	for _, want := range []int{1, 2} {
		if sizes, err := listed(t.Context(), c); err != nil || sizes[0] != want {
			t.Errorf("%v listed, want %d; %v", sizes, want, err)
		}
		now = now.Add(31 * time.Second)
	}
	if _, _, ok := w.Finding(name); !ok || published != 1 {
		t.Errorf("known %v, %d notifications", ok, published)
	}
}

// TestFaultsOfVirusTotal: codes become the HTTP errors that VirusTotal documents.
func TestFaultsOfVirusTotal(t *testing.T) {
	t.Parallel()
	e, _, _ := broken(t, testWorld(t))
	url, err := e.StartVirusTotal(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[codes.Code]string{
		codes.Unavailable: "503 TransientError", codes.ResourceExhausted: "429 QuotaExceededError", codes.PermissionDenied: "403 ForbiddenError",
		codes.Unauthenticated: "401 WrongCredentialsError", codes.DeadlineExceeded: "504 DeadlineExceededError", codes.Internal: "503 TransientError",
	} {
		if err := e.SetFaults(&Faults{Rules: []Fault{{Method: "virustotal/*", Code: code}}}); err != nil {
			t.Fatal(err)
		}
		status, v := rest(t, http.MethodGet, url+"/api/v3/domains/example.com", "", "x-apikey", "k")
		if got := fmt.Sprint(status, " ", dig(v, "error.code")); got != want {
			t.Errorf("%v: %s, want %s", code, got, want)
		}
	}
}

// TestObserve: the outcome is known before the caller knows it.
func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	observe := func(c Call) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, c.Name()+" "+c.Code.String())
	}
	e, url := start(t, Options{World: threeFindings(t), Observe: observe,
		Faults: &Faults{Rules: []Fault{{Method: "domains", Code: codes.Unavailable}}}})
	vt, err := e.StartVirusTotal(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rest(t, http.MethodGet, url+"/v2/"+allFindings+"/findings", "")
	rest(t, http.MethodGet, vt+"/api/v3/domains/example.com", "", "x-apikey", "k")
	rest(t, http.MethodGet, vt+"/api/v3/files/"+strings.Repeat("00", 32), "", "x-apikey", "k")
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"ListFindings OK", "domains Unavailable", "files NotFound"}, seen); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	got, err := ParseFaults([]byte(`
seed: 7
rules:
  - {method: "*", code: UNAVAILABLE, probability: 0.25}
  - {method: ListLogEntries, project: shop, first: 3, latency: 20ms, hang: true, reset: true, per_minute: 60, retry_after: 1m}
  - {slow_body: 1s, short_pages: 2, empty_pages: true, list_lag: 90s}
`))
	want := &Faults{Seed: 7, Rules: []Fault{
		{Method: "*", Code: codes.Unavailable, Probability: 0.25},
		{Method: "ListLogEntries", Project: "shop", First: 3, Latency: 20 * time.Millisecond, Hang: true, Reset: true, PerMinute: 60, RetryAfter: time.Minute},
		{SlowBody: time.Second, ShortPages: 2, EmptyPages: true, ListLag: 90 * time.Second},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := ParseFaults(nil); err != nil || len(got.Rules) != 0 {
		t.Errorf("an empty file: %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"rules: [{code: BROKEN}]":                                   `rule 1: "BROKEN" is no code`,
		"rules: [{methods: x}]":                                     "field methods not found",
		"rules: [{probability: 2, first: -1}]":                      "rule 1: a number is below zero",
		"rules: [{method: '['}]":                                    "syntax error in pattern",
		"rules: [{latency: soon}]":                                  "cannot unmarshal",
		"rules: [{probability: .nan}]":                              "is not between 0 and 1",
		"rules: [{latency: 1s}, {latency: -1s}, {probability: -1}]": "rule 3: probability -1",
	} {
		if _, err := ParseFaults([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// TestQuotaErrorWithoutBudget: a refusal by code has the details, too.
func TestQuotaErrorWithoutBudget(t *testing.T) {
	t.Parallel()
	_, c, _ := broken(t, threeFindings(t), Fault{Method: "*", Code: codes.ResourceExhausted, RetryAfter: 3 * time.Second})
	_, err := listed(t.Context(), c)
	if got := upstream.RetryAfter(err); status.Code(errors.Unwrap(err)) != codes.ResourceExhausted || got != 3*time.Second {
		t.Errorf("error %v, retry after %s", err, got)
	}
}
