"""When to list a vault, when to wait, and which revision comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.backoff import Backoff, jittered
from keyturn.core.polling import (
    FRESH_GRACE,
    Seen,
    any_older,
    ask_one_by_one,
    is_cheaper_one_by_one,
    is_older,
    next_fresh_look,
    scopes_to_list,
)
from keyturn.core.vault import Scope


@pytest.mark.parametrize(
    ("version", "seen", "used", "everything", "listed"),
    [
        pytest.param(5, Seen(5, moved=False), True, False, False, id="nothing moved"),
        pytest.param(6, Seen(5, moved=False), True, False, True, id="moved"),
        pytest.param(4, Seen(5, moved=False), True, False, True, id="moved backwards"),
        pytest.param(5, Seen(5, moved=True), True, False, True, id="moved last time"),
        pytest.param(5, None, True, False, True, id="never listed"),
        pytest.param(None, Seen(None, moved=False), True, False, True, id="has no version"),
        pytest.param(5, Seen(5, moved=False), True, True, True, id="everything is due"),
        pytest.param(6, Seen(5, moved=False), False, True, False, id="not used"),
    ],
)
def test_a_vault_is_listed_only_if_something_may_have_changed(version, seen, used, everything, listed):
    """An idle poll lists nothing, however many items are managed."""
    scope = Scope(id="v", title="V", version=version)

    due = scopes_to_list([scope], seen={"v": seen} if seen else {}, used={"v"} if used else {}, everything=everything)

    assert due == ([scope] if listed else [])


@pytest.mark.parametrize(("used", "listed"), [(True, True), (False, False)])
def test_a_vault_that_is_asked_for_is_listed_although_it_has_not_moved(used, listed):
    """A number that lags behind the items is what somebody who asks wants to get past."""
    scope, seen = Scope(id="v", title="V", version=5), {"v": Seen(5, moved=False)}

    due = scopes_to_list([scope], seen=seen, used={"v"} if used else {}, everything=False, asked={"v", "w"})

    assert due == ([scope] if listed else [])


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [(None, 1, False), (499, 1, False), (500, 1, True), (500, 10, False), (10_000, 199, True), (10_000, 200, False)],
)
def test_a_huge_vault_with_few_managed_items_is_asked_for_those(size, wanted, expected):
    """To list ten thousand items for the sake of three would cost more."""
    assert is_cheaper_one_by_one(Scope(id="v", title="V", size=size), wanted) is expected


@pytest.mark.parametrize(
    ("seen", "known", "older"),
    [
        ("2", "3", True),
        ("3", "3", False),
        ("10", "9", False),
        ("9", "10", True),
        ("x", "3", False),
        ("3", "None", False),
    ],
)
def test_revisions_are_compared_as_numbers_if_they_are_numbers(seen, known, older):
    """As texts, 10 would come before 9."""
    assert is_older(seen, known) is older


RANDOM = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(st.integers(1, 10_000), RANDOM)
def test_a_delay_never_exceeds_the_longest(failures, random):
    """Nor is it ever zero, after however many failures."""
    assert 0.5 <= Backoff(first=1, longest=300).delay(failures, random=random) <= 300


@given(st.integers(1, 100), RANDOM)
def test_delays_double_up_to_the_longest(failures, random):
    """With the same random number, each is twice the one before, or the longest."""
    backoff = Backoff(first=1, longest=300)
    this, following = (backoff.delay(n, random=random) for n in (failures, failures + 1))

    assert following == pytest.approx(min(2 * this, 300 * (0.5 + random / 2)))


@given(st.floats(0.1, 10_000), RANDOM)
def test_jitter_stays_within_its_spread(interval, random):
    """A tenth more or less, so that the interval still holds on average."""
    assert 0.9 * interval <= jittered(interval, random=random) <= 1.1 * interval * 1.0001


def test_a_fresh_request_is_looked_at_soon_and_then_later_and_later():
    """Who makes an item and an object in the same minute waits for seconds, not for the next poll."""
    looks, elapsed = [], 0.0
    while elapsed < FRESH_GRACE:
        elapsed += next_fresh_look(elapsed)
        looks.append(elapsed)

    assert looks == [2, 5, 10, 20, 40]


@given(st.floats(0, FRESH_GRACE))
def test_the_next_look_is_never_at_once(elapsed):
    """A look may come late, or between two of those planned."""
    assert 0.5 <= next_fresh_look(elapsed) <= 40


@pytest.mark.parametrize(
    ("size", "missing", "by_name"), [(10, 3, True), (10, 4, False), (None, 4, False), (500, 4, True)]
)
def test_a_few_missing_items_are_asked_for_by_name(size, missing, by_name):
    """Many in a small vault are not."""
    assert ask_one_by_one(Scope(id="v", title="V", size=size), missing) is by_name


@pytest.mark.parametrize(
    ("before", "now", "older"),
    [
        pytest.param([], [("v", 5)], False, id="first poll"),
        pytest.param([("v", 5)], [("v", 5)], False, id="the same"),
        pytest.param([("v", 5)], [("v", 6)], False, id="newer"),
        pytest.param([("v", 5), ("w", 5)], [("w", 6), ("v", 4)], True, id="one of them older"),
        pytest.param([("v", None)], [("v", 4)], False, id="no version before"),
        pytest.param([("v", 5)], [("v", None)], False, id="no version now"),
        pytest.param([("v", 5)], [("w", 4)], False, id="another vault"),
    ],
)
def test_an_older_version_of_a_vault_shows_that_another_replica_answers(before, now, older):
    """A server that stands for itself never goes back."""

    def scopes(versions):
        return [Scope(id=scope, title=scope, version=version) for scope, version in versions]

    assert any_older(scopes(now), scopes(before)) is older
