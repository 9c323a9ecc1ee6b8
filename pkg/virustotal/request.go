package virustotal

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	vt "github.com/VirusTotal/vt-go"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

const (
	// maxBodyBytes bounds an answer, decompressed. Reports of files are some
	// hundred kilobytes.
	maxBodyBytes = 4 << 20
	// agent names us in the User-Agent header.
	agent = "scc-enricher"
	// unclearStrikes is how many minutes in a row VirusTotal may say "quota"
	// without saying which before it is taken for the daily one.
	unclearStrikes = 3
	// maxRetryAfter bounds how long a Retry-After header is believed.
	maxRetryAfter = time.Hour
)

// failure is a request that VirusTotal did not answer with an object. It tells
// the status and VirusTotal's own code, and nothing else of the answer.
type failure struct {
	status int
	code   string
	// message is VirusTotal's text; it is read, never repeated.
	message    string
	retryAfter string
}

// Error tells status and code.
func (f *failure) Error() string {
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", f.status, f.code))
}

// request makes one request, unless VirusTotal is down, spending from the
// budget first.
func (c *Client) request(ctx context.Context, t target) (evidence.Reputation, error) {
	if err := c.refused(); err != nil {
		return evidence.Reputation{}, err
	}
	end, err := c.circuit.Begin()
	if err != nil {
		return evidence.Reputation{}, err
	}
	sign := upstream.Nothing
	defer func() { end(sign) }()
	if err := c.budget.Take(); err != nil {
		return evidence.Reputation{}, err
	}
	data, err := c.get(ctx, t.path)
	sign = signOf(ctx, err)
	if err == nil {
		c.calm()
		return c.finish(reportOf(t, data))
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return evidence.Reputation{}, fmt.Errorf("ask VirusTotal: %w", err)
	}
	switch {
	case f.status == http.StatusTooManyRequests, f.code == "QuotaExceededError", f.code == "TooManyRequestsError":
		return evidence.Reputation{}, c.exhaust(f)
	case f.status == http.StatusUnauthorized, f.status == http.StatusForbidden:
		return evidence.Reputation{}, c.refuse(f)
	case f.code == "NotFoundError":
		c.calm()
		return c.finish(evidence.Reputation{State: evidence.Empty, Verdict: evidence.VerdictNotFound, URL: t.gui, Reason: "unknown to VirusTotal"}, nil)
	}
	return evidence.Reputation{}, fmt.Errorf("ask VirusTotal: %w", f)
}

// signOf says what the outcome of a request says of VirusTotal: whatever it
// answers it is alive, but for the server errors.
func signOf(ctx context.Context, err error) upstream.Sign {
	f, answered := errors.AsType[*failure](err)
	switch {
	case err == nil, answered && f.status < http.StatusInternalServerError, errors.Is(err, errNotJSON):
		return upstream.Alive
	case errors.Is(ctx.Err(), context.Canceled):
		return upstream.Nothing
	case errors.Is(err, context.DeadlineExceeded):
		return upstream.DeadlineExceeded
	default:
		return upstream.Unavailable
	}
}

// errNotJSON: something answered, which is not VirusTotal.
var errNotJSON = errors.New("the answer is not VirusTotal's JSON")

// finish dates an answer.
func (c *Client) finish(r evidence.Reputation, err error) (evidence.Reputation, error) {
	r.AskedAt = c.now().UTC()
	return r, err
}

// get asks vt-go for the data of one object.
func (c *Client) get(ctx context.Context, path string) (json.RawMessage, error) {
	call := &transport{ctx: ctx, base: c.transport, endpoint: c.endpoint}
	client := vt.NewClient(c.key(), vt.WithHTTPClient(&http.Client{Transport: call, Timeout: c.timeout}))
	client.Agent = agent
	resp, err := client.Get(vt.URL("%s", path))
	if ve, ok := errors.AsType[vt.Error](err); ok {
		return nil, &failure{status: http.StatusOK, code: code(ve.Code), message: ve.Message}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		// A *url.Error repeats the address, and so do vt-go's own errors. The
		// address holds the indicator; what is inside the former is enough.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			return nil, ue.Err
		}
		return nil, errNotJSON
	}
	if resp == nil || len(resp.Data) == 0 {
		return nil, errors.New("answer without data")
	}
	return resp.Data, nil
}

