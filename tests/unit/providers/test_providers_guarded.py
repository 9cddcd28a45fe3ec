"""Where a transport for servers that tenants name connects to, and where not."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence

import httpcore
import httpx
import pytest

from keyturn.core.allowed_hosts import AllowedHosts, parse_allowed_hosts
from keyturn.core.vault import HostNotAllowed
from keyturn.providers.authorities import public_authorities
from keyturn.providers.guarded import guarded_transport
from keyturn.providers.lookups import Lookups

PUBLIC, OTHER, METADATA = "93.184.216.34", "2606:2800:220:1::1", "169.254.169.254"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Names:
    """Name servers: each look-up of a name gets its next answer, and then the last one again."""

    def __init__(self, **answers: Sequence[Sequence[str] | Exception]) -> None:
        self.answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Stream(httpcore.AsyncMockStream):
    """A connection whose server name in TLS is kept."""

    def __init__(self, network: "Network", pieces: Sequence[bytes]) -> None:
        super().__init__(list(pieces))
        self.network = network

    async def start_tls(self, ssl_context, server_hostname=None, timeout=None):  # noqa: ASYNC109
        self.network.tls.append(server_hostname)
        return self

    async def write(self, buffer, timeout=None):  # noqa: ASYNC109
        self.network.written.append(buffer)


class Network(httpcore.AsyncNetworkBackend):
    """Connections to nowhere, which play an answer; it keeps where they went."""

    def __init__(self, *pieces: bytes, fails: Mapping[str, Exception] | None = None) -> None:
        self.pieces = pieces or (ANSWER,)
        self.fails = fails or {}
        self.connected: list[tuple[str, int]] = []
        self.seconds: list[float | None] = []
        self.tls: list[str | None] = []
        self.written: list[bytes] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109
        self.connected.append((host, port))
        self.seconds.append(timeout)
        if host in self.fails:
            raise self.fails[host]
        return Stream(self, self.pieces)


def transport(names, network, *, allowed=AllowedHosts(), proxy=None, keep=0):  # noqa: B008 - frozen
    return guarded_transport(
        allowed=allowed,
        verify=ssl.create_default_context(),
        limits=httpx.Limits(max_connections=5, max_keepalive_connections=keep),
        proxy=proxy,
        resolve=names,
        network=network,
    )


async def get(guarded, url="https://vault.example/v1", **extensions):
    request = httpx.Request("GET", url, extensions={"timeout": {"connect": 4.0}, **extensions})
    response = await guarded.handle_async_request(request)
    try:
        return response, await response.aread()
    finally:
        await response.aclose()


async def test_a_connection_goes_to_the_address_that_was_judged_and_tls_verifies_the_name():
    """The name in the URL, in the Host header and in TLS stays: only the address is ours."""
    names, network = Names(vault_example=[[PUBLIC]]), Network()

    response, body = await get(transport(names, network))

    assert (response.status_code, body) == (200, b"ok")
    assert network.connected == [(PUBLIC, 443)]
    assert network.tls == ["vault.example"]
    assert b"Host: vault.example\r\n" in b"".join(network.written)


async def test_a_name_that_leads_elsewhere_at_the_second_look_is_refused():
    """A name server under a tenant's control answers differently each time; the metadata service gets nothing."""
    names, network = Names(vault_example=[[PUBLIC], [METADATA]]), Network()
    guarded = transport(names, network)

    await get(guarded)
    with pytest.raises(HostNotAllowed, match=r"vault\.example:443 has an address that is not public"):
        await get(guarded)

    assert names.asked == ["vault.example"] * 2
    assert network.connected == [(PUBLIC, 443)]


async def test_each_new_connection_costs_one_look_up():
    """A second one between judging and connecting could have another answer."""
    names, network = Names(vault_example=[[PUBLIC], [METADATA]]), Network()

    await get(transport(names, network))

    assert names.asked == ["vault.example"]


