"""The HTTP/1.1 protocol of the API port: aiohttp's, but it answers bytes that are not HTTP as Go does."""

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from typing_extensions import override

from connect_emulator.clock import Clock
from connect_emulator.http.damage import Raw, phrase
from connect_emulator.logs import SERVER

if TYPE_CHECKING:
    from aiohttp.web_server import Server

# Go takes a megabyte of headers; aiohttp's own limits would refuse long filters and tokens.
_MAX_LINE = 256 * 1024


class Protocol(web.RequestHandler):
    """One connection. A request that cannot be parsed never reaches a handler, so it has no version header, as in Go."""

    __slots__ = ()

    def __init__(self, manager: "Server", *, keep_alive_s: float) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keep_alive_s,
            access_log=None,  # type: ignore[arg-type] # what its runner passes, too
            # Go's server does not unpack request bodies.
            auto_decompress=False,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        SERVER.debug("a request could not be handled", extra={"scope": {"status": status}})
        line = f"{status} {phrase(status)}"
        head = f"HTTP/1.1 {line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{line}"
        return Raw(status, [head.encode("ascii")], clock=Clock())
