"""Which field manager owns which key of a Secret, without its values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.managed_fields import data_owners, is_drifted, must_take_over, present_keys, taken_over


def entry(manager, keys, operation="Update", **other):
    fields = {"f:data": {".": {}} | {f"f:{key}": {} for key in keys}} if keys else {}
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": {**fields, **other}}


OURS = entry("keyturn", ["a", "b"], "Apply")


def test_owners_are_managers_whatever_the_operation():
    """Keyturn's POST and apply are two entries of one manager."""
    entries = [entry("keyturn", ["a"]), entry("keyturn", ["b"], "Apply"), entry("kubectl", [], **{"f:type": {}})]

    assert data_owners(entries) == {"keyturn": frozenset("ab")}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([OURS], False, id="all ours"),
        pytest.param([entry("keyturn", ["a", "b"])], False, id="as created"),
        pytest.param([entry("keyturn", ["a"], "Apply"), entry("kubectl-edit", ["b"])], True, id="one edited"),
        pytest.param([OURS, entry("kubectl-patch", ["c"])], True, id="one added"),
        pytest.param([entry("keyturn", ["a"], "Apply")], True, id="one removed"),
        pytest.param([], True, id="no managed fields"),
        pytest.param(
            [OURS, entry("reflector", [], **{"f:metadata": {}})], False, id="another manager owns only metadata"
        ),
    ],
)
def test_a_foreign_edit_shows_as_lost_or_foreign_ownership(entries, expected):
    """Edited, added and removed keys all count; edits of metadata do not."""
    assert is_drifted(entries, ["a", "b"]) is expected


@pytest.mark.parametrize(
    ("entries", "obsolete", "expected"),
    [
        pytest.param([OURS], [], False, id="nothing to remove"),
        pytest.param([OURS], ["b"], False, id="an apply removes what an apply wrote"),
        pytest.param([entry("keyturn", ["a", "b"])], [], False, id="created, nothing to remove"),
        pytest.param([entry("keyturn", ["a"]), OURS], ["b"], False, id="a POST wrote another key"),
        pytest.param([entry("keyturn", ["a", "b"])], ["b"], True, id="an apply does not remove what a POST wrote"),
        pytest.param([OURS], ["c"], True, id="a key without an owner"),
        pytest.param([entry("manager", ["a", "b"])], [], True, id="another operator's keys, before the first apply"),
        pytest.param([OURS, entry("kubectl-edit", ["c"])], ["c"], True, id="a key that another manager added"),
    ],
)
def test_ownership_is_taken_over_only_if_an_apply_alone_is_not_enough(entries, obsolete, expected):
    """It costs a write of its own, which an ordinary rotation must not need."""
    assert must_take_over(entries, obsolete) is expected


KEYS = st.frozensets(st.sampled_from("abcd"), max_size=4)
ENTRIES = st.lists(
    st.builds(
        entry,
        st.sampled_from(["keyturn", "manager", "kubectl-edit"]),
        KEYS,
        st.sampled_from(["Apply", "Update"]),
    ),
    max_size=4,
    unique_by=lambda e: (e["manager"], e["operation"]),
)


@given(ENTRIES, KEYS, KEYS)
def test_after_a_take_over_an_apply_is_enough(entries, present, obsolete):
    """Keyturn's apply then owns all data, and no other manager owns any of it."""
    moved = taken_over(entries, present)

    assert data_owners(moved) == ({"keyturn": present} if present else {})
    assert not must_take_over(moved, obsolete & present)


@given(ENTRIES, KEYS)
def test_a_take_over_touches_nothing_but_the_ownership_of_data(entries, present):
    """Labels and annotations keep their owners."""

    def labelled(each):
        label = f"f:{each['manager']}-{each['operation']}"
        return {**each, "fieldsV1": {**each["fieldsV1"], "f:metadata": {"f:labels": {label: {}}}}}

    def labels_of(some):
        owned = [
            (e["manager"], name) for e in some for name in (e["fieldsV1"].get("f:metadata") or {}).get("f:labels", {})
        ]
        return sorted(owned)

    before = [labelled(each) for each in entries]
    assert labels_of(taken_over(before, present)) == labels_of(before)


def test_the_entry_of_our_apply_keeps_its_other_fields():
    """Its time dates the pending restart, so a take-over must not lose it."""
    applied = {**OURS, "time": "2026-11-21T12:00:00Z"}

    [moved] = taken_over([entry("manager", ["a"]), applied, {**entry("keyturn", ["c"]), "time": "later"}], ["a"])

    assert (moved["operation"], moved["time"]) == ("Apply", "2026-11-21T12:00:00Z")


@pytest.mark.parametrize(
    ("entries", "present"),
    [
        ([], None),
        ([entry("kubectl", {"a"})], None),
        ([entry("keyturn", {"a"}, "Apply"), entry("kubectl-edit", {"b"})], {"a", "b"}),
        ([entry("keyturn", set(), "Apply")], set()),
    ],
)
def test_the_owners_of_fields_say_which_keys_there_are(entries, present):
    """Unless none of the entries is ours: then nobody knows, and no key counts as missing."""
    assert present_keys(entries) == present
