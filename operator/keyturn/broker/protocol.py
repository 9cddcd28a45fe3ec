"""HTTP/1.1 for one connection of a client: uvicorn's protocol, with bounds for headers, and for the time in which they must come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from keyturn.broker.clients import Client, Clients
from keyturn.broker.guard import refusal
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.observe.broker_rows import ClosedBecause

LONGEST_HEADERS: Final = 64 * 1024
"""Bytes of a request line with its headers."""

_SLICE: Final = 16 * 1024

HEADERS_WITHIN: Final = 10.0
"""Seconds from the beginning of a connection, or of a further request, to the end of its headers."""

_KEPT_ALIVE: Final = 60
"""Seconds for which a connection stays open between two requests."""

_LINGER: Final = 2.0
"""Seconds in which a client that is still sending may notice that it was refused. Closed at once, the answer would be lost."""


def server_config(app: Any) -> Config:
    """What uvicorn's protocol takes its settings from; its own server, signals and logs are not used."""
    config = Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEPT_ALIVE,
        h11_max_incomplete_event_size=LONGEST_HEADERS,
    )
    config.load()
    return config


class BoundedProtocol(H11Protocol):
    """One connection.

    Args:
        config: see `server_config`.
        state: of the server.
        client: this connection in the table.
        clients: the table.
        metrics: counts what is closed early.
        on_end: called once when it has ended.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        *,
        client: Client,
        clients: Clients,
        metrics: BrokerMetrics,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(config, state, {})
        self._client = client
        self._clients = clients
        self._metrics = metrics
        self._on_end = on_end
        self._late: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._client.close = transport.abort
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._headers_came()
        super().connection_lost(exc)
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._late is None and not self._is_busy():
            self._expect_headers()
        # h11 only counts headers that are not complete yet, and one piece of data may hold very long ones.
        for start in range(0, len(data), _SLICE):
            if not self._refused:
                super().data_received(data[start : start + _SLICE])
        if self._refused:
            return
        if self._is_busy():
            self._headers_came()
            if not self._client.busy:
                self._clients.begin(self._client)

    def on_response_complete(self) -> None:
        """See `H11Protocol`: the answer is out, or there is nobody who takes it."""
        super().on_response_complete()
        if not self._is_busy():
            self._clients.end(self._client)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text, for every error the same
        """Answer what is no HTTP, or too long."""
        # It is called while the error is handled, which knows the status: 431 for headers that are too long.
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._headers_came()
        self._refused = True
        if self._is_busy():
            # It was the body of a request, to which nothing more can be answered.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers, body = refusal(status)
            for event in (
                h11.Response(status_code=status, headers=[*headers, (b"connection", b"close")]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._late = self.loop.call_later(_LINGER, self.transport.close)

    def _is_busy(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_headers(self) -> None:
        self._late = self.loop.call_later(HEADERS_WITHIN, self._too_slow)

    def _headers_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_slow(self) -> None:
        self._metrics.client_closed(ClosedBecause.TOO_SLOW)
        self.transport.abort()
