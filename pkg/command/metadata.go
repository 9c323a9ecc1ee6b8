package command

import (
	"strings"
)

// cloudURL weighs what is asked of Google's own interfaces with a token in hand
// (T1555.006, T1098.001, T1580).
func (s *scan) cloudURL(n *node, u url) {
	if !strings.HasSuffix(u.host, ".googleapis.com") || !isDownloader(n) {
		return
	}
	switch p := u.path; {
	case strings.Contains(p, "tokeninfo?access_token"):
		s.hit(Recon, Suspicious, n.text, "T1580")
	case strings.HasPrefix(u.host, "secretmanager.") && strings.Contains(p, ":access"):
		s.hit(CredentialSearch, Suspicious, n.text, "T1552.001")
	case strings.Contains(p, "/serviceAccounts/") && strings.Contains(p, "/keys"), containsAny(p, ":setIamPolicy"), strings.Contains(p, ":generateAccessToken"):
		s.hit(Persistence, Suspicious, n.text, "T1098")
	case strings.HasPrefix(u.host, "cloudresourcemanager."), strings.HasPrefix(u.host, "compute."), strings.HasPrefix(u.host, "iam."), strings.Contains(p, "/b?project="), strings.HasPrefix(u.host, "secretmanager."):
		s.hit(Recon, Suspicious, n.text, "T1580")
	}
}

// metadataWords remembers the parts of a request to a metadata server that is
// not written as one URL: spoken into a socket, built in code, taken from a variable.
func (s *scan) metadataWords(n *node) {
	if isOneOf(n.name, "grep egrep") || n.name == "echo" && len(n.to) == 0 && len(n.redirs) == 0 {
		return
	}
	look := func(a string) {
		if len(a) < 12 || len(a) > maxValue {
			return
		}
		if containsAny(a, "metadata.google.internal", "169.254.169.254", "//metadata/", "169.254.170.2", "100.100.100.200", "fd00:ec2::254") {
			s.metadataHost = n.text
		}
		if containsAny(a, "service-accounts/default/token", "meta-data/iam/security-credentials", "/identity/oauth2/token", "ram/security-credentials") || strings.Contains(a, "/service-accounts/") && strings.Contains(a, "/token") {
			s.metadataPath = n.text
		} else if !strings.Contains(a, "/identity?audience=https://") && containsAny(a, "computeMetadata/v1/instance/service-accounts", "computeMetadata/v1beta1/instance/service-accounts", "meta-data/iam") {
			s.metadataList = n.text
		}
		if containsAny(a, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI") && (isDownloader(n) || language(n.name) != nil) {
			s.hit(MetadataTokenAccess, Malicious, n.text)
		}
		if containsAny(a, "IDENTITY_ENDPOINT", "MSI_ENDPOINT") && (isDownloader(n) || language(n.name) != nil) {
			s.hit(MetadataTokenAccess, Suspicious, n.text)
		}
	}
	for _, a := range n.args {
		look(a)
	}
	for _, r := range n.redirs {
		if e, ok := devTCP(r.target); ok && isMetadataHost(e.host) {
			s.metadataHost = n.text
		}
	}
	if isNetcat(n.name) && n.any(isMetadataHost) {
		s.metadataHost = n.text
	}
	if n.hasStdin {
		look(n.stdin)
	}
}

// weighMetadata: the server and the credential were both named.
func (s *scan) weighMetadata() {
	if s.metadataHost != "" && s.metadataPath != "" {
		s.hit(MetadataTokenAccess, Malicious, s.metadataPath)
	} else if s.metadataHost != "" && s.metadataList != "" {
		s.hit(MetadataTokenAccess, Suspicious, s.metadataList)
	}
}

// metadata weighs what is asked of a metadata server.
func (s *scan) metadata(n *node, u url) {
	if !isMetadataHost(strings.ToLower(u.host)) {
		return
	}
	p := strings.ToLower(u.path)
	switch {
	case containsAny(p, "/token", "security-credentials", "oauth2", "/credentials", "kube-env", "ssh-keys", "sshkeys"):
		s.hit(MetadataTokenAccess, Malicious, n.text)
	case strings.Contains(p, "/identity?audience=https://") && n.captured > 0:
		s.hit(MetadataTokenAccess, Neutral, n.text) // how one service asks another
	case containsAny(p, "/identity", "recursive=true", "user-data", "/attributes/", "alt=text", "service-accounts"):
		s.hit(MetadataTokenAccess, Suspicious, n.text)
	case containsAny(p, "project-id", "project_id", "numeric-project-id", "/zone", "/region", "/hostname", "instance-id", "instance/id", "local-ipv4", "public-ipv4",
		"/ip", "placement", "instance/name", "machine-type", "instance-type", "cluster-name", "cluster-location", "preempted", "instance-action", "maintenance", "latest/dynamic", "/v2/metadata", "/v2/stats", "/v3/", "/v4/", "latest/api/token"):
		s.recon = append(s.recon, "metadata")
		s.recTx = append(s.recTx, n.text)
	default:
		s.hit(MetadataTokenAccess, Suspicious, n.text)
	}
}
