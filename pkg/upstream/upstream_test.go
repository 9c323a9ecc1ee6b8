package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	securitycenter "cloud.google.com/go/securitycenter/apiv2"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// server answers GetSource with its errors in turn, then with success.
type server struct {
	securitycenterpb.UnimplementedSecurityCenterServer
	mu     sync.Mutex
	errs   []error
	calls  int
	tokens []string // authorization headers seen
}

func (s *server) GetSource(ctx context.Context, req *securitycenterpb.GetSourceRequest) (*securitycenterpb.Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		s.tokens = append(s.tokens, md.Get("authorization")...)
	}
	if len(s.errs) == 0 {
		return &securitycenterpb.Source{Name: req.GetName()}, nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, err
}

// dial serves s on loopback and returns a real client for it.
func dial(t *testing.T, s *server, take func(string) error) *securitycenter.Client {
	t.Helper()
	if take == nil {
		return dialWith(t, s, nil)
	}
	return dialWith(t, s, []option.ClientOption{upstream.Spend(take)})
}

func dialWith(t *testing.T, s *server, opts []option.ClientOption) *securitycenter.Client {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	securitycenterpb.RegisterSecurityCenterServer(g, s)
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	opts = append(upstream.ClientOptions("http://"+lis.Addr().String()+"/"), opts...)
	c, err := securitycenter.NewClient(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func fails(c ...codes.Code) []error {
	var errs []error
	for _, c := range c {
		errs = append(errs, status.Error(c, "scripted"))
	}
	return errs
}

func TestRetry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		errs      []error
		wantCode  codes.Code
		wantCalls int
	}{
		"success is asked once":               {wantCode: codes.OK, wantCalls: 1},
		"unavailable heals":                   {errs: fails(codes.Unavailable, codes.Unavailable), wantCode: codes.OK, wantCalls: 3},
		"aborted heals":                       {errs: fails(codes.Aborted), wantCode: codes.OK, wantCalls: 2},
		"a source that stays down costs four": {errs: fails(codes.Unavailable, codes.Unavailable, codes.Unavailable, codes.Unavailable, codes.Unavailable), wantCode: codes.Unavailable, wantCalls: 4},
		"permission is asked once":            {errs: fails(codes.PermissionDenied), wantCode: codes.PermissionDenied, wantCalls: 1},
		"quota is asked once":                 {errs: fails(codes.ResourceExhausted), wantCode: codes.ResourceExhausted, wantCalls: 1},
		"a bad argument is asked once":        {errs: fails(codes.InvalidArgument), wantCode: codes.InvalidArgument, wantCalls: 1},
		"internal is asked once":              {errs: fails(codes.Internal), wantCode: codes.Internal, wantCalls: 1},
		"a final code ends the retries":       {errs: fails(codes.Unavailable, codes.NotFound), wantCode: codes.NotFound, wantCalls: 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{errs: tc.errs}
			var spent int
			c := dial(t, s, func(method string) error {
				if want := "/google.cloud.securitycenter.v2.SecurityCenter/GetSource"; method != want {
					t.Errorf("spent for method %q, want %q", method, want)
				}
				spent++
				return nil
			})
			_, err := c.GetSource(t.Context(), &securitycenterpb.GetSourceRequest{Name: "organizations/1/sources/2"}, upstream.Retry())
			if got := upstream.Code(err); got != tc.wantCode {
				t.Errorf("code = %v, want %v (error %v)", got, tc.wantCode, err)
			}
			if s.calls != tc.wantCalls {
				t.Errorf("the server saw %d calls, want %d", s.calls, tc.wantCalls)
			}
			if spent != tc.wantCalls {
				t.Errorf("%d attempts spent from the budget, want %d: one each", spent, tc.wantCalls)
			}
			if len(s.tokens) != 0 {
				t.Error("credentials were sent in plain text")
			}
		})
	}
}

