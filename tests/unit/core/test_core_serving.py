"""Which connection serves an object: a table, and what holds whatever Connections there are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.connection import ConnectionKey, ConnectionSpec, UsableFrom
from keyturn.core.label_selectors import LabelRequirement, LabelSelector
from keyturn.core.request import DEFAULT_CONNECTION
from keyturn.core.serving import Consumer, Serving, serving

OWN, DEFAULT, OTHER = ConnectionKey("a", "work"), ConnectionKey("a", "default"), ConnectionKey("b", "work")
TEAM_A = LabelSelector((LabelRequirement("team", "In", ("a",)),))
NOT_B = LabelSelector((LabelRequirement("team", "NotIn", ("b",)),))


def spec(key, **more):
    return ConnectionSpec(key=key, uid=f"uid of {key}", generation=1, provider="connect", section="{}", **more)


def known(*specs):
    return {each.key: each for each in specs}


def consumer(*, may_fall=False, **more):
    return Consumer("a", may_fall=may_fall, **more)


REFUSED = "the Connection b/work does not exist, or may not be used from namespace a"
GONE = (
    "the Connection a/default, through which the Secret was filled, is gone; "
    "change the spec or request a sync to use the installation's connection"
)
NONE = "namespace a has no Connection named default, and the installation has no connection"


@pytest.mark.parametrize(
    ("ref", "specs", "asking", "expected"),
    [
        (None, [], consumer(), Serving(DEFAULT_CONNECTION)),
        (None, [spec(OWN), spec(OTHER)], consumer(), Serving(DEFAULT_CONNECTION)),
        (None, [spec(DEFAULT)], consumer(), Serving("a/default")),
        (None, [spec(DEFAULT)], consumer(filled_through=OTHER), Serving("a/default")),
        (None, [spec(DEFAULT, suspend=True)], consumer(), Serving(refusal="the Connection a/default is suspended")),
        (None, [spec(DEFAULT, deleting=True)], consumer(), Serving(DEFAULT_CONNECTION)),
        (None, [spec(DEFAULT, deleting=True)], consumer(filled_through=DEFAULT), Serving(refusal=GONE)),
        (None, [], consumer(filled_through=DEFAULT), Serving(refusal=GONE)),
        (None, [], consumer(filled_through=DEFAULT, may_fall=True), Serving(DEFAULT_CONNECTION)),
        (None, [spec(OTHER)], consumer(filled_through=OTHER), Serving(DEFAULT_CONNECTION)),
        (OWN, [spec(OWN)], consumer(), Serving("a/work")),
        (OWN, [spec(OWN)], consumer(filled_through=DEFAULT), Serving("a/work")),
        (OWN, [spec(OWN, suspend=True)], consumer(), Serving(refusal="the Connection a/work is suspended")),
        (OTHER, [], consumer(may_fall=True), Serving(refusal=REFUSED)),
        (OTHER, [spec(OTHER)], consumer(), Serving(refusal=REFUSED)),
        (OTHER, [spec(OTHER, suspend=True)], consumer(), Serving(refusal=REFUSED)),
        (OTHER, [spec(OTHER, usable_from=UsableFrom(("c",)))], consumer(), Serving(refusal=REFUSED)),
        (OTHER, [spec(OTHER, usable_from=UsableFrom(("c", "a")))], consumer(), Serving("b/work")),
        (OTHER, [spec(OTHER, deleting=True, usable_from=UsableFrom(("a",)))], consumer(), Serving(refusal=REFUSED)),
        (
            OTHER,
            [spec(OTHER, usable_from=UsableFrom(("a",), TEAM_A))],
            consumer(),
            Serving("b/work"),
        ),
        (
            OTHER,
            [spec(OTHER, usable_from=UsableFrom(selector=TEAM_A))],
            consumer(labels={"team": "a"}),
            Serving("b/work", by_labels=True),
        ),
        (
            OTHER,
            [spec(OTHER, usable_from=UsableFrom(selector=TEAM_A))],
            consumer(labels={"team": "b"}),
            Serving(refusal=REFUSED, by_labels=True),
        ),
        (
            OTHER,
            [spec(OTHER, usable_from=UsableFrom(selector=NOT_B))],
            consumer(labels={}),
            Serving("b/work", by_labels=True),
        ),
        (
            OTHER,
            [spec(OTHER, usable_from=UsableFrom(selector=NOT_B))],
            consumer(labels=None),
            Serving(refusal=REFUSED, by_labels=True),
        ),
        (
            OTHER,
            [spec(OTHER, suspend=True, usable_from=UsableFrom(selector=TEAM_A))],
            consumer(labels={"team": "a"}),
            Serving(refusal="the Connection b/work is suspended", by_labels=True),
        ),
    ],
)
def test_what_serves_an_object(ref, specs, asking, expected):
    """The named one, the default of the namespace, the installation's; or a reason why none does."""
    assert serving(asking, ref, known=known(*specs)) == expected


