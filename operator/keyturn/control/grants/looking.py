"""Looks at what an AccessGrant names now: which connection serves it, and which item each of its paths means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from keyturn.cluster import NAMESPACES, NotFound
from keyturn.control.connections.connection import Connections
from keyturn.control.connections.index import ItemIndex, ResolvedItem
from keyturn.control.context import Context
from keyturn.control.grants.served import ServedGrants
from keyturn.core.access_grant import AccessGrant
from keyturn.core.conditions import timestamp
from keyturn.core.grant_status import GrantReport, PathFinding, report_of
from keyturn.core.metadata import ObjectMeta
from keyturn.core.paths import ItemPath
from keyturn.core.reasons import Reason
from keyturn.core.resolve import Unresolved, VaultUnresolved
from keyturn.core.vault import AccessDenied, VaultError

PathMeanings: TypeAlias = tuple[tuple[str, bool] | None, ...]
"""What each path means by the listings alone: the path by ids and whether others fit, too; None if it means nothing."""


@dataclass(frozen=True, slots=True)
class GrantLook:
    """What a look at a grant showed.

    Attributes:
        report: what there is to say.
        connection: name of the one that serves it; empty if none does.
        by_labels: whether the labels of its namespace decided that.
        found: what its paths meant.
    """

    report: GrantReport
    connection: str = ""
    by_labels: bool = False
    found: PathMeanings = ()


class GrantLooks:
    """Asks the indexes, which ask a vault only for what they do not know.

    Args:
        context: of the process.
        served: which connection serves each grant.
        connections: where the items are.
    """

    def __init__(self, context: Context, *, served: ServedGrants, connections: Connections) -> None:
        self._cluster = context.cluster
        self._time = context.time
        self._served = served
        self._connections = connections

    async def look(self, grant: AccessGrant, *, since: float) -> GrantLook:
        """Look at what a grant names.

        Args:
            grant: not being deleted.
            since: monotonic time; only a listing made after it can show that something is missing.

        Raises:
            ClusterError: the labels of its namespace could not be read.
        """
        serving = self._served.resolve(grant.key)
        if grant.expires_at is not None and grant.is_expired(self._time.now()):
            ended = f"it ended at {timestamp(grant.expires_at)}; delete it, or set another spec.expiresAt"
            return GrantLook(GrantReport(Reason.EXPIRED, ended))
        if serving.by_labels:
            serving = self._served.labels_read(grant.key, await self._labels(grant.key.namespace))
        name, by_labels = serving.connection, serving.by_labels
        if not name:
            return GrantLook(GrantReport(Reason.CONNECTION_NOT_USABLE, serving.refusal, ()), by_labels=by_labels)
        findings = [await self._find(name, item.path, since=since) for item in grant.items]
        findings += [PathFinding("", reason=Reason.ITEM_NOT_FOUND, message=each) for each in grant.bad_paths]
        return GrantLook(report_of(findings), name, by_labels, self.cached(grant, name))

    def cached(self, grant: AccessGrant, connection: str) -> PathMeanings:
        """What the paths of a grant mean by the listings of a connection alone."""
        opened = self._connections.get(connection)
        return () if opened is None else tuple(_cached(opened.index, item.path) for item in grant.items)

    async def _labels(self, namespace: str) -> Mapping[str, str] | None:
        try:
            return ObjectMeta.of(await self._cluster.get_metadata(NAMESPACES, None, namespace)).labels
        except NotFound:
            return None

    async def _find(self, connection: str, path: ItemPath, *, since: float) -> PathFinding:
        try:
            return _finding(path, await self._connections.opened(connection).index.find(path, since=since))
        except VaultUnresolved as error:
            return PathFinding(str(path), reason=Reason.VAULT_NOT_ALLOWED, message=str(error))
        except Unresolved as error:
            return PathFinding(str(path), reason=Reason.ITEM_NOT_FOUND, message=str(error))
        except AccessDenied as error:
            return PathFinding(str(path), reason=Reason.VAULT_NOT_ALLOWED, message=str(error))
        except VaultError as error:
            return PathFinding(str(path), reason=Reason.VAULT_UNAVAILABLE, message=str(error))


def _finding(path: ItemPath, item: ResolvedItem) -> PathFinding:
    if not item.warnings:
        return PathFinding(str(path), str(item.path))
    # What the warnings say beside that holds for Secrets, where the oldest decides.
    what = " and ".join(each.partition(";")[0] for each in item.warnings)
    return PathFinding(str(path), reason=Reason.ITEM_AMBIGUOUS, message=f"{what}; name the one that is meant by its id")


def _cached(index: ItemIndex, path: ItemPath) -> tuple[str, bool] | None:
    try:
        item = index.cached(path)
    except Unresolved:
        return None
    return str(item.path), bool(item.warnings)
