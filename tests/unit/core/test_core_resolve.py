"""Which vault or item a name matches in listings."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.resolve import ItemUnresolved, VaultNames, VaultUnresolved, find_item
from keyturn.core.vault import ItemRef, Scope

START = datetime(2026, 1, 1, tzinfo=UTC)
ID_A, ID_B = "a" * 26, "b" * 26


def a_vault(scope_id, title, age=0):
    return Scope(id=scope_id, title=title, created_at=START - timedelta(days=age))


def an_item(item_id, title, age=0):
    return ItemRef(id=item_id, scope="v", title=title, revision="1", created_at=START - timedelta(days=age))


VAULT = a_vault("v" * 26, "Production")


def is_id(text):
    return len(text) == 26


def vault_named(scopes, name):
    return VaultNames(scopes, is_id=is_id, credential="the key").find(name)


def item_named(refs, name):
    return find_item(refs, name, vault=VAULT, is_id=is_id)


@pytest.mark.parametrize(
    ("vaults", "name", "expected"),
    [
        pytest.param([a_vault("1", "Prod")], "Prod", "1", id="by title"),
        pytest.param([a_vault("1", "Prod")], "pROD", "1", id="ignoring case"),
        pytest.param([a_vault(ID_A, "Prod")], ID_A, ID_A, id="by id"),
        pytest.param([a_vault(ID_A, "Prod"), a_vault(ID_B, ID_A)], ID_A, ID_B, id="a title that is another's id wins"),
        pytest.param([a_vault("1", "Prod"), a_vault("2", "prod", age=1)], "Prod", "2", id="oldest wins"),
        pytest.param([a_vault("1", "ÜBER ÉTÉ")], "über été", "1", id="ignoring case of any letter"),
        pytest.param(
            [a_vault("1", "Strasse"), a_vault("2", "Straße", age=1)], "strasse", "1", id="other letters, other title"
        ),
    ],
)
def test_a_vault_is_found_by_title_then_by_id(vaults, name, expected):
    """The order of the official operator, which old manifests rely on."""
    assert vault_named(vaults, name).match.id == expected


@pytest.mark.parametrize(
    ("items", "name", "expected"),
    [
        pytest.param([an_item("1", "db")], "db", "1", id="by title"),
        pytest.param([an_item("1", "DB")], "db", "1", id="ignoring case if nothing matches exactly"),
        pytest.param([an_item("1", "DB", age=9), an_item("2", "db")], "db", "2", id="exact case before age"),
        pytest.param([an_item(ID_A, "x"), an_item(ID_B, ID_A, age=9)], ID_A, ID_A, id="id before title"),
        pytest.param([an_item("db", "x"), an_item("1", "DB")], "db", "1", id="an id without the form of one"),
        pytest.param([an_item(ID_B, ID_A)], ID_A, ID_B, id="a title that looks like an id"),
        pytest.param([an_item("1", 'say "hi" \\ bye')], 'say "hi" \\ bye', "1", id="quotes and backslashes"),
        pytest.param([an_item("1", " a "), an_item("2", "a", age=9)], " a ", "1", id="blanks count"),
        pytest.param([an_item("1", "a%2Fb"), an_item("2", "a/b", age=9)], "a%2Fb", "1", id="nothing is decoded"),
        pytest.param([an_item("1", "db"), an_item("2", "db", age=1)], "db", "2", id="oldest wins"),
        pytest.param(
            [an_item("2", "db"), an_item("1", "db")], "db", "1", id="equal age: by id, so that it never flips"
        ),
    ],
)
def test_an_item_is_found_by_id_then_by_title(items, name, expected):
    """The order of a listing never decides."""
    assert item_named(items, name).match.id == expected


def test_a_warning_of_an_ambiguous_title_names_the_chosen_item():
    """The reader of the warning must be able to find the item that is used."""
    found = item_named([an_item("young", "db"), an_item("old", "db", age=1)], "db")

    assert "2 items of the vault 'Production' are titled 'db'" in found.warning
    assert "old" in found.warning


def test_an_unambiguous_name_gives_no_warning():
    """A warning always means something."""
    assert item_named([an_item("1", "db")], "db").warning == ""


def test_an_unknown_vault_and_an_unknown_item_are_different_errors():
    """The reader of the status must know which of the two to look for."""
    with pytest.raises(VaultUnresolved, match="'Nope'"):
        vault_named([VAULT], "Nope")
    with pytest.raises(ItemUnresolved, match=r"'Production' has no item .* 'nope'"):
        item_named([an_item("nope", "db"), an_item("2", "nop")], "nope")


@pytest.mark.parametrize("title", ["dbx", "xdb", "d", "ab", "", "db "])
def test_another_title_is_another_thing(title):
    """The Secret of one application must never be filled from the item of another."""
    with pytest.raises(ItemUnresolved):
        item_named([an_item("1", title)], "db")
    with pytest.raises(VaultUnresolved):
        vault_named([a_vault("1", title)], "db")


@given(
    st.lists(st.sampled_from(["db", "DB", "dB", "x", "dbx", ID_A, ID_B]), max_size=6),
    st.sampled_from(["db", "DB", ID_A, "no"]),
)
def test_the_found_item_has_the_name(titles, name):
    """By id or by title, ignoring case, whatever else is listed; and no match is missed."""
    items = [an_item(ident, title) for ident, title in zip([ID_A, ID_B, *"cdef"], titles, strict=False)]
    named = [item for item in items if name in {item.id, item.title} or item.title.lower() == name.lower()]

    if named:
        assert item_named(items, name).match in named
    else:
        with pytest.raises(ItemUnresolved):
            item_named(items, name)


ITEMS = st.lists(
    st.builds(an_item, st.text("abc", min_size=1, max_size=3), st.sampled_from(["db", "DB", "x"]), st.integers(0, 3)),
    unique_by=lambda item: item.id,
    min_size=1,
    max_size=8,
)


@given(ITEMS, st.randoms())
def test_the_order_of_a_listing_decides_nothing(items, randomness):
    """Two servers may list in different orders; the answer is the same."""
    shuffled = list(items)
    randomness.shuffle(shuffled)

    def answer(candidates):
        try:
            return item_named(candidates, "db")
        except ItemUnresolved:
            return None

    assert answer(items) == answer(shuffled)


def test_spellings_of_the_same_letters_are_the_same_title():
    """Apple's file systems write an accent as a character of its own, web pages write no-break spaces: nobody can see the difference."""
    decomposed, composed = "Cafe\u0301\u00a0db", "Caf\u00e9 db"

    assert item_named([an_item("1", decomposed)], composed).match.id == "1"
    assert item_named([an_item("1", composed)], decomposed).match.id == "1"
    assert vault_named([a_vault("1", decomposed)], composed.upper()).match.id == "1"
    found = item_named(
        [an_item("1", "CAF\u00c9 DB", age=9), an_item("2", decomposed, age=1), an_item("3", composed)], composed
    )
    assert (found.match.id, found.warning) == ("3", "")
    found = item_named([an_item("1", "CAF\u00c9 DB", age=9), an_item("2", decomposed)], composed)
    assert (found.match.id, found.warning) == ("2", "")


