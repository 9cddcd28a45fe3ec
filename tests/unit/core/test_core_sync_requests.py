"""Sync requests: which text stands for an annotation, when a vault may be looked at, and what answers a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.conditions import Condition, Status
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.names import SYNC_REQUESTED
from keyturn.core.outcomes import (
    CURRENT,
    DEFECT,
    FINALIZER_REMOVED,
    GONE,
    SUPERSEDED,
    Outcome,
    when_current,
    when_frozen,
)
from keyturn.core.request import request_from_item
from keyturn.core.status import CannotRefresh, Failure, Held, Progressing, Reason, Stale, Synced
from keyturn.core.sync_requests import LONGEST_TEXT, seconds_until_look, sync_request

SYNCED = Synced("vaults/v/items/a", "1", ("password",))


def text_of(text):
    """What a request keeps of an annotation."""
    return sync_request({SYNC_REQUESTED: text})


@pytest.mark.parametrize("text", ["1764280800", "Mon Nov 30 13:17:09 UTC 2026", "ümläut 🔑", "x" * LONGEST_TEXT])
def test_a_usual_text_is_kept_as_it_is(text):
    """A script waits for the very text that it wrote."""
    assert text_of(text) == text


@pytest.mark.parametrize("annotations", [{}, {SYNC_REQUESTED: ""}, {"keyturn.dev/other": "now"}])
def test_no_text_is_no_request(annotations):
    """An annotation without a text is what a template leaves that has nothing to say."""
    assert sync_request(annotations) == ""


def test_a_long_text_is_shortened_and_still_told_from_others():
    """An annotation may have 256 KiB, and each object that is remembered keeps its text."""
    one, other = text_of("x" * 256 * 1024), text_of("x" * (256 * 1024 - 1) + "y")

    assert one != other
    assert one.startswith("x" * 40 + "… (sha256 ")
    assert len(one) < LONGEST_TEXT


def test_a_text_with_line_breaks_stays_on_one_line():
    """It is shown in a status."""
    assert text_of("now\nReady: True").startswith("now?Ready: True… (sha256 ")


@given(st.text(), st.text())
def test_any_two_texts_stay_different_and_short(one, other):
    """Any new text asks for a look, whatever it is."""
    kept = text_of(one)

    assert (kept == text_of(other)) == (one == other)
    assert len(kept) <= LONGEST_TEXT
    assert kept.isprintable()
    assert text_of(kept) == kept


@pytest.mark.parametrize("read", [request_from_item, request_from_keyturn_secret])
@pytest.mark.parametrize(
    ("requested", "answered", "asks"),
    [
        pytest.param("", "", False, id="nobody asks"),
        pytest.param("1", "", True, id="the first request"),
        pytest.param("2", "1", True, id="a new text"),
        pytest.param("1", "1", False, id="the same text again, or an old one at the start"),
        pytest.param("", "1", False, id="the annotation was removed"),
    ],
)
def test_a_request_asks_until_its_status_has_the_text(read, requested, answered, asks):
    """The status remembers, so that neither a restart nor a new leader loses a request or repeats one."""
    metadata = {"namespace": "app", "name": "db", "uid": "u", "annotations": {SYNC_REQUESTED: requested}}
    request = read({"metadata": metadata, "status": {"lastSyncRequested": answered}})

    assert request.asks_for_sync is asks


def test_a_sync_request_changes_nothing_that_is_asked_for():
    """Otherwise each new text would void the pass that is under way, and fetch what a refused write would get."""
    metadata = {"namespace": "app", "name": "db", "uid": "u"}
    asking = {"metadata": {**metadata, "annotations": {SYNC_REQUESTED: "1"}}}

    assert request_from_item({"metadata": metadata}) == request_from_item(asking)
    assert request_from_item(asking, copy_annotations=True).annotations == {}


@pytest.mark.parametrize(
    ("looked_at", "not_before", "expected"),
    [
        pytest.param(None, 0.0, 0.0, id="never before"),
        pytest.param(100.0, 0.0, 10.0, id="just now"),
        pytest.param(96.5, 0.0, 6.5, id="some seconds ago"),
        pytest.param(90.0, 0.0, 0.0, id="long enough ago"),
        pytest.param(None, 130.0, 30.0, id="the server wants to be left alone"),
        pytest.param(95.0, 102.0, 5.0, id="both"),
    ],
)
def test_looks_at_one_vault_keep_their_distance(looked_at, not_before, expected):
    """Who may annotate an object must not make a load of it."""
    assert seconds_until_look(looked_at, spacing=10.0, not_before=not_before, now=100.0) == expected


@given(st.none() | st.floats(0, 1e6), st.floats(0, 60), st.floats(0, 1e6) | st.just(float("-inf")), st.floats(0, 1e6))
def test_a_look_is_always_possible_in_the_end(looked_at, spacing, not_before, now):
    """A request must never be put off for ever."""
    wait = seconds_until_look(looked_at, spacing=spacing, not_before=not_before, now=now)

    assert wait >= 0
    later = now + wait + 1e-6 * max(1.0, now + wait)
    assert seconds_until_look(looked_at, spacing=spacing, not_before=not_before, now=later) == 0


@pytest.mark.parametrize(
    ("outcome", "answers"),
    [
        (CURRENT, True),
        (when_frozen(), True),
        (Outcome("Updated", change=SYNCED, certain=True), True),
        (Outcome("Held", change=Held("no value")), True),
        (Outcome("ItemNotFound", change=Failure(Reason.ITEM_NOT_FOUND, "no", awaited=True)), True),
        (Outcome("SecretNotOurs", change=Failure(Reason.SECRET_NOT_OURS, "no")), True),
        (Outcome("VaultUnavailable", change=Failure(Reason.VAULT_UNAVAILABLE, "down")), False),
        (Outcome("ClusterForbidden", change=Failure(Reason.CLUSTER_FORBIDDEN, "no")), False),
        (Outcome("CannotRefresh", change=CannotRefresh("broken")), False),
        (Outcome("VaultUnavailable"), False),
        (Outcome("Unconfirmed"), False),
        (Outcome("OlderVersion"), False),
        (Outcome("Held", change=Progressing()), False),
        (when_current("silent for days"), False),
        (Outcome("SourceSilent", change=Stale("silent")), False),
        (DEFECT, False),
        (SUPERSEDED, False),
        (FINALIZER_REMOVED, False),
        (GONE, False),
    ],
    ids=lambda value: value.result if isinstance(value, Outcome) else "",
)
def test_only_a_pass_that_found_out_how_the_request_stands_answers(outcome, answers):
    """Whoever waits for the answer takes the rest of the status for what the vault holds."""
    assert outcome.is_answer is answers


def test_the_status_carries_the_answer_there_and_back():
    """A text is no time, so a new one is news."""
    status = Status(1, (Condition("Ready", "True", "Synced"),), last_sync_requested="now")

    assert Status.read(status.to_manifest(secret="db")) == status
    assert not status.says_the_same(Status(1, status.conditions))
    assert "lastSyncRequested" not in Status().to_manifest(secret="db")
