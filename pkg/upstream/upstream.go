// Package upstream is the edge to Google's APIs that every adapter shares: how
// an endpoint override is dialled, which errors may heal, how they are retried
// inside a call's deadline, how every attempt spends from a budget, how a source
// that is down is spared, and how foreign codes become the errors of package
// evidence. It is the one place that retries.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// ClientOptions says how to reach an API. An empty endpoint is Google's own;
// "http://host:port" is plaintext gRPC without credentials, for emulators;
// "host:port" and "https://host:port" are TLS with credentials, for regional
// endpoints.
func ClientOptions(endpoint string) []option.ClientOption {
	if endpoint == "" {
		return nil
	}
	if host, plain := strings.CutPrefix(endpoint, "http://"); plain {
		return []option.ClientOption{
			option.WithEndpoint(strings.TrimRight(host, "/")),
			option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		}
	}
	host := strings.TrimPrefix(endpoint, "https://")
	return []option.ClientOption{option.WithEndpoint(strings.TrimRight(host, "/"))}
}

// Spend calls take before every attempt on the wire, repeated ones included,
// and does not make the attempt where take returns an error. method is the
// full gRPC method, "/google.cloud.securitycenter.v2.SecurityCenter/ListFindings".
// The caller of the API gets take's error, wrapped.
//
// Upstreams count requests, not calls: a budget spent once a call would be
// overdrawn by the retries.
func Spend(take func(method string) error) option.ClientOption {
	spend := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if err := take(method); err != nil {
			return err
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	return option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(spend))
}

// MayHeal reports whether the same call may succeed soon. Permission, argument
// and quota errors never do.
func MayHeal(c codes.Code) bool {
	return c == codes.Unavailable || c == codes.Aborted
}

// retries is how often Retry repeats a call at most.
const retries = 3

// Retry is the call option of every read, and of every write that may be
// repeated: at most 3 more attempts on codes that may heal, with exponential
// backoff and jitter from 100 ms to 2 s, and never beyond the call's own
// deadline. Google's clients for Security Command Center, Cloud Run (most
// reads) and Logging set neither timeout nor retry of their own.
func Retry() gax.CallOption {
	return gax.WithRetry(func() gax.Retryer {
		backoff := gax.Backoff{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Multiplier: 2}
		return &bounded{left: retries, Retryer: gax.OnErrorFunc(backoff, func(err error) bool { return MayHeal(Code(err)) })}
	})
}

// bounded stops after a number of retries: a source that is down must cost a
// bounded number of calls a finding.
type bounded struct {
	gax.Retryer
	left int
}

// Retry implements gax.Retryer.
func (b *bounded) Retry(err error) (time.Duration, bool) {
	if b.left == 0 {
		return 0, false
	}
	b.left--
	return b.Retryer.Retry(err)
}

// Classify wraps err in the evidence error its gRPC code stands for, and says
// what was being done. Deadlines and cancellations, ours or the server's, can
// be told with errors.Is as context.DeadlineExceeded and context.Canceled.
// Codes that stand for none of these, and errors that are already evidence's,
// are wrapped as they are. A nil error stays nil.
func Classify(doing string, err error) error {
	kind := kindOf(err)
	switch {
	case err == nil:
		return nil
	case kind == nil, errors.Is(err, kind):
		return fmt.Errorf("%s: %w", doing, err)
	default:
		return fmt.Errorf("%s: %w: %w", doing, kind, err)
	}
}

// kindOf returns the error that err's code stands for, or nil.
func kindOf(err error) error {
	switch Code(err) {
	case codes.ResourceExhausted:
		return evidence.ErrQuota
	case codes.PermissionDenied, codes.Unauthenticated:
		return evidence.ErrDenied
	case codes.NotFound:
		return evidence.ErrNotFound
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	default:
		return nil
	}
}

// Code is the gRPC code of an error of a Google client, however deeply
// wrapped: OK for nil, Unknown for an error that did not come from gRPC.
func Code(err error) codes.Code {
	if ae, ok := errors.AsType[*apierror.APIError](err); ok && ae.GRPCStatus() != nil {
		return ae.GRPCStatus().Code()
	}
	return status.Code(err)
}

// RetryAfter is how long the upstream asks to wait before the next attempt
// (google.rpc.RetryInfo), or 0 where it does not say.
func RetryAfter(err error) time.Duration {
	ae, ok := errors.AsType[*apierror.APIError](err)
	if !ok {
		if ae, ok = apierror.FromError(err); !ok {
			return 0
		}
	}
	info := ae.Details().RetryInfo
	if info == nil {
		return 0
	}
	return max(info.GetRetryDelay().AsDuration(), 0)
}