def test_a_slip_in_a_name_is_answered_with_the_one_that_was_meant():
    """Only one name, near to what was written, and only of what the credential can see."""
    with pytest.raises(VaultUnresolved, match=r"; did you mean 'Production'\?$"):
        vault_named([a_vault("1", "Production"), a_vault("2", "Staging")], "Prodution")
    with pytest.raises(ItemUnresolved, match=r"; did you mean 'database'\?$"):
        find_item([], "databse", vault=VAULT, is_id=is_id, titles=lambda: ["web", "database", "data lake"])
    with pytest.raises(ItemUnresolved) as caught:
        find_item([], "payroll", vault=VAULT, is_id=is_id, titles=lambda: ["web", "database", "data lake"])
    assert "did you mean" not in str(caught.value)


def test_no_name_is_compared_unless_the_message_is_read():
    """The index asks for what is not there at each poll."""
    read = []

    def titles():
        read.append(1)
        return ["database"]

    with pytest.raises(ItemUnresolved) as caught:
        find_item([], "databse", vault=VAULT, is_id=is_id, titles=titles)

    assert read == []
    assert str(caught.value).endswith("'database'?")
    assert read == [1]


def test_many_names_among_many_vaults_take_no_time():
    """A tenant writes both: the names, and the server that lists the vaults. Other tenants wait meanwhile."""
    vaults = [a_vault(str(number), f"{'v' * 60}{number:05}") for number in range(20_000)]
    named = VaultNames(
        [*vaults, *[a_vault(f"x{number}", "twin") for number in range(20_000)]], is_id=is_id, credential=""
    )
    began = time.process_time()

    for number in range(1000):
        assert named.find(f"{'V' * 60}{number:05}").match.id == str(number)
        assert named.find("Twin").warning.startswith("20000 vaults are titled 'Twin'")
    assert time.process_time() - began < 1


def test_an_item_of_too_many_twins_must_be_named_by_its_id():
    """To find the oldest of tens of thousands takes long, and each request for it does that again."""
    twins = [an_item(f"{number:026}", "db") for number in range(1001)]

    assert item_named(twins[1:], "db").match == twins[1]
    assert item_named(twins, twins[7].id).match == twins[7]
    with pytest.raises(
        ItemUnresolved, match="more than 1000 items of the vault 'Production' are titled 'db': name the item by its id"
    ):
        item_named(twins, "db")
