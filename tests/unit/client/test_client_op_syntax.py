"""The client's reader of references agrees with the broker's, by the same table."""

import pytest

from keyturn.client.failures import Misuse
from keyturn.client.op_syntax import check_reference, is_reference, shown_text
from support.op_references import BAD, GOOD


@pytest.mark.parametrize("text", GOOD)
def test_what_the_broker_reads_is_sent(text):
    """A reference that the client refuses could never be used."""
    check_reference(text)
    assert is_reference(text)


@pytest.mark.parametrize(("text", "why"), BAD)
def test_what_the_broker_refuses_is_refused_before_anything_is_asked(text, why):
    """The message says what is wrong, on one line."""
    with pytest.raises(Misuse) as refused:
        check_reference(text)

    assert why in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_long_text_is_shortened_in_a_message():
    """A file that was given by mistake must not fill the log."""
    assert shown_text("a" * 81) == '"' + "a" * 80 + '…"'
    assert shown_text("a\nb\x1b") == '"a\\nb\\x1b"'
