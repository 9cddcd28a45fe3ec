"""What strangers may throw at the broker, while others must be served as if nothing were."""

import resource
import socket
import time
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest

from support.broker import BrokerProcess
from support.patience import PATIENCE_S

# The beginning of a ClientHello that never goes on.
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
REF = {"ref": "op://Production/database/password"}
_MIB = 1 << 20


@pytest.fixture(scope="module")
def token(brokering):
    """That may read one field."""
    brokering.put_item("database", {"password": "canary-password"})
    brokering.grant("deploy", "database")
    return brokering.token("ci")


@contextmanager
def connected(broker: BrokerProcess, number: int, *, plain: bool, first: bytes = b""):
    """So many open connections that say nothing after this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port = broker.plain_port if plain else broker.port
    opened = []
    try:
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            opened.append(connection)
            with suppress(ConnectionError):
                connection.sendall(first)
        yield opened
    finally:
        for each in opened:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory(broker: BrokerProcess) -> int:
    return int(psutil.Process(broker.pid).memory_info().rss)


def slowest_read(broker: BrokerProcess, token: str, number: int = 10) -> float:
    """Seconds that the slowest of some reads takes, each with a connection of its own."""
    slowest = 0.0
    for _ in range(number):
        started = time.monotonic()
        with broker.client(token) as client:
            answered = client.get("/v1/read", params=REF)
        assert answered.status_code == 200, answered.text
        slowest = max(slowest, time.monotonic() - started)
    return slowest


@pytest.mark.parametrize(("plain", "first"), [(True, b"GET /v1"), (False, _HELLO)])
def test_ten_thousand_open_connections_delay_nobody(brokering, token, plain, first):
    """They make room for whoever asks something, and memory stays bounded."""
    broker = brokering.broker
    slowest_read(broker, token)
    before = memory(broker)
    with connected(broker, 10_000, plain=plain, first=first):
        assert slowest_read(broker, token) < 5.0
        assert broker.metric("keyturn_broker_connections") <= 500
        assert broker.get("/readyz")[0] == 200
        assert memory(broker) - before < 100 * _MIB
    assert broker.metric("keyturn_broker_connections_closed_total", reason="too_many") >= 8000


def test_headers_of_a_mebibyte_are_refused(brokering, token):
    """However they are sent."""
    with brokering.broker.client(token, plain=False) as client:
        answered = client.get("/v1/read", params=REF, headers={"X-Long": "x" * _MIB})
    assert answered.status_code == 431
    assert answered.json()["code"] == "headers_too_large"


def test_an_address_of_a_mebibyte_is_refused(brokering, token):
    """A reference belongs into the body."""
    with socket.create_connection(("127.0.0.1", brokering.broker.plain_port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET /v1/read?ref=" + b"x" * _MIB)
        answered = connection.recv(65536)
    assert answered.startswith(b"HTTP/1.1 431 ")


def test_a_body_of_more_than_a_mebibyte_is_refused(brokering, token):
    """At the door that has bodies."""
    with brokering.broker.client(token) as client:
        answered = client.post("/v1/resolve", content=b'{"refs": ["' + b"x" * (2 * _MIB) + b'"]}')
    assert answered.status_code == 413


def test_a_body_that_comes_slowly_is_given_up(brokering, token):
    """Meanwhile others are served."""
    head = (
        f"POST /v1/resolve HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        "Content-Length: 100000\r\n\r\n"
    )
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", brokering.broker.plain_port), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode() + b"{")
        assert slowest_read(brokering.broker, token) < 5.0
        answered = connection.recv(65536)
    assert answered.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < PATIENCE_S


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v2/read",
        "/v1/readx",
        "/metrics",
        "/healthz",
        "/%2e%2e/etc/passwd",
        "/v1/read%00",
    ],
)
def test_an_unknown_path_is_not_found(brokering, token, path):
    """And says nothing of what there is."""
    with httpx.Client(base_url=brokering.broker.plain_url, headers={"Authorization": f"Bearer {token}"}) as client:
        answered = client.get(path)
    assert answered.status_code == 404
    assert "Traceback" not in answered.text


def test_nothing_of_this_is_in_the_log(brokering, token):
    """A line for each would be a way to fill the disk, and may hold what a client sent."""
    logged = brokering.broker.logged()
    assert "Traceback" not in logged
    assert "uvicorn" not in logged
    assert token not in logged
    assert len(logged.splitlines()) < 200
