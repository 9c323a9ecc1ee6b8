// Package virustotal asks VirusTotal what it knows about files, domains, IP
// addresses and URLs. It only looks up: it never uploads, and never submits.
// Even a lookup tells VirusTotal the hash or indicator, so what is private,
// reserved or incomplete is not asked at all.
//
// It is the only package that imports vt-go, and it keeps that client's
// peculiarities inside: vt-go knows no context, no deadline and no HTTP status,
// and its host is global to the process. Each request therefore goes through a
// transport of its own that carries the context, points at the configured
// endpoint, bounds the answer and turns every status that is no success into
// an error.
//
// Every request spends from the budget before it is made; when VirusTotal says
// that a quota is spent, the budget is closed until it refills. Answers are
// cached, 24 hours for what VirusTotal knows and 1 hour for what it does not,
// at most 10,000 of them. Equal lookups at the same time share one request,
// which outlives a caller that gives up: it is paid for.
//
// A verdict is reached by these thresholds, on the engines that answered:
//
//	malicious   at least 3 engines say so, or VirusTotal's own assessment does
//	suspicious  1 or 2 engines say malicious, or at least 2 suspicious, or
//	            VirusTotal's own assessment does
//	clean       engines answered, and none of the above
//
// One engine of seventy is more often wrong than right, hence the 3. An object
// that no engine has answered for has no verdict.
package virustotal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

const (
	// maxAsked bounds the requests one Lookup makes; answers from the cache
	// do not count.
	maxAsked = 20
	// concurrency bounds the requests one Lookup has in flight.
	concurrency = 2
	// cacheEntries bounds the cache.
	cacheEntries = 10_000
	// hitTTL and missTTL are how long an answer is used.
	hitTTL  = 24 * time.Hour
	missTTL = time.Hour
	// requestTimeout bounds one shared request.
	requestTimeout = 30 * time.Second
	// deniedFor is how long a refused key is not tried again.
	deniedFor = 5 * time.Minute
)

// Options says how to reach VirusTotal.
type Options struct {
	// APIKey is the key; without one every lookup is disabled. It never
	// appears in errors, and Options print without it.
	APIKey string
	// Endpoint is "scheme://host:port"; empty means VirusTotal's own.
	Endpoint string
	// HTTPClient supplies the transport and a timeout; the default transport
	// if nil. Redirects are never followed.
	HTTPClient *http.Client
	// Budget is spent before each request; nil allows everything.
	Budget *quota.Budget
	// Circuit spares VirusTotal while it is down; nil never does.
	Circuit *upstream.Circuit
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// String prints the options without the key.
func (o Options) String() string {
	key := "none"
	if o.APIKey != "" {
		key = "REDACTED"
	}
	return fmt.Sprintf("virustotal.Options{APIKey: %s, Endpoint: %q}", key, o.Endpoint)
}

// GoString prints the options without the key.
func (o Options) GoString() string { return o.String() }

// Client looks artifacts up. It is safe for concurrent use.
type Client struct {
	// key is a function so that no way of printing a Client shows it; nil
	// means that there is none.
	key       func() string
	endpoint  *url.URL
	transport http.RoundTripper
	timeout   time.Duration
	budget    *quota.Budget
	circuit   *upstream.Circuit
	now       func() time.Time

	cache  *otter.Cache[string, evidence.Reputation]
	flight singleflight.Group

	mu sync.Mutex
	// deniedUntil is when a refused key may be tried again, denied why it was.
	deniedUntil time.Time
	denied      error
	// strikes counts quota refusals in a row that did not say which quota, at
	// most one a minute; struck is the latest.
	strikes int
	struck  time.Time
}

var _ evidence.ReputationReader = (*Client)(nil)

// String names the Client and nothing inside it.
func (c *Client) String() string { return "virustotal.Client" }

// GoString names the Client and nothing inside it.
func (c *Client) GoString() string { return c.String() }

// maxIdleConns is how many connections wait for the next lookup: as many as
// deliveries are handled at once. HTTP/2 needs one, a proxy with HTTP/1.1 one a
// lookup, and Go keeps two.
const maxIdleConns = 64

// newTransport is the default transport with room for connections.
func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = maxIdleConns
	return t
}

// New returns a Client, or an error if an option is invalid.
func New(o Options) (*Client, error) {
	c := &Client{budget: o.Budget, circuit: o.Circuit, now: o.Now, transport: newTransport()}
	if c.now == nil {
		c.now = time.Now
	}
	if err := errors.Join(CheckKey(o.APIKey), CheckEndpoint(o.Endpoint)); err != nil {
		return nil, err
	}
	if key := strings.TrimSpace(o.APIKey); key != "" {
		c.key = func() string { return key }
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil {
			return nil, errEndpoint
		}
		c.endpoint = u
	}
	if o.HTTPClient != nil {
		c.timeout = o.HTTPClient.Timeout
		if o.HTTPClient.Transport != nil {
			c.transport = o.HTTPClient.Transport
		}
	}
	cache, err := otter.New(&otter.Options[string, evidence.Reputation]{
		MaximumSize: cacheEntries,
		Executor:    func(work func()) { work() }, // cheaper than a goroutine for each write
		Clock:       clock{c.now},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, evidence.Reputation]) time.Duration {
			if e.Value.State == evidence.OK {
				return hitTTL
			}
			return missTTL
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("make the VirusTotal cache: %w", err)
	}
	c.cache = cache
	return c, nil
}

var errEndpoint = errors.New("the VirusTotal endpoint is not scheme://host:port")

// CheckKey returns why no API key can be like this, without quoting it. Empty
// is no key, which is no fault; space around a key does not matter.
func CheckKey(key string) error {
	if strings.ContainsFunc(strings.TrimSpace(key), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the VirusTotal API key holds characters that no key has")
	}
	return nil
}

