package cloudrun

import (
	"cmp"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// maxInvokers bounds the members that are named; the API allows 1,500.
const maxInvokers = 100

// parent is a service, job or worker pool: what belongs to no single revision.
type parent struct {
	config   evidence.Config
	template *version
	// latestReady is the short name of the revision that "latest" traffic goes to.
	latestReady string
}

func (p *parent) size() int { return 1024 + 128*len(p.config.Traffic) + p.template.size() }

func (m mapper) service(s *runpb.Service) *parent {
	t := s.GetTemplate()
	v := m.template(t.GetContainers(), t.GetVolumes(), t.GetServiceAccount(), t.GetVpcAccess())
	v.environment = environment(t.GetExecutionEnvironment())
	v.minimum, v.maximum = int(t.GetScaling().GetMinInstanceCount()), int(t.GetScaling().GetMaxInstanceCount())
	p := &parent{template: v, latestReady: last(s.GetLatestReadyRevision()), config: evidence.Config{
		Ingress:            ingress(s.GetIngress()),
		InvokerIAMDisabled: s.GetInvokerIamDisabled(),
		IAPEnabled:         s.GetIapEnabled(),
		Breakglass:         cut(s.GetBinaryAuthorization().GetBreakglassJustification(), maxTextBytes),
		Creator:            s.GetCreator(),
		LastModifier:       s.GetLastModifier(),
		CreateTime:         when(s.GetCreateTime()),
		UpdateTime:         when(s.GetUpdateTime()),
		Client:             cut(s.GetClient(), maxTextBytes),
		URLs:               slices.Clone(s.GetUrls()),
		ThreatDetection:    s.GetThreatDetectionEnabled(),
		MinInstances:       int(s.GetScaling().GetMinInstanceCount()),
		MaxInstances:       int(s.GetScaling().GetMaxInstanceCount()),
	}}
	p.binaryAuthorization(s.GetBinaryAuthorization())
	if len(p.config.URLs) == 0 && s.GetUri() != "" {
		p.config.URLs = []string{s.GetUri()}
	}
	if sc := s.GetScaling(); sc.GetScalingMode() == runpb.ServiceScaling_MANUAL && sc.ManualInstanceCount != nil {
		p.config.MinInstances, p.config.MaxInstances = int(sc.GetManualInstanceCount()), int(sc.GetManualInstanceCount())
	}
	for _, t := range s.GetTrafficStatuses() {
		p.traffic(t.GetRevision(), t.GetPercent(), t.GetTag(), t.GetType() == runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST)
	}
	if len(s.GetTrafficStatuses()) == 0 {
		for _, t := range s.GetTraffic() {
			p.traffic(t.GetRevision(), t.GetPercent(), t.GetTag(), t.GetType() == runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST)
		}
	}
	return p
}

func (m mapper) workerPool(w *runpb.WorkerPool) *parent {
	t := w.GetTemplate()
	p := &parent{
		template:    m.template(t.GetContainers(), t.GetVolumes(), t.GetServiceAccount(), t.GetVpcAccess()),
		latestReady: last(w.GetLatestReadyRevision()),
		config: evidence.Config{
			Breakglass:      cut(w.GetBinaryAuthorization().GetBreakglassJustification(), maxTextBytes),
			Creator:         w.GetCreator(),
			LastModifier:    w.GetLastModifier(),
			CreateTime:      when(w.GetCreateTime()),
			UpdateTime:      when(w.GetUpdateTime()),
			Client:          cut(w.GetClient(), maxTextBytes),
			ThreatDetection: w.GetThreatDetectionEnabled(),
			MinInstances:    int(w.GetScaling().GetManualInstanceCount()),
			MaxInstances:    int(w.GetScaling().GetManualInstanceCount()),
		},
	}
	p.binaryAuthorization(w.GetBinaryAuthorization())
	for _, s := range w.GetInstanceSplitStatuses() {
		p.traffic(s.GetRevision(), s.GetPercent(), "", s.GetType() == runpb.InstanceSplitAllocationType_INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST)
	}
	if len(w.GetInstanceSplitStatuses()) == 0 {
		for _, s := range w.GetInstanceSplits() {
			p.traffic(s.GetRevision(), s.GetPercent(), "", s.GetType() == runpb.InstanceSplitAllocationType_INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST)
		}
	}
	return p
}

func (m mapper) job(j *runpb.Job) *parent {
	v := m.task(j.GetTemplate().GetTemplate())
	v.tasks, v.parallelism = int(j.GetTemplate().GetTaskCount()), int(j.GetTemplate().GetParallelism())
	p := &parent{template: v, config: evidence.Config{
		Breakglass:   cut(j.GetBinaryAuthorization().GetBreakglassJustification(), maxTextBytes),
		Creator:      j.GetCreator(),
		LastModifier: j.GetLastModifier(),
		CreateTime:   when(j.GetCreateTime()),
		UpdateTime:   when(j.GetUpdateTime()),
		Client:       cut(j.GetClient(), maxTextBytes),
	}}
	p.binaryAuthorization(j.GetBinaryAuthorization())
	return p
}

func (p *parent) binaryAuthorization(b *runpb.BinaryAuthorization) {
	switch {
	case b.GetPolicy() != "":
		p.config.BinaryAuthorization = "policy"
	case b.GetUseDefault():
		p.config.BinaryAuthorization = "default"
	}
}

// traffic adds a traffic target or instance split. One to the latest revision
// names none; it goes to the latest that is ready.
func (p *parent) traffic(revision string, percent int32, tag string, latest bool) {
	t := evidence.Traffic{Revision: last(revision), Percent: int(percent), Tag: tag, Latest: latest}
	if t.Revision == "" && latest {
		t.Revision = p.latestReady
	}
	p.config.Traffic = append(p.config.Traffic, t)
}

// serving returns the revisions that get traffic, the largest share first.
func (p *parent) serving() []string {
	ts := slices.Clone(p.config.Traffic)
	slices.SortStableFunc(ts, func(a, b evidence.Traffic) int { return cmp.Compare(b.Percent, a.Percent) })
	var out []string
	for _, t := range ts {
		if t.Percent > 0 && t.Revision != "" {
			out = append(out, t.Revision)
		}
	}
	return out
}

func ingress(i runpb.IngressTraffic) string {
	switch i {
	case runpb.IngressTraffic_INGRESS_TRAFFIC_ALL:
		return "all"
	case runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY:
		return "internal"
	case runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER:
		return "internal_and_cloud_load_balancing"
	case runpb.IngressTraffic_INGRESS_TRAFFIC_NONE:
		return "none"
	}
	return ""
}

// policy is who may invoke a workload, by the policy on the workload itself;
// what is granted on the project or above is not in it.
type policy struct {
	members                         []string
	allUsers, allAuthenticatedUsers bool
}

func (p *policy) size() int {
	n := 64
	for _, m := range p.members {
		n += 16 + len(m)
	}
	return n
}

// invokersOf reads the invoking members out of a policy. A binding with a
// condition counts: whether the condition holds is not known here.
func invokersOf(kind finding.Kind, in *iampb.Policy) *policy {
	p := &policy{}
	for _, b := range in.GetBindings() {
		if !invokes(kind, b.GetRole()) {
			continue
		}
		for _, m := range b.GetMembers() {
			p.allUsers = p.allUsers || m == "allUsers"
			p.allAuthenticatedUsers = p.allAuthenticatedUsers || m == "allAuthenticatedUsers"
			p.members = append(p.members, cut(m, maxTextBytes))
		}
	}
	slices.Sort(p.members)
	p.members = slices.Compact(p.members)
	p.members = slices.Clip(p.members[:min(len(p.members), maxInvokers)])
	return p
}

// invokes reports whether a role can invoke: run.routes.invoke for services,
// run.jobs.run for jobs (https://cloud.google.com/iam/docs/roles-permissions/run).
// Custom roles are unknown and do not count.
func invokes(kind finding.Kind, role string) bool {
	switch role {
	case "roles/run.invoker", "roles/run.admin", "roles/run.developer", "roles/run.editor", "roles/owner", "roles/editor":
		return true
	case "roles/run.servicesInvoker":
		return kind == finding.Service
	case "roles/run.jobsExecutor", "roles/run.jobsExecutorWithOverrides":
		return kind == finding.Job
	}
	return false
}
