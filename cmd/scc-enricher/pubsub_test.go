package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestPubSub runs the whole loop with Google's own Pub/Sub emulator: a real
// push subscription delivers to the service, and the service publishes with
// the real client.
func TestPubSub(t *testing.T) {
	wantsGcloud(t, "gcloud", "java")
	const project = "shop-prod-4711"
	p := startPubSub(t, project)
	findings := p.topic("findings")
	records, dead := p.topic("record"), p.topic("dead-letter")
	r := newRig(t, rigOptions{
		topics: true,
		flags:  []string{"--record-topic=" + records.name, "--dead-letter-topic=" + dead.name},
	})
	subscription := p.push(findings, r.url)

	t.Run("a finding gets its marks and a record", func(t *testing.T) {
		name, notification := r.add(newFinding("loop"))
		id := findings.publish(notification, nil)
		eventually(t, 20*time.Second, "marks of the finding", func() bool { return r.emu.Marks(name)["enrich_verdict"] != "" })
		m := records.next()
		var rec struct {
			SchemaVersion int `json:"schema_version"`
			Finding       struct {
				CanonicalName string `json:"canonical_name"`
			}
			Assessment struct{ Verdict string }
		}
		if err := json.Unmarshal(m.Data, &rec); err != nil {
			t.Fatalf("the record is not JSON: %v", err)
		}
		if rec.SchemaVersion != 1 || rec.Finding.CanonicalName != name || rec.Assessment.Verdict != r.emu.Marks(name)["enrich_verdict"] {
			t.Errorf("record is %+v, marks are %v", rec, r.emu.Marks(name))
		}
		if want := map[string]string{"schema_version": "1", "verdict": rec.Assessment.Verdict}; !cmp.Equal(want, m.Attributes) {
			t.Errorf("attributes of the record: %s", cmp.Diff(want, m.Attributes))
		}
		r.logged(t, id, "written", subscription)
	})

	t.Run("our own write comes back and costs nothing", func(t *testing.T) {
		r.untouched(func() {
			id := findings.publish(r.last(), nil)
			r.logged(t, id, "echo", subscription)
		})
	})

	t.Run("a malformed message is kept byte for byte", func(t *testing.T) {
		data := []byte("{\"finding\": {\x00\xff not JSON \u2028 <>&'\"\r\n")
		r.untouched(func() {
			id := findings.publish(data, map[string]string{"origin": "a test", "reason": "the publisher's own", "böse": "<\u2028>"})
			m := dead.next()
			if !bytes.Equal(data, m.Data) {
				t.Errorf("data %q, want %q", m.Data, data)
			}
			if m.Attributes["error"] == "" {
				t.Error("no attribute error")
			}
			want := map[string]string{
				"origin": "a test", "böse": "<\u2028>", "error": m.Attributes["error"],
				"reason": "not_json", "original_reason": "the publisher's own", "message_id": id, "subscription": subscription,
			}
			if diff := cmp.Diff(want, m.Attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
		})
	})

	t.Run("a message without finding is kept", func(t *testing.T) {
		findings.publish([]byte(`{"finding":{}}`), nil)
		m := dead.next()
		if string(m.Data) != `{"finding":{}}` || m.Attributes["reason"] != "no_finding" {
			t.Errorf("dead letter %q with %v", m.Data, m.Attributes)
		}
	})

	t.Run("a finding of something else is nothing to do", func(t *testing.T) {
		f := newFinding("bucket")
		f.ResourceName = "//storage.googleapis.com/somebodys-bucket"
		_, notification := r.add(f)
		r.untouched(func() {
			id := findings.publish(notification, nil)
			r.logged(t, id, "not_a_container", subscription)
		})
	})

	for _, topic := range []*pubsubTopic{records, dead} {
		if m := topic.peek(time.Second); m != nil {
			t.Errorf("%s holds one more message: %q with %v", topic.name, m.Data, m.Attributes)
		}
	}

	t.Run("a dead letter that cannot be kept is not acknowledged", func(t *testing.T) {
		if err := p.client.TopicAdminClient.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{Topic: dead.name}); err != nil {
			t.Fatal(err)
		}
		r.want([]byte("hello"), http.StatusUnprocessableEntity, "not_json")
		if line := r.log.last(t); line["severity"] != "ERROR" || line["dead_letter_error"] == nil || line["dead_lettered"] != false {
			t.Errorf("log: %v", line)
		}
	})
}