async def test_a_kept_connection_is_not_looked_up_again():
    """It leads to where it was judged to lead."""
    names, network = Names(vault_example=[[PUBLIC], [METADATA]]), Network(ANSWER, ANSWER)
    guarded = transport(names, network, keep=1)

    await get(guarded)
    await get(guarded)

    assert len(network.connected) == 1


async def test_two_names_of_one_address_never_share_a_connection():
    """The certificate was verified for one of them."""
    names, network = Names(a_example=[[PUBLIC]], b_example=[[PUBLIC]]), Network(ANSWER, ANSWER)
    guarded = transport(names, network, keep=5)

    await get(guarded, "https://a.example/")
    await get(guarded, "https://b.example/")

    assert network.tls == ["a.example", "b.example"]


async def test_one_private_address_among_public_ones_is_enough_to_refuse():
    """Otherwise chance would decide."""
    names, network = Names(vault_example=[[PUBLIC, OTHER, "10.0.0.1"]]), Network()

    with pytest.raises(HostNotAllowed):
        await get(transport(names, network))
    assert network.connected == []


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104
        ("2852039166", METADATA),
        ("metadata.google.internal", METADATA),
        ("kubernetes.default.svc", "10.96.0.1"),
    ],
)
async def test_a_host_is_judged_by_what_it_resolves_to_however_it_is_written(host, address):
    """The operating system reads numbers in any base as addresses."""
    names, network = Names(**{host.replace(".", "_"): [[address]]}), Network()

    with pytest.raises(HostNotAllowed):
        await get(transport(names, network), f"https://{host}/")
    assert network.connected == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.1", "127.1"])
async def test_the_operating_system_reads_such_numbers_as_we_say(host):
    """Without this, the table above would judge a fake only."""
    network = Network()
    guarded = guarded_transport(
        allowed=AllowedHosts(), verify=ssl.create_default_context(), limits=httpx.Limits(), network=network
    )

    with pytest.raises(HostNotAllowed):
        await get(guarded, f"https://{host}/")
    assert network.connected == []


@pytest.mark.parametrize("host", ["127.0.0.1", METADATA, "[::1]", "[::ffff:169.254.169.254]", "[fe80::1]"])
async def test_a_private_address_is_refused_without_a_look_up(host):
    """There is nothing to look up."""
    names, network = Names(), Network()

    with pytest.raises(HostNotAllowed):
        await get(transport(names, network), f"https://{host}/")
    assert (names.asked, network.connected) == ([], [])


async def test_a_public_address_is_asked_without_a_look_up():
    """It is what it is."""
    names, network = Names(), Network()

    await get(transport(names, network), f"https://{PUBLIC}/")

    assert (names.asked, network.connected) == ([], [(PUBLIC, 443)])


def test_all_clients_share_the_public_authorities():
    """They are the same for all of them, and a thousand Connections would need 700 MiB for copies."""
    assert public_authorities() is public_authorities()
    assert public_authorities().verify_mode is ssl.CERT_REQUIRED
    assert public_authorities().check_hostname


async def test_a_plain_address_is_refused_even_if_it_is_public():
    """The credential would cross the network in the clear."""
    names, network = Names(vault_example=[[PUBLIC]]), Network()

    with pytest.raises(HostNotAllowed, match="must be asked over https"):
        await get(transport(names, network), "http://vault.example/")
    assert (names.asked, network.connected) == ([], [])


async def test_a_listed_host_may_be_private_and_plain():
    """A Connect server in the cluster, which the administrator listed."""
    names, network = Names(connect_vaults=[["10.0.0.5"]]), Network()
    guarded = transport(names, network, allowed=parse_allowed_hosts("connect.vaults:8080"))

    await get(guarded, "http://connect.vaults:8080/")
    with pytest.raises(HostNotAllowed):
        await get(guarded, "https://connect.vaults:8443/")

    assert network.connected == [("10.0.0.5", 8080)]


