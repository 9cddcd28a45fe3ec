import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import BadToken, StaticToken
from keyturn.providers.connect.token import clean_token, token_id


def test_outer_whitespace_of_a_token_is_stripped():
    """A file ends in a newline; the token does not."""
    assert StaticToken("\n abc.def \r\n").current() == "abc.def"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("eyJhb\nGciOi", "line break"),
        ("Bearer eyJhbGciOi", "Bearer"),
        ("'eyJhbGciOi'", "quotation mark"),
        ('eyJhbGciOi"', "quotation mark"),
        ("ops_eyJhbGciOi", "service account"),
        ("op://vault/GciOi/token", "secret reference"),
        ("ZXlKhbGciOi", "base64"),
        ("eyJ\x00hbGciOi", "characters"),
        ("eyJ\x7fhbGciOi", "characters"),
        ("eyJhbGciOi\u2026", "characters"),
        ("eyJhb\u00a0GciOi", "whitespace"),
    ],
)
def test_a_damaged_token_is_refused_without_being_shown(text, problem):
    """A token cut at a line end would reach the server as half a header."""
    with pytest.raises(BadToken, match=problem) as caught:
        clean_token(text, origin="OP_CONNECT_TOKEN")

    assert "OP_CONNECT_TOKEN" in str(caught.value)
    assert "GciOi" not in str(caught.value)


@given(st.text())
def test_an_accepted_token_fits_into_a_header(text):
    """Nothing that could end a header, or start another one, gets through."""
    try:
        token = clean_token(text, origin="here")
    except BadToken:
        return

    assert token
    assert all("!" <= char <= "~" for char in token)


def test_a_static_token_never_shows_and_never_changes():
    """Its repr is safe to log; a refusal brings no other token."""
    token = StaticToken("canary")

    assert "canary" not in f"{token!r} {token}"
    assert not token.renew()


def jwt(claims):
    """A token with these claims; nobody checks its signature here."""
    parts = ({"alg": "ES256"}, claims)
    head, body = (base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts)
    return f"{head}.{body}.c2lnbmF0dXJl"


@pytest.mark.parametrize("jti", ["a", "hn3wq", "x" * 26, "y" * 255])
def test_the_id_of_a_token_is_read(jti):
    """Connect's activity has this id, never the token."""
    assert token_id(jwt({"aud": ["com.1password.connect"], "jti": jti})) == jti


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "a.b", "a.!!!.c", "..", f"a.{base64.urlsafe_b64encode(b'[1]').decode()}.c", "a.\u00e4\u00e4.c"),
        *(jwt({}), jwt({"jti": 7}), jwt({"jti": None}), jwt([])),
        f"a.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.c",
    ],
)
def test_a_token_without_an_id_has_none(token):
    """It is no reason for anything to fail."""
    assert token_id(token) == ""


@given(st.text())
def test_no_text_breaks_the_reading_of_an_id(text):
    """Whatever stands in the token's file."""
    assert isinstance(token_id(text), str)
