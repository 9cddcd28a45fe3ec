"""Reads a body up to a limit, so that neither its size, nor its compression, nor its shape can exhaust the memory."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from keyturn.providers.weighing import Scale

_GZIP = 16 + zlib.MAX_WBITS


_PIECE = 64 * 1024
"""Bytes that are decoded and weighed at a time."""


class TooMuch(Exception):
    """The body holds more than allowed, which the text says; the rest was not read."""


class Undecodable(Exception):
    """The body is not encoded as its header says, or ends too early."""


async def collect(chunks: AsyncIterable[bytes], *, encoding: str, limit: int, weight: int | None = None) -> bytes:
    """Gather a body.

    Args:
        chunks: the bytes as they come from the wire.
        encoding: the Content-Encoding. Only gzip is accepted, since only gzip is offered.
        limit: decoded bytes that are allowed.
        weight: of JSON, that is allowed; None to weigh nothing.

    Raises:
        TooMuch: at the first byte beyond the limit, or at the first piece beyond the weight.
        Undecodable: unknown encoding, damaged or cut short.
    """
    body = _Body(limit=limit, weight=weight)
    if encoding in {"", "identity"}:
        async for chunk in chunks:
            body.add(chunk)
    elif encoding in {"gzip", "x-gzip"}:
        await _collect_gzip(chunks, body)
    else:
        raise Undecodable
    return bytes(body.decoded)


class _Body:
    """The decoded bytes so far."""

    def __init__(self, *, limit: int, weight: int | None) -> None:
        self.decoded = bytearray()
        self._limit = limit
        self._weight = weight
        self._scale = Scale()

    @property
    def room(self) -> int:
        """How many bytes to decode next: a piece, or one byte more than allowed, which is enough to know."""
        return min(_PIECE, self._limit - len(self.decoded) + 1)

    def add(self, piece: bytes) -> None:
        self.decoded += piece
        if len(self.decoded) > self._limit:
            raise TooMuch(f"more than {self._limit} bytes")
        if self._weight is None:
            return
        for start in range(0, len(piece), _PIECE):
            if self._scale.add(piece[start : start + _PIECE]) > self._weight:
                raise TooMuch("more members than any honest answer has")


async def _collect_gzip(chunks: AsyncIterable[bytes], body: _Body) -> None:
    inflater = zlib.decompressobj(_GZIP)
    begun = False
    async for chunk in chunks:
        rest, more = chunk, bool(chunk)
        while more:
            begun = True
            if inflater.eof:
                inflater = zlib.decompressobj(_GZIP)
            room = body.room
            try:
                piece = inflater.decompress(rest, room)
            except zlib.error:
                raise Undecodable from None
            body.add(piece)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            # A full piece may have left decoded bytes behind, although all of the chunk was taken.
            more = bool(rest) or (len(piece) == room and not inflater.eof)
    if begun and not inflater.eof:
        raise Undecodable
