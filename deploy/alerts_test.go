package deploy_test

import (
	"regexp"
	"slices"
	"strings"
)

// alertKeys are the alerts that are documented.
func alertKeys() []string {
	return []string{"backlog_age", "budget_exhausted", "dead_letters", "error_ratio", "no_success", "partial_ratio"}
}

func checkAlerts(w *world) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	subscriptions, metrics := w.names(&f, s, "google_pubsub_subscription"), w.names(&f, s, "google_logging_metric")
	var keys []string
	for _, r := range w.m.of("google_monitoring_alert_policy") {
		all, err := s.instances(r)
		if !f.must(err, r.String()) {
			continue
		}
		for _, each := range all {
			key := each["each"].GetAttr("key").AsString()
			keys = append(keys, key)
			page := strings.ReplaceAll(key, "_", "-") + ".md"
			if !w.playbooks[page] {
				f.add("alert %s: there is no docs/playbooks/%s", key, page)
			}
			for _, d := range blocks(r.body, "documentation") {
				content, err := s.text(d, "content", each)
				f.must(err, key)
				if !strings.HasSuffix(content, "/docs/playbooks/"+page) {
					f.add("alert %s: its text is %q", key, content)
				}
			}
			for _, c := range blocks(r.body, "conditions") {
				for _, q := range blocks(c, "condition_prometheus_query_language") {
					query, err := s.text(q, "query", each)
					if f.must(err, key) {
						checkQuery(&f, key, query, subscriptions, metrics)
					}
				}
			}
		}
		if len(blocks(r.body, "documentation")) != 1 {
			f.add("%s has no documentation", r)
		}
	}
	slices.Sort(keys)
	if !slices.Equal(keys, alertKeys()) {
		f.add("alerts are %v, want %v", keys, alertKeys())
	}
	return f
}

// names gives the name of every instance of a kind.
func (w *world) names(f *faults, s *scope, kind string) []string {
	var out []string
	for _, r := range w.m.of(kind) {
		all, err := s.instances(r)
		f.must(err, r.String())
		for _, each := range all {
			name, err := s.text(r.body, "name", each)
			f.must(err, r.String())
			out = append(out, name)
		}
	}
	return out
}

var (
	subscriptionMatcher = regexp.MustCompile(`subscription_id(=~?)"([^"]+)"`)
	logMetric           = regexp.MustCompile(`logging_googleapis_com:user_([a-zA-Z0-9_]+)`)
)

// checkQuery checks that a PromQL query is balanced and that what it names is
// there.
func checkQuery(f *faults, key, query string, subscriptions, metrics []string) {
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
			f.add("alert %s: unbalanced %s in %s", key, pair, query)
		}
	}
	if strings.Contains(query, "{}") || strings.Contains(query, "{,") {
		f.add("alert %s: no service is named in %s", key, query)
	}
	named := 0
	for _, m := range subscriptionMatcher.FindAllStringSubmatch(query, -1) {
		named++
		want, err := regexp.Compile("^(?:" + m[2] + ")$")
		if !f.must(err, key) || !slices.ContainsFunc(subscriptions, want.MatchString) {
			f.add("alert %s: no subscription is called %s; there are %v", key, m[2], subscriptions)
		}
	}
	for _, m := range logMetric.FindAllStringSubmatch(query, -1) {
		named++
		if !slices.Contains(metrics, m[1]) {
			f.add("alert %s: no metric is called %s; there are %v", key, m[1], metrics)
		}
	}
	if named == 0 && !strings.Contains(query, `service_name="`) {
		f.add("alert %s watches nothing of ours: %s", key, query)
	}
}
