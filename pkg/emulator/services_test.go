package emulator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	logging "cloud.google.com/go/logging/apiv2"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

func logWorld(t testing.TB) *World {
	t.Helper()
	w := testWorld(t)
	for i := range 70 {
		// Added out of order, alternating between two services; the last two are
		// of the same time.
		n := (i * 37) % 70
		err := w.AddLogEntries(&loggingpb.LogEntry{
			LogName: "projects/shop-prod-4711/logs/run.googleapis.com%2Fstdout", InsertId: fmt.Sprintf("e%02d", n), Timestamp: timestamppb.New(base().Add(time.Duration(min(n, 68)) * time.Second)),
			Resource: &monitoredres.MonitoredResource{Type: "cloud_run_revision", Labels: map[string]string{"service_name": fmt.Sprint("s", n%2)}},
			Payload:  &loggingpb.LogEntry_TextPayload{TextPayload: "line"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func logClient(t testing.TB, url string) *logging.Client {
	t.Helper()
	c, err := logging.NewClient(t.Context(), upstream.ClientOptions(url)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func listEntries(t *testing.T, c *logging.Client, req *loggingpb.ListLogEntriesRequest) ([]string, error) {
	t.Helper()
	var ids []string
	for it := c.ListLogEntries(t.Context(), req); ; {
		e, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return ids, nil
		}
		if err != nil {
			return ids, err
		}
		ids = append(ids, e.GetInsertId())
	}
}

func TestListLogEntries(t *testing.T) {
	t.Parallel()
	shop := []string{"projects/shop-prod-4711"}
	at := func(n int) string { return base().Add(time.Duration(n) * time.Second).Format(time.RFC3339Nano) }
	tests := []struct {
		name        string
		req         *loggingpb.ListLogEntriesRequest
		n           int
		first, last string
		code        codes.Code
	}{
		{name: "two pages of fifty", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop}, n: 70, first: "e00", last: "e69"},
		{name: "descending", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, OrderBy: "timestamp desc", PageSize: 1000}, n: 70, first: "e69", last: "e00"},
		{name: "by service and time", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, Filter: fmt.Sprintf(`resource.labels.service_name="s1" timestamp>=%q timestamp<%q`, at(3), at(9))}, n: 3, first: "e03", last: "e07"},
		{name: "service in another case", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, Filter: `resource.labels.service_name="S1"`}, n: 35, first: "e01", last: "e69"},
		{name: "view, number and organization count once", req: &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/415926535897", "organizations/882103374521", "projects/shop-prod-4711/locations/global/buckets/_Default/views/_AllLogs"}}, n: 70, first: "e00", last: "e69"},
		{name: "another project", req: &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/other"}}},
		{name: "unknown project among others", req: &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/other", "projects/nope"}}, code: codes.PermissionDenied},
		{name: "no names", req: &loggingpb.ListLogEntriesRequest{}, code: codes.InvalidArgument},
		{name: "too many names", req: &loggingpb.ListLogEntriesRequest{ResourceNames: make([]string, 101)}, code: codes.InvalidArgument},
		{name: "bad name", req: &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"shop-prod-4711"}}, code: codes.InvalidArgument},
		{name: "page too large", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, PageSize: 1001}, code: codes.InvalidArgument},
		{name: "negative page", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, PageSize: -1}, code: codes.InvalidArgument},
		{name: "bad order", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, OrderBy: "severity"}, code: codes.InvalidArgument},
		{name: "bad filter", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, Filter: `thud="x"`}, code: codes.InvalidArgument},
		{name: "filter too long", req: &loggingpb.ListLogEntriesRequest{ResourceNames: shop, Filter: strings.Repeat("x", 20001)}, code: codes.InvalidArgument},
	}
	for _, empty := range []bool{false, true} {
		_, url := start(t, Options{World: logWorld(t), EmptyLogPages: empty})
		c := logClient(t, url)
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/%v", tt.name, empty), func(t *testing.T) {
				t.Parallel()
				ids, err := listEntries(t, c, tt.req)
				if upstream.Code(err) != tt.code {
					t.Fatalf("error %v, want code %v", err, tt.code)
				}
				if len(ids) != tt.n || tt.n > 0 && (ids[0] != tt.first || ids[len(ids)-1] != tt.last) {
					t.Errorf("%d entries %v, want %d from %s to %s", len(ids), ids, tt.n, tt.first, tt.last)
				}
			})
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	const at = "projects/shop-prod-4711/locations/europe-west1"
	if got := w.AddService(WorkloadSpec{Project: "shop-prod-4711", Location: "europe-west1", Name: "shop", Revision: "shop-2", Public: true, Created: base()}); got != "//run.googleapis.com/"+at+"/services/shop" {
		t.Errorf("resource name %q", got)
	}
	w.PutRun(&runpb.Revision{Name: at + "/services/shop/revisions/shop-1", CreateTime: timestamppb.New(base().Add(-time.Hour))},
		&runpb.Revision{Name: at + "/services/shop/revisions/shop-3", CreateTime: timestamppb.New(base().Add(time.Hour))})
	w.AddService(WorkloadSpec{Project: "shop-prod-4711", Location: "europe-west1", Name: "api", Created: base().Add(-time.Minute)})
	w.AddJob(WorkloadSpec{Project: "shop-prod-4711", Location: "europe-west1", Name: "export", Revision: "export-x"})
	w.AddWorkerPool(WorkloadSpec{Project: "shop-prod-4711", Location: "europe-west1", Name: "mail", Revision: "mail-1"})
	_, url := start(t, Options{World: w})
	o := upstream.ClientOptions(url)
	services, err1 := run.NewServicesClient(t.Context(), o...)
	revisions, err2 := run.NewRevisionsClient(t.Context(), o...)
	jobs, err3 := run.NewJobsClient(t.Context(), o...)
	executions, err4 := run.NewExecutionsClient(t.Context(), o...)
	pools, err5 := run.NewWorkerPoolsClient(t.Context(), o...)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = errors.Join(services.Close(), revisions.Close(), jobs.Close(), executions.Close(), pools.Close())
	})
	ctx := t.Context()
	get := func(name string, want codes.Code, f func() (interface{ GetName() string }, error)) {
		t.Helper()
		got, err := f()
		if upstream.Code(err) != want || want == codes.OK && got.GetName() != name {
			t.Errorf("%s: %v, %v; want code %v", name, got, err, want)
		}
	}
	for name, want := range map[string]codes.Code{
		at + "/services/shop": codes.OK, at + "/services/none": codes.NotFound, "projects/nope/locations/l/services/s": codes.PermissionDenied, at + "/jobs/export": codes.InvalidArgument,
	} {
		get(name, want, func() (interface{ GetName() string }, error) {
			return services.GetService(ctx, &runpb.GetServiceRequest{Name: name})
		})
	}
	get(at+"/services/shop/revisions/shop-2", codes.OK, func() (interface{ GetName() string }, error) {
		return revisions.GetRevision(ctx, &runpb.GetRevisionRequest{Name: strings.Replace(at, "shop-prod-4711", "415926535897", 1) + "/services/shop/revisions/shop-2"})
	})
	get(at+"/jobs/export", codes.OK, func() (interface{ GetName() string }, error) {
		return jobs.GetJob(ctx, &runpb.GetJobRequest{Name: at + "/jobs/export"})
	})
	get(at+"/jobs/export/executions/export-x", codes.OK, func() (interface{ GetName() string }, error) {
		return executions.GetExecution(ctx, &runpb.GetExecutionRequest{Name: at + "/jobs/export/executions/export-x"})
	})
	get(at+"/workerPools/mail", codes.OK, func() (interface{ GetName() string }, error) {
		return pools.GetWorkerPool(ctx, &runpb.GetWorkerPoolRequest{Name: at + "/workerPools/mail"})
	})
	for parent, want := range map[string][]string{
		at + "/services/shop":    {"shop-3", "shop-2", "shop-1"},
		at + "/services/-":       {"shop-3", "shop-2", "api-00001-abc", "shop-1"},
		at + "/workerPools/mail": {"mail-1"},
	} {
		var got []string
		for r, err := range revisions.ListRevisions(ctx, &runpb.ListRevisionsRequest{Parent: parent, PageSize: 2}).All() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.GetName()[strings.LastIndexByte(r.GetName(), '/')+1:])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("revisions of %s (-want +got):\n%s", parent, diff)
		}
	}
	if _, err := services.ListServices(ctx, &runpb.ListServicesRequest{Parent: "projects/shop-prod-4711/locations/-"}).Next(); upstream.Code(err) != codes.InvalidArgument {
		t.Errorf("listing services of location - gives %v", err)
	}
	if s, err := services.ListServices(ctx, &runpb.ListServicesRequest{Parent: at}).Next(); err != nil || s.GetName() != at+"/services/shop" {
		t.Errorf("first service %v, %v", s, err)
	}
	if p, err := services.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: at + "/services/shop"}); err != nil || len(p.GetBindings()) != 1 {
		t.Errorf("policy %v, %v", p, err)
	}
	if p, err := jobs.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: at + "/jobs/export"}); err != nil || len(p.GetBindings()) != 0 {
		t.Errorf("policy %v, %v", p, err)
	}
	if _, err := pools.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: at + "/workerPools/none"}); upstream.Code(err) != codes.NotFound {
		t.Errorf("policy of nothing gives %v", err)
	}
}
