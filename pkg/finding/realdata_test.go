package finding

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Files of other people's systems, where the variable REALDATA names a folder
// with them. Every file that is not listed holds exactly one finding.
func TestRealData(t *testing.T) {
	t.Parallel()
	root := os.Getenv("REALDATA")
	if root == "" {
		t.Skip("REALDATA is not set")
	}
	files, err := filepath.Glob(filepath.Join(root, "scc", "*"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	counts := map[string]int{"v1_export_profserv_scc_bad_ip.json": 69}
	fails := map[string]error{
		"docs_chronicle_MISCONFIGURATION_api_key.invalid.txt":                                                              ErrNotJSON,
		"v2_error_403_service_disabled_eggcraft.json":                                                                      ErrNoFinding,
		"v2_notification_eggcraft_probe_test_message.json":                                                                 ErrNoFinding,
		"thirdparty_synthetic_anomalous_iam_grant.json":                                                                    ErrNoFinding, // no name
		"v1_finding_gatekeeper_go_struct_numeric_enum.json":                                                                ErrNoFinding, // no name
		"v1_notification_sra_bad_ip.json":                                                                                  ErrNoFinding, // a log entry
		"v1_notification_sra_go_etd_log_bad_ip_badIPStackdriver.json":                                                      ErrNoFinding, // a log entry
		"../pubsub/pull_eggcraft_real_decoded.json":                                                                        ErrNoFinding, // not unwrapped
		"../pubsub/sumo_push_data_object_misconfiguration.json":                                                            ErrNoFinding, // not unwrapped
		"../pubsub/pull_pubsub2inbox_monitoring-alert.json":                                                                ErrNoFinding,
		"../pubsub/pull_pubsub2inbox_clouddeploy-rollout.json":                                                             ErrNoFinding,
		"../cloudrun/v1_execution_crtd_test_final_eggcraft.json":                                                           ErrNoFinding,
		"../cloudrun/auditlog_mukoyakuya_toxic_gen7_response.json":                                                         ErrNoFinding,
		"../virustotal/error_codes_documented.json":                                                                        ErrNoFinding,
		"../mitre/enterprise_attack_v18.1.json":                                                                            ErrNoFinding,
		"../logging/panther_gcp_cloud_run_service_created.ndjson":                                                          ErrNoFinding,
		"../cloudrun/simone_ainaudi_cloudrun_service_yaml.yaml":                                                            ErrNotJSON,
		"../proto/securitycenter_v2_fields.json":                                                                           ErrNoFinding,
		"../docs/cloud_run_threat_detection_detectors.json":                                                                ErrNoFinding,
		"../commands/commands.ndjson":                                                                                      ErrNoFinding,
		"../virustotal/list_retrohunt_elf_malicious1.json":                                                                 ErrNoFinding,
		"../logging/eggcraft_crtd_test_container.tsv":                                                                      ErrNotJSON,
		"../pubsub/push_requests.ndjson":                                                                                   ErrNoFinding,
		"../cloudrun/custodian_gcp_cloud_run_service_empty_get_v1_projects_cloud_custodian_locations_services_1_json.json": ErrNoFinding,
	}
	for name := range fails {
		if filepath.Dir(name) != "." {
			files = append(files, filepath.Join(root, "scc", name))
		}
	}
	for _, path := range files {
		name, err := filepath.Rel(filepath.Join(root, "scc"), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := max(counts[name], 1)
			if fails[name] != nil {
				want = 0
			}
			all, err := ParseAll(data)
			if len(all) != want || !errors.Is(err, fails[name]) {
				t.Errorf("ParseAll: %d findings, error %v; want %d, %v", len(all), err, want, fails[name])
			}
			f, err := Parse(data)
			if want == 1 {
				if err != nil {
					t.Fatalf("Parse: %v", err)
				}
				if !f.Workload.IsZero() {
					t.Errorf("workload %+v, and none of these findings is about Cloud Run", f.Workload)
				}
			} else if err == nil {
				t.Error("Parse accepts what is not one finding")
			}
			for _, f := range all {
				if f.CanonicalName == "" || f.Category == "" || f.Truncated != 0 || len(f.Malformed) != 0 {
					t.Errorf("%s: category %q, truncated %d, malformed %q", f.CanonicalName, f.Category, f.Truncated, f.Malformed)
				}
			}
		})
	}
}

func TestRealDataFields(t *testing.T) {
	t.Parallel()
	root := os.Getenv("REALDATA")
	if root == "" {
		t.Skip("REALDATA is not set")
	}
	load := func(name string) *Finding {
		data, err := os.ReadFile(filepath.Join(root, "scc", name))
		if err != nil {
			t.Fatal(err)
		}
		return mustParse(t, data)
	}
	f := load("v2_list_every_field_xsoar.json")
	if len(f.Containers) != 1 || len(f.Processes) != 1 || len(f.Files) != 1 || len(f.Indicator.Signatures) != 2 ||
		len(f.Connections) != 1 || f.Access.Principal == "" || f.Mitre.Version != "14" || f.Marks["team"] != "secops" {
		t.Errorf("a field of a finding with every field is lost: %+v", f)
	}
	if p := f.Processes[0]; p.PID != 48213 || p.UserID == nil || *p.UserID != 0 || p.Binary.FullHash() == "" || p.ScriptHash() != "" {
		t.Errorf("process %+v", p)
	}
	f = load("v2_notification_eggcraft_cloudarmor_1.json")
	if f.EventTime.Nanosecond() == 0 || f.Resource.ProjectNumber == "" || f.Resource.ProjectID == "" || f.FallbackMarksName() == "" {
		t.Errorf("notification %+v", f)
	}
	f = load("docs_secops_soar_finding_details_v2_public_bucket_acl.json")
	if f.Resource.ProjectNumber != "1111" || f.Resource.ProjectID != "xxx" || f.Marks["peter"] != "e2e1" {
		t.Errorf("both resource spellings at once read as %+v", f.Resource)
	}
}
