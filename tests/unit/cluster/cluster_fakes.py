"""An API server made of a script: what comes back, in order, without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from keyturn.cluster.transport import Answer, Request, Stream, TransportError


def answer(body: Any, status: int = 200, retry_after: str | None = None) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


def status(code: int, reason: str, message: str = "", **details: Any) -> Answer:
    return answer({"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}, code)


class Chunks(list):
    """A stream that gives these pieces, raises those that are exceptions, and ends; `None` falls silent for ever."""


class ScriptedTransport:
    """Plays answers, streams and failures in the order of the script, then hangs; `exhausted` says when it got there."""

    def __init__(self, *script: Answer | TransportError | Chunks) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.exhausted = asyncio.Event()
        self.open_streams = 0
        self.closed = False

    async def _next(self, request: Request) -> Any:
        self.requests.append(request)
        if not self.script:
            await self.hang()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def hang(self) -> None:
        """Wait for ever, and tell that the script is at its end."""
        self.exhausted.set()
        await asyncio.Event().wait()

    async def send(self, request: Request, deadline: float) -> Answer:
        """See `Transport.send`."""
        return await self._next(request)

    @asynccontextmanager
    async def stream(self, request: Request, silence: float) -> AsyncIterator[Stream]:
        """See `Transport.stream`."""
        step = await self._next(request)
        self.open_streams += 1
        try:
            if isinstance(step, Answer):
                yield Stream(step.status, self._chunks([step.body]), step.retry_after)
            else:
                yield Stream(200, self._chunks(step))
        finally:
            self.open_streams -= 1

    async def _chunks(self, pieces: list[Any]) -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                await self.hang()
            yield piece

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self.closed = True
