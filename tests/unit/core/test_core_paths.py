"""The grammar of item paths."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn.base.text import shorten
from keyturn.core.paths import BadPath, ItemPath, letters, parse_item_path, same_but_for_case, spellings

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
    ("text", "meant"),
    [
        ("op://Prod/database", "vaults/Prod/items/database"),
        ("op://Prod/database/password", "vaults/Prod/items/database"),
        ("op://Prod/database/admin/password", "vaults/Prod/items/database"),
        ("vault/Prod/item/database", "vaults/Prod/items/database"),
        ("/vaults/Prod/items/database/", "vaults/Prod/items/database"),
        ("Vaults/Prod/Items/database", "vaults/Prod/items/database"),
    ],
)
def test_a_slip_is_answered_with_the_path_that_was_meant(text, meant):
    """A secret reference is what 1Password's app copies."""
    with pytest.raises(BadPath, match=f"; did you mean '{meant}'[?]$"):
        parse_item_path(text)


@pytest.mark.parametrize("text", ["op://Prod", "op:///x", "op://a/b/c/d/e", "vaults/x", "just text", "vaults//items/x"])
def test_what_could_mean_anything_is_not_guessed_at(text):
    """A wrong guess sends people the wrong way."""
    with pytest.raises(BadPath) as refusal:
        parse_item_path(text)

    assert "did you mean" not in str(refusal.value)


def test_the_refusal_quotes_the_path_but_not_without_end():
    """A path of a megabyte must not become a status of a megabyte."""
    with pytest.raises(BadPath) as refusal:
        parse_item_path("x" * 1_000_000)

    assert len(str(refusal.value)) < 400
    with pytest.raises(BadPath) as refusal:
        parse_item_path(f"op://{'x' * 1_000_000}/{'y' * 1_000_000}")
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
        ("Caf\u00e9", "cafe\u0301", True),
        ("my\u00a0db", "my db", True),
        ("my\u2009db", "my db", False),
        ("\ufb01le", "file", False),
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


def test_a_title_is_asked_for_in_the_spellings_that_a_server_may_hold():
    """One request for most titles."""
    assert spellings("db") == ["db"]
    assert spellings("caf\u00e9") == ["caf\u00e9", "cafe\u0301"]
    assert spellings("cafe\u0301") == ["cafe\u0301", "caf\u00e9"]


@example("Straße", "STRASSE")
@example("\N{KELVIN SIGN}", "k")
@given(*[st.text(st.sampled_from("aAsSßẞkKİüÜ") | st.characters(), max_size=4)] * 2)
def test_titles_have_the_same_letters_if_they_are_the_same_but_for_case(one, other):
    """So vaults are found by their letters at once."""
    assert (letters(one) == letters(other)) is same_but_for_case(one, other)
