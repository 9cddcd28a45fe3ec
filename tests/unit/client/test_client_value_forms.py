"""The forms of a value cover what encoders really make of it, alone and between other text."""

import json
import re
import urllib.parse
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.client.masking import MASK, Masker, ValueForms
from keyturn.client.value_forms import LARGEST_ENCODED

VALUES = st.one_of(st.binary(min_size=8, max_size=60), st.text(min_size=8, max_size=40).map(str.encode)).filter(
    lambda value: len(value.strip()) >= 8
)


def hidden(value: bytes, printed: bytes) -> bytes:
    masker = Masker(ValueForms.of_values([value]))
    return masker.feed(printed) + masker.end()


@given(
    value=VALUES,
    before=st.binary(max_size=7),
    after=st.binary(max_size=7),
    encode=st.sampled_from([b64encode, urlsafe_b64encode]),
)
def test_base64_is_masked_at_all_alignments(value, before, after, encode):
    """`user:password` in base64 holds the password at any of three places; six bits at each end belong to both sides."""
    encoded = encode(before + value + after)
    begin = -(-8 * len(before) // 6)
    end = 8 * len(before + value) // 6

    shown = hidden(value, encoded)

    assert encoded[begin:end] not in shown
    assert MASK in shown
    assert len(shown.replace(MASK, b"")) <= len(encoded) - (end - begin)


@given(value=VALUES)
def test_base64_of_the_value_alone_is_masked_whole(value):
    """With its padding, without it, and with the line breaks of `base64`."""
    encoded = b64encode(value)

    assert hidden(value, encoded) == MASK
    assert hidden(value, encoded.rstrip(b"=")) == MASK


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("size", [58, 59, 60, 80, 113, 200])
def test_base64_in_lines_of_what_echo_prints_is_masked(width, size):
    """`echo "$TOKEN" | base64`: the line break behind the value changes the last characters of the last line, and hides no other."""
    value = bytes(33 + number % 90 for number in range(size))
    encoded = b64encode(value + b"\n")
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]

    shown = hidden(value, b"\n".join(lines)).replace(MASK, b"").strip()

    assert len(shown) <= len(encoded) - 8 * size // 6


@pytest.mark.parametrize("width", [64, 76])
def test_base64_in_lines_is_masked(width):
    """`base64` and `openssl base64` break lines."""
    value = bytes(range(256)) * 2
    encoded = b64encode(value)
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]

    assert hidden(value, b"\n".join(lines)).replace(MASK, b"").strip() == b""


@given(value=VALUES, safe=st.sampled_from(["", "/"]))
def test_percent_encoded_values_are_masked(value, safe):
    """In a URL that a program prints when it cannot connect."""
    quoted = urllib.parse.quote(value, safe=safe)
    in_lower_case = re.sub("%..", lambda escape: escape[0].lower(), quoted)

    for printed in (quoted, in_lower_case, urllib.parse.quote_plus(value)):
        assert hidden(value, printed.encode()) == MASK


@given(text=st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8), ascii_only=st.booleans())
def test_values_in_json_are_masked(text, ascii_only):
    """Structured logs escape quotes, backslashes, line breaks, and perhaps everything beyond ASCII."""
    escaped = json.dumps({"password": text}, ensure_ascii=ascii_only).encode()

    assert hidden(text.encode(), escaped) == b'{"password": "' + MASK + b'"}'


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        # As encoders of other languages write it.
        (b'a<b>&"c/d', rb"a\u003cb\u003e\u0026\"c/d"),
        (b'a<b>&"c/d', rb"a<b>&\"c\/d"),
        ("pass\u00e9word".encode(), rb"pass\u00E9word"),
        (b"it's (a) secret*!", b"it's%20(a)%20secret*!"),
        (b"pa ss&wo=rd", b"pa+ss%26wo%3Drd"),
        (b"p@ss/w:rd", b"p%40ss%2fw%3ard"),
        # As a shell prints what has white space around it.
        (b"  secret value\n", b"secret value"),
        (b"secret value\n", b64encode(b"secret value")),
    ],
)
def test_what_other_programs_print_is_masked(value, printed):
    """Each of these was seen in a log."""
    assert hidden(value, printed) == MASK


PEM = b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nab==\n-----END KEY-----\n"


def test_a_value_of_several_lines_is_masked_line_by_line():
    """A log that puts something before each line shows every line of a key."""
    shown = hidden(PEM, b"".join(b"key: " + line + b"\r\n" for line in PEM.splitlines()))

    assert shown == (b"key: " + MASK + b"\r\n") * 5


def test_a_value_of_several_lines_is_one_mask_if_it_is_printed_whole():
    """Its line breaks belong to it."""
    assert hidden(PEM, b"<" + PEM + b">") == b"<" + MASK + b">"


@pytest.mark.parametrize("value", [b"", b"a", b"ab", b" a ", b"\n\n\n\n", b"  \t  "])
def test_what_is_too_short_to_be_hidden_is_not(value):
    """A mask for each letter `a` shows where they are, and nothing else of the log."""
    printed = b"a cat sat on a mat; \n\n\n\n  \t  ab"

    assert hidden(value, printed) == printed


@pytest.mark.parametrize("size", [LARGEST_ENCODED, LARGEST_ENCODED + 1])
def test_the_largest_values_are_masked_as_they_are(size):
    """Their other forms would take longer to prepare than the command runs."""
    value = b"canary" + b"x" * (size - 6)
    encoded = b64encode(value[:600])[:700]

    assert hidden(value, value[:2048]) == MASK
    assert (MASK in hidden(value, encoded)) == (size <= LARGEST_ENCODED)


def test_short_lines_of_a_long_value_are_not_masked_by_themselves():
    """Brackets are everywhere."""
    value = b'{\n  "type": "account"\n}\n'

    assert hidden(value, b"if (x) { y }\n") == b"if (x) { y }\n"
    assert hidden(value, b'> "type": "account"\n') == b"> " + MASK + b"\n"
