"""What clients may do to the server: a real one on loopback, in this process, with an application that answers at once."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme

from keyturn.base.time import Time
from keyturn.broker import protocol, server
from keyturn.broker.certificate import Certificate, CertificateUnusable
from keyturn.broker.protocol import LONGEST_HEADERS
from keyturn.broker.server import BrokerServer
from keyturn.observe import Bind, CannotListen
from support.broker_context import broker_metrics
from support.operator import eventually
from support.patience import PATIENCE_S

ANY = Bind("127.0.0.1", 0)
GET = b"GET /v1/read HTTP/1.1\r\nHost: broker\r\n\r\n"


class Serving:
    """A server with an application that can be held up.

    Attributes:
        held: while it is not set, no request is answered.
        begun: how many requests have reached the application. It answers `/early` without reading the body.
    """

    def __init__(self):
        self.metrics = broker_metrics(Time())
        self.held = asyncio.Event()
        self.held.set()
        self.begun = 0
        self.server = BrokerServer(self._app, metrics=self.metrics, time=Time())
        self.address = ("", 0)

    async def _app(self, scope, receive, send):
        self.begun += 1
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await self.held.wait()
        text = f"{scope['client'][0]} {scope['scheme']} {len(body)}".encode()
        headers = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    @asynccontextmanager
    async def running(self, certificate=None):
        self.address = self.server.listen(ANY, certificate)
        task = asyncio.create_task(self.server.run())
        yield self
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.held.set()
        await self.server.drain(within=PATIENCE_S)

    async def has_begun(self):
        assert self.begun

    async def nobody_is_there(self):
        assert not len(self.server.clients)

    async def connect(self, context=None):
        name = "localhost" if context is not None else None
        return await asyncio.open_connection(*self.address, ssl=context, server_hostname=name)

    async def ask(self, request=GET, *, context=None):
        """The whole answer of a new connection."""
        reader, writer = await self.connect(context)
        writer.write(request)
        answered = await answer_of(reader)
        writer.close()
        return answered

    def counted(self, reason):
        return self.metrics.registry.get_sample_value("keyturn_broker_connections_closed_total", {"reason": reason})


async def answer_of(reader):
    """Status and body of the next answer."""
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ")[1]), body


async def ends(reader):
    """Wait until the other side has closed the connection."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass


@pytest.fixture
async def serving():
    async with Serving().running() as running:
        yield running


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path):
    return issue(authority, tmp_path)


def issue(authority, folder):
    """The files of a new certificate."""
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "tls.key")
    issued.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    return folder / "tls.crt", folder / "tls.key"


def trust(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_client_may_ask_several_times(serving):
    """A connection stays open between two requests."""
    reader, writer = await serving.connect()
    for _ in range(3):
        writer.write(GET)
        assert await answer_of(reader) == (200, b"127.0.0.1 http 0")
    writer.write(GET + GET)
    assert [await answer_of(reader), await answer_of(reader)] == [(200, b"127.0.0.1 http 0")] * 2
    writer.close()


@pytest.mark.parametrize("length", [LONGEST_HEADERS + (32 << 10), 1 << 20])
async def test_headers_that_are_too_long_are_refused(serving, length):
    """The client gets to read it, also if it goes on sending. Nobody else is kept waiting."""
    request = GET[:-2] + b"X-Long: " + b"x" * length + b"\r\n\r\n"

    status, body = await serving.ask(request)
    assert status == 431
    assert b"headers_too_large" in body
    assert serving.begun == 0
    assert (await serving.ask())[0] == 200


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_is_refused(serving, request_):
    """Such as TLS at the plain address."""
    status, body = await serving.ask(request_)
    assert status == 400
    assert b"bad_request" in body


@pytest.mark.parametrize("path", [b"/", b"/early"])
async def test_a_body_that_is_no_http_is_refused(serving, path, caplog):
    """Nothing more is answered then, it is no defect of ours, and the connection ends although the client keeps it open."""
    reader, writer = await serving.connect()
    writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n\r\n")
    assert (await answer_of(reader))[0] == 400
    assert await reader.read() == b""
    await eventually(serving.nobody_is_there)
    assert "broker" not in caplog.text
    writer.close()


@pytest.mark.parametrize("path", [b"/", b"/early"])
async def test_a_body_of_two_lengths_is_refused(serving, path):
    """What stands between the client and us may believe the other length, and take the rest for a request of another client."""
    reader, writer = await serving.connect()
    hidden = b"GET /hidden HTTP/1.1\r\nHost: b\r\n\r\n"
    head = b"POST " + path + b" HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head % (5 + len(hidden)) + b"0\r\n\r\n" + hidden)
    assert (await answer_of(reader))[0] == 400
    assert await reader.read() == b""
    assert serving.begun == 0
    writer.close()


async def test_a_body_may_come_in_pieces(serving):
    """With its length said first, or not."""
    chunked = b"POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert await serving.ask(chunked) == (200, b"127.0.0.1 http 5")
    assert await serving.ask(b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello") == (
        200,
        b"127.0.0.1 http 5",
    )


async def test_a_body_that_is_too_long_is_refused(serving):
    """The client gets to read that, too."""
    body = b"x" * (3 << 20)
    request = b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n" % len(body)
    status, told = await serving.ask(request + body)
    assert status == 413
    assert b"too_large" in told


async def test_headers_that_do_not_come_in_time_end_the_connection(serving, monkeypatch):
    """Whoever sends a byte now and then keeps no place for ever."""
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.2)
    monkeypatch.setattr(server, "_FIRST_BYTE", 0.2)
    reader, writer = await serving.connect()
    slow, other = await serving.connect()
    other.write(b"GET / HT")
    await asyncio.gather(ends(reader), ends(slow))
    writer.close()
    other.close()

    assert serving.counted("too_slow") == 2
    assert serving.begun == 0


