package marks

import (
	"maps"
	"strings"
	"time"
)

// Patch returns the marks of ours in existing with some changed, by name
// without prefix; an empty value removes a mark. Time and digest are those of
// the patched marks. It is for bringing late news to a finding whose own
// evidence cannot be had again.
func Patch(existing map[string]string, change map[string]string, prefix string, now time.Time) Set {
	values := map[string]string{}
	for name, m := range pick(prefix, existing) {
		values[name] = m.value
	}
	maps.Copy(values, change)
	maps.DeleteFunc(values, func(_, v string) bool { return v == "" })
	values["time"] = now.UTC().Truncate(time.Second).Format(time.RFC3339)
	out := Set{Values: make(map[string]string, len(values)+1), Digest: digest(func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	})}
	values["digest"] = out.Digest
	for name, value := range values {
		out.Values[lower(prefix)+name] = value
	}
	return out
}

// Equal reports whether two values are the same to Security Command Center,
// which trims values and does not regard case.
func Equal(a, b string) bool { return lower(strings.TrimSpace(a)) == lower(strings.TrimSpace(b)) }
