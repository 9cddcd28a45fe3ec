import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.providers.scrub import scrub

JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImFiYyJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    "text",
    [
        "Something went wrong",
        "vault 4hkq2m7w3zt5xv6bnc8dljg9rs is not in scope",
        "Authorization: token does not have access to vault 4hkq2m7w3zt5xv6bnc8dljg9rs",
        "sync did not complete within timeout, please retry the request",
        "Invalid bearer token",
        "Invalid Item UUID",
        "failed to initiate, review service logs for details",
        "Use the /v1/vaults/{vaultUUID}/items/{itemUUID}/files/{fileUUID}/content endpoint instead.",
        "Validation: (validateVaultItem failed to Validate), Errors:{1. details.sections[0].fields[0] is wrong}",
        "The item doesn't have a notesPlain field.",
        "values for field type monthYear must be in YYYYMM or YYYY/MM format",
        "1Password did not answer within 10s; connect to 10.0.0.1:8080 failed!",
    ],
)
def test_a_known_message_of_connect_stays_readable(text):
    """Every message that is known from real servers passes unchanged: ids and words help at 3 a.m."""
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"bad token {JWT}", "bad token ***"),
        ("Authorization: Bearer abcdef", "Authorization: Bearer ***"),
        ("key AKIAIOSFODNN7EXAMPLE is wrong", "key *** is wrong"),
        ("hash 5e884898da28047151d0e56f8dc6292773603d0d", "hash ***"),
        ("base64 c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "*** ***"),
        ("password hunter2 refused", "password *** refused"),
        ("password p@ssword refused", "password *** refused"),
        ("card 4111111111111111", "card ***"),
        ("long abcdefghijklmnopqrstuvwxyz", "long abcdefghijklmnopqrstuvwxyz"),
        ("longer abcdefghijklmnopqrstuvwxyza", "longer ***"),
        ('no item "plain words" here', 'no item "***" here'),
        ('an open "quote never', 'an open "***"'),
        ("in `back ticks`", 'in "***"'),
    ],
)
def test_what_could_be_a_value_is_masked(text, shown):
    """Quoted text, long words, and words that mix letters with digits or symbols, unless they are ids."""
    assert scrub(text) == shown


def test_texts_of_the_request_are_masked():
    """A title or value that the server repeats is masked, longer texts first."""
    shown = scrub("no item called hunter the second, nor hunter", redact=["hunter", "hunter the second", "", "n"])

    assert shown == "no item called ***, nor ***"


@given(st.text(), st.lists(st.text()))
def test_any_message_becomes_one_short_line(text, redact):
    """Whatever the server writes, a status and a log record stay one line of at most 200 characters."""
    shown = scrub(text, redact=redact)

    assert len(shown) <= 200
    assert shown.isprintable()
