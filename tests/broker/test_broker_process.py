"""The process: how it starts, what it says of itself, and how it ends."""

import asyncio
import signal
import threading

import httpx
import pytest

from support.broker import BrokerProcess, eventually_sync
from support.patience import PATIENCE_S

REF = "op://Production/database/password"


@pytest.fixture(scope="module")
def granted(brokering):
    """A token that may read one field."""
    brokering.put_item("database", {"password": "canary-password"})
    brokering.grant("deploy", "database")
    return brokering.token("ci")


def read(broker: BrokerProcess, token: str, ref: str = REF) -> httpx.Response:
    with broker.client(token) as client:
        return client.get("/v1/read", params={"ref": ref})


def test_a_granted_field_is_read_over_tls(brokering, granted):
    """The one thing that all of this is for."""
    with brokering.broker.client(granted, plain=False) as client:
        answered = client.get("/v1/read", params={"ref": REF})

    assert (answered.status_code, answered.text) == (200, "canary-password")
    assert answered.headers["cache-control"] == "no-store"


def test_an_idle_broker_writes_nothing_to_the_api_server(brokering, granted):
    """It may not: it has no right to."""
    read(brokering.broker, granted)

    assert set(brokering.broker.api_writes()) <= {"create tokenreviews.authentication.k8s.io"}


def test_the_endpoints_say_how_it_stands(brokering, granted):
    """For probes and for people."""
    status, text = brokering.broker.get("/readyz?verbose")
    assert status == 200
    assert "[+]kubernetes ok\n[+]vaults ok" in text
    assert brokering.broker.get("/healthz")[0] == 200
    assert brokering.broker.metric("keyturn_broker_grants") == 1
    assert brokering.broker.metric("keyturn_broker_grants_age_seconds") < 60
    assert "keyturn_leader" not in brokering.broker.get("/metrics")[1]


def test_it_is_ready_without_its_vault(brokering, granted):
    """A vault that is down is known to be down: callers get 503 at once, not a connection that nobody accepts."""
    broker = brokering.start(OP_CONNECT_HOST="http://127.0.0.1:9")
    try:
        answered = read(broker, granted)
        assert answered.status_code == 503
        assert answered.json()["code"] == "unavailable"
        assert broker.running()
    finally:
        broker.stop()


def test_the_signal_lets_what_is_under_way_end(brokering, granted):
    """A rollout breaks no read. The process says that it is not ready, takes new requests for a moment, and then is gone."""
    broker = brokering.start()
    brokering.connect.fault("GET /v1/vaults/{vault}/items/{item}", kind="pass", delay_s=2.0)
    answers = []
    reading = threading.Thread(target=lambda: answers.append(read(broker, granted)))
    reading.start()
    try:
        brokering.connect.wait_requests(1, route="GET /v1/vaults/{vault}/items/{item}")
        broker.send(signal.SIGTERM)

        def not_ready() -> None:
            assert "the process is ending" in broker.get("/readyz")[1]

        eventually_sync(not_ready)
        assert broker.wait(PATIENCE_S) == 0
        reading.join(PATIENCE_S)
    finally:
        brokering.connect.clear_faults()
    assert [each.status_code for each in answers] == [200]
    assert "Traceback" not in broker.logged()
    assert broker.logged().rstrip().endswith("the broker has ended, because it received a signal")


def test_a_mistake_ends_the_start_in_one_line(brokering):
    """With the exit code of a mistake."""
    with pytest.raises(RuntimeError, match="ended with 2") as error:
        brokering.start("--bind-address=0", "--insecure-bind-address=0")
    assert "nothing is to be served" in str(error.value)

    with pytest.raises(RuntimeError, match="ended with 1") as error:
        brokering.start("--tls-cert-file=/nowhere.crt")
    assert "/nowhere.crt: No such file or directory" in str(error.value)


async def test_many_clients_share_the_process(brokering, granted):
    """None of them is refused, within its limit."""
    async with brokering.broker.async_client(granted) as client:
        answers = await asyncio.gather(*(client.get("/v1/read", params={"ref": REF}) for _ in range(50)))

    assert {each.status_code for each in answers} == {200}
