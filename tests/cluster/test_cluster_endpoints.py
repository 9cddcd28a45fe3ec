"""The health and metrics endpoints over loopback."""

import socket

import aiohttp
import pytest

from keyturn.base.time import Time
from keyturn.observe.health import Bind, CannotListen, HealthServer, ServingPhase, parse_bind
from keyturn.observe.metrics import Metrics

ANY = Bind("127.0.0.1", 0)


async def get(address, path, **options):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address[0]}:{address[1]}{path}", **options) as response,
    ):
        return response.status, await response.text(), response.headers["Content-Type"]


def server(health=ANY, metrics=None):
    return HealthServer(health=health, metrics=metrics, phase=phase())


def phase(**checks):
    """What is served while these checks of readiness hold."""
    return ServingPhase(Metrics(version="1", time=Time(), providers={}).expose, readiness=checks)


async def test_health_follows_the_checks():
    """Liveness and readiness are separate, and both change with the phase while the server runs."""
    async with server() as running:
        address = running.addresses["health"]
        running.enter_phase(phase(poller=lambda: "Connect unreachable"))

        assert await get(address, "/healthz") == (200, "ok", "text/plain; charset=utf-8")
        status, text, _ = await get(address, "/readyz")
        assert (status, text) == (503, "[-]poller failed: Connect unreachable\nreadyz check failed\n")
        running.enter_phase(phase(poller=lambda: None))
        assert (await get(address, "/readyz?verbose"))[1] == "[+]poller ok\nreadyz check passed\n"
        assert (await get(address, "/metrics"))[0] == 404


async def test_metrics_have_their_own_address():
    """Health may be open to the kubelet and metrics behind a policy."""
    async with server(metrics=Bind("127.0.0.1", 0)) as running:
        # Equal addresses share one socket.
        assert running.addresses["health"] == running.addresses["metrics"]
    async with server(health=None, metrics=ANY) as running:
        status, text, kind = await get(running.addresses["metrics"], "/metrics")
        assert (status, kind.split(";")[0]) == (200, "text/plain")
        assert "keyturn_build_info" in text
        assert (await get(running.addresses["metrics"], "/healthz"))[0] == 404
        _, text, kind = await get(
            running.addresses["metrics"], "/metrics", headers={"Accept": "application/openmetrics-text"}
        )
        assert kind.startswith("application/openmetrics-text")


async def test_nothing_listens_when_both_are_off():
    """`0` for both is allowed."""
    async with server(health=parse_bind("0"), metrics=parse_bind("0")) as running:
        assert running.addresses == {}


async def test_an_empty_host_is_every_interface():
    """As the official operator's `:8081`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with server(health=Bind(None, port)):
        assert (await get(("127.0.0.1", port), "/healthz"))[0] == 200


async def test_a_taken_port_is_one_clear_line_and_leaves_nothing_open():
    """The error names address, purpose and cause, and what was opened before is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Bind("127.0.0.1", other.getsockname()[1])
        failing = server(health=ANY, metrics=taken)
        with pytest.raises(CannotListen) as failed:
            await failing.__aenter__()

    assert str(failed.value) == f"cannot listen on {taken} for metrics: another process uses it"
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(failing.addresses["health"], "/healthz")
