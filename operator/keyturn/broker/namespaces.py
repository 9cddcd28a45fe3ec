"""The labels of namespaces, on which a Connection's consent may depend: read when they are needed, and remembered for a moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyturn.base.time import Time
from keyturn.broker.errors import NotAvailable
from keyturn.cluster import NAMESPACES, Cluster, ClusterError, NotFound
from keyturn.core.metadata import ObjectMeta

LABELS_LAST = 5.0
"""Seconds for which labels count: consent that is withdrawn by a label ends so soon."""


@dataclass(slots=True)
class _Reading:
    """The labels of one namespace when they were last read.

    Attributes:
        labels: None if there was no such namespace.
        at: monotonic time just before they were read.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    labels: Mapping[str, str] | None = None
    at: float = float("-inf")


class NamespaceLabels:
    """Namespaces are read one by one, and not watched: there may be thousands, and few are ever asked for.

    Args:
        cluster: the API server.
        time: of readings.
    """

    def __init__(self, cluster: Cluster, *, time: Time) -> None:
        self._cluster = cluster
        self._time = time
        # Only namespaces with grants are asked for, so there is no bound of our own.
        self._readings: defaultdict[str, _Reading] = defaultdict(_Reading)

    def known(self, namespace: str) -> Mapping[str, str] | None:
        """The labels as they were last read, however long ago; None if they never were. Good for a guess, not for a decision."""
        return self._readings[namespace].labels if namespace in self._readings else None

    async def labels(self, namespace: str) -> Mapping[str, str] | None:
        """The labels of a namespace as they were a few seconds ago at most; None if there is no such namespace.

        Raises:
            NotAvailable: the API server does not say.
        """
        reading = self._readings[namespace]
        async with reading.lock:
            now = self._time.monotonic()
            if now - reading.at < LABELS_LAST:
                return reading.labels
            failure = ""
            try:
                found = await self._cluster.get_metadata(NAMESPACES, None, namespace)
                reading.labels = ObjectMeta.of(found).labels
            except NotFound:
                reading.labels = None
            except (ClusterError, ValueError) as error:
                failure = getattr(error, "reason", type(error).__name__)
            if failure:
                raise NotAvailable(f"the labels of the namespace cannot be read now ({failure})")
            reading.at = now
            return reading.labels
