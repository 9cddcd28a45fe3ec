"""Servers that misbehave byte by byte, on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from keyturn.base.time import Time
from keyturn.providers.connect import ConnectClient, ConnectSettings, StaticToken, TokenSource

VAULT = "vaultvaultvaultvaultvault1"
ITEM = "itemitemitemitemitemitem12"
FILE = "filefilefilefilefilefile12"

Play = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection, seen from the server."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> str:
        """The head of the next request; empty at the end of the connection."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""
        return head.decode("latin-1")

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
        await self.writer.drain()

    async def answer(self, body: Any = (), *, status: int = 200, **headers: str) -> None:
        await self.send(http(body, status=status, **headers))

    def reset(self) -> None:
        """Break the connection as a crashed host does, without closing it."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def http(body: Any = (), *, status: int = 200, **headers: str) -> bytes:
    """An answer with a length; anything but bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Server:
    """What a running server has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.accepted = 0
        self.open = 0
        self.most_open = 0
        self.heads: list[str] = []
        self.calm = asyncio.Event()


@asynccontextmanager
async def serving(play: Play, *, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Server]:
    """Run `play` for each connection, and end all of them at the end."""
    seen = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Connection(seen.accepted, reader, writer)
        seen.accepted += 1
        seen.open += 1
        seen.calm.clear()
        seen.most_open = max(seen.most_open, seen.open)
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await play(connection)
        finally:
            seen.open -= 1
            if not seen.open:
                seen.calm.set()
            tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError, TimeoutError):
                await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls)
    number = server.sockets[0].getsockname()[1]
    seen.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{number}"
    try:
        yield seen
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def script(*plays: Play) -> Play:
    """The first connection gets the first play, and so on; the last play serves all later ones."""

    async def play(connection: Connection) -> None:
        await plays[min(connection.number, len(plays) - 1)](connection)

    return play


def steady(body: Any = (), *, status: int = 200, **headers: str) -> Play:
    """Answer every request of a connection with the same body."""

    async def play(connection: Connection) -> None:
        while await connection.request():
            await connection.answer(body, status=status, **headers)

    return play


@asynccontextmanager
async def client_of(url: str, *, token: TokenSource | None = None, **settings: Any) -> AsyncIterator[ConnectClient]:
    """A client, closed at the end."""
    client = ConnectClient(ConnectSettings(host=url, **settings), token=token or StaticToken("t0ken"), time=Time())
    try:
        yield client
    finally:
        await client.close()
