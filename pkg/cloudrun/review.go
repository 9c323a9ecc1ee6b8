package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// The parts of a Config that can be missing, as Config.Partial names them.
const (
	partWorkload = "workload"
	partPolicy   = "iam_policy"
	partVersion  = "revision"
	partPrevious = "previous_revision"
)

// maxPinned bounds how many revisions with traffic are read one by one because
// they are not among the newest.
const maxPinned = 2

// review puts a Config together out of the answers.
type review struct {
	client *Client
	name   name
	at     time.Time
	*answers

	cfg    evidence.Config
	causes []error
}

// config returns the Config, and what is missing from it as an error.
func (r *review) config(ctx context.Context) (*evidence.Config, error) {
	r.workload()
	r.invokers()
	v, source := r.choose(ctx)
	if v != nil {
		r.apply(v)
		r.cfg.Revision, r.cfg.RevisionSource = v.name, source
		r.compare(v)
	}
	if len(r.causes) == 0 {
		return &r.cfg, nil
	}
	return &r.cfg, fmt.Errorf("read %s without %s: %w: %w", r.name.resource, strings.Join(r.cfg.Partial, ", "), evidence.ErrPartial, causes(r.causes))
}

// miss says that a part is missing, and why.
func (r *review) miss(part string, cause error) {
	if !slices.Contains(r.cfg.Partial, part) {
		r.cfg.Partial = append(r.cfg.Partial, part)
	}
	if cause != nil {
		r.causes = append(r.causes, cause)
	}
}

func (r *review) workload() {
	if r.parent != nil {
		r.cfg = r.parent.config
		r.cfg.URLs = slices.Clone(r.cfg.URLs)
		r.cfg.Traffic = slices.Clone(r.cfg.Traffic)
	}
	r.cfg.Resource = r.name.resource
	if r.parent == nil {
		r.miss(partWorkload, r.parentErr)
	}
}

func (r *review) invokers() {
	if r.policy == nil {
		r.miss(partPolicy, r.policyErr)
		return
	}
	r.cfg.IAMKnown = true
	r.cfg.Invokers = slices.Clone(r.policy.members)
	r.cfg.AllUsers, r.cfg.AllAuthenticatedUsers = r.policy.allUsers, r.policy.allAuthenticatedUsers
}

// choose picks the revision or execution to review, and says how.
func (r *review) choose(ctx context.Context) (*version, string) {
	if r.name.version != "" {
		if r.named != nil {
			return r.named, "finding"
		}
		if v := r.find(r.name.version); v != nil {
			return v, "finding"
		}
		if errors.Is(r.namedErr, evidence.ErrNotFound) {
			r.cfg.RevisionGone = true
		} else {
			r.miss(partVersion, r.namedErr)
		}
	}
	if r.name.kind == finding.Job {
		if v := r.running(); v != nil {
			return v, "latest"
		}
	} else if v, source := r.serving(ctx); v != nil {
		return v, source
	}
	return r.fallback()
}

// fallback reviews the template when no revision or execution can be found.
func (r *review) fallback() (*version, string) {
	switch {
	case r.recent == nil:
		r.miss(partVersion, r.recentErr)
	case r.recent.more:
		// Older than the newest page: there is one, but it was not looked for.
		r.miss(partVersion, nil)
	}
	if r.parent == nil {
		return nil, ""
	}
	return r.parent.template, "template"
}

// find looks for a revision or execution among the newest.
func (r *review) find(short string) *version {
	if r.recent == nil {
		return nil
	}
	for _, v := range r.recent.versions {
		if v.name == short {
			return v
		}
	}
	return nil
}

// existed reports whether v existed at the time of the event.
func (r *review) existed(v *version) bool { return r.at.IsZero() || !v.created.After(r.at) }

