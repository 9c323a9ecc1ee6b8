package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/push"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// enrichCmd enriches findings from files.
type enrichCmd struct {
	upstreams

	Files   []string `arg:"" name:"file" help:"Notification, finding, list result or push body as JSON; - is standard input."`
	Output  string   `short:"o" enum:"text,json,markdown" default:"text" help:"text, json or markdown."`
	Write   bool     `help:"Write the marks on the finding."`
	Offline bool     `help:"Ask no source: assess from the finding alone. Needs no credentials."`
}

// Help is shown by enrich --help.
func (e *enrichCmd) Help() string {
	return `Marks are written only with --write. Without --offline the sources are asked with
Application Default Credentials (gcloud auth application-default login).

Examples:
  scc-enricher enrich --offline notification.json
  gcloud scc findings list projects/P --location=global --format=json | scc-enricher enrich -o markdown -`
}

// maxFile bounds an input file, in bytes.
const maxFile = 64 << 20

// Run enriches every finding of every file; one that fails does not stop the rest.
func (e *enrichCmd) Run(ctx context.Context, std streams) error {
	var f faults
	e.check(&f)
	f.must(!e.Write || !e.Offline, "--write", "not with --offline: a verdict on no evidence must not overwrite a better one")
	if err := f.err(); err != nil {
		return err
	}
	pipeline, done, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	var failed error
	for _, name := range e.Files {
		if err := e.file(ctx, std, pipeline, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return failed
}

// connect makes the pipeline, with or without sources.
func (e *enrichCmd) connect(ctx context.Context) (*enrich.Pipeline, func(), error) {
	if e.Offline {
		p, err := newPipeline(&e.upstreams, &evidence.Collector{SourceTimeout: e.SourceTimeout.Duration})
		return p, func() {}, err
	}
	c, err := connect(ctx, &e.upstreams, "", nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w\n  without credentials, try --offline, or run: gcloud auth application-default login", err)
	}
	if !e.Write {
		c.pipeline.Writer, c.pipeline.Records = nil, nil
	}
	return c.pipeline, func() { _ = c.close() }, nil
}

// file enriches the findings of one file.
func (e *enrichCmd) file(ctx context.Context, std streams, p *enrich.Pipeline, name string) error {
	data, err := readInput(std.in, name)
	if err != nil {
		return err
	}
	if m, err := push.Decode(data, nil); err == nil && m.Wrapped {
		data = m.Data
	}
	findings, failed := finding.ParseAll(data)
	for _, f := range findings {
		if ctx.Err() != nil {
			return errors.Join(failed, context.Cause(ctx))
		}
		if err := e.one(ctx, std, p, f); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f.CanonicalName, err))
		}
	}
	return failed
}

// one enriches a finding and prints its record.
func (e *enrichCmd) one(ctx context.Context, std streams, p *enrich.Pipeline, f *finding.Finding) error {
	res, err := p.Investigate(ctx, f)
	if err != nil {
		return err
	}
	if res.Record == nil {
		return fmt.Errorf("nothing to enrich: %s", res.Decision)
	}
	return e.print(std.out, res.Record)
}

// print writes a record in the form asked for.
func (e *enrichCmd) print(w io.Writer, r *record.Record) error {
	switch e.Output {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(r)
	case "markdown":
		return r.Markdown(w)
	default:
		s := terminal(w)
		return r.Text(w, record.TextOptions{Color: s.Color, Width: s.Width})
	}
}

// readInput reads a file or standard input, bounded.
func readInput(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("more than %d MiB", maxFile>>20)
	}
	return data, nil
}
