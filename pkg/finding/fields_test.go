package finding

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// One sub-field of a wrong type is left out and named; the rest stays.
func TestMalformedFieldsDoNotLoseTheFinding(t *testing.T) {
	t.Parallel()
	tests := []struct{ field, json, malformed string }{
		{"category", `7`, "category"},
		{"severity", `{}`, "severity"},
		{"severity", `2.5`, "severity"},
		{"createTime", `"yesterday"`, "createTime"},
		{"processes", `"none"`, "processes"},
		{"processes", `[1]`, "processes"},
		{"processes", `[{"pid":"x"}]`, "processes.pid"},
		{"processes", `[{"pid":1.5}]`, "processes.pid"},
		{"processes", `[{"args":"a"}]`, "processes.args"},
		{"processes", `[{"args":[1]}]`, "processes.args"},
		{"processes", `[{"binary":[]}]`, "processes.binary"},
		{"processes", `[{"binary":{"size":[]}}]`, "file.size"},
		{"processes", `[{"userId":"root"}]`, "processes.userId"},
		{"containers", `{}`, "containers"},
		{"containers", `[{"name":{}}]`, "containers.name"},
		{"files", `[{"partiallyHashed":"maybe"}]`, "file.partiallyHashed"},
		{"indicator", `[]`, "indicator"},
		{"indicator", `{"ipAddresses":[{}]}`, "indicator.ipAddresses"},
		{"securityMarks", `"x"`, "securityMarks"},
		{"securityMarks", `{"marks":{"k":{}}}`, "securityMarks.marks"},
		{"mitreAttack", `{"primaryTechniques":[{}]}`, "mitreAttack.primaryTechniques"},
		{"connections", `[{"destinationPort":"http"}]`, "connections.destinationPort"},
		// Not used, or another way to say nothing.
		{"vulnerability", `"x"`, ""},
		{"complianceDetails", `[[[]]]`, ""},
		{"sourceProperties", `"x"`, ""},
		{"sourceProperties", `[1,{"key":2},{"value":3}]`, ""},
		{"kubernetes", `{}`, ""},
		{"indicator", `{}`, ""},
		{"securityMarks", `{"marks":[]}`, ""},
		{"processes", `[]`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.field+" "+tt.json, func(t *testing.T) {
			t.Parallel()
			f := mustParse(t, []byte(`{"finding":{`+okName+`,"description":"kept","`+tt.field+`":`+tt.json+`}}`))
			var want []string
			if tt.malformed != "" {
				want = []string{tt.malformed}
			}
			if diff := cmp.Diff(want, f.Malformed); diff != "" || f.Description != "kept" {
				t.Errorf("malformed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFieldForms(t *testing.T) {
	t.Parallel()
	parse := func(fields string) *Finding { return mustParse(t, []byte(`{`+okName+`,`+fields+`}`)) }
	if f := parse(`"category":"camel","external_uri":"snake","externalUri":"camel"`); f.ExternalURI != "camel" {
		t.Errorf("of both casings %q counts, want the camel one", f.ExternalURI)
	}
	if f := parse(`"external_uri":"snake","externalUri":null`); f.ExternalURI != "snake" {
		t.Errorf("a null hides the other casing: %q", f.ExternalURI)
	}
	if f := parse(`"category":"first","category":"last"`); f.Category != "last" {
		t.Errorf("of a repeated field %q counts, want the last", f.Category)
	}
	if f := parse(`"\u0063ategory":"escaped key"`); f.Category != "escaped key" {
		t.Errorf("category %q", f.Category)
	}
	if f := parse(`"external_uri":"first","external_uri":"last"`); f.ExternalURI != "last" {
		t.Errorf("of a repeated snake_case field %q counts, want the last", f.ExternalURI)
	}
	if f := mustParse(t, []byte(`{"findings":{`+okName+`},"sourceProperties":{"Pid":"7"}}`)); len(f.Processes) != 1 || f.Processes[0].PID != 7 {
		t.Errorf("source properties of a console export: %+v", f.Processes)
	}
	if f := parse(`"processes":[{"pid":9007199254740993.0,"name":"x"}]`); f.Processes[0].PID != 0 || len(f.Malformed) != 1 {
		t.Errorf("a number beyond exact floats reads as %d", f.Processes[0].PID)
	}
	if f := parse(`"mute":3`); f.Mute != "UNDEFINED" {
		t.Errorf("version 2's UNDEFINED reads as %q", f.Mute)
	}
	if f := parse(`"mute":4`); f.Mute != "UNDEFINED" {
		t.Errorf("version 1's UNDEFINED reads as %q", f.Mute)
	}
	if f := parse(`"mute":"1","severity":"SEVERITY_UNSPECIFIED","findingClass":"BRAND_NEW","state":77`); !f.Muted() || f.Severity != "" || f.Class != "BRAND_NEW" || f.State != "77" {
		t.Errorf("enums read as %q %q %q %q", f.Mute, f.Severity, f.Class, f.State)
	}
	if f := parse(`"eventTime":"1970-01-01T00:00:00Z","createTime":{}`); !f.EventTime.IsZero() || !f.CreateTime.IsZero() {
		t.Errorf("unset times read as %v, %v", f.EventTime, f.CreateTime)
	}
	if f := parse(`"eventTime":{"seconds":1,"nanos":7}`); f.EventTime.UnixNano() != 1e9+7 {
		t.Errorf("nanoseconds lost: %v", f.EventTime)
	}
	if f := parse(`"sourceProperties":{"Process_Arguments":"[\"a\",\"b c\"]","Pid":3}`); len(f.Processes) != 1 || !cmp.Equal(f.Processes[0].Args, []string{"a", "b c"}) {
		t.Errorf("processes %+v", f.Processes)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	rep := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	long := strings.Repeat("é", maxLongText) // two bytes each
	in := `{` + okName + `,
		"description":"` + long + `",
		"containers":[` + rep(`{"name":"c"}`, maxContainers+3) + `],
		"processes":[{"args":[` + rep(`"a"`, maxArgs+5) + `],"envVariables":[` + rep(`{"name":"E"}`, maxArgs+7) + `]},` + rep(`{"pid":1}`, maxProcesses) + `],
		"indicator":{"ipAddresses":[` + rep(`"192.0.2.1"`, maxIndicators+11) + `]}}`
	f := mustParse(t, []byte(in))
	if want := 1 + 3 + 5 + 7 + 1 + 11; f.Truncated != want {
		t.Errorf("Truncated %d, want %d", f.Truncated, want)
	}
	if len(f.Description) != maxLongText || len(f.Containers) != maxContainers || len(f.Processes) != maxProcesses ||
		len(f.Processes[0].Args) != maxArgs || len(f.Processes[0].EnvNames) != maxArgs || len(f.Indicator.IPs) != maxIndicators {
		t.Error("a bound does not hold")
	}
	if !f.Processes[0].ArgsTruncated || !f.Processes[0].EnvTruncated {
		t.Error("a process cut by our bounds does not say so")
	}
	deep := `{` + okName + `,"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`
	mustParse(t, []byte(deep))
	wide := `{` + strings.Repeat(`"k":1,`, maxFields-1) + okName + `,"z":1,"y":2}`
	if f := mustParse(t, []byte(wide)); f.Truncated != 2 {
		t.Errorf("Truncated %d for a wide object, want 2", f.Truncated)
	}
}

func BenchmarkParse(b *testing.B) {
	data := fixture(b, "v2_unexpected_child_shell.json")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
