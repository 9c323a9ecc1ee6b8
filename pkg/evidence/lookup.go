package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// ownHosts is what the configuration says of the owner's hosts, or why it says
// nothing.
type ownHosts struct {
	own   Own
	state State
}

// ownHostsOf reads them out of an answer. A workload that is gone has none; one
// that could not be read has some that nobody knows.
func ownHostsOf(w finding.Workload, cfg *Config, err error) ownHosts {
	state := StateOf(err, cfg == nil || cfg.Gone)
	if cfg != nil && state == Partial && !slices.Contains(cfg.Partial, "workload") {
		state = OK
	}
	return ownHosts{own: OwnHosts(w, cfg), state: state}
}

// lookup asks for the reputation of the files at once, and of the indicators
// when the configuration has said which hosts are the owner's. Where it cannot
// say, nothing is asked about indicators, and each carries the state of that.
func (c *Collector) lookup(ctx context.Context, q Query, configured <-chan ownHosts) ([]Reputation, error) {
	var out []Reputation
	var failed error
	if len(q.Artifacts) > 0 || len(q.Indicators) == 0 {
		out, failed = c.Reputation.Lookup(ctx, q.Artifacts)
		if len(q.Indicators) == 0 || errors.Is(failed, ErrDisabled) {
			return out, failed
		}
	}
	known := ownHosts{state: Disabled}
	if c.Config != nil {
		select {
		case known = <-configured:
		case <-ctx.Done():
			known.state = Timeout
		}
	}
	if known.state != OK && known.state != Empty {
		return append(out, unasked(q.Indicators, known.state)...), failed
	}
	ask := known.own.Ask(q.Indicators)
	if len(ask) == 0 {
		return out, failed
	}
	more, err := c.Reputation.Lookup(ctx, ask)
	if failed != nil && err != nil {
		err = fmt.Errorf("%w; %w", failed, err)
	} else if err == nil {
		err = failed
	}
	return append(out, more...), err
}

// unasked says of the indicators that would have been asked about why they were
// not. A configuration that is not read at all is never read later either.
func unasked(list []Artifact, state State) []Reputation {
	switch state {
	case Disabled:
		state = NotApplicable
	case "":
		state = Error
	}
	var out []Reputation
	for _, a := range list[:min(len(list), MaxIndicatorLookups)] {
		out = append(out, Reputation{Artifact: a, State: state, Reason: "not asked: without the configuration nobody knows whether the host is the owner's"})
	}
	return out
}
