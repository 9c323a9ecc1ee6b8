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

// TestVaultWord: gitleaks' expression wants as many letters or digits after
// the keyword as are asked for before it runs.
func TestVaultWord(t *testing.T) {
	t.Parallel()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	token := "s.Zq8mXw3Lr5Tn7Vb1Kd9Pf2Hc" // made up: 24 behind the keyword
	for text, want := range map[string]string{
		"vault login " + token:                  "vault login " + Mask,
		token:                                   Mask,
		"run.services." + token + "; run.jobs.": "run.services." + Mask + "; run.jobs.",
		"vault login " + token[:len(token)-1]:   "vault login " + token[:len(token)-1],
	} {
		if got := r.Text(text); got != want {
			t.Errorf("Text(%q) is %q, want %q", text, got, want)
		}
	}
	found := false
	for _, rule := range r.leaks.rules {
		if rule.id != vaultRule {
			continue
		}
		re, err := rule.regex()
		if err != nil {
			t.Fatal(err)
		}
		found = strings.Contains(re.String(), fmt.Sprintf(`s\.(?i:[a-z0-9]{%d})`, vaultAlnum))
	}
	if !found {
		t.Error("gitleaks' rule for Vault's tokens is another one now")
	}
}
