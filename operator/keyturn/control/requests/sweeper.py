"""Lists the objects that ask for Secrets once per interval: a watch can lose a deletion, which must not stay unnoticed for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable

from keyturn.base.backoff import Backoff, jittered
from keyturn.base.log import warning
from keyturn.cluster import ALL_NAMESPACES, ClusterError, Forbidden, NotFound, namespaces_or_all
from keyturn.control.context import Context
from keyturn.control.requests.registry import RequestRegistry
from keyturn.control.requests.requester import ReadRequest, Requester
from keyturn.core.request import Key

_log = logging.getLogger(__name__)

_NOT_LISTED = warning("{kind}s cannot be listed: {error}")
_FORBIDDEN = warning("{kind}s cannot be listed in {place}: {error}")


class Sweeper:
    """Compares what is remembered with what there is, and has every request looked at, which costs nothing if all is well.

    Args:
        context: of the process.
        requesters: the kinds; those that are read together elsewhere are passed over.
        registry: of requests.
        enqueue: has a key looked at.
        gone: called with the key and uid of an object that is there no more.
    """

    def __init__(
        self,
        context: Context,
        *,
        requesters: tuple[Requester, ...],
        registry: RequestRegistry,
        enqueue: Callable[[Key], None],
        gone: Callable[[Key, str], None],
    ) -> None:
        self._cluster = context.cluster
        self._settings = context.settings
        self._time = context.time
        self._kinds = [(requester, requester.read) for requester in requesters if requester.read is not None]
        self._registry = registry
        self._enqueue = enqueue
        self._gone = gone
        self._backoff = Backoff(first=1.0, longest=60.0)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self._time.sleep(jittered(self._settings.full_pass_interval, random=self._time.random()))
            await self.sweep_until_done()

    async def sweep_until_done(self) -> None:
        """Sweep once, with as many attempts as it takes."""
        for requester, read in self._kinds:
            failures = 0
            while True:
                try:
                    await self._sweep(requester, read)
                    break
                except ClusterError as error:
                    failures += 1
                    kind = requester.resource.kind
                    _NOT_LISTED(_log, kind=kind, error=error)
                    retry_after = error.retry_after
                delay = self._backoff.delay(failures, random=self._time.random(), retry_after=retry_after)
                if await self._cluster.reachability.sleep(delay):
                    failures = 0
        for request in self._registry:
            self._enqueue(request.key)

    async def _sweep(self, requester: Requester, read: ReadRequest) -> None:
        """Sweep one kind.

        Raises:
            ClusterError: its objects could not be listed.
        """
        kind = requester.resource.kind
        remembered = self._registry.objects(kind)
        present: set[str] = set()
        for namespace in namespaces_or_all(self._settings.watch_namespaces):
            try:
                # Page by page: together, the objects may need more memory than there is.
                async for page in self._cluster.pages(requester.resource, namespace, size=requester.resource.page):
                    for manifest in page.get("items") or ():
                        request = read(manifest, self._settings)
                        present.add(request.uid)
                        self._registry.observe(request)
            except (Forbidden, NotFound) as error:
                if isinstance(error, NotFound) and requester.required:
                    raise
                # The Role of one namespace may be missing while the others are served; of a definition, the watch says it.
                if isinstance(error, Forbidden):
                    _FORBIDDEN(_log, kind=kind, place=namespace or "all namespaces", namespace=namespace, error=error)
                present |= {uid for uid, key in remembered.items() if namespace in {ALL_NAMESPACES, key.namespace}}
        # Only what was remembered before the listing: an object made meanwhile may be missing from it.
        for uid in remembered.keys() - present:
            self._gone(remembered[uid], uid)
