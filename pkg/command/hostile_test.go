package command

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostileTexts are texts meant to break or to slow the reader, each near the
// bound of what is read.
func hostileTexts() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, maxText/len(s)) }
	return map[string]string{
		"substitutions":   fill("$("),
		"quoted subst":    fill(`"$(`),
		"parens":          fill("( "),
		"arithmetic":      fill("$(( "),
		"unary":           "echo $((" + fill("-") + "1))",
		"braces":          fill("{ "),
		"param default":   fill("${a:-"),
		"backticks":       fill("`"),
		"escaped ticks":   fill("\\`"),
		"ifs":             fill("if "),
		"whiles":          fill("while true; do "),
		"cases":           fill("case x in x) "),
		"functions":       fill("f() { "),
		"negations":       fill("! "),
		"times":           fill("time "),
		"pipes":           fill("a|"),
		"pipes closed":    fill("a|") + "a",
		"curl pipes":      fill("curl x|") + "sh",
		"ands":            fill("a&&") + "a",
		"semicolons":      fill("id;"),
		"assignments":     "A=aaaaaaaaaaaaaaaa;" + fill("A=$A$A$A$A;") + "$A",
		"append":          fill("A+=$A;"),
		"quotes":          fill("'"),
		"double quotes":   fill(`"`),
		"unclosed":        "echo '" + fill("a"),
		"heredocs":        fill("<<A "),
		"heredoc":         "cat <<A | sh\n" + fill("id\n"),
		"redirections":    "x " + fill(">a "),
		"long word":       fill("a"),
		"base64":          "echo " + fill("QUJD"),
		"base64 words":    fill("QUJDREVGR0hJSktMTU5PUFFSU1RVVlda "),
		"nested sh":       fill("sh -c "),
		"nested env":      fill("env A=1 "),
		"nested sudo":     fill("sudo "),
		"nested eval":     fill("eval "),
		"urls":            fill("http://a.b/ "),
		"colons":          fill(":"),
		"schemes":         fill("://"),
		"dots":            fill("1."),
		"python":          "python3 -c \"" + fill("os.system('id');") + "\"",
		"python list":     "python3 -c \"" + fill("call([") + "\"",
		"brace list":      "echo {" + fill("a,") + "}",
		"brace nest":      fill("{a,") + fill("}"),
		"brace range":     "for i in {1..999999999}; do echo $i; done",
		"globs":           fill("/???/?* "),
		"nul":             fill("a\x00;"),
		"invalid utf8":    fill("\xff\xfe\x80 "),
		"escapes":         fill("\x1b[31m"),
		"dollar quotes":   "echo $'" + fill(`\x41`) + "'",
		"cron":            "echo '" + fill("* * * * * curl x|sh\n") + "' | crontab -",
		"tests":           fill("[[ ( "),
		"subscripts":      fill("${a[$b["),
		"array":           "a=(" + fill("b ") + ")",
		"let":             fill("let a=a+a;"),
		"extglob":         fill("@(a|"),
		"proc subst":      fill("<("),
		"slices":          "A=abc; echo " + fill("${A:0:1}"),
		"replacements":    "A=aaaaaaaaaaaaaaaaaaaaaaaa; " + fill("A=${A//a/aa};"),
		"tr":              "echo x" + fill("| tr a b"),
		"rev":             "echo " + strings.Repeat("x", 1<<14) + strings.Repeat("|rev", 1<<10),
		"loops":           fill("for i in a b c d e f; do ") + fill("done;"),
		"curl options":    "curl " + fill("-o a "),
		"find execs":      "find / " + fill("-exec id ; "),
		"crlf":            fill("id\r\n"),
		"comments":        fill("#\n"),
		"shebang":         "#!" + fill("/"),
		"dots in domains": fill("a."),
	}
}

// TestReadHostile holds that no text makes the reader panic or run away. The
// bound of time is generous because the machine may be busy; the benchmark
// gives the figures.
func TestReadHostile(t *testing.T) {
	t.Parallel()
	for name, text := range hostileTexts() {
		t.Run(name, func(t *testing.T) {
			for _, args := range [][]string{{"sh", "-c", text}, {text}, {"python3", "-c", text}, {"x", text}} {
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
