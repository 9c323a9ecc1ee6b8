package command

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of one Read: whatever the input, the work stays in proportion.
const (
	maxText    = 24 << 10    // bytes of text read in all, decoded payloads included
	maxArg     = 16 << 10    // bytes of one argument
	maxReread  = 24 << 10    // bytes of shell text inside other shell text, parsed again
	maxNodes   = 300         // simple commands looked at
	maxWords   = 384         // words of one command
	maxRedirs  = 48          // redirections of one command
	maxBreaks  = 600         // ends of statements in all the text that is parsed
	maxDepth   = 10          // shells, wrappers and interpreters inside each other
	maxDecodes = 4           // encodings inside each other
	maxBlobs   = 48          // strings tried as an encoding
	maxDecoded = 16          // payloads kept in Reading.Decoded
	maxHitText = 400         // bytes of Hit.Text
	maxVars    = 512         // variables remembered
	maxScanned = 8 * maxText // bytes searched for indicators and encodings
)

// Read reads an argument vector as SCC reports it. A vector of one element
// that holds a whole command line is read as shell text. truncated says that
// the arguments were cut; what is left is read as far as it goes.
func Read(args []string, truncated bool) Reading {
	s := newScan()
	s.truncated = truncated
	s.read(args)
	return s.finish()
}

// read takes in an argument vector and weighs it.
func (s *scan) read(args []string) {
	if len(args) > maxWords { // the first and the last words say most
		args = slices.Concat(args[:maxWords*3/4], args[len(args)-maxWords/4:])
		s.truncated = true
	}
	clean := make([]string, 0, len(args))
	for _, a := range args {
		if s.bytes <= 0 {
			s.truncated = true
			break
		}
		if len(a) > maxArg {
			a = cutMiddle(a, maxArg)
			s.truncated = true
		}
		clean = append(clean, s.take(a))
	}
	s.argv(clean)
}

// ReadScript reads the contents of a script file: shell, or the language its
// first line or its looks name.
func ReadScript(text string) Reading {
	s := newScan()
	s.script(s.take(text), nil)
	return s.finish()
}

// scan is the state of one Read.
type scan struct {
	hits       []Hit
	indicators []Indicator
	seen       map[Indicator]bool
	decoded    []string
	truncated  bool
	unparsed   bool

	budget
	depth, decodes int

	vars  map[string]string
	loops map[string]int
	// readVars are variables filled from input.
	readVars map[string]bool
	// files are what the text wrote, by base name.
	files map[string]*artifact
	// sockets are file descriptors opened on a network address.
	sockets map[string]endpoint
	// fifos are named pipes made by the text.
	fifos []string
	// recon are the kinds of looking around seen, with their texts.
	recon []string
	recTx []string
	// cronDaemon is set when the text keeps a cron daemon in the foreground.
	cronDaemon bool
	unpacked   bool
	// folders are directories made in the text.
	folders []string
	// dir is the directory the text changed into.
	dir string
	// installs is set when the text installs packages, as image builds do.
	installs bool
	// metadataHost and metadataPath are the texts that named a metadata server
	// and one of its credentials; only both together ask for them.
	metadataHost, metadataPath, metadataList string
	// cwd is the temporary or hidden directory the text changed into.
	cwd string
	// planted is set when the text wrote a file that names a shell.
	planted bool
	// simple counts the commands of the outermost script that are not captured.
	simple []*node
}

// artifact is a file the text made.
type artifact struct {
	path                string
	downloaded, decoded bool
	// content is what was written, where it is constant; it is read once.
	content string
	// origin is the text of the command that made it.
	origin string
}

func newScan() *scan {
	return &scan{
		budget: newBudget(),
		vars:   map[string]string{}, loops: map[string]int{}, readVars: map[string]bool{},
		files: map[string]*artifact{}, sockets: map[string]endpoint{}, seen: map[Indicator]bool{},
	}
}

// setVar remembers a constant.
func (s *scan) setVar(name, value string) {
	value = value[:min(len(value), maxValue)]
	if s.varBytes -= len(value) + 16; s.varBytes < 0 || len(s.vars) >= maxVars && s.vars[name] == "" {
		s.truncated = true
		return
	}
	s.vars[name] = value
}

// forget drops constants that a command overwrites with input.
func (s *scan) forget(n *node) {
	if n.name != "read" && n.name != "mapfile" && n.name != "readarray" {
		return
	}
	for _, a := range n.args {
		if !strings.HasPrefix(a, "-") {
			delete(s.vars, a)
			s.readVars[a] = true
		}
	}
}

// hit records a behaviour. Without techniques it gets the behaviour's own.
func (s *scan) hit(b Behavior, c Class, text string, techniques ...string) {
	if (b == DownloadAndExecute || b == PipeToShell || b == Download) && c > Neutral && onlyInstallers(text) {
		c = Neutral
	}
	if len(techniques) == 0 {
		t := b.trait().techniques
		techniques = t[:min(len(t), 2)]
		if len(t) > 2 {
			techniques = t[:1]
		}
	}
	for i := range s.hits {
		if h := &s.hits[i]; h.Behavior == b && h.Class >= c && containsAll(h.Techniques, techniques) {
			return
		}
	}
	s.hits = append(s.hits, Hit{Behavior: b, Text: clip(text), Techniques: techniques, Class: c})
}

func containsAll(list, want []string) bool {
	for _, w := range want {
		if !slices.Contains(list, w) {
			return false
		}
	}
	return true
}

