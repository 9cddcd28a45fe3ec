"""Compares now and then what we remember with what is there: a watch can lose a deletion, and we must not notice never."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from keyturn.base.backoff import Backoff, jittered
from keyturn.cluster import ALL_NAMESPACES, ONEPASSWORD_ITEMS, Cluster, ClusterError, Forbidden, namespaces_or_all
from keyturn.control.requests.registry import ReadRequest, RequestRegistry
from keyturn.core.request import Key

_log = logging.getLogger(__name__)


class Sweeper:
    """Lists all OnePasswordItems once per interval and has everything that is asked for looked at; that costs nothing where all is well.

    Args:
        cluster: the API server.
        namespaces: those that are served; empty for all.
        requests: what we remember.
        read: reads a request from an object.
        enqueue: has a key looked at.
        gone: called with key and uid of an object that is not there any more.
        interval: seconds between two sweeps.
        chance: random numbers of [0, 1).
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespaces: Sequence[str],
        requests: RequestRegistry,
        read: ReadRequest,
        enqueue: Callable[[Key], None],
        gone: Callable[[Key, str], None],
        interval: float,
        chance: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self._requests = requests
        self._read = read
        self._enqueue = enqueue
        self._gone = gone
        self._interval = interval
        self._chance = chance
        self._backoff = Backoff(first=1.0, longest=60.0)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(jittered(self._interval, random=self._chance()))
            await self.sweep_until_done()

    async def sweep_until_done(self) -> None:
        """Sweep once, however often that must be tried."""
        failures = 0
        while True:
            try:
                return await self.sweep()
            except ClusterError as error:
                failures += 1
                _log.warning("OnePasswordItems cannot be listed: %s", error)
            await asyncio.sleep(self._backoff.delay(failures, random=self._chance()))

    async def sweep(self) -> None:
        """Sweep once.

        Raises:
            ClusterError: the objects could not be listed.
        """
        remembered = self._requests.items()
        present: set[Key] = set()
        for namespace in namespaces_or_all(self._namespaces):
            try:
                manifests = await self._cluster.list(ONEPASSWORD_ITEMS, namespace)
            except Forbidden as error:
                # The Role of one namespace may be missing while the others are served.
                _log.warning("OnePasswordItems cannot be listed in %s: %s", namespace or "all namespaces", error)
                present |= {key for key in remembered if namespace in {ALL_NAMESPACES, key.namespace}}
                continue
            for manifest in manifests:
                request = self._read(manifest)
                present.add(request.key)
                self._requests.observe(request)
        # Only what was remembered before the listing: an object made meanwhile may be missing from it.
        for key in remembered.keys() - present:
            self._gone(key, remembered[key])
        for request in self._requests:
            self._enqueue(request.key)
