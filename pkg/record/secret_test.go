package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// TestHashOrKey: hexadecimal digits that are masked in the command line do not
// come back as an indicator; a hash does.
func TestHashOrKey(t *testing.T) {
	t.Parallel()
	const key = "9F8e7d6c5b4a39281706f5e4d3c2b1a0"
	r, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	hash := []Indicator{{Kind: "hash", Value: "9f8e7d6c5b4a39281706f5e4d3c2b1a0"}}
	for _, tt := range []struct {
		name string
		line string
		want []Indicator
	}{
		{"a key in a header", "curl -H 'X-Api-Key: " + key + "' https://10.0.0.1/", nil},
		{"a key in a flag", "app --api-key " + key, nil},
		{"a hash to compare with", "echo " + key + " /tmp/x | md5sum -c", hash},
		{"of no command line", "id", hash},
	} {
		in := Input{}
		in.Assessment.Indicators = []command.Indicator{{Kind: "hash", Value: "9f8e7d6c5b4a39281706f5e4d3c2b1a0"}}
		argv := []string{"sh", "-c", tt.line}
		in.Finding = &finding.Finding{Processes: []finding.Process{{Args: argv}}}
		if diff := cmp.Diff(tt.want, New(in, r).Indicators); diff != "" {
			t.Errorf("%s, run (-want +got):\n%s", tt.name, diff)
		}
		in.Finding = &finding.Finding{Processes: []finding.Process{{Args: []string{"bash", "/x"}, Script: &finding.File{Contents: tt.line}}}}
		if diff := cmp.Diff(tt.want, New(in, r).Indicators); diff != "" {
			t.Errorf("%s, in a script (-want +got):\n%s", tt.name, diff)
		}
		in.Finding = &finding.Finding{}
		in.Evidence = &evidence.Evidence{Config: &evidence.Config{Containers: []evidence.ContainerConfig{{Args: argv}}}}
		if diff := cmp.Diff(tt.want, New(in, r).Indicators); diff != "" {
			t.Errorf("%s, configured (-want +got):\n%s", tt.name, diff)
		}
	}
}
