// Package upstream is the edge to Google's APIs that every adapter shares: how
// an endpoint override is dialled, which errors may heal, how they are retried
// inside a call's deadline, and how foreign codes become the errors of package
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
// "host:port" is TLS with credentials, for regional endpoints.
func ClientOptions(endpoint string) []option.ClientOption {
	host, plain := strings.CutPrefix(endpoint, "http://")
	switch {
	case endpoint == "":
		return nil
	case plain:
		return []option.ClientOption{
			option.WithEndpoint(strings.TrimRight(host, "/")),
			option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		}
	default:
		return []option.ClientOption{option.WithEndpoint(endpoint)}
	}
}

// MayHeal reports whether the same call may succeed soon. Permission, argument
// and quota errors never do.
func MayHeal(c codes.Code) bool {
	return c == codes.Unavailable || c == codes.Aborted
}

// Retry is the call option of every read: exponential backoff with jitter from
// 100 ms to 2 s on codes that may heal, for as long as the call's own deadline
// leaves room. Google's clients for Security Command Center, Cloud Run (most
// reads) and Logging set neither timeout nor retry of their own.
func Retry() gax.CallOption {
	return gax.WithRetry(func() gax.Retryer {
		return &bounded{left: 3, Retryer: gax.OnErrorFunc(gax.Backoff{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Multiplier: 2}, func(err error) bool {
			return MayHeal(status.Code(err))
		})}
	})
}

// bounded stops after a number of retries: a source that is down must cost a
// bounded number of calls a finding.
type bounded struct {
	gax.Retryer
	left int
}

func (b *bounded) Retry(err error) (time.Duration, bool) {
	if b.left == 0 {
		return 0, false
	}
	b.left--
	return b.Retryer.Retry(err)
}

// Classify wraps err in the evidence error its gRPC code stands for, and says
// what was being done. Codes that stand for none are wrapped as they are.
func Classify(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch Code(err) {
	case codes.ResourceExhausted:
		return fmt.Errorf("%s: %w: %w", doing, evidence.ErrQuota, err)
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("%s: %w: %w", doing, evidence.ErrDenied, err)
	case codes.NotFound:
		return fmt.Errorf("%s: %w: %w", doing, evidence.ErrNotFound, err)
	case codes.DeadlineExceeded:
		return fmt.Errorf("%s: %w: %w", doing, context.DeadlineExceeded, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Code is the gRPC code of an error of a Google client, however deeply wrapped.
func Code(err error) codes.Code {
	if ae, ok := errors.AsType[*apierror.APIError](err); ok && ae.GRPCStatus() != nil {
		return ae.GRPCStatus().Code()
	}
	return status.Code(err)
}
