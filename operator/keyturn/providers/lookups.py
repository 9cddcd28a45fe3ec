"""Looks up the addresses of host names, each in a thread of its own.

The threads that asyncio shares out are few, and a name server can take half a minute not to answer: a name that one tenant chose
would delay the look-ups of all others. Here it delays only those who look up the same name for the same Connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread

from keyturn.providers.hosts import is_address

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to addresses, best first; it may block, and raises OSError or UnicodeError."""


def system_addresses(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the operating system looks them up."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Lookups:
    """The look-ups for one Connection. Those who ask for the same host at once share one look-up, and so one thread."""

    def __init__(self, resolve: Resolve = system_addresses) -> None:
        self._resolve = resolve
        self._under_way: dict[tuple[str, int], asyncio.Future[Sequence[str] | None]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, best first. A look-up goes on after its caller was cancelled, for the next one.

        Raises:
            socket.gaierror: there is none, or it cannot be looked up now.
        """
        if is_address(host):
            return (host,)
        answer = self._under_way.get((host, port)) or self._begin(host, port)
        if not (found := await asyncio.shield(answer)):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    def _begin(self, host: str, port: int) -> asyncio.Future[Sequence[str] | None]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str] | None] = loop.create_future()

        def finish(found: Sequence[str] | None) -> None:
            del self._under_way[host, port]
            if not answer.done():
                answer.set_result(found)

        def look_up() -> None:
            found: Sequence[str] | None = None
            # A UnicodeError is a label that no name server can be asked for.
            with suppress(OSError, UnicodeError):
                found = self._resolve(host, port)
            # The loop may have ended long before the name server answers.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(finish, found)

        try:
            Thread(target=look_up, name="lookup", daemon=True).start()
        except RuntimeError:
            raise socket.gaierror(socket.EAI_AGAIN, "No thread can be started for the look-up") from None
        # Not before: nobody may wait for an answer that never comes.
        self._under_way[host, port] = answer
        return answer
