"""A backup and a restore as Velero makes them: owners, uids and statuses are lost, and Secrets come back before objects."""

import asyncio
from collections.abc import Iterable

from keyturn.cluster.calls import JsonObject
from keyturn.cluster.resources import DEPLOYMENTS, ONEPASSWORD_ITEMS, SECRETS, Resource
from support.admin_cluster import AdminCluster

# The order of Velero's restore: Secrets come early, and kinds that it has no place for come last, by their name.
ORDER = (SECRETS, DEPLOYMENTS, ONEPASSWORD_ITEMS)
Backup = dict[Resource, list[JsonObject]]

# All that its restore leaves of an object's metadata.
_KEPT = ("name", "namespace", "labels", "annotations")
_AT_ONCE = 10


async def back_up(cluster: AdminCluster, namespace: str, *, kinds: Iterable[Resource] = ORDER) -> Backup:
    """Everything of these kinds in a namespace."""
    return {kind: await cluster.list(kind, namespace) for kind in kinds}


async def restore(cluster: AdminCluster, backup: Backup) -> None:
    """Create what is in a backup, kind after kind."""
    for kind in ORDER:
        slots = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(_restore(cluster, kind, each, slots) for each in backup.get(kind, ())))


async def _restore(cluster: AdminCluster, kind: Resource, saved: JsonObject, slots: asyncio.Semaphore) -> None:
    metadata = {member: value for member, value in saved["metadata"].items() if member in _KEPT}
    marks = {"velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"}
    metadata["labels"] = {**metadata.get("labels", {}), **marks}
    rest = {member: value for member, value in saved.items() if member not in {"metadata", "status"}}
    namespace, name = metadata["namespace"], metadata["name"]
    async with slots:
        await cluster.create(kind, namespace, name, {**rest, "metadata": metadata}, field_manager="velero-server")
