import asyncio
import itertools
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cluster_fakes import ScriptedTransport, answer, status
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cluster.events import About, EventPoster, Ledger, Said
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ONEPASSWORD_ITEMS

ABOUT = About(ONEPASSWORD_ITEMS, "apps", "login", "uid-1")


def said(note="vault v does not exist", about=ABOUT):
    return Said(about, "Warning", "VaultNotFound", note)


def posts(ledger, *moments, what=None):
    return [(now, post.count) for now in moments if (post := ledger.say(what or said(), now))]


def test_the_first_time_is_posted_and_repetitions_are_counted():
    """Repetitions within the quiet time cost nothing; the count then tells of them all."""
    assert posts(Ledger(), 0, 10, 20, 299, 300) == [(0, 1), (300, 5)]


def test_lasting_trouble_is_written_ever_more_rarely():
    """An object that fails every ten seconds for six hours costs about two writes an hour, and never falls silent."""
    written = [now for now, _ in posts(Ledger(), *range(0, 6 * 3600, 10))]

    assert written[:5] == [0, 300, 900, 2100, 3900]
    assert len(written) <= 16
    assert all(later - earlier <= 1800 for earlier, later in itertools.pairwise(written))


def test_what_was_silent_for_an_hour_is_news():
    """The API server has forgotten the old Event by then."""
    ledger = Ledger()
    first = ledger.say(said(), 0)
    again = ledger.say(said(), 3301)

    assert (first.count, again.count) == (1, 1)
    assert first.name != again.name


@pytest.mark.parametrize(
    "other",
    [
        said("another vault"),
        said(about=About(ONEPASSWORD_ITEMS, "apps", "login", "uid-2")),
        Said(ABOUT, "Normal", "VaultNotFound", "vault v does not exist"),
        Said(ABOUT, "Warning", "ItemNotFound", "vault v does not exist"),
    ],
    ids=["note", "object made again", "type", "reason"],
)
def test_anything_that_differs_is_another_event(other):
    """Identity is object with uid, type, reason and note."""
    ledger = Ledger()
    ledger.say(said(), 0)

    assert ledger.say(other, 1).count == 1


def test_what_was_forgotten_is_posted_anew():
    """After a failed write the next repetition makes the Event."""
    ledger = Ledger()
    ledger.say(said(), 0)
    ledger.forget(said())

    assert posts(ledger, 1) == [(1, 1)]


@given(st.lists(st.integers(0, 30)), st.integers(1, 10))
def test_memory_is_bounded(numbers, capacity):
    """However many different things are said."""
    ledger = Ledger(capacity=capacity)
    for now, number in enumerate(numbers):
        ledger.say(said(str(number)), now)

    assert len(ledger) <= capacity


@given(st.text(st.sampled_from("ab-."), min_size=1, max_size=253).filter(lambda name: name[0] not in "-."))
def test_event_names_are_legal(name):
    """Any legal name of an object makes a legal name of an Event."""
    post = Ledger().say(said(about=About(ONEPASSWORD_ITEMS, "apps", name, "u")), 0)

    assert len(post.name) <= 253
    stem, _, suffix = post.name.rpartition(".")
    assert stem
    assert stem[-1] not in "-."
    assert len(suffix) == 16


class Posted:
    """A poster over a script."""

    def __init__(self, *script, **options):
        self.transport = ScriptedTransport(*script)
        self.now = 0.0
        self.outcomes = []
        self.poster = EventPoster(
            Cluster(self.transport),
            instance="keyturn-0",
            on_outcome=self.outcomes.append,
            clock=lambda: self.now,
            now=lambda: datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
            **options,
        )

    def say(self, note="vault v does not exist"):
        self.poster.say(ABOUT, type="Warning", reason="VaultNotFound", note=note)

    async def play(self):
        task = asyncio.create_task(self.poster.run())
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_event_is_written_as_describe_wants_it():
    """Object with uid, timestamps and count, and who says so."""
    posted = Posted(answer({"metadata": {}}))
    posted.say("line one\nline two")
    await posted.play()

    [request] = posted.transport.requests
    assert request.path == "/api/v1/namespaces/apps/events"
    body = request.body
    assert body["involvedObject"] == {
        "apiVersion": "onepassword.com/v1",
        "kind": "OnePasswordItem",
        "namespace": "apps",
        "name": "login",
        "uid": "uid-1",
    }
    assert (body["type"], body["reason"], body["message"]) == ("Warning", "VaultNotFound", "line one line two")
    assert body["firstTimestamp"] == body["lastTimestamp"] == "2030-01-02T03:04:05Z"
    assert body["count"] == 1
    assert body["source"] == {"component": "keyturn"}
    assert posted.outcomes == ["posted"]


async def test_a_repetition_raises_the_count_of_the_same_event():
    """One patch of two fields."""
    posted = Posted(answer({"metadata": {}}), answer({"metadata": {}}))
    posted.say()
    posted.say()
    posted.now = 300.0
    posted.say()
    await posted.play()

    create, patch = posted.transport.requests
    assert patch.method == "PATCH"
    assert patch.path == f"/api/v1/namespaces/apps/events/{create.body['metadata']['name']}"
    assert patch.body == {"count": 3, "lastTimestamp": "2030-01-02T03:04:05Z"}


async def test_a_failed_event_is_dropped_logged_once_and_said_again_next_time(caplog):
    """The poster goes on, and so does its caller."""
    caplog.set_level("INFO")
    refused = status(403, "Forbidden", "no")
    posted = Posted(refused, refused, answer({"metadata": {}}))
    posted.say()
    posted.say("another")
    await posted.play()
    posted.say()
    await posted.play()

    assert posted.outcomes == ["failed", "failed", "posted"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    "refusal",
    [
        status(404, "NotFound"),
        status(403, "Forbidden", causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]),
    ],
    ids=["expired or namespace gone", "namespace going"],
)
async def test_the_end_of_a_namespace_is_nobodys_trouble(caplog, refusal):
    """Nothing is logged for an Event whose place is gone."""
    posted = Posted(refusal)
    posted.say()
    await posted.play()

    assert posted.outcomes == ["failed"]
    assert not caplog.records


async def test_a_full_queue_drops_and_never_waits():
    """Saying something takes no time while the API server is away."""
    posted = Posted(capacity=2)
    for number in range(5):
        posted.say(str(number))

    assert posted.outcomes == ["dropped"] * 3
