package finding

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzUnescaped holds that a text with escapes is what encoding/json says.
func FuzzUnescaped(f *testing.F) {
	for _, s := range []string{
		`a\"b`, `\\\/\b\f\n\r\t`, `\u0041\u00e9\u20AC`, `\ud83d\ude00`, `\ud83d`, `\ufffd`, `\u12`, `\u+123`, `\x`, `\`, "a\nb\\n", `a"b\n`, `é\n`, `\u0000`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !utf8.Valid(raw) {
			t.Skip()
		}
		got, ok := unescaped(raw)
		if !ok {
			return
		}
		var want string
		if err := json.Unmarshal([]byte(`"`+string(raw)+`"`), &want); err != nil || got != want {
			t.Errorf("unescaped(%q) is %q, want %q, %v", raw, got, want, err)
		}
	})
}

// TestUnescaped: the escapes that notifications have need no second look.
func TestUnescaped(t *testing.T) {
	t.Parallel()
	got, ok := unescaped([]byte(`id; echo \"x\" \u003e /tmp/y\n\\d\/`))
	if want := "id; echo \"x\" > /tmp/y\n\\d/"; !ok || got != want {
		t.Errorf("%q, %t, want %q", got, ok, want)
	}
}
