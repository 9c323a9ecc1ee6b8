package attack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
)

var (
	tacticForm    = regexp.MustCompile(`^TA\d{4}$`)
	techniqueForm = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
)

func TestEveryEnumValueMaps(t *testing.T) {
	t.Parallel()
	for n, name := range securitycenterpb.MitreAttack_Tactic_name {
		if got := Tactic(name); n != 0 && !tacticForm.MatchString(got) {
			t.Errorf("Tactic(%q) = %q", name, got)
		}
	}
	for n, name := range securitycenterpb.MitreAttack_Technique_name {
		got := Technique(name)
		if n == 0 {
			if got != "" {
				t.Errorf("Technique(%q) = %q, want none", name, got)
			}
			continue
		}
		if !techniqueForm.MatchString(got) {
			t.Errorf("Technique(%q) = %q", name, got)
			continue
		}
		if TechniqueName(got) == "" || len(TechniqueTactics(got)) == 0 {
			t.Errorf("%s (%s) has no name or tactic", got, name)
		}
	}
	for _, row := range techniqueTable {
		if _, ok := securitycenterpb.MitreAttack_Technique_value[row.enum]; row.enum != "" && !ok {
			t.Errorf("%s: Security Command Center has no technique %s", row.id, row.enum)
		}
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range techniqueTable {
		if !techniqueForm.MatchString(row.id) || row.name == "" {
			t.Errorf("malformed row %+v", row)
		}
		for _, key := range []string{row.id, row.enum} {
			if key != "" && seen[key] {
				t.Errorf("%s occurs twice", key)
			}
			seen[key] = true
		}
		for _, id := range strings.Fields(row.tactics) {
			if TacticName(id) == "" {
				t.Errorf("%s: unknown tactic %s", row.id, id)
			}
		}
	}
	keys := map[string]string{}
	for _, d := range detectorTable {
		for _, key := range []string{fold(d.category), fold(d.module)} {
			if keys[key] != "" {
				t.Errorf("%s and %s fold to the same", keys[key], d.category)
			}
			keys[key] = d.category
		}
		tactics, techniques, ok := ForCategory(d.category)
		if !ok || len(tactics) == 0 || len(techniques) == 0 {
			t.Errorf("ForCategory(%q) = %v, %v, %v", d.category, tactics, techniques, ok)
		}
		if diff := cmp.Diff(SortTactics(tactics), tactics); diff != "" {
			t.Errorf("%s: tactics not in order: %s", d.category, diff)
		}
		for _, id := range techniques {
			if TechniqueName(id) == "" {
				t.Errorf("%s: unknown technique %s", d.category, id)
			}
		}
		if !slices.IsSorted(techniques) {
			t.Errorf("%s: techniques not sorted: %v", d.category, techniques)
		}
		if Runtime(d.category) == ControlPlane(d.category) {
			t.Errorf("%s is both or neither runtime and control plane", d.category)
		}
		if id := prefixTactic(d.category); id != "" && !slices.Contains(tactics, id) {
			t.Errorf("%s: tactics %v lack its own prefix %s", d.category, tactics, id)
		}
	}
}

func TestTacticAndTechnique(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{"tactic", Tactic("EXECUTION"), "TA0002"},
		{"command and control is 11", Tactic("COMMAND_AND_CONTROL"), "TA0011"},
		{"unknown tactic passes through", Tactic("STEALTH"), "STEALTH"},
		{"unspecified tactic", Tactic("TACTIC_UNSPECIFIED"), ""},
		{"sub-technique", Technique("UNIX_SHELL"), "T1059.004"},
		{"kept although ATT&CK 19 revoked it", Technique("IMPAIR_DEFENSES"), "T1562"},
		{"unknown technique passes through", Technique("BRAND_NEW"), "BRAND_NEW"},
		{"empty", Technique(""), ""},
		{"name", TechniqueName("T1059.004"), "Unix Shell"},
		{"name of a technique outside the enum", TechniqueName("T1041"), "Exfiltration Over C2 Channel"},
		{"unknown name", TechniqueName("T9999"), ""},
		{"tactic name", TacticName("TA0040"), "Impact"},
		{"unknown tactic name", TacticName("TA9999"), ""},
		{"url", TechniqueURL("T1105"), "https://attack.mitre.org/techniques/T1105/"},
		{"url of a sub-technique", TechniqueURL("T1059.004"), "https://attack.mitre.org/techniques/T1059/004/"},
		{"no url for a name", TechniqueURL("BRAND_NEW"), ""},
		{"no url for a path", TechniqueURL("T1059./.."), ""},
		{"version", Version("8"), "8"},
		{"version with v", Version(" v16.1 "), "16.1"},
		{"version unset", Version(""), MappingVersion},
	}
	for _, tc := range tests {
		if tc.got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, tc.got, tc.want)
		}
	}
}

