"""Lists and watches a kind that need not be installed: as long as the API server does not serve it, there are no objects of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from keyturn.base.time import Time
from keyturn.cluster.errors import Gone, NotFound
from keyturn.cluster.list_watch import ListWatch, ObjectChange, Page, Progress

_T = TypeVar("_T")

_NOT_SERVED: Final = "not served"
"""A version at which no watch begins."""

_LOOK_AGAIN = 5.0
"""Seconds until it is looked whether the kind is served now."""


class IfServed(ListWatch[_T]):
    """Another `ListWatch`, of which no list fails because the kind is not served.

    Args:
        of: lists and watches the kind.
        time: between two looks.
    """

    def __init__(self, of: ListWatch[_T], *, time: Time) -> None:
        self._of = of
        self._time = time

    async def list(self, namespace: str) -> AsyncIterator[Page[_T]]:
        """See `ListWatch.list`."""
        try:
            async for page in self._of.list(namespace):
                yield page
        except NotFound:
            yield Page({}, _NOT_SERVED)

    @asynccontextmanager
    async def watch(self, namespace: str, version: str) -> AsyncIterator[AsyncIterator[ObjectChange[_T] | Progress]]:
        """See `ListWatch.watch`."""
        if version == _NOT_SERVED:
            yield self._wait()
            return
        async with self._of.watch(namespace, version) as changes:
            yield changes

    async def _wait(self) -> AsyncGenerator[ObjectChange[_T] | Progress, None]:
        await self._time.sleep(_LOOK_AGAIN)
        yield Progress()
        raise Gone("the kind may be served now", reason="Expired", method="GET", path="")
