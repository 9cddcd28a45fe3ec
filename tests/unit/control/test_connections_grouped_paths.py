"""Paths by scope, found anew only if paths or scopes have changed."""

import pytest

from keyturn.control.connections.grouped_paths import GroupedPaths, PathsTogether
from keyturn.core.paths import ItemPath
from keyturn.core.resolve import Unresolved
from keyturn.core.vault import Scope

DB, API, LOST = ItemPath("Prod", "db"), ItemPath("prod", "api"), ItemPath("Lost", "x")


@pytest.fixture(name="asked")
def _asked():
    return []


@pytest.fixture(name="grouped")
def _grouped(asked):
    def scope_id(name):
        asked.append(name)
        if name == "Lost":
            raise Unresolved("no such vault")
        return name.lower()

    return GroupedPaths(scope_id)


def test_names_of_one_scope_come_together_and_lost_ones_are_left_out(grouped):
    """A vault may be named by its title in several spellings, and by its id."""
    assert grouped.by_scope((DB, API, LOST), [Scope("prod", "Prod")]) == {"prod": {"db", "api"}}


def test_nothing_is_grouped_again_if_nothing_changed(grouped, asked):
    """An idle poll must cost the same with ten thousand paths as with one."""
    wanted = (DB,)
    found = grouped.by_scope(wanted, [Scope("prod", "Prod", version=1)])
    asked.clear()

    assert grouped.by_scope(wanted, [Scope("prod", "Prod", version=1)]) is found
    assert asked == []


@pytest.mark.parametrize(
    ("wanted", "scopes"), [((DB, API), [Scope("prod", "Prod")]), ((DB,), [Scope("prod", "Prod", version=2)])]
)
def test_what_changed_is_grouped_again(grouped, asked, wanted, scopes):
    """A title may stand for another vault as soon as there are other vaults."""
    grouped.by_scope((DB,), [Scope("prod", "Prod")])
    asked.clear()

    grouped.by_scope(wanted, scopes)

    assert asked != []


def test_paths_of_several_sources_come_together_once():
    """Requests and grants may want the same item."""
    sources: dict[str, tuple[ItemPath, ...]] = {"requests": (DB, API), "grants": (API, LOST)}
    together = PathsTogether(lambda _: sources["requests"], lambda _: sources["grants"])

    found = together("installation")
    assert found == (DB, API, LOST)
    assert together("installation") is found
    sources["grants"] = ()
    assert together("installation") is sources["requests"]
    sources["requests"] = ()
    assert together("installation") == ()
    assert together("installation") is together("installation")
