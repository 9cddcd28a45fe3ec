"""Runs kopf as the informer of our own kinds and as host of the process's life. Every workaround for kopf stands here.

Only `on.event` is used: kopf's change handlers, timers and daemons write to the objects they watch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import kopf

from keyturn.cluster import LastingReads, LastingWatch, Resource

_SERVER = "https://kubernetes.invalid"
"""Kopf builds addresses with it; only their paths are used."""

# Workarounds, each for kopf 1.45; a test of the process's end, or of its log, fails for each once kopf changes.
_DISCOVERY_COROUTINES = frozenset({"_read_old_api", "_read_new_apis", "_read_version"})
"""Coroutines in which kopf asks the API server for the kinds that it serves. kopf does not cancel them at its end."""

_HELPER_TASKS = "pause-waiter for "
"""How the name of a task begins that a watcher of kopf leaves behind if it is cancelled between two events."""

KOPF_LOG_LEVELS: Final = {
    # At debug level kopf prints whole objects; at info level, what it does for itself.
    "kopf": logging.WARNING,
}
"""The least level of kopf's loggers, whatever level was chosen."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What kopf calls.

    Attributes:
        kinds: to watch.
        seen: takes the kind and the manifest of an object that is there, as it is now.
        gone: takes the kind and the manifest of an object that is there no more.
        reads: send what kopf asks of the API server.
        stopping: ends every task of ours before it returns, since kopf waits five seconds for tasks that it takes for its own.
    """

    kinds: Sequence[Resource]
    seen: Callable[[str, Mapping[str, Any]], None]
    gone: Callable[[str, Mapping[str, Any]], None]
    reads: LastingReads
    stopping: Callable[[], Awaitable[None]]


async def watch(callbacks: Callbacks, *, namespaces: Sequence[str], stop: asyncio.Event) -> None:
    """Watch our own kinds until the process gets a signal to end, or `stop` is set.

    Args:
        callbacks: for every object and for the end.
        namespaces: those to watch, each with a watch of its own; empty for all with one watch.
        stop: set it to end from within.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_ignore_second_signal)
    try:
        await kopf.operator(
            registry=_registry(callbacks),
            settings=_settings(),
            clusterwide=not namespaces,
            namespaces=list(namespaces),
            standalone=True,
            stop_flag=stop,
        )
    finally:
        # Workaround: the loop closes what kopf leaves of its watch streams, and would log a traceback for each.
        loop.set_exception_handler(_ignore_generators)


def _ignore_second_signal(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Workaround: kopf's handler of signals sets the result of a future, which fails at the second signal."""
    if not (isinstance(context.get("exception"), asyncio.InvalidStateError) and "Signals." in context["message"]):
        loop.default_exception_handler(context)


def _ignore_generators(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if "asyncgen" not in context:
        _ignore_second_signal(loop, context)


def _registry(callbacks: Callbacks) -> kopf.OperatorRegistry:
    """A registry of our own: the global one would be shared with every other operator in the process."""
    registry = kopf.OperatorRegistry()

    def observe(resource: Resource) -> None:
        # Nothing in here may fail: kopf logs an exception of an event handler and forgets it.
        @kopf.on.event(
            resource.group, resource.version, resource.plural, registry=registry, id=f"observe {resource.kind}"
        )
        async def observed(event: kopf.RawEvent, **_: object) -> None:
            take = callbacks.gone if event["type"] == "DELETED" else callbacks.seen
            take(resource.kind, event["object"])

    for resource in callbacks.kinds:
        observe(resource)

    @kopf.on.login(registry=registry, id="log-in")
    async def log_in(**_: object) -> kopf.AiohttpSession:
        session: Any = _Session(callbacks.reads)
        return kopf.AiohttpSession(server=_SERVER, aiohttp_session=session)

    @kopf.on.cleanup(registry=registry, id="stop")
    async def stop(**_: object) -> None:
        # Workaround: kopf would wait five seconds for tasks that it left behind itself.
        for task in asyncio.all_tasks():
            discovers = getattr(task.get_coro(), "__qualname__", "") in _DISCOVERY_COROUTINES
            if discovers or task.get_name().startswith(_HELPER_TASKS):
                task.cancel()
        await callbacks.stopping()

    return registry


class _Session:
    """The part of an aiohttp session that kopf uses, over reads that wait instead of failing.

    Workaround: a watch of kopf that meets an error which it does not know, such as a right that is missing for a minute, ends the
    whole process. It also honours any Retry-After, and never knows that the API server is back.
    """

    def __init__(self, reads: LastingReads) -> None:
        self._reads = reads
        self.headers = {"User-Agent": "keyturn"}
        self.closed = False

    async def request(self, *, method: str, url: str, **_: object) -> _Response:
        if method.upper() != "GET":
            raise RuntimeError(f"kopf sends a {method}, but it must only read")
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if query.get("watch") == "true":
            return _Response(watch=await self._reads.watch(parts.path, query))
        return _Response(await self._reads.get(parts.path, query))

    async def close(self) -> None:
        self.closed = True


class _Response:
    """The part of an aiohttp response that kopf uses."""

    status = 200

    def __init__(self, body: Mapping[str, Any] | None = None, *, watch: LastingWatch | None = None) -> None:
        self._body = body
        self._watch = watch
        self.content = self

    async def json(self) -> Mapping[str, Any] | None:
        return self._body

    def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        assert self._watch is not None  # noqa: S101 - for the type checker
        return self._watch.lines()

    def close(self) -> None:
        """Kopf calls this beside leaving the block, which closes the connection."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            await self._watch.aclose()


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Without this, any peering object called "default" in the cluster could pause us.
    settings.peering.standalone = True
    # No watch on all CRDs with their full schemas; that ours is served is checked before we come here.
    settings.scanning.disabled = True
    settings.posting.enabled = False
    # Workaround: it would open a watch that brings nothing again from the same place; ours makes it list, and does so earlier.
    settings.watching.inactivity_timeout = 3600
    # Pages of this size bound the memory, and the time for which parsing holds up the loop.
    settings.watching.chunk_size = 500
    # An idle worker keeps a whole object; after the first list there is one worker for every object.
    settings.queueing.idle_timeout = 0.5
    settings.process.ultimate_exiting_timeout = 30
    # Unused as long as there are no change handlers. If one is ever added, at least nothing clashes.
    settings.persistence.finalizer = "keyturn.dev/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="keyturn.dev", v1=False)
    settings.persistence.diffbase_storage = _NoEssence()
    return settings


class _NoEssence(kopf.DiffBaseStorage):
    """Says of each object that there is nothing in it to compare with its former self.

    Workaround: kopf copies the whole object for its change handlers at each event, although we have none. That is a tenth of
    the CPU of a cold start.
    """

    def build(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        """There is nothing to store."""
