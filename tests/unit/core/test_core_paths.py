"""The grammar of item paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.text import shorten
from keyturn.core.paths import BadPath, ItemPath, parse_item_path, same_but_for_case

PART = st.text(min_size=1, max_size=40).filter(lambda text: "/" not in text)


@given(PART, PART)
def test_any_two_names_without_a_slash_make_a_path(vault, item):
    """Spaces, quotes and any script are allowed, and nothing is trimmed or decoded."""
    assert parse_item_path(f"vaults/{vault}/items/{item}") == ItemPath(vault, item)


@given(st.lists(st.sampled_from(["vaults", "items", "a", " ", ""]), max_size=8).map("/".join))
def test_what_the_official_operator_understands_means_the_same_here(text):
    """It refuses paths of more parts, so only these may get a new meaning; four parts mean the same."""
    match text.split("/"):
        case ["vaults", vault, "items", item] if vault and item:
            assert parse_item_path(text) == ItemPath(vault, item)
        case parts if len(parts) <= 4:
            with pytest.raises(BadPath):
                parse_item_path(text)


@given(PART, st.lists(PART, min_size=1, max_size=4))
def test_a_title_may_hold_slashes(vault, parts):
    """The official operator refuses such a path for its many parts, so no old manifest changes its meaning."""
    title = "/".join(parts)

    assert parse_item_path(f"vaults/{vault}/items/{title}").item == title


def test_a_vault_may_hold_slashes_too():
    """It ends at the first `/items/`."""
    assert parse_item_path("vaults/a/b/items/c/d") == ItemPath("a/b", "c/d")
    assert parse_item_path("vaults/a/items/b/items/c") == ItemPath("a", "b/items/c")


@given(st.text("/abc", max_size=30))
def test_every_text_is_a_path_or_refused(text):
    """And a path, written as text, is the same text."""
    try:
        path = parse_item_path(text)
    except BadPath:
        return
    assert str(path) == text


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
        "vaults/x",
        "vaults/x/items",
        "vaults/items/x",
        "vaults//x/items/y",
        "just text",
    ],
)
def test_what_is_no_path_is_refused_with_the_form_it_should_have(text):
    """The message says what a path looks like, so that the reader need not look it up."""
    with pytest.raises(BadPath, match="vaults/<vault>/items/<item>"):
        parse_item_path(text)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("op://Production/database", "'vaults/Production/items/database'"),
        ("op://Production/my database/section/password", "'vaults/Production/items/my database'"),
    ],
)
def test_a_secret_reference_is_refused_with_the_path_to_write(text, instead):
    """1Password's app copies references, so that is what many people have at hand."""
    with pytest.raises(BadPath, match="is a secret reference; write") as refusal:
        parse_item_path(text)

    assert str(refusal.value).endswith(instead)


@pytest.mark.parametrize("text", ["op://", "op://vault", "op:///item", "op://vault/"])
def test_half_a_reference_gets_no_made_up_advice(text):
    """Then the general form is shown."""
    with pytest.raises(BadPath, match="must be of the form"):
        parse_item_path(text)


def test_the_refusal_quotes_the_path_but_not_without_end():
    """A path of a megabyte must not become a status of a megabyte."""
    with pytest.raises(BadPath) as refusal:
        parse_item_path("x" * 1_000_000)

    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Database", "dATABASE", True),
        ("ÉTÉ", "été", True),
        ("db", "db-2", False),
        ("db-2", "db", False),
        ("straße", "strasse", False),
        ("straße", "STRAẞE", True),
        ("db", "dc", False),
        ("", "", True),
    ],
)
def test_titles_are_the_same_but_for_case_as_a_whole(one, other, same):
    """A title that only begins like another is another item."""
    assert same_but_for_case(one, other) is same
    assert same_but_for_case(other, one) is same


@given(st.text(max_size=300), st.integers(min_value=1, max_value=200))
def test_shortening_keeps_to_its_limit(text, limit):
    """A short text stays, a long one ends in an ellipsis."""
    assert len(shorten(text, limit)) <= limit
    assert shorten(text, limit) == text or shorten(text, limit).endswith("…")
