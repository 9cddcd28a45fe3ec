"""The objects of one of our own kinds as they were last seen, and the stream of their changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from keyturn.cluster import ALL_NAMESPACES, ApiListWatch, IfServed, Informer, Resource, namespaces_or_all, projection_of
from keyturn.control.context import ConnectionContext

_LONGEST_STILL = 300.0
"""Seconds after which an informer that shows no life counts as stuck."""


class OwnObject(Protocol):
    """The part of an object by which two states of it are told apart."""

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        ...

    @property
    def uid(self) -> str:
        """Its uid: another object may have had the same name."""
        ...

    @property
    def resource_version(self) -> str:
        """The version of the object that this was read from."""
        ...


_Key = TypeVar("_Key")
_Object = TypeVar("_Object", bound=OwnObject)

Listener = Callable[[_Key, _Object | None, _Object | None], None]
"""Takes the key, the object as it was, and as it is now; None for one that is not there. Must be quick."""


class KnownObjects(Generic[_Key, _Object]):
    """An informer of one kind. A cluster without its definition has none of them.

    Args:
        context: of the process.
        resource: the kind.
        key: makes a key of a namespace and a name.
        read: reads an object as the API server gives it.
        loop: name of the informer for whoever looks for loops that stand still.
        lifetime: seconds for which a watch stays open at most; None for as long as suits so many.
    """

    def __init__(
        self,
        context: ConnectionContext,
        resource: Resource,
        *,
        key: Callable[[str, str], _Key],
        read: Callable[[Mapping[str, Any]], _Object],
        loop: str,
        lifetime: int | None = None,
    ) -> None:
        namespaces = context.settings.watch_namespaces
        self._namespaces = namespaces_or_all(namespaces)
        self._key = key
        self._known: dict[_Key, _Object] = {}
        self._listeners: list[Listener[_Key, _Object]] = []
        list_watch = ApiListWatch(
            context.cluster,
            resource,
            projection_of(read),
            watches=len(namespaces),
            lifetime=lifetime,
            time=context.time,
        )
        self._informer = Informer(
            IfServed(list_watch, time=context.time),
            label=resource.label,
            namespaces=self._namespaces,
            on_change=lambda name, _, new: self.observe(key(*name), new),
            on_beat=context.heartbeat.expect(loop, _LONGEST_STILL),
            reachability=context.cluster.reachability,
            time=context.time,
        )

    @property
    def known(self) -> Mapping[_Key, _Object]:
        """All objects, as a view that changes with the cluster."""
        return MappingProxyType(self._known)

    def subscribe(self, listener: Listener[_Key, _Object]) -> None:
        """Have a listener called with each change, also one of a status alone."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        await self._informer.run()

    def observe(self, key: _Key, new: _Object | None) -> None:
        """Take note of an object as it was seen; None if it is gone."""
        old = self._known.get(key)
        if new is None:
            self._known.pop(key, None)
        else:
            self._known[key] = new
        for listener in self._listeners:
            listener(key, old, new)

    def wrote(self, before: _Object, after: _Object) -> None:
        """Take note of our own write before the watch reports it, unless something newer is known already. Listeners are not called.

        Args:
            before: the object that was written to.
            after: the same with what was written, and the version that the API server gave it.
        """
        key = self._key(*before.key)
        known = self._known.get(key)
        if known is not None and (known.uid, known.resource_version) == (before.uid, before.resource_version):
            self._known[key] = after

    def age(self, namespace: str) -> float:
        """Seconds since all objects of a namespace were surely known; infinite if they never were, 0 if they are not to be known."""
        is_watched = not {namespace, ALL_NAMESPACES}.isdisjoint(self._namespaces)
        return self._informer.age(namespace) if is_watched else 0.0

    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return self._informer.failing
