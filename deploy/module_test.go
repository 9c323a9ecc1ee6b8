// Package deploy_test checks that what is deployed is what the documentation
// promises: the Terraform module is parsed and evaluated without Terraform, and
// each check is itself checked against mutations of the module.
package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

const moduleDir = "terraform"

// module is a parsed Terraform module.
type module struct {
	sources   map[string]string
	resources []*resource
	variables map[string]*hclsyntax.Block
	outputs   map[string]*hclsyntax.Block
	locals    map[string]hclsyntax.Expression
	// attributes are those the module reads of each resource, by "type.name".
	attributes map[string]map[string]bool
}

type resource struct {
	kind, name, file string
	data             bool
	body             *hclsyntax.Body
}

func (r *resource) String() string { return r.kind + "." + r.name }

// readSources reads the HCL files of one folder.
func readSources(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no HCL in %s (%v)", dir, err)
	}
	out := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(text)
	}
	return out
}

func loadModule(t *testing.T) *module {
	t.Helper()
	m, err := parseModule(readSources(t, moduleDir))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func parseModule(sources map[string]string) (*module, error) {
	m := &module{
		sources: sources, variables: map[string]*hclsyntax.Block{}, outputs: map[string]*hclsyntax.Block{},
		locals: map[string]hclsyntax.Expression{}, attributes: map[string]map[string]bool{},
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		f, diags := hclsyntax.ParseConfig([]byte(sources[name]), name, hcl.InitialPos)
		if diags.HasErrors() {
			return nil, diags
		}
		body, ok := f.Body.(*hclsyntax.Body)
		if !ok {
			return nil, fmt.Errorf("%s is not native syntax", name)
		}
		for _, b := range body.Blocks {
			m.add(name, b)
		}
		m.readAttributes(body)
	}
	return m, nil
}

func (m *module) add(file string, b *hclsyntax.Block) {
	switch b.Type {
	case "resource", "data":
		m.resources = append(m.resources, &resource{kind: b.Labels[0], name: b.Labels[1], file: file, data: b.Type == "data", body: b.Body})
	case "variable":
		m.variables[b.Labels[0]] = b
	case "output":
		m.outputs[b.Labels[0]] = b
	case "locals":
		for name, a := range b.Body.Attributes {
			m.locals[name] = a.Expr
		}
	}
}

// readAttributes notes which attributes of which resources the module reads,
// so that evaluation can put a text of its own in the place of each.
func (m *module) readAttributes(body *hclsyntax.Body) {
	walkExpressions(body, func(e hclsyntax.Expression) {
		for _, t := range e.Variables() {
			parts := path(t)
			if len(parts) > 0 && parts[0] == "data" {
				continue
			}
			if len(parts) >= 3 && strings.HasPrefix(parts[0], "google_") {
				key := parts[0] + "." + parts[1]
				if m.attributes[key] == nil {
					m.attributes[key] = map[string]bool{}
				}
				m.attributes[key][parts[2]] = true
			}
		}
	})
}

// path gives the names of a traversal, without its indexes.
func path(t hcl.Traversal) []string {
	var out []string
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			out = append(out, s.Name)
		case hcl.TraverseAttr:
			out = append(out, s.Name)
		}
	}
	return out
}

// walkExpressions calls f with the expression of every attribute of a body,
// however deep.
func walkExpressions(body *hclsyntax.Body, f func(hclsyntax.Expression)) {
	for _, a := range body.Attributes {
		f(a.Expr)
	}
	for _, b := range body.Blocks {
		walkExpressions(b.Body, f)
	}
}

func (m *module) of(kind string) []*resource {
	var out []*resource
	for _, r := range m.resources {
		if r.kind == kind && !r.data {
			out = append(out, r)
		}
	}
	return out
}

// inputs are values of variables; the others have their default.
type inputs map[string]cty.Value

// organization is the smallest input for an organisation.
func organization() inputs {
	return inputs{
		"project_id": cty.StringVal("sec-enricher"), "region": cty.StringVal("europe-west1"),
		"image":      cty.StringVal("europe-docker.pkg.dev/sec-enricher/images/scc-enricher@sha256:" + strings.Repeat("0", 64)),
		"scc_parent": cty.StringVal("organizations/123"),
	}
}

// everything switches on what is off by default, for a folder.
func everything() inputs {
	in := organization()
	maps.Copy(in, inputs{
		"scc_parent": cty.StringVal("folders/42"), "scc_location": cty.StringVal("eu"), "virustotal_secret_version": cty.StringVal("1"),
		"workload_projects": cty.ListVal([]cty.Value{cty.StringVal("shop-prod")}),
		"log_views":         cty.ListVal([]cty.Value{cty.StringVal("projects/sec-logs/locations/eu/buckets/all/views/run")}),
	})
	return in
}

// scope evaluates expressions of a module for some inputs.
type scope struct {
	m     *module
	vars  map[string]cty.Value
	cache map[string]cty.Value
	busy  map[string]bool
}

func (m *module) scope(in inputs) (*scope, error) {
	s := &scope{m: m, vars: map[string]cty.Value{}, cache: map[string]cty.Value{}, busy: map[string]bool{}}
	for name, b := range m.variables {
		v, err := variable(b, in[name])
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		s.vars[name] = v
	}
	return s, nil
}

