// Package push is the Pub/Sub push endpoint: authentication, body cap,
// envelope, and the table that says which outcome is an acknowledgement, which
// a redelivery and which a dead letter. It knows nothing of findings.
package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// MaxBody is the largest body accepted, in bytes: above Pub/Sub's 10 MB
// message after base64 (https://cloud.google.com/pubsub/quotas#resource_limits).
const MaxBody = 15 << 20

// DeadLetterTimeout bounds the publish of one dead letter.
const DeadLetterTimeout = 5 * time.Second

// Outcome is what became of a message.
type Outcome string

// The closed set of outcomes a Processor reports.
const (
	// Done: the work is finished, or there was nothing to do. Acknowledged.
	Done Outcome = "done"
	// Permanent: the message can never succeed. Acknowledged once its bytes
	// are safe on the dead-letter topic.
	Permanent Outcome = "permanent"
	// Retry: the same message may succeed later. Not acknowledged.
	Retry Outcome = "retry"
)

// Result is what a Processor says of a message.
type Result struct {
	Outcome Outcome
	// Reason is a word of a closed set: log field, metric label and the
	// "reason" attribute of a dead letter.
	Reason string
	// Err is the cause, for Permanent and Retry.
	Err error
	// Degraded: the work is done and something beside it went wrong, which
	// Fields tell. The log line is a warning.
	Degraded bool
	// Fields go on the delivery's log line; nothing of payloads.
	Fields []zap.Field
}

// ErrShuttingDown is the cause (context.Cause) that a server gives to the
// contexts of the requests that it ends before they are finished. Such a
// delivery is answered 503 with the reason shutting_down.
var ErrShuttingDown = errors.New("shutting down")

const (
	// reasonShuttingDown is the reason of a delivery that met the shutdown.
	reasonShuttingDown = "shutting_down"
	// reasonCallerGone is the reason of a delivery whose caller hung up before
	// the answer: Pub/Sub does when the acknowledgement deadline is over.
	reasonCallerGone = "caller_gone"
)

// Processor does the work of one message. It must honour ctx.
type Processor interface {
	Process(ctx context.Context, m *Message) Result
}

// Authenticator admits a request or says why not, reading headers only.
type Authenticator interface {
	// Authenticate returns nil, or an error for which Refusal gives the status.
	Authenticate(r *http.Request) error
}

// DeadLetterer keeps the bytes of a message that can never succeed.
type DeadLetterer interface {
	DeadLetter(ctx context.Context, m *Message, reason, cause string) error
}

// Handler answers Pub/Sub push requests. Its fields are set before the first
// request and not changed after it.
type Handler struct {
	Processor Processor
	// Auth is nil only where the platform checks callers, or locally.
	Auth Authenticator
	// DeadLetters is nil where there is no topic of our own; then the
	// subscription's own dead-letter policy keeps what can never succeed.
	DeadLetters DeadLetterer
	Log         *zap.Logger
	// Received is called once a request, before anything of it is read; may be nil.
	Received func()
	// Observe is called once a delivery with its status and outcome; may be nil.
	Observe func(status int, reason string, took time.Duration)
	// Project is the project traces are logged under, or empty.
	Project string
	// MaxInFlight bounds the deliveries handled at once; beyond it the answer
	// is 503 with Retry-After. Zero means 256.
	MaxInFlight int64

	inFlight atomic.Int64
	draining atomic.Bool
}

// Drain makes every further request answer 503, so that it is redelivered to
// another instance.
func (h *Handler) Drain() { h.draining.Store(true) }

// Draining reports whether Drain was called.
func (h *Handler) Draining() bool { return h.draining.Load() }

// ServeHTTP handles one delivery and writes exactly one log line for it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if h.Received != nil {
		h.Received()
	}
	d := &delivery{h: h, w: w, r: r}
	defer func() {
		if p := recover(); p != nil {
			d.result = Result{Outcome: Retry, Reason: "panic", Err: fmt.Errorf("panic: %v", p), Fields: []zap.Field{zap.ByteString("stack", debug.Stack())}}
			d.finish(http.StatusInternalServerError, began)
		}
	}()
	d.finish(d.handle(), began)
}

// delivery is the state of one request.
type delivery struct {
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	msg    *Message
	result Result
	// deadErr is the failure to keep a dead letter.
	deadErr error
	kept    bool
}

