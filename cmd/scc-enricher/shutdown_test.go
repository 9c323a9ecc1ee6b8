package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/publish"
	"github.com/scc-enricher/scc-enricher/pkg/redact"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// killedAfter is when Cloud Run kills an instance, counted from SIGTERM.
const killedAfter = 10 * time.Second

// TestCloseHasOneDeadline: what hangs while it is closed takes neither the time
// of the others nor more than there is.
func TestCloseHasOneDeadline(t *testing.T) {
	t.Parallel()
	redactor, err := redact.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		hangs []time.Duration // how long each closer takes, in the order they were made
		left  time.Duration
		want  time.Duration
		ended []int
	}{
		{"nothing hangs", []time.Duration{0, 0, 0}, 9 * time.Second, 0, []int{2, 1, 0}},
		{"the last made hangs", []time.Duration{0, 0, time.Hour}, 9 * time.Second, 3 * time.Second, []int{1, 0}},
		{"all hang", []time.Duration{time.Hour, time.Hour, time.Hour}, 9 * time.Second, 9 * time.Second, nil},
		{"slow, and in time", []time.Duration{0, 0, 2 * time.Second}, 9 * time.Second, 2 * time.Second, []int{2, 1, 0}},
		{"no time left", []time.Duration{time.Hour, time.Hour}, 0, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended []int
				ctx, cancel := context.WithTimeout(t.Context(), c.left)
				defer cancel()
				all, done := context.WithCancel(t.Context())
				defer done()
				svc := &service{log: zap.NewNop(), pipeline: &enrich.Pipeline{Redactor: redactor}}
				for i, hang := range c.hangs {
					svc.closers = append(svc.closers, func() error {
						select {
						case <-time.After(hang):
						case <-all.Done():
							return errors.New("left behind")
						}
						ended = append(ended, i)
						return nil
					})
				}
				began := time.Now()
				svc.close(ctx)
				if took := time.Since(began); took != c.want {
					t.Errorf("closing took %s, want %s", took, c.want)
				}
				done()
				synctest.Wait()
				if diff := cmp.Diff(c.ended, ended); diff != "" {
					t.Errorf("closed, in order (-want +got):\n%s", diff)
				}
			})
		})
	}
	if worst := drainFor + abortFor + 2*hangUpFor; exitFor > worst || worst >= killedAfter {
		t.Errorf("the parts of a shutdown take %s, all of it %s, and the platform kills after %s", worst, exitFor, killedAfter)
	}
}

// hangingPubSub takes publications and answers none.
type hangingPubSub struct {
	pubsubpb.UnimplementedPublisherServer
	reached chan struct{}
}

func (h *hangingPubSub) Publish(ctx context.Context, _ *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	select {
	case h.reached <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestShutdownWithHangingPubSub: a record that is being published late in the
// drain, to a Pub/Sub that does not answer, keeps the process no longer than
// the platform waits.
func TestShutdownWithHangingPubSub(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the end of the drain: skipped with -short")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hanging := &hangingPubSub{reached: make(chan struct{}, 1)}
	server := grpc.NewServer()
	pubsubpb.RegisterPublisherServer(server, hanging)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	publisher, err := publish.New(t.Context(), publish.Options{
		RecordTopic: "projects/" + testProject + "/topics/records", ClientOptions: upstream.ClientOptions("http://" + l.Addr().String()),
	})
	if err != nil {
		t.Fatal(err)
	}

	reached, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, rigOptions{topics: true, change: func(svc *service) {
		svc.pipeline.Records = countedRecords{publisher, svc.metrics}
		svc.closers = append(svc.closers, publisher.Close)
	}, emulator: emulator.Options{
		Intercept: func(_ context.Context, c emulator.Call) error {
			if c.Name() == "UpdateSecurityMarks" {
				close(reached)
				<-release
			}
			return nil
		},
	}})
	name, notification := r.add(newFinding("late"))
	body := envelope(t, notification)
	answered := make(chan int, 1)
	go func() {
		status, err := post(t.Context(), r.url, body, "")
		if err != nil {
			status = -1
		}
		answered <- status
	}()
	<-reached
	began := time.Now()
	time.AfterFunc(5*time.Second, func() { close(release) })
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > killedAfter {
		t.Errorf("shutting down took %s, the platform kills after %s", took, killedAfter)
	}
	select {
	case <-hanging.reached:
	default:
		t.Fatal("nothing was published: this test proves nothing")
	}
	// The marks are written: the message is done, and the log says what is not.
	if got := <-answered; got != http.StatusNoContent || r.emu.Marks(name)["enrich_verdict"] == "" {
		t.Errorf("status %d, marks %v", got, r.emu.Marks(name))
	}
	if line := r.log.lastLine(); !strings.Contains(line, `"record_error"`) {
		t.Errorf("no record_error in %s", line)
	}
}
