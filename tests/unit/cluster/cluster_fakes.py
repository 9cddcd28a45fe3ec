"""A scripted API server: it plays responses in order, without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.transport import ApiResponse, Request, Stream, TransportError
from support.fake_time import FakeTime


def answer(body: Any, status: int = 200, retry_after: str | None = None) -> ApiResponse:
    return ApiResponse(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


def status(code: int, reason: str, message: str = "", **details: Any) -> ApiResponse:
    return answer({"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}, code)


def watch_line(kind: str, obj: dict[str, Any]) -> bytes:
    """An event of a watch, as it is on the wire."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


class Chunks(list):
    """A stream of these pieces: it sends bytes, raises exceptions, calls callables, hangs at `None`, and then ends."""


class ScriptedTransport:
    """Plays responses, streams and failures in the order of the script, then sets `exhausted` and hangs."""

    def __init__(self, *script: ApiResponse | TransportError | Chunks) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.exhausted = asyncio.Event()
        self.open_streams = 0
        self.closed = False
        self._handler: Callable[[Request], Awaitable[Any]] | None = None

    def answers_with(self, handler: Callable[[Request], Awaitable[Any]]) -> None:
        """Answer by what a request asks for, instead of by the script."""
        self._handler = handler

    async def _next(self, request: Request) -> Any:
        self.requests.append(request)
        if self._handler is not None:
            return await self._handler(request)
        if not self.script:
            await self.hang()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def hang(self) -> None:
        """Set `exhausted`, and wait for ever."""
        self.exhausted.set()
        await asyncio.Event().wait()

    async def send(self, request: Request, deadline: float) -> ApiResponse:
        """See `Transport.send`."""
        return await self._next(request)

    @asynccontextmanager
    async def stream(self, request: Request, idle_timeout: float) -> AsyncIterator[Stream]:
        """See `Transport.stream`."""
        step = await self._next(request)
        self.open_streams += 1
        try:
            if isinstance(step, ApiResponse):
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
            if callable(piece):
                piece()
                continue
            yield piece

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self.closed = True


def scripted_cluster(*script: ApiResponse | TransportError | Chunks) -> Cluster:
    """A gateway to a scripted API server."""
    return Cluster(ScriptedTransport(*script), time=FakeTime())