func TestForCategory(t *testing.T) {
	t.Parallel()
	type answer struct {
		Tactics, Techniques []string
		OK                  bool
	}
	tests := []struct {
		name, category string
		want           answer
	}{
		{"as documented", "Unexpected Child Shell", answer{[]string{"TA0002"}, []string{"T1059.004"}, true}},
		{"case and spaces", "  unexpected  CHILD shell ", answer{[]string{"TA0002"}, []string{"T1059.004"}, true}},
		{"alias of the finding page", "Impact: Suspicious crypto mining activity using the Stratum Protocol", answer{[]string{"TA0040"}, []string{"T1496"}, true}},
		{"the overview's spelling", "Impact: Suspicious cryptocurrency mining activity using the Stratum Protocol", answer{[]string{"TA0040"}, []string{"T1496"}, true}},
		{"module name", "CLOUD_RUN_REVERSE_SHELL", answer{[]string{"TA0002", "TA0011"}, []string{"T1059.004", "T1071"}, true}},
		{"removed detector", "Privilege Escalation: Fileless Execution in /dev/shm", answer{[]string{"TA0004"}, []string{"T1055"}, true}},
		{"punctuation", "Execution: Fileless Execution in /memfd", answer{[]string{"TA0002"}, []string{"T1620"}, true}},
		{"upper-case 'Executed'", "Execution: Malicious Python Executed", answer{[]string{"TA0002"}, []string{"T1059.006", "T1105"}, true}},
		{"unknown with a prefix", "Command and Control: Foo", answer{[]string{"TA0011"}, nil, true}},
		{"unknown with a short prefix", "C2: Bad IP", answer{[]string{"TA0011"}, nil, true}},
		{"prefix without a colon", "Impact assessment", answer{}},
		{"unknown", "Malware: Bad IP", answer{}},
		{"empty", "", answer{}},
	}
	for _, tc := range tests {
		var got answer
		got.Tactics, got.Techniques, got.OK = ForCategory(tc.category)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		category              string
		runtime, controlPlane bool
	}{
		{"Reverse Shell", true, false},
		{"Impact: Cryptomining Commands", false, true},
		{"Execution: Something new", false, false},
	}
	for _, tc := range tests {
		if Runtime(tc.category) != tc.runtime || ControlPlane(tc.category) != tc.controlPlane {
			t.Errorf("%s: runtime %v, control plane %v", tc.category, Runtime(tc.category), ControlPlane(tc.category))
		}
	}
	if got, want := FindingPage("unexpected child shell"), findingPages+"cloud-run-unexpected-child-shell"; got != want {
		t.Errorf("FindingPage = %q, want %q", got, want)
	}
	if got := FindingPage("Malicious Script Executed"); got != "" {
		t.Errorf("FindingPage of an unknown page = %q", got)
	}
	if a, b := Normalize("CLOUD_RUN_CONTAINER_ESCAPE"), Normalize("Execution: Container  Escape"); a != b {
		t.Errorf("Normalize: %q != %q", a, b)
	}
	if got := Normalize(strings.Repeat("é", 4000)); len(got) > 1100 {
		t.Errorf("Normalize is not bounded: %d bytes", len(got))
	}
}

func TestSort(t *testing.T) {
	t.Parallel()
	in := []string{"TA0040", "NEW", "TA0010", "TA0011", "", "TA0002", "TA0002"}
	if diff := cmp.Diff([]string{"TA0002", "TA0011", "TA0010", "TA0040", "NEW"}, SortTactics(in)); diff != "" {
		t.Errorf("SortTactics (-want +got):\n%s", diff)
	}
	if in[0] != "TA0040" {
		t.Error("SortTactics changed its argument")
	}
	got := SortTechniques([]string{"T1496", "T1105", "NEW", "T1059.004", "T1105"})
	if diff := cmp.Diff([]string{"T1059.004", "T1105", "T1496", "NEW"}, got); diff != "" {
		t.Errorf("SortTechniques (-want +got):\n%s", diff)
	}
}

// TestRealEnum compares with the enum and ATT&CK data of the folder REALDATA.
func TestRealEnum(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA is unset")
	}
	var enum struct {
		Tactic, Technique []struct{ Name, Code string }
	}
	readJSON(t, filepath.Join(dir, "proto", "mitre_attack_enum_v2.json"), &enum)
	for _, row := range enum.Tactic {
		if got := Tactic(row.Name); got != row.Code {
			t.Errorf("Tactic(%q) = %q, want %q", row.Name, got, row.Code)
		}
	}
	for _, row := range enum.Technique {
		if got := Technique(row.Name); got != row.Code {
			t.Errorf("Technique(%q) = %q, want %q", row.Name, got, row.Code)
		}
	}
	var catalogue struct {
		Version    string `json:"attack_version"`
		Techniques []struct{ ID, Name string }
	}
	readJSON(t, filepath.Join(dir, "mitre", "enterprise_attack_v18.1.json"), &catalogue)
	if catalogue.Version != MappingVersion {
		t.Errorf("catalogue is of version %s, not %s", catalogue.Version, MappingVersion)
	}
	names := map[string]string{}
	for _, row := range catalogue.Techniques {
		names[row.ID] = row.Name
	}
	for _, row := range techniqueTable {
		if names[row.id] != row.name {
			t.Errorf("%s is called %q, not %q", row.id, names[row.id], row.name)
		}
	}
	var docs struct {
		Runtime []struct {
			DisplayName string `json:"display_name"`
			APIName     string `json:"api_name"`
		} `json:"runtime_detectors"`
	}
	readJSON(t, filepath.Join(dir, "docs", "cloud_run_threat_detection_detectors.json"), &docs)
	for _, d := range docs.Runtime {
		if !Runtime(d.DisplayName) || Normalize(d.APIName) != Normalize(d.DisplayName) {
			t.Errorf("%s (%s) is not a known runtime detector", d.DisplayName, d.APIName)
		}
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
