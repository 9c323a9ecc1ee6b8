package emulator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/sccfilter"
)

type sccService struct {
	securitycenterpb.UnimplementedSecurityCenterServer
	world  *World
	legacy bool
	// lag is how long a finding that arrived is not listed.
	lag func() time.Duration
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func denied(permission string, s scope) error {
	return status.Errorf(codes.PermissionDenied, "Permission '%s' denied on resource '%s' (or it may not exist).", permission, s)
}

// ListFindings implements securitycenter_service.proto: page size 10 by
// default and 1,000 at most, "-" for all sources, "global" for no location.
func (s *sccService) ListFindings(_ context.Context, req *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error) {
	size, err := pageSize(req.GetPageSize(), 10, 1000)
	if err != nil {
		return nil, err
	}
	matching, err := s.search(req.GetParent(), req.GetFilter(), "securitycenter.findings.list")
	if err != nil {
		return nil, err
	}
	if err := sortFindings(matching, req.GetOrderBy()); err != nil {
		return nil, err
	}
	fields, err := listFields(req.GetFieldMask().GetPaths())
	if err != nil {
		return nil, err
	}
	resp := &securitycenterpb.ListFindingsResponse{TotalSize: total(matching)}
	shown, next, err := page(matching, size, req.GetPageToken(), req.GetParent(), req.GetFilter(), req.GetOrderBy())
	if err != nil {
		return nil, err
	}
	resp.NextPageToken = next
	for _, m := range shown {
		result := &securitycenterpb.ListFindingsResponse_ListFindingsResult{Finding: m.finding, Resource: resultResource(m.resource)}
		if fields != nil {
			result = fields(result)
		}
		resp.ListFindingsResults = append(resp.ListFindingsResults, result)
	}
	return resp, nil
}

// search gives snapshots of the findings of a parent that match a filter, in
// order of arrival.
func (s *sccService) search(parent, filter, permission string) ([]stored, error) {
	n, rest, err := parseSource(parent)
	if err != nil || rest != "" {
		return nil, invalid("Request contains an invalid argument: parent %.200q.", parent)
	}
	f, err := sccfilter.Parse(filter)
	if err != nil {
		return nil, invalid("Invalid filter: %v", err)
	}
	w := s.world
	listed := w.now().Add(-s.lag())
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.known(n.scope) {
		return nil, denied(permission, n.scope)
	}
	if _, ok := w.sources[n.key.source]; !ok && n.key.source != "-" {
		return nil, status.Errorf(codes.NotFound, "Source %q not found.", parent)
	}
	var all []stored
	for _, c := range w.candidates(f) {
		if !c.arrived.After(listed) && c.key.location == n.key.location && (n.key.source == "-" || c.key.source == n.key.source) && c.project.in(n.scope) && f.Match(c.finding, c.resource) {
			all = append(all, *c)
		}
	}
	return all, nil
}

// candidates narrows the search to named resources. The caller holds the lock.
func (w *World) candidates(f *sccfilter.Filter) []*stored {
	names, ok := f.Values("resource_name")
	if !ok {
		return w.findings
	}
	var all []*stored
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		all = append(all, w.byResource[name]...)
	}
	return all
}

// resultResource is the resource as ListFindings shows it.
func resultResource(r *securitycenterpb.Resource) *securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource {
	out := &securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource{
		Name: r.GetName(), DisplayName: r.GetDisplayName(), Type: r.GetType(), CloudProvider: r.GetCloudProvider(),
		Service: r.GetService(), Location: r.GetLocation(), ResourcePath: r.GetResourcePath(), ResourcePathString: r.GetResourcePathString(),
	}
	if gcp := r.GetGcpMetadata(); gcp != nil {
		out.CloudProviderMetadata = &securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource_GcpMetadata{GcpMetadata: gcp}
	}
	return out
}