// CheckEndpoint returns why the endpoint is not "scheme://host:port", without
// quoting it. Empty is VirusTotal's own.
func CheckEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return errEndpoint
	}
	return nil
}

// clock makes a function the clock of the cache. It never ticks: expired
// answers are not used, and the bound removes them.
type clock struct{ now func() time.Time }

func (c clock) NowNano() int64                    { return c.now().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// Lookup returns one Reputation an artifact, in the same order, each with the
// State of its own lookup: NotApplicable where it must not be asked, Empty
// where VirusTotal does not know it or has never analysed it. At most 20 are
// requested in one call; those beyond are Partial and can be asked again, when
// the first ones come from the cache.
//
// The error is nil if every artifact that applies was answered. It wraps
// evidence.ErrPartial if some were, and evidence.ErrQuota (as a QuotaError that
// says when the quota refills), evidence.ErrDenied, context.DeadlineExceeded or
// another error for what went wrong. Without a key it is evidence.ErrDisabled.
func (c *Client) Lookup(ctx context.Context, artifacts []evidence.Artifact) ([]evidence.Reputation, error) {
	if c.key == nil {
		return disabled(artifacts), fmt.Errorf("look up reputations: %w", evidence.ErrDisabled)
	}
	out := make([]evidence.Reputation, len(artifacts))
	errs := make([]error, len(artifacts))
	first := map[string]int{} // index of the first artifact of each key
	same := map[int]int{}     // later artifacts of the same key
	asked := 0
	var g errgroup.Group
	g.SetLimit(concurrency)
	for i, a := range artifacts {
		t, err := targetOf(a)
		if err != nil {
			out[i] = evidence.Reputation{State: evidence.NotApplicable, Reason: err.Error()}
			continue
		}
		if j, ok := first[t.key()]; ok {
			same[i] = j
			continue
		}
		first[t.key()] = i
		if r, ok := c.cache.GetIfPresent(t.key()); ok {
			out[i] = r
			continue
		}
		if asked == maxAsked {
			errs[i] = evidence.ErrPartial
			out[i] = evidence.Reputation{State: evidence.Partial, URL: t.gui, Reason: fmt.Sprintf("more than %d artifacts to ask at once", maxAsked)}
			continue
		}
		asked++
		g.Go(func() error {
			if out[i], errs[i] = c.one(ctx, t); errs[i] != nil {
				out[i] = failed(t, errs[i])
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for i, j := range same {
		out[i], errs[i] = out[j], errs[j]
	}
	for i, a := range artifacts {
		out[i].Artifact = a
		out[i].Names = slices.Clone(out[i].Names)
	}
	return out, overall(out, errs)
}

// disabled are the reputations of a Client without a key.
func disabled(artifacts []evidence.Artifact) []evidence.Reputation {
	var out []evidence.Reputation
	for _, a := range artifacts {
		out = append(out, evidence.Reputation{Artifact: a, State: evidence.Disabled, Reason: "no API key"})
	}
	return out
}

// one answers from the cache or makes one request, shared with whoever else
// asks for the same.
func (c *Client) one(ctx context.Context, t target) (evidence.Reputation, error) {
	if err := ctx.Err(); err != nil {
		return evidence.Reputation{}, err
	}
	done := c.flight.DoChan(t.key(), func() (any, error) {
		if r, ok := c.cache.GetIfPresent(t.key()); ok {
			return r, nil
		}
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		r, err := c.request(own, t)
		if err != nil {
			return nil, err
		}
		c.cache.Set(t.key(), r)
		return r, nil
	})
	select {
	case res := <-done:
		r, _ := res.Val.(evidence.Reputation)
		return r, res.Err
	case <-ctx.Done():
		return evidence.Reputation{}, ctx.Err()
	}
}

// failed is the Reputation of a lookup that got no answer.
func failed(t target, err error) evidence.Reputation {
	r := evidence.Reputation{State: evidence.StateOf(err, false), URL: t.gui, Reason: "the request failed"}
	var (
		q *evidence.QuotaError
		f *failure
		d *upstream.DownError
	)
	switch {
	case errors.As(err, &q):
		r.Reason = q.Error()
	case errors.As(err, &f):
		r.Reason = f.Error()
	case errors.As(err, &d):
		r.Reason = d.Error()
	case r.State == evidence.Timeout:
		r.Reason = "no answer in time"
	case errors.Is(err, context.Canceled):
		r.Reason = "cancelled"
	}
	return r
}

// overall is the error of a Lookup: nil, or the most telling failure.
func overall(reps []evidence.Reputation, errs []error) error {
	answered, missing := 0, 0
	for i, r := range reps {
		switch {
		case errs[i] != nil:
			missing++
		case r.State == evidence.OK || r.State == evidence.Empty:
			answered++
		}
	}
	if missing == 0 {
		return nil
	}
	doing := fmt.Sprintf("look up %d of %d artifacts", missing, len(reps))
	why := telling(errs)
	if answered > 0 && !errors.Is(why, evidence.ErrPartial) {
		return fmt.Errorf("%s: %w: %w", doing, evidence.ErrPartial, why)
	}
	return fmt.Errorf("%s: %w", doing, why)
}

// telling picks the failure that says most about what to do next.
func telling(errs []error) error {
	for _, kind := range []error{evidence.ErrQuota, evidence.ErrDenied, context.DeadlineExceeded} {
		for _, err := range errs {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	var why error
	for _, err := range errs {
		if err != nil && (why == nil || errors.Is(why, evidence.ErrPartial)) {
			why = err
		}
	}
	return why
}
