package record

import (
	"slices"
	"strings"
)

// secret reports whether a value is masked where a command line, configured or
// run, or a script names it: an API key of 32 hexadecimal digits looks like a
// hash only when it stands alone.
func (b *builder) secret(value string) bool {
	value = strings.ToLower(value)
	holds := func(text string) bool { return strings.Contains(strings.ToLower(text), value) }
	masked := func(argv []string, script string) bool {
		return slices.ContainsFunc(argv, holds) && !holds(b.r.Args(argv)) || holds(script) && !holds(b.r.Text(script))
	}
	if b.f != nil {
		for i := range b.f.Processes {
			p, script := &b.f.Processes[i], ""
			if p.Script != nil {
				script = p.Script.Contents
			}
			if masked(p.Args, script) {
				return true
			}
		}
	}
	if b.ev == nil || b.ev.Config == nil {
		return false
	}
	for _, c := range b.ev.Config.Containers {
		if masked(slices.Concat(c.Command, c.Args), "") {
			return true
		}
	}
	return false
}
