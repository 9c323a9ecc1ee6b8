package push

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pushBody is as Pub/Sub writes it, with data of n bytes.
func pushBody(n int) []byte {
	data := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", n)))
	return []byte(`{"deliveryAttempt":5,"message":{"attributes":{"k":"v","other":"ü"},"data":"` + data + `","messageId":"7","message_id":"7",` +
		`"publishTime":"2026-01-02T03:04:05.678Z","publish_time":"2026-01-02T03:04:05.678Z"},"subscription":"projects/p/subscriptions/s"}`)
}

// envelopes are seeds, and whether they are read in one pass.
func envelopes() map[string]bool {
	return map[string]bool{
		string(pushBody(100)):                                                 true,
		string(pushBody(0)):                                                   true,
		`{"message":{}}`:                                                      true,
		`{ "message" : { } , "subscription" : "s" }`:                          true,
		`{"message":{"attributes":{}},"deliveryAttempt":0}`:                   true,
		`{"message":{"data":"aGk="},"message":{"messageId":"1"}}`:             false,
		`{"message":{"data":"aGk="},"Subscription":"s"}`:                      false,
		`{"message":{"data":"aGk"}}`:                                          false,
		`{"message":{"data":"aG\nk="}}`:                                       false,
		"{\"message\":{\"data\":\"aG\nk=\"}}":                                 false,
		`{"message":{"data":"_-8="}}`:                                         false,
		`{"message":{"data":null}}`:                                           false,
		`{"message":{"attributes":{"a":"1","a":"2"}}}`:                        false,
		`{"message":{"attributes":{"a":1}}}`:                                  false,
		`{"message":{"messageId":"\u0041"}}`:                                  false,
		"{\"message\":{\"messageId\":\"\xff\"}}":                              false,
		`{"message":{},"deliveryAttempt":01}`:                                 false,
		`{"message":{},"deliveryAttempt":}`:                                   false,
		`{"message":{},"deliveryAttempt":99999999999999999999}`:               false,
		`{"message":{},"new":1}`:                                              false,
		`{"message":{},}`:                                                     false,
		`{"message":{}} x`:                                                    false,
		`{"message":{}`:                                                       false,
		`{"subscription":"s","x":"message"}`:                                  false,
		`{"message":"x"}`:                                                     false,
		`{"message":{"data":"aGk="`:                                           false,
		`{"message":{"orderingKey":"k","publish_time":"t","message_id":"i"}}`: true,
	}
}

func TestPlainEnvelope(t *testing.T) {
	t.Parallel()
	for body, want := range envelopes() {
		if _, ok := plainEnvelope([]byte(body)); ok != want {
			t.Errorf("read in one pass: %v, want %v: %s", ok, want, body)
		}
		checkPlain(t, []byte(body))
	}
}

// checkPlain holds that what is read in one pass is what encoding/json reads.
func checkPlain(t *testing.T, body []byte) {
	t.Helper()
	trimmed := bytes.TrimSpace(body)
	got, ok := plainEnvelope(trimmed)
	if !ok {
		return
	}
	if !json.Valid(trimmed) {
		t.Errorf("no JSON: %q", body)
	}
	want, err := anyEnvelope(trimmed, &Message{})
	if err != nil {
		t.Errorf("%q: %v", body, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q (-encoding/json +one pass):\n%s", body, diff)
	}
}

func FuzzPlainEnvelope(f *testing.F) {
	for body := range envelopes() {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkPlain(t, body) })
}

// BenchmarkDecode reads a push body of a finding's size, in one pass and with
// encoding/json.
func BenchmarkDecode(b *testing.B) {
	body := pushBody(5000)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if _, err := Decode(body, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("any", func(b *testing.B) {
		for b.Loop() {
			if _, err := anyEnvelope(body, &Message{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
