"""Finds which connection serves each request, by what is known of Connections, of Secrets and of the labels of namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from keyturn.core.connection import NAMESPACE_DEFAULT, ConnectionKey
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import DEFAULT_CONNECTION, Key, SecretRequest
from keyturn.core.serving import Consumer, KnownConnections, Serving, filled_through, is_known, serving
from keyturn.core.status import Reason

_AS_READ = Serving(DEFAULT_CONNECTION)
"""What serves a request that was just read from its object, as long as nobody says otherwise."""


class ServedBy:
    """Remembers little: what it is given, and per key what cannot be seen any more.

    Args:
        secrets: metadata of our own Secrets.
    """

    def __init__(self, secrets: Mapping[tuple[str, str], ObjectMeta]) -> None:
        self._secrets = secrets
        self._known: KnownConnections = {}
        self._installation = True
        self._labels: dict[str, Mapping[str, str] | None] = {}
        # Also of a Secret that has been deleted since.
        self._filled: dict[Key, ConnectionKey] = {}
        # What was just written, until the watch reports that.
        self._written: dict[Key, ConnectionKey | None] = {}
        # The uid and generation in which a request fell to the installation's connection. Its status shows that only at the end.
        self._fallen: dict[Key, tuple[str, int]] = {}
        # The same in which a Connection served it, long before its status shows that, too.
        self._served: dict[Key, tuple[str, int]] = {}

    def use(self, known: KnownConnections, *, installation: bool) -> None:
        """Take the Connections that there are, as a view that changes with the cluster, and whether the installation has one."""
        self._known, self._installation = known, installation

    def labels_read(self, namespace: str, labels: Mapping[str, str] | None) -> bool:
        """Take note of the labels of a namespace; None if it is gone. Returns whether they differ from before."""
        changed = self._labels.get(namespace) != labels
        self._labels[namespace] = labels
        return changed

    def forget_labels(self, namespace: str) -> None:
        """Nothing depends on the labels of a namespace any more."""
        self._labels.pop(namespace, None)

    def resolve(self, request: SecretRequest) -> SecretRequest:
        """The same request with the connection that serves it, or why none does."""
        filled, now = self._filled_through(request), (request.uid, request.generation)
        may_fall = (
            (_is_edited(request) and self._served.get(request.key) != now)
            or self._fallen.get(request.key) == now
            # Only a sync request that came after it was said that the connection is lost: it may have been meant for that one.
            or (_is_lost(request) and request.asks_for_sync)
        )
        found = serving(
            Consumer(request.key.namespace, self._labels.get(request.key.namespace), filled, may_fall),
            request.connection_ref,
            known=self._known,
            installation=self._installation,
        )
        if found.connection == DEFAULT_CONNECTION and filled is not None and not is_known(filled, self._known):
            self._fallen[request.key] = now
        else:
            self._fallen.pop(request.key, None)
        if found.connection not in {"", DEFAULT_CONNECTION}:
            self._served[request.key] = now
        if found == _AS_READ:
            # Of most requests, and there may be ten thousand.
            return request
        return replace(request, connection=found.connection, not_connected=found.refusal, by_labels=found.by_labels)

    def wrote(self, request: SecretRequest) -> None:
        """Take note that the Secret of a request was filled through the connection that serves it."""
        self._written[request.key] = ConnectionKey.parse(request.connection)

    def forget(self, key: Key) -> None:
        """Nothing asks for this Secret any more."""
        self._filled.pop(key, None)
        self._written.pop(key, None)
        self._fallen.pop(key, None)
        self._served.pop(key, None)

    def _filled_through(self, request: SecretRequest) -> ConnectionKey | None:
        key = request.key
        secret = self._secrets.get(key)
        if key in self._written:
            if secret is None or filled_through(secret) != self._written[key]:
                return self._written[key]
            del self._written[key]
        if secret is None:
            if key not in self._filled and _is_lost(request) and request.status.keys is not None:
                # It had a Secret, which was deleted while nobody watched. What filled it can hardly be another.
                return ConnectionKey(key.namespace, NAMESPACE_DEFAULT)
        elif (filled := filled_through(secret)) is not None:
            self._filled[key] = filled
        else:
            self._filled.pop(key, None)
        return self._filled.get(key)


def _is_edited(request: SecretRequest) -> bool:
    """Whether the spec has changed since a pass said something of it. Of a new object, as after a restore, nobody knows that."""
    return request.status.observed_generation not in {-1, request.generation}


def _is_observed(request: SecretRequest) -> bool:
    """Whether a pass has already said something of this generation."""
    return request.status.observed_generation == request.generation


def _is_lost(request: SecretRequest) -> bool:
    """Whether the status says of this generation that no connection serves it."""
    return _is_observed(request) and request.status.reason == Reason.NOT_CONNECTED
