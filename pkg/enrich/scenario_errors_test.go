package enrich_test

import (
	"strings"
	"testing"
)

// TestScenarioErrors: a scenario that is wrong, or does not come true, says where.
func TestScenarioErrors(t *testing.T) {
	t.Parallel()
	const head = "A rule.\n-- findings.yaml --\nf1: {event: 0s, child: [sh, -c, id]}\nf2: {event: 1m, child: [sh, -c, id]}\n"
	tests := []struct{ name, text, want string }{
		{"no comment", "-- findings.yaml --\nf1: {event: 0s}\n", "x.txtar:1: no comment"},
		{"no findings", "A rule.\n-- script --\n", "x.txtar:1: no findings"},
		{"unknown section", head + "-- script.txt --\n", "x.txtar:6: unknown section"},
		{"unknown field", "A rule.\n\n-- findings.yaml --\nf0: {event: 0s}\nf1: {evnt: 0s}\n", `x.txtar:5: f1: x.txtar:4: findings.yaml: json: unknown field "evnt"`},
		{"not YAML", "A rule.\n-- findings.yaml --\nf1: {event: [0s\n", "x.txtar:3: yaml"},
		{"unknown world", head + "-- world.yaml --\nlog: []\n", `x.txtar:6: world.yaml: json: unknown field "log"`},
		{"no notification", "A rule.\n-- f1.json --\n{}\n", "x.txtar:3: parse finding"},
		{"quotation", head + "-- script --\ndeliver f1\nexpect f1 \"verdict\n", "x.txtar:7: a quotation mark is missing"},
		{"unknown verb", head + "-- script --\nat 1s delivr f1\n", `x.txtar:6: at 1s delivr f1: unknown verb "delivr"`},
		{"unknown finding", head + "-- script --\ndeliver f9\n", `x.txtar:6: deliver f9: no finding "f9"; there are f1, f2`},
		{"back in time", head + "-- script --\nat 2s deliver f1\nat 1s deliver f2\n", "x.txtar:7: at 1s deliver f2: it is 2s already"},
		{"unknown mark", head + "-- script --\ndeliver f1\nexpect f1 verdit=malicious\n", `x.txtar:7: expect f1 verdit=malicious: there is no mark "verdit"`},
		{"wrong verdict", head + "-- script --\ndeliver f1\nexpect f1 verdict=malicious\n", `f1: verdict is "suspicious", want =malicious`},
		{"wrong count", head + "-- script --\ndeliver f1\nexpect writes f1 = 2\n", "x.txtar:7: expect writes f1 = 2: writes f1: 1, want = 2"},
		{"no agreement", head + "-- script --\ndeliver f1 f2\nexpect f1 f2 agree\n", "x.txtar:7: expect f1 f2 agree: incident of f1"},
		{"together", head + "-- script --\ndeliver f1 f2\nrest\nexpect f1 f2 apart\n", "x.txtar:8: expect f1 f2 apart: f1 and f2 are both of incident inc-"},
		{"changed", head + "-- script --\ndeliver f1\nremember\ndeliver f2\nrest\nexpect f1 as remembered\n", "x.txtar:10: expect f1 as remembered: f1: sources was"},
		{"golden", head + "-- script --\ndeliver f1\ngolden f1\n-- marks of f1 --\nschema: 2\n", "x.txtar:9: marks of f1 differ"},
		{"no golden", head + "-- script --\ndeliver f1\ngolden f1\n", `no section "marks of f1": run with -update`},
		{"decision", head + "-- script --\ndeliver f1\nexpect f1 was echo\n", "the last delivery of f1 was written, want echo"},
	}
	parts := makeParts(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := parseScenario("x.txtar", []byte(tt.text))
			var got []string
			if err != nil {
				got = []string{err.Error()}
			} else {
				got = playInBubble(t, s, parts, false)
			}
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want one failure with %q", got, tt.want)
			}
		})
	}
}
