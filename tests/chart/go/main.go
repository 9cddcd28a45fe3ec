// Judge answers questions of the chart's tests with other projects' own code. It takes one question per line, as JSON, and answers each
// with a line: what the verdict is, or why there is none.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	helmrelease "github.com/fluxcd/helm-controller/api/v2"
	kustomization "github.com/fluxcd/kustomize-controller/api/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"keyturn.dev/answering"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/yaml"
)

// question names a judge and what it is asked about.
type question struct {
	Judge   string          `json:"judge"`
	Subject json.RawMessage `json:"subject"`
}

var judges = map[string]func(json.RawMessage) (any, error){
	"kstatus": kstatus,
	"strict":  strict,
	"kind":    kindConfig,
}

func main() {
	answering.All(ask)
}

func ask(asked question) (any, error) {
	judge, known := judges[asked.Judge]
	if !known {
		return nil, fmt.Errorf("no judge is called %q", asked.Judge)
	}
	return judge(asked.Subject)
}

// kstatus says how far an object is, as Helm's --wait and Flux's health checks see it.
func kstatus(subject json.RawMessage) (any, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(subject); err != nil {
		return nil, err
	}
	result, err := status.Compute(object)
	if err != nil {
		return nil, err
	}
	return map[string]string{"status": result.Status.String(), "message": result.Message}, nil
}

// strict reads an object with the types of the project that it belongs to, which know every field there is.
func strict(subject json.RawMessage) (any, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(subject); err != nil {
		return nil, err
	}
	targets := map[string]any{
		"cert-manager.io/v1 Certificate":               &certmanager.Certificate{},
		"monitoring.coreos.com/v1 ServiceMonitor":      &monitoring.ServiceMonitor{},
		"monitoring.coreos.com/v1 PodMonitor":          &monitoring.PodMonitor{},
		"monitoring.coreos.com/v1 PrometheusRule":      &monitoring.PrometheusRule{},
		"kustomize.toolkit.fluxcd.io/v1 Kustomization": &kustomization.Kustomization{},
		"helm.toolkit.fluxcd.io/v2 HelmRelease":        &helmrelease.HelmRelease{},
	}
	kind := object.GetAPIVersion() + " " + object.GetKind()
	target, known := targets[kind]
	if !known {
		return nil, fmt.Errorf("%s has no types here", kind)
	}
	return kind, yaml.UnmarshalStrict(subject, target)
}

// kindConfig has kind read a configuration file. Its loader is reachable only on the way to a cluster: a second option, which is read
// after the file, ends that way before anything is made.
func kindConfig(subject json.RawMessage) (any, error) {
	var path string
	if err := json.Unmarshal(subject, &path); err != nil {
		return nil, err
	}
	const end = "end"
	provider := kind.NewProvider(kind.ProviderWithDocker())
	err := provider.Create("", kind.CreateWithConfigFile(path), kind.CreateWithRawConfig([]byte("apiVersion: "+end)))
	if err == nil {
		return nil, errors.New("kind went on")
	}
	if strings.HasSuffix(err.Error(), "unknown apiVersion: "+end) {
		return "read", nil
	}
	return nil, err
}
