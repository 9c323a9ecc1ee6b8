package assess

import (
	"strings"
	"unicode/utf8"
)

// gcloudCommand builds one gcloud command. A value that is missing, or that no
// shell word can carry safely, makes the whole command void: a plan has no
// blanks and nothing that an attacker's name could break out of.
type gcloudCommand struct {
	words []string
	void  bool
}

// gcloud starts a command: "run services describe".
func gcloud(command string) *gcloudCommand {
	words := make([]string, 1, 10)
	words[0] = "gcloud " + command
	return &gcloudCommand{words: words}
}

// arg adds a positional argument. One that begins with "-" would be a flag.
func (c *gcloudCommand) arg(value string) *gcloudCommand {
	q, ok := quote(value)
	if !ok || strings.HasPrefix(value, "-") {
		c.void = true
		return c
	}
	c.words = append(c.words, q)
	return c
}

// flag adds --name=value.
func (c *gcloudCommand) flag(name, value string) *gcloudCommand {
	q, ok := quote(value)
	if !ok {
		c.void = true
		return c
	}
	c.words = append(c.words, "--"+name+"="+q)
	return c
}

// on adds a flag without a value.
func (c *gcloudCommand) on(name string) *gcloudCommand {
	c.words = append(c.words, "--"+name)
	return c
}

// to writes the output into a file in the current folder.
func (c *gcloudCommand) to(file string) *gcloudCommand {
	q, ok := quote(fileSafe(file))
	if !ok {
		c.void = true
		return c
	}
	c.words = append(c.words, "> "+q)
	return c
}

// String returns the command, or "" when it is void.
func (c *gcloudCommand) String() string {
	if c == nil || c.void {
		return ""
	}
	return strings.Join(c.words, " ")
}

// quote makes one word of a POSIX shell out of a value. It refuses what has no
// place in a command: nothing, control characters, invalid UTF-8, and more
// than 4 KiB.
func quote(value string) (string, bool) {
	if value == "" || len(value) > 4096 || !utf8.ValidString(value) {
		return "", false
	}
	bare := true
	for _, r := range value {
		switch {
		case r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069):
			return "", false
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r >= 'A' && r <= 'Z',
			r == '-', r == '_', r == '.', r == '/', r == ':', r == '@', r == '=', r == ',', r == '+', r == '%':
		default:
			bare = false
		}
	}
	if bare {
		return value, true
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'", true
}

// fileSafe makes a file name out of names: everything but letters, digits, "-"
// and "." becomes "_".
func fileSafe(name string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, cut(name, 120)), "-.")
}

// logTerm is one comparison of the Logging query language, name="value"; empty
// when the value is.
func logTerm(name, value string) string {
	if value == "" {
		return ""
	}
	if strings.ContainsAny(value, "\\\"") {
		value = strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), `"`, `\"`)
	}
	return name + `"` + value + `"`
}

// allOf joins the terms that are not empty.
func allOf(terms ...string) string {
	var out []string
	for _, t := range terms {
		if t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, " AND ")
}
