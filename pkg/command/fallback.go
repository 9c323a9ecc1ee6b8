package command

import "strings"

// splitWords reads text that has no valid syntax, often because it was cut:
// words, quotes, pipelines and redirections, nothing else.
func (s *scan) splitWords(text string) []*node {
	var f fallback
	f.s = s
	for i := 0; i < len(text); {
		i = f.step(text, i)
	}
	f.endCommand(false)
	if name, rest, ok := strings.Cut(squeeze(text), "(){"); ok && name != "" && len(name) < 32 && strings.HasPrefix(rest, name+"|"+name+"&") {
		s.hit(Destruction, Malicious, text, "T1499")
	}
	return f.nodes
}

type fallback struct {
	s     *scan
	nodes []*node
	words []string
	cur   strings.Builder
	open  bool
	// piped is the command before the last "|".
	piped []*node
	redir string
	reds  []redir
}

// step reads one token or character and returns where the next begins.
func (f *fallback) step(text string, i int) int {
	switch c := text[i]; c {
	case ' ', '\t':
		f.endWord()
	case '\n', ';', '(', ')', '`':
		f.endCommand(false)
	case '|':
		f.endCommand(i+1 < len(text) && text[i+1] != '|')
		if i+1 < len(text) && text[i+1] == '|' {
			i++
		}
	case '&':
		if i > 0 && text[i-1] == '>' || i+1 < len(text) && text[i+1] == '>' {
			break
		}
		f.endCommand(false)
	case '<', '>':
		f.beginRedir(c)
	case '\'', '"':
		return f.quoted(text, i)
	case '\\':
		if i+1 < len(text) {
			i++
			f.add(text[i])
		}
	default:
		f.add(c)
	}
	return i + 1
}

func (f *fallback) add(c byte) {
	f.cur.WriteByte(c)
	f.open = true
}

// quoted adds the text up to the closing quote, or to the end.
func (f *fallback) quoted(text string, i int) int {
	f.open = true
	end := strings.IndexByte(text[i+1:], text[i])
	if end < 0 {
		f.cur.WriteString(text[i+1:])
		return len(text)
	}
	f.cur.WriteString(text[i+1 : i+1+end])
	return i + end + 2
}

func (f *fallback) beginRedir(c byte) {
	if w := f.cur.String(); f.open && strings.Trim(w, "0123456789") == "" {
		f.cur.Reset()
		f.open = false
	}
	f.endWord()
	f.redir += string(c)
}

func (f *fallback) endWord() {
	if !f.open {
		return
	}
	w := f.cur.String()
	f.cur.Reset()
	f.open = false
	if name, v, ok := strings.Cut(w, "="); ok && len(f.words) == 0 && isName(name) {
		f.s.setVar(name, v)
		return
	}
	if v, ok := f.s.vars[strings.Trim(w, "${}")]; ok && strings.HasPrefix(w, "$") {
		w = v
	}
	switch {
	case f.redir != "":
		f.reds = append(f.reds, redir{op: f.redir, target: w})
		f.redir = ""
	case len(f.words) == 0 && isShellKeyword(w):
	case len(f.words) < maxFields:
		f.words = append(f.words, w)
	}
}

func isName(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return true
}

func isShellKeyword(w string) bool {
	switch w {
	case "if", "then", "else", "elif", "fi", "while", "until", "do", "done", "{", "}", "!", "time", "[[", "]]", "$", "case", "esac":
		return true
	}
	return false
}

func (f *fallback) endCommand(pipe bool) {
	f.endWord()
	f.redir = ""
	if len(f.words) == 0 && len(f.reds) == 0 || f.s.nodes <= 0 {
		f.words, f.reds = nil, nil
		return
	}
	n := &node{text: strings.Join(f.words, " "), redirs: f.reds}
	n.setWords(f.words)
	link(f.piped, []*node{n}, 0)
	f.nodes = append(f.nodes, n)
	f.s.nodes--
	f.words, f.reds, f.piped = nil, nil, nil
	if pipe {
		f.piped = append(n.from[:len(n.from):len(n.from)], n)
	}
}
