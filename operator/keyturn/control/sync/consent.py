"""Ends the pass over a request that no connection serves, by the labels that its namespace has now if the consent depends on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from keyturn.base.time import Time
from keyturn.cluster import NAMESPACES, Cluster, NotFound
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.sync.situations import Situations
from keyturn.core.metadata import ObjectMeta
from keyturn.core.outcomes import SUPERSEDED, Ended
from keyturn.core.request import Key, SecretRequest


@dataclass(slots=True)
class _Reading:
    """The labels of one namespace when they were last read."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    began_at: float = float("-inf")
    labels: Mapping[str, str] | None = None


class Consent:
    """Namespaces are read one by one, and not watched: there may be thousands of them.

    Args:
        cluster: the API server.
        registry: of requests; learns what was read.
        situations: of requests.
        on_change: called with each key whose request differs after that.
        time: of the readings.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        registry: RequestRegistry,
        situations: Situations,
        on_change: Callable[[Key], None],
        time: Time,
    ) -> None:
        self._cluster = cluster
        self._registry = registry
        self._situations = situations
        self._on_change = on_change
        self._time = time
        self._readings: dict[str, _Reading] = {}

    async def stop_unless_served(self, request: SecretRequest) -> None:
        """Let the pass go on if a connection serves its request. If none does, the Secret stays as it is.

        Raises:
            Ended: none does, or the labels gave another request, whose key is in the queue again.
            ClusterError: the labels could not be read.
        """
        if request.by_labels:
            await self._judge_by_labels(request)
        if request.not_connected:
            raise Ended(self._situations.when_not_connected(request))

    async def _judge_by_labels(self, request: SecretRequest) -> None:
        namespace = request.key.namespace
        labels = await self._read(namespace, since=self._time.monotonic())
        for key in self._registry.labels_read(namespace, labels):
            self._on_change(key)
        if self._registry.latest(request) is None:
            raise Ended(SUPERSEDED)

    async def _read(self, namespace: str, *, since: float) -> Mapping[str, str] | None:
        """The labels of a namespace, or None if it is gone. All passes that wait for a reading share the next one."""
        if (reading := self._readings.get(namespace)) is None:
            # Namespaces come and go: only a reading that somebody waits for is kept beside the new one.
            self._readings = {name: each for name, each in self._readings.items() if each.lock.locked()}
            reading = self._readings[namespace] = _Reading()
        async with reading.lock:
            if reading.began_at < since:
                began_at = self._time.monotonic()
                try:
                    found = await self._cluster.get_metadata(NAMESPACES, None, namespace)
                    reading.labels = ObjectMeta.of(found).labels
                except NotFound:
                    reading.labels = None
                reading.began_at = began_at
            return reading.labels
