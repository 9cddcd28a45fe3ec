"""The real transport against a loopback server with faults."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from keyturn.cluster.transport import ApiTransport, Request, TransportError
from support.patience import PATIENCE_S


class Server:
    """A loopback server with one path for each behaviour."""

    def __init__(self):
        self.url = ""
        self.requests = []
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self.release = asyncio.Event()

    async def echo(self, request):
        """Respond with the size of the body."""
        self.requests.append(request)
        return web.json_response({"bytes": len(await request.read())})

    async def hang(self, request):
        """Never respond; `arrived` and `gone` are set when the client connects and disconnects."""
        self.requests.append(request)
        self.arrived.set()
        try:
            await self.release.wait()
        finally:
            self.gone.set()
        return web.Response()

    async def drip(self, request):
        """Send one line, then nothing more."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        try:
            await self.release.wait()
        finally:
            self.gone.set()
        return response

    async def cut(self, request):
        """Announce more bytes than are sent."""
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"short canary")
        request.transport.close()
        return response

    async def elsewhere(self, request):
        """Redirect."""
        self.requests.append(request)
        raise web.HTTPFound("/echo")

    async def busy(self, request):
        """Respond with 429 and Retry-After."""
        return web.json_response({}, status=429, headers={"Retry-After": "7"})


@pytest.fixture
async def server():
    server = Server()
    app = web.Application(client_max_size=8 << 20)
    for name in ("echo", "hang", "drip", "cut", "elsewhere", "busy"):
        app.router.add_route("*", f"/{name}", getattr(server, name))
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    server.release.set()
    await runner.cleanup()


@asynccontextmanager
async def transport_to(url, pool_size=20):
    transport = ApiTransport(Configuration(host=url), pool_size)
    try:
        yield transport
    finally:
        await transport.aclose()


@pytest.fixture
async def transport(server):
    async with transport_to(server.url) as made:
        yield made


async def failure(transport, path, deadline=30.0):
    with pytest.raises(TransportError) as failed:
        await transport.send(Request("GET", path), deadline)
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None
    return failed.value


async def test_a_body_beyond_a_mebibyte_goes_out_whole(transport):
    """A Secret of 1 MiB is legal, and larger as JSON; aiohttp warns of such bodies, and tests make warnings errors."""
    answer = await transport.send(Request("PATCH", "/echo", body={"data": "x" * 3_000_000}), 30.0)

    assert answer.status == 200
    assert answer.body == b'{"bytes": 3000012}'


async def test_the_deadline_ends_a_call_and_its_connection(server, transport):
    """The server notices that the client disconnected."""
    failed = await failure(transport, "/hang", deadline=0.5)

    assert failed.timed_out
    await asyncio.wait_for(server.gone.wait(), PATIENCE_S)


async def test_cancelling_ends_a_call_and_its_connection(server, transport):
    """No request goes on after its caller was cancelled."""
    call = asyncio.create_task(transport.send(Request("GET", "/hang"), 30.0))
    await server.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    await asyncio.wait_for(server.gone.wait(), PATIENCE_S)


async def test_an_idle_stream_counts_as_broken(server, transport):
    """The error is raised after the given pause without a byte."""
    async with transport.stream(Request("GET", "/drip"), 0.05) as stream:
        assert await anext(stream.chunks) == b"one\n"
        with pytest.raises(TransportError) as failed:
            await anext(stream.chunks)

    assert failed.value.timed_out
    await asyncio.wait_for(server.gone.wait(), PATIENCE_S)


async def test_the_kernel_probes_idle_peers(server, transport):
    """Keep-alive probes break the connection to a vanished peer within about a minute."""
    async with transport.stream(Request("GET", "/drip"), 30.0):
        pool = transport._streams.rest_client.pool_manager._session.connector
        [connected] = [protocol.transport.get_extra_info("socket") for protocol in pool._acquired]

        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


