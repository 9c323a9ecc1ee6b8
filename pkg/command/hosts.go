package command

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// endpoint is a network address as written.
type endpoint struct{ host, port string }

type hostKind int

const (
	noHost hostKind = iota
	loopbackHost
	privateHost // private address, cluster-local or single-label name
	unknownHost // a variable
	metadataHost
	publicHost
)

// kindOfHost classifies a host as written, brackets and port removed.
func kindOfHost(h string) hostKind {
	h = strings.TrimSuffix(strings.ToLower(strings.Trim(h, "[]")), ".")
	if h == "" {
		return noHost
	}
	if isMetadataHost(h) {
		return metadataHost
	}
	if a, ok := parseAddr(h); ok {
		switch {
		case a.IsLoopback() || a.IsUnspecified():
			return loopbackHost
		case a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast():
			return privateHost
		}
		return publicHost
	}
	switch {
	case h == "localhost" || strings.HasSuffix(h, ".localhost"):
		return loopbackHost
	case strings.ContainsAny(h, "$`%{<"):
		if i := strings.LastIndexAny(h, "$`}%)"); i >= 0 && strings.Count(h[i:], ".") >= 2 {
			return publicHost
		}
		return unknownHost
	case !strings.Contains(h, "."):
		return privateHost
	}
	switch h[strings.LastIndexByte(h, '.')+1:] {
	case "local", "internal", "svc", "lan", "localdomain", "home", "corp", "intranet", "test", "consul":
		return privateHost
	}
	return publicHost
}

// isMetadataHost knows the metadata servers of the cloud providers.
func isMetadataHost(h string) bool {
	switch h {
	case "metadata.google.internal", "metadata", "metadata.goog", "169.254.169.254", "fd00:ec2::254", "fd20:ce::254",
		"169.254.170.2", "169.254.170.23", "100.100.100.200", "instance-data", "2852039166", "0xa9fea9fe", "169.254.169.253":
		return true
	}
	a, ok := parseAddr(h)
	return ok && a == netip.AddrFrom4([4]byte{169, 254, 169, 254})
}

// parseAddr parses an address, also as one decimal or hexadecimal number,
// which is how addresses are hidden.
func parseAddr(h string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(h); err == nil {
		return a.Unmap(), true
	}
	if len(h) < 8 || strings.ContainsAny(h, ".:") {
		return netip.Addr{}, false
	}
	v, err := strconv.ParseUint(h, 0, 32)
	if err != nil || v < 1<<24 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true //nolint:gosec // the octets of a 32-bit number
}

func isIP(h string) bool {
	_, ok := parseAddr(strings.Trim(h, "[]"))
	return ok
}

// url is a URL taken apart as far as the rules need it.
type url struct {
	raw, scheme, user, host, port, path string
}

// parseURL takes apart "scheme://user@host:port/path"; lenient, because what is
// given may hold variables.
func parseURL(raw string) (url, bool) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme == "" || rest == "" {
		return url{}, false
	}
	for i := range len(scheme) {
		if !isWordByte(scheme[i]) && strings.IndexByte("+.-", scheme[i]) < 0 {
			return url{}, false
		}
	}
	u := url{raw: raw, scheme: strings.ToLower(scheme)}
	authority, p := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, p = rest[:i], rest[i:]
	}
	u.path = p
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		u.user, authority = authority[:i], authority[i+1:]
	}
	u.host, u.port = splitHostPort(authority)
	return u, u.host != "" || u.scheme == "file"
}

// splitHostPort cuts "host:port", "[v6]:port" or "host".
func splitHostPort(s string) (host, port string) {
	if strings.HasPrefix(s, "[") {
		if i := strings.IndexByte(s, ']'); i > 0 {
			return s[1:i], strings.TrimPrefix(s[i+1:], ":")
		}
	}
	if strings.Count(s, ":") > 1 {
		return s, ""
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port
}

// findURLs returns the URLs in text in order, at most limit.
func findURLs(text string, limit int) []url {
	var out []url
	for from := 0; len(out) < limit; {
		i := strings.Index(text[from:], "://")
		if i < 0 {
			break
		}
		i += from
		start := i
		for start > 0 && (isWordByte(text[start-1]) || text[start-1] == '+') {
			start--
		}
		end := i + 3
		for end < len(text) && !strings.ContainsRune(" \t\r\n'\"<>|;`\\,^", rune(text[end])) && text[end] >= ' ' && !closesURL(text[start:end], text[end]) {
			end++
		}
		if u, ok := parseURL(trimURL(text[start:end])); ok {
			out = append(out, u)
		}
		from = end
	}
	return out
}

// trimURL cuts what ends a sentence off a URL, but no bracket that it opened.
func trimURL(u string) string {
	for {
		t := strings.TrimRight(u, ".&")
		if strings.HasSuffix(t, ")") && strings.Count(t, "(") < strings.Count(t, ")") {
			t = t[:len(t)-1]
		}
		if t == u {
			return u
		}
		u = t
	}
}

// closesURL: a closing bracket ends a URL unless the URL opened it.
func closesURL(sofar string, c byte) bool {
	switch c {
	case ')':
		return strings.Count(sofar, "(") <= strings.Count(sofar, ")")
	case ']':
		return strings.Count(sofar, "[") <= strings.Count(sofar, "]")
	case '}':
		return strings.Count(sofar, "{") <= strings.Count(sofar, "}")
	}
	return false
}

// isDomain reports whether h is a name under a suffix that ICANN manages.
func isDomain(h string) bool {
	h = strings.TrimSuffix(strings.ToLower(h), ".")
	if len(h) < 4 || len(h) > 253 || !strings.Contains(h, ".") || isIP(h) {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	if strings.HasSuffix(h, ".onion") {
		return true
	}
	suffix, icann := publicsuffix.PublicSuffix(h)
	for !icann && strings.Contains(suffix, ".") { // a privately managed suffix below a real one
		_, rest, _ := strings.Cut(suffix, ".")
		suffix, icann = publicsuffix.PublicSuffix(rest)
	}
	return icann && suffix != h
}
