import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress

import pytest
from cluster_fakes import Chunks, ScriptedTransport, answer, status

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.informer import METADATA, Informer
from keyturn.cluster.resources import SECRETS
from keyturn.cluster.transport import TransportError


def secret(name, version="1", *, namespace="apps", uid="u", **metadata):
    return {"metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version, **metadata}}


def listing(*items, version="10", **metadata):
    return answer({"metadata": {"resourceVersion": version, **metadata}, "items": list(items)})


def event(kind, obj):
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version):
    return event("BOOKMARK", {"metadata": {"resourceVersion": version}})


class Followed:
    """An informer over a scripted API server, with all it told and how long it would have waited."""

    def __init__(self, *script, namespaces=None, stay=0.0):
        self.transport = ScriptedTransport(*script)
        self.told = []
        self.waits = []
        self.beats = 0
        self.now = 0.0
        self._stay = stay
        self.informer = Informer(
            Cluster(self.transport),
            SECRETS,
            reading=METADATA,
            namespaces=namespaces,
            label_selector="app=keyturn",
            on_change=self._note,
            on_beat=self._beat,
            sleep=self._sleep,
            chance=lambda: 0.5,
            clock=self._clock,
        )

    def _note(self, key, old, new):
        self.told.append((key[1], old and old.resource_version, new and new.resource_version))

    def _beat(self):
        self.beats += 1

    def _clock(self):
        self.now += self._stay
        return self.now

    async def _sleep(self, seconds):
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def play(self):
        """Run until the script is exhausted, then cancel."""
        async with self._running():
            await self.transport.exhausted.wait()
        return self

    async def turn(self, times):
        """Run for so many turns of the event loop, then cancel."""
        async with self._running():
            for _ in range(times):
                await asyncio.sleep(0)

    @asynccontextmanager
    async def _running(self):
        task = asyncio.create_task(self.informer.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    @property
    def watched_from(self):
        """The place in history each watch began at."""
        return [r.query["resourceVersion"] for r in self.transport.requests if "watch" in r.query]


async def test_tells_what_is_there_and_then_every_change():
    """Listed objects are told as new, and watch events as changes with both sides."""
    followed = await Followed(
        listing(secret("a"), secret("b")),
        Chunks([event("MODIFIED", secret("a", "11")), event("DELETED", secret("b", "12")), None]),
    ).play()

    assert followed.told == [("a", None, "1"), ("b", None, "1"), ("a", "1", "11"), ("b", "1", None)]
    assert set(followed.informer.objects) == {("apps", "a")}
    assert followed.informer.synced.is_set()


async def test_asks_for_metadata_only_and_for_bookmarks():
    """Neither list nor watch ever names a media type that carries data."""
    followed = await Followed(listing(), Chunks([None])).play()

    accepts = [request.accept for request in followed.transport.requests]
    assert all(";as=PartialObjectMetadata" in accept for accept in accepts)
    assert followed.transport.requests[1].query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "10",
        "timeoutSeconds": "450",
        "labelSelector": "app=keyturn",
    }


async def test_a_closed_watch_resumes_where_it_was():
    """After the server closed a watch the next one starts at the last event or bookmark, without a new list."""
    followed = await Followed(
        listing(), Chunks([event("ADDED", secret("a", "11")), bookmark("20")]), Chunks([bookmark("30")]), Chunks([None])
    ).play()

    assert followed.watched_from == ["10", "20", "30"]
    assert followed.told == [("a", None, "11")]


@pytest.mark.parametrize(
    "end",
    [
        Chunks([event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})]),
        status(410, "Expired"),
    ],
    ids=["as an event", "as an answer"],
)
async def test_lost_history_is_listed_again_and_missed_deletions_are_told(end):
    """410 in either form leads to a list, and what is not in it was deleted."""
    followed = await Followed(
        listing(secret("a"), secret("b"), secret("c")),
        end,
        listing(secret("b", "1"), secret("c", "5"), version="40"),
        Chunks([None]),
    ).play()

    assert followed.told[3:] == [("a", "1", None), ("c", "1", "5")]
    assert followed.watched_from == ["10", "40"]


