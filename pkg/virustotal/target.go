package virustotal

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// The kinds of artifacts, as evidence.Artifact names them.
const (
	kindFile   = "file"
	kindDomain = "domain"
	kindIP     = "ip"
	kindURL    = "url"
)

// guiURL begins the pages of VirusTotal's web interface.
const guiURL = "https://www.virustotal.com/gui/"

// target is what is asked about an artifact.
type target struct {
	kind, value string
	// path is the object's path in the API, objectType its type there.
	path, objectType string
	// gui is the object's page; empty where only the answer tells it.
	gui string
}

func (t target) key() string { return t.kind + " " + t.value }

// targetOf says what to ask about an artifact, or why it must not be asked.
func targetOf(a evidence.Artifact) (target, error) {
	switch a.Kind {
	case kindFile:
		if !isSHA256(a.Value) {
			return target{}, errors.New("not a full SHA-256")
		}
		return target{kind: kindFile, value: a.Value, path: "files/" + a.Value, objectType: "file", gui: guiURL + "file/" + a.Value}, nil
	case kindDomain:
		d, err := evidence.PublicDomain(a.Value)
		if err != nil {
			return target{}, err
		}
		return target{kind: kindDomain, value: d, path: "domains/" + d, objectType: "domain", gui: guiURL + "domain/" + d}, nil
	case kindIP:
		ip, err := evidence.PublicIP(a.Value)
		if err != nil {
			return target{}, err
		}
		return target{kind: kindIP, value: ip, path: "ip_addresses/" + ip, objectType: "ip_address", gui: guiURL + "ip-address/" + ip}, nil
	case kindURL:
		u, err := evidence.PublicURL(a.Value)
		if err != nil {
			return target{}, err
		}
		return target{kind: kindURL, value: u, path: "urls/" + base64.RawURLEncoding.EncodeToString([]byte(u)), objectType: "url"}, nil
	}
	return target{}, errors.New("no kind of artifact that VirusTotal knows")
}

// isSHA256 reports whether s is 64 lower-case hexadecimal digits.
func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
