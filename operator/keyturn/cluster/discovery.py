"""Whether the API server knows a kind, and how it addresses it."""

from __future__ import annotations

import asyncio

from keyturn.cluster.errors import Forbidden, NotFound
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ONEPASSWORD_ITEMS, Resource


async def crd_served(cluster: Cluster, resource: Resource = ONEPASSWORD_ITEMS) -> bool:
    """Whether objects of this kind can be read and written now.

    Every authenticated client may ask this (`system:discovery`), so it needs no right on CustomResourceDefinitions. A CRD that was
    just made is served a moment after it says so itself.

    Raises:
        ClusterError: The question could not be answered.
    """
    found = await find_resource(cluster, group=resource.group, version=resource.version, kind=resource.kind)
    return found is not None and found.plural == resource.plural


async def is_pruned(
    cluster: Cluster, member: str, *, resource: Resource = ONEPASSWORD_ITEMS, patience: float = 10.0
) -> bool:
    """Whether a member that is written to the status of these objects vanishes, because the CRD does not know it.

    Asked of the published schema, which every authenticated client may read, and which follows a new CRD some seconds later.
    Where it cannot be read, nothing is known to be pruned.

    Args:
        cluster: whom to ask.
        member: of the status.
        resource: the kind.
        patience: seconds for which to ask again before it is believed.

    Raises:
        ClusterError: The question could not be answered.
    """
    deadline = asyncio.get_running_loop().time() + patience
    while await _published_without(cluster, member, resource):
        if asyncio.get_running_loop().time() > deadline:
            return True
        await asyncio.sleep(0.5)
    return False


async def _published_without(cluster: Cluster, member: str, resource: Resource) -> bool:
    try:
        published = await cluster.get_path(f"/openapi/v3/apis/{resource.api_version}")
    except (Forbidden, NotFound):
        return False
    schemas = (published.get("components") or {}).get("schemas") or {}
    kinds = [schema for name, schema in schemas.items() if name.endswith(f".{resource.kind}")]
    statuses = [((kind.get("properties") or {}).get("status") or {}).get("properties") or {} for kind in kinds]
    return bool(statuses) and not any(member in status for status in statuses)


async def find_resource(cluster: Cluster, *, group: str, version: str, kind: str) -> Resource | None:
    """How the API server addresses a kind whose plural nobody has told us; None if it does not serve it now.

    Raises:
        ClusterError: The question could not be answered.
    """
    try:
        served = await cluster.get_path(f"/apis/{group}/{version}")
    except NotFound:
        return None
    for found in served.get("resources") or ():
        # Subresources are listed beside the kinds: `rollouts/status`.
        if found.get("kind") == kind and "/" not in found["name"]:
            return Resource(group, version, found["name"], kind, namespaced=bool(found.get("namespaced")))
    return None
