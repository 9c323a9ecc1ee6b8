package push_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/push"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		body    string
		header  map[string]string
		want    push.Message
		wantErr error
	}{
		{
			name: "wrapped with both spellings",
			body: `{"deliveryAttempt":5,"message":{"attributes":{"k":"v"},"data":"aGk=","messageId":"1","message_id":"1","orderingKey":"o","publishTime":"T","publish_time":"T"},"subscription":"projects/p/subscriptions/s"}`,
			want: push.Message{Data: []byte("hi"), Attributes: map[string]string{"k": "v"}, ID: "1", Subscription: "projects/p/subscriptions/s", PublishTime: "T", OrderingKey: "o", DeliveryAttempt: 5, Wrapped: true},
		},
		{name: "wrapped snake only", body: `{"message":{"data":"aGk","message_id":"2","publish_time":"T"}}`, want: push.Message{Data: []byte("hi"), ID: "2", PublishTime: "T", Wrapped: true}},
		{name: "URL alphabet", body: `{"message":{"data":"_-8="}}`, want: push.Message{Data: []byte{0xff, 0xef}, Wrapped: true}},
		{name: "no data", body: `{"message":{"attributes":{"a":"b"}}}`, want: push.Message{Attributes: map[string]string{"a": "b"}, Wrapped: true}},
		{name: "null data", body: `{"message":{"data":null}}`, want: push.Message{Wrapped: true}},
		{name: "empty message", body: `{"message":{}}`, want: push.Message{Wrapped: true}},
		{name: "unwrapped", body: `{"finding":{}}`, want: push.Message{Data: []byte(`{"finding":{}}`)}},
		{name: "message is a string", body: `{"message":"text"}`, want: push.Message{Data: []byte(`{"message":"text"}`)}},
		{
			name: "unwrapped with metadata, even if the data looks like an envelope", body: `{"message":{"data":"aGk="}}`,
			header: map[string]string{"x-goog-pubsub-message-id": "9", "x-goog-pubsub-subscription-name": "projects/p/subscriptions/s", "x-goog-pubsub-publish-time": "T"},
			want:   push.Message{Data: []byte(`{"message":{"data":"aGk="}}`), ID: "9", Subscription: "projects/p/subscriptions/s", PublishTime: "T"},
		},
		{name: "not JSON", body: `not "message" json`, want: push.Message{Data: []byte(`not "message" json`)}},
		{name: "empty", body: ``, want: push.Message{Data: []byte{}}},
		{name: "bad base64 is carried whole", body: `{"message":{"data":"%","messageId":"3"},"subscription":"s"}`, want: push.Message{Data: []byte(`{"message":{"data":"%","messageId":"3"},"subscription":"s"}`), ID: "3", Subscription: "s"}, wantErr: push.ErrEnvelope},
		{name: "wrong type is carried whole", body: `{"message":{"data":1}}`, want: push.Message{Data: []byte(`{"message":{"data":1}}`)}, wantErr: push.ErrEnvelope},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for k, v := range tt.header {
				h.Set(k, v)
			}
			got, err := push.Decode([]byte(tt.body), h)
			if !errors.Is(err, tt.wantErr) {
				t.Errorf("error = %v, want %v", err, tt.wantErr)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecodeRealPushes reads recorded push requests of other projects where
// the variable REALDATA names them.
func TestDecodeRealPushes(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA is not set")
	}
	f, err := os.Open(filepath.Join(dir, "pubsub", "push_requests.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	wrapped := 0
	for lines.Scan() {
		var row struct {
			ID, Shape, Body string
			Headers         map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		for k, v := range row.Headers {
			h.Set(k, v)
		}
		got, err := push.Decode([]byte(row.Body), h)
		switch row.Shape {
		case "push_wrapped":
			wrapped++
			if err != nil || !got.Wrapped {
				t.Errorf("%s: wrapped = %v, error = %v; want a wrapped message", row.ID, got.Wrapped, err)
			}
		case "push_unwrapped":
			if got.Wrapped || string(got.Data) != row.Body {
				t.Errorf("%s: an unwrapped body was not taken whole", row.ID)
			}
		}
	}
	if err := lines.Err(); err != nil || wrapped == 0 {
		t.Errorf("read %d wrapped pushes, error %v", wrapped, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"message":{"data":"aGk=","messageId":"1"},"subscription":"s"}`))
	f.Add([]byte(`{"message":{"data":"%"}}`))
	f.Add([]byte(`"message"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := push.Decode(body, http.Header{})
		if m == nil {
			t.Fatal("no message")
		}
		if (err != nil || !m.Wrapped) && string(m.Data) != string(body) {
			t.Error("a body that is no envelope was not carried whole")
		}
	})
}
