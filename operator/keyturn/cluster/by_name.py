"""Stands in for listing and watching where there is no right to either: objects are got one by one, by the names that concern us.

What we read or write ourselves is known at once. What others do to an object is known at the next look at all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

from keyturn.cluster.calls import JSON
from keyturn.cluster.errors import NotFound
from keyturn.cluster.resources import Resource
from keyturn.cluster.watching import WatchEvent
from keyturn.core.metadata import Key

_PAGE = 100

# An informer must show signs of life while nothing happens, and while a page of many is got that tells nothing new.
_SIGN_OF_LIFE = 60.0
_ALIVE = WatchEvent("BOOKMARK", {"metadata": {}})


class Getter(Protocol):
    """What is asked of a `Cluster`."""

    async def get_metadata(self, resource: Resource, namespace: str | None, name: str) -> JSON:
        """See `Cluster.get_metadata`."""
        ...


class ByName:
    """An informer's source for one kind of object, which it serves with the right to get them alone.

    Args:
        cluster: where to get them.
        resource: the kind.
        names: the keys of all that concern us now.
        label: key and value of the label that ours have.
        interval: seconds between two looks at all of them, give or take a tenth.
        chance: random numbers from 0 up to 1.
        clock: monotonic seconds.

    Attributes:
        named: to be set once `names` is complete; nothing is asked before.
    """

    def __init__(
        self,
        cluster: Getter,
        resource: Resource,
        *,
        names: Callable[[], Iterable[Key]],
        label: tuple[str, str],
        interval: float,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._names = names
        self._label = label
        self._interval = interval
        self._chance = chance
        self._clock = clock
        self._echoes: dict[str | None, asyncio.Queue[WatchEvent]] = {}
        self._told: dict[str | None, dict[Key, tuple[str, int]]] = {}
        self._due: dict[str | None, float] = {}
        self.named = asyncio.Event()

    def take(self, resource: Resource, answer: Mapping[str, Any]) -> None:
        """Learn from an answer of the API server to a call of ours; nothing but its metadata is kept."""
        if resource != self._resource:
            return
        event = self._event(answer)
        for namespace in (None, event.object["metadata"].get("namespace")):
            if namespace in self._echoes:
                self._echoes[namespace].put_nowait(event)

    async def pages(
        self,
        resource: Resource,  # noqa: ARG002 - as an informer asks
        namespace: str | None,
        *,
        label_selector: str,  # noqa: ARG002
        accept: str,  # noqa: ARG002
        size: int,  # noqa: ARG002
    ) -> AsyncIterator[JSON]:
        """All that are there, as a list in pages; see `Cluster.pages`.

        Raises:
            ClusterError: one of them could not be got.
        """
        await self.named.wait()
        # What is told from now on may be newer than what is got.
        self._echoes[namespace] = asyncio.Queue()
        self._told[namespace] = {}
        page: list[JSON] = []
        async with aclosing(self._look(namespace)) as events:
            async for event in events:
                if event is not _ALIVE:
                    page.append(event.object)
                else:
                    yield {"items": page, "metadata": {"resourceVersion": "by-name"}}
                    page = []
        yield {"items": page, "metadata": {"resourceVersion": "by-name"}}

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,  # noqa: ARG002 - as an informer asks
        namespace: str | None,
        *,
        resource_version: str,  # noqa: ARG002
        label_selector: str,  # noqa: ARG002
        accept: str,  # noqa: ARG002
        timeout_seconds: int,  # noqa: ARG002
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """What becomes known of them, without end; see `Cluster.watch`.

        Raises:
            ClusterError: one of them could not be got.
        """
        async with aclosing(self._follow(namespace)) as events:
            yield events

    async def _follow(self, namespace: str | None) -> AsyncGenerator[WatchEvent]:
        echoes = self._echoes[namespace]
        while True:
            patience = min(_SIGN_OF_LIFE, max(0.0, self._due[namespace] - self._clock()))
            try:
                event = await asyncio.wait_for(echoes.get(), patience)
            except TimeoutError:
                event = _ALIVE
            if event is _ALIVE or self._is_news(namespace, event):
                yield event
            if self._clock() >= self._due[namespace]:
                async with aclosing(self._look(namespace)) as events:
                    async for event in events:
                        yield event

    async def _look(self, namespace: str | None) -> AsyncGenerator[WatchEvent]:
        """Get all of them anew, and show life once a page."""
        wanted = {key for key in self._names() if namespace in {None, key[0]}}
        for number, key in enumerate(sorted(wanted | self._told[namespace].keys()), start=1):
            event = WatchEvent("DELETED", {"metadata": {"namespace": key[0], "name": key[1]}})
            if key in wanted:
                with contextlib.suppress(NotFound):
                    event = self._event(await self._cluster.get_metadata(self._resource, *key))
            if self._is_news(namespace, event):
                yield event
            if number % _PAGE == 0:
                yield _ALIVE
        self._due[namespace] = self._clock() + self._interval * (0.9 + 0.2 * self._chance())

    def _is_news(self, namespace: str | None, event: WatchEvent) -> bool:
        """Whether an event is no older than what was told of its object: answers may overtake each other."""
        metadata, told = event.object["metadata"], self._told[namespace]
        key = (metadata["namespace"], metadata["name"])
        if event.type == "DELETED":
            return told.pop(key, None) is not None
        seen = (metadata["uid"], int(metadata["resourceVersion"]))
        before = told.get(key)
        if before is not None and before[0] == seen[0] and seen[1] <= before[1]:
            return False
        told[key] = seen
        return True

    def _event(self, answer: Mapping[str, Any]) -> WatchEvent:
        metadata = answer["metadata"]
        label, value = self._label
        ours = (metadata.get("labels") or {}).get(label) == value
        return WatchEvent("MODIFIED" if ours else "DELETED", {"metadata": metadata})
