"""Whether the API server knows a kind, and how it addresses it."""

from __future__ import annotations

from keyturn.cluster.errors import NotFound
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ONEPASSWORD_ITEMS, Resource


async def crd_served(cluster: Cluster, resource: Resource = ONEPASSWORD_ITEMS) -> bool:
    """Whether objects of this kind can be read and written now.

    Every authenticated client may ask this (`system:discovery`), so it needs no right on CustomResourceDefinitions. A CRD that was
    just made is served a moment after it says so itself.

    Raises:
        ClusterError: The question could not be answered.
    """
    try:
        served = await cluster.get_path(f"/apis/{resource.api_version}")
    except NotFound:
        return False
    return any(kind.get("name") == resource.plural for kind in served.get("resources") or ())


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
