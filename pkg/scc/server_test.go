package scc_test

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/scc-enricher/scc-enricher/pkg/quota"
	"github.com/scc-enricher/scc-enricher/pkg/scc"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// server is Security Command Center as far as the client needs it. It records
// requests and refuses what the API's documentation refuses.
type server struct {
	securitycenterpb.UnimplementedSecurityCenterServer

	results []*securitycenterpb.ListFindingsResponse_ListFindingsResult
	// pageLimit is the most results of a page, as the API may choose; 0 for no limit.
	pageLimit int
	// emptyPages precede the first page with results.
	emptyPages int
	// onList runs before each listing is answered; an error is the answer.
	onList func(ctx context.Context, call int) error
	// onWrite answers a write before it is checked, if it returns an error.
	onWrite func(name string, call int) error
	// readOnly are name prefixes whose scope takes no writes.
	readOnly []string

	mu     sync.Mutex
	lists  []*securitycenterpb.ListFindingsRequest
	writes []*securitycenterpb.UpdateSecurityMarksRequest
}

func (s *server) listed() []*securitycenterpb.ListFindingsRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lists)
}

func (s *server) written() []*securitycenterpb.UpdateSecurityMarksRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

var listParent = regexp.MustCompile(`^(organizations|folders|projects)/[^/]+/sources/([0-9]+|-)(/locations/[a-z0-9-]+)?$`)

func (s *server) ListFindings(ctx context.Context, req *securitycenterpb.ListFindingsRequest) (*securitycenterpb.ListFindingsResponse, error) {
	s.mu.Lock()
	s.lists = append(s.lists, proto.CloneOf(req))
	call := len(s.lists)
	s.mu.Unlock()
	if s.onList != nil {
		if err := s.onList(ctx, call); err != nil {
			return nil, err
		}
	}
	if !listParent.MatchString(req.GetParent()) {
		return nil, status.Error(codes.InvalidArgument, "parent")
	}
	if n := req.GetPageSize(); n < 0 || n > 1000 {
		return nil, status.Error(codes.InvalidArgument, "page_size")
	}
	if o := req.GetOrderBy(); o != "event_time desc" {
		return nil, status.Error(codes.InvalidArgument, "order_by")
	}
	match, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	var found []*securitycenterpb.ListFindingsResponse_ListFindingsResult
	for _, r := range s.results {
		if match(r.GetFinding()) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b *securitycenterpb.ListFindingsResponse_ListFindingsResult) int {
		return b.GetFinding().GetEventTime().AsTime().Compare(a.GetFinding().GetEventTime().AsTime())
	})
	return s.page(req, found)
}

// page returns one page; its tokens count pages and results: "3/2000".
func (s *server) page(req *securitycenterpb.ListFindingsRequest, found []*securitycenterpb.ListFindingsResponse_ListFindingsResult) (*securitycenterpb.ListFindingsResponse, error) {
	page, from := 0, 0
	if req.GetPageToken() != "" {
		if _, err := fmt.Sscanf(req.GetPageToken(), "%d/%d", &page, &from); err != nil {
			return nil, status.Error(codes.InvalidArgument, "page_token")
		}
	}
	size := int(req.GetPageSize())
	if s.pageLimit > 0 {
		size = min(size, s.pageLimit)
	}
	if page < s.emptyPages {
		size = 0
	}
	to := min(from+size, len(found))
	resp := &securitycenterpb.ListFindingsResponse{ListFindingsResults: found[from:to], TotalSize: int32(len(found))}
	if to < len(found) || page+1 < s.emptyPages {
		resp.NextPageToken = fmt.Sprintf("%d/%d", page+1, to)
	}
	return resp, nil
}

// restriction is the documented form, for the fields the client may use:
// resource_name with = and :, event_time with comparisons.
var restriction = regexp.MustCompile(`^(resource_name|event_time) ?(:|=|>=|<=|>|<) ?("(?:[^"\\]|\\.)*")$`)

// parseFilter reads restrictions joined by AND, and by OR inside parentheses.
func parseFilter(filter string) (func(*securitycenterpb.Finding) bool, error) {
	var all []func(*securitycenterpb.Finding) bool
	for _, group := range strings.Split(filter, " AND ") {
		if in, ok := strings.CutPrefix(group, "("); ok {
			if group, ok = strings.CutSuffix(in, ")"); !ok {
				return nil, fmt.Errorf("unbalanced parentheses in %q", filter)
			}
		} else if strings.Contains(group, " OR ") {
			return nil, fmt.Errorf("OR without parentheses in %q: it binds tighter than AND", filter)
		}
		var anyOf []func(*securitycenterpb.Finding) bool
		for _, r := range strings.Split(group, " OR ") {
			match, err := parseRestriction(r)
			if err != nil {
				return nil, err
			}
			anyOf = append(anyOf, match)
		}
		all = append(all, func(f *securitycenterpb.Finding) bool {
			return slices.ContainsFunc(anyOf, func(match func(*securitycenterpb.Finding) bool) bool { return match(f) })
		})
	}
	return func(f *securitycenterpb.Finding) bool {
		return !slices.ContainsFunc(all, func(match func(*securitycenterpb.Finding) bool) bool { return !match(f) })
	}, nil
}