func TestRetryStopsAtTheDeadline(t *testing.T) {
	t.Parallel()
	s := &server{errs: fails(codes.Unavailable, codes.Unavailable, codes.Unavailable, codes.Unavailable)}
	c := dial(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.GetSource(ctx, &securitycenterpb.GetSourceRequest{Name: "organizations/1/sources/2"}, upstream.Retry())
	if err := upstream.Classify("get source", err); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if s.calls > 1 {
		t.Errorf("the server saw %d calls of a cancelled caller", s.calls)
	}
}

func TestSpendRefusal(t *testing.T) {
	t.Parallel()
	refusal := &evidence.QuotaError{Upstream: "scc", Scope: "minute", Until: time.Unix(100, 0)}
	left := 2
	s := &server{errs: fails(codes.Unavailable, codes.Unavailable, codes.Unavailable)}
	c := dial(t, s, func(string) error {
		if left == 0 {
			return refusal
		}
		left--
		return nil
	})
	_, err := c.GetSource(t.Context(), &securitycenterpb.GetSourceRequest{Name: "organizations/1/sources/2"}, upstream.Retry())
	err = upstream.Classify("get source", err)
	got, ok := errors.AsType[*evidence.QuotaError](err)
	if !ok {
		t.Fatalf("error = %v, want the budget's own", err)
	}
	if diff := cmp.Diff(refusal, got); diff != "" {
		t.Errorf("budget's error -want +got:\n%s", diff)
	}
	if s.calls != 2 {
		t.Errorf("the server saw %d calls, want the 2 the budget allowed", s.calls)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	known := []error{evidence.ErrQuota, evidence.ErrDenied, evidence.ErrNotFound, context.DeadlineExceeded, context.Canceled}
	tests := map[string]struct {
		err  error
		want error // one of known, or nil for none of them
	}{
		"resource exhausted":     {status.Error(codes.ResourceExhausted, "x"), evidence.ErrQuota},
		"permission denied":      {status.Error(codes.PermissionDenied, "x"), evidence.ErrDenied},
		"unauthenticated":        {status.Error(codes.Unauthenticated, "x"), evidence.ErrDenied},
		"not found":              {status.Error(codes.NotFound, "x"), evidence.ErrNotFound},
		"server's deadline":      {status.Error(codes.DeadlineExceeded, "x"), context.DeadlineExceeded},
		"our deadline":           {context.DeadlineExceeded, context.DeadlineExceeded},
		"cancelled on the wire":  {status.Error(codes.Canceled, "x"), context.Canceled},
		"cancelled here":         {context.Canceled, context.Canceled},
		"wrapped":                {fmt.Errorf("page 2: %w", status.Error(codes.NotFound, "x")), evidence.ErrNotFound},
		"our own budget":         {&evidence.QuotaError{Upstream: "scc"}, evidence.ErrQuota},
		"unavailable is no kind": {status.Error(codes.Unavailable, "x"), nil},
		"invalid is no kind":     {status.Error(codes.InvalidArgument, "x"), nil},
		"anything else":          {errors.New("x"), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := upstream.Classify("list findings", tc.err)
			if !strings.HasPrefix(got.Error(), "list findings: ") {
				t.Errorf("Classify() = %q, which does not say what was being done", got)
			}
			if !errors.Is(got, tc.err) {
				t.Errorf("Classify() = %v, which lost its cause", got)
			}
			for _, k := range known {
				if want := errors.Is(tc.want, k); errors.Is(got, k) != want {
					t.Errorf("errors.Is(%v, %v) = %v, want %v", got, k, !want, want)
				}
			}
			if want, got := upstream.Code(tc.err), upstream.Code(got); want != got {
				t.Errorf("code changed from %v to %v", want, got)
			}
		})
	}
	if err := upstream.Classify("list findings", nil); err != nil {
		t.Errorf("Classify(nil) = %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	asked, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	negative, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		err  error
		want time.Duration
	}{
		"asked":            {asked.Err(), 7 * time.Second},
		"asked, wrapped":   {fmt.Errorf("page 2: %w", asked.Err()), 7 * time.Second},
		"negative is none": {negative.Err(), 0},
		"not asked":        {status.Error(codes.ResourceExhausted, "x"), 0},
		"not from gRPC":    {errors.New("x"), 0},
		"nil":              {nil, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := upstream.RetryAfter(tc.err); got != tc.want {
				t.Errorf("RetryAfter() = %v, want %v", got, tc.want)
			}
		})
	}
	t.Run("through the real client", func(t *testing.T) {
		t.Parallel()
		c := dial(t, &server{errs: []error{asked.Err()}}, nil)
		_, err := c.GetSource(t.Context(), &securitycenterpb.GetSourceRequest{Name: "organizations/1/sources/2"}, upstream.Retry())
		if got, want := upstream.RetryAfter(upstream.Classify("get", err)), 7*time.Second; got != want {
			t.Errorf("RetryAfter(%v) = %v, want %v", err, got, want)
		}
	})
}

// An endpoint without a scheme is TLS with credentials: without credentials it
// must not be dialled at all, let alone in plain text.
func TestClientOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		endpoint string
		want     int // options
	}{
		"Google's own": {"", 0},
		"emulator":     {"http://127.0.0.1:8086", 3},
		"regional":     {"securitycenter.me-central2.rep.googleapis.com:443", 1},
		"with https":   {"https://securitycenter.me-central2.rep.googleapis.com:443", 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := len(upstream.ClientOptions(tc.endpoint)); got != tc.want {
				t.Errorf("%d options, want %d", got, tc.want)
			}
		})
	}
}
