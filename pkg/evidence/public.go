package evidence

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// maxURLBytes bounds a URL that is asked about.
const maxURLBytes = 2048

// reserved are the addresses that mean nothing outside, beyond those that
// netip knows (IANA special-purpose address registries, RFC 6890).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

// globalV6 is all of IPv6 that is handed out for global use.
var globalV6 = netip.MustParsePrefix("2000::/3")

// PublicIP returns a public address in its canonical form.
func PublicIP(s string) (string, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return "", errors.New("not an IP address")
	}
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || (ip.Is6() && !globalV6.Contains(ip)) ||
		slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return "", errors.New("private or reserved address")
	}
	return ip.String(), nil
}

var domainName = regexp.MustCompile(`^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$`)

// PublicDomain returns a public domain name in lower case. Names of one label,
// names under the suffixes of private networks
// (https://www.iana.org/assignments/special-use-domain-names) and under a top
// level that the public suffix list does not know ("db.consul") are refused.
func PublicDomain(s string) (string, error) {
	d := strings.TrimSuffix(strings.ToLower(s), ".")
	if len(d) > 253 || !domainName.MatchString(d) {
		return "", errors.New("not a public domain name")
	}
	switch d[strings.LastIndexByte(d, '.')+1:] {
	case "internal", "local", "localhost", "localdomain", "lan", "home", "corp", "intranet", "private", "test", "example", "invalid", "onion", "arpa", "alt", "svc":
		return "", errors.New("private or reserved domain name")
	}
	if suffix, icann := publicsuffix.PublicSuffix(d); !icann && !strings.Contains(suffix, ".") {
		return "", errors.New("domain name of a private network")
	}
	return d, nil
}

// PublicURL returns a URL of a public host, in the one spelling of its host and
// without its fragment. One that
// carries credentials is refused: VirusTotal would learn them.
func PublicURL(s string) (string, error) {
	if len(s) > maxURLBytes {
		return "", errors.New("URL too long")
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ftp") || u.Host == "" {
		return "", errors.New("not a URL of the web")
	}
	if u.User != nil {
		return "", errors.New("URL with credentials")
	}
	if _, err := PublicIP(u.Hostname()); err != nil {
		if _, err := PublicDomain(u.Hostname()); err != nil {
			return "", errors.New("URL of a private or reserved host")
		}
	}
	name, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	u.Host = strings.TrimSuffix(net.JoinHostPort(name, port), ":")
	u.Fragment, u.RawFragment = "", ""
	return u.String(), nil
}
