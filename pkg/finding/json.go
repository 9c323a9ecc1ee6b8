package finding

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is the text of one JSON value inside a document that json.Valid has
// accepted; nil is an absent value. Nothing is decoded before it is asked for,
// so unused fields cost one scan and no memory, however deep or large they are.
// On text that is not valid JSON the methods return nonsense, but end.
type node []byte

// rootNode checks that data is one JSON value and returns it.
func rootNode(data []byte) (node, bool) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !json.Valid(data) {
		return nil, false
	}
	return bytes.TrimSpace(data), true
}

// is reports whether the value begins with c: '{', '[', '"', 't', 'f' or 'n'.
func (n node) is(c byte) bool { return len(n) > 0 && n[0] == c }

// absent reports whether there is no value, or null.
func (n node) absent() bool { return len(n) == 0 || n[0] == 'n' }

// members yields the fields of an object: the key with its quotes, the value.
func (n node) members() iter.Seq2[node, node] {
	return func(yield func(node, node) bool) {
		if !n.is('{') {
			return
		}
		for i := skipSpace(n, 1); i < len(n) && n[i] == '"'; {
			keyEnd := stringEnd(n, i)
			start := next(n, keyEnd)
			end := valueEnd(n, start)
			if !yield(n[i:keyEnd], n[start:end]) {
				return
			}
			i = next(n, end)
		}
	}
}

// elements yields the elements of an array.
func (n node) elements() iter.Seq[node] {
	return func(yield func(node) bool) {
		if !n.is('[') {
			return
		}
		for i := skipSpace(n, 1); i < len(n) && n[i] != ']'; {
			end := valueEnd(n, i)
			if end == i || !yield(n[i:end]) {
				return
			}
			i = next(n, end)
		}
	}
}

// text returns the value of a string.
func (n node) text() (string, bool) {
	if !n.is('"') || len(n) < 2 {
		return "", false
	}
	if raw := n[1 : len(n)-1]; utf8.Valid(raw) {
		if bytes.IndexByte(raw, '\\') < 0 {
			return string(raw), true
		}
		if s, ok := unescaped(raw); ok {
			return s, true
		}
	}
	var s string
	if err := json.Unmarshal(n, &s); err != nil {
		return "", false
	}
	return s, true
}

// integer returns the value of a number, or of a string that holds one: protobuf
// JSON writes 64-bit integers as strings, other encoders write 12 as 12.0.
func (n node) integer() (int64, bool) {
	s := string(n)
	if n.is('"') {
		s, _ = n.text()
	}
	return parseInteger(s)
}

func parseInteger(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// boolean returns the value of a boolean, or of a string that holds one.
func (n node) boolean() (value, ok bool) {
	switch string(n) {
	case "true", `"true"`:
		return true, true
	case "false", `"false"`:
		return false, true
	}
	return false, false
}

// object is the index of one JSON object.
type object []field

type field struct {
	key []byte // without quotes and escapes
	val node
}

// object indexes the fields of n, at most maxFields, without null ones; it
// returns how many fields were left out. It is empty when n is no object.
func (n node) object() (o object, left int) { return n.appendFields(nil) }

// appendFields is object with the index appended to o.
func (n node) appendFields(o object) (_ object, left int) {
	before := len(o)
	for k, v := range n.members() {
		if v.absent() {
			continue
		}
		if len(o)-before >= maxFields {
			left++
			continue
		}
		key := k[1 : len(k)-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			s, _ := k.text()
			key = []byte(s)
		}
		o = append(o, field{key, v})
	}
	return o, left
}

// get returns the field called name in lowerCamelCase, or in snake_case when
// there is none; nil when there is neither. Of repeated fields the last counts,
// as in encoding/json.
func (o object) get(name string) node {
	var snake node
	for i := len(o) - 1; i >= 0; i-- {
		key := o[i].key
		if len(key) == 0 || key[0] != name[0] {
			continue
		}
		if string(key) == name {
			return o[i].val
		}
		if snake == nil && len(key) > len(name) && isSnake(key, name) {
			snake = o[i].val
		}
	}
	return snake
}

// isSnake reports whether key is the snake_case form of camel.
func isSnake(key []byte, camel string) bool {
	j := 0
	for i := range len(camel) {
		c := camel[i]
		if 'A' <= c && c <= 'Z' {
			if j >= len(key) || key[j] != '_' {
				return false
			}
			j++
			c += 'a' - 'A'
		}
		if j >= len(key) || key[j] != c {
			return false
		}
		j++
	}
	return j == len(key)
}

// entries yields a map with the keys as they are: an object, or an array of
// {key, value} as some exports write it.
func (n node) entries() iter.Seq2[string, node] {
	return func(yield func(string, node) bool) {
		for k, v := range n.members() {
			if key, ok := k.text(); ok && !yield(key, v) {
				return
			}
		}
		for e := range n.elements() {
			o, _ := e.object()
			if key, ok := o.get("key").text(); ok && !yield(key, o.get("value")) {
				return
			}
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// next returns the index of what follows the delimiter after i.
func next(b []byte, i int) int {
	if i = skipSpace(b, i); i < len(b) {
		i++
	}
	return skipSpace(b, i)
}

// stringEnd returns the index after the string that begins at i. It looks at
// no byte more than twice, whatever is escaped.
func stringEnd(b []byte, i int) int {
	for quote := i; ; {
		if i++; i >= len(b) {
			return len(b)
		}
		if quote < i { // the last one found was escaped, or is the first of all
			n := bytes.IndexByte(b[i:], '"')
			if n < 0 {
				return len(b)
			}
			quote = i + n
		}
		escape := bytes.IndexByte(b[i:quote], '\\')
		if escape < 0 {
			return quote + 1
		}
		i += escape + 1 // the escaped character
	}
}

// valueEnd returns the index after the value that begins at i. It counts
// brackets instead of descending, so that nesting costs no stack.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return compositeEnd(b, i)
	}
	for i < len(b) && !delimits(b[i]) {
		i++
	}
	return i
}

// compositeEnd returns the index after the object or array that begins at i.
func compositeEnd(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(b)
}

func delimits(c byte) bool {
	switch c {
	case ',', ':', '{', '}', '[', ']', '"', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}
