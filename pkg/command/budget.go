package command

import (
	"strings"
	"unicode/utf8"
)

// budget is what one Read may still spend. A payload read in a scan of its own
// spends from the budget of the scan that found it.
type budget struct {
	bytes  int // of text taken in
	nodes  int // simple commands
	blobs  int // strings tried as an encoding
	reread int // bytes of shell text parsed
	// varBytes are bytes of variables remembered.
	varBytes int
	breaks   int // ends of statements parsed
	unpacked int // bytes taken out of compressed payloads
	scanned  int // bytes searched for indicators and encodings
	work     work
}

// work counts what was really done, for the tests that hold it to a bound.
type work struct {
	parsed   int // bytes given to the shell parser
	visits   int // commands weighed
	scanned  int // bytes searched for indicators and encodings
	unpacked int // bytes taken out of compressed payloads
}

func newBudget() budget {
	return budget{
		bytes: maxText, nodes: maxNodes, blobs: maxBlobs, reread: maxText + maxReread, varBytes: maxText,
		breaks: maxBreaks, unpacked: maxUnpacked, scanned: maxScanned,
	}
}

// cutMark stands where the middle of a text was left out. It cannot occur in
// what is read: take removes its control character.
const cutMark = "\n\x1e\n"

// take cuts text to the budget, its head and its tail kept, and makes it valid
// UTF-8 without NUL.
func (s *scan) take(text string) string {
	if len(text) > s.bytes {
		text = cutMiddle(text, s.bytes)
		s.truncated = true
	}
	s.bytes -= len(text) + 1
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "?")
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", " ")
	}
	return text
}

// cutMiddle keeps three parts of the beginning and one of the end of a text
// longer than limit, at the ends of statements where there are any near.
func cutMiddle(text string, limit int) string {
	const ends = "\n;|&"
	if limit < 4*len(cutMark) {
		return text[:max(limit, 0)]
	}
	limit -= len(cutMark)
	head, tail := text[:limit*3/4], text[len(text)-limit/4:]
	if i := strings.LastIndexAny(head[len(head)*7/8:], ends); i >= 0 {
		head = head[:len(head)*7/8+i]
	}
	if i := strings.IndexAny(tail[:len(tail)/8], ends); i >= 0 {
		tail = tail[i+1:]
	}
	return strings.ReplaceAll(head, "\x1e", " ") + cutMark + strings.ReplaceAll(tail, "\x1e", " ")
}

// statements cuts shell text where it has more statements than the budget
// allows: what one statement costs to parse and to weigh is many times what its
// bytes cost.
func (s *scan) statements(text string) string {
	for i := range len(text) {
		switch text[i] {
		case '\n', ';', '|', '&':
			if s.breaks--; s.breaks < 0 {
				s.truncated = true
				return text[:i]
			}
		}
	}
	return text
}

// lastStatements cuts the tail of a text so that its end is read.
func (s *scan) lastStatements(text string) string {
	limit := min(s.breaks, s.nodes/2)
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case '\n', ';', '|', '&':
			if limit--; limit < 0 {
				return text[i+1:]
			}
			s.breaks--
		}
	}
	return text
}

// afterOpenQuote drops what belongs to a quote opened in the part that was left out.
func afterOpenQuote(tail string) string {
	for _, q := range [...]string{"'", `"`} {
		if strings.Count(tail, q)%2 == 1 {
			_, rest, _ := strings.Cut(tail, q)
			return rest
		}
	}
	return tail
}

// scans charges for searching through text; false says that it must be left.
func (s *scan) scans(text string) bool {
	if s.scanned -= len(text); s.scanned < 0 {
		s.truncated = true
		return false
	}
	s.work.scanned += len(text)
	return true
}

// lend gives a scan of its own what this one has left.
func (s *scan) lend(c *scan) { c.budget = s.budget }

// settle takes back what is left.
func (s *scan) settle(c *scan) { s.budget = c.budget }