// handle runs the delivery and returns the status to answer.
func (d *delivery) handle() int {
	h := d.h
	if d.r.Method != http.MethodPost {
		d.w.Header().Set("Allow", http.MethodPost)
		return d.refuse(http.StatusMethodNotAllowed, "method", nil)
	}
	if h.Auth != nil {
		if err := h.Auth.Authenticate(d.r); err != nil {
			return d.refuse(Refusal(err), "unauthenticated", err)
		}
	}
	limit := h.MaxInFlight
	if limit <= 0 {
		limit = 256
	}
	if h.inFlight.Add(1) > limit {
		h.inFlight.Add(-1)
		return d.refuse(http.StatusServiceUnavailable, "busy", nil)
	}
	defer h.inFlight.Add(-1)
	if h.Draining() {
		return d.refuse(http.StatusServiceUnavailable, reasonShuttingDown, nil)
	}
	body, err := d.read()
	if err != nil {
		if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
			return d.refuse(http.StatusRequestEntityTooLarge, "too_large", err)
		}
		return d.refuse(http.StatusServiceUnavailable, d.orEnded("body"), err)
	}
	msg, err := Decode(body, d.r.Header)
	d.msg = msg
	if err != nil {
		d.result = Result{Outcome: Permanent, Reason: "bad_envelope", Err: err}
	} else {
		d.result = h.Processor.Process(d.r.Context(), msg)
	}
	switch d.result.Outcome {
	case Done:
	case Permanent:
		d.keep()
	default:
		d.result.Reason = d.orEnded(d.result.Reason)
	}
	return d.status()
}

// read reads the body. It ends when the request's context does, for which a
// read from a connection does not wait by itself.
func (d *delivery) read() ([]byte, error) {
	stop := context.AfterFunc(d.r.Context(), func() {
		_ = http.NewResponseController(d.w).SetReadDeadline(time.Now())
	})
	defer stop()
	return io.ReadAll(http.MaxBytesReader(d.w, d.r.Body, MaxBody))
}

// orEnded is the reason of a delivery that may succeed later: the shutdown, or
// that the caller is gone, where that is what ended it.
func (d *delivery) orEnded(reason string) string {
	ctx := d.r.Context()
	switch {
	case errors.Is(context.Cause(ctx), ErrShuttingDown):
		return reasonShuttingDown
	case errors.Is(ctx.Err(), context.Canceled):
		return reasonCallerGone
	default:
		return reason
	}
}

// refuse ends a delivery that never reached the processor.
func (d *delivery) refuse(status int, reason string, err error) int {
	d.result = Result{Outcome: Retry, Reason: reason, Err: err}
	return status
}

// keep puts the original bytes on the dead-letter topic, even if the caller
// has gone away meanwhile.
func (d *delivery) keep() {
	if d.h.DeadLetters == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.r.Context()), DeadLetterTimeout)
	defer cancel()
	cause := ""
	if d.result.Err != nil {
		cause = d.result.Err.Error()
	}
	d.deadErr = d.h.DeadLetters.DeadLetter(ctx, d.msg, d.result.Reason, cause)
	d.kept = d.deadErr == nil
}

// status is the acknowledgement table. Pub/Sub takes 102, 200, 201, 202 and
// 204 as an acknowledgement and redelivers after anything else
// (https://cloud.google.com/pubsub/docs/push#receive_push).
func (d *delivery) status() int {
	switch {
	case d.result.Outcome == Done:
		return http.StatusNoContent
	case d.result.Outcome == Permanent && d.kept:
		return http.StatusNoContent
	case d.result.Outcome == Permanent:
		return http.StatusUnprocessableEntity
	default:
		return http.StatusServiceUnavailable
	}
}

// finish answers, counts and logs.
func (d *delivery) finish(status int, began time.Time) {
	took := time.Since(began)
	switch status {
	case http.StatusServiceUnavailable:
		d.w.Header().Set("Retry-After", "5")
	case http.StatusUnauthorized:
		d.w.Header().Set("WWW-Authenticate", `Bearer realm="pubsub"`)
	}
	d.w.WriteHeader(status)
	if d.h.Observe != nil {
		d.h.Observe(status, d.result.Reason, took)
	}
	d.log(status, took)
}

// log writes the delivery's one line. Severity follows who must act: a dead
// letter that could not be kept, a panic or a refusal is for a person.
func (d *delivery) log(status int, took time.Duration) {
	fields := []zap.Field{
		zap.Int("status", status),
		zap.String("outcome", string(d.result.Outcome)),
		zap.String("reason", d.result.Reason),
		zap.Duration("latency", took),
	}
	if d.msg != nil {
		fields = append(fields, zap.String("message_id", oneLine(d.msg.ID)), zap.String("subscription", oneLine(d.msg.Subscription)))
		if d.msg.DeliveryAttempt > 0 {
			fields = append(fields, zap.Int("delivery_attempt", d.msg.DeliveryAttempt))
		}
	}
	if d.result.Err != nil {
		fields = append(fields, zap.String("error", oneLine(d.result.Err.Error())))
	}
	if d.deadErr != nil {
		fields = append(fields, zap.String("dead_letter_error", oneLine(d.deadErr.Error())))
	}
	if d.result.Outcome == Permanent {
		fields = append(fields, zap.Bool("dead_lettered", d.kept))
	}
	log := d.h.Log.With(traceFields(d.r.Header, d.h.Project)...)
	fields = append(fields, d.result.Fields...)
	switch {
	case status == http.StatusInternalServerError || d.deadErr != nil:
		log.Error("delivery", fields...)
	case status != http.StatusNoContent || d.result.Outcome == Permanent || d.result.Degraded:
		log.Warn("delivery", fields...)
	default:
		log.Info("delivery", fields...)
	}
}

// oneLine keeps an error to one bounded line.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
