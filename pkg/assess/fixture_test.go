package assess

import (
	"strings"
	"testing"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
	"github.com/scc-enricher/scc-enricher/pkg/incident"
)

// event is when everything in these tests happens.
func event() time.Time { return time.Date(2026, 9, 5, 5, 29, 30, 46257728, time.UTC) }

// hash is a SHA-256 made of one digit.
func hash(digit string) string { return strings.Repeat(digit, 64) }

func mustDefault(tb testing.TB) *Policy {
	tb.Helper()
	p, err := LoadDefault()
	if err != nil {
		tb.Fatalf("LoadDefault() error: %v", err)
	}
	return p
}

// childShell is an Unexpected Child Shell: parent, pid 1, started sh with args.
func childShell(parent string, args ...string) *finding.Finding {
	name := "sh"
	if len(args) > 0 {
		name = args[0][strings.LastIndexByte(args[0], '/')+1:]
	}
	const id = "projects/123456789012/sources/777/locations/global/findings/f1"
	user := int64(1000)
	return &finding.Finding{
		Name: id, CanonicalName: id,
		ResourceName:      "//run.googleapis.com/projects/shop-prod/locations/europe-west1/services/pay",
		ParentDisplayName: "Cloud Run Threat Detection",
		Category:          "Unexpected Child Shell",
		Class:             "THREAT",
		State:             finding.Active,
		Severity:          finding.Critical,
		EventTime:         event(),
		CreateTime:        event(),
		Containers:        []finding.Container{{Name: "pay-1", URI: "europe-west1-docker.pkg.dev/shop-prod/app/pay:v2"}},
		Processes: []finding.Process{
			{Name: parent, Binary: &finding.File{Path: "/usr/bin/" + parent, SHA256: hash("b")}, Args: []string{"/usr/bin/" + parent, "-jar", "app.jar"}, PID: 1},
			{Name: name, Binary: &finding.File{Path: "/bin/" + name, SHA256: hash("a")}, Args: args, PID: 17, ParentPID: 1, UserID: &user},
		},
		Workload: finding.Workload{
			Project: "shop-prod", ProjectNumber: "123456789012", Location: "europe-west1",
			Kind: finding.Service, Name: "pay", Revision: "pay-00042-abc",
		},
	}
}

// config is a public service with a few weak points, whose previous revision
// ran another image.
func config() *evidence.Config {
	const image = "europe-west1-docker.pkg.dev/shop-prod/app/pay"
	return &evidence.Config{
		Resource: "projects/shop-prod/locations/europe-west1/services/pay",
		Revision: "pay-00042-abc", RevisionSource: "finding",
		Containers: []evidence.ContainerConfig{{
			Name: "pay-1", Image: image + "@sha256:" + hash("1"), Digest: "sha256:" + hash("1"),
			Command:   []string{"./docker-entrypoint.sh"},
			SecretEnv: []evidence.SecretRef{{Name: "DB_PASSWORD", Secret: "db-password", Version: "3"}, {Name: "API_KEY", Secret: "projects/vault/secrets/api-key", Version: "latest"}},
			Probes:    []string{"exec /bin/health --fast", "http /healthz"},
		}},
		ServiceAccount: "pay@shop-prod.iam.gserviceaccount.com",
		Ingress:        "all", AllUsers: true, IAMKnown: true, Invokers: []string{"allUsers"},
		Creator: "alice@example.com", LastModifier: "alice@example.com",
		RevisionCreator: "alice@example.com", RevisionCreateTime: event().Add(-30 * 24 * time.Hour),
		Traffic:  []evidence.Traffic{{Revision: "pay-00042-abc", Percent: 100, Latest: true}},
		Previous: &evidence.PreviousRevision{Name: "pay-00041-xyz", Digest: "sha256:" + hash("2"), Image: image + "@sha256:" + hash("2"), Creator: "alice@example.com"},
	}
}

// complete is evidence in which every source answered and nothing stands out.
func complete() *evidence.Evidence {
	ok := evidence.Status{State: evidence.OK}
	return &evidence.Evidence{
		FindingsState: evidence.Status{State: evidence.Empty},
		Config:        config(), ConfigState: ok,
		Logs: evidence.Logs{
			Visible: true, Scopes: []string{"projects/shop-prod"}, Event: event(),
			From: event().Add(-10 * time.Minute), To: event().Add(2 * time.Minute),
			Entries: []evidence.LogEntry{{Kind: evidence.LogApp, Time: event().Add(-time.Minute), Severity: "INFO", Text: "listening on :8080"}},
		},
		LogsState: ok,
		Reputations: []evidence.Reputation{{
			Artifact: evidence.Artifact{Kind: "file", Value: hash("a"), Role: "binary", Path: "/bin/sh"},
			State:    evidence.OK, Verdict: evidence.VerdictClean, Engines: 70,
		}},
		VTState: ok,
	}
}

// deployed adds a deploy by somebody, minutes before the event.
func deployed(e *evidence.Evidence, by string, minutes int) *evidence.Evidence {
	e.Logs.Entries = append([]evidence.LogEntry{{
		Kind: evidence.LogAudit, Time: event().Add(-time.Duration(minutes) * time.Minute),
		Audit: &evidence.Audit{Method: "google.cloud.run.v2.Services.UpdateService", Principal: by},
	}}, e.Logs.Entries...)
	return e
}

// silent is evidence in which no source answered.
func silent(state evidence.State) *evidence.Evidence {
	st := evidence.Status{State: state}
	return &evidence.Evidence{FindingsState: st, ConfigState: st, LogsState: st, VTState: st}
}

// input puts a finding into an incident with the others.
func input(f *finding.Finding, e *evidence.Evidence, others ...*finding.Finding) Input {
	in := Input{Finding: f, Evidence: e}
	if f != nil {
		in.Incident.Members = append(in.Incident.Members, incident.Member{Finding: f, Seed: true, Strength: incident.SameContainer})
		in.Incident.Start, in.Incident.End = f.EventTime, f.EventTime
	}
	for _, o := range others {
		in.Incident.ID = "inc-0123456789ab"
		in.Incident.Members = append(in.Incident.Members, incident.Member{Finding: o, Strength: incident.SameContainer})
	}
	return in
}

// known gives the other members of the input a standing: each with the evidence.
func known(p *Policy, in Input, e *evidence.Evidence) Input {
	in.Standings = map[string]Standing{}
	for _, m := range in.Incident.Members {
		if !m.Seed {
			in.Standings[m.Finding.StableName()] = p.Own(Input{Finding: m.Finding, Evidence: e})
		}
	}
	return in
}

// other is another finding on the same container.
func other(category string) *finding.Finding {
	f := childShell("java", "sh")
	f.Category = category
	f.CanonicalName += "-" + category
	f.EventTime = event().Add(time.Minute)
	return f
}

// ids are the rules that fired.
func ids(a Assessment) []string {
	var out []string
	for _, r := range a.Reasons {
		out = append(out, r.ID)
	}
	return out
}

// explain shows an assessment for a test's failure message.
func explain(a Assessment) string {
	c := conclusion{reasons: a.Reasons, score: a.Score}
	return string(a.Verdict) + " " + a.Priority + " " + string(a.NextAction) + ", " + c.describe() + "; unchecked: " + strings.Join(a.Unchecked, " | ")
}
