"""The informer over a scripted API server: what it reports, when it retries, and what it logs."""

import asyncio
import logging
from contextlib import asynccontextmanager, suppress

import pytest
from cluster_fakes import Chunks, ScriptedTransport, answer, status, watch_line

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.informer import Informer
from keyturn.cluster.list_watch import METADATA, ApiListWatch
from keyturn.cluster.resources import ALL_NAMESPACES, SECRETS
from keyturn.cluster.transport import TransportError
from support.event_loop import turns
from support.fake_time import FakeTime


def secret(name, version="1", *, namespace="apps", uid="u", **metadata):
    return {"metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version, **metadata}}


def listing(*items, version="10", **metadata):
    return answer({"metadata": {"resourceVersion": version, **metadata}, "items": list(items)})


def bookmark(version):
    return watch_line("BOOKMARK", {"metadata": {"resourceVersion": version}})


class Followed:
    """An informer over a scripted API server, with everything it reported."""

    def __init__(self, *script, namespaces=(ALL_NAMESPACES,), on_change=None):
        self.transport = ScriptedTransport(*script)
        self.time = FakeTime()
        self.changes = []
        self.beats = 0
        cluster = Cluster(self.transport, time=self.time)
        self.informer = Informer(
            ApiListWatch(cluster, SECRETS, METADATA, label_selector="app=keyturn", time=self.time),
            label="secrets",
            namespaces=namespaces,
            on_change=on_change or self._note,
            on_beat=self._beat,
            time=self.time,
        )

    def _note(self, key, old, new):
        self.changes.append((key[1], old and old.resource_version, new and new.resource_version))

    def _beat(self):
        self.beats += 1

    @property
    def waits(self):
        """Seconds between the attempts."""
        return self.time.slept

    async def play(self):
        """Run until the script is exhausted, then cancel."""
        async with self._running():
            await self.transport.exhausted.wait()
        return self

    async def turn(self, times):
        """Run for so many turns of the event loop, then cancel."""
        async with self._running():
            await turns(times)

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
        """The resourceVersion at which each watch began."""
        return [r.query["resourceVersion"] for r in self.transport.requests if "watch" in r.query]


async def test_reports_present_objects_and_then_every_change():
    """Listed objects are new ones, and watch events are changes with both sides."""
    followed = await Followed(
        listing(secret("a"), secret("b")),
        Chunks([watch_line("MODIFIED", secret("a", "11")), watch_line("DELETED", secret("b", "12")), None]),
    ).play()

    assert followed.changes == [("a", None, "1"), ("b", None, "1"), ("a", "1", "11"), ("b", "1", None)]
    assert set(followed.informer.objects) == {("apps", "a")}
    assert followed.informer.synced.is_set()


async def test_asks_for_metadata_only_and_for_bookmarks():
    """Neither list nor watch requests a media type that carries data."""
    followed = await Followed(listing(), Chunks([None])).play()

    accepts = [request.accept for request in followed.transport.requests]
    assert all(";as=PartialObjectMetadata" in accept for accept in accepts)
    assert followed.transport.requests[1].query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "10",
        "timeoutSeconds": "54",
        "labelSelector": "app=keyturn",
    }


async def test_a_closed_watch_resumes_where_it_was():
    """After the server closed a watch, the next one starts at the last event or bookmark, without a new list."""
    followed = await Followed(
        listing(),
        Chunks([watch_line("ADDED", secret("a", "11")), bookmark("20")]),
        Chunks([bookmark("30")]),
        Chunks([None]),
    ).play()

    assert followed.watched_from == ["10", "20", "30"]
    assert followed.changes == [("a", None, "11")]


@pytest.mark.parametrize(
    "end",
    [
        Chunks([watch_line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})]),
        status(410, "Expired"),
    ],
    ids=["as an event", "as an answer"],
)
async def test_after_lost_history_a_list_finds_missed_deletions(end):
    """410 in either form leads to a list, and an object that is not in it was deleted."""
    followed = await Followed(
        listing(secret("a"), secret("b"), secret("c")),
        end,
        listing(secret("b", "1"), secret("c", "5"), version="40"),
        Chunks([None]),
    ).play()

    assert followed.changes[3:] == [("a", "1", None), ("c", "1", "5")]
    assert followed.watched_from == ["10", "40"]


async def test_an_object_created_again_during_a_gap_is_one_change_with_two_uids():
    """Another uid is a change even if all else is equal."""
    followed = await Followed(
        listing(secret("a", "1", uid="first")),
        status(410, "Expired"),
        listing(secret("a", "1", uid="second")),
        Chunks([None]),
    ).play()

    assert followed.changes == [("a", None, "1"), ("a", "1", "1")]


