"""The requests there are: objects and annotated workloads that ask for the same Secret, put together under its key."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from keyturn.base.time import Time
from keyturn.control.requests.requester import Requester
from keyturn.control.requests.served import ServedBy
from keyturn.control.sharing import Groups, Sharing
from keyturn.core.conditions import Status
from keyturn.core.connection import NAMESPACE_DEFAULT, ConnectionKey
from keyturn.core.content import MappingOptions
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import LEGACY_FINALIZER
from keyturn.core.paths import BadPath, ItemPath, parse_item_path
from keyturn.core.request import Key, SecretRequest
from keyturn.core.serving import KnownConnections
from keyturn.core.workloads import (
    AnnotatedWorkload,
    WorkloadKey,
    request_from_workloads,
    status_from_secret,
    with_co_owners,
)

_TOMBSTONE_TTL = 300.0
"""Seconds for which a removed object is remembered, since a listing begun before may still show it."""


class RequestRegistry:
    """Plain dicts, filled from watch events and from the sweep's listings.

    Args:
        requesters: the kinds, the one that decides first.
        mapping: how an item becomes keys if workloads ask.
        secrets: metadata of our own Secrets; what is known of a Secret for which no object has a status.
        time: for the age of changes and of tombstones.
    """

    def __init__(
        self,
        *,
        requesters: Sequence[Requester],
        mapping: MappingOptions,
        secrets: Mapping[tuple[str, str], ObjectMeta],
        time: Time,
    ) -> None:
        self._precedence = {requester.resource.kind: place for place, requester in enumerate(requesters)}
        self._mapping = mapping
        self._secrets = secrets
        self._served = ServedBy(secrets)
        self._time = time
        # By the Secret's key, and there by the uid of the object.
        self._objects: dict[Key, dict[str, SecretRequest]] = {}
        self._workloads: dict[Key, dict[WorkloadKey, AnnotatedWorkload]] = {}
        self._requests: dict[Key, SecretRequest] = {}
        self._changed_at: dict[Key, float] = {}
        # By the name of the connection and the path as written.
        self._by_path: Sharing[Key, tuple[str, str]] = Sharing()
        self._paths: dict[str, tuple[ItemPath, ...]] = {}
        # By the name of the connection that serves them, by the Connection that decides whether one does, and by namespace.
        self._by_connection: Groups[Key, str] = Groups()
        self._by_chosen: Groups[Key, ConnectionKey] = Groups()
        self._by_labels: Groups[Key, str] = Groups()
        self._tombstones: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[SecretRequest]:
        return iter(list(self._requests.values()))

    def get(self, key: Key) -> SecretRequest | None:
        """The request for a Secret, or None if nothing asks for it."""
        return self._requests.get(key)

    def latest(self, request: SecretRequest) -> SecretRequest | None:
        """The same request with its newest status, or None if it has changed since.

        A status speaks of the generation that was acted on, never of one that was read later.
        """
        latest = self._requests.get(request.key)
        return latest if latest == request else None

    def objects(self, kind: str) -> dict[str, Key]:
        """The objects of a kind: the key of its Secret by the uid of each."""
        return {
            uid: key
            for key, objects in self._objects.items()
            for uid, request in objects.items()
            if request.owners[0].kind == kind
        }

    def workloads(self, key: Key) -> Collection[AnnotatedWorkload]:
        """The annotated workloads that ask for a Secret."""
        return self._workloads.get(key, {}).values()

    def overruled(self, key: Key) -> list[SecretRequest]:
        """The objects that request a Secret and do not decide what it holds, since another object does; also those being deleted."""
        request = self._requests.get(key)
        objects = self._objects.get(key, {})
        if request is None or request.uid not in objects:
            return []
        return [each for uid, each in objects.items() if uid != request.uid]

    def paths(self, connection: str) -> tuple[ItemPath, ...]:
        """The paths that requests use of a connection; those that are not well formed are left out.

        As long as no request changes them, it is the very same object, so a caller that asks often need not read it to know that.
        """
        if connection not in self._paths:
            asked = (request.paths for request in self.served_by(connection))
            self._paths[connection] = tuple(_well_formed(path for paths in asked for _, path in paths))
        return self._paths[connection]

    def served_by(self, connection: str) -> Iterator[SecretRequest]:
        """The requests that a connection serves, by its name."""
        return (self._requests[key] for key in tuple(self._by_connection.of(connection)))

    def number_served_by(self, connection: str) -> int:
        """How many requests a connection serves."""
        return len(self._by_connection.of(connection))

    def use(self, known: KnownConnections, *, installation: bool) -> None:
        """Take the Connections that there are, as a view that changes with the cluster.

        Args:
            known: all of them.
            installation: whether the installation has a connection of its own.
        """
        self._served.use(known, installation=installation)

    def connection_changed(self, connection: ConnectionKey) -> list[Key]:
        """A Connection appeared, changed or went. Returns the keys whose request differs from before."""
        return [key for key in tuple(self._by_chosen.of(connection)) if self._compose(key)]

    def labels_read(self, namespace: str, labels: Mapping[str, str] | None) -> list[Key]:
        """Take note of the labels of a namespace; None if it is gone. Returns the keys whose request differs from before."""
        if not self._by_labels.of(namespace) or not self._served.labels_read(namespace, labels):
            return []
        return [key for key in tuple(self._by_labels.of(namespace)) if self._compose(key)]

    def wrote_secret(self, request: SecretRequest) -> None:
        """Take note of our own write of a Secret before the watch reports it: its connection may be gone by now."""
        self._served.wrote(request)
        self._compose(request.key)

    def secret_changed(self, key: Key) -> bool:
        """A Secret of ours may have been filled through another connection. Returns whether its request differs from before."""
        return key in self._requests and self._compose(key)

    def changed_at(self, key: Key) -> float:
        """Monotonic time of the last change of a request."""
        return self._changed_at.get(key, 0.0)

    def observe(self, seen: SecretRequest) -> bool:
        """Take note of an object as it was seen. Returns whether it, or the request for its Secret, differs from before."""
        if seen.uid in self._tombstones:
            return False
        objects = self._objects.setdefault(seen.key, {})
        owner = seen.owners[0]
        before = objects.get(seen.uid)
        for uid, known in list(objects.items()):
            if (known.owners[0].kind, known.owners[0].name) != (owner.kind, owner.name):
                continue
            if _is_older(seen, known):
                return False
            # Also an object that was made again under the same name.
            del objects[uid]
        objects[seen.uid] = seen
        # What changes on an object that does not decide must be answered in its status, too.
        return self._compose(seen.key) or before != seen

    def observe_workload(self, old: AnnotatedWorkload | None, new: AnnotatedWorkload | None) -> Collection[Key]:
        """Take note of a change to an annotated workload. Returns the keys whose request differs from before."""
        keys = {workload.secret for workload in (old, new) if workload is not None and workload.secret is not None}
        if old is not None and old.secret is not None:
            workloads = self._workloads.get(old.secret, {})
            workloads.pop(old.key, None)
            if not workloads:
                self._workloads.pop(old.secret, None)
        if new is not None and new.secret is not None:
            self._workloads.setdefault(new.secret, {})[new.key] = new
        return [key for key in keys if self._compose(key)]

    def wrote_status(self, request: SecretRequest, status: Status, *, resource_version: str) -> None:
        """Take note of our own status write before the watch reports it, unless something newer is known already."""
        written = replace(request, resource_version=resource_version)
        known = self._requests.get(request.key)
        if known is not None and known.uid == request.uid and not _is_older(written, known):
            self._requests[request.key] = replace(known, status=status, resource_version=resource_version)
        objects = self._objects.get(request.key, {})
        seen = objects.get(request.uid)
        if seen is not None and not _is_older(written, seen):
            objects[request.uid] = replace(seen, status=status, resource_version=resource_version)

    def removed_finalizer(self, request: SecretRequest, *, resource_version: str) -> None:
        """Take note that we took the official operator's finalizer off an object, before the watch reports it."""
        known = self._objects.get(request.key, {}).get(request.uid)
        if known is not None:
            others = tuple(each for each in known.finalizers if each != LEGACY_FINALIZER)
            self.observe(replace(known, finalizers=others, resource_version=resource_version))

    def remove(self, key: Key, *, uid: str) -> bool:
        """Forget an object that is gone, unless another of its name has taken its place. Returns whether it was known."""
        objects = self._objects.get(key, {})
        if uid not in objects:
            return False
        now = self._time.monotonic()
        self._tombstones[uid] = now
        # The oldest come first: thousands of objects may be deleted at once.
        while now - next(iter(self._tombstones.values())) >= _TOMBSTONE_TTL:
            del self._tombstones[next(iter(self._tombstones))]
        del objects[uid]
        if not objects:
            del self._objects[key]
        self._compose(key)
        return True

    def sharing_path(self, key: Key, *, among: AbstractSet[Key] | None = None) -> Collection[Key]:
        """The keys of the requests that name the same items in the same words, one through another, this one among them.

        Args:
            key: from which to begin.
            among: the other keys that count; all if it is None.
        """
        return self._by_path.together(key, among=among) or ()

    def _compose(self, key: Key) -> bool:
        """Put together what is asked under a key. Returns whether that differs from before."""
        before, composed = self._requests.get(key), self._composed(key)
        now = None if composed is None else self._served.resolve(composed)
        self._index(key, before, now)
        if now is None:
            self._requests.pop(key, None)
            self._changed_at.pop(key, None)
            self._served.forget(key)
            return before is not None
        self._requests[key] = now
        if before is None or _identity(before) != _identity(now):
            self._changed_at[key] = self._time.monotonic()
        return before != now

    def _index(self, key: Key, before: SecretRequest | None, now: SecretRequest | None) -> None:
        if (places := _places(now)) != _places(before):
            self._by_path.record(key, places)
            for each in (before, now):
                if each is not None:
                    self._paths.pop(each.connection, None)
        self._by_connection.put(key, (now.connection or None) if now is not None else None)
        self._by_chosen.put(key, None if now is None else _chosen(now))
        self._by_labels.put(key, key.namespace if now is not None and now.by_labels else None)
        if before is not None and before.by_labels and not self._by_labels.of(key.namespace):
            self._served.forget_labels(key.namespace)

    def _composed(self, key: Key) -> SecretRequest | None:
        workloads = self.workloads(key)
        of_workloads = request_from_workloads(key, workloads, mapping=self._mapping)
        # The kind that comes first decides; of one kind, the object whose name does. All own the Secret, which outlives the first.
        objects = sorted(
            self._objects.get(key, {}).values(),
            key=lambda each: (self._precedence.get(each.owners[0].kind, 0), each.owners[0].name),
        )
        for place, request in enumerate(objects):
            going = request.deleting and LEGACY_FINALIZER not in request.finalizers
            if not (going and (of_workloads is not None or len(objects) > place + 1)):
                others = [each for each in objects if each is not request and not each.deleting]
                owners = (each for other in others for each in other.owners)
                return with_co_owners(replace(request, owners=(*request.owners, *owners)), workloads)
        if of_workloads is None:
            return None
        before = self._requests.get(key)
        if before is None or before.has_status:
            status = status_from_secret(self._secrets.get(key), generation=of_workloads.generation)
            return replace(of_workloads, status=status)
        # Workloads have no generation of their own for what they ask: any difference makes a new one, except who asks.
        as_before = replace(of_workloads, generation=before.generation, uid=before.uid, owners=before.owners)
        same = as_before.served_as(before) == before
        return replace(of_workloads, generation=before.generation + (not same), status=before.status)


