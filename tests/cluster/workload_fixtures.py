"""Annotated workloads for tests: what users deploy and annotate, and who owns the Secret that comes of it."""

from typing import Any

from operator_fixtures import VAULT

from keyturn.cluster.resources import DAEMONSETS, DEPLOYMENTS, STATEFULSETS
from keyturn.core import names
from support.operator import eventually

KINDS = {resource.kind: resource for resource in (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)}


def asking(title, secret=None):
    """Annotations that ask for an item of the vault."""
    annotations = {names.ITEM_PATH: f"vaults/{VAULT}/items/{title}"}
    return annotations | ({names.ITEM_NAME: secret} if secret is not None else {})


async def deploy(stage, name, annotations=None, *, kind="Deployment", template=None, uses=None, finalizers=()):
    """A workload with annotations at its top level and on its pod template, that may use a Secret."""
    container: dict[str, Any] = {"name": "main", "image": "nowhere.example/none"}
    if uses is not None:
        container["envFrom"] = [{"secretRef": {"name": uses}}]
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}, "annotations": dict(template or {})},
            "spec": {"containers": [container]},
        },
    }
    if kind != "DaemonSet":
        spec["replicas"] = 0
    if kind == "StatefulSet":
        spec["serviceName"] = name
    metadata = {"annotations": dict(annotations or {}), "finalizers": list(finalizers)}
    body = {"metadata": metadata, "spec": spec}
    await stage.cluster.create(KINDS[kind], stage.namespace, name, body, field_manager="kubectl")
    return await stage.cluster.get(KINDS[kind], stage.namespace, name)


async def annotate(stage, name, annotations):
    """What `kubectl annotate deployment` does."""
    patch = {"metadata": {"annotations": annotations}}
    await stage.cluster.merge_patch(DEPLOYMENTS, stage.namespace, name, patch, field_manager="kubectl-annotate")


def owners(secret):
    return [reference["name"] for reference in secret["metadata"].get("ownerReferences", [])]


async def owned_by(stage, name, *workloads):
    """Wait until exactly these own a Secret."""

    async def check():
        secret = await stage.secret(name)
        assert sorted(owners(secret)) == sorted(workloads)
        return secret

    return await eventually(check)
