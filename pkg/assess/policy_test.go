package assess

import (
	"testing"
)

func TestDefaultPolicyTests(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	if p.Tests() < 20 {
		t.Errorf("the default policy has %d tests, want at least 20", p.Tests())
	}
	for _, f := range p.Test() {
		t.Error(f)
	}
}
