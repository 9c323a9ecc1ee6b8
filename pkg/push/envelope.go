package push

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Message is one Pub/Sub message, wrapped or unwrapped.
type Message struct {
	// Data are the original bytes the publisher sent; the whole body where it
	// is no envelope.
	Data            []byte
	Attributes      map[string]string
	ID              string
	Subscription    string
	PublishTime     string
	OrderingKey     string
	DeliveryAttempt int
	// Wrapped is true when the body was Pub/Sub's JSON envelope.
	Wrapped bool
}

// ErrEnvelope marks a wrapped body whose message cannot be read; the Message
// returned with it carries the whole body as its data.
var ErrEnvelope = errors.New("unreadable Pub/Sub envelope")

// envelope is the wrapped push body. Pub/Sub sends some names twice, in
// camelCase and in snake_case (https://cloud.google.com/pubsub/docs/push).
type envelope struct {
	Message         json.RawMessage `json:"message"`
	Subscription    string          `json:"subscription"`
	DeliveryAttempt int             `json:"deliveryAttempt"`
}

type wrapped struct {
	Data         *string           `json:"data"`
	Attributes   map[string]string `json:"attributes"`
	MessageID    string            `json:"messageId"`
	MessageID2   string            `json:"message_id"`
	PublishTime  string            `json:"publishTime"`
	PublishTime2 string            `json:"publish_time"`
	OrderingKey  string            `json:"orderingKey"`
}

// Decode reads a push body: Pub/Sub's envelope, or the raw data of an
// unwrapped subscription, whose metadata is in headers when writeMetadata is
// set. It returns a Message in every case; with an error, Data is the whole body.
func Decode(body []byte, h http.Header) (*Message, error) {
	whole := &Message{
		Data:         body,
		ID:           h.Get("X-Goog-Pubsub-Message-Id"),
		Subscription: h.Get("X-Goog-Pubsub-Subscription-Name"),
		PublishTime:  h.Get("X-Goog-Pubsub-Publish-Time"),
		OrderingKey:  h.Get("X-Goog-Pubsub-Ordering-Key"),
	}
	if whole.ID != "" || whole.Subscription != "" {
		return whole, nil
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || trimmed[0] != '{' || !bytes.Contains(trimmed, []byte(`"message"`)) {
		return whole, nil
	}
	if m, ok := plainEnvelope(trimmed); ok {
		return m, nil
	}
	return anyEnvelope(trimmed, whole)
}

// anyEnvelope reads an envelope however it is written; whole is the answer
// where it is none.
func anyEnvelope(trimmed []byte, whole *Message) (*Message, error) {
	var e envelope
	if err := json.Unmarshal(trimmed, &e); err != nil {
		if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType {
			return whole, fmt.Errorf("%w: %w", ErrEnvelope, err)
		}
		return whole, nil
	}
	if len(e.Message) == 0 || e.Message[0] != '{' {
		return whole, nil
	}
	var m wrapped
	if err := json.Unmarshal(e.Message, &m); err != nil {
		return whole, fmt.Errorf("%w: message: %w", ErrEnvelope, err)
	}
	msg := &Message{
		Attributes:      m.Attributes,
		ID:              first(m.MessageID, m.MessageID2),
		Subscription:    e.Subscription,
		PublishTime:     first(m.PublishTime, m.PublishTime2),
		OrderingKey:     m.OrderingKey,
		DeliveryAttempt: e.DeliveryAttempt,
		Wrapped:         true,
	}
	if m.Data == nil {
		return msg, nil
	}
	data, err := decodeBase64(*m.Data)
	if err != nil {
		whole.ID, whole.Subscription = msg.ID, msg.Subscription
		return whole, fmt.Errorf("%w: data: %w", ErrEnvelope, err)
	}
	msg.Data = data
	return msg, nil
}

// decodeBase64 takes standard and URL alphabets, padded or not, as protobuf's
// JSON mapping does.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
