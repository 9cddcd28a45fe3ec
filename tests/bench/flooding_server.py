"""A server that claims to be Connect, says that its vault has moved each time, and answers with 100 MiB when asked for the items.

It runs as a process of its own, so that it does not disturb what measures. Its first line says on which port it listens.
"""

import asyncio
import itertools
import json
import sys

FLOOD = 100 * 1024 * 1024
VAULT_ID = "f" * 26
_PIECE = 1024 * 1024
_VERSIONS = itertools.count(1)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ", 2)[1].decode()
            if path.endswith("/items"):
                await _flood(writer)
            elif path == "/v1/vaults":
                vault = {"id": VAULT_ID, "name": "Flood", "contentVersion": next(_VERSIONS), "items": 1}
                _send(writer, json.dumps([vault]).encode(), "application/json")
            else:
                _send(writer, b".", "text/plain")
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        # Whoever asked has had enough.
        writer.close()


def _send(writer: asyncio.StreamWriter, body: bytes, content_type: str) -> None:
    writer.write(
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


async def _flood(writer: asyncio.StreamWriter) -> None:
    """One item with a very long title, in chunks: no length says beforehand how much will come."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    start = b'[{"id": "' + b"i" * 26 + b'", "title": "'
    writer.write(b"%x\r\n%b\r\n" % (len(start), start))
    piece = b"%x\r\n%b\r\n" % (_PIECE, b"x" * _PIECE)
    for _ in range(FLOOD // _PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write(b'3\r\n"}]\r\n0\r\n\r\n')


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
