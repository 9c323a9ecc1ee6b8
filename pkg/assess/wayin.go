package assess

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/command"
)

// The bounds of the way in as the summary tells it, in bytes.
const (
	maxWayPath  = 60
	maxWayAgent = 40
)

// wayIn says which request most likely led to the event, where one stands out:
// "Likely way in: GET /uploads/x.jsp?… from 203[.]0[.]113[.]77 at 10:01:02 UTC,
// agent zgrab/0.x". Method, path and agent are the client's own words: they are
// reduced to what such words are made of, and the query is left out.
func (s *subject) wayIn() string {
	if s.entry == nil || s.entry.Request == nil {
		return ""
	}
	r := s.entry.Request
	text := "Likely way in: " + cut(keep(r.Method, ""), 16) + " " + wayPath(r.URL)
	if ip, err := netip.ParseAddr(r.RemoteIP); err == nil {
		text += " from " + command.Defang(ip.Unmap().String())
	}
	if !s.entry.Time.IsZero() {
		text += " at " + s.entry.Time.UTC().Format("15:04:05") + " UTC"
	}
	if agent := wayAgent(r.UserAgent); agent != "" {
		text += ", agent " + agent
	}
	return text
}

// wayPath is the path of a URL, "?…" in place of its query.
func wayPath(raw string) string {
	var p, query string
	if u, err := url.Parse(raw); err == nil {
		p = u.EscapedPath()
		if u.RawQuery != "" {
			query = "?…"
		}
	} else {
		p, _, _ = strings.Cut(raw, "?")
	}
	if p = keep(p, "/%~@:+=,"); p == "" {
		p = "/"
	}
	if short := cut(p, maxWayPath); short != p {
		p = short + "…"
	}
	return p + query
}

// wayAgent is the part of a user agent that names programs: "zgrab/0.x". Text
// in brackets and words without a version are left out, the first word not; so
// is what every browser says.
func wayAgent(agent string) string {
	var out []string
	depth := 0
	for i, w := range strings.Fields(cut(agent, 512)) {
		inside := depth > 0 || strings.HasPrefix(w, "(")
		depth = max(0, depth+strings.Count(w, "(")-strings.Count(w, ")"))
		name, _, versioned := strings.Cut(w, "/")
		if inside || i > 0 && !versioned || name == "Mozilla" || name == "AppleWebKit" || name == "Gecko" || name == "Safari" {
			continue
		}
		out = append(out, keep(w, "/+"))
	}
	return strings.TrimSpace(cut(strings.Join(out, " "), maxWayAgent))
}

// keep replaces everything but letters, digits, ".", "_", "-" and the extra
// characters.
func keep(s, extra string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-"+extra, r):
			return r
		}
		return '_'
	}, s)
}
