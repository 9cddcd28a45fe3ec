"""Events: which occurrence is written, and what is written."""

import asyncio
import itertools
from contextlib import suppress

import pytest
from cluster_fakes import ScriptedTransport, answer, status
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cluster.events import About, EventPoster, Ledger, Post
from keyturn.cluster.gateway import Cluster
from keyturn.cluster.resources import ONEPASSWORD_ITEMS
from keyturn.core.events import Event, EventReason
from support.fake_time import FakeTime

ABOUT = About(ONEPASSWORD_ITEMS, "apps", "login", "uid-1")


def event(message="vault v does not exist", *, reason="VaultNotFound", warning=True):
    return Event(reason, message, warning)


def posted_at(ledger, now, about=ABOUT, what=None) -> Post:
    """The write that an occurrence is worth; there must be one."""
    post = ledger.observe(about, what or event(), now=now)
    assert post is not None
    return post


def posts(ledger, *moments):
    return [(now, post.count) for now in moments if (post := ledger.observe(ABOUT, event(), now=now))]


def test_the_first_occurrence_is_posted_and_repetitions_are_counted():
    """Repetitions within the quiet time cost no write; the next count includes them all."""
    assert posts(Ledger(), 0, 10, 20, 299, 300) == [(0, 1), (300, 5)]


def test_a_lasting_failure_is_written_more_and_more_rarely():
    """An object that fails every ten seconds for six hours costs about two writes an hour, and its Event never expires."""
    written = [now for now, _ in posts(Ledger(), *range(0, 6 * 3600, 10))]

    assert written[:5] == [0, 300, 900, 2100, 3900]
    assert len(written) <= 16
    assert all(later - earlier <= 1800 for earlier, later in itertools.pairwise(written))


def test_an_occurrence_after_an_hour_is_a_new_event():
    """The API server has deleted the old Event by then."""
    ledger = Ledger()
    first = posted_at(ledger, 0)
    again = posted_at(ledger, 3301)

    assert (first.count, again.count) == (1, 1)
    assert first.name != again.name


@pytest.mark.parametrize(
    ("about", "other"),
    [
        (ABOUT, event("another vault")),
        (About(ONEPASSWORD_ITEMS, "apps", "login", "uid-2"), event()),
        (ABOUT, event(warning=False)),
        (ABOUT, event(reason="ItemNotFound")),
    ],
    ids=["message", "object created again", "type", "reason"],
)
def test_any_difference_makes_another_event(about, other):
    """Its identity is the object with its uid, the type, the reason and the message."""
    ledger = Ledger()
    ledger.observe(ABOUT, event(), now=0)

    assert posted_at(ledger, 1, about, other).count == 1


def test_a_forgotten_event_is_posted_again():
    """After a failed write, the next occurrence creates the Event."""
    ledger = Ledger()
    ledger.observe(ABOUT, event(), now=0)
    ledger.forget(ABOUT, event())

    assert posts(ledger, 1) == [(1, 1)]


@given(st.lists(st.integers(0, 30)), st.integers(1, 10))
def test_memory_is_bounded(numbers, capacity):
    """However many different Events there are."""
    ledger = Ledger(capacity=capacity)
    for now, number in enumerate(numbers):
        ledger.observe(ABOUT, event(str(number)), now=now)

    assert len(ledger) <= capacity


@given(st.text(st.sampled_from("ab-."), min_size=1, max_size=253).filter(lambda name: name[0] not in "-."))
def test_event_names_are_legal(name):
    """Any legal name of an object makes a legal name of an Event."""
    post = posted_at(Ledger(), 0, About(ONEPASSWORD_ITEMS, "apps", name, "u"))

    assert len(post.name) <= 253
    stem, _, suffix = post.name.rpartition(".")
    assert stem
    assert stem[-1] not in "-."
    assert len(suffix) == 16


class Posted:
    """A poster over a scripted API server."""

    def __init__(self, *script, **options):
        self.transport = ScriptedTransport(*script)
        self.time = FakeTime()
        self.outcomes = []
        self.poster = EventPoster(
            Cluster(self.transport, time=self.time),
            instance="keyturn-0",
            on_outcome=self.outcomes.append,
            time=self.time,
            **options,
        )

    def post(self, message="vault v does not exist"):
        self.poster.post(ABOUT, event(message))

    async def play(self):
        task = asyncio.create_task(self.poster.run())
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_event_is_written_as_describe_wants_it():
    """It has the object with its uid, timestamps, count and source."""
    posted = Posted(answer({"metadata": {}}))
    posted.post("line one\nline two")
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
    assert body["firstTimestamp"] == body["lastTimestamp"] == "2030-01-01T00:00:00Z"
    assert body["count"] == 1
    assert body["source"] == {"component": "keyturn"}
    assert posted.outcomes == ["posted"]


async def test_a_repetition_raises_the_count_of_the_same_event():
    """One patch of two fields."""
    posted = Posted(answer({"metadata": {}}), answer({"metadata": {}}))
    posted.post()
    posted.post()
    posted.time.advance(300.0)
    posted.post()
    await posted.play()

    create, patch = posted.transport.requests
    assert patch.method == "PATCH"
    assert patch.path == f"/api/v1/namespaces/apps/events/{create.body['metadata']['name']}"
    assert patch.body == {"count": 3, "lastTimestamp": "2030-01-01T00:05:00Z"}


async def test_a_failed_event_is_logged_once_and_created_by_its_next_occurrence(caplog):
    """The poster goes on, and its caller never waits."""
    caplog.set_level("INFO")
    refused = status(403, "Forbidden", "no")
    posted = Posted(refused, refused, answer({"metadata": {}}))
    posted.post()
    posted.post("another")
    await posted.play()
    posted.post()
    await posted.play()

    assert posted.outcomes == ["failed", "failed", "posted"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0].startswith("Events cannot be written: POST ")
    assert caplog.messages[1] == "Events can be written again"


@pytest.mark.parametrize(
    "refusal",
    [
        status(404, "NotFound"),
        status(403, "Forbidden", causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]),
    ],
    ids=["expired or namespace deleted", "namespace being deleted"],
)
async def test_the_deletion_of_a_namespace_is_no_fault(caplog, refusal):
    """A failed Event is not logged if its namespace is deleted, or if it expired."""
    posted = Posted(refusal)
    posted.post()
    await posted.play()

    assert posted.outcomes == ["failed"]
    assert not caplog.records


async def test_a_full_queue_drops_and_never_waits():
    """No caller waits while the API server is unreachable."""
    posted = Posted(capacity=2)
    for number in range(5):
        posted.post(str(number))

    assert posted.outcomes == ["dropped"] * 3


async def test_good_news_leaves_room_for_warnings():
    """A take-over posts an Event for each of thousands of Secrets, and a warning among them must not be lost."""
    posted = Posted(capacity=4)
    for number in range(3):
        posted.poster.post(ABOUT, Event(EventReason.ADOPTED, str(number)))
    assert posted.outcomes == ["dropped"]

    for number in range(3):
        posted.post(str(number))
    assert posted.outcomes == ["dropped"] * 2


async def test_reasons_of_keyturn_are_written_as_text():
    """They are members of an enum, which JSON must show as a plain word."""
    posted = Posted(answer({"metadata": {}}))
    posted.poster.post(ABOUT, Event(EventReason.RESTARTED, "restarted"))
    await posted.play()

    [request] = posted.transport.requests
    assert (request.body["type"], request.body["reason"]) == ("Normal", "Restarted")
    assert type(request.body["reason"]) is str
