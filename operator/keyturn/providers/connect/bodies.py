"""Reads a body up to a limit of decoded bytes, so that neither size nor compression can exhaust the memory."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

_GZIP = 16 + zlib.MAX_WBITS


class TooMuch(Exception):
    """The body has more decoded bytes than allowed; the rest was not read."""


class Undecodable(Exception):
    """The body is not encoded as its header says, or ends too early."""


async def collect(chunks: AsyncIterable[bytes], *, encoding: str, limit: int) -> bytes:
    """Gather a body.

    Args:
        chunks: the bytes as they come from the wire.
        encoding: the Content-Encoding. Only gzip is accepted, since only gzip is offered.
        limit: decoded bytes that are allowed.

    Raises:
        TooMuch: at the first byte beyond the limit.
        Undecodable: unknown encoding, damaged or cut short.
    """
    if encoding in {"", "identity"}:
        return await _collect_plain(chunks, limit)
    if encoding in {"gzip", "x-gzip"}:
        return await _collect_gzip(chunks, limit)
    raise Undecodable


async def _collect_plain(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise TooMuch
    return bytes(body)


async def _collect_gzip(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    body = bytearray()
    inflater = zlib.decompressobj(_GZIP)
    async for chunk in chunks:
        rest = chunk
        while rest:
            if inflater.eof:
                inflater = zlib.decompressobj(_GZIP)
            try:
                # One byte more than allowed is enough to know, however large the rest would become.
                body += inflater.decompress(rest, limit - len(body) + 1)
            except zlib.error:
                raise Undecodable from None
            if len(body) > limit:
                raise TooMuch
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if body and not inflater.eof:
        raise Undecodable
    return bytes(body)
