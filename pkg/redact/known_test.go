package redact

import (
	"fmt"
	"strings"
	"testing"
)

// TestKnown: what was found clean once is the same text again, and the set
// stays within its bounds.
func TestKnown(t *testing.T) {
	t.Parallel()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"plain words", "two  spaces", "a\nb", "DB_PASSWORD=hunter2222", "x\x1b[31m", strings.Repeat("long ", 200), "ends here "} {
		for _, limit := range []int{0, 5, 2000} {
			fresh, err := New()
			if err != nil {
				t.Fatal(err)
			}
			if first, again := fresh.Line(s, limit), r.Line(s, limit); first != again {
				t.Errorf("Line(%q, %d) is %q at first and %q then", s, limit, first, again)
			}
			if first, again := fresh.Text(s), r.Text(s); first != again {
				t.Errorf("Text(%q) is %q at first and %q then", s, first, again)
			}
		}
	}
	for _, secret := range []string{"DB_PASSWORD=hunter2222", strings.Repeat("long ", 200)} {
		if r.clean.has(secret) || r.lines.has(secret) {
			t.Errorf("%.40q is remembered", secret)
		}
	}
	var k known
	for i := range 5 * maxKnown {
		k.add(fmt.Sprint(i))
		if !k.has("0") && i < maxKnown {
			t.Fatal("the first text is forgotten too early")
		}
	}
	if n := len(k.young) + len(k.old); n > 2*maxKnown {
		t.Errorf("%d texts are remembered, want at most %d", n, 2*maxKnown)
	}
	if k.has("1") {
		t.Error("a text that nobody asked for is not forgotten")
	}
}