// clip bounds the text of a hit without cutting a character.
func clip(text string) string {
	text = strings.TrimSpace(text)
	if len(text) <= maxHitText {
		return text
	}
	cut := maxHitText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// argv reads an argument vector.
func (s *scan) argv(args []string) {
	switch {
	case len(args) == 0 || len(args) == 1 && strings.TrimSpace(args[0]) == "":
		return
	case len(args) == 1 && strings.ContainsAny(args[0], " \t\n;|&<>"):
		s.script(args[0], nil)
		return
	case strings.HasPrefix(args[0], "-") && len(args) > 1 && isScriptFlag(args[0]):
		args = append([]string{"sh"}, args...) // the vector without its program
	}
	if looksSplit(args) {
		s.shell(strings.Join(args, " "), nil)
	}
	n := &node{text: strings.Join(args, " ")}
	n.setWords(args)
	s.visit(n)
}

func isScriptFlag(a string) bool {
	return len(a) <= 5 && strings.HasSuffix(a, "c") && strings.Trim(a, "-lcexiu") == ""
}

// looksSplit reports whether the vector is a shell line that somebody split at
// its blanks: operators stand alone in it.
func looksSplit(args []string) bool {
	if args[0] == "find" || strings.HasSuffix(args[0], "/find") {
		return false
	}
	for _, a := range args[1:] {
		switch a {
		case "|", "||", "&&", ">", ">>", "<", ">&", "&>", "&", "0>&1", "2>&1", "<>":
			return true
		}
	}
	return false
}

// script reads text by its shebang, or by its looks.
func (s *scan) script(text string, parent *node) {
	if name, ok := shebang(text); ok {
		if lang := language(name); lang != nil {
			s.code(lang, text, &node{name: name, text: text, hasStdin: true}, true)
			return
		}
	} else if lang := looksLike(text); lang != nil {
		s.code(lang, text, &node{name: lang.name, text: text}, true)
		return
	}
	s.shell(text, parent)
}

// shebang returns the interpreter a script names in its first line.
func shebang(text string) (string, bool) {
	if !strings.HasPrefix(text, "#!") {
		return "", false
	}
	line, _, _ := strings.Cut(text[2:], "\n")
	words := strings.Fields(line)
	for i, w := range words {
		b := path.Base(w)
		if b == "env" || i > 0 && strings.HasPrefix(w, "-") {
			continue
		}
		return baseName(w), true
	}
	return "", false
}

// shell reads shell text. The commands in it inherit the pipeline and the
// redirections of parent, the command that runs them.
func (s *scan) shell(text string, parent *node) {
	if s.depth >= maxDepth || s.nodes <= 0 || strings.TrimSpace(text) == "" {
		s.truncated = s.truncated || s.depth >= maxDepth || s.nodes <= 0
		return
	}
	if s.reread -= len(text); s.reread < 0 {
		s.truncated = true
		return
	}
	s.depth++
	defer func() { s.depth-- }()
	nodes := s.parse(text)
	for _, n := range nodes {
		if parent != nil && n.captured == 0 {
			n.inherit(parent)
		}
	}
	if s.simple == nil {
		s.simple = nodes
	}
	s.rawIndicators(text)
	for _, n := range nodes {
		s.visit(n)
	}
}

// parse turns shell text into nodes, by words where it has no valid syntax.
func (s *scan) parse(text string) []*node {
	head, tail, cut := strings.Cut(text, cutMark)
	if !cut {
		return s.parsePiece(s.statements(text))
	}
	// The head leaves the tail its part of the budget.
	nodes, breaks := s.nodes/4, s.breaks/4
	s.nodes, s.breaks = s.nodes-nodes, s.breaks-breaks
	first := s.parsePiece(s.statements(head))
	s.nodes, s.breaks = s.nodes+nodes, max(s.breaks, 0)+breaks
	tail = s.lastStatements(afterOpenQuote(strings.ReplaceAll(tail, cutMark, "\n")))
	return append(first, s.parsePiece(tail)...)
}

func (s *scan) parsePiece(text string) []*node {
	s.work.parsed += len(text)
	f, ok := parseShell(text)
	if !ok {
		s.unparsed = true
		return s.splitWords(text)
	}
	w := &walker{s: s, src: text}
	w.exp = expander{s: s, src: text, subst: w.substitution}
	w.stmts(f.Stmts)
	for _, n := range w.nodes {
		if (n.name == "crond" || n.name == "cron") && n.captured == 0 {
			s.cronDaemon = true
		}
	}
	return w.nodes
}

// inherit gives n the surroundings of the command that runs it.
func (n *node) inherit(parent *node) {
	n.from = append(n.from[:len(n.from):len(n.from)], parent.from...)
	n.to = append(n.to[:len(n.to):len(n.to)], parent.to...)
	n.redirs = append(n.redirs[:len(n.redirs):len(n.redirs)], parent.redirs...)
	n.via = append(n.via[:len(n.via):len(n.via)], parent.via...)
	if parent.hasStdin && !n.hasStdin {
		n.stdin, n.hasStdin = parent.stdin, true
	}
	n.swept = n.swept || parent.swept
}

// finish weighs what only counts together and builds the reading.
func (s *scan) finish() Reading {
	s.weighRecon()
	s.weighMetadata()
	s.explain()
	return Reading{
		Hits:       mergeHits(s.hits),
		Indicators: s.indicators,
		Decoded:    s.decoded,
		Truncated:  s.truncated,
		Unparsed:   s.unparsed,
	}
}
