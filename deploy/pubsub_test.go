package deploy_test

import (
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// refers names the resource an attribute of a body refers to, as "type.name".
func refers(b *hclsyntax.Body, name string) string {
	a, ok := b.Attributes[name]
	if !ok {
		return ""
	}
	for _, t := range a.Expr.Variables() {
		if p := path(t); len(p) > 1 && strings.HasPrefix(p[0], "google_") {
			return p[0] + "." + p[1]
		}
	}
	return ""
}

// granted reports whether Pub/Sub's agent has a role on what the attribute of
// a grant refers to.
func (w *world) granted(s *scope, kind, attribute, target, role string) bool {
	for _, r := range w.m.of(kind) {
		got, err := s.text(r.body, "role", nil)
		if err != nil || got != role || refers(r.body, attribute) != target {
			continue
		}
		if member, err := s.text(r.body, "member", nil); err == nil && who(member) == "Pub/Sub" {
			return true
		}
	}
	return false
}

func checkSubscriptions(w *world) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	read := map[string]bool{}
	for _, r := range w.m.of("google_pubsub_subscription") {
		read[refers(r.body, "topic")] = true
		expiry := blocks(r.body, "expiration_policy")
		if len(expiry) != 1 {
			f.add("%s expires after 31 quiet days", r)
			continue
		}
		if ttl, err := s.text(expiry[0], "ttl", nil); !f.must(err, r.String()) || ttl != "" || expiry[0].Attributes["ttl"] == nil {
			f.add("%s expires after %q, want never", r, ttl)
		}
		w.checkDelivery(&f, s, r)
	}
	for _, r := range w.m.of("google_pubsub_subscription") {
		for _, d := range blocks(r.body, "dead_letter_policy") {
			if topic := refers(d, "dead_letter_topic"); !read[topic] {
				f.add("%s: nothing keeps what is sent to %s", r, topic)
			}
		}
	}
	if len(read) < 4 {
		f.add("%d topics are subscribed to, want at least 4", len(read))
	}
	return f
}

// checkDelivery checks a subscription that delivers by itself.
func (w *world) checkDelivery(f *faults, s *scope, r *resource) {
	if len(blocks(r.body, "push_config"))+len(blocks(r.body, "bigquery_config")) == 0 {
		return
	}
	retry, dead := blocks(r.body, "retry_policy"), blocks(r.body, "dead_letter_policy")
	if len(retry) != 1 || len(dead) != 1 {
		f.add("%s needs a retry policy and a dead-letter policy", r)
		return
	}
	for _, name := range []string{"minimum_backoff", "maximum_backoff"} {
		text, err := s.text(retry[0], name, nil)
		f.must(err, r.String())
		if d, err := time.ParseDuration(text); err != nil || d <= 0 || d > 600*time.Second {
			f.add("%s: %s is %q, want up to 600s", r, name, text)
		}
	}
	if topic := refers(dead[0], "dead_letter_topic"); !w.granted(s, "google_pubsub_topic_iam_member", "topic", topic, "roles/pubsub.publisher") {
		f.add("%s: Pub/Sub may not publish to %s", r, topic)
	}
	if !w.granted(s, "google_pubsub_subscription_iam_member", "subscription", r.String(), "roles/pubsub.subscriber") {
		f.add("%s: Pub/Sub may not acknowledge what it forwards", r)
	}
}

// checkPush checks that the subscription, Cloud Run and the service agree on
// who calls, and with what audience.
func checkPush(w *world) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	env, err := s.environment("service_environment")
	if !f.must(err, "environment") {
		return f
	}
	n := 0
	for _, r := range w.m.of("google_pubsub_subscription") {
		for _, push := range blocks(r.body, "push_config") {
			n++
			endpoint, err := s.text(push, "push_endpoint", nil)
			f.must(err, r.String())
			if endpoint != env["PUSH_AUDIENCE"]+"/push" {
				f.add("%s pushes to %q", r, endpoint)
			}
			tokens := blocks(push, "oidc_token")
			if len(tokens) != 1 {
				f.add("%s pushes without a token", r)
				continue
			}
			audience, err := s.text(tokens[0], "audience", nil)
			f.must(err, r.String())
			account, err := s.text(tokens[0], "service_account_email", nil)
			f.must(err, r.String())
			if audience != env["PUSH_AUDIENCE"] || account != env["PUSH_SERVICE_ACCOUNT"] {
				f.add("%s calls as %q for %q, the service expects %q for %q", r, account, audience, env["PUSH_SERVICE_ACCOUNT"], env["PUSH_AUDIENCE"])
			}
		}
	}
	if n != 1 {
		f.add("%d subscriptions push, want 1", n)
	}
	if env["TASKS_URL"] != env["PUSH_AUDIENCE"]+"/tasks/followup" || env["TASKS_SERVICE_ACCOUNT"] != env["PUSH_SERVICE_ACCOUNT"] {
		f.add("tasks go to %q as %q", env["TASKS_URL"], env["TASKS_SERVICE_ACCOUNT"])
	}
	for _, r := range w.m.of("google_cloud_run_v2_service") {
		a, ok := r.body.Attributes["custom_audiences"]
		if !ok || w.m.source(a) != "[local.service_url]" {
			f.add("%s does not accept the audience", r)
		}
	}
	return f
}
