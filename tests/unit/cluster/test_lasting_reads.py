"""Lists and watches for kopf: whatever happens, they answer in the end, and say meanwhile what is wrong."""

import asyncio
import json
import logging
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from cluster_fakes import Chunks, ScriptedTransport, answer, status, watch_line

from keyturn.cluster.gateway import Cluster
from keyturn.cluster.lasting_reads import LastingReads, LastingWatch
from keyturn.cluster.reachability import Reachability
from keyturn.cluster.resources import ALL_NAMESPACES, KEYTURN_SECRETS, ONEPASSWORD_ITEMS
from keyturn.cluster.transport import TransportError
from keyturn.cluster.watch_state import WatchState
from keyturn.cluster.watching import WatchEvent
from support.event_loop import turns
from support.fake_time import FakeTime

ITEMS = "/apis/onepassword.com/v1/onepassworditems"
RED = "/apis/onepassword.com/v1/namespaces/red/onepassworditems"
BLUE = "/apis/onepassword.com/v1/namespaces/blue/onepassworditems"
GROUPS = {"groups": [{"name": "apps"}, {"name": "onepassword.com"}]}
DENIED = status(403, "Forbidden", 'User "keyturn" cannot list resource "onepassworditems"')
AWAY = TransportError("ClientConnectorError")
SILENCE = TransportError("no answer in time", timed_out=True)


def listing(*names, **metadata):
    items = [{"metadata": {"name": name}} for name in names]
    return answer({"metadata": {"resourceVersion": "10", **metadata}, "items": items})


def event(kind, version="11"):
    return watch_line(kind, {"metadata": {"resourceVersion": version}})


class World:
    def __init__(self, *script, namespaces=(ALL_NAMESPACES,), sleeps=True, kinds=(ONEPASSWORD_ITEMS,), **more):
        self.transport = ScriptedTransport(*script)
        self.time = FakeTime(sleeps=sleeps)
        self.cluster = Cluster(self.transport, time=self.time)
        self.reads = LastingReads(self.cluster, kinds, namespaces=namespaces, time=self.time, **more)

    @property
    def error(self) -> str:
        return self.reads.error or ""

    async def watched(self, path=ITEMS):
        """Open a watch and read it to its end: the types of its events."""
        watch = await self.reads.watch(path, {"watch": "true", "resourceVersion": "10"})
        types = [_type(line) async for line in watch.lines()]
        await watch.aclose()
        return types


def _type(line):
    parsed = json.loads(line)
    return parsed["object"]["code"] if parsed["type"] == "ERROR" else parsed["type"]


@pytest.mark.parametrize(
    "failure",
    [
        DENIED,
        status(401, "Unauthorized"),
        status(404, "NotFound"),
        status(500, "InternalError"),
        answer(b"<html>"),
        AWAY,
    ],
    ids=["403", "401", "404", "500", "no JSON", "no connection"],
)
async def test_a_list_waits_until_it_succeeds(failure, caplog):
    """Kopf would end the process; the reason is logged once."""
    attempts = [failure] * 5
    if failure is AWAY:
        # A read whose connection broke is sent once more at once.
        attempts *= 2
    with caplog.at_level(logging.INFO, "keyturn"):
        world = World(*attempts, listing("a"), Chunks([event("ADDED"), None]))
        page = await world.reads.get(ITEMS, {"limit": "500"})
        error = world.error
        await world.reads.watch(ITEMS, {})

    assert [item["metadata"]["name"] for item in page["items"]] == ["a"]
    assert world.transport.requests[-2].query == {"limit": "500"}
    assert error.startswith("cannot watch onepassworditems.onepassword.com in all namespaces: GET ")
    assert world.error == ""
    assert caplog.messages[-1] == "watching onepassworditems.onepassword.com in all namespaces again"
    assert len(caplog.messages) == 2


async def test_a_kind_that_is_not_served_says_what_to_do():
    """The definition was deleted; it may come back."""
    world = World(status(404, "NotFound"), listing())
    await world.reads.get(ITEMS, {})

    assert "kubectl apply -f crds/" in world.error
    assert world.reads.failing == {("onepassworditems.onepassword.com", "NotFound"): 1}


async def test_a_list_whose_pages_are_gone_is_made_in_one():
    """Kopf knows no list that begins again in the middle."""
    world = World(status(410, "Expired"), listing("a", "b"))
    page = await world.reads.get(ITEMS, {"limit": "500", "continue": "token"})

    assert len(page["items"]) == 2
    assert world.transport.requests[1].query == {}


