// Renders our Helm chart and loads our compose file with the libraries that helm and docker compose are made of, for
// tests on machines that have neither.
//
//	charts helm CHART RELEASE NAMESPACE VALUES.json   one JSON object on standard output: file name to rendered text
//	charts compose FILE                               the project as compose understands it, as JSON
//
// What is wrong goes to standard error, and the exit code is 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func main() {
	var answer any
	var err error
	switch {
	case len(os.Args) == 6 && os.Args[1] == "helm":
		answer, err = render(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case len(os.Args) == 3 && os.Args[1] == "compose":
		answer, err = load(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: charts helm CHART RELEASE NAMESPACE VALUES.json | charts compose FILE")
		os.Exit(2)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// render does what `helm lint --strict` and `helm template` do: schema of the values, then every template.
func render(path, release, namespace, file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	given, err := chartutil.ReadValues(text)
	if err != nil {
		return nil, err
	}
	var wrong []string
	for _, message := range lint.AllWithKubeVersion(path, given, namespace, nil).Messages {
		if message.Severity >= support.WarningSev {
			wrong = append(wrong, message.Error())
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	loaded, err := loader.Load(path)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(loaded, given, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(loaded, values)
}

// load reads the compose file with the process's environment, interpolates, merges and validates it.
func load(file string) (any, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithDotEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}
