"""A small HTTP server on this machine, which answers everything alike."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trustme


@dataclass
class LoopbackServer:
    """What a test sees of it.

    Attributes:
        port: at which it listens.
        tls: whether it speaks TLS.
        requests: method and path of each request, in order.
        asked: set when the first request came.
    """

    port: int = 0
    tls: bool = False
    requests: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


@asynccontextmanager
async def answering(
    status: int,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    cut: int | None = None,
    tls: bool = False,
) -> AsyncIterator[LoopbackServer]:
    """A server that answers with a status.

    Args:
        status: of each answer.
        headers: beside the length.
        body: of each answer.
        cut: after how many bytes of the answer's body, or before its head if 0, the connection breaks.
        tls: whether it has a certificate, of an authority that nobody knows.
    """
    seen = LoopbackServer(tls=tls)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader, seen)
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if cut != 0:
            writer.write("\r\n".join([*lines, "", ""]).encode() + body[:cut])
        await _close(writer)

    async with _listening(serve, seen) as server:
        yield server


@asynccontextmanager
async def hanging() -> AsyncIterator[LoopbackServer]:
    """A server that never answers."""
    seen, over = LoopbackServer(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader, seen)
        await over.wait()
        await _close(writer)

    async with _listening(serve, seen) as server:
        try:
            yield server
        finally:
            over.set()


@asynccontextmanager
async def _listening(serve, seen: LoopbackServer) -> AsyncIterator[LoopbackServer]:
    context = None
    if seen.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader, seen: LoopbackServer) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, path, _ = head.split(" ", 2)
    seen.requests.append(f"{method} {path}")
    length = next((line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length:")), "0")
    await reader.readexactly(int(length))
    seen.asked.set()


async def _close(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    except OSError:
        # The client went first.
        pass
