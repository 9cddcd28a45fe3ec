"""Collects requests: from watches of our own kinds, from annotated workloads, and from the sweep over both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from keyturn.control.context import Context
from keyturn.control.requests.kinds import BY_KIND, REQUESTERS
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.requests.sweeper import Sweeper
from keyturn.control.requests.workloads import WorkloadRequests
from keyturn.core.connection import ConnectionKey
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import Key
from keyturn.core.serving import filled_through
from keyturn.core.status import GOOD, Reason


class RequestController:
    """Keeps the registry of requests equal to the cluster, and passes on the keys that must be looked at.

    Args:
        context: of the process.
        secrets: metadata of our own Secrets.

    Attributes:
        registry: the requests there are.
    """

    def __init__(self, context: Context, *, secrets: Mapping[tuple[str, str], ObjectMeta]) -> None:
        self._settings = context.settings
        self.registry = RequestRegistry(
            requesters=REQUESTERS, mapping=context.settings.mapping, secrets=secrets, time=context.time
        )
        self._listeners: list[Callable[[Key], None]] = []
        self._sync_listeners: list[Callable[[Key], None]] = []
        self.workloads = WorkloadRequests(context, registry=self.registry, on_change=self._changed)
        self.sweeper = Sweeper(
            context, requesters=REQUESTERS, registry=self.registry, enqueue=self._notify, gone=self._gone
        )

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Have a listener called with each key that must be looked at; a request that is gone is looked at, too."""
        self._listeners.append(listener)

    def subscribe_to_sync_requests(self, listener: Callable[[Key], None]) -> None:
        """Have a listener called with each key that is as before, but has a sync request which its status does not answer."""
        self._sync_listeners.append(listener)

    def seen(self, kind: str, manifest: Mapping[str, Any]) -> None:
        """An object of a kind of ours is there, as it is now."""
        if (read := BY_KIND[kind].read) is not None:
            request = read(manifest, self._settings)
            if self.registry.observe(request):
                self._changed(request.key)
            elif (latest := self.registry.get(request.key)) is not None and latest.asks_for_sync:
                for listener in self._sync_listeners:
                    listener(latest.key)

    def deleted(self, kind: str, manifest: Mapping[str, Any]) -> None:
        """An object of a kind of ours is there no more."""
        if (read := BY_KIND[kind].read) is not None:
            request = read(manifest, self._settings)
            self._gone(request.key, request.uid)

    def connection_changed(self, connection: ConnectionKey) -> None:
        """A Connection appeared, changed or went: the requests that it may serve are looked at if it serves others than before."""
        for key in self.registry.connection_changed(connection):
            self._changed(key)

    def secret_changed(self, name: tuple[str, str], old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        """A Secret of ours changed. What it was filled through decides whether its request falls to another connection."""
        if new is not None and (old is None or filled_through(old) != filled_through(new)):
            key = Key(*name)
            if self.registry.secret_changed(key):
                self._changed(key)

    def counts(self) -> tuple[int, int, Counter[str]]:
        """How many requests there are, how many are ready, and how many are not, by the reason of `Ready`."""
        reasons = Counter(
            request.status.reason or ("Synced" if request.is_synced else "New") for request in self.registry
        )
        ready = sum(reasons.pop(reason, 0) for reason in GOOD)
        return len(self.registry), ready, reasons

    def _gone(self, key: Key, uid: str) -> None:
        known = self.registry.remove(key, uid=uid)
        # Also if a write of ours noticed it before: what another requests under that key is in force again.
        request = self.registry.get(key)
        if known or request is None or not request.has_status or request.status.reason == Reason.OVERRULED:
            self._changed(key)

    def _changed(self, key: Key) -> None:
        self._notify(key)
        if self.registry.get(key) is not None:
            self.workloads.warn_conflicting(key)

    def _notify(self, key: Key) -> None:
        for listener in self._listeners:
            listener(key)
