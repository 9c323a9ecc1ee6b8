package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/record"
	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

// demoAccount is the service account that the emulated subscription pushes as.
const demoAccount = "pubsub-push@demo-project.iam.gserviceaccount.com"

// demoCmd plays a story through the whole system on loopback.
type demoCmd struct {
	Once    bool    `help:"End when the story is enriched; exit 1 if a verdict is not the expected one."`
	Story   string  `default:"webshell" help:"The story to play."`
	Speed   float64 `default:"0" help:"Play the story's pauses so many times faster; 0 plays no pauses and lets each finding finish before the next."`
	Output  string  `short:"o" enum:"text,json" default:"text" help:"text, or json for programs."`
	Verbose bool    `short:"v" help:"Show the service's log lines on standard error."`
}

// Help is shown by demo --help.
func (d *demoCmd) Help() string {
	return `Starts strict emulations of Security Command Center, Cloud Logging, Cloud Run and
VirusTotal on loopback, and the service in front of them; plays an attack as real, signed
Pub/Sub pushes; reads the marks back. The stories are ` + strings.Join(emulator.StoryNames(), ", ") + `.

Examples:
  scc-enricher demo --once
  scc-enricher demo --once --output json | jq '.findings[].verdict'
  scc-enricher demo --speed 60`
}

// stage is the running demo.
type stage struct {
	world   *emulator.World
	pusher  *emulator.Pusher
	story   *emulator.Story
	svc     *service
	api     string
	records *recordLog
	stop    func() error
}

// Run plays the story.
func (d *demoCmd) Run(ctx context.Context, std streams) error {
	if d.Speed < 0 {
		return usageError{errors.New("--speed must not be negative")}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := d.set(ctx, std)
	if err != nil {
		return err
	}
	defer st.pusher.Close()
	began := time.Now()
	progress := newProgress(std.err, len(st.story.Steps))
	if err := d.play(ctx, st, progress); err != nil {
		return err
	}
	progress.done()
	results := st.results()
	if err := d.print(std, st, results, time.Since(began)); err != nil {
		return err
	}
	if !d.Once {
		if err := gcloudHelp(std.out, st.api, st.story); err != nil {
			return err
		}
		<-ctx.Done()
	}
	st.pusher.Close() // its idle connections would keep the service waiting
	return errors.Join(wrong(results), st.stop())
}

// set builds the world, the emulated APIs and the service, as serve builds it.
func (d *demoCmd) set(ctx context.Context, std streams) (*stage, error) {
	story, err := emulator.LoadStory(d.Story, time.Now())
	if err != nil {
		return nil, usageError{err}
	}
	st := &stage{world: emulator.NewWorld(nil), story: story, records: &recordLog{first: map[string]*record.Record{}, last: map[string]*record.Record{}}}
	if err := st.world.Install(story); err != nil {
		return nil, err
	}
	signer, err := emulator.NewSigner()
	if err != nil {
		return nil, err
	}
	emu, err := emulator.New(emulator.Options{World: st.world, Signer: signer})
	if err != nil {
		return nil, err
	}
	if st.api, err = emu.Start(ctx, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	vt, err := emu.StartVirusTotal(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	url := "http://" + listener.Addr().String() + "/push"
	log := zap.NewNop()
	if d.Verbose {
		if log, err = telemetry.NewLogger(std.err, "info"); err != nil {
			return nil, err
		}
	}
	serve, err := defaultServe("--push-audience="+url, "--push-service-account="+demoAccount, "--push-jwks-url="+st.api+"/oauth2/v3/certs",
		"--scc-endpoint="+st.api, "--logging-endpoint="+st.api, "--run-endpoint="+st.api, "--vt-endpoint="+vt, "--vt-api-key=demo",
		"--settle-delay="+settleDelay.String())
	if err != nil {
		return nil, err
	}
	svc, err := newService(ctx, serve, log)
	if err != nil {
		return nil, err
	}
	svc.pipeline.Records = st.records
	st.svc = svc
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- svc.serve(serving, listener) }()
	st.stop = func() error { stop(); return <-ended }
	st.pusher = emulator.NewPusher(emulator.PushOptions{URL: url, Signer: signer, ServiceAccount: demoAccount, AckDeadline: time.Minute})
	st.world.OnPublish(st.pusher.PublishNotification)
	return st, nil
}

// defaultServe is serve's configuration from flags alone: the environment of
// whoever runs the demo must not reach real projects.
func defaultServe(args ...string) (*serveCmd, error) {
	var s serveCmd
	parser, err := kong.New(&s, kong.PostBuild(func(k *kong.Kong) error {
		for _, f := range k.Model.Flags {
			f.Tag.Envs, f.Envs = nil, nil
		}
		return nil
	}))
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	return &s, s.check()
}

// play lets the findings arrive, and waits until every push is acknowledged:
// the story's, and those that our own mark writes cause.
func (d *demoCmd) play(ctx context.Context, st *stage, progress *progress) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("the story did not end"))
	defer cancel()
	if d.Speed > 0 {
		if err := st.world.Play(ctx, st.story, d.Speed); err != nil {
			return err
		}
		return st.rest(ctx)
	}
	for i, step := range st.story.Steps {
		progress.step(i, step.Finding.GetCategory())
		if err := st.world.AddFinding(step.Finding, nil, step.Extra); err != nil {
			return err
		}
		if err := st.pusher.Wait(ctx); err != nil {
			return err
		}
	}
	progress.step(len(st.story.Steps)-1, "settling the incidents")
	return st.rest(ctx)
}

// settleDelay is short: nobody wants to wait for a demo.
const settleDelay = 500 * time.Millisecond

// rest waits until no push is under way and no follow-up waits.
func (s *stage) rest(ctx context.Context) error {
	for {
		if err := s.pusher.Wait(ctx); err != nil {
			return err
		}
		if s.svc.local.Pending() == 0 && s.pusher.Stats().Waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the follow-ups: %w", context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// recordLog keeps the first and the newest record of each finding: the demo's
// record topic.
type recordLog struct {
	mu          sync.Mutex
	first, last map[string]*record.Record
}

// Record implements enrich.RecordPublisher.
func (l *recordLog) Record(_ context.Context, data []byte, _ map[string]string) error {
	var r record.Record
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first[r.Finding.CanonicalName] == nil {
		l.first[r.Finding.CanonicalName] = &r
	}
	l.last[r.Finding.CanonicalName] = &r
	return nil
}

func (l *recordLog) get(name string) (first, last *record.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first[name], l.last[name]
}

// progress says on a terminal which finding is being enriched.
type progress struct {
	w     io.Writer
	total int
}

func newProgress(w io.Writer, total int) *progress {
	if !terminal(w).Color {
		return &progress{w: io.Discard, total: total}
	}
	return &progress{w: w, total: total}
}

func (p *progress) step(i int, what string) {
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%d/%d %s", i+1, p.total, what)
}

func (p *progress) done() { _, _ = fmt.Fprint(p.w, "\r\x1b[K") }
