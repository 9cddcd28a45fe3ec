"""Masking: no byte of a form gets through, nothing else is changed, and nothing else waits."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.client.masking import LONGEST_FORM, MASK, Masker, ValueForms


def masked_at_once(data: bytes, forms: list[bytes], end: int | None = None) -> bytes:
    """What masking means, as simply as it can be said: each run of covered bytes becomes one mask; as far as `end`."""
    covered = [False] * len(data)
    for form in forms:
        for at in range(len(data) - len(form) + 1):
            if data[at : at + len(form)] == form:
                covered[at : at + len(form)] = [True] * len(form)
    shown = bytearray()
    for at, byte in enumerate(data[:end]):
        if not covered[at]:
            shown.append(byte)
        elif at == 0 or not covered[at - 1]:
            shown += MASK
    return bytes(shown)


def longest_beginning(data: bytes, forms: list[bytes]) -> int:
    """How many bytes at the end may be the beginning of a form."""
    for size in range(len(data), 0, -1):
        if any(len(form) > size and form.startswith(data[-size:]) for form in forms):
            return size
    return 0


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


# Few letters, so that forms overlap, contain each other and begin as others end.
LETTERS = st.sampled_from([b"a", b"b", b"c"])
FORMS = st.lists(st.lists(LETTERS, min_size=1, max_size=7).map(b"".join), min_size=1, max_size=6)
LONG_FORMS = st.lists(st.lists(LETTERS, min_size=4, max_size=30).map(b"".join), min_size=1, max_size=4)


@st.composite
def streams(draw, forms):
    """Text in which forms stand, whole and in part, cut anywhere."""
    chosen = draw(forms)
    parts = st.one_of(
        LETTERS,
        st.binary(max_size=3),
        st.sampled_from(chosen),
        st.tuples(st.sampled_from(chosen), st.integers(0, 30)).map(lambda pair: pair[0][: pair[1]]),
    )
    data = b"".join(draw(st.lists(parts, max_size=20)))
    return chosen, pieces_of(data, draw(st.lists(st.integers(0, 1000), max_size=20)))


@given(stream=st.one_of(streams(FORMS), streams(LONG_FORMS)))
@settings(max_examples=250)
def test_however_a_stream_is_cut_it_is_masked_as_if_it_came_at_once(stream):
    """A value that a program prints in two writes is the same value."""
    forms, pieces = stream
    masker = Masker(ValueForms(forms))

    shown = b"".join(masker.feed(piece) for piece in pieces) + masker.end()

    assert shown == masked_at_once(b"".join(pieces), forms)


@given(stream=st.one_of(streams(FORMS), streams(LONG_FORMS)))
@settings(max_examples=250)
def test_only_what_may_be_the_beginning_of_a_form_is_held_back(stream):
    """A program that asks a question and waits must have its question shown."""
    forms, pieces = stream
    masker = Masker(ValueForms(forms))
    came = shown = b""

    for piece in pieces:
        came += piece
        shown += masker.feed(piece)
        decided = len(came) - longest_beginning(came, forms)
        assert shown == masked_at_once(came, forms, end=decided)


@pytest.mark.parametrize(
    ("forms", "pieces", "shown"),
    [
        ([b"secret"], [b"a secret", b" b"], [b"a " + MASK, b" b", b""]),
        ([b"secret"], [b"a sec", b"ret b"], [b"a ", MASK + b" b", b""]),
        ([b"secret"], [b"a sec", b"tor"], [b"a ", b"sector", b""]),
        ([b"secret"], [b"a sec"], [b"a ", b"sec"]),
        ([b"secret", b"secrets"], [b"secret"], [b"", MASK]),
        ([b"secret", b"secrets"], [b"secret", b"s!"], [b"", MASK + b"!", b""]),
        ([b"abcd", b"cdef"], [b"abcd", b"ef"], [MASK, b"", b""]),
        ([b"ab"], [b"ab", b"ab", b"-ab"], [MASK, b"", b"-" + MASK, b""]),
        ([], [b"anything"], [b"anything", b""]),
    ],
)
def test_what_is_shown_after_each_piece(forms, pieces, shown):
    """The table that a reader wants to see."""
    masker = Masker(ValueForms(forms))

    assert [*(masker.feed(piece) for piece in pieces), masker.end()] == shown


@given(
    form=st.binary(min_size=LONGEST_FORM, max_size=4 * LONGEST_FORM), cuts=st.lists(st.integers(0, 5000), max_size=9)
)
@settings(max_examples=50)
def test_a_long_form_is_one_mask_and_holds_little_back(form, cuts):
    """A key of many lines or a whole file must neither stop the log nor take minutes."""
    masker = Masker(ValueForms([form]))
    came, shown = 0, b""

    for piece in pieces_of(b"<" + form + b">", cuts):
        came += len(piece)
        shown += masker.feed(piece)
        assert came - len(shown) < LONGEST_FORM or MASK in shown

    assert shown + masker.end() == b"<" + MASK + b">"


@pytest.mark.parametrize("size", [LONGEST_FORM, LONGEST_FORM + 1, 2 * LONGEST_FORM, 2 * LONGEST_FORM + 1])
def test_the_parts_of_a_long_form_cover_it(size):
    """To its last byte."""
    form = bytes(number % 251 for number in range(size))

    assert masker_output(form, b"-" + form + b"-") == b"-" + MASK + b"-"


def masker_output(form, data):
    masker = Masker(ValueForms([form]))
    return masker.feed(data) + masker.end()


def test_very_many_forms_are_found():
    """A file of thousands of lines."""
    forms = [b"%04x-line" % number for number in range(5000)]
    masker = Masker(ValueForms(forms))

    assert masker.feed(b"1000-line 1387-line 1388-line ") == MASK + b" " + MASK + b" 1388-line "


def test_no_repr_shows_a_form():
    """It would be in the traceback of whatever goes wrong."""
    forms = ValueForms([b"canary"])
    masker = Masker(forms)
    masker.feed(b"cana")

    assert "cana" not in repr(forms) + repr(masker)