// transport carries one request of vt-go.
type transport struct {
	ctx      context.Context
	base     http.RoundTripper
	endpoint *url.URL
}

// RoundTrip sends the request under the call's context to the configured
// endpoint. It reads the whole answer, so that vt-go sees only bounded ones,
// and returns a failure for every status that is no success, redirects
// included: the key goes to the endpoint and nowhere else.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	defer context.AfterFunc(req.Context(), cancel)() // the http.Client's own timeout
	out := req.Clone(ctx)
	if t.endpoint != nil {
		out.URL.Scheme, out.URL.Host, out.Host = t.endpoint.Scheme, t.endpoint.Host, ""
	}
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readBody(resp)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, failureOf(resp, body)
	}
	resp.Header.Del("Content-Encoding")
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// readBody reads at most maxBodyBytes, decompressed, and refuses more. vt-go
// asks for gzip itself, so Go's transport does not undo it.
func readBody(resp *http.Response) ([]byte, error) {
	var r io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	}
	body, err := io.ReadAll(io.LimitReader(r, maxBodyBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBodyBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxBodyBytes)
	}
	return body, nil
}

// failureOf reads {"error": {"code": ..., "message": ...}}; any other body, or
// none, leaves the status alone.
func failureOf(resp *http.Response, body []byte) *failure {
	f := &failure{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	var e struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(body, &e) == nil {
		f.code, f.message = code(e.Error.Code), e.Error.Message
	}
	return f
}

// code returns an error code if it looks like one, so that no other text of
// the answer gets into errors.
func code(s string) string {
	if len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
		return ""
	}
	return s
}

// exhaust closes the budget. The minute, the day and the month share one
// status and one code; only the text may tell them apart
// (https://docs.virustotal.com/reference/errors). An unclear one is taken for
// the minute's, until it comes back in the following minutes.
func (c *Client) exhaust(f *failure) error {
	now := c.now()
	text := strings.ToLower(f.message)
	day := strings.Contains(text, "daily") || strings.Contains(text, "day") || strings.Contains(text, "month")
	plain := day || f.code == "TooManyRequestsError" || strings.Contains(text, "minute") || strings.Contains(text, "hour")
	if !plain && c.strike(now) {
		day = true
	}
	q := &evidence.QuotaError{Upstream: "virustotal", Scope: quota.Minute, Until: now.Add(retryAfter(f.retryAfter, now))}
	if day {
		q.Scope, q.Until = quota.Day, now.UTC().Truncate(24*time.Hour).Add(24*time.Hour)
	}
	c.budget.Exhaust(q.Scope, q.Until)
	return q
}

// retryAfter reads a Retry-After header, in seconds or as a date; a minute
// without one.
func retryAfter(header string, now time.Time) time.Duration {
	d := time.Duration(0)
	if s, err := strconv.Atoi(header); err == nil {
		d = time.Duration(min(s, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	if d <= 0 {
		return time.Minute
	}
	return min(d, maxRetryAfter)
}

// strike counts an unclear quota refusal and reports whether there were enough
// to take it for the day's. Refusals of requests in flight together count once.
func (c *Client) strike(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.strikes == 0 || now.Sub(c.struck) >= 50*time.Second {
		c.strikes++
		c.struck = now
	}
	if c.strikes < unclearStrikes {
		return false
	}
	c.strikes = 0
	return true
}

// calm forgets the strikes, and that the key was refused: it was not.
func (c *Client) calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.strikes, c.denied = 0, nil
}

// refuse remembers for a while that the key was refused.
func (c *Client) refuse(f *failure) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied, c.deniedUntil = fmt.Errorf("ask VirusTotal: %w: %w", evidence.ErrDenied, f), c.now().Add(deniedFor)
	return c.denied
}

// refused returns the error of a key that was refused a short while ago.
func (c *Client) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denied != nil && c.now().Before(c.deniedUntil) {
		return c.denied
	}
	return nil
}
