"""A real API server takes everything that the chart renders."""

import json

import pytest

from support.chart_values import COMBINATIONS, OFFICIAL
from support.helm import of_kind

pytestmark = pytest.mark.cluster

# Kinds of the Prometheus operator and of cert-manager, which this API server does not know; test_chart_judged.py has their types check them.
FOREIGN = {"Certificate", "PodMonitor", "PrometheusRule", "ServiceMonitor"}


@pytest.mark.parametrize("name", [*COMBINATIONS, "official"])
def test_the_api_server_takes_every_manifest(helm, api_server, namespace, name):
    """Misspelt fields, wrong types and impossible rules are found by the API server itself, which validates fields strictly."""
    values = {"official": OFFICIAL, **COMBINATIONS}[name]
    # Objects in namespaces that are not there could not be tried.
    watched = {"watchNamespace": [namespace]} if values.get("operator", {}).get("watchNamespace") else {}
    credentials = {"credentials": {namespace: ["connect-token"]}} if "broker" in values else {}
    tried = {
        **values,
        "operator": {**values.get("operator", {}), **watched},
        "connections": {**values.get("connections", {}), **credentials},
    }
    rendered = helm.render(tried, namespace=namespace)
    manifests = [manifest for manifest in rendered if manifest["kind"] not in FOREIGN]
    assert len(manifests) > 3

    taken = api_server.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}),
    )

    assert "Warning" not in taken.stderr
    assert len(taken.stdout.splitlines()) == len(manifests)


@pytest.mark.parametrize("name", ["default", "trial", "everything", "official"])
def test_pods_fit_the_restricted_profile(helm, api_server, cluster, namespace, name):
    """Clusters that enforce the strictest of Kubernetes' pod security standards take the pods as they are."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    api_server.kubectl("label", "namespace", namespace, label)
    manifests = helm.render({"official": OFFICIAL, **COMBINATIONS}[name], namespace=namespace)
    deployed = [deployment["spec"]["template"]["spec"] for deployment in of_kind(manifests, "Deployment")]
    (tested,) = (pod["spec"] for pod in of_kind(manifests, "Pod"))
    for spec in (*deployed, tested):
        # Accounts and pull secrets need not be there for this.
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "tried", "namespace": namespace},
            "spec": {**spec, "serviceAccountName": "default"},
        }

        api_server.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod))
