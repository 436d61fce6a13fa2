// Checks a Pulumi package's schema and writes its SDKs, with the engine's own code.
//
//	sdkgen check SCHEMA.json
//	sdkgen python|nodejs|go SCHEMA.json FOLDER
//
// What the schema says is held against Pulumi's metaschema, then bound, which finds what refers to nothing. Any remark
// is an error: exit status 1, a line for each on standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/blang/semver"
	gogen "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const tool = "make sdk"

type generator func(*schema.Package) (map[string][]byte, error)

var generators = map[string]generator{
	"python": func(p *schema.Package) (map[string][]byte, error) {
		return python.GeneratePackage(tool, p, nil, alone{})
	},
	"nodejs": func(p *schema.Package) (map[string][]byte, error) {
		return nodejs.GeneratePackage(tool, p, nil, nil, true, alone{})
	},
	"go": func(p *schema.Package) (map[string][]byte, error) { return gogen.GeneratePackage(tool, p, nil) },
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "check" {
		_, err := bound(arguments[1])
		return err
	}
	if len(arguments) != 3 || generators[arguments[0]] == nil {
		return errors.New("usage: sdkgen check SCHEMA.json | sdkgen python|nodejs|go SCHEMA.json FOLDER")
	}
	pkg, err := bound(arguments[1])
	if err != nil {
		return err
	}
	files, err := generators[arguments[0]](pkg)
	if err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
	}
	return write(files, arguments[2])
}

// bound is the schema of a file as the engine reads it.
func bound(path string) (*schema.Package, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	spec, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pkg, remarks, err := schema.BindSpec(spec, alone{}, schema.ValidationOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(remarks) > 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(remarks.Errs()...))
	}
	return pkg, nil
}

// read holds the text itself against the metaschema: BindSpec only sees what PackageSpec has a field for.
func read(text []byte) (spec schema.PackageSpec, err error) {
	var raw any
	if err = json.Unmarshal(text, &raw); err != nil {
		return spec, err
	}
	if err = schema.MetaSchema.Validate(raw); err != nil {
		return spec, fmt.Errorf("%#v", err)
	}
	return spec, json.Unmarshal(text, &spec)
}

// alone is the loader of a package that refers to no other.
type alone struct{}

func (alone) LoadPackage(name string, _ *semver.Version) (*schema.Package, error) {
	return nil, fmt.Errorf("refers to the package %s; sdkgen loads none", name)
}

func (a alone) LoadPackageV2(_ context.Context, of *schema.PackageDescriptor) (*schema.Package, error) {
	return a.LoadPackage(of.Name, nil)
}

func (a alone) LoadPackageReference(name string, _ *semver.Version) (schema.PackageReference, error) {
	_, err := a.LoadPackage(name, nil)
	return nil, err
}

func (a alone) LoadPackageReferenceV2(_ context.Context, of *schema.PackageDescriptor) (schema.PackageReference, error) {
	return a.LoadPackageReference(of.Name, nil)
}

func write(files map[string][]byte, folder string) error {
	for name, content := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
