"""The witness: follows Secrets and workloads past the operators' proxy, and writes their history."""

import asyncio
from typing import Any

from keyturn.cluster.errors import ClusterError, Gone
from keyturn.cluster.resources import SECRETS, WORKLOADS, Resource
from support.admin_cluster import AdminCluster
from support.soak.history import History, SecretState, WorkloadState


class Witness:
    """Sees every state, unless the API server is killed between a write and its delivery; then the next list shows what came of it.

    Attributes:
        secrets: their history.
        workloads: theirs, by kind.

    Args:
        cluster: the API server itself.
        namespace: the only one that is followed.
    """

    def __init__(self, cluster: AdminCluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.secrets = History(SecretState.of)
        self.workloads = {resource: History(WorkloadState.of) for resource in WORKLOADS}

    async def run(self) -> None:
        """Follow all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(SECRETS, self.secrets))
            for resource, history in self.workloads.items():
                group.create_task(self._follow(resource, history))

    async def _follow(self, resource: Resource, history: History[Any]) -> None:
        version = ""
        while True:
            try:
                version = version or await self._list(resource, history)
                version = await self._watch(resource, history, version)
            except Gone:
                version = ""
            except ClusterError:
                await asyncio.sleep(0.02)

    async def _list(self, resource: Resource, history: History[Any]) -> str:
        page = await self._cluster.page(resource, self._namespace, {})
        for manifest in page["items"] or ():
            history.note(manifest)
        for name in history.present() - {each["metadata"]["name"] for each in page["items"] or ()}:
            history.note_gone(name)
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, resource: Resource, history: History[Any], version: str) -> str:
        watch = self._cluster.watch(
            resource, self._namespace, resource_version=version, accept="application/json", timeout_seconds=3600
        )
        async with watch as events:
            async for event in events:
                if event.type == "DELETED":
                    history.note_gone(event.object["metadata"]["name"])
                elif event.type != "BOOKMARK":
                    history.note(event.object)
                version = event.resource_version or version
        return version
