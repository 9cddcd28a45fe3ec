"""Joins requests to a vault for the same thing while one is under way. What it brings is kept by nobody: it ends with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyturn.base.call_id import current_call_id
from keyturn.base.errors import translated
from keyturn.core.vault import VaultError

_K = TypeVar("_K", bound=Hashable)
_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Flight(Generic[_T]):
    """One request under way.

    Attributes:
        call_id: that it carries to the vault.
        owner: for whom it was started.
        waiting: how many wait for it.
    """

    call_id: str
    owner: str
    task: asyncio.Task[_T]
    waiting: int = 0


class Flights(Generic[_K, _T]):
    """The requests that are under way, by what they ask for."""

    def __init__(self) -> None:
        self._flights: dict[_K, _Flight[_T]] = {}

    def __iter__(self) -> Iterator[tuple[_K, str]]:
        """What each of them asks for, and for whom it was started."""
        return ((key, flight.owner) for key, flight in self._flights.items())

    def __contains__(self, key: object) -> bool:
        return key in self._flights

    async def join(
        self, key: _K, call_id: str, start: Callable[[], Awaitable[_T]], *, owner: str = ""
    ) -> tuple[_T, str]:
        """What a request brings, and the id that it carried if that is another than this caller's, else an empty text.

        Args:
            key: of what is asked for.
            call_id: of the caller's record; the request carries it if this starts one.
            start: sends the request, unless one is under way.
            owner: for whom that is, if this starts one; left out, for nobody in particular.

        Raises:
            VaultError: the request failed, for all who wait for it.
        """
        flight = self._flights.get(key)
        upstream = "" if flight is None else flight.call_id
        if flight is None:
            flight = self._start(key, call_id, start, owner)
        flight.waiting += 1
        try:
            with translated(lambda error: error.without_traceback() if isinstance(error, VaultError) else None):
                # One caller that goes away must not end what others wait for.
                return await asyncio.shield(flight.task), upstream
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()
                self._forget(key, flight)

    def _start(self, key: _K, call_id: str, start: Callable[[], Awaitable[_T]], owner: str) -> _Flight[_T]:
        async def run() -> _T:
            current_call_id.set(call_id)
            return await start()

        flight = _Flight(call_id, owner, asyncio.get_running_loop().create_task(run(), name="read"))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda _: self._forget(key, flight))
        # Whoever waits for it may have gone when it fails.
        flight.task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return flight

    def _forget(self, key: _K, flight: _Flight[_T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
