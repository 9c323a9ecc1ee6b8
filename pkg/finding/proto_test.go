package finding

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func at(s string) *timestamppb.Timestamp {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return timestamppb.New(t)
}

func sourceProperties(t *testing.T, m map[string]any) map[string]*structpb.Value {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s.GetFields()
}

func fullResult(t *testing.T) *securitycenterpb.ListFindingsResponse_ListFindingsResult {
	t.Helper()
	file := &securitycenterpb.File{
		Path: `"/tmp/a\"b"`, Size: 10, Sha256: strings.Repeat("A", 64), HashedSize: 10, Contents: "x",
		DiskPath: &securitycenterpb.File_DiskPath{PartitionUuid: "u", RelativePath: "tmp/a"},
	}
	return &securitycenterpb.ListFindingsResponse_ListFindingsResult{
		Finding: &securitycenterpb.Finding{
			Name:             "organizations/1/sources/2/locations/global/findings/f",
			CanonicalName:    "projects/700800900100/sources/2/locations/global/findings/f",
			Parent:           "organizations/1/sources/2/locations/global",
			ResourceName:     "//run.googleapis.com/projects/700800900100/locations/l/services/s",
			State:            securitycenterpb.Finding_ACTIVE,
			Category:         "Execution: Added Malicious Binary Executed",
			ExternalUri:      "https://example.com",
			SourceProperties: sourceProperties(t, map[string]any{"Reverse_Shell_Stdin_Redirection_Dst_Ip": "203.0.113.1", "Reverse_Shell_Stdin_Redirection_Dst_Port": 4444.0, "n": nil, "l": []any{1.0, "x"}}),
			SecurityMarks:    &securitycenterpb.SecurityMarks{Name: "n", Marks: map[string]string{"a": "b"}},
			EventTime:        at("2026-01-02T03:04:05.000000006Z"),
			CreateTime:       &timestamppb.Timestamp{},
			Severity:         securitycenterpb.Finding_LOW,
			Mute:             securitycenterpb.Finding_UNMUTED,
			FindingClass:     securitycenterpb.Finding_THREAT,
			Indicator: &securitycenterpb.Indicator{
				IpAddresses: []string{"203.0.113.1", ""}, Domains: []string{"d.example"}, Uris: []string{"http://u.example"},
				Signatures: []*securitycenterpb.Indicator_ProcessSignature{
					{Signature: &securitycenterpb.Indicator_ProcessSignature_YaraRuleSignature_{YaraRuleSignature: &securitycenterpb.Indicator_ProcessSignature_YaraRuleSignature{YaraRule: "r"}}},
					{Signature: &securitycenterpb.Indicator_ProcessSignature_MemoryHashSignature_{MemoryHashSignature: &securitycenterpb.Indicator_ProcessSignature_MemoryHashSignature{BinaryFamily: "XMRig"}}},
				},
			},
			MitreAttack: &securitycenterpb.MitreAttack{
				PrimaryTactic:        securitycenterpb.MitreAttack_EXECUTION,
				PrimaryTechniques:    []securitycenterpb.MitreAttack_Technique{securitycenterpb.MitreAttack_INGRESS_TOOL_TRANSFER, securitycenterpb.MitreAttack_TECHNIQUE_UNSPECIFIED, 99999},
				AdditionalTactics:    []securitycenterpb.MitreAttack_Tactic{securitycenterpb.MitreAttack_IMPACT},
				AdditionalTechniques: []securitycenterpb.MitreAttack_Technique{securitycenterpb.MitreAttack_NATIVE_API},
				Version:              "16",
			},
			Access: &securitycenterpb.Access{
				PrincipalEmail: "a@example.com", CallerIp: "203.0.113.2", CallerIpGeo: &securitycenterpb.Geolocation{RegionCode: "NL"},
				UserAgent: "ua", ServiceAccountKeyName: "//iam.googleapis.com/projects/p/serviceAccounts/a/keys/1", ServiceName: "run.googleapis.com", MethodName: "m",
			},
			Connections: []*securitycenterpb.Connection{{DestinationIp: "203.0.113.3", DestinationPort: 99999, SourceIp: "10.0.0.1", SourcePort: 5, Protocol: securitycenterpb.Connection_UDP}},
			Processes: []*securitycenterpb.Process{
				{
					Name: "sh", Binary: file, Libraries: []*securitycenterpb.File{file, file}, Script: file,
					Args: []string{`"-c"`, "plain", strings.Repeat("y", maxLongText+1)}, ArgumentsTruncated: false,
					EnvVariables: []*securitycenterpb.EnvironmentVariable{{Name: `"K"`, Val: "secret"}, {}}, EnvVariablesTruncated: true,
					Pid: 17, ParentPid: 1, UserId: 33,
				},
				{Name: "init", Pid: 1, Binary: &securitycenterpb.File{}},
			},
			ParentDisplayName: "Cloud Run Threat Detection",
			Description:       "d",
			NextSteps:         "not used",
			Containers:        []*securitycenterpb.Container{{Name: "app", Uri: "u", ImageId: "i", CreateTime: at("2026-01-01T00:00:00Z")}},
			Files:             []*securitycenterpb.File{file},
		},
		Resource: &securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource{
			Name: "//run.googleapis.com/projects/shop-prod/locations/l/services/s", DisplayName: "s", Type: "t",
			Service: "run.googleapis.com", Location: "l",
			CloudProviderMetadata: &securitycenterpb.ListFindingsResponse_ListFindingsResult_Resource_GcpMetadata{GcpMetadata: &securitycenterpb.GcpMetadata{
				Project: "//cloudresourcemanager.googleapis.com/projects/700800900100", ProjectDisplayName: "shop-prod",
				Folders:      []*securitycenterpb.Folder{{ResourceFolder: "//cloudresourcemanager.googleapis.com/folders/7"}},
				Organization: "organizations/1",
			}},
		},
	}
}

