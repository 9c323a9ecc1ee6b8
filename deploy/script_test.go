package deploy_test

import (
	"strings"
	"testing"
)

// TestScriptAgrees checks that the gcloud script makes what the module makes
// where a difference would not be seen at once: names, deadlines, filter.
func TestScriptAgrees(t *testing.T) {
	t.Parallel()
	w := readWorld(t, nil)
	for _, fault := range compareScript(w, read(t, "gcloud/install.sh")) {
		t.Error(fault)
	}
}

func compareScript(w *world, script string) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	want := func(text, what string) {
		if !strings.Contains(script, text) {
			f.add("the script has no %s: %s", what, text)
		}
	}
	for _, kind := range []string{"google_pubsub_topic", "google_pubsub_subscription", "google_cloud_tasks_queue", "google_cloud_run_v2_job", "google_cloud_scheduler_job"} {
		for _, name := range w.names(&f, s, kind) {
			want("$name"+strings.TrimPrefix(name, "scc-enricher"), kind)
		}
	}
	filter, err := s.local("finding_filter")
	if f.must(err, "filter") {
		want("'"+filter.AsString()+"'", "filter")
	}
	for _, r := range w.m.of("google_cloud_run_v2_service") {
		for _, b := range blocks(r.body, "template") {
			text, err := s.text(b, "timeout", nil)
			f.must(err, r.String())
			want(" --timeout="+text+" ", "request timeout")
			text, err = s.text(b, "max_instance_request_concurrency", nil)
			f.must(err, r.String())
			want(" --concurrency="+text+" ", "concurrency")
		}
	}
	for _, r := range w.m.of("google_pubsub_subscription") {
		for _, name := range []string{"ack_deadline_seconds", "max_delivery_attempts"} {
			for _, b := range append(blocks(r.body, "dead_letter_policy"), r.body) {
				text, err := s.text(b, name, nil)
				if f.must(err, r.String()) && text != "" {
					want(map[string]string{"ack_deadline_seconds": "--ack-deadline=", "max_delivery_attempts": "--max-delivery-attempts="}[name]+text, name)
				}
			}
		}
	}
	return f
}

func TestScriptCanDisagree(t *testing.T) {
	t.Parallel()
	w, script := readWorld(t, nil), read(t, "gcloud/install.sh")
	before := len(compareScript(w, script))
	for _, text := range []string{"$name-push", "$name-backfill", "--ack-deadline=60", "--concurrency=20", "NOT mute", "--max-delivery-attempts=100"} {
		if got := compareScript(w, strings.ReplaceAll(script, text, "")); len(got) <= before {
			t.Errorf("a script without %s agrees", text)
		}
	}
}
