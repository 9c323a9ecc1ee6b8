package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// PushOptions describe one push subscription.
type PushOptions struct {
	// URL is where messages are posted.
	URL string
	// Subscription is projects/P/subscriptions/S; the default is
	// projects/emulator/subscriptions/scc-enricher.
	Subscription string
	// Signer, if set, signs a token for Audience (the URL by default) in the
	// name of ServiceAccount.
	Signer         *Signer
	Audience       string
	ServiceAccount string
	// AckDeadline is the timeout of one request; 0 is 10 seconds, Pub/Sub's default.
	AckDeadline time.Duration
	// MinBackoff and MaxBackoff bound the wait before a message is delivered
	// again, which doubles; 0 is 100 ms and 60 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxAttempts is the dead-letter policy: after so many nacks a message goes
	// to DeadLetter. 0 is no policy: messages are tried for ever and carry no
	// deliveryAttempt.
	MaxAttempts int
	DeadLetter  func(PushMessage)
	// Concurrency bounds the requests in flight; 0 is 16.
	Concurrency int
	// Duplicates is how many more times every message is delivered, with the
	// same id: at least once is what Pub/Sub promises. They follow
	// DuplicateAfter later, at once if 0.
	Duplicates     int
	DuplicateAfter time.Duration
	// LostAcks is the share of acknowledgements, 0 to 1, that get lost on their
	// way: the message comes again although it was handled.
	LostAcks float64
	// Shuffle delivers what is waiting in random order. Seed makes it and the
	// lost acknowledgements repeatable.
	Shuffle bool
	Seed    uint64
	// Client posts; nil is a client of its own.
	Client *http.Client
}

// PushMessage is one message on its way.
type PushMessage struct {
	ID          string
	Data        []byte
	Attributes  map[string]string
	PublishTime time.Time
	// Attempts is how often it was delivered; LastStatus the last answer, 0 for none.
	Attempts   int
	LastStatus int
}

// PushStats count messages and deliveries.
type PushStats struct {
	// Published counts messages, Delivered requests.
	Published, Delivered int
	// Acked and Nacked count requests as the service answered them, Lost those
	// among the acknowledged whose answer got lost, Dead messages.
	Acked, Nacked, Lost, Dead int
	// Waiting are messages not yet acknowledged nor dead.
	Waiting int
}

// Pusher delivers messages as a Pub/Sub push subscription does
// (https://cloud.google.com/pubsub/docs/push): at least once, in no order,
// acknowledged by 102, 200, 201, 202 and 204, and again after any other
// answer or none. Create it with NewPusher.
type Pusher struct {
	opts   PushOptions
	client *http.Client
	ctx    context.Context // the life of the workers
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	wake  *sync.Cond
	ready []*PushMessage
	rng   *rand.Rand
	next  uint64
	stats PushStats
	quiet chan struct{} // closed and replaced whenever Waiting falls to 0
}

// NewPusher starts the workers of a subscription; Close stops them.
func NewPusher(o PushOptions) *Pusher {
	setDefault(&o.Subscription, "projects/emulator/subscriptions/scc-enricher")
	setDefault(&o.Audience, o.URL)
	setDefault(&o.AckDeadline, 10*time.Second)
	setDefault(&o.MinBackoff, 100*time.Millisecond)
	setDefault(&o.MaxBackoff, 60*time.Second)
	setDefault(&o.Concurrency, 16)
	p := &Pusher{opts: o, client: o.Client, rng: rand.New(rand.NewPCG(o.Seed, 1)), quiet: make(chan struct{})} //nolint:gosec // order of deliveries
	if p.client == nil {
		transport := &http.Transport{MaxIdleConns: o.Concurrency, MaxIdleConnsPerHost: o.Concurrency, MaxConnsPerHost: o.Concurrency}
		p.client = &http.Client{Transport: transport}
	}
	p.wake = sync.NewCond(&p.mu)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range o.Concurrency {
		p.done.Go(p.work)
	}
	return p
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Publish enqueues a message and returns its id. It never blocks.
func (p *Pusher) Publish(data []byte, attributes map[string]string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	id := strconv.FormatUint(2_070_443_601_000_000+p.next, 10)
	p.stats.Published++
	for i := range 1 + p.opts.Duplicates {
		p.stats.Waiting++
		m := &PushMessage{ID: id, Data: data, Attributes: attributes, PublishTime: time.Now()}
		if i > 0 && p.opts.DuplicateAfter > 0 {
			time.AfterFunc(p.opts.DuplicateAfter, func() { p.again(m) })
			continue
		}
		p.ready = append(p.ready, m)
	}
	p.wake.Broadcast()
	return id
}

// PublishNotification enqueues a notification; it fits World.OnPublish.
func (p *Pusher) PublishNotification(n Notification) { p.Publish(n.Data, nil) }

// Stats returns the counts so far.
func (p *Pusher) Stats() PushStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Wait waits until no message is waiting, or ctx is done.
func (p *Pusher) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		waiting, quiet := p.stats.Waiting, p.quiet
		p.mu.Unlock()
		if waiting == 0 {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d messages: %w", waiting, ctx.Err())
		}
	}
}

