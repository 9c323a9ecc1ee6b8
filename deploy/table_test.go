package deploy_test

import (
	"encoding/json"
	"maps"
)

// tableColumns are those that Pub/Sub writes with write_metadata and without a
// schema of its own, and types it takes for them
// (cloud.google.com/pubsub/docs/create-bigquery-subscription, "Write metadata").
func tableColumns() map[string]string {
	return map[string]string{"subscription_name": "STRING", "message_id": "STRING", "publish_time": "TIMESTAMP", "data": "JSON", "attributes": "JSON"}
}

// checkTable checks that the record table takes what Pub/Sub writes.
func checkTable(w *world) []string {
	var f faults
	s, ok := w.scopes(&f)["organization"]
	if !ok {
		return f
	}
	for _, r := range w.m.of("google_bigquery_table") {
		text, err := s.text(r.body, "schema", nil)
		f.must(err, r.String())
		var columns []struct{ Name, Type, Mode string }
		if !f.must(json.Unmarshal([]byte(text), &columns), r.String()) {
			continue
		}
		got := map[string]string{}
		for _, c := range columns {
			got[c.Name] = c.Type
			if c.Mode != "NULLABLE" {
				f.add("%s: column %s is %s", r, c.Name, c.Mode)
			}
		}
		if !maps.Equal(got, tableColumns()) {
			f.add("%s: columns are %v, want %v", r, got, tableColumns())
		}
		for _, p := range blocks(r.body, "time_partitioning") {
			if by, err := s.text(p, "field", nil); !f.must(err, r.String()) || got[by] != "TIMESTAMP" {
				f.add("%s is partitioned by %s, which is no time", r, by)
			}
		}
	}
	for _, r := range w.m.of("google_pubsub_subscription") {
		for _, b := range blocks(r.body, "bigquery_config") {
			metadata, err := s.text(b, "write_metadata", nil)
			f.must(err, r.String())
			if metadata != "true" || b.Attributes["use_table_schema"] != nil || b.Attributes["use_topic_schema"] != nil {
				f.add("%s does not write the columns of the table", r)
			}
			topic := refers(r.body, "topic")
			env, err := s.environment("service_environment")
			if f.must(err, r.String()) && env["RECORD_TOPIC"] != topic+".id" {
				f.add("%s reads %s, records go to %s", r, topic, env["RECORD_TOPIC"])
			}
		}
	}
	return f
}
