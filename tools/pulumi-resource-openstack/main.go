// The Pulumi resource plugin for OpenStack: the Terraform provider behind the Terraform bridge.
//
// It answers for the same type tokens and the same property names as the Python package
// pulumi-openstack of the same version. tokens.json, which says which token stands for which
// Terraform name, is generated from that package (see src/socle/tools/tokens.py).
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-provider-openstack/terraform-provider-openstack/v3/openstack"
)

const packageName = "openstack"

// Names that Pulumi makes up end within what the OpenStack APIs accept.
const (
	longestName   = 255
	nameSeparator = "-"
)

//go:embed tokens.json
var tokensJSON []byte

// tokenMap is the content of tokens.json: Terraform name to Pulumi token. The legacy tokens are
// older spellings of the same types; states written with them still resolve.
type tokenMap struct {
	Version         string            `json:"version"`
	Resources       map[string]string `json:"resources"`
	LegacyResources map[string]string `json:"legacyResources"`
	Functions       map[string]string `json:"functions"`
	LegacyFunctions map[string]string `json:"legacyFunctions"`
}

// fieldOverrides are the properties whose Pulumi name does not follow from the Terraform name.
var fieldOverrides = map[string]map[string]*tfbridge.SchemaInfo{
	"openstack_networking_subnet_v2": {
		"allocation_pool": {Name: "allocationPools"},
	},
	"openstack_orchestration_stack_v1": {
		"outputs": {Name: "StackOutputs"},
	},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-openstack:", err)
		os.Exit(1)
	}
}

func run() error {
	var known tokenMap
	if err := json.Unmarshal(tokensJSON, &known); err != nil {
		return fmt.Errorf("tokens.json: %w", err)
	}
	info := providerInfo(known)
	if len(os.Args) == 2 && os.Args[1] == "--properties" {
		return printProperties(info, os.Stdout)
	}
	schema, err := json.Marshal(map[string]string{"name": packageName, "version": known.Version})
	if err != nil {
		return err
	}
	tfbridge.Main(packageName, known.Version, info, schema)
	return nil
}

func providerInfo(known tokenMap) tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:            openstackProvider(),
		Name:         packageName,
		Version:      known.Version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Resources:    map[string]*tfbridge.ResourceInfo{},
		DataSources:  map[string]*tfbridge.DataSourceInfo{},
	}
	for name, token := range known.Resources {
		info.Resources[name] = &tfbridge.ResourceInfo{Tok: tokens.Type(token), Fields: fieldOverrides[name]}
	}
	for name, token := range known.Functions {
		info.DataSources[name] = &tfbridge.DataSourceInfo{Tok: tokens.ModuleMember(token)}
	}
	addLegacyTokens(&info, known)
	info.SetAutonaming(longestName, nameSeparator)
	return info
}

func addLegacyTokens(info *tfbridge.ProviderInfo, known tokenMap) {
	for name, legacy := range known.LegacyResources {
		current := info.Resources[name]
		info.RenameResourceWithAlias(name, tokens.Type(legacy), current.Tok,
			moduleOf(tokens.Type(legacy).Module()), moduleOf(current.Tok.Module()), current)
	}
	for name, legacy := range known.LegacyFunctions {
		current := info.DataSources[name]
		info.RenameDataSource(name, tokens.ModuleMember(legacy), current.Tok,
			moduleOf(tokens.ModuleMember(legacy).Module()), moduleOf(current.Tok.Module()), current)
	}
}

// moduleOf gives "bgpvpn/v2" for "openstack:bgpvpn/v2".
func moduleOf(module tokens.Module) string { return module.Name().String() }

func openstackProvider() shim.Provider { return shimv2.NewProvider(openstack.Provider()) }
