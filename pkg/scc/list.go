package scc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// ListQuery says which findings ListPage lists.
type ListQuery struct {
	// Parent is "organizations/N", "folders/N" or "projects/P".
	Parent string
	// Location is a location of Security Command Center; empty is "global".
	Location string
	// Since is the earliest event time, reduced to the full second before it.
	Since time.Time
}

// Page is one page of a listing.
type Page struct {
	// Findings are in the order of their event times, the earliest first.
	Findings []finding.Finding
	// Unreadable counts results that are no finding: without a valid name.
	Unreadable int
	// Next is the token of the next page; empty after the last one. A page may
	// be empty and still have a next one.
	Next string
	// Total is how many findings match on all pages, as the API estimates it.
	Total int
}

// ListPage returns one page, of at most 1,000, of the active findings about
// Cloud Run resources whose event time is q.Since or later. The first page has
// an empty token; the others the Next of the page before, with the same query.
// Muted findings are among them.
//
// evidence.ErrQuota (our own budget or the API's) says when to ask again;
// evidence.ErrDenied does not heal. An attempt on the wire that may heal is
// repeated here while ctx lasts.
func (c *Client) ListPage(ctx context.Context, q ListQuery, token string) (Page, error) {
	doing := "list findings of " + q.Parent
	req, err := listRequest(q)
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	it := c.api.ListFindings(ctx, req, upstream.Retry())
	results, next, err := it.InternalFetch(pageSize, token)
	if err != nil {
		return Page{}, c.classify(doing, c.reads, err)
	}
	page := Page{Findings: make([]finding.Finding, 0, len(results)), Next: next}
	if resp, ok := it.Response.(*securitycenterpb.ListFindingsResponse); ok {
		page.Total = int(resp.GetTotalSize())
	}
	for _, r := range results {
		f := finding.FromProto(r.GetFinding(), r.GetResource())
		if f == nil {
			page.Unreadable++
			continue
		}
		page.Findings = append(page.Findings, *f)
	}
	return page, nil
}

// cloudRun begins the full resource name of everything in Cloud Run.
const cloudRun = "//run.googleapis.com/"

// listRequest writes the request for q with the fields and operators that
// ListFindingsRequest.filter documents: ":" is the substring operator, and
// whether a finding is muted is not among the fields.
func listRequest(q ListQuery) (*securitycenterpb.ListFindingsRequest, error) {
	location := q.Location
	if location == "" {
		location = "global"
	}
	switch {
	case !scope.MatchString(q.Parent):
		return nil, fmt.Errorf("parent %q is no organization, folder or project", q.Parent)
	case !plain.MatchString(location):
		return nil, fmt.Errorf("location %q is no location", q.Location)
	case q.Since.IsZero():
		return nil, errors.New("no time to list from")
	}
	return &securitycenterpb.ListFindingsRequest{
		Parent: q.Parent + "/sources/-/locations/" + location,
		Filter: fmt.Sprintf("resource_name : %q AND event_time >= %q AND state = %q",
			cloudRun, q.Since.UTC().Truncate(time.Second).Format(time.RFC3339), "ACTIVE"),
		OrderBy:  "event_time",
		PageSize: pageSize,
	}, nil
}
