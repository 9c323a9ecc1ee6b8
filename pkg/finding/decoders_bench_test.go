package finding

import (
	"encoding/json"
	"testing"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/encoding/protojson"
)

// BenchmarkDecoders compares Parse with what it stands in for, on one
// notification; docs/adr/0001-json-walker.md tells why.
func BenchmarkDecoders(b *testing.B) {
	data := fixture(b, "v2_unexpected_child_shell.json")
	run := func(name string, decode func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("Parse", func() error { _, err := Parse(data); return err })
	run("encoding_json_any", func() error { var v any; return json.Unmarshal(data, &v) })
	run("protojson", func() error {
		var n struct{ Finding json.RawMessage }
		if err := json.Unmarshal(data, &n); err != nil {
			return err
		}
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(n.Finding, &securitycenterpb.Finding{})
	})
}
