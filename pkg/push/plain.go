package push

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// plainEnvelope reads the envelope as Pub/Sub writes it, in one pass: an object
// of known fields, none of them twice, whose strings hold no escapes. It gives
// up, with ok false, on everything else, which encoding/json then reads; what
// it does read is what encoding/json would.
func plainEnvelope(body []byte) (m *Message, ok bool) {
	s := &scanner{rest: body, ok: true}
	m = &Message{Wrapped: true}
	found := false
	s.object(func(key string) {
		switch key {
		case "message":
			found = true
			s.message(m)
		case "subscription":
			m.Subscription = s.text()
		case "deliveryAttempt":
			m.DeliveryAttempt = s.number()
		default:
			s.ok = false
		}
	})
	s.space()
	return m, s.ok && found && len(s.rest) == 0
}

// message reads the message inside the envelope.
func (s *scanner) message(m *Message) {
	var id2, time2 string
	s.object(func(key string) {
		switch key {
		case "data":
			m.Data = s.base64()
		case "attributes":
			m.Attributes = map[string]string{}
			s.object(func(key string) { m.Attributes[key] = s.text() })
		case "messageId":
			m.ID = s.text()
		case "message_id":
			id2 = s.text()
		case "publishTime":
			m.PublishTime = s.text()
		case "publish_time":
			time2 = s.text()
		case "orderingKey":
			m.OrderingKey = s.text()
		default:
			s.ok = false
		}
	})
	m.ID, m.PublishTime = first(m.ID, id2), first(m.PublishTime, time2)
}

// scanner reads the beginning of rest. Once ok is false its answers mean nothing.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) space() { s.rest = bytes.TrimLeft(s.rest, " \t\r\n") }

// next takes the byte c, after space.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) want(c byte) { s.ok = s.next(c) && s.ok }

// maxPlainKeys is the most fields of an object that are read: attributes are
// at most 100 (https://cloud.google.com/pubsub/quotas#resource_limits).
const maxPlainKeys = 128

// object calls value for each key, to read what follows it.
func (s *scanner) object(value func(key string)) {
	s.want('{')
	if s.next('}') {
		return
	}
	var seen []string
	for s.ok {
		key := s.text()
		for _, k := range seen {
			s.ok = s.ok && k != key
		}
		seen = append(seen, key)
		s.ok = s.ok && len(seen) <= maxPlainKeys
		if s.want(':'); !s.ok {
			return
		}
		value(key)
		if !s.next(',') {
			s.want('}')
			return
		}
	}
}

// raw reads a string without escapes.
func (s *scanner) raw() []byte {
	if s.want('"'); !s.ok {
		return nil
	}
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 {
		s.ok = false
		return nil
	}
	value := s.rest[:end]
	s.rest = s.rest[end+1:]
	return value
}

// text reads a string of characters that stand for themselves.
func (s *scanner) text() string {
	value := s.raw()
	for _, c := range value {
		if c < ' ' || c == '\\' {
			s.ok = false
		}
	}
	s.ok = s.ok && utf8.Valid(value)
	return string(value)
}

// base64 reads bytes in the standard alphabet, padded.
func (s *scanner) base64() []byte {
	value := s.raw()
	if bytes.IndexByte(value, '\n') >= 0 || bytes.IndexByte(value, '\r') >= 0 { // the decoder would skip them; JSON does not allow them
		s.ok = false
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	n, err := base64.StdEncoding.Decode(data, value)
	s.ok = s.ok && err == nil
	return data[:n]
}

// number reads a whole number without sign or exponent.
func (s *scanner) number() int {
	s.space()
	end := 0
	for end < len(s.rest) && s.rest[end] >= '0' && s.rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(s.rest[:end]))
	s.ok = s.ok && err == nil && (s.rest[0] != '0' || end == 1)
	s.rest = s.rest[end:]
	return n
}
