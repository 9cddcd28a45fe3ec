"""The token of a service account: what is one, and where it may be sent."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.allowed_hosts import AllowedHosts, parse_allowed_hosts
from keyturn.core.vault import CredentialInvalid, HostNotAllowed, VaultError
from keyturn.providers.onepassword.service_token import parse_service_token
from support.service_account import service_token, token_of

NOBODY = AllowedHosts()


def parse(text, allowed=NOBODY):
    return parse_service_token(text, origin="the Secret", allowed=allowed)


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("https://my.1password.com", "my.1password.com"),
        ("https://my.1password.com/", "my.1password.com"),
        ("my.1password.com", "my.1password.com"),
        ("https://1password.eu", "1password.eu"),
        ("https://team.b5.1Password.CA:443", "team.b5.1password.ca"),
        ("https://my.1password.com:8443", "my.1password.com:8443"),
    ],
)
def test_a_token_for_one_of_1passwords_servers_is_accepted(address, server):
    """With or without scheme, in any region."""
    token = parse(f" {service_token(address)}\n")

    assert (token.text, token.server) == (service_token(address), server)
    assert "ops_" not in repr(token)


@pytest.mark.parametrize(
    "address",
    [
        "http://my.1password.com",
        "https://127.0.0.1",
        "https://169.254.169.254/",
        "https://[::1]",
        "https://connect.default.svc",
        "https://1password.com.evil.example",
        "https://evil1password.com",
        "https://my.1password.com@evil.example",
        "https://evil.example\\@my.1password.com",
        "https://evil.example#.1password.com",
        "https://evil.example/.1password.com",
        "https://my.1password.com/path",
        "https://my.1password.com.",
        "https://my.1pass word.com",
        "https://xn--1password-x.com",
        "ftp://my.1password.com",
        "//my.1password.com",
        "",
    ],
)
def test_a_token_that_names_another_server_is_refused(address):
    """Whoever pastes a token would otherwise choose what the operator connects to."""
    with pytest.raises(HostNotAllowed, match=r"the Secret .*1Password's") as refused:
        parse(service_token(address))

    assert "A3-ABCDEF" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "listed", "server"),
    [
        ("https://127.0.0.1:8443", "127.0.0.1:8443", "127.0.0.1:8443"),
        ("http://double.test", "double.test", "double.test:80"),
        ("double.test", "double.test:443", "double.test"),
    ],
)
def test_the_administrator_may_list_other_servers(address, listed, server):
    """For tests, and for what nobody has thought of."""
    assert parse(service_token(address), parse_allowed_hosts(listed)).server == server


def test_a_listed_host_is_listed_for_its_port_alone():
    """As it is everywhere else."""
    with pytest.raises(HostNotAllowed):
        parse(service_token("https://127.0.0.1:8444"), parse_allowed_hosts("127.0.0.1:8443"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (f'"{service_token()}"', "quotation mark"),
        ("op://vault/canary/token", "secret reference"),
        ("eyJcanary", "Connect server"),
        (base64.b64encode(service_token().encode()).decode(), "once more"),
        ("canary", "begin with ops_"),
        ("ops_", "not whole"),
        ("ops_canary!", "not whole"),
        (service_token()[:-20], "not whole"),
        (service_token()[:200] + "\n" + service_token()[200:], "not whole"),
        (token_of("[]"), "not whole"),
        (token_of('"canary"'), "not whole"),
        (token_of("{}"), "not whole"),
        (token_of('{"signInAddress": 1}'), "not whole"),
        (
            token_of('{"signInAddress": "https://evil.example", "signInAddress": "https://my.1password.com"}'),
            "not whole",
        ),
        (token_of("[" * 100_000), "not whole"),
        ("ops_" + "A" * 20_000, "not whole"),
    ],
)
def test_what_is_no_token_is_refused_without_being_repeated(text, reason):
    """A status or a log line would show it to more people than the Secret does."""
    with pytest.raises(CredentialInvalid, match=f"in the Secret .*{reason}") as refused:
        parse(text)

    assert "canary" not in str(refused.value)
    assert refused.value.__context__ is None


@given(
    st.text()
    | st.text().map(service_token)
    | st.text().map(token_of)
    | st.binary().map(lambda b: "ops_" + base64.b64encode(b).decode())
)
def test_any_text_is_a_token_or_a_clear_refusal(text):
    """Tenants write it."""
    try:
        server = parse(text).server
    except VaultError as error:
        server, message = "", str(error)
    else:
        message = ""

    assert len(message) < 500
    assert not server or server.split(":")[0].endswith(("1password.com", "1password.ca", "1password.eu"))