// Close stops delivering. Messages still waiting are dropped.
func (p *Pusher) Close() {
	p.cancel()
	p.mu.Lock()
	p.wake.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
	p.client.CloseIdleConnections()
}

func (p *Pusher) work() {
	for {
		m := p.take()
		if m == nil {
			return
		}
		code, err := p.post(m)
		p.settle(m, code, err)
	}
}

// take waits for a message; nil means that the pusher is closed.
func (p *Pusher) take() *PushMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) == 0 && p.ctx.Err() == nil {
		p.wake.Wait()
	}
	if p.ctx.Err() != nil {
		return nil
	}
	if p.opts.Shuffle {
		i := p.rng.IntN(len(p.ready))
		p.ready[0], p.ready[i] = p.ready[i], p.ready[0]
	}
	m := p.ready[0]
	p.ready = p.ready[1:]
	m.Attempts++
	p.stats.Delivered++
	return m
}

// settle acknowledges a message, buries it, or has it delivered again later.
func (p *Pusher) settle(m *PushMessage, code int, err error) {
	acked := err == nil && acknowledges(code)
	p.mu.Lock()
	m.LastStatus = code
	if acked {
		p.stats.Acked++
	} else {
		p.stats.Nacked++
	}
	if acked && p.opts.LostAcks > 0 && p.rng.Float64() < p.opts.LostAcks {
		p.stats.Lost++
		acked = false
	}
	dead := !acked && p.opts.MaxAttempts > 0 && m.Attempts >= p.opts.MaxAttempts
	if !acked && !dead {
		p.mu.Unlock()
		time.AfterFunc(p.backoff(m.Attempts), func() { p.again(m) })
		return
	}
	if dead {
		p.stats.Dead++
	}
	p.mu.Unlock()
	if dead && p.opts.DeadLetter != nil {
		p.opts.DeadLetter(*m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stats.Waiting--; p.stats.Waiting == 0 {
		close(p.quiet)
		p.quiet = make(chan struct{})
	}
}

func (p *Pusher) again(m *PushMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, m)
	p.wake.Signal()
}

func (p *Pusher) backoff(attempts int) time.Duration {
	d := p.opts.MinBackoff
	for range attempts - 1 {
		if d *= 2; d >= p.opts.MaxBackoff {
			return p.opts.MaxBackoff
		}
	}
	return min(d, p.opts.MaxBackoff)
}

func acknowledges(code int) bool {
	switch code {
	case http.StatusProcessing, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return true
	}
	return false
}

// post sends one request and returns its status.
func (p *Pusher) post(m *PushMessage) (int, error) {
	body, err := p.Body(m)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(p.ctx, p.opts.AckDeadline, errors.New("ack deadline exceeded"))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.opts.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("push: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "CloudPubSub-Google")
	if p.opts.Signer != nil {
		token, err := p.opts.Signer.Token(p.opts.Audience, p.opts.ServiceAccount, time.Now())
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("push: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)); err != nil {
		return 0, fmt.Errorf("push: read answer: %w", err)
	}
	return resp.StatusCode, nil
}

// envelope is the wrapped body, with both spellings that Pub/Sub sends.
type envelope struct {
	DeliveryAttempt int             `json:"deliveryAttempt,omitempty"`
	Message         envelopeMessage `json:"message"`
	Subscription    string          `json:"subscription"`
}

type envelopeMessage struct {
	Attributes   map[string]string `json:"attributes,omitempty"`
	Data         []byte            `json:"data"`
	MessageID    string            `json:"messageId"`
	MessageID2   string            `json:"message_id"`
	PublishTime  time.Time         `json:"publishTime"`
	PublishTime2 time.Time         `json:"publish_time"`
}

// Body is the body of a message's next request. deliveryAttempt is there only
// with a dead-letter policy.
func (p *Pusher) Body(m *PushMessage) ([]byte, error) {
	at := m.PublishTime.UTC().Truncate(time.Millisecond)
	e := envelope{Subscription: p.opts.Subscription, Message: envelopeMessage{
		Attributes: m.Attributes, Data: m.Data, MessageID: m.ID, MessageID2: m.ID, PublishTime: at, PublishTime2: at,
	}}
	if p.opts.MaxAttempts > 0 {
		e.DeliveryAttempt = m.Attempts
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("push body: %w", err)
	}
	return body, nil
}
