package emulator

import (
	"encoding/json"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestStories(t *testing.T) {
	t.Parallel()
	for _, name := range StoryNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := LoadStory(name, base())
			if err != nil {
				t.Fatal(err)
			}
			w := NewWorld(nil)
			if err := w.Install(s); err != nil {
				t.Fatal(err)
			}
			var published []Notification
			w.OnPublish(func(n Notification) { published = append(published, n) })
			if err := w.Play(t.Context(), s, 0); err != nil {
				t.Fatal(err)
			}
			if len(published) != len(s.Steps) || len(s.Expect) != len(s.Steps) || len(s.Steps) == 0 {
				t.Fatalf("%d notifications of %d steps with %d verdicts", len(published), len(s.Steps), len(s.Expect))
			}
			for i, n := range published {
				checkPublished(t, n, s.Steps[i])
			}
		})
	}
}

func checkPublished(t *testing.T, n Notification, step Step) {
	t.Helper()
	m := &securitycenterpb.NotificationMessage{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(n.Data, m); err != nil {
		t.Fatalf("notification of %s: %v", n.Finding, err)
	}
	f := m.GetFinding()
	if f.GetEventTime().AsTime().After(base()) || f.GetEventTime().AsTime().Before(base().Add(-time.Hour)) || f.GetEventTime().GetNanos()%1000 == 0 {
		t.Errorf("%s: event time %v is not within the hour before, to the nanosecond", f.GetCategory(), f.GetEventTime().AsTime())
	}
	if len(f.GetProcesses()) < 2 || m.GetResource().GetGcpMetadata().GetProjectDisplayName() == "" || f.GetName() == f.GetCanonicalName() {
		t.Errorf("%s: incomplete: %v", f.GetCategory(), f)
	}
	for _, p := range f.GetProcesses() {
		for _, a := range p.GetArgs() {
			var plain string
			if err := json.Unmarshal([]byte(a), &plain); err != nil || json.Valid([]byte(plain)) && plain[0] == '"' {
				t.Errorf("%s: argument %q is not encoded once", f.GetCategory(), a)
			}
		}
	}
	if strict := protojson.Unmarshal(n.Data, &securitycenterpb.NotificationMessage{}); (strict != nil) != (len(step.Extra) > 0) {
		t.Errorf("%s: strict decoding gives %v with %d extra fields", f.GetCategory(), strict, len(step.Extra))
	}
}

func TestWebshellWorld(t *testing.T) {
	t.Parallel()
	s, err := LoadStory("webshell", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	workloads := map[string]bool{}
	for _, step := range s.Steps {
		workloads[step.Finding.GetResourceName()] = true
	}
	if len(s.Steps) < 6 || len(workloads) != 3 {
		t.Errorf("%d findings on %d workloads, want at least 6 on 3", len(s.Steps), len(workloads))
	}
	if _, err := LoadStory("../stories/none", time.Now()); err == nil {
		t.Error("an unknown story loads")
	}
}
