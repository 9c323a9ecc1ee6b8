package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/followup"
	"github.com/scc-enricher/scc-enricher/pkg/publish"
	"github.com/scc-enricher/scc-enricher/pkg/push"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

// serveCmd is the service.
type serveCmd struct {
	upstreams

	Port                count  `env:"PORT" default:"8080" help:"Port to listen on."`
	PushAuth            string `env:"PUSH_AUTH" default:"oidc" help:"oidc verifies the bearer token in code; iam trusts Cloud Run's own invoker check; none is for local use."`
	PushAudience        string `env:"PUSH_AUDIENCE" help:"With oidc: the expected audience, exactly as the subscription sends it."`
	PushServiceAccount  string `env:"PUSH_SERVICE_ACCOUNT" placeholder:"EMAIL" help:"With oidc: the e-mail of the subscription's service account."`
	PushJWKSURL         string `name:"push-jwks-url" env:"PUSH_JWKS_URL" placeholder:"URL" help:"Where the signing keys are; default: Google's."`
	TasksQueue          string `env:"TASKS_QUEUE" placeholder:"projects/P/locations/L/queues/Q" help:"Cloud Tasks queue for follow-ups; without one they run in the process."`
	TasksURL            string `name:"tasks-url" env:"TASKS_URL" placeholder:"URL" help:"With a queue: where this service receives follow-ups, https://HOST/tasks/followup."`
	TasksServiceAccount string `env:"TASKS_SERVICE_ACCOUNT" placeholder:"EMAIL" help:"With a queue: the service account whose token its tasks carry; their audience is PUSH_AUDIENCE."`
	TasksEndpoint       string `env:"TASKS_ENDPOINT" placeholder:"HOST:PORT" help:"Cloud Tasks, same form as SCC_ENDPOINT."`
	DeadLetterTopic     string `env:"DEAD_LETTER_TOPIC" placeholder:"projects/P/topics/T" help:"Where each message that can never succeed is kept, byte for byte."`
	InsecureLocal       bool   `help:"Allow PUSH_AUTH=none without an endpoint override."`
	Project             string `env:"GOOGLE_CLOUD_PROJECT" placeholder:"PROJECT" help:"Project that traces are logged under; default on Cloud Run: the metadata server's."`
}

// Help is shown by serve --help.
func (s *serveCmd) Help() string {
	return `Answers POST /push (and POST /), GET /healthz, GET /readyz and GET /metrics.

Example, against the emulated APIs of "scc-enricher emulator":
  PUSH_AUTH=none SCC_ENDPOINT=http://127.0.0.1:8086 LOGGING_ENDPOINT=http://127.0.0.1:8086 \
  RUN_ENDPOINT=http://127.0.0.1:8086 scc-enricher serve`
}

var emailForm = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)

// check returns every fault of the configuration at once.
func (s *serveCmd) check() error {
	var f faults
	s.upstreams.check(&f)
	f.add("PORT", s.Port.fault)
	if s.Port.fault == nil {
		f.must(s.Port.n <= maxPort, "PORT", "%d is no port", s.Port.n)
	}
	switch s.PushAuth {
	case "oidc":
		f.must(s.PushAudience != "", "PUSH_AUDIENCE", "required with PUSH_AUTH=oidc: the audience of the push subscription")
		f.must(s.PushServiceAccount != "", "PUSH_SERVICE_ACCOUNT", "required with PUSH_AUTH=oidc: the service account of the push subscription")
		f.must(s.PushServiceAccount == "" || emailForm.MatchString(s.PushServiceAccount), "PUSH_SERVICE_ACCOUNT", "%q is no e-mail address", s.PushServiceAccount)
	case "iam":
	case "none":
		f.must(s.InsecureLocal || s.overridden(), "PUSH_AUTH", "none admits anybody: it is for emulated upstreams (SCC_ENDPOINT=http://...) or with --insecure-local")
	default:
		f.must(false, "PUSH_AUTH", "%q is none of oidc, iam, none", s.PushAuth)
	}
	if s.PushJWKSURL != "" {
		u, err := url.Parse(s.PushJWKSURL)
		f.must(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "PUSH_JWKS_URL", "%q is no URL", s.PushJWKSURL)
	}
	if s.DeadLetterTopic != "" {
		f.add("DEAD_LETTER_TOPIC", publish.CheckTopic(s.DeadLetterTopic))
	}
	s.checkTasks(&f)
	return f.err()
}

// checkTasks adds the faults of the follow-up queue's settings.
func (s *serveCmd) checkTasks(f *faults) {
	f.add("TASKS_ENDPOINT", checkEndpoint(s.TasksEndpoint))
	if s.TasksQueue == "" {
		f.must(s.TasksURL == "", "TASKS_URL", "set without TASKS_QUEUE")
		f.must(s.TasksServiceAccount == "", "TASKS_SERVICE_ACCOUNT", "set without TASKS_QUEUE")
		return
	}
	f.add("TASKS_QUEUE", followup.CheckQueue(s.TasksQueue))
	err := followup.CheckURL(s.TasksURL, s.TasksServiceAccount)
	f.add("TASKS_URL", err)
	if u, parseErr := url.Parse(s.TasksURL); err == nil && parseErr == nil {
		f.must(strings.HasSuffix(u.Path, followUpPath), "TASKS_URL", "it is this service's address with %s, the path is %q", followUpPath, u.Path)
	}
	if s.PushAuth != "none" || s.TasksServiceAccount != "" {
		f.add("TASKS_SERVICE_ACCOUNT", followup.CheckServiceAccount(s.TasksServiceAccount))
	}
}

