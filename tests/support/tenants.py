"""People of one namespace of a real API server, as service accounts with rights of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from localcluster.kubectl import Kubectl
from support.accounts import kubeconfig_of_account
from support.operator import eventually

WRITES = ["create", "get", "list", "update", "patch"]


class Tenant:
    """Somebody who may write objects of one kind in one namespace, and has what was granted beyond that.

    Args:
        kubectl: as administrator.
        namespace: theirs.
        folder: for a kubeconfig.
        writes: plural of the kind; empty for none.
    """

    def __init__(self, kubectl: Kubectl, *, namespace: str, folder: Path, writes: str = "keyturnsecrets") -> None:
        self._admin = kubectl
        self.namespace = namespace
        kubectl("create", "serviceaccount", "tenant", f"--namespace={namespace}")
        if writes:
            self._grant(namespace, writes, WRITES)
        self._kubeconfig = kubeconfig_of_account(kubectl, "tenant", namespace=namespace, folder=folder)

    def may_use(self, namespace: str, *connections: str) -> None:
        """Grant the right to use Connections of a namespace, all of them if none is named."""
        self._grant(namespace, "connections", ["use"], *connections)

    def bind(self, cluster_role: str) -> None:
        """Bind a ClusterRole to them in their namespace."""
        account = f"--serviceaccount={self.namespace}:tenant"
        self._admin(
            "create", "rolebinding", cluster_role, f"--clusterrole={cluster_role}", account, f"-n{self.namespace}"
        )

    def _grant(self, namespace: str, resource: str, verbs: list[str], *objects: str) -> None:
        rule = {"apiGroups": ["keyturn.dev"], "resources": [resource], "verbs": verbs}
        rules = [{**rule, "resourceNames": list(objects)} if objects else rule]
        name = f"{resource}-of-{self.namespace}"
        group = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": "tenant", "namespace": self.namespace}
        binding = {"roleRef": {"apiGroup": group, "kind": "Role", "name": name}, "subjects": [subject]}
        for kind, content in (("Role", {"rules": rules}), ("RoleBinding", binding)):
            head = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
            self._admin("apply", "-f", "-", input=json.dumps({**head, **content}))

    def kubectl(self, *arguments: str, **options: Any) -> CompletedProcess[str]:
        """Run kubectl as this account."""
        return self._admin(*arguments, f"--namespace={self.namespace}", kubeconfig=self._kubeconfig, **options)

    def create(self, manifest: Mapping[str, Any]) -> str:
        """What the API server says to a new object; empty if it would take it."""
        text = json.dumps(manifest)
        return self.kubectl("create", "--dry-run=server", "-f", "-", input=text, check=False).stderr

    async def eventually_may(self, manifest: Mapping[str, Any]) -> None:
        """Wait until the API server knows of the rights that were just granted."""

        async def taken() -> None:
            assert await asyncio.to_thread(self.create, manifest) == ""

        await eventually(taken)
