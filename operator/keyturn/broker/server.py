"""Accepts clients and speaks HTTP with them, over TLS or on a loopback address, until it is drained."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import errno
import logging
import resource
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Any, Final

import h11
from uvicorn.server import ServerState

from keyturn.base.log import StateLog, info, warning
from keyturn.base.time import Time
from keyturn.broker.certificate import Certificate
from keyturn.broker.clients import Client, Clients
from keyturn.broker.guard import App, Guard
from keyturn.broker.protocol import BoundedProtocol, server_config
from keyturn.observe import Bind, CannotListen
from keyturn.observe.broker_metrics import BrokerMetrics
from keyturn.observe.broker_rows import ClosedBecause

_log = logging.getLogger(__name__)

_MOST_CLIENTS: Final = 500
"""Connections at the same time."""

_FIRST_BYTE: Final = 10.0
"""Seconds in which a client must send its first byte. Until then it costs a socket, and no memory for TLS or HTTP."""

_TLS_BUFFER: Final = 32 * 1024
"""Bytes that are read of a TLS connection at once: two records. By default, asyncio keeps 256 KiB for each connection."""

_OTHER_FILES: Final = 128
"""Files that the rest of the process may have open: connections to vaults and to the API server, the audit."""

_BACKLOG: Final = 1024
_MOST_HANDSHAKES: Final = 100
"""Clients that agree on TLS at the same time. One more ends the oldest attempt: each costs some hundred KiB."""

_HANDSHAKE: Final = 5.0
"""Seconds in which a client must have agreed on TLS."""

_TLS_END: Final = 2.0
_AFTER_FAILURE: Final = 0.1
"""Seconds until the next attempt to accept a client, if there was no file descriptor left for it."""

_AT_A_TIME: Final = 8
"""Clients that are accepted before everything else has its turn."""

_NO_ACCEPT = warning("clients {state}: {detail}")
_ACCEPTS = info("clients are accepted again after {duration}")


class BrokerServer:
    """Serves one application at several addresses.

    Args:
        app: answers requests, in the way of ASGI.
        metrics: counts answers and connections.
        time: measures them.

    Attributes:
        clients: that are connected.
    """

    def __init__(self, app: App, *, metrics: BrokerMetrics, time: Time) -> None:
        # It is the same for connections to vaults and to the API server, which lose nothing by it.
        asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER
        self._metrics = metrics
        self._guard = Guard(app, metrics=metrics, time=time)
        self._config = server_config(self._guard)
        self._state = ServerState()
        self._listeners: list[tuple[socket.socket, Certificate | None]] = []
        self._beginnings: set[asyncio.Task[None]] = set()
        # In the order in which they began.
        self._handshakes: dict[Client, None] = {}
        self._log = StateLog(_log, failed=_NO_ACCEPT, recovered=_ACCEPTS, time=time)
        self._time = time
        self.clients = Clients(most=_room_for_clients(), metrics=metrics)

    def listen(self, bind: Bind, certificate: Certificate | None) -> tuple[str, int]:
        """Open an address, which `run` then serves. Returns its host and port.

        Args:
            bind: the address.
            certificate: to serve TLS with; None for plain HTTP.

        Raises:
            CannotListen: it cannot be used.
        """
        listener = _open(bind)
        self._listeners.append((listener, certificate))
        host, port = listener.getsockname()[:2]
        return host, port

    async def run(self) -> None:
        """Accept clients until cancelled; then nobody new is accepted, and those that are connected stay."""
        try:
            async with asyncio.TaskGroup() as group:
                for listener, certificate in self._listeners:
                    group.create_task(self._accept(listener, certificate), name="accept clients")
        finally:
            for listener, _ in self._listeners:
                listener.close()

    def leave(self) -> None:
        """From now on, ask clients to close their connections after the next answer; new ones are still accepted."""
        self._guard.leaving = True

    async def drain(self, *, within: float) -> None:
        """Answer what is under way, then end all connections.

        Args:
            within: seconds after which those that are left are ended, answered or not.
        """
        self.clients.close_idle()
        for connection in tuple(self._state.connections):
            # One that was refused has nothing more to say.
            with suppress(h11.LocalProtocolError):
                connection.shutdown()
        until = self._time.monotonic() + within
        while self.clients.busy and self._time.monotonic() < until:
            await self._time.sleep(0.05)
        self.clients.close_all()
        for task in tuple(self._beginnings):
            task.cancel()

    async def _accept(self, listener: socket.socket, certificate: Certificate | None) -> None:
        loop = asyncio.get_running_loop()
        accepted = 0
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except ConnectionError:
                # It has gone already.
                continue
            except OSError as error:
                # Nothing is left for it: an idle client makes room.
                self._log.bad("cannot be accepted", error.strerror or type(error).__name__)
                self.clients.close_one()
                await self._time.sleep(_AFTER_FAILURE)
                continue
            self._log.good()
            self._begin(connection, str(address[0]), certificate)
            accepted += 1
            if accepted % _AT_A_TIME == 0:
                # While clients queue up, accepting one more never waits.
                await asyncio.sleep(0)

    def _begin(self, connection: socket.socket, address: str, certificate: Certificate | None) -> None:
        client = Client(address, connection.close)
        if not self.clients.add(client):
            connection.close()
            return
        work = self._serve(client, connection, certificate.context() if certificate else None)
        task = asyncio.get_running_loop().create_task(work, name="begin a connection")
        client.close = partial(_cancel, task)
        self._beginnings.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._beginnings.discard(done)
            if client.is_new:
                # It was cancelled before its first step.
                connection.close()

        task.add_done_callback(ended)

    async def _serve(self, client: Client, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Wait for the first byte of a client, and agree on TLS. From then on the protocol lives by itself."""
        client.is_new = begun = False
        try:
            if await self._speaks(connection):
                self._begin_handshake(client)
                await self._hand_over(client, connection, context)
                begun = True
        except OSError:
            # Also what TLS raises: the client spoke something else, does not trust us, or is gone.
            self._metrics.client_closed(ClosedBecause.NO_TLS)
        except asyncio.CancelledError:
            # It made room for another. Kept by the task, this would keep all that TLS has allocated, until Python looks for cycles.
            pass
        finally:
            self._handshakes.pop(client, None)
            if not begun:
                self.clients.remove(client)

    async def _speaks(self, connection: socket.socket) -> bool:
        """Wait until there is something to read, or the end. Returns whether that came in time; if not, the socket is closed."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(connection, readable.set)
        try:
            async with asyncio.timeout(_FIRST_BYTE):
                await readable.wait()
        except TimeoutError:
            self._metrics.client_closed(ClosedBecause.TOO_SLOW)
        finally:
            loop.remove_reader(connection)
            if not readable.is_set():
                connection.close()
        return readable.is_set()

    async def _hand_over(self, client: Client, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Agree on TLS, and leave the connection to its protocol. If that fails, asyncio closes it.

        Raises:
            OSError: that failed.
        """

        def protocol() -> BoundedProtocol:
            return BoundedProtocol(
                self._config,
                self._state,
                client=client,
                clients=self.clients,
                metrics=self._metrics,
                on_end=lambda: self.clients.remove(client),
            )

        limits: dict[str, Any] = {}
        if context is not None:
            limits = {"ssl_handshake_timeout": _HANDSHAKE, "ssl_shutdown_timeout": _TLS_END}
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(protocol, connection, ssl=context, **limits)

    def _begin_handshake(self, client: Client) -> None:
        while len(self._handshakes) >= _MOST_HANDSHAKES:
            oldest = next(iter(self._handshakes))
            del self._handshakes[oldest]
            self._metrics.client_closed(ClosedBecause.TOO_MANY)
            oldest.close()
        self._handshakes[client] = None


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _open(bind: Bind) -> socket.socket:
    every = bind.host is None
    try:
        if every and socket.has_dualstack_ipv6():
            listener = socket.create_server(
                ("", bind.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        else:
            host = bind.host or ""
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, bind.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = "another process uses it" if error.errno == errno.EADDRINUSE else (error.strerror or "not usable")
        raise CannotListen(f"cannot listen on {bind}: {why}") from None
    listener.setblocking(False)
    return listener


def _room_for_clients() -> int:
    """How many clients the process has file descriptors for, after it has asked for as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CLIENTS + _OTHER_FILES
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(_MOST_CLIENTS, soft - _OTHER_FILES), 16)
