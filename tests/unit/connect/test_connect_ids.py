"""The grammar of Connect's ids."""

import pytest

from keyturn.providers.connect.ids import is_connect_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abcdefghijklmnopqrstuvwxyz", True),
        ("0" * 26, True),
        ("0" * 25, False),
        ("0" * 27, False),
        ("A" * 26, False),
        ("a" * 25 + "\n", False),
        ("é" * 26, False),
        ("", False),
    ],
)
def test_an_id_is_26_lower_case_letters_and_digits(text, expected):
    """A title of the same form may exist, so a failed look-up by id is followed by one by title."""
    assert is_connect_id(text) is expected
