"""Stands between a client and a server on loopback and writes down what the client really sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request as it was on the wire; header names as the client wrote them."""

    line: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Hands every request on unchanged; `url` is where clients go, `sent` what they sent."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.url = ""
        self.sent: list[Sent] = []

    @classmethod
    @asynccontextmanager
    async def before(cls, upstream: str) -> AsyncIterator["Recorder"]:
        """A recorder in front of the server at `upstream`, until the block ends."""
        recorder = cls(upstream)
        connections: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(
            lambda *streams: connections.add(asyncio.create_task(recorder._serve(*streams))), "127.0.0.1", 0
        )
        recorder.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield recorder
        finally:
            server.close()
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        back = asyncio.create_task(_copy(answers, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *rest = head.decode("utf-8").removesuffix("\r\n\r\n").split("\r\n")
                headers = dict(header.split(": ", 1) for header in rest)
                length = next((value for name, value in headers.items() if name.lower() == "content-length"), "0")
                body = await reader.readexactly(int(length))
                self.sent.append(Sent(line=line, headers=headers, body=body))
                requests.write(head + body)
                await requests.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done
        finally:
            back.cancel()
            requests.close()
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
