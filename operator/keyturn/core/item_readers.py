"""Who could get at an item: by grants through the broker, and by RBAC from the Secrets that hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from keyturn.core.access_grant import AccessGrant, GrantedItem
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import FURTHER_ITEMS, ITEM_PATH
from keyturn.core.paths import normalized
from keyturn.core.rbac import RbacSubject, RoleBinding, readers_of
from keyturn.core.request import Key, SecretRequest


class NamedItem(NamedTuple):
    """A path as an object writes it, and the path by ids that it was found as.

    Attributes:
        written: by titles or ids.
        by_ids: empty if it was not found yet.
    """

    written: str
    by_ids: str


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Somebody who could get at the item, and why.

    Attributes:
        who: as RBAC names subjects.
        actions: of a grant, or verbs on the Secret.
        fields: that the grant gives; empty for a Secret, which is read as a whole.
        through: the AccessGrant or the Secret.
        by: what gives that: for a Secret, the binding.
        limits: for how long and for whom alone, in words; empty if nothing limits it.
    """

    who: str
    actions: tuple[str, ...]
    fields: tuple[str, ...]
    through: str
    by: str
    limits: str = ""


@dataclass(frozen=True, slots=True)
class ItemObjects:
    """The objects that name items.

    Attributes:
        grants: AccessGrants.
        requests: OnePasswordItems and KeyturnSecrets.
        secrets: metadata of the Secrets that Keyturn manages; those of annotated workloads are known by these alone.
    """

    grants: tuple[AccessGrant, ...] = ()
    requests: tuple[SecretRequest, ...] = ()
    secrets: tuple[ObjectMeta, ...] = ()

    def ids_of(self, path: str) -> tuple[str, ...]:
        """The paths by ids of all items that some object knows by this path, sorted. A title may mean several.

        Args:
            path: `vaults/<vault>/items/<item>`, by titles or ids.
        """
        wanted = normalized(path)
        found = {named.by_ids for named in self._named() if wanted in {normalized(named.written), named.by_ids}}
        return tuple(sorted(found - {""}))

    def readers(self, path: str, rights: Iterable[RoleBinding], *, now: datetime) -> Iterator[ItemReader]:
        """Everybody who could get at an item, with each way in which he could.

        Args:
            path: `vaults/<vault>/items/<item>`, by titles or ids.
            rights: on Secrets.
            now: with its zone; grants that have ended by now give nothing.
        """
        wanted = self._wanted(path)
        for grant in sorted(self.grants, key=lambda each: each.key):
            if not grant.deleting and not grant.is_expired(now):
                yield from _by_grant(grant, wanted)
        for reader in readers_of(sorted(self.secrets_with(path)), rights):
            who, through = str(reader.subject), f"Secret {reader.secret}"
            yield ItemReader(who, reader.verbs, (), through, reader.by)

    def secrets_with(self, path: str) -> frozenset[Key]:
        """The Secrets that hold an item, or will once they are synced."""
        wanted = self._wanted(path)
        requested = {each.key for each in self.requests if wanted.is_any_of(_named_by(each))}
        held = {Key(*each.key) for each in self.secrets if wanted.is_any_of(_held_by(each))}
        return frozenset(requested | held)

    def _wanted(self, path: str) -> _Wanted:
        return _Wanted(frozenset({normalized(path), *self.ids_of(path)}))

    def _named(self) -> Iterator[NamedItem]:
        for grant in self.grants:
            for written, by_ids in grant.status.items:
                yield NamedItem(written, by_ids)
        for request in self.requests:
            yield from _named_by(request)
        for secret in self.secrets:
            yield from _held_by(secret)


class _Wanted(NamedTuple):
    """The item that is asked for: by its path as asked, and by all paths by ids that this may mean."""

    paths: frozenset[str]

    def is_any_of(self, named: Iterable[NamedItem]) -> bool:
        return any({normalized(each.written), each.by_ids} & self.paths for each in named)


def _by_grant(grant: AccessGrant, wanted: _Wanted) -> Iterator[ItemReader]:
    found = dict(grant.status.items)
    for item in grant.items:
        written = str(item.path)
        if item.allow and wanted.is_any_of([NamedItem(written, found.get(written, ""))]):
            for account in sorted(grant.service_accounts):
                who = str(RbacSubject("ServiceAccount", grant.key.namespace, account))
                yield _granted(who, grant, item)


def _granted(who: str, grant: AccessGrant, item: GrantedItem) -> ItemReader:
    until = f"until {grant.expires_at.isoformat().replace('+00:00', 'Z')}" if grant.expires_at else ""
    pod = "no pod" if grant.bound_pod_uid == "" else f"only the pod with uid {grant.bound_pod_uid}"
    bound = "" if grant.bound_pod_uid is None else pod
    actions = tuple(sorted(str(action) for action in item.allow))
    limits = ", ".join(filter(None, (until, bound)))
    return ItemReader(who, actions, item.fields, f"AccessGrant {grant.key}", "", limits)


def _named_by(request: SecretRequest) -> Iterator[NamedItem]:
    by_alias = {"": request.status.item_path} | {alias: path for alias, path, _ in request.status.items}
    for alias, written in request.paths:
        yield NamedItem(written or "", by_alias.get(alias, ""))


def _held_by(secret: ObjectMeta) -> Iterator[NamedItem]:
    """The items that a Secret records: the main one, and `alias=path@revision` of each further one."""
    main = secret.annotations.get(ITEM_PATH, "")
    yield NamedItem(main, main)
    for each in filter(None, secret.annotations.get(FURTHER_ITEMS, "").split(",")):
        path = each.partition("=")[2].rpartition("@")[0]
        yield NamedItem(path, path)