func parseRestriction(r string) (func(*securitycenterpb.Finding) bool, error) {
	m := restriction.FindStringSubmatch(r)
	if m == nil {
		return nil, fmt.Errorf("restriction %q", r)
	}
	value, err := strconv.Unquote(m[3])
	if err != nil {
		return nil, fmt.Errorf("value %s: %w", m[3], err)
	}
	field, op := m[1], m[2]
	if field == "resource_name" {
		switch op {
		case ":":
			return func(f *securitycenterpb.Finding) bool { return strings.Contains(f.GetResourceName(), value) }, nil
		case "=":
			return func(f *securitycenterpb.Finding) bool { return f.GetResourceName() == value }, nil
		}
		return nil, fmt.Errorf("operator %q on %s", op, field)
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return nil, fmt.Errorf("event_time %q: %w", value, err)
	}
	signs := map[string][]int{">=": {0, 1}, "<=": {0, -1}, ">": {1}, "<": {-1}, "=": {0}}[op]
	if signs == nil {
		return nil, fmt.Errorf("operator %q on %s", op, field)
	}
	return func(f *securitycenterpb.Finding) bool {
		return slices.Contains(signs, f.GetEventTime().AsTime().Compare(at))
	}, nil
}

var (
	marksName = regexp.MustCompile(`^(organizations|folders|projects)/[^/]+/sources/[0-9]+(/locations/[a-z0-9-]+)?/findings/[A-Za-z0-9]+/securityMarks$`)
	maskPath  = regexp.MustCompile(`^marks\.[A-Za-z0-9_-]{1,256}$`)
)

func (s *server) UpdateSecurityMarks(_ context.Context, req *securitycenterpb.UpdateSecurityMarksRequest) (*securitycenterpb.SecurityMarks, error) {
	s.mu.Lock()
	s.writes = append(s.writes, proto.CloneOf(req))
	call := len(s.writes)
	s.mu.Unlock()
	name := req.GetSecurityMarks().GetName()
	if s.onWrite != nil {
		if err := s.onWrite(name, call); err != nil {
			return nil, err
		}
	}
	for _, scope := range s.readOnly {
		if strings.HasPrefix(name, scope) {
			return nil, status.Error(codes.InvalidArgument, "Security Command Center Legacy has been permanently disabled as of June 7, 2021. For more information, see https://cloud.google.com/security-command-center/docs.")
		}
	}
	if !marksName.MatchString(name) {
		return nil, status.Error(codes.InvalidArgument, "name")
	}
	paths := map[string]bool{}
	for _, p := range req.GetUpdateMask().GetPaths() {
		if folded := strings.ToLower(p); !maskPath.MatchString(p) || paths[folded] {
			return nil, status.Errorf(codes.InvalidArgument, "update_mask path %q", p)
		} else {
			paths[folded] = true
		}
	}
	if len(paths) == 0 {
		return nil, status.Error(codes.InvalidArgument, "an empty update_mask would replace all marks")
	}
	for k, v := range req.GetSecurityMarks().GetMarks() {
		if n := utf8.RuneCountInString(strings.TrimSpace(v)); n < 1 || n > 4096 {
			return nil, status.Errorf(codes.InvalidArgument, "value of %q", k)
		}
		if !paths["marks."+strings.ToLower(k)] {
			return nil, status.Errorf(codes.InvalidArgument, "mark %q is not in the mask", k)
		}
	}
	return req.GetSecurityMarks(), nil
}

// start serves s on loopback and returns the client under test.
func start(t testing.TB, s *server, reads, writes *quota.Budget) *scc.Client {
	t.Helper()
	return startWith(t, s, scc.Options{Reads: reads, Writes: writes})
}

func startWith(t testing.TB, s *server, o scc.Options) *scc.Client {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	securitycenterpb.RegisterSecurityCenterServer(g, s)
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	o.ClientOptions = upstream.ClientOptions("http://" + lis.Addr().String())
	c, err := scc.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