async def test_leaving_a_stream_closes_its_connection(server, transport):
    """A half-read response never returns to the pool."""
    async with transport.stream(Request("GET", "/drip"), 30.0) as stream:
        async for _ in stream.chunks:
            break

    await asyncio.wait_for(server.gone.wait(), PATIENCE_S)


async def test_streams_take_no_connection_from_calls(server):
    """Watches of many namespaces take no connection from the pool of ordinary calls."""
    async with (
        transport_to(server.url, pool_size=1) as transport,
        transport.stream(Request("GET", "/drip"), 30.0),
        transport.stream(Request("GET", "/drip"), 30.0),
        transport.stream(Request("GET", "/drip"), 30.0),
    ):
        answer = await transport.send(Request("GET", "/echo"), 5.0)

    assert answer.status == 200


async def test_no_more_calls_are_in_flight_than_the_pool_allows(server):
    """The others wait, and their deadline counts while they do."""
    async with transport_to(server.url, pool_size=1) as transport:
        first = asyncio.create_task(transport.send(Request("GET", "/hang"), 30.0))
        await server.arrived.wait()
        failed = await failure(transport, "/echo", deadline=0.05)
        server.release.set()
        await first

    assert failed.timed_out
    assert len(server.requests) == 1


async def test_a_cut_response_is_reported_by_its_kind_only(transport):
    """The received bytes stay out of the text."""
    failed = await failure(transport, "/cut")

    assert str(failed) == "ClientPayloadError"


async def test_a_redirect_is_not_followed(server, transport):
    """No other server must be sent a body that was meant for the API server."""
    answer = await transport.send(Request("PATCH", "/elsewhere", body={"data": "canary"}), 30.0)

    assert answer.status == 302
    assert len(server.requests) == 1


async def test_retry_after_is_passed_on(transport):
    """The header arrives unchanged."""
    answer = await transport.send(Request("GET", "/busy"), 30.0)

    assert (answer.status, answer.retry_after) == (429, "7")


async def test_a_refused_connection_names_host_and_port():
    """The text has the address on which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with transport_to(f"http://127.0.0.1:{port}") as transport:
            failed = await failure(transport, "/echo")

    assert f"127.0.0.1:{port}" in str(failed)
    assert not failed.timed_out


class Fence:
    """Closed while it has a reason."""

    def __init__(self, why=None):
        self.why = why

    def __call__(self):
        return self.why


@asynccontextmanager
async def fenced(server, *, pool_size=20, why=None):
    fence = Fence(why)
    transport = ApiTransport(Configuration(host=server.url), pool_size, write_fence=fence)
    try:
        yield transport, fence
    finally:
        await transport.aclose()


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_the_fence_holds_back_every_write_and_no_read(server, method):
    """A replica that may have lost the Lease may only read, and its connections stay usable."""
    async with fenced(server, why="the Lease is not ours") as (transport, fence):
        assert (await transport.send(Request("GET", "/echo"), 30.0)).status == 200
        with pytest.raises(TransportError, match="the Lease is not ours") as failed:
            await transport.send(Request(method, "/echo", body={}), 30.0)
        assert failed.value.fenced
        assert len(server.requests) == 1

        fence.why = None
        assert (await transport.send(Request(method, "/echo", body={}), 30.0)).status == 200
        assert len(server.requests) == 2


async def test_the_fence_is_asked_after_the_wait_for_a_connection(server):
    """A write that waited for its connection is not sent if the Lease was lost meanwhile."""
    async with fenced(server, pool_size=1) as (transport, fence):
        first = asyncio.create_task(transport.send(Request("GET", "/hang"), 30.0))
        await server.arrived.wait()
        second = asyncio.create_task(transport.send(Request("PATCH", "/echo", body={}), 30.0))
        await asyncio.sleep(0)
        fence.why = "not renewed for too long"
        server.release.set()
        await first

        with pytest.raises(TransportError, match="not renewed for too long"):
            await second
        assert len(server.requests) == 1