async def test_slow_headers_of_a_further_request_end_the_connection(serving, monkeypatch):
    """The first request gives no credit."""
    reader, writer = await serving.connect()
    writer.write(GET)
    await answer_of(reader)
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.2)
    writer.write(b"GET / HT")
    await ends(reader)
    writer.close()

    assert serving.counted("too_slow") == 1


async def test_a_request_under_way_takes_its_time(serving, monkeypatch):
    """The bound for headers ends with the headers."""
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.2)
    serving.held.clear()
    reader, writer = await serving.connect()
    writer.write(GET)
    await asyncio.sleep(0.5)
    serving.held.set()

    assert (await answer_of(reader))[0] == 200
    writer.close()


async def test_thousands_of_idle_connections_delay_nobody(monkeypatch):
    """They close each other; whoever asks something is answered."""
    monkeypatch.setattr(server, "_MOST_CLIENTS", 50)
    async with Serving().running() as serving:
        idle = [await serving.connect() for _ in range(400)]
        for _ in range(20):
            assert (await serving.ask())[0] == 200
        assert len(serving.server.clients) <= 50
        assert serving.counted("too_many") >= 350
        for _, writer in idle:
            writer.close()


async def test_what_is_under_way_is_answered_before_the_end(serving):
    """A rollout of the broker breaks no read."""
    serving.held.clear()
    reader, writer = await serving.connect()
    idle, other = await serving.connect()
    writer.write(GET)

    await eventually(serving.has_begun)
    drained = asyncio.create_task(serving.server.drain(within=PATIENCE_S))
    await ends(idle)
    assert not drained.done()
    serving.held.set()
    assert (await answer_of(reader))[0] == 200
    await ends(reader)
    await drained
    writer.close()
    other.close()


async def test_the_end_does_not_wait_for_ever(serving):
    """What hangs is cut."""
    serving.held.clear()
    reader, writer = await serving.connect()
    writer.write(GET)
    await eventually(serving.has_begun)
    await serving.server.drain(within=0.1)
    await ends(reader)
    writer.close()


async def test_tls_is_served(authority, files):
    """At least 1.2, with the certificate of the files."""
    async with Serving().running(Certificate(*files, time=Time())) as serving:
        assert await serving.ask(context=trust(authority)) == (200, b"127.0.0.1 https 0")

        with pytest.raises(ssl.SSLCertVerificationError):
            await serving.ask(context=trust(trustme.CA()))

        old = trust(authority)
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await serving.ask(context=old)

        async def counted():
            assert serving.counted("no_tls") >= 2

        await eventually(counted)


async def test_whoever_does_not_agree_on_tls_is_let_go(authority, files, monkeypatch):
    """In some seconds, and nobody waits for that."""
    monkeypatch.setattr(server, "_HANDSHAKE", 0.3)
    monkeypatch.setattr(server, "_FIRST_BYTE", 0.3)
    async with Serving().running(Certificate(*files, time=Time())) as serving:
        silent = [await serving.connect() for _ in range(10)]
        _, plain = await serving.connect()
        plain.write(GET)
        assert (await serving.ask(context=trust(authority)))[0] == 200
        for reader, _ in silent:
            await ends(reader)

        async def gone():
            assert len(serving.server.clients) == 0

        await eventually(gone)
        for writer in (plain, *(writer for _, writer in silent)):
            writer.close()


async def test_silent_connections_make_room_before_tls(authority, files, monkeypatch):
    """A handshake that never begins costs its owner the place."""
    monkeypatch.setattr(server, "_MOST_CLIENTS", 20)
    async with Serving().running(Certificate(*files, time=Time())) as serving:
        silent = [await serving.connect() for _ in range(100)]
        assert (await serving.ask(context=trust(authority)))[0] == 200
        assert len(serving.server.clients) <= 20
        for _, writer in silent:
            writer.close()


async def test_a_renewed_certificate_is_served_without_a_restart(authority, files, tmp_path, monkeypatch):
    """Broken files in between keep the old one in use."""
    monkeypatch.setattr("keyturn.broker.certificate._LOOK_EVERY", 0.0)
    other = trustme.CA()
    async with Serving().running(Certificate(*files, time=Time())) as serving:
        for broken in ("nonsense", ""):
            files[0].write_text(broken)
            assert (await serving.ask(context=trust(authority)))[0] == 200
        issue(other, tmp_path)
        assert (await serving.ask(context=trust(other)))[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await serving.ask(context=trust(authority))


@pytest.mark.parametrize("broken", ["missing", "text", "other key"])
def test_a_certificate_that_cannot_be_used_is_said_at_the_start(authority, files, tmp_path, broken):
    """In one line that names the file."""
    cert_file, key_file = files
    match broken:
        case "missing":
            key_file.unlink()
        case "text":
            cert_file.write_text("canary")
        case _:
            trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(key_file)
    with pytest.raises(CertificateUnusable) as error:
        Certificate(cert_file, key_file, time=Time())

    assert str(key_file if broken == "missing" else cert_file) in str(error.value)
    assert "canary" not in str(error.value)


def test_an_address_that_is_taken_is_said_at_the_start():
    """With its name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = Bind("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(CannotListen, match=f"{bind}.*another process uses it"):
            BrokerServer(Serving()._app, metrics=broker_metrics(Time()), time=Time()).listen(bind, None)
