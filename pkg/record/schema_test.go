package record

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scc-enricher/scc-enricher/pkg/assess"
	"github.com/scc-enricher/scc-enricher/pkg/evidence"
)

var update = flag.Bool("update", false, "write docs/record.schema.json")

const schemaFile = "../../docs/record.schema.json"

// TestSchemaIsCurrent holds docs/record.schema.json to the types: names, what
// is required, and the sentences of the documentation. -update rewrites it.
func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	want := schema(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/record.schema.json is not that of the types (-want +got); run go test ./pkg/record -update:\n%s", diff)
	}
}

// TestRecordsMatchSchema checks records of all shapes, and that the schema
// refuses what it should.
func TestRecordsMatchSchema(t *testing.T) {
	t.Parallel()
	compiled, err := jsonschema.NewCompiler().Compile(filepath.FromSlash(schemaFile))
	if err != nil {
		t.Fatal(err)
	}
	r := newRedactor(t)
	check := func(data []byte) error {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(doc)
	}
	for name, in := range inputs() {
		data, err := json.Marshal(New(in, r))
		if err != nil {
			t.Fatal(err)
		}
		if err := check(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	full, err := json.Marshal(New(fullInput(), r))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"an unknown field":   {`"schema_version":1`, `"schema_version":1,"extra":true`},
		"another version":    {`"schema_version":1`, `"schema_version":2`},
		"an unknown verdict": {`"verdict":"malicious","score"`, `"verdict":"evil","score"`},
		"a score above 100":  {`"score":95`, `"score":101`},
		"automation":         {`"automatic":false`, `"automatic":true`},
		"an unknown state":   {`"name":"virustotal","state":"quota"`, `"name":"virustotal","state":"great"`},
		"no time":            {`"time":"2026-11-22T10:00:10Z",`, ``},
	} {
		changed := bytes.Replace(full, []byte(edit[0]), []byte(edit[1]), 1)
		if bytes.Equal(changed, full) {
			t.Errorf("%s: nothing to change in the record", name)
			continue
		}
		if check(changed) == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
	}
}

// closed are the fields with a closed set of values.
func closed() map[string][]string {
	states := []string{}
	for _, s := range []evidence.State{evidence.OK, evidence.Empty, evidence.Partial, evidence.Quota, evidence.Denied, evidence.Timeout, evidence.Error, evidence.Disabled, evidence.NotApplicable} {
		states = append(states, string(s))
	}
	return map[string][]string{
		"Record.status":       {Complete, Partial},
		"Source.name":         {SourceFindings, SourceLogs, SourceConfig, SourceVirusTotal},
		"Source.state":        states,
		"Reputation.state":    states,
		"Reputation.verdict":  {"malicious", "suspicious", "clean", "not_found"},
		"Assessment.verdict":  {string(assess.Malicious), string(assess.LikelyMalicious), string(assess.Suspicious), string(assess.LikelyBenign), string(assess.Unknown)},
		"Assessment.priority": {"p1", "p2", "p3", "p4"},
		"Behavior.class":      {"benign", "neutral", "suspicious", "malicious"},
		"Workload.kind":       {"service", "job", "worker_pool"},
		"Member.strength":     {"container", "revision", "workload"},
		"Deploy.source":       {SourceLogs, SourceConfig},
		"LogEntry.kind":       {"app", "request", "system", "audit"},
		"Assessment.exposure": {string(assess.Public), string(assess.Authenticated), string(assess.Internal), string(assess.ExposureNotApplicable), string(assess.ExposureUnknown)},
		"Assessment.next_action": {
			string(assess.ContainNow), string(assess.Investigate), string(assess.VerifyWithOwner), string(assess.CloseAsExpected), string(assess.WaitForEvidence),
		},
	}
}

// schema derives the JSON Schema from the types and their comments.
func schema(t *testing.T) []byte {
	t.Helper()
	docs := comments(t)
	defs := map[string]any{}
	root := object(reflect.TypeFor[Record](), docs, defs)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "https://github.com/scc-enricher/scc-enricher/docs/record.schema.json"
	root["title"] = "scc-enricher record"
	root["$defs"] = defs
	props := root["properties"].(map[string]any)
	props["schema_version"].(map[string]any)["const"] = SchemaVersion
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func object(typ reflect.Type, docs map[string]string, defs map[string]any) map[string]any {
	props, required := map[string]any{}, []string{}
	sets := closed()
	for field := range typ.Fields() {
		name, opts, _ := strings.Cut(field.Tag.Get("json"), ",")
		s := typeSchema(field.Type, docs, defs)
		if doc := docs[typ.Name()+"."+field.Name]; doc != "" {
			s["description"] = doc
		}
		if set := sets[typ.Name()+"."+name]; set != nil {
			s["enum"] = set
		}
		switch typ.Name() + "." + name {
		case "Assessment.score", "Assessment.own_score":
			s["minimum"], s["maximum"] = 0, 100
		case "Step.automatic":
			s["const"] = false
		}
		props[name] = s
		if opts == "" {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "description": docs[typ.Name()], "properties": props, "required": required, "additionalProperties": false}
}

func typeSchema(typ reflect.Type, docs map[string]string, defs map[string]any) map[string]any {
	if typ == reflect.TypeFor[time.Time]() {
		return map[string]any{"type": "string", "format": "date-time"}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return typeSchema(typ.Elem(), docs, defs)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(typ.Elem(), docs, defs)}
	case reflect.Struct:
		if _, done := defs[typ.Name()]; !done {
			defs[typ.Name()] = nil
			defs[typ.Name()] = object(typ, docs, defs)
		}
		return map[string]any{"$ref": "#/$defs/" + typ.Name()}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	default:
		return map[string]any{"type": "integer"}
	}
}

// comments reads the comments of types ("T") and fields ("T.F").
func comments(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"record.go", "types.go", "types_evidence.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				ts := spec.(*ast.TypeSpec)
				out[ts.Name.Name] = oneLine(decl.Doc)
				st, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range st.Fields.List {
					for _, id := range field.Names {
						doc := oneLine(field.Doc)
						if doc == "" && ts.Name.Name != "Input" && ast.IsExported(id.Name) && ts.Name.IsExported() {
							t.Errorf("%s.%s has no comment", ts.Name.Name, id.Name)
						}
						out[ts.Name.Name+"."+id.Name] = strings.TrimPrefix(doc, id.Name+" ")
					}
				}
			}
			return true
		})
	}
	return out
}

func oneLine(doc *ast.CommentGroup) string {
	return strings.Join(strings.Fields(doc.Text()), " ")
}
