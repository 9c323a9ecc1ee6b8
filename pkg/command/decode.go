package command

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// elfBase64 is how the base64 of an ELF file begins, whatever its class.
const elfBase64 = "f0VMRg"

const (
	minBlob     = 20       // characters of the shortest string tried as an encoding
	maxUnpacked = 16 << 10 // bytes taken out of compressed payloads
	unpackCost  = 1 << 10  // what it costs to begin with one, in such bytes
)

// decodeBase64 decodes standard and URL alphabets, with or without padding and
// line breaks. A cut tail is dropped.
func decodeBase64(t string) ([]byte, bool) {
	t = strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\r', ' ', '\t', '=':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, t)
	if len(t)%4 == 1 {
		t = t[:len(t)-1]
	}
	b, err := base64.RawStdEncoding.DecodeString(t)
	return b, err == nil && len(b) > 0
}

func decodeBase32(t string) ([]byte, bool) {
	t = strings.TrimRight(strings.Join(strings.Fields(strings.ToUpper(t)), ""), "=")
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(t)
	return b, err == nil && len(b) > 0
}

func decodeHex(t string) ([]byte, bool) {
	t = strings.NewReplacer("\\x", "", " ", "", "\n", "", "0x", "", ",", "").Replace(t)
	b, err := hex.DecodeString(strings.ToLower(t[:len(t)&^1]))
	return b, err == nil && len(b) > 0
}

// decompress undoes gzip, zlib and bzip2, bounded; other data come back as they are.
func (s *scan) decompress(b []byte) []byte {
	var r io.Reader
	var err error
	switch {
	case s.budget.unpacked <= 0:
		return b
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(bytes.NewReader(b))
	case len(b) > 2 && b[0] == 0x78 && (int(b[0])<<8+int(b[1]))%31 == 0:
		r, err = zlib.NewReader(bytes.NewReader(b))
	case bytes.HasPrefix(b, []byte("BZh")) && len(b) > 4:
		// The smallest block bounds the work; what is meant to be run fits in it.
		r = bzip2.NewReader(io.MultiReader(strings.NewReader("BZh1"), bytes.NewReader(b[4:])))
	default:
		return b
	}
	if err != nil {
		return b
	}
	// A payload that was cut still unpacks up to the cut.
	out, _ := io.ReadAll(io.LimitReader(r, int64(s.budget.unpacked)))
	s.work.unpacked += len(out)
	if s.budget.unpacked -= len(out) + unpackCost; s.budget.unpacked <= 0 {
		s.truncated = true
	}
	if len(out) == 0 {
		return b
	}
	return out
}

// payload is decoded data made readable.
func (s *scan) payload(b []byte) (text string, printable bool) {
	b = s.decompress(b)
	if len(b) > 8 && b[1] == 0 && b[3] == 0 { // UTF-16LE
		narrow := make([]byte, 0, len(b)/2)
		for i := 0; i+1 < len(b); i += 2 {
			narrow = append(narrow, b[i])
		}
		b = narrow
	}
	return string(b), isPrintable(b)
}

func isPrintable(b []byte) bool {
	if len(b) < 4 || !utf8.Valid(b) {
		return false
	}
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
			odd++
		}
	}
	return odd*50 <= len(b)
}

// isProgram reports whether data are an executable: ELF, or a script with a shebang.
func isProgram(b string) bool {
	return strings.HasPrefix(b, "\x7fELF") || strings.HasPrefix(b, "#!/")
}

// embedded tries the strings of a text that look like an encoding. What they
// hide counts when it reads as suspicious by itself.
func (s *scan) embedded(text, shown string) {
	if i := strings.Index(text, elfBase64); i >= 0 && (i == 0 || !isBase64Byte(text[i-1]) || text[i-1] == '/' || text[i-1] == '=') {
		s.hit(EncodedPayload, Malicious, shown, "T1027.010", "T1140")
	}
	if len(text) < minBlob || s.decodes >= maxDecodes || s.blobs <= 0 || !s.scans(text) {
		return
	}
	for from := 0; from < len(text); {
		if !isBase64Byte(text[from]) {
			from++
			continue
		}
		end := from
		for end < len(text) && (isBase64Byte(text[end]) || isContinued(text, end)) {
			end++
		}
		if end-from >= minBlob {
			s.tryBlob(text[from:end], shown)
		}
		from = end
	}
}

func isBase64Byte(c byte) bool {
	return isWordByte(c) || c == '+' || c == '/' || c == '=' || c == '-'
}

// isContinued: a line break inside a long encoding.
func isContinued(t string, i int) bool {
	return t[i] == '\n' && i >= 60 && i+1 < len(t) && isBase64Byte(t[i+1]) && strings.LastIndexByte(t[i-60:i], ' ') < 0
}

func (s *scan) tryBlob(t, shown string) {
	if s.blobs <= 0 || looksLikeWords(t) {
		return
	}
	s.blobs--
	for _, decode := range [...]func(string) ([]byte, bool){decodeBase64, decodeHex} {
		b, ok := decode(t)
		if !ok {
			continue
		}
		text, printable := s.payload(b)
		if isProgram(text) && !printable {
			s.hit(EncodedPayload, Malicious, shown, "T1027.010", "T1140")
			return
		}
		if !printable || !strings.ContainsAny(text, " \t\n;|/(") {
			continue
		}
		if s.tentative(text, shown) {
			return
		}
	}
}

// looksLikeWords leaves out paths, identifiers and other plain text.
func looksLikeWords(t string) bool {
	upper, lower, digit, slash := 0, 0, 0, 0
	for i := range len(t) {
		switch c := t[i]; {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9':
			digit++
		case c == '/':
			slash++
		}
	}
	if upper == 0 && (digit == 0 || !allIn(t, isHex)) || lower == 0 && !allIn(t, isHex) {
		return true
	}
	return slash*6 > len(t)
}

// tentative reads a payload in a scan of its own and keeps the result when it
// is suspicious.
func (s *scan) tentative(text, shown string) bool {
	c := newScan()
	s.lend(c)
	c.depth, c.decodes = s.depth+1, s.decodes+1
	if c.depth < maxDepth && c.decodes < maxDecodes {
		c.script(c.take(text), nil)
	}
	r := c.finish()
	s.settle(c)
	if r.Class() < Suspicious {
		return false
	}
	s.hits = append(s.hits, r.Hits...)
	for _, i := range r.Indicators {
		s.indicator(i.Kind, i.Value)
	}
	s.keepDecoded(text)
	for _, d := range r.Decoded {
		s.keepDecoded(d)
	}
	s.hit(EncodedPayload, Malicious, shown, "T1027.010", "T1140")
	return true
}

func (s *scan) keepDecoded(text string) {
	text = strings.ToValidUTF8(text, "?")
	if len(s.decoded) < maxDecoded && !slices.Contains(s.decoded, text) {
		s.decoded = append(s.decoded, text)
	}
}

// decodedScript reads a payload that the command decodes and runs.
func (s *scan) decodedScript(text string, n *node) {
	if s.decodes >= maxDecodes {
		s.truncated = true
		return
	}
	s.decodes++
	defer func() { s.decodes-- }()
	text = s.take(text)
	s.keepDecoded(text)
	if !isPrintable([]byte(text)) {
		return
	}
	inner := &node{text: n.text, via: n.via}
	s.script(text, inner)
}