// sortFindings orders by the documented fields, each ascending or " desc".
func sortFindings(list []stored, orderBy string) error {
	if strings.TrimSpace(orderBy) == "" {
		return nil
	}
	var keys []func(a, b stored) int
	for item := range strings.SplitSeq(orderBy, ",") {
		words := strings.Fields(item)
		if len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "desc" && words[1] != "asc" {
			return invalid("Invalid order_by %.200q.", orderBy)
		}
		compare := orderKey(words[0])
		if compare == nil {
			return invalid("Invalid order_by field %.200q.", words[0])
		}
		if len(words) == 2 && words[1] == "desc" {
			ascending := compare
			compare = func(a, b stored) int { return ascending(b, a) }
		}
		keys = append(keys, compare)
	}
	slices.SortStableFunc(list, func(a, b stored) int {
		for _, k := range keys {
			if c := k(a, b); c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}

func orderKey(field string) func(a, b stored) int {
	by := func(get func(*securitycenterpb.Finding) string) func(a, b stored) int {
		return func(a, b stored) int { return cmp.Compare(get(a.finding), get(b.finding)) }
	}
	switch field {
	case "name":
		return by((*securitycenterpb.Finding).GetName)
	case "parent":
		return by((*securitycenterpb.Finding).GetParent)
	case "category":
		return by((*securitycenterpb.Finding).GetCategory)
	case "resource_name":
		return by((*securitycenterpb.Finding).GetResourceName)
	case "state":
		return func(a, b stored) int { return cmp.Compare(a.finding.GetState(), b.finding.GetState()) }
	case "event_time":
		return func(a, b stored) int {
			return a.finding.GetEventTime().AsTime().Compare(b.finding.GetEventTime().AsTime())
		}
	}
	if key, ok := strings.CutPrefix(field, "security_marks.marks."); ok && key != "" {
		return by(func(f *securitycenterpb.Finding) string { return f.GetSecurityMarks().GetMarks()[key] })
	}
	return nil
}

// listFields makes a function that keeps only the masked fields of a result;
// nil keeps all. Paths are those of a finding, which leave the resource alone,
// or begin with "finding." or "resource.", which name all that is kept.
// Either case will do.
func listFields(paths []string) (func(*securitycenterpb.ListFindingsResponse_ListFindingsResult) *securitycenterpb.ListFindingsResponse_ListFindingsResult, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	keepFinding, keepResource := map[string]bool{}, map[string]bool{}
	allOfResource := false
	for _, path := range paths {
		keep, desc := keepFinding, (&securitycenterpb.Finding{}).ProtoReflect().Descriptor()
		rest, prefixed := strings.CutPrefix(path, "finding.")
		if after, ok := strings.CutPrefix(path, "resource."); ok {
			keep, rest, prefixed = keepResource, after, true
			desc = (&securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource{}).ProtoReflect().Descriptor()
		}
		allOfResource = allOfResource || !prefixed || path == "resource"
		first, _, _ := strings.Cut(rest, ".")
		fd := desc.Fields().ByTextName(first)
		if fd == nil {
			fd = desc.Fields().ByJSONName(first)
		}
		switch {
		case fd != nil:
			keep[fd.TextName()] = true
		case path != "resource":
			return nil, invalid("Invalid field mask path %.200q.", path)
		}
	}
	return func(r *securitycenterpb.ListFindingsResponse_ListFindingsResult) *securitycenterpb.ListFindingsResponse_ListFindingsResult {
		out := &securitycenterpb.ListFindingsResponse_ListFindingsResult{Finding: proto.CloneOf(r.GetFinding())}
		prune(out.Finding, keepFinding)
		switch {
		case allOfResource:
			out.Resource = r.GetResource()
		case len(keepResource) > 0:
			out.Resource = proto.CloneOf(r.GetResource())
			prune(out.Resource, keepResource)
		}
		return out
	}, nil
}

func prune(m proto.Message, keep map[string]bool) {
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); !keep[fd.TextName()] {
			m.ProtoReflect().Clear(fd)
		}
	}
}
