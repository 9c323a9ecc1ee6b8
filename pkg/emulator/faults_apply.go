package emulator

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// injector applies the faults that are set now.
type injector struct {
	world *World

	mu     sync.Mutex
	faults *Faults
	seen   []int // calls a rule was for, by rule
	limits *limits
}

// SetFaults replaces the faults; nil heals everything. Counts begin anew. Calls
// under way keep the fate they have.
func (e *Emulator) SetFaults(f *Faults) error {
	if f == nil {
		f = &Faults{}
	}
	if err := f.check(); err != nil {
		return fmt.Errorf("set faults: %w", err)
	}
	e.injector.mu.Lock()
	defer e.injector.mu.Unlock()
	e.injector.faults = &Faults{Seed: f.Seed, Rules: slices.Clone(f.Rules)}
	e.injector.seen = make([]int, len(f.Rules))
	e.injector.limits = newLimits(Quotas{}, e.now)
	return nil
}

// listLag is how long a finding stays hidden from lists.
func (j *injector) listLag() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	var lag time.Duration
	for i := range j.faults.Rules {
		lag = max(lag, j.faults.Rules[i].ListLag)
	}
	return lag
}

// fate picks the rules that befall a call. An error is a quota of a rule.
func (j *injector) fate(c *Call) (befall []Fault, _ error) {
	j.mu.Lock()
	faults, limits := j.faults, j.limits
	for i := range faults.Rules {
		r := &faults.Rules[i]
		if !r.fits(c.Method) || r.Project != "" && !j.world.names(c.Request, r.Project) {
			continue
		}
		j.seen[i]++
		if (r.First == 0 || j.seen[i] <= r.First) && (r.Probability == 0 || chance(faults.Seed, i, j.seen[i]) < r.Probability) {
			befall = append(befall, *r)
		}
	}
	j.mu.Unlock()
	for i := range befall {
		r := &befall[i]
		key := fmt.Sprintf("%s %s %d", r.Method, r.Project, r.PerMinute)
		if r.PerMinute > 0 && !limits.take(key, r.PerMinute) {
			service, _, _ := limits.budget(c)
			return befall, quotaError(service, "Requests", "default", r.PerMinute, r.RetryAfter)
		}
	}
	return befall, nil
}

// chance is a number from 0 to 1 for the nth call of a rule, the same for the
// same seed.
func chance(seed uint64, rule, n int) float64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, []uint64{seed, uint64(rule), uint64(n)}) //nolint:gosec // both count from zero
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// befall is what happens to a call before it is served.
func (j *injector) befall(ctx context.Context, c *Call) ([]Fault, error) {
	faults, quota := j.fate(c)
	for i := range faults {
		if d := faults[i].Latency; d > 0 {
			t := time.NewTimer(d)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil, status.FromContextError(ctx.Err()).Err()
			}
		}
	}
	if quota != nil {
		return nil, quota
	}
	for i := range faults {
		r := &faults[i]
		if !r.Served {
			if err := r.fail(ctx); err != nil {
				return nil, err
			}
		}
		if p, ok := ctx.Value(paceKey{}).(*pace); ok && r.SlowBody > 0 {
			p.slow(r.SlowBody)
		}
	}
	return faults, nil
}

// fail is how a rule ends a call, or nil.
func (r *Fault) fail(ctx context.Context) error {
	switch {
	case r.Hang:
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	case r.Reset:
		reset(ctx)
		return status.Error(codes.Unavailable, "The connection was reset.")
	case r.Code == codes.ResourceExhausted:
		return quotaError("", "Requests", "default", 0, r.RetryAfter)
	case r.Code != codes.OK:
		return status.Errorf(r.Code, "The emulator was told to fail this call with %s.", statusName(r.Code))
	}
	return nil
}