async def test_an_object_made_again_during_a_gap_is_one_change_with_two_uids():
    """A namesake with another uid is told even if everything else looks equal."""
    followed = await Followed(
        listing(secret("a", "1", uid="first")),
        status(410, "Expired"),
        listing(secret("a", "1", uid="second")),
        Chunks([None]),
    ).play()

    assert followed.told == [("a", None, "1"), ("a", "1", "1")]


async def test_a_list_of_one_namespace_deletes_nothing_in_another():
    """Each namespace has its own watch, and a re-list of one leaves the objects of the others alone."""
    followed = Followed(namespaces=("left", "right"))
    lefts = [listing(secret("a", namespace="left")), status(410, "Expired"), listing()]
    rights = [listing(secret("b", namespace="right")), Chunks([None])]

    async def by_namespace(request):
        followed.transport.requests.append(request)
        script = lefts if "/left/" in request.path else rights
        if not script:
            await followed.transport.hang()
        return script.pop(0)

    followed.transport._next = by_namespace
    await followed.turn(50)

    assert set(followed.informer.objects) == {("right", "b")}
    assert ("a", "1", None) in followed.told


async def test_one_forbidden_namespace_does_not_blind_the_others():
    """A namespace without rights is named as trouble; the others are followed and do not wait for it."""
    followed = Followed(namespaces=("left", "right"))
    rights = [listing(secret("b", namespace="right")), Chunks([None])]

    async def by_namespace(request):
        if "/left/" in request.path:
            return status(403, "Forbidden")
        return rights.pop(0)

    followed.transport._next = by_namespace
    await followed.turn(50)

    assert set(followed.informer.objects) == {("right", "b")}
    assert followed.informer.synced.is_set()
    assert "namespace left" in followed.informer.trouble


async def test_waits_longer_after_each_failure_and_reports_once(caplog):
    """The same trouble is logged once, retried ever more slowly, and its end is logged too."""
    refused = status(
        403, "Forbidden", 'User "keyturn" cannot list resource "secrets" in API group "" at the cluster scope'
    )
    with caplog.at_level(logging.INFO, "keyturn"):
        followed = await Followed(refused, refused, refused, listing(), Chunks([None])).play()

    assert followed.waits == [0.5, 1.0, 2.0]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert 'User "keyturn" cannot list' in caplog.messages[0]
    assert followed.informer.trouble is None


