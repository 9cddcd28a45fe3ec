"""Answers that go wrong on the wire, as a fault rule asks for."""

import asyncio
import gzip
import socket
import struct
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from typing_extensions import override

from connect_emulator.clock import Clock
from connect_emulator.faults import FaultRule
from connect_emulator.http.answers import JSON, Answer
from connect_emulator.http.wire import Wire

_HTML = b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>%s</h1></body></html>\n"
_LONGEST_HANG_S = 30.0


class Raw(web.StreamResponse):
    """Bytes written to the connection as they are, piece by piece; the connection ends afterwards.

    The handler sends it itself, so that the request log knows when it ended; aiohttp's own `prepare` finds it sent.
    """

    def __init__(
        self, status: int, pieces: list[bytes], *, clock: Clock, pause_s: float = 0.0, linger: bool = False
    ) -> None:
        super().__init__(status=status)
        self._pieces = pieces
        self._clock = clock
        self._pause_s = pause_s
        self._linger = linger
        self._sent = False

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self.force_close()
        if self._sent:
            return None
        self._sent = True
        transport = request.transport
        for number, piece in enumerate(self._pieces):
            if number and self._pause_s:
                await self._clock.sleep(self._pause_s)
            if transport is None or transport.is_closing():
                return None
            transport.write(piece)
        if self._linger:
            await asyncio.sleep(_LONGEST_HANG_S)
        if transport is not None:
            transport.close()
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        """Everything is written by `prepare`."""


def reset(request: web.BaseRequest) -> None:
    """End the connection with a TCP reset."""
    if request.transport is not None:
        reset_transport(request.transport)


def reset_transport(transport: asyncio.BaseTransport) -> None:
    """End a connection with a TCP reset, which takes an unlingering close."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def substitute(rule: FaultRule, *, wire: Wire, now: float) -> Answer | None:
    """The answer that a rule gives in place of the good one, if its kind does that."""
    headers = rule.extra_headers(now)
    status = rule.status
    if rule.kind == "status":
        status = status or 500
        return Answer(status=status, body=wire.error(status, rule.message), headers=headers)
    if rule.kind == "html":
        status = status or 200
        page = _HTML % (status, phrase(status).encode())
        return Answer(status=status, body=page, content_type="text/html; charset=utf-8", headers=headers)
    if rule.kind == "json":
        return Answer(status=status or 200, body=wire.encode(rule.body), headers=headers)
    if rule.kind == "empty":
        return Answer(status=status or 200, content_type="", headers=headers)
    if rule.kind == "redirect":
        return Answer(status=status or 302, content_type="", headers={**headers, "Location": rule.location})
    return None


def spoilt(rule: FaultRule, answer: Answer, *, now: float) -> Answer:
    """The good answer with its bytes changed, if the rule does that; always with the rule's headers and padding."""
    body = answer.body + b" " * rule.pad_bytes
    headers = {**answer.headers, **rule.extra_headers(now)}
    if rule.kind == "gzip":
        body = gzip.compress(body, mtime=0)
        headers["Content-Encoding"] = "gzip"
    elif rule.kind == "invalid_utf8":
        # Inside the first string of the JSON: there a decoder fails on the encoding and not on the grammar.
        before, quote, after = body.partition(b'"')
        body = before + (quote or b'"') + b"\xff\xfe\xc3" + after
    elif rule.kind == "invalid_json":
        body = body[: max(1, len(body) - 2)] + b","
    return replace(answer, body=body, headers=headers)


def broken(rule: FaultRule, answer: Answer, head: dict[str, str], *, clock: Clock) -> Raw | None:
    """The good answer as raw bytes with a broken frame, if the rule breaks frames; `head` are the headers so far."""
    body, length = answer.body, len(answer.body)
    pieces, whole, pause_s, linger = [body], True, 0.0, False
    if rule.kind in {"truncate", "stall"}:
        pieces, whole, linger = [body[: length // 2]], False, rule.kind == "stall"
    elif rule.kind == "wrong_length":
        length = max(0, length + rule.length_error)
        linger = rule.length_error > 0
    elif rule.kind == "drip":
        size = rule.drip_bytes
        pieces = [body[place : place + size] for place in range(0, len(body), size)]
        pause_s = rule.drip_s
    elif rule.framing == "length":
        return None
    head = dict(head)
    if rule.framing == "length":
        head["Content-Length"] = str(length)
    elif rule.framing == "chunked":
        head["Transfer-Encoding"] = "chunked"
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
        if whole:
            pieces.append(b"0\r\n\r\n")
    else:
        head["Connection"] = "close"
    lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}", *(f"{name}: {value}" for name, value in head.items())]
    start = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    # The head goes out alone, so that a client waits for a body that has begun.
    return Raw(answer.status, [start, *pieces], clock=clock, pause_s=pause_s, linger=linger)


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def content_type(answer: Answer) -> str:
    """The Content-Type of an answer, JSON if it has a body and names none."""
    return answer.content_type or (JSON if answer.body else "")
