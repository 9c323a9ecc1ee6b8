package emulator

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/emulator/logquery"
)

type logService struct {
	loggingpb.UnimplementedLoggingServiceV2Server
	world      *World
	emptyPages bool
}

// ListLogEntries implements logging.proto: 1 to 100 resource names, page size
// 50 by default and 1,000 at most, timestamp order, ascending by default.
func (s *logService) ListLogEntries(_ context.Context, req *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
	size, err := pageSize(req.GetPageSize(), 50, 1000)
	if err != nil {
		return nil, err
	}
	if n := len(req.GetResourceNames()); n == 0 || n > 100 {
		return nil, invalid("resource_names has %d values: it must have between 1 and 100.", n)
	}
	descending := false
	switch strings.Join(strings.Fields(req.GetOrderBy()), " ") {
	case "", "timestamp", "timestamp asc":
	case "timestamp desc":
		descending = true
	default:
		return nil, invalid("Invalid order_by %.200q: only \"timestamp asc\" and \"timestamp desc\" are allowed.", req.GetOrderBy())
	}
	q, err := logquery.Parse(req.GetFilter())
	if err != nil {
		return nil, invalid("%v", err)
	}
	entries, err := s.world.searchLogs(req.GetResourceNames(), q)
	if err != nil {
		return nil, err
	}
	if descending {
		slices.Reverse(entries)
	}
	parameters := append([]string{req.GetFilter(), req.GetOrderBy()}, req.GetResourceNames()...)
	shown, next, err := page(entries, size, req.GetPageToken(), parameters...)
	if err != nil {
		return nil, err
	}
	if s.emptyPages && req.GetPageToken() == "" && len(shown) > 0 {
		_, first, err := page(make([]struct{}, 1), 0, "", parameters...)
		return &loggingpb.ListLogEntriesResponse{NextPageToken: first}, err
	}
	resp := &loggingpb.ListLogEntriesResponse{NextPageToken: next}
	for _, e := range shown {
		resp.Entries = append(resp.Entries, e.Proto)
	}
	return resp, nil
}

// searchLogs gives matching entries by time. Every resource name must hold a
// known project.
func (w *World) searchLogs(resources []string, q *logquery.Query) ([]*logquery.Entry, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	searched := map[*projectLogs]bool{}
	var found []*logquery.Entry
	for _, name := range resources {
		at, err := logScope(name)
		if err != nil {
			return nil, err
		}
		if !w.known(at) {
			return nil, status.Errorf(codes.PermissionDenied, "Permission denied for all log views of %s (or it may not exist).", at)
		}
		for key, p := range w.projects {
			logs := w.logs[p.ID]
			if key != p.ID || logs == nil || searched[logs] || !p.in(at) {
				continue
			}
			searched[logs] = true
			found = append(found, logs.search(q)...)
		}
	}
	slices.SortStableFunc(found, byTime)
	return found, nil
}

// search narrows by workload and time before it evaluates the query.
func (l *projectLogs) search(q *logquery.Query) []*logquery.Entry {
	list := l.all
	for _, label := range workloadLabels() {
		if names, ok := q.Values("resource.labels." + label); ok && len(names) == 1 && l.byWorkload[names[0]] != nil {
			list = l.byWorkload[names[0]]
		}
	}
	from, to := q.Between()
	at := func(i int) time.Time { return list[i].Proto.GetTimestamp().AsTime() }
	start := sort.Search(len(list), func(i int) bool { return !at(i).Before(from) })
	var found []*logquery.Entry
	for i := start; i < len(list) && (to.IsZero() || !at(i).After(to)); i++ {
		if q.Match(list[i]) {
			found = append(found, list[i])
		}
	}
	return found
}

// logScope gives the scope of a resource name: a project, organization or
// folder, or a view below one (projects/P/locations/L/buckets/B/views/V).
func logScope(name string) (scope, error) {
	parts := strings.Split(name, "/")
	view := len(parts) == 8 && parts[2] == "locations" && parts[4] == "buckets" && parts[6] == "views"
	if len(parts) != 2 && !view || slices.Contains(parts, "") {
		return scope{}, invalid("Invalid resource name %.200q.", name)
	}
	switch parts[0] {
	case "projects", "organizations", "folders":
		return scope{kind: parts[0], id: parts[1]}, nil
	}
	return scope{}, invalid("Invalid resource name %.200q.", name)
}
