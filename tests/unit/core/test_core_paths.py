"""The grammar of item paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.paths import BadPath, ItemPath, looks_like_id, parse_item_path, shorten

PART = st.text(min_size=1, max_size=40).filter(lambda text: "/" not in text)


@given(PART, PART)
def test_any_two_names_without_a_slash_make_a_path(vault, item):
    """Spaces, quotes and foreign scripts are all allowed, and nothing is trimmed or decoded."""
    assert parse_item_path(f"vaults/{vault}/items/{item}") == ItemPath(vault, item)


@given(st.text(max_size=60).filter(lambda text: text.count("/") != 3))
def test_another_number_of_parts_is_refused(text):
    """Exactly four parts make a path."""
    with pytest.raises(BadPath):
        parse_item_path(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        17,
        "vaults//items/x",
        "vaults/x/items/",
        "vaults//items/",
        "Vaults/x/items/y",
        "vaults/x/Items/y",
        "vaults/x/item/y",
        "/vaults/x/items/y",
        "vaults/x/items/y/",
        "op://vault/item/field",
    ],
)
def test_what_is_no_path_is_refused_with_the_form_it_should_have(text):
    """The message says what a path looks like, so that nobody must look it up."""
    with pytest.raises(BadPath, match="vaults/<vault>/items/<item>"):
        parse_item_path(text)


def test_the_refusal_quotes_the_path_but_not_without_end():
    """A path of a megabyte must not become a status of a megabyte."""
    with pytest.raises(BadPath) as refusal:
        parse_item_path("x" * 1_000_000)

    assert len(str(refusal.value)) < 400


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
    """The shape of an id is Connect's own."""
    assert looks_like_id(text) is expected


@given(st.text(max_size=300), st.integers(min_value=1, max_value=200))
def test_shortening_keeps_to_its_limit(text, limit):
    """A short text stays, a long one ends in an ellipsis."""
    assert len(shorten(text, limit)) <= limit
    assert shorten(text, limit) == text or shorten(text, limit).endswith("…")
