"""Lists and watches that never fail, for a client that ends with the first error that it does not know: they wait instead.

Each watch has a state, as that of an informer has. While a watch is open, a small list asks again and again whether it still may be
opened: the API server checks rights only when a watch begins.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import cycle

from keyturn.base.backoff import jittered
from keyturn.base.log import log_defect
from keyturn.base.time import Time
from keyturn.cluster.calls import JsonObject
from keyturn.cluster.errors import ClusterError, Gone, NotFound, TooManyRequests, Unavailable
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.reading import METADATA_LIST
from keyturn.cluster.resources import ALL_NAMESPACES, Resource, fill
from keyturn.cluster.watch_state import WatchState, count_failing, idle_seconds, is_dead, watch_seconds
from keyturn.cluster.watching import WatchEvent

_log = logging.getLogger(__name__)

_PROBE_PERIOD = 10.0
"""Seconds in which each watch is probed, if there are not too many."""

_PROBES_APART = 1.0
"""Seconds between two probes at least."""

_OUTAGE_PERIOD = 2.0
"""Seconds between two probes while the API server does not answer."""

_GONE: JsonObject = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}


class LastingReads:
    """Reads of some kinds, by path.

    Args:
        cluster: the API server.
        kinds: that are listed and watched.
        optional: those of them that need not be served. Their reads wait until they are, which is no error meanwhile.
        namespaces: each gets a watch of its own; `ALL_NAMESPACES` alone for one watch of all.
        on_beat: called with each sign of life, for a watchdog.
        time: for pauses.
    """

    def __init__(
        self,
        cluster: Cluster,
        kinds: Sequence[Resource],
        *,
        namespaces: tuple[str, ...],
        optional: Collection[Resource] = (),
        on_beat: Callable[[], None] = lambda: None,
        time: Time,
    ) -> None:
        self._cluster = cluster
        self._on_beat = on_beat
        self._time = time
        self._namespaces = len(namespaces)
        self._optional = frozenset(optional)
        self._groups = {kind.group for kind in kinds if kind not in self._optional}
        self._watches: dict[str, tuple[Resource, WatchState]] = {}
        for kind in kinds:
            template = kind.template(in_namespace=namespaces != (ALL_NAMESPACES,))
            for each in namespaces:
                state = WatchState(
                    kind.label, each, watches=len(namespaces), reachability=cluster.reachability, time=time
                )
                self._watches[fill(template, namespace=each, name=None)] = (kind, state)
        self._discovery = WatchState("kinds", ALL_NAMESPACES, reachability=cluster.reachability, time=time)

    @property
    def error(self) -> str | None:
        """Why what is known may not be up to date, or None."""
        return "; ".join(filter(None, (state.describe() for state in self._failing()))) or None

    @property
    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return count_failing(self._failing())

    async def get(self, path: str, query: Mapping[str, str]) -> JsonObject:
        """What the API server has under a path: a page of a list, or what it says of itself. Waits until it answers."""
        if path in self._watches:
            return await self._page(*self._watches[path], query)
        while True:
            await self._discovery.pause(on_beat=self._on_beat)
            try:
                found = await self._cluster.get_path(path)
                self._check_served(path, found)
            except NotFound as error:
                if path != "/apis":
                    return self._with_optional(path, {"resources": []})
                self._discovery.refuse(error)
                self._discovery.end(error)
            except ClusterError as error:
                self._discovery.end(error)
            else:
                self._discovery.works()
                return self._with_optional(path, found)

    async def watch(self, path: str, query: Mapping[str, str]) -> LastingWatch:
        """Open a watch; waits until it is open. The `timeoutSeconds` of the query do not count."""
        kind, state = self._watches[path]
        seconds = watch_seconds(self._namespaces, random=self._time.random())
        while True:
            await state.pause(on_beat=self._on_beat)
            self._on_beat()
            stack = AsyncExitStack()
            try:
                events = await stack.enter_async_context(
                    self._cluster.watch(
                        kind,
                        state.namespace,
                        resource_version=query.get("resourceVersion", ""),
                        accept="application/json",
                        timeout_seconds=seconds,
                        idle_timeout=idle_seconds(seconds),
                    )
                )
            except Gone:
                state.end(None)
                return LastingWatch(state, _nothing(), stack, on_beat=self._on_beat, expired=True)
            except ClusterError as error:
                state.end(_explained(error, kind))
            else:
                state.connect()
                return LastingWatch(state, events, stack, on_beat=self._on_beat)

    async def probe(self) -> None:
        """Ask again and again, until cancelled, whether each watch may still be opened, and whether the API server answers."""
        failures: Counter[WatchState] = Counter()
        for kind, state in cycle(self._watches.values()):
            period = _PROBE_PERIOD / len(self._watches)
            if self._cluster.reachability.is_failing:
                period = _OUTAGE_PERIOD
            await self._time.sleep(jittered(max(period, _PROBES_APART), random=self._time.random()))
            try:
                await self._cluster.page(kind, state.namespace, {"limit": "1"}, accept=METADATA_LIST)
            except ClusterError as error:
                failures[state] += 1
                # One unanswered question is no outage.
                if failures[state] > 1 or not isinstance(error, Unavailable | TooManyRequests | Gone):
                    state.refuse(_explained(error, kind))
            else:
                failures[state] = 0
                state.permit()

    async def _page(self, kind: Resource, state: WatchState, query: Mapping[str, str]) -> JsonObject:
        if "limit" in query:
            # The client has one size of pages for all kinds.
            query = {**query, "limit": str(min(int(query["limit"]), kind.page))}
        while True:
            await state.pause(on_beat=self._on_beat)
            self._on_beat()
            try:
                return await self._cluster.page(kind, state.namespace, query)
            except Gone:
                # The history under the page token was compacted. Of a whole list, the client knows some objects already.
                query = {name: value for name, value in query.items() if name not in {"continue", "limit"}}
                state.end(None)
            except ClusterError as error:
                state.end(_explained(error, kind))

    def _check_served(self, path: str, found: JsonObject) -> None:
        if path != "/apis":
            return
        served = {group.get("name") for group in found.get("groups") or ()}
        if missing := sorted(self._groups - served):
            raise NotFound(
                f"the API server does not serve the group {', '.join(missing)}",
                reason="NotFound",
                method="GET",
                path=path,
            )

    def _with_optional(self, path: str, found: JsonObject) -> JsonObject:
        """What the API server says of itself, as if it served each optional kind already: the client asks only once."""
        if path == "/apis":
            groups = {group.get("name"): group for group in found.get("groups") or ()}
            for kind in self._optional:
                version = {"groupVersion": kind.api_version, "version": kind.version}
                group = groups.get(kind.group, {"name": kind.group, "versions": [], "preferredVersion": version})
                if kind.version not in {each.get("version") for each in group["versions"]}:
                    groups[kind.group] = {**group, "versions": [*group["versions"], version]}
            return {**found, "groups": list(groups.values())}
        served = found.get("resources") or []
        names = {each.get("name") for each in served}
        missing = [
            _discovered(kind)
            for kind in self._optional
            if path == f"/apis/{kind.api_version}" and kind.plural not in names
        ]
        return {**found, "resources": [*served, *missing]} if missing else found

    def _failing(self) -> list[WatchState]:
        """The states that count: that an optional kind is not served is an installation's choice."""
        return [
            self._discovery,
            *(
                state
                for kind, state in self._watches.values()
                if not (kind in self._optional and isinstance(state.error, NotFound))
            ),
        ]