// serving returns the revision that served at the time of the event: the one
// with the largest share of today's traffic, if it existed then, else the
// newest of those that did.
func (r *review) serving(ctx context.Context) (*version, string) {
	if r.parent != nil {
		for i, short := range r.parent.serving() {
			v := r.find(short)
			if v == nil && i < maxPinned && segmentName.MatchString(short) {
				v, _ = r.client.readVersion(ctx, r.name, short) // without it the newest is taken
			}
			if v != nil && r.existed(v) {
				return v, "traffic"
			}
		}
	}
	if r.recent != nil {
		for _, v := range r.recent.versions {
			if r.existed(v) && !v.failed {
				return v, "latest"
			}
		}
	}
	return nil, ""
}

// running returns the newest execution that was under way at the time of the
// event, else the newest that existed.
func (r *review) running() *version {
	if r.recent == nil {
		return nil
	}
	var newest *version
	for _, v := range r.recent.versions {
		if !r.existed(v) {
			continue
		}
		if v.completed.IsZero() || r.at.IsZero() || !v.completed.Before(r.at) {
			return v
		}
		if newest == nil {
			newest = v
		}
	}
	return newest
}

// apply copies what v runs into the Config.
func (r *review) apply(v *version) {
	c := &r.cfg
	for _, k := range v.containers {
		cc := k.ContainerConfig
		cc.Command, cc.Args = slices.Clone(cc.Command), slices.Clone(cc.Args)
		cc.EnvNames, cc.PlaintextSecretEnv = slices.Clone(cc.EnvNames), slices.Clone(cc.PlaintextSecretEnv)
		cc.SecretEnv, cc.SecretMounts = slices.Clone(cc.SecretEnv), slices.Clone(cc.SecretMounts)
		cc.Mounts, cc.Ports, cc.Probes = slices.Clone(cc.Mounts), slices.Clone(cc.Ports), slices.Clone(cc.Probes)
		c.Containers = append(c.Containers, cc)
	}
	c.ServiceAccount, c.DefaultServiceAccount = v.account(r.name.number)
	c.ExecutionEnvironment = v.environment
	c.VPCEgress, c.VPCConnector, c.VPCNetworks = v.vpcEgress, v.vpcConnector, slices.Clone(v.vpcNetworks)
	c.Volumes = slices.Clone(v.volumes)
	c.RevisionCreator, c.RevisionCreateTime = v.creator, v.created
	if c.MinInstances == 0 {
		c.MinInstances = v.minimum
	}
	if v.maximum != 0 && (c.MaxInstances == 0 || v.maximum < c.MaxInstances) {
		c.MaxInstances = v.maximum
	}
	if r.name.kind == finding.Job && r.parent != nil && v != r.parent.template {
		c.OverriddenArgs = overridden(r.parent.template, v)
	}
}

// defaultAccount ends the e-mail of the Compute Engine default service account.
const defaultAccount = "-compute@developer.gserviceaccount.com"

// account returns the service account's e-mail and whether it is the default
// one, which an empty field stands for (google.cloud.run.v2.RevisionTemplate).
func (v *version) account(projectNumber string) (email string, isDefault bool) {
	switch {
	case v.serviceAccount != "":
		return v.serviceAccount, strings.HasSuffix(v.serviceAccount, defaultAccount)
	case projectNumber != "":
		return projectNumber + defaultAccount, true
	default:
		return "", true
	}
}

// compare finds the revision or execution before v and what changed since.
func (r *review) compare(v *version) {
	if v.name == "" {
		return
	}
	if r.recent == nil {
		r.miss(partPrevious, r.recentErr)
		return
	}
	for _, p := range r.recent.versions {
		if p.name == v.name || p.failed || !p.created.Before(v.created) {
			continue
		}
		prev := &evidence.PreviousRevision{Name: p.name, CreateTime: p.created, Creator: p.creator}
		if len(p.containers) > 0 {
			prev.Image, prev.Digest = p.containers[0].Image, p.containers[0].Digest
		}
		prev.Changed, prev.Details = changes(p, v)
		r.cfg.Previous = prev
		return
	}
	if r.recent.more {
		r.miss(partPrevious, nil)
	}
}