async def test_a_list_of_one_namespace_deletes_nothing_in_another():
    """Each namespace has its own watch, and a new list of one leaves the objects of the others alone."""
    followed = Followed(namespaces=("left", "right"))
    lefts = [listing(secret("a", namespace="left")), status(410, "Expired"), listing()]
    rights = [listing(secret("b", namespace="right")), Chunks([None])]

    async def by_namespace(request):
        followed.transport.requests.append(request)
        script = lefts if "/left/" in request.path else rights
        if not script:
            await followed.transport.hang()
        return script.pop(0)

    followed.transport.answers_with(by_namespace)
    await followed.turn(50)

    assert set(followed.informer.objects) == {("right", "b")}
    assert ("a", "1", None) in followed.changes


async def test_one_forbidden_namespace_does_not_stop_the_others():
    """The error names the namespace without rights; the others are followed and do not wait for it."""
    followed = Followed(namespaces=("left", "right"))
    rights = [listing(secret("b", namespace="right")), Chunks([None])]

    async def by_namespace(request):
        if "/left/" in request.path:
            return status(403, "Forbidden")
        return rights.pop(0)

    followed.transport.answers_with(by_namespace)
    await followed.turn(50)

    assert set(followed.informer.objects) == {("right", "b")}
    assert followed.informer.synced.is_set()
    assert followed.informer.error is not None
    assert "namespace left" in followed.informer.error


async def test_waits_longer_after_each_failure_and_logs_once(caplog):
    """A lasting failure is logged when it begins and when it ends, and retried more and more slowly."""
    refused = status(
        403, "Forbidden", 'User "keyturn" cannot list resource "secrets" in API group "" at the cluster scope'
    )
    with caplog.at_level(logging.INFO, "keyturn"):
        followed = await Followed(refused, refused, refused, listing(), Chunks([None])).play()

    assert followed.waits == [0.5, 1.0, 2.0]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0].startswith("cannot watch secrets in all namespaces, retrying: GET /api/v1/secrets: 403 ")
    assert 'User "keyturn" cannot list' in caplog.messages[0]
    assert caplog.records[0].about == {"reason": "Forbidden"}
    assert caplog.messages[1] == "watching secrets in all namespaces again"
    assert followed.informer.error is None


