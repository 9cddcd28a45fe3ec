from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import BadAddress, ConfigError, ConnectAccount, ConnectSettings, StaticToken
from keyturn.providers.connect.address import base_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://connect", "http://connect"),
        ("http://connect/", "http://connect"),
        ("  http://connect:8080//\n", "http://connect:8080"),
        ("HTTPS://Connect.Example:8443/Prefix/", "https://connect.example:8443/Prefix"),
        ("https://host/a/b", "https://host/a/b"),
        ("http://host:/", "http://host"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://10.0.0.1", "http://10.0.0.1"),
        ("http://onepassword_connect.vault.svc.cluster.local.", "http://onepassword_connect.vault.svc.cluster.local."),
    ],
)
def test_an_address_is_normalised(text, expected):
    """Outer blanks and slashes go, scheme and host become lower case, a path prefix stays."""
    assert expected == base_url(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("connect:8080", "http://"),
        ("ftp://connect", "http://"),
        ("http://", "host"),
        ("http:///path", "host"),
        ("http://host:0", "port"),
        ("http://host:99999", "port"),
        ("http://host:port", "port"),
        ("http://[::1", "host"),
        ("http://[12]", "host"),
        ("http://[v1.a:b]", "host"),
        ("http://-", "host"),
        ("http://127.0.0.010", "host"),
        ("http://300.1.1.1", "host"),
        ("https://xn--a.example", "host"),
        ("http://hö.example", "host"),
        ("http://user@host", "user name"),
        ("http://user:hunter2@host", "user name"),
        ("http://host?x=1", "query"),
        ("http://host/?", "query"),
        ("http://host/#", "fragment"),
        ("http://ho st", "blank"),
        ("http://host\\path", "backslash"),
        ("http://host/\x00", "control"),
        ("http://host/a//b", "segments"),
        ("http://host/../v1", "segments"),
    ],
)
def test_an_unusable_address_is_refused_with_its_reason(text, problem):
    """Whatever could send the token elsewhere, or nowhere, is refused at the start."""
    with pytest.raises(BadAddress, match=problem) as caught:
        base_url(text)

    assert "hunter2" not in str(caught.value)


@given(
    st.text("0123456789abx.:[]%-_/", min_size=1, max_size=24)
    | st.lists(st.integers(0, 300).map(str) | st.just("0177"), min_size=1, max_size=5).map(".".join)
    | st.text("0123456789abxn.-", max_size=12).map("xn--{}".format)
)
def test_what_is_accepted_can_be_asked(host):
    """Httpx refuses some addresses by an error of its own, which nothing after the settings expects."""
    with suppress(BadAddress):
        httpx.Request("GET", f"{base_url(f'https://{host}')}/v1/vaults")


def test_a_bad_proxy_is_distinguished_from_a_bad_server():
    """Both are addresses; the message says which one to correct."""
    with pytest.raises(BadAddress, match="the address of the proxy must start"):
        ConnectSettings(host="http://h", proxy="proxy:3128")


def test_the_refusal_has_no_chain():
    """The error of the parser may repeat the address."""
    with pytest.raises(BadAddress) as caught:
        base_url("http://[hunter2")

    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "change", [{"deadline": 0}, {"connections": 0}, {"json_limit": -1}, {"read_timeout": float("nan")}]
)
def test_timeouts_and_limits_must_be_positive(change):
    """A timeout of zero would fail every call; not-a-number would fail none."""
    with pytest.raises(ConfigError, match=next(iter(change))):
        ConnectSettings(host="http://h", **change)


def test_an_account_shows_no_token():
    """Its repr is safe to log at the start."""
    account = ConnectAccount(ConnectSettings(host="http://H/"), StaticToken("canary"))

    assert "canary" not in repr(account)
    assert account.server.host == "http://h"


@given(st.text() | st.from_regex(r"https?://[a-z@:.0-9\[\]]*(/[a-z./?#]*)?", fullmatch=True))
def test_any_text_is_either_refused_or_normal_after_one_pass(text):
    """Normalising twice changes nothing, and nothing but BadAddress is ever raised."""
    try:
        once = base_url(text)
    except BadAddress:
        return

    assert once == base_url(once)
    assert not once.endswith("/")
    assert not set("@?# ") & set(once)
