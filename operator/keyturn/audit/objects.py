"""Lists the objects that say who could get at an item: those that name items, and those of RBAC. It reads no Secret's data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from keyturn.audit.usage import Mistake
from keyturn.cluster import (
    ACCESS_GRANTS,
    ALL_NAMESPACES,
    KEYTURN_SECRETS,
    ONEPASSWORD_ITEMS,
    SECRETS,
    Access,
    Cluster,
    ClusterError,
    Forbidden,
    NotFound,
    Resource,
    Unauthorized,
    Unavailable,
)
from keyturn.cluster.reading import METADATA_LIST
from keyturn.core.access_grant import read_access_grant
from keyturn.core.item_readers import ItemObjects
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import OURS
from keyturn.core.rbac import RoleBinding, read_rights
from keyturn.core.request import request_from_item

_RBAC: Final = "rbac.authorization.k8s.io"
ROLES = Resource(_RBAC, "v1", "roles", "Role", quotable=True)
ROLE_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding", quotable=True)
CLUSTER_ROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False, quotable=True)
CLUSTER_ROLE_BINDINGS = Resource(
    _RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False, quotable=True
)

_T = TypeVar("_T")


@dataclass(slots=True)
class FoundObjects:
    """What the cluster has.

    Attributes:
        items: the objects that name items.
        rights: of RBAC on Secrets.
        unknown: kinds of objects that could not be listed, each with the reason, so that the answer is not whole.
    """

    items: ItemObjects = field(default_factory=ItemObjects)
    rights: tuple[RoleBinding, ...] = ()
    unknown: list[str] = field(default_factory=list)


def find_objects(*, kubeconfig: str, namespaces: Sequence[str], with_rbac: bool = True) -> FoundObjects:
    """Ask the cluster.

    Args:
        kubeconfig: path; empty for the usual places.
        namespaces: the only ones; none for all.
        with_rbac: whether the objects of RBAC are needed.

    Raises:
        Mistake: the cluster cannot be asked.
    """
    try:
        return asyncio.run(_find(kubeconfig, namespaces, with_rbac=with_rbac))
    except ClusterError as error:
        raise Mistake(f"the cluster cannot be asked: {error}") from None


async def _find(kubeconfig: str, namespaces: Sequence[str], *, with_rbac: bool) -> FoundObjects:
    access = await Access.load(kubeconfig=kubeconfig or None)
    async with Cluster.at(access) as cluster:
        return await list_objects(cluster, namespaces, with_rbac=with_rbac)


async def list_objects(cluster: Cluster, namespaces: Sequence[str], *, with_rbac: bool) -> FoundObjects:
    """List what there is and may be listed.

    Args:
        cluster: whose objects.
        namespaces: the only ones; none for all.
        with_rbac: whether the objects of RBAC are needed.

    Raises:
        ClusterError: the API server cannot be reached, or does not know who asks.
    """
    listing = _Listing(cluster, namespaces or (ALL_NAMESPACES,))
    found = FoundObjects(unknown=listing.unknown)
    found.items = ItemObjects(
        grants=_read(read_access_grant, await listing.all(ACCESS_GRANTS)),
        requests=(
            *_read(request_from_item, await listing.all(ONEPASSWORD_ITEMS)),
            *_read(request_from_keyturn_secret, await listing.all(KEYTURN_SECRETS)),
        ),
        secrets=_read(ObjectMeta.of, await listing.all(SECRETS, label_selector=OURS, accept=METADATA_LIST)),
    )
    if with_rbac:
        found.rights = read_rights(
            roles=await listing.all(ROLES),
            cluster_roles=await listing.all(CLUSTER_ROLES),
            role_bindings=await listing.all(ROLE_BINDINGS),
            cluster_role_bindings=await listing.all(CLUSTER_ROLE_BINDINGS),
        )
    return found


class _Listing:
    """Lists kinds in the chosen namespaces, and remembers which could not be listed."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str]) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self.unknown: list[str] = []

    async def all(
        self, resource: Resource, *, label_selector: str = "", accept: str = "application/json"
    ) -> list[Mapping[str, Any]]:
        """All objects of a kind; none if it is not installed, or may not be listed."""
        found: list[Mapping[str, Any]] = []
        for namespace in self._namespaces if resource.namespaced else (ALL_NAMESPACES,):
            try:
                pages = self._cluster.pages(
                    resource, namespace, label_selector=label_selector, accept=accept, size=resource.page
                )
                async for page in pages:
                    found += page.get("items") or []
            except NotFound:
                return []
            except (Unauthorized, Unavailable):
                raise
            except ClusterError as error:
                where = f" in {namespace}" if namespace else ""
                why = "may not be listed" if isinstance(error, Forbidden) else f"cannot be listed: {error.message}"
                self.unknown.append(f"{resource.label}{where} {why}")
        return found


def _read(read: Callable[[Mapping[str, Any]], _T], objects: Iterable[Mapping[str, Any]]) -> tuple[_T, ...]:
    """Objects as values; one that cannot be read is nobody's."""
    found = []
    for each in objects:
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            found.append(read(each))
    return tuple(found)
