"""A listing: what a name may stand for in it, and what its silence proves."""

from keyturn.control.connections.listing import Listing
from keyturn.core.polling import Seen
from support.fake_vaults import item_ref


def listing(*refs, asked_for=None):
    made = Listing(seen=Seen(1, moved=False), asked_at=100.0, asked_for=asked_for)
    made.add(refs)
    return made


def test_a_name_is_an_id_or_a_title_in_any_case():
    """The path may be written either way."""
    found = listing(item_ref("a", "db"), item_ref("b", "DB"), item_ref("c", "a"))

    assert [ref.id for ref in found.candidates("Db")] == ["a", "b"]
    assert [ref.id for ref in found.candidates("a")] == ["a", "c"]


def test_an_item_that_is_not_in_use_is_missing_and_known_by_its_id_alone():
    """Its title may belong to another item by now."""
    found = listing(item_ref("a", "db", state="archived"))

    assert found.missing(["a", "db"]) == {"a", "db"}
    assert [ref.state for ref in found.candidates("a")] == ["archived"]
    assert found.candidates("db") == []


def test_only_the_names_that_were_asked_for_again_are_known_to_be_newer():
    """Of the others, the listing is as old as before."""
    found = listing(item_ref("a", "db"))
    assert found.missing(["db", "late", "never"]) == {"late", "never"}

    found.add_again(["late", "never"], [item_ref("b", "late")], asked_at=150.0)

    assert found.missing(["db", "late", "never"]) == {"never"}
    assert [found.asked_at_for(name) for name in ("db", "late", "never")] == [100.0, 150.0, 150.0]


def test_a_listing_of_some_names_proves_nothing_of_others():
    """It was not asked for them."""
    assert listing(asked_for=frozenset({"db"})).not_covered(frozenset({"db", "api"})) == {"api"}
    assert listing().not_covered(frozenset({"db"})) == frozenset()


def test_only_items_in_use_are_counted():
    """A provider without a size of its vaults is counted by its listings."""
    assert listing(item_ref("a", "db"), item_ref("b", "api"), item_ref("c", "old", state="archived")).active() == 2