// variable gives a variable's value: the input, or its default.
func variable(b *hclsyntax.Block, v cty.Value) (cty.Value, error) {
	typ, ok := b.Body.Attributes["type"]
	if !ok {
		return cty.NilVal, fmt.Errorf("no type")
	}
	want, defaults, diags := typeexpr.TypeConstraintWithDefaults(typ.Expr)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	if v == cty.NilVal {
		d, ok := b.Body.Attributes["default"]
		if !ok {
			return cty.UnknownVal(want.WithoutOptionalAttributesDeep()), nil
		}
		if v, diags = d.Expr.Value(nil); diags.HasErrors() {
			return cty.NilVal, diags
		}
	}
	if defaults != nil {
		v = defaults.Apply(v)
	}
	return convert.Convert(v, want)
}

// eval gives the value of an expression; extra are names such as each.
func (s *scope) eval(e hclsyntax.Expression, extra map[string]cty.Value) (cty.Value, error) {
	ctx := &hcl.EvalContext{Functions: functions(), Variables: map[string]cty.Value{"var": cty.ObjectVal(s.vars)}}
	locals := map[string]cty.Value{}
	for _, t := range e.Variables() {
		parts := path(t)
		switch {
		case parts[0] == "local" && len(parts) > 1:
			v, err := s.local(parts[1])
			if err != nil {
				return cty.NilVal, err
			}
			locals[parts[1]] = v
		case parts[0] == "data":
			ctx.Variables["data"] = cty.ObjectVal(map[string]cty.Value{"google_project": cty.ObjectVal(map[string]cty.Value{
				"this": cty.ObjectVal(map[string]cty.Value{"number": cty.StringVal("123456789012")}),
			})})
		case strings.HasPrefix(parts[0], "google_"):
			ctx.Variables[parts[0]] = s.m.symbols(parts[0])
		}
	}
	ctx.Variables["local"] = cty.ObjectVal(locals)
	maps.Copy(ctx.Variables, extra)
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return v, nil
}

func (s *scope) local(name string) (cty.Value, error) {
	if v, ok := s.cache[name]; ok {
		return v, nil
	}
	e, ok := s.m.locals[name]
	if !ok || s.busy[name] {
		return cty.NilVal, fmt.Errorf("local.%s is not there, or needs itself", name)
	}
	s.busy[name] = true
	v, err := s.eval(e, nil)
	if err != nil {
		return cty.NilVal, fmt.Errorf("local.%s: %w", name, err)
	}
	s.cache[name] = v
	return v, nil
}

// symbols gives the resources of a kind; each attribute is its own address.
func (m *module) symbols(kind string) cty.Value {
	all := map[string]cty.Value{}
	for _, r := range m.of(kind) {
		attrs := map[string]cty.Value{}
		for a := range m.attributes[r.String()] {
			attrs[a] = cty.StringVal(r.String() + "." + a)
		}
		v := cty.ObjectVal(attrs)
		if _, ok := r.body.Attributes["count"]; ok {
			v = cty.TupleVal([]cty.Value{v})
		}
		all[r.name] = v
	}
	return cty.ObjectVal(all)
}

// instances gives the values of each for every instance of a resource: one
// empty map for a resource without for_each, none for a count of zero.
func (s *scope) instances(r *resource) ([]map[string]cty.Value, error) {
	if a, ok := r.body.Attributes["count"]; ok {
		n, err := s.eval(a.Expr, nil)
		if err != nil {
			return nil, err
		}
		if n.RawEquals(cty.NumberIntVal(0)) {
			return nil, nil
		}
	}
	a, ok := r.body.Attributes["for_each"]
	if !ok {
		return []map[string]cty.Value{nil}, nil
	}
	all, err := s.eval(a.Expr, nil)
	if err != nil {
		return nil, err
	}
	var out []map[string]cty.Value
	for it := all.ElementIterator(); it.Next(); {
		k, v := it.Element()
		if all.Type().IsSetType() {
			k = v
		}
		out = append(out, map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": k, "value": v})})
	}
	return out, nil
}

// text gives an attribute of a body as a string; empty if it is not there.
func (s *scope) text(b *hclsyntax.Body, name string, extra map[string]cty.Value) (string, error) {
	a, ok := b.Attributes[name]
	if !ok {
		return "", nil
	}
	v, err := s.eval(a.Expr, extra)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if v.IsNull() || !v.IsKnown() {
		return "", fmt.Errorf("%s has no value", name)
	}
	if v, err = convert.Convert(v, cty.String); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return v.AsString(), nil
}

// blocks gives the nested blocks of a type.
func blocks(b *hclsyntax.Body, kind string) []*hclsyntax.Body {
	var out []*hclsyntax.Body
	for _, n := range b.Blocks {
		if n.Type == kind {
			out = append(out, n.Body)
		}
	}
	return out
}

// functions are those of Terraform's that the module uses.
func functions() map[string]function.Function {
	toString := stdlib.MakeToFunc(cty.String)
	return map[string]function.Function{
		"can": tryfunc.CanFunc, "coalesce": stdlib.CoalesceFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"floor": stdlib.FloorFunc, "join": stdlib.JoinFunc, "jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc,
		"length": stdlib.LengthFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc, "regex": stdlib.RegexFunc, "replace": stdlib.ReplaceFunc,
		"setproduct": stdlib.SetProductFunc, "split": stdlib.SplitFunc, "tostring": toString,
		"toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	}
}
