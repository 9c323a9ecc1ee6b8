package command

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// disguised weighs how the name of a command is written: quotes or backslashes
// between its letters, or parts put together from variables, do nothing but hide
// it from who searches for it (T1027.010).
func (w *walker) disguised(call *syntax.CallExpr, n *node) {
	if call == nil || len(call.Args) == 0 || n.name == "" || strings.ContainsAny(n.name, "$`(") {
		return
	}
	word := call.Args[0]
	vars, slices := 0, 0
	for _, p := range word.Parts {
		if x, ok := p.(*syntax.ParamExp); ok {
			vars++
			if x.Slice != nil {
				slices++
			}
		}
	}
	if (vars > 1 || slices > 0) && knownCommand(n.name) && !strings.Contains(sourceOf(w.src, word), "/") || splitByQuotes(sourceOf(w.src, word)) {
		w.s.hit(EncodedPayload, Suspicious, n.text, "T1027.010")
	}
}

// splitByQuotes reports whether quotes or a backslash stand between two letters
// of a word that has no need of them.
func splitByQuotes(word string) bool {
	if len(word) > 120 || strings.ContainsAny(word, " $=`(){}*") {
		return false
	}
	for i := 1; i+1 < len(word); i++ {
		switch c := word[i]; {
		case c == '\\' && isWordByte(word[i-1]) && isWordByte(word[i+1]):
			return true
		case (c == '\'' || c == '"') && isWordByte(word[i-1]):
			rest := word[i+1:]
			end := strings.IndexByte(rest, c)
			if end >= 0 && end+1 < len(rest) && (isWordByte(rest[end+1]) || rest[end+1] == '\'' || rest[end+1] == '"') {
				return true
			}
		}
	}
	return false
}

// evaluatesMade: the text given to eval is the output of commands that shape
// text; the settings that programs print for eval are not.
func (s *scan) evaluatesMade(n *node) {
	if n.name != "eval" {
		return
	}
	for _, sb := range n.subs {
		for _, in := range sb.nodes {
			if isOneOf(in.name, "printf rev xxd base64 base32 tac fold od openssl gzip zcat dc bc") || in.name == "echo" && in.argContains("$") && len(in.to) > 0 || in.name == "tr" && len(in.args) == 2 && len(in.args[0]) > 8 {
				s.hit(EncodedPayload, Suspicious, n.text, "T1027.010")
			}
		}
	}
}

// minSpelled is how many numbers in a row are tried as the characters of a text.
const minSpelled = 12

// spelledText is the text that a list of numbers spells, decimal or 0x: the way
// code hides its strings. It takes the longest such list in code without blanks.
func spelledText(code string) string {
	best, cur := "", []byte(nil)
	for i := 0; i < len(code); {
		end := i
		for end < len(code) && (isHex(code[end]) || code[end] == 'x' || code[end] == 'X') {
			end++
		}
		if end == i || end-i > 4 {
			i, cur = max(end, i)+1, nil
			continue
		}
		v, err := strconv.ParseUint(code[i:end], 0, 8)
		if err != nil || v > '~' || v < ' ' && v != '\n' && v != '\t' {
			i, cur = end+1, nil
			continue
		}
		cur = append(cur, byte(v))
		if len(cur) > len(best) {
			best = string(cur)
		}
		if end >= len(code) || code[end] != ',' {
			cur = nil
		}
		i = end + 1
	}
	if len(best) < minSpelled {
		return ""
	}
	return best
}

// percent undoes %XX, as in URLs.
func percent(t string) string {
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] == '%' && i+2 < len(t) && isHex(t[i+1]) && isHex(t[i+2]) {
			v, _ := strconv.ParseUint(t[i+1:i+3], 16, 8)
			b.WriteByte(byte(v))
			i += 2
			continue
		}
		b.WriteByte(t[i])
	}
	return b.String()
}

// rot13 turns letters by half the alphabet.
func rot13(t string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, t)
}

// unspells reads what the code spells with numbers, escapes or turned letters.
func (s *scan) unspells(f *features, n *node, literals []string) {
	if f.long || !s.scans(f.code) {
		return
	}
	runs := f.any(f.l.run) || f.any(f.l.eval) || containsAny(f.code, "exec", "system", "eval(", "popen")
	if !runs {
		return
	}
	if t := spelledText(f.code); t != "" {
		s.hit(EncodedPayload, Suspicious, n.text, "T1027.010", "T1140")
		s.tentative(t, n.text)
	}
	for i, q := range literals {
		if i > 16 || len(q) < 12 {
			continue
		}
		if strings.Count(q, "%")*4 > len(q) {
			s.hit(EncodedPayload, Suspicious, n.text, "T1027.010", "T1140")
			s.tentative(percent(q), n.text)
		}
		if containsAny(f.code, "rot13", "rot_13", "tr/A-Za-z", "y/A-Za-z", "tr('A-Za-z") {
			s.hit(EncodedPayload, Suspicious, n.text, "T1027.010", "T1140")
			s.tentative(rot13(q), n.text)
		}
	}
}

// hides weighs ways of writing that only hide what is run: folders of programs as
// patterns, single letters cut out of variables, the separator of fields for a
// blank, a command that is the output of another which shapes text (T1027.010).
func (s *scan) hides(n *node) {
	pattern := func(a string) bool {
		parts := 0
		if len(a) > 80 || !strings.HasPrefix(a, "/") {
			return false
		}
		for part := range strings.SplitSeq(a, "/") {
			if strings.Contains(part, "?") && len(part) < 12 {
				parts++
			}
		}
		return parts > 1
	}
	text := n.text[:min(len(n.text), 2048)]
	if !strings.Contains(text, "$") {
		text = ""
	}
	hidden := pattern(n.path) || n.any(pattern) && !isOneOf(n.name, "find curl wget git")
	if containsAny(text, "${PATH:", "${HOME:0:1}", "${PWD:0:1}", "${SHELL:", "${HOME%%", "${PATH%%", "${BASH_VERSION:", "${OLDPWD:0:1}") && !strings.Contains(text, "${PATH:+") && !strings.Contains(text, "${PATH:-") && !strings.Contains(text, "${SHELL:-") {
		hidden = true
	}
	if containsAny(text, "$IFS", "${IFS}", "${IFS%") && !isOneOf(n.name, "read echo printf set export local declare") {
		hidden = true
	}
	for _, sb := range n.subs {
		for _, in := range sb.nodes {
			hidden = hidden || sb.word == 0 && isOneOf(in.name, "printf rev tr xxd base64 base32 tac")
		}
	}
	if hidden {
		s.hit(EncodedPayload, Suspicious, n.text, "T1027.010")
	}
}
