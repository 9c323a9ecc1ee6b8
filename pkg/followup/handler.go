package followup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Reason says what became of a delivered task. It is a word of a closed set,
// fit for a log field and a metric label.
type Reason string

// The closed set of reasons, with the status answered.
const (
	// ReasonDone: the task ran. 204.
	ReasonDone Reason = "done"
	// ReasonRetry: the task failed and is to come again. 503.
	ReasonRetry Reason = "retry"
	// ReasonPanic: the task panicked and is to come again. 500.
	ReasonPanic Reason = "panic"
	// ReasonDropped: the body is no task and never will be. 204, because Cloud
	// Tasks repeats whatever is not answered with 2xx.
	ReasonDropped Reason = "dropped"
	// ReasonUnread: the body could not be read to its end. 503.
	ReasonUnread Reason = "unread"
	// ReasonMethod: not a POST. 405.
	ReasonMethod Reason = "method"
)

// Delivery is what became of one request.
type Delivery struct {
	// Task is the zero Task where none was decoded.
	Task   Task
	Status int
	Reason Reason
	// Err is the cause, nil for ReasonDone.
	Err error
	// Retries is how often Cloud Tasks delivered the task before
	// (X-CloudTasks-TaskRetryCount), 0 where it does not say.
	Retries int
	Took    time.Duration
}

// Handler is the receiving end of CloudTasks: it runs the task in the body of a
// POST before it answers, because an instance may have no CPU after that. Its
// fields are set before the first request.
//
// It does not authenticate: whoever can reach it can have follow-ups done.
//
// The answer 503 makes Cloud Tasks slow the whole queue down, which is what a
// spent budget or an upstream that is down asks for. A failed run is the only
// cause of it: Run must return nil for what can never succeed.
type Handler struct {
	// Run does the work; required.
	Run Run
	// RunTimeout bounds one run; DefaultRunTimeout if zero.
	RunTimeout time.Duration
	// Observe is called once a request, after it was answered; may be nil. A
	// dropped task is told of nowhere else.
	Observe func(ctx context.Context, d Delivery)
}

// ServeHTTP handles one delivery.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	d := h.handle(w, r)
	if d.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(d.Status)
	if h.Observe != nil {
		d.Took = time.Since(began)
		d.Retries = retries(r)
		h.Observe(r.Context(), d)
	}
}

// handle does the work and says what to answer.
func (h *Handler) handle(w http.ResponseWriter, r *http.Request) Delivery {
	if r.Method != http.MethodPost {
		return Delivery{Status: http.StatusMethodNotAllowed, Reason: ReasonMethod, Err: errors.New("not a POST")}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return Delivery{Status: http.StatusNoContent, Reason: ReasonDropped, Err: fmt.Errorf("%w: over %d bytes", ErrInvalid, MaxBody)}
	}
	if err != nil {
		return Delivery{Status: http.StatusServiceUnavailable, Reason: ReasonUnread, Err: fmt.Errorf("read follow-up task: %w", err)}
	}
	t, err := Decode(body)
	if err != nil {
		return Delivery{Status: http.StatusNoContent, Reason: ReasonDropped, Err: err}
	}
	err = h.Run.do(r.Context(), orDefault(h.RunTimeout, DefaultRunTimeout), t)
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return Delivery{Task: t, Status: http.StatusInternalServerError, Reason: ReasonPanic, Err: err}
	}
	if err != nil {
		return Delivery{Task: t, Status: http.StatusServiceUnavailable, Reason: ReasonRetry, Err: err}
	}
	return Delivery{Task: t, Status: http.StatusNoContent, Reason: ReasonDone}
}

// retries is Cloud Tasks' count of earlier deliveries.
func retries(r *http.Request) int {
	n, err := strconv.Atoi(r.Header.Get("X-CloudTasks-TaskRetryCount"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