// Run serves until ctx ends.
func (s *serveCmd) Run(ctx context.Context, std streams) error {
	if err := s.check(); err != nil {
		return err
	}
	log, err := telemetry.NewLogger(std.out, s.LogLevel)
	if err != nil {
		return err
	}
	traces := func(context.Context) error { return nil }
	if os.Getenv("OTEL_TRACES_EXPORTER") != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		stop, err := telemetry.StartTracing(ctx, readVersion().Version)
		if err != nil {
			return err
		}
		traces = stop
	}
	boundMemory()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(s.Port.n)))
	if err != nil {
		return fmt.Errorf("listen on PORT: %w", err)
	}
	svc, err := newService(ctx, s, log)
	if err != nil {
		_ = listener.Close()
		return err
	}
	// Last of all, because what is closed before may still end spans.
	svc.closers = slices.Insert(svc.closers, 0, func() error {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), exitFor-drainFor)
		defer cancel()
		return traces(flush)
	})
	return svc.serve(ctx, listener)
}

// What the runtime is told of memory where GOGC and GOMEMLIMIT do not say
// otherwise. The live heap is some 5 MiB, so that Go's default of 100 percent
// would collect every few dozen findings, which costs a fifth of the processor;
// near the limit it collects as often as it must.
const (
	heapGrowth  = 500       // percent
	memoryLimit = 112 << 20 // bytes, of the 512 MiB of an instance
)

// boundMemory sets them.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// service is the whole program, built and not yet serving.
type service struct {
	push     *push.Handler
	tasks    http.Handler
	local    *followup.Local
	pipeline *enrich.Pipeline
	metrics  *telemetry.Metrics
	gate     gate
	mux      http.Handler
	log      *zap.Logger
	closers  []func() error
}

// newService builds everything that serving needs.
func newService(ctx context.Context, s *serveCmd, log *zap.Logger) (_ *service, err error) {
	svc := &service{log: log, metrics: telemetry.NewMetrics()}
	defer func() {
		if err != nil {
			svc.close(ctx)
		}
	}()
	up, err := connect(ctx, &s.upstreams, s.DeadLetterTopic, svc.metrics)
	if err != nil {
		return nil, err
	}
	svc.closers = append(svc.closers, up.close)
	svc.pipeline = up.pipeline
	svc.pipeline.Writer = countedWrites{svc.pipeline.Writer, svc.metrics}
	if svc.pipeline.Records != nil {
		svc.pipeline.Records = countedRecords{svc.pipeline.Records, svc.metrics}
	}
	svc.push = &push.Handler{
		Processor: &processor{pipeline: up.pipeline, metrics: svc.metrics},
		Log:       log,
		Received:  svc.metrics.Received,
		Observe: func(status int, reason string, took time.Duration) {
			svc.metrics.Delivery(outcome(status, reason), status, reason, took)
		},
		Project: s.project(ctx),
	}
	if s.DeadLetterTopic != "" {
		svc.push.DeadLetters = deadLetters{up.publisher}
	}
	if err := svc.followUps(ctx, s); err != nil {
		return nil, err
	}
	if s.PushAuth == "oidc" {
		svc.push.Auth = push.NewOIDC(push.OIDCOptions{Audience: s.PushAudience, ServiceAccounts: []string{s.PushServiceAccount}, JWKSURL: s.PushJWKSURL})
		tasks := push.NewOIDC(push.OIDCOptions{Audience: s.PushAudience, ServiceAccounts: s.taskAccounts(), JWKSURL: s.PushJWKSURL})
		svc.tasks = svc.admitted(tasks, svc.tasks)
	}
	svc.mux = svc.routes()
	return svc, nil
}

// project is the project traces are logged under; asked of the metadata server
// only on Cloud Run, which sets K_SERVICE.
func (s *serveCmd) project(ctx context.Context) string {
	if s.Project != "" || os.Getenv("K_SERVICE") == "" {
		return s.Project
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	id, err := metadata.ProjectIDWithContext(ctx)
	if err != nil {
		return ""
	}
	return id
}

// routes says who calls what.
func (v *service) routes() http.Handler {
	mux := http.NewServeMux()
	pushes := v.gate.counted(otelhttp.NewHandler(v.push, "push"))
	mux.Handle("/push", pushes)                                                        // Pub/Sub
	mux.Handle("/{$}", pushes)                                                         // Pub/Sub, where the subscription names no path
	mux.Handle(followUpPath, v.gate.counted(otelhttp.NewHandler(v.tasks, "followup"))) // Cloud Tasks
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { // the platform's startup probe
		if v.push.Draining() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	mux.Handle("GET /metrics", v.metrics.Handler())
	return mux
}

// serve answers until ctx ends, then drains and closes everything, within
// exitFor whatever hangs.
func (v *service) serve(ctx context.Context, listener net.Listener) error {
	work, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	srv := &http.Server{
		Handler:           v.mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return work },
		Protocols:         new(http.Protocols),
		ErrorLog:          zap.NewStdLog(v.log),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	debug.FreeOSMemory() // what starting needed, serving does not: compiled rules leave two thirds of it behind
	v.log.Info("serving", zap.String("address", listener.Addr().String()), zap.String("version", readVersion().Version))
	select {
	case err := <-done:
		v.close(context.WithoutCancel(ctx))
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	exit, cancel := context.WithTimeout(context.WithoutCancel(ctx), exitFor)
	defer cancel()
	defer v.close(exit)
	v.drain(work, abort)
	hangUp, cancelHangUp := context.WithTimeout(exit, hangUpFor)
	defer cancelHangUp()
	if err := srv.Shutdown(hangUp); err != nil {
		// Connections without a whole request: nobody waits for an answer.
		v.log.Warn("connections closed", zap.Error(err))
		_ = srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	v.log.Info("stopped")
	return nil
}
