// Command testprovider is a Terraform provider that has the schema of
// hashicorp/google and the one check of its own that made-up values fail:
// terraform validate, and terraform test with a mocked provider, ask a provider
// for its schema and whether a configuration is valid, and for nothing else. The
// schema is read from schema.json beside the program.
//
// It is a module of its own, so that its dependencies are not the project's.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// address is where Terraform believes the provider to be from.
const address = "registry.terraform.io/hashicorp/google"

type attribute struct {
	Type                         json.RawMessage
	Required, Optional, Computed bool
}

type nested struct {
	Block    block
	Nesting  string `json:"nesting_mode"`
	MinItems int64  `json:"min_items"`
	MaxItems int64  `json:"max_items"`
}

type block struct {
	Attributes map[string]attribute
	BlockTypes map[string]nested `json:"block_types"`
}

type file struct {
	Resources   map[string]block
	DataSources map[string]block `json:"data_sources"`
}

// provider answers what validation asks; every other method of the embedded
// nil interface panics, and is never called.
type provider struct {
	tfprotov6.ProviderServer
	schema *tfprotov6.GetProviderSchemaResponse
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "testprovider: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), "schema.json"))
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("decode the schema: %w", err)
	}
	p := &provider{schema: &tfprotov6.GetProviderSchemaResponse{Provider: &tfprotov6.Schema{Block: settings()}}}
	if p.schema.ResourceSchemas, err = schemas(f.Resources); err != nil {
		return err
	}
	if p.schema.DataSourceSchemas, err = schemas(f.DataSources); err != nil {
		return err
	}
	return tf6server.Serve(address, func() tfprotov6.ProviderServer { return p })
}

// settings are the arguments of the provider block that the examples use.
func settings() *tfprotov6.SchemaBlock {
	return &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
		{Name: "project", Type: tftypes.String, Optional: true},
		{Name: "region", Type: tftypes.String, Optional: true},
		{Name: "billing_project", Type: tftypes.String, Optional: true},
		{Name: "user_project_override", Type: tftypes.Bool, Optional: true},
	}}
}

func schemas(all map[string]block) (map[string]*tfprotov6.Schema, error) {
	out := map[string]*tfprotov6.Schema{}
	for name, b := range all {
		s, err := b.schema()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = &tfprotov6.Schema{Block: s}
	}
	return out, nil
}

func (b block) schema() (*tfprotov6.SchemaBlock, error) {
	out := &tfprotov6.SchemaBlock{}
	for name, a := range b.Attributes {
		kind, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck // the only reader of this notation
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{Name: name, Type: kind, Required: a.Required, Optional: a.Optional, Computed: a.Computed})
	}
	for name, n := range b.BlockTypes {
		inner, err := n.Block.schema()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		mode := tfprotov6.SchemaNestedBlockNestingModeList
		switch n.Nesting {
		case "set":
			mode = tfprotov6.SchemaNestedBlockNestingModeSet
		case "single":
			mode = tfprotov6.SchemaNestedBlockNestingModeSingle
		case "map":
			mode = tfprotov6.SchemaNestedBlockNestingModeMap
		}
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{TypeName: name, Block: inner, Nesting: mode, MinItems: n.MinItems, MaxItems: n.MaxItems})
	}
	return out, nil
}

func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}, nil
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return p.schema, nil
}

func (p *provider) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) ValidateProviderConfig(_ context.Context, r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ValidateResourceConfig refuses a grant on what is no service account's name,
// as the real provider does: a mock that makes up a name without that form
// passes here only if it would pass there.
func (p *provider) ValidateResourceConfig(_ context.Context, r *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	out := &tfprotov6.ValidateResourceConfigResponse{}
	if r.TypeName != "google_service_account_iam_member" {
		return out, nil
	}
	v, err := r.Config.Unmarshal(p.schema.ResourceSchemas[r.TypeName].ValueType())
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", r.TypeName, err)
	}
	attrs := map[string]tftypes.Value{}
	if err := v.As(&attrs); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.TypeName, err)
	}
	const name = "service_account_id"
	if id := attrs[name]; id.IsKnown() && !id.IsNull() {
		var text string
		if err := id.As(&text); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if !regexp.MustCompile(`^projects/[^/]+/serviceAccounts/[^/@]+@[^/@]+\.gserviceaccount\.com$`).MatchString(text) {
			out.Diagnostics = append(out.Diagnostics, &tfprotov6.Diagnostic{
				Severity: tfprotov6.DiagnosticSeverityError, Summary: fmt.Sprintf("%s: %q is no service account's name", name, text),
				Attribute: tftypes.NewAttributePath().WithAttributeName(name),
			})
		}
	}
	return out, nil
}

func (p *provider) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}