async def test_a_listed_host_of_another_alphabet_is_the_one_that_is_looked_up():
    """The list has the name as name servers know it, and so has the URL."""
    name = "xn--bcher-kva.vaults"
    network = Network()
    guarded = transport(lambda *_: ["10.0.0.5"], network, allowed=parse_allowed_hosts(name))

    await get(guarded, f"http://{name}/")

    assert network.connected == [("10.0.0.5", 80)]


async def test_a_redirect_is_an_answer_and_nothing_follows_it():
    """A server may send its clients wherever it likes, but not us."""
    moved = f"HTTP/1.1 302 Found\r\nlocation: https://{METADATA}/\r\ncontent-length: 0\r\n\r\n".encode()
    names, network = Names(vault_example=[[PUBLIC]]), Network(moved)

    response, _ = await get(transport(names, network))

    assert response.status_code == 302
    assert network.connected == [(PUBLIC, 443)]


@pytest.mark.parametrize("failure", [httpcore.ConnectError("no"), httpcore.ConnectTimeout("slow")])
async def test_the_next_address_is_tried_if_one_does_not_answer(failure):
    """A cluster without IPv6 finds such addresses all the same; each has its share of the time."""
    names, network = Names(vault_example=[[OTHER, PUBLIC]]), Network(fails={OTHER: failure})

    await get(transport(names, network))

    assert network.connected == [(OTHER, 443), (PUBLIC, 443)]
    assert network.seconds == [2.0, 2.0]


async def test_the_last_address_decides_what_the_failure_is():
    """It is one of httpx, with the one of the network behind it."""
    names = Names(vault_example=[[OTHER, PUBLIC]])
    network = Network(fails={OTHER: httpcore.ConnectTimeout("slow"), PUBLIC: httpcore.ConnectError("refused")})

    with pytest.raises(httpx.ConnectError, match="refused"):
        await get(transport(names, network))


async def test_a_name_with_a_hundred_addresses_is_tried_a_few_times():
    """All are judged; the time of a request is not for all."""
    addresses = [f"93.184.216.{number}" for number in range(100)]
    names, network = (
        Names(vault_example=[addresses]),
        Network(fails={each: httpcore.ConnectError() for each in addresses}),
    )

    with pytest.raises(httpx.ConnectError):
        await get(transport(names, network))
    assert len(network.connected) == 4


async def test_without_a_limit_of_time_there_is_none():
    """As httpx has it."""
    names, network = Names(vault_example=[[PUBLIC]]), Network()

    await get(transport(names, network), timeout={})

    assert network.seconds == [None]


@pytest.mark.parametrize("problem", [OSError("no such name"), UnicodeError("a label is too long")])
async def test_a_name_that_does_not_exist_is_a_failed_connection(problem):
    """Nothing is refused: the name may exist tomorrow."""
    names, network = Names(vault_example=[problem]), Network()

    with pytest.raises(httpx.ConnectError):
        await get(transport(names, network))


