package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/emulator"
)

// emulatorCmd runs only the emulated APIs.
type emulatorCmd struct {
	Port   int    `default:"8086" help:"Port of Security Command Center, Logging and Cloud Run, gRPC and REST."`
	VTPort int    `name:"vt-port" default:"8087" help:"Port of VirusTotal."`
	Story  string `default:"webshell" help:"Story whose workloads, logs and findings are there from the start; empty for an empty world."`
	Faults string `placeholder:"FILE" help:"YAML of what goes wrong: rules of latency, errors, quotas, hangs, resets, short and empty pages, lists that lag."`
	Push   string `placeholder:"URL" help:"Deliver every notification as a Pub/Sub push to this URL."`
}

// Help is shown by emulator --help.
func (e *emulatorCmd) Help() string {
	return `The APIs are strict: they refuse what Google refuses. They check no credentials and
listen on loopback only. The stories are ` + strings.Join(emulator.StoryNames(), ", ") + `.

Example:
  scc-enricher emulator --push http://127.0.0.1:8080/push

With faults (keys: docs/reliability.md):
  echo 'rules: [{method: ListLogEntries, code: UNAVAILABLE, probability: 0.25}]' > faults.yaml
  scc-enricher emulator --faults faults.yaml --push http://127.0.0.1:8080/push`
}

// Run serves until ctx ends.
func (e *emulatorCmd) Run(ctx context.Context, std streams) error {
	var f faults
	f.must(e.Port >= 0 && e.Port <= maxPort, "--port", "%d is no port", e.Port)
	f.must(e.VTPort >= 0 && e.VTPort <= maxPort, "--vt-port", "%d is no port", e.VTPort)
	if err := f.err(); err != nil {
		return err
	}
	world := emulator.NewWorld(nil)
	var story *emulator.Story
	if e.Story != "" {
		var err error
		if story, err = emulator.LoadStory(e.Story, time.Now()); err != nil {
			return usageError{err}
		}
		if err := world.Install(story); err != nil {
			return err
		}
	}
	broken, err := readFaults(e.Faults)
	if err != nil {
		return err
	}
	signer, err := emulator.NewSigner()
	if err != nil {
		return err
	}
	emu, err := emulator.New(emulator.Options{World: world, Signer: signer, Faults: broken})
	if err != nil {
		return err
	}
	api, err := emu.Start(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(e.Port)))
	if err != nil {
		return err
	}
	vt, err := emu.StartVirusTotal(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(e.VTPort)))
	if err != nil {
		return err
	}
	if e.Push != "" {
		pusher := emulator.NewPusher(emulator.PushOptions{URL: e.Push, Signer: signer, ServiceAccount: demoAccount, AckDeadline: time.Minute})
		defer pusher.Close()
		world.OnPublish(pusher.PublishNotification)
	}
	if story != nil {
		if err := world.Play(ctx, story, 0); err != nil {
			return err
		}
	}
	if err := e.describe(std.out, api, vt, story); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// readFaults reads what is to go wrong; no file is nothing.
func readFaults(file string) (*emulator.Faults, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, usageError{err}
	}
	broken, err := emulator.ParseFaults(data)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", file, err)}
	}
	return broken, nil
}

// describe prints where the APIs are, and how to use them.
func (e *emulatorCmd) describe(w io.Writer, api, vt string, story *emulator.Story) error {
	_, err := fmt.Fprintf(w, `Security Command Center, Logging, Cloud Run: %s
VirusTotal:                                  %s
keys of the push tokens:                     %s/oauth2/v3/certs

The service against them:
  PUSH_AUTH=none SCC_ENDPOINT=%s LOGGING_ENDPOINT=%s RUN_ENDPOINT=%s \
  VT_API_KEY=any VT_ENDPOINT=%s scc-enricher serve
`, api, vt, api, api, api, api, vt)
	if err != nil {
		return err
	}
	return gcloudHelp(w, api, story)
}

// gcloudHelp prints commands of the real gcloud against the emulated APIs.
func gcloudHelp(w io.Writer, api string, story *emulator.Story) error {
	if story == nil || len(story.Projects) == 0 || len(story.Steps) == 0 {
		return nil
	}
	name := story.Steps[0].Finding.GetCanonicalName()
	scope, _, _ := strings.Cut(name, "/sources/")
	_, err := fmt.Fprintf(w, `
The real gcloud against them:
  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true CLOUDSDK_CORE_PROJECT=%s
  export CLOUDSDK_API_ENDPOINT_OVERRIDES_SECURITYCENTER=%s/ CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING=%s/
  gcloud scc findings list %s --location=global --format='table(finding.category, finding.securityMarks.marks.enrich_verdict)'
  gcloud scc findings list-marks %s
  gcloud logging read 'resource.type:"cloud_run"' --limit=5

Ctrl-C ends it.
`, story.Projects[0].ID, api, api, scope, name)
	return err
}
