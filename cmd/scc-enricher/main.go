// Command scc-enricher does an analyst's first thirty minutes on every Cloud
// Run threat finding of Security Command Center, and writes the answer on the
// finding as security marks.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes every command keeps to.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line; every flag has an environment variable, and a flag wins.
type cli struct {
	Serve    serveCmd    `cmd:"" help:"Run the service: Pub/Sub push in, enriched security marks out."`
	Demo     demoCmd     `cmd:"" help:"Play an attack through the whole system on loopback, with emulated Google APIs and VirusTotal."`
	Emulator emulatorCmd `cmd:"" help:"Run only the emulated APIs: Security Command Center, Logging, Cloud Run, VirusTotal."`
	Enrich   enrichCmd   `cmd:"" help:"Enrich findings from files and print their records."`
	Backfill backfillCmd `cmd:"" help:"Find the findings that the service missed, and enrich them."`
	Policy   policyCmd   `cmd:"" help:"Work on scoring policies."`
	Version  versionCmd  `cmd:"" help:"Print version, commit and Go version."`
}

// streams are the process's standard streams, given to commands that print.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// usageError is a fault of the invocation or the configuration: exit 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// exited carries kong's wish to exit (after --help) out of the parser.
type exited int

// run parses args and runs the command they name.
func run(ctx context.Context, args []string, std streams) (code int) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(exited)
			if !ok {
				panic(p)
			}
			code = int(e)
		}
	}()
	var c cli
	parser, err := kong.New(&c,
		kong.Name("scc-enricher"),
		kong.Description("Enriches Security Command Center's Cloud Run threat findings and writes the answer on the finding."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, Summary: true, WrapUpperBound: 100}),
		kong.PostBuild(ignoreEmpty),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	if err != nil {
		return report(std.err, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return report(std.err, usageError{fmt.Errorf("%w; try --help", err)})
	}
	return report(std.err, k.Run())
}

// report prints an error as one line a fault, and gives the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(w, "scc-enricher: %v\n", err)
	if _, usage := errors.AsType[usageError](err); usage {
		return exitUsage
	}
	return exitFailed
}
