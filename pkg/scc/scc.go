// Package scc talks to Security Command Center (API version 2, gRPC): it lists
// findings, those of one workload or all that are active, and writes security
// marks.
//
// Every request on the wire, repeated ones included, spends from the budget of
// its kind. A mark write names exactly the keys it was given, so nobody else's
// mark is ever touched.
//
// The identity needs roles/securitycenter.findingsViewer to list and
// roles/securitycenter.findingSecurityMarksWriter to write.
package scc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	securitycenter "cloud.google.com/go/securitycenter/apiv2"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// Options configure New.
type Options struct {
	// ClientOptions say how to reach the API; see upstream.ClientOptions.
	ClientOptions []option.ClientOption
	// Reads and Writes are the budgets of the API's two per-minute quotas,
	// 1,000 each by default for a project (Security Command Center, "Quotas
	// and limits"). A nil budget allows everything.
	Reads, Writes *quota.Budget
	// ReadCircuit and WriteCircuit spare an API that is down; nil never does.
	ReadCircuit, WriteCircuit *upstream.Circuit
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// History is how far back listings of related findings reach for what ran
	// before, see Client.ReadHistory; 0 for not at all.
	History time.Duration
}

// Client lists findings and writes marks. It is safe for concurrent use.
type Client struct {
	api     *securitycenter.Client
	reads   *quota.Budget
	writes  *quota.Budget
	reading *upstream.Circuit
	writing *upstream.Circuit
	now     func() time.Time
	flights flights
	scopes  scopes
	back    time.Duration
	past    past
}

var (
	_ evidence.FindingLister = (*Client)(nil)
	_ evidence.HistoryReader = (*Client)(nil)
)

// New returns a client. It does not call the API.
func New(ctx context.Context, o Options) (*Client, error) {
	c := &Client{reads: o.Reads, writes: o.Writes, reading: o.ReadCircuit, writing: o.WriteCircuit, now: o.Now, back: o.History}
	if c.now == nil {
		c.now = time.Now
	}
	opts := append([]option.ClientOption{}, o.ClientOptions...)
	api, err := securitycenter.NewClient(ctx, append(opts, upstream.Guard(c.circuit), upstream.Spend(c.spend))...)
	if err != nil {
		return nil, fmt.Errorf("create Security Command Center client: %w", err)
	}
	c.api = api
	return c, nil
}

// Close closes the connection; calls under way fail.
func (c *Client) Close() error {
	if err := c.api.Close(); err != nil {
		return fmt.Errorf("close Security Command Center client: %w", err)
	}
	return nil
}

// isWrite tells the one method that writes.
func isWrite(method string) bool { return strings.HasSuffix(method, "/UpdateSecurityMarks") }

// spend takes one request from the budget of the method's kind.
func (c *Client) spend(method string) error {
	if isWrite(method) {
		return c.writes.Take()
	}
	return c.reads.Take()
}

// circuit is that of the method's kind: listing may be down while marks can be
// written, and the other way round.
func (c *Client) circuit(method string) *upstream.Circuit {
	if isWrite(method) {
		return c.writing
	}
	return c.reading
}

// How long a budget stays closed after the API itself refused a call over
// quota: as long as it asks for, within bounds, or a guess. The quota refills
// within the minute.
const (
	refusedDefault = 10 * time.Second
	refusedMin     = time.Second
	refusedMax     = time.Minute
)

// classify turns the API's error into one of package evidence. An answer over
// quota closes the budget for a while: further calls could only be refused.
func (c *Client) classify(doing string, budget *quota.Budget, err error) error {
	if upstream.Code(err) == codes.NotFound {
		// A parent that does not exist is a fault of the configuration, or
		// Security Command Center is not active there: not an empty answer.
		return fmt.Errorf("%s: no such parent: %w", doing, err)
	}
	own, _ := errors.AsType[*evidence.QuotaError](err)
	if own != nil || upstream.Code(err) != codes.ResourceExhausted {
		return upstream.Classify(doing, err)
	}
	wait := upstream.RetryAfter(err)
	if wait == 0 {
		wait = refusedDefault
	}
	until := c.now().Add(min(max(wait, refusedMin), refusedMax))
	budget.Exhaust(quota.Minute, until)
	over := &evidence.QuotaError{Upstream: "securitycenter", Scope: quota.Minute, Until: until}
	return fmt.Errorf("%s: %w: %w", doing, over, err)
}
