package emulator

import (
	"bytes"
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// slowChunk is how many bytes of a slow body are sent at once.
const slowChunk = 256

// pace is how fast the body of one REST answer is sent. A fault finds it in
// the request's context.
type pace struct{ wait atomic.Int64 }

type paceKey struct{}

func (p *pace) slow(wait time.Duration) { p.wait.Store(int64(wait)) }

// paced puts the answer to a request under a pace, full at first.
func paced(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	p := &pace{}
	ctx := context.WithValue(r.Context(), paceKey{}, p)
	return &pacedWriter{ResponseWriter: w, pace: p, ctx: ctx}, r.Clone(ctx)
}

// pacedWriter sends a body in chunks, waiting before each.
type pacedWriter struct {
	http.ResponseWriter
	pace *pace
	ctx  context.Context // the request's
}

// Write implements io.Writer.
func (w *pacedWriter) Write(p []byte) (n int, err error) {
	wait := time.Duration(w.pace.wait.Load())
	for wait > 0 && len(p) > n && err == nil {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-w.ctx.Done():
			t.Stop()
			return n, w.ctx.Err()
		}
		var sent int
		sent, err = w.ResponseWriter.Write(p[n:min(n+slowChunk, len(p))])
		n += sent
		w.Flush()
	}
	if wait > 0 {
		return n, err
	}
	return w.ResponseWriter.Write(p)
}

// Flush lets the transcoder flush.
func (w *pacedWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// held keeps an answer back until it is released.
type held struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (h *held) WriteHeader(code int) { h.code = code }

// Write implements io.Writer.
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

func (h *held) release() {
	h.ResponseWriter.WriteHeader(h.code)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // the client is gone, or nothing to be done
}
