package emulator

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Call is one call of an emulated API, allowed or refused.
type Call struct {
	// Method is the full gRPC method without its leading slash,
	// "google.cloud.securitycenter.v2.SecurityCenter/ListFindings", also when
	// it came over REST; for VirusTotal it is "virustotal/files" and so on.
	Method string
	// Request is the request message; nil for VirusTotal.
	Request proto.Message
	// Path is the path of a VirusTotal request, else empty.
	Path string
	// Metadata are the call's headers, lower-case keys.
	Metadata map[string][]string
	Time     time.Time
	// Code is the outcome; it is codes.OK while the call is being served.
	Code codes.Code
}

// Name is the last part of the method, "ListFindings".
func (c Call) Name() string { return c.Method[strings.LastIndexByte(c.Method, '/')+1:] }

type recorder struct {
	mu     sync.Mutex
	limit  int
	calls  []*Call
	counts map[string]int
}

func newRecorder(limit int) *recorder { return &recorder{limit: limit, counts: map[string]int{}} }

func (r *recorder) begin(c Call) *Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[c.Name()]++
	p := &c
	if len(r.calls) < r.limit {
		r.calls = append(r.calls, p)
	}
	return p
}

func (r *recorder) end(c *Call, code codes.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Code = code
}

// Calls returns the calls recorded so far, oldest first. Requests must not be
// changed.
func (e *Emulator) Calls() []Call {
	e.recorder.mu.Lock()
	defer e.recorder.mu.Unlock()
	all := make([]Call, len(e.recorder.calls))
	for i, c := range e.recorder.calls {
		all[i] = *c
	}
	return all
}

// Counts returns how often each method was called, by the last part of its
// name; VirusTotal's are "files", "domains", "ip_addresses" and "urls".
func (e *Emulator) Counts() map[string]int {
	e.recorder.mu.Lock()
	defer e.recorder.mu.Unlock()
	return maps.Clone(e.recorder.counts)
}

// ResetCalls forgets all calls and counts. Quotas are not refilled.
func (e *Emulator) ResetCalls() {
	e.recorder.mu.Lock()
	defer e.recorder.mu.Unlock()
	e.recorder.calls = nil
	clear(e.recorder.counts)
}

// maskHeader carries a field mask from a REST query string: marks' keys would
// not survive FieldMask's JSON mapping, which changes case.
const maskHeader = "x-emulator-mask"

func (e *Emulator) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return e.call(ctx, info.FullMethod, req, handler)
}

// call records a call, spends its quota and serves it.
func (e *Emulator) call(ctx context.Context, method string, req any, handler grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	msg, _ := req.(proto.Message)
	if masks := md[maskHeader]; len(masks) > 0 {
		setMask(msg, masks[0])
	}
	c := e.recorder.begin(Call{Method: strings.TrimPrefix(method, "/"), Request: msg, Metadata: md, Time: e.now()})
	resp, err := e.serveCall(ctx, c, req, handler)
	e.finish(c, status.Code(err))
	return resp, err
}

// finish records a call's outcome before the caller can know it.
func (e *Emulator) finish(c *Call, code codes.Code) {
	e.recorder.end(c, code)
	if e.opts.Observe != nil {
		done := *c
		done.Code = code
		e.opts.Observe(done)
	}
}

func (e *Emulator) serveCall(ctx context.Context, c *Call, req any, handler grpc.UnaryHandler) (any, error) {
	if e.opts.Intercept != nil {
		if err := e.opts.Intercept(ctx, *c); err != nil {
			return nil, err
		}
	}
	faults, err := e.injector.befall(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := e.limits.spend(c); err != nil {
		return nil, err
	}
	return e.injector.serve(ctx, req, faults, handler)
}

func setMask(msg proto.Message, text string) {
	mask := &fieldmaskpb.FieldMask{}
	for path := range strings.SplitSeq(text, ",") {
		if path = strings.TrimSpace(path); path != "" {
			mask.Paths = append(mask.Paths, path)
		}
	}
	switch m := msg.(type) {
	case *securitycenterpb.UpdateSecurityMarksRequest:
		m.UpdateMask = mask
	case *securitycenterpb.ListFindingsRequest:
		m.FieldMask = mask
	}
}