async def test_a_watch_brings_its_events_and_its_end():
    """After a regular end the next one begins where this one was."""
    world = World(Chunks([event("ADDED"), event("BOOKMARK"), event("DELETED")]))

    assert await world.watched() == ["ADDED", "BOOKMARK", "DELETED"]
    query = world.transport.requests[0].query
    assert (query["resourceVersion"], query["allowWatchBookmarks"], query["timeoutSeconds"]) == ("10", "true", "54")
    assert world.transport.open_streams == 0


@pytest.mark.parametrize(
    "script",
    [
        [status(410, "Expired")],
        [Chunks([json.dumps({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}).encode() + b"\n"])],
        [Chunks([SILENCE])],
    ],
    ids=["as an answer", "as an event", "after silence"],
)
async def test_lost_history_and_silence_make_kopf_list_again(script):
    """410 is the one error that it knows. A silent watch may have missed anything."""
    assert await World(*script).watched() == [410]


@pytest.mark.parametrize(
    "end",
    [AWAY, json.dumps({"type": "ERROR", "object": {"code": 500, "reason": "InternalError"}}).encode() + b"\n"],
    ids=["broken", "an error event"],
)
async def test_a_watch_that_fails_ends_and_waits_before_the_next(end):
    """An error event that it does not know would end kopf."""
    world = World(Chunks([event("ADDED"), end]), Chunks([event("ADDED")]))

    assert await world.watched() == ["ADDED"]
    assert world.error != ""
    assert await world.watched() == ["ADDED"]
    assert world.time.slept == [0.5]


async def test_one_namespace_without_rights_holds_up_no_other():
    """Only the one waits."""
    world = World(namespaces=("red", "blue"), sleeps=False)

    async def by_path(request):
        return DENIED if request.path == RED else listing("a")

    world.transport.answers_with(by_path)
    red = asyncio.create_task(world.reads.get(RED, {}))
    assert len((await world.reads.get(BLUE, {}))["items"]) == 1
    await turns(30)

    assert not red.done()
    assert "namespace red" in world.error
    assert "namespace blue" not in world.error
    red.cancel()


async def test_a_right_that_is_lost_while_the_watch_is_open_is_noticed_within_seconds():
    """The API server goes on sending events; a right that comes back is noticed in the same way."""
    world = World(sleeps=False)
    denied = False

    async def by_query(request):
        if "watch" in request.query:
            return Chunks([event("ADDED"), None])
        return DENIED if denied else listing()

    world.transport.answers_with(by_query)
    watch = await world.reads.watch(ITEMS, {})
    probing = asyncio.create_task(world.reads.probe())
    await _pass(world, 30)
    assert world.error == ""

    denied = True
    await _pass(world, 11)
    assert world.reads.failing == {("onepassworditems.onepassword.com", "Forbidden"): 1}
    # An event does not show that the right is back.
    assert await anext(watch.lines())
    assert world.error != ""

    denied = False
    await _pass(world, 11)
    assert world.error == ""
    await _end(probing)


async def test_a_probe_that_succeeds_ends_the_pause_of_a_list():
    """A namespace whose Role came late is served within seconds."""
    world = World(sleeps=False)
    denied = True

    async def denied_for_long(_):
        return DENIED if denied else listing()

    world.transport.answers_with(denied_for_long)
    listed = asyncio.create_task(world.reads.get(ITEMS, {}))
    probing = asyncio.create_task(world.reads.probe())
    await _pass(world, 200)
    assert not listed.done()

    denied = False
    await _pass(world, 11)
    assert listed.done()
    await _end(probing)


async def test_one_probe_without_an_answer_is_no_outage():
    """Two are."""
    world = World(*[status(503, "ServiceUnavailable")] * 2, sleeps=False)
    probing = asyncio.create_task(world.reads.probe())
    await _pass(world, 11)
    assert world.error == ""

    await _pass(world, 3)
    assert "ServiceUnavailable" in world.error
    await _end(probing)


async def test_many_namespaces_are_probed_one_a_second():
    """Their number must not become a load."""
    world = World(namespaces=tuple(f"n{number}" for number in range(100)), sleeps=False)

    async def empty(_):
        return listing()

    world.transport.answers_with(empty)
    probing = asyncio.create_task(world.reads.probe())
    await _pass(world, 60)

    assert 55 <= len(world.transport.requests) <= 65
    await _end(probing)


async def test_discovery_waits_until_our_group_is_served():
    """Kopf would watch nothing, for ever, without a word. It takes a group version that is missing for an empty one."""
    world = World(AWAY, AWAY, answer({"groups": [{"name": "apps"}]}), answer(GROUPS), status(404, "NotFound"))

    assert await world.reads.get("/apis", {}) == GROUPS
    assert world.error == ""
    assert len(world.time.slept) == 2
    assert await world.reads.get("/apis/kopf.dev/v1", {}) == {"resources": []}


