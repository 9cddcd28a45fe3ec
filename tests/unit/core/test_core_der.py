"""DER, read one element at a time, whatever the bytes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core import der


def encoded(tag, content):
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(digits)]) + digits) + content


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=5))
def test_what_is_encoded_is_read(elements):
    """Lengths have two forms, and both are common."""
    sequence = der.read(encoded(0x30, b"".join(encoded(*element) for element in elements)))

    assert [(each.tag, each.content) for each in sequence.inner] == elements


@given(st.binary())
def test_any_bytes_are_an_element_or_an_error(data):
    """A Secret holds whatever was written into it."""
    try:
        element = der.read(data)
    except ValueError:
        return
    assert len(element.content) <= len(data) - 2


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x02\x05", b"\x30\x82\x01", b"\x05\x00\x05\x00"])
def test_what_is_cut_or_goes_on_is_no_element(data):
    """A part of a key is no key."""
    with pytest.raises(ValueError):
        der.read(data)


def test_an_integer_is_signed():
    """A negative number of rounds must not look like a large one."""
    assert der.read(b"\x02\x02\x4e\x20").number == 20_000
    assert der.read(b"\x02\x01\xff").number == -1


def test_elements_of_another_form_are_an_error():
    """A caller may rely on what it names."""
    pair = der.read(encoded(0x30, encoded(2, b"\1") + encoded(4, b"x")))

    assert [each.content for each in pair.of(der.INTEGER, der.OCTETS)] == [b"\1", b"x"]
    for tags in ((), (2,), (4, 2), (2, 4, 4)):
        with pytest.raises(ValueError):
            pair.of(*tags)


def test_an_element_does_not_print_its_content():
    """It may be a private key."""
    assert "canary" not in repr(der.read(encoded(4, b"canary")))
