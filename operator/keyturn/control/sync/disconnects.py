"""Deletes the Secrets that were filled through a Connection together with it, if its owner and the installation want that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from keyturn.base.log import log_defect, warning
from keyturn.cluster import CONNECTIONS, SECRETS, ClusterError, Conflict, NotFound
from keyturn.control.context import Context
from keyturn.control.queue import WorkQueue
from keyturn.control.requests.registry import RequestRegistry
from keyturn.core.connection import ConnectionKey, ConnectionSpec, read_connection
from keyturn.core.disconnect import Step, goes_with, next_step
from keyturn.core.events import Event, EventReason
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import DISCONNECT_FINALIZER, STATUS_MANAGER
from keyturn.core.request import Key, SecretRequest
from keyturn.core.serving import KnownConnections, filled_through

_log = logging.getLogger(__name__)

_ATTEMPTS = 5
"""How often to try again at once if a Connection changes while its finalizers are written."""

_FAILED = warning("Connection {namespace}/{name}: its Secrets cannot be deleted with it: {error}")


class Disconnects:
    """A queue of Connections, each of which is looked at again until nothing is left to do.

    Args:
        context: of the process.
        known: the Connections of the cluster.
        registry: of requests.
        secrets: metadata of our own Secrets; may lag behind.
        post: posts Events about all that ask for a Secret.
    """

    def __init__(
        self,
        context: Context,
        *,
        known: KnownConnections,
        registry: RequestRegistry,
        secrets: Mapping[tuple[str, str], ObjectMeta],
        post: Callable[[SecretRequest, Iterable[Event]], None],
    ) -> None:
        self._cluster = context.cluster
        self._allowed = context.settings.delete_on_disconnect
        self._known = known
        self._registry = registry
        self._secrets = secrets
        self._post = post
        self._queue: WorkQueue[ConnectionKey] = WorkQueue(time=context.time, group=lambda key: key.namespace)
        context.cluster.reachability.subscribe(self._queue.wake)

    def connection_changed(self, key: ConnectionKey) -> None:
        """A Connection appeared, changed or went."""
        if key in self._known:
            self._queue.add(key)
        else:
            self._queue.forget(key)

    def secret_changed(self, old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        """A Secret of ours changed: the deletion of what it was filled through may wait for that."""
        for secret in (old, new):
            key = None if secret is None else filled_through(secret)
            if key is not None and key in self._known and self._known[key].deleting:
                self._queue.add(key)

    async def run(self) -> None:
        """Look at Connections until cancelled."""
        while True:
            key = await self._queue.take()
            try:
                if (spec := self._known.get(key)) is not None:
                    await self._do(spec)
            except NotFound:
                self._queue.done(key)
            except Conflict:
                # What was looked at has changed, often by a status of ours: no news to anybody.
                self._queue.failed(key)
            except ClusterError as error:
                _FAILED(_log, **key._asdict(), error=error, connection=str(key))
                self._queue.failed(key)
            except Exception as error:  # noqa: BLE001 - a defect of ours on one Connection; the others must go on
                log_defect(_log, f"disconnecting {key}", error, **key._asdict())
                self._queue.failed(key)
            else:
                self._queue.done(key)

    def close(self) -> None:
        """Cancel everything that was put off."""
        self._queue.close()

    async def _do(self, spec: ConnectionSpec) -> None:
        """Take the next step.

        Raises:
            NotFound: the Connection is gone.
            ClusterError: it could not be done.
        """
        match next_step(spec, allowed=self._allowed):
            case Step.ADD_FINALIZER:
                await self._set_finalizer(spec, wanted=True)
            case Step.REMOVE_FINALIZER:
                await self._remove_finalizer(spec)
            case Step.DELETE_SECRETS:
                await self._delete_secrets(spec.key)
                if not any(self._going_with(spec.key)):
                    await self._remove_finalizer(spec)
            case Step.NOTHING:
                pass

    def _going_with(self, connection: ConnectionKey) -> Iterable[tuple[ObjectMeta, SecretRequest]]:
        for secret in tuple(self._secrets.values()):
            request = self._registry.get(Key(*secret.key))
            if request is not None and goes_with(secret, request, connection):
                yield secret, request

    async def _delete_secrets(self, connection: ConnectionKey) -> None:
        for secret, request in tuple(self._going_with(connection)):
            try:
                # Exactly the state that was looked at: somebody may just be taking the Secret over.
                await self._cluster.delete(
                    SECRETS, *secret.key, uid=secret.uid, resource_version=secret.resource_version
                )
            except NotFound:
                continue
            message = f"Secret deleted together with the Connection {connection}, through which it was filled"
            self._post(request, [Event(EventReason.DISCONNECTED, message)])

    async def _remove_finalizer(self, spec: ConnectionSpec) -> None:
        await self._set_finalizer(spec, wanted=False)

    async def _set_finalizer(self, spec: ConnectionSpec, *, wanted: bool) -> None:
        """Add or remove our finalizer, and leave those of others.

        Raises:
            NotFound: the Connection is gone.
            ClusterError: it could not be done; a Conflict if the Connection changes all the time.
        """
        latest = self._known.get(spec.key, spec)
        for attempt in range(_ATTEMPTS):
            others = tuple(each for each in latest.finalizers if each != DISCONNECT_FINALIZER)
            finalizers = [*others, *([DISCONNECT_FINALIZER] if wanted else [])]
            patch = {
                "metadata": {"finalizers": finalizers, "resourceVersion": latest.resource_version, "uid": spec.uid}
            }
            try:
                await self._cluster.merge_patch(CONNECTIONS, *spec.key, patch, field_manager=STATUS_MANAGER)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                # At once: a Connection that is deleted before it has the finalizer leaves its Secrets behind.
                latest = read_connection(await self._cluster.get(CONNECTIONS, *spec.key))
                if next_step(latest, allowed=self._allowed) is Step.NOTHING or latest.uid != spec.uid:
                    return
            else:
                return
