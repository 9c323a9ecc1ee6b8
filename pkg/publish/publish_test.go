package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/publish"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

const (
	recordTopic = "projects/siem-project/topics/records"
	deadTopic   = "projects/scc-project/topics/dead-letters"
)

// refuse refuses what Pub/Sub refuses and pstest takes.
type refuse struct{}

func (refuse) React(req any) (bool, any, error) {
	resp := &pubsubpb.PublishResponse{}
	for _, m := range req.(*pubsubpb.PublishRequest).GetMessages() {
		if why := illegal(m); why != "" {
			return true, resp, status.Error(codes.InvalidArgument, why)
		}
	}
	return false, resp, nil
}

func illegal(m *pubsubpb.PubsubMessage) string {
	if len(m.GetData()) == 0 && len(m.GetAttributes()) == 0 {
		return "message must have data or an attribute"
	}
	if n := len(m.GetAttributes()); n > 100 {
		return fmt.Sprintf("%d attributes", n)
	}
	for k, v := range m.GetAttributes() {
		switch {
		case k == "" || len(k) > 256 || strings.HasPrefix(strings.ToLower(k), "goog"):
			return fmt.Sprintf("attribute key %q", k)
		case len(v) > 1024:
			return fmt.Sprintf("value of attribute %q has %d bytes", k, len(v))
		}
	}
	return ""
}

