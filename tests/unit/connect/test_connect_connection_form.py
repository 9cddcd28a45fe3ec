"""How a Connection names a Connect server."""

import pytest
import trustme

from keyturn.core.allowed_hosts import AllowedHosts, parse_allowed_hosts
from keyturn.core.provider import SecretKey
from keyturn.core.vault import CredentialInvalid, HostNotAllowed, VaultUnavailable
from keyturn.providers.connect import CONNECT, ConnectAccount, StaticToken
from support.fake_time import FakeTime

TOKEN = "eyJhbGciOiJFUzI1NiJ9.canary-token.c2lnbmF0dXJl"
SECTION = {"host": "https://connect.example:8443/", "tokenSecretRef": {"name": "work", "key": "access"}}
NOTHING = AllowedHosts()


def form():
    assert CONNECT.connection is not None
    return CONNECT.connection


def read(section=SECTION, allowed=NOTHING, **credential):
    return form().read_account(section, {"token": TOKEN, **credential}, allowed=allowed)


@pytest.fixture(scope="module")
def bundle():
    return trustme.CA().cert_pem.bytes().decode()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The proxy of whoever runs the tests is not meant here."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        for spelling in (name, name.lower()):
            monkeypatch.delenv(spelling, raising=False)


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        (SECTION, {"token": SecretKey("work", "access")}),
        ({"tokenSecretRef": {"name": "work"}}, {"token": SecretKey("work", "token")}),
        (
            {"tokenSecretRef": {"name": "work"}, "caSecretRef": {"name": "ca"}},
            {"token": SecretKey("work", "token"), "ca": SecretKey("ca", "ca.crt")},
        ),
        ({"caSecretRef": {"name": "ca", "key": "x"}}, {"ca": SecretKey("ca", "x")}),
        ({}, {}),
        ({"tokenSecretRef": "work", "caSecretRef": {"name": 5}}, {}),
    ],
)
def test_the_parts_of_the_credential_are_named(section, keys):
    """What the definition would refuse names nothing."""
    assert form().secret_keys(section) == keys


def test_an_account_is_read(bundle):
    """Server, token and authorities; the client asks only servers that are allowed."""
    account = read(ca=bundle)

    assert isinstance(account, ConnectAccount)
    assert account.server.host == "https://connect.example:8443"
    assert account.server.allowed == NOTHING
    assert account.server.ca_pem == bundle
    assert account.token == StaticToken(TOKEN, origin="Secret work, key access")
    assert TOKEN not in repr(account)
    assert "BEGIN" not in repr(account)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("canary canary", "whitespace inside"),
        ("canary\x00", "has characters that no token has"),
        ("ops_canary", "token of a 1Password service account"),
        ("ZXlKcanary", "encoded in base64"),
    ],
)
def test_a_token_that_is_none_is_refused_before_any_request(token, problem):
    """The message names the key of the Secret, and repeats nothing of what it holds."""
    with pytest.raises(CredentialInvalid, match=f"in Secret work, key access.*{problem}") as caught:
        read(token=token)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----",
        "\x00",
        "\N{SNOWMAN}",
    ],
)
def test_a_bundle_that_is_none_is_refused_before_any_request(text):
    """The message names the key of the Secret."""
    section = {**SECTION, "caSecretRef": {"name": "ca", "key": "x"}}
    with pytest.raises(CredentialInvalid, match=r"the CA bundle in Secret ca, key x holds no usable cert") as caught:
        read(section, ca=text)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_bundle_may_have_comments_in_any_language(bundle):
    """Those of distributions do."""
    assert read(ca=f"# F\N{LATIN SMALL LETTER O WITH DOUBLE ACUTE}tan\N{SNOWMAN}\n{bundle}").server.ca_pem is not None


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("http://connect.example", "must be asked over https"),
        ("https://10.0.0.1", "address that is not public"),
        ("https://169.254.169.254", "address that is not public"),
        ("https://[::1]:8443", "address that is not public"),
        ("https://[::ffff:10.0.0.1]", "address that is not public"),
        ("https://user:canary@connect.example", "must not hold a user name"),
        ("https://127.0.0.010", "no usable host"),
        ("", "is empty"),
        (None, "is empty"),
        (5, "is empty"),
    ],
)
def test_a_server_that_may_not_be_asked_is_refused_before_any_request(host, problem):
    """The message names the field."""
    with pytest.raises(HostNotAllowed, match=rf"^spec\.connect\.host: .*{problem}") as caught:
        read({**SECTION, "host": host})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("host", ["http://10.0.0.1:8080", "https://10.0.0.1:8080/connect"])
def test_a_listed_server_may_be_private(host):
    """In the cluster, with or without TLS."""
    assert read({**SECTION, "host": host}, parse_allowed_hosts("10.0.0.1:8080")).server.host == host


def test_the_proxy_is_that_of_the_operator(monkeypatch):
    """A cluster whose only way out is a proxy has Connections as well."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.internal:3128")
    monkeypatch.setenv("NO_PROXY", "near.example")

    assert read().server.proxy == "http://proxy.internal:3128"
    assert read({**SECTION, "host": "https://near.example"}).server.proxy is None


async def test_what_was_read_can_be_opened_and_closed(bundle):
    """It sends no request until it is asked to."""
    vaults = CONNECT.open(read(ca=bundle), time=FakeTime(), observer=lambda *_: None)

    assert vaults.address == "https://connect.example:8443"
    await vaults.close()
    with pytest.raises(VaultUnavailable, match="closed"):
        await vaults.refresh()


def test_it_polls_often_since_that_costs_two_requests():
    """The numbers are public: the definition and the documentation have them too."""
    assert (form().default_poll, form().shortest_poll) == (30.0, 1.0)