// serve serves a call with the faults that concern what was served.
func (j *injector) serve(ctx context.Context, req any, faults []Fault, handler grpc.UnaryHandler) (any, error) {
	resp, err := j.pages(ctx, req, faults, handler)
	for i := range faults {
		if r := &faults[i]; err == nil && r.Served {
			err = r.fail(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// pages serves a call with the faults that concern lists.
func (j *injector) pages(ctx context.Context, req any, faults []Fault, handler grpc.UnaryHandler) (any, error) {
	again, empty := "", false
	msg, ok := req.(proto.Message)
	if !ok || !isList(msg) {
		return handler(ctx, req)
	}
	m := proto.Clone(msg).ProtoReflect()
	if token, found := strings.CutPrefix(field[string](m, "page_token"), secondPage); found {
		setField(m, "page_token", protoreflect.ValueOfString(token))
		again = secondPage
	}
	for i := range faults {
		r := &faults[i]
		if n := field[int32](m, "page_size"); r.ShortPages > 0 && (n == 0 || int(n) > r.ShortPages) {
			setField(m, "page_size", protoreflect.ValueOfInt32(int32(min(r.ShortPages, 1000)))) //nolint:gosec // at most 1,000
		}
		empty = empty || r.EmptyPages && field[string](m, "page_token") == "" && again == ""
	}
	resp, err := handler(ctx, m.Interface())
	if out, isMsg := resp.(proto.Message); err == nil && isMsg && empty {
		fresh := out.ProtoReflect().New()
		setField(fresh, "next_page_token", protoreflect.ValueOfString(secondPage))
		return fresh.Interface(), nil
	}
	return resp, err
}

// secondPage begins the token of the page after an empty one.
const secondPage = "after-nothing."

func isList(m proto.Message) bool {
	return m.ProtoReflect().Descriptor().Fields().ByName("page_token") != nil
}

// field is the value of a field by name, or zero where there is none.
func field[T any](m protoreflect.Message, name protoreflect.Name) T {
	var zero T
	fd := m.Descriptor().Fields().ByName(name)
	if fd == nil {
		return zero
	}
	v, _ := m.Get(fd).Interface().(T)
	return v
}

func setField(m protoreflect.Message, name protoreflect.Name, v protoreflect.Value) {
	if fd := m.Descriptor().Fields().ByName(name); fd != nil {
		m.Set(fd, v)
	}
}

// names reports whether a request names a project, by id or by number.
func (w *World) names(m proto.Message, project string) bool {
	if m == nil {
		return false
	}
	w.mu.RLock()
	p, ok := w.project(project)
	w.mu.RUnlock()
	if !ok {
		return false
	}
	found := false
	visit(m.ProtoReflect(), func(s string) {
		for _, id := range []string{p.ID, p.Number} {
			if _, rest, has := strings.Cut(s, "projects/"+id); id != "" && has && (rest == "" || !isNameByte(rest[0])) {
				found = true
			}
		}
	})
	return found
}

func isNameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == ':' || b == '.'
}

// visit calls f with every string of a message's own fields, and of messages
// in them.
func visit(m protoreflect.Message, f func(string)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		one := func(v protoreflect.Value) {
			switch x := v.Interface().(type) {
			case string:
				f(x)
			case protoreflect.Message:
				visit(x, f)
			}
		}
		switch {
		case fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				one(v.List().Get(i))
			}
		default:
			one(v)
		}
		return true
	})
}

// quotaError is how Google's APIs refuse a call over quota
// (google/rpc/error_details.proto). limit is left out where it is 0, and so is
// RetryInfo.
func quotaError(service, metric, consumer string, limit int, retryAfter time.Duration) error {
	text := fmt.Sprintf("Quota exceeded for quota metric '%s' and limit '%s per minute' of service '%s' for consumer 'project:%s'.", metric, metric, service, consumer)
	info := map[string]string{"service": service, "consumer": "projects/" + consumer, "quota_metric": metric, "quota_limit": metric + " per minute"}
	if limit > 0 {
		info["quota_limit_value"] = fmt.Sprint(limit)
	}
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: "RATE_LIMIT_EXCEEDED", Domain: "googleapis.com", Metadata: info},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "project:" + consumer, Description: text}}},
	}
	if retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	s := status.New(codes.ResourceExhausted, text)
	for _, d := range details {
		if with, err := s.WithDetails(d); err == nil {
			s = with
		}
	}
	return s.Err()
}

// connKey is where a request's context keeps its connection.
type connKey struct{}

// reset closes the connection of a request so that the peer sees a reset.
func reset(ctx context.Context) {
	conn, ok := ctx.Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