@pytest.mark.parametrize("asking", [consumer(), consumer(filled_through=DEFAULT), consumer(may_fall=True)])
def test_without_a_connection_of_the_installation_nothing_falls_to_it(asking):
    """The message says what to make."""
    assert serving(asking, None, known={}, installation=False) == Serving(refusal=NONE)
    assert serving(asking, None, known=known(spec(DEFAULT)), installation=False) == Serving("a/default")


NAMESPACES = st.sampled_from(["a", "b", "c"])
KEYS = st.builds(ConnectionKey, NAMESPACES, st.sampled_from(["default", "work"]))
SELECTORS = st.sampled_from([None, TEAM_A, NOT_B, LabelSelector()])
USABLE = st.none() | st.builds(UsableFrom, st.lists(NAMESPACES, max_size=2).map(tuple), SELECTORS)
SPECS = st.builds(spec, KEYS, usable_from=USABLE, suspend=st.booleans(), deleting=st.booleans())
KNOWN = st.lists(SPECS, max_size=6).map(lambda specs: known(*specs))
LABELS = st.none() | st.sampled_from([{}, {"team": "a"}, {"team": "b"}])
CONSUMERS = st.builds(Consumer, NAMESPACES, LABELS, st.none() | KEYS, st.booleans())
REFS = st.none() | KEYS


@given(CONSUMERS, REFS, KNOWN, st.booleans())
def test_exactly_one_of_a_connection_and_a_refusal_is_given(asking, ref, there, installation):
    """A pass must neither guess nor stay silent."""
    found = serving(asking, ref, known=there, installation=installation)

    assert bool(found.connection) != bool(found.refusal)


@given(CONSUMERS, REFS, KNOWN, st.booleans())
def test_no_connection_serves_another_namespace_without_consent(asking, ref, there, installation):
    """Nor one that is suspended or being deleted, nor another than was named."""
    found = serving(asking, ref, known=there, installation=installation).connection
    if not found:
        return
    if found == DEFAULT_CONNECTION:
        assert installation
        assert ref is None
        return
    used = there[ConnectionKey(*found.split("/"))]
    assert not used.suspend
    assert not used.deleting
    assert used.key == (ref or ConnectionKey(asking.namespace, "default"))
    if used.key.namespace != asking.namespace:
        allowed = used.usable_from
        assert asking.namespace in allowed.namespaces or (
            asking.labels is not None and allowed.selector.fits(asking.labels)
        )


@given(CONSUMERS, KEYS, KNOWN)
def test_what_may_not_be_used_looks_as_if_it_were_not_there(asking, ref, there):
    """Else anybody could find out which Connections a namespace has."""
    found = serving(asking, ref, known=there)
    without = serving(asking, ref, known={key: each for key, each in there.items() if key != ref})

    if ref in there and not there[ref].permits(asking.namespace, asking.labels or {}):
        assert (found.connection, found.refusal) == (without.connection, without.refusal)


@given(CONSUMERS, REFS, KNOWN)
def test_an_object_that_lost_its_connection_falls_to_no_other_by_itself(asking, ref, there):
    """The same path may mean another item there."""
    filled = asking.filled_through
    lost = filled is not None and (filled not in there or there[filled].deleting)
    if lost and not asking.may_fall:
        assert serving(asking, ref, known=there).connection != DEFAULT_CONNECTION


@given(CONSUMERS, REFS, KNOWN)
def test_only_labels_that_were_read_count(asking, ref, there):
    """A selector may ask that a label be absent."""
    unread = serving(replace(asking, labels=None), ref, known=there)
    if unread.by_labels:
        assert not unread.connection
    else:
        assert serving(asking, ref, known=there) == unread
