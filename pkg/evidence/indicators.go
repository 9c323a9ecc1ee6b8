package evidence

import (
	"net/url"
	"slices"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/command"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// Bounds of the indicators of one finding.
const (
	// MaxIndicatorLookups is how many addresses, domains and URLs one finding
	// has looked up at most: the strongest.
	MaxIndicatorLookups = 4
	// maxIndicatorProcesses bounds the processes read besides the child.
	maxIndicatorProcesses = 8
)

// The roles of an Artifact that is no file.
const (
	// RoleArgument: a command line or script of the finding names it.
	RoleArgument = "argument"
	// RoleFinding: Security Command Center names it as an indicator, or as
	// where a reverse shell leads.
	RoleFinding = "finding"
)

// Indicators returns the public addresses, domains and URLs of a finding, the
// strongest first: where a reverse shell leads, what Security Command Center
// names, then what the command line names, the most hostile part of it first.
// Of processes other than the child only those count whose command line is
// suspicious by itself: an application's own start names its own hosts.
//
// Private, reserved, documentation, metadata and Google's own API hosts are
// left out, and so are URLs that could carry somebody's data: one with a query,
// with credentials or that clean changes. Their hosts remain. Which hosts are
// the workload's own is not known here: see Own.
func Indicators(f *finding.Finding, clean func(string) string) []Artifact {
	c := candidates{clean: clean, seen: map[Artifact]bool{}}
	if f.ReverseShell != nil {
		c.add("ip", f.ReverseShell.DestinationIP, RoleFinding)
	}
	for _, v := range f.Indicator.URIs {
		c.url(v, RoleFinding)
	}
	for _, v := range f.Indicator.Domains {
		c.add("domain", v, RoleFinding)
	}
	for _, v := range f.Indicator.IPs {
		c.add("ip", v, RoleFinding)
	}
	tree := f.Tree()
	if tree.Child != nil {
		c.process(tree.Child, command.Benign)
	}
	others := 0
	for i := range f.Processes {
		p := &f.Processes[i]
		if p == tree.Child || others == maxIndicatorProcesses {
			continue
		}
		others++
		c.process(p, command.Suspicious)
	}
	return c.out
}

// candidates gathers indicators, each once.
type candidates struct {
	clean func(string) string
	seen  map[Artifact]bool
	out   []Artifact
}

// process adds what a command line and its script name, if it is of the class
// at least.
func (c *candidates) process(p *finding.Process, least command.Class) {
	r := command.Read(p.Args, p.ArgsTruncated)
	if p.Script != nil && p.Script.Contents != "" {
		r = r.Merge(command.ReadScript(p.Script.Contents))
	}
	worst := command.Benign
	for _, h := range r.Hits {
		worst = max(worst, h.Class)
	}
	if worst < least {
		return
	}
	list := slices.Clone(r.Indicators)
	class := func(i command.Indicator) command.Class {
		of := command.Benign
		for _, h := range r.Hits {
			if h.Class > of && strings.Contains(h.Text, i.Value) {
				of = h.Class
			}
		}
		return of
	}
	slices.SortStableFunc(list, func(a, b command.Indicator) int { return int(class(b)) - int(class(a)) })
	for _, i := range list {
		switch i.Kind {
		case "url":
			c.url(i.Value, RoleArgument)
		case "ip", "domain":
			c.add(i.Kind, i.Value, RoleArgument)
		}
	}
}

// url adds a URL that cannot carry data, and its host in any case.
func (c *candidates) url(v, role string) {
	u, err := url.Parse(v)
	if err != nil {
		return
	}
	if u.RawQuery == "" && !u.ForceQuery && u.User == nil {
		c.add("url", v, role)
	}
	c.add("ip", u.Hostname(), role)
	c.add("domain", u.Hostname(), role)
}

// add adds an indicator in its canonical form if it may be asked about.
func (c *candidates) add(kind, v, role string) {
	var host string
	var err error
	switch kind {
	case "ip":
		v, err = PublicIP(v)
	case "domain":
		v, err = PublicDomain(v)
		host = v
	default:
		if v, err = PublicURL(v); err == nil {
			host = hostOf(v)
		}
	}
	if err != nil || googleHost(host) || c.clean != nil && c.clean(v) != v {
		return
	}
	key := Artifact{Kind: kind, Value: v}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.out = append(c.out, Artifact{Kind: kind, Value: v, Role: role})
}

// hostOf is the host of a URL or the name itself, in lower case.
func hostOf(v string) string {
	if u, err := url.Parse(v); err == nil && u.Host != "" {
		v = u.Hostname()
	}
	return strings.TrimSuffix(strings.ToLower(v), ".")
}

// googleHost reports whether a host is one of the APIs, registries and sign-in
// pages that every workload on Google Cloud talks to.
func googleHost(h string) bool {
	for _, own := range []string{
		"googleapis.com", "gcr.io", "pkg.dev", "metadata.goog", "cloud.google.com", "accounts.google.com",
		"oauth2.google.com", "cloud.goog",
	} {
		if h == own || strings.HasSuffix(h, "."+own) {
			return true
		}
	}
	return false
}

// Own is what belongs to whoever runs a workload: nobody outside is asked
// about it.
type Own struct {
	names map[string]bool
	// number of the project and hash are in the default addresses of its services.
	number, hash string
}

// runDomain is where Cloud Run's default addresses are.
const runDomain = ".run.app"

// OwnHosts reads out of a workload's configuration which hosts are its owner's:
// its own addresses, and whatever host its configured commands name. cfg may
// be nil.
func OwnHosts(w finding.Workload, cfg *Config) Own {
	o := Own{names: map[string]bool{}, number: w.ProjectNumber}
	if cfg == nil {
		return o
	}
	for _, u := range cfg.URLs {
		h := hostOf(u)
		o.names[h] = true
		if label, ok := strings.CutSuffix(h, ".a"+runDomain); ok {
			if parts := strings.Split(label, "-"); len(parts) > 2 {
				o.hash = parts[len(parts)-2]
			}
		}
	}
	for i := range cfg.Containers {
		for _, ind := range command.Read(slices.Concat(cfg.Containers[i].Command, cfg.Containers[i].Args), false).Indicators {
			switch ind.Kind {
			case "url", "domain", "ip":
				o.names[hostOf(ind.Value)] = true
			}
		}
	}
	return o
}

// Holds reports whether an indicator is about a host of the owner. An address
// under run.app counts as the owner's unless it is known to be another
// project's.
func (o Own) Holds(a Artifact) bool {
	h := hostOf(a.Value)
	if o.names[h] {
		return true
	}
	label, ok := strings.CutSuffix(h, runDomain)
	if !ok {
		return false
	}
	if label, ok = strings.CutSuffix(label, ".a"); !ok { // SERVICE-NUMBER.REGION
		first, _, _ := strings.Cut(label, ".")
		return o.number == "" || strings.HasSuffix(first, "-"+o.number)
	}
	parts := strings.Split(label, "-") // [TAG---]SERVICE-HASH-REGION
	return o.hash == "" || len(parts) > 1 && parts[len(parts)-2] == o.hash
}

// Ask returns the indicators to look up: the first MaxIndicatorLookups that
// are nobody's own.
func (o Own) Ask(list []Artifact) []Artifact {
	var out []Artifact
	for _, a := range list {
		if len(out) < MaxIndicatorLookups && !o.Holds(a) {
			out = append(out, a)
		}
	}
	return out
}