// logged waits for the log line of a message and checks that it was
// acknowledged with the reason.
func (r *rig) logged(t *testing.T, id, reason, subscription string) {
	t.Helper()
	type line struct {
		Status       int
		Reason       string
		MessageID    string `json:"message_id"`
		Subscription string
	}
	var got line
	eventually(t, 20*time.Second, "log line of message "+id, func() bool {
		for _, l := range r.log.deliveries() {
			got = line{}
			if err := json.Unmarshal([]byte(l), &got); err == nil && got.MessageID == id {
				return true
			}
		}
		return false
	})
	want := line{Status: http.StatusNoContent, Reason: reason, MessageID: id, Subscription: subscription}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

// pubsubEmulator is a running Pub/Sub emulator and a client of it.
type pubsubEmulator struct {
	t       *testing.T
	project string
	client  *pubsub.Client
}

// startPubSub starts the emulator through gcloud, in a process group of its
// own: gcloud starts a shell, and that Java.
func startPubSub(t *testing.T, project string) *pubsubEmulator {
	t.Helper()
	host := "127.0.0.1:" + freePort(t)
	out := &buffer{}
	cmd := exec.CommandContext(t.Context(), "gcloud", "beta", "emulators", "pubsub", "start", "--host-port="+host, "--project="+project, "--data-dir="+t.TempDir())
	cmd.Env = gcloudEnv(t)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("end the Pub/Sub emulator: %v", err)
		}
		<-ended
	})
	for end := time.Now().Add(time.Minute); !answers(t.Context(), "http://"+host); {
		select {
		case <-ended:
			t.Fatalf("the Pub/Sub emulator ended: %s\n%s", cmd.ProcessState, out)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("the Pub/Sub emulator does not answer\n%s", out)
		}
	}
	t.Setenv("PUBSUB_EMULATOR_HOST", host)
	client, err := pubsub.NewClient(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &pubsubEmulator{t: t, project: project, client: client}
}

// answers reports whether a server answers "Ok", as the emulator does.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 100))
	return err == nil && resp.StatusCode == http.StatusOK && bytes.HasPrefix(body, []byte("Ok"))
}

// pubsubTopic is a topic with a pull subscription that sees all of it.
type pubsubTopic struct {
	*pubsubEmulator
	name, pull string
	publisher  *pubsub.Publisher
}

func (p *pubsubEmulator) topic(id string) *pubsubTopic {
	p.t.Helper()
	topic, err := p.client.TopicAdminClient.CreateTopic(p.t.Context(), &pubsubpb.Topic{Name: "projects/" + p.project + "/topics/" + id})
	if err != nil {
		p.t.Fatal(err)
	}
	s := p.subscribe(&pubsubpb.Subscription{Name: "projects/" + p.project + "/subscriptions/" + id + "-all", Topic: topic.GetName(), AckDeadlineSeconds: 600})
	publisher := p.client.Publisher(topic.GetName())
	p.t.Cleanup(publisher.Stop)
	return &pubsubTopic{pubsubEmulator: p, name: topic.GetName(), pull: s, publisher: publisher}
}

func (p *pubsubEmulator) subscribe(s *pubsubpb.Subscription) string {
	p.t.Helper()
	made, err := p.client.SubscriptionAdminClient.CreateSubscription(p.t.Context(), s)
	if err != nil {
		p.t.Fatal(err)
	}
	return made.GetName()
}

// push makes the push subscription, as Terraform does, and returns its name.
func (p *pubsubEmulator) push(topic *pubsubTopic, url string) string {
	p.t.Helper()
	return p.subscribe(&pubsubpb.Subscription{
		Name: "projects/" + p.project + "/subscriptions/scc-enricher", Topic: topic.name, AckDeadlineSeconds: 60,
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: url},
	})
}

// publish publishes with Google's client and returns the message's id.
func (p *pubsubTopic) publish(data []byte, attributes map[string]string) string {
	p.t.Helper()
	id, err := p.publisher.Publish(p.t.Context(), &pubsub.Message{Data: data, Attributes: attributes}).Get(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

// next is the next message of the topic.
func (p *pubsubTopic) next() *pubsubpb.PubsubMessage {
	p.t.Helper()
	m := p.peek(20 * time.Second)
	if m == nil {
		p.t.Fatalf("no message on %s", p.name)
	}
	return m
}

// peek is the next message of the topic, nil if none comes in time.
func (p *pubsubTopic) peek(limit time.Duration) *pubsubpb.PubsubMessage {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	for ctx.Err() == nil {
		resp, err := p.client.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: p.pull, MaxMessages: 1})
		if status.Code(err) == codes.DeadlineExceeded {
			continue // the server may notice before ctx does
		}
		if err != nil {
			p.t.Fatal(err)
		}
		for _, m := range resp.GetReceivedMessages() {
			if err := p.client.SubscriptionAdminClient.Acknowledge(p.t.Context(), &pubsubpb.AcknowledgeRequest{Subscription: p.pull, AckIds: []string{m.GetAckId()}}); err != nil {
				p.t.Fatal(err)
			}
			return m.GetMessage()
		}
	}
	return nil
}
