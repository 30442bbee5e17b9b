package main

import (
	"encoding/json"
	"io"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
)

// property is what the bridge makes of one Terraform attribute or block.
type property struct {
	// Type is string, boolean, integer, number, any, array, map or object.
	Type string `json:"type"`
	// Input tells whether a program may set it; the others are computed by the cloud.
	Input bool `json:"input"`
	// Items is the type of the elements of an array or map.
	Items *property `json:"items,omitempty"`
	// Fields are the properties of an object.
	Fields map[string]*property `json:"fields,omitempty"`
}

// printProperties writes what the plugin answers for: the Terraform names it knows, and the
// properties of every token and of the provider's configuration, by their Pulumi names.
func printProperties(info tfbridge.ProviderInfo, out io.Writer) error {
	resources := map[string]map[string]*property{}
	for name, resource := range info.Resources {
		resources[resource.Tok.String()] = propertiesOf(info.P.ResourcesMap().Get(name).Schema(), resource.Fields)
	}
	functions := map[string]map[string]*property{}
	for name, function := range info.DataSources {
		functions[function.Tok.String()] = propertiesOf(info.P.DataSourcesMap().Get(name).Schema(), function.Fields)
	}
	return json.NewEncoder(out).Encode(map[string]any{
		"version": info.Version,
		"terraform": map[string]any{
			"resources":   namesOf(openstackProvider().ResourcesMap()),
			"dataSources": namesOf(openstackProvider().DataSourcesMap()),
		},
		"configuration": propertiesOf(info.P.Schema(), info.Config),
		"resources":     resources,
		"functions":     functions,
	})
}

func namesOf(resources shim.ResourceMap) []string {
	names := []string{}
	resources.Range(func(name string, _ shim.Resource) bool {
		names = append(names, name)
		return true
	})
	return names
}

func propertiesOf(schemas shim.SchemaMap, infos map[string]*tfbridge.SchemaInfo) map[string]*property {
	properties := map[string]*property{}
	schemas.Range(func(name string, schema shim.Schema) bool {
		if schema.Removed() == "" {
			properties[tfbridge.TerraformToPulumiNameV2(name, schemas, infos)] = propertyOf(schema, infos[name])
		}
		return true
	})
	return properties
}

func propertyOf(schema shim.Schema, info *tfbridge.SchemaInfo) *property {
	input := schema.Required() || schema.Optional()
	switch schema.Type() {
	case shim.TypeBool:
		return &property{Type: "boolean", Input: input}
	case shim.TypeInt:
		return &property{Type: "integer", Input: input}
	case shim.TypeFloat:
		return &property{Type: "number", Input: input}
	case shim.TypeString:
		return &property{Type: "string", Input: input}
	case shim.TypeMap:
		return &property{Type: "map", Input: input, Items: itemsOf(schema, info)}
	case shim.TypeList, shim.TypeSet:
		items := itemsOf(schema, info)
		if tfbridge.IsMaxItemsOne(schema, info) {
			return &property{Type: items.Type, Input: input, Items: items.Items, Fields: items.Fields}
		}
		return &property{Type: "array", Input: input, Items: items}
	default:
		return &property{Type: "any", Input: input}
	}
}

func itemsOf(schema shim.Schema, info *tfbridge.SchemaInfo) *property {
	var inner *tfbridge.SchemaInfo
	if info != nil {
		inner = info.Elem
	}
	switch element := schema.Elem().(type) {
	case shim.Schema:
		return propertyOf(element, inner)
	case shim.Resource:
		var fields map[string]*tfbridge.SchemaInfo
		if inner != nil {
			fields = inner.Fields
		}
		return &property{Type: "object", Fields: propertiesOf(element.Schema(), fields)}
	default:
		return &property{Type: "any"}
	}
}
