package enrich

import (
	"context"
	"slices"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/record"
)

// view is a finding with everything found out about it so far.
type view struct {
	f *finding.Finding
	// listed is the finding as ListFindings tells it, younger than f; nil when
	// it is not in the list.
	listed *finding.Finding
	// kept is true when the related findings are of a list that was kept.
	kept bool
	ev   *evidence.Evidence
	// in and known are the incident and what its members say by themselves,
	// where somebody has found them out already; else nil.
	in    *incident.Incident
	known map[string]assess.Standing
	inc   incident.Incident
	rec   *record.Record
	want  marks.Set
	// poorer is true when evidence that the marks rest on could not be had now;
	// owed when summary, reasons and plan are still to be told anew therefore.
	poorer, owed bool
}

// look asks all sources.
func (p *Pipeline) look(ctx context.Context, f *finding.Finding, c *evidence.Collector) *view {
	q := p.query(f)
	q.History = mayRepeat(f)
	if p.Settings.Indicators {
		q.Indicators = p.indicators(f)
	}
	v := &view{f: f, ev: c.Collect(ctx, q)}
	v.find()
	return v
}

// arrived asks all sources about a finding that was delivered. Its related
// findings may be those of a list that was read a moment ago.
func (p *Pipeline) arrived(ctx context.Context, f *finding.Finding) *view {
	if p.Collector.Findings == nil {
		return p.look(ctx, f, p.Collector)
	}
	list, c := &recent{p: p}, *p.Collector
	c.Findings = list
	v := p.look(ctx, f, &c)
	v.kept = list.kept.Load()
	p.lists.note(p.query(f).Related, f, p.Now())
	return v
}

// conclude assesses what was found out. Where that would lower marks, or replace
// marks that only a kept list knows, somebody may know more: the findings are
// listed anew. It says why there is nothing to do, or Go.
func (p *Pipeline) conclude(ctx context.Context, v *view) Decision {
	if d := v.again(); d != Go {
		return d
	}
	if p.assess(v); (p.lowers(v) || p.replaces(v)) && p.reread(ctx, v) {
		if d := v.again(); d != Go {
			return d
		}
		p.assess(v)
	}
	return Go
}

// find looks for the finding itself in the list. Whether it is there depends
// on how fast it was indexed, so it does not count as an answer.
func (v *view) find() {
	v.listed = newest(v.f, v.ev.Related)
	if v.ev.FindingsState.State == evidence.OK && alone(v.f, v.ev.Related) {
		v.ev.FindingsState.State = evidence.Empty
	}
}

// reread lists the related findings again, and reports whether that worked.
func (p *Pipeline) reread(ctx context.Context, v *view) bool {
	if p.Collector.Findings == nil {
		return false
	}
	related, err := p.read(ctx, p.query(v.f).Related)
	if err != nil {
		return false
	}
	v.ev.Related, v.ev.FindingsState.State, v.kept = related, evidence.OK, false
	v.in, v.known = nil, nil
	v.find()
	return true
}

// assess concludes from what was found out, and renders it.
func (p *Pipeline) assess(v *view) {
	if v.in != nil {
		v.inc, _ = v.in.WithSeed(v.f.StableName())
	} else {
		v.inc = incident.Group(v.f, v.ev.Related, p.Settings.Window, p.Settings.MaxSpan)
	}
	known := v.known
	if known == nil {
		known = p.standings(v.inc.Others())
	}
	a := p.Policy.Assess(assess.Input{Finding: v.f, Incident: v.inc, Evidence: v.ev, Standings: known, Earlier: p.earlierOnes(v)})
	v.rec = record.New(record.Input{
		Finding: v.f, Incident: v.inc, Evidence: v.ev, Assessment: a,
		EarlierTimes: p.earlier(v), LogQuery: p.logQuery(v.f), Now: p.Now(), Version: p.Settings.Version,
	}, p.Redactor)
	v.want = marks.Render(v.rec, p.Settings.MarkPrefix)
}

// earlier are the events before this one of a finding that fired several
// times: Security Command Center keeps only the newest, our own marks the one
// that was enriched last, and memory what this instance has seen.
func (p *Pipeline) earlier(v *view) []time.Time {
	known, _ := p.times.GetIfPresent(v.f.StableName())
	all := append(slices.Clone(known), v.f.EventTime.UTC())
	if marked := marks.Read(p.Settings.MarkPrefix, v.existing()).EventTime; !marked.IsZero() {
		all = append(all, marked.UTC())
	}
	slices.SortFunc(all, time.Time.Compare)
	all = slices.CompactFunc(all, time.Time.Equal)
	all = all[max(0, len(all)-maxTimes):]
	p.times.Set(v.f.StableName(), all)
	return slices.DeleteFunc(slices.Clone(all), func(t time.Time) bool { return !t.Before(v.f.EventTime) })
}

// lowers reports whether the marks on the finding, of this very event, say
// worse than what is about to be written: then somebody may know more.
func (p *Pipeline) lowers(v *view) bool {
	known := marks.Read(p.Settings.MarkPrefix, v.existing())
	return known.Present && known.EventTime.Equal(v.f.EventTime) && known.Score > v.rec.Assessment.Score
}

// replaces reports whether marks would be replaced of which only a list tells
// that was not read for this finding.
func (p *Pipeline) replaces(v *view) bool {
	if !v.kept || !marks.Read(p.Settings.MarkPrefix, v.existing()).Present {
		return false
	}
	set, remove := marks.Diff(v.existing(), v.want, p.Settings.MarkPrefix)
	return len(set)+len(remove) > 0
}

// again asks the gate's questions of the finding as it is now: a delivery that
// was delayed must not overwrite the marks of a newer event.
func (v *view) again() Decision {
	switch {
	case v.listed == nil:
		return Go
	case v.listed.EventTime.After(v.f.EventTime):
		return Older
	case v.listed.State == finding.Inactive:
		return Inactive
	case v.listed.Muted():
		return Muted
	}
	return Go
}

// existing are the marks on the finding, as young as they are known.
func (v *view) existing() map[string]string {
	if v.listed != nil {
		return v.listed.Marks
	}
	return v.f.Marks
}

// query is what the sources are asked about a finding.
func (p *Pipeline) query(f *finding.Finding) evidence.Query {
	parent := p.Settings.Parent
	if parent == "" {
		parent = f.ParentScope()
	}
	from, to := incident.View(f.EventTime, p.Settings.Window, p.Settings.MaxSpan)
	return evidence.Query{
		Related:   evidence.RelatedQuery{Parent: parent, Location: f.Location(), Workload: f.Workload, From: from, To: to},
		Logs:      p.logQuery(f),
		Artifacts: evidence.Artifacts(f),
	}
}

func (p *Pipeline) logQuery(f *finding.Finding) evidence.LogQuery {
	return evidence.LogQuery{
		Workload: f.Workload, Event: f.EventTime,
		Before: p.Settings.LogBefore, After: p.Settings.LogAfter, AuditBefore: auditBefore,
	}
}

// newest finds the seed among the listed findings: its marks and state there
// are younger than the notification's.
func newest(f *finding.Finding, related []finding.Finding) *finding.Finding {
	for i := range related {
		if related[i].StableName() == f.StableName() {
			return &related[i]
		}
	}
	return nil
}

// alone reports whether the list holds no finding but the seed.
func alone(f *finding.Finding, related []finding.Finding) bool {
	for i := range related {
		if related[i].StableName() != f.StableName() {
			return false
		}
	}
	return true
}