// What the client reads and what the same answer says as JSON are one finding,
// in every way protojson can write it.
func TestFromProtoIsParse(t *testing.T) {
	t.Parallel()
	full := fullResult(t)
	minimal := &securitycenterpb.ListFindingsResponse_ListFindingsResult{
		Finding: &securitycenterpb.Finding{Name: "projects/1/sources/2/findings/f"},
	}
	huge := fullResult(t)
	p := huge.GetFinding().GetProcesses()[0]
	p.Args = append(p.Args, make([]string, maxArgs)...)
	p.EnvVariables = append(p.EnvVariables, slices.Repeat(p.EnvVariables, maxArgs)...)
	p.Libraries = slices.Repeat(p.Libraries, maxFiles)
	f := huge.GetFinding()
	f.Processes = append(f.Processes[:1], slices.Repeat(f.Processes[1:], maxProcesses)...)
	f.Containers = slices.Repeat(f.Containers, maxContainers+1)
	f.Connections = slices.Repeat(f.Connections, maxConnections+1)
	f.Indicator.Domains = slices.Repeat(f.Indicator.Domains, maxIndicators+1)
	f.Indicator.Signatures = slices.Repeat(f.Indicator.Signatures, maxIndicators)
	f.MitreAttack.PrimaryTechniques = slices.Repeat(f.MitreAttack.PrimaryTechniques, maxTechniques)
	f.SourceProperties = nil
	results := map[string]*securitycenterpb.ListFindingsResponse_ListFindingsResult{"full": full, "minimal": minimal, "huge": huge}
	for name, pb := range results {
		for style, m := range map[string]protojson.MarshalOptions{
			"camel":   {},
			"snake":   {UseProtoNames: true},
			"numbers": {UseEnumNumbers: true, Multiline: true},
		} {
			t.Run(name+" "+style, func(t *testing.T) {
				t.Parallel()
				b, err := m.Marshal(pb)
				if err != nil {
					t.Fatal(err)
				}
				var r ProtoResource
				if pb.GetResource() != nil {
					r = pb.GetResource()
				}
				got := FromProto(pb.GetFinding(), r)
				if parsed := mustParse(t, b); !reflect.DeepEqual(parsed, got) {
					t.Errorf("FromProto differs from Parse (-Parse +FromProto):\n%s", cmp.Diff(parsed, got))
				}
			})
		}
	}
	got := FromProto(full.GetFinding(), full.GetResource())
	if got.Workload.Key() != "run/shop-prod/l/service/s" || got.Processes[0].Args[0] != "-c" || got.Processes[0].Script == nil ||
		!got.Processes[0].ArgsTruncated || got.ReverseShell == nil || len(got.Files) != 1 || got.Processes[1].Binary != nil {
		t.Errorf("the comparison is of findings without content: %+v", got)
	}
}

func TestFromProtoWithoutIdentity(t *testing.T) {
	t.Parallel()
	for name, pb := range map[string]*securitycenterpb.Finding{
		"nil":      nil,
		"empty":    {},
		"bad name": {Name: "projects/1/sources/-/findings/f"},
	} {
		if got := FromProto(pb, (*securitycenterpb.Resource)(nil)); got != nil {
			t.Errorf("%s: got %+v, want nil", name, got)
		}
	}
}
