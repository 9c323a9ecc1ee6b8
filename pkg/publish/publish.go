// Package publish sends what leaves the service to Pub/Sub: the full record of
// each enrichment to the record topic, and each message that can never succeed
// to the dead-letter topic.
//
// Both calls return only when Pub/Sub has the message or has refused it: the
// caller acknowledges the original message on the strength of that answer.
// After an error, a deadline's above all, the message may still have been
// published: it may come twice, but it is never lost silently.
package publish

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// Errors a caller tells apart. A topic that is not configured is
// evidence.ErrDisabled.
var (
	// ErrTooLarge: the message is over Pub/Sub's limit of 10 MB. It can never be published.
	ErrTooLarge = errors.New("message too large for Pub/Sub")
	// ErrEmpty: neither data nor attributes, which Pub/Sub refuses.
	ErrEmpty = errors.New("message without data and attributes")
)

// DefaultTimeout bounds one publication, its retries included, where Options
// names no other.
const DefaultTimeout = 8 * time.Second

// What may be waiting for Pub/Sub at once, for each topic. A caller beyond it
// waits for its turn as long as its context allows.
const (
	maxOutstandingMessages = 1000
	maxOutstandingBytes    = 64 << 20
)

// recordDelay is how long a record waits for others to share its request. The
// delivery's acknowledgement waits for the record, so it is short.
const recordDelay = 2 * time.Millisecond

// Options configure New.
type Options struct {
	// RecordTopic and DeadLetterTopic are "projects/P/topics/T", in any
	// project; empty switches that topic off.
	RecordTopic     string
	DeadLetterTopic string
	// Timeout bounds one publication and therefore Close; DefaultTimeout if zero.
	Timeout time.Duration
	// ClientOptions are passed to Google's client, which by itself also
	// honours PUBSUB_EMULATOR_HOST.
	ClientOptions []option.ClientOption
}

// Publisher publishes to the configured topics. It is safe for concurrent use.
type Publisher struct {
	client  *pubsub.Client // nil when no topic is configured
	records *pubsub.Publisher
	dead    *pubsub.Publisher
	timeout time.Duration
}

var topicName = regexp.MustCompile(`^projects/([a-z][a-z0-9.:-]{4,}[a-z0-9]|[0-9]+)/topics/([A-Za-z][A-Za-z0-9._~+%-]{2,254})$`)

// New returns a Publisher for the topics named. It checks the names, not that
// the topics exist: that is not the publisher's permission. The identity needs
// roles/pubsub.publisher on each topic.
func New(ctx context.Context, o Options) (*Publisher, error) {
	project, err := projectOf(o.RecordTopic, o.DeadLetterTopic)
	if err != nil {
		return nil, err
	}
	p := &Publisher{timeout: o.Timeout}
	if p.timeout <= 0 {
		p.timeout = DefaultTimeout
	}
	if project == "" {
		return p, nil
	}
	// One client serves topics of every project: they are named in full.
	p.client, err = pubsub.NewClient(ctx, project, o.ClientOptions...)
	if err != nil {
		return nil, fmt.Errorf("create Pub/Sub client: %w", err)
	}
	if o.RecordTopic != "" {
		p.records = p.client.Publisher(o.RecordTopic)
		p.records.PublishSettings = settings(p.timeout, recordDelay, 100)
	}
	if o.DeadLetterTopic != "" {
		p.dead = p.client.Publisher(o.DeadLetterTopic)
		// Dead letters are other people's bytes: each travels in a request of
		// its own, so that one that Pub/Sub refuses takes no other with it.
		p.dead.PublishSettings = settings(p.timeout, time.Millisecond, 1)
	}
	return p, nil
}

// projectOf returns the project of the first topic named, and an error for
// every name that is not a topic's.
func projectOf(topics ...string) (string, error) {
	var project string
	var errs []error
	for _, t := range topics {
		if t == "" {
			continue
		}
		if err := CheckTopic(t); err != nil {
			errs = append(errs, fmt.Errorf("topic %w", err))
			continue
		}
		if project == "" {
			project = topicName.FindStringSubmatch(t)[1]
		}
	}
	return project, errors.Join(errs...)
}

