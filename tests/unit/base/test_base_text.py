"""Text for messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.text import duration, listed, one_line, seconds_of, shorten


@given(st.text(max_size=60), st.integers(1, 50))
def test_a_shortened_text_is_never_longer_than_its_limit(text, limit):
    """A user's text must fit into a message."""
    short = shorten(text, limit)

    assert len(short) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_a_text_that_fits_stays_as_it_is():
    """At the limit nothing is cut."""
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"


@given(st.text())
def test_one_line_is_one_printable_line(text):
    """No text from outside can begin a second log record or control a terminal."""
    line = one_line(text)

    assert line.isprintable()
    assert len(line.splitlines()) <= 1


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_a_printable_text_stays_as_it_is(text):
    """Messages are read by people in many languages."""
    assert one_line(text) == text


@pytest.mark.parametrize(("names", "text"), [(("a",), "key a"), (("a", "b"), "keys a, b")], ids=["singular", "plural"])
def test_names_are_listed_after_their_noun(names, text):
    """The noun agrees with their number."""
    assert listed("key", names) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (34, "34 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (12000, "3 h 20 min"),
    ],
)
def test_durations_read_well(seconds, text):
    """Two units at most."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1h30m5s", 5405.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("0s", 0.0),
        ("", None),
        ("5", None),
        ("1 h", None),
        ("1d", None),
        ("-1s", None),
        (30, None),
        (None, None),
    ],
)
def test_durations_are_read_as_kubernetes_writes_them(text, seconds):
    """What is none is no number either."""
    assert seconds_of(text) == seconds