class LastingWatch:
    """One open watch. Its end is no error; history that is gone is an event, after which its client lists again.

    Args:
        state: of the watch.
        events: as they come.
        stack: closes the connection.
        on_beat: called with each event.
        expired: whether history was gone already when the watch was to be opened.
    """

    def __init__(
        self,
        state: WatchState,
        events: AsyncIterator[WatchEvent],
        stack: AsyncExitStack,
        *,
        on_beat: Callable[[], None],
        expired: bool = False,
    ) -> None:
        self._state = state
        self._events = events
        self._stack = stack
        self._on_beat = on_beat
        self._expired = expired

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The events as the API server sends them, one a line."""
        if self._expired:
            yield _line(WatchEvent("ERROR", _GONE))
            return
        failure: ClusterError | None = None
        expired = abandoned = False
        try:
            # An error of the connection becomes a `ClusterError` on its way out.
            async with self._stack:
                try:
                    async for event in self._events:
                        self._on_beat()
                        self._state.arrive()
                        yield _line(event)
                except GeneratorExit:
                    abandoned = True
                    raise
        except Gone:
            expired = True
        except ClusterError as error:
            failure = error
            # Nothing came, not even a bookmark: only a list shows what was missed.
            expired = is_dead(error)
        except Exception as error:  # noqa: BLE001 - a defect of ours or a malformed event
            if abandoned:
                # At the end of the process, Python ends generators in any order, so what this one closes may have ended before it.
                return
            log_defect(_log, f"the watch of {self._state.what} in {self._state.place}", error)
            expired = True
        self._state.end(failure)
        if expired:
            yield _line(WatchEvent("ERROR", _GONE))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stack.aclose()


def _discovered(kind: Resource) -> JsonObject:
    """A kind as the API server lists it once it serves it."""
    return {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "kind": kind.kind,
        "namespaced": kind.namespaced,
        "verbs": ["get", "list", "patch", "watch"],
    }


def _line(event: WatchEvent) -> bytes:
    return json.dumps({"type": event.type, "object": event.object}).encode() + b"\n"


async def _nothing() -> AsyncIterator[WatchEvent]:
    return
    yield


def _explained(error: ClusterError, kind: Resource) -> ClusterError:
    """The same error, but of a kind that is not served it says what to do."""
    if not isinstance(error, NotFound):
        return error
    return NotFound(
        f"the CustomResourceDefinition {kind.label} is not installed: kubectl apply -f crds/",
        status=error.status,
        reason=error.reason,
        method=error.method,
        path=error.path,
    )