// CheckTopic returns why name cannot be a topic's: it is not
// "projects/PROJECT/topics/TOPIC" with an id that Google gives out.
func CheckTopic(name string) error {
	if m := topicName.FindStringSubmatch(name); m == nil || strings.HasPrefix(m[2], reserved) {
		return fmt.Errorf("%q is not projects/PROJECT/topics/TOPIC", name)
	}
	return nil
}

func settings(timeout, delay time.Duration, count int) pubsub.PublishSettings {
	s := pubsub.DefaultPublishSettings
	s.Timeout, s.DelayThreshold, s.CountThreshold = timeout, delay, count
	s.FlowControlSettings = pubsub.FlowControlSettings{
		MaxOutstandingMessages: maxOutstandingMessages,
		MaxOutstandingBytes:    maxOutstandingBytes,
		LimitExceededBehavior:  pubsub.FlowControlBlock,
	}
	return s
}

// Record publishes one record to the record topic and waits until Pub/Sub has
// it. Attributes beyond Pub/Sub's limits are cut or left out, as DeadLetter
// describes. Data and attributes that are both empty are ErrEmpty.
func (p *Publisher) Record(ctx context.Context, data []byte, attributes map[string]string) error {
	return p.publish(ctx, "publish record", p.records, data, legal(attributes, nil))
}

// DeadLetter is a message that can never succeed.
type DeadLetter struct {
	// Data is the message's data, or the whole request body where it was no
	// envelope. It is published unchanged.
	Data []byte
	// Attributes are the original attributes.
	Attributes map[string]string
	// Reason is a short name for why it can never succeed; Error says it in full.
	Reason string
	Error  string
	// MessageID and Subscription say where the message came from, where known.
	MessageID    string
	Subscription string
}

// DeadLetter publishes d to the dead-letter topic and waits until Pub/Sub has
// it: only a nil error makes it safe to acknowledge the original.
//
// The message has d.Data as its data, and the original attributes with reason,
// error, message_id and subscription set from d; an original attribute of one
// of these names is kept as original_reason and so on. Values are made valid
// UTF-8 and cut to 1,024 bytes. Original attributes that Pub/Sub would refuse
// are left out (no key, a key over 256 bytes, not valid UTF-8 or with its
// reserved prefix "goog", more than 100 in all), so that a bad attribute never
// costs the data; the attribute dropped_attributes then counts what was left
// out or cut.
func (p *Publisher) DeadLetter(ctx context.Context, d DeadLetter) error {
	reason := d.Reason
	if reason == "" {
		reason = "unknown" // so that an empty message still has an attribute
	}
	attributes := legal(d.Attributes, []attribute{
		{"reason", reason},
		{"error", d.Error},
		{"message_id", d.MessageID},
		{"subscription", d.Subscription},
	})
	return p.publish(ctx, "publish dead letter", p.dead, d.Data, attributes)
}

func (p *Publisher) publish(ctx context.Context, doing string, to *pubsub.Publisher, data []byte, attributes map[string]string) error {
	switch {
	case to == nil:
		return fmt.Errorf("%s: no topic: %w", doing, evidence.ErrDisabled)
	case len(data) == 0 && len(attributes) == 0:
		return fmt.Errorf("%s: %w", doing, ErrEmpty)
	}
	doing += " to " + to.String()
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	_, err := to.Publish(ctx, &pubsub.Message{Data: data, Attributes: attributes}).Get(ctx)
	if errors.Is(err, pubsub.ErrOversizedMessage) {
		return fmt.Errorf("%s: %d bytes: %w", doing, len(data), ErrTooLarge)
	}
	return upstream.Classify(doing, err)
}

// Close sends what is still waiting and closes the connection. It takes no
// longer than the timeout of a publication; later publications fail.
func (p *Publisher) Close() error {
	if p.client == nil {
		return nil
	}
	var wg sync.WaitGroup
	for _, t := range []*pubsub.Publisher{p.records, p.dead} {
		if t != nil {
			wg.Go(t.Stop)
		}
	}
	wg.Wait()
	if err := p.client.Close(); err != nil {
		return fmt.Errorf("close Pub/Sub client: %w", err)
	}
	return nil
}
