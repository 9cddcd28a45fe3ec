"""What callers get while the API server is away: nothing that they would not be given, and all of it again afterwards."""

import time
from collections.abc import Iterator

import httpx
import pytest

from keyturn.broker.identity import VERDICTS_LAST
from support.broker import Brokering, BrokerProcess, eventually_sync
from support.port_gate import PortGate

REF = {"ref": "op://Production/database/password"}


@pytest.fixture(scope="module")
def gate(brokering: Brokering) -> Iterator[PortGate]:
    """The way to the API server, which can be closed."""
    with PortGate(brokering.server()) as gate:
        yield gate


@pytest.fixture(scope="module")
def broker(brokering: Brokering, gate: PortGate) -> BrokerProcess:
    """A broker that reaches the API server through the gate only."""
    brokering.put_item("database", {"password": "canary-password"})
    brokering.grant("deploy", "database")
    return brokering.start(KUBECONFIG=gate.kubeconfig(brokering.kubeconfig, brokering.folder))


def read(broker: BrokerProcess, token: str) -> httpx.Response:
    with broker.client(token) as client:
        return client.get("/v1/read", params=REF)


def test_without_the_api_server_only_remembered_tokens_count_and_only_for_seconds(brokering, broker, gate):
    """Never open: a token that nobody can judge is no identity. Nothing needs a restart afterwards."""
    token, unseen = brokering.token("ci"), brokering.token("ci", seconds=3601)
    assert read(broker, token).text == "canary-password"
    gate.close()
    closed_at = time.monotonic()
    assert read(broker, token).status_code == 200
    answered = read(broker, unseen)
    assert (answered.status_code, answered.json()["code"]) == (503, "unavailable")

    def unavailable() -> None:
        assert read(broker, token).status_code == 503

    eventually_sync(unavailable)
    assert time.monotonic() - closed_at < VERDICTS_LAST + 10.0
    assert broker.get("/healthz")[0] == 200

    gate.open()

    def served() -> None:
        assert read(broker, token).text == "canary-password"

    eventually_sync(served)


def test_a_grant_that_is_revoked_during_an_outage_counts_no_more_soon_after_it(brokering, broker, gate):
    """The watch missed the deletion, and a token is judged again before the watch is back."""
    brokering.put_item("other", {"password": "canary-other"})
    brokering.grant("revoked", "other", to=["web"])
    token = brokering.token("web")
    ref = {"ref": "op://Production/other/password"}
    with broker.client(token) as client:

        def given() -> None:
            assert client.get("/v1/read", params=ref).text == "canary-other"

        eventually_sync(given)
        gate.close()
        brokering.revoke("revoked")
        time.sleep(2.0)
        gate.open()
        opened_at = time.monotonic()

        def refused() -> None:
            assert client.get("/v1/read", params=ref).status_code == 404

        eventually_sync(refused, within=30.0)
    assert time.monotonic() - opened_at < 15.0
