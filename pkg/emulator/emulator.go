// Package emulator is Security Command Center v2, Cloud Logging v2 and the
// Cloud Run Admin API v2 on one loopback port, over gRPC and over REST, and
// VirusTotal v3 on another, all over one in-memory World. It refuses what the
// real services refuse (malformed filters and masks, bad mark keys, unknown
// projects, calls over quota), publishes a finding again after every mark
// write, as the real service does, and delivers notifications as Pub/Sub push
// does. It is for tests, for the demo, and for pointing gcloud at; it checks
// no credentials.
//
// Stories are worlds with findings that arrive one after the other, and the
// verdict that an analyst would give each of them.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"connectrpc.com/vanguard"
	"connectrpc.com/vanguard/vanguardgrpc"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Options configure an Emulator. The zero value is as strict as the real
// services are by default.
type Options struct {
	// World is the state served; nil is an empty one.
	World *World
	// Quotas are requests per minute; zero fields are Google's documented values.
	Quotas Quotas
	// LegacyEnabled accepts writes at organization and folder scope. The zero
	// value refuses them, as observed where Security Command Center is
	// activated for a project only.
	LegacyEnabled bool
	// EmptyLogPages answers each first page of log entries empty, with a page
	// token, which ListLogEntriesResponse.next_page_token documents as "did
	// not have time to search all".
	EmptyLogPages bool
	// VirusTotalKey is the only key accepted; empty accepts any but the empty one.
	VirusTotalKey string
	// Intercept is called before every call is served, VirusTotal's included.
	// It may sleep to simulate latency, and an error (a gRPC status) fails the call.
	Intercept func(ctx context.Context, c Call) error
	// Observe is called after every call, with its outcome, before the caller
	// knows it.
	Observe func(c Call)
	// Faults go wrong from the start; nil is none. See SetFaults.
	Faults *Faults
	// RecordLimit bounds the calls kept; 0 is 10,000. Counting goes on beyond it.
	RecordLimit int
	// Signer, if set, publishes its keys at /oauth2/v3/certs.
	Signer *Signer
}

// Emulator serves one World. Create it with New.
type Emulator struct {
	*World
	opts     Options
	grpc     *grpc.Server
	rest     http.Handler
	recorder *recorder
	limits   *limits
	injector *injector
	scc      *sccService
}

// New makes an emulator; Start serves it.
func New(o Options) (*Emulator, error) {
	if o.World == nil {
		o.World = NewWorld(nil)
	}
	if o.RecordLimit == 0 {
		o.RecordLimit = 10_000
	}
	e := &Emulator{World: o.World, opts: o, recorder: newRecorder(o.RecordLimit), limits: newLimits(o.Quotas, o.World.now)}
	e.injector = &injector{world: o.World}
	if err := e.SetFaults(o.Faults); err != nil {
		return nil, err
	}
	e.grpc = grpc.NewServer(grpc.UnaryInterceptor(e.intercept))
	e.scc = &sccService{world: o.World, legacy: o.LegacyEnabled, lag: e.injector.listLag}
	securitycenterpb.RegisterSecurityCenterServer(e.grpc, e.scc)
	loggingpb.RegisterLoggingServiceV2Server(e.grpc, &logService{world: o.World, emptyPages: o.EmptyLogPages})
	run := runService{world: o.World}
	runpb.RegisterServicesServer(e.grpc, &services{runService: run})
	runpb.RegisterRevisionsServer(e.grpc, &revisions{runService: run})
	runpb.RegisterJobsServer(e.grpc, &jobs{runService: run})
	runpb.RegisterExecutionsServer(e.grpc, &executions{runService: run})
	runpb.RegisterWorkerPoolsServer(e.grpc, &workerPools{runService: run})
	rest, err := vanguardgrpc.NewTranscoder(e.grpc, vanguard.WithCodec(func(vanguard.TypeResolver) vanguard.Codec {
		return &vanguard.JSONCodec{
			MarshalOptions:   protojson.MarshalOptions{Resolver: protoregistry.GlobalTypes},
			UnmarshalOptions: protojson.UnmarshalOptions{Resolver: protoregistry.GlobalTypes},
		}
	}))
	if err != nil {
		return nil, fmt.Errorf("transcode REST: %w", err)
	}
	e.rest = rest
	return e, nil
}

// Start serves Google's APIs on addr ("127.0.0.1:0" picks a port) until ctx is
// done, and returns the base URL, "http://host:port".
func (e *Emulator) Start(ctx context.Context, addr string) (string, error) {
	return serve(ctx, addr, e)
}

// StartVirusTotal serves VirusTotal on addr until ctx is done, and returns the
// base URL.
func (e *Emulator) StartVirusTotal(ctx context.Context, addr string) (string, error) {
	return serve(ctx, addr, e.VirusTotal())
}

// ServeGRPC serves gRPC alone on l until ctx is done, with gRPC's own
// transport. It costs about half the CPU of the shared port, for load tests.
func (e *Emulator) ServeGRPC(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, e.grpc.Stop)
	defer stop()
	if err := e.grpc.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve gRPC on %s: %w", l.Addr(), err)
	}
	return nil
}

// serve listens, serves in the background until ctx is done, and returns the
// base URL.
func serve(ctx context.Context, addr string, h http.Handler) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen on %q: %w", addr, err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: h, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: 1000},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close()
		}
	}()
	return "http://" + l.Addr().String(), nil
}
