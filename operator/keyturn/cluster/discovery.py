"""Discovery: whether the API server serves a kind, and how it addresses it."""

from __future__ import annotations

from keyturn.base.time import Time
from keyturn.cluster.errors import Forbidden, NotFound
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ONEPASSWORD_ITEMS, Resource


async def crd_served(cluster: Cluster, resource: Resource = ONEPASSWORD_ITEMS) -> bool:
    """Whether objects of this kind can be read and written now.

    Every authenticated client may send this request (`system:discovery`), so it needs no right on CustomResourceDefinitions. A new
    CRD is served a moment after its own status reports it.

    Raises:
        ClusterError: the request failed.
    """
    found = await find_resource(cluster, group=resource.group, version=resource.version, kind=resource.kind)
    return found is not None and found.plural == resource.plural


async def is_pruned(
    cluster: Cluster, member: str, *, time: Time, resource: Resource = ONEPASSWORD_ITEMS, confirm_seconds: float = 10.0
) -> bool:
    """Whether the API server prunes a member from the status of these objects, because the CRD does not define it.

    The published schema decides. Every authenticated client may read it, and it follows a new CRD some seconds later. If it
    cannot be read, nothing counts as pruned.

    Args:
        cluster: the API server.
        member: of the status.
        time: between two requests.
        resource: the kind.
        confirm_seconds: for how long the member must be missing.

    Raises:
        ClusterError: the request failed.
    """
    deadline = time.monotonic() + confirm_seconds
    while await _published_without(cluster, member, resource):
        if time.monotonic() > deadline:
            return True
        await time.sleep(0.5)
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
    """How the API server addresses a kind of unknown plural; None if it does not serve the kind now.

    Raises:
        ClusterError: the request failed.
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
