"""The server below httpx without a network, and on a real socket with TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Event, Thread

import httpx
import trustme
from aiohttp import web

from support.bitwarden_server.server import Answer, BitwardenServer, Seen
from support.patience import PATIENCE_S


class ServerTransport(httpx.AsyncBaseTransport):
    """Passes requests to a server in this process; `closed` once it is closed."""

    def __init__(self, server: BitwardenServer) -> None:
        self._server = server
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = b"".join([piece async for piece in request.stream])  # type: ignore[union-attr]
        seen = Seen(request.method, request.url.raw_path.decode(), {**headers, "host": request.url.host}, body)
        answer = self._server.answer(seen)
        if answer.seconds:
            await asyncio.sleep(answer.seconds)
        if answer.dropped:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=_Stream(answer))

    async def aclose(self) -> None:
        self.closed = True


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = self._answer.body[: self._answer.cut]
        size = 1 if self._answer.pause else max(1, len(body))
        for start in range(0, len(body), size):
            yield body[start : start + size]
            if self._answer.pause:
                await asyncio.sleep(self._answer.pause)
        if self._answer.cut is not None:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


@asynccontextmanager
async def served(server: BitwardenServer, authority: trustme.CA) -> AsyncIterator[str]:
    """Serve it on a port of this machine, by https. Gives the address, which becomes the server's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = server.answer(Seen(request.method, request.path_qs, headers, await request.read()))
        if answer.seconds:
            await asyncio.sleep(answer.seconds)
        if answer.dropped and request.transport is not None:
            request.transport.abort()
        if answer.cut is None:
            whole = web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
            # No connection is left open when the server ends.
            whole.force_close()
            return whole
        response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: answer.cut])
        if request.transport is not None:
            request.transport.abort()
        return response

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"https://localhost:{port}"
        yield server.url
    finally:
        await runner.cleanup()


@contextmanager
def served_beside(server: BitwardenServer, authority: trustme.CA) -> Iterator[str]:
    """The same in a thread of its own, for tests that wait for programs."""
    began, ended = Event(), Event()

    async def serve() -> None:
        async with served(server, authority):
            began.set()
            while not await asyncio.to_thread(ended.wait, 0.1):
                pass

    thread = Thread(target=asyncio.run, args=(serve(),), name="bitwarden server")
    thread.start()
    try:
        assert began.wait(PATIENCE_S)
        yield server.url
    finally:
        ended.set()
        thread.join()