async def test_a_failure_in_other_words_is_no_news_but_one_of_another_kind_is(caplog):
    """A server that is away fails in many words, which would fill the log; a right that is missing is something else."""
    away = [status(503, "ServiceUnavailable", text) for text in ("apiserver not ready", "storage is initializing")]
    with caplog.at_level(logging.INFO, "keyturn"):
        followed = await Followed(*away, status(403, "Forbidden"), listing(), Chunks([None])).play()

    assert ["ServiceUnavailable" in caplog.messages[0], "Forbidden" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 3
    assert followed.informer.trouble is None


@pytest.mark.parametrize(("asked", "waited"), [("17", 17.0), ("9999", 120.0)])
async def test_waits_as_long_as_the_server_asks(asked, waited):
    """Retry-After is honoured where it is longer than our own backoff, up to two minutes."""
    followed = await Followed(answer({}, 429, retry_after=asked), listing(), Chunks([None])).play()

    assert followed.waits == [waited]


async def test_a_server_that_closes_every_watch_at_once_is_not_asked_in_a_loop():
    """An early end counts as a failure although nothing was wrong with the answer."""
    followed = await Followed(listing(), *[Chunks([])] * 4, Chunks([None])).play()

    assert followed.waits == [0.5, 1.0, 2.0, 4.0]


async def test_a_watch_that_lived_resumes_promptly_and_silently(caplog):
    """Half a minute of life wipes earlier failures, and the end of such a watch is no news."""
    silence = TransportError("no answer in time", timed_out=True)
    followed = await Followed(
        listing(), Chunks([silence]), Chunks([bookmark("11"), silence]), Chunks([None]), stay=31.0
    ).play()

    assert followed.waits == [0.5, 0.5]
    assert not caplog.records


async def test_a_picture_stays_synced_and_whole_through_an_outage():
    """A broken connection changes nothing in the picture."""
    down = TransportError("ClientConnectorError")
    followed = await Followed(listing(secret("a")), Chunks([down]), down, down, down, Chunks([None])).play()

    assert set(followed.informer.objects) == {("apps", "a")}
    assert followed.informer.synced.is_set()
    assert followed.told == [("a", None, "1")]


async def test_pages_are_joined_before_anything_counts_as_missing():
    """An object on the second page is not deleted by the first."""
    paged = listing(secret("a"), **{"continue": "next"}), listing(secret("b"))
    followed = await Followed(*paged, status(410, "Expired"), *paged, Chunks([None])).play()

    assert followed.told == [("a", None, "1"), ("b", None, "1")]


async def test_lines_larger_than_any_read_buffer_arrive():
    """Metadata of 300 KiB, cut into chunks anywhere, is one event."""
    big = event("ADDED", secret("a", "11", annotations={"note": "x" * 300_000}))
    chunks = [big[start : start + 7_001] for start in range(0, len(big), 7_001)]
    followed = await Followed(listing(), Chunks([*chunks, None])).play()

    assert len(followed.informer.objects["apps", "a"].annotations["note"]) == 300_000


async def test_a_callback_that_raises_stops_nothing(caplog):
    """The picture moves on, and the defect is logged with the object's name and no message, which may quote a value."""

    def fail(*_):
        raise ValueError("quoted")

    followed = Followed(listing(secret("a"), secret("b")), Chunks([None]))
    followed.informer._on_change = fail
    await followed.play()

    assert set(followed.informer.objects) == {("apps", "a"), ("apps", "b")}
    assert any(
        said.startswith("noting a change of Secret apps/a failed with ValueError in") for said in caplog.messages
    )
    assert "quoted" not in caplog.text


@pytest.mark.parametrize("nonsense", [b"<html>", b"[]", b'{"type": 1}', b'{"type": "ADDED", "object": []}'])
async def test_nonsense_in_the_stream_ends_the_watch_and_nothing_else(nonsense):
    """The next watch resumes after the last good event, after a wait."""
    followed = await Followed(listing(), Chunks([bookmark("11"), nonsense + b"\n"]), Chunks([None])).play()

    assert followed.waits == [0.5]
    assert followed.watched_from == ["10", "11"]


async def test_an_object_that_cannot_be_read_leads_to_a_new_list(caplog):
    """Even what nobody foresaw ends in a fresh start after a wait, with type and place for us."""
    odd = event("ADDED", {"metadata": []})
    followed = await Followed(listing(), Chunks([odd]), listing(secret("a")), Chunks([None])).play()

    assert set(followed.informer.objects) == {("apps", "a")}
    assert followed.waits == [0.5]
    assert any(said.startswith("the watch of secrets in all namespaces failed with ") for said in caplog.messages)


async def test_shows_life_at_every_turn():
    """Every list, watch, event and retry beats, so that a watchdog can tell a quiet informer from a dead one."""
    followed = await Followed(listing(), Chunks([bookmark("11"), bookmark("12")]), Chunks([None])).play()

    turns, pages, watches, events = 2, 1, 2, 2
    assert followed.beats == turns + pages + watches + events


async def test_cancelling_closes_the_stream():
    """No connection is left behind."""
    followed = await Followed(listing(), Chunks([None])).play()

    assert followed.transport.open_streams == 0