// start serves Pub/Sub with both topics and returns a Publisher for it.
func start(t testing.TB, o publish.Options, reactors ...pstest.ServerReactorOption) (*pstest.Server, *publish.Publisher) {
	t.Helper()
	if len(reactors) == 0 {
		reactors = []pstest.ServerReactorOption{{FuncName: "Publish", Reactor: refuse{}}}
	}
	srv := pstest.NewServer(reactors...)
	t.Cleanup(func() { _ = srv.Close() })
	for _, name := range []string{recordTopic, deadTopic} {
		if _, err := srv.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	o.ClientOptions = upstream.ClientOptions("http://" + srv.Addr)
	p, err := publish.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return srv, p
}

func both() publish.Options {
	return publish.Options{RecordTopic: recordTopic, DeadLetterTopic: deadTopic}
}

// message is what the tests compare of a published message.
type message struct {
	Topic      string
	Data       []byte
	Attributes map[string]string
}

func published(srv *pstest.Server) []message {
	var out []message
	for _, m := range srv.Messages() {
		out = append(out, message{Topic: m.Topic, Data: m.Data, Attributes: m.Attributes})
	}
	return out
}

func TestRecord(t *testing.T) {
	t.Parallel()
	srv, p := start(t, both())
	if err := p.Record(t.Context(), []byte(`{"schema_version":1}`), map[string]string{"verdict": "malicious"}); err != nil {
		t.Fatal(err)
	}
	want := []message{{Topic: recordTopic, Data: []byte(`{"schema_version":1}`), Attributes: map[string]string{"verdict": "malicious"}}}
	if diff := cmp.Diff(want, published(srv)); diff != "" {
		t.Errorf("published -want +got:\n%s", diff)
	}
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	crowd := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%03d", i)] = "v"
		}
		return m
	}
	with := func(m map[string]string, more ...string) map[string]string {
		m = maps.Clone(m)
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	tests := map[string]struct {
		in   publish.DeadLetter
		want message
	}{
		"bytes unchanged and attributes kept": {
			in: publish.DeadLetter{
				Data:       []byte("\x00\xff not json {"),
				Attributes: map[string]string{"origin": "scc"},
				Reason:     "not_json", Error: "invalid character", MessageID: "123", Subscription: "projects/p/subscriptions/s",
			},
			want: message{
				Data: []byte("\x00\xff not json {"),
				Attributes: map[string]string{
					"origin": "scc", "reason": "not_json", "error": "invalid character",
					"message_id": "123", "subscription": "projects/p/subscriptions/s",
				},
			},
		},
		"nothing at all still becomes a message": {
			want: message{Attributes: map[string]string{"reason": "unknown"}},
		},
		"ours win over the original, which is kept, where ours are empty too": {
			in: publish.DeadLetter{
				Data: []byte("x"), Reason: "no_finding",
				Attributes: map[string]string{"reason": "r", "message_id": "m", "error": "e", "subscription": "s", "dropped_attributes": "d"},
			},
			want: message{Data: []byte("x"), Attributes: map[string]string{
				"reason": "no_finding", "original_reason": "r", "original_message_id": "m", "original_error": "e", "original_subscription": "s",
				"original_dropped_attributes": "d",
			}},
		},
		"a dead letter that was replayed loses nothing": {
			in: publish.DeadLetter{
				Data: []byte("x"), Reason: "third",
				Attributes: map[string]string{"reason": "second", "original_reason": "first", "original_original_error": "e"},
			},
			want: message{Data: []byte("x"), Attributes: map[string]string{
				"reason": "third", "original_original_reason": "second", "original_reason": "first", "original_original_error": "e",
			}},
		},
		"long values end with a whole character": {
			in: publish.DeadLetter{Data: []byte("x"), Reason: "r", Error: "a" + strings.Repeat("é", 600)},
			want: message{Data: []byte("x"), Attributes: map[string]string{
				"reason": "r", "error": "a" + strings.Repeat("é", 511),
			}},
		},
		"1,024 bytes are not too long": {
			in:   publish.DeadLetter{Data: []byte("x"), Reason: strings.Repeat("r", 1024), Attributes: map[string]string{strings.Repeat("k", 256): strings.Repeat("v", 1024)}},
			want: message{Data: []byte("x"), Attributes: map[string]string{"reason": strings.Repeat("r", 1024), strings.Repeat("k", 256): strings.Repeat("v", 1024)}},
		},
		"invalid UTF-8 in a value": {
			in:   publish.DeadLetter{Data: []byte("x"), Reason: "r", Error: "bad \xff byte", Attributes: map[string]string{"a": "\xff"}},
			want: message{Data: []byte("x"), Attributes: map[string]string{"reason": "r", "error": "bad \uFFFD byte", "a": "\uFFFD", "dropped_attributes": "1"}},
		},
		"illegal originals are left out and counted": {
			in: publish.DeadLetter{Data: []byte("x"), Reason: "r", Attributes: map[string]string{
				"": "no key", strings.Repeat("k", 257): "long key", "googclient_trace": "reserved", "GOOG": "reserved",
				"bad\xff": "invalid", "long": strings.Repeat("v", 2000), "good": "kept",
			}},
			want: message{Data: []byte("x"), Attributes: map[string]string{
				"reason": "r", "long": strings.Repeat("v", 1024), "good": "kept", "dropped_attributes": "6",
			}},
		},
		"no more than 100 attributes": {
			in:   publish.DeadLetter{Data: []byte("x"), Reason: "r", Attributes: crowd(150)},
			want: message{Data: []byte("x"), Attributes: with(crowd(98), "reason", "r", "dropped_attributes", "52")},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, p := start(t, both())
			before := maps.Clone(tc.in.Attributes)
			if err := p.DeadLetter(t.Context(), tc.in); err != nil {
				t.Fatal(err)
			}
			tc.want.Topic = deadTopic
			if diff := cmp.Diff([]message{tc.want}, published(srv)); diff != "" {
				t.Errorf("published -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.in.Attributes); diff != "" {
				t.Errorf("the caller's attributes were changed -want +got:\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	fail := func(c codes.Code) pstest.ServerReactorOption {
		return pstest.WithErrorInjection("Publish", c, "injected")
	}
	tests := map[string]struct {
		options publish.Options
		reactor []pstest.ServerReactorOption
		data    []byte
		want    error
	}{
		"no topic configured":         {options: publish.Options{RecordTopic: recordTopic}, data: []byte("x"), want: evidence.ErrDisabled},
		"topic does not exist":        {options: publish.Options{DeadLetterTopic: "projects/scc-project/topics/other"}, data: []byte("x"), want: evidence.ErrNotFound},
		"permission denied":           {options: both(), reactor: []pstest.ServerReactorOption{fail(codes.PermissionDenied)}, data: []byte("x"), want: evidence.ErrDenied},
		"over 10 MB":                  {options: both(), data: make([]byte, 10_000_001), want: publish.ErrTooLarge},
		"unavailable beyond our time": {options: publish.Options{DeadLetterTopic: deadTopic, Timeout: 300 * time.Millisecond}, reactor: []pstest.ServerReactorOption{fail(codes.Unavailable)}, data: []byte("x"), want: context.DeadlineExceeded},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, p := start(t, tc.options, tc.reactor...)
			err := p.DeadLetter(t.Context(), publish.DeadLetter{Data: tc.data, Reason: "r"})
			if !errors.Is(err, tc.want) {
				t.Errorf("DeadLetter() = %v, want %v", err, tc.want)
			}
			if got := published(srv); len(got) != 0 {
				t.Errorf("%d messages were published", len(got))
			}
		})
	}
}

// flaky refuses the first calls with Unavailable.
type flaky struct {
	mu   sync.Mutex
	left int
}

func (f *flaky) React(any) (bool, any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		f.left--
		return true, &pubsubpb.PublishResponse{}, status.Error(codes.Unavailable, "injected")
	}
	return false, &pubsubpb.PublishResponse{}, nil
}

func TestUnavailableHeals(t *testing.T) {
	t.Parallel()
	srv, p := start(t, both(), pstest.ServerReactorOption{FuncName: "Publish", Reactor: &flaky{left: 2}})
	if err := p.DeadLetter(t.Context(), publish.DeadLetter{Data: []byte("x"), Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if got := len(published(srv)); got != 1 {
		t.Errorf("%d messages were published, want 1", got)
	}
}

func TestCallersContext(t *testing.T) {
	t.Parallel()
	_, p := start(t, publish.Options{RecordTopic: recordTopic, Timeout: time.Second}, pstest.WithErrorInjection("Publish", codes.Unavailable, "injected"))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := p.Record(ctx, []byte("x"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Record() = %v, want context.Canceled", err)
	}
}

func TestEmptyRecord(t *testing.T) {
	t.Parallel()
	srv, p := start(t, both())
	if err := p.Record(t.Context(), nil, nil); !errors.Is(err, publish.ErrEmpty) {
		t.Errorf("Record() = %v, want ErrEmpty", err)
	}
	if err := p.Record(t.Context(), nil, map[string]string{"googleonly": "x"}); err != nil {
		t.Errorf("Record() = %v; the count of what was dropped makes it a message", err)
	}
	if err := p.Record(t.Context(), nil, map[string]string{"a": "b"}); err != nil {
		t.Errorf("Record() of attributes only = %v", err)
	}
	if got := len(published(srv)); got != 2 {
		t.Errorf("%d messages were published, want 2", got)
	}
}

// A record that many wait for is published once each, and Close loses none.
func TestConcurrentRecordsAndClose(t *testing.T) {
	t.Parallel()
	srv, p := start(t, both())
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if err := p.Record(t.Context(), fmt.Appendf(nil, "%d", i), nil); err != nil {
				t.Errorf("Record(%d) = %v", i, err)
			}
		})
	}
	wg.Wait()
	if err := p.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	seen := map[string]int{}
	for _, m := range published(srv) {
		seen[string(m.Data)]++
	}
	if len(seen) != 200 || len(published(srv)) != 200 {
		t.Errorf("%d different records in %d messages, want 200 in 200", len(seen), len(published(srv)))
	}
	if err := p.Record(t.Context(), []byte("x"), nil); !errors.Is(err, pubsub.ErrPublisherStopped) {
		t.Errorf("Record() after Close = %v, want ErrPublisherStopped", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		topic string
		ok    bool
	}{
		"id":                     {"projects/my-project/topics/findings", true},
		"number":                 {"projects/123456789012/topics/findings", true},
		"domain-scoped project":  {"projects/example.com:my-project/topics/findings", true},
		"unusual characters":     {"projects/my-project/topics/a_b.c~d+e%20-f", true},
		"short name":             {"findings", false},
		"subscription":           {"projects/my-project/subscriptions/findings", false},
		"wildcard project":       {"projects/-/topics/findings", false},
		"trailing slash":         {"projects/my-project/topics/findings/", false},
		"line break":             {"projects/my-project/topics/findings\n", false},
		"topic starts with goog": {"projects/my-project/topics/googlefindings", false},
		"topic too short":        {"projects/my-project/topics/ab", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := publish.New(t.Context(), publish.Options{DeadLetterTopic: tc.topic, ClientOptions: upstream.ClientOptions("http://127.0.0.1:1")})
			if (err == nil) != tc.ok {
				t.Errorf("New(%q) = %v, want accepted: %v", tc.topic, err, tc.ok)
			}
			if err == nil {
				_ = p.Close()
			}
		})
	}
}

func TestNoTopicsNeedNoClient(t *testing.T) {
	t.Parallel()
	p, err := publish.New(t.Context(), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Record(t.Context(), []byte("x"), nil); !errors.Is(err, evidence.ErrDisabled) {
		t.Errorf("Record() = %v, want evidence.ErrDisabled", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

// Whatever the original attributes are, Pub/Sub takes the message and the data
// is unchanged.
func FuzzDeadLetterAttributes(f *testing.F) {
	f.Add("key", "value", "reason", "error")
	f.Add("goog", strings.Repeat("é", 2000), "", "\xff")
	f.Add("", "", "reason\x00", strings.Repeat("\xff", 3000))
	srv, p := start(f, both())
	f.Fuzz(func(t *testing.T, key, value, reason, cause string) {
		srv.ClearMessages()
		data := []byte(value)
		err := p.DeadLetter(t.Context(), publish.DeadLetter{Data: data, Attributes: map[string]string{key: value}, Reason: reason, Error: cause})
		if err != nil {
			t.Fatal(err)
		}
		got := published(srv)
		if len(got) != 1 || !bytes.Equal(got[0].Data, data) {
			t.Fatalf("published %v, want the data unchanged", got)
		}
		for k, v := range got[0].Attributes {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				t.Errorf("attribute %q is not valid UTF-8", k)
			}
		}
	})
}

// Google's client finds the emulator by itself. Not parallel: it sets the
// environment.
func TestEmulatorHost(t *testing.T) {
	srv := pstest.NewServer()
	t.Cleanup(func() { _ = srv.Close() })
	if _, err := srv.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: deadTopic}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PUBSUB_EMULATOR_HOST", srv.Addr)
	p, err := publish.New(t.Context(), publish.Options{DeadLetterTopic: deadTopic})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	if err := p.DeadLetter(t.Context(), publish.DeadLetter{Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if got := len(published(srv)); got != 1 {
		t.Errorf("%d messages were published, want 1", got)
	}
}
