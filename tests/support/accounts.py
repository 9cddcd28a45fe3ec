"""Service accounts: a kubeconfig that acts as one, and an audit policy that tells what it asked for."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from localcluster import LocalCluster
from localcluster.kubectl import Kubectl

Right = tuple[str, str, str]
"""An API group, a resource, and a verb."""


def kubeconfig_of_account(kubectl: Kubectl, name: str, *, namespace: str, folder: Path) -> Path:
    """A kubeconfig for the same cluster that holds nothing but the account's token."""
    view = ("config", "view", "--minify", "--flatten", "--raw", "--output=json")
    content = json.loads(kubectl(*view).stdout)
    token = kubectl("create", "token", name, f"--namespace={namespace}").stdout.strip()
    # The administrator's certificate would win over the token.
    content["users"][0]["user"] = {"token": token}
    path = folder / f"{name}.kubeconfig"
    path.write_text(json.dumps(content))
    return path


def audit_of_account(name: str, *, namespace: str, folder: Path) -> Path:
    """An audit policy with which the log tells of every request of the account, and of no other."""
    user = f"system:serviceaccount:{namespace}:{name}"
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [user]}, {"level": "None"}],
    }
    path = folder / "audit.json"
    path.write_text(json.dumps(policy))
    return path


def rights_of(manifests: Iterable[Mapping[str, Any]], *, component: str = "operator") -> set[Right]:
    """Each right that the roles of a component give."""
    rules = [
        rule
        for role in manifests
        if role["kind"] in {"ClusterRole", "Role"}
        and role["metadata"]["labels"]["app.kubernetes.io/component"] == component
        for rule in role["rules"]
    ]
    return {right for rule in rules for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])}


def audited_requests(local: LocalCluster) -> Iterator[tuple[str, str, str, int]]:
    """Each request that the API server's audit log has so far: the right that it took, and its status."""
    assert local.audit_log is not None
    for line in local.audit_log.read_text().splitlines():
        event = json.loads(line)
        target = event.get("objectRef") or {}
        resource = "/".join(filter(None, (target.get("resource", ""), target.get("subresource", ""))))
        status = (event.get("responseStatus") or {}).get("code", 0)
        yield target.get("apiGroup", ""), resource, event["verb"], status
