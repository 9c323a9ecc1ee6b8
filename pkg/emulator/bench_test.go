package emulator

import (
	"fmt"
	"net"
	"testing"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// BenchmarkCalls prints what one mark write and one narrow list cost, client
// included, over the shared port and over gRPC's own transport.
func BenchmarkCalls(b *testing.B) {
	w := testWorld(b)
	for i := range 2000 {
		addFinding(b, w, testFinding(fmt.Sprint("f", i), fmt.Sprint("s", i%1000)))
	}
	e, shared := start(b, Options{World: w, Quotas: unlimited(), RecordLimit: 1})
	var lc net.ListenConfig
	l, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = e.ServeGRPC(b.Context(), l) }()
	for name, url := range map[string]string{"shared": shared, "native": "http://" + l.Addr().String()} {
		c := sccClient(b, url)
		b.Run("write/"+name, func(b *testing.B) {
			for i := range b.N {
				_, err := c.UpdateSecurityMarks(b.Context(), &securitycenterpb.UpdateSecurityMarksRequest{
					SecurityMarks: &securitycenterpb.SecurityMarks{Name: findingPrefix + fmt.Sprint("f", i%2000, "/securityMarks"), Marks: map[string]string{"enrich_a": "b"}},
					UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"marks.enrich_a"}},
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("list/"+name, func(b *testing.B) {
			for i := range b.N {
				req := &securitycenterpb.ListFindingsRequest{Parent: "projects/shop-prod-4711/sources/-",
					Filter: fmt.Sprintf(`resource_name="//run.googleapis.com/projects/shop-prod-4711/locations/europe-west1/services/s%d" AND event_time>0`, i%1000)}
				if _, err := c.ListFindings(b.Context(), req).Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
