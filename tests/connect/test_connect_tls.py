"""Which servers the client trusts: real handshakes on loopback."""

import ssl
from datetime import UTC, datetime

import httpx
import pytest
import trustme
from connect_servers import client_of, serving, steady

from keyturn.providers.connect import BadCertificates, ConnectSettings, Interrupted, UntrustedServer
from keyturn.providers.connect.trust import Transports

GOOD = [{"id": "v", "name": "Prod"}]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def server_side(authority, name="localhost", **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)
    return context


def bundle(path, *authorities):
    path.write_bytes(b"".join(authority.cert_pem.bytes() for authority in authorities))
    return path


async def test_a_server_of_the_given_authority_is_trusted(authority, tmp_path):
    """The usual private authority of a cluster."""
    ca_file = bundle(tmp_path / "ca.pem", authority)

    async with (
        serving(steady(GOOD), tls=server_side(authority)) as server,
        client_of(server.url, ca_file=ca_file) as client,
    ):
        assert len(await client.vaults()) == 1


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("certificate", "ours", "reason"),
    [
        ({}, False, "certificate is not trusted: unable to get local issuer"),
        ({"name": "elsewhere.test"}, True, "certificate is not trusted: Hostname mismatch"),
        ({"not_after": LONG_AGO}, True, "has expired"),
    ],
    ids=["unknown", "name", "expired"],
)
async def test_a_server_that_cannot_prove_itself_gets_nothing(authority, tmp_path, certificate, ours, reason):
    """One attempt, no token sent, and the reason in words: nothing changes until a certificate does."""
    heads = []

    async def play(connection):
        heads.append(await connection.request())

    ca_file = bundle(tmp_path / "ca.pem", authority if ours else trustme.CA())
    async with (
        serving(play, tls=server_side(authority, **certificate)) as server,
        client_of(server.url, ca_file=ca_file) as client,
    ):
        with pytest.raises(UntrustedServer, match=reason):
            await client.vaults()

    assert server.accepted <= 1
    assert not any(heads)


async def test_public_authorities_do_not_vouch_for_a_private_one(authority, monkeypatch, tmp_path):
    """Without a bundle the public authorities count, and the environment cannot add to them."""
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle(tmp_path / "env.pem", authority)))

    async with serving(steady(GOOD), tls=server_side(authority)) as server, client_of(server.url) as client:
        with pytest.raises(UntrustedServer):
            await client.vaults()


async def test_a_plain_server_behind_an_https_address_is_untrusted(authority, tmp_path):
    """`https://` to a plain port: a mistake in the address, not an outage."""

    async def refuse(connection):
        await connection.reader.read(1)
        await connection.answer(b"Client sent an HTTPS request to an HTTP server", status=400)

    async with serving(refuse) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        async with client_of(url, ca_file=bundle(tmp_path / "ca.pem", authority)) as client:
            with pytest.raises(UntrustedServer, match="TLS handshake failed"):
                await client.vaults()


async def test_a_tls_server_behind_an_http_address_is_an_interruption(authority):
    """`http://` to a TLS port: the connection breaks."""
    async with (
        serving(steady(GOOD), tls=server_side(authority)) as server,
        client_of(server.url.replace("https://localhost", "http://127.0.0.1")) as client,
    ):
        with pytest.raises(Interrupted):
            await client.vaults()


async def test_a_new_authority_is_trusted_from_the_next_request_on(authority, tmp_path):
    """The bundle is a mounted file: it changes while the client runs."""
    newer = trustme.CA()
    ca_file = bundle(tmp_path / "ca.pem", authority)

    async with (
        serving(steady(GOOD), tls=server_side(newer)) as server,
        client_of(server.url, ca_file=ca_file) as client,
    ):
        with pytest.raises(UntrustedServer):
            await client.vaults()
        bundle(ca_file, authority, newer)

        assert len(await client.vaults()) == 1


async def test_a_bundle_that_breaks_or_vanishes_changes_nothing(authority, tmp_path):
    """The trusted authorities stay until there is a readable bundle."""
    ca_file = bundle(tmp_path / "ca.pem", authority)

    async with (
        serving(steady(GOOD), tls=server_side(authority)) as server,
        client_of(server.url, ca_file=ca_file) as client,
    ):
        await client.vaults()
        ca_file.write_text("no certificate at all")
        await client.vaults()
        ca_file.unlink()
        await client.vaults()

        assert server.accepted == 1


@pytest.mark.parametrize("content", [None, "", "no certificate at all"])
async def test_a_bundle_that_was_never_readable_is_a_clear_error(tmp_path, content):
    """It names the path, and nothing is sent."""
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)

    async with client_of("https://localhost:9", ca_file=ca_file) as client:
        with pytest.raises(BadCertificates, match=r"the CA bundle .*ca\.pem cannot be used") as caught:
            await client.vaults()

    assert caught.value.__context__ is None


class Counting(httpx.AsyncBaseTransport):
    """A transport that only counts how often it was closed."""

    def __init__(self):
        self.closed = 0

    async def aclose(self):
        self.closed += 1


async def test_a_replaced_transport_ends_with_its_last_request(authority, tmp_path, monkeypatch):
    """Requests under way keep their transport; none is closed twice or left open."""
    made: list[Counting] = []

    def make(_self, **_):
        made.append(Counting())
        return made[-1]

    monkeypatch.setattr(Transports, "_make", make)
    ca_file = bundle(tmp_path / "ca.pem", authority)
    transports = Transports(ConnectSettings(host="https://h", ca_file=ca_file))

    async with transports.lease() as first:
        bundle(ca_file, authority, authority)
        async with transports.lease() as second:
            assert first is not second
            assert isinstance(first, Counting)
            assert isinstance(second, Counting)
            assert (first.closed, second.closed) == (0, 0)
        assert (first.closed, second.closed) == (0, 0)
    assert (first.closed, second.closed) == (1, 0)
    bundle(ca_file, authority)
    async with transports.lease() as third:
        assert second.closed == 1
    await transports.close()

    assert [one.closed for one in made] == [1, 1, 1]
    assert made[-1] is third
