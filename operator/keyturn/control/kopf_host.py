"""Runs kopf as the informer of OnePasswordItems and as host of the process's life, and nothing more.

Only `on.event` is used: kopf's change handlers, timers and daemons write to the objects they watch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import kopf

from keyturn.cluster import Credentials
from keyturn.core import names

KOPF_LOG_LEVELS: Final = {
    # It logs whole objects at debug level, and at info level what it does for itself.
    "kopf": logging.WARNING,
    # It logs each failed attempt of its watch as an error. Our own watches log once that the API server is away.
    "kopf._cogs.clients.watching": logging.CRITICAL,
}
"""The least levels of kopf's loggers."""

_PLURAL = "onepassworditems"
_KOPFS_QUESTIONS = frozenset({"_read_old_api", "_read_new_apis", "_read_version"})
"""The coroutines in which kopf asks the API server for the kinds there are."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the operator wants to be told and asked.

    Attributes:
        seen: an object is there, as it is now.
        gone: an object is not there any more.
        log_in: how to reach the API server; asked again when the answer has expired or was refused.
        stopping: the process was asked to end; must end every task of ours before it returns, since kopf waits five
            seconds for tasks that it takes for its own.
    """

    seen: Callable[[Mapping[str, Any]], None]
    gone: Callable[[Mapping[str, Any]], None]
    log_in: Callable[[], Awaitable[Credentials]]
    stopping: Callable[[], Awaitable[None]]


async def watch(callbacks: Callbacks, *, namespaces: Sequence[str], stop: asyncio.Event) -> None:
    """Watch OnePasswordItems until the process gets a signal to end, or `stop` is set.

    Args:
        callbacks: told of every object and of the end.
        namespaces: those to watch, each with a watch of its own; empty for all with one watch.
        stop: set it to end from within.
    """
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
        # What kopf leaves of its watch streams is closed with the loop, all at once, and complains with a traceback.
        asyncio.get_running_loop().set_exception_handler(_silent_about_generators)


def _silent_about_generators(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if "asyncgen" not in context:
        loop.default_exception_handler(context)


def _registry(callbacks: Callbacks) -> kopf.OperatorRegistry:
    """A registry of our own: the global one would be shared with every other operator in the process."""
    registry = kopf.OperatorRegistry()

    # Nothing in here may fail: kopf logs an exception of an event handler and forgets it.
    @kopf.on.event(names.GROUP, names.VERSION, _PLURAL, registry=registry, id="observe")
    async def observe(event: kopf.RawEvent, **_: object) -> None:
        if event["type"] == "DELETED":
            callbacks.gone(event["object"])
        else:
            callbacks.seen(event["object"])

    @kopf.on.login(registry=registry, id="log-in")
    async def log_in(**_: object) -> kopf.ConnectionInfo:
        credentials = await callbacks.log_in()
        return kopf.ConnectionInfo(
            server=credentials.server,
            default_namespace=credentials.default_namespace,
            ca_path=credentials.ca_path,
            certificate_path=credentials.certificate_path,
            private_key_path=credentials.private_key_path,
            scheme=credentials.scheme or None,
            token=credentials.token or None,
            insecure=credentials.insecure,
            proxy_url=credentials.proxy,
            trust_env=credentials.trust_env,
            expiration=credentials.expires,
        )

    @kopf.on.cleanup(registry=registry, id="stop")
    async def stop(**_: object) -> None:
        # A watcher of kopf that is cancelled between two events leaves a helper of its own behind, and one that still asks
        # for the kinds there are leaves its requests, which log in again and again. kopf would wait five seconds for them.
        for task in asyncio.all_tasks():
            asks = getattr(task.get_coro(), "__qualname__", "") in _KOPFS_QUESTIONS
            if asks or task.get_name().startswith("pause-waiter for "):
                task.cancel()
        await callbacks.stopping()

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Without this, a peering object called "default" in the cluster, of anybody's, could pause us.
    settings.peering.standalone = True
    # No watch on all CRDs with their full schemas; that ours is served is checked before we come here.
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.server_timeout = 600
    # Pages of this size bound the memory, and the time for which parsing holds up the loop.
    settings.watching.chunk_size = 500
    # Idle workers keep a whole object each; after the first list there is one for every object.
    settings.queueing.idle_timeout = 0.5
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.process.ultimate_exiting_timeout = 30
    # Unused as long as there are no change handlers; should one ever be added, at least nothing clashes.
    settings.persistence.finalizer = "keyturn.dev/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="keyturn.dev", v1=False)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="keyturn.dev")
    return settings
