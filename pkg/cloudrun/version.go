package cloudrun

import (
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

// Bounds on what is taken over from one container. The API itself allows 1,000
// arguments and 1,000 environment variables.
const (
	maxArgs      = 100
	maxArgBytes  = 4096
	maxEnv       = 1000
	maxTextBytes = 1024
)

// version is what runs: a revision, an execution, or the template of the next
// one, without the values of environment variables.
type version struct {
	// name is the short name; empty for a template.
	name    string
	created time.Time
	// completed is when an execution ended; zero while it runs, and for revisions.
	completed time.Time
	creator   string
	// failed is true for a revision that never became ready.
	failed bool

	containers     []container
	serviceAccount string
	environment    string
	vpcEgress      string
	vpcConnector   string
	vpcNetworks    []string
	volumes        []evidence.Volume
	// minimum and maximum bound the instances of a revision; tasks and
	// parallelism are an execution's. Zero is unset.
	minimum, maximum   int
	tasks, parallelism int
}

// container is a container with the fingerprints that tell its changes.
type container struct {
	evidence.ContainerConfig
	command, args uint64
	env           map[string]envPrint
}

// envPrint is the fingerprint of a variable: where its value comes from, and a
// hash of the value or of the secret's name and version.
type envPrint struct {
	secret bool
	hash   uint64
}

func (v *version) size() int {
	n := 512
	for _, c := range v.containers {
		n += 512 + len(c.Image) + 96*len(c.env) + 64*(len(c.SecretEnv)+len(c.Mounts)+len(c.SecretMounts))
		for _, s := range slices.Concat(c.Command, c.Args, c.EnvNames) {
			n += 16 + len(s)
		}
	}
	return n + 128*len(v.volumes)
}

// mapper turns the API's messages into versions. Its key makes fingerprints
// useless outside this process.
type mapper struct{ seed maphash.Seed }

func newMapper() mapper { return mapper{seed: maphash.MakeSeed()} }

func (m mapper) print(ss ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, s := range ss {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

func (m mapper) revision(r *runpb.Revision) *version {
	v := m.template(r.GetContainers(), r.GetVolumes(), r.GetServiceAccount(), r.GetVpcAccess())
	v.name, v.created, v.creator = last(r.GetName()), when(r.GetCreateTime()), r.GetCreator()
	v.environment = environment(r.GetExecutionEnvironment())
	v.minimum = int(r.GetScaling().GetMinInstanceCount())
	v.maximum = int(r.GetScaling().GetMaxInstanceCount())
	v.failed = neverReady(r.GetConditions())
	return v
}

func (m mapper) execution(e *runpb.Execution) *version {
	v := m.task(e.GetTemplate())
	v.name, v.created, v.completed, v.creator = last(e.GetName()), when(e.GetCreateTime()), when(e.GetCompletionTime()), e.GetCreator()
	v.tasks, v.parallelism = int(e.GetTaskCount()), int(e.GetParallelism())
	return v
}

func (m mapper) task(t *runpb.TaskTemplate) *version {
	v := m.template(t.GetContainers(), t.GetVolumes(), t.GetServiceAccount(), t.GetVpcAccess())
	v.environment = environment(t.GetExecutionEnvironment())
	return v
}

func (m mapper) template(cs []*runpb.Container, vs []*runpb.Volume, account string, vpc *runpb.VpcAccess) *version {
	v := &version{serviceAccount: last(account)}
	secrets := map[string]*runpb.SecretVolumeSource{}
	for _, vol := range vs {
		v.volumes = append(v.volumes, volume(vol))
		if s := vol.GetSecret(); s != nil {
			secrets[vol.GetName()] = s
		}
	}
	for _, c := range cs {
		v.containers = append(v.containers, m.container(c, secrets))
	}
	v.vpc(vpc)
	return v
}

// vpc reads the way out. Without an egress setting only private ranges go
// through the VPC (google.cloud.run.v2.VpcAccess).
func (v *version) vpc(a *runpb.VpcAccess) {
	if a == nil || (a.GetConnector() == "" && len(a.GetNetworkInterfaces()) == 0) {
		return
	}
	v.vpcEgress = "private-ranges-only"
	if a.GetEgress() == runpb.VpcAccess_ALL_TRAFFIC {
		v.vpcEgress = "all-traffic"
	}
	v.vpcConnector = a.GetConnector()
	for _, n := range a.GetNetworkInterfaces() {
		net := n.GetNetwork()
		if net == "" {
			net = n.GetSubnetwork()
		}
		v.vpcNetworks = append(v.vpcNetworks, net)
	}
}

func (m mapper) container(c *runpb.Container, secrets map[string]*runpb.SecretVolumeSource) container {
	out := container{
		ContainerConfig: evidence.ContainerConfig{
			Name:    c.GetName(),
			Image:   cut(c.GetImage(), maxTextBytes),
			Digest:  digest(c.GetImage()),
			Command: bounded(c.GetCommand()),
			Args:    bounded(c.GetArgs()),
			Probes:  probes(c),
		},
		command: m.print(c.GetCommand()...),
		args:    m.print(c.GetArgs()...),
	}
	m.environment(&out, c.GetEnv())
	for _, p := range c.GetPorts() {
		out.Ports = append(out.Ports, p.GetContainerPort())
	}
	for _, vm := range c.GetVolumeMounts() {
		out.Mounts = append(out.Mounts, evidence.Mount{Volume: vm.GetName(), Path: vm.GetMountPath()})
		if s := secrets[vm.GetName()]; s != nil {
			out.SecretMounts = append(out.SecretMounts, secretMounts(vm.GetMountPath(), s)...)
		}
	}
	return out
}

// environment reads the variables. It is the only place that sees their values.
func (m mapper) environment(out *container, env []*runpb.EnvVar) {
	out.env = make(map[string]envPrint, min(len(env), maxEnv))
	for _, e := range env[:min(len(env), maxEnv)] {
		name := e.GetName()
		out.EnvNames = append(out.EnvNames, name)
		if ref := e.GetValueSource().GetSecretKeyRef(); ref != nil {
			out.SecretEnv = append(out.SecretEnv, evidence.SecretRef{Name: name, Secret: ref.GetSecret(), Version: ref.GetVersion()})
			out.env[name] = envPrint{secret: true, hash: m.print(ref.GetSecret(), ref.GetVersion())}
			continue
		}
		if plaintextSecret(name, e.GetValue()) {
			out.PlaintextSecretEnv = append(out.PlaintextSecretEnv, name)
		}
		out.env[name] = envPrint{hash: m.print(e.GetValue())}
	}
}

// secretMounts lists the files of a mounted secret; without items it is one
// file with the latest version (google.cloud.run.v2.SecretVolumeSource).
func secretMounts(path string, s *runpb.SecretVolumeSource) []evidence.SecretRef {
	path = strings.TrimRight(path, "/")
	if len(s.GetItems()) == 0 {
		return []evidence.SecretRef{{Name: path + "/" + last(s.GetSecret()), Secret: s.GetSecret(), Version: "latest"}}
	}
	var out []evidence.SecretRef
	for _, it := range s.GetItems() {
		v := it.GetVersion()
		if v == "" {
			v = "latest"
		}
		out = append(out, evidence.SecretRef{Name: path + "/" + it.GetPath(), Secret: s.GetSecret(), Version: v})
	}
	return out
}

// volume says what a volume is and whether a process can write to it.
func volume(v *runpb.Volume) evidence.Volume {
	out := evidence.Volume{Name: v.GetName()}
	switch t := v.GetVolumeType().(type) {
	case *runpb.Volume_Secret:
		out.Kind, out.Source = "secret", t.Secret.GetSecret()
	case *runpb.Volume_CloudSqlInstance:
		out.Kind, out.Source = "cloudsql", strings.Join(t.CloudSqlInstance.GetInstances(), ",")
	case *runpb.Volume_EmptyDir:
		out.Kind, out.Writable = "empty_dir", true
	case *runpb.Volume_Nfs:
		out.Kind, out.Source, out.Writable = "nfs", t.Nfs.GetServer()+":"+t.Nfs.GetPath(), !t.Nfs.GetReadOnly()
	case *runpb.Volume_Gcs:
		out.Kind, out.Source, out.Writable = "gcs", t.Gcs.GetBucket(), !t.Gcs.GetReadOnly()
	}
	return out
}

// probes says in words what asks the container for its health. Their headers,
// which may hold credentials, are left out.
func probes(c *runpb.Container) []string {
	var out []string
	for _, p := range []*runpb.Probe{c.GetStartupProbe(), c.GetLivenessProbe(), c.GetReadinessProbe()} {
		var s string
		switch t := p.GetProbeType().(type) {
		case *runpb.Probe_HttpGet:
			s = "http " + t.HttpGet.GetPath()
		case *runpb.Probe_TcpSocket:
			s = fmt.Sprintf("tcp %d", t.TcpSocket.GetPort())
		case *runpb.Probe_Grpc:
			s = strings.TrimSpace("grpc " + t.Grpc.GetService())
		}
		if s != "" && !slices.Contains(out, s) {
			out = append(out, cut(s, maxTextBytes))
		}
	}
	return out
}

// neverReady reports whether a revision failed to start, rather than having
// been retired.
func neverReady(cs []*runpb.Condition) bool {
	for _, c := range cs {
		if c.GetType() != "Ready" || c.GetState() != runpb.Condition_CONDITION_FAILED {
			continue
		}
		r := c.GetRevisionReason()
		return r != runpb.Condition_RETIRED && r != runpb.Condition_RETIRING
	}
	return false
}

func environment(e runpb.ExecutionEnvironment) string {
	switch e {
	case runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN1:
		return "gen1"
	case runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2:
		return "gen2"
	}
	return ""
}

var sha256Digest = regexp.MustCompile(`@(sha256:[0-9a-f]{64})$`)

// digest returns the digest an image is named by, or "".
func digest(image string) string {
	if m := sha256Digest.FindStringSubmatch(image); m != nil {
		return m[1]
	}
	return ""
}

// bounded copies arguments up to the bounds and says where it cut.
func bounded(args []string) []string {
	var out []string
	for i, a := range args {
		if i == maxArgs {
			return append(out, fmt.Sprintf("…(%d more)", len(args)-i))
		}
		out = append(out, cut(a, maxArgBytes))
	}
	return out
}

// cut shortens s to at most n bytes, and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// when is the time of a timestamp, zero if unset.
func when(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}