async def test_a_failure_is_logged_again_only_if_its_reason_changes(caplog):
    """A server in an outage fails with many texts, which would fill the log; a missing right is another reason."""
    away = [status(503, "ServiceUnavailable", text) for text in ("apiserver not ready", "storage is initializing")]
    with caplog.at_level(logging.INFO, "keyturn"):
        followed = await Followed(*away, status(403, "Forbidden"), listing(), Chunks([None])).play()

    assert ["ServiceUnavailable" in caplog.messages[0], "Forbidden" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 3
    assert followed.informer.error is None


@pytest.mark.parametrize(("retry_after", "waits"), [("17", [17.0]), ("9999", [30.0] * 2)])
async def test_honours_retry_after(retry_after, waits):
    """A pause of more than half a minute is cut in pieces, because a watchdog waits for beats."""
    followed = await Followed(answer({}, 429, retry_after=retry_after), listing(), Chunks([None])).play()

    assert followed.waits == waits
    turns, pages, watches = 2, 1, 1
    assert followed.beats == turns + pages + watches + len(waits) - 1


async def test_a_watch_that_the_server_closes_at_once_is_not_opened_in_a_loop():
    """An early end counts as a failure although the response was no error."""
    followed = await Followed(listing(), *[Chunks([])] * 4, Chunks([None])).play()

    assert followed.waits == [0.5, 1.0, 2.0, 4.0]


async def test_a_stable_watch_resumes_promptly_and_logs_nothing(caplog):
    """After a while, earlier failures are forgotten, and the end of the watch is no failure."""
    followed = Followed()
    half_a_minute = lambda: followed.time.advance(31.0)  # noqa: E731 - a step of the script
    broken = TransportError("ClientPayloadError")
    followed.transport.script = [
        listing(),
        Chunks([]),
        Chunks([half_a_minute, broken]),
        Chunks([bookmark("11"), half_a_minute]),
        Chunks([None]),
    ]
    await followed.play()

    assert followed.waits == [0.5, 0.5, 0.5]
    assert not caplog.records


async def test_watches_that_are_short_on_purpose_are_opened_again_at_once():
    """The broker's watch of grants stays open for 16 seconds: however often it ends, what is revoked is seen a moment later."""
    followed = Followed()
    whole_life = lambda: followed.time.advance(16.0)  # noqa: E731 - a step of the script
    followed.transport.script = [listing(), *[Chunks([whole_life]) for _ in range(20)], Chunks([None])]
    await followed.play()

    assert followed.waits == [0.5] * 20


async def test_a_silent_watch_leads_to_a_list_and_is_an_error_until_an_event_arrives(caplog):
    """A proxy may keep watches open and swallow what they bring: then only lists show what changed."""
    silence = Chunks([TransportError("no answer in time", timed_out=True)])
    with caplog.at_level(logging.INFO, "keyturn"):
        followed = await Followed(
            listing(secret("a")), silence, listing(secret("a"), secret("b"), version="20"), silence, listing(), silence
        ).play()

    assert followed.changes == [("a", None, "1"), ("b", None, "1"), ("a", "1", None), ("b", "1", None)]
    assert followed.watched_from == ["10", "20", "10"]
    assert "brings neither events nor bookmarks" in followed.informer.error
    assert followed.informer.failing == {("secrets", "NoEvents"): 1}
    assert len(caplog.records) == 1

    followed.transport.script = [listing(), Chunks([bookmark("30"), None])]
    followed.transport.exhausted.clear()
    with caplog.at_level(logging.INFO, "keyturn"):
        await followed.play()
    assert followed.informer.error is None
    assert caplog.messages[1:] == ["watching secrets in all namespaces again"]


async def test_the_end_of_an_outage_ends_every_pause():
    """One call of another part shows that the API server is back; the watch must not wait for the end of its own pause."""
    followed = Followed()
    away = TransportError("ClientConnectorError")
    followed.time = FakeTime(sleeps=False)
    cluster = Cluster(followed.transport, time=followed.time)
    informer = Informer(
        ApiListWatch(cluster, SECRETS, METADATA, time=followed.time),
        label="secrets",
        namespaces=(ALL_NAMESPACES,),
        on_change=followed._note,
        reachability=cluster.reachability,
        time=followed.time,
    )
    followed.transport.script = [away] * 12
    task = asyncio.create_task(informer.run())

    for _ in range(4):
        await turns(30)
        followed.time.advance(6.0)
    await turns(30)
    asked = len(followed.transport.requests)
    followed.transport.script = [listing(secret("a")), Chunks([None])]
    cluster.reachability.note(200)
    await turns(30)

    assert len(followed.transport.requests) > asked
    assert set(informer.objects) == {("apps", "a")}
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_outage_changes_no_object():
    """After a broken connection all objects are still there, and the informer is still synced."""
    down = TransportError("ClientConnectorError")
    followed = await Followed(listing(secret("a")), Chunks([down]), down, down, down, Chunks([None])).play()

    assert set(followed.informer.objects) == {("apps", "a")}
    assert followed.informer.synced.is_set()
    assert followed.changes == [("a", None, "1")]


async def test_pages_are_joined_before_anything_counts_as_missing():
    """An object on the second page is not deleted by the first."""
    paged = listing(secret("a"), **{"continue": "next"}), listing(secret("b"))
    followed = await Followed(*paged, status(410, "Expired"), *paged, Chunks([None])).play()

    assert followed.changes == [("a", None, "1"), ("b", None, "1")]


async def test_lines_larger_than_a_read_buffer_arrive():
    """Metadata of 300 KiB in arbitrary chunks is one event."""
    big = watch_line("ADDED", secret("a", "11", annotations={"note": "x" * 300_000}))
    chunks = [big[start : start + 7_001] for start in range(0, len(big), 7_001)]
    followed = await Followed(listing(), Chunks([*chunks, None])).play()

    assert len(followed.informer.objects["apps", "a"].annotations["note"]) == 300_000


async def test_a_callback_that_raises_stops_nothing(caplog):
    """The watch goes on, and the defect is logged with the object's name, but without its message, which may quote a value."""

    def fail(*_):
        raise ValueError("canary")

    followed = await Followed(listing(secret("a"), secret("b")), Chunks([None]), on_change=fail).play()

    assert set(followed.informer.objects) == {("apps", "a"), ("apps", "b")}
    assert caplog.messages[0].startswith("handling a change of secrets apps/a failed with ValueError in ")
    assert caplog.records[0].about == {"namespace": "apps", "name": "a"}
    assert "canary" not in caplog.text


@pytest.mark.parametrize("nonsense", [b"<html>", b"[]", b'{"type": 1}', b'{"type": "ADDED", "object": []}'])
async def test_an_unreadable_line_ends_the_watch_and_nothing_else(nonsense):
    """The next watch resumes after the last good event, after a wait."""
    followed = await Followed(listing(), Chunks([bookmark("11"), nonsense + b"\n"]), Chunks([None])).play()

    assert followed.waits == [0.5]
    assert followed.watched_from == ["10", "11"]


async def test_a_malformed_object_leads_to_a_new_list(caplog):
    """An unforeseen exception leads to a new start after a pause, and its type and place are logged."""
    odd = watch_line("ADDED", {"metadata": []})
    followed = await Followed(listing(), Chunks([odd]), listing(secret("a")), Chunks([None])).play()

    assert set(followed.informer.objects) == {("apps", "a")}
    assert followed.waits == [0.5]
    assert caplog.messages[0].startswith("the watch of secrets in all namespaces failed with ")


async def test_beats_at_every_step():
    """Each list, watch, event and retry beats, so that a watchdog can tell an idle informer from a hanging one."""
    followed = await Followed(listing(), Chunks([bookmark("11"), bookmark("12")]), Chunks([None])).play()

    turns, pages, watches, events = 2, 1, 2, 2
    assert followed.beats == turns + pages + watches + events


async def test_cancelling_closes_the_stream():
    """No connection stays open."""
    followed = await Followed(listing(), Chunks([None])).play()

    assert followed.transport.open_streams == 0
