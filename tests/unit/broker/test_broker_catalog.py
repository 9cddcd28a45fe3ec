"""Which items of a catalog a reference means: the best fit alone, and without a look at all the others."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.broker import catalog
from keyturn.broker.catalog import Catalog, FoundItem
from keyturn.control.connections.index import ResolvedItem
from keyturn.core.access import ItemKey
from keyturn.core.secret_references import SecretReference
from keyturn.core.vault import ItemRef, Scope

NAMES = st.sampled_from(
    ["db", "DB", "dB", "straße", "STRASSE", "STRAßE", "é", "e\u0301", "E\u0301", "a\u00a0b", "A b", "x"]
)
CONNECTIONS = st.sampled_from(["installation", "team-a/work"])


def found_item(connection, vault, item, title):
    ref = ItemRef(id=item, scope=vault, title=title, revision="1")
    resolved = ResolvedItem(connection, vault, ref, (), 0.0)
    return FoundItem(ItemKey(connection, vault, item), mock.sentinel.connection, resolved, Scope(id=vault, title=vault))


def catalog_of(items):
    return Catalog.of((), (), {each.key: each for each in items})


def meant(items, reference):
    """What a reference means, by a look at each item."""
    fits = [
        ((item, vault), each)
        for each in items
        if reference.connection in {"", each.key.connection}
        and (vault := catalog._fit(reference.vault, each.vault.id, each.vault.title)) is not None
        and (item := catalog._fit(reference.item, each.key.item, each.resolved.ref.title)) is not None
    ]
    return [each for fit, each in fits if fit == min(fits, key=lambda pair: pair[0])[0]]


@given(
    items=st.lists(
        st.builds(found_item, CONNECTIONS, NAMES, NAMES, NAMES), max_size=12, unique_by=lambda each: each.key
    ),
    reference=st.builds(
        SecretReference,
        vault=NAMES,
        item=NAMES,
        section=st.none(),
        field=st.just("f"),
        connection=st.just("") | CONNECTIONS,
    ),
)
def test_the_best_fit_is_meant(items, reference):
    """As it is, before other characters for the same letters, before another case; by its title as by its id."""
    items = sorted(items, key=lambda each: each.key)
    assert list(catalog_of(items).named(reference)) == meant(items, reference)


@pytest.mark.parametrize("name", ["item 7", "ITEM 7", "nothing"])
def test_what_is_not_meant_costs_nothing(name):
    """A hundred references to one of a thousand items must not keep everybody else waiting, nor say how many there are."""
    items = catalog_of([found_item("installation", "v", f"i{number}", f"item {number}") for number in range(1000)])
    with mock.patch.object(catalog, "_fit", wraps=catalog._fit) as fit:
        found = items.named(SecretReference(vault="v", item=name, section=None, field="f"))
    assert [each.key.item for each in found] == ([] if name == "nothing" else ["i7"])
    assert fit.call_count <= 2