async def test_a_name_server_that_hangs_is_a_connection_that_takes_too_long():
    """The thread of the look-up stays behind; the request does not."""
    release = threading.Event()

    def hanging(_host, _port):
        release.wait()
        return [PUBLIC]

    try:
        with pytest.raises(httpx.ConnectTimeout):
            await get(transport(hanging, Network()), timeout={"connect": 0.01})
    finally:
        release.set()


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", httpx.RemoteProtocolError),
        (b"nonsense\r\n\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_a_broken_answer_is_an_error_of_httpx(piece, kind):
    """Whoever uses the transport knows httpx alone."""
    names, network = Names(vault_example=[[PUBLIC]]), Network(piece)

    with pytest.raises(kind):
        await get(transport(names, network))


async def test_a_closed_transport_closes_its_connections():
    """A disconnected Connection holds none."""
    guarded = transport(Names(vault_example=[[PUBLIC]]), Network(), keep=1)
    await get(guarded)

    await guarded.aclose()


# --- behind a proxy --------------------------------------------------------------------------------------------------

TUNNEL = b"HTTP/1.1 200 Connected\r\n\r\n"
PROXY = "http://10.1.1.1:3128"


async def test_a_proxy_may_be_private_and_gets_the_name():
    """The administrator named it."""
    names, network = Names(vault_example=[[PUBLIC]]), Network(TUNNEL, ANSWER)
    traced = []

    async def trace(event, _info):
        traced.append(event)

    _, body = await get(transport(names, network, proxy=PROXY), trace=trace)

    assert body == b"ok"
    assert network.connected == [("10.1.1.1", 3128)]
    assert network.tls == ["vault.example"]
    assert b"CONNECT vault.example:443 HTTP/1.1" in b"".join(network.written)
    assert "connection.connect_tcp.started" in traced


@pytest.mark.parametrize("host", ["evil.example", METADATA, "[::1]"])
async def test_a_proxy_is_not_asked_for_what_is_private_here(host):
    """It may stand inside of the same network."""
    names, network = Names(evil_example=[[METADATA]]), Network(TUNNEL, ANSWER)

    with pytest.raises(HostNotAllowed):
        await get(transport(names, network, proxy=PROXY), f"https://{host}/")
    assert network.connected == []


async def test_a_name_that_only_the_proxy_knows_is_left_to_it():
    """Behind many proxies, names of the internet have no address."""
    names, network = Names(vault_example=[OSError("no such name")]), Network(TUNNEL, ANSWER)

    _, body = await get(transport(names, network, proxy=PROXY))

    assert body == b"ok"


# --- look-ups --------------------------------------------------------------------------------------------------------


async def test_look_ups_of_one_name_share_a_thread():
    """A Connection whose name server hangs holds one thread, however many of its requests wait."""
    release, started = threading.Event(), []

    def slow(host, _port):
        started.append(host)
        release.wait()
        return [PUBLIC]

    lookups = Lookups(slow)
    waiting = [asyncio.create_task(lookups.addresses("vault.example", 443)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    release.set()

    assert [await each for each in waiting[1:]] == [[PUBLIC]] * 4
    assert started == ["vault.example"]
    assert await lookups.addresses("vault.example", 443) == [PUBLIC]
    assert len(started) == 2


async def test_a_name_server_that_hangs_delays_no_other_look_up():
    """However many hang at once: each has a thread of its own."""
    release = threading.Event()

    def resolve(host, _port):
        if host.startswith("sick"):
            release.wait()
        return [PUBLIC]

    lookups = [Lookups(resolve) for _ in range(50)]
    try:
        sick = [asyncio.create_task(each.addresses("sick.example", 443)) for each in lookups]
        await asyncio.sleep(0)

        assert await lookups[0].addresses("healthy.example", 443) == [PUBLIC]
        assert not any(each.done() for each in sick)
    finally:
        release.set()
    await asyncio.gather(*sick)


async def test_a_look_up_for_which_there_is_no_thread_keeps_nobody_waiting(monkeypatch):
    """The next one may get a thread."""
    lookups = Lookups(lambda *_: [PUBLIC])
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(socket.gaierror):
            await lookups.addresses("vault.example", 443)

    async with asyncio.timeout(5):
        assert await lookups.addresses("vault.example", 443) == [PUBLIC]


def _no_thread(_):
    raise RuntimeError("can't start new thread")


def test_a_look_up_may_outlive_the_loop():
    """The process must be able to end while a name server hangs."""
    release, ended = threading.Event(), threading.Event()

    def slow(_host, _port):
        release.wait()
        ended.set()
        return [PUBLIC]

    async def ask():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Lookups(slow).addresses("vault.example", 443)

    asyncio.run(ask())
    release.set()
    assert ended.wait(10)
