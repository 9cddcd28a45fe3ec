import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.connect import BadToken, StaticToken
from keyturn.providers.connect.token import clean_token


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
