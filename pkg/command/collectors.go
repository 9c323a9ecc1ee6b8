package command

import (
	"slices"
	"strings"
)

// collectorLabels are labels of the hosts of public services that catch what is
// sent to them: out-of-band testing, request bins, paste and file drops. Sigma's
// rules on exfiltration to such sites and the OAST servers of scanners name them.
var collectorLabels = nameSet("oast oastify interact interactsh burpcollaborator dnslog ceye requestbin requestrepo webhook beeceptor canarytokens pipedream hookbin requestcatcher dnsbin ngrok ngrok-free trycloudflare serveo loca localhost-run bashupload transfer termbin pastebin hastebin ghostbin gofile anonfiles catbox litterbox tmpfiles ix 0x0 file temp bxss xss pwnlabs eyes")

// isCollector reports whether a host is one of those services.
func isCollector(h string) bool {
	h = strings.ToLower(strings.TrimSuffix(h, "."))
	labels := strings.Split(h, ".")
	if len(labels) < 2 {
		return false
	}
	for i, l := range labels[:len(labels)-1] {
		if !collectorLabels()[l] && !strings.Contains(l, "dnslog") && !strings.Contains(l, "oastify") && !strings.Contains(l, "interactsh") {
			continue
		}
		// The short words stand for a service only with its own suffix.
		switch l {
		case "webhook", "transfer", "file", "temp", "ix", "0x0", "loca", "interact", "eyes", "xss":
			if isOneOf(strings.Join(labels[i:], "."), "webhook.site transfer.sh file.io temp.sh ix.io 0x0.st loca.lt interact.sh eyes.sh xss.ht xss.report") {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// messenger reports whether a URL is a bot or a hook of a chat service, which
// take whatever is posted (T1567.004).
func messenger(u url) bool {
	return u.host == "api.telegram.org" && strings.HasPrefix(u.path, "/bot") || strings.HasPrefix(u.host, "discord") && strings.Contains(u.path, "/api/webhooks/")
}

// collected weighs requests and lookups that end at such a service.
func (s *scan) collected(n *node) {
	if !isNetworkTool(n.name) && language(n.name) == nil {
		return
	}
	for _, a := range n.args {
		if len(a) > maxValue || !strings.Contains(a, ".") {
			continue
		}
		urls := findURLs(a, 8)
		for _, u := range urls {
			switch {
			case isCollector(u.host):
				s.hit(Exfiltration, Suspicious, n.text, "T1567")
			case messenger(u) && (n.has("-F", "--form", "-d", "--data", "--data-urlencode", "--data-binary") || strings.Contains(u.path, "$")) && (n.argContains("document=@", "$(", "`", "file=@") || len(n.subs) > 0):
				s.hit(Exfiltration, Suspicious, n.text, "T1567")
			}
		}
		if i := strings.LastIndexAny(a, "`)}"); i >= 0 && strings.HasPrefix(a[i+1:], ".") {
			a = a[i+2:]
		}
		if len(urls) > 0 || strings.HasPrefix(a, "-") || strings.ContainsAny(a, " (") {
			continue
		}
		h, _ := splitHostPort(strings.SplitN(a[strings.LastIndexByte(a, '@')+1:], "/", 2)[0])
		if isCollector(h) && !looksLikeFile(h) {
			s.hit(Exfiltration, Suspicious, n.text, "T1567")
		}
	}
}

// drips reports whether the command sends, piece by piece, what the commands
// before it read and encode: each piece is a variable of its words.
func drips(n *node) bool {
	if !n.argContains("$", "{}") {
		return false
	}
	encodes := slices.ContainsFunc(n.from, func(f *node) bool {
		return isOneOf(f.name, "xxd base64 base32 od hexdump fold split basenc") && !isDecoder(f)
	})
	return encodes || sendsSecret(n)
}

// isProxyware knows the programs that sell the network of the machine they run
// on (T1496.002).
func isProxyware(name string) bool {
	return containsAny(strings.ToLower(name), "traffmonetizer", "traff_cli", "honeygain", "iproyal", "pawns-cli", "peer2profit", "p2pclient", "packetstream", "repocket", "earnapp", "bitping", "proxyrack", "proxylite", "mysterium", "gaganode", "earnfm", "grass-node", "nodepay", "titan-edge", "meson_cdn", "psclient", "speedshare")
}

// joinLiterals joins strings that code puts together from parts, 'sy'.'stem' or
// "ex" + "ec", so that they read as what they become. Blanks are gone already.
func joinLiterals(code string) string {
	if !containsAny(code, "'.'", `"."`, "'+'", `"+"`, `""`) {
		return code
	}
	return strings.NewReplacer("'.'", "", `"."`, "", "'+'", "", `"+"`, "").Replace(code)
}