def _is_older(seen: SecretRequest, known: SecretRequest) -> bool:
    """Whether what was seen is older than what is known under the same name, of that object or of another.

    Resource versions are integers that grow: by the API conventions since Kubernetes 1.35, and in fact before it.
    """
    if not (seen.resource_version.isdecimal() and known.resource_version.isdecimal()):
        return False
    return int(seen.resource_version) < int(known.resource_version)


def _places(request: SecretRequest | None) -> tuple[tuple[str, str], ...]:
    """Where the items of a request are: the name of the connection, and the path as written, of each; nowhere without one."""
    if request is None or not request.connection:
        return ()
    return tuple((request.connection, path or "") for _, path in request.paths)


def _identity(request: SecretRequest) -> tuple[str, int, str]:
    """What makes a request another one, of which a vault must be asked afresh whether its items are there."""
    return request.uid, request.generation, request.connection


def _chosen(request: SecretRequest) -> ConnectionKey:
    """The Connection that decides which connection serves a request, whether there is one or not."""
    return request.connection_ref or ConnectionKey(request.key.namespace, NAMESPACE_DEFAULT)


def _well_formed(paths: Iterable[str | None]) -> Iterator[ItemPath]:
    for path in paths:
        with contextlib.suppress(BadPath):
            yield parse_item_path(path)