def with_optional(*script, **more):
    return World(*script, kinds=(ONEPASSWORD_ITEMS, KEYTURN_SECRETS), optional=[KEYTURN_SECRETS], **more)


OWN_GROUP = "/apis/keyturn.dev/v1alpha1"


@pytest.mark.parametrize(("path", "limit"), [(ITEMS, "500"), (f"{OWN_GROUP}/keyturnsecrets", "50")])
async def test_a_page_of_large_objects_holds_fewer_of_them(path, limit):
    """A whole page is in memory at once, and one object of a hostile tenant may be a megabyte."""
    world = with_optional(listing(), listing())
    await world.reads.get(path, {"limit": "500", "continue": "token"})
    await world.reads.get(path, {})

    assert [request.query for request in world.transport.requests] == [{"limit": limit, "continue": "token"}, {}]


VERSION = {"groupVersion": "keyturn.dev/v1alpha1", "version": "v1alpha1"}
LATER = {"groupVersion": "keyturn.dev/v2", "version": "v2"}


@pytest.mark.parametrize(
    ("group", "versions"),
    [
        (None, [VERSION]),
        ({"name": "keyturn.dev", "versions": [LATER], "preferredVersion": LATER}, [LATER, VERSION]),
        ({"name": "keyturn.dev", "versions": [VERSION], "preferredVersion": VERSION}, [VERSION]),
    ],
    ids=["no group", "another version", "served"],
)
async def test_a_kind_that_need_not_be_served_is_discovered_all_the_same(group, versions):
    """Kopf asks only once, and would never watch what is defined later; the watch itself waits."""
    groups = [*GROUPS["groups"], *([group] if group else [])]
    world = with_optional(answer({"groups": groups}))

    *others, own = (await world.reads.get("/apis", {}))["groups"]

    assert others == GROUPS["groups"]
    assert (own["name"], own["versions"]) == ("keyturn.dev", versions)
    assert own["preferredVersion"] in versions


async def test_what_the_api_server_says_of_a_kind_counts_once_it_serves_it():
    """Discovery shows the kind whether it is served or not, and the other kinds of its group beside it."""
    other = {"name": "connections", "kind": "Connection", "namespaced": True}
    served = {"resources": [other, {"name": "keyturnsecrets", "kind": "KeyturnSecret", "namespaced": True}]}
    world = with_optional(status(404, "NotFound"), answer({"resources": [other]}), answer(served))

    (alone,) = (await world.reads.get(OWN_GROUP, {}))["resources"]
    assert (alone["name"], alone["kind"], alone["namespaced"]) == ("keyturnsecrets", "KeyturnSecret", True)
    assert {"list", "watch"} <= set(alone["verbs"])
    assert (await world.reads.get(OWN_GROUP, {}))["resources"] == [other, alone]
    assert await world.reads.get(OWN_GROUP, {}) == served


@pytest.mark.parametrize(
    ("failure", "says", "counts"),
    [(status(404, "NotFound"), "is not installed: kubectl apply -f crds/", False), (DENIED, "cannot list", True)],
    ids=["not served", "forbidden"],
)
async def test_that_a_kind_need_not_be_served_is_no_error_while_it_is_not(caplog, failure, says, counts):
    """The log says what is missing; readiness and alerts are for what does not work."""
    world = with_optional(failure, listing("a"), sleeps=False)
    listed = asyncio.create_task(world.reads.get(f"{OWN_GROUP}/keyturnsecrets", {}))
    await turns(30)

    assert says in caplog.text
    assert bool(world.error) == bool(world.reads.failing) == counts
    await _pass(world, 10)
    assert [each["metadata"]["name"] for each in (await listed)["items"]] == ["a"]


async def _pass(world, seconds):
    for _ in range(seconds):
        await turns(30)
        world.time.advance(1.0)
    await turns(30)


async def _end(task):
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_watch_that_is_abandoned_at_the_end_of_the_process_is_no_defect(caplog):
    """The event loop ends all generators, and the one below may be ended first; kopf closes none of them."""

    @asynccontextmanager
    async def connection():
        yield

    below = connection()
    stack = AsyncExitStack()
    await stack.enter_async_context(below)

    async def events():
        yield WatchEvent("BOOKMARK", {})

    state = WatchState("items", "all namespaces", reachability=Reachability(time=FakeTime()), time=FakeTime())
    lines = LastingWatch(state, events(), stack, on_beat=lambda: None).lines()
    await anext(lines)
    await below.gen.aclose()

    await lines.aclose()

    assert caplog.records == []
